"""What the shop is told of the ERP's side: pure decisions from a Fulfilment and from what the shop shows."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import pytest
from tests.woocommerce_shop import fulfilment, invoice, packed, shipment

from counterfoil.connectors.woocommerce.tell import (
    ENDED,
    Manner,
    Shown,
    facts_of,
    is_for_customer,
    plain,
    shipments_meta,
    shown,
    status_for,
    tracking_items,
)
from counterfoil.retail.fulfilment import ErpState, Fulfilment, ShipmentState

OPEN, DONE = ShipmentState.OPEN, ShipmentState.DONE
STATUSES = ("pending", "on-hold", "processing", "completed", "cancelled", "refunded", "failed")
CONFIRMED = fulfilment(1000, shipment("12", OPEN))
PARTLY = fulfilment(1000, shipment("12"), shipment("13", OPEN, follows="12"))
DELIVERED = fulfilment(1000, shipment("12"))
CANCELLED = fulfilment(1000, state=ErpState.CANCELLED)
QUOTATION = fulfilment(1000, state=ErpState.QUOTATION)


def there(status: str, *told: str, paid: bool = False) -> Shown:
    return Shown(status, paid, frozenset(told))


@pytest.mark.parametrize(
    ("erp", "status", "paid", "wanted"),
    [
        (CONFIRMED, "pending", False, "processing"),
        (CONFIRMED, "on-hold", False, "processing"),
        (CONFIRMED, "on-hold", True, ""),  # it was paid, so a person has put it on hold since
        (CONFIRMED, "processing", True, ""),
        (PARTLY, "processing", True, ""),
        (DELIVERED, "processing", True, "completed"),
        (DELIVERED, "processing", False, "completed"),  # cash on delivery
        (DELIVERED, "on-hold", False, "completed"),
        (DELIVERED, "on-hold", True, ""),
        (DELIVERED, "completed", True, ""),
        (CANCELLED, "processing", True, "cancelled"),
        (CANCELLED, "pending", False, "cancelled"),
        (CANCELLED, "completed", True, ""),
        (fulfilment(1000, shipment("12"), state=ErpState.CANCELLED), "processing", True, ""),
        (QUOTATION, "on-hold", False, ""),
    ],
)
def test_the_status_follows_the_erp(erp: Fulfilment, status: str, paid: bool, wanted: str) -> None:
    """Forward only: confirmed, delivered, cancelled; a partial shipment keeps processing."""
    assert status_for(erp, there(status, paid=paid))[0] == wanted


@pytest.mark.parametrize(("erp", "status"), list(product((CONFIRMED, PARTLY, DELIVERED, CANCELLED, QUOTATION), ENDED)))
def test_what_is_over_in_the_shop_stays_so(erp: Fulfilment, status: str) -> None:
    """Cancelled, refunded, failed: never touched."""
    assert status_for(erp, there(status, paid=True))[0] == ""
    assert status_for(erp, there(status))[0] == ""


@pytest.mark.parametrize(("erp", "status"), list(product((CONFIRMED, PARTLY, DELIVERED, CANCELLED), STATUSES)))
def test_a_step_is_taken_once(erp: Fulfilment, status: str) -> None:
    """case: F37. Whatever a person sets after it stands."""
    target, key = status_for(erp, there(status))
    if target:
        assert status_for(erp, there(status, key)) == ("", "")
        assert status_for(erp, there(target, key)) == ("", key)


def test_what_is_shipped_later_completes_anew() -> None:
    """A line was added after delivery and the order opened again: the second delivery counts."""
    _, first = status_for(DELIVERED, there("processing"))
    again = fulfilment(1000, shipment("12"), shipment("14"))
    assert status_for(DELIVERED, there("processing", first)) == ("", "")
    assert status_for(again, there("processing", first))[0] == "completed"


def test_a_return_does_not_make_it_undelivered() -> None:
    """An open return is nothing left to ship."""
    found = fulfilment(1000, shipment("12"), shipment("15", OPEN, returned=True, follows="12"))
    assert status_for(found, there("processing", paid=True))[0] == "completed"
    assert status_for(fulfilment(1000, shipment("15", returned=True)), there("processing", paid=True))[0] == ""


def texts(found: Fulfilment) -> list[str]:
    return [plain(fact.text) for fact in facts_of(found)]


def test_a_shipment_in_plain_words() -> None:
    """Carrier, number, quantities as people write them, and the link."""
    items = (packed(quantity="2.00"), packed("MUG", "0.5", "Mug"), packed("", "1", ""))
    sent = shipment(
        "12", carrier="DHL", tracking="JD014", tracking_url="https://dhl.example/t?n=JD014&l=en", items=items
    )
    assert texts(fulfilment(1000, sent))[0] == (
        "Shipment WH/OUT/00012 has left with DHL: 2 × T-shirt (TEE-1), 0.5 × Mug (MUG), 1 × article. "
        "Tracking number: JD014. Follow it here: https://dhl.example/t?n=JD014&l=en"
    )
    assert "&amp;l=en" in facts_of(fulfilment(1000, sent))[0].text  # notes are HTML


def test_everything_else_in_plain_words() -> None:
    """Back-order, return, invoice, credit note; nothing of what has not happened."""
    found = fulfilment(
        1000,
        shipment("12"),
        shipment("13", OPEN, follows="12"),
        shipment("14", returned=True),
        shipment("16", OPEN, returned=True, follows="12"),
        shipment("17", ShipmentState.CANCELLED),
        invoices=(
            invoice("5", dated="2026-11-21", url="https://odoo.example/my/invoices/5?access_token=x"),
            invoice("6", dated="2026-11-22", credit=True, number="RINV/1"),
        ),
    )
    assert texts(found) == [
        "Shipment WH/OUT/00012 has left: 2 × T-shirt (TEE-1).",
        "Goods have come back (WH/OUT/00014): 2 × T-shirt (TEE-1).",
        "Back-order: a later shipment (WH/OUT/00013) brings 2 × T-shirt (TEE-1).",
        "Invoice INV/2026/0005 of 24.20 EUR: https://odoo.example/my/invoices/5?access_token=x",
        "Credit note RINV/1 of 24.20 EUR",
    ]
    assert [fact.key for fact in facts_of(found)] == [
        "shipment:12",
        "return:14",
        "backorder:13",
        "invoice:5",
        "credit:6",
    ]


def test_names_are_no_markup_and_links_no_scripts() -> None:
    """What the ERP calls an article must not become a tag on the shop's pages."""
    sent = shipment(
        "12", items=(packed(name="<script>x</script> & Co", sku=""),), tracking="1", tracking_url="javascript:x"
    )
    note = facts_of(fulfilment(1000, sent))[0].text
    assert "<" not in note
    assert "javascript" not in note
    assert plain(note) == "Shipment WH/OUT/00012 has left: 2 × <script>x</script> & Co. Tracking number: 1."


