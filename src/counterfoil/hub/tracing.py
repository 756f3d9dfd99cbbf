"""Traces: which span something belongs to, kept over the store as W3C trace context.

A webhook's span goes into the headers of its receipt, a receipt's into the events that it becomes, an event's into the
calls of its deliveries, and a call's into the events that come of it: so all of an order is one trace, whoever worked
on it and whenever. Nothing here knows OpenTelemetry: while `spans` is None, as usual, nothing is done at all. What is
not sampled carries no context, and so costs nothing further on.

Attributes are names of the blueprint, codes of our own and numbers of rows, never anything of a customer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from counterfoil.hub.claiming import Received, Work
from counterfoil.hub.contract import Kind, Outcome, Raw
from counterfoil.retail.events import Event

TRACEPARENT = "traceparent"
_VALID = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Span(Protocol):
    """Something that was done. `traceparent` is its context, empty where it is not sampled."""

    traceparent: str

    def end(self, failed: str = "", **attributes: str | int) -> None:
        """It is over; `failed` is a code. Of one that is never ended nothing is told."""


class Spans(Protocol):
    """Makes spans."""

    def begin(
        self, name: str, kind: str, parent: str | None, start: float | None = None, **attributes: str | int
    ) -> Span:
        """One that began at `start`, else now; without a parent it is the root of a trace of its own."""

    def close(self) -> None:
        """Send what is still to be sent. Blocks until it is, or given up."""


spans: Spans | None = None
"""What makes spans in this process; None: nobody wants to know."""


def valid(traceparent: str | None) -> str | None:
    """The context if it is one."""
    return traceparent if traceparent and _VALID.fullmatch(traceparent) else None


# --- at the door ------------------------------------------------------------------------------------------------------


def arrived(system: str, headers: Mapping[str, str], raw: Raw, start: float) -> tuple[Raw, Span | None]:
    """A webhook whose signature is right, with its span; the receipt is to carry its context."""
    if spans is None:
        return raw, None
    parent = valid(headers.get(TRACEPARENT))
    span = spans.begin(f"webhook {system}", "server", parent, start, system=system, object=raw.kind)
    if not span.traceparent:
        return raw, span
    return Raw(raw.kind, raw.object_id, raw.body, {**raw.headers, TRACEPARENT: span.traceparent}), span


# --- receipts ---------------------------------------------------------------------------------------------------------


def reading(system: str, works: Sequence[Work], start: float) -> dict[int, Span]:
    """By delivery, the span of decoding its receipt. One that no webhook brought begins a trace."""
    if spans is None:
        return {}
    made: dict[int, Span] = {}
    for work in works:
        row: Received = work.row
        parent = valid(json.loads(row.headers).get(TRACEPARENT))
        if parent or row.origin != "webhook":
            at: dict[str, Any] = {"system": system, "origin": row.origin, "receipt": work.receipt_id or 0}
            made[work.id] = spans.begin(f"decode {row.kind}", "consumer", parent, start, **at)
    return made


def told(events: Sequence[Event], works: Mapping[str, int], made: Mapping[int, Span]) -> list[Event]:
    """The events, each with the context of the receipt that told of it."""
    if not made:
        return list(events)
    return [_with(e, made[works[e.id]].traceparent) if works.get(e.id) in made else e for e in events]


def read(made: Mapping[int, Span], outcomes: Sequence[tuple[Work, Outcome]]) -> None:
    """What came of the receipts is committed."""
    for work, outcome in outcomes if made else ():
        if work.id in made:
            _end(made[work.id], outcome)


# --- operations -------------------------------------------------------------------------------------------------------


def calling(pairs: Sequence[tuple[Work, Outcome]], start: float) -> dict[int, Span]:
    """By delivery, the span of its call; only of those whose event carries a context."""
    if spans is None:
        return {}
    made: dict[int, Span] = {}
    for work, _ in pairs:
        if parent := valid(work.row.traceparent):
            at: dict[str, Any] = {"system": work.lane[0], "stream": work.lane[1], "operation": work.operation}
            at |= {"attempt": work.attempt, "batch": len(pairs), "event": work.event_id or "", "type": work.row.type}
            made[work.id] = spans.begin(f"{work.lane[0]}.{work.operation}", "client", parent, start, **at)
    return made


def came(events: Sequence[Event], pairs: Sequence[tuple[Work, Outcome]], made: Mapping[int, Span]) -> list[Event]:
    """The events, each with the context of the call, or of the event, that it comes of."""
    if not made:
        return list(events)
    contexts = {work.event_id: made[work.id].traceparent for work, _ in pairs if work.id in made}
    found = []
    for event in events:  # what follows another comes after it
        context = contexts.get(event.causation, "")
        contexts[event.id] = context
        found.append(_with(event, context))
    return found


def called(made: Mapping[int, Span], pairs: Sequence[tuple[Work, Outcome]]) -> None:
    """What came of the call is committed."""
    for work, outcome in pairs if made else ():
        if work.id in made:
            _end(made[work.id], outcome)


def _with(event: Event, context: str) -> Event:
    return event.model_copy(update={"traceparent": context}) if context else event


def _end(span: Span, outcome: Outcome) -> None:
    code = outcome.reason or outcome.kind.value
    span.end("" if outcome.kind is Kind.DONE else code, outcome=outcome.kind.value)
