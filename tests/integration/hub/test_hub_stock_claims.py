"""What may be promised: what the ERP says, less what was sold and is not in that yet. Counted once, at every moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

from tests.conftest import ON_POSTGRESQL
from tests.counting import FLOWS, NO_ERP, Warehouse, article, level
from tests.fakes import ERP, SHOP, at, order, payload, rows_of, subject

from counterfoil.hub import schema
from counterfoil.hub.availability import reservations
from counterfoil.hub.availability.readings import Reading, keep_readings
from counterfoil.hub.availability.reservations import Reservation, State
from counterfoil.hub.contract import AGAIN, Feed, Item, Observed, Outcome, Page, Raw, done, rejected
from counterfoil.hub.poller import poll_once
from counterfoil.hub.store import Store
from counterfoil.processes.claiming import Claimant
from counterfoil.processes.orders import orders
from counterfoil.processes.routing import Router
from counterfoil.retail.events import Event
from counterfoil.retail.fulfilment import ErpState, FulfilledLine, Fulfilment, Shipment, ShipmentState
from counterfoil.retail.order import Order


async def test_an_order_is_missing_from_what_may_be_promised_before_the_erp_has_it(store: Store) -> None:
    """case: F15"""
    house = Warehouse(store, NO_ERP)
    await house.reads(5)
    await house.hear(payload(1))
    assert await house.promised() == 4


async def test_a_claim_ends_with_the_first_reading_that_began_after_the_answer(store: Store) -> None:
    """One that began before may have been taken before the ERP had the order. case: F15"""
    house = Warehouse(store)
    await house.reads(5)
    house.confirms(subject(1))
    before = await house.clock()
    await house.hear(payload(1))
    await house.reads(6, asked_at=before)
    assert (await house.promised(), await house.takings()) == (5, {(subject(1), article()): 1})
    await house.reads(6, outgoing=1)
    assert (await house.promised(), await house.takings()) == (5, {})


async def test_a_reading_that_says_nothing_new_ends_a_claim_as_well(store: Store) -> None:
    """The ERP was read between its commit and its answer: no other reading would differ for a quarter of an hour."""
    house = Warehouse(store)
    await house.reads(5)
    house.confirms(subject(1), lambda: house.keeps(5, outgoing=1))
    await house.hear(payload(1))
    assert await house.promised() == 3, "counted in the reading and by the claim"
    await house.keeps(5, outgoing=1)
    assert (await house.promised(), await house.takings()) == (4, {})
    assert (await house.counters(ERP))["duplicate_poll"] == 1


async def test_what_the_erp_accepted_is_read_again_by_the_next_poll_changed_or_not(store: Store) -> None:
    house = Warehouse(store)
    await house.reads(5)
    house.confirms(subject(1))
    await house.hear(payload(1))
    asked: list[Mapping[str, Any]] = []

    async def poll(cursor: Mapping[str, Any]) -> AsyncIterator[Page]:
        asked.append(cursor)
        yield Page([Raw("stock", "1", level(5, 1).model_dump_json().encode(), {"read_at": at(50)})], {})

    feed = Feed("stock", "stock", 0.0, poll, again=True)
    await poll_once(store, ERP, feed)
    await house.work()
    await poll_once(store, ERP, feed)
    assert asked == [{AGAIN: ["1"]}, {}]
    assert (await house.promised(), await house.takings()) == (4, {})


async def test_a_level_that_comes_back_while_another_one_waits_is_not_taken_for_a_duplicate(store: Store) -> None:
    house = Warehouse(store)
    await house.reads(5)
    await house.keeps(4)
    await house.keeps(5)
    await house.work()
    assert await house.promised() == 5


async def test_an_order_that_is_cancelled_gives_its_units_back_once(store: Store) -> None:
    """At once where the ERP does not have it; else with the ERP's own figures. case: F21"""
    house = Warehouse(store)
    await house.reads(5)
    house.erp.plan(subject(1), rejected("unknown_sku", "", ""))
    await house.hear(payload(1))
    assert await house.promised() == 4
    await house.hear(payload(1, status="cancelled", modified=at(9)))
    assert await house.promised() == 5
    house.confirms(subject(2))
    await house.hear(payload(2))
    await house.hear(payload(2, status="cancelled", modified=at(9)))
    assert await house.promised() == 4, "the ERP may have shipped it by now"
    await house.reads(5, outgoing=0)
    assert (await house.promised(), await house.takings()) == (5, {})


