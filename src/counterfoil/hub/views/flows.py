"""The lanes by system and stream: how much waits, for how long, how fast it goes, and what stands in its way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub import pausing, systems
from counterfoil.hub.lanes import DECODE
from counterfoil.hub.pausing import WHOLE, Pause
from counterfoil.hub.schema import HELD, delivery, delivery_log, lane
from counterfoil.hub.store import Store
from counterfoil.hub.systems import Closed

MINUTES = 5
"""Over so many minutes the rate is taken."""
NEWEST = 20_000
"""Finished deliveries looked at for it; where more were done in that time, the rate is that of these."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """What is done at one system in one stream. Times are seconds.

    `depth` counts deliveries, `lanes` the keys they are about; of the deliveries `held` wait for a person, `later` for
    a run or window, `retried` have failed before. `oldest` is the age of the oldest, `waiting` for how long the first
    that could be done has been due. `per_minute` were done in the last minutes, `failed` of all that were tried.
    """

    system: str
    stream: str
    operations: tuple[str, ...]
    depth: int
    lanes: int
    in_hand: int
    held: int
    later: int
    retried: int
    oldest: float
    waiting: float
    per_minute: float
    failed: int
    closed: Closed | None
    paused: Pause | None


async def all_of(store: Store, streams: Mapping[str, str]) -> list[Lanes]:
    """Every stream that something is done on, or that something waits on; `streams` by `system.operation`."""
    operations: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for name, stream in streams.items():
        system, _, operation = name.partition(".")
        operations[system, stream].append(operation)
    async with store.read() as connection:
        closed = await systems.closed_now(connection, store)
        now = await store.clock(connection)
        queued = {(r.system, r.stream): r for r in await connection.execute(_lanes(store))}
        waiting = {(r.system, r.stream): r for r in await connection.execute(_deliveries(store))}
        done, failed = await _lately(connection, streams, now)
    stopped = {p.place: p for p in await pausing.listing(store)}
    places = sorted({*operations, *queued, *waiting, *done})
    found = []
    for place in places:
        q, w = queued.get(place), waiting.get(place)
        whole = None if place[1] == DECODE else stopped.get(pausing.Place(place[0], WHOLE))
        found.append(
            Lanes(
                system=place[0],
                stream=place[1],
                operations=tuple(sorted(operations.get(place, ()))),
                depth=int(q.depth) if q else 0,
                lanes=int(q.lanes) if q else 0,
                in_hand=int(q.in_hand) if q else 0,
                held=int(q.held) if q else 0,
                later=int(w.later) if w else 0,
                retried=int(w.retried) if w else 0,
                oldest=max(0.0, now - w.oldest) if w else 0.0,
                waiting=max(0.0, now - q.due) if q and q.due is not None else 0.0,
                per_minute=round(done.get(place, 0.0), 1),
                failed=failed.get(place, 0),
                closed=_closed(closed, place, operations),
                paused=stopped.get(pausing.Place(*place)) or whole,
            )
        )
    return found


def _closed(
    closed: Mapping[str, Closed], place: tuple[str, str], operations: Mapping[tuple[str, str], list[str]]
) -> Closed | None:
    """The system's breaker, or that of the first of its operations that is paused alone; decoding calls nobody."""
    if place[1] == DECODE:
        return None
    names = [place[0], *(systems.part(place[0], operation) for operation in operations.get(place, ()))]
    return next((closed[name] for name in names if name in closed), None)


def _lanes(store: Store) -> sa.Select[tuple[str, str, int, int, int, int, float | None]]:
    held = sa.case((lane.c.due_at >= HELD, lane.c.n), else_=0)
    free = sa.and_(lane.c.worker.is_(None), lane.c.due_at <= store.now)
    return sa.select(
        *(lane.c.system, lane.c.stream, sa.func.sum(lane.c.n).label("depth"), sa.func.count().label("lanes")),
        *(sa.func.count(lane.c.worker).label("in_hand"), sa.func.sum(held).label("held")),
        sa.func.min(sa.case((free, lane.c.due_at))).label("due"),
    ).group_by(lane.c.system, lane.c.stream)


def _deliveries(store: Store) -> sa.Select[tuple[str, str, int, int, float]]:
    later = sa.func.sum(sa.case((delivery.c.not_before > store.now, 1), else_=0))
    retried = sa.func.sum(sa.case((delivery.c.attempt > 0, 1), else_=0))
    return sa.select(
        *(delivery.c.system, delivery.c.stream, later.label("later"), retried.label("retried")),
        sa.func.min(delivery.c.created_at).label("oldest"),
    ).group_by(delivery.c.system, delivery.c.stream)


async def _lately(
    connection: AsyncConnection, streams: Mapping[str, str], now: float
) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], int]]:
    """Deliveries done a minute, and how many tries failed, by (system, stream)."""
    log = delivery_log.c
    recent = sa.select(log.system, log.operation, log.outcome, log.ended_at).where(log.ended_at > now - MINUTES * 60)
    newest = recent.order_by(log.ended_at.desc()).limit(NEWEST).subquery()
    good = sa.case((newest.c.outcome.in_(("done", "resolved", "skipped")), 1), else_=0)
    counted = sa.select(
        *(newest.c.system, newest.c.operation, sa.func.count().label("n"), sa.func.sum(good).label("good")),
        sa.func.min(newest.c.ended_at).label("first"),
    ).group_by(newest.c.system, newest.c.operation)
    rows = (await connection.execute(counted)).all()
    minutes: float = MINUTES
    if sum(row.n for row in rows) >= NEWEST:
        minutes = max(1.0, now - min(row.first for row in rows)) / 60
    done: defaultdict[tuple[str, str], float] = defaultdict(float)
    failed: defaultdict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        place = (row.system, DECODE if row.operation == DECODE else streams.get(f"{row.system}.{row.operation}", ""))
        if place[1]:
            done[place] += row.good / minutes
            failed[place] += row.n - row.good
    return done, failed
