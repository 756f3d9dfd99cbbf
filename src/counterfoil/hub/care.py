"""Care: every few minutes each connector looks after what may break unseen, webhooks above all, and mends it.

What it cannot mend is one open exception a system and check, closed by itself once it is well again. As long as one is
open the system's feeds are polled often enough for the tightest promise of its flows (F07).
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint import Blueprint
from counterfoil.hub import exceptions, looks, schedule, tracing
from counterfoil.hub.contract import Connector, Failure, Finding, Kind, Mark, Outcome
from counterfoil.hub.schema import cursor, exception
from counterfoil.hub.store import Store
from counterfoil.hub.waiting import at_most

log = structlog.get_logger()

EVERY = 300.0
"""Seconds between two looks at one system."""
CHECK = "care."
"""What the operation of an exception begins with that care has opened; the check's name follows."""


async def care_once(
    store: Store,
    system: str,
    connector: Connector,
    owner: str = "",
    every: float = EVERY,
    hurry: float | None = None,
    turn: float = schedule.TURN,
) -> list[Finding] | None:
    """Look after one system if it is due: what was found, None if it was not due, not our turn, or out of reach.

    `hurry` is how many seconds may lie between two polls while something is ill. Raises what the store raised.
    """
    look = functools.partial(_look, system, connector)
    found = await schedule.in_turn(store, (system, schedule.CARE), look, every, turn)
    if found is not None:
        await _note(store, system, found, owner, hurry)
        await looks.keep_if_new(store, system, schedule.CARE, found)
    return found


async def _look(system: str, connector: Connector) -> list[Finding] | None:
    """What its care finds; None where it is out of reach."""
    try:
        with tracing.asking(schedule.CARE, system):
            return await connector.care()
    except Failure as failure:  # out of reach, or its key is refused: poll and operations say so already
        log.warning("care failed", system=system, reason=failure.outcome.reason)
        return None
    except Exception as error:
        log.error("care broke", system=system, error=type(error).__name__, detail=str(error)[:200], exc_info=True)
        remedy = "Report it with what the log says of it; polls and webhooks go on meanwhile."
        return [Finding("care", Mark.FAILED, "Counterfoil failed at looking after this system.", remedy)]


async def _note(store: Store, system: str, found: list[Finding], owner: str, hurry: float | None) -> None:
    ill = {CHECK + f.check: f for f in found if f.mark is not Mark.OK}
    async with store.read() as connection:
        known = await _open(connection, system)
    if {name: (f.found, f.remedy) for name, f in ill.items()} == known:
        return  # as it was: no need to write after every look
    async with store.write() as connection:
        for name in known.keys() - ill.keys():
            await exceptions.close_for_system(connection, store, system, name, "it is well again")
        for name, finding in ill.items():
            if name in known:  # told already; the words may have changed
                await connection.execute(
                    sa.update(exception)
                    .where(*_mine(system), exception.c.operation == name)
                    .values(message=finding.found, suggestion=finding.remedy)
                )
            else:
                await exceptions.open_for_system(connection, store, system, _outcome(finding), owner, name)
        if ill and hurry is not None:
            await connection.execute(  # what lies far ahead is pulled near; a feed that is being polled is left alone
                sa.update(cursor)
                .where(cursor.c.system == system, cursor.c.feed.not_in(schedule.NO_FEEDS), cursor.c.token.is_(None))
                .where(cursor.c.next_at > store.now + hurry)
                .values(next_at=store.now)
            )


def _outcome(finding: Finding) -> Outcome:
    reason = "".join(c if c.isalnum() else "_" for c in finding.check.lower())
    return Outcome(Kind.MISCONFIGURED, reason, finding.found, suggestion=finding.remedy)


def _mine(system: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        exception.c.status == "open",
        exception.c.system == system,
        exception.c.delivery_id.is_(None),
        exception.c.operation.startswith(CHECK),
    )


async def _open(connection: AsyncConnection, system: str) -> dict[str, tuple[str, str]]:
    rows = await connection.execute(
        sa.select(exception.c.operation, exception.c.message, exception.c.suggestion).where(*_mine(system))
    )
    return {r.operation: (r.message, r.suggestion) for r in rows}


async def is_ill(store: Store, system: str) -> bool:
    """Whether care has found something at the system that is not mended yet."""
    async with store.read() as connection:
        return bool(await _open(connection, system))


def hurry(blueprint: Blueprint, system: str) -> float | None:
    """Seconds between two polls with which the tightest promise about the system's changes can still be kept.

    Half of it: the other half is for the work itself. None: nothing is promised.
    """
    promises = [
        f.within.total_seconds()
        for f in blueprint.flows
        if f.within is not None and f.from_ in (None, system) and f.system != system
    ]
    return min(promises, default=0.0) / 2 or None


async def run(
    store: Store,
    blueprint: Blueprint,
    connectors: Mapping[str, Connector],
    stop: asyncio.Event,
    every: float = EVERY,
    turn: float = schedule.TURN,
) -> None:
    """Look after every system until `stop`; the first time at once."""
    keep = (_keep_caring(store, blueprint, name, c, stop, every, turn) for name, c in connectors.items())
    await asyncio.gather(*keep)


async def _keep_caring(
    store: Store,
    blueprint: Blueprint,
    system: str,
    connector: Connector,
    stop: asyncio.Event,
    every: float,
    turn: float,
) -> None:
    owner = blueprint.exceptions.owner_of("care", str(Kind.MISCONFIGURED))
    while not stop.is_set():
        try:
            await care_once(store, system, connector, owner, every, hurry(blueprint, system), turn)
        except (OSError, sa.exc.SQLAlchemyError) as error:
            log.error("store out of reach", error=type(error).__name__)
        await at_most(min(every, 5.0), stop)
