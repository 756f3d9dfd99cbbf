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

from counterfoil.hub.claiming import Work
from counterfoil.hub.contract import Observed, Outcome
from counterfoil.hub.schema import delivery_log, event, event_ref, link, object_, seen
from counterfoil.hub.store import Store
from counterfoil.retail.events import Event


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


async def keep_object(
    connection: AsyncConnection, store: Store, system: str, observed: Observed, digest: str, stage: str
) -> None:
    """Write the object's state as the last known one."""
    values = {
        "version": observed.version,
        "digest": digest,
        "state": observed.state.model_dump(mode="json"),
        "canonical_id": observed.state.canonical_id,
        "stage": stage,
        "updated_at": store.now,
    }
    statement = store.insert(object_).values(system=system, kind=observed.kind, object_id=observed.object_id, **values)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["system", "kind", "object_id"], set_=values)
    )


async def keep_seen(connection: AsyncConnection, store: Store, rows: Mapping[tuple[str, str], str]) -> None:
    """Remember the digest of the body last decoded, by (system, object key)."""
    if not rows:
        return
    statement = store.insert(seen).values(
        system=sa.bindparam("b_system"), key=sa.bindparam("b_key"), digest=sa.bindparam("b_digest"), at=store.now
    )
    statement = statement.on_conflict_do_update(
        index_elements=["system", "key"], set_={"digest": statement.excluded.digest, "at": statement.excluded.at}
    )
    await connection.execute(
        statement, [{"b_system": s, "b_key": k, "b_digest": d} for (s, k), d in sorted(rows.items())]
    )


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
    refs = [{"kind": kind, "value": value, "event_id": e.id} for e in new for kind, value in dict.fromkeys(e.refs)]
    if refs:
        await connection.execute(sa.insert(event_ref), refs)
    return new


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


async def links(connection: AsyncConnection, system: str, canonical_ids: Iterable[str]) -> dict[str, str]:
    """Ids in `system` by canonical id."""
    rows = await connection.execute(
        sa.select(link.c.canonical_id, link.c.object_id).where(
            link.c.system == system, link.c.canonical_id.in_(list(canonical_ids))
        )
    )
    return {r.canonical_id: r.object_id for r in rows}


async def keep_log(
    connection: AsyncConnection,
    store: Store,
    worker: str,
    started_at: float,
    entries: Sequence[tuple[Work, Outcome]],
) -> None:
    """One line a delivery tried: what was done, what came of it."""
    if not entries:
        return
    await connection.execute(
        sa.insert(delivery_log).values(ended_at=store.now),
        [
            {
                "delivery_id": work.id,
                "event_id": work.event_id,
                "receipt_id": work.receipt_id,
                "system": work.lane[0],
                "operation": work.operation,
                "subject": work.subject,
                "attempt": work.attempt,
                "outcome": str(outcome.kind),
                "reason": outcome.reason,
                "detail": _detail(outcome),
                "created_at": work.created_at,
                "promise_by": work.promise_by,
                "started_at": started_at,
                "worker": worker,
            }
            for work, outcome in entries
        ],
    )


def _detail(outcome: Outcome) -> dict[str, Any]:
    words = {"message": outcome.message, "technical": outcome.technical, "result": dict(outcome.result)}
    return {name: value for name, value in words.items() if value}
