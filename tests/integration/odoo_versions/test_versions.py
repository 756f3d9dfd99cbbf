"""The connector against stand-ins of Odoo 14, 16 and 18: nothing twice, the customer's total, each version's ways.

The doors refuse every field that the recorded version does not have, so that a wrong name cannot pass unseen.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from tests.conformance.erp_suite import NUMBERS, deliver
from tests.conformance.making import LYON, about, given_back, item, line, order, refunded
from tests.conformance.odoo_place import WRITES, StandInErp

from counterfoil.connectors.odoo import Odoo
from counterfoil.hub.contract import Failure, Item, Kind, Mark, Outcome
from counterfoil.retail.order import LineKind, Order, Status

Carry = Callable[[str, Item], Awaitable[Outcome]]
SHIPPING = line(net="4.13", taxes={"20": "0.83"}, kind=LineKind.SHIPPING, id="900")


@pytest.fixture
def erp(erp_of_module: StandInErp) -> Iterator[StandInErp]:
    """Without any trouble left over."""
    erp_of_module.faults.clear()
    yield erp_of_module
    erp_of_module.faults.clear()


@pytest.fixture
async def odoo(erp: StandInErp) -> AsyncIterator[Odoo]:
    """A hub's connector."""
    connector = erp.connector()
    yield connector
    await connector.close()


@pytest.fixture
def carry(odoo: Odoo) -> Carry:
    """Carries out one operation as the worker would."""

    async def one(name: str, it: Item) -> Outcome:
        return (await deliver(odoo.operations[name], [it]))[0]

    return one


def new(*lines: Any, **more: Any) -> Order:
    """An order nobody has seen before; without lines: three of SKU-A, two of SKU-B, and shipping."""
    parts = lines or (
        line("SKU-A", "33.33", {"20": "6.67"}, quantity="3", id="100"),
        line("SKU-B", "6.85", {"5.5": "0.38"}, quantity="2", id="101"),
        SHIPPING,
    )
    return order(str(next(NUMBERS)), *parts, **more)


async def accepted(carry: Carry, *lines: Any, **more: Any) -> Order:
    """An order that is in."""
    of = new(*lines, **more)
    outcome = await carry("accept_order", item(of))
    assert outcome.kind is Kind.DONE, outcome
    return of


async def test_the_version_is_found_out(erp: StandInErp, odoo: Odoo) -> None:
    """By its door alone."""
    assert (await odoo.client.names()).major == erp.version
    assert odoo.client.server_time is not None


async def test_accepted_once(erp: StandInErp, carry: Carry) -> None:
    """case: F01, F02 - confirmed and paid; a repeat gives the same number and rewrites nothing."""
    of = await accepted(carry)
    standing = erp.one(of)
    assert (standing.state, standing.seen.total, standing.seen.paid) == ("confirmed", of.total.amount, of.total.amount)
    erp.write(of, client_order_ref="by hand")
    before = erp.everything(of)
    again = await carry("accept_order", item(of))
    assert (again.kind, again.link) == (Kind.DONE, str(standing.id))
    assert erp.everything(of) == before


@pytest.mark.parametrize("write", WRITES)
async def test_nothing_twice_where_an_answer_is_lost(erp: StandInErp, carry: Carry, write: str) -> None:
    """case: F01 - Odoo carried it out, the answer never came: asked again, one order, one payment, one customer."""
    erp.faults.add("lost_answer", path=WRITES[write])
    of = await accepted(carry)
    assert erp.faults.played.get("lost_answer")
    assert erp.one(of).state == "confirmed"
    assert len(erp.payments(of)) == 1
    assert len(erp.customers(of.customer.email)) == 1


AMOUNTS: dict[str, tuple[list[Any], dict[str, str]]] = {
    "three for ten": ([line("SKU-A", "10.00", {"20": "2.00"}, quantity="3")], {}),
    "a hundred at a third": ([line("SKU-A", "33.33", {"20": "6.67"}, quantity="100")], {}),
    "inclusive, odd cents": ([line("SKU-A", "24.98", {"20": "5.00"}, quantity="2")], {}),
    "two rates": ([line("SKU-A", "9.99", {"20": "2.00"}), line("SKU-B", "0.03", {"5.5": "0.00"})], {}),
    "two taxes on a line": ([line("SKU-A", "33.33", {"20": "6.67", "5.5": "1.83"}, quantity="2")], {}),
    "yen": ([line("SKU-A", "1000", {"20": "200"}, quantity="3", currency="JPY")], {"currency": "JPY"}),
    "half a piece": ([line("SKU-A", "10.00", {"20": "2.00"}, quantity="2.5")], {}),
    "a rounding of the shop": ([line("SKU-A", "10.00", {"20": "2.00"})], {"told_total": "12.01"}),
}


