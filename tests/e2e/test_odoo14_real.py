"""The Odoo connector against a real Odoo 14 (scripts/odoo14), over JSON-RPC: accepted once, and the order's life."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest
from tests.conformance.making import LYON, about, given_back, item, line, order, refunded
from tests.e2e.odoo_real import an_odoo

from counterfoil.connectors.odoo import Odoo, Rules
from counterfoil.connectors.odoo.client import Client
from counterfoil.connectors.odoo.jobs import Desk
from counterfoil.hub.contract import Failure, Item, Kind, Mark, Outcome
from counterfoil.retail.order import LineKind, Order, Status

SKUS = ("SKU-A", "SKU-B")
SHIPPING = line(net="4.13", taxes={"20": "0.83"}, kind=LineKind.SHIPPING, id="900")


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, Any]]:
    """A server on a copy of the template, both gone afterwards."""
    with an_odoo(14) as answer:
        yield answer


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    """Of the orders: each is one of its own."""
    return iter(range(1400, 10**6))


class Place:
    """The connector, and Odoo as it is seen without it: in the names of 14."""

    def __init__(self, server: dict[str, Any], numbers: Iterator[int]) -> None:
        self.numbers = numbers
        self.settings = {"url": server["url"], "database": server["database"], "login": server["login"]}
        self.settings |= {"api_key": server["api_key"], "timeout": "60"}
        self.odoo = Odoo("odoo", self.settings, Rules(payments={"*": "BNK1"}))

    @property
    def client(self) -> Client:
        """For looking."""
        return self.odoo.client

    def new(self, *lines: Any, **more: Any) -> Order:
        """An order; without lines: three of SKU-A, two of SKU-B, and shipping."""
        parts = lines or (
            line("SKU-A", "33.33", {"20": "6.67"}, quantity="3", id="100"),
            line("SKU-B", "6.85", {"5.5": "0.38"}, quantity="2", id="101"),
            SHIPPING,
        )
        return order(str(next(self.numbers)), *parts, **more)

    async def carry(self, name: str, it: Item) -> Outcome:
        """One operation on one item, as the worker would."""
        return (await self.odoo.operations[name].run([it]))[0]

    async def accepted(self, *lines: Any, **more: Any) -> Order:
        """An order that is in."""
        of = self.new(*lines, **more)
        outcome = await self.carry("accept_order", item(of))
        assert outcome.kind is Kind.DONE, outcome
        return of

    async def read(self, model: str, domain: list[Any], *fields: str) -> list[dict[str, Any]]:
        """Records, oldest first."""
        return await self.client.search_read(model, domain, fields, order="id")

    async def one(self, of: Order, *fields: str) -> dict[str, Any]:
        """The one order that stands there for it."""
        found = await self.read(
            "sale.order", [["origin", "=", of.canonical_id]], "name", "state", "amount_total", *fields
        )
        assert len(found) == 1, f"{len(found)} orders stand in Odoo"
        return found[0]

    async def lines(self, of: Order) -> list[tuple[str, float, float]]:
        """(name, quantity, unit price) of each line."""
        rows = await self.read(
            "sale.order.line", [["order_id.origin", "=", of.canonical_id]], "name", "product_uom_qty", "price_unit"
        )
        return [(row["name"], row["product_uom_qty"], row["price_unit"]) for row in rows]

    async def payments(self, of: Order) -> list[tuple[str, float, str]]:
        """(direction, amount, state) of the payments that name the order."""
        rows = await self.read(
            "account.payment", [["ref", "ilike", f"{of.number} "]], "payment_type", "amount", "state"
        )
        return [(row["payment_type"], row["amount"], row["state"]) for row in rows]

    async def moves(self, of: Order, kind: str) -> list[dict[str, Any]]:
        """Invoices or credit notes."""
        name = (await self.one(of))["name"]
        domain = [["move_type", "=", kind], ["invoice_origin", "=", name]]
        return await self.read("account.move", domain, "state", "amount_total", "payment_state", "reversed_entry_id")

    async def to_ship(self, of: Order) -> dict[str, float]:
        """Units in open deliveries, by product."""
        name = (await self.one(of))["name"]
        domain = [["picking_id.origin", "=", name], ["state", "not in", ["done", "cancel"]]]
        domain += [["location_dest_id.usage", "=", "customer"]]
        found: dict[str, float] = {}
        for move in await self.read("stock.move", domain, "product_id", "product_uom_qty"):
            sku = move["product_id"][1].partition("]")[0].strip("[")
            found[sku] = found.get(sku, 0.0) + move["product_uom_qty"]
        return found

    async def ship(self, of: Order) -> None:
        """Everything that waits leaves the house."""
        name = (await self.one(of))["name"]
        [picking] = await self.read(
            "stock.picking", [["origin", "=", name], ["state", "not in", ["done", "cancel"]]], "move_lines"
        )
        for move in await self.read("stock.move", [["picking_id", "=", picking["id"]]], "product_uom_qty"):
            await self.client.call(
                "stock.move", "write", ids=[move["id"]], vals={"quantity_done": move["product_uom_qty"]}
            )
        context = {"skip_sms": True, "skip_backorder": True, "skip_immediate": True}
        await self.client.call("stock.picking", "button_validate", ids=[picking["id"]], context=context)
        [after] = await self.read("stock.picking", [["id", "=", picking["id"]]], "state")
        assert after["state"] == "done"


@pytest.fixture
async def place(server: dict[str, Any], numbers: Iterator[int]) -> AsyncIterator[Place]:
    """A hub's connector, with two products in Odoo whose stock is kept."""
    there = Place(server, numbers)
    names = await there.client.names()
    known = {
        row["default_code"]
        for row in await there.read("product.product", [["default_code", "in", SKUS]], "default_code")
    }
    missing = [
        {"name": f"Article {sku}", "default_code": sku, "invoice_policy": "delivery", **names.storable_values()}
        for sku in SKUS
        if sku not in known
    ]
    if missing:
        await there.client.call("product.product", "create", vals_list=missing)
    yield there
    await there.odoo.close()


