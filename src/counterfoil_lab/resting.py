"""When has a hub come to rest? Its feeds have looked since the last change, and nothing is due or in flight."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from counterfoil.hub.contract import Connector
from counterfoil.hub.lanes import DECODE
from counterfoil.hub.schema import cursor, delivery_log, reservation, stock, taking
from counterfoil.hub.store import Store
from counterfoil.hub.worker import idle

Feeds = frozenset[tuple[str, str]]

SOON = 10.0
"""Seconds within which a hold that ends is waited for."""


def feeds_of(connectors: Mapping[str, Connector], slowest: float) -> Feeds:
    """The feeds (system, name) that look at least every `slowest` seconds."""
    return frozenset((name, feed.name) for name, c in connectors.items() for feed in c.feeds if feed.every <= slowest)


async def at_rest(store: Store, feeds: Feeds, changed: float) -> bool:
    """Whether all these feeds have looked after `changed` (seconds since the epoch) and the lanes are empty or held.

    What the hub did last is a change too: the other system's feed may have something to say about it. No hold on stock
    ends soon, what the ERP has accepted has been read again, and the channels have been told.
    """
    did = sa.select(delivery_log.c.ended_at).where(delivery_log.c.operation != DECODE)
    async with store.read() as connection:
        done = await connection.scalar(did.order_by(delivery_log.c.id.desc()).limit(1))
        rows = await connection.execute(sa.select(cursor.c.system, cursor.c.feed, cursor.c.ok_at))
        accepted = sa.and_(taking.c.accepted_at.is_not(None), taking.c.article == stock.c.article, stock.c.asked_at > 0)
        moving = sa.or_(
            sa.exists().where(reservation.c.ended_at.is_(None), reservation.c.expires_at < store.now + SOON),
            sa.exists().where(stock.c.untold_at.is_not(None)),
            sa.exists().where(accepted),
        )
        if await connection.scalar(sa.select(moving)):
            return False
    looked = {(r.system, r.feed): r.ok_at or 0.0 for r in rows}
    changed = max(changed, done or 0.0)
    return all(looked.get(feed, 0.0) > changed for feed in feeds) and await idle(store)
