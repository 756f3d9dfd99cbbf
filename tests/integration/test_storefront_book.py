"""The storefront's book in memory: it says what the store says, whatever happens there, in whatever order."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.conftest import ON_POSTGRESQL
from tests.fakes import ERP, SHOP, blueprint

from counterfoil.doors.storefront import following
from counterfoil.doors.storefront.book import Book
from counterfoil.doors.storefront.following import Follower
from counterfoil.hub import records, schema
from counterfoil.hub.availability import stock
from counterfoil.hub.availability.readings import Reading, keep_readings
from counterfoil.hub.availability.stock import Taking
from counterfoil.hub.records import Known
from counterfoil.hub.store import Store
from counterfoil.hub.storefront import looking
from counterfoil.processes.changes import changed
from counterfoil.processes.stock import Rules
from counterfoil.retail.availability import UNIT, Article, Stand
from counterfoil.retail.events import at_utc
from counterfoil.retail.product import Product, Variant

SKUS = ["A", "B", "C", "SET"]
STOCK = """\
stock:
  safety: [{units: 1}, {category: Toys, units: 2}]
  bundles: {SET: {A: 2, B: 1}}
  stale_after: 10m
"""


def a_book() -> Book:
    return Book(Rules(blueprint(more=STOCK)))


def a_follower(store: Store, book: Book) -> Follower:
    return Follower(store, book, [(ERP, "stock")])


def reading(number: int, sku: str, at: float = 1.0, **units: int) -> Reading:
    return Reading(f"erp:variant:{number}", sku, {place: (n * UNIT, 0, 0) for place, n in units.items()}, at)


async def read(store: Store, *readings: Reading) -> None:
    async with store.write() as connection:
        await keep_readings(connection, store, readings)


async def take(store: Store, holder: str, sku: str, units: int) -> None:
    async with store.write() as connection:
        article = (await stock.known_as(connection, store, [sku]))[sku]
        rows = await stock.locked(connection, store, [article])
        await stock.take(connection, store, rows, [Taking(holder, article, "", units * UNIT, SHOP)])


def a_product(number: int, sku: str, category: str = "Toys", sellable: bool = True) -> Product:
    variant = Variant(id=str(number), sku=sku)
    return Product(
        system=ERP, id=str(number), name="Bear", category=(category,), sellable=sellable, variants=(variant,)
    )


async def tell(connection: AsyncConnection, store: Store, product: Product, stage: int, quietly: bool = False) -> None:
    """The product's object, and unless it is an import, its event."""
    known = Known("", "", product.model_dump(mode="json"), "1")
    objects = {(ERP, "product", product.id): (known, product.canonical_id)}
    await records.keep_objects(connection, store, objects)
    if not quietly:
        event = changed(ERP, "product", product, at_utc(1e9), (str(stage),))
        await records.keep_events(connection, store, [event])


async def truth(store: Store, book: Book, products: Mapping[str, Product], sku: str) -> int | None:
    """The number by the store alone; of articles whose product is not sold, none."""
    async with store.read() as connection:
        articles = await stock.by_sku(connection, ["A", "B", "C"])
        rows = await stock.rows_of(connection, store, articles.values())

    def find(wanted: str) -> tuple[Article, list[Stand]] | None:
        if wanted not in articles:
            return None
        row, product = rows[articles[wanted]], products.get(wanted)
        places = {p: (*row.places.get(p, (0, 0, 0)), row.taken.get(p, 0)) for p in {*row.places, *row.taken}}
        category = product.category if product else ()
        return Article(wanted, category), [(place, *numbers) for place, numbers in places.items()]

    if sku in products and not products[sku].sellable:
        return 0
    return book.rules.answer(SHOP, sku, find).units if sku in articles or sku in products or sku == "SET" else None


