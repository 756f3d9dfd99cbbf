"""What the ERP says of stock, kept; and what it counts itself by now of what is taken (stock.py), which ends there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.availability.stock import (
    Quantities,
    Row,
    Taking,
    locked,
    make,
    news,
    put,
    takings_of,
    unread,
    update,
)
from counterfoil.hub.schema import stock, taking
from counterfoil.hub.store import Store, as_json

EVER = 1.0
"""When a reading began of which nobody knows when."""
LOOK_FOR = 3600.0
"""Seconds for which a reading is asked for of what was accepted; one that never comes (a service, say) ends that."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the ERP says of an article. `asked_at` is the store's clock when the reading began; without one (it was
    sent to us) it moves the quantities and settles nothing."""

    article: str
    sku: str
    places: Mapping[str, Quantities]
    asked_at: float | None = None


async def keep_readings(connection: AsyncConnection, store: Store, readings: Sequence[Reading]) -> dict[str, Row]:
    """Keep what the ERP says, and end what it now counts itself; the rows whose figures changed.

    A reading that began before the one that is known changes nothing. A taking that the ERP accepted before the
    reading began is in its outgoing figure: what it accepted of it counts as taken no more.
    """
    newest = {reading.article: reading for reading in readings}
    rows = await locked(connection, store, newest)
    new = {a: r.sku for a, r in newest.items() if a not in rows or rows[a].sku != r.sku}
    if new:
        rows = await _adopt(connection, store, newest, new)
    now: dict[str, Row] = {}
    for article, row in rows.items():
        reading = newest[article]
        asked_at = row.asked_at or EVER if reading.asked_at is None else reading.asked_at
        if asked_at >= row.asked_at:
            now[article] = replace(row, sku=reading.sku, places=dict(reading.places), asked_at=asked_at)
    moved = {a: r for a, r in now.items() if (r.sku, r.places) != (rows[a].sku, rows[a].places)}
    await store.each(connection, _read, [_told(r) for a, r in now.items() if a in moved])
    await store.each(connection, _asked, [_told(r) for a, r in now.items() if a not in moved and r != rows[a]])
    return moved | await _end(connection, store, rows | now)


async def unsettled(connection: AsyncConnection, store: Store) -> list[str]:
    """The articles of which the ERP has accepted something, lately, that no reading is known to hold."""
    lately = taking.c.accepted_at > store.now - sa.literal(LOOK_FOR, sa.Double())
    return sorted((await connection.execute(sa.select(taking.c.article).where(lately).distinct())).scalars())


async def settle(connection: AsyncConnection, store: Store, asked: Mapping[str, float]) -> dict[str, Row]:
    """Articles were read again from these moments on and stand as they are known; the rows where that ended something.

    One for which nothing is taken, or of which nothing is known, is left alone, whatever was asked.
    """
    wanted = await store.run(connection, _open, {"keys": store.listed(sorted(asked))}) if asked else []
    rows = await locked(connection, store, [article for (article,) in wanted])
    read = {a: replace(row, asked_at=max(row.asked_at, asked[a])) for a, row in rows.items() if row.asked_at}
    await store.each(connection, _asked, [_told(row) for row in read.values()])
    return await _end(connection, store, read)


def _open(store: Store) -> sa.Select[Any]:
    mine = (store.any_of(taking.c.article, "keys"), taking.c.accepted_at.is_not(None))
    return sa.select(taking.c.article).where(*mine).distinct()


async def _end(connection: AsyncConnection, store: Store, rows: Mapping[str, Row]) -> dict[str, Row]:
    """End what the readings of these locked rows hold."""
    before = await takings_of(connection, store, [article for article, row in rows.items() if row.taken])
    after = [settled(t, rows[t.article].asked_at) for t in before]
    return await put(connection, store, rows, before, after)


def settled(each: Taking, asked_at: float) -> Taking:
    """As it counts beside a reading that began then: what the ERP had accepted before is in its outgoing figure."""
    if each.accepted_at is None or each.accepted_at >= asked_at:
        return each
    return replace(each, known=each.accepted, accepted_at=None)


async def _adopt(
    connection: AsyncConnection, store: Store, articles: Iterable[str], new: Mapping[str, str]
) -> dict[str, Row]:
    """The locked rows of these articles, of which the `new` ones take over what was taken under their SKU alone.

    Who claims a SKU that is not known makes a row for it too (known_as): one of the two waits for the other there.
    """
    at = {unread(sku): article for article, sku in sorted(new.items(), reverse=True) if sku}
    await make(connection, store, dict(new) | {standin: new[article] for standin, article in at.items()})
    rows = await locked(connection, store, {*articles, *at})
    before = await takings_of(connection, store, at)
    rows |= await put(connection, store, rows, before, [replace(t, article=at[t.article]) for t in before])
    await connection.execute(sa.delete(stock).where(stock.c.article.in_(sorted(at))))
    return {article: row for article, row in rows.items() if article not in at}


def _told(row: Row) -> dict[str, Any]:
    return {"b_article": row.article, "sku": row.sku, "places": as_json(row.places), "asked_at": row.asked_at}


def _read(store: Store) -> sa.Update:
    named: dict[str, Any] = {n: sa.bindparam(n) for n in ("sku", "places", "asked_at")}
    return update().values(named | news(store))


def _asked(store: Store) -> sa.Update:
    return update().values(asked_at=sa.bindparam("asked_at"))
