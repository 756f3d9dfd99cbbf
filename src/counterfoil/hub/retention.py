"""Retention: what is older than the blueprint declares goes, in small batches, while the hub runs.

Bodies of receipts go first; later the history: receipts, events with their search keys, the log of deliveries, closed
exceptions, corrections and promises that have ended or were missed. Nothing goes of a subject that has an unfinished
delivery or an open exception. De-duplication outlives it: it stands on `object` and `seen`, which are never purged, as
are links, counters and the audit. Reservations that have ended go with the history, answers to Idempotency-Keys after
`ANSWERS`, sessions when they are over. All SQL that purges is in this module.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint import Retention
from counterfoil.hub import schedule
from counterfoil.hub.schema import (
    answered,
    appointment,
    busy,
    correction,
    delivery,
    delivery_log,
    drain,
    event,
    event_ref,
    exception,
    exception_fix,
    object_,
    promise,
    receipt,
    replay,
    reservation,
    routing,
    search_key,
    session,
    sign_in_failure,
    tally,
    trial,
)
from counterfoil.hub.store import Store
from counterfoil.hub.waiting import repeat

log = structlog.get_logger()

BATCH = 100
"""Rows looked at in one transaction: a claim that has to wait for it does not notice."""
REST = 4.0
"""After each batch, so many times as long as it took: at most a fifth of the time goes into purging."""
EVERY = 3600.0
"""Seconds between two purges."""
ANSWERS = 7 * 86400.0
"""Seconds for which a request with an Idempotency-Key is answered again as it was."""
TRIES = 86400.0
"""Seconds after the last try to sign in until those before count no more."""
_PLACE = ("hub", "retention")


@dataclass(frozen=True, slots=True)
class _Aging:
    """Rows that age: walked in `order`, in which `since` only grows; purged by what is in `ended`."""

    name: str
    table: sa.Table
    order: tuple[sa.Column[Any], ...]
    since: sa.Column[Any]
    ended: sa.ColumnElement[Any]
    subject: sa.ColumnElement[str]
    blank: bool = False  # the row stays, only its body goes


_THING: sa.ColumnElement[str] = receipt.c.system + ":" + receipt.c.kind + ":" + receipt.c.object_id
_r, _d, _x, _e, _p, _w = receipt.c, delivery_log.c, exception.c, event.c, promise.c, routing.c
_c = correction.c
_HISTORY = (
    _Aging("receipts", receipt, (_r.id,), _r.received_at, _r.received_at, _THING),
    _Aging("deliveries", delivery_log, (_d.id,), _d.ended_at, _d.ended_at, _d.subject),
    _Aging("exceptions", exception, (_x.id,), _x.opened_at, _x.closed_at, _x.subject),
    _Aging("corrections", correction, (_c.id,), _c.at, _c.ended_at, _c.subject),
    _Aging("promises", promise, (_p.id,), _p.began_at, sa.func.coalesce(_p.ended_at, _p.missed_at), _p.subject),
    _Aging("routings", routing, (_w.at, _w.id), _w.at, _w.at, _w.id),
    _Aging("events", event, (_e.recorded_at, _e.id), _e.recorded_at, _e.recorded_at, _e.subject),
)
_BODIES = _Aging("bodies", receipt, (_r.id,), _r.received_at, _r.received_at, _THING, blank=True)


async def purge(store: Store, retention: Retention, *, dry_run: bool = False, rest: float = REST) -> Counter[str]:
    """Purge what is due: how many receipts, deliveries, exceptions, corrections, promises, events, search keys, bodies,
    reservations, replays, fixes, appointments, tallies, answers and sessions went.

    `dry_run` only counts what would go. Raises what the store raised.
    """
    async with store.read() as connection:
        now = await store.clock(connection)
    history, bodies = (now - age.total_seconds() for age in (retention.history, retention.bodies))
    gone: Counter[str] = Counter()
    for aging, after, before in [*((each, 0.0, history) for each in _HISTORY), (_BODIES, history, bodies)]:
        place: Sequence[Any] | None = await _first_body(store) if aging.blank else ()
        while place is not None:
            began = time.monotonic()
            async with store.read() if dry_run else store.write() as connection:
                count, place = await _step(connection, aging, after, before, place, dry_run)
            gone[aging.name] += count
            await asyncio.sleep(0.0 if dry_run else rest * (time.monotonic() - began))
    for name, ended, until in (
        ("reservations", reservation.c.ended_at, history),
        ("trials", trial.c.ended_at, history),
        ("replays", replay.c.ended_at, history),
        ("drains", drain.c.began_at, history),
        ("fixes", exception_fix.c.done_at, history),
        ("appointments", appointment.c.ends_at, int(history)),
        ("busy times", busy.c.ends_at, int(history)),
        ("tallies", tally.c.quarter, int(history)),
        ("answers", answered.c.at, now - ANSWERS),
        ("sessions", session.c.ends_at, now),
        ("sign-in tries", sign_in_failure.c.at, now - TRIES),
    ):
        gone[name] += await _purge_ended(store, ended, until, dry_run, rest)
    if gone["appointments"] and not dry_run:
        await _purge_states(store)
    if gone["events"] and not dry_run:
        gone["search keys"] = await _purge_keys(store, rest)
    return +gone


async def _step(
    connection: AsyncConnection, aging: _Aging, after: float, before: float, place: Sequence[Any], dry_run: bool
) -> tuple[int, Sequence[Any] | None]:
    """One batch of what ended in [after, before): how many went, and the place to go on from; None at the end."""
    behind = _behind(aging.order, place)
    reach = sa.select(*aging.order, aging.since.label("since")).where(behind).order_by(*aging.order)
    end = (await connection.execute(reach.offset(BATCH - 1).limit(1))).first()
    due = sa.select(aging.table.c.id, aging.subject.label("subject")).where(behind)
    due = due.where(aging.ended >= after, aging.ended < before)
    if end is not None:
        due = due.where(~_behind(aging.order, end[:-1]))
    if aging.blank:
        due = due.where(sa.func.length(receipt.c.body) > 0)
    if not dry_run:  # what a replay is reading at this moment stays, or its deliveries would be about nothing
        due = due.with_for_update(skip_locked=True)
    rows = (await connection.execute(due)).all()
    needed = await _needed(connection, {row.subject for row in rows})
    mine = aging.table.c.id.in_([row.id for row in rows if row.subject not in needed])
    if rows and not dry_run:
        emptied = sa.update(receipt).where(mine).values(body=b"", headers={})
        await connection.execute(emptied if aging.blank else sa.delete(aging.table).where(mine))
    going_on = None if end is None or end.since >= before else end[:-1]
    return sum(row.subject not in needed for row in rows), going_on


async def _first_body(store: Store) -> Sequence[Any] | None:
    """The place before the oldest body that is still kept: what was emptied before is not walked once more."""
    async with store.read() as connection:
        first = await connection.scalar(sa.select(sa.func.min(receipt.c.id)).where(sa.func.length(receipt.c.body) > 0))
    return None if first is None else (first - 1,)


def _behind(order: Sequence[sa.Column[Any]], place: Sequence[Any]) -> sa.ColumnElement[bool]:
    if not place:
        return sa.true()
    return sa.tuple_(*order) > sa.tuple_(*(sa.literal(v, c.type) for v, c in zip(place, order, strict=True)))


async def _needed(connection: AsyncConnection, subjects: Collection[str]) -> set[str]:
    """Those that are unfinished, held, or before a person."""
    if not subjects:
        return set()
    asked = sorted(subjects)
    unfinished = sa.select(delivery.c.subject).where(delivery.c.subject.in_(asked))
    waiting = sa.select(exception.c.subject).where(exception.c.subject.in_(asked), exception.c.status == "open")
    return set((await connection.execute(sa.union(unfinished, waiting))).scalars())


async def _purge_ended(store: Store, ended: sa.Column[Any], before: float, dry_run: bool, rest: float) -> int:
    """Rows that nothing else speaks of, and that ended before then: how many went."""
    table, gone = ended.table, 0
    over = sa.select(*table.primary_key).where(ended < before)
    if dry_run:
        async with store.read() as connection:
            return int(await connection.scalar(sa.select(sa.func.count()).select_from(over.subquery())) or 0)
    while True:
        began = time.monotonic()
        async with store.write() as connection:
            keys = (await connection.execute(over.order_by(ended).limit(BATCH))).all()
            if keys:
                await connection.execute(sa.delete(table).where(sa.tuple_(*table.primary_key).in_(map(tuple, keys))))
        gone += len(keys)
        if len(keys) < BATCH:
            return gone
        await asyncio.sleep(rest * (time.monotonic() - began))


async def _purge_states(store: Store) -> None:
    """The newest states of appointments that are gone: they name who came."""
    there = appointment.c.channel + ":appointment:" + appointment.c.id == object_.c.canonical_id
    mine = sa.and_(object_.c.kind == "appointment", ~sa.exists().where(there))
    async with store.write() as connection:
        await connection.execute(sa.delete(object_).where(mine))


_e_ref, _key = event_ref.c, search_key.c
_KEYS = (  # of an event, and of what events told of: the columns in which they are walked, and what keeps one
    ((_e_ref.kind, _e_ref.value, _e_ref.event_id), sa.exists().where(event.c.id == _e_ref.event_id)),
    ((_key.thing, _key.value, _key.subject), sa.exists().where(event.c.subject == _key.subject)),
)


async def _purge_keys(store: Store, rest: float) -> int:
    """The search keys of events that are gone. They are walked whole: no index is kept up only for this."""
    return sum([await _purge_walked(store, order, needed, rest) for order, needed in _KEYS])


async def _purge_walked(
    store: Store, order: tuple[sa.Column[Any], ...], needed: sa.ColumnElement[bool], rest: float
) -> int:
    gone, place = 0, None
    while True:
        began = time.monotonic()
        behind = sa.select(*order, needed.label("needed")).where(_behind(order, place or ()))
        async with store.read() as connection:
            rows = (await connection.execute(behind.order_by(*order).limit(BATCH))).all()
        keys = [tuple(row[:-1]) for row in rows if not row.needed]
        if keys:
            async with store.write() as connection:  # unless it was made anew meanwhile
                mine = sa.delete(order[0].table).where(sa.tuple_(*order).in_(keys), ~needed)
                gone += (await connection.execute(mine)).rowcount
        if len(rows) < BATCH:
            return gone
        place = rows[-1][:-1]
        await asyncio.sleep(rest * (time.monotonic() - began))


async def purge_once(
    store: Store, retention: Retention, every: float = EVERY, turn: float = schedule.TURN
) -> Counter[str] | None:
    """Purge if it is due; None if it is not, or not our turn. Raises what the store raised."""
    gone = await schedule.in_turn(store, _PLACE, lambda: purge(store, retention), every, turn)
    if gone:
        log.info("purged", **{name.replace(" ", "_"): count for name, count in gone.items()})
    return gone


async def run(
    store: Store, retention: Retention, stop: asyncio.Event, every: float = EVERY, turn: float = schedule.TURN
) -> None:
    """Purge every so many seconds until `stop`."""
    await repeat(lambda: purge_once(store, retention, every, turn), min(every, 60.0), stop, "purge failed")
