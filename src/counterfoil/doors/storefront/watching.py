"""Who waits for changes of some SKUs, and is told of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator

from counterfoil.hub.waiting import at_most


class Watch:
    """Who waits for changes of some SKUs."""

    def __init__(self) -> None:
        self._changed: set[str] = set()
        self._event = asyncio.Event()

    def tell(self, sku: str) -> None:
        """It has changed."""
        self._changed.add(sku)
        self._event.set()

    async def changed(self, seconds: float) -> list[str]:
        """The SKUs that changed since this was asked before, at once if there are any; none after so many seconds."""
        await at_most(seconds, self._event)
        self._event.clear()
        found, self._changed = sorted(self._changed), set()
        return found


class Watches:
    """All who wait, by SKU."""

    def __init__(self) -> None:
        self._of: dict[str, list[Watch]] = {}

    def tell(self, sku: str) -> None:
        """It has changed."""
        for watch in self._of.get(sku, ()):
            watch.tell(sku)

    @contextlib.contextmanager
    def watch(self, skus: Iterable[str]) -> Iterator[Watch]:
        """Be told of changes of these."""
        watch, wanted = Watch(), set(skus)
        for sku in wanted:
            self._of.setdefault(sku, []).append(watch)
        try:
            yield watch
        finally:
            for sku in wanted:
                left = self._of[sku]
                left.remove(watch)
                if not left:
                    del self._of[sku]
