"""When to try again: doubled each time, capped, and never at the same moment as everybody else."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from counterfoil.hub.retry import CAP, FIRST, MOST_ATTEMPTS, backoff


def test_the_first_retry_comes_almost_at_once() -> None:
    """A lost race in the ERP is tried again within a fifth of a second. case: F12"""
    assert all(FIRST / 2 <= backoff(1) <= FIRST <= 0.2 for _ in range(100))


@given(attempt=st.integers(1, 10_000), seed=st.integers())
def test_the_wait_is_between_half_and_all_of_the_doubled_and_capped_time(attempt: int, seed: int) -> None:
    full = min(CAP, FIRST * 2.0 ** min(attempt - 1, 60))
    assert full / 2 <= backoff(attempt, dice=random.Random(seed)) <= full


def test_two_workers_that_failed_together_do_not_come_back_together() -> None:
    """Jitter: of fifty waits after the same attempt hardly two are the same. case: F12"""
    assert len({backoff(3) for _ in range(50)}) > 40


def test_a_person_is_asked_within_the_hour() -> None:
    """The waits of all attempts together are long enough for a restart and short enough for a working day."""
    longest = sum(min(CAP, FIRST * 2 ** (n - 1)) for n in range(1, MOST_ATTEMPTS))
    assert 5 * 60 < longest < 60 * 60
