"""`counterfoil run`: doors, workers and schedule, all in one process or each in processes of its own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import getpass
import signal
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass

import structlog
import uvicorn

from counterfoil.blueprint import Blueprint
from counterfoil.doors import assembly, traces
from counterfoil.doors.webhooks import application
from counterfoil.hub import care, credentials, inforce, lanes, looks, poller, replays, retention, tallying, versions
from counterfoil.hub.contract import Connector
from counterfoil.hub.exceptions import fixing, responding
from counterfoil.hub.receipts import GroupCommit
from counterfoil.hub.store import Store, open_store, serving_alone
from counterfoil.hub.worker import Worker
from counterfoil.watch import drifting, notifying, promises, quality

log = structlog.get_logger()

ROLES = ("doors", "workers", "schedule")
"""What a process can be: it takes webhooks; it decodes and calls the systems; it polls, cares and purges."""
STOP_WITHIN = 9.5
"""Seconds after which a process that was told to stop ends in any case; more than the worker's GRACE."""


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
async def hub(blueprint: Blueprint, roles: Collection[str] = ROLES) -> AsyncIterator[Hub]:
    """Open the store, start what the `roles` ask for, and stop it at the end.

    Raises StoreError, AlreadyServing (SQLite), CannotListen, NotApproved.
    """
    store = await open_store(blueprint.store.reveal())
    made: dict[str, Connector] = {}
    try:
        with serving_alone(store):
            if store.is_sqlite:
                await lanes.reclaim(store, everyone=True)  # we are alone: whoever held a lease is gone
                if missing := [role for role in ROLES if role not in roles]:
                    log.warning("on SQLite no other process can do this meanwhile", roles=missing)
            await inforce.settle(store, blueprint, assembly.catalogue(), _user())
            await credentials.note(store, blueprint)
            made = assembly.connectors(blueprint)
            told = assembly.publication(store, blueprint)
            worker = assembly.worker(store, blueprint, made, told)
            traces.begin(blueprint.traces, worker.name)
            running = Hub(blueprint, store, made, worker, f"http://{blueprint.listen}")
            stop = asyncio.Event()
            # most commands serve nothing, and what these stand on is large
            from counterfoil.doors import metrics
            from counterfoil.doors.storefront import opening

            front = opening.context_of(store, blueprint, made, stop)
            door = counted = metrics.of(store, blueprint, made, lambda: metrics.own(roles, worker.gauge, front.book))
            address, pages = blueprint.metrics.listen, None
            if "doors" in roles:
                from counterfoil.doors.admin import opening as admin
                from counterfoil.doors.console import opening as console

                desk = admin.desk_of(store, blueprint, made, stop)
                pages = console.Console(desk)
                taken = opening.doors(application(made, GroupCommit(store)), front)
                door = metrics.beside(console.beside(admin.beside(taken, desk), pages), counted)
                address = blueprint.listen
            server = _server(address, door) if address else None
            tasks: list[asyncio.Task[None]] = []
            schedule: list[asyncio.Task[None]] = []
            try:
                if "workers" in roles:
                    tasks.append(asyncio.create_task(worker.run()))
                if server is not None:
                    tasks.append(asyncio.create_task(server.serve()))
                    await _listening(server, tasks[-1], address or "")
                if "doors" in roles:
                    schedule.append(asyncio.create_task(opening.keep_up(front)))
                if "schedule" in roles:
                    schedule += _schedule(running, stop)
                    schedule += [asyncio.create_task(each.run(stop)) for each in (told, front.reservations)]
                yield running
            finally:
                stop.set()
                worker.stop()
                if server is not None:
                    server.should_exit = True
                for task in schedule:  # a page that is not committed yet is read again
                    task.cancel()
                if tasks or schedule:
                    _, late = await asyncio.wait([*tasks, *schedule], timeout=STOP_WITHIN)
                    if late:
                        log.warning("cut off what did not end in time", seconds=STOP_WITHIN, tasks=len(late))
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, *schedule, return_exceptions=True)
                if pages is not None:
                    await pages.close()
    finally:
        await traces.end()
        for connector in made.values():
            await connector.close()
        await store.close()


def _schedule(hub: Hub, stop: asyncio.Event) -> list[asyncio.Task[None]]:
    """What happens by the clock. A turn lasts as long as a lease: so long the work of a dead process waits."""
    store, blueprint, made, turn = hub.store, hub.blueprint, hub.connectors, hub.worker.lease
    owner = blueprint.exceptions.owner_of("", "misconfigured")
    audited = assembly.house(store, blueprint, made)
    hurries = {name: care.hurry(blueprint, name) for name in made}
    return [
        asyncio.create_task(poller.run(store, made, owner, stop, hurries, turn)),
        asyncio.create_task(care.run(store, blueprint, made, stop, turn=turn)),
        asyncio.create_task(versions.run(store, made, owner, stop, turn)),
        asyncio.create_task(looks.run(store, made, stop, turn)),
        asyncio.create_task(retention.run(store, blueprint.retention, stop, turn=turn)),
        asyncio.create_task(tallying.run(store, stop)),
        asyncio.create_task(drifting.run(audited, assembly.channels(blueprint), stop, turn)),
        asyncio.create_task(promises.run(store, blueprint, stop)),
        asyncio.create_task(assembly.withholding(store, blueprint).run(stop)),
        asyncio.create_task(assembly.trying(store, blueprint).run(stop)),
        asyncio.create_task(quality.run(store, blueprint, stop, turn)),
        asyncio.create_task(fixing.run(store, blueprint, stop)),
        asyncio.create_task(replays.run(store, blueprint, hub.worker.streams, stop)),
        asyncio.create_task(responding.run(store, blueprint, stop)),
        asyncio.create_task(notifying.run(store, blueprint, stop, turn)),
    ]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number that has no name
        return ""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are ours: the worker must end before the loop does


def _server(address: str, app: object) -> uvicorn.Server:
    host, _, port = address.rpartition(":")
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=host.strip("[]"),
        port=int(port),
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


def collect_seldom() -> None:
    """What is loaded by now lives as long as the process, and rows come and go by the thousand without cycles: at its
    usual thresholds Python's collector takes a fifth of the time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def run(blueprint: Blueprint, roles: Collection[str] = ROLES) -> None:
    """Serve until SIGINT or SIGTERM; a second one ends the process at once, and its work waits for its lease."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def stopping() -> None:
        for number in signals:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        log.info("stopping")
        stop.set()

    for number in signals:
        loop.add_signal_handler(number, stopping)
    async with hub(blueprint, roles) as running:
        collect_seldom()
        log.info("serving", url=running.url, systems=sorted(running.connectors), roles=sorted(roles))
        await stop.wait()
