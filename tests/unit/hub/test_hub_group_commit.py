"""Group commit: many doors wait for one commit, and each hears what became of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from tests.fakes import arrival, payload

from counterfoil.hub import receipts
from counterfoil.hub.receipts import Arrival, GroupCommit


class CountingStore:
    """Stands for the store: each transaction waits for `commit`, then is counted, or breaks with `error`."""

    def __init__(self) -> None:
        self.commit = asyncio.Event()
        self.error: BaseException | None = None
        self.begun: list[list[Arrival]] = []
        self.committed: list[list[Arrival]] = []

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[list[Arrival]]:
        transaction: list[Arrival] = []
        self.begun.append(transaction)
        yield transaction
        await self.commit.wait()
        if self.error is not None:
            raise self.error
        self.committed.append(transaction)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> CountingStore:
    """A store whose commits the test lets through."""

    async def take(connection: list[Arrival], _store: Any, arrivals: Sequence[Arrival]) -> int:
        connection.extend(arrivals)
        return len(arrivals)

    monkeypatch.setattr(receipts, "take", take)
    return CountingStore()


async def settled() -> None:
    """Let every task run as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_door_hears_nothing_before_the_commit(store: CountingStore) -> None:
    """Kept means committed: the answer waits for it."""
    door = asyncio.create_task(GroupCommit(store).take(arrival(payload())))  # type: ignore[arg-type]
    await settled()
    assert store.begun
    assert not door.done()
    store.commit.set()
    await door


async def test_who_waits_during_a_commit_shares_the_next_one(store: CountingStore) -> None:
    intake = GroupCommit(store)  # type: ignore[arg-type]
    first = asyncio.create_task(intake.take(arrival(payload(0))))
    await settled()
    others = [asyncio.create_task(intake.take(arrival(payload(n)))) for n in range(1, 31)]
    await settled()
    store.commit.set()
    await asyncio.gather(first, *others)
    assert [len(t) for t in store.committed] == [1, 30]


async def test_a_commit_holds_no_more_than_it_should(store: CountingStore) -> None:
    intake = GroupCommit(store, most=10)  # type: ignore[arg-type]
    store.commit.set()
    await asyncio.gather(*(intake.take(arrival(payload(n))) for n in range(25)))
    assert [len(t) for t in store.committed] == [10, 10, 5]


async def test_when_the_store_fails_everyone_who_waited_hears_it(store: CountingStore) -> None:
    """None of them may answer "kept"."""
    intake = GroupCommit(store)  # type: ignore[arg-type]
    store.error = OSError("disk full")
    store.commit.set()
    heard = await asyncio.gather(*(intake.take(arrival(payload(n))) for n in range(5)), return_exceptions=True)
    assert [str(e) for e in heard] == ["disk full"] * 5


async def test_after_a_failure_the_next_arrival_is_kept(store: CountingStore) -> None:
    intake = GroupCommit(store)  # type: ignore[arg-type]
    store.error = OSError("disk full")
    store.commit.set()
    with pytest.raises(OSError, match="disk full"):
        await intake.take(arrival(payload(1)))
    store.error = None
    await intake.take(arrival(payload(2)))
    assert [len(t) for t in store.committed] == [1]


async def test_a_sender_that_hangs_up_takes_nobody_with_it(store: CountingStore) -> None:
    """Its own arrival is kept all the same; the others are answered."""
    intake = GroupCommit(store)  # type: ignore[arg-type]
    leaving = asyncio.create_task(intake.take(arrival(payload(1))))
    staying = asyncio.create_task(intake.take(arrival(payload(2))))
    await settled()
    leaving.cancel()
    await settled()
    store.commit.set()
    await staying
    assert [len(t) for t in store.committed] == [2]


async def test_a_stopping_process_tells_the_doors_that_nothing_was_kept(store: CountingStore) -> None:
    intake = GroupCommit(store)  # type: ignore[arg-type]
    door = asyncio.create_task(intake.take(arrival(payload(1))))
    await settled()
    assert intake._task is not None
    intake._task.cancel()
    with pytest.raises(RuntimeError, match="stopping"):
        await door
