"""Our own writes: what we changed at a system is known before its echo comes; what others changed still is news."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest
from tests.fakes import (
    ERP,
    FLOWS,
    SHOP,
    House,
    assert_one_status,
    at,
    decode_order,
    order,
    payload,
    rows_of,
    subject,
    until,
)

from counterfoil.hub import decode, schema
from counterfoil.hub.contract import Item, Kind, Observed, Outcome, done
from counterfoil.hub.decode import after_write
from counterfoil.hub.records import Known
from counterfoil.hub.store import Store
from counterfoil.processes.orders import orders
from counterfoil.retail.fulfilment import ErpState, Fulfilment, Shipment, ShipmentState

TELL = (
    FLOWS
    + """\
  - {on: order.accepted, from: shop, do: shop.tell_order}
  - {on: order.completed, from: shop, do: erp.post_refund}
  - {on: order.changed, from: shop, do: erp.post_refund}
"""
)


def completing(body: bytes, wrote: frozenset[str] = frozenset({"status"})) -> Any:
    """The shop's order is closed by us; the answer to the PUT is `body`."""

    async def step(_item: Item) -> Outcome:
        seen = decode_order(SHOP, body)
        observed = Observed("order", seen.id, seen.modified_at.isoformat(), seen)
        return dataclasses.replace(done({}), observed=observed, wrote=wrote)

    return step


async def known_order(store: Store) -> dict[str, Any]:
    """The shop's order as it is last known."""
    (row,) = await rows_of(store, schema.object_, system=SHOP)
    return {"stage": row["stage"], "version": row["version"], **row["state"]}


async def test_the_echo_of_a_status_we_wrote_is_dropped(store: Store) -> None:
    """The order is shipped, we close it in the shop, the shop tells the world: nobody hears of it. case: F37"""
    house = House(store, TELL)
    closed = payload(1, modified=at(5), status="completed")
    house.shop.plan(subject(1), completing(closed))
    await house.hear(payload(1))
    known = await known_order(store)
    assert (known["stage"], known["status"]) == ("placed", "completed")
    await house.hear(closed)
    await house.hear(payload(1, modified=at(9), status="completed"))
    assert await house.events() == ["order.placed", "order.accepted"]
    assert await house.counters() == {"duplicate": 1, "echo": 1}


@pytest.mark.parametrize("modified", [at(5), at(0)], ids=["later", "within the same second"])
async def test_what_somebody_else_changed_with_it_is_an_event_and_our_own_part_is_none(
    store: Store, modified: str
) -> None:
    """The customer moved while we closed the order: the new address is news, the status is not. case: F37"""
    house = House(store, TELL)
    both = payload(1, modified=modified, status="completed", street="2 rue Basse")
    house.shop.plan(subject(1), completing(both))
    await house.hear(payload(1))
    known = await known_order(store)
    assert (known["status"], known["billing"]["street"]) == ("completed", "1 rue Haute")
    await house.hear(both)
    assert sorted(await house.events()) == ["order.accepted", "order.changed", "order.placed"]
    known = await known_order(store)
    assert (known["stage"], known["status"], known["billing"]["street"]) == ("placed", "completed", "2 rue Basse")


async def test_a_state_from_before_our_write_does_not_turn_it_back(store: Store) -> None:
    """The webhook of the customer's change, older than our write, comes after it: our own part is still no news."""
    house = House(store, TELL)
    both = payload(1, modified=at(5), status="completed", street="2 rue Basse")
    house.shop.plan(subject(1), completing(both))
    await house.hear(payload(1))
    await house.hear(payload(1, modified=at(3), street="2 rue Basse"))
    await house.hear(both)
    assert sorted(await house.events()) == ["order.accepted", "order.changed", "order.placed"]
    assert (await known_order(store))["status"] == "completed"


async def test_without_saying_what_was_ours_a_different_answer_is_left_to_its_receipt(store: Store) -> None:
    house = House(store, TELL)
    house.shop.plan(subject(1), completing(payload(1, modified=at(5), status="completed"), wrote=frozenset()))
    await house.hear(payload(1))
    assert (await known_order(store))["status"] == "processing"
    await house.hear(payload(1, modified=at(5), status="completed"))
    assert "order.completed" in await house.events()


