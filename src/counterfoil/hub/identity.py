"""Who is who, set right by hand: two records of a system made one, and parted again, with their links.

Nothing of the past is rewritten: events stay under the subject they were about, and `family` finds them all. A record
that was merged into another is not spread any more: what is under way for it is dropped when its turn comes (see
carrying). A merge or split waits for nobody: while a worker has one of them in hand it is refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub import lanes
from counterfoil.hub.access import audit
from counterfoil.hub.schema import delivery, exception, link, merged, told_apart
from counterfoil.hub.store import Store

CUSTOMER = "customer"

Streams = Collection[tuple[str, str]]
"""(system, stream) of all operations on customers: where something may be under way."""


class NotPossible(ValueError):
    """The records cannot be merged or parted; the message says why and what to do first."""


@dataclass(frozen=True, slots=True)
class Change:
    """One link before and after; an empty canonical id means that there was or is none."""

    system: str
    canonical_before: str
    object_before: str
    canonical_after: str
    object_after: str

    def __str__(self) -> str:
        before, after = (f"{c} is {self.system} {o}" if c else "" for c, o in self._ends)
        return f"{before or 'no link'} -> {after or 'no link'}"

    @property
    def _ends(self) -> tuple[tuple[str, str], tuple[str, str]]:
        return (self.canonical_before, self.object_before), (self.canonical_after, self.object_after)

    @property
    def back(self) -> Change:
        """The way back."""
        before, after = self._ends
        return Change(self.system, *after, *before)


@dataclass(slots=True)
class Done:
    """What a merge or split did, or would do: the links changed, and those that could not be put back."""

    act: str
    canonical_id: str
    other: str
    changes: list[Change] = field(default_factory=list)
    left: list[Change] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For programs, and for the audit log."""
        changes = {"links": [str(c) for c in self.changes], "left": [str(c) for c in self.left]}
        return {"act": self.act, "customer": self.canonical_id, "other": self.other, **changes}


def name(system: str, number: str) -> str:
    """The canonical id of a system's customer."""
    return f"{system}:{CUSTOMER}:{number}"


def may_be_merged(subject: str) -> bool:
    """Whether it is a customer: only those can be."""
    return f":{CUSTOMER}:" in subject


async def away(connection: AsyncConnection, customers: Iterable[str]) -> set[str]:
    """Those of the customers that were merged into another."""
    asked = sorted(set(customers))
    rows = await connection.execute(sa.select(merged.c.canonical_id).where(merged.c.canonical_id.in_(asked)))
    return set(rows.scalars())


async def family(connection: AsyncConnection, subjects: Collection[str]) -> set[str]:
    """The subjects with all that were merged into them and that they were merged into."""
    found, new = set(subjects), set(filter(may_be_merged, subjects))
    while new:
        either = sa.or_(merged.c.canonical_id.in_(sorted(new)), merged.c.into_id.in_(sorted(new)))
        rows = await connection.execute(sa.select(merged.c.canonical_id, merged.c.into_id).where(either))
        new = {one for row in rows for one in row} - found
        found |= new
    return found


async def show(store: Store, system: str, number: str) -> dict[str, Any]:
    """Everything that says who a system's customer is: links both ways, merges, what was told apart, what waits."""
    mine = name(system, number)
    async with store.read() as connection:
        links = await _links(connection, [mine], system, [number])
        into = await connection.scalar(sa.select(merged.c.into_id).where(merged.c.canonical_id == mine))
        from_ = await connection.execute(sa.select(merged.c.canonical_id).where(merged.c.into_id == mine))
        here = sa.and_(told_apart.c.system == system, told_apart.c.object_id == number)
        apart = await connection.execute(sa.select(told_apart).where(sa.or_(told_apart.c.canonical_id == mine, here)))
        waiting = sa.select(sa.func.count()).where(delivery.c.subject == mine)
        still = sa.select(sa.func.count()).where(exception.c.subject == mine, exception.c.status == "open")
        return {
            "customer": mine,
            "links": [{"customer": c, "system": s, "id": o} for c, s, o in links],
            "merged_into": into,
            "merged_from": sorted(from_.scalars()),
            "not_the_same": sorted([r.canonical_id, name(r.system, r.object_id)] for r in apart),
            "waiting": await connection.scalar(waiting),
            "exceptions_open": await connection.scalar(still),
        }


