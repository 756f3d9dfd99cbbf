"""Duplicates: records of one system that are the same article or person, by the declared keys and likenesses.

`groups` is pure. `known` tells which of them the hub has links and orders of, so that a person sees which is to stay.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from counterfoil.hub import candidates
from counterfoil.hub.matching import Thing
from counterfoil.hub.schema import event, event_ref, link
from counterfoil.hub.store import Store
from counterfoil.retail.events import hashed_ref

REASONS = {
    "same_key": "the same key stands at all of them",
    "keys_disagree": "they share a later key, an earlier one differs: a household, or a shared telephone",
    "candidate": "no key says so, but they are much alike",
}
"""Why records are in one group."""

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Group:
    """Records that may be one: why, by which kind of key, and their ids in order."""

    reason: str
    by: str
    ids: tuple[str, ...]


@dataclass(slots=True)
class Standing:
    """What the hub knows of a record: its links (`web 12`), and how many orders under its e-mail address."""

    links: list[str] = field(default_factory=list)
    orders: int = 0


def groups(
    things: Iterable[Thing],
    kinds: Sequence[str],
    least: Mapping[str, float],
    apart: Collection[tuple[str, str]] = frozenset(),
) -> list[Group]:
    """Groups by the first key that says so, then by likeness; a pair that a key has put together is not told again.

    `apart` holds pairs (smaller id, larger id) that a person has told apart.
    """
    by_id = {t.id: t for t in things}
    found: list[Group] = []
    together: dict[str, set[int]] = defaultdict(set)

    def keep(group: Group) -> None:
        if not set.intersection(*(together[i] for i in group.ids)):
            for i in group.ids:
                together[i].add(len(found))
            found.append(group)

    for place, kind in enumerate(kinds):
        holders: dict[str, list[str]] = defaultdict(list)
        for thing in by_id.values():
            if kind in thing.keys:
                holders[thing.keys[kind]].append(thing.id)
        for value in sorted(holders):
            ids = _still(sorted(holders[value]), apart)
            if len(ids) > 1:
                disagree = any(len({by_id[i].keys.get(k) for i in ids} - {None}) > 1 for k in kinds[:place])
                keep(Group("keys_disagree" if disagree else "same_key", kind, ids))
    for pair in candidates.within(by_id.values(), least, apart):
        keep(Group("candidate", pair.words, (pair.one, pair.other)))
    return found


def _still(ids: Sequence[str], apart: Collection[tuple[str, str]]) -> tuple[str, ...]:
    """Those that are not told apart from all the others."""
    if not apart:
        return tuple(ids)
    return tuple(i for i in ids if any(i != o and (min(i, o), max(i, o)) not in apart for o in ids))


async def known(store: Store, system: str, kind: str, emails: Mapping[str, str]) -> dict[str, Standing]:
    """What the hub knows of these records of the system: `emails` by id, empty where it has none."""
    standing = {i: Standing() for i in emails}
    ids = sorted(emails)
    for start in range(0, len(ids), CHUNK):
        some = ids[start : start + CHUNK]
        named = {f"{system}:{kind}:{i}": i for i in some}
        hashes: dict[str, list[str]] = defaultdict(list)
        for i in some:
            if emails[i]:
                hashes[hashed_ref(emails[i])].append(i)
        async with store.read() as connection:
            away = sa.select(link).where(
                link.c.system == system, link.c.object_id.in_(some), link.c.canonical_id.contains(f":{kind}:")
            )
            for row in await connection.execute(away):
                home, _, number = row.canonical_id.split(":", 2)
                standing[row.object_id].links.append(f"{home} {number}")
            for row in await connection.execute(sa.select(link).where(link.c.canonical_id.in_(list(named)))):
                standing[named[row.canonical_id]].links.append(f"{row.system} {row.object_id}")
            placed = (
                sa.select(event_ref.c.value, sa.func.count(sa.distinct(event.c.subject)).label("n"))
                .join(event, event.c.id == event_ref.c.event_id)
                .where(event_ref.c.kind == "email", event_ref.c.value.in_(list(hashes)), event.c.type == "order.placed")
                .group_by(event_ref.c.value)
            )
            for row in await connection.execute(placed):
                for i in hashes[row.value]:
                    standing[i].orders = row.n
    for one in standing.values():
        one.links.sort()
    return standing
