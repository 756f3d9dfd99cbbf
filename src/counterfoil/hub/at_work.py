"""What is at work, for the log: each line that is written meanwhile carries the correlation id."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from itertools import islice

import structlog

MOST = 5
"""Of a batch so many are named."""


def at_work(correlations: Iterable[str]) -> AbstractContextManager[None]:
    """Name these in every line until the block ends, in this task and in those started in it; never more than ids."""
    named = list(dict.fromkeys(islice(correlations, MOST)))
    return structlog.contextvars.bound_contextvars(correlation=named[0] if len(named) == 1 else named)
