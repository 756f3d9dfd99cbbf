"""Pausing: a person stops what is done at a system, or on one of its streams, until they let it go on.

Nothing is lost and nothing overtakes anything: what is queued stays in its lanes, in order, and what comes meanwhile
queues behind it. It stands in the store, so it holds for all workers and over restarts. A call that is out when the
pause begins ends as it would. What systems tell is taken and decoded as ever, unless the stream `decode` is paused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from counterfoil.hub.access import audit
from counterfoil.hub.lanes import DECODE
from counterfoil.hub.schema import HELD, delivery, lane, paused
from counterfoil.hub.store import Store

WHOLE = ""
"""In place of a stream: all that is done at the system."""


class NoSuchPlace(ValueError):
    """Nothing of that name is done anywhere; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is done: a system's stream, or with an empty one the whole system."""

    system: str
    stream: str = WHOLE

    def __str__(self) -> str:
        return f"{self.system}, stream {self.stream}" if self.stream else self.system


@dataclass(frozen=True, slots=True)
class Pause:
    """What is paused, since when (seconds), by whom and why."""

    place: Place
    since: float
    who: str
    why: str


def place_of(name: str, streams: Mapping[str, str], systems: Collection[str]) -> Place:
    """`web-eu` is all that is done there, `web-eu.publish_stock` the stream that operation is on, `web-eu.decode` what
    is made of what it told. `streams` by `system.operation`. Raises NoSuchPlace."""
    system, _, operation = name.partition(".")
    if name in systems:
        return Place(name)
    if system in systems and operation == DECODE:
        return Place(system, DECODE)
    if system in systems and name in streams:
        return Place(system, streams[name])
    known = ", ".join([*systems, *sorted(n for n in streams if n.partition(".")[0] in systems)])
    raise NoSuchPlace(f"Nothing is called {name!r} here; there are: {known}.")


def along(place: Place, streams: Mapping[str, str]) -> list[str]:
    """The operations that stand still with it."""
    mine = (n for n, s in streams.items() if n.partition(".")[0] == place.system and place.stream in (WHOLE, s))
    return sorted(mine)


def is_paused(system: str, stream: str) -> sa.ColumnElement[bool]:
    """In SQL: whether a person has paused this."""
    named = paused.c.stream == stream
    return sa.exists().where(
        paused.c.system == system, named if stream == DECODE else sa.or_(named, paused.c.stream == WHOLE)
    )


async def pause(store: Store, place: Place, who: str, why: str = "") -> int | None:
    """Start nothing more there; how many lanes are still in hand. None: it was paused already, and stays as it was."""
    async with store.write() as connection:
        row = store.insert(paused).values(system=place.system, stream=place.stream, since=store.now, who=who, why=why)
        made = await connection.execute(row.on_conflict_do_nothing())
        if made.rowcount == 0:
            return None
        mine = sa.select(sa.func.count()).select_from(lane).where(*_here(place), lane.c.worker.is_not(None))
        in_hand = int(await connection.scalar(mine) or 0)
        await audit.note(connection, store, who, "flows.pause", str(place), {"why": why} if why else {})
        return in_hand


async def resume(store: Store, place: Place, who: str) -> bool:
    """Go on there, with what waits and in its order; False where it was not paused by that name."""
    async with store.write() as connection:
        mine = (paused.c.system == place.system, paused.c.stream == place.stream)
        gone = await connection.execute(sa.delete(paused).where(*mine))
        if gone.rowcount == 0:
            return False
        await store.notify(connection)
        await audit.note(connection, store, who, "flows.resume", str(place))
        return True


async def listing(store: Store) -> list[Pause]:
    """What is paused now, the first first."""
    async with store.read() as connection:
        rows = await connection.execute(sa.select(paused).order_by(paused.c.since))
        return [Pause(Place(r.system, r.stream), r.since, r.who, r.why) for r in rows]


async def newest(store: Store) -> int:
    """The number of the last delivery there is: what is queued by now has no higher one."""
    async with store.read() as connection:
        return int(await connection.scalar(sa.select(sa.func.max(delivery.c.id))) or 0)


async def left(store: Store, place: Place, upto: int) -> int:
    """How many deliveries up to that number are still to be done there, but for those held for a person."""
    same = sa.and_(lane.c.system == delivery.c.system, lane.c.stream == delivery.c.stream, lane.c.key == delivery.c.key)
    moving = sa.exists().where(same, lane.c.due_at < HELD)
    mine = [delivery.c.system == place.system, delivery.c.id <= upto, moving]
    mine += [delivery.c.stream == place.stream] if place.stream else [delivery.c.stream != DECODE]
    async with store.read() as connection:
        return int(await connection.scalar(sa.select(sa.func.count()).select_from(delivery).where(*mine)) or 0)


def _here(place: Place) -> list[sa.ColumnElement[bool]]:
    mine = lane.c.stream == place.stream if place.stream else lane.c.stream != DECODE
    return [lane.c.system == place.system, mine]
