"""Where the rows of an audit come from: orders, stock, prices and customers of a shop beside those of its ERP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, TypeVar, cast

from counterfoil.blueprint import Blueprint
from counterfoil.hub import mending
from counterfoil.hub.availability import stock
from counterfoil.hub.availability.articles import Articles
from counterfoil.hub.availability.readings import settled
from counterfoil.hub.contract import Connector
from counterfoil.hub.facts import HasShelf, HoldsOrders, ListsOrders, ListsProducts, ListsStock, Shelf
from counterfoil.hub.linking import HasPeople
from counterfoil.hub.storefront import trials
from counterfoil.processes.stock import Rules
from counterfoil.retail.availability import UNIT, Article
from counterfoil.retail.bundles import explode
from counterfoil.retail.events import hashed_ref
from counterfoil.retail.listing import Channel
from counterfoil.retail.party import normal_email
from counterfoil.retail.product import Product, StockLevel, variant_id
from counterfoil.watch.drift import Row
from counterfoil.watch.drift_house import House, Source
from counterfoil.watch.drift_rows import Pair, customer_row, order_row, others_row, price_rows, stock_row

WHAT = ("orders", "stock", "prices", "customers")
"""What can be compared."""
_FLOW = {"orders": "order.placed", "stock": "stock.changed", "prices": "product.changed", "customers": "order.placed"}
_PAGE = 500

T = TypeVar("T")


class Orders(Source):
    """A shop's orders placed in [since, until), and the ERP's of the same days that the shop did not list."""

    what, kinds = "orders", ("order", "fulfilment")

    def __init__(self, house: House, pair: Pair, since: datetime, until: datetime) -> None:
        super().__init__(house, pair)
        self.since, self.until = since, until
        self.shop = cast(ListsOrders, house.made[pair.shop])
        self.erp = cast(HoldsOrders, house.made[pair.erp])

    async def pages(self) -> AsyncIterator[list[Row]]:
        """The shop's list first; what only the ERP has is asked for at the shop by its number. Raises Failure."""
        async for page in self.house.pages(self.pair.shop, self.shop.list_orders(self.since, self.until)):
            new = self.new([order.id for order in page])
            there = {order.id: order for order in page if order.id in new}
            held = {order.id: order for order in await self._held(list(there))}
            tried = await self._tried(there)
            yield [order_row(self.pair, order, held.get(id_), id_ in tried) for id_, order in there.items()]
        listing = self.erp.list_held(self.pair.shop, self.since, self.until)
        async for page in self.house.pages(self.pair.erp, listing):
            new = self.new([order.id for order in page])
            rest = {order.id: order for order in page if order.id in new}
            there = {order.id: order for order in await self._there(list(rest))}
            # confirming dates the ERP's order anew: one placed before the span may be dated in it
            inside = [id_ for id_ in rest if id_ not in there or self.since <= there[id_].placed_at < self.until]
            tried = await self._tried(inside)
            yield [order_row(self.pair, there.get(id_), rest[id_], id_ in tried) for id_ in inside]

    async def again(self, rows: Sequence[Row]) -> list[Row]:
        """Both sides by number; an order that is gone from both counts for nothing. Raises Failure."""
        ids = [row.key for row in rows]
        there = {order.id: order for order in await self._there(ids)}
        held = {order.id: order for order in await self._held(ids)}
        tried = await self._tried(ids)
        return [
            order_row(self.pair, there.get(id_), held.get(id_), id_ in tried)
            if id_ in there or id_ in held
            else Row(self.what, id_, row.label, {}, {}, "not there", "not there")
            for id_, row in zip(ids, rows, strict=True)
        ]

    async def _tried(self, ids: Iterable[str]) -> set[str]:
        """Those that are trials, and not given up."""
        async with self.house.store.read() as connection:
            return {id_ for id_, row in (await trials.of(connection, ids)).items() if row.state != trials.CLOSED}

    async def _there(self, ids: Sequence[str]) -> Sequence[Any]:
        if not ids:
            return []
        async with self.house.turn(self.pair.shop):
            return await self.shop.orders_now(ids)

    async def _held(self, ids: Sequence[str]) -> Sequence[Any]:
        if not ids:
            return []
        async with self.house.turn(self.pair.erp):
            return await self.erp.held_now(ids)


class _Articles(Source):
    """What is compared article by article."""

    def __init__(self, house: House, pair: Pair) -> None:
        super().__init__(house, pair)
        self.shop = cast(HasShelf, house.made[pair.shop])

    async def _shelves(self, articles: Mapping[str, str]) -> dict[str, Shelf | None]:
        """How the shop shows each article, by canonical id; `articles` are their SKUs by canonical id."""
        links = await mending.links_at(self.house.store, self.pair.shop, articles)
        wanted = [(sku.strip(), links.get(id_, "")) for id_, sku in articles.items()]
        told: list[Shelf | None] = []
        for start in range(0, len(wanted), 100):
            async with self.house.turn(self.pair.shop):
                told += await self.shop.shelf(wanted[start : start + 100])
        return dict(zip(articles, told, strict=True))


