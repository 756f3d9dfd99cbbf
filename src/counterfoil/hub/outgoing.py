"""The trace context that calls to systems carry: the hub sets it around what it asks, connectors send it.

It follows into the tasks that are started meanwhile, whatever the depth.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

_context: contextvars.ContextVar[str] = contextvars.ContextVar("traceparent", default="")


@contextlib.contextmanager
def carrying(traceparent: str) -> Iterator[None]:
    """Calls in here carry this context; empty: none."""
    before = _context.set(traceparent)
    try:
        yield
    finally:
        _context.reset(before)


def traceparent() -> str:
    """What a call that goes out now carries; empty: nothing."""
    return _context.get()
