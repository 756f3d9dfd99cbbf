"""Reservations: all their SQL.

What a reservation takes of which article stands in `taking` (stock.py), under its id. Reservations are locked before
the rows of `stock`, after objects, in the order of their ids.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.schema import event, event_ref, reservation
from counterfoil.hub.store import Store, as_json, from_json


class State(StrEnum):
    """Where a reservation stands. The last three have ended: they hold nothing."""

    HELD = "held"
    CONFIRMED = "confirmed"  # for an order number; waits for that order to come
    ORDERED = "ordered"  # its order is here and holds the units instead
    RELEASED = "released"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Reservation:
    """Units held for a shopper. `lines` are (SKU, thousandths) as asked for; times are seconds by the store's clock."""

    id: str
    channel: str
    state: State
    lines: tuple[tuple[str, int], ...]
    order_number: str
    made_at: float
    expires_at: float
    ended_at: float | None = None

    @property
    def holds(self) -> bool:
        """Whether units are still held for it."""
        return self.ended_at is None


_HERE = ("order.placed", "order.waiting", "order.not_wanted")
"""What is told first of an order: it is wanted, waits for its payment, or was given up before we heard of it."""
COLUMNS = tuple(column.name for column in reservation.c)


def as_reservation(row: Sequence[Any]) -> Reservation:
    """From a row of the table's columns, in their order."""
    id_, channel, state, lines, order_number, made_at, expires_at, ended_at = row
    bought = tuple((sku, units) for sku, units in from_json(lines))
    return Reservation(id_, channel, State(state), bought, order_number, made_at, expires_at, ended_at)


def as_row(each: Reservation) -> dict[str, Any]:
    """By the names of the columns."""
    return {name: getattr(each, name) for name in COLUMNS}


# --- reservations ---------------------------------------------------------------------------------------------------


async def locked(connection: AsyncConnection, store: Store, ids: Iterable[str]) -> dict[str, Reservation]:
    """These reservations, locked until the transaction ends. What is not there is left out."""
    if not (wanted := sorted(set(ids))):
        return {}
    rows = await store.run(connection, _locked, {"ids": store.listed(wanted)})
    return {row[0]: as_reservation(row) for row in rows}


def _locked(store: Store) -> sa.Select[Any]:
    return sa.select(reservation).where(store.any_of(reservation.c.id, "ids")).order_by("id").with_for_update()


async def keep(connection: AsyncConnection, store: Store, all_: Iterable[Reservation]) -> None:
    """Write reservations as they are now, new ones and known ones."""
    rows = [as_row(each) | {"lines": as_json(each.lines)} for each in sorted(all_, key=lambda each: each.id)]
    await store.each(connection, _kept, rows)


def _kept(store: Store) -> sa.Insert:
    statement = store.insert(reservation).values({name: sa.bindparam(name) for name in COLUMNS})
    changes = {name: statement.excluded[name] for name in ("state", "order_number", "expires_at", "ended_at")}
    return statement.on_conflict_do_update(index_elements=["id"], set_=changes)  # type: ignore[no-any-return]


async def release(connection: AsyncConnection, store: Store, ids: Collection[str]) -> None:
    """What was held under these ids while its order waited is not wanted any more."""
    mine = sa.update(reservation).where(reservation.c.id.in_(sorted(ids)), reservation.c.ended_at.is_(None))
    await connection.execute(mine.values(state=State.RELEASED, ended_at=store.now))


async def get(store: Store, id_: str) -> Reservation | None:
    """One reservation as it stands; None: there is none."""
    async with store.read() as connection:
        row = (await connection.execute(sa.select(reservation).where(reservation.c.id == id_))).first()
    return as_reservation(row) if row is not None else None


async def due(connection: AsyncConnection, store: Store, limit: int, lock: bool = True) -> list[Reservation]:
    """Reservations that hold units and should not, locked: their time is over, or the order they were confirmed for is
    here and claims for itself what it wants (nothing, if it was given up before anybody had heard of it). Those that
    another transaction has in hand are left out."""
    found: dict[str, Reservation] = {}
    open_ = sa.select(reservation).where(reservation.c.ended_at.is_(None))
    here = sa.exists().where(event_ref.c.kind == "order", event_ref.c.value == reservation.c.order_number)
    here = here.where(event.c.id == event_ref.c.event_id, event.c.source == reservation.c.channel)
    for over in (
        open_.where(reservation.c.expires_at <= store.now).order_by(reservation.c.expires_at),
        open_.where(reservation.c.state == State.CONFIRMED, here.where(event.c.type.in_(_HERE))),
    ):
        wanted = over.limit(limit)
        rows = await connection.execute(wanted.with_for_update(of=reservation, skip_locked=True) if lock else wanted)
        found |= {row[0]: as_reservation(row) for row in rows}
    return list(found.values())


# --- orders ---------------------------------------------------------------------------------------------------------


async def held_for(
    connection: AsyncConnection, store: Store, numbers: Iterable[str], ids: Iterable[str]
) -> list[tuple[str, str, str]]:
    """(id, channel, order number) of what is held for one of these numbers of orders or goes by one of these ids."""
    values = {"numbers": store.listed(sorted(set(numbers) - {""})), "ids": store.listed(sorted(set(ids)))}
    return [(id_, channel, number) for id_, channel, number in await store.run(connection, _held_for, values)]


def _held_for(store: Store) -> sa.Select[Any]:
    wanted = sa.or_(store.any_of(reservation.c.order_number, "numbers"), store.any_of(reservation.c.id, "ids"))
    columns = (reservation.c.id, reservation.c.channel, reservation.c.order_number)
    return sa.select(*columns).where(wanted, reservation.c.ended_at.is_(None))


async def for_order(
    connection: AsyncConnection, store: Store, channel: str, number: str, named: str = ""
) -> list[Reservation]:
    """What is held for an order that has just come: confirmed for its number, or `named` by the order itself; locked.

    They end here as ordered. Their units are to become the order's in the same transaction: `stock.hand_over`.
    """
    mine = sa.and_(reservation.c.order_number == number, sa.true() if number else sa.false())
    wanted = sa.select(reservation).where(
        reservation.c.channel == channel, sa.or_(mine, reservation.c.id == named), reservation.c.ended_at.is_(None)
    )
    rows = await connection.execute(wanted.order_by(reservation.c.id).with_for_update())
    found = [as_reservation(row) for row in rows]
    if found:
        mine_now = sa.update(reservation).where(reservation.c.id.in_([each.id for each in found]))
        await connection.execute(mine_now.values(state=State.ORDERED, order_number=number, ended_at=store.now))
    return found


async def orders_known(
    connection: AsyncConnection, store: Store, wanted: Collection[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Those of the (channel, order number) whose order is here: its own claim holds the units already."""
    if not wanted:
        return set()
    rows = await store.run(connection, _placed, {"keys": store.listed(sorted({number for _, number in wanted}))})
    return {(source, number) for source, number in rows} & set(wanted)


def _placed(store: Store) -> sa.Select[Any]:
    ref = sa.select(event.c.source, event_ref.c.value).join(event, event.c.id == event_ref.c.event_id)
    return ref.where(
        event_ref.c.kind == "order",
        store.any_of(event_ref.c.value, "keys"),
        sa.or_(*(event.c.type == name for name in _HERE)),
    )
