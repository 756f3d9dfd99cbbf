"""The trials there are: one row an order, and when it is to be looked at. All SQL on the table `trial`.

What was decided of them is in the events; the row says that an order is one, whatever its shop says of it later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.schema import object_, trial
from counterfoil.hub.store import Store

OPEN, ASKED, SETTLED, CLOSED = "open", "asked", "settled", "closed"
"""Nothing is charged yet; a person was asked; what was kept is charged; nothing is or will be charged."""


@dataclass(frozen=True, slots=True)
class Row:
    """An order on trial. `charge` is what was charged, once it is settled. Times in seconds (UTC)."""

    id: str
    channel: str
    number: str
    state: str
    look_at: float | None
    charge: Mapping[str, Any] | None
    made_at: float
    ended_at: float | None


async def of(connection: AsyncConnection, orders: Iterable[str]) -> dict[str, Row]:
    """Those of these orders (canonical ids) that are trials."""
    if not (wanted := sorted(set(orders))):
        return {}
    rows = await connection.execute(sa.select(trial).where(trial.c.id.in_(wanted)))
    return {row.id: Row(**row._mapping) for row in rows}


async def holds(connection: AsyncConnection, order: str) -> bool:
    """Whether the order is a trial that was not closed."""
    row = (await of(connection, [order])).get(order)
    return row is not None and row.state != CLOSED


async def begin(connection: AsyncConnection, store: Store, orders: Mapping[str, tuple[str, str]]) -> None:
    """These orders, canonical id to (channel, number), are trials from now on; one that is known stays as it is."""
    for id_, (channel, number) in sorted(orders.items()):
        row = {"id": id_, "channel": channel, "number": number, "state": OPEN, "made_at": store.now}
        await connection.execute(store.insert(trial).values(**row).on_conflict_do_nothing(index_elements=["id"]))


async def look(connection: AsyncConnection, store: Store, orders: Iterable[str]) -> None:
    """Something has happened to these orders: those that are trials and not over are looked at soon."""
    for id_, row in sorted(
        (await of(connection, orders)).items()
    ):  # sorted, or two transactions may wait for each other
        if row.ended_at is None:
            mine = (trial.c.id == id_) & trial.c.ended_at.is_(None)
            await connection.execute(sa.update(trial).where(mine).values(look_at=store.now))


async def due(store: Store, limit: int) -> list[str]:
    """The trials that are to be looked at now, those that wait longest first."""
    query = sa.select(trial.c.id).where(trial.c.look_at <= store.now).order_by(trial.c.look_at, trial.c.id)
    async with store.read() as connection:
        return list((await connection.execute(query.limit(limit))).scalars())


async def locked_order(connection: AsyncConnection, id_: str) -> Mapping[str, Any] | None:
    """The shop's order as it was last known, locked until the transaction ends."""
    query = sa.select(object_.c.state).where(object_.c.canonical_id == id_, object_.c.kind == "order")
    state: Mapping[str, Any] | None = await connection.scalar(query.limit(1).with_for_update())
    return state


async def stands(
    connection: AsyncConnection,
    store: Store,
    id_: str,
    state: str,
    look_at: float | None = None,
    charge: Mapping[str, Any] | None = None,
) -> None:
    """The trial is now in that state, and looked at again then."""
    values: dict[str, Any] = {"state": state, "look_at": look_at, "charge": sa.null() if charge is None else charge}
    if state in (SETTLED, CLOSED):
        values["ended_at"] = store.now
    await connection.execute(sa.update(trial).where(trial.c.id == id_).values(**values))


async def listing(store: Store, state: str = "", limit: int = 500) -> list[Row]:
    """Those in a state, or all that are not over, oldest first."""
    mine = trial.c.state == state if state else trial.c.ended_at.is_(None)
    query = sa.select(trial).where(mine).order_by(trial.c.made_at, trial.c.id).limit(limit)
    async with store.read() as connection:
        return [Row(**row._mapping) for row in await connection.execute(query)]
