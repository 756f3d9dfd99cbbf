"""How fast and how many at once a system may be called: declared, or learnt from its answers.

Both are kept in the store, so they hold across all workers of all machines. A call that would have to wait for longer
than `AHEAD` is not booked: its lanes are released until then. Booked ahead, a worker would sit on leases, its place in
the queue would be lost with it, and what becomes urgent meanwhile could not go first.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint import Limits, Rate
from counterfoil.hub.room import LONGEST, Room
from counterfoil.hub.schema import call_slot, pace
from counterfoil.hub.store import Store

AHEAD = 1.0
"""Seconds a call may wait for its turn with its leases in hand."""
FULL = 0.25
"""Seconds after which is looked again where all slots are taken; one that comes free wakes the workers anyway."""
ALL = ""
"""In the table of paces: all operations of a system."""


# --- learnt ---------------------------------------------------------------------------------------------------------


async def learn(store: Store, system: str, heard: Sequence[Room | None], items: int) -> bool:
    """Mind what a call of so many deliveries heard, one entry a request; whether there is anything to mind."""
    room = heard[-1] if heard else None
    if room is None or room.seconds <= 0:
        return False
    between = min(room.interval * len(heard) / items, LONGEST)
    async with store.write() as connection:
        values = {"learnt": between, "learnt_until": store.now + room.seconds}
        first = store.now + between
        statement = store.insert(pace).values(system=system, operation=ALL, next_at=first, **values)
        later = sa.case((pace.c.next_at > first, pace.c.next_at), else_=first)
        await connection.execute(
            statement.on_conflict_do_update(index_elements=["system", "operation"], set_={"next_at": later, **values})
        )
    return True


async def learnt(store: Store) -> dict[str, float]:
    """The systems that are called slower because of what they said: seconds between two deliveries."""
    async with store.read() as connection:
        rows = await connection.execute(
            sa.select(pace.c.system, pace.c.learnt).where(pace.c.operation == ALL, pace.c.learnt_until > store.now)
        )
        return {r.system: float(r.learnt) for r in rows}


# --- turns ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Turn:
    """What became of asking for a call: in `wait` seconds it is its turn, or it may ask again then."""

    granted: bool
    wait: float = 0.0
    slot: str = ""


async def take_turn(
    store: Store,
    system: str,
    operation: str,
    items: int,
    rate: Rate | None = None,
    limits: Limits | None = None,
    lease: float = 90.0,
) -> Turn:
    """Book a call of `items` deliveries against the operation's `rate`, the system's declared `limits` and what it has
    said itself. The slot of a system with a declared concurrency is held for `lease` seconds without `renew_slots`.
    """
    limits = limits or Limits()
    costs = {ALL: items / limits.rate.per_second if limits.rate else 0.0}
    if rate is not None:
        costs[operation] = items / rate.per_second
    async with store.write() as connection:
        booked = await _locked(connection, store, system, sorted(costs))
        now = await store.clock(connection)
        everything = booked[ALL]
        if everything.learnt is not None and everything.learnt_until > now:
            costs[ALL] = max(costs[ALL], items * everything.learnt)
        wait = max(0.0, *(row.next_at - now for row in booked.values()))
        if wait > AHEAD:
            return Turn(False, wait - AHEAD)
        slot = secrets.token_hex(8) if limits.concurrency else ""
        if limits.concurrency and not await _take_slot(connection, store, system, limits.concurrency, slot, lease):
            return Turn(False, FULL)
        for name, cost in costs.items():
            if cost:
                await connection.execute(
                    sa.update(pace)
                    .where(pace.c.system == system, pace.c.operation == name)
                    .values(next_at=max(booked[name].next_at, now) + cost)
                )
        return Turn(True, wait, slot)


async def _locked(connection: AsyncConnection, store: Store, system: str, names: Sequence[str]) -> dict[str, Any]:
    """The rows of these paces, made where they are missing, locked in sorted order."""
    mine = sa.and_(pace.c.system == system, pace.c.operation.in_(names))
    statement = sa.select(pace).where(mine).order_by(pace.c.operation).with_for_update()
    rows = {r.operation: r for r in await connection.execute(statement)}
    if len(rows) < len(names):
        for name in names:
            row = store.insert(pace).values(system=system, operation=name, next_at=0.0)
            await connection.execute(row.on_conflict_do_nothing())
        rows = {r.operation: r for r in await connection.execute(statement)}
    return rows


async def _take_slot(
    connection: AsyncConnection, store: Store, system: str, most: int, token: str, lease: float
) -> bool:
    known = await connection.scalar(sa.select(sa.func.count()).where(call_slot.c.system == system))
    for number in range(known or 0, most):
        row = store.insert(call_slot).values(system=system, number=number, until=0.0)
        await connection.execute(row.on_conflict_do_nothing())
    free = (
        sa.select(call_slot.c.number)
        .where(call_slot.c.system == system, call_slot.c.number < most, call_slot.c.until <= store.now)
        .order_by(call_slot.c.number)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    taken = await connection.scalar(free)
    if taken is None:
        return False
    await connection.execute(
        sa.update(call_slot)
        .where(call_slot.c.system == system, call_slot.c.number == taken)
        .values(token=token, until=store.now + lease)
    )
    return True


async def renew_slots(store: Store, tokens: Sequence[str], lease: float) -> None:
    """These calls are still out."""
    if tokens:
        async with store.write() as connection:
            await connection.execute(
                sa.update(call_slot).where(call_slot.c.token.in_(tokens)).values(until=store.now + lease)
            )


async def free_slot(store: Store, token: str) -> None:
    """The call is over."""
    async with store.write() as connection:
        await connection.execute(sa.update(call_slot).where(call_slot.c.token == token).values(token=None, until=0.0))
        await store.notify(connection)


async def in_flight(store: Store) -> dict[str, int]:
    """How many calls are out at the systems with a declared concurrency."""
    async with store.read() as connection:
        rows = await connection.execute(
            sa.select(call_slot.c.system, sa.func.count().label("n"))
            .where(call_slot.c.until > store.now)
            .group_by(call_slot.c.system)
        )
        return {r.system: int(r.n) for r in rows}
