"""What the drift audit asks of the store and does through it: what is known of a thing, and how it is told again.

Nothing is written past the lanes: what a system has now comes in as a receipt like any other, and what a system must
be told again is an event with its deliveries.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint import Blueprint
from counterfoil.hub import flows, lanes, receipts, records
from counterfoil.hub.access import audit
from counterfoil.hub.contract import BadPayload, Connector, Raw
from counterfoil.hub.decode import Process, compare
from counterfoil.hub.receipts import Arrival
from counterfoil.hub.schema import cursor, delivery, delivery_log, event, exception, link, object_
from counterfoil.hub.store import Store
from counterfoil.retail.events import Event, at_utc, event_id

DRIFT = "drift"
"""The reason of an exception that the audit opens; its operation is `drift.orders` and so on."""
CHUNK = 500
_BY_A_PERSON = ("resolved", "skipped")


async def clock(store: Store) -> float:
    """Now, by the store's clock."""
    async with store.read() as connection:
        return await store.clock(connection)


async def open_deliveries(store: Store, subjects: Collection[str], systems: Collection[str]) -> dict[str, int]:
    """How many deliveries about each subject are unfinished at these systems."""
    found: dict[str, int] = {}
    async with store.read() as connection:
        for chunk in _chunks(subjects):
            rows = await connection.execute(
                sa.select(delivery.c.subject, sa.func.count().label("n"))
                .where(delivery.c.subject.in_(chunk), delivery.c.system.in_(sorted(systems)))
                .group_by(delivery.c.subject)
            )
            found |= {row.subject: int(row.n) for row in rows}
    return found


async def last_outcomes(store: Store, subjects: Collection[str], systems: Collection[str]) -> dict[str, float]:
    """When a delivery about each subject last ended at these systems, by the store's clock."""
    found: dict[str, float] = {}
    async with store.read() as connection:
        for chunk in _chunks(subjects):
            rows = await connection.execute(
                sa.select(delivery_log.c.subject, sa.func.max(delivery_log.c.ended_at).label("at"))
                .where(delivery_log.c.subject.in_(chunk), delivery_log.c.system.in_(sorted(systems)))
                .group_by(delivery_log.c.subject)
            )
            found |= {row.subject: float(row.at) for row in rows}
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """An exception: open, or closed by a person at `closed_at` (seconds by the store's clock)."""

    number: int
    status: str
    reason: str
    closed_at: float


async def exceptions_about(
    store: Store, subjects: Collection[str], systems: Collection[str], what: str
) -> dict[str, Asked]:
    """The open exception of each subject, else the last one that a person closed.

    Of the audit's own only those that a person closed, and only those about `what`.
    """
    found: dict[str, Asked] = {}
    closed = sa.and_(exception.c.status.in_(_BY_A_PERSON), exception.c.closed_by != "counterfoil")
    others = sa.and_(exception.c.reason != DRIFT, sa.or_(exception.c.status == "open", closed))
    own = sa.and_(exception.c.operation == f"{DRIFT}.{what}", closed)
    async with store.read() as connection:
        for chunk in _chunks(subjects):
            rows = await connection.execute(
                sa.select(exception)
                .where(exception.c.subject.in_(chunk), exception.c.system.in_([*sorted(systems), "hub"]))
                .where(sa.or_(others, own))
                .order_by(exception.c.id)
            )
            for row in rows:
                known = found.get(row.subject)
                if known is None or known.status != "open":
                    found[row.subject] = Asked(row.id, row.status, row.reason, row.closed_at or 0.0)
    return found


async def links_at(store: Store, system: str, ids: Collection[str]) -> dict[str, str]:
    """The object at `system` of each canonical id that is linked there."""
    found: dict[str, str] = {}
    async with store.read() as connection:
        for chunk in _chunks(ids):
            rows = await connection.execute(
                sa.select(link.c.canonical_id, link.c.object_id).where(
                    link.c.system == system, link.c.canonical_id.in_(chunk)
                )
            )
            found |= {row.canonical_id: row.object_id for row in rows}
    return found


async def looked(store: Store, feeds: Mapping[tuple[str, str], float]) -> dict[tuple[str, str], float | None]:
    """When each feed (system, name → seconds between two looks) last began to look; None: nobody polls it now."""
    async with store.read() as connection:
        now = await store.clock(connection)
        rows = await connection.execute(sa.select(cursor).where(cursor.c.system.in_({system for system, _ in feeds})))
        known = {(row.system, row.feed): row for row in rows}
    found: dict[tuple[str, str], float | None] = {}
    for place, every in feeds.items():
        row = known.get(place)
        # a feed that is served is due again soon; one that has been due for long has nobody to poll it
        served = row is not None and row.next_at > now - max(15.0, every)
        found[place] = (row.ok_at or 0.0) if row is not None and served else None
    return found


# --- made even ------------------------------------------------------------------------------------------------------


