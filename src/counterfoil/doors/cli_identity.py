"""`counterfoil duplicates` and `identity`: who is who, looked up and set right by hand."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.table import Table

from counterfoil.blueprint import Blueprint
from counterfoil.doors import assembly, duplicates
from counterfoil.doors.cli_base import (
    DEFAULT,
    AsJson,
    BlueprintPath,
    fail,
    out,
    print_json,
    progress,
    with_store,
    with_systems,
)
from counterfoil.doors.cli_onboarding import SHOWN, write_rows
from counterfoil.doors.duplicates import Found
from counterfoil.doors.linked import What
from counterfoil.doors.onboarding import Unfit
from counterfoil.hub import identity
from counterfoil.hub.contract import Connector
from counterfoil.hub.identity import Done, NotPossible, Streams
from counterfoil.hub.store import Store

identity_app = typer.Typer(help="Who a customer is in all systems: show, merge, split.", no_args_is_help=True)

System = Annotated[str, typer.Argument(help="the system's name in the blueprint")]
Number = Annotated[str, typer.Argument(help="its own number of the customer")]
Write = Annotated[bool, typer.Option("--write", help="do it; without it nothing is changed")]


def find_duplicates(
    what: Annotated[str, typer.Argument(help="products or customers")],
    system: Annotated[str, typer.Option(help="the system to look through")],
    csv: Annotated[Path | None, typer.Option(help="a file for all of them, with names and addresses: .csv")] = None,
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Find records of one system that may be the same, by the declared keys and likenesses; changes nothing.

    Names and addresses stand in the --csv file only.
    """
    if what not in ("products", "customers"):
        fail(f"{what!r} cannot be looked through; ask for products or customers.", 2)
    if csv is not None and csv.suffix != ".csv":
        fail(f"{csv}: the name of the list ends in .csv.", 2)

    async def act(store: Store, plan: Blueprint, made: Mapping[str, Connector]) -> Found:
        with progress() as bars:
            return await duplicates.find(store, plan, made, system, cast(What, what), bars.advance)

    found = with_systems(blueprint, act)
    if csv is not None:
        write_rows(csv, found.rows(personal=True))
    if as_json:
        print_json(found.summary() | ({"rows": found.rows(personal=False)} if csv is None else {"file": str(csv)}))
        return
    _print_duplicates(found, csv)


def _print_duplicates(found: Found, csv: Path | None) -> None:
    if not found.groups:
        out.print(f"None of the {found.read} {found.what} of {found.system} stand there twice.")
        return
    table = Table("why", "by", "records (links; orders)", title=f"{found.what} of {found.system}", title_justify="left")
    for group in found.groups[:SHOWN]:
        records = []
        for i in group.ids:
            known = found.standing[i]
            said = [*known.links, *([f"{known.orders} orders"] if known.orders else [])]
            records.append(f"{i} ({', '.join(said)})" if said else i)
        table.add_row(group.reason.replace("_", " "), group.by, "\n".join(records))
    out.print(table)
    if len(found.groups) > SHOWN:
        out.print(f"… and {len(found.groups) - SHOWN} more groups.")
    out.print(f"{len(found.groups)} groups of {len(found.things)} records, out of {found.read}.")
    if csv is None:
        out.print("--csv list.csv has all of them, with names and addresses.")
    else:
        out.print(f"Wrote {csv}.")


@identity_app.command("show")
def show(system: System, number: Number, blueprint: BlueprintPath = DEFAULT, as_json: AsJson = False) -> None:
    """Show who a customer is elsewhere, what was merged or told apart, and what is under way."""

    async def look(store: Store, plan: Blueprint) -> dict[str, Any]:
        _declared(plan, system)
        return await identity.show(store, system, number)

    found = with_store(blueprint, look)
    if as_json:
        print_json(found)
        return
    table = Table("what", "now", title=found["customer"], title_justify="left")
    for link in found["links"]:
        table.add_row("link", f"{link['customer']} is {link['system']} {link['id']}")
    for what in ("merged_into", "waiting", "exceptions_open"):
        if found[what]:
            table.add_row(what.replace("_", " "), str(found[what]))
    for other in found["merged_from"]:
        table.add_row("merged from", other)
    for pair in found["not_the_same"]:
        table.add_row("not the same", " and ".join(pair))
    out.print(table)


@identity_app.command("merge")
def merge(
    system: System,
    number: Annotated[str, typer.Argument(help="the customer that is to go")],
    into: Annotated[str, typer.Argument(help="the customer that stays")],
    write: Write = False,
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Make two customers of one system one for the hub: links move to INTO, changes of the other go nowhere any more.

    Nothing is changed in the system itself. Shows what it would do; --write does it. `identity split` undoes it.
    """
    _do(
        blueprint,
        [system],
        lambda store, streams, who: identity.merge(store, streams, system, number, into, who, write),
        write,
        as_json,
    )


@identity_app.command("split")
def split(
    system: System,
    number: Number,
    other_system: Annotated[str, typer.Argument(help="part a link instead: the other system")] = "",
    other_number: Annotated[str, typer.Argument(help="and its number of the customer")] = "",
    write: Write = False,
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Undo a merge, or part two customers that were linked by mistake; they are not put together again by their keys.

    Shows what it would do; --write does it.
    """
    if other_system and not other_number:
        fail(f"Which customer of {other_system}? Name its number too.", 2)

    def act(store: Store, streams: Streams, who: str) -> Coroutine[Any, Any, Done]:
        if other_system:
            return identity.unlink(store, streams, (system, number), (other_system, other_number), who, write)
        return identity.split(store, streams, system, number, who, write)

    _do(blueprint, [system, *filter(None, [other_system])], act, write, as_json)


def _do(
    blueprint: Path,
    systems: list[str],
    act: Callable[[Store, Streams, str], Coroutine[Any, Any, Done]],
    write: bool,
    as_json: bool,
) -> None:
    async def run(store: Store, plan: Blueprint) -> Done:
        for system in systems:
            _declared(plan, system)
        streams = assembly.streams(plan)
        of_customers = {(f.system, streams[f.do]) for f in plan.flows if f.on.startswith("customer.")}
        try:
            return await act(store, of_customers, getpass.getuser())
        except NotPossible as no:
            raise Unfit(str(no)) from None

    done = with_store(blueprint, run)
    if as_json:
        print_json({**done.as_dict(), "written": write})
        return
    words = "into" if done.act == "merged" else "from"
    out.print(f"{done.canonical_id} {'is' if write else 'would be'} {done.act} {words} {done.other}.")
    for change in done.changes:
        out.print(f"  {change}")
    for change in done.left:
        out.print(f"  left as it is now, as it was changed since: {change}")
    if not write:
        out.print("Nothing was changed. --write does it.")


def _declared(plan: Blueprint, system: str) -> None:
    if system not in plan.systems:
        raise Unfit(f"The blueprint declares no system {system!r}; there are: {', '.join(plan.systems)}.")


def add_to(app: typer.Typer) -> None:
    """Put these commands into the command line."""
    app.command("duplicates")(find_duplicates)
    app.add_typer(identity_app, name="identity")
