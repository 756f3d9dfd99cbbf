"""Stock that may be promised: what the ERP last said of each article, and what is taken of it and not yet in that.

All SQL on `stock` and `taking` is here. A row of `taking` says what a reservation holds or an order claims of an
article at a place; it is there only while the ERP's own figures lack some of it. It is made, changed and deleted under
the lock of its article's row in `stock`, whose `taken` is the sum of what is left of them, place by place. Locks are
taken in the order: object rows, stock rows by article, lanes. Quantities are whole thousandths of a unit.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.schema import stock, taking
from counterfoil.hub.store import Store, as_json

Quantities = tuple[int, int, int]
"""On hand, outgoing, incoming: `outgoing` and `incoming` are all open demand and supply."""

EVER = 1.0
"""When a reading began of which nobody knows when."""
LOOK_FOR = 3600.0
"""Seconds for which a reading is asked for of what was accepted; one that never comes (a service, say) ends that."""
_UNREAD = "sku:"
"""An article that was sold before the ERP has told of it goes by its SKU until then: `sku:MUG`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One article: its last reading (`asked_at` 0: none yet), and what is taken of it beyond that, by place."""

    article: str
    sku: str
    places: Mapping[str, Quantities]
    taken: Mapping[str, int]
    asked_at: float
    changed: int


@dataclass(frozen=True, slots=True)
class Taking:
    """What a holder (a reservation's id, an order's canonical id) takes of an article at a place ('': not said where).

    `accepted` of the units the ERP had when it was last known to have the order confirmed, at `accepted_at` by the
    store's clock; `known` of them are in its outgoing figure by a reading that began after that.
    """

    holder: str
    article: str
    place: str
    units: int
    channel: str
    accepted: int = 0
    known: int = 0
    accepted_at: float | None = None

    @property
    def left(self) -> int:
        """What counts as taken: of what the ERP's own figures hold, nothing."""
        return max(0, self.units - self.known)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the ERP says of an article. `asked_at` is the store's clock when the reading began; without one (it was
    sent to us) it moves the quantities and settles nothing."""

    article: str
    sku: str
    places: Mapping[str, Quantities]
    asked_at: float | None = None


def unread(sku: str) -> str:
    """What an article goes by that was sold before the ERP has told of it."""
    return f"{_UNREAD}{sku}"


def is_unread(article: str) -> bool:
    """Whether it only stands in for one that the ERP has not told of yet."""
    return article.startswith(_UNREAD)


# --- reading ------------------------------------------------------------------------------------------------------

_COLUMNS = ("article", "sku", "places", "taken", "asked_at", "changed")
_TAKING = ("holder", "article", "place", "units", "channel", "accepted", "known", "accepted_at")


def _row(values: Sequence[Any]) -> Row:
    article, sku, places, taken, asked_at, changed = values
    if isinstance(places, str):  # SQLite gives JSON as text
        places, taken = json.loads(places), json.loads(taken)
    return Row(article, sku, {p: tuple(q) for p, q in places.items()}, taken, asked_at, changed)


async def locked(connection: AsyncConnection, store: Store, articles: Iterable[str]) -> dict[str, Row]:
    """The rows of these articles, locked in sorted order until the transaction ends; unknown ones are absent."""
    keys = sorted(set(articles))
    if not keys:
        return {}
    return {row[0]: _row(row) for row in await store.run(connection, _locked, {"keys": store.listed(keys)})}


async def rows_of(connection: AsyncConnection, store: Store, articles: Iterable[str]) -> dict[str, Row]:
    """The rows of these articles, as they are now."""
    keys = sorted(set(articles))
    if not keys:
        return {}
    return {row[0]: _row(row) for row in await store.run(connection, _found, {"keys": store.listed(keys)})}


def _found(store: Store, lock: bool = False) -> sa.Select[Any]:
    columns, keys = [stock.c[name] for name in _COLUMNS], store.keys()
    if store.is_sqlite:
        return sa.select(*columns).where(store.any_of(stock.c.article, "keys"))
    one = sa.select(*columns).where(stock.c.article == keys.c.value)  # each by itself: in the order of the keys
    found = (one.with_for_update() if lock else one.offset(sa.literal_column("0"))).lateral("l")
    return sa.select(found).select_from(keys.join(found, sa.true()))


def _locked(store: Store) -> sa.Select[Any]:
    return _found(store, lock=True)


async def by_sku(connection: AsyncConnection, skus: Collection[str]) -> dict[str, str]:
    """The article of each SKU; unknown ones are absent."""
    if not skus:
        return {}
    wanted = sorted(set(skus))
    here: sa.ColumnElement[bool] = stock.c.sku.in_(wanted)
    if connection.dialect.name == "postgresql":  # one statement to be prepared, however many they are
        here = stock.c.sku == sa.func.any(sa.bindparam("skus", wanted, type_=postgresql.ARRAY(sa.Text())))
    found = await connection.execute(sa.select(stock.c.sku, stock.c.article).where(here))
    # of two articles with one SKU always the same, and one that the ERP knows before one that it does not
    rows = sorted(found, key=lambda row: (row.article.startswith(_UNREAD), row.article), reverse=True)
    return {row.sku: row.article for row in rows}


async def takings(connection: AsyncConnection, store: Store, holders: Iterable[str]) -> list[Taking]:
    """What these holders take. Whoever changes it asks again under the locks of the articles."""
    keys = sorted(set(holders))
    rows = await store.run(connection, _of_holders, {"keys": store.listed(keys)}) if keys else []
    return [Taking(*row) for row in rows]


def _of_holders(store: Store) -> sa.Select[Any]:
    columns = [taking.c[name] for name in _TAKING]
    return sa.select(*columns).where(store.any_of(taking.c.holder, "keys")).order_by(*columns[:3])


async def takings_of(connection: AsyncConnection, store: Store, articles: Iterable[str]) -> list[Taking]:
    """What is taken of these articles, by whom."""
    keys = sorted(set(articles))
    rows = await store.run(connection, _of_articles, {"keys": store.listed(keys)}) if keys else []
    return [Taking(*row) for row in rows]


def _of_articles(store: Store) -> sa.Select[Any]:
    columns = [taking.c[name] for name in _TAKING]
    return sa.select(*columns).where(store.any_of(taking.c.article, "keys")).order_by(*columns[:3])


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
        return [_row(row) for row in rows], last + 1
    if over is None:
        return [_row(row) for row in rows], rows[-1][-1] + 1 if rows else horizon
    begin = max(over, horizon)
    rows += await store.run(connection, _changed_after, {"horizon": begin})
    return [_row(row) for row in rows], begin


def _select() -> sa.Select[Any]:
    return sa.select(*(stock.c[name] for name in _COLUMNS)).order_by(stock.c.changed, stock.c.article)


def _big(name: str) -> sa.BindParameter[int]:
    return sa.bindparam(name, type_=sa.BigInteger())


def _changed_between(store: Store) -> sa.Select[Any]:
    return _select().where(stock.c.changed >= _big("horizon"), stock.c.changed < _big("over")).limit(_big("most"))


def _rest(store: Store) -> sa.Select[Any]:
    return _select().where(stock.c.changed == _big("last"), stock.c.article > sa.bindparam("after"))


def _changed_after(store: Store) -> sa.Select[Any]:
    return _select().where(stock.c.changed >= _big("horizon"))


# --- writing ------------------------------------------------------------------------------------------------------


async def known_as(connection: AsyncConnection, store: Store, skus: Collection[str]) -> dict[str, str]:
    """The article of each SKU; of one that the ERP has not told of a row is made that stands in until it does."""
    found = await by_sku(connection, skus)
    new = {unread(sku): sku for sku in skus if sku not in found}
    if not new:
        return found
    await _make(connection, store, new)
    # a reading that has just made the article has made this row before us, and taken it away (_adopt)
    found = await by_sku(connection, skus)
    if idle := [standin for standin, sku in new.items() if found[sku] != standin]:
        await connection.execute(sa.delete(stock).where(stock.c.article.in_(idle)))
    return found


async def take(
    connection: AsyncConnection, store: Store, rows: Mapping[str, Row], taken: Sequence[Taking]
) -> dict[str, Row]:
    """Take what is asked, of articles whose rows are locked, on top of what these holders have; the rows as they are
    then. Nothing is refused here, also not below zero."""
    written = [_values(each) for each in sorted(taken, key=_key)]
    await store.each(connection, _raised, written)
    more: dict[tuple[str, str], int] = defaultdict(int)
    for each in taken:
        more[each.article, each.place] += each.units
    return await _moved(connection, store, rows, more)


async def put(
    connection: AsyncConnection,
    store: Store,
    rows: Mapping[str, Row],
    before: Sequence[Taking],
    after: Sequence[Taking],
) -> dict[str, Row]:
    """Bring the takings `before` (of each holder and article all that stand, of articles whose rows are locked) to be
    `after`; the rows that changed. Once the ERP's figures have all that a holder takes of an article, none is kept:
    while one is, the units of them all are what the holder takes."""
    kept = {(t.holder, t.article) for t in after if t.left}
    old, new = {_key(t): t for t in before}, {_key(t): t for t in after if t.units and (t.holder, t.article) in kept}
    await store.each(connection, _gone, [_bound(t) for key, t in sorted(old.items()) if key not in new])
    await store.each(connection, _set, [_values(t) for key, t in sorted(new.items()) if old.get(key) != t])
    more: dict[tuple[str, str], int] = defaultdict(int)
    for sign, those in ((-1, old), (1, new)):
        for each in those.values():
            more[each.article, each.place] += sign * each.left
    return await _moved(connection, store, rows, more)


async def give_back(connection: AsyncConnection, store: Store, holders: Collection[str]) -> dict[str, Row]:
    """Take nothing any more for these holders; the rows that changed. Again is nothing."""
    rows, mine = await _held(connection, store, holders)
    return await put(connection, store, rows, mine, [])


async def hand_over(connection: AsyncConnection, store: Store, from_holder: str, to_holder: str, channel: str) -> None:
    """What the one holds is the other's from now on, added to what it has there."""
    rows, mine = await _held(connection, store, [from_holder, to_holder])
    after = {(t.article, t.place): t for t in mine if t.holder == to_holder}
    for each in (t for t in mine if t.holder == from_holder):
        there = after.get((each.article, each.place))
        units = each.units + (there.units if there else 0)
        after[each.article, each.place] = replace(there or each, holder=to_holder, channel=channel, units=units)
    await put(connection, store, rows, mine, list(after.values()))


