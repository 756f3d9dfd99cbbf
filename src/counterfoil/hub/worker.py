"""The worker: claims lanes, calls operations in batches, records each item's own outcome.

One process runs one worker on one event loop. Everything that must be shared (leases, the state of systems,
rates) is in the store, so any number of workers can stand side by side on PostgreSQL.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import time
import traceback
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
import structlog

from counterfoil.blueprint import Blueprint
from counterfoil.hub import decode, exceptions, flows, lanes, records, systems
from counterfoil.hub.contract import Connector, Failure, Item, Kind, Observed, Operation, Outcome, rejected
from counterfoil.hub.decode import Process
from counterfoil.hub.lanes import DECODE, Fenced, LaneKey, Settled, Work
from counterfoil.hub.retry import MOST_ATTEMPTS, backoff
from counterfoil.hub.schema import HELD, lane
from counterfoil.hub.store import Store, unstorable
from counterfoil.retail.events import Event, at_utc, event_id

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


class Worker:
    """Works the lanes of the given connectors until told to stop. `processes` by system, then by kind of object."""

    def __init__(
        self,
        store: Store,
        blueprint: Blueprint,
        connectors: Mapping[str, Connector],
        processes: Mapping[str, Mapping[str, Process]],
        name: str = "",
        lease: float = LEASE,
    ) -> None:
        self.store, self.blueprint, self.connectors, self.processes = store, blueprint, connectors, processes
        self.name = name or worker_name()
        self.lease = lease
        self.operations: dict[tuple[str, str], Operation] = {("hub", "ask"): ASK}
        for system, connector in connectors.items():
            for operation in connector.operations.values():
                self.operations[(system, operation.name)] = operation
        self.streams = {f"{s}.{n}": o.stream for (s, n), o in self.operations.items()}
        self.rates = {f.do: f.rate.per_second for f in blueprint.flows if f.rate}
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
            works = await lanes.claim(self.store, self.name, system, stream, DECODE_BATCH, self.lease, DECODE_DEPTH)
            if works:
                self._start(self._decode(system, works), works, frozenset())
            return bool(works)
        size = max(self._batch(system, o) for (s, _), o in self.operations.items() if (s, o.stream) == (system, stream))
        # twice as many as fit, so that a batch can be found that shares nothing with those in flight
        works = await lanes.claim(self.store, self.name, system, stream, 1 if probing else size * 2, self.lease)
        by_operation: dict[str, list[Work]] = defaultdict(list)
        for work in works:
            by_operation[work.operation].append(work)
        started = False
        unused: list[Work] = []
        for name, group in by_operation.items():
            operation = self.operations.get((system, name))
            if operation is None:
                await self._finish(group, [_no_such(system, name)] * len(group), time.time())
                continue
            chosen, touched, rest = self._choose(operation, group, self._batch(system, operation))
            unused += rest
            if chosen:
                self._start(self._call(operation, chosen), chosen, touched)
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
            touches = _touches(operation, work)
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

    # --- carrying out ---------------------------------------------------------------------------------------

    async def _decode(self, system: str, works: list[Work]) -> None:
        started = time.time()
        connector = self.connectors[system]
        await self._keep(
            [(work, decode.read(connector, work)) for work in works],
            lambda read: self._keep_decoded(system, read, started),
        )

    async def _keep(
        self, results: list[tuple[Work, Any]], write: Callable[[list[tuple[Work, Any]]], Awaitable[None]]
    ) -> None:
        """Write results. Those whose lease was lost are left out, one that cannot be written fails alone."""
        while results:
            try:
                await write(results)
                return
            except Fenced as fenced:
                log.warning("lease lost, results dropped", lanes=len(fenced.lanes))
                results = [(w, o) for w, o in results if w.lane not in fenced.lanes]
            except Exception as error:
                if isinstance(error, OSError | sa.exc.SQLAlchemyError) and not unstorable(error):
                    raise
                if len(results) > 1:
                    half = len(results) // 2
                    await self._keep(results[:half], write)
                    await self._keep(results[half:], write)
                    return
                work, result = results[0]
                if isinstance(result, Outcome) and result.reason == _CANNOT_BE_KEPT:
                    raise
                log.error("result cannot be kept", subject=work.subject, error=type(error).__name__)
                results = [(work, _cannot_be_kept(error))]

    async def _keep_decoded(self, system: str, read: list[Any], started: float) -> None:
        async with self.store.write() as connection:
            decoded = await decode.apply(connection, self.store, system, self.processes.get(system, {}), read)
            new = await records.keep_events(connection, self.store, decoded.events)
            queued = [d for e in new for d in flows.deliveries(self.blueprint, self.streams, e)]
            held = await exceptions.held_lanes(connection, [e.subject for e in new]) if queued else {}
            held = {key: number for key, number in held.items() if key in {d.lane for d in queued}}
            await lanes.settle(connection, self.store, _all_finished([w for w, _ in read]), queued, held)
            if held:
                why = "something new is known of it"
                await exceptions.close_as_retried(connection, self.store, list(held.values()), why)
            await records.keep_log(connection, self.store, self.name, started, decoded.outcomes)
            bad = [(w, o, self._owner(o)) for w, o in decoded.outcomes if o.kind is not Kind.DONE]
            await exceptions.open_for_work(connection, self.store, bad)

    async def _call(self, operation: Operation, works: list[Work]) -> None:
        system = works[0].lane[0]
        rate = self.rates.get(f"{system}.{operation.name}")
        if rate:
            await asyncio.sleep(await systems.wait_for_pace(self.store, system, operation.name, len(works), rate))
        async with self.store.read() as connection:
            linked = await records.links(connection, system, {w.subject for w in works})
        await self._bisect(operation, works, [_item(w, linked.get(w.subject, "")) for w in works])

    async def _bisect(self, operation: Operation, works: list[Work], items: list[Item]) -> None:
        """Call; where a call fails as a whole for a reason that may be one item's, halve it."""
        started = time.time()
        try:
            async with asyncio.timeout(operation.timeout):
                outcomes = await operation.run(items)
            if len(outcomes) != len(items):
                raise AssertionError(f"{operation.name} answered {len(outcomes)} outcomes for {len(items)} items")
        except Failure as failure:
            outcome = failure.outcome
        except TimeoutError:
            outcome = Outcome(Kind.RETRY, "timeout", technical=f"no answer within {operation.timeout:g} s")
        except Exception:
            outcome = Outcome(
                Kind.BUG,
                "operation_failed",
                "Counterfoil failed at this; nothing is lost. Please report it.",
                traceback.format_exc(),
                "Report it with the technical part below, then retry once a newer version is installed.",
            )
        else:
            await self._finish(works, outcomes, started)
            return
        if len(items) > 1 and outcome.kind in (Kind.REJECTED, Kind.BUG):
            half = len(items) // 2
            await self._bisect(operation, works[:half], items[:half])
            await self._bisect(operation, works[half:], items[half:])
        else:
            await self._finish(works, [outcome] * len(works), started)

    async def _finish(self, works: list[Work], outcomes: Sequence[Outcome], started: float) -> None:
        pairs = list(zip(works, outcomes, strict=True))
        await self._keep(pairs, lambda some: self._keep_outcomes(some, started))

    async def _keep_outcomes(self, pairs: list[tuple[Work, Outcome]], started: float) -> None:
        system = pairs[0][0].lane[0]
        pairs = [(w, _give_up(w, o)) for w, o in pairs]
        async with self.store.write() as connection:
            clock = float(await connection.scalar(sa.select(self.store.now)) or 0.0)
            seen = [o.observed for _, o in pairs if o.kind is Kind.DONE and o.observed is not None]
            await self._keep_observed(connection, system, seen)  # objects are locked before lanes, everywhere
            events = [e for w, o in pairs if o.kind is Kind.DONE for e in _emitted(w, o, clock)]
            new = await records.keep_events(connection, self.store, events)
            queued = [d for e in new for d in flows.deliveries(self.blueprint, self.streams, e)]
            wait = await self._system_state(connection, system, [o for _, o in pairs])
            await lanes.settle(connection, self.store, [_settled(w, o, wait) for w, o in pairs], queued)
            for work, outcome in pairs:
                if outcome.kind is Kind.DONE and outcome.link:
                    await records.keep_link(connection, self.store, work.subject, system, outcome.link)
            await records.keep_log(connection, self.store, self.name, started, pairs)
            bad = [(w, o, self._owner(o)) for w, o in pairs if o.kind in (Kind.REJECTED, Kind.BUG)]
            await exceptions.open_for_work(connection, self.store, bad)

    async def _system_state(self, connection: Any, system: str, outcomes: Sequence[Outcome]) -> float:
        closing = next((o for o in outcomes if o.kind in (Kind.DOWN, Kind.THROTTLED, Kind.MISCONFIGURED)), None)
        if closing is None:
            if any(o.kind is not Kind.RETRY for o in outcomes) and system != "hub":
                await systems.reopen(connection, system)
                await exceptions.close_for_system(connection, self.store, system)
            return 0.0
        log.warning("system closed", system=system, outcome=str(closing.kind), reason=closing.reason)
        wait = await systems.close_system(connection, self.store, system, closing)
        if closing.kind is Kind.MISCONFIGURED:
            await exceptions.open_for_system(connection, self.store, system, closing, self._owner(closing))
        return wait

    async def _keep_observed(self, connection: Any, system: str, seen: Sequence[Observed]) -> None:
        """The answer to our own write is the newest state known: that is how its echo will be recognised."""
        if not seen:
            return
        places = {(system, o.kind, o.object_id): o for o in seen}
        for place, known in (await records.known_objects(connection, places)).items():
            observed = places[place]
            digest = self.processes[system][observed.kind].digest(observed)
            # somebody else's change may ride in the same answer: that one must still become events, by its receipt
            if known.digest == digest and known.version <= observed.version:
                await records.keep_object(connection, self.store, system, observed, digest, known.stage)

    def _owner(self, outcome: Outcome) -> str:
        return self.blueprint.exceptions.owner_of(outcome.reason, str(outcome.kind))


