"""What is looked at just before an operation is called: whether a delivery may be done now, and with what besides.

An event holds what was known when it happened. What must be looked up at the last moment (a document that is kept
sealed) or asked at each attempt (whether a person has released it) comes in here, and is in no event and no log.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from counterfoil.hub.contract import Failure, Item, Kind, Operation, Outcome
from counterfoil.hub.store import Store


@dataclass(frozen=True, slots=True)
class Ruling:
    """How one delivery is done: with `more` beside its data; `instead`: not now, and this is what came of it; `then`:
    once as much as it may is done, this is what came of it (the lane is held, and the same is done again)."""

    more: Mapping[str, Any] = field(default_factory=dict)
    instead: Outcome | None = None
    then: Outcome | None = None


Prepare = Callable[[Store, str, Sequence[Item]], Awaitable[Mapping[int, Ruling]]]
"""(store, `system.operation`, items) to rulings by the delivery's number; who has none goes as it is."""


def combined(first: Prepare, *others: Prepare) -> Prepare:
    """All of them, in order: the first `instead` and `then` count, and each sees the items as they came."""

    async def prepare(store: Store, operation: str, items: Sequence[Item]) -> Mapping[int, Ruling]:
        made: dict[int, Ruling] = {}
        for each in (first, *others):
            for number, ruling in (await each(store, operation, items)).items():
                known = made.get(number, Ruling())
                more = {**known.more, **ruling.more}
                made[number] = Ruling(more, known.instead or ruling.instead, known.then or ruling.then)
        return made

    return prepare


def prepared(operation: Operation, system: str, store: Store, prepare: Prepare) -> Operation:
    """The operation with what is looked at before it: more data go in, some may not be done now, or not all of it."""

    async def run(items: Sequence[Item]) -> list[Outcome]:
        try:
            rulings = await prepare(store, f"{system}.{operation.name}", items)
        except (OSError, sa.exc.SQLAlchemyError) as error:  # nothing was called yet
            away = Outcome(Kind.RETRY, "store_away", "The store could not be asked.", type(error).__name__)
            raise Failure(away) from error
        of = {item.delivery: rulings.get(item.delivery, Ruling()) for item in items}
        going = [dataclasses.replace(i, data={**i.data, **r.more}) for i in items if not (r := of[i.delivery]).instead]
        came = iter(await operation.run(going) if going else ())
        return [_not_now(of[item.delivery]) or _then(of[item.delivery], next(came)) for item in items]

    return dataclasses.replace(operation, run=run)


def _not_now(ruling: Ruling) -> Outcome | None:
    return dataclasses.replace(ruling.instead, called=False) if ruling.instead is not None else None


def _then(ruling: Ruling, outcome: Outcome) -> Outcome:
    return ruling.then if ruling.then is not None and outcome.kind is Kind.DONE else outcome