async def _held(
    connection: AsyncConnection, store: Store, holders: Collection[str]
) -> tuple[dict[str, Row], list[Taking]]:
    """What the holders take, under the locks of its articles."""
    rows: dict[str, Row] = {}
    return rows, await locked_takings(connection, store, holders, rows)


async def locked_takings(
    connection: AsyncConnection, store: Store, holders: Collection[str], rows: dict[str, Row]
) -> list[Taking]:
    """What the holders take, the rows of its articles locked and added to `rows`. While we waited for a lock, what was
    taken under a SKU alone may have become an article's."""
    while True:
        mine = await takings(connection, store, holders)
        missing = {t.article for t in mine} - rows.keys()
        if not missing:
            return mine
        rows |= await locked(connection, store, missing)


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
    return moved | await _settle(connection, store, rows | now)


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
    return await _settle(connection, store, read)


def _open(store: Store) -> sa.Select[Any]:
    mine = (store.any_of(taking.c.article, "keys"), taking.c.accepted_at.is_not(None))
    return sa.select(taking.c.article).where(*mine).distinct()


async def _settle(connection: AsyncConnection, store: Store, rows: Mapping[str, Row]) -> dict[str, Row]:
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
    await _make(connection, store, dict(new) | {standin: new[article] for standin, article in at.items()})
    rows = await locked(connection, store, {*articles, *at})
    before = await takings_of(connection, store, at)
    rows |= await put(connection, store, rows, before, [replace(t, article=at[t.article]) for t in before])
    await connection.execute(sa.delete(stock).where(stock.c.article.in_(sorted(at))))
    return {article: row for article, row in rows.items() if article not in at}


