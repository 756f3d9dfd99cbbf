"""The worker: the loop that looks for lanes that are due, claims them and has them carried out.

One process runs one worker on one event loop. Everything that must be shared (leases, the state of systems,
rates) is in the store, so any number of workers can stand side by side on PostgreSQL.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import secrets
import socket
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
import structlog

from counterfoil.blueprint import Blueprint
from counterfoil.blueprint.timing import Timing
from counterfoil.hub import alerts, carrying, claiming, lanes, limits, pausing, room, systems
from counterfoil.hub.carrying import Carrier, Follow
from counterfoil.hub.claiming import Work
from counterfoil.hub.contract import Connector, Item, Operation, Outcome, rejected
from counterfoil.hub.decode import Process
from counterfoil.hub.flows import ASK_STREAM
from counterfoil.hub.lanes import DECODE, LaneKey
from counterfoil.hub.limits import Turn
from counterfoil.hub.preparing import Prepare
from counterfoil.hub.pressure import Gauge
from counterfoil.hub.retelling import Retell
from counterfoil.hub.retry import backoff
from counterfoil.hub.schema import HELD, lane
from counterfoil.hub.store import Store
from counterfoil.hub.systems import Closed

log = structlog.get_logger()

LEASE = 30.0
"""Seconds a claim lasts without a heartbeat, which comes every five: so long does the work of a dead process wait.

It need not be longer than an operation's time-out. A call goes on as long as its lease can be renewed, and is cut off
when that has failed for COVERED of it: before anyone else can have its lane.
"""
COVERED = 0.75
"""The share of a lease for which it covers a call without being renewed."""
GRACE = 8.0
"""Seconds that calls in flight have to end by themselves when the worker is told to stop."""
CUT_OFF = 1.0
"""Seconds before a lane comes due again whose call was cut off: the other side may still be at work on it."""
PAUSED = 1.0
"""Seconds, at the least, before a lane is looked at again whose operation is paused while its system is not."""
WATCH = 2.0
"""Seconds between two looks at what need not be known at every turn."""
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


ASK = Operation("ask", ASK_STREAM, _ask, batch=20)


def operations_of(connectors: Mapping[str, Connector]) -> dict[tuple[str, str], Operation]:
    """All that can be done, by system and name; the hub's own among it."""
    theirs = {(s, o.name): o for s, connector in connectors.items() for o in connector.operations.values()}
    return {("hub", "ask"): ASK, **theirs}


def streams_of(connectors: Mapping[str, Connector]) -> dict[str, str]:
    """The stream of each `system.operation`."""
    return {f"{s}.{n}": o.stream for (s, n), o in operations_of(connectors).items()}


