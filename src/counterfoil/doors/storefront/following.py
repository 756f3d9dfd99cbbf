"""Keeps the book up with the store: all of it once, then what changes, a moment after it is committed.

Of stock nothing is ever missed: it goes by the numbers of transactions (hub/availability/following.py). Products are
heard of by their events, and looked through every few minutes for what was imported without a word.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from counterfoil.doors.storefront.book import Book
from counterfoil.hub import records
from counterfoil.hub.availability import following
from counterfoil.hub.store import Store
from counterfoil.hub.storefront import looking

log = structlog.get_logger()

EVERY, GATHER, AGE_EVERY = 0.2, 0.05, 1.0
"""Seconds between two looks at stock, where nobody wakes the book before; in which what wakes it is gathered; and
between two looks at when the ERP was looked at."""
PRODUCTS_EVERY, WALK_EVERY = 2.0, 300.0
"""Seconds between two looks at the events of products, and at all products."""
PAGE, FIRST_PAGE = 50, 500
"""Rows at a time: requests are answered in between and must not wait for long; and before any can be answered."""
SHARE = 10
"""A look that took long, as while another transaction holds back the horizon, is followed by a pause so much longer."""
WALK_OVERLAP = 300.0
"""Seconds: a walk looks so far back beyond the one before, which is more than a transaction takes."""


@dataclass(slots=True)
class Follower:
    """How far one book has come. `sources` are the feeds (system, name) that stock comes from."""

    store: Store
    book: Book
    sources: Sequence[tuple[str, str]]
    _horizon: int = 0
    _told_since: float = 0.0
    _heard: frozenset[str] = frozenset()
    _aged_at: float = -math.inf
    _heard_at: float = -math.inf
    _walked: float | None = None  # by the store's clock
    _walked_at: float = -math.inf

    @property
    def systems(self) -> list[str]:
        """The systems that stock comes from."""
        return list(dict.fromkeys(system for system, _ in self.sources))

    @property
    def _page(self) -> int:
        return PAGE if self.book.ready else FIRST_PAGE

    async def load(self) -> None:
        """Read everything. Raises what the store raises."""
        async with self.store.read() as connection:
            # the horizon first: what changes while the pages are read is then read again
            _, self._told_since = await looking.products_told_since(connection, self.store, [], 0.0)
        await self._walk()
        await self.look()
        self.book.ready = True

    async def look(self, age: bool = True) -> None:
        """Take over what has changed; with `age`, also when the ERP was looked at. Raises what the store raises."""
        if age:  # before stock, which then is at least as new
            async with self.store.read() as connection:
                looked = await looking.looked_at(connection, self.store, self.sources, "stock")
            self._aged_at = time.monotonic()
        page = self._page
        while True:
            async with self.store.read() as connection:
                rows, horizon = await following.changed_since(connection, self.store, self._horizon, page)
            for start in range(0, len(rows), page):
                self.book.keep_stock(rows[start : start + page])
                await asyncio.sleep(0)
            before, self._horizon = self._horizon, horizon
            if len(rows) < page or horizon == before:
                break
        self.book.learn_kits()
        if age:
            self.book.looked(*looked)
        if time.monotonic() - self._heard_at > PRODUCTS_EVERY:
            await self._hear()
        if time.monotonic() - self._walked_at > WALK_EVERY:
            await self._walk()

    async def _hear(self) -> None:
        """Products by their events."""
        async with self.store.read() as connection:
            told, horizon = await looking.products_told_since(connection, self.store, self.systems, self._told_since)
        new = sorted({product for id_, product in told.items() if id_ not in self._heard})
        for start in range(0, len(new), PAGE):
            async with self.store.read() as connection:
                states = await records.states_of(connection, "product", new[start : start + PAGE])
            for state in states.values():
                self.book.keep_product(state)
        self._heard, self._told_since = frozenset(told), horizon
        self._heard_at = time.monotonic()

    async def _walk(self) -> None:
        """All products, or those written since the last walk."""
        async with self.store.read() as connection:
            began = await self.store.clock(connection)
        for system in self.systems:
            after = ""
            while True:
                async with self.store.read() as connection:
                    since = None if self._walked is None else self._walked - WALK_OVERLAP
                    found = await looking.products(connection, system, after, self._page, since)
                for _, state in found:
                    self.book.keep_product(state)
                if len(found) < self._page:
                    break
                after = found[-1][0]
        self._walked, self._walked_at = began, time.monotonic()

    async def run(self, stop: asyncio.Event) -> None:
        """Follow until `stop`. While the store is out of reach the book stands still, and its age says so."""
        reached = True
        while not stop.is_set():
            began = time.monotonic()
            try:
                if self.book.ready:
                    await self.look(age=began - self._aged_at > AGE_EVERY)
                else:
                    await self.load()
                reached = True
            except Exception as error:  # whatever it is: answers go on, and say how old they are
                if reached:
                    log.error("the storefront's book stands still", error=type(error).__name__, detail=str(error)[:200])
                reached = False
            took = time.monotonic() - began
            await self.book.woken(max(EVERY, SHARE * took) if reached else 1.0)
            await asyncio.sleep(GATHER)
