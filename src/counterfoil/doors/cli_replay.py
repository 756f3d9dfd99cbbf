"""`counterfoil replay`, `replays`: carry out events of the past once more, by today's flows; how far that is."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table

from counterfoil.blueprint import Blueprint
from counterfoil.doors.cli_base import (
    DEFAULT,
    AsJson,
    BlueprintPath,
    confirmed,
    day_or_moment,
    fail,
    moment,
    out,
    per_second,
    print_json,
    progress,
    with_store,
    with_systems,
)
from counterfoil.doors.onboarding import Unfit
from counterfoil.hub import replay, replays
from counterfoil.hub.contract import Connector
from counterfoil.hub.replay import Choice, Plan
from counterfoil.hub.store import Store
from counterfoil.hub.worker import streams_of
from counterfoil.retail.events import EVENT_TYPES


def replay_(
    since: Annotated[str, typer.Option("--from", help="events recorded from then on: a day, or a date and time")] = "",
    until: Annotated[str, typer.Option("--to", help="events recorded before then")] = "",
    types: Annotated[list[str] | None, typer.Option("--type", help="events of this type; may be repeated")] = None,
    subject: Annotated[str, typer.Option("--object", help="events about this, such as web:order:1001")] = "",
    system: Annotated[str, typer.Option(help="only what is done at this system")] = "",
    newest: Annotated[bool, typer.Option(help="of each type only the newest event about a thing")] = False,
    rate: Annotated[str, typer.Option(help="at most so many deliveries, such as 5/s or 100/min")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask, replay them")] = False,
    again: Annotated[bool, typer.Option(help="from the beginning, although a run of the same was stopped")] = False,
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Give events of the past to today's flows once more; shows first what would be done.

    Operations look before they write, so that what stands already is left as it is. What is still on its way is left
    alone. A run that was stopped goes on where it was; `counterfoil replays` shows them, the console does too.
    """
    wanted = _choice(since, until, types or [], subject, system, newest)
    pace = per_second(rate)

    async def look(store: Store, plan: Blueprint, made: Mapping[str, Connector]) -> Plan:
        if system and system not in plan.systems:
            raise Unfit(f"The blueprint declares no system {system!r}; there are: {', '.join(plan.systems)}.")
        return await replay.plan(store, plan, streams_of(made), wanted)

    planned = with_systems(blueprint, look)
    found: dict[str, Any] = {
        "events": planned.events,
        "deliveries": planned.deliveries,
        "unfinished": planned.unfinished,
        "by_type": dict(planned.by_type),
        "by_operation": dict(planned.by_operation),
        "sample": planned.sample,
        "replayed": None,
    }
    if not as_json:
        _print_plan(planned)
    if not planned.deliveries or not confirmed("Replay them?", yes):
        if as_json:
            print_json(found)
        elif planned.deliveries:
            out.print("Nothing was changed. --yes replays them.")
        return

    async def act(store: Store, plan: Blueprint, made: Mapping[str, Connector]) -> replays.Job:
        with progress() as bars:

            def tick(now: replays.Job) -> None:
                bars.reach("events handed to the flows again", now.events, planned.events)

            who = getpass.getuser()
            number = await replays.begin(store, wanted, planned, who, pace, again)
            return await replays.carry_out(store, plan, streams_of(made), number, tick, who)

    done = with_systems(blueprint, act)
    if done.state != replays.DONE:
        why = f"was stopped by {done.ended_by}" if done.state == replays.STOPPED else f"failed: {done.trouble}"
        fail(f"Replay {done.number} {why}, after {done.deliveries} deliveries; the same command goes on from there.")
    found["replayed"] = done.deliveries
    if as_json:
        print_json(found)
    else:
        out.print(f"{done.deliveries} deliveries queued; the running hub carries them out.")


def replays_(
    stop: Annotated[int | None, typer.Option(help="queue nothing more of this one")] = None,
    go_on: Annotated[int | None, typer.Option(help="go on with this one where it was; the running hub does")] = None,
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """The last replays and how far each is; stop one, or let it go on."""

    async def act(store: Store, _plan: Blueprint) -> list[replays.Job]:
        for number, turn in ((stop, replays.stop), (go_on, replays.go_on)):
            if number is not None and not await turn(store, number, getpass.getuser()):
                try:
                    raise Unfit(f"Replay {number} is {(await replays.get(store, number)).state}; nothing was changed.")
                except replays.NoSuchReplay as error:
                    raise Unfit(str(error)) from None
        return await replays.listing(store)

    found = with_store(blueprint, act)
    if as_json:
        print_json([job.as_dict() for job in found])
        return
    table = Table("no", "what", "by", "since", "state", "deliveries")
    for job in found:
        said = job.choice.as_dict().items()
        chosen = "; ".join(f"{n} {', '.join(v) if isinstance(v, list) else v}" for n, v in said)
        state = f"{job.state} {job.ended_by or job.trouble}".strip()
        done = f"{job.deliveries} of {job.expected}"
        table.add_row(str(job.number), chosen, job.who, moment(job.began_at), state, done)
    out.print(table if found else "Nothing was replayed yet.")


def _choice(since: str, until: str, types: list[str], subject: str, system: str, newest: bool) -> Choice:
    unknown = [name for name in types if name not in EVENT_TYPES]
    if unknown:
        fail(f"There is no event {unknown[0]!r}; there are: {', '.join(sorted(EVENT_TYPES))}.", 2)
    if not (since or until or types or subject or system):
        fail("That would be everything. Say which: --from, --to, --type, --object or --system.", 2)
    return Choice(
        types=tuple(types),
        subject=subject,
        system=system,
        since=day_or_moment(since) if since else None,
        until=day_or_moment(until) if until else None,
        newest_only=newest,
    )


def _print_plan(planned: Plan) -> None:
    table = Table("what", "how many", title="to be replayed", title_justify="left")
    table.add_row("events", str(planned.events))
    for name, number in planned.by_type.items():
        table.add_row(f"  {name}", str(number))
    for name, number in planned.by_operation.items():
        table.add_row(f"→ {name}", str(number))
    if planned.unfinished:
        table.add_row("left alone: still on its way", str(planned.unfinished))
    out.print(table)
    if planned.sample:
        more = " …" if len(planned.sample) == replay.SAMPLE else ""
        out.print(f"About: {', '.join(planned.sample)}{more}")


def add_to(app: typer.Typer) -> None:
    """Put `replay` and `replays` into the command line."""
    app.command("replay")(replay_)
    app.command("replays")(replays_)
