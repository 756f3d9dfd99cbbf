"""After an older state of the store is back: what the systems have done since is read again.

The cursors of the polls come from the same moment as everything else in a backup, so the polls go on from there by
themselves. What they cannot know is a change that reached the shop's list only after they had passed it, and whose
webhook is lost with the newer state: so each begins a little earlier. What is read twice is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from counterfoil.hub.access import audit
from counterfoil.hub.schema import cursor
from counterfoil.hub.store import Store

SINCE = "since"
"""The key of a feed's cursor that says from when on it reads, in ISO 8601. A cursor without it is left as it is."""


async def rewind(
    store: Store, overlaps: Mapping[str, timedelta], after: datetime | None = None, who: str = "", dry_run: bool = False
) -> dict[tuple[str, str], str]:
    """Let the feeds of these systems begin their overlap earlier, and before `after` in any case; all are due at once.

    From when on each (system, feed) reads now. Nobody may be serving meanwhile.
    """
    found: dict[tuple[str, str], str] = {}
    async with store.write() as connection:
        rows = await connection.execute(
            sa.select(cursor).where(cursor.c.system.in_(overlaps)).order_by(cursor.c.system, cursor.c.feed)
        )
        for row in rows.all():
            value = _earlier(row.value, overlaps[row.system], after)
            found[row.system, row.feed] = str(value.get(SINCE, ""))
            if not dry_run:
                mine = sa.and_(cursor.c.system == row.system, cursor.c.feed == row.feed)
                await connection.execute(sa.update(cursor).where(mine).values(value=value, next_at=0.0, token=None))
        if not dry_run:
            detail = {"after": after.isoformat() if after else ""}
            await audit.note(connection, store, who, "restore", detail=detail)
    return {place: since for place, since in found.items() if since}


def _earlier(value: Mapping[str, Any], overlap: timedelta, after: datetime | None) -> dict[str, Any]:
    try:
        since = datetime.fromisoformat(str(value[SINCE]))
    except (KeyError, ValueError):
        return dict(value)
    since = since.replace(tzinfo=UTC) if since.tzinfo is None else since.astimezone(UTC)
    earlier = min(since, after or since) - overlap
    return {**value, SINCE: earlier.isoformat().replace("+00:00", "Z")}