@pytest.mark.parametrize("method", ["round_globally", "round_per_line"])
async def test_the_total_is_the_customers(erp: StandInErp, odoo: Odoo, method: str) -> None:
    """case: F24, F25, F26, F27 - to the cent, whichever way the company rounds; what Odoo cuts is on its own line."""
    orders = {name: new(*lines, **more) for name, (lines, more) in AMOUNTS.items()}
    with erp.rounding(method):
        outcomes = await deliver(odoo.operations["accept_order"], [item(of) for of in orders.values()])
    for (name, of), outcome in zip(orders.items(), outcomes, strict=True):
        assert outcome.kind is Kind.DONE, f"{name}: {outcome}"
        seen = erp.one(of).seen
        assert (seen.total, seen.paid, seen.currency) == (of.total.amount, of.total.amount, of.currency), name
        assert seen.untaxed + seen.tax == seen.total, name


async def test_beyond_the_tolerance_it_is_for_a_person(erp: StandInErp, carry: Carry) -> None:
    """case: F24 - Odoo computes a euro more of tax: the order stays a quotation, no money is recorded."""
    of = new(line("SKU-A", "100.00", {"20": "19.00"}))
    outcome = await carry("accept_order", item(of))
    assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "total_differs")
    assert (erp.one(of).state, erp.payments(of)) == ("quotation", [])


async def test_a_quotation_waits_for_its_money(erp: StandInErp, carry: Carry) -> None:
    """case: F03 - on hold, then paid."""
    of = new(status=Status.ON_HOLD, paid=False)
    assert (await carry("accept_order", item(of, level="quotation"))).kind is Kind.DONE
    assert (erp.one(of).state, erp.payments(of)) == ("quotation", [])
    assert (await carry("accept_order", item(order(of.id, *of.lines), event_type="order.paid"))).kind is Kind.DONE
    assert erp.one(of).state == "confirmed"


async def test_confirmed_orders_are_cancelled(erp: StandInErp, carry: Carry) -> None:
    """case: F05 - 16 and 18 ask back unless told not to; a repeat finds it so."""
    of = await accepted(carry)
    for _ in range(2):
        gone = of.model_copy(update={"status": Status.CANCELLED})
        assert (await carry("cancel_order", item(gone, event_type="order.cancelled"))).kind is Kind.DONE
    assert erp.one(of).state == "cancelled"


async def test_a_locked_order_stays(erp: StandInErp, carry: Carry) -> None:
    """Up to 16 by its state, later by a flag."""
    of = await accepted(carry)
    erp.lock(of)
    gone = of.model_copy(update={"status": Status.CANCELLED})
    outcome = await carry("cancel_order", item(gone, event_type="order.cancelled"))
    assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "locked_in_odoo")


async def test_changed_in_the_shop(erp: StandInErp, carry: Carry) -> None:
    """case: F06 - lines, quantities and the address as the shop has them now, the total to the cent."""
    of = await accepted(carry)
    lines = [
        line("SKU-A", "11.11", {"20": "2.22"}, quantity="1", id="100"),
        line("SKU-B", "17.13", {"5.5": "0.94"}, quantity="5", id="101"),
        SHIPPING,
    ]
    now = order(of.id, *lines, shipping=LYON)
    outcome = await carry("amend_order", item(now, event_type="order.changed", before=of))
    assert outcome.kind is Kind.DONE, outcome
    assert erp.one(of).seen.total == now.total.amount


async def test_invoiced_and_refunded(erp: StandInErp, carry: Carry) -> None:
    """case: F27, F29 - one invoice at the customer's total, paid; one credit note of the refund, the money out."""
    of = await accepted(carry)
    for _ in range(2):
        assert (await carry("invoice_order", about(of))).kind is Kind.DONE
    [invoice] = erp.invoices(of)
    assert (invoice["state"], Decimal(str(invoice["amount_total"]))) == ("posted", of.total.amount)
    back = given_back(of, "77" + of.id, l100="1")
    for _ in range(2):
        outcome = await carry("refund_order", refunded(of, back))
        assert outcome.kind is Kind.DONE, outcome
    [note] = erp.credit_notes(of)
    assert (note["state"], Decimal(str(note["amount_total"]))) == ("posted", back.amount.amount)
    assert [direction for direction, _, _ in erp.money(of)] == ["inbound", "outbound"]


