"""Waiting for an event, but not for ever."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

log = structlog.get_logger()


async def at_most(seconds: float, event: asyncio.Event) -> None:
    """Until the event is set or so many seconds have passed.

    Not `asyncio.wait_for`: in Python 3.11 it swallows a cancellation that comes together with the event, and whoever
    waits for the cancelled task waits for ever (https://github.com/python/cpython/issues/86296).
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def repeat(act: Callable[[], Awaitable[Any]], every: float, stop: asyncio.Event, trouble: str) -> None:
    """Act every so many seconds until `stop`. What goes wrong, mostly that the store is out of reach, is logged as
    `trouble`, and the rest of the schedule goes on."""
    while not stop.is_set():
        try:
            await act()
        except Exception as error:
            log.error(trouble, error=type(error).__name__, detail=str(error)[:200])
        await at_most(every, stop)
