"""What an audit works with: the systems in their turns, and the rows of one thing that two of them have in common."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from counterfoil.blueprint import Blueprint
from counterfoil.hub import limits, mending, room, tracing
from counterfoil.hub.contract import Connector
from counterfoil.hub.decode import Process
from counterfoil.hub.store import Store
from counterfoil.watch.drift import Row
from counterfoil.watch.drift_rows import Pair

CHUNK = 100
"""Rows looked at again, or repaired, at once."""


@dataclass(frozen=True, slots=True)
class House:
    """All that an audit works with. `streams` by `system.operation`, `processes` by system and kind."""

    store: Store
    blueprint: Blueprint
    made: Mapping[str, Connector]
    processes: Mapping[str, Mapping[str, Process]]
    streams: Mapping[str, str]

    @contextlib.asynccontextmanager
    async def turn(self, system: str) -> AsyncIterator[None]:
        """One page's worth of calls to the system, when it is our turn by its limits."""
        declared = self.blueprint.systems[system].limits
        turn = await limits.take_turn(self.store, system, mending.DRIFT, 1, limits=declared)
        while not turn.granted:
            await asyncio.sleep(turn.wait)
            turn = await limits.take_turn(self.store, system, mending.DRIFT, 1, limits=declared)
        await asyncio.sleep(turn.wait)
        try:
            with room.listening() as heard, tracing.asking("drift", system):
                yield
            await limits.learn(self.store, system, heard, 1)
        finally:
            if turn.slot:
                await asyncio.shield(limits.free_slot(self.store, turn.slot))

    async def pages(self, system: str, listing: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The pages of a listing, each in its turn."""
        while True:
            async with self.turn(system):
                page = await anext(listing, None)
            if page is None:
                return
            yield page


class Source:
    """One thing to compare between the two systems of a pair."""

    what = ""
    pair: Pair
    kinds: tuple[str, ...] = ()
    """The kinds of object whose feeds tell of a change."""

    def __init__(self, house: House, pair: Pair) -> None:
        self.house, self.pair = house, pair
        self.seen: set[int] = set()

    def pages(self) -> AsyncIterator[list[Row]]:
        """All rows but those that were seen. Raises Failure."""
        raise NotImplementedError

    async def again(self, rows: Sequence[Row]) -> list[Row]:
        """The same rows as they are now. Raises Failure."""
        raise NotImplementedError

    def new(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys that no page has had yet; they count as seen from now on by `learn`."""
        return {key for key in keys if hash(key) not in self.seen}

    def learn(self, rows: Sequence[Row]) -> None:
        """These have been counted."""
        self.seen |= {hash(row.key) for row in rows}

    @property
    def feeds(self) -> dict[tuple[str, str], float]:
        """The feeds that tell soonest of a change, and how often they look, in seconds."""
        found: dict[tuple[str, str], float] = {}
        for name in (self.pair.shop, self.pair.erp):
            own = [feed for feed in self.house.made[name].feeds if feed.kind in self.kinds]
            soonest = min((feed.every for feed in own), default=0.0)
            found |= {(name, feed.name): feed.every for feed in own if feed.every <= soonest}
        return found


async def again(source: Source, rows: Sequence[Row]) -> list[Row]:
    """The rows as they are now, looked at in portions. Raises Failure."""
    return [row for at in range(0, len(rows), CHUNK) for row in await source.again(rows[at : at + CHUNK])]


async def quiet(house: House, source: Source, rows: Sequence[Row], limit: float = 30.0) -> set[str]:
    """Wait until no delivery about these is open, for so many seconds at most; the subjects that still have one."""
    subjects = {subject for row in rows for subject in row.subjects}
    end = asyncio.get_running_loop().time() + limit
    while True:
        busy = await mending.open_deliveries(house.store, subjects, (source.pair.shop, source.pair.erp))
        if not busy or asyncio.get_running_loop().time() > end:
            return set(busy)
        await asyncio.sleep(0.2)
