"""What happens by the clock happens once, however many processes have that role, and outlives each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest
from tests.fakes import SHOP, Fake, hasten, payload, raw, rows_of, until

from counterfoil.hub import care, poller, schedule, schema
from counterfoil.hub.contract import Feed, Finding, Page
from counterfoil.hub.store import Store

Another = Callable[[], Awaitable[Store]]


class Counted(Fake):
    """A shop that counts how often it was polled and looked after, and takes its time for it."""

    def __init__(self, seconds: float = 0.05) -> None:
        super().__init__(SHOP)
        self.seconds, self.polls, self.looks = seconds, 0, 0

    @property
    def feeds(self) -> list[Feed]:
        return [Feed("orders", "order", 300.0, self._once)]

    async def _once(self, cursor: Mapping[str, Any]) -> AsyncIterator[Page]:
        self.polls += 1
        await asyncio.sleep(self.seconds)
        yield Page([raw(payload(self.polls))], {"polls": self.polls})

    async def care(self) -> list[Finding]:
        self.looks += 1
        await asyncio.sleep(self.seconds)
        return []


async def test_of_two_processes_one_polls_and_one_looks_after_a_system(store: Store, another_store: Another) -> None:
    """Round after round; without the turns each of them would."""
    second, shop = await another_store(), Counted()
    for round_ in range(1, 11):
        await hasten(store)
        stores = (store, second, store, second)
        polled = await asyncio.gather(*(poller.poll_once(each, SHOP, shop.feeds[0]) for each in stores))
        cared = await asyncio.gather(*(care.care_once(each, SHOP, shop) for each in stores))
        assert (shop.polls, shop.looks) == (round_, round_)
        assert sorted(polled, key=str) == [1, None, None, None]
        assert sum(found is not None for found in cared) == 1


async def test_running_side_by_side_nothing_is_polled_before_its_time(store: Store, another_store: Another) -> None:
    """Two loops, as two processes run them, on a feed that is due every five minutes."""
    second, shop, stop = await another_store(), Counted(0.0), asyncio.Event()
    loops = [asyncio.create_task(poller.run(each, {SHOP: shop}, "engineer", stop)) for each in (store, second)]

    async def polled() -> bool:
        return shop.polls > 0

    await until(polled)
    for each in (store, second):
        assert await poller.poll_once(each, SHOP, shop.feeds[0]) is None
    stop.set()
    await asyncio.gather(*loops)
    assert shop.polls == 1


async def test_a_poll_that_takes_longer_than_its_turn_keeps_it(store: Store, another_store: Another) -> None:
    second, shop = await another_store(), Counted(1.5)
    long_one = asyncio.create_task(poller.poll_once(store, SHOP, shop.feeds[0], turn=0.6))

    async def under_way() -> bool:
        return shop.polls > 0

    await until(under_way)
    while not long_one.done():
        assert await poller.poll_once(second, SHOP, shop.feeds[0], turn=0.6) is None
        await asyncio.sleep(0.02)
    assert await long_one == 1
    assert shop.polls == 1


@pytest.mark.parametrize("what", ["poll", "care"])
async def test_the_turn_of_a_process_that_died_is_taken_when_it_has_run_out(
    store: Store, another_store: Another, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    second, shop = await another_store(), Counted(300.0)

    async def turn(of: Store) -> Any:
        if what == "poll":
            return await poller.poll_once(of, SHOP, shop.feeds[0], turn=0.5)
        return await care.care_once(of, SHOP, shop, turn=0.5)

    async def never(*_arguments: Any) -> None:
        await asyncio.sleep(300)

    monkeypatch.setattr("counterfoil.hub.schedule._renew", never)  # the dead do not renew
    dead = asyncio.create_task(turn(store))

    async def taken() -> bool:
        return bool(shop.polls + shop.looks)

    await until(taken)
    shop.seconds = 0.0

    async def taken_over() -> bool:
        return await turn(second) is not None

    await until(taken_over)
    (row,) = await rows_of(store, schema.cursor)
    assert row["token"] is None
    dead.cancel()
    await asyncio.gather(dead, return_exceptions=True)


async def test_a_process_told_to_stop_in_the_middle_of_a_poll_gives_the_turn_back(store: Store) -> None:
    shop = Counted(300.0)
    task = asyncio.create_task(poller.poll_once(store, SHOP, shop.feeds[0]))

    async def under_way() -> bool:
        return shop.polls > 0

    await until(under_way)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    (row,) = await rows_of(store, schema.cursor)
    assert (row["token"], row["value"]) == (None, {})


async def test_what_is_rare_and_was_cut_off_is_due_again_soon(store: Store) -> None:
    began = asyncio.Event()

    async def look() -> None:
        began.set()
        await asyncio.sleep(300)

    task = asyncio.create_task(schedule.in_turn(store, (SHOP, "look"), look, 86_400.0))
    await began.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    (row,) = await rows_of(store, schema.cursor)
    async with store.read() as connection:
        assert row["next_at"] <= await store.clock(connection) + schedule.AGAIN
