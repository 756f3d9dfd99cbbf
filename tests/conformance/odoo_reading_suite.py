"""What every Odoo must show of itself: orders' progress, stock, products, customers. Stand-in and real server alike.

People work in Odoo through its API, never through the connector; the connector's feeds must tell what they did.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.conformance.odoo_place import RULES, Erp

from counterfoil.connectors.odoo import Odoo, Rules
from counterfoil.hub.contract import Observed, Raw
from counterfoil.retail.availability import Policy
from counterfoil.retail.fulfilment import ErpState, Fulfilment, ShipmentState
from counterfoil.retail.money import Money
from counterfoil.retail.party import Account
from counterfoil.retail.product import Product, SalePrice, StockLevel
from counterfoil_lab import warehouse

NUMBERS = itertools.count(70_001)


@dataclass
class Watching:
    """A hub's polling, without the hub: cursors and bodies kept, what is the same as before dropped."""

    connector: Odoo
    cursors: dict[str, dict[str, Any]] = field(default_factory=dict)
    bodies: dict[tuple[str, str], bytes] = field(default_factory=dict)

    async def poll(self, name: str) -> dict[str, Observed]:
        """What a feed has that is new, by object id."""
        [feed] = [feed for feed in self.connector.feeds if feed.name == name]
        news: dict[str, Raw] = {}
        async for page in feed.poll(self.cursors.get(name, {})):
            self.cursors[name] = json.loads(json.dumps(page.cursor))  # as the store keeps it
            for raw in page.receipts:
                if self.bodies.get((raw.kind, raw.object_id)) != raw.body:
                    self.bodies[(raw.kind, raw.object_id)] = raw.body
                    news[raw.object_id] = raw
        return {object_id: self.connector.decode(raw) for object_id, raw in news.items()}


@dataclass(frozen=True)
class Desk:
    """What people do in Odoo."""

    erp: Erp

    def article(self, **values: Any) -> int:
        """A new article, 10.00 a piece."""
        return self.erp.make_product(f"READ-{next(NUMBERS)}", list_price=10.0, **values)

    def order(self, quantities: Mapping[int, int], *, confirm: bool = True) -> str:
        """An order as Counterfoil puts it in: by external ids; its canonical id. Lines count from 1."""
        number = next(NUMBERS)
        customer = self.erp.make_customer(f"reader-{number}@shop.example")
        fields = ["id", "partner_id/.id", "origin", "order_line/id", "order_line/product_id/.id"]
        fields += ["order_line/name", "order_line/product_uom_qty", "order_line/price_unit"]
        name = f"counterfoil.web_order_{number}"
        head, rows = [name, str(customer), f"web:order:{number}"], []
        for place, (product, quantity) in enumerate(quantities.items(), 1):
            rows.append([*head, f"{name}_line_{place}", str(product), f"Line {place}", str(quantity), "10.0"])
            head = ["", "", ""]
        [made] = self.erp.api.load("sale.order", fields, rows)
        if confirm:
            self.erp.api.call("sale.order", "action_confirm", ids=[made])
        return f"web:order:{number}"

    def number(self, order: str) -> int:
        """Of the sale.order."""
        return int(self.erp.api.read("sale.order", [["origin", "=", order]], ["id"])[0]["id"])

    def shipments(self, order: str) -> list[dict[str, Any]]:
        """Those still to be sent."""
        return warehouse.open_shipments(self.erp.api, [order])

    def invoice(self, order: str) -> int:
        """Invoice what can be invoiced, and post it."""
        number = self.number(order)
        context = {"active_model": "sale.order", "active_ids": [number], "active_id": number}
        wizard = self.erp.api.call("sale.advance.payment.inv", "create", vals_list=[{}], context=context)
        self.erp.api.call("sale.advance.payment.inv", "create_invoices", ids=wizard, context=context)
        ids = self.erp.api.read("sale.order", [["id", "=", number]], ["invoice_ids"])[0]["invoice_ids"]
        self.erp.api.call("account.move", "action_post", ids=ids)
        return int(ids[0])

    def pricelist(self, *items: Mapping[str, Any]) -> int:
        """A pricelist in euros with these rules."""
        api = self.erp.api
        euro = api.read("res.currency", [["name", "=", "EUR"]], ["id"])[0]["id"]
        values = {"name": f"Shop {next(NUMBERS)}", "currency_id": euro}
        made = int(api.call("product.pricelist", "create", vals_list=[values])[0])
        rows = [{"pricelist_id": made, "compute_price": "fixed", **item} for item in items]
        for start in range(0, len(rows), 500):
            api.call("product.pricelist.item", "create", vals_list=rows[start : start + 500])
        return made