async def _make(connection: AsyncConnection, store: Store, new: Mapping[str, str]) -> None:
    """Rows of which nothing is known; somebody else may be making them at this moment."""
    await store.each(connection, _new, [{"article": a, "sku": sku} for a, sku in sorted(new.items())])


async def _moved(
    connection: AsyncConnection, store: Store, rows: Mapping[str, Row], more: Mapping[tuple[str, str], int]
) -> dict[str, Row]:
    """Write what is taken by so much more or less, by (article, place); the rows that changed."""
    taken: dict[str, dict[str, int]] = {}
    for (article, place), units in more.items():
        if units:
            mine = taken.setdefault(article, dict(rows[article].taken))
            mine[place] = mine.get(place, 0) + units
    changed = {a: replace(rows[a], taken={p: u for p, u in places.items() if u}) for a, places in taken.items()}
    values = [{"b_article": a, "taken": as_json(row.taken)} for a, row in sorted(changed.items())]
    await store.each(connection, _taken, values)
    return changed


def _told(row: Row) -> dict[str, Any]:
    return {"b_article": row.article, "sku": row.sku, "places": as_json(row.places), "asked_at": row.asked_at}


def _key(each: Taking) -> tuple[str, str, str]:
    return (each.holder, each.article, each.place)


def _values(each: Taking) -> dict[str, Any]:
    return {name: getattr(each, name) for name in _TAKING}


