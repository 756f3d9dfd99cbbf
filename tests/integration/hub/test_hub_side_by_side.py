"""Many at once: on PostgreSQL transactions really run beside each other, and none may wait for another in a ring."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
from collections.abc import Awaitable, Callable

import pytest
import sqlalchemy as sa
from tests.conftest import ON_POSTGRESQL
from tests.fakes import (
    ERP,
    FLOWS,
    SHOP,
    Fake,
    House,
    arrival,
    assert_one_status,
    at,
    decode_order,
    payload,
    rows_of,
    subject,
)
from tests.integration.hub.test_hub_lanes import claim, delivery, finished, queue, settle

from counterfoil.hub import exceptions, lanes, receipts, records, schema
from counterfoil.hub.contract import Item, Kind, Outcome, rejected
from counterfoil.hub.lanes import Fenced, NewDelivery
from counterfoil.hub.receipts import Arrival, GroupCommit
from counterfoil.hub.store import Store
from counterfoil.processes.orders import judge

DICE = random.Random(20261102)


def shuffled(numbers: range) -> list[int]:
    """The numbers in some order."""
    return DICE.sample(numbers, len(numbers))


# --- no ring of waiting -------------------------------------------------------------------------------------------


async def test_queueing_to_the_same_lanes_in_any_order(store: Store) -> None:
    """Eight at once, each with the same twelve keys in another order."""

    async def many() -> None:
        for _ in range(6):
            await queue(store, *[delivery(f"k{n}") for n in shuffled(range(12))])

    await asyncio.gather(*(many() for _ in range(8)))
    assert {r["n"] for r in await rows_of(store, schema.lane)} == {48}
    await assert_one_status(store)


async def test_counting_the_same_things_in_any_order(store: Store) -> None:
    """Two hubs take duplicates from two systems by two ways: the counters are not a trap."""
    ways = [(SHOP, "webhook"), (SHOP, "poll"), (ERP, "webhook"), (ERP, "poll")]
    async with store.write() as connection:
        await records.keep_seen(
            connection, store, {(system, "order:1"): receipts.digest(payload(1)) for system in (SHOP, ERP)}
        )

    async def many() -> None:
        for _ in range(8):
            mixed = DICE.sample(ways, len(ways))
            async with store.write() as connection:
                await receipts.take(connection, store, [Arrival(s, w, arrival(payload(1)).raw) for s, w in mixed])

    await asyncio.gather(*(many() for _ in range(8)))
    assert await House(store).counters() == {"duplicate_poll": 64, "duplicate_webhook": 64}


async def test_several_workers_decode_mixed_batches(store: Store) -> None:
    """News, echoes, duplicates and stale states of thirty orders, four decoders at once: each order once."""
    house = House(store)
    bodies = []
    for n in shuffled(range(30)):
        told = [payload(n), payload(n) + b" ", payload(n, modified=at(1)), payload(n, modified=at(0), note="x")]
        bodies += DICE.sample(told, len(told))
    await house.receive(*bodies)
    await asyncio.gather(*(house.worker().drain(30) for _ in range(4)))
    assert sorted(house.erp.made) == sorted({subject(n) for n in range(30)})
    assert set(await house.outcomes("decode")) == {"done"}
    await assert_one_status(store)


async def test_our_writes_answers_beside_what_the_shop_tells(store: Store) -> None:
    """Note the number in the shop, whose answer moves the object, while the shop tells of the same orders."""
    house = House(
        store,
        FLOWS + "  - {on: order.accepted, do: shop.note_order}\n  - {on: order.changed, do: shop.note_order}\n",
        shop=Fake(SHOP, batch=4, parallel=3),
        erp=Fake(ERP, batch=4, parallel=3),
    )
    workers = [house.worker() for _ in range(3)]
    async with house.working(*workers):
        for round_ in range(5):
            await house.receive(
                *[payload(n, modified=at(round_), total=f"{12 + round_}.00") for n in shuffled(range(15))]
            )
            await asyncio.sleep(0.05)
        await asyncio.gather(*(w.drain(30) for w in [house.worker()]))
    assert len(house.erp.made) == 15
    assert set(await house.outcomes("note_order")) == {"done"}
    await assert_one_status(store)


async def test_beating_hearts_and_taking_back_beside_acknowledging(store: Store) -> None:
    """Leases are renewed and reclaimed in the middle of settling: everybody takes the lanes in the same order."""
    keys = [f"k{n}" for n in range(12)]
    await queue(store, *[delivery(key) for key in keys for _ in range(6)])
    stop = asyncio.Event()

    async def beat(tokens: dict[lanes.LaneKey, str]) -> None:
        while not stop.is_set():
            mixed = dict(DICE.sample(list(tokens.items()), len(tokens)))
            await lanes.heartbeat(store, mixed, 60)
            await lanes.reclaim(store)

    done = 0
    while works := await claim(store, most=12):
        stop.clear()
        hearts = [asyncio.create_task(beat({w.lane: w.token for w in works})) for _ in range(3)]
        DICE.shuffle(works)
        await asyncio.gather(*(settle(store, *map(finished, works[i : i + 6])) for i in (0, 6)))
        stop.set()
        await asyncio.gather(*hearts)
        done += len(works)
    assert done == 72


async def test_a_person_acts_while_something_new_is_learnt_of_the_same_order(store: Store) -> None:
    """Both let the lane go on, and one closes the exception: neither waits for the other for ever."""
    house = House(
        store, "  - {on: order.placed, do: erp.accept_order}\n  - {on: order.changed, do: erp.accept_order}\n"
    )
    for n in range(12):
        house.erp.always[subject(n)] = rejected("unknown_sku", "No product MUG.", "Make it.")
    await house.hear(*[payload(n) for n in range(12)])
    house.erp.always.clear()
    numbers = [e["id"] for e in await house.exceptions()]
    await house.receive(*[payload(n, modified=at(1), total="13.00") for n in range(12)])

    async def act(number: int) -> None:
        with contextlib.suppress(exceptions.NotOpen):
            await exceptions.act(store, number, "retried", "ada")

    await asyncio.gather(house.worker().drain(30), house.worker().drain(30), *map(act, reversed(numbers)))
    assert await house.exceptions() == []
    assert len(house.erp.made) == 12
    await assert_one_status(store)


@ON_POSTGRESQL
async def test_closing_an_exception_takes_the_lane_before_the_exception(store: Store) -> None:
    """As the decoder does, which holds the lane here and comes for the exception next."""
    house = House(store)
    house.erp.plan(subject(1), rejected("unknown_sku", "No product MUG.", "Make it."))
    await house.hear(payload(1))
    (held,) = await house.exceptions()
    async with store.write() as decoder:
        await lanes.unhold(decoder, store, (ERP, "order", subject(1)))
        person = asyncio.create_task(exceptions.act(store, held["id"], "resolved", "ada"))
        await asyncio.sleep(0.2)
        await exceptions.close_as_retried(decoder, store, [held["id"]], "something new")
    with pytest.raises(exceptions.NotOpen, match="was retried already"):
        await person
    await assert_one_status(store)


@ON_POSTGRESQL
async def test_an_answer_takes_the_object_before_its_lanes(store: Store) -> None:
    """As the decoder does, which holds the object here and comes for a lane next."""
    house = House(store, "  - {on: order.placed, do: shop.note_order}\n")
    answered, there = asyncio.Event(), asyncio.Event()
    seen = house.shop.decode(arrival(payload(1, modified=at(5))).raw)

    async def note(item: Item) -> Outcome:
        there.set()
        await answered.wait()
        return dataclasses.replace(await house.shop.stand(item), observed=seen)

    house.shop.plan(subject(1), note)
    await house.receive(payload(1))
    async with house.working():
        await there.wait()
        async with store.write() as decoder:
            await records.known_objects(decoder, [(SHOP, "order", "1")])
            answered.set()
            await asyncio.sleep(0.2)
            (event,) = await rows_of(store, schema.event)
            again = NewDelivery(SHOP, "order", subject(1), "note_order", subject(1), event_id=event["id"])
            await lanes.enqueue(decoder, store, [again])
        await house.worker().drain()
    assert len(house.shop.calls) == 2


async def test_the_same_event_written_by_two_at_the_same_moment(store: Store) -> None:
    """A worker that lost its lease and the one that took over emit the same event: one stands, nobody breaks."""
    house = House(store)
    order = decode_order(SHOP, payload(1))
    (event,) = judge(None, "", order, house.blueprint.orders, None).events
    both_there = asyncio.Barrier(2)

    async def write() -> int:
        async with store.write() as connection:
            if not store.is_sqlite:  # there one would wait for the other before it begins
                await connection.execute(sa.select(1))
                await both_there.wait()
            new = await records.keep_events(connection, store, [event])
            await asyncio.sleep(0.05)
            return len(new)

    assert sorted(await asyncio.gather(write(), write())) == [0, 1]


async def test_one_exception_for_the_system_whoever_finds_it_first(store: Store) -> None:
    """Four workers get a wrong password at the same moment: one exception."""
    from counterfoil.hub import systems

    wrong = Outcome(Kind.MISCONFIGURED, "bad_key", "The key is wrong.")

    async def find() -> None:
        async with store.write() as connection:
            await systems.close_system(connection, store, ERP, wrong)
            await exceptions.open_for_system(connection, store, ERP, wrong, "engineer")
            await asyncio.sleep(0.02)

    await asyncio.gather(*(find() for _ in range(4)))
    assert len(await rows_of(store, schema.exception)) == 1


# --- each delivery once, by many workers -----------------------------------------------------------------------------


@ON_POSTGRESQL
async def test_two_hub_processes_take_the_same_order_from_two_sources(
    store: Store, another_store: Callable[[], Awaitable[Store]]
) -> None:
    """The webhook at one, the poll at the other, both with a worker: one order stands in the ERP. case: F03"""
    erp = Fake(ERP)
    here, there = House(store, erp=erp), House(await another_store(), erp=erp)
    async with here.working(here.worker(), here.worker()), there.working(there.worker()):
        for n in range(20):
            await asyncio.gather(
                GroupCommit(here.store).take(arrival(payload(n), origin="webhook")),
                there.receive(payload(n) + b" ", origin="poll"),
            )
        await here.worker().drain(30)
    assert sorted(erp.made) == sorted({subject(n) for n in range(20)})
    assert (await here.events()).count("order.placed") == 20


async def test_claims_at_the_same_moment_share_no_lane(store: Store) -> None:
    await queue(store, *[delivery(f"k{n:02}") for n in range(40)])
    hands = await asyncio.gather(*(claim(store, f"w{i}", most=10) for i in range(4)))
    keys = [w.subject for works in hands for w in works]
    assert len(keys) == len(set(keys))


async def test_of_two_acknowledgements_with_the_same_token_one_counts(store: Store) -> None:
    await queue(store, delivery("a"), delivery("a"))
    (work,) = await claim(store)
    ended = await asyncio.gather(settle(store, finished(work)), settle(store, finished(work)), return_exceptions=True)
    assert [type(e) for e in ended].count(Fenced) == 1
    assert [r["n"] for r in await rows_of(store, schema.lane)] == [1]


@ON_POSTGRESQL
async def test_a_newer_state_is_not_overwritten_by_the_answer_to_an_older_write(store: Store) -> None:
    """Our write's answer is compared and written in one go: the shop's next state cannot slip in between."""
    house = House(store)
    await house.hear(payload(1))
    process = house.processes[SHOP]["order"]
    place = (SHOP, "order", "1")
    compared = asyncio.Event()

    async def our_answer() -> None:
        async with store.write() as connection:
            known = (await records.known_objects(connection, [place]))[place]
            compared.set()
            await asyncio.sleep(0.2)
            seen = house.shop.decode(arrival(payload(1, modified=at(5))).raw)
            if known.version <= seen.version:
                state = seen.state.model_dump(mode="json")
                told = records.Known(seen.version, process.digest(seen), state, known.stage)
                await records.keep_objects(connection, store, {place: (told, subject(1))})

    async def the_shop() -> None:
        await compared.wait()
        await house.hear(payload(1, modified=at(9), total="13.00"))

    await asyncio.gather(our_answer(), the_shop())
    (stands,) = await rows_of(store, schema.object_)
    assert (stands["version"], stands["state"]["total"]) == (at(9), "13.00 EUR")
