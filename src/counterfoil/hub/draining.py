"""Draining: what waits at a place for its next try is due now, and how far that is until nothing is left.

Only the waiting after failed tries is dropped, once. What else holds something back holds still: a pause, the breaker,
rates and limits, runs and posting windows, a person's decision. What comes later is not meant.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint import Blueprint
from counterfoil.hub import pausing, systems
from counterfoil.hub.access import audit
from counterfoil.hub.lanes import DECODE
from counterfoil.hub.pausing import WHOLE, Place
from counterfoil.hub.schema import HELD, delivery, delivery_log, drain, lane
from counterfoil.hub.store import Store
from counterfoil.hub.views.cached import shared

CHUNK = 500
"""Lanes that are made due in one transaction."""
SOON = 60.0
"""Seconds to the next try within which something still moves."""
IDLE = 30.0
"""Seconds after which what is due and in nobody's hand stands still."""
KEEP, SHARE = 1.0, 0.02
"""Seconds for which how far it is is told again; where it takes its time, so that so much of all time goes into it."""
SHOWN = 86400.0
"""Seconds for which the last drain of a place is shown."""
NEWEST = 20_000
"""Tries looked at for those that failed."""
MOST = 20_000
"""Deliveries left up to which is looked at what stands first in each lane; of more, only how the lanes are."""

