"""tell_order against the shop's stand-in over HTTP: each thing once, whatever gets lost, and never over a person."""

from __future__ import annotations

import pytest
from tests.woocommerce_shop import SYSTEM, T0, fulfilment, invoice, item, poll, run, settings, shipment, telling

from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil.hub.contract import Item, Kind, Outcome
from counterfoil.retail.fulfilment import ErpState, Fulfilment, ShipmentState
from counterfoil.retail.order import Order, Status
from counterfoil_sandbox.woocommerce import ShopApp
from counterfoil_sandbox.woocommerce_orders import make_order

OPEN = ShipmentState.OPEN
PARTLY = (shipment("12", tracking="JD014", carrier="DHL"), shipment("13", OPEN, follows="12"))


async def tell(shop: WooCommerce, found: Fulfilment) -> Outcome:
    return (await run(shop, "tell_order", telling(found)))[0]


def place(app: ShopApp, n: int = 0, status: str = "processing", **fields: object) -> int:
    number: int = app.shop.place(make_order(n, status=status), at=T0 - 600, **fields)["id"]
    return number


def notes(app: ShopApp, number: int = 1000) -> list[tuple[str, bool]]:
    """Ours, the oldest first, by their first words, and whether the customer was mailed."""
    ours = [n for n in app.shop.notes(number) if not n["note"].startswith("Order status")]
    found = sorted(ours, key=lambda note: note["id"])
    return [(" ".join(note["note"].split()[:2]), note["customer_note"]) for note in found]


def meta(app: ShopApp, key: str, number: int = 1000) -> list[object]:
    return [m["value"] for m in app.shop.order(number)["meta_data"] if m["key"] == key]


def puts(app: ShopApp) -> int:
    return app.requests["PUT /wp-json/wc/v3/orders/1000"]


async def test_an_order_from_confirmation_to_delivery(app: ShopApp, shop: WooCommerce) -> None:
    """On hold, confirmed, shipped in two parts, invoiced: statuses, notes and meta data, each once."""
    place(app, status="on-hold")
    confirmed = await tell(shop, fulfilment(1000, shipment("12", OPEN)))
    assert (confirmed.kind, confirmed.link, confirmed.emits) == (Kind.DONE, "1000", ("order.told",))
    assert (confirmed.result["status"], app.shop.order(1000)["status"]) == ("processing", "processing")
    part = await tell(shop, fulfilment(1000, *PARTLY))
    assert (part.result["status"], app.shop.order(1000)["status"]) == ("", "processing")
    assert notes(app) == [("Shipment WH/OUT/00012", True), ("Back-order: a", False)]
    whole = (PARTLY[0], shipment("13", follows="12"))
    last = await tell(shop, fulfilment(1000, *whole, invoices=(invoice(),)))
    assert (last.result["status"], app.shop.order(1000)["status"]) == ("completed", "completed")
    assert last.result["notes"] == ["shipment:13", "invoice:5"]
    assert notes(app)[2:] == [("Shipment WH/OUT/00013", True), ("Invoice INV/2026/0005", False)]
    (kept,) = meta(app, "_counterfoil_shipments")
    assert isinstance(kept, list)
    assert [(s["id"], s["tracking"]) for s in kept] == [("12", "JD014"), ("13", "")]
    assert meta(app, "_wc_shipment_tracking_items") == []
    assert puts(app) == 3


async def test_told_twice_is_told_once(app: ShopApp, shop: WooCommerce) -> None:
    """The same again reads one order and writes nothing: no echo, no second mail."""
    place(app)
    found = fulfilment(1000, *PARTLY, invoices=(invoice(),))
    await tell(shop, found)
    before, asked = app.shop.order(1000), app.requests.total()
    again = await tell(shop, found)
    assert (again.kind, again.result["notes"], again.result["status"]) == (Kind.DONE, [], "")
    assert app.shop.order(1000) == before
    assert app.requests.total() == asked + 1
    assert len(notes(app)) == 3


