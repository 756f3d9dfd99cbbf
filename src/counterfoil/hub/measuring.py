"""What the store says of the last days: how long deliveries took, and what was put before people."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint.explaining import Measured, Taken
from counterfoil.hub.schema import delivery_log, exception
from counterfoil.hub.store import Store

_SHARES = (50, 95, 99)


async def measured(store: Store, days: int, newest: int | None = None) -> Measured:
    """By operation what was done in the last so many days, from the fact to the end; exceptions by reason. Of a large
    store all of them take seconds: `newest` looks at so many tries only.

    A percentile is the smallest time within which that share was done.
    """
    async with store.read() as connection:
        operations = await taken(connection, store, days * 86400.0, newest)
        exceptions = [(reason, count, still) for reason, count, still in await connection.execute(_put(store, days))]
    return Measured(days, operations, exceptions=exceptions, newest=newest)


async def taken(
    connection: AsyncConnection, store: Store, seconds: float, newest: int | None = None
) -> dict[str, Taken]:
    """By operation what was done in the last so many seconds; of the `newest` tries alone where that is given."""
    return {name: Taken(*numbers) for name, *numbers in await connection.execute(_taken(store, seconds, newest))}


def _taken(
    store: Store, seconds: float, newest: int | None
) -> sa.Select[tuple[str, int, float, float, float, int, int]]:
    columns = ("system", "operation", "outcome", "created_at", "ended_at", "promise_by")
    tried = sa.select(*(delivery_log.c[name] for name in columns)).where(delivery_log.c.ended_at > store.now - seconds)
    if newest is not None:
        tried = tried.order_by(delivery_log.c.ended_at.desc()).limit(newest)
    log = tried.subquery().c
    took = log.ended_at - log.created_at
    name = log.system + "." + log.operation
    place = sa.func.row_number().over(partition_by=name, order_by=took)
    of = sa.func.count().over(partition_by=name)
    late = sa.case((log.ended_at > log.promise_by, 1), else_=0)
    ranked = sa.select(
        *(name.label("name"), took.label("took"), place.label("place"), of.label("of"), late.label("late")),
        sa.case((log.promise_by.is_not(None), 1), else_=0).label("promised"),
    ).where(log.outcome == "done")
    row = ranked.subquery().c
    within = [sa.func.min(sa.case((row.place * 100 >= row.of * share, row.took))) for share in _SHARES]
    chosen = sa.select(row.name, sa.func.count(), *within, sa.func.sum(row.promised), sa.func.sum(row.late))
    return chosen.group_by(row.name).order_by(row.name)


def _put(store: Store, days: int) -> sa.Select[tuple[str, int, int]]:
    table = exception.c
    still = sa.func.sum(sa.case((table.status == "open", 1), else_=0))
    count = sa.func.count()
    recent = sa.select(table.reason, count, still).where(table.opened_at > store.now - days * 86400.0)
    return recent.group_by(table.reason).order_by(count.desc(), table.reason)
