"""Prometheus' metrics: what this process counted itself, and what the store says at the scrape.

The store is asked at most every `KEEP` seconds, less often where that takes long, and each time for `LIMIT` seconds;
while it is away, what the process knows is told all the same, with `counterfoil_store_up 0` and none of the gauges that
would have come from it. Every process that is scraped tells the same of the store: a rule takes `max` over instances.
"""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
import structlog
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from counterfoil import __version__
from counterfoil.hub import meters, standing
from counterfoil.hub.contract import REFUSED_CREDENTIALS
from counterfoil.hub.standing import Standing
from counterfoil.hub.store import Store

log = structlog.get_logger()

KEEP = 10.0
"""Seconds for which what the store said is told again."""
SHARE = 0.05
"""Of all time so much at most is spent on asking."""
LIMIT = 3.0
"""Seconds after which the store counts as away, and its lanes as too many to be counted."""

Rows = Iterable[tuple[Sequence[str], float]]


@dataclass(frozen=True, slots=True)
class Gauge:
    """A number that goes up and down; `rows` takes it from what the store says."""

    name: str
    help: str
    labels: tuple[str, ...]
    rows: Callable[[Standing, Known], Rows]


@dataclass(frozen=True, slots=True)
class Known:
    """What the process knows by its blueprint: its systems, and how often each of their feeds is polled, in seconds."""

    systems: tuple[str, ...] = ()
    feeds: Mapping[tuple[str, str], float] = field(default_factory=dict)


def _split(rows: Iterable[Sequence[Any]], labels: int, at: int = -1) -> Rows:
    """The first so many of each row are labels; the number stands `at`."""
    return [(row[:labels], float(row[at])) for row in rows if row[at] is not None]


def _breakers(said: Standing, known: Known) -> Rows:
    yield from (((system, ""), float(system in said.closed)) for system in known.systems)
    for name in said.closed:
        system, dot, operation = name.partition(".")
        if dot:
            yield (system, operation), 1.0


def _refused(said: Standing, known: Known) -> Rows:
    for system in known.systems:
        closed = said.closed.get(system)
        yield (system,), float(closed is not None and closed.reason in REFUSED_CREDENTIALS)


def _free(said: Standing, _known: Known) -> Rows:
    return [] if said.free is None else [((), float(said.free))]


def _untold_since(said: Standing, _known: Known) -> Rows:
    return [] if said.untold[1] is None else [((), float(said.untold[1]))]


_EXCEPTION = ("system", "operation", "outcome", "reason", "owner")

