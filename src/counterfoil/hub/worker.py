"""The worker: the loop that looks for lanes that are due, claims them and has them carried out.

One process runs one worker on one event loop. Everything that must be shared (leases, the state of systems,
rates) is in the store, so any number of workers can stand side by side on PostgreSQL.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections import defaultdict
from collections.abc import Awaitable, Mapping, Sequence

import sqlalchemy as sa
import structlog

from counterfoil.blueprint import Blueprint
from counterfoil.hub import carrying, claiming, lanes, systems
from counterfoil.hub.carrying import Carrier
from counterfoil.hub.claiming import Work
from counterfoil.hub.contract import Connector, Item, Operation, Outcome, rejected
from counterfoil.hub.decode import Process
from counterfoil.hub.lanes import DECODE, LaneKey
from counterfoil.hub.retelling import Retell
from counterfoil.hub.retry import backoff
from counterfoil.hub.schema import HELD, lane
from counterfoil.hub.store import Store

log = structlog.get_logger()

LEASE = 90.0
"""Seconds a claim lasts without a heartbeat; longer than any operation's time-out."""
DECODE_BATCH = 50
DECODE_DEPTH = 5


def worker_name() -> str:
    """Unique for each start of a process: host, pid and a random end."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"


async def _ask(items: Sequence[Item]) -> list[Outcome]:
    """hub.ask: put the event before a person; nothing is done to any system."""
    return [
        rejected(
            item.event_type,
            f"{item.event_type} needs a person: no automatic handling is declared for it.",
            "Look at the counterfoil, do in the other system what is needed, then resolve this.",
        )
        for item in items
    ]


ASK = Operation("ask", "ask", _ask, batch=20)


def operations_of(connectors: Mapping[str, Connector]) -> dict[tuple[str, str], Operation]:
    """All that can be done, by system and name; the hub's own among it."""
    theirs = {(s, o.name): o for s, connector in connectors.items() for o in connector.operations.values()}
    return {("hub", "ask"): ASK, **theirs}


def streams_of(connectors: Mapping[str, Connector]) -> dict[str, str]:
    """The stream of each `system.operation`."""
    return {f"{s}.{n}": o.stream for (s, n), o in operations_of(connectors).items()}


