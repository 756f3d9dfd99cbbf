"""`counterfoil exceptions`: what needs a person."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from counterfoil.blueprint import Blueprint
from counterfoil.doors.cli_base import DEFAULT, AsJson, BlueprintPath, fail, moment, out, print_json, with_store
from counterfoil.hub import exceptions
from counterfoil.hub.contract import NEEDS_APPROVAL
from counterfoil.hub.store import Store

exceptions_app = typer.Typer(help="What needs a person: list, show, retry, resolve, skip.", no_args_is_help=True)


@exceptions_app.command("list")
def exceptions_list(
    blueprint: BlueprintPath = DEFAULT,
    status: Annotated[str, typer.Option(help="open, retried, resolved, skipped or all")] = "open",
    as_json: AsJson = False,
) -> None:
    """List exceptions, oldest first."""
    rows = with_store(blueprint, lambda store, _: exceptions.listing(store, status))
    if as_json:
        print_json(rows)
        return
    if not rows:
        out.print("No exceptions.")
        return
    table = Table("no", "opened", "owner", Column("about", overflow="fold"), "reason", "what")
    for row in rows:
        table.add_row(
            str(row["id"]), moment(row["opened_at"]), row["owner"], row["subject"], row["reason"], row["message"]
        )
    out.print(table)


@exceptions_app.command("show")
def exceptions_show(number: int, blueprint: BlueprintPath = DEFAULT, as_json: AsJson = False) -> None:
    """Show one exception with its suggested fix and its technical part."""
    row = with_store(blueprint, lambda store, _: exceptions.get(store, number))
    if as_json:
        print_json(row)
        return
    out.print(
        f"[bold]Exception {row['id']}[/] ({row['status']}), for {row['owner']}, opened {moment(row['opened_at'])}"
    )
    closed = f"{moment(row['closed_at'])} by {row['closed_by']} {row['note'] or ''}" if row["closed_at"] else ""
    for label, value in (
        ("about", row["subject"]),
        ("during", f"{row['system']}.{row['operation']}"),
        ("reason", row["reason"]),
        ("what", row["message"]),
        ("do", row["suggestion"]),
        ("closed", closed),
        ("technical", row["technical"]),
    ):
        if value:
            out.print(f"{label:>10}  {value}", markup=False, highlight=False)


def _act(blueprint: Path, numbers: list[int], status: str, note: str, done: str) -> None:
    who = getpass.getuser()

    async def act(store: Store, _: Blueprint) -> None:
        for number in numbers:
            row = await exceptions.act(store, number, status, who, note)
            out.print(f"{number}: {done} ({row['subject']})", markup=False)

    with_store(blueprint, act)


Numbers = Annotated[list[int], typer.Argument(help="the exceptions' numbers")]
Note = Annotated[str, typer.Option(help="why; kept in the audit log")]


@exceptions_app.command()
def retry(
    numbers: Annotated[list[int] | None, typer.Argument(help="the exceptions' numbers")] = None,
    blueprint: BlueprintPath = DEFAULT,
    reason: Annotated[str, typer.Option(help="instead of numbers: all open ones with this reason")] = "",
    note: Note = "",
) -> None:
    """Try again, now that the cause is put right."""
    wanted = list(numbers or [])
    if reason:
        rows = with_store(blueprint, lambda store, _: exceptions.listing(store, limit=100_000))
        wanted += [row["id"] for row in rows if row["reason"] == reason]
    if not wanted:
        fail("Nothing to retry: give numbers, or --reason.")
    _act(blueprint, wanted, "retried", note, "will be tried again")


@exceptions_app.command()
def resolve(numbers: Numbers, blueprint: BlueprintPath = DEFAULT, note: Note = "") -> None:
    """It was put right by hand in the systems; go on with what follows."""
    _act(blueprint, numbers, "resolved", note, "resolved")


@exceptions_app.command()
def skip(numbers: Numbers, blueprint: BlueprintPath = DEFAULT, note: Note = "") -> None:
    """It is not wanted; go on with what follows."""
    _act(blueprint, numbers, "skipped", note, "skipped")


@exceptions_app.command()
def release(
    numbers: Annotated[list[int] | None, typer.Argument(help="the exceptions' numbers")] = None,
    blueprint: BlueprintPath = DEFAULT,
    everything: Annotated[bool, typer.Option("--all", help="instead of numbers: all that is held back")] = False,
    note: Note = "",
) -> None:
    """It was held back for a person's word (a price, say), and it is right: let it go out."""
    who = getpass.getuser()

    async def act(store: Store, _: Blueprint) -> None:
        wanted = list(numbers or [])
        if everything:
            rows = await exceptions.listing(store, limit=100_000)
            wanted = [row["id"] for row in rows if row["reason"] == NEEDS_APPROVAL]
        if not wanted:
            fail("Nothing to release: give numbers, or --all.")
        for number in wanted:
            row = await exceptions.release(store, number, who, note)
            out.print(f"{number}: released ({row['subject']})", markup=False)

    with_store(blueprint, act)