WORDS = {
    "held": "held for a person: the exception is open",
    "paused": "waiting because it is paused",
    "closed": "waiting because the system is not called",
    "window": "waiting for a run or posting window",
    "retry": "waiting for the next try after one that failed",
    "later": "waiting for the next try, a turn, a run or a posting window",
    "turn": "waiting for a turn: the system is called no faster",
    "idle": "due, and no worker takes it: none runs, or all have more urgent work",
    "due": "due",
    "in_hand": "being done",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """What `things` (keys: orders, articles …) wait for; `until` when by itself (seconds); `more` is its own words."""

    reason: str
    things: int
    until: float | None = None
    more: str = ""

    @property
    def words(self) -> str:
        """`3 held for a person: the exception is open`."""
        return f"{self.things:,} {WORDS[self.reason]}{': ' if self.more else ''}{self.more}"


@dataclass(frozen=True, slots=True)
class Drain:
    """How far it is: `left` of `total` deliveries wait still, `done` are over, `failed` tries were made in vain since.

    `state`: empty, going, or still, when what is left moves no further by itself soon; `waiting` says why.
    """

    system: str
    stream: str
    who: str
    began_at: float
    total: int
    left: int
    failed: int
    state: str
    waiting: tuple[Waiting, ...]

    @property
    def done(self) -> int:
        """What does not wait any more; some of it may be an exception that lets others pass."""
        return self.total - self.left

    def as_dict(self) -> dict[str, Any]:
        """For JSON, with what it says in words."""
        waiting = [{**asdict(one), "words": one.words} for one in self.waiting]
        return {**asdict(self), "done": self.done, "waiting": waiting}


async def begin(store: Store, place: Place, who: str, resume: bool = False) -> int:
    """Make due what waits there for its next try; how many deliveries wait there in all. With `resume` a pause of that
    place ends. Whoever is stopped in between begins anew."""
    if resume:
        await pausing.resume(store, place, who)
    async with store.write() as connection:
        upto = int(await connection.scalar(sa.select(sa.func.max(delivery.c.id))) or 0)
        total = await _left(connection, place, upto)
        at = {"system": place.system, "stream": place.stream, "began_at": store.now}
        row = store.insert(drain).values(**at, upto=upto, total=total, who=who)
        said = {name: row.excluded[name] for name in ("began_at", "upto", "total", "who")}
        await connection.execute(row.on_conflict_do_update(index_elements=["system", "stream"], set_=said))
        await audit.note(connection, store, who, "flows.drain", str(place), {"waiting": total})
        there = sa.select(lane.c.stream).where(*_at(lane, place)).distinct().order_by(lane.c.stream)
        streams = (await connection.execute(there)).scalars().all()
    for stream in streams:
        last: str | None = ""
        while last is not None:
            async with store.write() as connection:
                last = await _hasten(connection, store, place.system, stream, last)
    return total


async def _hasten(connection: AsyncConnection, store: Store, system: str, stream: str, last: str) -> str | None:
    """Each lane once: one that fails again meanwhile waits as it would. What a worker has locked is being done."""
    place = (lane.c.system == system, lane.c.stream == stream)
    first = sa.select(delivery.c.not_before).where(*_same_lane()).order_by(delivery.c.id).limit(1)
    begun = sa.func.coalesce(first.correlate(lane).scalar_subquery(), 0.0) <= store.now
    due = lane.c.due_at + 0.0  # no index is wanted but the one in whose order the keys are walked
    found = sa.select(lane.c.key).where(*place, lane.c.key > last, lane.c.worker.is_(None), due > store.now)
    found = found.where(due < HELD, begun).order_by(lane.c.key).limit(CHUNK).with_for_update(skip_locked=True)
    keys = (await connection.execute(found)).scalars().all()
    if keys:
        await connection.execute(sa.update(lane).where(*place, lane.c.key.in_(keys)).values(due_at=store.now))
        await store.notify(connection)
    return keys[-1] if len(keys) == CHUNK else None


async def listing(store: Store, blueprint: Blueprint, streams: Mapping[str, str]) -> list[Drain]:
    """The drains of the last day and how far each is, the last first, as all who look are told it for some seconds.
    `streams` by `system.operation`."""
    async with store.read() as connection:
        recent = sa.select(drain).where(drain.c.began_at > store.now - SHOWN).order_by(drain.c.began_at.desc())
        rows = (await connection.execute(recent)).all()
    found = []
    for row in rows:
        name = f"drain:{row.system}:{row.stream}:{row.began_at}"
        found.append(await shared(store, name, functools.partial(_look, store, blueprint, streams, row), KEEP, SHARE))
    return found


async def look(store: Store, blueprint: Blueprint, streams: Mapping[str, str], place: Place) -> Drain:
    """How far the last drain of this place is. Raises LookupError where there was none."""
    mine = (drain.c.system == place.system, drain.c.stream == place.stream)
    async with store.read() as connection:
        row = (await connection.execute(sa.select(drain).where(*mine))).first()
    if row is None:
        raise LookupError(f"nothing was drained at {place}")
    return await _look(store, blueprint, streams, row)


async def _look(store: Store, blueprint: Blueprint, streams: Mapping[str, str], row: Any) -> Drain:
    place = Place(row.system, row.stream)
    stopped = {p.place: p for p in await pausing.listing(store)}
    async with store.read() as connection:
        now = await store.clock(connection)
        left = await _left(connection, place, row.upto)
        seen = _heads(store, place, row.upto) if left <= MOST else _lanes(store, place)
        heads = (await connection.execute(seen)).all() if left else []
        closed = await systems.closed_now(connection, store)
        failed, last = await _tried(connection, place, streams, row)
    active = max(row.began_at, last) > now - IDLE or any(head.state == "in_hand" for head in heads)
    opens = _openings(blueprint, place.system, now)
    waiting: dict[tuple[str, str], Waiting] = {}
    for head in heads:
        pause = stopped.get(Place(place.system, head.stream))
        pause = pause or (stopped.get(Place(place.system, WHOLE)) if head.stream != DECODE else None)
        parts = (place.system, systems.part(place.system, head.operation))
        shut = next((closed[name] for name in parts if name in closed and head.stream != DECODE), None)
        if head.state in ("held", "in_hand"):
            one = Waiting(head.state, head.things)
        elif pause:
            one = Waiting("paused", head.things, None, f"{pause.who}{', ' if pause.why else ''}{pause.why}")
        elif shut:
            until = now + shut.wait if shut.wait > 0 else None
            one = Waiting("closed", head.things, until, shut.message or shut.reason)
        elif head.state == "later" and not head.operation:
            one = Waiting("later", head.things, head.due)
        elif head.state == "later" and head.timed and (head.early or head.operation in opens):
            one = Waiting("window", head.things, head.due if head.early else opens[head.operation])
        elif head.state == "later":
            one = Waiting("retry" if head.failed else "turn", head.things, head.due)
        else:
            one = Waiting("due" if active or head.due > now - IDLE else "idle", head.things)
        before = waiting.get((one.reason, one.more))
        if before:
            soonest = min((at for at in (before.until, one.until) if at is not None), default=None)
            one = Waiting(one.reason, before.things + one.things, soonest, one.more)
        waiting[one.reason, one.more] = one
    found = tuple(sorted(waiting.values(), key=lambda one: list(WORDS).index(one.reason)))
    moves = any(_moves(one, now) for one in found)
    state = "empty" if not left else "going" if moves else "still"
    return Drain(place.system, place.stream, row.who, row.began_at, row.total, left, failed, state, found)


def _moves(one: Waiting, now: float) -> bool:
    """Whether something will be done of it soon without anybody."""
    if one.reason in ("retry", "later"):
        return one.until is not None and one.until - now <= SOON
    return one.reason in ("due", "in_hand", "turn")


def _openings(blueprint: Blueprint, system: str, now: float) -> dict[str, float]:
    """When the posting window opens again, of the system's operations whose window is over now."""
    opens: dict[str, float] = {}
    for flow, timing in zip(blueprint.flows, blueprint.timings, strict=True):
        if flow.system == system and timing is not None and timing.window:
            at = timing.opening(now)
            opens[flow.operation] = min(at, opens.get(flow.operation, at))
    return {operation: at for operation, at in opens.items() if at > now}


def _at(table: sa.Table, place: Place) -> list[sa.ColumnElement[bool]]:
    mine = table.c.stream == place.stream if place.stream else table.c.stream != DECODE
    return [table.c.system == place.system, mine]


def _same_lane() -> list[sa.ColumnElement[bool]]:
    return [delivery.c[name] == lane.c[name] for name in ("system", "stream", "key")]


async def _left(connection: AsyncConnection, place: Place, upto: int) -> int:
    mine = sa.select(sa.func.count()).select_from(delivery).where(*_at(delivery, place), delivery.c.id <= upto)
    return int(await connection.scalar(mine) or 0)


def _heads(store: Store, place: Place, upto: int) -> sa.Select[Any]:
    """What stands first in the lanes, by stream, operation and what it waits for: how many, and when the first is due.

    `timed`: its flow lets it wait; `early`: until later than now; `failed`: it was tried before.
    """
    named = (delivery.c.stream, delivery.c.key)
    mine = (*_at(delivery, place), delivery.c.id <= upto)
    heads = sa.select(*named, sa.func.min(delivery.c.id).label("id")).where(*mine).group_by(*named).subquery().c
    timed, early = delivery.c.not_before.is_not(None), sa.func.coalesce(delivery.c.not_before > store.now, sa.false())
    told = (timed.label("timed"), early.label("early"), (delivery.c.attempt > 0).label("failed"))
    seen = sa.select(lane.c.stream, lane.c.due_at, delivery.c.operation, _state(store), *told)
    seen = seen.where(lane.c.system == place.system, lane.c.stream == heads.stream, lane.c.key == heads.key)
    seen = seen.where(delivery.c.id == heads.id)
    each = seen.subquery().c
    by = (each.stream, each.operation, each.state, each.timed, each.early, each.failed)
    return sa.select(*by, sa.func.count().label("things"), sa.func.min(each.due_at).label("due")).group_by(*by)


def _lanes(store: Store, place: Place) -> sa.Select[Any]:
    """The same of lanes alone, also of those with only what came later: no operation, nor why one is due later."""
    seen = sa.select(lane.c.stream, lane.c.due_at, _state(store)).where(*_at(lane, place)).subquery().c
    by = (seen.stream, seen.state)
    told = (sa.literal("").label("operation"), sa.func.count().label("things"), sa.func.min(seen.due_at).label("due"))
    return sa.select(*by, *told).group_by(*by)


def _state(store: Store) -> sa.Label[str]:
    return sa.case(
        (lane.c.worker.is_not(None), "in_hand"),
        (lane.c.due_at >= HELD, "held"),
        (lane.c.due_at > store.now, "later"),
        else_="due",
    ).label("state")


async def _tried(connection: AsyncConnection, place: Place, streams: Mapping[str, str], row: Any) -> tuple[int, float]:
    """How many tries failed since, and when the last one ended; 0: none was made."""
    log = delivery_log.c
    since = sa.select(log.system, log.operation, log.outcome, log.delivery_id, log.ended_at)
    since = since.where(log.ended_at >= row.began_at)
    newest = since.order_by(log.ended_at.desc()).limit(NEWEST).subquery().c
    mine = newest.operation != DECODE
    if place.stream == DECODE:
        mine = newest.operation == DECODE
    elif place.stream:
        mine = newest.operation.in_([name.partition(".")[2] for name in pausing.along(place, streams)])
    bad = sa.and_(newest.outcome.not_in(("done", "resolved", "skipped")), newest.delivery_id <= row.upto)
    told = sa.select(sa.func.sum(sa.case((bad, 1), else_=0)), sa.func.max(newest.ended_at))
    failed, last = (await connection.execute(told.where(newest.system == place.system, mine))).one()
    return int(failed or 0), float(last or 0.0)
