"""Carrying out: operations are called in batches, and each item's own outcome is kept, all of it or nothing.

What comes of a call is one transaction: the state our write left behind, the events it gives rise to and their
deliveries, links, log, exceptions, and the lanes that come free. Objects are locked before lanes, everywhere.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
import traceback
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint import Blueprint
from counterfoil.hub import (
    claiming,
    corrections,
    counting,
    decode,
    exceptions,
    flows,
    identity,
    lanes,
    meters,
    ownership,
    records,
    systems,
    tracing,
)
from counterfoil.hub.at_work import at_work
from counterfoil.hub.availability.readings import keep_readings
from counterfoil.hub.claiming import Work
from counterfoil.hub.contract import (
    NEEDS_APPROVAL,
    ONE_OPERATION,
    Connector,
    Failure,
    Item,
    Kind,
    Observed,
    Operation,
    Outcome,
    done,
    rejected,
)
from counterfoil.hub.decode import Process
from counterfoil.hub.lanes import DECODE, Fenced, LaneKey, NewDelivery, Settled
from counterfoil.hub.preparing import Prepare, prepared
from counterfoil.hub.retelling import Retell, retold
from counterfoil.hub.retry import MOST_ATTEMPTS, backoff
from counterfoil.hub.store import Store, unstorable
from counterfoil.retail.events import Event, at_utc, event_id

log = structlog.get_logger()

ECHO_WAIT = 0.1
"""Seconds after which a receipt is looked at again whose object is being written by us."""

_CANNOT_BE_KEPT = "cannot_be_kept"
_OVER_WHEN_SEEN = {decode.DELETED: "it was seen again", NEEDS_APPROVAL: "something newer was told"}
_OVER_AT_PEACE = {ownership.NOT_THE_OWNER: "both systems say the same again"}


Follow = Callable[[AsyncConnection, Store, Sequence[Event]], Awaitable[None]]
"""What wants to know of events that are new, in the transaction that keeps them."""


class Carrier:
    """Decodes receipts, calls operations and keeps what comes of it. `worker` is the name in the log.

    `processes` by system, then by kind of object; `retells` by the type of the event they follow.
    """

    def __init__(
        self,
        store: Store,
        blueprint: Blueprint,
        connectors: Mapping[str, Connector],
        processes: Mapping[str, Mapping[str, Process]],
        retells: Mapping[str, Retell],
        streams: Mapping[str, str],
        worker: str,
        follow: Follow | None = None,
        prepare: Prepare | None = None,
    ) -> None:
        self.follow, self.prepare = follow, prepare
        self.store, self.blueprint, self.connectors, self.processes = store, blueprint, connectors, processes
        self.retells, self.streams, self.worker = retells, streams, worker

    # --- receipts -------------------------------------------------------------------------------------------

    async def decode(self, system: str, works: list[Work]) -> None:
        """Read receipts and keep what they say; one that cannot be read is an exception of its own."""
        started = time.time()
        connector = self.connectors[system]
        with at_work(w.subject for w in works):
            read = [(work, decode.read(connector, work)) for work in works]
            for part in _apart(await self._unhindered(system, read)):
                await self._keep(part, lambda some: self._keep_decoded(system, some, started))

    async def _unhindered(self, system: str, read: list[Any]) -> list[Any]:
        """Those about objects that no operation is writing at this moment; the others wait for its outcome.

        The echo of a write may be here before the answer to it is kept: compared too early it would be news.
        """
        about = {w.lane: o.state.canonical_id for w, o in read if isinstance(o, Observed)}
        async with self.store.read() as connection:
            busy = await claiming.claimed(connection, system, set(about.values()))
        if not busy:
            return read
        waiting = {w.lane: w.token for w, _ in read if about.get(w.lane) in busy}
        await lanes.release(self.store, waiting, ECHO_WAIT)
        return [(w, o) for w, o in read if w.lane not in waiting]

    async def _keep_decoded(self, system: str, read: list[Any], started: float) -> None:
        spans = tracing.reading(system, [w for w, _ in read], started)
        async with self.store.write() as connection:
            decoded = await decode.apply(connection, self.store, system, self.processes.get(system, {}), read)
            await keep_readings(connection, self.store, decoded.readings)
            queued = await self._keep_events(connection, tracing.told(decoded.events, decoded.works, spans))
            held = await exceptions.held_lanes(connection, sorted({d.subject for d in queued})) if queued else {}
            held = {key: number for key, number in held.items() if key in {d.lane for d in queued}}
            await lanes.settle(connection, self.store, _all_finished([w for w, _ in read]), queued, held)
            if held:
                why = "something new is known of it"
                await exceptions.close_as_retried(connection, self.store, list(held.values()), why)
            await exceptions.close_about(connection, self.store, decoded.seen, DECODE, _OVER_WHEN_SEEN)
            await exceptions.close_about(connection, self.store, decoded.at_peace, DECODE, _OVER_AT_PEACE)
            await records.keep_log(connection, self.store, self.worker, started, decoded.outcomes)
            bad = [(w, o, self._owner(o)) for w, o in decoded.outcomes if o.kind is not Kind.DONE]
            await exceptions.open_for_work(connection, self.store, bad)
            await corrections.end_overtaken(connection, self.store, decoded.seen)
        counting.decoded(system, [w for w, _ in read])
        tracing.read(spans, decoded.outcomes)

    async def _keep_events(self, connection: Any, events: Sequence[Event]) -> list[NewDelivery]:
        """Keep the events that are new; the deliveries they give rise to."""
        new = await records.keep_events(connection, self.store, events)
        if self.follow is not None:
            await self.follow(connection, self.store, new)
        return [d for e in new for d in flows.deliveries(self.blueprint, self.streams, e)]

    # --- operations -----------------------------------------------------------------------------------------

    async def call(self, operation: Operation, works: list[Work]) -> None:
        """Carry out one batch and keep each item's outcome."""
        works = await self._without_merged(works)
        if works and self.prepare is not None:
            operation = prepared(operation, works[0].lane[0], self.store, self.prepare)
        with at_work(w.row.correlation for w in works):
            if works:
                await self._bisect(operation, works, [self._item(w) for w in works])

    async def _without_merged(self, works: list[Work]) -> list[Work]:
        """Those whose customer a person has not merged into another; the others are dropped."""
        asked = [w.subject for w in works if identity.may_be_merged(w.subject)]
        if not asked:
            return works
        async with self.store.read() as connection:
            away = await identity.away(connection, asked)
        gone = [w for w in works if w.subject in away]
        if gone:
            await self._finish(gone, [done({"dropped": "merged"})] * len(gone), time.time())
        return [w for w in works if w.subject not in away]

    def _item(self, work: Work) -> Item:
        """The delivery as its operation sees it, with what the teller owns of it by the present blueprint."""
        data = ownership.owned_now(self.blueprint, work.row.type, work.row.source, work.data)
        return item(work if data is work.data else dataclasses.replace(work, data=data))

    async def _bisect(self, operation: Operation, works: list[Work], items: list[Item]) -> None:
        """Call; where a call fails as a whole for a reason that may be one item's, halve it."""
        started = time.time()
        spans = tracing.calling(works, started)
        try:
            with meters.timed(meters.CALLS_MADE, works[0].lane[0], operation.name), tracing.carried(spans):
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
            await self._finish(works, outcomes, started, spans)
            return
        if len(items) > 1 and outcome.kind in (Kind.REJECTED, Kind.BUG):
            tracing.broken_off(spans, outcome)
            half = len(items) // 2
            await self._bisect(operation, works[:half], items[:half])
            await self._bisect(operation, works[half:], items[half:])
        else:
            await self._finish(works, [outcome] * len(works), started, spans)

    async def refuse(self, system: str, name: str, works: list[Work]) -> None:
        """There is no such operation (any more): an exception each."""
        await self._finish(works, [_no_such(system, name)] * len(works), time.time())

    async def _finish(
        self,
        works: list[Work],
        outcomes: Sequence[Outcome],
        started: float,
        spans: Mapping[int, tracing.Span] | None = None,
    ) -> None:
        made = tracing.calling(works, started) if spans is None else spans
        pairs = list(zip(works, outcomes, strict=True))
        await self._keep(pairs, lambda some: self._keep_outcomes(some, started, made))

    async def _keep_outcomes(
        self, pairs: list[tuple[Work, Outcome]], started: float, spans: Mapping[int, tracing.Span]
    ) -> None:
        system = pairs[0][0].lane[0]
        pairs = [(w, _give_up(w, o)) for w, o in pairs]
        finished = [(w, o) for w, o in pairs if o.kind is Kind.DONE]
        async with self.store.write() as connection:
            await decode.keep_observed(connection, self.store, system, self.processes.get(system, {}), finished)
            clock = 0.0
            if any(o.emits for _, o in finished):
                clock = await self.store.clock(connection)
            events = [e for w, o in finished for e in _emitted(w, o, clock)]
            events += await retold(connection, self.retells, events)
            queued = await self._keep_events(connection, tracing.came(events, pairs, spans))
            wait = await self._system_state(connection, system, pairs[0][0].operation, [o for _, o in pairs])
            await lanes.settle(connection, self.store, [_settled(w, o, wait) for w, o in pairs], queued)
            linked = {k: v for w, o in finished for k, v in {w.subject: o.link, **o.links}.items() if v}
            await records.keep_links(connection, self.store, system, linked)
            await records.keep_log(connection, self.store, self.worker, started, [*_answered(pairs), *pairs])
            bad = [(_blamed(w), o, self._owner(o)) for w, o in pairs if o.kind in (Kind.REJECTED, Kind.BUG)]
            await exceptions.open_for_work(connection, self.store, bad)
            at_home = {o.observed.state.canonical_id for _, o in finished if o.observed is not None}
            await corrections.end_overtaken(connection, self.store, at_home)
        counting.delivered(pairs)
        tracing.called(spans, pairs)

    async def _system_state(self, connection: Any, system: str, operation: str, outcomes: Sequence[Outcome]) -> float:
        closing = next((o for o in outcomes if o.kind in (Kind.DOWN, Kind.THROTTLED, Kind.MISCONFIGURED)), None)
        if closing is None:
            if any(o.called and o.kind is not Kind.RETRY for o in outcomes) and system != "hub":
                await systems.reopen(connection, self.store, system, operation)
            return 0.0
        alone = operation if closing.kind is Kind.MISCONFIGURED and closing.reason in ONE_OPERATION else ""
        closed = systems.part(system, alone) if alone else system
        log.warning("closed", system=closed, outcome=str(closing.kind), reason=closing.reason)
        wait = await systems.close_system(connection, self.store, closed, closing)
        if closing.kind is Kind.MISCONFIGURED:
            await exceptions.open_for_system(connection, self.store, system, closing, self._owner(closing), alone)
        return wait

    # --- both -----------------------------------------------------------------------------------------------

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
                meters.LEASES_LOST.add(n=len(fenced.lanes))
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

    def _owner(self, outcome: Outcome) -> str:
        return self.blueprint.exceptions.owner_of(outcome.reason, str(outcome.kind))