GAUGES = (
    Gauge(
        "counterfoil_lanes",
        "Lanes by state: waiting (due now), working, later (a retry, a run or a window), held (for a person).",
        ("system", "stream", "state"),
        lambda s, _: _split(s.lanes, 3, 3),
    ),
    Gauge(
        "counterfoil_deliveries_unfinished",
        "Deliveries in those lanes.",
        ("system", "stream", "state"),
        lambda s, _: _split(s.lanes, 3, 4),
    ),
    Gauge(
        "counterfoil_oldest_delivery_timestamp_seconds",
        "Since when the oldest delivery waits that could be done; what is held or is for later does not count.",
        ("system", "stream"),
        lambda s, _: _split(s.oldest, 2),
    ),
    Gauge(
        "counterfoil_held_since_timestamp_seconds",
        "Since when the lane that was held first waits for a person.",
        ("system", "stream"),
        lambda s, _: _split(s.held, 2),
    ),
    Gauge("counterfoil_exceptions_open", "Open exceptions.", _EXCEPTION, lambda s, _: _split(s.exceptions, 5, 5)),
    Gauge(
        "counterfoil_exceptions_oldest_timestamp_seconds",
        "When the oldest of those open exceptions was opened.",
        _EXCEPTION,
        lambda s, _: _split(s.exceptions, 5, 6),
    ),
    Gauge(
        "counterfoil_exceptions_overdue",
        "Open exceptions that nobody acknowledged in their response time, by who has them now.",
        ("owner",),
        lambda s, _: _split(s.overdue, 1),
    ),
    Gauge(
        "counterfoil_breaker_open",
        "1 while a system, or one of its operations alone, is not called; operation is empty for the whole system.",
        ("system", "operation"),
        _breakers,
    ),
    Gauge("counterfoil_credentials_refused", "1 while a system refuses our credentials.", ("system",), _refused),
    Gauge(
        "counterfoil_credential_since_timestamp_seconds",
        "When this credential of the blueprint was first seen as it is now.",
        ("system", "name"),
        lambda s, _: _split(s.credentials, 2),
    ),
    Gauge(
        "counterfoil_system_info",
        "Always 1: what a system says that it is; doubted where its connector was never tested with that.",
        ("system", "name", "version", "doubted"),
        lambda s, known: [(row[:4], 1.0) for row in s.versions if row[0] in known.systems],
    ),
    Gauge(
        "counterfoil_paused_timestamp_seconds",
        "Since when a person has paused a system; stream is empty for all that is done at it.",
        ("system", "stream"),
        lambda s, _: _split(s.paused, 2),
    ),
    Gauge(
        "counterfoil_stock_untold",
        "Articles whose stock has changed since the channels were looked at.",
        (),
        lambda s, _: [((), float(s.untold[0]))],
    ),
    Gauge(
        "counterfoil_stock_untold_since_timestamp_seconds", "Since when the first of those waits.", (), _untold_since
    ),
    Gauge(
        "counterfoil_reservations",
        "Reservations of stock that have not ended, by state.",
        ("state",),
        lambda s, _: _split(s.reservations, 1),
    ),
    Gauge(
        "counterfoil_promises",
        "The blueprint's promises that have not ended: open, or overdue.",
        ("promise", "state"),
        lambda s, _: _split(s.promises, 2),
    ),
    Gauge(
        "counterfoil_money_waiting",
        "Payments and refunds that storefronts told of and the ERP has not booked yet, in units of the currency.",
        ("currency", "kind"),
        lambda s, _: _split(s.money, 2, 2),
    ),
    Gauge(
        "counterfoil_money_waiting_items",
        "How many payments and refunds those are.",
        ("currency", "kind"),
        lambda s, _: _split(s.money, 2, 3),
    ),
    Gauge(
        "counterfoil_money_waiting_since_timestamp_seconds",
        "Since when the first of those waits.",
        ("currency", "kind"),
        lambda s, _: _split(s.money, 2, 4),
    ),
    Gauge(
        "counterfoil_poll_ok_timestamp_seconds",
        "When the last poll that worked began: all that was so before has been seen.",
        ("system", "feed"),
        lambda s, known: [row for row in _split(s.polls, 2) if tuple(row[0]) in known.feeds],
    ),
    Gauge(
        "counterfoil_poll_interval_seconds",
        "How often that feed is polled.",
        ("system", "feed"),
        lambda _, known: known.feeds.items(),
    ),
    Gauge("counterfoil_store_size_bytes", "The store's tables and indexes.", (), lambda s, _: [((), float(s.size))]),
    Gauge("counterfoil_store_free_bytes", "Free where SQLite's file lies; else see the database's host.", (), _free),
)

OWN = {
    "counterfoil_store_up": ("1 if the store answered in time, else 0.", ()),
    "counterfoil_store_read_seconds": ("How long the store took to say all that.", ()),
    "counterfoil_build_info": ("Always 1.", ("version", "python", "store")),
    "counterfoil_role": ("1 for each role of the process: doors, workers, schedule.", ("role",)),
    "counterfoil_pressure": ("1 while flows that may wait are slowed down; of processes with workers.", ()),
    "counterfoil_storefront_book_ready": ("1 once the storefront has read its stock; of processes with doors.", ()),
    "counterfoil_storefront_book_stale": ("1 while the stock it answers with is older than `stock.stale_after`.", ()),
    "counterfoil_storefront_book_age_seconds": ("How old that stock is.", ()),
}
"""What a process says of itself, with help and labels."""


