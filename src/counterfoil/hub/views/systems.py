"""Each system: whether it can be called, what it told when, what its care found, and how old its credentials are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from counterfoil.blueprint import Blueprint
from counterfoil.hub import condition, credentials, looks, pausing, schedule, versions
from counterfoil.hub.care import CHECK
from counterfoil.hub.credentials import Credential
from counterfoil.hub.looks import Look
from counterfoil.hub.pausing import Pause
from counterfoil.hub.schema import cursor, exception, receipt
from counterfoil.hub.store import Store
from counterfoil.hub.versions import Version

OVERDUE = 120.0
"""Seconds after its time from which on a poll counts as late; a turn that a dead process held has run out by then."""


@dataclass(frozen=True, slots=True)
class Polled:
    """A feed. `seen` is the moment before which all changes have been seen (seconds; None: no poll has worked yet)."""

    feed: str
    seen: float | None
    late: bool


@dataclass(frozen=True, slots=True)
class Problem:
    """What care or a poll has put before a person about the system itself."""

    number: int
    since: float
    about: str
    message: str
    remedy: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SystemView:
    """One system. `health` is well, ill (something about it waits for a person, or a poll is late), paused or down.

    `closed` and `limits` are as `counterfoil status` has them. `last_webhook` is None where none is kept. `looks` are
    what care and the doctor found last, once they have looked; care's moment is that of its last look.
    """

    name: str
    connector: str
    health: str
    closed: Mapping[str, Mapping[str, Any]]
    limits: Mapping[str, Any]
    paused: tuple[Pause, ...]
    feeds: tuple[Polled, ...]
    last_webhook: float | None
    problems: tuple[Problem, ...]
    credentials: tuple[Credential, ...]
    versions: tuple[Version, ...] = ()
    looks: Mapping[str, Look] = field(default_factory=dict)


async def all_of(store: Store, blueprint: Blueprint, streams: Mapping[str, str]) -> list[SystemView]:
    """Every system of the blueprint, in its order; `streams` by `system.operation`."""
    stands = await condition.of(store, blueprint, streams)
    paused = await pausing.listing(store)
    ages = await credentials.ages(store)
    feeds: defaultdict[str, list[Polled]] = defaultdict(list)
    problems: defaultdict[str, list[Problem]] = defaultdict(list)
    webhooks: dict[str, float] = {}
    cared: dict[str, float | None] = {}
    async with store.read() as connection:
        now = await store.clock(connection)
        mine = cursor.c.system.in_(list(blueprint.systems))
        polled = sa.select(cursor.c.system, cursor.c.feed, cursor.c.ok_at, cursor.c.next_at).where(mine)
        for r in await connection.execute(polled.order_by(cursor.c.feed)):
            if r.feed == schedule.CARE:
                cared[r.system] = r.ok_at
            elif r.feed not in schedule.NO_FEEDS:
                feeds[r.system].append(Polled(r.feed, r.ok_at, r.next_at < now - OVERDUE))
        its_own = (
            exception.c.status == "open",
            exception.c.delivery_id.is_(None),
            exception.c.subject == exception.c.system,
        )
        for r in await connection.execute(sa.select(exception).where(*its_own).order_by(exception.c.opened_at)):
            about = r.operation.removeprefix(CHECK)
            problems[r.system].append(Problem(r.id, r.opened_at, about, r.message, r.suggestion, r.reason))
        for name in blueprint.systems:
            came = (receipt.c.system == name, receipt.c.origin == sa.literal_column("'webhook'"))
            last = await connection.scalar(sa.select(sa.func.max(receipt.c.received_at)).where(*came))
            if last is not None:
                webhooks[name] = last
        told, seen = await versions.all_of(connection), await looks.all_of(connection)
    for name, its in seen.items():
        if schedule.CARE in its:
            its[schedule.CARE] = replace(its[schedule.CARE], at=cared.get(name) or its[schedule.CARE].at)
    found = []
    for name, system in blueprint.systems.items():
        closed = {n: state for n, state in stands["systems_closed"].items() if n.partition(".")[0] == name}
        stopped = tuple(p for p in paused if p.place.system == name)
        ill = problems[name] or any(feed.late for feed in feeds[name]) or closed
        health = "down" if name in closed else "paused" if stopped else "ill" if ill else "well"
        found.append(
            SystemView(
                *(name, system.connector, health, closed, stands["limits"].get(name, {}), stopped),
                *(tuple(feeds[name]), webhooks.get(name), tuple(problems[name])),
                tuple(age for age in ages if age.system == name),
                *(told.get(name, ()), seen.get(name, {})),
            )
        )
    return found
