"""`counterfoil exceptions`: what needs a person, in groups of what is alike; acts on one, on some, on all alike."""

from __future__ import annotations

import asyncio
import functools
import getpass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table
from rich.text import Text

from counterfoil.blueprint import Blueprint, BlueprintError
from counterfoil.doors import assembly, cli_correcting
from counterfoil.doors.cli_base import (
    DEFAULT,
    AsJson,
    BlueprintPath,
    fail,
    moment,
    out,
    print_json,
    progress,
    with_store,
)
from counterfoil.hub import exceptions
from counterfoil.hub.exceptions import bulk, fixing, runbooks
from counterfoil.hub.exceptions.looking import in_words
from counterfoil.hub.store import Store

exceptions_app = typer.Typer(
    help="What needs a person: list, groups, show; retry, resolve, skip, release; correct, add-row, link.",
    no_args_is_help=True,
)

PATIENCE = 60.0
"""Seconds that --one-first waits for the hub to try the first one."""
DONE = {
    "retried": "will be tried again",
    "resolved": "resolved",
    "skipped": "skipped",
    bulk.RELEASED: "released",
}


@exceptions_app.command("list")
def exceptions_list(
    blueprint: BlueprintPath = DEFAULT,
    status: Annotated[str, typer.Option(help="open, retried, resolved, skipped or all")] = "open",
    as_json: AsJson = False,
) -> None:
    """List exceptions, oldest first."""
    if status not in exceptions.STATUSES:
        fail(f"There is no status {status!r}; there are: {', '.join(exceptions.STATUSES)}.", 2)
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


@exceptions_app.command("groups")
def exceptions_groups(
    blueprint: BlueprintPath = DEFAULT,
    owner: Annotated[str, typer.Option(help="only what this owner looks after")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="so many groups")] = 50,
    offset: Annotated[int, typer.Option(min=0, help="from this one on")] = 0,
    as_json: AsJson = False,
) -> None:
    """List what is open and alike, the largest group first, with the money at stake."""
    found, of = with_store(blueprint, lambda store, _: exceptions.groups(store, owner, limit, offset))
    if as_json:
        print_json({"groups": [_group(each) for each in found], "of": of})
        return
    table = Table("like no", "count", "oldest", "newest", "owners", "at stake", "reason", "such as")
    for each in found:
        cells = (moment(each.oldest), moment(each.newest), ", ".join(each.owners), in_words(each.stakes))
        table.add_row(str(each.example["id"]), str(each.count), *cells, each.example["reason"], each.example["message"])
    out.print(table if found else "No exceptions.")
    if offset + len(found) < of:
        out.print(f"{of - offset - len(found)} more groups: --offset {offset + len(found)}")


def _group(each: exceptions.Group) -> dict[str, Any]:
    names = ("system", "operation", "reason", "message", "suggestion")
    return {
        **{"likeness": each.likeness, "count": each.count, "oldest": each.oldest, "newest": each.newest},
        **{"owners": each.owners, "at_stake": dict(each.stakes), "example": each.example["id"]},
        **{name: each.example[name] for name in names},
        "runbook": runbooks.page_of(each.example["reason"]),
    }


@exceptions_app.command("show")
def exceptions_show(number: int, blueprint: BlueprintPath = DEFAULT, as_json: AsJson = False) -> None:
    """Show one exception with its suggested fix, its runbook and its technical part."""

    async def look(store: Store, plan: Blueprint) -> tuple[dict[str, Any], int, str]:
        row = await exceptions.get(store, number)
        below = runbooks.published(plan.notify.runbooks, plan.public_url)
        return row, len(await exceptions.alike(store, number)), runbooks.address_of(row["reason"], below)

    row, alike, runbook = with_store(blueprint, look)
    if as_json:
        print_json({**row, "alike": alike, "runbook": runbook})
        return
    opened = f" ({row['status']}), for {row['owner']}, opened {moment(row['opened_at'])}"
    out.print(Text.assemble((f"Exception {row['id']}", "bold"), opened))
    closed = f"{moment(row['closed_at'])} by {row['closed_by']} {row['note'] or ''}" if row["closed_at"] else ""
    seen = f"{moment(row['acknowledged_at'])} by {row['acknowledged_by']}" if row["acknowledged_at"] else ""
    for label, value in (
        ("about", row["subject"]),
        ("during", f"{row['system']}.{row['operation']}"),
        ("reason", row["reason"]),
        ("what", row["message"]),
        ("do", row["suggestion"]),
        ("alike", f"{alike} open (--alike {number})" if alike > 1 or row["closed_at"] else ""),
        ("runbook", runbook),
        ("taken on", seen),
        ("closed", closed),
        ("technical", row["technical"]),
    ):
        if value:
            out.print(f"{label:>10}  {value}", highlight=False)