async def merge(
    store: Store, streams: Streams, system: str, number: str, into: str, who: str, write: bool = True
) -> Done:
    """Make `number` one with `into`, which stays: its links move there, what it tells is not spread any more.

    One transaction; without `write` all of it is tried and rolled back. Raises NotPossible.
    """
    one, other = name(system, number), name(system, into)
    if one == other:
        raise NotPossible(f"{system} {number} cannot be merged into itself.")
    done = Done("merged", one, other)
    async with _acting(store, write) as connection:
        rows = await connection.execute(sa.select(merged).where(merged.c.canonical_id.in_([one, other])))
        for row in rows:
            into_id = _short(row.into_id)
            remedy = "nothing is left to do" if row.into_id == other else f"name {into_id}, or split it first"
            raise NotPossible(f"{_short(row.canonical_id)} was merged into {into_id} already: {remedy}.")
        links = await _links(connection, [one, other], system, [number, into])
        await _alone(connection, store, streams, {one, other, *(c for c, _, _ in links)})
        homes = {o: sorted(c for c, s, o_ in links if s == system and o_ == o) for o in (number, into)}
        if homes[number] and homes[into]:
            both = sorted(_short(c) for c in (*homes[number], *homes[into]))
            raise NotPossible(
                f"{' and '.join(both)} would both be {system} {into}. Merge these first: they are the customers that "
                f"{system} {number} and {into} are linked with."
            )
        taken = {s for c, s, _ in links if c == other}
        for canonical, where, object_id in links:
            if canonical == one:  # what the one that stays has already, it keeps
                after = ("", "") if where in taken else (other, object_id)
                done.changes.append(Change(where, canonical, object_id, *after))
            elif where == system and object_id == number:
                done.changes.append(Change(where, canonical, object_id, canonical, into))
        for change in done.changes:
            await _apply(connection, store, change)
        kept = [
            [c.system, c.canonical_before, c.object_before, c.canonical_after, c.object_after] for c in done.changes
        ]
        entry = {"canonical_id": one, "into_id": other, "links": kept, "who": who}
        await connection.execute(sa.insert(merged).values(since=store.now, **entry))
        pair = sorted((number, into))
        await connection.execute(
            sa.delete(told_apart).where(
                told_apart.c.canonical_id == name(system, pair[0]),
                told_apart.c.system == system,
                told_apart.c.object_id == pair[1],
            )
        )
        await _note(connection, store, who, done)
    return done


async def split(store: Store, streams: Streams, system: str, number: str, who: str, write: bool = True) -> Done:
    """Undo the merge of `number`: it is spread again and has its links back, where nobody has changed them since.

    One transaction; without `write` all of it is tried and rolled back. Raises NotPossible.
    """
    one = name(system, number)
    async with _acting(store, write) as connection:
        row = (await connection.execute(sa.select(merged).where(merged.c.canonical_id == one))).first()
        if row is None:
            raise NotPossible(
                f"{system} {number} was merged into nothing. To part it from what it is linked with, name that too."
            )
        done = Done("split", one, row.into_id)
        changes = [Change(*link_).back for link_ in row.links]
        subjects = {c for change in changes for c in (change.canonical_before, change.canonical_after)} - {""}
        await _alone(connection, store, streams, {one, row.into_id, *subjects})
        for change in changes:
            put_back = await _apply(connection, store, change)
            (done.changes if put_back else done.left).append(change)
        await connection.execute(sa.delete(merged).where(merged.c.canonical_id == one))
        pair = sorted((number, row.into_id.rpartition(":")[2]))
        await _tell_apart(connection, store, name(system, pair[0]), system, pair[1], who)
        await _note(connection, store, who, done)
    return done