READ = st.tuples(
    st.just("read"), st.integers(1, 3), st.sampled_from(["A", "B", "C"]), st.integers(0, 9), st.integers(0, 9)
)
TAKE = st.tuples(st.just("take"), st.sampled_from(["r1", "r2"]), st.sampled_from(["A", "B", "C"]), st.integers(1, 4))
END = st.tuples(st.just("give back"), st.sampled_from(["r1", "r2"]))
TELL = st.tuples(
    st.just("tell"), st.sampled_from(["A", "B"]), st.sampled_from(["Toys", "Home"]), st.booleans(), st.booleans()
)
LOOK = st.tuples(st.just("look"))
ACTS = st.lists(st.one_of(READ, READ, TAKE, TAKE, END, TELL, LOOK), min_size=3, max_size=15)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
async def test_the_book_says_what_the_store_says(
    store: Store,
    another_store: Callable[[], Awaitable[Store]],
    monkeypatch: pytest.MonkeyPatch,
    acts: list[tuple[Any, ...]],
) -> None:
    """Readings, SKUs that move, takings, products, imports, looked at in between or not: the numbers of a book that
    follows from another process, and of one that starts now, are the store's own."""
    monkeypatch.setattr(following, "WALK_EVERY", -1.0)
    async with store.write() as connection:
        for table in (schema.stock, schema.taking, schema.object_, schema.event, schema.event_ref):
            await connection.execute(table.delete())
    book, other = a_book(), await another_store()
    follower = a_follower(other, book)
    await follower.load()
    shelf, products, asked = book.shelf(SHOP), dict[str, Product](), 1.0
    for number, (act, *rest) in enumerate(acts):
        match act:
            case "read":
                article, sku, here, there = rest
                asked += 1
                await read(store, reading(article, sku, asked, WH=here, S1=there))
            case "take":
                await take(store, *rest)
            case "give back":
                async with store.write() as connection:
                    await stock.give_back(connection, store, rest)
            case "tell":
                sku, category, sellable, quietly = rest
                products[sku] = a_product(10 + SKUS.index(sku), sku, category, sellable)
                async with store.write() as connection:
                    await tell(connection, store, products[sku], number, quietly)
            case _:
                await follower.look()
                shelf.end()
                for sku in SKUS:
                    shelf.entry(sku)
    await follower.look()
    fresh = a_book()
    await a_follower(other, fresh).load()
    for sku in SKUS:
        number_there = await truth(store, book, products, sku)
        for each in (book, fresh):
            answer = each.answer(SHOP, sku)
            assert (answer.units if answer else None) == number_there, sku
        shelf.end()
        entry = shelf.entry(sku)
        assert (json.loads(entry[0] + b"}")["quantity"] if entry else None) == number_there, sku


@ON_POSTGRESQL
async def test_what_is_committed_late_is_not_missed(
    store: Store, another_store: Callable[[], Awaitable[Store]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction with a lower number and an earlier time commits after a later one has been seen."""
    monkeypatch.setattr(looking, "SETTLES", 0.0)
    monkeypatch.setattr(following, "PRODUCTS_EVERY", -1.0)
    book, other = a_book(), await another_store()
    follower = a_follower(other, book)
    await follower.load()
    async with store.write() as slow:
        await keep_readings(slow, store, [reading(1, "A", WH=5)])
        await tell(slow, store, a_product(1, "A"), 1)
        async with other.write() as quick:
            await keep_readings(quick, other, [reading(2, "B", WH=7)])
            await tell(quick, other, a_product(2, "B"), 2)
        for _ in range(2):
            await follower.look()
        assert (book.known("A"), book.product("B") is not None) == (False, True)
    await follower.look()
    assert book.article("A") == "erp:variant:1"
    product = book.product("A")
    assert product is not None
    assert product.id == "1"


async def test_what_stood_in_for_an_article_is_forgotten_when_the_erp_tells_of_it(store: Store) -> None:
    """Sold before Odoo told of it: the taking goes over to the article, and is counted once."""
    book = a_book()
    follower = a_follower(store, book)
    await take(store, "o1", "A", 2)
    await follower.load()
    assert book.stands("A") == [("", 0, 0, 0, 2 * UNIT)]
    await read(store, reading(1, "A", WH=9))
    await follower.look()
    assert (book.article("A"), sorted(book.stands("A"))) == (
        "erp:variant:1",
        [("", 0, 0, 0, 2 * UNIT), ("WH", 9 * UNIT, 0, 0, 0)],
    )
    await read(store, reading(1, "B", at=2.0, WH=9))
    await follower.look()
    assert (book.known("A"), book.article("B")) == (False, "erp:variant:1")


async def test_how_old_it_is_counts_from_the_last_good_look_and_from_what_waits(store: Store) -> None:
    """As of: the last poll that worked; a reading that has arrived and is not decoded yet holds it back."""
    book = a_book()
    follower = a_follower(store, book)
    await follower.load()
    assert (book.freshness().as_of, book.freshness().stale) == (None, True)
    async with store.write() as connection:
        now = await store.clock(connection)
        polled = {"system": ERP, "feed": "stock", "value": {}, "next_at": 0.0, "ok_at": now - 90}
        await connection.execute(schema.cursor.insert().values(polled))
    await follower.look()
    fresh = book.freshness()
    assert fresh.as_of == at_utc(now - 90)
    assert (fresh.age_seconds or 0) >= 90
    assert not fresh.stale
    async with store.write() as connection:
        waits = {
            "system": ERP,
            "stream": "decode",
            "key": "stock:7",
            "operation": "decode",
            "subject": "",
            "attempt": 0,
        }
        waits |= {"created_at": now - 3600, "on_exception": "pass"}
        await connection.execute(schema.delivery.insert().values(waits))
    await follower.look()
    assert (book.freshness().as_of, book.freshness().stale) == (at_utc(now - 3600), True)
