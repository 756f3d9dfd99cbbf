"""What opens an exception, and what closes it by itself once it is over."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint.model import HUB
from counterfoil.hub.claiming import Work
from counterfoil.hub.contract import Outcome
from counterfoil.hub.exceptions.likeness import likeness
from counterfoil.hub.schema import exception
from counterfoil.hub.store import Store


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
                **_words(outcome, owner, work.lane[0], work.operation, work.subject),
            }
            for work, outcome, owner in entries
        ],
    )


def _words(outcome: Outcome, owner: str, system: str, operation: str, subject: str) -> dict[str, str]:
    alike = likeness(system, operation, outcome.reason, outcome.message, outcome.suggestion, subject)
    return {
        "likeness": alike,
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
                **_words(outcome, owner, system, feed, system),
            )
        )


def of_promise(name: str) -> str:
    """What an exception of a missed promise has as its operation."""
    return f"promise.{name}"


async def open_for_promises(
    connection: AsyncConnection, store: Store, missed: Sequence[tuple[str, str, float, Outcome, str]]
) -> None:
    """One exception a missed promise: (its name, about what, due when, in which words, who owns it)."""
    told = [
        _about(HUB, of_promise(name), subject, outcome, owner) | {"promise_by": due}
        for name, subject, due, outcome, owner in missed
    ]
    await _open(connection, store, told)


async def open_about(
    connection: AsyncConnection, store: Store, operation: str, entries: Sequence[tuple[str, str, Outcome, str]]
) -> None:
    """One exception each about a thing, unless one is open: (system, the thing's id, in which words, who owns it)."""
    subjects = sorted({subject for _, subject, _, _ in entries})
    mine = (exception.c.status == "open", exception.c.operation == operation, exception.c.subject.in_(subjects))
    there = set((await connection.execute(sa.select(exception.c.subject).where(*mine))).scalars()) if subjects else ()
    told = [
        _about(system, operation, subject, outcome, owner)
        for system, subject, outcome, owner in entries
        if subject not in there
    ]
    await _open(connection, store, told)


def _about(system: str, operation: str, subject: str, outcome: Outcome, owner: str) -> dict[str, Any]:
    """One that no delivery stands behind."""
    return {
        **{"system": system, "stream": "", "key": subject, "operation": operation, "subject": subject},
        **{"held": False, **_words(outcome, owner, system, operation, subject)},
    }


async def _open(connection: AsyncConnection, store: Store, rows: Sequence[Mapping[str, Any]]) -> None:
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
