"""What a person does about an exception, or about many: tried again, put right by hand, not wanted, released."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub import lanes
from counterfoil.hub.access import audit
from counterfoil.hub.contract import NEEDS_APPROVAL
from counterfoil.hub.exceptions.looking import NoSuchException, get
from counterfoil.hub.lanes import LaneKey, NewDelivery
from counterfoil.hub.receipts import RELEASED
from counterfoil.hub.schema import delivery, delivery_log, exception, receipt, system_state
from counterfoil.hub.store import Store


class NotOpen(ValueError):
    """The exception is closed already; nothing was changed."""


class NothingHeldBack(ValueError):
    """The exception is of another kind; nothing was changed."""


async def act(store: Store, number: int, status: str, who: str, note: str = "") -> dict[str, Any]:
    """Close an exception as retried, resolved or skipped and let its lane go on.

    Raises NoSuchException, NotOpen.
    """
    async with store.write() as connection:
        row = (await connection.execute(sa.select(exception).where(exception.c.id == number))).first()
        if row is None:
            raise NoSuchException(f"there is no exception {number}")
        if len(await close(connection, store, [row], status, who, note)) != 1:  # what was done is rolled back
            now = await connection.scalar(sa.select(exception.c.status).where(exception.c.id == number))
            raise NotOpen(f"exception {number} was {now} already")
        return dict(row._mapping)


async def close(
    connection: AsyncConnection, store: Store, rows: Sequence[Any], status: str, who: str, note: str
) -> list[int]:
    """Close these and set in motion what waited for it; the numbers of those that were open until now."""
    in_order = sorted(rows, key=lambda row: (row.delivery_id is not None, row.system, row.stream, row.key))
    for row in in_order:  # as systems and lanes are locked everywhere
        await _go_on(connection, store, row, status)
    closed = (
        sa.update(exception)
        .where(exception.c.id.in_([row.id for row in rows]), exception.c.status == "open")
        .values(status=status, closed_at=store.now, closed_by=who, note=note)
        .returning(exception.c.id)
    )
    numbers = sorted((await connection.execute(closed)).scalars())
    done = [row for row in rows if row.id in numbers]
    if status != "retried":
        for row in done:
            if row.delivery_id is not None:
                await _log_act(connection, store, row, status, who, note)
    acts: list[audit.Act] = [(f"exception.{status}", row.subject, {"id": row.id, "note": note}) for row in done]
    await audit.note_all(connection, store, who, acts)
    return numbers


async def acknowledge(store: Store, number: int, who: str) -> None:
    """Say that somebody looks after it: it goes to nobody else by the clock. Once; who says so again changes nothing.

    Raises NoSuchException, NotOpen.
    """
    mine = (exception.c.id == number, exception.c.status == "open")
    async with store.write() as connection:
        said = sa.update(exception).where(*mine, exception.c.acknowledged_at.is_(None))
        done = said.values(acknowledged_at=store.now, acknowledged_by=who).returning(exception.c.subject)
        found = (await connection.execute(done)).first()
        if found is not None:
            await audit.note(connection, store, who, "exception.acknowledged", found.subject, {"id": number})
            return
    now = (await get(store, number))["status"]
    if now != "open":
        raise NotOpen(f"exception {number} was {now} already")


def is_held_back(row: Mapping[str, Any]) -> bool:
    """Whether it holds something back for a person's word."""
    return row["reason"] == NEEDS_APPROVAL and row["receipt_id"] is not None


async def release(store: Store, number: int, who: str, note: str = "") -> dict[str, Any]:
    """Let what was held back for a person's word be taken for known, and close the exception as retried.

    Raises NoSuchException, NotOpen, NothingHeldBack.
    """
    row = await get(store, number)
    if not is_held_back(row):
        raise NothingHeldBack(f"exception {number} holds nothing back; `retry` or `resolve` it")
    async with store.write() as connection:
        await connection.execute(sa.update(receipt).where(receipt.c.id == row["receipt_id"]).values(origin=RELEASED))
    return await act(store, number, "retried", who, note)


async def _go_on(connection: AsyncConnection, store: Store, row: Any, status: str) -> None:
    """What closing the exception sets in motion; before that, as lanes and systems are locked first everywhere."""
    if row.delivery_id is None:
        if status == "retried":  # probe the system at once
            await connection.execute(
                sa.update(system_state)
                .where(system_state.c.system.in_([row.system, f"{row.system}.{row.operation}"]))
                .values(open_until=store.now)
            )
            await store.notify(connection)
    elif row.held:
        finished = () if status == "retried" else (row.delivery_id,)
        await lanes.unhold(connection, store, (row.system, row.stream, row.key), finished)
        await _afresh(connection, [row.id])
    elif status == "retried":
        await lanes.enqueue(connection, store, [_again(row)])


async def _afresh(connection: AsyncConnection, numbers: Sequence[int]) -> None:
    """Whoever put the cause right gets all attempts again, not the last one."""
    held = sa.select(exception.c.delivery_id).where(exception.c.id.in_(numbers))
    await connection.execute(sa.update(delivery).where(delivery.c.id.in_(held)).values(attempt=0))


def _again(row: Any) -> NewDelivery:
    return NewDelivery(
        **{name: getattr(row, name) for name in ("system", "stream", "key", "operation", "subject")},
        event_id=row.event_id,
        receipt_id=row.receipt_id,
        on_exception="pass",
    )


async def _log_act(connection: AsyncConnection, store: Store, row: Any, status: str, who: str, note: str) -> None:
    await connection.execute(
        sa.insert(delivery_log).values(
            **{
                name: getattr(row, name)
                for name in ("delivery_id", "event_id", "receipt_id", "system", "operation", "subject")
            },
            attempt=0,
            outcome=status,
            reason=row.reason,
            detail={"note": note} if note else {},
            created_at=row.created_at,
            promise_by=row.promise_by,
            started_at=store.now,
            ended_at=store.now,
            worker=who,
        )
    )


async def held_lanes(connection: AsyncConnection, subjects: Sequence[str]) -> dict[LaneKey, int]:
    """Lanes held for these subjects, and the exception each is held by."""
    rows = await connection.execute(
        sa.select(exception.c.id, exception.c.system, exception.c.stream, exception.c.key).where(
            exception.c.status == "open", exception.c.subject.in_(subjects), exception.c.held
        )
    )
    return {(r.system, r.stream, r.key): r.id for r in rows}


async def retry_about(
    connection: AsyncConnection, store: Store, subject: str, reasons: Collection[str], why: str
) -> None:
    """What an open exception about the subject says has changed: what it is about is tried again."""
    mine = (exception.c.status == "open", exception.c.subject == subject, exception.c.reason.in_(sorted(reasons)))
    rows = (await connection.execute(sa.select(exception).where(*mine).order_by(exception.c.id))).all()
    for row in sorted((row for row in rows if row.held), key=lambda r: (r.system, r.stream, r.key)):
        await lanes.unhold(connection, store, (row.system, row.stream, row.key))
    await lanes.enqueue(connection, store, [_again(row) for row in rows if not row.held])
    await close_as_retried(connection, store, [row.id for row in rows], why)


async def close_as_retried(connection: AsyncConnection, store: Store, numbers: Sequence[int], why: str) -> None:
    """Something new is known: what was held is tried again with it."""
    await connection.execute(
        sa.update(exception)
        .where(exception.c.id.in_(numbers), exception.c.status == "open")
        .values(status="retried", closed_at=store.now, closed_by="counterfoil", note=why)
    )
    await _afresh(connection, numbers)