# --- acts ---------------------------------------------------------------------------------------------------------

Numbers = Annotated[list[int] | None, typer.Argument(help="the exceptions' numbers")]
Note = Annotated[str, typer.Option(help="why; kept in the audit log")]
Alike = Annotated[int, typer.Option("--alike", help="instead of numbers: all open ones like this one")]
Reason = Annotated[str, typer.Option(help="instead of numbers: all open ones with this reason")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="say which and how many; change nothing")]


def _act(
    path: Path, status: str, numbers: list[int] | None, alike: int, reason: str, note: str, dry_run: bool, as_json: bool
) -> None:
    who = getpass.getuser()

    async def chosen(store: Store) -> list[int]:
        if alike:
            return await exceptions.alike(store, alike)
        return await exceptions.open_because(store, reason) if reason else list(numbers or [])

    async def act(store: Store, _: Blueprint) -> None:
        wanted = await chosen(store)
        if dry_run:
            await _say(store, wanted, as_json)
            return
        if not wanted and not (alike or reason):
            fail("Nothing to do: give numbers, --alike NUMBER or --reason.")
        if numbers and not (alike or reason):  # said one by one, and the first that cannot be stops it
            for number in wanted:
                if status == bulk.RELEASED:
                    row = await exceptions.release(store, number, who, note)
                else:
                    row = await exceptions.act(store, number, status, who, note)
                if not as_json:
                    out.print(f"{number}: {DONE[status]} ({row['subject']})")
            closed = exceptions.Closed(wanted, [])
        else:
            with progress() as bars:
                tick = functools.partial(bars.advance, DONE[status], total=len(wanted))
                closed = await exceptions.in_bulk(store, wanted, status, who, note, tick)
            if not as_json:
                before = f"; {len(closed.closed_before)} were closed meanwhile" if closed.closed_before else ""
                out.print(f"{len(closed.done)} of {len(wanted)}: {DONE[status]}{before}")
        if as_json:
            print_json({"act": status, "done": closed.done, "closed_before": closed.closed_before})

    with_store(path, act)


async def _say(store: Store, wanted: list[int], as_json: bool) -> None:
    rows = await exceptions.get_all(store, wanted)
    stakes = await exceptions.money_of(store, wanted)
    if as_json:
        names = ("id", "status", "system", "operation", "reason", "subject", "message")
        print_json({"would": [{n: row[n] for n in names} for row in rows], "at_stake": dict(stakes)})
        return
    for row in rows[:10]:
        out.print(f"{row['id']}: {row['subject']}: {row['message']}", highlight=False, soft_wrap=True)
    if len(rows) > 10:
        out.print(f"… and {len(rows) - 10} more")
    out.print(f"{len(rows)} exceptions, {in_words(stakes) or 'no money'} at stake. Nothing was changed.")


