"""One breaker a system, for all workers: one of them probes; and who must know of an outage is told, once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import sqlalchemy as sa
from tests.fakes import ERP, SHOP, Fake, House, assert_one_status, failing, hasten, payload, rows_of, subject, until

from counterfoil.hub import alerts, exceptions, schema, systems
from counterfoil.hub.contract import Kind, Outcome, rejected
from counterfoil.hub.store import Store
from counterfoil.hub.systems import take_probe
from counterfoil.hub.worker import Worker
from counterfoil.retail.events import at_utc

Another = Callable[[], Awaitable[Store]]

AWAY = failing(Kind.DOWN, "unreachable", message="The ERP does not answer.")
CRITICAL = "  - {on: order.placed, do: erp.accept_order, within: 2m, when_down: critical}\n"


async def close(store: Store, outcome: Outcome = AWAY.outcome) -> None:
    """A call to the ERP has failed as a whole."""
    async with store.write() as connection:
        await systems.close_system(connection, store, ERP, outcome)


# --- probing --------------------------------------------------------------------------------------------------------


async def test_one_of_all_workers_gets_the_right_to_probe(store: Store, another_store: Another) -> None:
    await close(store)
    await hasten(store)
    stores = [store, *[await another_store() for _ in range(4)]]
    rights = await asyncio.gather(*(take_probe(each, ERP, f"worker {n}", 60.0) for n, each in enumerate(stores)))
    assert sorted(rights) == [False] * 4 + [True]
    assert (await systems.closed(store))[ERP].probing


async def test_nobody_probes_before_it_is_time_or_when_it_is_open(store: Store) -> None:
    assert not await take_probe(store, ERP, "early", 60.0)
    await close(store)
    async with store.write() as connection:
        await connection.execute(sa.update(schema.system_state).values(open_until=store.now + 60))
    assert not await take_probe(store, ERP, "early", 60.0)
    async with store.write() as connection:
        await systems.reopen(connection, store, ERP)
    await hasten(store)
    assert not await take_probe(store, ERP, "late", 60.0)


async def test_the_right_of_a_worker_that_died_runs_out(store: Store) -> None:
    await close(store)
    await hasten(store)
    assert await take_probe(store, ERP, "dead", -1.0)
    assert await take_probe(store, ERP, "next", 60.0)
    await systems.end_probe(store, ERP, "dead")  # it was not dead but slow: what is the next one's it leaves alone
    await systems.renew_probe(store, ERP, "dead", 60.0)
    assert not await take_probe(store, ERP, "third", 60.0)
    await systems.end_probe(store, ERP, "next")
    assert await take_probe(store, ERP, "third", 60.0)


async def test_a_probe_that_takes_long_keeps_its_right(store: Store) -> None:
    await close(store)
    await hasten(store)
    assert await take_probe(store, ERP, "slow", -1.0)
    await systems.renew_probe(store, ERP, "slow", 60.0)
    assert not await take_probe(store, ERP, "other", 60.0)


async def test_two_processes_feel_its_pulse_with_one_call(store: Store, another_store: Another) -> None:
    """While the probe is out both look again and again; with its answer both go on, and nothing was counted."""
    house = House(store, erp=Fake(ERP, batch=1, parallel=4))
    await house.receive(*[payload(n) for n in range(8)])
    house.erp.answer = AWAY
    first = house.worker()
    second = Worker(await another_store(), house.blueprint, {ERP: house.erp}, house.processes)
    async with house.working(first, second):

        async def is_closed() -> bool:
            return ERP in await systems.closed(store)

        await until(is_closed)

        async def all_parked() -> bool:
            return all(r["worker"] is None for r in await rows_of(store, schema.lane, system=ERP))

        await until(all_parked)
        house.erp.answer = None
        go_on, out = asyncio.Event(), asyncio.Event()
        for n in range(8):
            house.erp.plan(subject(n), house.erp.waiting_for(go_on, out))
        so_far = len(house.erp.calls)
        await hasten(store)
        await out.wait()
        for worker in (first, second) * 3:
            await worker.dispatch()
        assert len(house.erp.calls) == so_far + 1
        go_on.set()

        async def all_made() -> bool:
            return len(house.erp.made) == 8

        await until(all_made)
    assert {a for c in house.erp.calls for a in c.attempts} == {1}
    await assert_one_status(store)


@pytest.mark.parametrize("outcome", [Outcome(Kind.RETRY, "lost_race"), AWAY.outcome, rejected("no", "No.", "Look.")])
async def test_the_right_is_given_back_whatever_came_of_it(store: Store, outcome: Outcome) -> None:
    house = House(store)
    await close(store)
    await hasten(store)
    house.erp.plan(subject(1), outcome)
    await house.receive(payload(1))
    async with house.working():

        async def over() -> bool:
            (state,) = await rows_of(store, schema.system_state)
            return await house.outcomes() != [] and state["prober"] is None

        await until(over)


async def test_calls_that_fail_together_are_one_failure(store: Store) -> None:
    """Six calls were out when it went away: the first wait is a short one all the same."""
    for _ in range(6):
        await close(store)
    assert (await systems.closed(store))[ERP].failures == 1
    await hasten(store)
    await close(store)
    assert (await systems.closed(store))[ERP].failures == 2


async def test_no_system_is_left_alone_for_longer_than_an_hour(store: Store) -> None:
    """Whatever it asks for."""
    async with store.read() as connection:
        now = await connection.scalar(sa.select(store.now))
    await close(store, Outcome(Kind.DOWN, "maintenance", until=at_utc(float(now or 0) + 1e7)))
    assert 3500 < (await systems.closed(store))[ERP].wait <= systems.LONGEST


# --- alerts ---------------------------------------------------------------------------------------------------------


async def waiting(store: Store, flows: str, seconds: float, more: str = "") -> House:
    """An order has waited for so long; the ERP has been away since."""
    house = House(store, flows, more)
    house.erp.answer = AWAY
    await house.receive(payload(1))
    async with house.working():

        async def is_closed() -> bool:
            return ERP in await systems.closed(store)

        await until(is_closed)
    async with store.write() as connection:
        await connection.execute(sa.update(schema.delivery).values(created_at=store.now - seconds))
    return house


async def look(*houses: House) -> None:
    """All look at once."""
    await asyncio.gather(*(house.worker().look_around() for house in houses))


async def test_critical_work_that_waits_too_long_is_told_once(store: Store, another_store: Another) -> None:
    owners = "exceptions: {critical_waits: on-call}\n"
    house = await waiting(store, CRITICAL, 121, owners)
    assert await house.exceptions() == []
    others = [House(await another_store(), CRITICAL, owners) for _ in range(3)]
    await look(house, *others)
    await look(house)
    (alert,) = await house.exceptions()
    assert (alert["system"], alert["reason"], alert["owner"]) == (ERP, alerts.REASON, "on-call")
    assert (alert["delivery_id"], alert["held"]) == (None, False)
    assert "The ERP does not answer." in alert["message"]
    await assert_one_status(store)


async def test_it_is_over_by_itself_and_the_order_arrives(store: Store) -> None:
    house = await waiting(store, CRITICAL, 121)
    await look(house)
    house.erp.answer = None
    await hasten(store)
    await house.work()
    assert house.erp.made == [subject(1)]
    assert await house.exceptions() == []
    (over,) = await house.exceptions("resolved")
    assert (over["reason"], over["closed_by"]) == (alerts.REASON, "counterfoil")


@pytest.mark.parametrize(
    ("flow", "seconds", "told"),
    [
        ("do: erp.accept_order, within: 2m, when_down: critical", 90, False),
        ("do: erp.accept_order, within: 1m, when_down: critical", 90, True),
        ("do: erp.accept_order, when_down: critical", 50, False),
        ("do: erp.accept_order, when_down: critical", 70, True),
        ("do: erp.accept_order, within: 1m, when_down: defer", 4000, False),
    ],
    ids=["in time", "past its promise", "no promise, in time", "no promise, too long", "may wait"],
)
async def test_when_a_person_is_told(store: Store, flow: str, seconds: float, told: bool) -> None:
    house = await waiting(store, f"  - {{on: order.placed, {flow}}}\n", seconds)
    await look(house)
    assert len(await house.exceptions()) == told


async def test_of_several_promises_the_strictest_counts(store: Store) -> None:
    house = House(store, CRITICAL + "  - {on: order.paid, do: erp.accept_order, within: 1m, when_down: critical}\n")
    assert alerts.patience(house.blueprint, ERP) == {"accept_order": 60.0}
    assert alerts.patience(house.blueprint, SHOP) == {}


async def test_what_waits_for_a_person_is_not_told_again(store: Store) -> None:
    """The order is held by an exception of its own: the outage is not why it waits."""
    house = House(store, CRITICAL)
    house.erp.plan(subject(1), rejected("unknown_sku", "No.", "Make it."))
    await house.hear(payload(1))
    await close(store)
    async with store.write() as connection:
        await connection.execute(sa.update(schema.delivery).values(created_at=0.0))
    await look(house)
    assert [e["reason"] for e in await house.exceptions()] == ["unknown_sku"]


async def test_who_was_told_that_the_key_is_wrong_is_not_told_again(store: Store) -> None:
    house = await waiting(store, CRITICAL, 121)
    async with store.write() as connection:
        await exceptions.open_for_system(connection, store, ERP, Outcome(Kind.MISCONFIGURED, "bad_key"), "ada")
    await look(house)
    assert [e["reason"] for e in await house.exceptions()] == ["bad_key"]


async def test_a_system_that_came_back_at_that_moment_is_not_complained_about(store: Store) -> None:
    """Seen closed, open again before the alert is written: nobody would close that one."""
    house = await waiting(store, CRITICAL, 121)
    seen = await systems.closed(store)
    async with store.write() as connection:
        await systems.reopen(connection, store, ERP)
    await alerts.look(store, house.blueprint, seen)
    assert await house.exceptions() == []