async def test_an_order_as_history(erp: StandInErp, carry: Carry) -> None:
    """There and locked; no payment."""
    of = new(status=Status.COMPLETED)
    outcome = await carry("import_order", item(of, event_type="order.history"))
    assert outcome.kind is Kind.DONE, outcome
    [row] = erp.api.read("sale.order", [["id", "=", erp.one(of).id]], ["state", "locked"])
    assert (row["state"], row["locked"], erp.payments(of)) == ("sale", True, [])


async def test_what_odoo_has_is_read(erp: StandInErp, odoo: Odoo, carry: Carry) -> None:
    """Every feed, from the beginning: read in this version's names, and decoded."""
    of = await accepted(carry)
    kinds = set()
    for feed in odoo.feeds:
        async for page in feed.poll({}):
            for raw in page.receipts:
                state = odoo.decode(raw).state
                kinds.add(raw.kind)
                assert state is not None
    assert {"fulfilment", "stock", "product"} <= kinds
    assert erp.one(of)


async def test_the_doctor_is_content(odoo: Odoo) -> None:
    """But for the digits of prices, which it asks for."""
    findings = await odoo.doctor()
    assert [finding for finding in findings if finding.mark is Mark.FAILED] == []
    assert "price digits" in {finding.check for finding in findings if finding.mark is Mark.WARNING}


async def refused(odoo: Odoo) -> Outcome:
    """The outcome of a call that fails as a whole."""
    with pytest.raises(Failure) as caught:
        await odoo.operations["accept_order"].run([item(new())])
    return caught.value.outcome


@pytest.mark.parametrize(
    ("change", "meaning"),
    [
        ({"api_key": "wrong"}, (Kind.MISCONFIGURED, "bad_credentials")),
        ({"login": "nobody"}, (Kind.MISCONFIGURED, "bad_credentials")),
        ({"login": ""}, (Kind.MISCONFIGURED, "login_missing")),
        ({"database": ""}, (Kind.MISCONFIGURED, "database_missing")),
        ({"database": "no_such_database"}, (Kind.DOWN, "database_gone")),
        ({"api": "json2"}, (Kind.MISCONFIGURED, "no_json2")),
    ],
)
async def test_wrong_settings(erp: StandInErp, change: dict[str, str], meaning: tuple[Kind, str]) -> None:
    """case: F12 - each has its own words, and the connector was made without a question."""
    connector = erp.connector(**change)
    outcome = await refused(connector)
    assert (outcome.kind, outcome.reason) == meaning
    await connector.close()


async def test_trouble_on_the_way(erp: StandInErp, odoo: Odoo) -> None:
    """case: F09, F12 - an outage, a proxy's page, a request to wait, a lost race: by content."""
    await odoo.client.names()
    with erp.without_database():
        assert (await refused(odoo)).reason == "database_gone"
    for fault, kind in (
        ({"kind": "status", "status": 502, "body": "<h1>Bad Gateway</h1>", "content_type": "text/html"}, Kind.DOWN),
        ({"kind": "throttle", "seconds": 7}, Kind.THROTTLED),
    ):
        erp.faults.add(**fault)
        assert (await refused(odoo)).kind is kind
    of = new()
    async with erp.losing_race(of):
        assert (await refused(odoo)).kind is Kind.RETRY


async def test_invoiced_as_it_is_shipped(erp: StandInErp, carry: Carry) -> None:
    """case: F27 - each part once it has left, all of them at the customer's total."""
    for sku in ("PART-A", "PART-B"):
        erp.make_product(sku, invoice_policy="delivery")
    lines = [line("PART-A", "33.33", {"20": "6.67"}, quantity="3"), line("PART-B", "6.85", {"5.5": "0.38"})]
    of = await accepted(carry, *lines, SHIPPING)
    for part in ({"part_a": 3}, {}):
        erp.ship(of, **part)
        outcome = await carry("invoice_order", about(of))
        assert outcome.kind is Kind.DONE, outcome
    first, second = erp.invoices(of)
    assert (first["state"], second["state"]) == ("posted", "posted")
    assert Decimal(str(first["amount_total"])) + Decimal(str(second["amount_total"])) == of.total.amount