class Stock(_Articles):
    """Every article whose stock the ERP counts, less what is taken of it and was not in the ERP when it was read."""

    what, kinds = "stock", ("stock",)

    def __init__(self, house: House, pair: Pair) -> None:
        super().__init__(house, pair)
        self.rules, self.articles = Rules(house.blueprint), Articles()

    async def pages(self) -> AsyncIterator[list[Row]]:
        """By the ERP's pages. Raises Failure."""
        erp = cast(ListsStock, self.house.made[self.pair.erp])
        asked_at = await mending.clock(self.house.store)
        async for page in self.house.pages(self.pair.erp, erp.list_stock()):
            new = self.new([level.canonical_id for level in page])
            yield await self._rows([level for level in page if level.canonical_id in new], asked_at)
            asked_at = await mending.clock(self.house.store)

    async def again(self, rows: Sequence[Row]) -> list[Row]:
        """The same articles now. Raises Failure."""
        erp = cast(ListsStock, self.house.made[self.pair.erp])
        asked_at = await mending.clock(self.house.store)
        async with self.house.turn(self.pair.erp):
            levels = await erp.stock_now([row.remedy.fetch[0][2] for row in rows])
        return _same(rows, await self._rows(levels, asked_at))

    async def _rows(self, levels: Sequence[StockLevel], asked_at: float) -> list[Row]:
        taken = await self._taken([level.canonical_id for level in levels], asked_at)
        shelves = await self._shelves({level.canonical_id: level.sku for level in levels})
        if await self.articles.refresh(self.house.store):
            self.rules.learn_kits(self.articles.kits)
        made_of = explode([(each.sku, UNIT) for each in levels if each.sku in self.rules.bundles], self.rules.bundles)
        parts = await self.articles.found(self.house.store, made_of)
        rows = []
        for level in levels:
            id_ = level.canonical_id
            policy = self.rules.told(self.pair.shop, self.articles.by_id.get(id_) or Article(level.sku))
            quantity = level.to_sell(policy, taken[id_])
            if level.sku in self.rules.bundles:
                quantity = self.rules.quantity(self.pair.shop, level.sku, parts.get)
            rows.append(stock_row(self.pair, level, shelves[id_], quantity, sum(taken[id_].values())))
        return rows

    async def _taken(self, articles: Sequence[str], asked_at: float) -> dict[str, dict[str, int]]:
        """What is taken of each, by place, beside a reading that began then."""
        found: dict[str, dict[str, int]] = {id_: {} for id_ in articles}
        async with self.house.store.read() as connection:
            for each in await stock.takings_of(connection, self.house.store, articles):
                left, at = settled(each, asked_at).left, found[each.article]
                at[each.place] = at.get(each.place, 0) + left
        return found


class Prices(_Articles):
    """Every article of every product of the ERP."""

    what, kinds = "prices", ("product",)

    async def pages(self) -> AsyncIterator[list[Row]]:
        """By the ERP's pages. Raises Failure."""
        erp = cast(ListsProducts, self.house.made[self.pair.erp])
        async for page in self.house.pages(self.pair.erp, erp.list_products()):
            rows = await self._rows(page)
            new = self.new([row.key for row in rows])
            yield [row for row in rows if row.key in new]

    async def again(self, rows: Sequence[Row]) -> list[Row]:
        """The same articles now. Raises Failure."""
        erp = cast(ListsProducts, self.house.made[self.pair.erp])
        async with self.house.turn(self.pair.erp):
            products = await erp.products_now(sorted({row.remedy.fetch[0][2] for row in rows}))
        return _same(rows, await self._rows(products))

    async def _rows(self, products: Sequence[Product]) -> list[Row]:
        skus = {variant_id(p.system, v.id): v.sku for p in products for v in p.variants}
        shelves = await self._shelves(skus)
        rows: list[Row] = []
        for product in products:
            own = {v.id: shelves[variant_id(product.system, v.id)] for v in product.variants}
            rows += price_rows(self.pair, product.on(self.pair.shop), own)
        return rows


