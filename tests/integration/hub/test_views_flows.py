"""What a person stops stands still until they let it go on, in its order; and the lanes say how they stand."""

from __future__ import annotations

import pytest
from tests.fakes import ERP, FLOWS, SHOP, Fake, House, at, payload, rows_of, subject, until

from counterfoil.hub import lanes, pausing, pressure, schema
from counterfoil.hub.contract import Kind, Outcome, rejected
from counterfoil.hub.pausing import NoSuchPlace, Place, place_of
from counterfoil.hub.store import Store
from counterfoil.hub.views import flows
from counterfoil.hub.views.flows import Lanes
from counterfoil.hub.worker import streams_of

STREAMS = streams_of({SHOP: Fake(SHOP), ERP: Fake(ERP)})
ORDERS = Place(ERP, "order")


async def seen(store: Store, system: str = ERP, stream: str = "order") -> Lanes:
    """How one stream stands."""
    (found,) = [f for f in await flows.all_of(store, STREAMS) if (f.system, f.stream) == (system, stream)]
    return found


async def nothing_is_due(house: House) -> None:
    """Several turns of a new worker find nothing to start."""
    worker = house.worker()
    for _ in range(3):
        assert not await worker.dispatch()


async def decoded(house: House, *bodies: bytes) -> None:
    """What the shop says has become events; the ERP is paused and so gets nothing."""
    async with house.working():
        await house.receive(*bodies)

        async def read() -> bool:
            return not [r for r in await rows_of(house.store, schema.delivery) if r["stream"] == lanes.DECODE]

        await until(read)


@pytest.mark.parametrize("place", [ORDERS, Place(ERP)], ids=str)
async def test_what_is_paused_waits_over_restarts_and_then_goes_on_in_order(store: Store, place: Place) -> None:
    house = House(store)
    await pausing.pause(store, place, "mara", "stocktaking")
    await decoded(house, payload(1), payload(2))
    await decoded(house, payload(1, modified=at(5), status="cancelled"))
    await nothing_is_due(house)
    assert house.erp.history == []
    stands = await seen(store)
    assert (stands.depth, stands.lanes, stands.in_hand) == (3, 2, 0)
    assert stands.paused is not None
    assert (stands.paused.who, stands.paused.why) == ("mara", "stocktaking")

    assert await pausing.resume(store, place, "tom")
    await house.work()
    assert [act for act in house.erp.history if act[1] == subject(1)] == [
        ("accept_order", subject(1)),
        ("cancel_order", subject(1)),
    ]
    assert subject(2) in house.erp.made
    audited = [(r["who"], r["act"], r["subject"]) for r in await rows_of(store, schema.audit)]
    assert audited == [("mara", "flows.pause", str(place)), ("tom", "flows.resume", str(place))]


async def test_a_pause_of_one_stream_leaves_the_others_and_all_that_is_told(store: Store) -> None:
    house = House(store, FLOWS + "  - {on: order.refunded, from: shop, do: erp.post_refund}\n")
    await pausing.pause(store, Place(ERP, "money"), "mara")
    await pausing.pause(store, Place(SHOP), "mara")
    await house.hear(payload(1, status="on_hold"))
    assert house.erp.made == [subject(1)]
    await pausing.pause(store, Place(SHOP, lanes.DECODE), "mara")
    await house.receive(payload(2))
    await nothing_is_due(house)
    assert [r["stream"] for r in await rows_of(store, schema.delivery)] == [lanes.DECODE]


async def test_paused_twice_is_paused_once_and_resuming_what_runs_does_nothing(store: Store) -> None:
    assert await pausing.pause(store, ORDERS, "mara") == 0
    assert await pausing.pause(store, ORDERS, "tom") is None
    assert [p.who for p in await pausing.listing(store)] == ["mara"]
    assert await pausing.resume(store, ORDERS, "tom")
    assert not await pausing.resume(store, ORDERS, "tom")
    assert len(await rows_of(store, schema.audit)) == 2


async def test_what_is_paused_is_no_pressure(store: Store) -> None:
    house = House(store)
    await pausing.pause(store, ORDERS, "mara")
    await decoded(house, payload(1), payload(2))
    places = {(ERP, "order")}
    assert await pressure.measure(store, places, 10) == pressure.Reading()
    await pausing.resume(store, ORDERS, "mara")
    assert (await pressure.measure(store, places, 10)).backlog == 2


async def test_draining_counts_what_was_queued_before_and_not_what_a_person_holds(store: Store) -> None:
    house = House(store)
    house.erp.always[subject(9)] = rejected("unknown_sku", "No product.", "Make it.")
    await house.hear(payload(9))
    await pausing.pause(store, ORDERS, "mara")
    await decoded(house, payload(1), payload(2))
    upto = await pausing.newest(store)
    assert await pausing.left(store, ORDERS, upto) == 2
    await decoded(house, payload(3))
    await pausing.resume(store, ORDERS, "mara")
    assert await pausing.left(store, ORDERS, upto) == 2
    await house.work()
    assert await pausing.left(store, ORDERS, upto) == 0


async def test_the_lanes_say_what_waits_what_failed_and_why_nobody_calls(store: Store) -> None:
    house = House(store)
    house.erp.plan(subject(1), Outcome(Kind.RETRY, "busy"))
    house.erp.always[subject(2)] = rejected("unknown_sku", "No product.", "Make it.")
    await house.hear(payload(1), payload(2), payload(3))
    stands = await seen(store)
    assert (stands.depth, stands.held, stands.failed) == (1, 1, 2)
    assert stands.per_minute == round(2 / flows.MINUTES, 1)
    assert stands.operations == ("accept_order", "cancel_order", "note_order", "tell_order")
    assert (stands.closed, stands.paused) == (None, None)
    house.erp.answer = None


def test_a_place_is_named_as_people_name_it() -> None:
    assert place_of(ERP, STREAMS, (SHOP, ERP)) == Place(ERP)
    assert place_of("erp.publish_stock", STREAMS, (SHOP, ERP)) == Place(ERP, "stock")
    assert place_of("shop.decode", STREAMS, (SHOP, ERP)) == Place(SHOP, "decode")
    assert pausing.along(ORDERS, STREAMS) == [
        f"erp.{o}" for o in ("accept_order", "cancel_order", "note_order", "tell_order")
    ]
    for wrong in ("crm", "erp.nothing", "hub.ask"):
        with pytest.raises(NoSuchPlace, match=r"there are: shop, erp, erp\.accept_order"):
            place_of(wrong, STREAMS, (SHOP, ERP))
