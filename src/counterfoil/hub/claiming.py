"""Claiming: lease lanes that are due, and fetch what is to be done first in each, with all that is needed for it.

Claiming and fetching are two statements. Of deliveries that all carry out the newest state only the last is fetched.
An event's data and the newest state are decoded when somebody looks at them: most of the time of a claim went there.
"""

from __future__ import annotations

import functools
import json
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, takewhile
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub import corrections
from counterfoil.hub.lanes import DECODE, LaneKey
from counterfoil.hub.schema import delivery, event, lane, link, object_, receipt
from counterfoil.hub.store import Store


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery that another one of its lane answers for, as its log needs it."""

    id: int
    event_id: str | None
    created_at: float
    promise_by: float | None


class Received(NamedTuple):
    """The receipt of a delivery to be decoded; `headers` as JSON."""

    kind: str
    object_id: str
    body: bytes
    headers: str
    digest: str
    origin: str


class Happened(NamedTuple):
    """The event of a delivery; `link` is the id of its subject in the delivery's system, where known. `corrected`: a
    person has corrected values of the subject."""

    type: str
    source: str
    correlation: str
    link: str | None
    traceparent: str | None
    corrected: bool = False


class Told(Mapping[str, Any]):
    """An event's data, with the newest state known under `state`; decoded at the first look."""

    __slots__ = ("_data", "_state", "_text")

    def __init__(self, text: str, state: str | None) -> None:
        self._text, self._state = text, state
        self._data: dict[str, Any] | None = None

    def _decoded(self) -> dict[str, Any]:
        if self._data is None:
            self._data = json.loads(self._text)
            if self._state is not None:
                self._data["state"] = json.loads(self._state)
        return self._data

    def __getitem__(self, name: str) -> Any:
        return self._decoded()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._decoded())

    def __len__(self) -> int:
        return len(self._decoded())


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
    row: Any  # Received or Happened: what it is about
    data: Mapping[str, Any]  # the event's; empty for a receipt
    not_before: float | None = None  # where its flow lets it wait for a run or a window
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
    place = {"system": system, "stream": stream}
    async with store.write() as connection:
        leased = await store.run(
            connection, _lease, {**place, "most": lanes, "worker": worker, "token": token, "lease": lease}
        )
        if not leased:
            return []
        keys = store.listed(key for (key,) in leased)
        works = await _heads(connection, store, system, stream, keys, token, depth)
        if any(w.not_before is not None for w in works):
            works = await _in_time(connection, store, works)
        works = await _coalesced(connection, store, works, coalescing) if coalescing else works
        return await _corrected(connection, works)


async def _corrected(connection: AsyncConnection, works: list[Work]) -> list[Work]:
    """Those about things of which a person has corrected values are given the corrected ones."""
    asked = {w.subject for w in works if isinstance(w.row, Happened) and w.row.corrected}
    if not asked:
        return works
    found = await corrections.in_force(connection, asked)
    return [
        replace(w, data=corrections.applied(w.subject, w.row.source, w.data, found[w.subject]))
        if w.subject in found
        else w
        for w in works
    ]


async def _in_time(connection: AsyncConnection, store: Store, works: list[Work]) -> list[Work]:
    """The heads whose time has come; the lanes of the others are given back until then. Nothing overtakes them."""
    now = await store.clock(connection)
    early = {w.lane: w.not_before for w in works if w.not_before is not None and w.not_before > now}
    for (system, stream, key), start in early.items():
        mine = (lane.c.system == system, lane.c.stream == stream, lane.c.key == key)
        given_back = {"worker": None, "token": None, "lease_until": None, "due_at": start}
        await connection.execute(sa.update(lane).where(*mine).values(given_back))
    return [w for w in works if w.lane not in early]


def _lease(store: Store) -> sa.Update:
    row: sa.ColumnClause[Any] = sa.literal_column("lane.rowid" if store.is_sqlite else "lane.ctid")
    due = (
        sa.select(row)
        .where(
            *(lane.c.system == sa.bindparam("system"), lane.c.stream == sa.bindparam("stream")),
            *(lane.c.worker.is_(None), lane.c.due_at <= store.now),
        )
        .order_by(lane.c.due_at)
        .limit(sa.bindparam("most", type_=sa.Integer()))
        .with_for_update(skip_locked=True)
        .correlate(None)
    )
    # by where the rows lie, as they have just been locked there: no plan can be wrong about that
    mine = row.in_(due) if store.is_sqlite else row == sa.func.any(sa.func.array(due.scalar_subquery()))
    until = store.now + sa.bindparam("lease", type_=sa.Double())
    leased = {"worker": sa.bindparam("worker"), "token": sa.bindparam("token"), "lease_until": until}
    return sa.update(lane).where(mine).values(leased).returning(lane.c.key)


