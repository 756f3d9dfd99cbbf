"""PostgreSQL's primary dies and its standby takes over: the hub goes on by itself, with all that was acknowledged."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.conftest import CANNOT_BE_HAD, SCRIPT
from tests.fakes import ERP, Fake, House, arrival, assert_one_status, payload, rows_of, subject, until

from counterfoil.hub import schema
from counterfoil.hub.receipts import GroupCommit
from counterfoil.hub.store import Store, open_store

BEFORE, AFTER = 150, 150
"""Orders acknowledged before the primary dies, and after the standby has taken over."""


@dataclass(frozen=True)
class Pair:
    """A primary and its synchronous standby, of their own."""

    folder: Path
    port: int

    def script(self, verb: str) -> str:
        """scripts/postgres; its last line."""
        environment = {**os.environ, "COUNTERFOIL_CACHE": str(self.folder), "COUNTERFOIL_PGPORT": str(self.port)}
        environment.pop("COUNTERFOIL_PG_DURABLE", None)  # on
        ended = subprocess.run([SCRIPT, verb], env=environment, capture_output=True, text=True, check=False)
        if ended.returncode == CANNOT_BE_HAD:
            pytest.skip("PostgreSQL cannot be had on this machine")
        assert ended.returncode == 0, ended.stderr
        return (ended.stdout.splitlines() or [""])[-1]


def two_free_ports() -> int:
    """The first of two ports in a row that are free now."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


@pytest.fixture
def pair() -> Iterator[Pair]:
    folder = Path(tempfile.mkdtemp(prefix="counterfoil-failover-", dir="/var/tmp"))
    folder.chmod(0o755)  # the server's own user must reach it
    made = Pair(folder, two_free_ports())
    yield made
    made.script("stop")
    shutil.rmtree(folder)


async def answer(store: Store, sql: str) -> str:
    async with store.read() as connection:
        return str(await connection.scalar(sa.text(sql)))


@pytest.mark.postgres
async def test_nothing_acknowledged_is_lost_and_nobody_has_to_restart_the_hub(pair: Pair) -> None:
    """kill -9 of the primary while webhooks come in and orders are worked; the standby is promoted a moment later."""
    store = await open_store(await asyncio.to_thread(pair.script, "standby"))
    assert await store.durability() == {"fsync": "on", "synchronous_commit": "on"}
    assert await answer(store, "select sync_state from pg_stat_replication") == "sync"
    house, door = House(store, erp=Fake(ERP, batch=5)), GroupCommit(store)
    acknowledged: list[int] = []
    refused = 0

    async def shop(numbers: Iterator[int]) -> None:
        nonlocal refused
        for number in numbers:
            while True:
                try:
                    await door.take(arrival(payload(number)))
                    break
                except (OSError, sa.exc.SQLAlchemyError):  # what the webhook door answers with 503
                    refused += 1
                    await asyncio.sleep(0.05)  # a shop that sends again
            acknowledged.append(number)

    async def taken(count: int) -> None:
        async def enough() -> bool:
            return len(acknowledged) >= count

        await until(enough, 60)

    numbers = iter(itertools.count())
    async with house.working(house.worker(lease=4.0)):
        await store.listen()
        shops = [asyncio.create_task(shop(numbers)) for _ in range(5)]
        try:
            await taken(BEFORE)
            await asyncio.to_thread(pair.script, "kill")
            before = len(acknowledged)
            await asyncio.to_thread(pair.script, "promote")
            await taken(before + AFTER)
        finally:
            for task in shops:
                task.cancel()
            await asyncio.gather(*shops, return_exceptions=True)

        async def all_worked() -> bool:
            return len(await rows_of(store, schema.delivery)) == 0

        await until(all_worked, 60)
        assert refused > 0, "it was cut off in the middle of things"
        assert await answer(store, "select inet_server_port()") == str(pair.port + 1)
        assert await store.listening(), "it listens to the new primary"

    wanted = {subject(n) for n in acknowledged}
    assert wanted <= set(house.erp.made)
    assert len(house.erp.made) == len(set(house.erp.made))
    events = [r["subject"] for r in await rows_of(store, schema.event, type="order.accepted")]
    assert wanted <= set(events)
    assert len(events) == len(set(events))
    await assert_one_status(store)
    await store.close()
