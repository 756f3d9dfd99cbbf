"""`counterfoil trials`: orders that are tried on at home, and how a person ends one."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from counterfoil.blueprint import Blueprint
from counterfoil.doors import assembly
from counterfoil.doors.cli_base import DEFAULT, AsJson, BlueprintPath, fail, moment, out, print_json, with_store
from counterfoil.hub.store import Store
from counterfoil.hub.storefront import trials
from counterfoil.processes.trying import NoTrial, Over, Standing

trials_app = typer.Typer(help="Orders that are tried on at home: list, keep, close.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="the order's id, such as web:order:1001")]
Why = Annotated[str, typer.Option(help="why; kept in the audit")]
Who = Annotated[str, typer.Option(help="who you are; by default the user of this shell")]
STATES = (trials.OPEN, trials.ASKED, trials.SETTLED, trials.CLOSED)


@trials_app.command("list")
def trials_list(
    blueprint: BlueprintPath = DEFAULT,
    state: Annotated[str, typer.Option(help=f"one of {', '.join(STATES)}; without it all that are not over")] = "",
    as_json: AsJson = False,
) -> None:
    """List trials, oldest first."""
    if state and state not in STATES:
        fail(f"{state!r} is no state; use one of {', '.join(STATES)}.", 2)
    rows = with_store(blueprint, lambda store, _: trials.listing(store, state))
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    if not rows:
        out.print("No trials.")
        return
    table = Table(Column("id", no_wrap=True), "order", "state", "began", "goes on by itself", "charged")
    for row in rows:
        charged = row.charge["amount"] if row.charge else ""
        table.add_row(row.id, row.number, row.state, moment(row.made_at), moment(row.look_at), charged)
    out.print(table)


@trials_app.command("keep")
def trials_keep(id_: Id, why: Why, blueprint: BlueprintPath = DEFAULT, who: Who = "", as_json: AsJson = False) -> None:
    """What is undecided counts as kept, and is charged."""
    _ended(blueprint, id_, True, who, why, as_json)


@trials_app.command("close")
def trials_close(id_: Id, why: Why, blueprint: BlueprintPath = DEFAULT, who: Who = "", as_json: AsJson = False) -> None:
    """Nothing of the trial is charged here: it is ended by hand, in the shop and in Odoo."""
    _ended(blueprint, id_, False, who, why, as_json)


def _ended(blueprint: Path, id_: str, keep: bool, who: str, why: str, as_json: bool) -> None:
    async def run(store: Store, plan: Blueprint) -> Standing:
        try:
            return await assembly.trying(store, plan).end(id_, keep, who or getpass.getuser(), why)
        except NoTrial:
            fail(f"{id_} is no trial; counterfoil trials list shows those there are.")
        except Over:
            fail(f"{id_} is settled or closed already; nothing was changed.")

    if not why.strip():
        fail("Say why: --why.", 2)
    standing = with_store(blueprint, run)
    settled = str(standing.settled.amount) if standing.settled else None
    if as_json:
        print_json({"id": id_, "state": standing.row.state, "charged": settled})
    else:
        out.print(f"{id_}: {standing.row.state}{f', {settled} charged' if settled else ''}")
