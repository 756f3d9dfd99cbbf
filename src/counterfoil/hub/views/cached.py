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
_kept: weakref.WeakKeyDictionary[Store, dict[str, tuple[float, float, Any]]] = weakref.WeakKeyDictionary()
_made: weakref.WeakKeyDictionary[Store, dict[str, asyncio.Task[Any]]] = weakref.WeakKeyDictionary()


async def shared(
    store: Store, name: str, make: Callable[[], Awaitable[T]], seconds: float = SECONDS, share: float | None = None
) -> T:
    """The answer of that name, made anew when the last one is older than so many seconds; one at a time makes it.

    It is made to the end though whoever asked is gone: an answer that takes longer than anybody waits is there for the
    next one. With `share` what took long is kept longer, so that no more than this share of all time goes into it.
    Nothing that only some may see: it is the same for all. Raises what making it raised.
    """
    made_at, took, answer = _kept.setdefault(store, {}).get(name, (-seconds, 0.0, None))
    if time.monotonic() - made_at < max(seconds, took / share if share else 0.0):
        return answer  # type: ignore[no-any-return]
    making = _made.setdefault(store, {})
    if name not in making:
        making[name] = store.beside(_make(store, name, make))
        making[name].add_done_callback(lambda _: making.pop(name))
    return await asyncio.shield(making[name])


async def _make(store: Store, name: str, make: Callable[[], Awaitable[T]]) -> T:
    began = time.monotonic()
    answer = await make()
    now = time.monotonic()
    _kept.setdefault(store, {})[name] = (now, now - began, answer)
    return answer
