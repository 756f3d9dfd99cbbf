"""Replay: past events are handed to the present flows once more, and receipts to the present decoder.

Nothing is invented: the events stay as they are, and every operation is idempotent and sees the newest state. What is
still unfinished in its lane is left alone; what is emitted again has the id it had, and goes no further. How a replay
is carried out, a chunk at a time, is in `replays`.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint import Blueprint
from counterfoil.hub import flows, lanes, records
from counterfoil.hub.lanes import DECODE, NewDelivery
from counterfoil.hub.receipts import object_key
from counterfoil.hub.schema import delivery, event, receipt
from counterfoil.hub.store import Store, as_json

CHUNK = 500
"""Events looked at in one transaction."""
SAMPLE = 10


@dataclass(frozen=True, slots=True)
class Choice:
    """Which deliveries: of events of these types, about this subject, told by `source`, recorded in [since, until).

    `system` and `operations` (`web-eu.publish_stock`) are where it would be done; `newest_only` takes the last event
    of each type and subject. What is left out does not narrow the choice.
    """

    types: tuple[str, ...] = ()
    subject: str = ""
    source: str = ""
    system: str = ""
    operations: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    newest_only: bool = False

    @property
    def name(self) -> str:
        """A digest: the same choice has the same."""
        return hashlib.sha256(as_json(self.as_dict()).encode()).hexdigest()[:24]

    def as_dict(self) -> dict[str, Any]:
        """What narrows it, as JSON has it; moments in UTC, in which all who mean the same say the same."""
        said = {name: value for name, value in asdict(self).items() if value}
        return {
            n: v.astimezone(UTC).isoformat() if isinstance(v, datetime) else list(v) if isinstance(v, tuple) else v
            for n, v in said.items()
        }

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Choice:
        """The choice of `as_dict`."""
        made: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in said.items()}
        made |= {n: datetime.fromisoformat(made[n]) for n in ("since", "until") if n in made}
        return cls(**made)


@dataclass(slots=True)
class Plan:
    """What a run would do: how many events and deliveries, of which types and operations, the first few subjects.

    `unfinished` are deliveries that are left out because they are still on their way.
    """

    events: int = 0
    deliveries: int = 0
    unfinished: int = 0
    by_type: Counter[str] = field(default_factory=Counter)
    by_operation: Counter[str] = field(default_factory=Counter)
    sample: list[str] = field(default_factory=list)


async def plan(store: Store, blueprint: Blueprint, streams: Mapping[str, str], choice: Choice) -> Plan:
    """The dry run: nothing is changed. `streams` as of `worker.streams_of`."""
    found, place = Plan(), (0.0, "")
    while True:
        async with store.read() as connection:
            rows = await following(connection, choice, place, CHUNK)
            new, unfinished = await due(connection, blueprint, streams, choice, rows)
        if not rows:
            return found
        place = (rows[-1].recorded_at, rows[-1].id)
        concerned = {d.event_id for d in new}
        types = {r.id: r.type for r in rows if r.id in concerned}
        found.events += len(types)
        found.deliveries += len(new)
        found.unfinished += unfinished
        found.by_type.update(types.values())
        found.by_operation.update(f"{d.system}.{d.operation}" for d in new)
        fresh = dict.fromkeys(d.subject for d in new if d.subject not in found.sample)
        found.sample += list(fresh)[: SAMPLE - len(found.sample)]


async def following(
    connection: AsyncConnection, choice: Choice, place: tuple[float, str], most: int, keep: bool = False
) -> Sequence[Any]:
    """The next events of the choice behind `place`, in the order in which they were recorded.

    `keep`: none of them can be purged before the end of the transaction.
    """
    statement = (
        sa.select(event)
        .where(sa.tuple_(event.c.recorded_at, event.c.id) > sa.tuple_(sa.literal(place[0]), sa.literal(place[1])))
        .order_by(event.c.recorded_at, event.c.id)
        .limit(most)
    )
    if choice.types:
        statement = statement.where(event.c.type.in_(choice.types))
    if choice.subject:
        statement = statement.where(event.c.subject == choice.subject)
    if choice.source:
        statement = statement.where(event.c.source == choice.source)
    if choice.since:
        statement = statement.where(event.c.recorded_at >= choice.since.timestamp())
    if choice.until:
        statement = statement.where(event.c.recorded_at < choice.until.timestamp())
    if choice.newest_only:
        newer = event.alias("newer")
        later = sa.tuple_(newer.c.recorded_at, newer.c.id) > sa.tuple_(event.c.recorded_at, event.c.id)
        same = sa.and_(newer.c.type == event.c.type, newer.c.subject == event.c.subject)
        statement = statement.where(~sa.exists().where(same, later))
    if keep:
        statement = statement.with_for_update(read=True, of=event)
    return (await connection.execute(statement)).all()


async def due(
    connection: AsyncConnection, blueprint: Blueprint, streams: Mapping[str, str], choice: Choice, rows: Sequence[Any]
) -> tuple[list[NewDelivery], int]:
    """The deliveries of these events by the present flows, and how many of them are still on their way."""
    queued = [
        dataclasses.replace(d, within=None)  # a replay keeps no promise, and breaks none
        for row in rows
        for d in flows.deliveries(blueprint, streams, records.as_event(row))
        if choice.system in ("", d.system)
        and (not choice.operations or f"{d.system}.{d.operation}" in choice.operations)
    ]
    subjects = sorted({d.subject for d in queued})
    waiting = await connection.execute(
        sa.select(delivery.c.event_id, delivery.c.system, delivery.c.operation).where(delivery.c.subject.in_(subjects))
    )
    still = {(r.event_id, r.system, r.operation) for r in waiting}
    new = [d for d in queued if (d.event_id, d.system, d.operation) not in still]
    return new, len(queued) - len(new)


async def decode_again(store: Store, system: str, kind: str = "", object_id: str = "") -> int:
    """Hand the newest receipt of each object to the decoder once more, if its body is still kept; how many there were.

    What it reads as it did before is dropped as a duplicate; after a mended decoder the difference becomes events.
    """
    newest = sa.select(sa.func.max(receipt.c.id)).where(receipt.c.system == system, sa.func.length(receipt.c.body) > 0)
    newest = newest.where(receipt.c.kind == kind) if kind else newest
    newest = newest.where(receipt.c.object_id == object_id) if object_id else newest
    newest = newest.group_by(receipt.c.kind, receipt.c.object_id)
    queued, last = 0, 0
    while True:
        async with store.write() as connection:
            chosen = await connection.execute(
                sa.select(receipt.c.id, receipt.c.kind, receipt.c.object_id)
                .where(receipt.c.id.in_(newest), receipt.c.id > last)
                .order_by(receipt.c.id)
                .limit(CHUNK)
                .with_for_update(read=True)  # so that none is purged meanwhile
            )
            rows = chosen.all()
            if not rows:
                return queued
            last = rows[-1].id
            still = await connection.execute(
                sa.select(delivery.c.receipt_id).where(delivery.c.receipt_id.in_([r.id for r in rows]))
            )
            waiting = set(still.scalars())
            new = [_decoding(system, r) for r in rows if r.id not in waiting]
            await lanes.enqueue(connection, store, new)
            queued += len(new)


def _decoding(system: str, row: Any) -> NewDelivery:
    key = object_key(row.kind, row.object_id)
    subject = f"{system}:{key}"
    return NewDelivery(system, DECODE, key, DECODE, subject, receipt_id=row.id, on_exception="pass")
