"""The state of each system, in the store and so shared by all workers: reachable, down until, paused and why."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.contract import Kind, Outcome
from counterfoil.hub.retry import BREAKER_CAP, BREAKER_FIRST, backoff
from counterfoil.hub.schema import pace, system_state
from counterfoil.hub.store import Store


@dataclass(frozen=True, slots=True)
class Closed:
    """A system that is not called now. `wait` is for how many seconds still; below zero: try one call."""

    failures: int
    wait: float
    outcome: str
    reason: str
    message: str
    since: float


async def closed(store: Store) -> dict[str, Closed]:
    """The systems whose last call failed as a whole; the others are fine."""
    async with store.read() as connection:
        rows = await connection.execute(
            sa.select(system_state, (system_state.c.open_until - store.now).label("wait")).where(
                system_state.c.failures > 0
            )
        )
        return {r.system: Closed(r.failures, r.wait, r.outcome, r.reason, r.message, r.since) for r in rows}


async def close_system(connection: AsyncConnection, store: Store, system: str, outcome: Outcome) -> float:
    """Stop calling the system; for how many seconds. Its lanes park, nothing is counted against them."""
    failures = 1 + (
        await connection.scalar(sa.select(system_state.c.failures).where(system_state.c.system == system)) or 0
    )
    if outcome.kind is Kind.THROTTLED and outcome.until is not None:
        clock = await connection.scalar(sa.select(store.now)) or 0.0
        wait = max(0.1, outcome.until.timestamp() - clock)
    elif outcome.kind is Kind.MISCONFIGURED:
        wait = BREAKER_CAP
    else:
        wait = backoff(failures, BREAKER_FIRST, BREAKER_CAP)
    values = {
        "failures": failures,
        "outcome": str(outcome.kind),
        "reason": outcome.reason,
        "message": outcome.message,
    }
    until = store.now + wait
    statement = store.insert(system_state).values(system=system, since=store.now, open_until=until, **values)
    since = sa.case((system_state.c.failures > 0, system_state.c.since), else_=store.now)
    # a short outage must not cut short what the system asked for before
    longer = sa.and_(system_state.c.failures > 0, system_state.c.open_until > until)
    latest = sa.case((longer, system_state.c.open_until), else_=until)
    statement = statement.on_conflict_do_update(
        index_elements=["system"], set_={**values, "since": since, "open_until": latest}
    )
    return float(await connection.scalar(statement.returning(system_state.c.open_until - store.now)) or 0.0)


async def reopen(connection: AsyncConnection, system: str) -> None:
    """The system answered: call it freely again."""
    await connection.execute(
        sa.update(system_state).where(system_state.c.system == system, system_state.c.failures > 0).values(failures=0)
    )


async def wait_for_pace(store: Store, system: str, operation: str, items: int, per_second: float) -> float:
    """Book `items` against a declared rate; seconds to wait before the call. Shared by all workers."""
    cost = items / per_second
    async with store.write() as connection:
        statement = store.insert(pace).values(system=system, operation=operation, next_at=store.now + cost)
        later = sa.case((pace.c.next_at > store.now, pace.c.next_at), else_=store.now) + cost
        statement = statement.on_conflict_do_update(index_elements=["system", "operation"], set_={"next_at": later})
        wait = await connection.scalar(statement.returning(pace.c.next_at - store.now))
        return max(0.0, float(wait or 0.0) - cost)