@exceptions_app.command()
def retry(
    numbers: Numbers = None,
    blueprint: BlueprintPath = DEFAULT,
    alike: Alike = 0,
    reason: Reason = "",
    one_first: Annotated[
        bool, typer.Option("--one-first", help="with --alike: try that one, and the others only if it worked")
    ] = False,
    note: Note = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Try again, now that the cause is put right."""
    if one_first and not dry_run:
        if not alike:
            fail("--one-first goes with --alike NUMBER.", 2)
        with_store(blueprint, lambda store, _: _try_one(store, alike, note))
    _act(blueprint, "retried", numbers, alike, reason, note, dry_run, as_json)


async def _try_one(store: Store, number: int, note: str) -> None:
    if (await exceptions.get(store, number))["status"] == "open":
        await exceptions.act(store, number, "retried", getpass.getuser(), note)
    for _ in range(int(PATIENCE / 0.25)):
        became, again = await exceptions.came_of(store, number)
        if became == bulk.AGAIN:
            fail(f"{number} was tried and did not work: it is exception {again} now. The others were left as they are.")
        if became == bulk.WORKED:
            return
        await asyncio.sleep(0.25)
    fail(f"{number} waits to be tried for {PATIENCE:.0f} s: does the hub run? The others were left as they are.")


@exceptions_app.command()
def resolve(
    numbers: Numbers = None,
    blueprint: BlueprintPath = DEFAULT,
    alike: Alike = 0,
    reason: Reason = "",
    note: Note = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """It was put right by hand in the systems; go on with what follows."""
    _act(blueprint, "resolved", numbers, alike, reason, note, dry_run, as_json)


@exceptions_app.command()
def skip(
    numbers: Numbers = None,
    blueprint: BlueprintPath = DEFAULT,
    alike: Alike = 0,
    reason: Reason = "",
    note: Note = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """It is not wanted; go on with what follows. With --alike or --reason it wants a --note."""
    if (alike or reason) and not note and not dry_run:
        fail("Say why so many are not wanted: --note REASON.", 2)
    _act(blueprint, "skipped", numbers, alike, reason, note, dry_run, as_json)


@exceptions_app.command()
def release(
    numbers: Numbers = None,
    blueprint: BlueprintPath = DEFAULT,
    everything: Annotated[bool, typer.Option("--all", help="instead of numbers: all that is held back")] = False,
    alike: Alike = 0,
    note: Note = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """It was held back for a person's word (a price, say), and it is right: let it go out."""
    reason = exceptions.NEEDS_APPROVAL if everything else ""
    _act(blueprint, bulk.RELEASED, numbers, alike, reason, note, dry_run, as_json)


@exceptions_app.command()
def acknowledge(numbers: Annotated[list[int], typer.Argument()], blueprint: BlueprintPath = DEFAULT) -> None:
    """Say that you look after it: by the clock it goes to nobody else."""

    async def act(store: Store, _: Blueprint) -> None:
        for number in numbers:
            await exceptions.acknowledge(store, number, getpass.getuser())
            out.print(f"{number}: taken on by {getpass.getuser()}")

    with_store(blueprint, act)


exceptions_app.command("correct")(cli_correcting.correct)


# --- fixes --------------------------------------------------------------------------------------------------------


@exceptions_app.command("add-row")
def add_row(
    number: int,
    values: Annotated[
        list[str] | None, typer.Argument(help="what belongs into its gaps, such as odoo='7 % USt'")
    ] = None,
    blueprint: BlueprintPath = DEFAULT,
    who: Annotated[str, typer.Option(help="who proposes it")] = "",
    why: Annotated[str, typer.Option(help="the reason; kept with it")] = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Propose the row of the blueprint that the exception suggests; in force, all alike are tried again."""
    known = assembly.catalogue()
    given = dict(value.partition("=")[::2] for value in values or [])
    name = who.strip() or getpass.getuser()

    async def act(store: Store, _: Blueprint) -> fixing.Fix:
        return await fixing.propose_row(store, known, number, given, name, why.strip(), dry_run)

    try:
        fix = with_store(blueprint, act)
    except BlueprintError as error:
        fail(f"{error}\nNothing was proposed.")
    change = fix.proposal.number if fix.proposal else None
    needs = list(fix.proposal.needing) if fix.proposal else []
    if as_json:
        print_json({"row": fix.row, "alike": fix.alike, "change": change, "needs": needs})
        return
    out.print(fix.text, highlight=False, end="")
    if fix.proposal is None:
        out.print(f"It would be proposed for {len(fix.alike)} exceptions. Nothing was changed.")
        return
    if not change:
        out.print(f"The blueprint in force has this row: counterfoil exceptions retry --alike {number}")
        return
    out.print(f"Change {change} is proposed for {len(fix.alike)} exceptions.")
    if needs:
        out.print(f"A second person approves it: counterfoil blueprint approve {change} -b {blueprint} --who NAME")
    out.print(f"Add the row to {blueprint} and start the hub with it: they are tried again by themselves.")


@exceptions_app.command("link")
def link(
    number: int,
    record: Annotated[str, typer.Argument(help="the record's id in the exception's system")],
    blueprint: BlueprintPath = DEFAULT,
    note: Note = "",
) -> None:
    """Say which record of the system it is that the exception is about, and try again."""

    async def act(store: Store, _: Blueprint) -> dict[str, Any]:
        return await fixing.link_record(store, number, record, getpass.getuser(), note)

    row = with_store(blueprint, act)
    out.print(f"{number}: {row['subject']} is {row['system']} {record}; will be tried again")
