"""How each system stands, for `counterfoil status`: its breaker, its limits, and whether there is pressure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from counterfoil.blueprint import Blueprint
from counterfoil.hub import limits, pressure, systems
from counterfoil.hub.ownership import NOT_OWNER
from counterfoil.hub.schema import counter
from counterfoil.hub.store import Store
from counterfoil.hub.systems import Closed
from counterfoil.retail.events import at_utc


async def of(store: Store, blueprint: Blueprint, streams: Mapping[str, str]) -> dict[str, Any]:
    """The closed systems, the limits there are, and the pressure; `streams` by `system.operation`. Times in seconds."""
    closed = await systems.closed(store)
    places = pressure.on_time(blueprint, streams)
    reading = await pressure.measure(store, places, blueprint.pressure.backlog, closed)
    return {
        "systems_closed": {name: _closed(state) for name, state in closed.items()},
        "limits": await _limits(store, blueprint),
        "pressure": {
            "high": pressure.is_high(blueprint.pressure, reading),
            "due": reading.backlog,
            "lag": round(reading.lag, 1),
        },
    }


async def not_spread(store: Store) -> dict[str, int]:
    """By system, how many of its changes were not its own to make, and so told to nobody, or not whole."""
    rows = sa.select(counter.c.system, counter.c.n).where(counter.c.name == NOT_OWNER).order_by(counter.c.system)
    async with store.read() as connection:
        return {row.system: row.n for row in await connection.execute(rows)}


def _closed(state: Closed) -> dict[str, Any]:
    again = "being tried" if state.probing else f"in {max(0.0, state.wait):.0f} s"
    told = {"outcome": state.outcome, "reason": state.reason, "message": state.message}
    return {**told, "since": f"{at_utc(state.since):%Y-%m-%dT%H:%M:%SZ}", "failures": state.failures, "again": again}


async def _limits(store: Store, blueprint: Blueprint) -> dict[str, dict[str, Any]]:
    learnt, out = await limits.learnt(store), await limits.in_flight(store)
    found: dict[str, dict[str, Any]] = {}
    for name, system in blueprint.systems.items():
        declared = system.limits
        known = {
            "rate": str(declared.rate) if declared.rate else None,
            "concurrency": declared.concurrency,
            "calls_out": out.get(name, 0) if declared.concurrency else None,
            "learnt_seconds_between": round(learnt[name], 2) if name in learnt else None,
        }
        if any(known.values()):
            found[name] = {key: value for key, value in known.items() if value is not None}
    return found
