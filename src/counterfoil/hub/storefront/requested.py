"""What happened to an order, for its customer, and what became of what they asked for: from events and the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.schema import delivery_log, event


async def events_of(
    connection: AsyncConnection, subject: str, types: Sequence[str]
) -> list[tuple[str, str, float, Mapping[str, Any]]]:
    """(id, type, when in seconds, data) of the subject's events of these types, oldest first."""
    query = sa.select(event.c.id, event.c.type, event.c.time, event.c.data)
    query = query.where(event.c.subject == subject, event.c.type.in_(list(types)))
    rows = await connection.execute(query.order_by(event.c.recorded_at, event.c.id))
    return [(row.id, row.type, row.time, row.data) for row in rows]


async def given_up(connection: AsyncConnection, subject: str, events: Sequence[str]) -> set[str]:
    """Those events of the subject of which a person has said that nothing more is done."""
    closed = delivery_log.c.outcome.in_(["resolved", "skipped"])
    query = sa.select(delivery_log.c.event_id).where(delivery_log.c.subject == subject, closed)
    return set((await connection.execute(query.where(delivery_log.c.event_id.in_(list(events))))).scalars())
