"""What has changed of stock, for those who keep a copy of it: by the numbers of the transactions that wrote it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.availability.stock import COLUMNS, Row, as_row
from counterfoil.hub.schema import stock
from counterfoil.hub.store import Store


async def changed_since(
    connection: AsyncConnection, store: Store, horizon: int, limit: int = 5000
) -> tuple[list[Row], int]:
    """Rows written at `horizon` (0: ever) or later, and the horizon to ask with next. Nothing is missed; something
    may be told twice. About `limit` rows at once: what one transaction wrote is not taken apart. `horizon` comes back
    unchanged with no rows when there is nothing new; a long transaction elsewhere in PostgreSQL makes it repeat itself.
    """
    over = None  # what all transactions before have written can be seen by now
    if not store.is_sqlite:
        over = int(await connection.scalar(sa.text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")))
    values = {"horizon": horizon, "over": over or 2**62, "most": limit}
    rows = await store.run(connection, _changed_between, values)
    if len(rows) == limit:
        last = rows[-1][-1]
        rows += await store.run(connection, _rest, {"last": last, "after": rows[-1][0]})
        return [as_row(row) for row in rows], last + 1
    if over is None:
        return [as_row(row) for row in rows], rows[-1][-1] + 1 if rows else horizon
    begin = max(over, horizon)
    rows += await store.run(connection, _changed_after, {"horizon": begin})
    return [as_row(row) for row in rows], begin


def _select() -> sa.Select[Any]:
    return sa.select(*(stock.c[name] for name in COLUMNS)).order_by(stock.c.changed, stock.c.article)


def _big(name: str) -> sa.BindParameter[int]:
    return sa.bindparam(name, type_=sa.BigInteger())


def _changed_between(store: Store) -> sa.Select[Any]:
    return _select().where(stock.c.changed >= _big("horizon"), stock.c.changed < _big("over")).limit(_big("most"))


def _rest(store: Store) -> sa.Select[Any]:
    return _select().where(stock.c.changed == _big("last"), stock.c.article > sa.bindparam("after"))


def _changed_after(store: Store) -> sa.Select[Any]:
    return _select().where(stock.c.changed >= _big("horizon"))
