"""What happens by the clock: polls, care and retention. Each fires once, however many processes have this role.

They take turns through the `cursor` table: who takes a turn writes its token there and moves the time it is due again.
A turn is renewed while its work lasts, so that the turn of a process that died is free again after `TURN` seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import sqlalchemy as sa
import structlog

from counterfoil.hub.schema import cursor
from counterfoil.hub.store import Store

log = structlog.get_logger()

TURN = 30.0
"""Seconds a turn lasts that is not renewed; as long as a worker's lease."""


@contextlib.asynccontextmanager
async def renewed(store: Store, system: str, name: str, token: str, turn: float = TURN) -> AsyncIterator[None]:
    """Keep the turn (as of `receipts.begin_poll`) as long as the block lasts."""
    task = asyncio.create_task(_renew(store, system, name, token, turn))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _renew(store: Store, system: str, name: str, token: str, turn: float) -> None:
    while True:
        await asyncio.sleep(turn / 4)
        try:
            async with store.write() as connection:
                await connection.execute(
                    sa.update(cursor)
                    .where(cursor.c.system == system, cursor.c.feed == name, cursor.c.token == token)
                    .values(next_at=store.now + turn)
                )
        except (OSError, sa.exc.SQLAlchemyError) as error:  # the next page, or the end, will find out whose turn it is
            log.warning("turn not renewed", system=system, name=name, error=type(error).__name__)
