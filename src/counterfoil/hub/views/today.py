"""Today in figures: what came in, what was done in time, what waits for a person. Each says where its list is.

Of facts the last hours alone are counted; an answer is shared by all who look for some seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint import Blueprint
from counterfoil.hub import measuring, tallying
from counterfoil.hub.availability.publication import STREAM
from counterfoil.hub.schema import delivery, exception, lane, stock
from counterfoil.hub.store import Store
from counterfoil.hub.views import money, systems
from counterfoil.hub.views.cached import shared
from counterfoil.hub.views.money import Sum
from counterfoil.retail.events import at_utc

HOUR, DAY = 3600.0, 86400.0
KEEP = 4.0
"""Seconds for which the answer is shared: an open page looks again a little later."""
NEWEST = 2_000
"""Tries that lag is measured on, the newest of the last day: a look must not read a whole day of a busy hub."""
PLACED, ACCEPTED = "order.placed", "order.accepted"


@dataclass(frozen=True, slots=True)
class Count:
    """How many things for the first time since midnight of the shop, and in the last hour; by who told of it."""

    today: int
    last_hour: int
    by_system: Mapping[str, int]
    address: str


@dataclass(frozen=True, slots=True)
class Lag:
    """Of an operation's promised deliveries: how many were done, how many of them late, and p50, p95 in seconds."""

    operation: str
    done: int
    late: int
    p50: float
    p95: float
    address: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """So many, the first for so many seconds."""

    number: int
    oldest: float
    address: str


@dataclass(frozen=True, slots=True)
class Open:
    """Open exceptions of one owner and class."""

    owner: str
    outcome: str
    number: int
    oldest: float
    address: str


@dataclass(frozen=True, slots=True)
class Health:
    """A system in a word."""

    system: str
    health: str
    address: str


@dataclass(frozen=True, slots=True)
class Today:
    """Times are UTC, ages are seconds. `late` are unfinished deliveries whose promise is over."""

    at: datetime
    midnight: datetime
    orders_in: Count
    orders_accepted: Count
    lag: tuple[Lag, ...]
    late: Waiting
    stock_untold: Waiting
    stock_on_its_way: Waiting
    exceptions: tuple[Open, ...]
    money: tuple[Sum, ...]
    systems: tuple[Health, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)


LEFT_OUT = {
    "payouts": "no bank statement and no payout of a payment provider is read yet, so nothing is known of whether "
    "money that is booked has arrived"
}


async def today(store: Store, blueprint: Blueprint, streams: Mapping[str, str], zone: str = "") -> Today:
    """How it stands; `zone` is the shop's, by default that of its first calendar, else of its drift audit."""
    name = zone or zone_of(blueprint)
    return await shared(store, f"today:{name}", lambda: _look(store, blueprint, streams, name), KEEP)


def zone_of(blueprint: Blueprint) -> str:
    """In whose zone a day begins."""
    zones = [calendar.zone for calendar in blueprint.calendars.values()]
    return zones[0] if zones else blueprint.drift.zone


async def _look(store: Store, blueprint: Blueprint, streams: Mapping[str, str], zone: str) -> Today:
    async with store.read() as connection:
        now = await store.clock(connection)
        begins = midnight(now, zone)
        found = Today(
            at=at_utc(now),
            midnight=at_utc(begins),
            orders_in=await _count(connection, store, PLACED, now, begins),
            orders_accepted=await _count(connection, store, ACCEPTED, now, begins),
            lag=await _lag(connection, store),
            late=await _late(connection, now),
            stock_untold=await _untold(connection, now),
            stock_on_its_way=await _on_its_way(connection, now),
            exceptions=await _open(connection, now),
            money=(),
            systems=(),
            left_out=LEFT_OUT,
        )
    waiting = await money.waiting(store)
    seen = await systems.all_of(store, blueprint, streams)
    health = tuple(Health(s.name, s.health, f"systems/{s.name}") for s in seen)
    return replace(found, money=waiting.sums, systems=health)


def midnight(now: float, zone: str) -> float:
    """When the day began in which `now` is there, in seconds; on a day without a midnight its first moment."""
    day = datetime.fromtimestamp(now, ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    return day.timestamp()


async def _count(connection: AsyncConnection, store: Store, type_: str, now: float, begins: float) -> Count:
    of_today = Counter[str]()
    for each in await tallying.told(connection, store, begins, [type_]):
        of_today[each.source] += each.n
    lately = sa.select(sa.func.count()).select_from(tallying.first_times(type_, now - HOUR))
    hour = int(await connection.scalar(lately) or 0)
    return Count(of_today.total(), hour, dict(sorted(of_today.items())), _address("reports", days=1))


async def _lag(connection: AsyncConnection, store: Store) -> tuple[Lag, ...]:
    found = await measuring.taken(connection, store, DAY, NEWEST)
    return tuple(
        Lag(name, t.promised, t.late, t.p50 or 0.0, t.p95 or 0.0, _address("reports", days=1))
        for name, t in found.items()
        if t.promised
    )


async def _late(connection: AsyncConnection, now: float) -> Waiting:
    over = sa.select(sa.func.count(), sa.func.min(delivery.c.promise_by)).where(delivery.c.promise_by < now)
    return _waiting((await connection.execute(over)).one(), now, _address("flows"))


async def _untold(connection: AsyncConnection, now: float) -> Waiting:
    """Articles whose change no channel has been looked at for."""
    changed = sa.select(sa.func.count(), sa.func.min(stock.c.untold_at)).where(stock.c.untold_at.is_not(None))
    return _waiting((await connection.execute(changed)).one(), now, _address("flows", stream=STREAM))


async def _on_its_way(connection: AsyncConnection, now: float) -> Waiting:
    """Lanes of stock numbers that a channel has still to be told."""
    due = sa.case((lane.c.due_at <= now, lane.c.due_at))
    waiting = sa.select(sa.func.count(), sa.func.min(due)).where(lane.c.stream == STREAM)
    return _waiting((await connection.execute(waiting)).one(), now, _address("flows", stream=STREAM))


async def _open(connection: AsyncConnection, now: float) -> tuple[Open, ...]:
    number = sa.func.count()
    rows = await connection.execute(
        sa.select(exception.c.owner, exception.c.outcome, number.label("n"), sa.func.min(exception.c.opened_at))
        .where(exception.c.status == "open")
        .group_by(exception.c.owner, exception.c.outcome)
        .order_by(number.desc(), exception.c.owner, exception.c.outcome)
    )
    return tuple(
        Open(owner, outcome, int(n), now - first, _address("exceptions", owner=owner, outcome=outcome))
        for owner, outcome, n, first in rows
    )


def _waiting(row: sa.Row[tuple[int, float]], now: float, address: str) -> Waiting:
    number, first = row
    return Waiting(int(number), max(0.0, now - first) if first is not None else 0.0, address)


def _address(path: str, **asked: object) -> str:
    """Where the list is, below the console's address."""
    return f"{path}?{urlencode(asked)}" if asked else path
