"""The last days in figures: throughput by day and channel, how promises were kept, exceptions by cause.

The same facts, row by row, are the SQL views `report_orders`, `report_promises` and `report_exceptions` (migration
0006), for tools that read the database themselves. Nothing here names a person.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from counterfoil.blueprint.explaining import Taken
from counterfoil.hub import measuring, tallying
from counterfoil.hub.schema import exception
from counterfoil.hub.store import Store
from counterfoil.hub.views.cached import shared

DAY = 86400.0
NEWEST = 20_000
"""Tries that promises are measured on: the newest."""
COUNTED = {fact: fact.partition(".")[2] for fact in tallying.FACTS}
"""Facts counted by day, and their columns."""


@dataclass(frozen=True, slots=True)
class Day:
    """One day of one system that told of something: of orders and shipments so many."""

    day: date
    system: str
    placed: int
    accepted: int
    cancelled: int
    refunded: int
    dispatched: int


@dataclass(frozen=True, slots=True)
class Kept:
    """How long an operation's deliveries took, from the fact to the end, in seconds; of those promised so many late."""

    operation: str
    done: int
    p50: float
    p95: float
    p99: float
    promised: int
    late: int


@dataclass(frozen=True, slots=True)
class Cause:
    """Exceptions of one reason that were opened on one day, and how many of them are open still."""

    day: date
    reason: str
    opened: int
    open: int


TABLES: Mapping[str, type[Any]] = {"throughput": Day, "promises": Kept, "causes": Cause}
"""The tables of a report by name, and what a row of each is."""


@dataclass(frozen=True, slots=True)
class Report:
    """Days begin at midnight in `zone`; the first one may be cut."""

    days: int
    zone: str
    throughput: tuple[Day, ...]
    promises: tuple[Kept, ...]
    causes: tuple[Cause, ...]


async def report(store: Store, days: int = 7, zone: str = "UTC") -> Report:
    """The last so many days; shared by all who look for half a minute."""
    return await shared(store, f"report:{days}:{zone}", lambda: _report(store, days, zone), seconds=30.0)


async def _report(store: Store, days: int, zone: str) -> Report:
    async with store.read() as connection:
        now = await store.clock(connection)
        since = now - days * DAY
        told: defaultdict[tuple[date, str], Counter[str]] = defaultdict(Counter)
        for each in await tallying.told(connection, store, since):
            told[_day(each.quarter, zone), each.source][COUNTED[each.type]] += each.n
        taken = await measuring.taken(connection, store, days * DAY, NEWEST)
        opened: Counter[tuple[date, str]] = Counter()
        still: Counter[tuple[date, str]] = Counter()
        rows = sa.select(exception.c.reason, exception.c.opened_at, exception.c.status)
        for r in await connection.execute(rows.where(exception.c.opened_at >= since)):
            place = (_day(r.opened_at, zone), r.reason)
            opened[place] += 1
            still[place] += r.status == "open"
    return Report(
        days,
        zone,
        tuple(Day(*place, *(told[place][column] for column in COUNTED.values())) for place in sorted(told)),
        tuple(_kept(name, numbers) for name, numbers in taken.items()),
        tuple(Cause(*place, opened[place], still[place]) for place in sorted(opened)),
    )


def _kept(name: str, taken: Taken) -> Kept:
    return Kept(name, taken.count, taken.p50 or 0.0, taken.p95 or 0.0, taken.p99 or 0.0, taken.promised, taken.late)


def _day(seconds: float, zone: str) -> date:
    return datetime.fromtimestamp(seconds, ZoneInfo(zone)).date()
