"""Claiming: lease lanes that are due, and fetch what is to be done first in each, with all that is needed for it.

Claiming and fetching are two statements. Of deliveries that all carry out the newest state only the last is fetched.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, takewhile
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.lanes import DECODE, LaneKey
from counterfoil.hub.schema import delivery, event, lane, object_, receipt
from counterfoil.hub.store import Store


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery that another one of its lane answers for, as its log needs it."""

    id: int
    event_id: str | None
    created_at: float
    promise_by: float | None


@dataclass(frozen=True, slots=True)
class Work:
    """A claimed delivery with all that is needed to carry it out."""

    id: int
    lane: LaneKey
    token: str
    operation: str
    subject: str
    attempt: int
    created_at: float
    promise_by: float | None
    on_exception: str
    event_id: str | None
    receipt_id: int | None
    row: Any  # the event or receipt, as the fetch returned it
    before: tuple[Waiting, ...] = ()  # of the same operation, earlier in the lane: this one answers for them

    @property
    def answers_for(self) -> list[Work]:
        """The deliveries before it that are over when it is."""
        return [
            replace(self, id=w.id, event_id=w.event_id, created_at=w.created_at, promise_by=w.promise_by, before=())
            for w in self.before
        ]

    @property
    def head(self) -> Work:
        """The first delivery in the lane that this is about: on it attempts are counted, by it the lane is held."""
        return self.answers_for[0] if self.before else self

    @property
    def all_ids(self) -> tuple[int, ...]:
        """The ids of the deliveries that are over when this one is."""
        return (*(w.id for w in self.before), self.id)


async def claim(
    store: Store,
    worker: str,
    system: str,
    stream: str,
    lanes: int,
    lease: float,
    depth: int = 1,
    coalescing: Collection[str] = (),
) -> list[Work]:
    """Lease up to `lanes` due lanes for `lease` seconds and fetch up to `depth` deliveries of each, in order.

    Of a run of deliveries of one `coalescing` operation at the head of a lane only the last is fetched; it names
    the others as `before`.
    """
    token = secrets.token_hex(12)
    async with store.write() as connection:
        due = (
            sa.select(lane.c.key)
            .where(
                lane.c.system == system,
                lane.c.stream == stream,
                lane.c.worker.is_(None),
                lane.c.due_at <= store.now,
            )
            .order_by(lane.c.due_at)
            .limit(lanes)
            .with_for_update(skip_locked=True)
        )
        keys = sorted((await connection.execute(due)).scalars())
        if not keys:
            return []
        await connection.execute(
            sa.update(lane)
            .where(lane.c.system == system, lane.c.stream == stream, lane.c.key.in_(keys))
            .values(worker=worker, token=token, lease_until=store.now + lease)
        )
        works = await _fetch(connection, system, stream, keys, token, depth)
        return await _coalesced(connection, works, coalescing) if coalescing else works


async def _coalesced(connection: AsyncConnection, works: list[Work], operations: Collection[str]) -> list[Work]:
    """The heads, each with a coalescing operation replaced by the last of the run it begins."""
    heads = {w.lane: w for w in works if w.operation in operations}
    if not heads:
        return works
    (system, stream, _), token = next(iter(heads)), works[0].token
    waiting = await connection.execute(
        sa.select(
            *(delivery.c.id, delivery.c.key, delivery.c.operation, delivery.c.subject, delivery.c.event_id),
            *(delivery.c.created_at, delivery.c.promise_by, event.c.source),
        )
        .join(event, event.c.id == delivery.c.event_id)
        .where(delivery.c.system == system, delivery.c.stream == stream, delivery.c.key.in_([k[2] for k in heads]))
        .order_by(delivery.c.key, delivery.c.id)
    )
    lanes_ = groupby(waiting, lambda r: (system, stream, str(r.key)))
    runs = {key: _run(heads[key], rows) for key, rows in lanes_}
    last = {run[-1].id: key for key, run in runs.items() if len(run) > 1}
    if not last:
        return works
    newest = {w.lane: w for w in await _fetch(connection, system, stream, [], token, 0, list(last))}
    return [_answering(w, newest[w.lane], runs[w.lane]) if w.lane in newest else w for w in works]


def _run(head: Work, rows: Iterable[Any]) -> list[Any]:
    """The deliveries from the head on that are of one operation, subject and source: one newest state serves them."""
    same = (head.operation, head.subject, head.row.source)
    return list(takewhile(lambda r: (r.operation, r.subject, r.source) == same, rows))


def _answering(head: Work, newest: Work, run: Sequence[Any]) -> Work:
    before = tuple(Waiting(r.id, r.event_id, r.created_at, r.promise_by) for r in run[:-1])
    return replace(newest, attempt=head.attempt, before=before)


async def _fetch(
    connection: AsyncConnection,
    system: str,
    stream: str,
    keys: list[str],
    token: str,
    depth: int,
    ids: Sequence[int] = (),
) -> list[Work]:
    """The first `depth` deliveries of each of the lanes `keys`, or, given `ids`, just those deliveries."""
    if ids:
        heads = sa.select(delivery, sa.literal(0).label("place")).where(delivery.c.id.in_(ids)).subquery()
    else:
        place = sa.func.row_number().over(partition_by=delivery.c.key, order_by=delivery.c.id).label("place")
        heads = (
            sa.select(delivery, place)
            .where(delivery.c.system == system, delivery.c.stream == stream, delivery.c.key.in_(keys))
            .subquery()
        )
    columns: list[Any] = [heads]
    source: Any = heads
    if stream == DECODE:
        source = source.join(receipt, receipt.c.id == heads.c.receipt_id)
        columns += [
            receipt.c.kind,
            receipt.c.object_id,
            receipt.c.body,
            receipt.c.headers,
            receipt.c.digest,
            receipt.c.origin,
        ]
    else:
        source = source.join(event, event.c.id == heads.c.event_id)
        columns += [event.c.type, event.c.data, event.c.correlation, event.c.source, _newest_state()]
    rows = await connection.execute(
        sa.select(*columns).select_from(source).where(heads.c.place <= depth).order_by(heads.c.id)
    )
    return [
        Work(
            id=row.id,
            lane=(row.system, row.stream, row.key),
            token=token,
            operation=row.operation,
            subject=row.subject,
            attempt=row.attempt + 1,
            created_at=row.created_at,
            promise_by=row.promise_by,
            on_exception=row.on_exception,
            event_id=row.event_id,
            receipt_id=row.receipt_id,
            row=row,
        )
        for row in rows
    ]


async def claimed(connection: AsyncConnection, system: str, keys: Collection[str]) -> set[str]:
    """Which of these keys an operation of the system has in hand now."""
    if not keys:
        return set()
    mine = sa.and_(lane.c.system == system, lane.c.stream != DECODE, lane.c.worker.is_not(None))
    return set((await connection.execute(sa.select(lane.c.key).where(mine, lane.c.key.in_(list(keys))))).scalars())


def _newest_state() -> sa.Label[Any]:
    """The newest state of the subject at the system that told of it: what was queued may have been overtaken.

    Two systems may hold objects of one canonical id (the shop its order, the ERP what became of it). One value and
    no join: a delivery must not come twice, whatever is in the table.
    """
    return (
        sa.select(object_.c.state)
        .where(object_.c.canonical_id == event.c.subject, object_.c.system == event.c.source)
        .order_by(object_.c.updated_at.desc(), object_.c.kind)
        .limit(1)
        .scalar_subquery()
        .label("state")
    )
