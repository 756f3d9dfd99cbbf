"""A worker that is told to stop, or cannot keep its leases, leaves nothing that anyone has to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.fakes import ERP, Fake, House, assert_one_status, payload, rows_of, subject, until

from counterfoil.hub import lanes, schema, worker
from counterfoil.hub.store import Store


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as nothing here needs."""
    monkeypatch.setattr(worker, "GRACE", 0.2)


async def hanging(house: House) -> tuple[asyncio.Event, asyncio.Event]:
    """An order whose acceptance hangs in the ERP: set when it has arrived there; to be set to let it end."""
    reached, end = asyncio.Event(), asyncio.Event()
    house.erp.plan(subject(1), house.erp.waiting_for(end, reached))
    await house.receive(payload(1))
    return reached, end


async def test_what_does_not_end_in_time_is_handed_back_and_done_by_the_next(store: Store) -> None:
    house = House(store)
    reached, _ = await hanging(house)
    stopping = house.worker(lease=300.0)
    running = asyncio.create_task(stopping.run())
    await asyncio.wait_for(reached.wait(), 10)
    stopping.stop()
    await running
    (row,) = await rows_of(store, schema.lane)
    assert (row["worker"], row["token"], row["lease_until"]) == (None, None, None)
    (waiting,) = await rows_of(store, schema.delivery)
    assert waiting["attempt"] == 0, "it is nobody's failure"
    await assert_one_status(store)

    await house.work()
    assert house.erp.made == [subject(1)]


async def test_what_ends_in_time_is_finished(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "GRACE", 20.0)
    house = House(store)
    reached, end = await hanging(house)
    stopping = house.worker()
    running = asyncio.create_task(stopping.run())
    await asyncio.wait_for(reached.wait(), 10)
    stopping.stop()
    end.set()
    await running
    assert await rows_of(store, schema.delivery) == []
    assert await house.outcomes() == ["done"]


async def test_it_takes_nothing_new_once_it_is_told_to_stop(store: Store) -> None:
    house = House(store)
    stopping = house.worker()
    stopping.stop()
    await house.receive(payload(1))
    await stopping.run()
    assert [r["worker"] for r in await rows_of(store, schema.lane)] == [None]
    assert await rows_of(store, schema.delivery_log) == []


async def test_a_call_whose_lease_cannot_be_renewed_is_cut_off_before_another_may_have_its_lane(
    store: Store, another_store: Callable[[], Awaitable[Store]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that has lost the store: the other side must not hear from two at once."""
    house = House(store, erp=Fake(ERP, timeout=60.0))
    reached, cut = asyncio.Event(), asyncio.Event()
    second, at_the_cut = await another_store(), list[dict[str, Any]]()

    async def hang(_item: Any) -> Any:
        reached.set()
        try:
            await asyncio.sleep(300)
        finally:
            at_the_cut.extend(await rows_of(second, schema.lane))
            cut.set()

    house.erp.plan(subject(1), hang)
    await house.receive(payload(1))

    async def lost(*_arguments: Any) -> None:
        raise ConnectionError("the store is gone")

    async with house.working(house.worker(lease=2.0)):
        await asyncio.wait_for(reached.wait(), 10)
        with monkeypatch.context() as gone:
            gone.setattr(lanes, "heartbeat", lost)
            gone.setattr(lanes, "reclaim", lost)
            await asyncio.wait_for(cut.wait(), 10)
        assert [bool(r["worker"]) for r in at_the_cut] == [True], "nobody else could have had it before"

        async def made() -> bool:
            return house.erp.made == [subject(1)]

        await until(made, 15)


async def test_a_slow_store_does_not_cut_off_what_its_lease_still_covers(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renewal that waits for its turn to write for longer than the time between two."""
    house = House(store, erp=Fake(ERP, timeout=60.0))
    heartbeat, beats = lanes.heartbeat, 0

    async def slow(*arguments: Any) -> None:
        nonlocal beats
        await asyncio.sleep(1.8)
        await heartbeat(*arguments)
        beats += 1

    monkeypatch.setattr(lanes, "heartbeat", slow)
    reached, end = await hanging(house)
    async with house.working(house.worker(lease=6.0)):
        await asyncio.wait_for(reached.wait(), 10)

        async def some_beats() -> bool:
            return beats >= 3

        await until(some_beats, 20)
        end.set()
        await until(lambda: rows_of(store, schema.delivery_log, operation="accept_order"))
    assert len(house.erp.calls) == 1
