"""Processes of one role each are together one hub; told to stop, one finishes or hands back what it has in hand."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.command import COMMAND, also, counterfoil
from tests.conftest import empty
from tests.fakes import rows_of
from tests.integration.doors.conftest import Scene, at_rest, until
from tests.integration.doors.test_whole_hub import paid

from counterfoil.doors.assembly import load
from counterfoil.doors.serve import ROLES, Hub, hub
from counterfoil.hub import schedule, schema
from counterfoil.hub.store import Store


@contextlib.asynccontextmanager
async def a_process(scene: Scene, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`counterfoil run`, once it serves; killed at the end if it still runs."""
    command = [*COMMAND, "run", "-b", str(scene.file), *arguments]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    try:
        await said(process, b"serving")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def said(process: asyncio.subprocess.Process, word: bytes) -> None:
    """Wait until the process logs this."""
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while word not in (line := await process.stderr.readline()):
            assert line, "it ended"


@contextlib.asynccontextmanager
async def a_store(scene: Scene) -> AsyncIterator[Store]:
    store = Store(load(scene.file).store.reveal())
    yield store
    await store.close()


@pytest.fixture
async def on_postgresql(scene: Scene, postgres_url: str) -> Scene:
    """The same shop and Odoo, with a hub on PostgreSQL."""
    store = Store(postgres_url)
    await empty(store)
    await store.close()
    on_sqlite = f"sqlite:///{scene.file.parent / 'counterfoil.db'}"
    text = scene.file.read_text()
    assert on_sqlite in text
    scene.file.write_text(text.replace(on_sqlite, postgres_url))
    return scene


def test_a_role_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    done = counterfoil("run", "--role", "doors,console", "-b", tmp_path / "none.yaml", code=2)
    assert "no role 'console'; there are: all, doors, workers, schedule" in done.stderr


async def test_on_sqlite_a_second_process_of_another_role_is_refused_and_other_commands_work(scene: Scene) -> None:
    async with hub(load(scene.file), ("doors", "schedule")):
        second = await also("run", "--role", "workers", "-b", scene.file, code=1)
        assert "on SQLite only one can" in second.stderr
        assert '"lanes_claimed": 0' in (await also("status", "--json", "-b", scene.file)).stdout


@pytest.mark.postgres
async def test_processes_of_one_role_each_are_one_hub(on_postgresql: Scene) -> None:
    scene, plan = on_postgresql, load(on_postgresql.file)
    async with contextlib.AsyncExitStack() as stack:
        hubs: dict[str, list[Hub]] = {role: [] for role in ROLES}
        for role in ("doors", "workers", "workers", "schedule", "schedule"):
            hubs[role].append(await stack.enter_async_context(hub(plan, (role,))))
        door = hubs["doors"][0]
        await door.connectors["web"].ensure_webhooks(door.url)  # type: ignore[attr-defined]
        numbers = [paid(scene) for _ in range(20)]
        scene.shop.shop.set_quirks(missing=1.0)
        numbers += [paid(scene) for _ in range(5)]  # only a poll can find these
        await until(lambda: all(scene.in_odoo(n) for n in numbers), 60)
        await at_rest(door, scene)
        assert [len(scene.in_odoo(n)) for n in numbers] == [1] * 25
        did = {r["worker"] for r in await rows_of(door.store, schema.delivery_log)}
        assert did <= {running.worker.name for running in hubs["workers"]}
        origins = {r["origin"] for r in await rows_of(door.store, schema.receipt)}
        assert origins == {"webhook", "poll"}


async def test_a_process_of_one_role_does_nothing_of_the_others(scene: Scene) -> None:
    async with scene.hub(webhooks=False) as running:  # makes the cursors: from here on changes are news
        await until(lambda: _polled(running))
    async with hub(load(scene.file), ("doors",)) as running:
        await running.connectors["web"].ensure_webhooks(running.url)  # type: ignore[attr-defined]
        paid(scene)
        await until(lambda: rows_of(running.store, schema.delivery))
        assert {r["worker"] for r in await rows_of(running.store, schema.lane)} == {None}
        assert {r["token"] for r in await rows_of(running.store, schema.cursor)} == {None}
    async with hub(load(scene.file), ("workers",)) as running:
        await until(lambda: _all_done(running))
        with pytest.raises(OSError, match="Connect"):
            await asyncio.open_connection("127.0.0.1", load(scene.file).listen_port)


async def _polled(running: Hub) -> bool:
    rows = [r for r in await rows_of(running.store, schema.cursor) if r["feed"] not in schedule.NO_FEEDS]
    return bool(rows) and all(r["ok_at"] for r in rows)


async def _all_done(running: Hub) -> bool:
    return not await rows_of(running.store, schema.delivery)


async def hanging_in_odoo(scene: Scene, process: Any) -> int:
    """An order whose acceptance hangs in Odoo; its number."""
    scene.odoo.faults.add("latency", seconds=300.0, times=-1, path=r"sale\.order/load")
    number = paid(scene)
    await until(lambda: scene.odoo.faults.played.get("latency", 0) > 0, 60)
    assert process.returncode is None
    return number


async def test_told_to_stop_it_hands_back_what_does_not_end(scene: Scene) -> None:
    """Within ten seconds, and nobody has to wait for its lease."""
    async with a_process(scene) as process:
        number = await hanging_in_odoo(scene, process)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(40):  # on a busy machine; the ten seconds are in serve.STOP_WITHIN
            assert await process.wait() == 0
    async with a_store(scene) as store:
        assert {r["worker"] for r in await rows_of(store, schema.lane)} == {None}
        assert {r["operation"] for r in await rows_of(store, schema.delivery)} >= {"accept_order"}
    scene.odoo.faults.clear()
    async with scene.hub(webhooks=False) as running:
        await until(lambda: bool(scene.in_odoo(number)))
        await at_rest(running, scene)
        assert len(scene.in_odoo(number)) == 1


async def test_a_second_signal_ends_it_at_once(scene: Scene) -> None:
    async with a_process(scene) as process:
        await hanging_in_odoo(scene, process)
        process.send_signal(signal.SIGTERM)
        await said(process, b"stopping")
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == -signal.SIGTERM
    async with a_store(scene) as store:
        still = [r for r in await rows_of(store, schema.lane) if r["worker"] is not None]
        assert still, "it had no time to hand back"
