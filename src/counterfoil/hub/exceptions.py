"""Exceptions: what needs a person, with reason, owner and suggested fix; and what a person can do about it.

`retry` tries again, `resolve` says it was put right by hand, `skip` says it is not wanted. A held lane goes on
after any of the three. An exception is open or closed; a delivery is never at once failed and pending.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint.model import HUB
from counterfoil.hub import lanes
from counterfoil.hub.claiming import Work
from counterfoil.hub.contract import NEEDS_APPROVAL, Outcome
from counterfoil.hub.lanes import LaneKey, NewDelivery
from counterfoil.hub.receipts import RELEASED
from counterfoil.hub.schema import audit, delivery, delivery_log, exception, receipt, system_state
from counterfoil.hub.store import Store


class NoSuchException(LookupError):
    """There is no exception with this number; `counterfoil exceptions list` shows the open ones."""


class NotOpen(ValueError):
    """The exception is closed already; nothing was changed."""


class NothingHeldBack(ValueError):
    """The exception is of another kind; nothing was changed."""


async def open_for_work(
    connection: AsyncConnection, store: Store, entries: Sequence[tuple[Work, Outcome, str]]
) -> None:
    """One exception a delivery: (work, its outcome, who owns it)."""
    if not entries:
        return
    await connection.execute(
        sa.insert(exception).values(status="open", opened_at=store.now),
        [
            {
                "delivery_id": work.id,
                "event_id": work.event_id,
                "receipt_id": work.receipt_id,
                "system": work.lane[0],
                "stream": work.lane[1],
                "key": work.lane[2],
                "operation": work.operation,
                "subject": work.subject,
                "held": work.on_exception == "hold",
                "created_at": work.created_at,
                "promise_by": work.promise_by,
                **_words(outcome, owner),
            }
            for work, outcome, owner in entries
        ],
    )


def _words(outcome: Outcome, owner: str) -> dict[str, str]:
    return {
        "outcome": str(outcome.kind),
        "reason": outcome.reason,
        "message": outcome.message,
        "technical": outcome.technical[:4000],
        "suggestion": outcome.suggestion,
        "owner": owner,
    }


async def open_for_system(
    connection: AsyncConnection, store: Store, system: str, outcome: Outcome, owner: str, feed: str = ""
) -> None:
    """One exception for a system as a whole (or for one of its feeds), however many deliveries wait behind it.

    Where the system is closed too, close it first: its row is what two workers take turns on.
    """
    open_already = await connection.scalar(
        sa.select(exception.c.id).where(
            exception.c.status == "open",
            exception.c.system == system,
            exception.c.delivery_id.is_(None),
            exception.c.operation == feed,
            exception.c.reason == outcome.reason,
        )
    )
    if open_already is None:
        await connection.execute(
            sa.insert(exception).values(
                status="open",
                opened_at=store.now,
                created_at=store.now,
                system=system,
                **{"stream": "", "key": "", "operation": feed, "subject": system, "held": False},
                **_words(outcome, owner),
            )
        )


def of_promise(name: str) -> str:
    """What an exception of a missed promise has as its operation."""
    return f"promise.{name}"


async def open_for_promises(
    connection: AsyncConnection, store: Store, missed: Sequence[tuple[str, str, float, Outcome, str]]
) -> None:
    """One exception a missed promise: (its name, about what, due when, in which words, who owns it)."""
    await connection.execute(
        sa.insert(exception).values(status="open", opened_at=store.now, created_at=store.now),
        [
            {
                **{"system": HUB, "stream": "", "key": subject, "operation": of_promise(name), "subject": subject},
                **{"promise_by": due, "held": False, **_words(outcome, owner)},
            }
            for name, subject, due, outcome, owner in missed
        ],
    )


async def open_about(
    connection: AsyncConnection, store: Store, operation: str, entries: Sequence[tuple[str, str, Outcome, str]]
) -> None:
    """One exception each about a thing, unless one is open: (system, the thing's id, in which words, who owns it)."""
    subjects = sorted({subject for _, subject, _, _ in entries})
    if not subjects:
        return
    mine = (exception.c.status == "open", exception.c.operation == operation, exception.c.subject.in_(subjects))
    there = set((await connection.execute(sa.select(exception.c.subject).where(*mine))).scalars())
    rows = [
        {
            **{"system": system, "stream": "", "key": subject, "operation": operation, "subject": subject},
            **{"held": False, **_words(outcome, owner)},
        }
        for system, subject, outcome, owner in entries
        if subject not in there
    ]
    if rows:
        new = sa.insert(exception).values(status="open", opened_at=store.now, created_at=store.now)
        await connection.execute(new, rows)


async def is_open_for(connection: AsyncConnection, system: str, feed: str) -> bool:
    """Whether a feed has an open exception of its own."""
    found = await connection.scalar(
        sa.select(exception.c.id)
        .where(
            exception.c.status == "open",
            exception.c.system == system,
            exception.c.delivery_id.is_(None),
            exception.c.operation == feed,
        )
        .limit(1)
    )
    return found is not None


async def close_for_system(
    connection: AsyncConnection, store: Store, system: str, feed: str = "", why: str = "the system answers again"
) -> None:
    """The system (or the feed) works again: its own exceptions are over."""
    await connection.execute(
        sa.update(exception)
        .where(
            exception.c.status == "open",
            exception.c.system == system,
            exception.c.delivery_id.is_(None),
            exception.c.operation == feed,
        )
        .values(status="resolved", closed_at=store.now, closed_by="counterfoil", note=why)
    )


async def close_about(
    connection: AsyncConnection, store: Store, subjects: Collection[str], operation: str, over: Mapping[str, str]
) -> None:
    """What was asked about these subjects has answered itself; `over` says by reason how."""
    if subjects:
        await connection.execute(
            sa.update(exception)
            .where(exception.c.subject.in_(sorted(subjects)), exception.c.status == "open")
            .where(exception.c.operation == operation, exception.c.reason.in_(sorted(over)))
            .values(status="resolved", closed_at=store.now, closed_by="counterfoil")
            .values(note=sa.case(over, value=exception.c.reason))
        )


async def listing(store: Store, status: str = "open", limit: int = 200) -> list[dict[str, Any]]:
    """The exceptions of a status (open, resolved, retried, skipped, all), oldest first."""
    statement = sa.select(exception).order_by(exception.c.opened_at, exception.c.id).limit(limit)
    if status != "all":
        statement = statement.where(exception.c.status == status)
    async with store.read() as connection:
        return [dict(row._mapping) for row in await connection.execute(statement)]


async def get(store: Store, number: int) -> dict[str, Any]:
    """One exception. Raises NoSuchException."""
    async with store.read() as connection:
        row = (await connection.execute(sa.select(exception).where(exception.c.id == number))).first()
    if row is None:
        raise NoSuchException(f"there is no exception {number}")
    return dict(row._mapping)


async def act(store: Store, number: int, status: str, who: str, note: str = "") -> dict[str, Any]:
    """Close an exception as retried, resolved or skipped and let its lane go on.

    Raises NoSuchException, NotOpen.
    """
    async with store.write() as connection:
        row = (await connection.execute(sa.select(exception).where(exception.c.id == number))).first()
        if row is None:
            raise NoSuchException(f"there is no exception {number}")
        await _go_on(connection, store, row, status)
        changed = await connection.execute(
            sa.update(exception)
            .where(exception.c.id == number, exception.c.status == "open")
            .values(status=status, closed_at=store.now, closed_by=who, note=note)
        )
        if changed.rowcount == 0:  # what was done above is rolled back
            now = await connection.scalar(sa.select(exception.c.status).where(exception.c.id == number))
            raise NotOpen(f"exception {number} was {now} already")
        await connection.execute(
            sa.insert(audit).values(
                at=store.now,
                who=who,
                act=f"exception.{status}",
                subject=row.subject,
                detail={"id": number, "note": note},
            )
        )
        if status != "retried" and row.delivery_id is not None:
            await _log_act(connection, store, row, status, who, note)
        return dict(row._mapping)


async def release(store: Store, number: int, who: str, note: str = "") -> dict[str, Any]:
    """Let what was held back for a person's word be taken for known, and close the exception as retried.

    Raises NoSuchException, NotOpen, NothingHeldBack.
    """
    row = await get(store, number)
    if row["reason"] != NEEDS_APPROVAL or row["receipt_id"] is None:
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
