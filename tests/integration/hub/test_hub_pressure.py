"""What must be on time goes first: under pressure the rest slows down, and a slow system keeps nobody else waiting."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa
from tests.fakes import ERP, SHOP, Fake, House, payload, rows_of, subject, until

from counterfoil.blueprint import Pressure, parse_duration
from counterfoil.hub import pressure, schema, systems
from counterfoil.hub.contract import Item, Kind, Outcome, done
from counterfoil.hub.lanes import DECODE
from counterfoil.hub.pressure import Gauge, Reading, is_high
from counterfoil.hub.store import Store
from counterfoil.hub.worker import Worker, streams_of

FLOWS = """\
  - {on: order.placed, do: erp.accept_order, when_down: critical}
  - {on: order.placed, do: shop.note_order}
  - {on: stock.changed, do: shop.publish_stock, when_down: latest_only}
  - {on: order.changed, do: hub.ask}
"""


def gauge_of(house: House) -> Gauge:
    """As a worker of the house has it."""
    return Gauge(house.blueprint, streams_of({SHOP: house.shop, ERP: house.erp}))


async def due_since(store: Store, seconds: float, **where: str) -> None:
    """The lanes have been due for so long."""
    async with store.write() as connection:
        await connection.execute(sa.update(schema.lane).filter_by(**where).values(due_at=store.now - seconds))


# --- who may wait -----------------------------------------------------------------------------------------------------


async def test_a_stream_goes_by_its_most_urgent_flow(store: Store) -> None:
    house = House(store, FLOWS + "  - {on: order.paid, do: erp.note_order}\n")
    gauge = gauge_of(house)
    assert gauge.may_wait == {(SHOP, "order")}  # not erp's orders, for the note's sake; and people may always be asked
    assert gauge.on_time == {(ERP, "order"), (SHOP, "stock"), (SHOP, DECODE), (ERP, DECODE)}


# --- when there is pressure -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reading", "before", "high"),
    [
        (Reading(0, 0.0), False, False),
        (Reading(100, 10.0), False, False),
        (Reading(101, 0.0), False, True),
        (Reading(0, 10.1), False, True),
        (Reading(51, 0.0), True, True),
        (Reading(0, 5.1), True, True),
        (Reading(50, 5.0), True, False),
    ],
)
async def test_it_begins_at_a_threshold_and_ends_below_half_of_it(reading: Reading, before: bool, high: bool) -> None:
    assert is_high(Pressure(backlog=100, lag=parse_duration("10s")), reading, before) is high


async def test_measured_is_what_is_due_and_must_be_on_time(store: Store) -> None:
    house = House(store, FLOWS)
    await house.receive(*[payload(n) for n in range(3)])
    places = gauge_of(house).on_time
    assert (await pressure.measure(store, places, 100)).backlog == 3
    await due_since(store, 30.0)
    assert (await pressure.measure(store, places, 100)).lag > 29
    await due_since(store, -60.0)  # due later, as after a failure
    assert await pressure.measure(store, places, 100) == Reading()


async def test_what_waits_for_a_closed_system_is_no_pressure(store: Store) -> None:
    """No worker can do anything for it: to slow down the others would help nobody."""
    house = House(store, FLOWS)
    await house.receive(payload(1))
    worker = house.worker()
    async with store.write() as connection:
        await systems.close_system(connection, store, ERP, Outcome(Kind.DOWN, "unreachable"))
    await worker.dispatch()  # decodes
    await until(lambda: has_lane(store, ERP))
    await due_since(store, 3600.0)
    places = gauge_of(house).on_time
    assert (await pressure.measure(store, places, 100, await systems.closed(store))).lag == 0.0
    assert (await pressure.measure(store, places, 100)).lag > 3000


async def has_lane(store: Store, system: str) -> bool:
    """Whether something waits for the system."""
    return await rows_of(store, schema.lane, system=system) != []


async def test_a_blueprint_without_anything_that_may_wait_is_not_measured(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(store, "  - {on: order.placed, do: erp.accept_order, when_down: critical}\n")
    monkeypatch.delattr(pressure, "measure")
    assert await gauge_of(house).look(store, {}) == Reading()


# --- under pressure ---------------------------------------------------------------------------------------------------


async def test_orders_go_on_while_notes_trickle_and_all_is_done_afterwards(store: Store) -> None:
    """A hundred things wait: of the notes one call is made, the orders are all made; then the pressure is over."""
    house = House(store, FLOWS, "pressure: {backlog: 1, lag: 10s}\n", shop=Fake(SHOP, batch=1), erp=Fake(ERP, batch=5))
    await house.receive(*[payload(n) for n in range(20)])
    worker = house.worker()
    await worker.look_around()
    assert worker.gauge.high

    async def orders_made() -> bool:
        await worker.dispatch()
        return len(house.erp.made) == 20

    worker.gauge._last[SHOP, "order"] = float("inf")  # the trickle's next drop never comes
    await until(orders_made)
    assert house.shop.history == []
    worker.gauge._last.clear()
    async with asyncio.timeout(10):
        await worker.look_around()
    assert not worker.gauge.high
    await house.work()
    assert sorted(house.shop.history) == sorted(("note_order", subject(n)) for n in range(20))


async def test_a_trickle_is_left(store: Store) -> None:
    """What is shed goes on slowly: one call a turn of TRICKLE, so that it never stands still for good."""
    gauge = gauge_of(House(store, FLOWS))
    gauge.high = True
    notes = (SHOP, "order")
    assert gauge.wait(notes, 100.0) == 0.0
    gauge.started(notes, 100.0)
    assert gauge.wait(notes, 100.25) == pytest.approx(pressure.TRICKLE - 0.25)
    assert gauge.wait(notes, 100.0 + pressure.TRICKLE) == 0.0
    assert gauge.wait((ERP, "order"), 100.0) == 0.0
    gauge.high = False
    assert gauge.wait(notes, 100.25) == 0.0


async def test_a_drop_of_the_trickle_is_one_call(store: Store) -> None:
    """Three could run at once; under pressure one does."""
    go_on, out = asyncio.Event(), asyncio.Event()
    shop = Fake(SHOP, batch=1, parallel=3)
    house = House(store, FLOWS, shop=shop, erp=Fake(ERP, batch=10))
    for n in range(6):
        shop.plan(subject(n), shop.waiting_for(go_on, out))
    await house.receive(*[payload(n) for n in range(6)])
    worker = house.worker()
    worker.gauge.high = True
    await worker.dispatch()  # decodes

    async def one_is_out() -> bool:
        await worker.dispatch()
        return out.is_set() and len(house.erp.made) == 6

    await until(one_is_out)
    assert shop.most_at_once == 1
    go_on.set()
    await house.work()
    assert len(shop.history) == 6


# --- bulkheads --------------------------------------------------------------------------------------------------------


async def test_a_system_that_hangs_keeps_no_other_waiting(store: Store) -> None:
    """Every call at the shop is out and does not come back; both systems' calls touch the same order and customer."""
    go_on, out = asyncio.Event(), asyncio.Event()

    def same(_: Item) -> frozenset[str]:
        return frozenset({"customer"})

    shop, erp = Fake(SHOP, batch=1, parallel=2, conflicts=same), Fake(ERP, batch=5, conflicts=same)

    async def hangs(item: Item) -> Outcome:
        out.set()
        await go_on.wait()
        return done({})

    for n in range(10):
        shop.always[subject(n)] = hangs
    house = House(store, FLOWS, shop=shop, erp=erp)
    await house.receive(*[payload(n) for n in range(10)])
    async with house.working():
        await out.wait()

        async def all_accepted() -> bool:
            return len(erp.made) == 10

        await until(all_accepted)
        assert not go_on.is_set()
        go_on.set()


async def test_a_worker_looks_around_by_itself(store: Store) -> None:
    house = House(store, FLOWS)
    await house.receive(payload(1))
    await due_since(store, 3600.0)
    worker = house.worker()
    worker.dispatch = stands_still  # type: ignore[method-assign]
    async with house.working(worker):

        async def high() -> bool:
            return worker.gauge.high

        await until(high)


async def stands_still(*_: Worker) -> bool:
    """Nothing is started."""
    return False
