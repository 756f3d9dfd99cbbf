"""The journey of one thing across all systems: its timeline, and beside it what is held of stock, promised and linked.

What the systems sent is kept as receipts until the blueprint's retention; what they answered stands with each delivery.
A raw body is shown only to who may see personal data: nobody knows in which of its fields a foreign system has them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub import timeline
from counterfoil.hub.schema import event, object_, receipt, reservation, taking
from counterfoil.hub.store import Store
from counterfoil.hub.views.masking import mask, personal
from counterfoil.hub.views.things import Line, lines
from counterfoil.retail.editable import leaf
from counterfoil.retail.events import at_utc

MOST = 200
"""Entries of one page."""
WITHHELD = "withheld: it needs the right to see personal data"


@dataclass(frozen=True, slots=True)
class Step:
    """One entry. `what` is receipt, event, delivery, exception, correction, routing or promise; `detail` what else is
    known of it.

    `promise` says how a delivery's promise was kept; `late` by how many seconds a promise of the blueprint was not.
    """

    at: datetime
    what: str
    text: str
    system: str = ""
    to: str = ""
    promise: str = ""
    late: float | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claim:
    """Units of an article that are held for it (`units`), of which the ERP knows `known`; place as a warehouse code."""

    article: str
    place: str
    units: float
    known: float


@dataclass(frozen=True, slots=True)
class Reserved:
    """A reservation that the order was placed with."""

    id: str
    state: str
    made_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Journey:
    """Everything of one thing, oldest first; `until` is where the page of older steps is found, None for none."""

    line: Line
    links: Mapping[str, str]
    merged_with: tuple[str, ...]
    steps: tuple[Step, ...]
    until: float | None
    waiting: tuple[Mapping[str, Any], ...]
    promised: tuple[Mapping[str, Any], ...]
    claims: tuple[Claim, ...]
    reservations: tuple[Reserved, ...]


async def of(
    store: Store, subject: str, may_see: bool = False, most: int = MOST, until: float | None = None
) -> Journey | None:
    """The newest `most` steps until then, and how it stands now; None of what nobody knows."""
    told = await timeline.of(store, subject, most, until)
    async with store.read() as connection:
        states = list(
            (await connection.execute(sa.select(object_.c.state).where(object_.c.canonical_id == subject))).scalars()
        )
        line = (await lines(connection, [subject], may_see))[subject]
        claims = await _claims(connection, subject)
        reservations = await _reservations(connection, subject, states)
    if not (told["entries"] or told["links"] or told["waiting"] or states):
        return None
    known = set[str]().union(*map(personal, states))
    told = mask({name: told[name] for name in ("entries", "waiting", "promised")}, may_see, known) | {
        name: told[name] for name in ("links", "merged_with", "until")
    }
    return Journey(
        line,
        told["links"],
        tuple(told["merged_with"]),
        tuple(_step(subject, entry) for entry in told["entries"]),
        told["until"],
        tuple(told["waiting"]),
        tuple(told["promised"]),
        claims,
        reservations,
    )


_SAID = ("at", "order", "what", "text", "system", "promise", "late", "source")


def _step(subject: str, entry: Mapping[str, Any]) -> Step:
    system, to = str(entry.get("system") or entry.get("source") or ""), ""
    if entry["what"] == "delivery" and system:
        at_home = subject.partition(":")[0]
        system, to = (at_home, system) if system != at_home else (system, "")
    return Step(
        datetime.fromisoformat(entry["at"]),
        entry["what"],
        entry["text"],
        system,
        to,
        entry.get("promise") or "",
        entry.get("late"),
        {name: value for name, value in _told(entry).items() if name not in _SAID and value not in ("", None, {}, [])},
    )


def _told(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """A correction's values in a line; until they were masked they stood as in a state."""
    if entry["what"] != "correction" or "was" not in entry:
        return entry
    return {**entry, "was": leaf(entry["was"]) or "–", "becomes": leaf(entry["becomes"]) or "–"}


async def _claims(connection: AsyncConnection, subject: str) -> tuple[Claim, ...]:
    rows = await connection.execute(
        sa.select(taking).where(taking.c.holder == subject).order_by(taking.c.article, taking.c.place)
    )
    return tuple(Claim(r.article, r.place, r.units / 1000, r.known / 1000) for r in rows)


async def _reservations(connection: AsyncConnection, subject: str, states: list[Any]) -> tuple[Reserved, ...]:
    channel, thing, _ = (*subject.split(":", 2), "", "")[:3]
    numbers = {str(state["number"]) for state in states if state.get("system") == channel and state.get("number")}
    if thing != "order" or not numbers:
        return ()
    mine = (reservation.c.channel == channel, reservation.c.order_number.in_(sorted(numbers)))
    rows = await connection.execute(sa.select(reservation).where(*mine).order_by(reservation.c.made_at))
    return tuple(Reserved(r.id, r.state, at_utc(r.made_at), at_utc(r.expires_at)) for r in rows)


# --- what was sent and answered -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sent:
    """What came from a system (a receipt), or the fact that operations were given (an event).

    `body` is text: JSON where it is that. Empty: purged by the blueprint's retention.
    """

    what: str
    system: str
    at: datetime
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


async def received(store: Store, number: int, may_see: bool = False) -> Sent | None:
    """A receipt as it arrived; None of one that is not there."""
    async with store.read() as connection:
        row = (await connection.execute(sa.select(receipt).where(receipt.c.id == number))).first()
    if row is None:
        return None
    body = bytes(row.body).decode("utf-8", "replace")
    headers = {str(name): str(value) for name, value in row.headers.items()}
    shown = (body, headers) if may_see else (WITHHELD if body else "", {})
    return Sent("receipt", row.system, at_utc(row.received_at), *shown)


async def happened(store: Store, event_id: str, may_see: bool = False) -> Sent | None:
    """An event with its data, which is what the operations it set off were given."""
    async with store.read() as connection:
        row = (await connection.execute(sa.select(event).where(event.c.id == event_id))).first()
    if row is None:
        return None
    body = json.dumps(mask(row.data, may_see), ensure_ascii=False, indent=1)
    return Sent(row.type, row.source, at_utc(row.recorded_at), body)
