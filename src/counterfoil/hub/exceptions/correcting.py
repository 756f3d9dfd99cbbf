"""Correcting a value of what an exception is about: looked at first, then saved and tried again; one or all alike.

Alike are open exceptions of one likeness whose things say the same value at the same place (of a line: of any line of
the same product), of which nobody has made something else, and which are whole with it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import sqlalchemy as sa

from counterfoil.hub import corrections
from counterfoil.hub.access import audit
from counterfoil.hub.corrections import home_of, states_of
from counterfoil.hub.exceptions import acting
from counterfoil.hub.exceptions.looking import alike, get
from counterfoil.hub.schema import event, exception
from counterfoil.hub.store import Store
from counterfoil.retail import editable
from counterfoil.retail.editable import CannotCorrect, Changes

__all__ = ["CannotCorrect", "Changes", "Corrected", "Field", "correct", "fields"]

CHUNK = 100
"""Exceptions that are corrected in one transaction."""


@dataclass(frozen=True, slots=True)
class Field:
    """A value that can be corrected: what the home system says, and what is told in its place (mostly the same)."""

    path: str
    source: str
    told: str


@dataclass(slots=True)
class Corrected:
    """What was corrected, or would be, and for which exceptions: those tried again now, those that somebody else had
    closed or whose things say something else meanwhile. `alike`: the others that say the same. A dry run has none
    `done`. `state` is the thing as it is then told."""

    changes: Changes
    state: Mapping[str, Any]
    alike: Sequence[int]
    done: list[int] = field(default_factory=list)
    left: list[int] = field(default_factory=list)


class _Meanwhile(Exception):
    """Some of them were closed by somebody else, or are about something else now."""


async def fields(store: Store, number: int) -> list[Field]:
    """What can be corrected of what the exception is about. Raises NoSuchException, NotOpen, CannotCorrect."""
    _, kind, state, mine = await _about(store, number)
    told = editable.values(kind, editable.corrected(kind, state, mine))
    return [Field(path, value, told[path]) for path, value in editable.values(kind, state).items()]


async def correct(
    store: Store,
    number: int,
    values: Mapping[str, str],
    who: str,
    why: str = "",
    *,
    dry_run: bool = False,
    all_alike: bool = False,
    most: int | None = None,
    tick: Callable[[int], None] = lambda _n: None,
) -> Corrected:
    """Tell these values, by path, in the place of what the home system says, and try again; for all alike if asked.

    It holds until the home system says something else there. `most`: so many of the others at most. `tick` hears of
    each some that are through. Raises NoSuchException, NotOpen, CannotCorrect.
    """
    row, kind, state, mine = await _about(store, number)
    so_far = editable.corrected(kind, state, mine)
    told = editable.values(kind, so_far)
    news = {path: value for path, value in values.items() if told.get(path) != value}
    if not news:
        raise CannotCorrect(f"Exception {number} is left as it is: no value is another than it is told now.")
    says = editable.values(kind, state)
    now = editable.changes_of(kind, so_far, news)
    changes = {path: (says[path], becomes) for path, (_, becomes) in now.items()}
    like = {n: same async for n, same in _like(store, row, state, now, changes)}
    result = Corrected(changes, editable.corrected(kind, so_far, now), list(like))
    if not dry_run:
        others = dict(islice(like.items(), most)) if all_alike else {}
        await _save_all(store, {number: changes} | others, who, why, result, tick)
    return result


async def _about(store: Store, number: int) -> tuple[dict[str, Any], str, Mapping[str, Any], Changes]:
    """The exception, what it is about: its kind and what its home system says, and what is corrected of it."""
    row = await get(store, number)
    if row["status"] != "open":
        raise acting.NotOpen(f"exception {number} was {row['status']} already")
    system, kind, _ = home_of(row["subject"])
    async with store.read() as connection:
        told = (await connection.execute(sa.select(event).where(event.c.id == row["event_id"]))).first()
        state = (await states_of(connection, [row["subject"]])).get(row["subject"]) if system else None
        mine = (await corrections.in_force(connection, [row["subject"]])).get(row["subject"], {})
    state = state or (told.data.get(kind) if told else None)
    if not state or told is None or not (told.source == system or kind in told.data):
        raise CannotCorrect(
            f"Exception {number} is about no order or customer that was to be told: of {row['subject']} no value can "
            f"be corrected here. Put it right where it comes from, then retry."
        )
    return row, kind, state, mine


async def _like(
    store: Store, row: Mapping[str, Any], says: Mapping[str, Any], now: Changes, changes: Changes
) -> AsyncIterator[tuple[int, Changes]]:
    """The other open exceptions like it whose things say the same, each with the changes by its own paths.

    `says` is what is said of this one, `now` the changes in what is told of it so far.
    """
    ours = {value for change in now.values() for value in change}
    numbers = [n for n in await alike(store, row["id"]) if n != row["id"]]
    for start in range(0, len(numbers), CHUNK):
        async with store.read() as connection:
            some = sa.select(exception.c.id, exception.c.subject).where(
                exception.c.id.in_(numbers[start : start + CHUNK]), exception.c.event_id.is_not(None)
            )
            about = {r.id: r.subject for r in await connection.execute(some.order_by(exception.c.id))}
            states = await states_of(connection, [s for s in about.values() if home_of(s)[0]])
            theirs = await corrections.in_force(connection, set(states))
        for number, subject in about.items():
            state, kind = states.get(subject, {}), home_of(subject)[1]
            same = editable.alike(kind, state, changes, says) if state else {}
            others = theirs.get(subject, {})
            if same and not any(path in same and becomes not in ours for path, (_, becomes) in others.items()):
                with contextlib.suppress(CannotCorrect):
                    told = editable.corrected(kind, state, others)
                    editable.changes_of(kind, told, {path: becomes for path, (_, becomes) in same.items()})
                    yield number, same


async def _save_all(
    store: Store, wanted: Mapping[int, Changes], who: str, why: str, result: Corrected, tick: Callable[[int], None]
) -> None:
    """What was done when it is broken off stays done."""
    numbers = list(wanted)
    for start in range(0, len(numbers), CHUNK):
        some = numbers[start : start + CHUNK]
        try:
            await _save(store, {n: wanted[n] for n in some}, who, why)
            result.done += some
        except _Meanwhile:
            for number in some:
                try:
                    await _save(store, {number: wanted[number]}, who, why)
                    result.done.append(number)
                except _Meanwhile:
                    result.left.append(number)
        tick(len(some))


async def _save(store: Store, wanted: Mapping[int, Changes], who: str, why: str) -> None:
    """All or nothing. Raises _Meanwhile."""
    async with store.write() as connection:
        mine = sa.select(exception).where(exception.c.id.in_(sorted(wanted)), exception.c.status == "open")
        rows = (await connection.execute(mine)).all()
        subjects = {row.id: row.subject for row in rows}
        states = await states_of(connection, set(subjects.values()), lock=True)  # objects before lanes, as everywhere
        for number, subject in subjects.items():
            says = editable.values(home_of(subject)[1], states[subject]) if subject in states else None
            if says is not None and any(says.get(path) != was for path, (was, _) in wanted[number].items()):
                raise _Meanwhile
        await corrections.save(connection, store, {n: wanted[n] for n in subjects}, subjects, who, why)
        if len(await acting.close(connection, store, rows, "retried", who, why or "a value was corrected")) != len(
            wanted
        ):
            raise _Meanwhile
        acts: list[audit.Act] = [  # where, and never what: a value may be somebody's address
            ("exception.corrected", subject, {"id": n, "paths": sorted(wanted[n])}) for n, subject in subjects.items()
        ]
        await audit.note_all(connection, store, who, acts)
