"""The WooCommerce connector in the hub, between the shop's stand-in and an ERP in memory: what becomes of its facts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from tests.fakes import ERP, OPERATIONS, Fake, hasten, rows_of, told_by_erp
from tests.woocommerce_shop import T0, fulfilment, invoice, settings, shipment

from counterfoil.blueprint import Catalogue, ConnectorInfo, OperationInfo, parse
from counterfoil.connectors.woocommerce import CAPABILITIES, WooCommerce
from counterfoil.hub import poller, receipts, schema
from counterfoil.hub.store import Store
from counterfoil.hub.worker import Worker
from counterfoil.processes.changes import changes
from counterfoil.processes.fulfilment import fulfilments
from counterfoil.processes.orders import orders
from counterfoil.retail.events import EVENT_TYPES
from counterfoil.retail.fulfilment import Fulfilment, ShipmentState
from counterfoil_sandbox.woocommerce import ShopApp
from counterfoil_sandbox.woocommerce_orders import make_order

WEB = "web-eu"
BLUEPRINT = f"""\
counterfoil: 1
systems:
  {WEB}: {{connector: woocommerce, url: https://shop.example}}
  erp: {{connector: fake}}
flows:
  - {{on: order.placed, from: {WEB}, do: erp.accept_order}}
  - {{on: order.completed, from: {WEB}, do: erp.cancel_order}}
  - {{on: order.refunded, from: {WEB}, do: {WEB}.read_refunds}}
  - {{on: order.refund_read, from: {WEB}, do: erp.post_refund}}
  - {{on: order.confirmed, from: erp, do: {WEB}.tell_order}}
  - {{on: shipment.dispatched, from: erp, do: {WEB}.tell_order}}
  - {{on: order.delivered, from: erp, do: {WEB}.tell_order}}
  - {{on: order.invoiced, from: erp, do: {WEB}.tell_order}}
"""
WOO = ConnectorInfo(
    "woocommerce",
    operations=tuple(
        OperationInfo(o["name"], o["stream"], tuple(o["emits"]), o.get("state", False))
        for o in CAPABILITIES["operations"]
    ),
    events=CAPABILITIES["events"],
)


class Hub:
    """A hub on a store with a real connector to the shop and a fake ERP."""

    def __init__(self, store: Store, app: ShopApp, url: str) -> None:
        self.store, self.app = store, app
        self.shop, self.erp = WooCommerce(WEB, settings(url)), Fake(ERP)
        fake = ConnectorInfo("fake", operations=OPERATIONS, needs_url=False)
        self.blueprint = parse(BLUEPRINT, known=Catalogue.of([WOO, fake], frozenset(EVENT_TYPES)))
        self.processes: dict[str, dict[str, Any]] = {
            WEB: {"order": orders(self.blueprint.orders), "customer": changes(WEB, "customer")},
            ERP: {"fulfilment": fulfilments(ERP)},
        }

    async def work(self) -> None:
        """All feeds once, then all that is due."""
        await hasten(self.store)
        for feed in self.shop.feeds:
            await poller.poll_once(self.store, WEB, feed)
        await Worker(self.store, self.blueprint, {WEB: self.shop, ERP: self.erp}, self.processes).drain(20)

    async def erp_says(self, found: Fulfilment, second: int) -> None:
        """The ERP's side was read."""
        async with self.store.write() as connection:
            told = told_by_erp("fulfilment", found, f"2026-11-21T12:00:{second:02}Z", found.canonical_id)
            await receipts.take(connection, self.store, [told])

    async def events(self) -> list[str]:
        """The types of all events so far."""
        async with self.store.read() as connection:
            found = await connection.execute(sa.select(schema.event.c.type).order_by(schema.event.c.time))
            return sorted(found.scalars())

    def calls(self, operation: str) -> int:
        """How many items the ERP was given for an operation."""
        return sum(len(call.subjects) for call in self.erp.calls if call.operation == operation)


@pytest.fixture
async def hub(store: Store, app: ShopApp, url: str) -> AsyncIterator[Hub]:
    hub = Hub(store, app, url)
    yield hub
    await hub.shop.close()


async def test_what_the_shop_is_told_does_not_come_back(hub: Hub, app: ShopApp) -> None:
    """case: F37. Confirmed, shipped, delivered, invoiced: told once, and the shop's own telling of it is no news."""
    app.shop.place(make_order(0, status="on-hold"), payment_method="bacs", date_paid_gmt=None)
    await hub.work()
    steps = [
        fulfilment(1000, shipment("12", ShipmentState.OPEN)),
        fulfilment(1000, shipment("12"), shipment("13", ShipmentState.OPEN, follows="12")),
        fulfilment(1000, shipment("12"), shipment("13", follows="12"), invoices=(invoice(),)),
    ]
    statuses = []
    for second, step in enumerate(steps):
        app.shop.set_clock(frozen_at=T0 + 60 * (second + 1))
        await hub.erp_says(step, second)
        await hub.work()
        await hub.work()
        statuses.append(app.shop.order(1000)["status"])
    assert statuses == ["processing", "processing", "completed"]
    events = await hub.events()
    assert "order.completed" not in events
    assert "order.paid" not in events
    assert "order.changed" not in events
    assert (events.count("order.placed"), hub.calls("accept_order"), hub.calls("cancel_order")) == (1, 1, 0)
    before = app.shop.order(1000)
    await hub.work()
    assert app.shop.order(1000) == before
    assert await hub.events() == events
    assert await rows_of(hub.store, schema.exception) == []


async def test_news_that_pile_up_are_told_in_one_go(hub: Hub, app: ShopApp) -> None:
    """The newest state answers for all that waited: one status, one write, every note."""
    app.shop.place(make_order(0))
    await hub.work()
    found = fulfilment(1000, shipment("12"), shipment("13"), invoices=(invoice(),))
    await hub.erp_says(fulfilment(1000, shipment("12", ShipmentState.OPEN)), 1)
    await hub.erp_says(found, 2)
    await hub.work()
    assert app.shop.order(1000)["status"] == "completed"
    assert app.requests["PUT /wp-json/wc/v3/orders/1000"] <= 2
    notes = [n["note"] for n in app.shop.notes(1000) if not n["note"].startswith("Order status")]
    assert len(notes) == len(set(notes)) == 3


async def test_a_refund_on_an_old_order_reaches_the_erp_whole(hub: Hub, app: ShopApp) -> None:
    """case: F31. Two years old, refunded by line today: once, with its lines."""
    order = app.shop.place(make_order(0, status="processing"), at=T0 - 730 * 86_400)
    await hub.work()
    app.shop.set_clock(frozen_at=T0 + 60)
    app.shop.refund(1000, lines=[order["line_items"][0]["id"]])
    for _ in range(3):
        await hub.work()
    (item,) = [i for i in hub.erp.items if i.event_type == "order.refund_read"]
    (refund,) = item.data["refunds"]
    assert refund["lines"][0]["line"] == str(order["line_items"][0]["id"])
    assert item.data["gone"] == []
    assert item.data["state"]["id"] == "1000"


async def test_a_pending_refund_is_told_again_once_it_is_through(hub: Hub, app: ShopApp) -> None:
    """case: F29. First as pending, which books nothing; then, with no other change on the order, as what it is."""
    app.shop.place(make_order(0))
    await hub.work()
    app.shop.set_clock(frozen_at=T0 + 60)
    app.shop.refund(1000, "1.00")
    app.shop.change(1000, meta_data=[{"id": 1, "key": "_wcpay_refund_status", "value": "pending"}])
    await hub.work()
    app.shop.set_clock(frozen_at=T0 + 120)
    app.shop.change(1000, meta_data=[{"id": 1, "key": "_wcpay_refund_status", "value": "successful"}])
    await hub.work()
    told = [i.data["refunds"] for i in hub.erp.items if i.event_type == "order.refund_read"]
    assert [[r["pending"] for r in refunds] for refunds in told] == [[True], [False]]


async def test_a_refund_deleted_in_the_shop_is_for_a_person(hub: Hub, app: ShopApp) -> None:
    """case: F31. It moves nothing and sends nothing, and may be booked: found by comparison, ends as an exception."""
    app.shop.place(make_order(0))
    await hub.work()
    app.shop.set_clock(frozen_at=T0 + 60)
    refund = app.shop.refund(1000, "1.00")
    await hub.work()
    assert hub.calls("post_refund") == 1
    app.shop.delete_refund(1000, refund["id"])
    await hub.work()
    (found,) = await rows_of(hub.store, schema.exception)
    assert (found["reason"], found["status"]) == ("refund_deleted", "open")
    assert str(refund["id"]) in found["message"]
    await hub.work()
    assert len(await rows_of(hub.store, schema.exception)) == 1
    assert hub.calls("post_refund") == 1


async def test_customers_that_did_not_change_are_no_news(hub: Hub, app: ShopApp) -> None:
    """The list is read whole each time; a touch without a change is none, a new address is one."""
    app.shop.customers.entries.clear()
    made = app.shop.customers.add("ana@example.test", first_name="Ana")
    await hub.work()
    app.shop.set_clock(frozen_at=T0 + 60)
    app.shop.customers.change(made["id"])
    await hub.work()
    assert (await hub.events()).count("customer.changed") == 1
    app.shop.set_clock(frozen_at=T0 + 120)
    app.shop.customers.change(made["id"], billing={"city": "Porto"})
    await hub.work()
    assert (await hub.events()).count("customer.changed") == 2
