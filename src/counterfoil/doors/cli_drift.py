"""`counterfoil drift`: what shop and ERP say of the same things, why it differs, and making it even."""

from __future__ import annotations

import csv
import getpass
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from counterfoil.blueprint import Blueprint, parse_duration
from counterfoil.doors import assembly
from counterfoil.doors.cli_base import (
    DEFAULT,
    AsJson,
    BlueprintPath,
    fail,
    print_json,
    progress,
    with_store,
    with_systems,
)
from counterfoil.hub import mending
from counterfoil.hub.contract import Connector
from counterfoil.hub.store import Store
from counterfoil.retail.events import at_utc
from counterfoil.watch import drifting
from counterfoil.watch.drift_page import as_dict, markdown
from counterfoil.watch.drift_sources import WHAT

COLUMNS = ("what", "key", "label", "shop", "erp", "verdict", "why", "repaired")


def drift(
    what: Annotated[list[str] | None, typer.Argument(help=f"some of {', '.join(WHAT)}; all of them if none")] = None,
    blueprint: BlueprintPath = DEFAULT,
    since: Annotated[str, typer.Option(help="orders placed so long ago at most, such as 30d")] = "",
    repair: Annotated[
        bool, typer.Option("--repair", help="publish or take in again where the owner is clear, else ask a person")
    ] = False,
    last: Annotated[bool, typer.Option("--last", help="only show the last result by the clock")] = False,
    file: Annotated[Path | None, typer.Option("--csv", help="write the rows of drift into this file")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare counts and totals of the systems; say why they differ. Nothing is changed without --repair.

    Ends with 0 if all is even or explained, with 1 if there is drift or a system could not be read.
    """
    names = tuple(dict.fromkeys(what or ()))
    if unknown := [name for name in names if name not in WHAT]:
        fail(f"Nothing is known of {unknown[0]!r} to compare; there are: {', '.join(WHAT)}.", 2)
    try:
        span = parse_duration(since) if since else None
    except ValueError as error:
        raise typer.BadParameter(f"{error}, such as 30d") from None

    async def shown(store: Store, _plan: Blueprint) -> list[dict[str, Any]]:
        return [one for one in await drifting.last(store) if not names or one["what"] in names]

    async def look(store: Store, plan: Blueprint, made: Mapping[str, Connector]) -> list[dict[str, Any]]:
        chosen = names or plan.drift.compare
        with progress() as bars:
            return await _compared(store, plan, made, chosen, span, repair, bars.advance)

    told = with_store(blueprint, shown) if last else with_systems(blueprint, look)
    if last and not told:
        fail("No audit has been made by the clock yet: declare drift: {every: 24h} in the blueprint, or compare now.")
    if file is not None:
        _write(file, told)
    if as_json:
        print_json(told)
    else:
        sys.stdout.write(markdown(told))
    if not all(one["even"] for one in told):
        raise typer.Exit(1)


async def _compared(
    store: Store,
    plan: Blueprint,
    made: Mapping[str, Connector],
    chosen: Sequence[str],
    span: timedelta | None,
    repair: bool,
    tick: Any,
) -> list[dict[str, Any]]:
    until = at_utc(await mending.clock(store))
    reports = await drifting.compared(
        assembly.house(store, plan, made),
        assembly.channels(plan),
        chosen,
        until - (span or plan.drift.since),
        until,
        chosen if repair else (),
        repair,
        tick,
        getpass.getuser(),
    )
    return [as_dict(report) for report in reports]


def _write(file: Path, told: Sequence[Mapping[str, Any]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, COLUMNS)
        writer.writeheader()
        writer.writerows(row for one in told for row in one["drift"])


def add_to(app: typer.Typer) -> None:
    """Offer the command."""
    app.command()(drift)