class Customers(Source):
    """Every account of the shop, by link or by the hash of its e-mail address; and how many others the ERP has."""

    what, kinds = "customers", ("customer",)

    def __init__(self, house: House, pair: Pair) -> None:
        super().__init__(house, pair)
        self.are_told = any(
            f.on == "customer.changed" and f.system == pair.erp and f.from_ in (None, pair.shop)
            for f in house.blueprint.flows
        )

    async def pages(self) -> AsyncIterator[list[Row]]:
        """By the shop's accounts. Raises Failure."""
        numbers, emails = await self._held()
        matched = 0
        async for page in self._accounts():
            rows = await self._rows(page, numbers, emails)
            matched += sum(1 for row in rows if row.erp)
            new = self.new([row.key for row in rows])
            yield [row for row in rows if row.key in new]
        others = others_row(self.pair, f"others of {self.pair.erp}", max(0, len(numbers) - matched))
        yield [others] if self.new([others.key]) else []

    async def again(self, rows: Sequence[Row]) -> list[Row]:
        """The same accounts now; one that is gone counts for nothing. Raises Failure."""
        wanted = {row.key for row in rows}
        numbers, emails = await self._held()
        now: list[Row] = []
        async for page in self._accounts():
            now += [row for row in await self._rows(page, numbers, emails) if row.key in wanted]
        return _same(rows, now)

    async def _held(self) -> tuple[set[str], set[str]]:
        """The ERP's customers: numbers, and hashes of e-mail addresses; nothing else of them is kept."""
        erp = cast(HasPeople, self.house.made[self.pair.erp])
        numbers, emails = set[str](), set[str]()
        async for page in self.house.pages(self.pair.erp, _paged(erp.people())):
            for number, keys in page:
                numbers.add(number)
                if keys.get("email"):
                    emails.add(hashed_ref(normal_email(keys["email"])))
        return numbers, emails

    def _accounts(self) -> AsyncIterator[list[tuple[str, Mapping[str, str]]]]:
        shop = cast(HasPeople, self.house.made[self.pair.shop])
        return self.house.pages(self.pair.shop, _paged(shop.people()))

    async def _rows(
        self, page: Sequence[tuple[str, Mapping[str, str]]], numbers: Collection[str], emails: Collection[str]
    ) -> list[Row]:
        ids = {f"{self.pair.shop}:customer:{id_}": id_ for id_, _ in page}
        links = await mending.links_at(self.house.store, self.pair.erp, ids)
        rows = []
        for id_, keys in page:
            linked = links.get(f"{self.pair.shop}:customer:{id_}", "") in numbers
            email = normal_email(keys.get("email", ""))
            rows.append(customer_row(self.pair, id_, linked or hashed_ref(email) in emails, self.are_told))
        return rows


async def _paged(things: AsyncIterator[T]) -> AsyncIterator[list[T]]:
    page: list[T] = []
    async for thing in things:
        page.append(thing)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page


def _same(rows: Sequence[Row], now: Sequence[Row]) -> list[Row]:
    """The rows as they are now, in the same order; what is gone counts for nothing on either side."""
    by_key = {row.key: row for row in now}
    return [by_key.get(row.key) or Row(row.what, row.key, row.label, {}, {}, "gone", "gone") for row in rows]


# --- who is compared with whom --------------------------------------------------------------------------------------


def pairs(
    blueprint: Blueprint,
    made: Mapping[str, Connector],
    what: str,
    channels: Mapping[str, Channel],
    zone: tzinfo | None = None,
) -> list[Pair]:
    """The shops and their ERP, by the flows of the blueprint: who is told what by whom."""
    found: dict[tuple[str, str], Pair] = {}
    for flow in blueprint.flows:
        if flow.on != _FLOW[what] or flow.system not in made:
            continue
        for shop, erp in _ends(blueprint, made, what, flow.from_, flow.system):
            if _fit(what, made[shop], made[erp]):
                declared = blueprint.systems[shop]
                channel = channels.get(shop) or Channel(shop)
                found[(shop, erp)] = Pair(shop, erp, blueprint.orders, declared.cut_over, zone, channel)
    return list(found.values())


def _ends(
    blueprint: Blueprint, made: Mapping[str, Connector], what: str, source: str | None, target: str
) -> list[tuple[str, str]]:
    """(shop, ERP) of a flow to `target`: orders go from the shop to the ERP, stock and prices the other way."""
    if what in ("orders", "customers"):
        return [(shop, target) for shop in made if shop != target and source in (None, shop)]
    owner = blueprint.owner_of("stock") if what == "stock" else blueprint.owner_of("product", "price")
    named = source or (owner if owner in made else None)  # who owns the thing is who is believed
    return [(target, erp) for erp in made if erp != target and named in (None, erp)]


def _fit(what: str, shop: Connector, erp: Connector) -> bool:
    match what:
        case "orders":
            return isinstance(shop, ListsOrders) and isinstance(erp, HoldsOrders)
        case "stock":
            return isinstance(shop, HasShelf) and isinstance(erp, ListsStock)
        case "prices":
            return isinstance(shop, HasShelf) and isinstance(erp, ListsProducts)
    return isinstance(shop, HasPeople) and isinstance(erp, HasPeople) and isinstance(erp, HoldsOrders)


def source_of(house: House, what: str, pair: Pair, since: datetime, until: datetime) -> Source:
    """The rows of one pair; the span is that of the orders."""
    match what:
        case "orders":
            return Orders(house, pair, since, until)
        case "stock":
            return Stock(house, pair)
        case "prices":
            return Prices(house, pair)
    return Customers(house, pair)