def _apart(read: list[Any]) -> list[list[Any]]:
    """Levels of stock, and all else: each locks articles in sorted order, which two times in one transaction is not."""
    levels = [(w, o) for w, o in read if w.row.kind == "stock"]
    return [part for part in (levels, [(w, o) for w, o in read if w.row.kind != "stock"]) if part]


def item(work: Work) -> Item:
    """The delivery as an operation sees it; `state` in its data is the newest one known."""
    row = work.row
    return Item(
        work.id, work.subject, work.lane[2], row.type, work.data, row.link or "", work.attempt, work.event_id or ""
    )


def touches(operation: Operation, work: Work) -> frozenset[str]:
    """What a call for this delivery must not touch at the same time as another call."""
    try:
        return operation.conflicts(item(work)) if operation.conflicts else frozenset()
    except Exception as error:  # the operation will stumble over the same data, and say so
        log.error("conflicts unknown", operation=operation.name, subject=work.subject, error=type(error).__name__)
        return frozenset()


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
        case Kind.RETRY:
            return Settled(work.lane, work.token, attempted=work.head.id, delay=backoff(work.attempt))
        case Kind.DOWN | Kind.THROTTLED | Kind.MISCONFIGURED:
            return Settled(work.lane, work.token, delay=wait)
        case Kind.REJECTED | Kind.BUG if work.on_exception == "hold":
            return Settled(work.lane, work.token, attempted=work.head.id, held=True)
        case _:
            return Settled(work.lane, work.token, finished=work.all_ids)


def _answered(pairs: Sequence[tuple[Work, Outcome]]) -> list[tuple[Work, Outcome]]:
    """The log of the deliveries that a later one of their lane has answered for."""
    return [
        (earlier, Outcome(Kind.DONE, "superseded", result={"by": work.id}))
        for work, outcome in pairs
        if _settled(work, outcome, 0.0).finished
        for earlier in work.answers_for
    ]


def _blamed(work: Work) -> Work:
    """The delivery an exception is about: a lane is held by its first one."""
    return work.head if work.on_exception == "hold" else work


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