async def test_accepted_once(place: Place) -> None:
    """case: F01, F02 - confirmed and paid at the customer's total; a repeat rewrites nothing."""
    of = await place.accepted()
    standing = await place.one(of, "client_order_ref")
    assert (standing["state"], Decimal(str(standing["amount_total"]))) == ("sale", of.total.amount)
    assert await place.payments(of) == [("inbound", float(of.total.amount), "posted")]
    await place.client.call("sale.order", "write", ids=[standing["id"]], vals={"client_order_ref": "by hand"})
    lines = await place.lines(of)
    again = await place.carry("accept_order", item(of))
    assert (again.kind, again.link) == (Kind.DONE, str(standing["id"]))
    assert (await place.one(of, "client_order_ref"))["client_order_ref"] == "by hand"
    assert await place.lines(of) == lines
    assert len(await place.payments(of)) == 1


async def test_load_is_insert_only(place: Place) -> None:
    """case: F02 - the context that does it on 19 does it on 14: neither the order nor a line is touched or added."""
    partner = [["counterfoil.e2e_partner", "Insert only"]]
    ids, _ = await place.client.load("res.partner", ["id", "name"], partner)
    partner[0][1] = "Another name"
    assert await place.client.load("res.partner", ["id", "name"], partner) == (ids, [])
    assert (await place.read("res.partner", [["id", "=", ids[0]]], "name"))[0]["name"] == "Insert only"
    products = await place.read("product.product", [["default_code", "=", "SKU-A"]], "id")
    pricelists = await place.read("product.pricelist", [["currency_id.name", "=", "EUR"]], "id")
    columns = ["id", "partner_id/.id", "pricelist_id/.id", "order_line/id", "order_line/product_id/.id"]
    columns += ["order_line/name", "order_line/product_uom_qty", "order_line/price_unit"]
    head = ["counterfoil.e2e_order", str(ids[0]), str(pricelists[0]["id"])]
    first = [[*head, "counterfoil.e2e_line_1", str(products[0]["id"]), "A line", "2", "5"]]
    made, messages = await place.client.load("sale.order", columns, first)
    assert (len(made), messages) == (1, [])
    second = [[*head, "counterfoil.e2e_line_1", str(products[0]["id"]), "Changed", "9", "9"]]
    second.append(["", "", "", "counterfoil.e2e_line_2", str(products[0]["id"]), "Another", "1", "1"])
    assert await place.client.load("sale.order", columns, second) == (made, [])
    rows = await place.read("sale.order.line", [["order_id", "=", made[0]]], "name", "product_uom_qty", "price_unit")
    assert [(row["name"], row["product_uom_qty"], row["price_unit"]) for row in rows] == [("A line", 2.0, 5.0)]