def _item(work: Work, link: str = "") -> Item:
    row = work.row
    data = dict(row.data)
    if row.state is not None:
        data["state"] = row.state
    return Item(work.id, work.subject, work.lane[2], row.type, data, link, work.attempt)


def _touches(operation: Operation, work: Work) -> frozenset[str]:
    try:
        return operation.conflicts(_item(work))
    except Exception as error:  # the operation will stumble over the same data, and say so
        log.error("conflicts unknown", operation=operation.name, subject=work.subject, error=type(error).__name__)
        return frozenset()


_CANNOT_BE_KEPT = "cannot_be_kept"


def _cannot_be_kept(error: Exception) -> Outcome:
    refused = isinstance(error, sa.exc.SQLAlchemyError)  # its text would repeat what cannot be kept
    trace = type(error).__name__ if refused else traceback.format_exc()
    return Outcome(
        Kind.BUG,
        _CANNOT_BE_KEPT,
        "What came of this cannot be written down, for example because of a zero byte in a text.",
        trace.replace("\x00", "").encode(errors="backslashreplace").decode(),
        "Look in both systems at what was sent and done; put the text right, then retry.",
    )


def _no_such(system: str, name: str) -> Outcome:
    """A delivery left over from another blueprint or version. It alone fails: the system is none the worse."""
    return rejected(
        "no_such_operation",
        f"{system} has no operation {name!r} any more.",
        "Put the operation's name right in the blueprint's flows or bring the connector back, then retry.",
    )