async def test_our_own_write_is_known_when_it_comes_back(app: ShopApp, shop: WooCommerce) -> None:
    """case: F37. What the outcome observed is what the poll then brings; only the status was ours."""
    place(app)
    app.shop.set_clock(frozen_at=T0 + 60)
    outcome = await tell(shop, fulfilment(1000, shipment("12")))
    receipts, _ = await poll(shop, {})
    assert outcome.observed is not None
    assert shop.decode(receipts[-1]) == outcome.observed
    assert isinstance(outcome.observed.state, Order)
    assert (outcome.observed.state.status, outcome.wrote) == (Status.COMPLETED, frozenset({"status"}))


async def test_a_payment_that_the_shop_dates_at_our_word_is_no_payment(app: ShopApp, shop: WooCommerce) -> None:
    """case: F37. On hold → processing makes WooCommerce write date_paid: it must not come back as money received.

    Cash on delivery is dated when the order is completed, which is news.
    """
    place(app, status="on-hold", payment_method="bacs")
    assert app.shop.order(1000)["date_paid_gmt"] is None
    outcome = await tell(shop, fulfilment(1000, shipment("12", OPEN)))
    assert app.shop.order(1000)["date_paid_gmt"] is not None
    assert outcome.wrote == {"status", "payments"}
    cod = place(app, 1, status="processing", payment_method="cod", date_paid_gmt=None)
    outcome = await tell(shop, fulfilment(cod, shipment("14")))
    assert app.shop.order(cod)["date_paid_gmt"] is not None
    assert outcome.wrote == {"status"}


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("kind", ["lost_answer", "reset"])
@pytest.mark.parametrize("skip", [0, 1, 2])
async def test_lost_answers_double_nothing(app: ShopApp, shop: WooCommerce, method: str, kind: str, skip: int) -> None:
    """case: F01. A note or a write lands but its answer does not, or the other way round: once each in the end."""
    place(app)
    found = fulfilment(1000, PARTLY[0], shipment("13", follows="12"), invoices=(invoice(),))
    if skip:
        app.faults.add("latency", method=method, path="orders/1000", times=skip)  # lets so many through
    app.faults.add(kind, method=method, path="orders/1000")
    outcomes = [await tell(shop, found) for _ in range(3)]
    assert outcomes[-1].kind is Kind.DONE
    assert [words for words, _ in notes(app)] == [
        "Shipment WH/OUT/00012",
        "Shipment WH/OUT/00013",
        "Invoice INV/2026/0005",
    ]
    assert app.shop.order(1000)["status"] == "completed"
    assert len(meta(app, "_counterfoil_told")) == 1


async def test_a_lost_answer_to_the_status_is_still_known_as_ours(app: ShopApp, shop: WooCommerce) -> None:
    """case: F37. The repeat finds the status it has set, and says so: the echo is not news."""
    place(app)
    app.faults.add("lost_answer", method="PUT")
    found = fulfilment(1000, shipment("12"))
    assert (await tell(shop, found)).kind is Kind.DOWN
    again = await tell(shop, found)
    assert again.observed is not None
    assert isinstance(again.observed.state, Order)
    assert (again.observed.state.status, again.wrote) == (Status.COMPLETED, frozenset({"status"}))
    assert puts(app) == 1


async def test_killed_between_note_and_write(app: ShopApp, shop: WooCommerce) -> None:
    """The note stands, nothing says so in the meta data: it is found among the notes, whatever the shop made of it."""
    place(app)
    app.faults.add("reset", method="PUT")
    found = fulfilment(1000, *PARTLY)
    assert (await tell(shop, found)).kind is Kind.DOWN
    assert meta(app, "_counterfoil_told") == []
    app.shop.stored[1000].notes[0]["note"] = f"<p>{app.shop.stored[1000].notes[0]['note']}</p>"
    assert (await tell(shop, found)).kind is Kind.DONE
    assert len(notes(app)) == 2
    assert meta(app, "_counterfoil_told") == ["backorder:13 shipment:12 status:processing tracking:12:JD014"]


