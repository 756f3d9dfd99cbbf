"""How many facts each system told of, by quarter of an hour: counted once, when a quarter is over and settled.

So what a report of many days costs does not grow with what happened in them. What is not counted yet is counted when it
is asked for; both together are right at any moment. Of an order each fact counts the first time it is so (an order that
is changed is accepted anew), as in the SQL view `report_orders`; of a shipment each one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.schema import event, tally
from counterfoil.hub.store import Store
from counterfoil.hub.waiting import repeat

FACTS = ("order.placed", "order.accepted", "order.cancelled", "order.refunded", "shipment.dispatched")
QUARTER = 900
"""Seconds of a quarter: every zone's day begins on one."""
SETTLED = 900
"""Seconds after the end of a quarter until what was recorded in it is committed for sure: no transaction is so long."""
STEP = 86400
"""Seconds counted at once, where much is to be caught up."""
EVERY = 60.0
"""Seconds between two looks whether a quarter is over."""
_MARK = (tally.c.type == "", tally.c.source == "")
"""The row that says until when all is counted."""


class Told(NamedTuple):
    """A system told of so many facts of a type in the quarter of an hour that begins then, in seconds (UTC)."""

    quarter: int
    type: str
    source: str
    n: int


async def told(connection: AsyncConnection, store: Store, since: float, types: Sequence[str] = FACTS) -> list[Told]:
    """Of these types all since the beginning of the quarter in which `since` lies."""
    first = _quarter(since)
    until = max(await _counted_until(connection) or first, first)
    t = tally.c
    mine = (t.type.in_(types), t.quarter >= first, t.quarter < until)
    kept = await connection.execute(sa.select(t.quarter, t.type, t.source, t.n).where(*mine))
    return [*(Told(*row) for row in kept), *await _count(connection, store, types, until)]


def first_times(type_: str, since: float, until: float | None = None) -> sa.Subquery:
    """Of each subject its first event of the type, `source` and `at`, if it was since then and before `until`.

    What was before is looked for by subject, one by one: most have nothing there, which their index alone says.
    """
    mine, before = event.c, event.alias().c
    earlier = sa.select(before.id).where(before.subject == mine.subject, before.type == type_)
    earlier = earlier.where(before.recorded_at < since).limit(1).correlate(event)
    lately = sa.select(sa.func.min(mine.source).label("source"), sa.func.min(mine.recorded_at).label("at"))
    lately = lately.where(*_of(type_, since, until)).group_by(mine.subject)
    return lately.having(earlier.scalar_subquery().is_(None)).subquery()


def _times(type_: str, since: float, until: float | None) -> sa.Subquery:
    return sa.select(event.c.source, event.c.recorded_at.label("at")).where(*_of(type_, since, until)).subquery()


def _of(type_: str, since: float, until: float | None) -> list[sa.ColumnElement[bool]]:
    mine = [event.c.type == type_, event.c.recorded_at >= since]
    return mine if until is None else [*mine, event.c.recorded_at < until]


async def _count(
    connection: AsyncConnection, store: Store, types: Sequence[str], since: int, until: int | None = None
) -> list[Told]:
    """Both on a quarter."""
    found = []
    for type_ in types:
        fact = (first_times if type_.startswith("order.") else _times)(type_, since, until).c
        number = sa.cast(sa.func.floor(fact.at / QUARTER), sa.BigInteger)
        if store.is_sqlite:  # its older versions have no floor
            number = sa.cast(fact.at / QUARTER, sa.Integer)
        counted = sa.select(number, fact.source, sa.func.count()).group_by(number, fact.source)
        found += [Told(q * QUARTER, type_, source, n) for q, source, n in await connection.execute(counted)]
    return found


async def _counted_until(connection: AsyncConnection) -> int | None:
    return await connection.scalar(sa.select(tally.c.quarter).where(*_MARK))


async def catch_up(store: Store) -> None:
    """Count what is over and settled. Raises what the store raised.

    Two at a time do the same work, and one of them keeps it. Cut off, it goes on where it was.
    """
    began = time.monotonic()
    while await _step(store):
        await asyncio.sleep(time.monotonic() - began)  # others have as long as it took
        began = time.monotonic()


async def _step(store: Store) -> bool:
    """Whether there may be more to count."""
    async with store.read() as connection:
        over = _quarter(await store.clock(connection) - SETTLED)
        if (since := await _counted_until(connection)) is None:
            oldest = await connection.scalar(sa.select(sa.func.min(event.c.recorded_at)))
        elif since < over:
            until = min(over, since + STEP)
            counted = await _count(connection, store, FACTS, since, until)
        else:
            return False
    async with store.write() as connection:
        if since is None:
            mark = Told(min(over, _quarter(oldest or over)), "", "", 0)
            await connection.execute(store.insert(tally).values(mark._asdict()).on_conflict_do_nothing())
            return True
        moved = await connection.execute(sa.update(tally).where(*_MARK, tally.c.quarter == since).values(quarter=until))
        if moved.rowcount and counted:
            await connection.execute(sa.insert(tally), [each._asdict() for each in counted])
    return True


def _quarter(seconds: float) -> int:
    return int(seconds // QUARTER) * QUARTER


async def run(store: Store, stop: asyncio.Event) -> None:
    """Until `stop`; the first time at once."""
    await repeat(lambda: catch_up(store), EVERY, stop, "facts not counted")
