"""What is written beside the lanes: objects, events and their search keys, links, the log of deliveries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub import meters
from counterfoil.hub.claiming import Work
from counterfoil.hub.contract import Outcome
from counterfoil.hub.schema import delivery_log, event, event_ref, link, object_, search_key, seen
from counterfoil.hub.store import Store, as_json
from counterfoil.retail.events import Event, at_utc


@dataclass(frozen=True, slots=True)
class Known:
    """An object as it was last known."""

    version: str
    digest: str
    state: dict[str, Any]
    stage: str


def state_digest(state: BaseModel, leave_out: Iterable[str] = ()) -> str:
    """The fingerprint of a state's content, whatever the order of its keys."""
    content = state.model_dump(mode="json", exclude=set(leave_out))
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


async def known_objects(
    connection: AsyncConnection, keys: Iterable[tuple[str, str, str]]
) -> dict[tuple[str, str, str], Known]:
    """The last known state of each (system, kind, object id), locked in sorted order until the transaction ends.

    Objects are locked before lanes, everywhere: who compares with a state must not write over a newer one.
    """
    place = (object_.c.system, object_.c.kind, object_.c.object_id)
    rows = await connection.execute(
        sa.select(object_).where(sa.tuple_(*place).in_(list(set(keys)))).order_by(*place).with_for_update()
    )
    return {(r.system, r.kind, r.object_id): Known(r.version, r.digest, r.state, r.stage) for r in rows}


