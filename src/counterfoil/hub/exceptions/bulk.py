"""The same act on many exceptions, in transactions of some each; and what came of one that was tried first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from counterfoil.hub.exceptions import acting
from counterfoil.hub.exceptions.looking import NoSuchException, get
from counterfoil.hub.schema import delivery, exception
from counterfoil.hub.store import Store

CHUNK = 100
"""Exceptions that are closed in one transaction."""
RELEASED = "released"
"""What is asked for in place of a status: retried, after what it held back was let go."""


@dataclass(slots=True)
class Closed:
    """What became of many: those closed now, and those that somebody else had closed meanwhile."""

    done: list[int] = field(default_factory=list)
    closed_before: list[int] = field(default_factory=list)


class _Meanwhile(Exception):
    """Some of them were closed by somebody else."""


async def in_bulk(
    store: Store,
    numbers: Sequence[int],
    status: str,
    who: str,
    note: str = "",
    tick: Callable[[int], None] = lambda _n: None,
) -> Closed:
    """Close these exceptions as retried, resolved, skipped, or RELEASED; `tick` hears of each some that are through.

    Each is on its own in the audit log. What was done when it is broken off stays done.
    """
    closed = Closed()
    for start in range(0, len(numbers), CHUNK):
        some = list(dict.fromkeys(numbers[start : start + CHUNK]))
        try:
            if status == RELEASED:  # few, as each is a decision
                raise _Meanwhile
            async with store.write() as connection:
                rows = (await connection.execute(sa.select(exception).where(exception.c.id.in_(some)))).all()
                if len(await acting.close(connection, store, rows, status, who, note)) != len(some):
                    raise _Meanwhile
            closed.done += some
        except _Meanwhile:
            await _one_by_one(store, some, status, who, note, closed)
        tick(len(some))
    return closed


async def _one_by_one(store: Store, some: Sequence[int], status: str, who: str, note: str, closed: Closed) -> None:
    for number in some:
        try:
            if status == RELEASED:
                await acting.release(store, number, who, note)
            else:
                await acting.act(store, number, status, who, note)
            closed.done.append(number)
        except (acting.NotOpen, NoSuchException):
            closed.closed_before.append(number)


WAITING, WORKED, AGAIN = "waiting", "worked", "again"


async def came_of(store: Store, number: int) -> tuple[str, int | None]:
    """What came of an exception that was tried again: it is WAITING still, it WORKED, or it is an exception AGAIN,
    whose number is the second. One that is about no delivery waits for ever: nothing says that it worked.

    Raises NoSuchException.
    """
    row = await get(store, number)
    x, mine = exception.c, [exception.c.id > number, exception.c.subject == row["subject"]]
    mine += [x.system == row["system"], x.operation == row["operation"], x.status == "open"]
    async with store.read() as connection:
        again = await connection.scalar(sa.select(sa.func.min(x.id)).where(*mine))
        place = (delivery.c.system == row["system"], delivery.c.operation == row["operation"])
        waits = sa.select(delivery.c.id).where(delivery.c.subject == row["subject"], *place).limit(1)
        waiting = await connection.scalar(waits) is not None
    if again is not None:
        return AGAIN, again
    return (WAITING if waiting or row["delivery_id"] is None else WORKED), None
