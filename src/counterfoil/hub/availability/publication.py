"""What the channels were told of stock, and what they are still to be told: all SQL of the publication."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.schema import lane, object_, stock, told
from counterfoil.hub.store import Store

STREAM = "stock"


async def untold(connection: AsyncConnection, store: Store, limit: int) -> dict[str, tuple[str, float]]:
    """(SKU, seconds since) of articles that have changed since the channels were last looked at, the oldest first."""
    rows = await store.run(connection, _untold, {"most": limit})
    return {article: (sku, float(since)) for article, sku, since in rows}


def _untold(store: Store) -> sa.Select[Any]:
    since = store.now - stock.c.untold_at
    oldest = sa.select(stock.c.article, stock.c.sku, since).where(stock.c.untold_at.is_not(None))
    return oldest.order_by(stock.c.untold_at).limit(sa.bindparam("most", type_=sa.BigInteger()))


async def still_untold(connection: AsyncConnection, articles: Collection[str]) -> set[str]:
    """Those that nobody has looked at meanwhile; their rows are locked."""
    wanted = (stock.c.article.in_(sorted(articles)), stock.c.untold_at.is_not(None))
    return set((await connection.execute(sa.select(stock.c.article).where(*wanted))).scalars())


async def looked_at(connection: AsyncConnection, articles: Collection[str]) -> None:
    """Whatever is to be told of these as they are now is on its way."""
    mine = sa.update(stock).where(stock.c.article.in_(sorted(articles)))
    await connection.execute(mine.values(untold_at=None))


async def last_told(connection: AsyncConnection, articles: Collection[str]) -> dict[tuple[str, str], int]:
    """By article and channel, what it was told; nothing where it never was."""
    rows = await connection.execute(
        sa.select(told.c.article, told.c.channel, told.c.quantity).where(told.c.article.in_(sorted(articles)))
    )
    return {(article, channel): quantity for article, channel, quantity in rows}


async def keep_told(connection: AsyncConnection, store: Store, channel: str, quantities: Mapping[str, int]) -> None:
    """What the channel is told of these articles now, whose rows are locked (of a bundle: those of its parts)."""
    rows = [{"article": a, "channel": channel, "quantity": quantity} for a, quantity in sorted(quantities.items())]
    await store.each(connection, _kept, rows)


def _kept(store: Store) -> sa.Insert:
    given: dict[str, Any] = {n: sa.bindparam(n) for n in ("article", "channel", "quantity")}
    insert = store.insert(told).values(given | {"at": store.now})
    newer = {name: insert.excluded[name] for name in ("quantity", "at")}
    return insert.on_conflict_do_update(index_elements=["article", "channel"], set_=newer)  # type: ignore[no-any-return]


async def waiting(
    connection: AsyncConnection, channels: Iterable[str], articles: Collection[str]
) -> set[tuple[str, str]]:
    """(article, channel) of which something is still to be told: it will tell what is true by then."""
    here = (lane.c.system.in_(sorted(channels)), lane.c.stream == STREAM, lane.c.key.in_(sorted(articles)))
    rows = await connection.execute(sa.select(lane.c.key, lane.c.system).where(*here, lane.c.worker.is_(None)))
    return {(article, channel) for article, channel in rows}


async def hurry(connection: AsyncConnection, store: Store, wanted: Collection[tuple[str, str]]) -> None:
    """Let these (article, channel) overtake all others of their channel; what waits for its time goes on waiting."""
    for channel in sorted({channel for _, channel in wanted}):
        free = (lane.c.system == channel, lane.c.stream == STREAM, lane.c.worker.is_(None))
        first = sa.select(sa.func.min(lane.c.due_at)).where(*free).scalar_subquery()
        mine = lane.c.key.in_(sorted(article for article, at in wanted if at == channel))
        await connection.execute(sa.update(lane).where(*free, mine, lane.c.due_at <= store.now).values(due_at=first))
    await store.notify(connection)


async def known_levels(connection: AsyncConnection, system: str, after: str, limit: int) -> Sequence[tuple[str, Any]]:
    """(object id, state) of a system's stock levels, those of which no row of `stock` is there, by their ids."""
    there = sa.exists().where(stock.c.article == object_.c.canonical_id)
    wanted = (object_.c.system == system, object_.c.kind == "stock", object_.c.object_id > after, ~there)
    rows = await connection.execute(
        sa.select(object_.c.object_id, object_.c.state).where(*wanted).order_by(object_.c.object_id).limit(limit)
    )
    return [(row.object_id, row.state) for row in rows]
