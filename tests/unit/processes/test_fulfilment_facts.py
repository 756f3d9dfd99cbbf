"""What the ERP did about an order, told to the shop: each thing once, whatever happened between two looks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterfoil.hub.decode import Decision
from counterfoil.processes.fulfilment import judge
from counterfoil.retail.events import EVENT_TYPES
from counterfoil.retail.fulfilment import ErpState, Fulfilment, Invoice, Packed, Shipment, ShipmentState
from counterfoil.retail.money import Money

ORDER = "shop:order:1"
READ = "2026-11-02T10:00:00Z"


def shipment(id_: str = "1", state: str = "done", **more: Any) -> Shipment:
    """A parcel with a mug in it; gone, unless said."""
    items = (Packed(sku="MUG", quantity=Decimal(1), line="1"),)
    return Shipment(id=id_, number=f"WH/OUT/{id_}", state=ShipmentState(state), items=items, **more)


def invoice(id_: str = "7", **more: Any) -> Invoice:
    """A posted invoice over 12.00 EUR."""
    return Invoice(id=id_, number=f"INV/{id_}", total=Money.of("12.00", "EUR"), **more)


def state(*parts: Shipment | Invoice, erp: str = "confirmed") -> Fulfilment:
    """The ERP's order S1, confirmed unless said, with these parts."""
    return Fulfilment(
        order=ORDER,
        id="41",
        number="S1",
        state=ErpState(erp),
        shipments=tuple(p for p in parts if isinstance(p, Shipment)),
        invoices=tuple(p for p in parts if isinstance(p, Invoice)),
    )


def facts(decision: Decision) -> list[str]:
    """The types of the events."""
    return [e.type for e in decision.events]


QUOTATION = state(erp="quotation")
WAITING = state(shipment(state="open"))
HALF = state(shipment("1"), shipment("2", "open", follows="1"))
GONE = state(shipment("1"))


@pytest.mark.parametrize(
    ("before", "now", "told", "stage"),
    [
        pytest.param(None, QUOTATION, [], "quotation", id="a quotation is nothing for the customer"),
        pytest.param(QUOTATION, WAITING, ["order.confirmed"], "confirmed", id="confirmed"),
        pytest.param(WAITING, WAITING, [], "confirmed", id="looked at again"),
        pytest.param(
            WAITING,
            HALF,
            ["shipment.dispatched", "order.backordered"],
            "part_shipped",
            id="partly shipped, back-ordered",
        ),
        pytest.param(
            HALF,
            state(shipment("1"), shipment("2", follows="1")),
            ["shipment.dispatched", "order.delivered"],
            "delivered",
            id="the rest",
        ),
        pytest.param(WAITING, GONE, ["shipment.dispatched", "order.delivered"], "delivered", id="shipped whole"),
        pytest.param(GONE, state(shipment(), invoice()), ["order.invoiced"], "delivered", id="invoiced"),
        pytest.param(
            state(invoice()), state(invoice(), invoice("8")), ["order.invoiced"], "confirmed", id="each invoice"
        ),
        pytest.param(state(invoice()), state(invoice(paid=True)), [], "confirmed", id="an invoice that is paid"),
        pytest.param(
            state(invoice()),
            state(invoice(), invoice("8", credit=True)),
            ["order.credited"],
            "confirmed",
            id="credited",
        ),
        pytest.param(
            WAITING, state(shipment(state="cancelled"), erp="cancelled"), ["order.closed"], "closed", id="closed"
        ),
        pytest.param(None, state(erp="cancelled"), ["order.closed"], "closed", id="heard of when it was over"),
        pytest.param(
            GONE, state(shipment(), shipment("9", "open", returned=True)), [], "delivered", id="a return is on its way"
        ),
        pytest.param(
            GONE, state(shipment(), shipment("9", returned=True)), ["shipment.returned"], "delivered", id="returned"
        ),
        pytest.param(
            HALF,
            state(shipment("1"), shipment("2", "cancelled", follows="1")),
            ["order.delivered"],
            "delivered",
            id="the rest is given up",
        ),
        pytest.param(
            None,
            state(shipment("1"), shipment("2", "open", follows="1"), invoice()),
            ["order.confirmed", "shipment.dispatched", "order.backordered", "order.invoiced"],
            "part_shipped",
            id="heard of in the middle: all of it",
        ),
        pytest.param(state(erp="cancelled"), WAITING, ["order.confirmed"], "confirmed", id="taken up again"),
    ],
)
def test_what_is_true_now_and_was_not_before_is_told(
    before: Fulfilment | None, now: Fulfilment, told: list[str], stage: str
) -> None:
    decision = judge("odoo", before, now, READ)
    assert (facts(decision), decision.stage) == (told, stage)


