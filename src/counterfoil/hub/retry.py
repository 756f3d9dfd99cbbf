"""When to try again: exponential backoff with jitter. Pure."""

from __future__ import annotations

import random

FIRST = 0.2
CAP = 300.0
MOST_ATTEMPTS = 12
"""After so many attempts of a transient failure a person is asked (about 40 minutes with the figures above)."""

BREAKER_FIRST = 1.0
BREAKER_CAP = 30.0


def backoff(attempt: int, first: float = FIRST, cap: float = CAP, dice: random.Random | None = None) -> float:
    """Seconds until attempt + 1: doubled each time, capped, then between half and all of it by chance."""
    full = min(cap, first * 2.0 ** (min(attempt, 40) - 1))
    return full * (0.5 + (dice or random).random() / 2)
