"""Receipts: what arrived, kept raw before anyone looks inside.

A receipt and its place in the decode lane are committed together, then the sender is answered. A body that is
the same as the one last decoded for its object is counted and not kept again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.availability import readings
from counterfoil.hub.contract import Raw
from counterfoil.hub.lanes import DECODE, NewDelivery, enqueue
from counterfoil.hub.schema import cursor, lane, receipt, seen
from counterfoil.hub.store import Store, as_json, count
from counterfoil.retail.product import variant_id

IMPORT = "import"
"""The origin of what is fetched as history, without side effects."""

ASKED_AT = "asked_at"
"""The header of a polled receipt of stock: when its reading began, in seconds by the store's clock."""

RELEASED = "released"
"""The origin of what was held back for a person's word, and got it."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A raw payload from a system, and by which way it came: webhook, poll or import."""

    system: str
    origin: str
    raw: Raw


def digest(body: bytes) -> str:
    """The fingerprint of a body."""
    return hashlib.sha256(body).hexdigest()


def object_key(kind: str, object_id: str) -> str:
    """The lane key of an object's receipts: `order:1001`."""
    return f"{kind}:{object_id}"


async def take(connection: AsyncConnection, store: Store, arrivals: Sequence[Arrival]) -> int:
    """Keep the arrivals in this transaction and queue them for decoding; how many were new.

    A reading of stock that says what is known already is a look all the same, after which nothing else is to come of it
    but what was accepted before it (`stock.settle`).
    """
    fresh = await _unseen(connection, store, arrivals)
    if not fresh:
        return 0
    ids = await store.next_ids(connection, receipt, len(fresh))
    rows = []
    queued = []
    for id_, (arrival, fingerprint) in zip(ids, fresh, strict=True):
        raw = arrival.raw
        rows.append(
            {
                **{"id": id_, "system": arrival.system, "kind": raw.kind, "object_id": raw.object_id},
                **{"digest": fingerprint, "origin": arrival.origin, "body": raw.body},
                "headers": as_json(dict(raw.headers)),
            }
        )
        key = object_key(raw.kind, raw.object_id)
        subject = f"{arrival.system}:{key}"
        queued.append(NewDelivery(arrival.system, DECODE, key, DECODE, subject, receipt_id=id_, on_exception="pass"))
    await store.each(connection, _kept, rows)
    await enqueue(connection, store, queued)
    return len(queued)


def _kept(store: Store) -> sa.Insert:
    names = ("id", "system", "kind", "object_id", "digest", "origin", "body", "headers")
    return sa.insert(receipt).values({n: sa.bindparam(n) for n in names} | {"received_at": store.now})


async def _unseen(connection: AsyncConnection, store: Store, arrivals: Sequence[Arrival]) -> list[tuple[Arrival, str]]:
    looks = [a for a in arrivals if ASKED_AT in a.raw.headers]
    # asked before what was last decoded: of what waits to be, `seen` does not know yet
    waiting = await _waiting(connection, store, looks)
    keys: defaultdict[str, set[str]] = defaultdict(set)
    for arrival in arrivals:
        keys[arrival.system].add(object_key(arrival.raw.kind, arrival.raw.object_id))
    last: dict[tuple[str, str], str] = {}
    for system, its in keys.items():
        rows = await store.run(connection, _last_seen, {"system": system, "keys": store.listed(its)})
        last |= {(system, key): fingerprint for key, fingerprint in rows}
    fresh = []
    duplicates: Counter[tuple[str, str]] = Counter()
    same: dict[str, float] = {}
    for arrival in arrivals:
        fingerprint = digest(arrival.raw.body)
        place = (arrival.system, object_key(arrival.raw.kind, arrival.raw.object_id))
        if arrival.origin == IMPORT:  # what was left alone when it came before is looked at with other eyes
            fresh.append((arrival, fingerprint))
        elif last.get(place) == fingerprint and place not in waiting:
            duplicates[(arrival.system, f"duplicate_{arrival.origin}")] += 1
            if asked_at := arrival.raw.headers.get(ASKED_AT):
                same[variant_id(arrival.system, arrival.raw.object_id)] = float(asked_at)
        else:
            fresh.append((arrival, fingerprint))
    await readings.settle(connection, store, same)
    await count(connection, store, duplicates)
    return fresh


