"""The counterfoil: one object's receipts, events, deliveries and exceptions as one timeline, and how it is found."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest
from tests.fakes import ERP, FLOWS, SHOP, House, at, failing, payload, rows_of, subject, until

from counterfoil.hub import exceptions, schema, timeline
from counterfoil.hub.contract import Kind, Outcome, rejected
from counterfoil.hub.store import Store
from counterfoil.hub.views import search
from counterfoil.retail.fulfilment import (
    ErpState,
    FulfilledLine,
    Fulfilment,
    Invoice,
    Packed,
    Shipment,
    ShipmentState,
)
from counterfoil.retail.money import Money

NO_SKU = rejected("unknown_sku", "No product MUG.", "Make the product.", "KeyError: MUG")
FULFILLED = Fulfilment(
    order=subject(1),
    id="7",
    number="S00007",
    state=ErpState.CONFIRMED,
    lines=(FulfilledLine(line="1", sku="MUG", ordered=Decimal(1), delivered=Decimal(1)),),
    shipments=(
        Shipment(
            id="3",
            number="WH/OUT/00003",
            state=ShipmentState.DONE,
            carrier="DHL",
            tracking="0034",
            items=(Packed(sku="MUG", quantity=Decimal(1), line="1"),),
        ),
    ),
    invoices=(Invoice(id="9", number="INV/2026/00009", total=Money.of("12.00", "EUR")),),
)
NOTED = FLOWS + "  - {on: order.accepted, from: shop, do: shop.note_order}\n"


async def told(store: Store, of: str = subject(1)) -> list[str]:
    """The timeline as `what: text`."""
    return [f"{e['what']}: {e['text']}" for e in (await timeline.of(store, of))["entries"]]


async def test_from_the_receipt_to_the_number_in_the_shop(store: Store) -> None:
    """Whatever was first stands first."""
    body = payload(1)
    await House(store, NOTED).hear(body)
    entries = await told(store)
    assert entries[0] == f"receipt: received by webhook, {len(body)} bytes"
    assert entries.index("event: order.placed") < entries.index("delivery: erp.accept_order: done")
    assert entries.index("delivery: erp.accept_order: done") < entries.index("delivery: shop.note_order: done")
    assert sorted(entries[1:]) == [
        "delivery: erp.accept_order: done",
        "delivery: shop.decode: done",
        "delivery: shop.note_order: done",
        "event: order.accepted",
        "event: order.noted",
        "event: order.placed",
    ]


async def test_what_left_the_house_and_what_was_invoiced_is_there_whole(store: Store) -> None:
    """Who asks "where is it?" reads carrier, number and articles from the order's own timeline."""
    house = House(store)
    await house.hear(payload(1))
    await house.erp_says("fulfilment", FULFILLED, at(60), subject(1))
    await house.work()
    entries = (await timeline.of(store, subject(1)))["entries"]
    about = {e["text"]: e["about"] for e in entries if e["what"] == "event"}
    assert about["shipment.dispatched"] == {"shipment": FULFILLED.shipments[0].model_dump(mode="json")}
    assert about["order.invoiced"] == {"invoice": FULFILLED.invoices[0].model_dump(mode="json")}
    assert about["order.placed"] == {}


async def test_what_the_erp_told_of_the_order_is_in_its_timeline_too(store: Store) -> None:
    """Its receipts stand beside the shop's, and say where they came from; those of other orders do not."""
    house = House(store)
    await house.hear(payload(1), payload(2))
    await house.erp_says("fulfilment", FULFILLED, at(60), subject(1))
    await house.erp_says("fulfilment", FULFILLED.model_copy(update={"order": subject(2)}), at(61), subject(2))
    await house.work()
    size = len(FULFILLED.model_dump_json())
    entries = await told(store)
    received = [e for e in entries if e.startswith("receipt")]
    assert received == [
        f"receipt: received by webhook, {len(payload(1))} bytes",
        f"receipt: received from {ERP} by poll, {size} bytes",
    ]
    assert entries.index(received[1]) < entries.index("event: shipment.dispatched")


async def test_a_refusal_and_what_a_person_did_about_it(store: Store) -> None:
    house = House(store)
    house.erp.plan(subject(1), NO_SKU)
    await house.hear(payload(1))
    (open_,) = await house.exceptions()
    await exceptions.act(store, open_["id"], "resolved", "ada", "made by hand")
    entries = (await timeline.of(store, subject(1)))["entries"]
    refused, resolved = [e for e in entries if e["what"] == "delivery" and e["text"].startswith("erp")]
    assert (refused["text"], refused["reason"]) == ("erp.accept_order: rejected", "unknown_sku")
    assert refused["detail"] == {"message": "No product MUG.", "technical": "KeyError: MUG"}
    assert (resolved["text"], resolved["detail"]) == ("erp.accept_order: resolved", {"note": "made by hand"})
    (asked,) = [e for e in entries if e["what"] == "exception"]
    assert (asked["text"], asked["status"], asked["owner"]) == ("No product MUG.", "resolved", "shop-manager")
    assert asked["suggestion"] == "Make the product."


