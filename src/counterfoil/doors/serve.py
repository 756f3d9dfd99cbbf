"""`counterfoil run`: doors, poll and worker in one process, until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import structlog
import uvicorn

from counterfoil.blueprint import Blueprint
from counterfoil.doors import assembly
from counterfoil.doors.webhooks import application
from counterfoil.hub import care, lanes, poller
from counterfoil.hub.contract import Connector
from counterfoil.hub.receipts import GroupCommit
from counterfoil.hub.store import Store, open_store, serving_alone
from counterfoil.hub.worker import Worker

log = structlog.get_logger()


class CannotListen(OSError):
    """The address of `listen` is taken or not ours."""


@dataclass(slots=True)
class Hub:
    """A running hub."""

    blueprint: Blueprint
    store: Store
    connectors: dict[str, Connector]
    worker: Worker
    url: str


@contextlib.asynccontextmanager
async def hub(blueprint: Blueprint, doors: bool = True, polls: bool = True) -> AsyncIterator[Hub]:
    """Open the store, start doors, polls and a worker; stop them in order at the end.

    Raises StoreError, AlreadyServing (SQLite), CannotListen.
    """
    store = await open_store(blueprint.store.reveal())
    made: dict[str, Connector] = {}
    try:
        with serving_alone(store):
            if store.is_sqlite:
                await lanes.reclaim(store, everyone=True)  # we are alone: whoever held a lease is gone
            made = assembly.connectors(blueprint)
            worker = assembly.worker(store, blueprint, made)
            running = Hub(blueprint, store, made, worker, f"http://{blueprint.listen}")
            stop = asyncio.Event()
            server = _server(blueprint, application(made, GroupCommit(store))) if doors else None
            tasks = [asyncio.create_task(worker.run())]
            if server is not None:
                tasks.append(asyncio.create_task(server.serve()))
                await _listening(server, tasks[-1], blueprint.listen)
            if polls:
                owner = blueprint.exceptions.owner_of("", "misconfigured")
                hurries = {name: care.hurry(blueprint, name) for name in made}
                tasks.append(asyncio.create_task(poller.run(store, made, owner, stop, hurries)))
                tasks.append(asyncio.create_task(care.run(store, blueprint, made, stop)))
            try:
                yield running
            finally:
                stop.set()
                worker.stop()
                if server is not None:
                    server.should_exit = True
                await asyncio.wait(tasks, timeout=12)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        for connector in made.values():
            await connector.close()
        await store.close()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are ours: the worker must end before the loop does


def _server(blueprint: Blueprint, app: object) -> uvicorn.Server:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=blueprint.listen_host,
        port=blueprint.listen_port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
    )
    return _Server(config)


async def _listening(server: uvicorn.Server, task: asyncio.Task[None], address: str) -> None:
    while not server.started:
        if task.done():
            raise CannotListen(f"cannot listen on {address}: is it in use? Change `listen` in the blueprint.")
        await asyncio.sleep(0.01)


async def run(blueprint: Blueprint) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with hub(blueprint) as running:
        log.info("serving", url=running.url, systems=sorted(running.connectors))
        await stop.wait()
        log.info("stopping")
