"""The counterfoil of one object: its receipts, events, deliveries, exceptions and links as one timeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub import identity
from counterfoil.hub.schema import (
    correction,
    delivery,
    delivery_log,
    event,
    exception,
    link,
    object_,
    promise,
    receipt,
    routing,
)
from counterfoil.hub.store import Store
from counterfoil.retail.editable import nested
from counterfoil.retail.events import at_utc

ABOUT = ("shipment", "invoice", "contested", "reverted")
"""The parts of an event's data that a timeline shows: what the event is about, beside its subject."""


@dataclass(frozen=True, slots=True)
class _Part:
    """The newest `most` entries and one more, of those until then; without them all."""

    most: int | None
    until: float | None

    def of(self, statement: sa.Select[Any], at: sa.Column[Any], order: sa.Column[Any]) -> sa.Select[Any]:
        chosen = statement if self.until is None else statement.where(at <= self.until)
        return chosen if self.most is None else chosen.order_by(order.desc()).limit(self.most + 1)

    def cut(self, entries: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], float | None]:
        """The newest of them in time order, and until when the others are. What is of one moment stays together."""
        entries.sort(key=lambda e: (e["at"], e["order"]))
        entries = entries if self.until is None else [e for e in entries if e["at"] <= self.until]
        if self.most is None or len(entries) <= self.most:
            return entries, None
        border = entries[-self.most - 1]["at"]
        return [e for e in entries if e["at"] > border] or entries[-self.most :], border


async def of(store: Store, subject: str, most: int | None = None, until: float | None = None) -> dict[str, Any]:
    """Everything known of one subject; times are ISO 8601 UTC, entries in time order.

    With `most` only so many entries, the newest of those until then; `until` says until when the others are.
    """
    part = _Part(most, until)
    async with store.read() as connection:
        promised = await _promises(connection, subject, await store.clock(connection))
        entries = [
            *await _receipts(connection, subject, part),
            *await _events(connection, subject, part),
            *await _deliveries(connection, subject, part),
            *await _exceptions(connection, subject),
            *await _routing(connection, subject),
            *await _corrections(connection, subject),
            *[e for e in promised if e["ended"]],
        ]
        entries, earlier = part.cut(entries)
        links = await connection.execute(sa.select(link).where(link.c.canonical_id == subject))
        waiting = await connection.execute(
            sa.select(delivery).where(delivery.c.subject == subject).order_by(delivery.c.id)
        )
        return {
            "subject": subject,
            "until": earlier,
            "merged_with": sorted(await identity.family(connection, [subject]) - {subject}),
            "links": {row.system: row.object_id for row in links},
            "entries": [{**e, "at": at_utc(e["at"]).isoformat(timespec="milliseconds")} for e in entries],
            "waiting": [
                {"id": r.id, "system": r.system, "operation": r.operation, "attempt": r.attempt, **_until(r)}
                for r in waiting
            ],
            "promised": [
                {"name": e["text"], "due": e["due"], "missed": e["missed"], "late": e["late"]}
                for e in promised
                if not e["ended"]
            ],
        }


def _entry(at: float, order: int, what: str, text: str, **more: Any) -> dict[str, Any]:
    return {"at": at, "order": order, "what": what, "text": text, **more}


async def _receipts(connection: AsyncConnection, subject: str, part: _Part) -> list[dict[str, Any]]:
    """Those of the thing itself and those in which another system told of it (its fulfilment in the ERP)."""
    objects = await connection.execute(
        sa.select(object_.c.system, object_.c.kind, object_.c.object_id).where(object_.c.canonical_id == subject)
    )
    places = {tuple(row) for row in objects}
    itself = tuple(subject.split(":", 2))
    if len(itself) == 3:
        places.add(itself)
    told = sa.select(
        *(receipt.c.id, receipt.c.system, receipt.c.origin, receipt.c.received_at),
        sa.func.length(receipt.c.body).label("size"),
    ).where(sa.tuple_(receipt.c.system, receipt.c.kind, receipt.c.object_id).in_(sorted(places)))
    rows = await connection.execute(part.of(told, receipt.c.received_at, receipt.c.id))
    return [
        _entry(
            r.received_at,
            0,
            "receipt",
            f"received {'' if r.system == itself[0] else f'from {r.system} '}by {r.origin}, "
            + (f"{r.size} bytes" if r.size else "its body is purged"),
            receipt=r.id,
            system=r.system,
        )
        for r in rows
    ]