def test_long_shipments_are_cut() -> None:
    """A note that nobody reads to its end says how many there are."""
    sent = shipment("12", items=tuple(packed(f"S{n}", "1", f"Article {n}") for n in range(40)))
    assert texts(fulfilment(1000, sent))[0].endswith("1 × Article 24 (S24) and 15 more.")


def test_a_note_is_known_again() -> None:
    """Also with its entities, tags and line breaks changed by the shop; another shipment's is not taken for it."""
    sent = shipment("12", carrier="A & B", tracking="JD014")
    left, tracked = facts_of(fulfilment(1000, sent))
    kept = [plain(f"<p>{left.text}</p>\n")]
    assert left.is_said_in(kept)
    assert tracked.is_said_in(kept)
    other, _ = facts_of(fulfilment(1000, shipment("1", number="WH/OUT/0001", tracking="JD01")))
    assert not other.is_said_in(kept)
    assert not other.is_said_in([])


def test_a_tracking_number_that_comes_later_is_a_note_of_its_own() -> None:
    """The shipment was told without one; with it, it was told already."""
    (bare,) = facts_of(fulfilment(1000, shipment("12")))
    _, tracked = facts_of(fulfilment(1000, shipment("12", tracking="JD014", carrier="DHL")))
    assert not tracked.is_said_in([plain(bare.text)])
    assert plain(tracked.text) == "Tracking number of shipment WH/OUT/00012: Tracking number: JD014."
    assert tracked.is_said_in([plain(tracked.text)])
    _, corrected = facts_of(fulfilment(1000, shipment("12", tracking="JD015")))
    assert corrected.key != tracked.key
    assert not corrected.is_said_in([plain(tracked.text)])


