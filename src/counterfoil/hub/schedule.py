"""What happens by the clock: polls, care and retention. Each fires once, however many processes have this role.

They take turns through the `cursor` table: who takes a turn writes its token there and moves the time it is due again.
A turn is renewed while its work lasts, so that the turn of a process that died is free again after `TURN` seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import sqlalchemy as sa
import structlog

from counterfoil.hub import receipts
from counterfoil.hub.schema import cursor
from counterfoil.hub.store import Store

log = structlog.get_logger()

TURN = 30.0
"""Seconds a turn lasts that is not renewed; as long as a worker's lease."""
AGAIN = 300.0
"""Seconds at most until what broke or was cut off is due again, however seldom it is."""
CARE, DOCTOR, VERSIONS = "care", "doctor", "versions"
NO_FEEDS = (CARE, DOCTOR, VERSIONS)
"""Turns at a system that read nothing of what it knows."""


T = TypeVar("T")


async def in_turn(
    store: Store, place: tuple[str, str], work: Callable[[], Awaitable[T | None]], every: float, turn: float = TURN
) -> T | None:
    """Do `work` if it is due at `place` (system, name), and make it due again in `every` seconds, or in `AGAIN` if that
    is sooner and it was not done: it was cut off, raised, or gave None.

    None if it is not due, or somebody else's turn. Raises what `work` and the store raised.
    """
    token = secrets.token_hex(8)
    if await receipts.begin_poll(store, *place, token, turn) is None:
        return None
    result: T | None = None
    try:
        async with renewed(store, *place, token, turn):
            result = await work()
        return result
    finally:
        with contextlib.suppress(OSError, sa.exc.SQLAlchemyError):  # then the turn runs out by itself
            done = result is not None
            again = every if done else min(every, AGAIN)
            await asyncio.shield(receipts.end_poll(store, *place, token, again, ok=done))


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
