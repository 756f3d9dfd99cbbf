"""What a process counts of its own work, for metrics: plain numbers in memory, cheap enough for every delivery.

`watch.metrics` makes Prometheus' metrics of them. One event loop counts and is asked, so nothing is locked. Labels are
names of the blueprint and codes of our own, never anything that a customer, an order or a request could bring along.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from counterfoil.hub.contract import Failure

FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds: upper bounds for answers to a browser."""
CALLS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""For calls of other systems."""
WAITS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
"""For what waits in lanes."""


@dataclass(slots=True)
class Counter:
    """Goes up only. `values` by the texts of its labels, in their order."""

    name: str
    help: str
    labels: tuple[str, ...]
    values: dict[tuple[str, ...], float] = field(default_factory=dict)

    def add(self, *labels: str, n: float = 1.0) -> None:
        """So many more."""
        self.values[labels] = self.values.get(labels, 0.0) + n


@dataclass(slots=True)
class Histogram:
    """Seconds, counted by upper bounds. A row holds one number for each bound, one for what is beyond, and the sum."""

    name: str
    help: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...]
    rows: dict[tuple[str, ...], list[float]] = field(default_factory=dict)

    def observe(self, *labels: str, seconds: Iterable[float]) -> None:
        """These were seen; below zero, as two clocks may have it, counts as zero."""
        row = self.rows.get(labels)
        if row is None:
            row = self.rows[labels] = [0.0] * (len(self.bounds) + 2)
        bounds = self.bounds
        for each in seconds:
            row[bisect_left(bounds, each)] += 1
            if each > 0.0:
                row[-1] += each

    def buckets(self, row: list[float]) -> Iterator[tuple[str, float]]:
        """(upper bound, how many up to it), as Prometheus wants them."""
        total = 0.0
        for bound, n in zip((*map(repr, self.bounds), "+Inf"), row, strict=False):
            total += n
            yield bound, total


WEBHOOKS = Counter("counterfoil_webhooks_total", "Webhooks by what became of them at the door.", ("system", "outcome"))
INGESTION = Histogram(
    "counterfoil_ingestion_delay_seconds",
    "From the receipt of a webhook or poll to its decoding, by the way it came.",
    ("system", "origin"),
    WAITS,
)
EVENTS = Counter("counterfoil_events_total", "New facts by who says so, such as order.placed.", ("system", "type"))
DELIVERIES = Counter(
    "counterfoil_deliveries_total",
    "Tries of deliveries by outcome; retry, throttled and down are tried again.",
    ("system", "operation", "outcome"),
)
LAG = Histogram(
    "counterfoil_delivery_lag_seconds",
    "From the fact to the moment it was done at the system.",
    ("system", "operation"),
    WAITS,
)
WITHIN = Counter(
    "counterfoil_delivery_promises_total",
    "Deliveries done whose flow says `within`, kept or missed.",
    ("system", "operation", "result"),
)
PROMISES = Counter(
    "counterfoil_promises_total",
    "Ends of the blueprint's promises: kept, late, and missed, which may still become late.",
    ("promise", "result"),
)
CALLS_MADE = Histogram(
    "counterfoil_call_seconds",
    "Calls of operations, each for a batch, by how the call as a whole ended.",
    ("system", "operation", "outcome"),
    CALLS,
)
POLLS = Histogram("counterfoil_poll_seconds", "Looks of feeds that were due.", ("system", "feed", "outcome"), CALLS)
POLLED = Counter("counterfoil_polled_total", "Receipts that a poll brought and no webhook before.", ("system", "feed"))
LEASES_LOST = Counter("counterfoil_leases_lost_total", "Results dropped because the lane's lease had run out.", ())
STOREFRONT = Histogram(
    "counterfoil_storefront_request_seconds",
    "Requests to the storefront API by route and status.",
    ("route", "method", "status"),
    FAST,
)

COUNTERS = (WEBHOOKS, EVENTS, DELIVERIES, WITHIN, PROMISES, POLLED, LEASES_LOST)
HISTOGRAMS = (INGESTION, LAG, CALLS_MADE, POLLS, STOREFRONT)


@contextmanager
def timed(histogram: Histogram, *labels: str) -> Iterator[None]:
    """Observe how long the block takes. The last label is how it ended: `done`, what a Failure says, `timeout`,
    `broke`, or `cut_off` where it was told to stop."""
    began, ended = perf_counter(), "cut_off"
    try:
        yield
        ended = "done"
    except Failure as failure:
        ended = failure.outcome.kind.value
        raise
    except Exception as error:
        ended = "timeout" if isinstance(error, TimeoutError) else "broke"
        raise
    finally:
        histogram.observe(*labels, ended, seconds=(perf_counter() - began,))
