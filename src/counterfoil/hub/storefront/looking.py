"""When the ERP was last looked at, and which products have changed since: what a read model in memory follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.lanes import DECODE
from counterfoil.hub.receipts import object_key
from counterfoil.hub.schema import cursor, delivery, event, object_
from counterfoil.hub.store import Store

SETTLES = 1.0
"""Seconds by which the horizon of products stays behind: a row has its time before its transaction has its number."""


async def looked_at(
    connection: AsyncConnection, store: Store, sources: Sequence[tuple[str, str]], kind: str
) -> tuple[float | None, float]:
    """(as of when what is kept of `kind` holds, now), in seconds by the store's clock.

    `sources` are feeds (system, name): the last poll of each that worked, or, where what it found is not decoded yet,
    the time it arrived; the oldest of them. None while one has never been polled.
    """
    now = await store.clock(connection)
    oldest: float | None = now
    for system, feed in sources:
        ok = sa.select(cursor.c.ok_at).where(cursor.c.system == system, cursor.c.feed == feed)
        at = await connection.scalar(ok)
        if at is None:
            return None, now
        waiting = sa.select(sa.func.min(delivery.c.created_at)).where(
            delivery.c.system == system,
            delivery.c.stream == DECODE,
            delivery.c.key.startswith(object_key(kind, ""), autoescape=True),
        )
        undecoded = await connection.scalar(waiting)
        oldest = min(each for each in (oldest, at, undecoded) if each is not None)
    return (oldest if sources else None), now


async def products(
    connection: AsyncConnection, system: str, after: str, limit: int, since: float | None = None
) -> list[tuple[str, Mapping[str, Any]]]:
    """A page of the products of a system by id, or of those written since then: (object id, state)."""
    columns = object_.c.object_id, object_.c.state
    mine = [object_.c.system == system, object_.c.kind == "product", object_.c.object_id > after]
    if since is not None:
        mine.append(object_.c.updated_at >= since)
    rows = await connection.execute(sa.select(*columns).where(*mine).order_by(object_.c.object_id).limit(limit))
    return [(row.object_id, row.state) for row in rows]


async def products_told_since(
    connection: AsyncConnection, store: Store, systems: Sequence[str], since: float
) -> tuple[dict[str, str], float]:
    """Which products (canonical id) were told since `since`, by event id; and the horizon to ask from next.

    Nothing committed later is before that horizon; some may be seen twice.
    """
    # read before the rows are, so that none can slip between the two
    oldest = _LAST if store.is_sqlite else _OPEN.bindparams(settles=SETTLES)
    horizon = float(await connection.scalar(oldest) or 0.0)
    told = sa.select(event.c.id, event.c.subject).where(
        event.c.recorded_at >= since, event.c.type == "product.changed", event.c.source.in_(systems)
    )
    return {row.id: row.subject for row in await connection.execute(told)}, horizon


_LAST = sa.select(sa.func.max(event.c.recorded_at))
"""SQLite has one writer at a time: what is not committed yet is newer than all that is."""
_OPEN = sa.text(
    "SELECT (extract(epoch FROM least(clock_timestamp(), min(xact_start))) - :settles)::double precision"
    " FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NOT NULL"
).bindparams(sa.bindparam("settles", type_=sa.Double()))
"""PostgreSQL: since when the oldest transaction is open that has written anything."""