async def test_a_price_that_14_cuts(place: Place) -> None:
    """case: F24 - three for 10.00: the unit price is cut to 3.33, the cents are on the rounding line."""
    of = await place.accepted(line("SKU-A", "10.00", {"20": "2.00"}, quantity="3"))
    assert Decimal(str((await place.one(of))["amount_total"])) == Decimal("12.00")
    assert [(name, price) for name, _, price in await place.lines(of)] == [("Article SKU-A", 3.33), ("Rounding", 0.01)]


async def test_a_quotation_waits_for_its_money(place: Place) -> None:
    """case: F03 - on hold: there, unconfirmed, unpaid; then paid: confirmed, its payment recorded."""
    of = place.new(status=Status.ON_HOLD, paid=False)
    assert (await place.carry("accept_order", item(of, level="quotation"))).kind is Kind.DONE
    assert ((await place.one(of))["state"], await place.payments(of)) == ("draft", [])
    paid = order(of.id, *of.lines)
    assert (await place.carry("accept_order", item(paid, event_type="order.paid"))).kind is Kind.DONE
    assert (await place.one(of))["state"] == "sale"
    assert len(await place.payments(of)) == 1


async def test_notes_are_plain_text(place: Place) -> None:
    """14 keeps an order's note as text: no tags, no entities."""
    of = await place.accepted(note="Ring & wait\n2nd <floor>")
    assert (await place.one(of, "note"))["note"] == "Ring & wait\n2nd <floor>"


async def test_cancelled_before_shipping(place: Place) -> None:
    """case: F05 - cancelled in Odoo with its delivery; a repeat finds it so."""
    of = await place.accepted()
    gone = of.model_copy(update={"status": Status.CANCELLED})
    for _ in range(2):
        assert (await place.carry("cancel_order", item(gone, event_type="order.cancelled"))).kind is Kind.DONE
    assert (await place.one(of))["state"] == "cancel"
    assert await place.to_ship(of) == {}


async def test_a_locked_order(place: Place) -> None:
    """Locked is the state 'done' here: neither cancelled nor changed."""
    of = await place.accepted()
    await place.client.call("sale.order", "action_done", ids=[(await place.one(of))["id"]])
    outcome = await place.carry("cancel_order", item(of.model_copy(update={"status": Status.CANCELLED})))
    assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "locked_in_odoo")
    assert (await place.one(of))["state"] == "done"


