"""Promises kept in the store: followed as events are kept, missed by the clock, counted for people.

All SQL about promises is here, but for the timeline's and the purge's. Rows are locked before they are judged, so that
a promise that is kept and missed at the same moment is one of the two, and put before a person once, however many
processes look. Promises are locked before lanes, and after events.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint import Blueprint
from counterfoil.hub import exceptions, meters
from counterfoil.hub.schema import event, promise
from counterfoil.hub.store import Store
from counterfoil.hub.waiting import repeat
from counterfoil.retail.events import Event
from counterfoil.watch import milestones
from counterfoil.watch.milestones import KEPT, LATE, REASON, VOID, Milestones, Promised, Rule

log = structlog.get_logger()

EVERY = 5.0
"""Seconds between two looks for promises that were missed."""
BATCH = 100
"""Promises put before people in one transaction."""
_COLUMNS = ("id", "name", "subject", "event_id", "began_at", "due_at", "missed_at")
_WRITTEN = ("name", "subject", "event_id", "began_at", "due_at", "ended_at", "ended_as", "took")


class Follower:
    """What makes, keeps and ends promises while events are kept, in the transaction that keeps them."""

    def __init__(self, blueprint: Blueprint) -> None:
        self.milestones = Milestones(milestones.rules_of(blueprint))

    async def __call__(self, connection: AsyncConnection, store: Store, events: Sequence[Event]) -> None:
        """Follow events that are new. Nothing is asked of the store where no promise names one of them."""
        mine = [e for e in events if e.type in self.milestones.named]
        if not mine:
            return
        rows = await store.run(connection, _open, {"keys": store.listed(sorted({e.subject for e in mine}))})
        known = [_promised(row[1:]) for row in rows if row[1] is not None]
        changed = self.milestones.follow(mine, known, float(rows[0][0]))
        await store.each(connection, _ended, [_ending(p) for p in changed if p.id is not None])
        made = sorted((p for p in changed if p.id is None), key=lambda p: (p.subject, p.name))
        await store.each(connection, _made, [{name: getattr(p, name) for name in _WRITTEN} for p in made])
        await _close(connection, store, changed)
        for ended in (p for p in changed if p.ended_as in (KEPT, LATE)):
            meters.PROMISES.add(ended.name, str(ended.ended_as))


def _open(store: Store) -> sa.Select[Any]:
    """The open promises of the listed subjects, locked, each beside the clock; one row at the least."""
    keys, columns = store.keys(), [promise.c[name] for name in _COLUMNS]
    mine = (promise.c.subject == keys.c.value, promise.c.ended_at.is_(None))
    if store.is_sqlite:
        return sa.select(store.now, *columns).select_from(keys.join(promise, sa.and_(*mine), isouter=True))
    one = sa.select(*columns).where(*mine).order_by(promise.c.id).with_for_update().lateral("l")
    return sa.select(store.now, one).select_from(keys.join(one, sa.true(), isouter=True))


def _made(store: Store) -> sa.Insert:
    # another transaction may have made it a moment ago
    return store.insert(promise).values({n: sa.bindparam(n) for n in _WRITTEN}).on_conflict_do_nothing()  # type: ignore[no-any-return]


def _ended(store: Store) -> sa.Update:
    values: dict[str, Any] = {name: sa.bindparam(f"b_{name}") for name in ("ended_at", "ended_as", "took")}
    return sa.update(promise).where(promise.c.id == sa.bindparam("b_id")).values(values)


def _ending(promised: Promised) -> dict[str, Any]:
    return {f"b_{name}": getattr(promised, name) for name in ("id", "ended_at", "ended_as", "took")}


def _promised(row: Sequence[Any]) -> Promised:
    id_, name, subject, event_id, began_at, due_at, missed_at = row
    return Promised(name, subject, event_id, began_at, due_at, id_, missed_at)


async def _close(connection: AsyncConnection, store: Store, changed: Sequence[Promised]) -> None:
    """The exceptions of those that were missed and have ended after all."""
    for promised in changed:
        if promised.missed_at is not None and promised.ended_at is not None:
            about, over = [promised.subject], {REASON: milestones.closing(promised)}
            await exceptions.close_about(connection, store, about, exceptions.of_promise(promised.name), over)


# --- what was missed ----------------------------------------------------------------------------------------------


async def look(store: Store, rules: Mapping[str, Rule]) -> int:
    """Put before people every promise whose time is over, once; how many there were."""
    due = (promise.c.ended_at.is_(None), promise.c.missed_at.is_(None), promise.c.due_at < store.now)
    found = 0
    while True:
        async with store.read() as connection:  # on SQLite nobody has to wait for a look that finds nothing
            if await connection.scalar(sa.select(promise.c.id).where(*due).limit(1)) is None:
                return found
        async with store.write() as connection:
            wanted = sa.select(*(promise.c[name] for name in _COLUMNS)).where(*due).order_by(promise.c.due_at)
            rows = await connection.execute(wanted.limit(BATCH).with_for_update(skip_locked=True))
            late = [_promised(row) for row in rows]
            if not late:
                return found  # another process has them in hand
            found += await _judge(connection, store, rules, late)


async def _judge(connection: AsyncConnection, store: Store, rules: Mapping[str, Rule], late: list[Promised]) -> int:
    now = await store.clock(connection)
    facts, since = await _facts(connection, rules, late), await _since(connection, late)
    missing: list[Promised] = []
    for promised in late:
        rule = rules.get(promised.name)
        if rule is None:  # it is not promised any more
            promised.ended_at, promised.ended_as = now, VOID
        elif not milestones.overlooked(
            rule, promised, facts[promised.subject], since.get((promised.name, promised.subject), 0.0)
        ):
            missing.append(promised)
    await store.each(connection, _ended, [_ending(p) for p in late if p.ended_at is not None])
    if missing:
        mine = promise.c.id.in_([p.id for p in missing])
        await connection.execute(sa.update(promise).where(mine).values(missed_at=now))
        told = [(rules[p.name], p) for p in missing]
        entries = [(r.name, p.subject, p.due_at, milestones.missed(r, p), r.owner) for r, p in told]
        await exceptions.open_for_promises(connection, store, entries)
        log.warning("promises missed", promises=dict(Counter(p.name for p in missing)))
        for each in missing:
            meters.PROMISES.add(each.name, "missed")
    return len(missing)


async def _facts(
    connection: AsyncConnection, rules: Mapping[str, Rule], late: Sequence[Promised]
) -> dict[str, list[tuple[str, float]]]:
    """What has happened to the subjects that could have ended a promise."""
    types = frozenset[str]().union(*(r.expect | r.unless for p in late if (r := rules.get(p.name))))
    rows = await connection.execute(
        sa.select(event.c.subject, event.c.type, event.c.time, event.c.recorded_at).where(
            event.c.subject.in_({p.subject for p in late}), event.c.type.in_(types)
        )
    )
    found: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for row in rows:
        found[row.subject].append((row.type, milestones.happened(row.time, row.recorded_at)))
    return found


async def _since(connection: AsyncConnection, late: Sequence[Promised]) -> dict[tuple[str, str], float]:
    """When the last promise of the same name about the same subject ended."""
    rows = await connection.execute(
        sa.select(promise.c.name, promise.c.subject, sa.func.max(promise.c.ended_at).label("ended_at"))
        .where(promise.c.subject.in_({p.subject for p in late}), promise.c.ended_at.is_not(None))
        .group_by(promise.c.name, promise.c.subject)
    )
    return {(r.name, r.subject): r.ended_at for r in rows}


async def run(store: Store, blueprint: Blueprint, stop: asyncio.Event, every: float = EVERY) -> None:
    """Look for what was missed every so many seconds until `stop`."""
    rules = milestones.rules_of(blueprint)
    await repeat(lambda: look(store, rules), every, stop, "cannot look for missed promises")


# --- what was measured --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Measured:
    """How a promise was kept: `open` now, the others in the time that was asked for. Seconds of promise time.

    `missed` have not happened until now; `share` is how many of 1 were kept in time, None where there were none.
    """

    open: int = 0
    kept: int = 0
    late: int = 0
    missed: int = 0
    void: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None

    @property
    def share(self) -> float | None:
        """Of those that had to be kept; what is void had not."""
        judged = self.kept + self.late + self.missed
        return self.kept / judged if judged else None


async def measured(store: Store, names: Sequence[str], seconds: float) -> dict[str, Measured]:
    """How the promises of these names were kept in the last `seconds`. Percentiles by the nearest rank."""
    found = {name: Measured() for name in names}
    since = store.now - sa.literal(seconds, sa.Double())
    state = sa.case(
        (promise.c.ended_at.is_not(None), promise.c.ended_as),
        (promise.c.missed_at.is_not(None), "missed"),
        else_="open",
    )
    when = sa.func.coalesce(promise.c.ended_at, promise.c.missed_at, store.now)
    mine = promise.c.name.in_(list(names))
    took = sa.select(
        promise.c.name,
        promise.c.took,
        sa.func.row_number().over(partition_by=promise.c.name, order_by=promise.c.took).label("rank"),
        sa.func.count().over(partition_by=promise.c.name).label("n"),
    ).where(mine, promise.c.ended_as.in_([KEPT, LATE]), promise.c.ended_at >= since)
    ranked = took.subquery()
    wanted = sa.select(ranked).where(sa.or_(*(ranked.c.rank == (ranked.c.n * p + 99) // 100 for p in (50, 95, 99))))
    async with store.read() as connection:
        counted = sa.select(promise.c.name, state.label("state"), sa.func.count()).where(mine, when >= since)
        for name, as_, count in await connection.execute(counted.group_by(promise.c.name, state)):
            setattr(found[name], as_, count)
        for row in await connection.execute(wanted):
            for p in (50, 95, 99):
                if row.rank == (row.n * p + 99) // 100:
                    setattr(found[row.name], f"p{p}", row.took)
    return found
