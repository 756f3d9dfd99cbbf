"""Traces: which span something belongs to, kept over the store as W3C trace context.

A webhook's span goes into the headers of its receipt, a receipt's into the events that it becomes, an event's into the
calls of its deliveries, and a call's into the events that come of it: so all of an order is one trace, whoever worked
on it and whenever. Nothing here knows OpenTelemetry: while `spans` is None, as usual, nothing is done at all. What is
not sampled carries no context, and so costs nothing further on.

Attributes are names of the blueprint, codes of our own and numbers of rows, never anything of a customer.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from counterfoil.hub import outgoing
from counterfoil.hub.claiming import Received, Work
from counterfoil.hub.contract import Failure, Kind, Outcome, Raw
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
        self,
        name: str,
        kind: str,
        parent: str | None,
        start: float | None = None,
        link: str = "",
        **attributes: str | int,
    ) -> Span:
        """One that began at `start`, else now; without a parent it is the root of a trace of its own.

        `link` is the context of a span elsewhere that belongs to it.
        """

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


def calling(works: Sequence[Work], start: float) -> dict[int, Span]:
    """By delivery, the span of its call; only of those whose event carries a context.

    One request does it for all of them and carries one context, the first one's: the others link to that span.
    """
    if spans is None:
        return {}
    made: dict[int, Span] = {}
    first = ""
    for work in works:
        if parent := valid(work.row.traceparent):
            at: dict[str, Any] = {"system": work.lane[0], "stream": work.lane[1], "operation": work.operation}
            at |= {"attempt": work.attempt, "batch": len(works), "event": work.event_id or "", "type": work.row.type}
            made[work.id] = spans.begin(f"{work.lane[0]}.{work.operation}", "client", parent, start, first, **at)
            first = first or made[work.id].traceparent
    return made


def carried(made: Mapping[int, Span]) -> contextlib.AbstractContextManager[None]:
    """What goes out in here carries the context of these calls."""
    return outgoing.carrying(next((span.traceparent for span in made.values() if span.traceparent), ""))


def broken_off(made: Mapping[int, Span], outcome: Outcome) -> None:
    """The call is made again in parts: this is all that comes of it."""
    for span in made.values():
        _end(span, outcome)


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


# --- what no delivery asks for ------------------------------------------------------------------------------------


@contextlib.contextmanager
def asking(what: str, system: str, feed: str = "") -> Iterator[None]:
    """The span of a look at a system: `poll`, `care`, `doctor` … It begins a trace, and what goes out carries it."""
    if spans is None:
        yield
        return
    name = f"{what} {system}.{feed}" if feed else f"{what} {system}"
    span = spans.begin(name, "client", None, system=system)
    ended = "cut_off"
    try:
        with outgoing.carrying(span.traceparent):
            yield
        ended = ""
    except Failure as failure:
        ended = failure.outcome.reason or failure.outcome.kind.value
        raise
    except Exception as error:
        ended = type(error).__name__
        raise
    finally:
        span.end(ended)


def _with(event: Event, context: str) -> Event:
    return event.model_copy(update={"traceparent": context}) if context else event


def _end(span: Span, outcome: Outcome) -> None:
    code = outcome.reason or outcome.kind.value
    span.end("" if outcome.kind is Kind.DONE else code, outcome=outcome.kind.value)
