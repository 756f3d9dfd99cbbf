"""Who guesses passwords has to wait, longer each time: by the name that is tried and by the address it comes from.

A try is counted before the password is looked at, so that many at once are counted as many. The waiting is the same
for a name that nobody has.
"""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.schema import sign_in_failure
from counterfoil.hub.store import Store

FREE = {"user": 5, "address": 50}
"""So many tries in a row without waiting. Many people may come from one address."""
FIRST, LONGEST = 15.0, 900.0
"""Seconds to wait after one try more than is free, twice as long after each further one; and the longest."""


def pause(tries: int, free: int) -> float:
    """Seconds to wait after so many tries in a row."""
    return 0.0 if tries <= free else min(LONGEST, FIRST * 2.0 ** min(tries - free - 1, 16))


async def count_try(store: Store, login: str, address: str) -> float:
    """Count one, unless there is still to wait: for so many seconds, and then nothing may be looked at."""
    async with store.write() as connection:
        rows = [(free, await _locked(connection, store, key)) for key, free in _keys(login, address)]
        now = await store.clock(connection)
        wait: float = max(0.0, *(row.until - now for _, row in rows))
        for free, row in rows if not wait else []:
            pausing = pause(row.n + 1, free)
            values = {"n": row.n + 1, "until": now + pausing if pausing else 0.0, "at": now}
            mine = sign_in_failure.c.key == row.key
            await connection.execute(sa.update(sign_in_failure).where(mine).values(values))
    return wait


async def _locked(connection: AsyncConnection, store: Store, key: str) -> sa.Row[tuple[str, int, float]]:
    new = store.insert(sign_in_failure).values(key=key, n=0, until=0.0, at=store.now)
    kept = new.on_conflict_do_update(index_elements=["key"], set_={"n": sign_in_failure.c.n})
    columns = (sign_in_failure.c.key, sign_in_failure.c.n, sign_in_failure.c.until)
    return (await connection.execute(kept.returning(*columns))).one()


async def forget(connection: AsyncConnection, login: str, address: str) -> None:
    """It was them: their name begins anew, and of the address this try does not count."""
    for key, free in _keys(login, address):
        n = 0 if free == FREE["user"] else sa.case((sign_in_failure.c.n > 0, sign_in_failure.c.n - 1), else_=0)
        mine = sign_in_failure.c.key == key
        await connection.execute(sa.update(sign_in_failure).where(mine).values(n=n, until=0.0))


def _keys(login: str, address: str) -> list[tuple[str, int]]:
    """By what a try is counted, and how often it is free; in one order, or two tries could wait for each other."""
    said = {"user": login, "address": address}
    return sorted((hashlib.sha256(f"{kind}:{said[kind]}".encode()).hexdigest(), free) for kind, free in FREE.items())
