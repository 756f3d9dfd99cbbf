"""`counterfoil audit`: who did what, and whether it still stands as it was written."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from counterfoil.doors.cli_base import (
    DEFAULT,
    AsJson,
    BlueprintPath,
    confirmed,
    fail,
    moment,
    out,
    print_json,
    with_store,
)
from counterfoil.hub.access import audit

audit_app = typer.Typer(help="Who did what: list, show, and verify that nobody changed it.", no_args_is_help=True)


@audit_app.command("list")
def list_(
    blueprint: BlueprintPath = DEFAULT,
    who: Annotated[str, typer.Option(help="only what this person did")] = "",
    act: Annotated[
        str, typer.Option(help="only this act, such as exception.skipped, or exception for all of them")
    ] = "",
    subject: Annotated[str, typer.Option(help="only what was done to this")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    before: Annotated[int | None, typer.Option(help="only rows before this number: to page on")] = None,
    as_json: AsJson = False,
) -> None:
    """What was done, newest first."""
    rows = with_store(blueprint, lambda store, _: audit.listing(store, limit, before, who, act, subject))
    if as_json:
        print_json(rows)
        return
    table = Table("no", "when", "who", "act", Column("to", overflow="fold"), Column("particulars", overflow="fold"))
    for row in rows:
        table.add_row(str(row["id"]), moment(row["at"]), row["who"], row["act"], row["subject"], _plain(row["detail"]))
    out.print(table)


@audit_app.command()
def show(number: int, blueprint: BlueprintPath = DEFAULT, as_json: AsJson = False) -> None:
    """One row with its place in the chain."""
    row = with_store(blueprint, lambda store, _: audit.get(store, number))
    if row is None:
        fail(f"There is no row {number}; `counterfoil audit list` shows them.")
    if as_json:
        print_json(row)
        return
    shown = {**row, "at": moment(row["at"]), "detail": _plain(row["detail"])}
    for name, value in shown.items():
        out.print(f"{name:>8}  {value}", highlight=False, soft_wrap=True)


@audit_app.command()
def verify(
    blueprint: BlueprintPath = DEFAULT,
    head: Annotated[str, typer.Option(help="a head that was written down before, as this command prints it")] = "",
    as_json: AsJson = False,
) -> None:
    """Look whether any row was changed, removed, put in or cut off since it was written; exit code 1 if so.

    Write the head down where who runs this hub's database cannot change it, and give it next time.
    """
    try:
        found = with_store(blueprint, lambda store, _: audit.verify(store, head))
    except ValueError as error:
        fail(f"--head: {error}.", 2)
    if as_json:
        print_json({"intact": not found.problem, "rows": found.rows, "head": found.head} | _wrong(found))
    elif not found.problem:
        out.print(f"{found.rows} rows, all as they were written. Head: {found.head}", soft_wrap=True)
    if found.problem:
        where = f"row {found.row}: " if found.row is not None else ""
        if as_json:
            raise typer.Exit(1)
        fail(f"The audit is not as it was written. {where}{found.problem}.\n{found.rows} rows before that are fine.")


@audit_app.command("take-in")
def take_in(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="without asking")] = False,
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Chain rows that an older version wrote beside this one, during an upgrade. Which ones is written down too."""
    if not confirmed("Rows outside the chain are chained as they stand now. Look at them first. Go on?", yes):
        fail("Nothing was changed. Say --yes to do it without being asked.")
    count = with_store(blueprint, lambda store, _: audit.take_in(store, getpass.getuser()))
    if as_json:
        print_json({"taken_in": count})
    else:
        out.print(f"{count} rows were taken in.")


def _wrong(found: audit.Verdict) -> dict[str, Any]:
    return {"row": found.row, "problem": found.problem} if found.problem else {}


def _plain(detail: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{k}: {v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)}" for k, v in detail.items()
    )
