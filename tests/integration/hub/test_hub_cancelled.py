"""A task that is cancelled in the middle of its work at the store leaves no lock behind."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest
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


@ON_SQLITE
async def test_a_statement_left_in_the_middle_of_its_rows_keeps_no_commit_away(store: Store) -> None:
    """SQLite counts it as under way, and commits nothing on its connection, for as long as anybody holds its cursor."""
    held = []
    for end in ("cancelled", "committed"):
        async with contextlib.AsyncExitStack() as stack:
            if end == "cancelled":
                stack.enter_context(pytest.raises(asyncio.CancelledError))
            connection = await stack.enter_async_context(store.write())
            await count(connection, store, {("shop", name): 1 for name in "abc"})
            if end == "cancelled":
                driver = (await connection.get_raw_connection()).driver_connection
                assert driver is not None
                held.append(await driver.cursor())
                await held[0].execute("UPDATE counter SET n = n + 1 RETURNING name")
                assert await held[0].fetchone()
                raise asyncio.CancelledError
    async with store.read() as connection:
        assert list(await connection.scalars(sa.select(counter.c.n))) == [1, 1, 1]