class Worker:
    """Works the lanes of the given connectors until told to stop.

    `processes` by system, then by kind of object; `retells` by the type of the event they follow; `follow` is told of
    all new events; `prepare` is asked before an operation is called.
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
        follow: Follow | None = None,
        prepare: Prepare | None = None,
    ) -> None:
        self.store, self.connectors, self.blueprint = store, connectors, blueprint
        self.name = name or worker_name()
        self.lease = lease
        self.operations = operations_of(connectors)
        self.streams = streams_of(connectors)
        self.carrier = Carrier(
            *(store, blueprint, connectors, processes, retells or {}, self.streams, self.name, follow, prepare)
        )
        self.gauge = Gauge(blueprint, self.streams)
        self.batches = {f.do: f.batch for f in blueprint.flows if f.batch}
        self.rates = {f.do: f.rate for f in blueprint.flows if f.rate}
        self.limits = {name: system.limits for name, system in blueprint.systems.items()}
        self.latest_only = {f.do for f in blueprint.flows if f.when_down == "latest_only"}
        self.windows: defaultdict[tuple[str, str], list[Timing]] = defaultdict(list)
        for flow, timing in zip(blueprint.flows, blueprint.timings, strict=True):
            if timing is not None and timing.window:
                self.windows[flow.system, flow.operation].append(timing)
        self._learnt: Collection[str] = ()  # systems whose answers asked for less, as last read
        self._not_before: dict[tuple[str, str], float] = {}  # by (system, stream), on the monotonic clock
        self._probes: dict[str, str] = {}  # by system or operation: the token of the right to try one call
        self._slots: set[str] = set()
        self._running: dict[asyncio.Task[None], tuple[str, str]] = {}
        self._leases: dict[asyncio.Task[None], dict[LaneKey, str]] = {}
        self._touching: dict[asyncio.Task[None], frozenset[str]] = {}
        self._stop = asyncio.Event()
        streams = {(s, o.stream) for (s, _), o in self.operations.items()}
        self._places = sorted(streams | {(s, DECODE) for s in connectors})
        self._any_due = functools.partial(_any_due, places=self._places)

    # --- the loop -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until `stop`. What is in flight then is finished, or cut off after GRACE seconds and handed back."""
        beat, watch = asyncio.create_task(self._beat()), asyncio.create_task(self._watch())
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
                await asyncio.wait(list(self._running), timeout=GRACE)
            beat.cancel()
            watch.cancel()
            held = self._held()
            await asyncio.gather(beat, watch, *self._cut_off(), return_exceptions=True)
            with contextlib.suppress(OSError, sa.exc.SQLAlchemyError):  # then the leases run out
                await lanes.release(self.store, held, CUT_OFF)

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stop.set()
        self.store.wake()

    async def drain(self, limit: float = 60.0) -> None:
        """Work until nothing is due now or soon and nothing is in flight. Raises TimeoutError after `limit`."""
        async with asyncio.timeout(limit):
            beat, watch = asyncio.create_task(self._beat()), asyncio.create_task(self._watch())
            try:
                while True:
                    if not await self.dispatch():
                        if not self._running and await idle(self.store):
                            return
                        await self._rest(most=0.2)
            finally:
                beat.cancel()
                watch.cancel()
                # what they were doing at the store is over before anybody closes it
                await asyncio.gather(beat, watch, return_exceptions=True)

    async def _rest(self, most: float = 1.0) -> None:
        """Until something new may be started: a call ends or work arrives (both wake us), a lane or system is due."""
        waits = [most]
        with contextlib.suppress(OSError, sa.exc.SQLAlchemyError):
            waits += [c.wait for c in (await systems.closed(self.store)).values() if c.wait > 0]
            due = await lanes.next_due(self.store)
            waits += [] if due is None else [due]
        waits += [wait for at in self._not_before.values() if (wait := at - time.monotonic()) > 0]
        await self.store.wait(max(0.01, min(waits)))

    async def _beat(self) -> None:
        """Renew the leases; where that has failed for too long, or this process stood still, cut the calls off."""
        every = min(self.lease / 4, 5.0)
        until = time.monotonic() + COVERED * self.lease
        while True:
            began = time.monotonic()
            if began >= until:
                if cut := self._cut_off():
                    log.error("leases not renewed in time: calls cut off", calls=len(cut))
                until = began + COVERED * self.lease
            with contextlib.suppress(Exception):  # a heart that stops for one error would lose every lease
                async with asyncio.timeout(until - began):
                    await lanes.heartbeat(self.store, self._held(), self.lease)
                until = began + COVERED * self.lease
                async with asyncio.timeout(every):
                    await limits.renew_slots(self.store, sorted(self._slots), self.lease)
                    for system, token in list(self._probes.items()):
                        await systems.renew_probe(self.store, system, token, self.lease)
                    await lanes.reclaim(self.store)
                    if not await self.store.listening():
                        await self.store.listen()
            now = time.monotonic()
            await asyncio.sleep(max(0.05, min(began + every, until) - now))

    def _held(self) -> dict[LaneKey, str]:
        """The leases of what is in flight: of a call that broke none is left, so that its lanes come free."""
        return {key: token for lease in self._leases.values() for key, token in lease.items()}

    def _cut_off(self) -> list[asyncio.Task[None]]:
        """Cancel what is in flight; it is not acknowledged."""
        cut = list(self._running)
        for task in cut:
            task.cancel()
        return cut

    async def dispatch(self) -> bool:
        """Start whatever can be started now; whether anything was."""
        async with self.store.read() as connection:
            closed = await systems.closed_now(connection, self.store)
            due = [self._places[i] for (i,) in await self.store.run(connection, self._any_due, {})]
        started = False
        for system, stream in due:
            if self._free(system, stream) <= 0:
                continue
            state = closed.get(system) if stream != DECODE else None
            if state is None:
                started |= await self._take(system, stream, closed)
            elif state.wait <= 0 and not state.probing:
                started |= await self._probe(system, stream, closed)
        return started

    def _free(self, system: str, stream: str) -> int:
        """How many calls may be started now: there is room for them, and it is their turn."""
        clock = time.monotonic()
        if self._not_before.get((system, stream), clock) > clock:
            return 0
        if wait := self.gauge.wait((system, stream), clock):
            self._not_before[system, stream] = clock + wait
            return 0
        running = Counter(self._running.values())
        parallel = 1 if self.gauge.sheds((system, stream)) else self._parallel(system, stream)
        free = parallel - running[system, stream]
        most = self.limits[system].concurrency if system in self.limits and stream != DECODE else None
        if most is None:
            return free
        return min(free, most - sum(n for (s, t), n in running.items() if s == system and t != DECODE))

    async def _probe(self, system: str, stream: str, closed: Mapping[str, Closed]) -> bool:
        """Try one delivery of a closed system, if the right to that can be had; whether it was started."""
        if not await self._take_probe(system):
            return False
        started = False
        try:
            started = await self._take(system, stream, closed, probe=system)
        finally:
            if not started:
                await self._end_probe(system)
        return started

    async def _take_probe(self, closed: str) -> bool:
        token = secrets.token_hex(8)
        if not await systems.take_probe(self.store, closed, token, self.lease):
            return False
        self._probes[closed] = token
        return True

    async def _end_probe(self, closed: str) -> None:
        if token := self._probes.pop(closed, ""):
            await systems.end_probe(self.store, closed, token)

    async def _of_paused(self, paused: str, group: list[Work]) -> list[Work]:
        """What may be done now of an operation that is paused alone: one delivery when it is time to try, else none."""
        state = (await systems.closed(self.store)).get(paused)
        if state is None:  # it was opened before these were claimed
            return group
        one = state.wait <= 0 and not state.probing and await self._take_probe(paused)
        left = group[1:] if one else group
        await lanes.release(self.store, {w.lane: w.token for w in left}, max(state.wait, PAUSED))
        return group[:1] if one else []

    async def _watch(self) -> None:
        """Look around every WATCH seconds."""
        while True:
            try:
                await self.look_around()
            except Exception as error:  # mostly the store out of reach; the next look may work
                log.error("cannot look around", error=type(error).__name__, detail=str(error)[:200])
            await asyncio.sleep(WATCH)

    async def look_around(self) -> None:
        """What need not be known at every turn: pressure, learnt limits, and whether a person must be alerted."""
        closed = await systems.closed(self.store)
        before = self.gauge.high
        reading = await self.gauge.look(self.store, closed)
        if self.gauge.high != before:
            log.warning("pressure", high=self.gauge.high, backlog=reading.backlog, lag=round(reading.lag, 1))
        self._learnt = await limits.learnt(self.store)
        await alerts.look(self.store, self.blueprint, closed)

    def _parallel(self, system: str, stream: str) -> int:
        if stream == DECODE:
            return 1 if self.store.is_sqlite else 2
        return max(
            (o.parallel for (s, _), o in self.operations.items() if (s, o.stream) == (system, stream)), default=1
        )

    async def _take(self, system: str, stream: str, closed: Mapping[str, Closed], probe: str = "") -> bool:
        if stream == DECODE:
            works = await claiming.claim(self.store, self.name, system, stream, DECODE_BATCH, self.lease, DECODE_DEPTH)
            if works:
                self._start(self.carrier.decode(system, works), works, frozenset())
            return bool(works)
        mine = [o for (s, _), o in self.operations.items() if (s, o.stream) == (system, stream)]
        coalescing = {o.name for o in mine if o.coalesces or f"{system}.{o.name}" in self.latest_only}
        free = 1 if probe else self._free(system, stream)
        # as many as can be started; where calls may touch the same things, twice as many as fit into one, so that a
        # batch can be found that shares nothing with those in flight
        picky = any(o.conflicts is not None for o in mine)
        most = 1 if probe else (2 if picky else free) * max(self._batch(system, o) for o in mine)
        works = await claiming.claim(self.store, self.name, system, stream, most, self.lease, coalescing=coalescing)
        by_operation: dict[str, list[Work]] = defaultdict(list)
        for work in works:
            by_operation[work.operation].append(work)
        shut = await self._shut(system, by_operation)
        started = False
        unused: list[Work] = []
        for name, group in by_operation.items():
            operation = self.operations.get((system, name))
            if operation is None:
                await self.carrier.refuse(system, name, group)
                continue
            tried = probe
            if (paused := systems.part(system, name)) in closed:
                group = await self._of_paused(paused, group)
                tried = paused
            while group and free > 0:
                chosen, touched, group = self._choose(operation, group, self._batch(system, operation))
                if not chosen:
                    break
                turn = await self._turn(system, operation, len(chosen))
                if not turn.granted:
                    self._not_before[system, stream] = time.monotonic() + min(turn.wait, 1.0)
                    await lanes.release(self.store, {w.lane: w.token for w in (*chosen, *group)}, turn.wait)
                    group = []
                    break
                self._start(self._carry(operation, chosen, turn, tried), chosen, touched)
                started, free, tried = True, free - 1, ""
            if tried and tried != probe:
                await self._end_probe(tried)
            unused += group
        if started:
            self.gauge.started((system, stream), time.monotonic())
        # nothing but conflicts: they come free when a call in flight ends, which wakes us
        await lanes.release(self.store, {w.lane: w.token for w in unused}, 0.0 if started else 0.05)
        return started or shut

    async def _shut(self, system: str, by_operation: dict[str, list[Work]]) -> bool:
        """Let wait what was to be done in a posting window that is over, until the next one; whether there was any."""
        now, shut = time.time(), False
        for name in by_operation.keys() & {operation for s, operation in self.windows if s == system}:
            wait = min(timing.opening(now) for timing in self.windows[system, name]) - now
            late = {w.lane: w.token for w in by_operation[name] if w.not_before is not None and wait > 0}
            await lanes.release(self.store, late, wait)
            by_operation[name] = [w for w in by_operation[name] if w.lane not in late]
            shut = shut or bool(late)
        return shut

    async def _turn(self, system: str, operation: Operation, items: int) -> Turn:
        rate, limit = self.rates.get(f"{system}.{operation.name}"), self.limits.get(system)
        if rate is None and system not in self._learnt and (limit is None or not (limit.rate or limit.concurrency)):
            return Turn(True)
        return await limits.take_turn(self.store, system, operation.name, items, rate, limit, self.lease)

    async def _carry(self, operation: Operation, works: list[Work], turn: Turn, probe: str) -> None:
        """One call, when it is its turn; what was taken for it is given back."""
        system = works[0].lane[0]
        self._slots |= {turn.slot} - {""}
        try:
            if turn.wait:
                await asyncio.sleep(turn.wait)
            with room.listening() as heard:
                await self.carrier.call(operation, works)
            if await limits.learn(self.store, system, heard, len(works)):
                self._learnt = {*self._learnt, system}
        finally:
            self._slots.discard(turn.slot)
            with contextlib.suppress(OSError, sa.exc.SQLAlchemyError):  # then they run out by themselves
                if turn.slot:
                    await limits.free_slot(self.store, turn.slot)
                if probe:
                    await self._end_probe(probe)

    def _batch(self, system: str, operation: Operation) -> int:
        name, limit = f"{system}.{operation.name}", self.limits.get(system)
        rates = [rate.count for rate in (self.rates.get(name), limit.rate if limit else None) if rate]
        return min([self.batches.get(name) or operation.batch, *rates])

    def _choose(
        self, operation: Operation, group: list[Work], size: int
    ) -> tuple[list[Work], frozenset[str], list[Work]]:
        """Up to `size` works that touch nothing a call in flight touches; what they touch; the others."""
        if operation.conflicts is None:
            return group[:size], frozenset(), group[size:]
        # of this system alone: a slow one must not keep another's lanes waiting
        system = group[0].lane[0]
        mine = (touched for task, touched in self._touching.items() if self._running[task][0] == system)
        in_flight = frozenset[str]().union(*mine)
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


def _any_due(store: Store, places: Sequence[tuple[str, str]]) -> sa.CompoundSelect[Any]:
    """Asks which of the (system, stream) places have a lane due and are not paused; answers with their numbers."""
    free = (lane.c.worker.is_(None), lane.c.due_at <= store.now)
    return sa.union_all(
        *(
            sa.select(sa.literal_column(str(i))).where(
                sa.exists().where(lane.c.system == s, lane.c.stream == t, *free), ~pausing.is_paused(s, t)
            )
            for i, (s, t) in enumerate(places)
        )
    )


async def idle(store: Store) -> bool:
    """Whether nothing is claimed and nothing is due or will become due without a person."""
    async with store.read() as connection:
        busy = await connection.scalar(
            sa.select(sa.func.count()).select_from(lane).where(sa.or_(lane.c.worker.is_not(None), lane.c.due_at < HELD))
        )
        return not busy
