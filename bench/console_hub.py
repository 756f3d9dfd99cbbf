"""The hub whose console bench/console.py times, and the browser: each in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import uvicorn
from playwright.async_api import Browser, BrowserContext, async_playwright
from starlette.types import Receive, Scope, Send

from counterfoil.blueprint import Blueprint
from counterfoil.doors import assembly
from counterfoil.doors.admin.context import Admin
from counterfoil.doors.console.opening import Console
from counterfoil.doors.serve import collect_seldom
from counterfoil.hub import schema
from counterfoil.hub.access import sessions, users
from counterfoil.hub.access.roles import Role
from counterfoil.hub.store import Store, open_store
from counterfoil.hub.views import cached
from counterfoil_sandbox.serving import free_port
from hub import an_event, fill, house

REPOSITORY = Path(__file__).resolve().parents[1]
WINDOW, SETTLE = 5.0, 1.0
"""Seconds of a window, in which an open *Today* page looks again once, and before it."""
AHEAD = 40_000
"""Events that wait before each window, three deliveries each: more than can be done in it."""
EARLIER = 7 * 86400.0


async def serve(url: str, port: str, memory: str) -> None:
    """The console on a store; with `memory` its pages share what they are told, as they do, else each is the first one.

    Each line that it reads is a number of seconds; it delivers for so long, and says how many it did a second.
    """
    store = await open_store(url)
    desk = Admin(store, _blueprint(), {}, {})
    desk.streams = assembly.streams(desk.blueprint)
    async with store.write() as connection:
        if (known := await users.found(connection, "anna")) is None:
            await users.keep_new(connection, store, "anna", "Anna", "", [*Role], "bench")
            known = await users.found(connection, "anna")
        assert known is not None
        token = await sessions.begin(connection, store, known["id"], desk.limits)
    console = Console(desk)
    await console.stage()
    collect_seldom()

    async def anew(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not memory:
            cached._kept.clear()
        await console(scope, receive, send)

    config = uvicorn.Config(
        anew, host="127.0.0.1", port=int(port), log_level="warning", access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - it says so in no other way
        await asyncio.sleep(0.01)
    print(json.dumps({desk.cookie: token}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await _window(store, float(line))), flush=True)
    server.should_exit = True
    await serving
    await console.close()
    await store.close()


def _blueprint() -> Blueprint:
    """That of the examples, with the systems that the store knows and no address but its own."""
    text = (REPOSITORY / "examples" / "blueprint.yaml").read_text(encoding="utf-8").replace("web-eu", "web")
    text = re.sub(r"(?m)^public_url:.*$", "", text)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "blueprint.yaml")
        file.write_text(text, encoding="utf-8")
        return assembly.load(file, require_secrets=False)


async def _window(store: Store, seconds: float) -> tuple[float, float] | None:
    """Deliveries of one worker a second, and a second of this process' processor time, which says what pages cost
    also where others use the machine; None where it had nothing left to do."""
    blueprint, worker = house(store)
    more = random.sample(range(10**12), max(0, AHEAD - await _left(store)))
    async with store.read() as connection:
        now = await store.clock(connection)
    await fill(store, blueprint, worker.streams, [an_event(n).model_copy(update={"data": {}}) for n in more])
    table = schema.event.c  # of an earlier day, as no shop has so many orders on one
    new = sa.update(schema.event).where(table.type == "order.placed", table.recorded_at >= now)
    async with store.write() as connection:
        await connection.execute(new.values(recorded_at=table.recorded_at - EARLIER))
    task = asyncio.create_task(worker.run())
    await asyncio.sleep(SETTLE)
    before, began, used = await _finished(store), time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    done = await _finished(store) - before
    took, used = time.perf_counter() - began, time.process_time() - used
    left = await _left(store)
    worker.stop()
    await task
    return (done / took, done / used) if left else None


async def _finished(store: Store) -> int:
    async with store.read() as connection:
        return int(await connection.scalar(sa.select(sa.func.max(schema.delivery_log.c.id))) or 0)


async def _left(store: Store) -> int:
    """Lanes of orders that are due: each of the three sinks has one for each event."""
    due = sa.select(sa.func.count()).where(schema.lane.c.stream == "order", schema.lane.c.due_at < schema.HELD)
    async with store.read() as connection:
        return int(await connection.scalar(due) or 0) // 3


class Hub:
    """The process that serves, and the cookie that is let in."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, cookie: Mapping[str, str]) -> None:
        self.process, self.url, self.cookie = process, url, cookie

    async def browser(self, browser: Browser, script: str) -> BrowserContext:
        """Somebody's, who is signed in; the script runs in each page before its own."""
        context = await browser.new_context(viewport={"width": 1200, "height": 800}, base_url=self.url)
        await context.add_cookies([{"name": n, "value": v, "url": self.url} for n, v in self.cookie.items()])
        await context.add_init_script(script)
        return context

    async def delivers(self) -> tuple[float, float] | None:
        """In one window: see `_window`."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{WINDOW}\n".encode())
        return await answer(self.process)


async def answer(process: asyncio.subprocess.Process) -> Any:
    """Its next line."""
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise SystemExit("the hub of the bench has ended")
    return json.loads(line)


@contextlib.asynccontextmanager
async def hub(url: str, memory: bool = False) -> AsyncIterator[Hub]:
    """Its console is served until the end; with `memory` open pages share what they are told."""
    port = free_port()
    command = [sys.executable, str(REPOSITORY / "bench" / "console.py"), "part", "serve", url, str(port)]
    command.append("memory" if memory else "")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, cwd=REPOSITORY / "bench")
    try:
        yield Hub(process, f"http://127.0.0.1:{port}", await answer(process))
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Debian's, without a window."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=_path())
        yield browser
        await browser.close()


def _path() -> str:
    ended = subprocess.run([REPOSITORY / "scripts" / "chromium", "path"], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"no browser: {ended.stderr.strip()}")
    return ended.stdout.strip()