def only(found: Mapping[str, Observed], object_id: str) -> Any:
    """The state of the one object that is news."""
    assert list(found) == [object_id]
    return found[object_id].state


def when(moment: datetime) -> str:
    """As Odoo takes times."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")


class OdooReadingSuite:
    """The feeds, one after the other."""

    @pytest.fixture
    def erp(self, erp_of_module: Erp) -> Iterator[Erp]:
        """The Odoo without any trouble left over."""
        erp_of_module.faults.clear()
        yield erp_of_module
        erp_of_module.faults.clear()

    @pytest.fixture
    def desk(self, erp: Erp) -> Desk:
        """People in Odoo."""
        return Desk(erp)

    @pytest.fixture
    async def watch(self, erp: Erp) -> AsyncIterator[Callable[..., Watching]]:
        """A hub that watches; settings as for Erp.connector."""
        made: list[Watching] = []

        def another(rules: Rules = RULES, **settings: str) -> Watching:
            made.append(Watching(erp.connector(rules, **settings)))
            return made[-1]

        yield another
        for each in made:
            await each.connector.close()

    # --- orders ---------------------------------------------------------------------------------------------------

    async def test_the_life_of_an_order_is_told(self, desk: Desk, watch: Callable[..., Watching]) -> None:
        """Quotation, confirmed, a part shipped with its number, the back-order, the rest, a return; each look whole."""
        hub = watch()
        await hub.poll("fulfilment")
        one, two = desk.article(), desk.article()
        warehouse.count_stock(desk.erp.api, {one: 10, two: 10})
        order = desk.order({one: 2, two: 3}, confirm=False)
        state: Fulfilment = only(await hub.poll("fulfilment"), order)
        assert (state.order, state.state, state.shipments) == (order, ErpState.QUOTATION, ())
        assert [(line.line, line.ordered, line.shippable) for line in state.lines] == [("1", 2, True), ("2", 3, True)]
        desk.erp.api.call("sale.order", "action_confirm", ids=[desk.number(order)])
        state = only(await hub.poll("fulfilment"), order)
        assert (state.state, [s.state for s in state.shipments]) == (ErpState.CONFIRMED, [ShipmentState.OPEN])
        assert sorted((p.line, p.quantity) for p in state.shipments[0].items) == [("1", 2), ("2", 3)]

        [first] = desk.shipments(order)
        desk.erp.api.call("stock.picking", "write", ids=[first["id"]], vals={"carrier_tracking_ref": "TRACK-1"})
        assert warehouse.ship_a_part(desk.erp.api, first)
        state = only(await hub.poll("fulfilment"), order)
        done, rest = sorted(state.shipments, key=lambda s: int(s.id))
        assert (done.state, done.tracking, rest.state) == (ShipmentState.DONE, "TRACK-1", ShipmentState.OPEN)
        assert done.done_at is not None
        assert [(p.line, p.quantity) for p in done.items] == [("1", 2)]
        assert (rest.follows, [(p.line, p.quantity) for p in rest.items]) == (done.id, [("2", 3)])
        assert {line.line: line.delivered for line in state.lines} == {"1": 2, "2": 0}
        assert not state.is_delivered

        warehouse.ship(desk.erp.api, [int(rest.id)], {})
        state = only(await hub.poll("fulfilment"), order)
        assert state.is_delivered
        back = warehouse.take_back(desk.erp.api, int(rest.id))
        state = only(await hub.poll("fulfilment"), order)
        [returned] = [s for s in state.shipments if s.returned]
        assert (returned.id, returned.state) == (str(back), ShipmentState.DONE)
        assert [(p.line, p.quantity) for p in returned.items] == [("2", 3)]
        assert {line.line: line.delivered for line in state.lines} == {"1": 2, "2": 0}
        assert await hub.poll("fulfilment") == {}, "nothing new is nothing told"

    async def test_invoices_count_once_posted(self, desk: Desk, watch: Callable[..., Watching]) -> None:
        """A draft is nobody's business; a posted one is told with its number and total, and again when paid."""
        hub = watch()
        order = desk.order({desk.article(type="service", is_storable=False, invoice_policy="order"): 4})
        state: Fulfilment = (await hub.poll("fulfilment"))[order].state  # type: ignore[assignment]
        assert (state.invoices, state.shipments) == ((), ())
        assert [line.shippable for line in state.lines] == [False]
        invoice = desk.invoice(order)
        state = only(await hub.poll("fulfilment"), order)
        [told] = state.invoices
        [row] = desk.erp.api.read("account.move", [["id", "=", invoice]], ["name", "amount_total"])
        assert (told.id, told.number, told.paid, told.credit) == (str(invoice), row["name"], False, False)
        assert told.total == Money.parse(f"{row['amount_total']} EUR")
        assert [line.invoiced for line in state.lines] == [4]
        context = {"active_model": "account.move", "active_ids": [invoice]}
        wizard = desk.erp.api.call("account.payment.register", "create", vals_list=[{}], context=context)
        desk.erp.api.call("account.payment.register", "action_create_payments", ids=wizard, context=context)
        state = only(await hub.poll("fulfilment"), order)
        assert [each.paid for each in state.invoices] == [True]

    async def test_only_our_own_orders_are_told(self, desk: Desk, watch: Callable[..., Watching]) -> None:
        """A person's order, and a copy of ours, which has the same origin, are no news of any shop."""
        hub = watch()
        order = desk.order({desk.article(): 1})
        assert order in await hub.poll("fulfilment")
        row = desk.erp.api.read("sale.order", [["origin", "=", order]], ["partner_id"])[0]
        copy = {"partner_id": row["partner_id"][0], "origin": order}
        alone = {"partner_id": row["partner_id"][0], "origin": "by phone"}
        desk.erp.api.call("sale.order", "create", vals_list=[copy, alone])
        assert await hub.poll("fulfilment") == {}

    async def test_a_cancelled_order(self, desk: Desk, watch: Callable[..., Watching]) -> None:
        """Cancelled by a person in Odoo, its shipment with it."""
        hub = watch()
        order = desk.order({desk.article(): 1})
        await hub.poll("fulfilment")
        desk.erp.api.call("sale.order", "action_cancel", ids=[desk.number(order)])
        state: Fulfilment = only(await hub.poll("fulfilment"), order)
        assert state.state is ErpState.CANCELLED
        assert {s.state for s in state.shipments} <= {ShipmentState.CANCELLED}

    async def test_a_new_hub_sees_every_open_order(self, desk: Desk, watch: Callable[..., Watching]) -> None:
        """Without a cursor everything is walked through, page by page; a second look has nothing new."""
        orders = {desk.order({desk.article(): 1}) for _ in range(3)}
        hub = watch()
        assert orders <= set(await hub.poll("fulfilment"))
        assert await hub.poll("fulfilment") == {}

    # --- stock ----------------------------------------------------------------------------------------------------

    async def test_stock_is_what_stands_there_less_what_is_promised(
        self, desk: Desk, watch: Callable[..., Watching]
    ) -> None:
        """case: F15 - an order that Odoo could not reserve is promised all the same; below zero is told as it is."""
        hub = watch()
        await hub.poll("stock")
        article = desk.article()
        warehouse.count_stock(desk.erp.api, {article: 5})
        level: StockLevel = only(await hub.poll("stock"), str(article))
        [place] = [p for p in level.places if p.on_hand]
        assert (place.on_hand, place.outgoing) == (5, 0)
        desk.order({article: 7})
        level = only(await hub.poll("stock"), str(article))
        [place] = [p for p in level.places if p.on_hand]
        assert (place.on_hand, place.outgoing) == (5, 7)
        assert level.to_sell(Policy()) == 0
        assert place.on_hand - place.outgoing == -2

    async def test_five_three_five(self, desk: Desk, watch: Callable[..., Watching]) -> None:
        """case: F06 - each of three changes is told, also the one back to where it was."""
        hub = watch()
        await hub.poll("stock")
        article, told = desk.article(), []
        for quantity in (5, 3, 5):
            warehouse.count_stock(desk.erp.api, {article: quantity})
            level: StockLevel = only(await hub.poll("stock"), str(article))
            told.append(sum(place.on_hand for place in level.places))
        assert told == [5, 3, 5]

    async def test_services_have_no_stock(self, desk: Desk, watch: Callable[..., Watching]) -> None:
        """Only what is counted is told of, in a walk through everything too."""
        service = desk.article(type="service", is_storable=False)
        counted = desk.article()
        found = await watch().poll("stock")
        assert str(counted) in found
        assert str(service) not in found

    async def test_the_walk_finds_what_left_no_trace(self, desk: Desk, watch: Callable[..., Watching]) -> None:
        """Quants vanish and merge by raw SQL: once the time has come everything is read again."""
        hub = watch(reconcile_stock="1s")
        article = desk.article()
        warehouse.count_stock(desk.erp.api, {article: 5})
        await hub.poll("stock")
        walked = hub.cursors["stock"]["walked"]
        hub.cursors["stock"]["walked"] = "2026-01-01T00:00:00Z"
        hub.bodies[("stock", str(article))] = b"what was known before"
        assert str(article) in await hub.poll("stock")
        assert hub.cursors["stock"]["walked"] >= walked

    # --- products -------------------------------------------------------------------------------------------------

    async def test_a_product_with_what_a_shop_needs(self, desk: Desk, watch: Callable[..., Watching]) -> None:
        """SKU, GTIN, list price, weight, tax; told again when it changes, archived and all."""
        hub = watch()
        await hub.poll("products")
        article = desk.article(barcode=f"40063813{next(NUMBERS)}", weight=1.5)
        [row] = desk.erp.api.read("product.product", [["id", "=", article]], ["product_tmpl_id", "default_code"])
        template = row["product_tmpl_id"][0]
        told: Product = only(await hub.poll("products"), str(template))
        [variant] = told.variants
        assert (variant.id, variant.sku, variant.price) == (str(article), row["default_code"], Money.of("10.00", "EUR"))
        assert (variant.weight, told.sellable, told.tracked, told.is_simple) == (Decimal("1.5"), True, True, True)
        desk.erp.api.call("product.template", "write", ids=[template], vals={"list_price": 12.5})
        told = only(await hub.poll("products"), str(template))
        assert told.variants[0].price == Money.of("12.50", "EUR")
        desk.erp.api.call("product.template", "write", ids=[template], vals={"active": False})
        told = only(await hub.poll("products"), str(template))
        assert not told.sellable

    async def test_what_an_article_costs(self, desk: Desk, watch: Callable[..., Watching]) -> None:
        """Known for those that have a cost, in the terms of the price."""
        dear, free = desk.article(standard_price=4.25, taxes_id=[[5]]), desk.article(taxes_id=[[5]])
        found = (await watch().poll("products")).values()
        costs = dict(cost for seen in found if isinstance(seen.state, Product) for cost in seen.state.costs)
        assert costs[str(dear)] == Decimal("4.25")
        assert str(free) not in costs

    async def test_a_product_with_variants(self, desk: Desk, watch: Callable[..., Watching]) -> None:
        """Each with its own SKU and its choices, in the order of the product's attributes."""
        api, first = desk.erp.api, next(NUMBERS)
        lines = []
        for name, choices in (("Size", ("S", "L")), ("Colour", ("Red",))):
            [attribute] = api.call("product.attribute", "create", vals_list=[{"name": f"{name} {first}"}])
            rows = [{"name": choice, "attribute_id": attribute} for choice in choices]
            values = api.call("product.attribute.value", "create", vals_list=rows)
            lines.append([0, 0, {"attribute_id": attribute, "value_ids": [[6, 0, values]]}])
        shirt = {"name": f"Shirt {first}", "type": "consu", "is_storable": True, "attribute_line_ids": lines}
        [template] = api.call("product.template", "create", vals_list=[shirt])
        made = api.read("product.product", [["product_tmpl_id", "=", template]], ["id"])
        for place, row in enumerate(made):
            api.call("product.product", "write", ids=[row["id"]], vals={"default_code": f"SHIRT-{first}-{place}"})
        told: Product = (await watch().poll("products"))[str(template)].state  # type: ignore[assignment]
        assert [(v.sku, v.options) for v in told.variants] == [
            (f"SHIRT-{first}-0", ((f"Size {first}", "S"), (f"Colour {first}", "Red"))),
            (f"SHIRT-{first}-1", ((f"Size {first}", "L"), (f"Colour {first}", "Red"))),
        ]

    async def test_campaigns_of_the_pricelist(self, desk: Desk, watch: Callable[..., Watching]) -> None:
        """An undated rule is the price, a dated one the sale; a deleted rule is missed at the next look."""
        article = desk.article()
        template = desk.erp.api.read("product.product", [["id", "=", article]], ["product_tmpl_id"])[0][
            "product_tmpl_id"
        ][0]
        now = datetime.now(UTC)
        start, end = now + timedelta(days=1), now + timedelta(days=8)
        of = {"applied_on": "1_product", "product_tmpl_id": template}
        dated = {"date_start": when(start), "date_end": when(end)}
        pricelist = desk.pricelist({**of, "fixed_price": 9.0}, {**of, **dated, "fixed_price": 7.5})
        hub = watch(pricelist=str(pricelist))
        told: Product = (await hub.poll("products"))[str(template)].state  # type: ignore[assignment]
        [variant] = told.variants
        assert variant.price == Money.of("9.00", "EUR")
        assert variant.sale is not None
        assert variant.sale.price == Money.of("7.50", "EUR")
        assert (variant.sale.starts_at, variant.sale.ends_at) == tuple(
            moment.replace(microsecond=0) for moment in (start, end)
        )
        [rule] = desk.erp.api.read(
            "product.pricelist.item", [["pricelist_id", "=", pricelist], ["date_start", "!=", False]], ["id"]
        )
        desk.erp.api.call("product.pricelist.item", "unlink", ids=[rule["id"]])
        told = only(await hub.poll("products"), str(template))
        assert told.variants[0].sale is None

    async def test_a_shop_with_a_pricelist_of_its_own(self, desk: Desk, watch: Callable[..., Watching]) -> None:
        """The usual price is the list price; the shop's own one and its campaign stand beside it."""
        article = desk.article()
        where = desk.erp.api.read("product.product", [["id", "=", article]], ["product_tmpl_id"])
        of = {"applied_on": "1_product", "product_tmpl_id": where[0]["product_tmpl_id"][0]}
        ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
        own = desk.pricelist({**of, "fixed_price": 11.0}, {**of, "date_end": when(ends), "fixed_price": 8.0})
        hub = watch(replace(RULES, pricelists={"web": str(own)}))
        told: Product = (await hub.poll("products"))[str(of["product_tmpl_id"])].state  # type: ignore[assignment]
        [variant] = told.variants
        assert (variant.price and variant.price.amount, variant.sale) == (10, None)
        [there] = told.on("web").variants
        assert there.price == Money.of("11.00", "EUR")
        assert there.sale == SalePrice(price=Money.of("8.00", "EUR"), ends_at=ends)
        [elsewhere] = told.on("other").variants
        assert (elsewhere.price, elsewhere.sale, elsewhere.prices) == (variant.price, None, ())

    async def test_1250_prices_over_many_pages(self, desk: Desk, watch: Callable[..., Watching]) -> None:
        """case: F39 - every one of 1,250 new prices is told, not those of the first page."""
        api, first = desk.erp.api, next(NUMBERS)
        skus = [f"PRICE-{first}-{place}" for place in range(1250)]
        rows = [[f"lab.price_{first}_{i}", sku, sku, "consu", "True"] for i, sku in enumerate(skus)]
        variants: list[int] = []
        for start in range(0, len(rows), 250):
            fields = ["id", "name", "default_code", "type", "is_storable"]
            variants += api.load("product.product", fields, rows[start : start + 250])
        templates = {
            row["default_code"]: row["product_tmpl_id"][0]
            for row in api.read("product.product", [["id", "in", variants]], ["default_code", "product_tmpl_id"])
        }
        items = [
            {"applied_on": "1_product", "product_tmpl_id": templates[sku], "fixed_price": 2 + place / 100}
            for place, sku in enumerate(skus)
        ]
        pricelist = desk.pricelist()
        hub = watch(pricelist=str(pricelist))
        await hub.poll("products")
        for start in range(0, len(items), 250):
            batch = [{"pricelist_id": pricelist, "compute_price": "fixed", **item} for item in items[start:][:250]]
            api.call("product.pricelist.item", "create", vals_list=batch)
        prices = {
            variant.sku: variant.price
            for observed in (await hub.poll("products")).values()
            for variant in observed.state.variants  # type: ignore[attr-defined]
        }
        expected = {sku: Money(Decimal(200 + place) / 100, "EUR") for place, sku in enumerate(skus)}
        assert {sku: prices.get(sku) for sku in skus} == expected

    # --- customers ------------------------------------------------------------------------------------------------

    async def test_a_customer_with_its_newest_address(self, desk: Desk, watch: Callable[..., Watching]) -> None:
        """A change of the customer or of an address below it is one and the same customer's."""
        hub = watch()
        await hub.poll("customers")
        email = f"reader-{next(NUMBERS)}@shop.example"
        customer = desk.erp.make_customer(email, street="1 rue de la Paix", city="Paris", zip="75002")
        told: Account = only(await hub.poll("customers"), str(customer))
        assert (told.customer.email, told.billing.city, told.shipping.is_empty) == (email, "Paris", True)
        below = {"parent_id": customer, "type": "delivery", "name": "Home", "city": "Lyon", "street": "2 place"}
        desk.erp.api.call("res.partner", "create", vals_list=[below])
        told = only(await hub.poll("customers"), str(customer))
        assert told.shipping.city == "Lyon"

    async def test_declared_fields_of_a_customer_are_read_besides(
        self, desk: Desk, watch: Callable[..., Watching]
    ) -> None:
        """As a retailer's own field for a credit hold would be; of a record it points to, what that is called."""
        hub = watch(customer_fields="ref, parent_id")
        await hub.poll("customers")
        customer = desk.erp.make_customer(f"reader-{next(NUMBERS)}@shop.example", ref="HOLD")
        told: Account = only(await hub.poll("customers"), str(customer))
        assert told.extra == {"ref": "HOLD", "parent_id": False}
        desk.erp.api.call("res.partner", "write", ids=[customer], vals={"ref": False})
        told = only(await hub.poll("customers"), str(customer))
        assert told.extra == {"ref": False, "parent_id": False}

    # --- for linking ----------------------------------------------------------------------------------------------

    async def test_every_article_and_customer_can_be_linked(self, desk: Desk, watch: Callable[..., Watching]) -> None:
        """By number, with the keys they are matched by; never our own services."""
        article = desk.article()
        customer = desk.erp.make_customer(f"reader-{next(NUMBERS)}@shop.example")
        connector = watch().connector
        articles = [(number, keys) async for number, keys in connector.articles()]
        assert str(article) in dict(articles)
        assert not [keys for _, keys in articles if keys.get("sku", "").startswith("COUNTERFOIL-")]
        assert [int(number) for number, _ in articles] == sorted(int(number) for number, _ in articles)
        assert str(customer) in dict([each async for each in connector.people()])