@pytest.mark.parametrize(
    ("notes", "shipping", "document"), [("", True, False), ("customer", True, True), ("private", False, False)]
)
def test_who_sees_which_note(notes: str, shipping: bool, document: bool) -> None:
    """Shipments for the customer unless said otherwise; of an order that is over they hear nothing."""
    left, posted = facts_of(fulfilment(1000, shipment("12"), invoices=(invoice(),)))
    manner = Manner(notes)
    assert (is_for_customer(left, manner, "processing"), is_for_customer(posted, manner, "processing")) == (
        shipping,
        document,
    )
    assert not any(is_for_customer(fact, manner, status) for fact in (left, posted) for status in ENDED)


def test_shipments_as_meta_data() -> None:
    """What left and came back, with the units by the shop's line; nothing that is JSON's alone (floats, dates)."""
    entry, back = shipments_meta(
        fulfilment(1000, shipment("12", tracking="JD014"), shipment("13", OPEN), shipment("14", returned=True))
    )
    assert entry == {
        "id": "12",
        "number": "WH/OUT/00012",
        "carrier": "",
        "tracking": "JD014",
        "url": "",
        "done_at": "2026-11-21T12:12:00+00:00",
        "items": [{"line": "7", "sku": "TEE-1", "quantity": "2"}],
        "returned": False,
    }
    assert (back["id"], back["returned"]) == ("14", True)


def test_the_tracking_extensions_list_keeps_what_others_wrote() -> None:
    """Ours are replaced, a hand-written one stays; odd contents are no list."""
    found = fulfilment(1000, shipment("12", tracking="JD014", carrier="DHL"))
    theirs = {"tracking_provider": "postnl", "tracking_number": "9", "tracking_id": "abc"}
    first = tracking_items(found, [theirs])
    assert first[0] == theirs
    assert first[1]["tracking_number"] == "JD014"
    assert first[1]["custom_tracking_provider"] == "DHL"
    assert tracking_items(found, first) == first
    assert tracking_items(found, "odd") == first[1:]


def test_what_was_told_is_read_from_all_rows() -> None:
    """Two writers at once leave two rows; both count."""
    rows = [
        {"id": 1, "key": "_counterfoil_told", "value": "shipment:12 status:processing"},
        {"id": 2, "key": "_counterfoil_told", "value": "invoice:5"},
        {"id": 3, "key": "other", "value": "shipment:13"},
        "odd",
    ]
    found = shown({"status": "processing", "date_paid_gmt": None, "meta_data": rows})
    assert found == Shown("processing", False, frozenset({"shipment:12", "status:processing", "invoice:5"}))
    assert shown({"status": "processing"}).told == frozenset()


def test_keys_are_single_words() -> None:
    """They are kept in one text, apart by spaces."""
    (_, tracked) = facts_of(fulfilment(1000, shipment("12", tracking="JD 014")))
    assert " " not in tracked.key
    assert Decimal("2") == packed().quantity


def test_who_collects_is_told_that_it_is_ready_and_not_that_it_has_left() -> None:
    """Once, before it is fetched and after."""
    waiting = shipment("12", OPEN).model_copy(update={"ready": True})
    [ready] = facts_of(fulfilment(1000, waiting), "Paris Bastille")
    [fetched] = facts_of(fulfilment(1000, shipment("12")), "Paris Bastille")
    assert ready.text.startswith("Ready to collect at Paris Bastille (")
    assert (ready.key, ready.text, ready.shipping) == (fetched.key, fetched.text, True)
    assert facts_of(fulfilment(1000, waiting)) == []
    assert facts_of(fulfilment(1000, shipment("12", OPEN)), "Paris Bastille") == []
