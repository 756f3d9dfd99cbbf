"""Alerts: a system is closed and critical work has waited for it longer than it may. One exception a system.

It closes itself as soon as the system answers again (`systems.reopen`).
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from counterfoil.blueprint import Blueprint
from counterfoil.hub import exceptions, systems
from counterfoil.hub.contract import Kind, Outcome
from counterfoil.hub.schema import HELD, delivery, lane
from counterfoil.hub.store import Store
from counterfoil.hub.systems import Closed
from counterfoil.retail.events import at_utc

REASON = "critical_waits"
PATIENCE = 60.0
"""Seconds that a critical delivery may wait for a closed system where its flow promises nothing (`within`)."""


def patience(blueprint: Blueprint, system: str) -> dict[str, float]:
    """For how many seconds the critical operations of a system may wait; of several flows the strictest counts."""
    known: dict[str, float] = {}
    for flow in blueprint.flows:
        if flow.system == system and flow.when_down == "critical":
            own = flow.within.total_seconds() if flow.within else PATIENCE
            known[flow.operation] = min(own, known.get(flow.operation, own))
    return known


async def look(store: Store, blueprint: Blueprint, closed: Mapping[str, Closed]) -> None:
    """Tell a person of each closed system that critical work waits for too long, unless they were told of it."""
    for system, state in closed.items():
        waits = patience(blueprint, system)
        if waits and await _too_long(store, system, waits):
            await _tell(store, blueprint, system, state)


_began = sa.func.coalesce(delivery.c.not_before, delivery.c.created_at)


async def _too_long(store: Store, system: str, waits: Mapping[str, float]) -> bool:
    late = [
        # what waits for its run or window is not late before that
        sa.and_(delivery.c.operation == operation, _began < store.now - seconds)
        for operation, seconds in sorted(waits.items())
    ]
    mine = [getattr(lane.c, name) == getattr(delivery.c, name) for name in ("system", "stream", "key")]
    async with store.read() as connection:
        if await exceptions.is_open_for(connection, system, ""):
            return False
        found = sa.select(delivery.c.id).join(lane, sa.and_(*mine)).where(delivery.c.system == system, sa.or_(*late))
        # what is held waits for a person, not for the system
        return await connection.scalar(found.where(lane.c.due_at < HELD).limit(1)) is not None


async def _tell(store: Store, blueprint: Blueprint, system: str, state: Closed) -> None:
    alert = Outcome(
        Kind.DOWN,
        REASON,
        f"Critical work waits: {system} cannot be called since {at_utc(state.since):%Y-%m-%d %H:%M} UTC. "
        f"{state.message}".rstrip(),
        f"{state.outcome}: {state.reason}",
        f"Look after {system}. Nothing is lost: what waits is done in order as soon as it answers.",
    )
    owner = blueprint.exceptions.owner_of(REASON, str(alert.kind))
    async with store.write() as connection:
        if await systems.is_closed_now(connection, system):  # else it came back meanwhile, and nobody would close this
            await exceptions.open_for_system(connection, store, system, alert, owner)