def _bound(each: Taking) -> dict[str, Any]:
    return {f"b_{name}": getattr(each, name) for name in ("holder", "article", "place")}


def _written(store: Store) -> Any:
    return store.insert(taking).values({n: sa.bindparam(n) for n in _TAKING} | {"since": store.now})


def _raised(store: Store) -> sa.Insert:
    insert = _written(store)
    units = {"units": taking.c.units + insert.excluded.units}
    return insert.on_conflict_do_update(index_elements=["holder", "article", "place"], set_=units)  # type: ignore[no-any-return]


def _set(store: Store) -> sa.Insert:
    insert = _written(store)
    newer = {name: insert.excluded[name] for name in _TAKING[3:]}
    return insert.on_conflict_do_update(index_elements=["holder", "article", "place"], set_=newer)  # type: ignore[no-any-return]


def _gone(store: Store) -> sa.Delete:
    return sa.delete(taking).where(*(taking.c[n] == sa.bindparam(f"b_{n}") for n in ("holder", "article", "place")))


def _transaction(store: Store) -> sa.ColumnElement[int]:
    """The number of this transaction, for those who follow what has changed."""
    if store.is_sqlite:
        return sa.literal_column("(SELECT 1 + coalesce(max(changed), 0) FROM stock)", sa.BigInteger())
    return sa.literal_column("pg_current_xact_id()::text::bigint", sa.BigInteger())


def _new(store: Store) -> sa.Insert:
    nothing: Any = sa.literal_column("'{}'")
    given: dict[str, Any] = {n: sa.bindparam(n) for n in ("article", "sku")}
    given |= {"places": nothing, "taken": nothing, "asked_at": sa.literal_column("0"), "changed": _transaction(store)}
    return store.insert(stock).values(given).on_conflict_do_nothing()  # type: ignore[no-any-return]


def _news(store: Store) -> dict[str, Any]:
    return {"changed": _transaction(store), "untold_at": sa.func.coalesce(stock.c.untold_at, store.now)}


def _update() -> sa.Update:
    return sa.update(stock).where(stock.c.article == sa.bindparam("b_article"))


def _taken(store: Store) -> sa.Update:
    return _update().values(taken=sa.bindparam("taken"), **_news(store))


def _read(store: Store) -> sa.Update:
    named: dict[str, Any] = {n: sa.bindparam(n) for n in ("sku", "places", "asked_at")}
    return _update().values(named | _news(store))


def _asked(store: Store) -> sa.Update:
    return _update().values(asked_at=sa.bindparam("asked_at"))


# --- judging ------------------------------------------------------------------------------------------------------


async def verify(connection: AsyncConnection, store: Store) -> list[str]:
    """The articles whose `taken` is not the sum of what is left of their takings; none, if all is well."""
    sums: dict[str, dict[str, int]] = defaultdict(dict)
    left = sa.func.sum(sa.case((taking.c.units > taking.c.known, taking.c.units - taking.c.known), else_=0))
    for article, place, units in await connection.execute(
        sa.select(taking.c.article, taking.c.place, left).group_by(taking.c.article, taking.c.place)
    ):
        if units:
            sums[article][place] = int(units)
    said = {row.article: row.taken for row in await connection.execute(sa.select(stock.c.article, stock.c.taken))}
    return sorted(article for article in sums.keys() | said.keys() if sums.get(article, {}) != said.get(article, {}))