class Worker:
    """Works the lanes of the given connectors until told to stop.

    `processes` by system, then by kind of object; `retells` by the type of the event they follow.
    """

    def __init__(
        self,
        store: Store,
        blueprint: Blueprint,
        connectors: Mapping[str, Connector],
        processes: Mapping[str, Mapping[str, Process]],
        name: str = "",
        lease: float = LEASE,
        retells: Mapping[str, Retell] | None = None,
    ) -> None:
        self.store, self.connectors = store, connectors
        self.name = name or worker_name()
        self.lease = lease
        self.operations = operations_of(connectors)
        self.streams = streams_of(connectors)
        self.carrier = Carrier(store, blueprint, connectors, processes, retells or {}, self.streams, self.name)
        self.batches = {f.do: f.batch for f in blueprint.flows if f.batch}
        self._running: dict[asyncio.Task[None], tuple[str, str]] = {}
        self._leases: dict[asyncio.Task[None], dict[LaneKey, str]] = {}
        self._touching: dict[asyncio.Task[None], frozenset[str]] = {}
        self._stop = asyncio.Event()

    # --- the loop -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until `stop`. What is in flight then is finished, or left to its lease after ten seconds."""
        beat = asyncio.create_task(self._beat())
        try:
            while not self._stop.is_set():
                try:
                    started = await self.dispatch()
                except Exception as error:  # mostly the store out of reach; whatever it is, it must not end the work
                    log.error("cannot look for work", error=type(error).__name__, detail=str(error)[:200])
                    started = False
                    await asyncio.sleep(0.5)  # the store has no condition to wait on while it is gone
                if not started:
                    await self._rest()
        finally:
            if self._running:
                await asyncio.wait(list(self._running), timeout=10)
            beat.cancel()
            for task in list(self._running):
                task.cancel()
            await asyncio.gather(beat, *self._running, return_exceptions=True)

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stop.set()
        self.store.wake()

    async def drain(self, limit: float = 60.0) -> None:
        """Work until nothing is due now or soon and nothing is in flight. Raises TimeoutError after `limit`."""
        async with asyncio.timeout(limit):
            beat = asyncio.create_task(self._beat())
            try:
                while True:
                    if not await self.dispatch():
                        if not self._running and await idle(self.store):
                            return
                        await self._rest(most=0.2)
            finally:
                beat.cancel()

    async def _rest(self, most: float = 1.0) -> None:
        """Until something new may be started: a call ends or work arrives (both wake us), a lane or system is due."""
        waits = [most]
        with contextlib.suppress(OSError, sa.exc.SQLAlchemyError):
            waits += [c.wait for c in (await systems.closed(self.store)).values() if c.wait > 0]
            due = await lanes.next_due(self.store)
            waits += [] if due is None else [due]
        await self.store.wait(max(0.01, min(waits)))

    async def _beat(self) -> None:
        while True:
            with contextlib.suppress(Exception):  # a heart that stops for one error would lose every lease
                # only what is in flight: the lanes of a call that broke must come free
                held = {key: token for lease in self._leases.values() for key, token in lease.items()}
                await lanes.heartbeat(self.store, held, self.lease)
                await lanes.reclaim(self.store)
                if not await self.store.listening():
                    await self.store.listen()
            await asyncio.sleep(min(self.lease / 4, 5.0))

    async def dispatch(self) -> bool:
        """Start whatever can be started now; whether anything was."""
        closed = await systems.closed(self.store)
        started = False
        for system, stream in await self._due():
            busy = sum(1 for place in self._running.values() if place == (system, stream))
            state = closed.get(system) if stream != DECODE else None
            probing = state is not None
            if state is not None and (state.wait > 0 or busy):
                continue
            if busy >= self._parallel(system, stream):
                continue
            started |= await self._take(system, stream, probing)
        return started

    async def _due(self) -> list[tuple[str, str]]:
        """The (system, stream) pairs that this worker serves and that have a lane due."""
        mine = sorted({(s, o.stream) for (s, _), o in self.operations.items()} | {(s, DECODE) for s in self.connectors})
        exists = [
            sa.select(sa.literal(i)).where(
                sa.exists().where(
                    lane.c.system == s, lane.c.stream == t, lane.c.worker.is_(None), lane.c.due_at <= self.store.now
                )
            )
            for i, (s, t) in enumerate(mine)
        ]
        async with self.store.read() as connection:
            return [mine[i] for i in (await connection.execute(sa.union_all(*exists))).scalars()]

    def _parallel(self, system: str, stream: str) -> int:
        if stream == DECODE:
            return 1 if self.store.is_sqlite else 2
        return max(
            (o.parallel for (s, _), o in self.operations.items() if (s, o.stream) == (system, stream)), default=1
        )

    async def _take(self, system: str, stream: str, probing: bool) -> bool:
        if stream == DECODE:
            works = await claiming.claim(self.store, self.name, system, stream, DECODE_BATCH, self.lease, DECODE_DEPTH)
            if works:
                self._start(self.carrier.decode(system, works), works, frozenset())
            return bool(works)
        mine = [o for (s, _), o in self.operations.items() if (s, o.stream) == (system, stream)]
        coalescing = {o.name for o in mine if o.coalesces}
        # twice as many as fit, so that a batch can be found that shares nothing with those in flight
        most = 1 if probing else 2 * max(self._batch(system, o) for o in mine)
        works = await claiming.claim(self.store, self.name, system, stream, most, self.lease, coalescing=coalescing)
        by_operation: dict[str, list[Work]] = defaultdict(list)
        for work in works:
            by_operation[work.operation].append(work)
        started = False
        unused: list[Work] = []
        for name, group in by_operation.items():
            operation = self.operations.get((system, name))
            if operation is None:
                await self.carrier.refuse(system, name, group)
                continue
            chosen, touched, rest = self._choose(operation, group, self._batch(system, operation))
            unused += rest
            if chosen:
                self._start(self.carrier.call(operation, chosen), chosen, touched)
                started = True
        # nothing but conflicts: they come free when a call in flight ends, which wakes us
        await lanes.release(self.store, {w.lane: w.token for w in unused}, 0.0 if started else 0.05)
        return started

    def _batch(self, system: str, operation: Operation) -> int:
        return self.batches.get(f"{system}.{operation.name}") or operation.batch

    def _choose(
        self, operation: Operation, group: list[Work], size: int
    ) -> tuple[list[Work], frozenset[str], list[Work]]:
        """Up to `size` works that touch nothing a call in flight touches; what they touch; the others."""
        in_flight = frozenset[str]().union(*self._touching.values())
        chosen: list[Work] = []
        touched: set[str] = set()
        rest: list[Work] = []
        for work in group:
            touches = carrying.touches(operation, work)
            if len(chosen) < size and not (touches & in_flight):
                chosen.append(work)
                touched |= touches
            else:
                rest.append(work)
        return chosen, frozenset(touched), rest

    def _start(self, coroutine: Awaitable[None], works: list[Work], touched: frozenset[str]) -> None:
        leases = {w.lane: w.token for w in works}
        task = asyncio.create_task(self._guard(coroutine, leases))
        self._running[task] = works[0].lane[:2]
        self._leases[task] = leases
        self._touching[task] = touched
        task.add_done_callback(self._ended)

    async def _guard(self, coroutine: Awaitable[None], leases: Mapping[LaneKey, str]) -> None:
        """What breaks here was not acknowledged: its lanes come free again, at the latest when the lease runs out."""
        try:
            await coroutine
        except (OSError, sa.exc.SQLAlchemyError) as error:
            log.error("delivery interrupted", error=type(error).__name__, detail=str(error)[:200])
            with contextlib.suppress(OSError, sa.exc.SQLAlchemyError):
                await lanes.release(self.store, leases, backoff(3))
        except Exception as error:  # not released: what broke so would break again at once
            log.error("delivery broke", error=type(error).__name__, detail=str(error)[:200], exc_info=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self._leases.pop(task, None)
        self._touching.pop(task, None)
        self.store.wake()


async def idle(store: Store) -> bool:
    """Whether nothing is claimed and nothing is due or will become due without a person."""
    async with store.read() as connection:
        busy = await connection.scalar(
            sa.select(sa.func.count()).select_from(lane).where(sa.or_(lane.c.worker.is_not(None), lane.c.due_at < HELD))
        )
        return not busy
