"""The breaker: the state of each system, in the store and so shared by all workers.

A call that fails as a whole opens it: the system's lanes park, and nobody calls it until its time has come. Then one
worker, whoever takes the right to it, tries one delivery; what comes of it opens the system for all or parks it again.
An operation that alone is misconfigured has a state of its own, under `system.operation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub import exceptions
from counterfoil.hub.contract import Kind, Outcome
from counterfoil.hub.retry import BREAKER_CAP, BREAKER_FIRST, backoff
from counterfoil.hub.schema import system_state
from counterfoil.hub.store import Store

LONGEST = 3600.0
"""Seconds: a system that asks for a longer pause is tried after so long all the same."""


@dataclass(frozen=True, slots=True)
class Closed:
    """A system that is not called now. `wait` is for how many seconds still; below zero: one call may be tried.

    `probing`: somebody has taken the right to that call, and its outcome is not known yet.
    """

    failures: int
    wait: float
    outcome: str
    reason: str
    message: str
    since: float
    probing: bool


def part(system: str, operation: str) -> str:
    """What an operation's own state stands under. No system's name has a dot."""
    return f"{system}.{operation}"


async def closed(store: Store) -> dict[str, Closed]:
    """The systems whose last call failed as a whole, and the operations that alone are paused; the others are fine."""
    async with store.read() as connection:
        return await closed_now(connection, store)


async def closed_now(connection: AsyncConnection, store: Store) -> dict[str, Closed]:
    """The same, in the caller's transaction."""
    rows = await store.run(connection, _closed, {})
    return {system: Closed(*told) for system, *told in rows}


def _closed(store: Store) -> sa.Select[Any]:
    state = system_state.c
    probing = sa.func.coalesce(state.probe_until > store.now, sa.false())
    told = (state.failures, state.open_until - store.now, state.outcome, state.reason, state.message, state.since)
    return sa.select(state.system, *told, probing).where(state.failures > sa.literal_column("0"))


async def close_system(connection: AsyncConnection, store: Store, system: str, outcome: Outcome) -> float:
    """Stop calling the system; for how many seconds. Its lanes park, nothing is counted against them."""
    mine = system_state.c.system == system
    counted = sa.case((system_state.c.open_until > store.now, 0), else_=1)
    before = (await connection.execute(sa.select(system_state.c.failures, counted.label("more")).where(mine))).first()
    # calls that were out together fail together: that is one failure, not a reason to wait for longer
    failures = before.failures + (before.more or not before.failures) if before else 1
    if outcome.until is not None and outcome.kind in (Kind.THROTTLED, Kind.DOWN):
        clock = await store.clock(connection)
        wait = min(max(0.1, outcome.until.timestamp() - clock), LONGEST)
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


async def reopen(connection: AsyncConnection, store: Store, system: str, operation: str = "") -> None:
    """The system answered, and the operation worked: call both freely. What a person was told of them is over."""
    for (name,) in await store.run(connection, _reopened, {"system": system, "operation": part(system, operation)}):
        await exceptions.close_for_system(connection, store, system, operation if name != system else "")


def _reopened(store: Store) -> sa.Update:
    state = system_state.c
    one_of_both = state.system.in_((sa.bindparam("system"), sa.bindparam("operation")))
    mine = (one_of_both, state.failures > sa.literal_column("0"))
    return sa.update(system_state).where(*mine).values(failures=sa.literal_column("0")).returning(state.system)


async def is_closed_now(connection: AsyncConnection, system: str) -> bool:
    """Whether it is, and stays so until this transaction ends."""
    mine = sa.select(system_state.c.failures).where(system_state.c.system == system).with_for_update()
    return bool(await connection.scalar(mine))


async def take_probe(store: Store, system: str, token: str, seconds: float) -> bool:
    """Take the right to try one call of a closed system whose time has come; False: somebody else has it.

    It lasts for `seconds` without `renew_probe`: a worker that dies with it must not keep the system closed.
    """
    free = sa.or_(system_state.c.probe_until.is_(None), system_state.c.probe_until <= store.now)
    async with store.write() as connection:
        taken = await connection.execute(
            sa.update(system_state)
            .where(system_state.c.system == system, system_state.c.failures > 0)
            .where(system_state.c.open_until <= store.now, free)
            .values(prober=token, probe_until=store.now + seconds)
        )
        return taken.rowcount == 1


async def renew_probe(store: Store, system: str, token: str, seconds: float) -> None:
    """The call is still out."""
    await _set_probe(store, system, token, prober=token, probe_until=store.now + seconds)


async def end_probe(store: Store, system: str, token: str) -> None:
    """The outcome is kept, or nothing came of it: the next one may try when it is time."""
    await _set_probe(store, system, token, prober=None, probe_until=None)


async def _set_probe(store: Store, system: str, token: str, **values: object) -> None:
    async with store.write() as connection:
        await connection.execute(
            sa.update(system_state)
            .where(system_state.c.system == system, system_state.c.prober == token)
            .values(**values)
        )
        await store.notify(connection)
