"""Lanes: the deliveries of one (system, stream, key), in order. Keys run in parallel, a key never overtakes itself.

A claim (see claiming) carries a random token; whoever acknowledges without the lane's present token changes nothing.
Lanes are always locked in sorted order, before deliveries get their ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.schema import HELD, delivery, lane
from counterfoil.hub.store import Store

DECODE = "decode"
"""The stream (and operation) in which receipts become events."""

LaneKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery to be queued. Exactly one of `event_id`, `receipt_id` is set.

    `release` says from when on it may be done if it is queued at a moment (seconds since the epoch); None: at once.
    """

    system: str
    stream: str
    key: str
    operation: str
    subject: str
    event_id: str | None = None
    receipt_id: int | None = None
    within: float | None = None  # seconds: the promise
    on_exception: str = "hold"
    release: Callable[[float], float] | None = None

    @property
    def lane(self) -> LaneKey:
        """Where it queues."""
        return (self.system, self.stream, self.key)


class Fenced(Exception):
    """Lanes whose lease was lost to another worker; their results count for nothing."""

    def __init__(self, lanes: set[LaneKey]) -> None:
        super().__init__(f"lease lost on {len(lanes)} lanes")
        self.lanes = lanes


_same_lane = sa.and_(
    lane.c.system == sa.bindparam("b_system"),
    lane.c.stream == sa.bindparam("b_stream"),
    lane.c.key == sa.bindparam("b_key"),
)


def _bind(key: LaneKey, **more: Any) -> dict[str, Any]:
    return {"b_system": key[0], "b_stream": key[1], "b_key": key[2], **more}


async def _shift(
    connection: AsyncConnection, store: Store, deltas: Counter[LaneKey], due: Mapping[LaneKey, float] | None = None
) -> None:
    """Lock the lanes in sorted order and change how many deliveries each holds.

    A lane that is new is due now, or as `due` says. One that holds something already stays due as it is: what comes
    after goes after.
    """
    if due:
        later = [_bind(key, b_n=n, b_due=due.get(key, 0.0)) for key, n in sorted(deltas.items())]
        await store.each(connection, _shifted_later, later)
    else:
        await store.each(connection, _shifted, [_bind(key, b_n=n) for key, n in sorted(deltas.items())])


def _shifted(store: Store, due_at: Any = None) -> sa.Insert:
    # one upsert statement for all cases: mixed statements would lock in an order of their own and deadlock
    statement: Any = store.insert(lane).values({n: sa.bindparam(f"b_{n}") for n in ("system", "stream", "key", "n")})
    statement = statement.values(due_at=store.now if due_at is None else due_at)
    counted = {"n": lane.c.n + statement.excluded.n}
    return statement.on_conflict_do_update(index_elements=["system", "stream", "key"], set_=counted)  # type: ignore[no-any-return]


def _shifted_later(store: Store) -> sa.Insert:
    due: sa.ColumnElement[float] = sa.bindparam("b_due", type_=sa.Double())
    return _shifted(store, sa.case((due > store.now, due), else_=store.now))


async def _starts(connection: AsyncConnection, store: Store, new: Sequence[NewDelivery]) -> list[float | None]:
    """From when on each may be done; the store is asked what time it is only where that is of any importance."""
    if not any(d.release for d in new):
        return [None] * len(new)
    now = await store.clock(connection)
    return [d.release(now) if d.release else None for d in new]


def _due(new: Sequence[NewDelivery], starts: Sequence[float | None]) -> dict[LaneKey, float]:
    """When a lane is due that holds nothing yet: its first delivery says so."""
    first: dict[LaneKey, float] = {}
    for d, start in zip(new, starts, strict=True):
        first.setdefault(d.lane, start or 0.0)
    return {key: start for key, start in first.items() if start}


async def enqueue(connection: AsyncConnection, store: Store, new: Sequence[NewDelivery]) -> None:
    """Queue deliveries, in order, at the end of their lanes."""
    if not new:
        return
    starts = await _starts(connection, store, new)
    await _shift(connection, store, Counter(d.lane for d in new), _due(new, starts))
    await _insert(connection, store, new, starts)
    await store.notify(connection)


async def _insert(
    connection: AsyncConnection, store: Store, new: Sequence[NewDelivery], starts: Sequence[float | None]
) -> None:
    rows = [
        {
            **{"system": d.system, "stream": d.stream, "key": d.key, "operation": d.operation, "subject": d.subject},
            **{"event_id": d.event_id, "receipt_id": d.receipt_id, "within": d.within, "on_exception": d.on_exception},
            "not_before": start,
        }
        for d, start in zip(new, starts, strict=True)
    ]
    await store.each(connection, _inserted, rows)