async def test_what_is_refunded_before_it_was_ever_read_is_not_claimed_for_ever(store: Store) -> None:
    """The ERP has the order, takes it down to nothing, and is read only then. case: F21"""
    house = Warehouse(store)
    await house.reads(5)
    house.confirms(subject(1))
    await house.hear(payload(1))
    before = await house.clock()
    line = FulfilledLine(line="1", sku="MUG", ordered=Decimal(0))
    emptied = Fulfilment(order=subject(1), id="S1", number="S1", state=ErpState.CONFIRMED, lines=(line,))
    await house.erp_says("fulfilment", emptied, at(50), object_id="S1")
    await house.work()
    assert await house.promised() == 4
    await house.reads(5, asked_at=before)
    assert await house.promised() == 4, "read before it was taken down: the unit may be out of the house"
    await house.reads(5, outgoing=0)
    assert (await house.promised(), await house.takings()) == (5, {})


async def test_an_order_that_changes_once_the_erp_counts_it_takes_only_what_is_more(store: Store) -> None:
    house = Warehouse(store)
    await house.reads(5)
    house.confirms(subject(1))
    await house.hear(payload(1))
    await house.reads(5, outgoing=1)
    await house.hear(payload(1, street="2 rue Basse", modified=at(9)))
    assert "order.changed" in await house.events(subject(1))
    assert (await house.promised(), await house.takings()) == (4, {})


async def test_a_quotation_demands_nothing_until_it_is_confirmed(store: Store) -> None:
    house = Warehouse(store)
    await house.reads(5)
    house.erp.plan(subject(1), done({"state": "draft"}, link="S1", emits=("order.accepted",)))
    await house.hear(payload(1, status="on_hold"))
    await house.reads(6)
    assert await house.promised() == 5


async def test_what_is_sold_before_the_erp_has_told_of_it_is_missing_from_its_first_reading(store: Store) -> None:
    house = Warehouse(store, NO_ERP)
    await house.hear(payload(1))
    await house.reads(5)
    assert (await house.promised(), await house.takings()) == (4, {(subject(1), article()): 1})
    assert [row["article"] for row in await rows_of(store, schema.stock)] == [article()]


async def test_an_order_that_waits_for_its_payment_holds_its_units_for_a_time(store: Store) -> None:
    """Placed in time they are its own; given up or out of time they are free, once."""
    house = Warehouse(store, FLOWS, "stock: {hold: 30m}\n")
    await house.reads(5)
    await house.hear(payload(1, status="pending"))
    [held] = await rows_of(store, schema.reservation)
    assert (held["id"], held["state"]) == (subject(1), "held")
    assert 1799 < held["expires_at"] - held["made_at"] < 1801
    assert await house.promised() == 4
    await house.hear(payload(1, status="processing", modified=at(9)))
    assert await house.promised() == 4
    await house.hear(payload(2, status="pending"))
    await house.hear(payload(2, status="cancelled", modified=at(9)))
    await house.hear(payload(3, status="pending"), payload(3, status="cancelled", modified=at(9)))
    assert [row["state"] for row in await rows_of(store, schema.reservation)] == ["ordered", "released"]
    assert await house.takings() == {(subject(1), article()): 1}


async def test_what_was_held_for_an_order_is_the_orders_when_it_comes(store: Store) -> None:
    """Two were held and one is ordered: one is taken."""
    house = Warehouse(store)
    await house.reads(5)
    await house.holds(2)
    async with store.write() as connection:
        held = Reservation("r1", SHOP, State.CONFIRMED, (("MUG", 2000),), "N1", 0.0, 9e9)
        await reservations.keep(connection, store, [held])
    await house.hear(payload(1))
    assert await house.takings() == {(subject(1), article()): 1}
    assert [row["state"] for row in await rows_of(store, schema.reservation)] == ["ordered"]
    assert await house.promised() == 4


