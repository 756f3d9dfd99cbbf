"""What the last look at a system found, and when: that of its care, and that of the doctor.

The doctor looks once a day, and whenever a person asks it to. It changes nothing, and that it finds something ill opens
no exception: what stands in the way of work says so itself.
"""

from __future__ import annotations

import asyncio
import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub import schedule, tracing
from counterfoil.hub.contract import Connector, Finding, Mark
from counterfoil.hub.schedule import DOCTOR
from counterfoil.hub.schema import cursor, system_look
from counterfoil.hub.store import Store
from counterfoil.hub.views.masking import mask
from counterfoil.hub.waiting import repeat

log = structlog.get_logger()

EVERY = 86400.0
"""Seconds between two of the doctor's looks by the clock."""
FIRST = 3600.0
"""Seconds after a system is known until the first: what is connected just now is looked at by whoever does it."""
MOST = 200
"""Findings of a look that are kept."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was found at a moment (seconds)."""

    at: float
    found: tuple[Finding, ...]


async def all_of(connection: AsyncConnection) -> dict[str, dict[str, Look]]:
    """By system, by what looked."""
    found: defaultdict[str, dict[str, Look]] = defaultdict(dict)
    for row in await connection.execute(sa.select(system_look)):
        found[row.system][row.look] = Look(row.at, tuple(_finding(each) for each in row.found))
    return dict(found)


def _finding(row: Sequence[str]) -> Finding:
    check, mark, found, remedy = row
    return Finding(check, Mark(mark), found, remedy)


def _rows(found: Sequence[Finding]) -> list[list[str]]:
    return [[each.check, each.mark.value, mask(each.found, False), mask(each.remedy, False)] for each in found[:MOST]]


async def keep(store: Store, system: str, look: str, found: Sequence[Finding]) -> list[Finding]:
    """In the place of the last look's; what is kept. Anybody may read it: what might be of a person is left out."""
    rows = _rows(found)
    async with store.write() as connection:
        new = store.insert(system_look).values(system=system, look=look, at=store.now, found=rows)
        changed = {"at": store.now, "found": rows}
        await connection.execute(new.on_conflict_do_update(index_elements=["system", "look"], set_=changed))
    return list(map(_finding, rows))


async def keep_if_new(store: Store, system: str, look: str, found: Sequence[Finding]) -> None:
    """Keep it, where it is not what the last one found: then nothing is written, and `at` is when it was so first."""
    async with store.read() as connection:
        last = (await all_of(connection)).get(system, {}).get(look)
    if last is None or _rows(last.found) != _rows(found):
        await keep(store, system, look, found)


async def examine(store: Store, system: str, connector: Connector) -> list[Finding]:
    """Let the doctor look at a system now; what was kept of it. Raises what the store raised."""
    try:
        with tracing.asking(DOCTOR, system):
            found = await connector.doctor()
    except Exception as error:  # it never raises; if it does, that is what was found
        log.error("doctor broke", system=system, error=type(error).__name__, detail=str(error)[:200], exc_info=True)
        remedy = "Report it with what the log says of it; nothing else depends on it."
        found = [Finding(DOCTOR, Mark.FAILED, "Counterfoil failed at looking at this system.", remedy)]
    return await keep(store, system, DOCTOR, found)


async def examine_in_turn(
    store: Store, system: str, connector: Connector, turn: float = schedule.TURN
) -> list[Finding] | None:
    """The same if it is due and our turn, else None."""
    look: Any = functools.partial(examine, store, system, connector)
    return await schedule.in_turn(store, (system, DOCTOR), look, EVERY, turn)


async def run(
    store: Store, connectors: Mapping[str, Connector], stop: asyncio.Event, turn: float = schedule.TURN
) -> None:
    """Let the doctor look at each system in its time, until `stop`."""

    async def look(system: str, connector: Connector) -> None:
        async with store.write() as connection:
            first = store.insert(cursor).values(system=system, feed=DOCTOR, value={}, next_at=store.now + FIRST)
            await connection.execute(first.on_conflict_do_nothing())
        await examine_in_turn(store, system, connector, turn)

    looking = (functools.partial(look, name, each) for name, each in connectors.items())
    await asyncio.gather(*(repeat(each, 60.0, stop, "the doctor could not look") for each in looking))