async def states_of(connection: AsyncConnection, kind: str, ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """The last known states of the objects of this kind with these canonical ids; unknown ones are absent."""
    if not (wanted := sorted(set(ids))):
        return {}
    mine = (object_.c.kind == kind, object_.c.canonical_id.in_(wanted))
    rows = await connection.execute(sa.select(object_.c.canonical_id, object_.c.state).where(*mine))
    return {row.canonical_id: row.state for row in rows}


async def keep_objects(
    connection: AsyncConnection, store: Store, objects: Mapping[tuple[str, str, str], tuple[Known, str]]
) -> None:
    """Write what is now known of each (system, kind, object id), and its canonical id."""
    rows = [
        {
            **{"system": system, "kind": kind, "object_id": object_id, "canonical_id": canonical_id},
            **{"version": known.version, "digest": known.digest, "stage": known.stage, "state": as_json(known.state)},
        }
        for (system, kind, object_id), (known, canonical_id) in sorted(objects.items(), key=lambda o: o[0])
    ]
    await store.each(connection, _object, rows)


def _object(store: Store) -> sa.Insert:
    named = ("system", "kind", "object_id", "canonical_id", "version", "digest", "stage", "state")
    statement = store.insert(object_).values({n: sa.bindparam(n) for n in named} | {"updated_at": store.now})
    newer = {c.name: c for c in statement.excluded if not c.primary_key}
    return statement.on_conflict_do_update(index_elements=["system", "kind", "object_id"], set_=newer)  # type: ignore[no-any-return]


async def keep_seen(connection: AsyncConnection, store: Store, rows: Mapping[tuple[str, str], str]) -> None:
    """Remember the digest of the body last decoded, by (system, object key)."""
    await store.each(connection, _seen, [{"system": s, "key": k, "digest": d} for (s, k), d in sorted(rows.items())])


def _seen(store: Store) -> sa.Insert:
    statement = store.insert(seen).values({n: sa.bindparam(n) for n in ("system", "key", "digest")} | {"at": store.now})
    newer = {"digest": statement.excluded.digest, "at": statement.excluded.at}
    return statement.on_conflict_do_update(index_elements=["system", "key"], set_=newer)  # type: ignore[no-any-return]


async def keep_events(connection: AsyncConnection, store: Store, events: Sequence[Event]) -> list[Event]:
    """Write events and their search keys; those already there are left out. Returns the new ones."""
    if not events:
        return []
    each = {e.id: e for e in events}
    # asking first would leave a gap: another worker may be about to commit the same event
    statement = store.insert(event).values(recorded_at=store.now).on_conflict_do_nothing().returning(event.c.id)
    rows = await connection.execute(
        statement,
        [
            {
                **e.model_dump(mode="json", exclude={"time", "refs"}),
                "time": e.time.timestamp(),
            }
            for e in each.values()
        ],
    )
    kept = set(rows.scalars())
    new = [e for e in each.values() if e.id in kept]
    for e in new:
        meters.EVENTS.add(e.source, e.type)
    refs = [{"kind": kind, "value": value, "event_id": e.id} for e in new for kind, value in dict.fromkeys(e.refs)]
    if refs:  # of an event that was purged they may still be there
        await connection.execute(store.insert(event_ref).on_conflict_do_nothing(), refs)
    await store.each(connection, _search_key, search_keys(new))
    return new


def search_keys(events: Sequence[Event]) -> list[dict[str, str]]:
    """What people find the subjects of these events by, each once: the events' refs, and the id in their own name.

    In sorted order, or two transactions that tell of the same things could wait for each other.
    """
    keys: dict[tuple[str, str, str], str] = {}
    for e in events:
        _, _, rest = e.subject.partition(":")
        thing, _, own = rest.partition(":")
        if own:
            for kind, value in (*e.refs, ("id", own)):
                keys.setdefault((thing, value.lower(), e.subject), kind)
    return [
        {"thing": thing, "value": value, "subject": subject, "kind": kind}
        for (thing, value, subject), kind in sorted(keys.items())
    ]


def _search_key(store: Store) -> sa.Insert:
    given: dict[str, Any] = {name: sa.bindparam(name) for name in ("thing", "value", "subject", "kind")}
    return store.insert(search_key).values(given | {"at": store.now}).on_conflict_do_nothing()  # type: ignore[no-any-return]


def as_event(row: Any) -> Event:
    """The event that was kept as this row; its search keys stand elsewhere."""
    names = ("id", "type", "source", "subject", "key", "correlation", "causation", "data")
    return Event(time=at_utc(row.time), **{name: getattr(row, name) for name in names})


async def keep_links(connection: AsyncConnection, store: Store, system: str, ids: Mapping[str, str]) -> None:
    """The same things in another system: its ids by canonical id."""
    if not ids:
        return
    statement = store.insert(link).values(
        canonical_id=sa.bindparam("b_canonical"), system=system, object_id=sa.bindparam("b_object"), since=store.now
    )
    statement = statement.on_conflict_do_update(
        index_elements=["canonical_id", "system"], set_={"object_id": statement.excluded.object_id}
    )
    # in sorted order, or two transactions that link the same things could wait for each other
    await connection.execute(statement, [{"b_canonical": k, "b_object": v} for k, v in sorted(ids.items())])


async def keep_log(
    connection: AsyncConnection,
    store: Store,
    worker: str,
    started_at: float,
    entries: Sequence[tuple[Work, Outcome]],
) -> None:
    """One line a delivery tried: what was done, what came of it."""
    rows = [
        {
            "delivery_id": work.id,
            "event_id": work.event_id,
            "receipt_id": work.receipt_id,
            "system": work.lane[0],
            "operation": work.operation,
            "subject": work.subject,
            "attempt": work.attempt,
            "outcome": outcome.kind.value,
            "reason": outcome.reason,
            "detail": _detail(outcome),
            "created_at": work.created_at,
            "promise_by": work.promise_by,
            "started_at": started_at,
            "worker": worker,
        }
        for work, outcome in entries
    ]
    await store.each(connection, _into_log, rows)


_LOGGED = (
    *("delivery_id", "event_id", "receipt_id", "system", "operation", "subject", "attempt", "outcome", "reason"),
    *("detail", "created_at", "promise_by", "started_at", "worker"),
)


def _into_log(store: Store) -> sa.Insert:
    return sa.insert(delivery_log).values({n: sa.bindparam(n) for n in _LOGGED} | {"ended_at": store.now})


def _detail(outcome: Outcome) -> str:
    words = {"message": outcome.message, "technical": outcome.technical, "result": dict(outcome.result)}
    return as_json({name: value for name, value in words.items() if value})