async def test_the_parts_of_a_bundle_that_the_erp_does_not_know_are_taken_until_it_is_delivered(store: Store) -> None:
    """The ERP has SET as an article of its own: no figure of its parts ever holds the order. case: F18"""
    house = Warehouse(store, more="stock: {bundles: {SET: {MUG: 2, BOX: 1}}}\n")
    await house.reads(5)
    house.confirms(subject(1))
    await house.hear(payload(1, sku="SET"))
    await house.reads(5)
    assert await house.promised() == 3
    left = Shipment(id="1", number="OUT1", state=ShipmentState.DONE)
    fulfilment = Fulfilment(order=subject(1), id="S1", number="S1", state=ErpState.CONFIRMED, shipments=(left,))
    await house.erp_says("fulfilment", fulfilment, at(50), object_id="S1")
    await house.work()
    await house.reads(3)
    assert await house.promised() == 3


async def test_what_became_part_of_a_bundle_stays_taken_however_late_the_erp_looked(store: Store) -> None:
    """Placed and changed between two polls: both are recorded at one moment; the shop's clock tells which is newer."""
    house = Warehouse(store, more="stock: {bundles: {SET: {MUG: 1}}}\n")
    await house.reads(100)
    told = []
    for n in range(1, 11):
        house.erp.always[subject(n)] = _as_a_draft
        told += [payload(n, sku="MUG"), payload(n, sku="SET", modified=at(9))]
    await house.hear(*told)
    for n in range(1, 11):
        line = FulfilledLine(line="1", sku="MUG", ordered=Decimal(1))
        kept = Fulfilment(order=subject(n), id=f"S{n}", number=f"S{n}", state=ErpState.CONFIRMED, lines=(line,))
        await house.erp_says("fulfilment", kept, at(50), object_id=f"S{n}")
    await house.work()
    await house.reads(100)
    assert await house.promised() == 90


async def _as_a_draft(item: Item) -> Outcome:
    return done({"state": "draft"}, link=f"S{item.key}", emits=("order.accepted",))


@ON_POSTGRESQL
async def test_an_article_read_for_the_first_time_while_it_is_sold_misses_nothing(
    store: Store, another_store: Callable[[], Awaitable[Store]]
) -> None:
    """Two processes at once: the one claims a SKU that nobody knows, the other learns of it."""
    house, other = Warehouse(store, NO_ERP), await another_store()
    claimant = Claimant(house.rules, Router.of(house.blueprint))
    events = {n: sale(house, n, f"SKU-{n}") for n in range(12)}

    async def claim(number: int) -> None:
        async with store.write() as connection:
            await claimant(connection, store, [events[number]])

    async def read(number: int) -> None:
        async with other.write() as connection:
            reading = Reading(article(number), f"SKU-{number}", {"WH": (5000, 0, 0)}, 2.0)
            await keep_readings(connection, other, [reading])

    await asyncio.gather(*(act(n) for n in events for act in (claim, read)))
    rows = {row["article"]: row["taken"] for row in await rows_of(store, schema.stock)}
    assert rows == {article(n): {"": 1000} for n in events}


def sale(house: Warehouse, number: int, sku: str) -> Event:
    """The fact that an order was placed for one of these."""
    told = orders(house.blueprint.orders).interpret(None, observed(order(id=str(number), sku=sku)), "webhook")
    return told.events[0]


def observed(told: Order) -> Observed:
    """As its shop's decoder hands it on."""
    return Observed("order", told.id, told.modified_at.isoformat(), told)


async def test_an_order_takes_its_units_where_it_is_routed_to(store: Store) -> None:
    """Of three, two go where two are and one where one is; that is kept for whoever takes the order over."""
    more = "places: {WH: {}, S1: {}}\nrouting: {rules: [{channel: shop, from: [WH, S1], prefer: [stock]}]}\n"
    house = Warehouse(store, NO_ERP, more)
    async with store.write() as connection:
        figures = {"WH": (2000, 0, 0), "S1": (1000, 0, 0)}
        await keep_readings(connection, store, [Reading(article(), "MUG", figures, 2.0)])
    await house.hear(payload(1))
    await house.hear(payload(2), payload(3))
    places = {row["holder"]: row["place"] for row in await rows_of(store, schema.taking)}
    assert sorted(places.values()) == ["S1", "WH", "WH"]
    assert places[subject(1)] == "WH"
    kept = {row["id"]: row["lines"] for row in await rows_of(store, schema.routing)}
    assert kept == {holder: {"1": [[place, 1000]]} for holder, place in places.items()}
