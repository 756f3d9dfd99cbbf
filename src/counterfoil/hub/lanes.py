"""Lanes: the deliveries of one (system, stream, key), in order. Keys run in parallel, a key never overtakes itself.

A claim (see claiming) carries a random token; whoever acknowledges without the lane's present token changes nothing.
Lanes are always locked in sorted order, before deliveries get their ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
    """A delivery to be queued. Exactly one of `event_id`, `receipt_id` is set."""

    system: str
    stream: str
    key: str
    operation: str
    subject: str
    event_id: str | None = None
    receipt_id: int | None = None
    within: float | None = None  # seconds: the promise
    on_exception: str = "hold"

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


async def _shift(connection: AsyncConnection, store: Store, deltas: Counter[LaneKey]) -> None:
    """Lock the lanes in sorted order and change how many deliveries each holds."""
    if not deltas:
        return
    # one upsert statement for all cases: mixed statements would lock in an order of their own and deadlock
    statement = store.insert(lane).values(
        system=sa.bindparam("b_system"),
        stream=sa.bindparam("b_stream"),
        key=sa.bindparam("b_key"),
        n=sa.bindparam("b_n"),
        due_at=store.now,
    )
    statement = statement.on_conflict_do_update(
        index_elements=["system", "stream", "key"], set_={"n": lane.c.n + statement.excluded.n}
    )
    await connection.execute(statement, [_bind(key, b_n=n) for key, n in sorted(deltas.items())])


async def enqueue(connection: AsyncConnection, store: Store, new: Sequence[NewDelivery]) -> None:
    """Queue deliveries, in order, at the end of their lanes."""
    if not new:
        return
    await _shift(connection, store, Counter(d.lane for d in new))
    await _insert(connection, store, new)
    await store.notify(connection)


async def _insert(connection: AsyncConnection, store: Store, new: Sequence[NewDelivery]) -> None:
    if not new:
        return
    names = ("system", "stream", "key", "operation", "subject", "event_id", "receipt_id", "on_exception")
    statement = sa.insert(delivery).values(
        {
            **{name: sa.bindparam(f"b_{name}") for name in names},
            "attempt": 0,
            "created_at": store.now,
            # NULL stays NULL: no promise
            "promise_by": store.now + sa.bindparam("b_within", type_=sa.Double()),
        }
    )
    await connection.execute(
        statement,
        [{**{f"b_{name}": getattr(d, name) for name in names}, "b_within": d.within} for d in new],
    )


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
    deltas = Counter(d.lane for d in new)
    for s in settled:
        deltas[s.lane] -= len(s.finished)
        deltas.setdefault(s.lane, 0)
    unheld = sorted(set(unheld))
    for key in unheld:
        deltas.setdefault(key, 0)
    await _shift(connection, store, deltas)
    await _check_tokens(connection, settled)
    if unheld:
        await connection.execute(
            sa.update(lane).where(_same_lane, lane.c.due_at >= HELD).values(due_at=store.now),
            [_bind(key) for key in unheld],
        )
    await _insert(connection, store, new)
    finished = [i for s in settled for i in s.finished]
    if finished:
        await connection.execute(sa.delete(delivery).where(delivery.c.id.in_(finished)))
    attempted = [s.attempted for s in settled if s.attempted is not None]
    if attempted:
        await connection.execute(
            sa.update(delivery).where(delivery.c.id.in_(attempted)).values(attempt=delivery.c.attempt + 1)
        )
    await connection.execute(
        sa.update(lane)
        .where(_same_lane)
        .values(
            worker=None,
            token=None,
            lease_until=None,
            due_at=sa.case(
                (sa.bindparam("b_held", type_=sa.Boolean()), HELD),
                else_=store.now + sa.bindparam("b_delay", type_=sa.Double()),
            ),
        ),
        [_bind(s.lane, b_held=s.held, b_delay=s.delay) for s in settled],
    )
    if finished:
        await connection.execute(
            sa.delete(lane).where(_same_lane, lane.c.n <= 0), [_bind(s.lane) for s in settled if s.finished]
        )
    await store.notify(connection)


async def _check_tokens(connection: AsyncConnection, settled: Iterable[Settled]) -> None:
    wanted = {s.lane: s.token for s in settled}
    if not wanted:
        return
    rows = await connection.execute(
        sa.select(lane.c.system, lane.c.stream, lane.c.key, lane.c.token).where(
            sa.tuple_(lane.c.system, lane.c.stream, lane.c.key).in_(list(wanted))
        )
    )
    present = {(r.system, r.stream, r.key): r.token for r in rows}
    lost = {key for key, token in wanted.items() if present.get(key) != token}
    if lost:
        raise Fenced(lost)


async def unhold(connection: AsyncConnection, store: Store, key: LaneKey, finished: Sequence[int] = ()) -> None:
    """Let a held lane go on, after `finished` deliveries were taken out of it by a person."""
    await _shift(connection, store, Counter({key: -len(finished)}))
    if finished:
        await connection.execute(sa.delete(delivery).where(delivery.c.id.in_(finished)))
    await connection.execute(sa.update(lane).where(_same_lane).values(due_at=store.now), [_bind(key)])
    await connection.execute(sa.delete(lane).where(_same_lane, lane.c.n <= 0, lane.c.worker.is_(None)), [_bind(key)])
    await store.notify(connection)


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
    """How much is unfinished: deliveries in all, held back by exceptions, and claimed now."""
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
        return {
            "deliveries": int(row.all),
            "held": int(row.held),
            "lanes_waiting": int(row.waiting),
            "lanes_claimed": int(row.claimed),
        }