async def _coalesced(
    connection: AsyncConnection, store: Store, works: list[Work], operations: Collection[str]
) -> list[Work]:
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
    given = {"system": system, "ids": store.listed(last)}
    newest = {w.lane: w for w in _works(await store.run(connection, _these, given), token, False)}
    return [_answering(w, newest[w.lane], runs[w.lane]) if w.lane in newest else w for w in works]


def _run(head: Work, rows: Iterable[Any]) -> list[Any]:
    """The deliveries from the head on that are of one operation, subject and source: one newest state serves them."""
    same = (head.operation, head.subject, head.row.source)
    return list(takewhile(lambda r: (r.operation, r.subject, r.source) == same, rows))


def _answering(head: Work, newest: Work, run: Sequence[Any]) -> Work:
    before = tuple(Waiting(r.id, r.event_id, r.created_at, r.promise_by) for r in run[:-1])
    return replace(newest, attempt=head.attempt, not_before=head.not_before, before=before)


async def _heads(
    connection: AsyncConnection, store: Store, system: str, stream: str, keys: Any, token: str, depth: int
) -> list[Work]:
    """The first `depth` deliveries of each of the lanes, in order."""
    receipts = stream == DECODE
    here = {"system": system, "stream": stream, "keys": keys}
    return _works(await store.run(connection, _first(depth, receipts), here), token, receipts)


@functools.cache
def _first(depth: int, receipts: bool) -> Callable[[Store], sa.Select[Any]]:
    def statement(store: Store) -> sa.Select[Any]:
        # one look into the index for each place: a window function would read the whole of a long lane
        def at(place: int) -> sa.Select[Any]:
            keys = store.keys()
            mine = (delivery.c.system == sa.bindparam("system"), delivery.c.stream == sa.bindparam("stream"))
            one = sa.select(delivery.c.id).where(*mine, delivery.c.key == keys.c.value).order_by(delivery.c.id)
            one = one.limit(1).offset(sa.literal_column(str(place)))
            return sa.select(one.scalar_subquery().label("id")).select_from(keys)

        heads = sa.union_all(*map(at, range(depth))).subquery()
        return _with_all_needed(delivery.join(heads, delivery.c.id == heads.c.id), receipts)

    return statement


def _these(store: Store) -> sa.Select[Any]:
    return _with_all_needed(delivery, receipts=False).where(store.any_of(delivery.c.id, "ids"))


_WORK = (
    *("id", "system", "stream", "key", "operation", "subject", "attempt", "created_at", "promise_by", "on_exception"),
    *("event_id", "receipt_id", "not_before"),
)


def _with_all_needed(source: Any, receipts: bool) -> sa.Select[Any]:
    work = [delivery.c[name] for name in _WORK]
    if receipts:
        source = source.join(receipt, receipt.c.id == delivery.c.receipt_id)
        told: list[Any] = [receipt.c.kind, receipt.c.object_id, receipt.c.body, _text(receipt.c.headers)]
        told += [receipt.c.digest, receipt.c.origin]
    else:
        source = source.join(event, event.c.id == delivery.c.event_id)
        known = sa.and_(link.c.canonical_id == delivery.c.subject, link.c.system == sa.bindparam("system"))
        source = source.outerjoin(link, known)
        told = [event.c.type, event.c.source, event.c.correlation, link.c.object_id, event.c.traceparent]
        told += [corrections.exist_for(delivery.c.subject), _text(event.c.data), _text(_newest_state())]
    return sa.select(*work, *told).select_from(source).order_by(delivery.c.id)


def _text(column: Any) -> sa.ColumnElement[str]:
    """JSON as it is kept: a driver may decode what it knows to be JSON."""
    return sa.cast(column, sa.Text())


def _works(rows: Iterable[Sequence[Any]], token: str, receipts: bool) -> list[Work]:
    works = []
    for row in rows:
        id_, system, stream, key, operation, subject, attempt, created_at, promise_by, on_exception, *ids = row[:13]
        lane_ = (system, stream, key)
        if receipts:
            told: Any = Received(*row[13:])
            data: Mapping[str, Any] = {}
        else:
            told, data = Happened(*row[13:19]), Told(row[19], row[20])
        works.append(
            Work(
                *(id_, lane_, token, operation, subject, attempt + 1, created_at, promise_by, on_exception),
                *(*ids[:2], told, data, ids[2]),
            )
        )
    return works


async def claimed(connection: AsyncConnection, system: str, keys: Collection[str]) -> set[str]:
    """Which of these keys an operation of the system has in hand now."""
    if not keys:
        return set()
    mine = sa.and_(lane.c.system == system, lane.c.stream != DECODE, lane.c.worker.is_not(None))
    return set((await connection.execute(sa.select(lane.c.key).where(mine, lane.c.key.in_(list(keys))))).scalars())


def _newest_state() -> sa.ScalarSelect[Any]:
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
    )