async def unlink(
    store: Store, streams: Streams, one: tuple[str, str], other: tuple[str, str], who: str, write: bool = True
) -> Done:
    """Part two linked customers, each (system, number); remembered, so that they are not linked again by their keys.

    One transaction; without `write` all of it is tried and rolled back. Raises NotPossible.
    """
    async with _acting(store, write) as connection:
        for home, there in ((one, other), (other, one)):
            canonical = name(*home)
            row = sa.select(link).where(
                link.c.canonical_id == canonical, link.c.system == there[0], link.c.object_id == there[1]
            )
            if (await connection.execute(row)).first() is None:
                continue
            await _alone(connection, store, streams, {canonical})
            done = Done("split", canonical, name(*there), [Change(there[0], canonical, there[1], "", "")])
            await _apply(connection, store, done.changes[0])
            await _tell_apart(connection, store, canonical, *there, who)
            await _note(connection, store, who, done)
            return done
    raise NotPossible(f"{' '.join(one)} and {' '.join(other)} are not linked.")


# --- within the transaction ---------------------------------------------------------------------------------------


class _DryRun(Exception):
    """Takes the transaction back."""


@contextlib.asynccontextmanager
async def _acting(store: Store, write: bool) -> AsyncIterator[AsyncConnection]:
    """A transaction that is rolled back unless it is meant."""
    with contextlib.suppress(_DryRun):
        async with store.write() as connection:
            yield connection
            if not write:
                raise _DryRun


async def _alone(connection: AsyncConnection, store: Store, streams: Streams, subjects: Collection[str]) -> None:
    """Lock the lanes of these customers, there or not: nothing of them is begun until we are done."""
    keys = [(system, stream, subject) for system, stream in streams for subject in subjects]
    if busy := await lanes.lock(connection, store, keys):
        system, _, subject = busy[0]
        raise NotPossible(f"{_short(subject)} is being written to {system} at this moment. Try again in a minute.")


async def _links(
    connection: AsyncConnection, canonical: Sequence[str], system: str, numbers: Sequence[str]
) -> list[tuple[str, str, str]]:
    """(canonical id, system, its id) of all links from these customers and to these records of the system."""
    there = sa.and_(
        link.c.system == system, link.c.object_id.in_(numbers), link.c.canonical_id.contains(f":{CUSTOMER}:")
    )
    rows = await connection.execute(sa.select(link).where(sa.or_(link.c.canonical_id.in_(canonical), there)))
    return sorted((row.canonical_id, row.system, row.object_id) for row in rows)


async def _apply(connection: AsyncConnection, store: Store, change: Change) -> bool:
    """Make the change, if things stand as it says they did before; whether it was made."""
    if change.canonical_before:
        before = sa.and_(
            link.c.canonical_id == change.canonical_before,
            link.c.system == change.system,
            link.c.object_id == change.object_before,
        )
        if change.canonical_after not in ("", change.canonical_before):
            taken = sa.select(link.c.object_id).where(
                link.c.canonical_id == change.canonical_after, link.c.system == change.system
            )
            if await connection.scalar(taken) is not None:
                return False
        if not change.canonical_after:
            return bool((await connection.execute(sa.delete(link).where(before))).rowcount)
        after = {"canonical_id": change.canonical_after, "object_id": change.object_after, "since": store.now}
        return bool((await connection.execute(sa.update(link).where(before).values(after))).rowcount)
    new = {"canonical_id": change.canonical_after, "system": change.system, "object_id": change.object_after}
    statement = store.insert(link).values(since=store.now, **new).on_conflict_do_nothing()
    return bool((await connection.execute(statement)).rowcount)


async def _tell_apart(
    connection: AsyncConnection, store: Store, canonical: str, system: str, number: str, who: str
) -> None:
    row = {"canonical_id": canonical, "system": system, "object_id": number, "who": who}
    await connection.execute(store.insert(told_apart).values(since=store.now, **row).on_conflict_do_nothing())


async def _note(connection: AsyncConnection, store: Store, who: str, done: Done) -> None:
    await audit.note(connection, store, who, f"identity.{done.act}", done.canonical_id, done.as_dict())


def _short(canonical: str) -> str:
    """`web 12` of `web:customer:12`."""
    system, _, number = canonical.split(":", 2)
    return f"{system} {number}"