async def test_what_a_person_did_meanwhile_counts(app: ShopApp, shop: WooCommerce) -> None:
    """Cancelled while the notes were being written: the status is looked at once more before it is set."""
    place(app)
    written = app.shop.add_note

    def cancelled_meanwhile(number: int, text: str, customer: bool = False) -> dict[str, object]:
        app.shop.change(number, status="cancelled")
        return written(number, text, customer)

    app.shop.add_note = cancelled_meanwhile  # type: ignore[method-assign]
    outcome = await tell(shop, fulfilment(1000, shipment("12")))
    assert (outcome.kind, outcome.result["status"]) == (Kind.DONE, "")
    assert app.shop.order(1000)["status"] == "cancelled"


async def test_a_person_who_opens_it_again_is_right(app: ShopApp, shop: WooCommerce) -> None:
    """Completed by us, opened by a person, invoiced after: the note comes, the status stays theirs."""
    place(app)
    await tell(shop, fulfilment(1000, shipment("12")))
    app.shop.change(1000, status="processing")
    await tell(shop, fulfilment(1000, shipment("12"), invoices=(invoice(),)))
    assert app.shop.order(1000)["status"] == "processing"
    assert notes(app)[-1] == ("Invoice INV/2026/0005", False)


@pytest.mark.parametrize("status", ["refunded", "cancelled"])
async def test_an_order_that_is_over(app: ShopApp, shop: WooCommerce, status: str) -> None:
    """Its status is left alone; what there is to note is for the staff only."""
    place(app)
    app.shop.change(1000, status=status)
    outcome = await tell(
        shop, fulfilment(1000, shipment("12"), shipment("14", returned=True), invoices=(invoice(credit=True),))
    )
    assert (outcome.kind, app.shop.order(1000)["status"]) == (Kind.DONE, status)
    assert [mailed for _, mailed in notes(app)] == [False, False, False]


async def test_an_order_in_the_trash_is_left_there(app: ShopApp, shop: WooCommerce) -> None:
    """Nothing is written, and the counterfoil says why."""
    place(app)
    app.shop.delete(1000)
    outcome = await tell(shop, fulfilment(1000, shipment("12")))
    assert (outcome.kind, outcome.result["because"]) == (Kind.DONE, "the order is in the shop's trash")
    assert (puts(app), notes(app)) == (0, [])


async def test_cancelled_in_the_erp(app: ShopApp, shop: WooCommerce) -> None:
    """Not shipped: cancelled in the shop too, which puts its stock back. Shipped: left to a person."""
    place(app)
    place(app, 1)
    assert (await tell(shop, fulfilment(1000, state=ErpState.CANCELLED))).result["status"] == "cancelled"
    sent = fulfilment(1001, shipment("12"), state=ErpState.CANCELLED)
    assert (await tell(shop, sent)).result["status"] == ""
    assert [app.shop.order(n)["status"] for n in (1000, 1001)] == ["cancelled", "processing"]


@pytest.mark.parametrize(
    ("status", "erp", "moved"),
    [
        ("processing", fulfilment(1000, state=ErpState.CANCELLED), True),
        ("pending", fulfilment(1000), True),
        ("on-hold", fulfilment(1000), False),
        ("processing", fulfilment(1000, shipment("12")), False),
    ],
)
async def test_a_step_with_which_the_shop_counts_anew_says_so(
    app: ShopApp, shop: WooCommerce, status: str, erp: Fulfilment, moved: bool
) -> None:
    """WooCommerce gives back stock when it cancels and takes it when an order leaves pending: to be published again."""
    place(app, status=status, date_paid_gmt=None)
    outcome = await tell(shop, erp)
    assert outcome.result["status"]
    assert outcome.result.get("stock_moved", False) is moved


async def test_settings_for_notes_and_the_tracking_extension(app: ShopApp, url: str) -> None:
    """All mailed, none mailed; the extension's list filled beside what somebody wrote by hand."""
    by_hand = {"tracking_provider": "postnl", "tracking_number": "9", "tracking_id": "abc"}
    rows = [{"id": 1, "key": "_wc_shipment_tracking_items", "value": [by_hand]}]
    found = {"customer": [True, True, True], "private": [False, False, False]}
    for n, (choice, mailed) in enumerate(found.items()):
        place(app, n, meta_data=rows)
        shop = WooCommerce(SYSTEM, settings(url, notes=choice, shipment_tracking="yes"))
        await tell(shop, fulfilment(1000 + n, *PARTLY, invoices=(invoice(),)))
        await shop.close()
        assert [told for _, told in notes(app, 1000 + n)] == mailed
        (kept,) = meta(app, "_wc_shipment_tracking_items", 1000 + n)
        assert isinstance(kept, list)
        assert [entry["tracking_number"] for entry in kept] == ["9", "JD014"]