async def test_every_try_is_there_with_its_number(store: Store) -> None:
    house = House(store)
    house.erp.plan(subject(1), Outcome(Kind.RETRY, "lost_race"))
    await house.hear(payload(1))
    tries = [e for e in (await timeline.of(store, subject(1)))["entries"] if e["text"].startswith("erp")]
    assert [(e["text"], e["attempt"]) for e in tries] == [
        ("erp.accept_order: retry", 1),
        ("erp.accept_order: done", 2),
    ]


@pytest.mark.parametrize(("within", "promise"), [("60s", "kept"), ("1ms", "missed by")])
async def test_whether_the_promise_was_kept(store: Store, within: str, promise: str) -> None:
    house = House(store, f"  - {{on: order.placed, do: erp.accept_order, within: {within}}}\n")
    house.erp.plan(subject(1), house.erp.slow(0.02))
    await house.hear(payload(1))
    (done,) = [e for e in (await timeline.of(store, subject(1)))["entries"] if e["text"].startswith("erp")]
    assert done["promise"].startswith(promise)
    assert done["seconds"] >= 0.02


async def test_what_still_waits_is_shown_as_waiting(store: Store) -> None:
    house = House(store)
    house.erp.answer = failing(Kind.DOWN, "unreachable")
    await house.receive(payload(1))
    async with house.working():

        async def parked() -> bool:
            return "down" in await house.outcomes()

        await until(parked)
    shown = await timeline.of(store, subject(1))
    assert [(w["system"], w["operation"], w["attempt"]) for w in shown["waiting"]] == [(ERP, "accept_order", 0)]


async def test_the_ids_in_the_systems_are_shown(store: Store) -> None:
    await House(store, NOTED).hear(payload(1))
    shown = await timeline.of(store, subject(1))
    assert shown["links"] == {ERP: f"id-{subject(1)}", SHOP: f"id-{subject(1)}"}


async def test_times_are_iso_in_utc_and_in_order(store: Store) -> None:
    await House(store, NOTED).hear(payload(1))
    times = [datetime.fromisoformat(e["at"]) for e in (await timeline.of(store, subject(1)))["entries"]]
    assert times == sorted(times)
    assert {t.utcoffset().total_seconds() for t in times} == {0}


async def test_events_of_one_moment_stand_in_the_order_they_were_told(store: Store) -> None:
    """Several facts of one payload are written together: changed before paid, as the process said."""
    house = House(store)
    await house.hear(payload(1, status="on_hold"))
    await house.hear(payload(1, modified=at(1), status="processing", total="13.00", refunds=["5.00"]))
    events = [e.removeprefix("event: ") for e in await told(store) if e.startswith("event")]
    shop_said = [e for e in events if e != "order.accepted"]
    assert shop_said == ["order.placed", "order.changed", "order.refunded", "order.paid"]


async def test_other_orders_are_not_shown(store: Store) -> None:
    house = House(store)
    await house.hear(payload(1), payload(11), payload(111))
    assert len(await told(store)) == 5


async def test_of_what_nobody_knows_nothing_is_shown(store: Store) -> None:
    shown = await timeline.of(store, "nonsense")
    assert (shown["entries"], shown["links"], shown["waiting"]) == ([], {}, [])


# --- finding ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["N1", "1", "ada@example.org", " Ada@Example.ORG ", "ch_77", "MUG", f"id-{subject(1)}"],
    ids=["number", "shop's id", "e-mail", "e-mail, as typed", "payment", "sku", "the ERP's id"],
)
async def test_an_order_is_found_by_what_people_have_in_hand(store: Store, text: str) -> None:
    house = House(store)
    await house.hear(
        payload(1, email="ada@example.org", payment="ch_77"),
        payload(2, email="bob@example.org", payment="ch_78", sku="CUP"),
    )
    assert await search.exact(store, text, (SHOP, ERP)) == [subject(1)]


async def test_all_orders_of_a_customer_are_found_each_once(store: Store) -> None:
    house = House(store)
    await house.hear(*[payload(n, email="ada@example.org") for n in (1, 2)])
    await house.hear(payload(1, modified=at(1), email="ada@example.org", total="13.00"))
    assert await search.exact(store, "ada@example.org", (SHOP, ERP)) == [subject(1), subject(2)]


async def test_the_address_itself_is_nowhere_in_the_search_keys(store: Store) -> None:
    await House(store).hear(payload(1, email="ada@example.org"))
    assert "example" not in str(await rows_of(store, schema.event_ref))


async def test_what_could_not_be_decoded_is_found_by_its_id(store: Store) -> None:
    """No event, no object, only a receipt and an exception."""
    await House(store).hear(payload(17, total="twelve"))
    assert await search.exact(store, "17", (SHOP, ERP)) == [subject(17)]
    assert [e.split(":")[0] for e in await told(store, subject(17))] == ["receipt", "delivery", "exception"]


async def test_a_subject_is_found_as_it_is(store: Store) -> None:
    await House(store).hear(payload(1))
    assert await search.exact(store, subject(1), (SHOP, ERP)) == [subject(1)]


async def test_what_nobody_knows_is_not_found(store: Store) -> None:
    await House(store).hear(payload(1))
    assert await search.exact(store, "4711", (SHOP, ERP)) == []
