"""`counterfoil flows`, `pause`, `resume`, `drain`: how the lanes stand, stopping them, letting what waits be done."""

from __future__ import annotations

import asyncio
import dataclasses
import getpass
from typing import Annotated

import typer
from rich.table import Column, Table

from counterfoil.blueprint import Blueprint
from counterfoil.doors import assembly
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
from counterfoil.hub import draining, pausing
from counterfoil.hub.draining import Drain
from counterfoil.hub.pausing import NoSuchPlace, Place
from counterfoil.hub.store import Store
from counterfoil.hub.views import flows as view
from counterfoil.watch.milestones import format_duration_of

Name = Annotated[
    str, typer.Argument(help="a system, an operation (its whole stream), or a system's decode: web.decode")
]
_LOOK = 0.5
"""Seconds between two looks whether what is drained is done."""


def flows(blueprint: BlueprintPath = DEFAULT, as_json: AsJson = False) -> None:
    """How much waits in the lanes of each system and stream, for how long, how fast it goes, what stands in the way.

    `held` wait for a person. `per minute` and `failed` are of the last minutes.
    """

    async def look(store: Store, plan: Blueprint) -> list[view.Lanes]:
        return await view.all_of(store, assembly.streams(plan))

    found = with_store(blueprint, look)
    if as_json:
        print_json([dataclasses.asdict(each) for each in found])
        return
    right = [Column(name, justify="right") for name in ("waiting", "held", "retried", "oldest", "per minute", "failed")]
    table = Table("system", "stream", *right, "")
    for each in found:
        numbers = (each.depth - each.held, each.held, each.retried)
        oldest = format_duration_of(each.oldest) if each.depth else ""
        shown = (*map(str, numbers), oldest, f"{each.per_minute:g}", str(each.failed))
        table.add_row(each.system, each.stream, *shown, _in_the_way(each))
    out.print(table)


def _in_the_way(each: view.Lanes) -> str:
    if each.paused:
        return f"paused by {each.paused.who}{': ' if each.paused.why else ''}{each.paused.why}"
    return f"{each.closed.outcome}: {each.closed.message or each.closed.reason}" if each.closed else ""


def pause(
    name: Name,
    why: Annotated[str, typer.Option(help="for the audit, and for who wonders")] = "",
    drain: Annotated[bool, typer.Option(help="first wait until all that is queued by now is done")] = False,
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Start nothing more at a system, or on the stream of an operation. Nothing is lost; what waits keeps its order.

    It holds for all processes and over restarts, until `counterfoil resume`. What the system tells is taken as ever.
    """

    async def act(store: Store, plan: Blueprint) -> tuple[Place, list[str], int | None]:
        streams = assembly.streams(plan)
        place = _place(name, streams, plan)
        if drain:
            await _drained(store, place)
        return place, pausing.along(place, streams), await pausing.pause(store, place, getpass.getuser(), why)

    place, operations, in_hand = with_store(blueprint, act)
    if as_json:
        print_json({"system": place.system, "stream": place.stream, "operations": operations, "in_hand": in_hand})
    elif in_hand is None:
        out.print(f"{place} is paused already; `counterfoil flows` says since when and by whom.")
    else:
        out.print(f"Paused: {place}. What stands still: {', '.join(operations) or 'decoding'}.")
        if in_hand:
            out.print(f"{in_hand} deliveries are being made at this moment and end as they would.")


def resume(name: Name, blueprint: BlueprintPath = DEFAULT) -> None:
    """Go on where it was paused, with what waits and in its order."""

    async def act(store: Store, plan: Blueprint) -> tuple[Place, bool]:
        place = _place(name, assembly.streams(plan), plan)
        return place, await pausing.resume(store, place, getpass.getuser())

    place, was = with_store(blueprint, act)
    if not was:
        fail(f"{place} is not paused by that name; `counterfoil flows` shows what is.")
    out.print(f"Goes on: {place}.")


def drain(
    name: Name,
    resume: Annotated[bool, typer.Option(help="end a pause by that name too")] = False,
    wait: Annotated[bool, typer.Option(help="until nothing is left, or what is left stands still")] = True,
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Do now what waits there for its next try, and see how it goes; the running hub does it.

    Only the waiting after failed tries is dropped, once: breaker, limits, runs, posting windows, pauses and what a
    person has to see hold still. Exit 1 if something is left that stands still.
    """

    async def act(store: Store, plan: Blueprint) -> Drain:
        streams = assembly.streams(plan)
        place = _place(name, streams, plan)
        await draining.begin(store, place, getpass.getuser(), resume)
        with progress() as bars:
            while True:
                found = await draining.look(store, plan, streams, place)
                bars.reach(f"done at {place}", found.done, found.total)
                if found.state != "going" or not wait:
                    return found
                await asyncio.sleep(_LOOK)

    found = with_store(blueprint, act)
    if as_json:
        print_json(found.as_dict())
    else:
        out.print(f"{found.done} of {found.total} done, {found.left} left, {found.failed} tries failed.")
        for one in found.waiting:
            until = f" (until {moment(one.until)})" if one.until else ""
            out.print(f"  {one.words}{until}", soft_wrap=True)
    if found.state == "still":
        raise typer.Exit(1)


def _place(name: str, streams: dict[str, str], plan: Blueprint) -> Place:
    try:
        return pausing.place_of(name, streams, plan.systems)
    except NoSuchPlace as error:
        fail(str(error), 2)


async def _drained(store: Store, place: Place) -> None:
    """Until what is queued by now is done, but for what a person has to see. Stopped before that, nothing is paused."""
    upto = await pausing.newest(store)
    total = await pausing.left(store, place, upto)
    with progress() as bars:
        while left := await pausing.left(store, place, upto):
            bars.reach(f"to be done at {place}", total - left, total)
            await asyncio.sleep(_LOOK)


def add_to(app: typer.Typer) -> None:
    """Offer the commands."""
    for command in (flows, pause, resume, drain):
        app.command()(command)