async def test_changed_in_the_shop(place: Place) -> None:
    """case: F06 - quantities, lines and the address are brought to what the shop says; the delivery follows."""
    of = await place.accepted()
    lines = [
        line("SKU-A", "11.11", {"20": "2.22"}, quantity="1", id="100"),
        line("SKU-B", "17.13", {"5.5": "0.94"}, quantity="5", id="101"),
        SHIPPING,
    ]
    now = order(of.id, *lines, shipping=LYON)
    outcome = await place.carry("amend_order", item(now, event_type="order.changed", before=of))
    assert outcome.kind is Kind.DONE, outcome
    standing = await place.one(of, "partner_shipping_id")
    assert Decimal(str(standing["amount_total"])) == now.total.amount
    assert standing["state"] == "sale"
    domain = [["sale_id", "=", standing["id"]], ["state", "!=", "cancel"]]
    [delivery] = await place.read("stock.picking", domain, "origin", "partner_id")
    assert (delivery["origin"], delivery["partner_id"]) == (standing["name"], standing["partner_shipping_id"])
    assert await place.to_ship(of) == {"SKU-A": 1.0, "SKU-B": 5.0}
    [address] = await place.read("res.partner", [["id", "=", standing["partner_shipping_id"][0]]], "city")
    assert address["city"] == "Lyon"
    # 14 empties both or not, by the order in which it comes to write the fields; and the answer may have been lost
    emptied = {"partner_id": False, "origin": False}
    await place.client.call("stock.picking", "write", ids=[delivery["id"]], vals=emptied)
    outcome = await place.carry("amend_order", item(now, event_type="order.changed", before=of))
    assert outcome.kind is Kind.DONE, outcome
    assert await place.read("stock.picking", domain, "origin", "partner_id") == [delivery]


async def test_a_deliverys_address_that_a_person_chose(place: Place) -> None:
    """A change of the lines alone leaves it."""
    of = await place.accepted()
    [delivery] = await place.read("stock.picking", [["sale_id", "=", (await place.one(of))["id"]]], "partner_id")
    [other] = await place.client.call("res.partner", "create", vals_list=[{"name": "The neighbour"}])
    await place.client.call("stock.picking", "write", ids=[delivery["id"]], vals={"partner_id": other})
    now = order(of.id, line("SKU-A", "11.11", {"20": "2.22"}, quantity="1", id="100"), *of.lines[1:])
    outcome = await place.carry("amend_order", item(now, event_type="order.changed", before=of))
    assert outcome.kind is Kind.DONE, outcome
    [delivery] = await place.read("stock.picking", [["id", "=", delivery["id"]]], "partner_id")
    assert delivery["partner_id"][0] == other
    assert (await place.to_ship(of))["SKU-A"] == 1.0


async def test_shipped_invoiced_and_paid(place: Place) -> None:
    """case: F27 - invoiced once at the customer's total, posted, and paid by the payment that was recorded."""
    of = await place.accepted()
    await place.ship(of)
    for _ in range(2):
        outcome = await place.carry("invoice_order", about(of, link=str((await place.one(of))["id"])))
        assert outcome.kind is Kind.DONE, outcome
    [invoice] = await place.moves(of, "out_invoice")
    assert (invoice["state"], Decimal(str(invoice["amount_total"]))) == ("posted", of.total.amount)
    assert invoice["payment_state"] in ("paid", "in_payment")
    assert (await place.carry("check_shipped", item(of, event_type="order.completed"))).kind is Kind.DONE


async def test_refunded_after_shipping(place: Place) -> None:
    """case: F29 - one unit back: a posted credit note of its amount, once, the money out, and a return prepared."""
    of = await place.accepted()
    await place.ship(of)
    assert (await place.carry("invoice_order", about(of))).kind is Kind.DONE
    back = given_back(of, "77", l100="1")
    for _ in range(2):
        outcome = await place.carry("refund_order", refunded(of, back))
        assert outcome.kind is Kind.DONE, outcome
    [credit] = await place.moves(of, "out_refund")
    assert (credit["state"], Decimal(str(credit["amount_total"]))) == ("posted", back.amount.amount)
    assert credit["reversed_entry_id"]
    assert [p for p in await place.payments(of) if p[0] == "outbound"] == [
        ("outbound", float(back.amount.amount), "posted")
    ]
    name = (await place.one(of))["name"]
    returns = await place.read(
        "stock.move", [["origin_returned_move_id.picking_id.origin", "=", name]], "product_uom_qty", "state"
    )
    assert [(move["product_uom_qty"], move["state"] != "done") for move in returns] == [(1.0, True)]


