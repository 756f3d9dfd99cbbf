"""What all commands share: loading, the store, connectors, errors with a remedy, JSON, tables and progress."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from counterfoil.blueprint import Blueprint, BlueprintError, parse_rate
from counterfoil.blueprint.values import parse_moment
from counterfoil.doors import assembly, profiles, serve, setup
from counterfoil.doors.decisions import Undecided
from counterfoil.doors.onboarding import Unfit
from counterfoil.hub import exceptions, inforce
from counterfoil.hub.contract import Connector, Failure
from counterfoil.hub.store import Store, StoreError, open_store
from counterfoil.retail.events import at_utc

T = TypeVar("T")

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class _Terminal(Console):
    """What is printed comes from outside: a name such as `[/b]` or `:tea:` is shown as it is, and of what a terminal
    would obey (it may set its title, or its clipboard) it is shown that it is there."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", text), **options)


out, err = _Terminal(), _Terminal(stderr=True)

BlueprintPath = Annotated[
    Path, typer.Option("--blueprint", "-b", envvar="COUNTERFOIL_BLUEPRINT", help="the blueprint's file")
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]
DEFAULT = Path("counterfoil.yaml")

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells expect it."""


def fail(message: str, code: int = 1) -> NoReturn:
    """Say why on stderr and end."""
    err.print(message, style="red", highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def loaded(path: Path, require_secrets: bool = True, profile: str | None = None) -> Blueprint:
    """The blueprint as it is with the profile, by default the chosen one; or its problems on stderr and exit 2."""
    try:
        return assembly.load(path, require_secrets, profiles.chosen.get() if profile is None else profile)
    except BlueprintError as error:
        fail(f"{error}\nThe blueprint has {len(error.problems)} problem(s); nothing was started.", 2)


def with_store(path: Path, act: Callable[[Store, Blueprint], Awaitable[T]], failing: int = 1) -> T:
    """Run `act` on the blueprint's store; exit with `failing` if that does not work."""
    blueprint = loaded(path, require_secrets=False)

    async def run() -> T:
        store = await open_store(blueprint.store.reveal())
        try:
            return await act(store, blueprint)
        finally:
            await store.close()

    return finished(run(), failing)


def with_systems(path: Path, act: Callable[[Store, Blueprint, Mapping[str, Connector]], Awaitable[T]]) -> T:
    """Run `act` on the blueprint's store and its systems."""
    blueprint = loaded(path)

    async def run() -> T:
        store = await open_store(blueprint.store.reveal())
        made: dict[str, Connector] = {}
        try:
            made = connectors_of(blueprint)
            return await act(store, blueprint, made)
        finally:
            for connector in made.values():
                await connector.close()
            await store.close()

    return finished(run())


def connectors_of(blueprint: Blueprint) -> dict[str, Connector]:
    """The blueprint's systems. Raises Unfit for a setting that its connector cannot use."""
    try:
        return assembly.connectors(blueprint)
    except ValueError as error:  # its message names the setting, what was found and what was expected
        raise Unfit(str(error)) from error


def finished(work: Coroutine[Any, Any, T], failing: int = 1) -> T:
    """Run it; what can go wrong in known ways becomes one clear line with what to do."""
    try:
        return uvloop.run(work)
    except KeyboardInterrupt:
        fail("Stopped. What was done stands; the same command goes on from there.", INTERRUPTED)
    except Failure as failure:
        fail("\n".join(filter(None, (failure.outcome.message, failure.outcome.suggestion))), failing)
    except (
        StoreError,
        serve.CannotListen,
        exceptions.NoSuchException,
        exceptions.NotOpen,
        exceptions.NothingHeldBack,
        exceptions.CannotAdd,
        exceptions.CannotCorrect,
        exceptions.CannotLink,
        setup.SetupError,
        Unfit,
        Undecided,
        inforce.NotApproved,
        inforce.NoSuchChange,
    ) as error:
        fail(str(error), failing)


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def moment(seconds: float | None) -> str:
    """A time for people: local, to the second."""
    return "" if seconds is None else at_utc(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def day_or_moment(text: str) -> datetime:
    """`2025-01-01` (its first moment, UTC) or a date and time with its zone. Raises typer.BadParameter."""
    try:
        return parse_moment(f"{text}T00:00:00Z" if len(text) == 10 else text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}; or only the day, such as 2025-01-01") from None


def per_second(text: str) -> float:
    """`5/s` or `300/min` as calls a second; 0 for no limit. Raises typer.BadParameter."""
    if not text:
        return 0.0
    try:
        return parse_rate(text).per_second
    except ValueError as error:
        raise typer.BadParameter(f"{error}, such as 5/s") from None


def confirmed(question: str, yes: bool) -> bool:
    """Whether to go on: said beforehand, or asked for. Where nobody can be asked the answer is no."""
    return yes or (sys.stdin.isatty() and typer.confirm(question, err=True))


class Bars:
    """Progress, a line for each thing that is under way."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._lines: dict[str, TaskID] = {}

    def advance(self, label: str, by: int = 1, total: int | None = None) -> None:
        """`by` more of `label` are done, of `total` where that is known."""
        if label not in self._lines:
            self._lines[label] = self._shown.add_task(label, total=total)
        self._shown.update(self._lines[label], advance=by, total=total)

    def reach(self, label: str, done: int, total: int | None = None) -> None:
        """`label` is `done` so far."""
        self.advance(label, 0, total)
        self._shown.update(self._lines[label], completed=done)


@contextlib.contextmanager
def progress() -> Iterator[Bars]:
    """Bars on stderr while something long is under way; nothing where stderr is no terminal."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as shown:
        yield Bars(shown)