async def test_an_order_that_the_erp_cancelled_is_not_cancelled_back(store: Store) -> None:
    """case: F37"""
    house = House(store, TELL)
    cancelled = payload(1, modified=at(5), status="cancelled")
    house.shop.plan(subject(1), completing(cancelled))
    await house.hear(payload(1))
    await house.hear(cancelled, payload(1, modified=at(9), status="cancelled", sku="CUP"))
    assert "order.cancelled" not in await house.events()
    assert (await known_order(store))["stage"] == "cancelled"


async def test_an_echo_that_comes_before_the_answer_is_kept_waits_for_it(store: Store) -> None:
    """The shop's webhook is quicker than its answer to our PUT: it is not taken for the shop's own doing. case: F37"""
    house = House(store, TELL)
    reached, go_on = asyncio.Event(), asyncio.Event()
    closed = payload(1, modified=at(5), status="completed")

    async def slowly(item: Item) -> Outcome:
        reached.set()
        await go_on.wait()
        return await completing(closed)(item)

    house.shop.plan(subject(1), slowly)
    async with house.working():
        await house.receive(payload(1))
        await reached.wait()
        await house.receive(closed, payload(2))

        async def other_is_there() -> bool:
            return await rows_of(store, schema.object_, object_id="2") != []

        await until(other_is_there)
        assert (await rows_of(store, schema.object_, object_id="1"))[0]["state"]["status"] == "processing"
        go_on.set()

        async def all_done() -> bool:
            return await rows_of(store, schema.delivery) == []

        await until(all_done)
    assert await house.events(subject(1)) == ["order.placed", "order.accepted"]
    assert (await house.counters())["duplicate"] == 1


async def test_an_answer_older_than_what_is_known_changes_nothing(store: Store) -> None:
    process = orders(House(store).blueprint.orders)
    known = Known(at(9), "d", order(status="completed").model_dump(mode="json"), "placed")
    old = order(status="processing")
    assert after_write(process, known, Observed("order", "1", at(5), old), frozenset({"status"})) is None


async def test_a_state_that_another_version_of_us_kept_is_left_to_the_receipt(store: Store) -> None:
    process = orders(House(store).blueprint.orders)
    known = Known(at(0), "d", {"nothing": "we know"}, "placed")
    assert after_write(process, known, Observed("order", "1", at(5), order()), frozenset({"status"})) is None


async def test_an_answer_about_a_kind_that_nobody_reads_is_left_alone(store: Store) -> None:
    house = House(store, TELL)

    async def step(_item: Item) -> Outcome:
        return dataclasses.replace(done({}), observed=Observed("parcel", "1", at(5), order()))

    house.shop.plan(subject(1), step)
    await house.hear(payload(1))
    assert await house.outcomes("tell_order") == ["done"]


# --- links --------------------------------------------------------------------------------------------------------


async def test_the_parts_of_a_thing_are_linked_with_it(store: Store) -> None:
    """A product and its variants get their ids in one go, and a changed id replaces the old one."""
    house = House(store, "  - {on: order.placed, do: erp.accept_order}\n")
    made = Outcome(
        Kind.DONE, link="17", links={"odoo:variant:1": "17/1", "odoo:variant:2": "17/2", "odoo:variant:3": ""}
    )
    house.erp.plan(subject(1), made)
    house.erp.plan(subject(2), Outcome(Kind.DONE, links={"odoo:variant:2": "17/9"}))
    await house.hear(payload(1))
    await house.hear(payload(2))
    linked = {r["canonical_id"]: r["object_id"] for r in await rows_of(store, schema.link, system=ERP)}
    assert linked == {subject(1): "17", "odoo:variant:1": "17/1", "odoo:variant:2": "17/9"}


# --- the newest state rides along ---------------------------------------------------------------------------------


def fulfilment(*shipments: Shipment) -> Fulfilment:
    """The ERP's side of the shop's order 1."""
    return Fulfilment(order=subject(1), id="41", number="S41", state=ErpState.CONFIRMED, shipments=shipments)