async def test_fifty_items_with_one_bad_among_them(app: ShopApp, shop: WooCommerce) -> None:
    """case: F17. One order is gone, one item says nothing: they alone fail."""
    for n in range(50):
        place(app, n)
    app.shop.delete(1017, force=True)
    items = [telling(fulfilment(1000 + n, shipment("12"))) for n in range(50)]
    items[30] = Item(1, f"{SYSTEM}:order:1030", "k", "order.delivered", {})
    outcomes = await run(shop, "tell_order", *items)
    assert {n: o.reason for n, o in enumerate(outcomes) if o.kind is not Kind.DONE} == {
        17: "not_in_shop",
        30: "no_fulfilment",
    }
    assert [app.shop.order(n)["status"] for n in (1016, 1018, 1030)] == ["completed", "completed", "processing"]


async def test_a_shop_that_goes_down_in_the_middle(app: ShopApp, shop: WooCommerce) -> None:
    """The rest is not tried, all of it has the outcome; afterwards everything is told once."""
    for n in range(4):
        place(app, n)
    items = [telling(fulfilment(1000 + n, shipment("12"))) for n in range(4)]
    app.faults.add("down", path="orders/1002", times=-1)
    outcomes = await run(shop, "tell_order", *items)
    assert [o.kind for o in outcomes] == [Kind.DONE, Kind.DONE, Kind.DOWN, Kind.DOWN]
    app.faults.clear()
    assert {o.kind for o in await run(shop, "tell_order", *items)} == {Kind.DONE}
    assert [len(notes(app, 1000 + n)) for n in range(4)] == [1, 1, 1, 1]


@pytest.mark.parametrize("lost", ["_counterfoil_told", "status"])
async def test_a_plugin_that_keeps_nothing_is_told_of(app: ShopApp, shop: WooCommerce, lost: str) -> None:
    """Without the record every event would look for its notes again; a status that does not stick is a person's."""
    place(app)
    written = app.shop.change

    def filtered(number: int, **fields: object) -> dict[str, object]:
        if lost == "status":
            fields.pop("status", None)
        else:
            rows = fields.get("meta_data")
            assert isinstance(rows, list)
            fields["meta_data"] = [row for row in rows if row["key"] != lost]
        return written(number, **fields)

    app.shop.change = filtered  # type: ignore[method-assign]
    outcome = await tell(shop, fulfilment(1000, shipment("12")))
    assert outcome.kind is Kind.REJECTED
    assert outcome.reason == ("status_not_kept" if lost == "status" else "note_not_kept")


async def test_what_cannot_be_told(app: ShopApp, shop: WooCommerce) -> None:
    """No state, no number: ours to mend, said in the outcome."""
    place(app)
    nothing = item(f"{SYSTEM}:order:1000", "order.delivered", None)
    odd = item(f"{SYSTEM}:order:x1", "order.delivered", fulfilment(1000))
    assert [o.reason for o in await run(shop, "tell_order", nothing, odd)] == ["no_fulfilment", "no_number"]
    carried = item(f"{SYSTEM}:order:1000", "order.delivered", None, fulfilment=fulfilment(1000).model_dump(mode="json"))
    assert (await run(shop, "tell_order", carried))[0].kind is Kind.DONE


@pytest.mark.parametrize("body", ["{}", "null", '["odd"]', '{"0": {"note": "x"}}'])
async def test_notes_that_cannot_be_read_are_not_taken_for_none(app: ShopApp, shop: WooCommerce, body: str) -> None:
    """A cache in the way must not have a note written twice."""
    place(app)
    app.faults.add("status", path="notes", method="GET", status=200, body=body)
    outcome = await tell(shop, fulfilment(1000, shipment("12")))
    assert (outcome.kind, outcome.reason) == (Kind.RETRY, "odd_answer")
    assert notes(app) == []
