"""What many open pages ask for is asked of the store once: an answer of a few seconds ago is good enough for people."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from counterfoil.hub.store import Store

T = TypeVar("T")

SECONDS = 3.0
"""For so long an answer is given again."""
_kept: weakref.WeakKeyDictionary[Store, dict[str, tuple[float, Any]]] = weakref.WeakKeyDictionary()
_asking: weakref.WeakKeyDictionary[Store, dict[str, asyncio.Lock]] = weakref.WeakKeyDictionary()


async def shared(store: Store, name: str, make: Callable[[], Awaitable[T]], seconds: float = SECONDS) -> T:
    """The answer of that name, made anew when the last one is older than so many seconds; one at a time makes it.

    Nothing that only some may see: it is the same for all. Raises what making it raised.
    """
    kept = _kept.setdefault(store, {})
    async with _asking.setdefault(store, {}).setdefault(name, asyncio.Lock()):
        made_at, answer = kept.get(name, (-seconds, None))
        if time.monotonic() - made_at >= seconds:
            answer = await make()
            kept[name] = (time.monotonic(), answer)
        return answer  # type: ignore[no-any-return]
