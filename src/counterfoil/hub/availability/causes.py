"""What an event was caused by, for those who follow what orders claim of stock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.schema import event
from counterfoil.retail.events import Event

STALE: Mapping[str, Any] = {}
"""The cause of what was done for an earlier life of an order, which was given up and placed anew since."""


async def causes_of(connection: AsyncConnection, events: Sequence[Event]) -> dict[str, Mapping[str, Any] | None]:
    """What each event was caused by, by the event's id: its data; None where that is not known; STALE."""
    subjects, ids = {e.subject for e in events}, {e.causation for e in events if e.causation}
    if not ids:
        return {e.id: None for e in events}
    rows = (
        await connection.execute(
            sa.select(event.c.id, event.c.subject, event.c.type, event.c.recorded_at, event.c.data).where(
                event.c.subject.in_(sorted(subjects)), sa.or_(event.c.type == "order.placed", event.c.id.in_(ids))
            )
        )
    ).all()
    by_id = {row.id: row for row in rows}
    placed: dict[str, Any] = {}
    for row in sorted((row for row in rows if row.type == "order.placed"), key=lambda row: row.recorded_at):
        placed[row.subject] = row
    found: dict[str, Mapping[str, Any] | None] = {}
    for each in events:
        cause, last = by_id.get(each.causation or ""), placed.get(each.subject)
        earlier = cause is not None and last is not None and cause.recorded_at < last.recorded_at
        found[each.id] = None if cause is None else STALE if earlier else cause.data
    return found