async def test_each_operation_sees_the_newest_state_at_the_system_that_told(store: Store) -> None:
    """The shop's order and the ERP's fulfilment have one canonical id: neither doubles or hides the other."""
    flows = "  - {on: order.placed, do: erp.accept_order}\n  - {on: order.confirmed, do: shop.note_order}\n"
    house = House(store, flows)
    await house.erp_says("fulfilment", fulfilment(), at(1), subject(1))
    await house.receive(payload(1))
    await house.work()
    (accepted,), (noted,) = house.erp.items, house.shop.items
    assert (accepted.subject, accepted.data["state"]["number"]) == (subject(1), "N1")
    assert (noted.subject, noted.data["state"]["number"]) == (subject(1), "S41")
    assert len(await rows_of(store, schema.object_)) == 2
    assert await house.outcomes() == ["done"]
    await assert_one_status(store)


async def test_a_delivery_comes_once_whatever_the_objects_are(store: Store) -> None:
    """Two objects of one system with one canonical id would be odd; a delivery must not double for it."""
    house = House(store, "  - {on: order.placed, do: erp.accept_order}\n")
    await house.receive(payload(1))
    async with store.write() as connection:
        odd = {"version": "", "digest": "", "state": {}, "stage": "", "canonical_id": subject(1), "updated_at": 0}
        await connection.execute(schema.object_.insert().values(system=SHOP, kind="odd", object_id="1", **odd))
    await house.work()
    assert [c.subjects for c in house.erp.calls] == [(subject(1),)]
    assert house.erp.items[0].data["state"]["number"] == "N1"


async def test_an_event_of_a_system_that_holds_no_such_object_has_no_state(store: Store) -> None:
    house = House(store, FLOWS + "  - {on: order.accepted, do: shop.note_order}\n")
    await house.hear(payload(1))
    assert "state" not in house.shop.items[0].data


# --- the ERP's facts ----------------------------------------------------------------------------------------------


async def test_the_facts_of_a_fulfilment_reach_the_shop_in_order_and_once(store: Store) -> None:
    flows = "".join(
        f"  - {{on: {e}, from: shop, do: shop.note_order}}\n" for e in ("order.confirmed", "shipment.dispatched")
    )
    house = House(store, flows)
    gone = fulfilment(Shipment(id="1", number="OUT/1", state=ShipmentState.DONE))
    for moment, state in ((1, fulfilment()), (2, gone), (3, gone)):
        await house.erp_says("fulfilment", state, at(moment), subject(1))
        await house.work()
    assert [i.event_type for i in house.shop.items] == ["order.confirmed", "shipment.dispatched"]
    assert house.shop.items[-1].data["shipment"]["number"] == "OUT/1"
    (known,) = await rows_of(store, schema.object_)
    assert (known["stage"], known["canonical_id"]) == ("delivered", subject(1))


async def test_compare_does_not_care_what_kind_of_entity_it_is(store: Store) -> None:
    """Stale, doubled, news: the same rules for all."""
    house = House(store, FLOWS)
    for moment in (5, 5, 1):
        await house.erp_says("fulfilment", fulfilment(), at(moment), subject(1))
    other = fulfilment(Shipment(id="1", number="OUT/1", state=ShipmentState.DONE))
    await house.erp_says("fulfilment", other, at(1), subject(1))
    await house.work()
    assert await house.events() == ["order.confirmed"]
    assert (await house.counters(ERP))["stale"] >= 1
    assert decode.compare(None, "", "x") == "news"


async def test_a_state_that_comes_back_within_one_second_is_told_again(store: Store) -> None:
    """Processing, cancelled, processing, cancelled, all of one second: the last word reaches the ERP."""
    house = House(store)
    for body in (payload(1), payload(1, status="cancelled")) * 2:
        await house.hear(body)
    told = [type_ for type_ in await house.events() if type_ in ("order.placed", "order.cancelled")]
    assert told == ["order.placed", "order.cancelled"] * 2
    assert (await known_order(store))["stage"] == "cancelled"
