"""How soon somebody acts: what nobody has acted on or acknowledged by its time goes to the next owner, once a step.

The time is reckoned when an exception is first seen here, and anew at each step, in the open hours of the declared
calendar. Rows are locked before they are judged, so that a step is made once, however many processes look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint import Blueprint
from counterfoil.blueprint.calendars import Hours
from counterfoil.hub.access import audit
from counterfoil.hub.schema import exception
from counterfoil.hub.store import Store
from counterfoil.hub.waiting import repeat

log = structlog.get_logger()

EVERY = 10.0
"""Seconds between two looks."""
BATCH = 200
NEVER = 9e12
"""`respond_by` of what goes to nobody else: nothing is declared for it, or nobody is next."""
WHO = "counterfoil"


def respond_by(blueprint: Blueprint, reason: str, outcome: str, owner: str, since: float) -> float:
    """When an exception goes to the next owner if nobody acts, in seconds since the epoch; NEVER: not at all."""
    rules = blueprint.exceptions
    seconds = rules.seconds_for(reason, outcome, owner)
    if seconds is None or rules.after(owner) is None:
        return NEVER
    hours: Hours | None = blueprint.calendars[rules.calendar].hours if rules.calendar else None
    return hours.add(since, seconds) if hours else since + seconds


async def look(store: Store, blueprint: Blueprint) -> int:
    """Reckon the time of what is new, and pass on what is late; how many were passed on."""
    if not blueprint.exceptions.respond_within:
        return 0
    x, passed = exception.c, 0
    due = sa.or_(x.respond_by.is_(None), sa.and_(x.respond_by < store.now, x.acknowledged_at.is_(None)))
    mine = (x.status == "open", due)
    while True:
        async with store.read() as connection:  # on SQLite nobody has to wait for a look that finds nothing
            if await connection.scalar(sa.select(x.id).where(*mine).limit(1)) is None:
                return passed
        async with store.write() as connection:
            wanted = sa.select(exception).where(*mine).order_by(x.id).limit(BATCH)
            rows = (await connection.execute(wanted.with_for_update(skip_locked=True))).all()
            if not rows:
                return passed  # another process has them in hand
            passed += await _step(connection, store, blueprint, rows)


async def _step(connection: AsyncConnection, store: Store, blueprint: Blueprint, rows: Sequence[Any]) -> int:
    now = await store.clock(connection)
    acts: list[audit.Act] = []
    for row in rows:
        owner, since = row.owner, row.opened_at
        if row.respond_by is not None:
            owner, since = blueprint.exceptions.after(row.owner) or row.owner, now  # the rules may have changed
        values: dict[str, Any] = {"respond_by": respond_by(blueprint, row.reason, row.outcome, owner, since)}
        if owner != row.owner:
            values |= {"owner": owner, "step": row.step + 1}
            acts.append(("exception.escalated", row.subject, {"id": row.id, "from": row.owner, "to": owner}))
        await connection.execute(sa.update(exception).where(exception.c.id == row.id).values(values))
    await audit.note_all(connection, store, WHO, acts)
    if acts:
        log.warning("exceptions passed on to the next owner", count=len(acts))
    return len(acts)


async def run(store: Store, blueprint: Blueprint, stop: asyncio.Event, every: float = EVERY) -> None:
    """Look every so many seconds until `stop`."""
    await repeat(lambda: look(store, blueprint), every, stop, "cannot look at response times")