def _give_up(work: Work, outcome: Outcome) -> Outcome:
    if outcome.kind is Kind.RETRY and work.attempt >= MOST_ATTEMPTS:
        return rejected(
            "gave_up",
            f"Tried {work.attempt} times without success: {outcome.message or outcome.reason}",
            "Look at the technical part, put the cause right, then retry.",
            outcome.technical,
        )
    return outcome


def _settled(work: Work, outcome: Outcome, wait: float) -> Settled:
    match outcome.kind:
        case Kind.DONE:
            return Settled(work.lane, work.token, finished=(work.id,))
        case Kind.RETRY:
            return Settled(work.lane, work.token, attempted=work.id, delay=backoff(work.attempt))
        case Kind.DOWN | Kind.THROTTLED | Kind.MISCONFIGURED:
            return Settled(work.lane, work.token, delay=wait)
        case _ if work.on_exception == "hold":
            return Settled(work.lane, work.token, attempted=work.id, held=True)
        case _:
            return Settled(work.lane, work.token, finished=(work.id,))


def _all_finished(works: Sequence[Work]) -> list[Settled]:
    by_lane: dict[LaneKey, list[Work]] = defaultdict(list)
    for work in works:
        by_lane[work.lane].append(work)
    return [Settled(key, group[0].token, finished=tuple(w.id for w in group)) for key, group in by_lane.items()]


def _emitted(work: Work, outcome: Outcome, clock: float) -> list[Event]:
    system = work.lane[0]
    cause = work.event_id or ""
    return [
        Event(
            id=event_id(system, type_, work.subject, cause),
            type=type_,
            source=system,
            subject=work.subject,
            key=work.lane[2],
            time=at_utc(clock),
            correlation=work.row.correlation,
            causation=cause or None,
            refs=((system, outcome.link),) if outcome.link else (),
            data=dict(outcome.result),
        )
        for type_ in outcome.emits
    ]


async def idle(store: Store) -> bool:
    """Whether nothing is claimed and nothing is due or will become due without a person."""
    async with store.read() as connection:
        busy = await connection.scalar(
            sa.select(sa.func.count()).select_from(lane).where(sa.or_(lane.c.worker.is_not(None), lane.c.due_at < HELD))
        )
        return not busy
