"""What an event was caused by, and what its order is by now, for those who follow what orders claim of stock."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.schema import event
from counterfoil.retail.events import Event

STALE: Mapping[str, Any] = {}
"""The cause of what was done for an earlier life of an order, which was given up and placed anew since."""

Told = Mapping[str, Any]


async def causes_of(
    connection: AsyncConnection, events: Sequence[Event], sales: Collection[str], but: Collection[str]
) -> tuple[dict[str, Told | None], dict[str, Told]]:
    """What each event was caused by, by the event's id: its data; None where that is not known; STALE. And the data of
    the newest event of one of the types `sales` of each subject, of those with none of the ids `but`."""
    subjects, ids = {e.subject for e in events}, {e.causation for e in events if e.causation}
    rows = (
        await connection.execute(
            sa.select(event.c.id, event.c.subject, event.c.type, event.c.recorded_at, event.c.data)
            .where(event.c.subject.in_(sorted(subjects)), sa.or_(event.c.type.in_(sorted(sales)), event.c.id.in_(ids)))
            .order_by(event.c.recorded_at, event.c.time, event.c.id)
        )
    ).all()
    by_id = {row.id: row for row in rows}
    placed = {row.subject: row for row in rows if row.type == "order.placed"}
    newest = {row.subject: row.data for row in rows if row.type in sales and row.id not in but}
    found: dict[str, Told | None] = {}
    for each in events:
        cause, last = by_id.get(each.causation or ""), placed.get(each.subject)
        earlier = cause is not None and last is not None and cause.recorded_at < last.recorded_at
        found[each.id] = None if cause is None else STALE if earlier else cause.data
    return found, newest
