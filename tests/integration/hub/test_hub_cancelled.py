"""A task that is cancelled in the middle of its work at the store leaves no lock behind."""

from __future__ import annotations

import asyncio
import random

import sqlalchemy as sa
from tests.conftest import ON_SQLITE

from counterfoil.hub.schema import counter
from counterfoil.hub.store import Store, count


@ON_SQLITE
async def test_what_is_cancelled_anywhere_keeps_nobody_waiting(store: Store) -> None:
    async def work() -> None:
        async with store.write() as connection:
            await count(connection, store, {("shop", name): 1 for name in "abc"})
            found = sa.update(counter).values(n=counter.c.n + 1).returning(counter.c.name)
            await connection.execute(found)

    dice = random.Random(3)
    for _ in range(150):
        some = [asyncio.create_task(work()) for _ in range(3)]
        await asyncio.sleep(dice.uniform(0, 0.006))
        for task in some:
            task.cancel()
        await asyncio.gather(*some, return_exceptions=True)
    async with asyncio.timeout(10):  # less than SQLite waits for a lock
        await work()
