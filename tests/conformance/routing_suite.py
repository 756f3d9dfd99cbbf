"""Orders that ship from several places, and orders that are collected, in an Odoo with two warehouses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.conformance.erp_suite import Connect, ErpSuite, Make, deliver
from tests.conformance.making import given_back, item, line, refunded
from tests.conformance.odoo_place import RULES, Erp

from counterfoil.connectors.odoo import Rules
from counterfoil.hub.contract import Kind, Mark, Outcome
from counterfoil.retail.order import LineKind, Order

U = 1000
PARIS = "PAR"
ROUTED = Rules(payments=RULES.payments, routed=frozenset({"WH", PARIS}), pickups={"web": {"local_pickup:3": PARIS}})
SPLIT = {"101": [["WH", 2 * U]], "102": [[PARIS, U]], "103": [["WH", 3 * U], [PARIS, 2 * U]]}
Do = Callable[..., Any]


def shipping(erp: Erp, of: Order) -> dict[str, dict[str, float]]:
    """What is to be shipped or was, by the warehouse whose delivery it is in, then by SKU."""
    domain = [["picking_id.sale_id.origin", "=", of.canonical_id], ["state", "!=", "cancel"]]
    moves = erp.api.read("stock.move", domain, ["picking_id", "product_id", "product_uom_qty"])
    found: dict[str, dict[str, float]] = {}
    for move in moves:
        place, sku = move["picking_id"][1].partition("/")[0], move["product_id"][1].partition("]")[0].strip("[")
        there = found.setdefault(place, {})
        there[sku] = there.get(sku, 0.0) + move["product_uom_qty"]
    return found


def warehouse(erp: Erp, of: Order) -> str:
    """The short name of the order's own warehouse."""
    [row] = erp.api.read("sale.order", [["origin", "=", of.canonical_id]], ["warehouse_id"])
    [house] = erp.api.read("stock.warehouse", [["id", "=", row["warehouse_id"][0]]], ["code"])
    return str(house["code"])


