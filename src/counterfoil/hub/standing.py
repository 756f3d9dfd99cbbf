"""How the store stands, for metrics: one statement for each thing that is asked, each over an index or over open work.

What comes back is plain: rows of labels and numbers. Moments are seconds since the epoch by the database's clock.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub import systems, versions
from counterfoil.hub.schema import (
    HELD,
    credential,
    cursor,
    delivery,
    exception,
    lane,
    paused,
    promise,
    reservation,
    stock,
)
from counterfoil.hub.store import Store
from counterfoil.hub.systems import Closed
from counterfoil.hub.views import money

Row = Sequence[Any]


@dataclass(slots=True)
class Standing:
    """What the store says at one moment; each row begins with its labels."""

    lanes: list[Row] = field(default_factory=list)  # system, stream, state; lanes, deliveries
    oldest: list[Row] = field(default_factory=list)  # system, stream; moment
    exceptions: list[Row] = field(default_factory=list)  # system, operation, outcome, reason, owner; n, moment
    overdue: list[Row] = field(default_factory=list)  # owner; n
    held: list[Row] = field(default_factory=list)  # system, stream; moment
    closed: dict[str, Closed] = field(default_factory=dict)
    paused: list[Row] = field(default_factory=list)  # system, stream; moment
    untold: tuple[int, float | None] = (0, None)
    reservations: list[Row] = field(default_factory=list)  # state; n
    promises: list[Row] = field(default_factory=list)  # promise, state; n
    polls: list[Row] = field(default_factory=list)  # system, feed; moment
    credentials: list[Row] = field(default_factory=list)  # system, name; moment
    versions: list[Row] = field(default_factory=list)  # system, name, version, whether it is doubted; moment
    money: list[Row] = field(default_factory=list)  # currency, kind; amount, n, moment
    size: int = 0
    free: int | None = None


async def look(store: Store) -> Standing:
    """Ask for all but the work, however much there is of it. Raises what the store raises."""
    found = Standing()
    async with store.read() as connection:
        rows = _Asking(connection)
        found.held = await rows(_held())
        found.exceptions = await rows(_exceptions())
        found.overdue = await rows(_overdue(store))
        found.closed = await systems.closed_now(connection, store)
        found.paused = await rows(sa.select(paused.c.system, paused.c.stream, paused.c.since))
        [(n, since)] = await rows(
            sa.select(sa.func.count(), sa.func.min(stock.c.untold_at)).where(stock.c.untold_at.is_not(None))
        )
        found.untold = (n, since)
        held = sa.select(reservation.c.state, sa.func.count()).where(reservation.c.ended_at.is_(None))
        found.reservations = await rows(held.group_by(reservation.c.state))
        found.promises = await rows(_promises(store))
        found.polls = await rows(sa.select(cursor.c.system, cursor.c.feed, cursor.c.ok_at))
        found.credentials = await rows(sa.select(credential.c.system, credential.c.name, credential.c.since))
        found.versions = [
            (system, each.name, each.version, str(bool(each.doubt)).lower(), each.since)
            for system, its in (await versions.all_of(connection)).items()
            for each in its
        ]
        found.size = await _size(connection, store)
    found.free = _free(store)
    return found


async def count_work(store: Store, found: Standing) -> None:
    """Ask for the lanes and the oldest deliveries too: that takes longer the more of them there are."""
    async with store.read() as connection:
        rows = _Asking(connection)
        lanes = await rows(_lanes(store))
        found.lanes, found.oldest = lanes, await rows(_oldest(store, bool(found.held)))


async def count_money(store: Store, found: Standing) -> None:
    """Add up the money that waits to be matched, as the console shows it."""
    waiting = await money.waiting(store)
    at = waiting.at.timestamp()
    found.money = [(s.currency, s.kind, float(s.amount), s.count, at - s.oldest) for s in waiting.sums]


class _Asking:
    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    async def __call__(self, statement: sa.Select[Any]) -> list[Row]:
        return [tuple(row) for row in await self.connection.execute(statement)]


def _lanes(store: Store) -> sa.Select[Any]:
    state = sa.case(
        (lane.c.worker.is_not(None), "working"),
        (lane.c.due_at >= HELD, "held"),
        (lane.c.due_at > store.now, "later"),
        else_="waiting",
    )
    counted = sa.select(lane.c.system, lane.c.stream, state, sa.func.count(), sa.func.sum(lane.c.n))
    return counted.group_by(lane.c.system, lane.c.stream, state)


def _held() -> sa.Select[Any]:
    since = sa.func.min(exception.c.opened_at)
    mine = (exception.c.status == "open", exception.c.held)
    found = sa.select(exception.c.system, exception.c.stream, since).where(*mine)
    return found.group_by(exception.c.system, exception.c.stream)


def _oldest(store: Store, some_held: bool) -> sa.Select[Any]:
    """Since when what could be done waits: not what is held for a person, nor what waits for its run or window."""
    began = sa.func.coalesce(delivery.c.not_before, delivery.c.created_at)
    found = sa.select(delivery.c.system, delivery.c.stream, sa.func.min(began)).where(began <= store.now)
    if some_held:
        place = (exception.c.system, exception.c.stream, exception.c.key)
        held = sa.select(*place).where(exception.c.status == "open", exception.c.held)
        found = found.where(sa.tuple_(delivery.c.system, delivery.c.stream, delivery.c.key).not_in(held))
    return found.group_by(delivery.c.system, delivery.c.stream)


def _exceptions() -> sa.Select[Any]:
    labels = [exception.c[name] for name in ("system", "operation", "outcome", "reason", "owner")]
    counted = sa.select(*labels, sa.func.count(), sa.func.min(exception.c.opened_at))
    return counted.where(exception.c.status == "open").group_by(*labels)


def _overdue(store: Store) -> sa.Select[Any]:
    late = sa.or_(exception.c.step > 0, exception.c.respond_by < store.now)
    counted = sa.select(exception.c.owner, sa.func.count()).where(exception.c.status == "open", late)
    return counted.where(exception.c.acknowledged_at.is_(None)).group_by(exception.c.owner)


def _promises(store: Store) -> sa.Select[Any]:
    state = sa.case((promise.c.due_at < store.now, "overdue"), else_="open")
    counted = sa.select(promise.c.name, state, sa.func.count()).where(promise.c.ended_at.is_(None))
    return counted.group_by(promise.c.name, state)


async def _size(connection: AsyncConnection, store: Store) -> int:
    """Bytes on the disk, of all tables and indexes; of SQLite's file without its log."""
    if store.is_sqlite:
        pages, bytes_ = [await connection.scalar(sa.text(f"PRAGMA page_{name}")) for name in ("count", "size")]
        return int(pages or 0) * int(bytes_ or 0)
    return int(await connection.scalar(sa.text("SELECT pg_database_size(current_database())")) or 0)


def _free(store: Store) -> int | None:
    """Bytes free where SQLite's file lies; None where the store is elsewhere."""
    if not store.is_sqlite or not store.url.database or store.url.database == ":memory:":
        return None
    there = os.statvfs(Path(store.url.database).absolute().parent)
    return there.f_bavail * there.f_frsize
