"""`counterfoil exceptions correct`: a value is put right where the exception is, looked at first."""

from __future__ import annotations

import functools
import getpass
from typing import Annotated

import typer
from rich.table import Column, Table

from counterfoil.blueprint import Blueprint
from counterfoil.doors.cli_base import DEFAULT, AsJson, BlueprintPath, fail, out, print_json, progress, with_store
from counterfoil.hub.exceptions import correcting
from counterfoil.hub.store import Store


def correct(
    number: int,
    values: Annotated[
        list[str] | None, typer.Argument(help="what is told instead, such as billing.country=GB; none: list the values")
    ] = None,
    blueprint: BlueprintPath = DEFAULT,
    all_alike: Annotated[
        bool, typer.Option("--all-alike", help="also where the open ones like it say the same there")
    ] = False,
    why: Annotated[str, typer.Option(help="the reason; kept with it")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be told; change nothing")] = False,
    as_json: AsJson = False,
) -> None:
    """Put a value right of what the exception is about, and try again; it holds until the source says another one."""
    if not values:
        _list(number, blueprint, as_json)
        return
    for value in values:
        if "=" not in value:
            fail(f"{value!r} is not PATH=VALUE, such as billing.country=GB.", 2)
    given = dict(value.partition("=")[::2] for value in values)

    async def act(store: Store, _: Blueprint) -> correcting.Corrected:
        with progress() as bars:
            tick = functools.partial(bars.advance, "corrected")
            more = {"dry_run": dry_run, "all_alike": all_alike}
            return await correcting.correct(store, number, given, getpass.getuser(), why.strip(), tick=tick, **more)

    done = with_store(blueprint, act)
    if as_json:
        changes = {path: {"was": was, "becomes": becomes} for path, (was, becomes) in done.changes.items()}
        told = {"told": dict(done.state)} if dry_run else {}
        print_json({"changes": changes, "alike": done.alike, "done": done.done, "left": done.left, **told})
        return
    for path, (was, becomes) in done.changes.items():
        out.print(f"{path}: {was!r} becomes {becomes!r}", highlight=False, soft_wrap=True)
    if dry_run:
        count = 1 + (len(done.alike) if all_alike else 0)
        others = "" if all_alike or not done.alike else f" It fits {len(done.alike)} more like it (--all-alike)."
        text = f"{count} would be told so and tried again.{others} Nothing was changed."
        out.print(text, highlight=False, soft_wrap=True)
        return
    left = f"; {len(done.left)} were closed or changed meanwhile" if done.left else ""
    out.print(f"{len(done.done)} will be tried again{left}", highlight=False, soft_wrap=True)


def _list(number: int, blueprint: BlueprintPath, as_json: bool) -> None:
    found = with_store(blueprint, lambda store, _: correcting.fields(store, number))
    if as_json:
        print_json([{"path": f.path, "source": f.source, "told": f.told} for f in found])
        return
    table = Table(Column("value", overflow="fold"), Column("the source says", overflow="fold"), "told instead")
    for f in found:
        table.add_row(f.path, f.source, f.told if f.told != f.source else "")
    out.print(table)
