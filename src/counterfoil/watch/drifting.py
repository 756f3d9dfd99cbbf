"""The drift audit by the clock: once across all processes, gone on with after a stop, its last result kept.

The turn, what the running audit has done so far and the last result stand in one row of the `cursor` table.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
import structlog

from counterfoil.blueprint.calendars import zone_of
from counterfoil.hub import mending, receipts, schedule
from counterfoil.hub.schema import cursor
from counterfoil.hub.store import Store
from counterfoil.hub.waiting import at_most
from counterfoil.retail.events import at_utc
from counterfoil.retail.listing import Channel
from counterfoil.watch.auditing import Report, Tick, audit
from counterfoil.watch.drift_house import House
from counterfoil.watch.drift_page import KEPT, as_dict
from counterfoil.watch.drift_sources import pairs, source_of

log = structlog.get_logger()

_PLACE = ("hub", mending.DRIFT)


async def compared(
    house: House,
    channels: Mapping[str, Channel],
    what: Sequence[str],
    since: datetime,
    until: datetime,
    repair: Sequence[str] = (),
    ask: bool = False,
    tick: Tick = lambda _label, _n: None,
    who: str = "",
) -> list[Report]:
    """An audit of each of these between all systems that the blueprint joins by it. Raises what the store raised."""
    zone = zone_of(house.blueprint.drift.zone)
    reports = []
    for name in what:
        for pair in pairs(house.blueprint, house.made, name, channels, zone):
            source = source_of(house, name, pair, since, until)
            span = since if name == "orders" else None
            reports.append(await audit(house, source, span, name in repair, ask, tick, who=who))
    return reports


async def last(store: Store) -> list[dict[str, Any]]:
    """The last whole result by the clock, empty if there is none yet."""
    mine = sa.and_(cursor.c.system == _PLACE[0], cursor.c.feed == _PLACE[1])
    async with store.read() as connection:
        value = await connection.scalar(sa.select(cursor.c.value).where(mine))
    return list((value or {}).get("last", ()))


def in_short(told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The last result for `counterfoil status`."""
    if not told:
        return {}
    words = {
        f"{one['what']} of {one['shop']} and {one['erp']}": "even"
        if one["even"]
        else "not read whole"
        if one["unread"]
        else f"{one['verdicts'].get('drift', 0)} drift"
        for one in told
    }
    return {"at": max(one["ended"] or one["began"] for one in told), **words}


async def audit_once(house: House, channels: Mapping[str, Channel], turn: float = schedule.TURN) -> bool | None:
    """Audit if it is due: whether all is even, None if it was not due or not our turn. Raises what the store raised.

    An audit that was stopped is gone on with: what was compared by then is not compared again.
    """
    declared = house.blueprint.drift
    token = secrets.token_hex(8)
    kept = await receipts.begin_poll(house.store, *_PLACE, token, turn)
    if kept is None:
        return None
    value: dict[str, Any] = dict(kept)
    again, whole = 60.0, False  # what breaks off is gone on with soon
    try:
        async with schedule.renewed(house.store, *_PLACE, token, turn):
            now = await mending.clock(house.store)
            if declared.at is not None and not value:  # the first one waits for its time of day
                value, again = {"planned": declared.at}, declared.due_after(now) - now
                await receipts.keep_page(house.store, *_PLACE, token, [], value, turn)
                return None
            run = value.get("run") or {"until": now, "reports": []}
            until = at_utc(float(run["until"]))
            done = {one["what"] for one in run["reports"]}
            for name in declared.compare:
                if name in done:
                    continue
                reports = await compared(
                    house, channels, [name], until - declared.since, until, declared.repair, True, who="schedule"
                )
                run["reports"] += [as_dict(report, KEPT) for report in reports]
                value["run"] = run
                if await receipts.keep_page(house.store, *_PLACE, token, [], value, turn) is None:
                    return None
            value, whole = {"last": run["reports"]}, True
            await receipts.keep_page(house.store, *_PLACE, token, [], value, turn)
            again = declared.due_after(until.timestamp()) - await mending.clock(house.store)
    finally:
        with contextlib.suppress(OSError, sa.exc.SQLAlchemyError):  # then the turn runs out by itself
            await asyncio.shield(receipts.end_poll(house.store, *_PLACE, token, max(0.0, again), ok=whole))
    told = in_short(value["last"])
    log.info("drift audit", **{key.replace(" ", "_"): words for key, words in told.items()})
    return all(one["even"] for one in value["last"])


async def run(house: House, channels: Mapping[str, Channel], stop: asyncio.Event, turn: float = schedule.TURN) -> None:
    """Audit as the blueprint's `drift` says, until `stop`; never, if it says no `every`."""
    while house.blueprint.drift.every is not None and not stop.is_set():
        try:
            await audit_once(house, channels, turn)
        except Exception as error:  # mostly the store out of reach; whatever it is, the rest of the schedule goes on
            log.error("drift audit failed", error=type(error).__name__, detail=str(error)[:200])
        await at_most(5.0, stop)