async def _events(connection: AsyncConnection, subject: str, part: _Part) -> list[dict[str, Any]]:
    told = sa.select(event).where(event.c.subject == subject)
    rows = await connection.execute(part.of(told, event.c.recorded_at, event.c.recorded_at))
    return [
        _entry(
            r.recorded_at,
            1,
            "event",
            r.type,
            source=r.source,
            why=r.data.get("why", ""),
            about={name: r.data[name] for name in ABOUT if name in r.data},
            event=r.id,
        )
        for r in rows
    ]


async def _deliveries(connection: AsyncConnection, subject: str, part: _Part) -> list[dict[str, Any]]:
    tried = sa.select(delivery_log).where(delivery_log.c.subject == subject)
    rows = (await connection.execute(part.of(tried, delivery_log.c.ended_at, delivery_log.c.id))).all()
    entries = []
    for r in sorted(rows, key=lambda r: int(r.id)):
        promise = None
        if r.promise_by is not None and r.outcome in ("done", "resolved"):
            promise = "kept" if r.ended_at <= r.promise_by else f"missed by {r.ended_at - r.promise_by:.1f} s"
        entries.append(
            _entry(
                r.ended_at,
                2,
                "delivery",
                f"{r.system}.{r.operation}: {r.outcome}",
                reason=r.reason,
                detail=r.detail,
                attempt=r.attempt,
                seconds=round(r.ended_at - r.started_at, 3),
                promise=promise,
                system=r.system,
                event=r.event_id,
            )
        )
    return entries


async def _exceptions(connection: AsyncConnection, subject: str) -> list[dict[str, Any]]:
    rows = await connection.execute(sa.select(exception).where(exception.c.subject == subject))
    return [
        _entry(
            r.opened_at,
            3,
            "exception",
            r.message,
            exception=r.id,
            status=r.status,
            owner=r.owner,
            suggestion=r.suggestion,
            system=r.system,
        )
        for r in rows
    ]


async def _routing(connection: AsyncConnection, subject: str) -> list[dict[str, Any]]:
    """Where its goods ship from, and why, as last decided."""
    row = (await connection.execute(sa.select(routing).where(routing.c.id == subject))).first()
    return [_entry(row.at, 2, "routing", "; ".join(row.words), lines=row.lines)] if row else []


async def _corrections(connection: AsyncConnection, subject: str) -> list[dict[str, Any]]:
    """What a person has put in the place of a value. Values stand where they do in a state: so they are masked."""
    entries = []
    for r in await connection.execute(sa.select(correction).where(correction.c.subject == subject)):
        values = {"was": nested(r.path, r.was), "becomes": nested(r.path, r.becomes)}
        entries.append(_entry(r.at, 3, "correction", f"corrected: {r.path}", by=r.who, why=r.why, **values))
        if r.ended_at is not None:
            entries.append(_entry(r.ended_at, 3, "correction", f"correction over: {r.path}", why=r.ended_why))
    return entries


async def _promises(connection: AsyncConnection, subject: str, now: float) -> list[dict[str, Any]]:
    """Those of the blueprint. `late` is by how many seconds, of an open one until now; None for one in time."""
    rows = await connection.execute(sa.select(promise).where(promise.c.subject == subject).order_by(promise.c.due_at))
    return [
        _entry(
            r.ended_at or 0.0,
            4,
            "promise",
            f"{r.name}: {r.ended_as}" if r.ended_at else r.name,
            due=_iso(r.due_at),
            missed=r.missed_at is not None,
            late=_late(r, now),
            ended=r.ended_at is not None,
        )
        for r in rows
    ]


def _late(row: Any, now: float) -> float | None:
    late = (row.ended_at or now) - row.due_at
    return round(late, 1) if row.ended_as in (None, "late") and late > 0 else None


def _until(row: Any) -> dict[str, str]:
    """Until when a delivery waits for the run or window of its flow, where it has one."""
    return {"not_before": _iso(row.not_before)} if row.not_before is not None else {}


def _iso(seconds: float) -> str:
    return at_utc(seconds).isoformat(timespec="seconds")
