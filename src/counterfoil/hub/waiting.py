"""Waiting for an event, but not for ever."""

from __future__ import annotations

import asyncio
import contextlib


async def at_most(seconds: float, event: asyncio.Event) -> None:
    """Until the event is set or so many seconds have passed.

    Not `asyncio.wait_for`: in Python 3.11 it swallows a cancellation that comes together with the event, and whoever
    waits for the cancelled task waits for ever (https://github.com/python/cpython/issues/86296).
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