async def _waiting(connection: AsyncConnection, store: Store, looks: Sequence[Arrival]) -> set[tuple[str, str]]:
    """(system, key) of those of which something else is still to be decoded: the same as before may be news again."""
    found: set[tuple[str, str]] = set()
    for system in {look.system for look in looks}:
        keys = {object_key(look.raw.kind, look.raw.object_id) for look in looks if look.system == system}
        rows = await store.run(connection, _queued, {"system": system, "stream": DECODE, "keys": store.listed(keys)})
        found |= {(system, key) for (key,) in rows}
    return found


def _queued(store: Store) -> sa.Select[Any]:
    return store.by_keys(lane, ["system", "stream"], ["key"])


def _last_seen(store: Store) -> sa.Select[Any]:
    return store.by_keys(seen, ["system"], ["key", "digest"])


class GroupCommit:
    """Many doors, one commit: arrivals that wait at the same time are committed together.

    `take` returns only after the commit that holds the arrival.
    """

    def __init__(self, store: Store, most: int = 200) -> None:
        self.store = store
        self.most = most
        self._waiting: list[tuple[Arrival, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def take(self, arrival: Arrival) -> None:
        """Keep one arrival; returns when it is safe, raises what the store raised."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrival, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        await done

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[: self.most], self._waiting[self.most :]
            try:
                async with self.store.write() as connection:
                    await take(connection, self.store, [arrival for arrival, _ in batch])
            except BaseException as error:
                for _, done in batch:
                    if not done.done():
                        done.set_exception(error if isinstance(error, Exception) else RuntimeError("stopping"))
                if not isinstance(error, Exception):
                    raise
            else:
                for _, done in batch:
                    with contextlib.suppress(asyncio.InvalidStateError):
                        done.set_result(None)


async def begin_poll(store: Store, system: str, feed: str, token: str, hold: float) -> Mapping[str, Any] | None:
    """Take the feed's turn for `hold` seconds if it is due; its cursor, or None if it is not our turn."""
    async with store.write() as connection:
        fresh = store.insert(cursor).values(system=system, feed=feed, value={}, next_at=0.0)
        await connection.execute(fresh.on_conflict_do_nothing())
        taken = await connection.execute(
            sa.update(cursor)
            .where(cursor.c.system == system, cursor.c.feed == feed, cursor.c.next_at <= store.now)
            .values(next_at=store.now + hold, token=token, began_at=store.now)
        )
        if taken.rowcount == 0:
            return None
        value = await connection.scalar(
            sa.select(cursor.c.value).where(cursor.c.system == system, cursor.c.feed == feed)
        )
        return value or {}


async def keep_page(
    store: Store,
    system: str,
    feed: str,
    token: str,
    arrivals: Sequence[Arrival],
    value: Mapping[str, Any],
    hold: float,
) -> int | None:
    """One page's receipts and the cursor in one transaction; how many were new, None if it is not our turn."""
    async with store.write() as connection:
        moved = await connection.execute(
            sa.update(cursor)
            .where(cursor.c.system == system, cursor.c.feed == feed, cursor.c.token == token)
            .values(value=dict(value), next_at=store.now + hold)
        )
        if moved.rowcount == 0:
            return None
        return await take(connection, store, arrivals)


async def forget_cursor(store: Store, system: str, feed: str) -> None:
    """Let the feed begin anew, at once: everything is read again, and what is known by now is dropped."""
    async with store.write() as connection:
        await connection.execute(
            sa.update(cursor)
            .where(cursor.c.system == system, cursor.c.feed == feed)
            .values(value={}, next_at=0.0, token=None)
        )


async def end_poll(store: Store, system: str, feed: str, token: str, again: float, ok: bool) -> None:
    """Give the turn back; the feed is due again in `again` seconds.

    If it worked (`ok`), what stood in the system when the turn began has been seen: `ok_at` is that moment.
    """
    values: dict[str, Any] = {"next_at": store.now + again, "token": None}
    if ok:
        values["ok_at"] = cursor.c.began_at
    async with store.write() as connection:
        await connection.execute(
            sa.update(cursor)
            .where(cursor.c.system == system, cursor.c.feed == feed, cursor.c.token == token)
            .values(**values)
        )