class RoutingSuite:
    """The stand-in and the real server alike."""

    erp, new, connect = ErpSuite.erp, ErpSuite.new, ErpSuite.connect

    @pytest.fixture
    def paris(self, erp: Erp) -> Erp:
        """The Odoo with more warehouses; lines may ask for the routes of two of them."""
        if not erp.api.read("stock.warehouse", [["code", "=", PARIS]], ["id"]):
            more = [{"name": "Paris Bastille", "code": PARIS}, {"name": "Lyon", "code": "LYO"}]
            erp.api.call("stock.warehouse", "create", vals_list=more)
            rows = erp.api.read("stock.warehouse", [["code", "in", ["WH", PARIS]]], ["delivery_route_id"])
            ids = [row["delivery_route_id"][0] for row in rows]
            erp.api.call("stock.route", "write", ids=ids, vals={"sale_selectable": True})
        return erp

    @pytest.fixture
    def do(self, paris: Erp, connect: Connect) -> Do:
        """Carries one operation out as the worker would."""

        async def one(operation: str, of: Order, **more: Any) -> Outcome:
            given = more.pop("given", None) or item(of, **more)
            return (await deliver(connect(ROUTED).operations[operation], [given]))[0]

        return one

    @pytest.fixture
    def sold(self, new: Make) -> Order:
        """Three articles and their shipping, 61.41 in all; five of the third do not share its price evenly."""
        charge = line(net="4.13", taxes={"20": "0.83"}, kind=LineKind.SHIPPING, id="104")
        goods = (
            line("SKU-A", "20.00", {"20": "4.00"}, quantity="2", id="101"),
            line("SKU-B", "10.02", {"20": "2.00"}, id="102"),
            line("SKU-C", "17.02", {"20": "3.41"}, quantity="5", id="103"),
        )
        return new(*goods, charge)

    async def test_an_order_from_two_warehouses(self, paris: Erp, do: Do, sold: Order) -> None:
        """Each delivers its own, the total is the customer's to the cent, and a repeat changes nothing."""
        outcome = await do("accept_order", sold, routing=SPLIT)
        assert outcome.kind is Kind.DONE, outcome
        assert shipping(paris, sold) == {"WH": {"SKU-A": 2.0, "SKU-C": 3.0}, PARIS: {"SKU-B": 1.0, "SKU-C": 2.0}}
        assert warehouse(paris, sold) == "WH"
        seen = paris.one(sold).seen
        assert (seen.total, seen.untaxed, seen.tax) == (Decimal("61.41"), Decimal("51.17"), Decimal("10.24"))
        parts = [seen.lines[key][:2] for key in sorted(seen.lines) if key.startswith("103")]
        assert [sum(each) for each in zip(*parts, strict=True)] == [Decimal("17.02"), Decimal("3.41")]
        assert outcome.result["ships_from"] == {
            "WH": "2 × Article SKU-A, 3 × Article SKU-C",
            PARIS: "1 × Article SKU-B, 2 × Article SKU-C",
        }
        before = paris.everything(sold)
        assert (await do("accept_order", sold, routing=SPLIT)).kind is Kind.DONE
        assert paris.everything(sold) == before

    async def test_an_order_that_one_warehouse_ships_is_that_ones(self, paris: Erp, do: Do, sold: Order) -> None:
        """No line has a route of its own: people may still change the order's warehouse."""
        outcome = await do("accept_order", sold, routing={n: [[PARIS, 5 * U]] for n in ("101", "102", "103")})
        assert outcome.kind is Kind.DONE, outcome
        assert (warehouse(paris, sold), set(shipping(paris, sold))) == (PARIS, {PARIS})
        lines = paris.api.read("sale.order.line", [["order_id.origin", "=", sold.canonical_id]], ["route_ids"])
        assert not any(each["route_ids"] for each in lines)

    async def test_an_amended_order_keeps_its_places(self, paris: Erp, do: Do, sold: Order) -> None:
        """More of a split line and one line more, each where it is routed to; the rest stays where it was."""
        assert (await do("accept_order", sold, routing=SPLIT)).kind is Kind.DONE
        goods = [part for part in sold.lines if part.id != "103"]
        more = line("SKU-C", "20.42", {"20": "4.09"}, quantity="6", id="103")
        another = line("SKU-D", "5.00", {"20": "1.00"}, id="105")
        now = order_of(sold, *goods, more, another)
        routing = SPLIT | {"103": [["WH", 3 * U], [PARIS, 3 * U]], "105": [[PARIS, U]]}
        outcome = await do("amend_order", now, event_type="order.changed", before=sold, routing=routing)
        assert outcome.kind is Kind.DONE, outcome
        assert shipping(paris, now) == {
            "WH": {"SKU-A": 2.0, "SKU-C": 3.0},
            PARIS: {"SKU-B": 1.0, "SKU-C": 3.0, "SKU-D": 1.0},
        }
        assert paris.one(now).seen.total == now.total.amount
        before = paris.everything(now)
        await do("amend_order", now, event_type="order.changed", before=sold, routing=routing)
        assert paris.everything(now) == before

    async def test_a_refund_of_a_split_line_takes_from_both_places(self, paris: Erp, do: Do, sold: Order) -> None:
        """Four of five, none shipped: one is left to ship, and the money is the customer's to the cent."""
        assert (await do("accept_order", sold, routing=SPLIT)).kind is Kind.DONE
        back = given_back(sold, "9", l103="4")
        outcome = await do("refund_order", sold, given=refunded(sold, back, routing=SPLIT))
        assert outcome.kind is Kind.DONE, outcome
        left = shipping(paris, sold)
        assert sum(there.get("SKU-C", 0.0) for there in left.values()) == 1.0
        assert sum(there.get("SKU-A", 0.0) for there in left.values()) == 2.0
        assert sum(note["amount_total"] for note in paris.credit_notes(sold)) == pytest.approx(
            float(back.amount.amount)
        )

    async def test_an_order_to_collect_is_its_stores(self, paris: Erp, do: Do, sold: Order) -> None:
        """Whatever was said of places; one to collect where no store is declared waits for a person."""
        collected = sold.model_copy(update={"pickup": "local_pickup:3"})
        assert (await do("accept_order", collected, routing=SPLIT)).kind is Kind.DONE
        assert (warehouse(paris, sold), set(shipping(paris, sold))) == (PARIS, {PARIS})
        elsewhere = sold.model_copy(update={"pickup": "local_pickup:4", "id": f"{sold.id}-4"})
        assert (await do("accept_order", elsewhere)).reason == "unmapped_pickup"

    async def test_a_place_that_odoo_does_not_have(self, do: Do, sold: Order) -> None:
        """It names those there are."""
        outcome = await do("accept_order", sold, routing=SPLIT | {"101": [["XX", 2 * U]]})
        assert (outcome.reason, "PAR" in outcome.message) == ("unmapped_warehouse", True)

    async def test_a_place_whose_route_lines_may_not_choose(self, do: Do, sold: Order) -> None:
        """Odoo would take it and ship what is added later from elsewhere."""
        outcome = await do("accept_order", sold, routing=SPLIT | {"102": [["LYO", U]]})
        assert (outcome.reason, "LYO" in outcome.suggestion) == ("no_route", True)

    @pytest.mark.parametrize(
        ("places", "mark", "word"),
        [("WH PAR", Mark.OK, PARIS), ("WH LYO", Mark.WARNING, "LYO"), ("WH XX", Mark.FAILED, "XX")],
    )
    async def test_the_doctor_looks_at_the_places(
        self, paris: Erp, connect: Connect, places: str, mark: Mark, word: str
    ) -> None:
        """Before an order comes that needs them."""
        found = await connect(replace(ROUTED, routed=frozenset(places.split()))).doctor()
        [finding] = [each for each in found if each.check == "routing"]
        assert (finding.mark, word in finding.found) == (mark, True)


def order_of(old: Order, *lines: Any) -> Order:
    """The same order with other lines, and the total that they come to."""
    made = old.model_copy(update={"lines": lines})
    total = made.net + made.tax
    paid = tuple(each.model_copy(update={"amount": total}) for each in old.payments)
    return made.model_copy(update={"total": total, "tax_told": made.tax, "payments": paid})
