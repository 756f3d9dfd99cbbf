"""The same thing at other systems, by its links: what is known of it there, and what its owner has told of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.schema import event, link
from counterfoil.retail.fields import State

Place = tuple[str, str, str]
"""System, kind and id of an object."""

REMEMBERED = 20
"""So many of its last events tell what may still be on its way from a system."""


@dataclass(frozen=True, slots=True)
class Kin:
    """Where else a thing is, and where it was made: in the system whose name it had when it was first linked."""

    places: tuple[Place, ...]
    origin: str


def name_of(place: Place) -> str:
    """The canonical id of an object where it is at home: `odoo:customer:17`."""
    return ":".join(place)


async def kin(connection: AsyncConnection, places: Collection[Place]) -> dict[Place, Kin]:
    """Where else each of these is: where it is linked to, what is linked to it, and what is linked to the same."""
    if not places:
        return {}
    mine = sa.tuple_(link.c.system, link.c.object_id).in_(sorted({(system, id_) for system, _, id_ in places}))
    linked_to: dict[Place, list[Any]] = defaultdict(list)
    for row in await connection.execute(sa.select(link).where(mine)):
        if (home := _place(row.canonical_id)) is not None:  # a link knows no kind but that of its canonical id
            linked_to[(row.system, home[1], row.object_id)].append(row)
    names = {name_of(place) for place in places} | {r.canonical_id for p in places for r in linked_to.get(p, ())}
    elsewhere: dict[str, list[Any]] = defaultdict(list)
    for row in await connection.execute(sa.select(link).where(link.c.canonical_id.in_(sorted(names)))):
        elsewhere[row.canonical_id].append(row)
    return {place: _kin(place, linked_to.get(place, []), elsewhere) for place in places}


def _kin(place: Place, homes: Sequence[Any], elsewhere: Mapping[str, Sequence[Any]]) -> Kin:
    system, kind, _ = place
    own = elsewhere.get(name_of(place), ())
    found = {home for row in homes if (home := _place(row.canonical_id)) is not None}
    found |= {(row.system, kind, row.object_id) for row in own}
    found |= {(row.system, kind, row.object_id) for home in homes for row in elsewhere[home.canonical_id]}
    first = [(row.since, row.canonical_id.partition(":")[0]) for row in homes] + [(row.since, system) for row in own]
    return Kin(tuple(sorted(found - {place})), min(first)[1] if first else system)


def _place(canonical_id: str) -> Place | None:
    parts = canonical_id.split(":", 2)
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else None


async def told(connection: AsyncConnection, kind: str, subject: str) -> list[State]:
    """The states that the last changes of a thing told, oldest first."""
    rows = await connection.execute(
        sa.select(event.c.data)
        .where(event.c.subject == subject, event.c.type == f"{kind}.changed")
        .order_by(event.c.recorded_at.desc(), event.c.time.desc())
        .limit(REMEMBERED)
    )
    return [data[kind] for data in reversed(rows.scalars().all()) if isinstance(data.get(kind), dict)]
