"""A system is called no faster and no more at once than it can bear, by all workers of all machines together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import sqlalchemy as sa
from tests.fakes import ERP, FLOWS, Fake, House, payload, rows_of, subject, until

from counterfoil.blueprint import Limits, parse_rate
from counterfoil.hub import limits, room, schema
from counterfoil.hub.contract import Item, Outcome
from counterfoil.hub.limits import Turn, take_turn
from counterfoil.hub.room import Room
from counterfoil.hub.store import Store
from counterfoil.hub.worker import Worker

Another = Callable[[], Awaitable[Store]]

SLOW = parse_rate("10/min")
"""One in six seconds: no test takes so long that the second could be booked by waiting."""
HOURLY = "1/h"


async def turn(store: Store, operation: str = "accept_order", items: int = 1, **declared: object) -> Turn:
    """One call at the ERP, booked now or not."""
    return await take_turn(store, ERP, operation, items, **declared)  # type: ignore[arg-type]


async def waiting(store: Store) -> dict[str, bool]:
    """The ERP's lanes by key: whether they are free and wait for later, with nothing counted against them."""
    async with store.read() as connection:
        now = await connection.scalar(sa.select(store.now))
    attempts = {d["key"]: d["attempt"] for d in await rows_of(store, schema.delivery, system=ERP)}
    return {
        r["key"]: r["worker"] is None and r["due_at"] > now and attempts[r["key"]] == 0
        for r in await rows_of(store, schema.lane, system=ERP)
    }


# --- a declared rate ------------------------------------------------------------------------------------------------


async def test_the_rate_holds_for_all_workers_together(store: Store, another_store: Another) -> None:
    """Four processes ask at once, twice each: one of eight may call, the others hear when. case: F40"""
    stores = [store, *[await another_store() for _ in range(3)]] * 2
    turns = await asyncio.gather(*(turn(each, rate=SLOW) for each in stores))
    assert sorted(t.granted for t in turns) == [False] * 7 + [True]
    assert all(0 < t.wait <= 6.0 - limits.AHEAD for t in turns if not t.granted)


async def test_a_pause_is_not_saved_up(store: Store) -> None:
    """After an hour of rest the rate is the rate, not an hour's worth at once. case: F40"""
    async with store.write() as connection:
        await connection.execute(
            sa.insert(schema.pace).values(system=ERP, operation="accept_order", next_at=store.now - 3600)
        )
    assert [(await turn(store, rate=SLOW)).granted for _ in range(3)] == [True, False, False]


async def test_a_call_of_many_takes_the_time_of_many(store: Store) -> None:
    """case: F40"""
    assert (await turn(store, items=10, rate=SLOW)).granted
    assert (await turn(store, rate=SLOW)).wait > 50


async def test_what_is_next_soon_is_booked_ahead_and_no_more(store: Store) -> None:
    """Calls at twenty a second: one now, then one a twentieth later, until they would wait for longer than AHEAD."""
    turns = [await turn(store, items=10, rate=parse_rate("20/s")) for _ in range(20)]
    assert all(t.wait <= limits.AHEAD for t in turns if t.granted)
    assert any(t.wait > 0 for t in turns if t.granted)


async def test_the_rate_of_a_system_counts_all_its_operations(store: Store) -> None:
    declared = Limits(rate=SLOW)
    assert (await turn(store, "accept_order", limits=declared)).granted
    assert not (await turn(store, "post_refund", limits=declared)).granted


async def test_the_rate_of_an_operation_is_its_own(store: Store) -> None:
    assert (await turn(store, "accept_order", rate=SLOW)).granted
    assert (await turn(store, "post_refund", rate=SLOW)).granted


@pytest.mark.parametrize("where", ["flow", "system"])
async def test_what_has_no_turn_yet_waits_in_its_lane_and_not_in_a_worker(store: Store, where: str) -> None:
    """Two orders, one an hour: the second is not leased meanwhile, so anyone may take it when its time comes.

    case: F40
    """
    flow = f"  - {{on: order.placed, do: erp.accept_order{', rate: 1/h' if where == 'flow' else ''}}}\n"
    house = limited(store, flow, f"rate: {HOURLY}" if where == "system" else "")
    await house.receive(payload(1), payload(2))
    async with house.working(house.worker(), house.worker()):

        async def one_waits() -> bool:
            return len(house.erp.made) == 1 and list((await waiting(store)).values()) == [True]

        await until(one_waits)
    assert [len(c.subjects) for c in house.erp.calls] == [1]


async def test_a_batch_is_no_larger_than_the_rate(store: Store) -> None:
    house = limited(store, "  - {on: order.placed, do: erp.accept_order, rate: 3/s}\n", "")
    await house.receive(*[payload(n) for n in range(5)])
    await house.work()
    assert {len(c.subjects) <= 3 for c in house.erp.calls} == {True}
    assert len(house.erp.made) == 5


def limited(store: Store, flows: str, declared: str, **erp: int) -> House:
    """A house whose ERP has these limits."""
    house = House(store, flows, erp=Fake(ERP, **erp))
    rate, concurrency = (dict(p.split(": ") for p in declared.split(", ") if p).get(k) for k in ("rate", "concurrency"))
    bound = Limits(rate=parse_rate(rate) if rate else None, concurrency=int(concurrency) if concurrency else None)
    system = house.blueprint.systems[ERP].model_copy(update={"limits": bound})
    systems = {**house.blueprint.systems, ERP: system}
    house.blueprint = house.blueprint.model_copy(update={"systems": systems})
    return house