def test_a_tracking_number_that_comes_later_is_told() -> None:
    """With the shipment it belongs to, and once."""
    known = state(shipment(carrier="DHL"))
    numbered = state(shipment(carrier="DHL", tracking="JJD01"))
    (event,) = judge("odoo", known, numbered, READ).events
    assert (event.type, event.data["shipment"]["tracking"]) == ("shipment.dispatched", "JJD01")
    assert facts(judge("odoo", numbered, numbered, READ)) == []
    assert facts(judge("odoo", numbered, state(shipment(carrier="DHL", tracking="JJD02")), READ)) == [
        "shipment.dispatched"
    ]
    assert facts(judge("odoo", numbered, known, READ)) == []


def test_a_shipment_that_leaves_with_its_number_is_told_once() -> None:
    assert facts(judge("odoo", WAITING, state(shipment(tracking="JJD01")), READ)) == [
        "shipment.dispatched",
        "order.delivered",
    ]


def test_each_event_says_which_part_it_is_about() -> None:
    now = state(shipment("1"), shipment("2", tracking="JJD02"), invoice())
    events = judge("odoo", WAITING, now, READ).events
    assert [e.data["shipment"]["id"] for e in events if e.type == "shipment.dispatched"] == ["1", "2"]
    assert [e.data["invoice"]["number"] for e in events if e.type == "order.invoiced"] == ["INV/7"]
    assert {(e.source, e.subject, e.key, e.correlation) for e in events} == {("odoo", ORDER, ORDER, ORDER)}
    assert all(e.data["fulfilment"] == now.model_dump(mode="json") for e in events)
    refs = {ref for e in events for ref in e.refs}
    assert {
        ("erp", "S1"),
        ("odoo", "41"),
        ("tracking", "JJD02"),
        ("shipment", "WH/OUT/2"),
        ("invoice", "INV/7"),
    } <= refs
    assert not [value for _, value in refs if not value]


def test_what_is_done_again_later_is_another_fact() -> None:
    """Confirmed, cancelled, confirmed again: told twice, and not taken for the first time."""
    (first,) = judge("odoo", QUOTATION, state(), READ).events
    (again,) = judge("odoo", state(erp="cancelled"), state(), "2026-11-03T10:00:00Z").events
    assert first.type == again.type == "order.confirmed"
    assert first.id != again.id


def test_the_same_fact_has_the_same_id() -> None:
    """case: F04"""
    one, other = (judge("odoo", WAITING, GONE, READ).events for _ in range(2))
    assert [e.id for e in one] == [e.id for e in other]


shipments = st.builds(
    shipment,
    st.sampled_from("123"),
    st.sampled_from(["open", "done", "cancelled"]),
    tracking=st.sampled_from(["", "A", "B"]),
    returned=st.booleans(),
    follows=st.sampled_from(["", "1"]),
)
states = st.builds(
    lambda erp, parts, invoices: state(*parts, *invoices, erp=erp),
    st.sampled_from([str(e) for e in ErpState]),
    st.lists(shipments, max_size=3, unique_by=lambda s: s.id),
    st.lists(st.builds(invoice, st.sampled_from("78"), credit=st.booleans()), max_size=2, unique_by=lambda i: i.id),
)


@settings(deadline=None)  # what is slow on a busy machine is not wrong
@given(st.lists(states, min_size=1, max_size=6))
def test_whatever_the_erp_says_each_fact_is_told_when_it_becomes_true(told: list[Fulfilment]) -> None:
    """Only what the language knows, no id twice, nothing on a second look, and no shipment forgotten."""
    before, ids, dispatched = None, [], set[str]()
    for number, now in enumerate(told):
        decision = judge("odoo", before, now, f"2026-11-02T10:00:{number:02}Z")
        ids += [e.id for e in decision.events]
        assert {e.type for e in decision.events} <= EVENT_TYPES.keys()
        assert judge("odoo", now, now, READ).events == ()
        dispatched |= {e.data["shipment"]["id"] for e in decision.events if e.type == "shipment.dispatched"}
        assert {s.id for s in now.shipments if s.state is ShipmentState.DONE and not s.returned} <= dispatched
        before = now
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("ready", "before", "now", "told"),
    [
        ("assigned", WAITING, state(shipment(state="open", ready=True)), True),
        ("assigned", WAITING, state(shipment(state="done")), True),  # taken at once: nobody saw it reserved
        ("assigned", state(shipment(state="open", ready=True)), state(shipment(state="done")), False),
        ("assigned", WAITING, state(shipment(state="open", ready=True), erp="quotation"), False),
        ("assigned", WAITING, state(shipment(state="done", returned=True)), False),
        ("done", WAITING, state(shipment(state="open", ready=True)), False),
        ("done", WAITING, state(shipment(state="done")), True),
        ("", WAITING, state(shipment(state="done", ready=True)), False),
    ],
)
def test_what_is_collected_is_ready_once_its_store_says_so(
    ready: str, before: Fulfilment, now: Fulfilment, told: bool
) -> None:
    """By the declared state; of goods that are not collected the decoder drops the fact (Process.needs)."""
    assert ("order.ready_for_pickup" in facts(judge("odoo", before, now, READ, ready))) is told
