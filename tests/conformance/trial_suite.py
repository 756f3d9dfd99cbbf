"""An order tried on at home, through hub and Odoo: out, kept, sent back, charged, paid, and back in stock."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from tests.conformance.erp_suite import Accept, Connect, ErpSuite, Make, deliver
from tests.conformance.making import line
from tests.conformance.odoo_place import Erp

from counterfoil.blueprint import Blueprint, parse
from counterfoil.connectors.odoo import Odoo
from counterfoil.doors import assembly
from counterfoil.hub import exceptions, receipts, records, schema
from counterfoil.hub.contract import Item, Kind, Observed, Outcome
from counterfoil.hub.receipts import Arrival
from counterfoil.hub.records import Known
from counterfoil.hub.store import Store, open_store
from counterfoil.hub.storefront import trials
from counterfoil.hub.telling import Teller
from counterfoil.hub.worker import Worker
from counterfoil.processes.trying import Trying
from counterfoil.retail.order import LineKind, Order, Status
from counterfoil_lab import warehouse

PLAN = """\
counterfoil: 1
systems:
  odoo: {{connector: odoo, url: "{url}", database: "{database}", login: {login}, api_key: "${{KEY}}"}}
  web: {{connector: woocommerce, url: http://127.0.0.1:9, consumer_key: "${{KEY}}", consumer_secret: "${{KEY}}"}}
flows:
  - {{on: [order.placed, order.paid], do: odoo.accept_order}}
  - {{on: shipment.dispatched, do: odoo.invoice_order}}
  - {{on: return.requested, do: odoo.prepare_return}}
  - {{on: [trial.settled, shipment.returned], do: odoo.settle_trial}}
  - {{on: trial.overdue, do: hub.ask}}
payments: [{{method: "*", journal: WMISC}}]
trials: {{methods: [try_at_home], within: {within}, when_over: charge}}
"""


@dataclass
class Shop:
    """A hub between a shop and this Odoo; `of` is the order as the shop has it now."""

    erp: Erp
    plan: Blueprint
    store: Store
    odoo: Odoo
    worker: Worker
    desk: Trying
    of: Order

    async def says(self, **changes: Any) -> None:
        """The shop's order is now so; the hub works until nothing is due."""
        key = ("web", "order", self.of.id)
        self.of = self.of.model_copy(update={"modified_at": datetime.now(UTC), **changes})
        async with self.store.write() as connection:
            known = (await records.known_objects(connection, [key])).get(key)
            process = assembly.processes(self.plan)["web"]["order"]
            told = process.interpret(known, Observed("order", self.of.id, "", self.of), "webhook")
            now = Known("", "", self.of.model_dump(mode="json"), told.stage)
            await records.keep_objects(connection, self.store, {key: (now, self.of.canonical_id)})
            await Teller(self.store, self.plan, assembly.streams(self.plan), self.desk).tell(connection, told.events)
        await self.worker.drain(60)

    async def looks(self) -> None:
        """The hub reads Odoo, works, looks after its trials, and works."""
        raws = await self.odoo.fetch("fulfilment", [str(self.erp.number(self.of))])
        async with self.store.write() as connection:
            await receipts.take(connection, self.store, [Arrival("odoo", "poll", raw) for raw in raws])
        await self.worker.drain(60)
        async with self.store.write() as connection:
            await connection.execute(sa.delete(schema.cursor))
            for system, feed in (("odoo", "fulfilment"), ("web", "orders")):
                row = {"system": system, "feed": feed, "value": {}, "next_at": 0.0, "ok_at": self.store.now}
                await connection.execute(sa.insert(schema.cursor).values(row))
        await self.desk.care()
        await self.worker.drain(60)

    async def decides(self, key: str, keep: dict[str, int], send_back: dict[str, int]) -> None:
        """The customer says so; the hub works."""
        kept, back = ({line: Decimal(n) for line, n in each.items()} for each in (keep, send_back))
        await self.desk.decide("web", self.of.number, self.of.customer.email, kept, back, key)
        await self.worker.drain(60)

    def receive(self) -> None:
        """The warehouse takes in all that is to come back."""
        api = self.erp.api
        for picking in self.erp.pickings(self.of):
            if picking["picking_type_code"] == "incoming" and picking["state"] != "done":
                domain = [["picking_id", "=", picking["id"]]]
                for move in api.read("stock.move", domain, ["product_uom_qty"]):
                    vals = {"quantity": move["product_uom_qty"], "picked": True}
                    api.call("stock.move", "write", ids=[move["id"]], vals=vals)
                context = {"skip_sms": True, "skip_backorder": True}
                api.call("stock.picking", "button_validate", ids=[picking["id"]], context=context)

    def in_stock(self, sku: str) -> float:
        """Units of it in the house."""
        [row] = self.erp.api.read("product.product", [["default_code", "=", sku]], ["qty_available"])
        return float(row["qty_available"])

    def charged(self) -> list[tuple[float, float, str]]:
        """(total, open, state) of each invoice."""
        rows = self.erp.invoices(self.of)
        return [(row["amount_total"], row["amount_residual"], row["state"]) for row in rows]


class TrialSuite:
    """The stand-in and the real server alike."""

    erp, new, connect, accept = ErpSuite.erp, ErpSuite.new, ErpSuite.connect, ErpSuite.accept

    @pytest.fixture
    async def shops(self, erp: Erp, new: Make, tmp_path: Path) -> AsyncIterator[Any]:
        """A shop whose orders are tried on for so long, with an order of three shirts and a cap, on hold."""
        async with contextlib.AsyncExitStack() as ends:

            async def opening(within: str = "7d") -> Shop:
                login = erp.login or "admin"
                text = PLAN.format(url=erp.url, database=erp.place.database, login=login, within=within)
                plan = parse(text, known=assembly.catalogue(), environ={"KEY": erp.place.api_key})
                store, made = await open_store(f"sqlite:///{tmp_path / 'hub.db'}"), assembly.connectors(plan)
                closing = [store.close, *(each.close for each in made.values())]
                for close in closing:
                    ends.push_async_callback(close)
                odoo, worker = made["odoo"], assembly.worker(store, plan, made)
                assert isinstance(odoo, Odoo)
                shirts = line("SKU-A", "100.00", {"20": "20.00"}, quantity="3")
                post = line("", "4.00", {"20": "0.80"}, kind=LineKind.SHIPPING)
                of = new(shirts, line("SKU-B", "20.00", {"20": "4.00"}), post, method="try_at_home", paid=False)
                shop = Shop(erp, plan, store, odoo, worker, assembly.trying(store, plan), of)
                await shop.says(status=Status.ON_HOLD)
                return shop

            yield opening

    async def test_what_is_kept_is_charged_and_the_rest_is_stock_again(self, erp: Erp, shops: Any) -> None:
        """In parts: one shirt kept and two sent back, then the cap sent back; paid once the shop says so."""
        shop: Shop = await shops()
        before = shop.in_stock("SKU-A"), shop.in_stock("SKU-B")
        assert erp.one(shop.of).state == "confirmed", "an order on hold that is a trial is sent"
        erp.ship(shop.of)
        await shop.looks()
        assert shop.charged() == [], "it was shipped, and is not invoiced before it is decided"
        await shop.decides("key-1", {"100": 1}, {"100": 2})
        assert (erp.to_come_back(shop.of), shop.charged()) == ({"SKU-A": 2.0}, [])
        await shop.decides("key-2", {}, {"101": 1})
        assert (erp.to_come_back(shop.of), shop.charged()) == ({"SKU-A": 2.0, "SKU-B": 1.0}, [(44.8, 44.8, "posted")])
        shop.receive()
        await shop.looks()
        assert (shop.in_stock("SKU-A"), shop.in_stock("SKU-B")) == (before[0] - 1, before[1])
        assert set(erp.to_invoice(shop.of)) == {0.0}, "nobody can invoice by hand what went back"
        assert erp.one(shop.of).seen.total == Decimal("44.80")
        paid = shop.of.payments[0].model_copy(update={"paid_at": datetime.now(UTC), "method": "stripe"})
        await shop.says(status=Status.PROCESSING, payments=(paid,))
        assert shop.charged() == [(44.8, 0.0, "posted")]
        assert [money[:2] for money in erp.money(shop.of)] == [("inbound", 44.8)]
        assert await exceptions.listing(shop.store) == []

    async def test_what_is_not_decided_in_time_is_kept_and_charged_once(self, erp: Erp, shops: Any) -> None:
        shop: Shop = await shops(within="1ms")
        erp.ship(shop.of)
        await shop.looks()
        await shop.looks()
        assert shop.charged() == [(148.8, 148.8, "posted")]
        assert shop.of.total.amount == Decimal("148.80")
        assert [row.state for row in await trials.listing(shop.store, trials.SETTLED)] == [trials.SETTLED]
        assert await exceptions.listing(shop.store) == []

    async def test_what_came_back_without_a_word_is_not_charged(self, erp: Erp, shops: Any) -> None:
        shop: Shop = await shops(within="1ms")
        erp.ship(shop.of)
        warehouse.take_back(erp.api, erp.pickings(shop.of)[0]["id"])
        await shop.looks()
        assert [row.state for row in await trials.listing(shop.store, trials.SETTLED)] == [trials.SETTLED]
        assert (shop.charged(), set(erp.to_invoice(shop.of))) == ([], {0.0})
        assert await exceptions.listing(shop.store) == []

    CHARGED: ClassVar = {"lines": {"100": "1"}, "amount": "40.00 EUR", "whole": False, "left_at": ""}
    STEPS: ClassVar = ("/create_invoices", "/account.move/write", "/account.move/action_post")

    async def out(self, erp: Erp, accept: Accept, new: Make) -> Item:
        """Three shirts are out, and one is to be charged."""
        of = new(line("SKU-A", "100.00", {"20": "20.00"}, quantity="3"), paid=False)
        await accept(of)
        erp.ship(of)
        return Item(1, of.canonical_id, of.canonical_id, "trial.settled", {"charge": self.CHARGED})

    def invoiced(self, erp: Erp, settle: Item) -> list[tuple[float, str]]:
        """(total, state) of each invoice."""
        [order] = erp.api.read("sale.order", [["origin", "=", settle.subject]], ["invoice_ids"])
        fields = ["amount_total", "state"]
        rows = erp.api.read("account.move", [["id", "in", order["invoice_ids"]]], fields)
        return [(row["amount_total"], row["state"]) for row in rows]

    async def test_a_lost_answer_to_a_charge(self, erp: Erp, new: Make, connect: Connect, accept: Accept) -> None:
        """case: F01 - whichever answer was lost, and again afterwards: one invoice of what is charged."""
        for what in self.STEPS:
            settle, failures = await self.out(erp, accept, new), list[Outcome]()
            erp.faults.add("lost_answer", path=what)
            for _ in range(2):
                [outcome] = await deliver(connect().operations["settle_trial"], [settle], failures)
                assert outcome.kind is Kind.DONE, (what, outcome)
            assert [failure.reason for failure in failures] == ["answer_lost"], what
            assert self.invoiced(erp, settle) == [(40.0, "posted")], what

    async def test_two_hubs_charge_at_once(self, erp: Erp, new: Make, connect: Connect, accept: Accept) -> None:
        """case: F03 - wherever they meet, one invoice of what is charged."""
        for what in self.STEPS:
            settle = await self.out(erp, accept, new)
            erp.meeting.at(what)
            run = (deliver(connect().operations["settle_trial"], [settle]) for _ in range(2))
            both = await asyncio.gather(*run)
            assert [outcomes[0].kind for outcomes in both] == [Kind.DONE] * 2, f"{what}: {both}"
            assert self.invoiced(erp, settle) == [(40.0, "posted")], what
