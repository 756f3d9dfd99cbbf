"""`--profile` at every command that reads a blueprint, and COUNTERFOIL_PROFILE."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

chosen: ContextVar[str] = ContextVar("profile", default="")
"""The profile that blueprints are read with."""


class Profiled(TyperGroup):
    """A group whose commands, however deep, take --profile where they take --blueprint."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for command in self.commands.values():
            _offer(command)


def _offer(command: Any) -> None:
    for below in getattr(command, "commands", {}).values():
        _offer(below)
    names = [parameter.name for parameter in command.params]
    if "blueprint" in names and "profile" not in names:
        command.params += _option()


def _option() -> list[Any]:
    """Made by Typer for a command that is never called: its options differ from one release to the next."""
    maker = typer.Typer(add_completion=False)
    maker.command()(_profile)
    return typer.main.get_command(maker).params


def _profile(
    profile: Annotated[
        str,
        typer.Option(
            "--profile",
            envvar="COUNTERFOIL_PROFILE",
            help="development, test, production or the like: what is otherwise there, as the blueprint says",
            callback=lambda value: chosen.set(value),
            expose_value=False,
            show_default=False,
        ),
    ] = "",
) -> None:
    raise AssertionError("only its option is wanted")
