"""Restating: what an object said at an earlier moment is told again in place of what it says now.

The object is then known so, and by the same flows the other systems are told. It holds until its own system tells
something new of it: Counterfoil owns nothing, so there it has to be put right too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from counterfoil.blueprint import Blueprint
from counterfoil.hub import flows, lanes, records
from counterfoil.hub.access import audit
from counterfoil.hub.decode import Process
from counterfoil.hub.schema import event, object_
from counterfoil.hub.store import Store
from counterfoil.retail.entity import Entity
from counterfoil.retail.events import Event, at_utc

CHUNK = 200
"""Objects looked at, and restated, in one transaction."""

Blend = Callable[[Any, Any], Entity]
"""The state to be told, of (now, then)."""
Tell = Callable[[str, str, Entity, datetime, tuple[str, ...]], Event]
"""The event of (system, kind, state, time, identity)."""


@dataclass(frozen=True, slots=True)
class Restated:
    """An object, how it is known now, and how it is to be told."""

    object_id: str
    now: Entity
    wanted: Entity
    version: str


async def plan(
    store: Store, system: str, kind: str, then: datetime, blend: Blend, model: type[Entity]
) -> list[Restated]:
    """What would be restated as it was known at `then`; objects of which nothing earlier is kept are left out."""
    type_ = f"{kind}.changed"
    earlier = (
        sa.select(event.c.data)
        .where(event.c.subject == object_.c.canonical_id, event.c.type == type_, event.c.source == system)
        .where(event.c.recorded_at <= then.timestamp())
        .order_by(event.c.recorded_at.desc(), event.c.id)
        .limit(1)
        .scalar_subquery()
    )
    found: list[Restated] = []
    last = ""
    while True:
        wanted = (object_.c.system == system, object_.c.kind == kind, object_.c.object_id > last)
        async with store.read() as connection:
            rows = await connection.execute(
                sa.select(object_.c.object_id, object_.c.state, object_.c.version, sa.type_coerce(earlier, sa.JSON))
                .where(*wanted, object_.c.updated_at > then.timestamp())
                .order_by(object_.c.object_id)
                .limit(CHUNK)
            )
            page = rows.all()
        for object_id, state, version, data in page:
            now = model.model_validate(state)
            before = model.model_validate(data[kind]) if data else None
            if before is not None and (told := blend(now, before)) != now:
                found.append(Restated(object_id, now, told, version))
        if len(page) < CHUNK:
            return found
        last = page[-1].object_id


async def restate(
    store: Store,
    blueprint: Blueprint,
    streams: Mapping[str, str],
    process: Process,
    tell: Tell,
    place: tuple[str, str],
    planned: Sequence[Restated],
    who: str,
    why: str,
    tick: Callable[[int], None] = lambda _n: None,
) -> int:
    """Tell the planned states of objects at `place` (system, kind); how many.

    One that has become known otherwise since the plan is left alone.
    """
    system, kind = place
    done = 0
    for start in range(0, len(planned), CHUNK):
        chunk = {r.object_id: r for r in planned[start : start + CHUNK]}
        async with store.write() as connection:
            clock = at_utc(await store.clock(connection))
            kept: dict[tuple[str, str, str], tuple[records.Known, str]] = {}
            events: list[Event] = []
            for key, known in (await records.known_objects(connection, [(*place, id_) for id_ in chunk])).items():
                one = chunk[key[2]]
                if (known.version, known.state) != (one.version, one.now.model_dump(mode="json")):
                    continue
                state, stage = one.wanted.model_dump(mode="json"), str(1 + int(known.stage or 0))
                digest = records.state_digest(one.wanted, process.ignore)
                kept[key] = (replace(known, state=state, digest=digest, stage=stage), one.wanted.canonical_id)
                event_ = tell(system, kind, one.wanted, clock, (known.version, stage))
                events.append(event_.model_copy(update={"data": {**event_.data, "restated": {"by": who, "why": why}}}))
            await records.keep_objects(connection, store, kept)
            new = await records.keep_events(connection, store, events)
            await lanes.enqueue(connection, store, [d for e in new for d in flows.deliveries(blueprint, streams, e)])
            detail = {"objects": len(new), "why": why}
            await audit.note(connection, store, who, "restated", f"{system}:{kind}", detail)
        done += len(new)
        tick(len(chunk))
    return done