# --- calls at once --------------------------------------------------------------------------------------------------


async def test_no_more_calls_at_once_than_declared_whoever_makes_them(store: Store, another_store: Another) -> None:
    """Two processes that would make eight calls at once: two are out, and in the end all is done."""
    house = limited(store, FLOWS, "concurrency: 2", batch=1, parallel=4)
    go_on = asyncio.Event()
    for n in range(6):
        house.erp.plan(subject(n), house.erp.waiting_for(go_on))
    await house.receive(*[payload(n) for n in range(6)])
    workers = [house.worker(), Worker(await another_store(), house.blueprint, {ERP: house.erp}, house.processes)]
    async with house.working(*workers):

        async def both_at_it() -> bool:
            return len(house.erp.calls) == 2 and (await limits.in_flight(store)) == {ERP: 2}

        await until(both_at_it)
        for worker in workers * 3:  # they look again and again
            await worker.dispatch()
        assert house.erp.most_at_once == 2
        go_on.set()

        async def all_made() -> bool:
            return len(house.erp.made) == 6 and await limits.in_flight(store) == {}

        await until(all_made)
    assert house.erp.most_at_once == 2


async def test_a_slot_comes_free_when_its_call_ends_or_its_worker_is_gone(store: Store) -> None:
    declared = Limits(concurrency=1)
    mine = await turn(store, limits=declared)
    assert (mine.granted, (await turn(store, limits=declared)).granted) == (True, False)
    await limits.free_slot(store, mine.slot)
    dead = await turn(store, limits=declared, lease=-1.0)
    alive = await turn(store, limits=declared)
    assert (dead.granted, alive.granted) == (True, True)
    await limits.free_slot(store, dead.slot)  # late: it is somebody else's now
    assert not (await turn(store, limits=declared)).granted


async def test_a_call_that_takes_long_keeps_its_slot(store: Store) -> None:
    declared = Limits(concurrency=1)
    long = await turn(store, limits=declared, lease=-1.0)
    await limits.renew_slots(store, [long.slot], 60.0)
    assert not (await turn(store, limits=declared)).granted


# --- learnt from answers --------------------------------------------------------------------------------------------


async def test_a_system_that_says_it_is_nearly_full_is_called_less_by_everyone(
    store: Store, another_store: Another
) -> None:
    """case: F40"""
    other = await another_store()
    assert (await turn(other)).granted
    assert await limits.learn(store, ERP, [Room(2, 100.0)], 1)
    assert (await turn(other)).wait > 40
    assert await limits.learnt(other) == {ERP: 50.0}


async def test_it_is_minded_at_every_call_for_as_long_as_it_said(store: Store) -> None:
    """case: F40"""
    await limits.learn(store, ERP, [Room(2, 100.0)], 1)
    async with store.write() as connection:  # the first wait is over
        await connection.execute(sa.update(schema.pace).values(next_at=0.0))
    assert (await turn(store)).granted
    assert (await turn(store)).wait > 40


async def test_a_call_that_needs_several_requests_weighs_as_many(store: Store) -> None:
    """Four requests for two deliveries: each delivery takes the time of two requests."""
    await limits.learn(store, ERP, [None, None, None, Room(10, 100.0)], 2)
    assert await limits.learnt(store) == {ERP: 20.0}


async def test_room_enough_or_nothing_said_changes_nothing(store: Store) -> None:
    assert not await limits.learn(store, ERP, [], 1)
    assert not await limits.learn(store, ERP, [Room(0, 10.0), None], 1)
    assert await rows_of(store, schema.pace) == []


async def test_what_was_learnt_is_over_when_its_time_is(store: Store) -> None:
    await limits.learn(store, ERP, [Room(0, 100.0)], 1)
    async with store.write() as connection:
        await connection.execute(sa.update(schema.pace).values(next_at=0.0, learnt_until=store.now))
    assert await limits.learnt(store) == {}
    assert [(await turn(store)).granted for _ in range(3)] == [True] * 3


async def test_the_call_after_a_full_bucket_waits_before_there_is_a_429(store: Store) -> None:
    """The connector says what its answer said; the next order waits in its lane, for another worker too. case: F40"""
    house = House(store, erp=Fake(ERP, batch=1))

    async def answers(item: Item) -> Outcome:
        room.tell({"ratelimit-remaining": "0", "ratelimit-reset": "600"})
        return await house.erp.stand(item)

    for n in (1, 2):
        house.erp.always[subject(n)] = answers
    await house.receive(payload(1), payload(2))
    second = house.worker()
    async with house.working():

        async def one_waits() -> bool:
            return len(house.erp.made) == 1 and list((await waiting(store)).values()) == [True]

        await until(one_waits)
    async with store.write() as connection:
        await connection.execute(sa.update(schema.lane).values(due_at=0.0))
    await second.look_around()
    await second.dispatch()
    assert list((await waiting(store)).values()) == [True]
    assert len(house.erp.calls) == 1