async def test_refunded_in_full_before_shipping(place: Place) -> None:
    """case: F29 - a credit note of the whole total, though unit prices are cut; no delivery is left standing open."""
    of = await place.accepted(
        line("SKU-A", "263.88", {"20": "52.78"}, quantity="2", id="100"),
        line("SKU-B", "2.50", {"5.5": "0.13"}, quantity="3", id="101"),
        SHIPPING,
    )
    outcome = await place.carry("refund_order", refunded(of, given_back(of, "78", str(of.total.amount))))
    assert outcome.kind is Kind.DONE, outcome
    [credit] = await place.moves(of, "out_refund")
    assert (credit["state"], Decimal(str(credit["amount_total"]))) == ("posted", of.total.amount)
    [delivery] = await place.read("stock.picking", [["sale_id", "=", (await place.one(of))["id"]]], "state")
    assert delivery["state"] == "cancel"


async def test_two_first_payments_of_a_month(place: Place) -> None:
    """Made at once, both drafts have the month's first number: the later one is posted under the next."""
    journal = (await place.read("account.journal", [["code", "=", "BNK1"]], "id"))[0]["id"]
    columns = ["id", "amount", "payment_type", "partner_type", "journal_id/.id", "date"]
    alike = ["1", "inbound", "customer", str(journal), "2031-01-15"]
    rows = [[f"counterfoil.e2e_payment_{which}", *alike] for which in "ab"]
    payments, _ = await place.client.load("account.payment", columns, rows)
    domain = [["payment_id", "in", payments]]
    first, second = await place.read("account.move", domain, "name")
    await place.client.call("account.move", "write", ids=[second["id"]], vals={"name": first["name"]})
    desk = Desk(place.client, place.odoo.lookups)
    for payment, entry in zip(payments, (first, second), strict=True):
        await desk.post("account.payment", [payment], [entry["id"]])
    posted = await place.read("account.move", domain, "name", "state")
    assert [entry["state"] for entry in posted] == ["posted", "posted"]
    assert posted[0]["name"] == first["name"] != posted[1]["name"]


async def test_an_order_as_history(place: Place) -> None:
    """There with its total, confirmed and locked; nothing to ship, no payment, and never invoiced."""
    of = place.new(status=Status.COMPLETED)
    outcome = await place.carry("import_order", item(of, event_type="order.history"))
    assert outcome.kind is Kind.DONE, outcome
    standing = await place.one(of)
    assert (standing["state"], Decimal(str(standing["amount_total"]))) == ("done", of.total.amount)
    outcome = await place.carry("invoice_order", about(of))
    assert (outcome.kind, "history" in str(outcome.result["invoiced"])) == (Kind.DONE, True)
    assert (await place.to_ship(of), await place.payments(of)) == ({}, [])
    assert await place.moves(of, "out_invoice") == []


async def test_a_wrong_key_and_a_wrong_database(place: Place) -> None:
    """case: F12 - the one stops the system, the other is an outage."""
    for change, meaning in (
        ({"api_key": "wrong"}, (Kind.MISCONFIGURED, "bad_credentials")),
        ({"database": "no_such_database"}, (Kind.DOWN, "database_gone")),
    ):
        other = Odoo("odoo", place.settings | change, Rules(payments={"*": "BNK1"}))
        with pytest.raises(Failure) as caught:
            await other.operations["accept_order"].run([item(place.new())])
        assert (caught.value.outcome.kind, caught.value.outcome.reason) == meaning
        await other.close()


async def test_the_doctor_is_content(place: Place) -> None:
    """But for the digits of prices, which it asks for."""
    findings = await place.odoo.doctor()
    assert [f for f in findings if f.mark is Mark.FAILED] == []
    assert "price digits" in {f.check for f in findings if f.mark is Mark.WARNING}