def _inserted(store: Store) -> sa.Insert:
    names = ("system", "stream", "key", "operation", "subject", "event_id", "receipt_id", "on_exception", "not_before")
    # NULL stays NULL: no promise
    promise = store.now + sa.bindparam("within", type_=sa.Double())
    fixed = {"attempt": sa.literal_column("0"), "created_at": store.now, "promise_by": promise}
    return sa.insert(delivery).values({n: sa.bindparam(n) for n in names} | fixed)


async def release(store: Store, tokens: Mapping[LaneKey, str], delay: float = 0.0) -> None:
    """Give lanes back untouched."""
    if not tokens:
        return
    async with store.write() as connection:
        await connection.execute(
            sa.update(lane)
            .where(_same_lane, lane.c.token == sa.bindparam("b_token"))
            .values(
                worker=None,
                token=None,
                lease_until=None,
                due_at=store.now + sa.bindparam("b_delay", type_=sa.Double()),
            ),
            [_bind(key, b_token=token, b_delay=delay) for key, token in sorted(tokens.items())],
        )
        await store.notify(connection)


async def heartbeat(store: Store, tokens: Mapping[LaneKey, str], lease: float) -> None:
    """Renew these leases, where they are still ours."""
    if not tokens:
        return
    async with store.write() as connection:
        await connection.execute(
            sa.update(lane)
            .where(_same_lane, lane.c.token == sa.bindparam("b_token"))
            .values(lease_until=store.now + lease),
            [_bind(key, b_token=token) for key, token in sorted(tokens.items())],
        )


async def reclaim(store: Store, everyone: bool = False) -> int:
    """Free the lanes whose worker let the lease run out (or `everyone`'s); how many there were."""
    async with store.write() as connection:
        expired = await connection.execute(
            sa.select(lane.c.system, lane.c.stream, lane.c.key)
            .where(lane.c.worker.is_not(None), sa.true() if everyone else lane.c.lease_until < store.now)
            .with_for_update(skip_locked=True)  # who holds it is acknowledging, late but alive
        )
        keys = sorted((r.system, r.stream, r.key) for r in expired)
        if keys:
            await connection.execute(
                sa.update(lane).where(_same_lane).values(worker=None, token=None, lease_until=None),
                [_bind(key) for key in keys],
            )
            await store.notify(connection)
        return len(keys)


@dataclass(frozen=True, slots=True)
class Settled:
    """What becomes of one claimed lane: the deliveries that leave it, and when it is due again."""

    lane: LaneKey
    token: str
    finished: tuple[int, ...] = ()
    attempted: int | None = None  # the delivery that failed and counts an attempt
    delay: float = 0.0
    held: bool = False


async def settle(
    connection: AsyncConnection,
    store: Store,
    settled: Sequence[Settled],
    new: Sequence[NewDelivery] = (),
    unheld: Iterable[LaneKey] = (),
) -> None:
    """Acknowledge: finished deliveries leave, lanes are freed, new deliveries queue.

    Raises Fenced if a lease is lost. `unheld` lanes, held for a person until now, go on. The caller's
    transaction holds whatever else belongs to the outcome (events, log, exceptions, objects).
    """
    unheld = sorted(set(unheld))
    shifted = bool(new or unheld)
    starts = await _starts(connection, store, new)
    if shifted:
        deltas = Counter(d.lane for d in new)
        for s in settled:
            deltas[s.lane] -= len(s.finished)
            deltas.setdefault(s.lane, 0)
        for key in unheld:
            deltas.setdefault(key, 0)
        await _shift(connection, store, deltas, _due(new, starts))
    left = await _locked(connection, store, settled)
    if not shifted:
        left = {s.lane: left[s.lane] - len(s.finished) for s in settled}
    if unheld:
        await connection.execute(
            sa.update(lane).where(_same_lane, lane.c.due_at >= HELD).values(due_at=store.now),
            [_bind(key) for key in unheld],
        )
    await _insert(connection, store, new, starts)
    finished = [i for s in settled for i in s.finished]
    if finished:
        await store.run(connection, _gone, {"ids": store.listed(finished)})
    attempted = [s.attempted for s in settled if s.attempted is not None]
    if attempted:
        await connection.execute(
            sa.update(delivery).where(delivery.c.id.in_(attempted)).values(attempt=delivery.c.attempt + 1)
        )
    freed = [_bind(s.lane, b_n=left[s.lane], b_held=s.held, b_delay=s.delay) for s in settled if left[s.lane] > 0]
    await store.each(connection, _freed, freed)
    await store.each(connection, _emptied, [_bind(s.lane) for s in settled if left[s.lane] <= 0])
    if shifted or freed:
        await store.notify(connection)


def _by_place(keys: Iterable[LaneKey]) -> dict[tuple[str, str], list[str]]:
    places: dict[tuple[str, str], list[str]] = {}
    for system, stream, key in sorted(keys):
        places.setdefault((system, stream), []).append(key)
    return places


