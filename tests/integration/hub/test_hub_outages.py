"""When a system is away, busy or locked: nothing is lost, nothing is counted against it, all arrives afterwards."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from tests.fakes import (
    ERP,
    FLOWS,
    Fake,
    House,
    assert_one_status,
    at,
    failing,
    hasten,
    payload,
    rows_of,
    subject,
    until,
)

from counterfoil.hub import exceptions, schema, systems
from counterfoil.hub.contract import Kind, Outcome, rejected
from counterfoil.hub.retry import BREAKER_CAP, BREAKER_FIRST
from counterfoil.hub.store import Store

AWAY = failing(Kind.DOWN, "unreachable", message="The ERP does not answer.")
WRONG_KEY = failing(Kind.MISCONFIGURED, "bad_key", message="The ERP refuses the key.")


async def is_closed(store: Store) -> bool:
    """Whether the ERP is not called now."""
    return ERP in await systems.closed(store)


async def all_made(house: House, most: int) -> bool:
    """Whether orders 0 … most-1 stand in the ERP."""
    return set(house.erp.made) == {subject(n) for n in range(most)}


# --- down ---------------------------------------------------------------------------------------------------------


async def test_everything_arrives_after_an_outage_and_nothing_was_counted(store: Store) -> None:
    house = House(store)
    house.erp.answer = AWAY
    await house.receive(*[payload(n) for n in range(30)])
    async with house.working():
        await until(lambda: is_closed(store))
        for _ in range(3):  # probes that find it still away
            await hasten(store)
            await asyncio.sleep(0.1)
        assert {d["attempt"] for d in await rows_of(store, schema.delivery, system=ERP)} == {0}
        assert await house.exceptions() == []
        await assert_one_status(store)
        house.erp.answer = None
        await hasten(store)
        await until(lambda: all_made(house, 30))
    assert len(house.erp.made) == 30
    assert {a for c in house.erp.calls for a in c.attempts} == {1}


async def test_what_is_said_of_an_order_during_the_outage_follows_in_order(store: Store) -> None:
    house = House(store)
    house.erp.answer = AWAY
    await house.receive(payload(0))
    async with house.working():
        await until(lambda: is_closed(store))
        await house.receive(payload(0, modified=at(1), total="13.00"))
        await house.receive(payload(0, modified=at(2), total="13.00", status="cancelled"))

        async def known() -> bool:
            return "order.cancelled" in await house.events()

        await until(known)
        house.erp.answer = None
        await hasten(store)

        async def over() -> bool:
            return await rows_of(store, schema.delivery) == []

        await until(over)
    assert house.erp.history == [("accept_order", subject(0)), ("cancel_order", subject(0))]


async def test_while_it_is_away_one_call_at_a_time_feels_its_pulse(store: Store) -> None:
    """Forty orders wait, four calls may run: still each probe is one call with one order."""
    house = House(store, erp=Fake(ERP, batch=5, parallel=4))
    house.erp.answer = AWAY
    await house.receive(*[payload(n) for n in range(40)])
    async with house.working():
        await until(lambda: is_closed(store))
        await asyncio.sleep(0.1)
        so_far = len(house.erp.calls)
        for _ in range(3):
            await hasten(store)
            await asyncio.sleep(0.1)
    probes = house.erp.calls[so_far:]
    assert 1 <= len(probes) <= 3
    assert {len(c.subjects) for c in probes} == {1}


async def test_the_other_systems_go_on(store: Store) -> None:
    house = House(store, FLOWS + "  - {on: order.placed, do: shop.note_order}\n")
    house.erp.answer = AWAY
    await house.receive(payload(1))
    async with house.working():

        async def noted() -> bool:
            return house.shop.history == [("note_order", subject(1))]

        await until(noted)
        await until(lambda: is_closed(store))
    assert set(await systems.closed(store)) == {ERP}


async def test_receipts_are_decoded_while_the_erp_is_away(store: Store) -> None:
    """And while the shop itself is: what it sent is here."""
    house = House(store)
    house.erp.answer = AWAY
    async with store.write() as connection:
        for system in ("shop", ERP):
            await systems.close_system(connection, store, system, AWAY.outcome)
    await house.receive(payload(1))
    async with house.working():

        async def decoded() -> bool:
            return await house.events() == ["order.placed"]

        await until(decoded)


async def test_what_was_done_before_the_line_broke_is_kept(store: Store) -> None:
    """One batch, half of it answered: two done, one told that the system went away."""
    house = House(store)
    house.erp.plan(subject(1), AWAY.outcome)
    await house.receive(*[payload(n) for n in range(3)])
    async with house.working():

        async def two() -> bool:
            return sorted(await house.outcomes()) == ["done", "done", "down"]

        await until(two)
        assert await is_closed(store)
        await hasten(store)
        await until(lambda: all_made(house, 3))

        async def opened() -> bool:
            return not await is_closed(store)

        await until(opened)


async def test_the_wait_between_probes_grows_and_is_capped(store: Store) -> None:
    waits = []
    for _ in range(12):
        async with store.write() as connection:
            waits.append(await systems.close_system(connection, store, ERP, AWAY.outcome))
        await hasten(store)
    assert waits[0] <= BREAKER_FIRST
    assert BREAKER_CAP / 2 <= waits[-1] <= BREAKER_CAP
    (state,) = await rows_of(store, schema.system_state)
    assert state["failures"] == 12


async def test_since_when_it_is_away_is_remembered(store: Store) -> None:
    """The first failure, not the last; and anew after it was back."""
    since = []
    for back in (False, False, True):
        async with store.write() as connection:
            await systems.close_system(connection, store, ERP, AWAY.outcome)
        since.append((await systems.closed(store))[ERP].since)
        if back is False and len(since) == 2:
            async with store.write() as connection:
                await systems.reopen(connection, store, ERP)
        await asyncio.sleep(0.01)
    assert since[0] == since[1] < since[2]


@pytest.mark.parametrize("answer", [rejected("unknown_sku", "No.", "Make it."), None], ids=["a refusal", "done"])
async def test_any_answer_of_its_own_opens_it_again(store: Store, answer: Outcome | None) -> None:
    house = House(store)
    async with store.write() as connection:
        await systems.close_system(connection, store, ERP, AWAY.outcome)
    if answer is not None:
        house.erp.plan(subject(0), answer)
    await house.receive(payload(0))
    await hasten(store)
    await house.work()
    assert not await is_closed(store)


async def test_a_lost_race_says_nothing_of_whether_it_is_back(store: Store) -> None:
    """case: F12"""
    house = House(store)
    async with store.write() as connection:
        await systems.close_system(connection, store, ERP, AWAY.outcome)
    house.erp.plan(subject(0), Outcome(Kind.RETRY, "lost_race"))
    await house.receive(payload(0))
    await hasten(store)
    async with house.working():

        async def raced() -> bool:
            return await house.outcomes() != []

        await until(raced)
        (state,) = await rows_of(store, schema.system_state)
        assert state["failures"] == 1
        await until(lambda: all_made(house, 1))


# --- throttled ----------------------------------------------------------------------------------------------------


async def test_a_throttled_system_is_left_alone_until_the_time_it_named(store: Store) -> None:
    """case: F40"""
    house = House(store)
    await house.receive(payload(0))
    calls: list[float] = []
    run = house.erp._operations["accept_order"].run

    async def timed(items: Any) -> list[Outcome]:
        calls.append(time.time())
        if len(calls) > 1:
            return await run(items)
        return [Outcome(Kind.THROTTLED, "busy", until=datetime.fromtimestamp(calls[0] + 1.2, UTC))]

    house.erp._operations["accept_order"] = dataclasses.replace(house.erp._operations["accept_order"], run=timed)
    async with house.working():
        await until(lambda: is_closed(store))
        await house.receive(payload(1))
        await until(lambda: all_made(house, 2))
    assert len([c for c in calls if c < calls[0] + 1.15]) == 1
    assert {r["attempt"] for r in await rows_of(store, schema.delivery_log, operation="accept_order")} == {1}


async def test_a_short_outage_does_not_cut_short_what_the_system_asked_for(store: Store) -> None:
    """One call is told "in a minute", another in flight finds it away: the minute stands. case: F40"""
    later = datetime.fromtimestamp(time.time() + 60, UTC)
    for outcome in (Outcome(Kind.THROTTLED, "busy", until=later), AWAY.outcome):
        async with store.write() as connection:
            wait = await systems.close_system(connection, store, ERP, outcome)
        assert wait > 55
        assert (await systems.closed(store))[ERP].wait > 55


async def test_a_time_that_is_past_already_is_a_short_wait(store: Store) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    async with store.write() as connection:
        wait = await systems.close_system(connection, store, ERP, Outcome(Kind.THROTTLED, until=long_ago))
    assert 0 < wait <= 0.11


# --- misconfigured ------------------------------------------------------------------------------------------------


async def test_a_wrong_key_is_one_exception_for_the_whole_system(store: Store) -> None:
    """Twenty orders wait behind it: the person who can mend it is told once, and the orders are in no queue."""
    house = House(store, erp=Fake(ERP, batch=5, parallel=3))
    house.erp.answer = WRONG_KEY
    await house.receive(*[payload(n) for n in range(20)])
    async with house.working():
        await until(lambda: is_closed(store))
        for _ in range(3):
            await hasten(store)
            await asyncio.sleep(0.1)
    (told,) = await house.exceptions()
    assert (told["subject"], told["delivery_id"], told["owner"]) == (ERP, None, "integration-engineer")
    assert told["message"] == "The ERP refuses the key."
    assert {d["attempt"] for d in await rows_of(store, schema.delivery, system=ERP)} == {0}
    await assert_one_status(store)


async def test_once_the_key_is_right_the_exception_closes_itself(store: Store) -> None:
    house = House(store)
    house.erp.answer = WRONG_KEY
    await house.receive(*[payload(n) for n in range(5)])
    async with house.working():
        await until(lambda: is_closed(store))
        house.erp.answer = None
        await hasten(store)
        await until(lambda: all_made(house, 5))
    assert await house.exceptions() == []
    (over,) = await house.exceptions("resolved")
    assert (over["closed_by"], over["note"]) == ("counterfoil", "the system answers again")
    assert not await is_closed(store)


async def test_whoever_put_it_right_need_not_wait(store: Store) -> None:
    """Retry on the system's exception: it is called at once, not after the pause."""
    house = House(store)
    house.erp.answer = WRONG_KEY
    await house.receive(payload(0))
    async with house.working():
        await until(lambda: is_closed(store))
        async with store.write() as connection:  # the delivery that failed waits longer than that
            await connection.execute(sa.update(schema.lane).values(due_at=0))
        assert (await systems.closed(store))[ERP].wait > BREAKER_CAP - 5
        house.erp.answer = None
        (told,) = await house.exceptions()
        await exceptions.act(store, told["id"], "retried", "ada")
        await until(lambda: all_made(house, 1), 3)


async def test_it_breaks_again_and_is_told_again(store: Store) -> None:
    house = House(store)
    for _ in range(2):
        house.erp.answer = WRONG_KEY
        await house.receive(
            payload(0, modified=at(len(house.erp.calls)), status="on_hold", paid=at(len(house.erp.calls)))
        )
        async with house.working():
            await until(lambda: is_closed(store))
            house.erp.answer = None
            await hasten(store)

            async def over() -> bool:
                return not await is_closed(store)

            await until(over)
    assert len(await house.exceptions("resolved")) == 2