async def take_news(
    store: Store,
    system: str,
    connector: Connector,
    processes: Mapping[str, Process],
    raws: Sequence[Raw],
) -> set[str]:
    """Take in what the hub knows otherwise, not at all, or cannot read; the object ids that were news."""
    async with store.read() as connection:
        rows = await connection.execute(
            sa.select(object_).where(
                object_.c.system == system, object_.c.object_id.in_(sorted({raw.object_id for raw in raws}))
            )
        )
        known = {
            (row.kind, row.object_id): records.Known(row.version, row.digest, row.state, row.stage) for row in rows
        }
    news = [raw for raw in raws if _is_news(connector, processes, known.get((raw.kind, raw.object_id)), raw)]
    async with store.write() as connection:
        await receipts.take(connection, store, [Arrival(system, "poll", raw) for raw in news])
    return {raw.object_id for raw in news}


def _is_news(connector: Connector, processes: Mapping[str, Process], known: records.Known | None, raw: Raw) -> bool:
    try:
        observed = connector.decode(raw)
    except BadPayload:  # an exception comes of it, as of any receipt
        return True
    return compare(known, observed.version, processes[observed.kind].digest(observed)) == "news"


async def tell_again(
    store: Store,
    blueprint: Blueprint,
    streams: Mapping[str, str],
    subject: str,
    types: Sequence[str],
    to: str,
    run: str,
) -> int:
    """Tell the system `to` again of the subject, by its newest event of each of these types; how many deliveries.

    Of what is a state (`*.changed`) the newest one known is told, as an event of its own with the audit's `run` for
    its cause and with `rewrite`: a shop is to be written though it carries the mark of what was last published.
    """
    async with store.write() as connection:
        states = [
            e for t in types if t.endswith(".changed") and (e := await _state(connection, store, subject, t, run))
        ]
        facts = [e for t in types if not t.endswith(".changed") and (e := await _newest(connection, subject, t))]
        events = [*await records.keep_events(connection, store, states), *facts]
        queued = [d for e in events for d in flows.deliveries(blueprint, streams, e) if d.system == to]
        still = await connection.execute(
            sa.select(delivery.c.event_id, delivery.c.operation).where(delivery.c.subject == subject)
        )
        waiting = {tuple(row) for row in still}
        queued = [
            dataclasses.replace(d, within=None)  # told again it keeps no promise, and breaks none
            for d in queued
            if (d.event_id, d.operation) not in waiting
        ]
        await lanes.enqueue(connection, store, queued)
    return len(queued)


async def _newest(connection: AsyncConnection, subject: str, type_: str) -> Event | None:
    mine = sa.select(event).where(event.c.subject == subject, event.c.type == type_)
    row = (await connection.execute(mine.order_by(event.c.recorded_at.desc(), event.c.id.desc()).limit(1))).first()
    return records.as_event(row) if row is not None else None


async def _state(connection: AsyncConnection, store: Store, subject: str, type_: str, run: str) -> Event | None:
    home, kind = subject.partition(":")[0], type_.partition(".")[0]
    mine = sa.and_(object_.c.canonical_id == subject, object_.c.system == home, object_.c.kind == kind)
    state = await connection.scalar(sa.select(object_.c.state).where(mine))
    if state is None:
        return None
    now = await store.clock(connection)
    return Event(
        id=event_id(home, type_, subject, run),
        type=type_,
        source=home,
        subject=subject,
        key=subject,
        time=at_utc(now),
        correlation=subject,
        causation=run,
        data={kind: state, "why": "told again by the drift audit", "rewrite": True},
    )


# --- exceptions -----------------------------------------------------------------------------------------------------


async def open_drift(store: Store, what: str, system: str) -> dict[str, int]:
    """The open exceptions of earlier audits at this system, by subject."""
    async with store.read() as connection:
        rows = await connection.execute(
            sa.select(exception.c.subject, exception.c.id).where(
                exception.c.status == "open",
                exception.c.reason == DRIFT,
                exception.c.operation == f"{DRIFT}.{what}",
                exception.c.system == system,
            )
        )
        return {row.subject: row.id for row in rows}


async def ask(
    store: Store, what: str, system: str, entries: Sequence[tuple[str, str, str]], owner: str, known: Collection[str]
) -> int:
    """One exception for each (subject, message, suggestion) that has none yet; how many were opened."""
    rows = [
        {
            **{"status": "open", "system": system, "operation": f"{DRIFT}.{what}", "subject": subject},
            **{"stream": "", "key": subject, "outcome": "rejected", "reason": DRIFT, "technical": ""},
            **{"message": message, "suggestion": suggestion, "owner": owner, "held": False},
        }
        for subject, message, suggestion in entries
        if subject not in known
    ]
    if rows:
        async with store.write() as connection:
            await connection.execute(sa.insert(exception).values(opened_at=store.now, created_at=store.now), rows)
    return len(rows)


async def is_even(store: Store, numbers: Collection[int]) -> None:
    """Close the exceptions of earlier audits about what is even, or explained, by now."""
    async with store.write() as connection:
        for chunk in _chunks([str(number) for number in numbers]):
            await connection.execute(
                sa.update(exception)
                .where(exception.c.id.in_([int(number) for number in chunk]), exception.c.status == "open")
                .values(
                    status="resolved", closed_at=store.now, closed_by="counterfoil", note="a later audit finds it even"
                )
            )


async def note(store: Store, who: str, run: str, detail: Mapping[str, Any]) -> None:
    """Keep in the audit log that an audit made things even, and how many."""
    async with store.write() as connection:
        await audit.note(connection, store, who, "drift.repair", run, detail)


def _chunks(texts: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(set(texts))
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]
