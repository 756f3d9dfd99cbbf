"""A cancellation gets through, whatever else happens at the same moment."""

from __future__ import annotations

import asyncio

import pytest

from counterfoil.hub.waiting import at_most


@pytest.mark.parametrize("turns", range(4))
async def test_cancelled_at_the_moment_of_the_event(turns: int) -> None:
    event = asyncio.Event()
    task = asyncio.create_task(at_most(30, event))
    await asyncio.sleep(0)
    event.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    was_done = task.done()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() or was_done


async def test_it_ends_with_the_event_or_the_time() -> None:
    event = asyncio.Event()
    await at_most(0.01, event)
    assert not event.is_set()
    event.set()
    await at_most(30, event)
