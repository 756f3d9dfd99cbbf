"""Which version each system is, since when, and what it was before: an update there explains more than what is in here.

Systems are asked at the start and then every hour, apart from all work: that one does not answer means nothing, the
next poll says it better. What changed is logged and kept; a version that the connector was never tested with, where the
one before was, is put before a person too.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub import exceptions, schedule, tracing
from counterfoil.hub.contract import Connector, Failure, Kind, Outcome, Release, TellsVersions
from counterfoil.hub.schema import cursor, system_version
from counterfoil.hub.store import Store
from counterfoil.hub.waiting import repeat
from counterfoil.retail.events import at_utc

log = structlog.get_logger()

EVERY = 3600.0
"""Seconds between two questions."""
KEPT = 10
"""Versions of one product that are known, the newest first."""
LONGEST = 100
"""Characters of a version."""
LOOK = 30.0
"""Seconds between two looks at whether it is time."""
UNTESTED = "untested_version"


@dataclass(frozen=True, slots=True)
class Version:
    """One product of a system, and the version it has had since `since` and said last at `seen_at` (seconds).

    `before` are older ones: (version, since), the newest first. The other fields are as of `Release`.
    """

    name: str
    version: str
    since: float
    seen_at: float
    tested: str
    doubt: str
    remedy: str
    before: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


async def all_of(connection: AsyncConnection) -> dict[str, tuple[Version, ...]]:
    """By system, what it said it is; in the order of the names."""
    told: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
    rows = sa.select(system_version).order_by(system_version.c.name, system_version.c.since.desc())
    for row in await connection.execute(rows):
        told[row.system, row.name].append(row)
    found: defaultdict[str, list[Version]] = defaultdict(list)
    for (system, name), (now, *older) in told.items():
        at = (now.version, now.since, now.seen_at, now.tested, now.doubt, now.remedy)
        found[system].append(Version(name, *at, tuple((row.version, row.since) for row in older)))
    return {system: tuple(each) for system, each in found.items()}


async def in_short(store: Store, systems: Iterable[str]) -> dict[str, str]:
    """Of these systems that told it, each in a line, for `counterfoil status`."""
    async with store.read() as connection:
        found = await all_of(connection)
    return {system: "; ".join(map(_line, found[system])) for system in systems if system in found}


def _line(each: Version) -> str:
    since = f"{each}, since {at_utc(each.since):%Y-%m-%d}"
    return f"{since} (before: {each.before[0][0]})" if each.before else since


async def keep(store: Store, system: str, told: Sequence[Release], owner: str = "") -> list[str]:
    """Keep what a system says of itself; what changed, as `Odoo 19.0 → 19.1`."""
    told = [replace(each, version=_plain(each.version)) for each in told]
    async with store.write() as connection:
        known = {each.name: each for each in (await all_of(connection)).get(system, ())}
        changed = []
        for each in told:
            before = known.get(each.name)
            await _keep_one(connection, store, system, each, before)
            if before is not None and before.version != each.version:
                changed.append((before, each))
        if (outcome := _for_a_person(changed)) is not None:
            await exceptions.open_for_system(connection, store, system, outcome, owner, schedule.VERSIONS)
        if known and not any(each.doubt for each in told):
            await exceptions.close_for_system(
                connection, store, system, schedule.VERSIONS, "its version is one that was tested"
            )
    words = [f"{now.name} {before.version} → {now.version}" for before, now in changed]
    for each_change in words:
        log.warning("version changed", system=system, change=each_change)
    return words


def _plain(version: str) -> str:
    """It comes from elsewhere, so anything may be in it."""
    return "".join(filter(str.isprintable, version))[:LONGEST]


async def _keep_one(
    connection: AsyncConnection, store: Store, system: str, now: Release, before: Version | None
) -> None:
    mine = (system_version.c.system == system, system_version.c.name == now.name)
    values = {"tested": now.tested, "doubt": now.doubt, "remedy": now.remedy, "seen_at": store.now}
    if before is not None and before.version == now.version:
        newest = system_version.c.since == before.since
        await connection.execute(sa.update(system_version).where(*mine, newest).values(**values))
        return
    place = {"system": system, "name": now.name, "since": store.now, "version": now.version}
    await connection.execute(sa.insert(system_version).values(**place, **values))
    if before is not None and (forgotten := before.before[KEPT - 2 :]):
        await connection.execute(sa.delete(system_version).where(*mine, system_version.c.since <= forgotten[0][1]))


def _for_a_person(changed: Sequence[tuple[Version, Release]]) -> Outcome | None:
    """What a person is to know: where there was no doubt before, or it is another major release."""
    told = [(b, n) for b, n in changed if n.doubt and (not b.doubt or _major(b.version) != _major(n.version))]
    if not told:
        return None
    words = " ".join(f"{now.name} went from {before.version} to {now.version}. {now.doubt}." for before, now in told)
    return Outcome(Kind.MISCONFIGURED, UNTESTED, words, suggestion=told[0][1].remedy)


def _major(version: str) -> str:
    return version.partition(".")[0]


async def _ask(store: Store, system: str, connector: TellsVersions, owner: str) -> list[str] | None:
    """Ask a system and keep it; what changed, None where it did not answer. Raises what the store raised."""
    try:
        with tracing.asking(schedule.VERSIONS, system):
            told = await connector.versions()
    except Failure as failure:
        log.info("version not told", system=system, reason=failure.outcome.reason)
        return None
    except Exception as error:  # whatever it answered: nothing else waits for this
        log.warning("version not read", system=system, error=type(error).__name__, detail=str(error)[:200])
        return None
    return await keep(store, system, told, owner)


async def ask_in_turn(
    store: Store, system: str, connector: Connector, owner: str = "", turn: float = schedule.TURN
) -> list[str] | None:
    """Ask if it is due and our turn; what changed, else None. Raises what the store raised."""
    if not isinstance(connector, TellsVersions):
        return None
    ask = functools.partial(_ask, store, system, connector, owner)
    return await schedule.in_turn(store, (system, schedule.VERSIONS), ask, EVERY, turn)


async def hurry(store: Store, system: str = "") -> None:
    """Every system, or this one, is due now, unless it is being asked: something may have been updated."""
    free = [cursor.c.feed == schedule.VERSIONS, cursor.c.token.is_(None)]
    if system:
        free.append(cursor.c.system == system)
    async with store.write() as connection:
        await connection.execute(sa.update(cursor).where(*free).values(next_at=store.now))


async def run(
    store: Store,
    connectors: Mapping[str, Connector],
    owner: str,
    stop: asyncio.Event,
    turn: float = schedule.TURN,
) -> None:
    """Ask each system that tells, until `stop`; the first time at once."""
    with contextlib.suppress(OSError, sa.exc.SQLAlchemyError):  # then they are due in their time
        await hurry(store)
    asking = (functools.partial(ask_in_turn, store, name, each, owner, turn) for name, each in connectors.items())
    await asyncio.gather(*(repeat(ask, LOOK, stop, "versions not kept") for ask in asking))
