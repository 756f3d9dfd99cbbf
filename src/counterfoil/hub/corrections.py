"""Corrections: what a person has put in the place of a value, for as long as the thing's home system says that value.

Facts stay as they were told: a correction is applied when a delivery is claimed, in the copy that operations are given.
As soon as the home system says something else it has ended, in the transaction that keeps the new state.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.access import audit
from counterfoil.hub.schema import correction, object_
from counterfoil.hub.store import Store
from counterfoil.retail import editable
from counterfoil.retail.editable import Changes

WHO = "counterfoil"
OVERTAKEN = "the source says something else"
_OPEN = correction.c.ended_at.is_(None)


def home_of(subject: str) -> tuple[str, str, str]:
    """(system, kind, id) of a thing of which values can be corrected; ('', '', '') of another."""
    system, kind, id_ = [*subject.split(":", 2), "", ""][:3]
    return (system, kind, id_) if kind in editable.EDITABLE and id_ else ("", "", "")


def exist_for(subject: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether any is in force for the subject, as a part of a statement."""
    return sa.exists().where(correction.c.subject == subject, _OPEN)


async def in_force(connection: AsyncConnection, subjects: Collection[str]) -> dict[str, Changes]:
    """Those of each subject; who has none is absent."""
    found: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
    mine = sa.select(correction).where(correction.c.subject.in_(sorted(subjects)), _OPEN).order_by(correction.c.id)
    for row in await connection.execute(mine):
        found[row.subject][row.path] = (row.was, row.becomes)
    return dict(found)


def applied(subject: str, source: str, data: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """An event's data with the corrections that fit.

    What it says of the time `before` a change stays: whether the system was told the corrected value by then is not
    known, and a value that seems unchanged is not written.
    """
    system, kind, _ = home_of(subject)
    said = dict(data)
    for name in (kind, *(("state",) if source == system else ())):
        if isinstance(said.get(name), Mapping):
            said[name] = editable.fitting(kind, said[name], changes)
    return said


async def end_overtaken(connection: AsyncConnection, store: Store, subjects: Collection[str]) -> None:
    """End those whose home system says something else by now. Last in the caller's transaction: it is audited."""
    asked = sorted(subject for subject in subjects if home_of(subject)[0])
    mine = sa.select(correction).where(correction.c.subject.in_(asked), _OPEN).order_by(correction.c.id)
    rows = (await connection.execute(mine)).all() if asked else ()
    if not rows:
        return
    states = await states_of(connection, {row.subject for row in rows})
    say = {subject: editable.values(home_of(subject)[1], state) for subject, state in states.items()}
    over = [row for row in rows if row.subject in say and say[row.subject].get(row.path) != row.was]
    await end(connection, store, [row.id for row in over], OVERTAKEN)
    acts: list[audit.Act] = [
        ("correction.ended", row.subject, {"id": row.exception, "path": row.path, "why": OVERTAKEN}) for row in over
    ]
    await audit.note_all(connection, store, WHO, acts)


async def end(connection: AsyncConnection, store: Store, ids: Collection[int], why: str) -> None:
    """They hold no longer."""
    if not ids:
        return
    ended = sa.update(correction).where(correction.c.id.in_(sorted(ids)), _OPEN)
    await connection.execute(ended.values(ended_at=store.now, ended_why=why))


async def save(
    connection: AsyncConnection,
    store: Store,
    changes: Mapping[int, Changes],
    subjects: Mapping[int, str],
    who: str,
    why: str,
) -> None:
    """Keep what becomes of (was, becomes) by path, by the number of the exception and its subject.

    What was corrected before at the same path is replaced; back to what the home system says, it is withdrawn.
    """
    there = sa.select(correction).where(correction.c.subject.in_(sorted(set(subjects.values()))), _OPEN)
    again = {(subjects[number], path) for number, mine in changes.items() for path in mine}
    before = [r.id for r in await connection.execute(there) if (r.subject, r.path) in again]
    await end(connection, store, before, f"corrected again by {who}")
    rows = {  # two exceptions may be about one thing
        (subjects[number], path): {"subject": subjects[number], "path": path, "was": was, "becomes": becomes}
        | {"exception": number}
        for number, mine in changes.items()
        for path, (was, becomes) in mine.items()
        if was != becomes
    }
    if rows:
        await connection.execute(sa.insert(correction).values(who=who, why=why, at=store.now), list(rows.values()))


async def states_of(
    connection: AsyncConnection, subjects: Collection[str], lock: bool = False
) -> dict[str, Mapping[str, Any]]:
    """What the home systems last said of these things; with `lock` nobody changes it until the transaction ends."""
    places = {home_of(subject): subject for subject in subjects}
    place = (object_.c.system, object_.c.kind, object_.c.object_id)
    wanted = sa.select(*place, object_.c.state).where(sa.tuple_(*place).in_(sorted(places))).order_by(*place)
    rows = await connection.execute(wanted.with_for_update() if lock else wanted)
    return {places[row.system, row.kind, row.object_id]: row.state for row in rows}
