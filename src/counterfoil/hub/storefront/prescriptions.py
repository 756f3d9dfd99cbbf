"""Prescriptions as they are kept: sealed, one row each. All SQL on the table `prescription`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.schema import event, event_ref, exception, object_, prescription
from counterfoil.hub.store import Store, as_json

TO_RELEASE, RELEASED, REJECTED, REPLACED = "to_release", "released", "rejected", "replaced"
"""The states of a record. A replaced one says nothing any more: what it said is gone."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a prescription without opening it. Times in seconds (UTC)."""

    id: str
    channel: str
    subject: str
    number: str
    lines: tuple[str, ...]
    state: str
    made_at: float
    decided_at: float | None = None
    decided_by: str | None = None
    reason: str = ""


_COLUMNS = [column for column in prescription.c if column.name != "sealed"]


def _record(row: Any) -> Record:
    told = dict(row._mapping)
    told.pop("sealed", None)
    return Record(**{**told, "lines": tuple(told["lines"])})


async def of_orders(connection: AsyncConnection, subjects: Collection[str]) -> dict[str, list[Record]]:
    """All of these orders (canonical ids), oldest first."""
    query = sa.select(*_COLUMNS).where(prescription.c.subject.in_(sorted(subjects)))
    found: dict[str, list[Record]] = {subject: [] for subject in subjects}
    for row in await connection.execute(query.order_by(prescription.c.made_at, prescription.c.id)):
        found[row.subject].append(_record(row))
    return found


async def listing(store: Store, state: str = "", limit: int = 500) -> list[Record]:
    """Those in a state, or all, oldest first."""
    query = sa.select(*_COLUMNS).order_by(prescription.c.made_at, prescription.c.id).limit(limit)
    async with store.read() as connection:
        rows = await connection.execute(query.where(prescription.c.state == state) if state else query)
        return [_record(row) for row in rows]


async def get(connection: AsyncConnection, id_: str, lock: bool = True) -> tuple[Record, bytes | None] | None:
    """One and what is sealed of it, locked until the transaction ends; None where there is none."""
    query = sa.select(prescription).where(prescription.c.id == id_)
    row = (await connection.execute(query.with_for_update() if lock else query)).first()
    return (_record(row), row.sealed) if row else None


async def keep(connection: AsyncConnection, store: Store, record: Record, sealed: bytes) -> None:
    """Write a new one, or one that was replaced again."""
    values = {name: getattr(record, name) for name in ("id", "channel", "subject", "number", "state", "reason")}
    values |= {"lines": list(record.lines), "sealed": sealed, "made_at": record.made_at}
    values |= {"decided_at": None, "decided_by": None}
    statement = store.insert(prescription).values(**values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


async def replace(connection: AsyncConnection, ids: Sequence[str]) -> None:
    """These count no more, and what they said goes."""
    mine = prescription.c.id.in_(list(ids))
    await connection.execute(sa.update(prescription).where(mine).values(state=REPLACED, sealed=None))


async def decide(connection: AsyncConnection, store: Store, id_: str, state: str, who: str, reason: str) -> None:
    """Released or rejected, by whom."""
    values = {"state": state, "decided_at": store.now, "decided_by": who, "reason": reason}
    await connection.execute(sa.update(prescription).where(prescription.c.id == id_).values(**values))


async def reseal(connection: AsyncConnection, id_: str, sealed: bytes) -> None:
    """The same, sealed anew."""
    await connection.execute(sa.update(prescription).where(prescription.c.id == id_).values(sealed=sealed))


async def sealed_after(connection: AsyncConnection, last: str, limit: int) -> list[tuple[str, bytes]]:
    """The next ones by id that say something, locked until the transaction ends."""
    query = sa.select(prescription.c.id, prescription.c.sealed)
    query = query.where(prescription.c.id > last, prescription.c.sealed.is_not(None)).order_by(prescription.c.id)
    return [(row.id, row.sealed) for row in await connection.execute(query.limit(limit).with_for_update())]


async def purge(connection: AsyncConnection, store: Store, keep_for: float) -> int:
    """Those decided (or, undecided, taken) longer ago than so many seconds go; how many."""
    since = sa.func.coalesce(prescription.c.decided_at, prescription.c.made_at)
    return (await connection.execute(sa.delete(prescription).where(since < store.now - keep_for))).rowcount


async def waiting_orders(connection: AsyncConnection, reasons: Sequence[str]) -> list[tuple[str, str]]:
    """(order, reason) of the open exceptions with these reasons."""
    mine = (exception.c.status == "open", exception.c.reason.in_(list(reasons)))
    rows = await connection.execute(sa.select(exception.c.subject, exception.c.reason).where(*mine))
    return sorted({(row.subject, row.reason) for row in rows})


async def categories_of(connection: AsyncConnection, skus: Collection[str]) -> dict[str, set[tuple[str, ...]]]:
    """The categories that articles are in, by SKU, as their products were last told."""
    told = sa.select(event.c.subject).join(event_ref, event_ref.c.event_id == event.c.id)
    told = told.where(event_ref.c.kind == "sku", event_ref.c.value.in_(sorted(skus)), event.c.type == "product.changed")
    products = sa.select(object_.c.state).where(object_.c.kind == "product")
    found: dict[str, set[tuple[str, ...]]] = {}
    rows = await connection.execute(products.where(object_.c.canonical_id.in_(told)))
    _categories(rows.scalars(), skus, found)
    for sku in sorted(set(skus) - set(found)):  # told so long ago that the event is gone: by looking through all
        text = sa.cast(object_.c.state, sa.Text).contains(as_json(sku), autoescape=True)
        _categories((await connection.execute(products.where(text))).scalars(), {sku}, found)
    return found


def _categories(states: Any, skus: Collection[str], found: dict[str, set[tuple[str, ...]]]) -> None:
    for state in states:
        for variant in state["variants"]:
            if variant["sku"] in skus:
                found.setdefault(variant["sku"], set()).add(tuple(state["category"]))