async def _locked(connection: AsyncConnection, store: Store, settled: Sequence[Settled]) -> dict[LaneKey, int]:
    """Lock the lanes in sorted order; how many deliveries each holds. Raises Fenced where a token is another one."""
    present: dict[LaneKey, tuple[str, int]] = {}
    for (system, stream), keys in _by_place(s.lane for s in settled).items():
        here = {"system": system, "stream": stream, "keys": store.listed(keys)}
        for key, token, n in await store.run(connection, _lock, here):
            present[(system, stream, key)] = (token, n)
    _check_tokens(settled, present)
    return {key: n for key, (_, n) in present.items()}


def _check_tokens(settled: Iterable[Settled], present: Mapping[LaneKey, tuple[str, int]]) -> None:
    lost = {s.lane for s in settled if s.lane not in present or present[s.lane][0] != s.token}
    if lost:
        raise Fenced(lost)


def _lock(store: Store) -> sa.Select[Any]:
    return store.by_keys(lane, ["system", "stream"], ["key", "token", "n"], lock=True)


def _gone(store: Store) -> sa.Delete:
    return sa.delete(delivery).where(store.any_of(delivery.c.id, "ids"))


def _emptied(store: Store) -> sa.Delete:
    return sa.delete(lane).where(_same_lane)


def _freed(store: Store) -> sa.Update:
    due = sa.case(
        (sa.bindparam("b_held", type_=sa.Boolean()), sa.literal_column(f"{HELD:.0f}", sa.Double())),
        else_=store.now + sa.bindparam("b_delay", type_=sa.Double()),
    )
    free = {"worker": sa.null(), "token": sa.null(), "lease_until": sa.null()}
    return sa.update(lane).where(_same_lane).values({"n": sa.bindparam("b_n"), "due_at": due, **free})


async def unhold(connection: AsyncConnection, store: Store, key: LaneKey, finished: Sequence[int] = ()) -> None:
    """Let a held lane go on, after `finished` deliveries were taken out of it by a person."""
    await _shift(connection, store, Counter({key: -len(finished)}))
    if finished:
        await connection.execute(sa.delete(delivery).where(delivery.c.id.in_(finished)))
    await connection.execute(sa.update(lane).where(_same_lane).values(due_at=store.now), [_bind(key)])
    await connection.execute(sa.delete(lane).where(_same_lane, lane.c.n <= 0, lane.c.worker.is_(None)), [_bind(key)])
    await store.notify(connection)


async def lock(connection: AsyncConnection, store: Store, keys: Sequence[LaneKey]) -> list[LaneKey]:
    """Lock these lanes, there or not, until the transaction ends; those of them that a worker has in hand."""
    await _shift(connection, store, Counter(dict.fromkeys(keys, 0)))
    rows = [(await connection.execute(sa.select(lane.c.worker).where(_same_lane), _bind(key))).first() for key in keys]
    empty = [_bind(key) for key in sorted(keys)]
    if empty:
        await connection.execute(sa.delete(lane).where(_same_lane, lane.c.n <= 0, lane.c.worker.is_(None)), empty)
    return sorted(key for key, row in zip(keys, rows, strict=True) if row is not None and row.worker is not None)


async def next_due(store: Store) -> float | None:
    """Seconds until the next free lane becomes due, by the database's clock; None when none will by itself.

    A lane that is due already is not counted: it waits for a slot or for its system, not for time.
    """
    async with store.read() as connection:
        return await connection.scalar(
            sa.select(sa.func.min(lane.c.due_at) - store.now).where(
                lane.c.worker.is_(None), lane.c.due_at < HELD, lane.c.due_at > store.now
            )
        )


async def depth(store: Store) -> dict[str, int]:
    """How much is unfinished: deliveries in all, held by exceptions, kept for a later run or window, and claimed."""
    async with store.read() as connection:
        row = (
            await connection.execute(
                sa.select(
                    sa.func.coalesce(sa.func.sum(lane.c.n), 0).label("all"),
                    sa.func.coalesce(sa.func.sum(sa.case((lane.c.due_at >= HELD, lane.c.n), else_=0)), 0).label("held"),
                    sa.func.count(lane.c.worker).label("claimed"),
                    sa.func.count().filter(lane.c.due_at < HELD).label("waiting"),
                )
            )
        ).one()
        later = await connection.scalar(
            sa.select(sa.func.count()).select_from(delivery).where(delivery.c.not_before > store.now)
        )
        return {
            "deliveries": int(row.all),
            "held": int(row.held),
            "for_later": int(later or 0),
            "lanes_waiting": int(row.waiting),
            "lanes_claimed": int(row.claimed),
        }