def names() -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """Every metric of ours: its kind, help and labels, by name."""
    found = {each.name: ("counter", each.help, each.labels) for each in meters.COUNTERS}
    found |= {each.name: ("histogram", each.help, each.labels) for each in meters.HISTOGRAMS}
    found |= {each.name: ("gauge", each.help, each.labels) for each in GAUGES}
    return found | {name: ("gauge", help_, labels) for name, (help_, labels) in OWN.items()}


class Metrics:
    """All metrics of one process. `own` says, at each scrape, what it knows of itself: (name, labels) to a number."""

    def __init__(
        self,
        store: Store,
        known: Known,
        own: Callable[[], Mapping[tuple[str, tuple[str, ...]], float]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store, self.known, self.own, self._clock = store, known, own, clock
        self._said: Standing | None = None
        self._took = 0.0
        self._asked: float | None = None
        self._asking = asyncio.Lock()
        self._process = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._process)

    async def text(self, accept: str = "") -> tuple[bytes, str]:
        """What a scrape is answered, and its content type."""
        said = await self._standing()
        encode, kind = choose_encoder(accept)
        return encode(_Told([*self._process.collect(), *self._families(said)])), kind

    async def _standing(self) -> Standing | None:
        """What the store says, or said a moment ago; None while it is away."""
        async with self._asking:
            began = self._clock()
            if self._asked is None or began - self._asked >= max(KEEP, self._took / SHARE):
                self._said = await self._ask()
                self._asked = self._clock()
                self._took = self._asked - began
            return self._said

    async def _ask(self) -> Standing | None:
        said = None
        try:
            async with asyncio.timeout(LIMIT):
                said = await standing.look(self.store)
            async with asyncio.timeout(LIMIT):
                await standing.count_work(self.store, said)
            async with asyncio.timeout(LIMIT):
                await standing.count_money(self.store, said)
        except (OSError, TimeoutError, sa.exc.SQLAlchemyError) as error:
            what = "the store" if said is None else "all that waits"
            log.warning(f"no metrics of {what}", error=type(error).__name__)
        return said

    def _families(self, said: Standing | None) -> Iterator[Metric]:
        for each in meters.COUNTERS:
            yield _filled(CounterMetricFamily(each.name, each.help, labels=each.labels), each.values.items())
        for histogram in meters.HISTOGRAMS:
            family = HistogramMetricFamily(histogram.name, histogram.help, labels=histogram.labels)
            for labels, row in list(histogram.rows.items()):
                family.add_metric(labels, list(histogram.buckets(row)), row[-1])
            yield family
        for gauge in GAUGES:
            if said is not None:
                yield _filled(
                    GaugeMetricFamily(gauge.name, gauge.help, labels=gauge.labels), gauge.rows(said, self.known)
                )
        engine = "sqlite" if self.store.is_sqlite else "postgresql"
        own = {
            ("counterfoil_store_up", ()): float(said is not None),
            ("counterfoil_store_read_seconds", ()): self._took,
            ("counterfoil_build_info", (__version__, platform.python_version(), engine)): 1.0,
            **self.own(),
        }
        for name, (help_, labels) in OWN.items():
            rows = [(values, number) for (which, values), number in own.items() if which == name]
            if rows:
                yield _filled(GaugeMetricFamily(name, help_, labels=labels), rows)


def _filled(family: Any, rows: Iterable[tuple[Sequence[str], float]]) -> Metric:
    for labels, number in list(rows):
        family.add_metric(labels, number)
    return family  # type: ignore[no-any-return]


class _Told:
    """Families as a registry gives them."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Sequence[Metric]:
        return self._families
