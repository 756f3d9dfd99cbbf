"""Stock that may be promised: what the ERP last said of each article, and what is taken of it and not yet in that.

SQL on `stock` and `taking` is here, in readings.py (the ERP's figures) and in following.py (what has changed); what
the channels were told is publication.py's. A row of `taking` says what a reservation holds or an order claims of an
article at a place; it is there only while the ERP's own figures lack some of it. It is made, changed and deleted under
the lock of its article's row in `stock`, whose `taken` is the sum of what is left of them, place by place. Locks are
taken in the order: object rows, stock rows by article, lanes. Quantities are whole thousandths of a unit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.schema import stock, taking
from counterfoil.hub.store import Store, as_json, from_json

Quantities = tuple[int, int, int]
"""On hand, outgoing, incoming: `outgoing` and `incoming` are all open demand and supply."""

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


def unread(sku: str) -> str:
    """What an article goes by that was sold before the ERP has told of it."""
    return f"{_UNREAD}{sku}"


def is_unread(article: str) -> bool:
    """Whether it only stands in for one that the ERP has not told of yet."""
    return article.startswith(_UNREAD)


# --- reading ------------------------------------------------------------------------------------------------------

COLUMNS = ("article", "sku", "places", "taken", "asked_at", "changed")
_TAKING = ("holder", "article", "place", "units", "channel", "accepted", "known", "accepted_at")


def as_row(values: Sequence[Any]) -> Row:
    """From the values of COLUMNS."""
    article, sku, places, taken, asked_at, changed = values
    told = {place: tuple(quantities) for place, quantities in from_json(places).items()}
    return Row(article, sku, told, from_json(taken), asked_at, changed)


async def locked(connection: AsyncConnection, store: Store, articles: Iterable[str]) -> dict[str, Row]:
    """The rows of these articles, locked in sorted order until the transaction ends; unknown ones are absent."""
    return {row[0]: as_row(row) for row in await _by_keys(connection, store, _locked, articles)}


async def rows_of(connection: AsyncConnection, store: Store, articles: Iterable[str]) -> dict[str, Row]:
    """The rows of these articles, as they are now."""
    return {row[0]: as_row(row) for row in await _by_keys(connection, store, _found, articles)}


async def _by_keys(
    connection: AsyncConnection, store: Store, build: Callable[[Store], sa.Select[Any]], keys: Iterable[str]
) -> list[Sequence[Any]]:
    wanted = sorted(set(keys))
    return await store.run(connection, build, {"keys": store.listed(wanted)}) if wanted else []


def _found(store: Store, lock: bool = False) -> sa.Select[Any]:
    columns, keys = [stock.c[name] for name in COLUMNS], store.keys()
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
    return [Taking(*row) for row in await _by_keys(connection, store, _of_holders, holders)]


def _of_holders(store: Store) -> sa.Select[Any]:
    columns = [taking.c[name] for name in _TAKING]
    return sa.select(*columns).where(store.any_of(taking.c.holder, "keys")).order_by(*columns[:3])


async def takings_of(connection: AsyncConnection, store: Store, articles: Iterable[str]) -> list[Taking]:
    """What is taken of these articles, by whom."""
    return [Taking(*row) for row in await _by_keys(connection, store, _of_articles, articles)]


def _of_articles(store: Store) -> sa.Select[Any]:
    columns = [taking.c[name] for name in _TAKING]
    return sa.select(*columns).where(store.any_of(taking.c.article, "keys")).order_by(*columns[:3])


# --- writing ------------------------------------------------------------------------------------------------------


async def known_as(connection: AsyncConnection, store: Store, skus: Collection[str]) -> dict[str, str]:
    """The article of each SKU; of one that the ERP has not told of a row is made that stands in until it does."""
    found = await by_sku(connection, skus)
    new = {unread(sku): sku for sku in skus if sku not in found}
    if not new:
        return found
    await make(connection, store, new)
    # a reading that has just made the article has made this row before us, and taken it away (readings.py)
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


async def make(connection: AsyncConnection, store: Store, new: Mapping[str, str]) -> None:
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


def news(store: Store) -> dict[str, Any]:
    """What is written with every change, for those who follow them and those who tell the channels."""
    return {"changed": _transaction(store), "untold_at": sa.func.coalesce(stock.c.untold_at, store.now)}


def update() -> sa.Update:
    """Of the row of the article that the parameter `b_article` names."""
    return sa.update(stock).where(stock.c.article == sa.bindparam("b_article"))


def _taken(store: Store) -> sa.Update:
    return update().values(taken=sa.bindparam("taken"), **news(store))


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
