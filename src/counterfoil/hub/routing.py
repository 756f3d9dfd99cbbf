"""Where the goods of an order ship from, as it was decided. All SQL on `routing`, but the timeline's and the purge's.

It is decided once, with the stock of that moment, in the transaction that claims that stock: what takes the order over
later must not decide it anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.contract import Item
from counterfoil.hub.preparing import Ruling
from counterfoil.hub.schema import routing
from counterfoil.hub.store import Store, as_json

Lines = Mapping[str, Sequence[Sequence[Any]]]
"""By the order line's id: [place, thousandths of a unit] each, in the order in which they were chosen."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What was decided for one order, and why, in words."""

    lines: Lines
    words: tuple[str, ...]


async def keep(connection: AsyncConnection, store: Store, order: str, lines: Lines, words: Iterable[str]) -> None:
    """What is decided of an order (canonical id) now; it replaces what was decided before."""
    row = {"id": order, "lines": as_json(lines), "words": as_json(list(words))}
    await store.each(connection, _kept, [row])


def _kept(store: Store) -> sa.Insert:
    named: dict[str, Any] = {n: sa.bindparam(n) for n in ("id", "lines", "words")}
    statement = store.insert(routing).values(named | {"at": store.now})
    newer = {name: statement.excluded[name] for name in ("lines", "words", "at")}
    return statement.on_conflict_do_update(index_elements=["id"], set_=newer)  # type: ignore[no-any-return]


async def of(connection: AsyncConnection, orders: Iterable[str]) -> dict[str, Kept]:
    """What was decided of each of these orders, by canonical id; those without a decision are left out."""
    wanted = sorted(set(orders))
    if not wanted:
        return {}
    rows = await connection.execute(sa.select(routing).where(routing.c.id.in_(wanted)))
    return {row.id: Kept(row.lines, tuple(row.words)) for row in rows}


async def prepare(store: Store, operation: str, items: Sequence[Item]) -> Mapping[int, Ruling]:
    """`routing` beside the data of what takes orders over: {line: [[place, thousandths], ...]}."""
    if operation.rpartition(".")[2] not in ("accept_order", "amend_order", "refund_order"):
        return {}
    async with store.read() as connection:
        decided = await of(connection, (item.subject for item in items))
    return {i.delivery: Ruling({"routing": decided[i.subject].lines}) for i in items if i.subject in decided}
