"""A customer's orders, cases and messages in one place, for the service desk.

Who it is, is said by e-mail address, telephone number or a customer's canonical id. Guests have no id: what they are
known by is the address they ordered with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub import identity
from counterfoil.hub.schema import correction, event, exception, link, object_, search_key
from counterfoil.hub.store import Store
from counterfoil.hub.views.masking import mask, personal
from counterfoil.hub.views.search import HASHED, exact_values
from counterfoil.hub.views.things import Line, lines, thing_of
from counterfoil.retail.editable import nested
from counterfoil.retail.events import at_utc

CASES, MESSAGES = 50, 50
"""The newest so many are shown."""
TOLD = ("return.requested", "prescription.attached", "appointment.requested", "appointment.cancelled")
"""Facts by which a customer tells something."""


@dataclass(frozen=True, slots=True)
class Case:
    """An exception about one of a customer's things."""

    number: int
    status: str
    opened_at: datetime
    subject: str
    message: str
    suggestion: str
    owner: str


@dataclass(frozen=True, slots=True)
class Message:
    """What a customer told: the note of an order, a request. `text` is empty where only the fact is known."""

    at: datetime | None
    subject: str
    what: str
    text: str


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer. `accounts` are their records at the systems; `after` is where the next page of orders begins."""

    accounts: tuple[Line, ...]
    links: tuple[tuple[str, str], ...]
    orders: tuple[Line, ...]
    after: tuple[float, str] | None
    cases: tuple[Case, ...]
    messages: tuple[Message, ...]


async def customer(
    store: Store, who: str, may_see: bool = False, limit: int = 20, after: tuple[float, str] | None = None
) -> Customer | None:
    """All of a customer, orders newest first and in pages; None where nobody is known by that."""
    async with store.read() as connection:
        accounts, values = await _known_as(connection, who.strip())
        mine = sa.and_(search_key.c.thing == "order", search_key.c.kind.in_(HASHED), search_key.c.value.in_(values))
        first = sa.func.min(search_key.c.at)  # an order may be found by address and by telephone
        page = sa.select(search_key.c.subject, first.label("at")).where(mine).group_by(search_key.c.subject)
        if after is not None:
            page = page.having(sa.or_(first < after[0], sa.and_(first == after[0], search_key.c.subject > after[1])))
        page = page.order_by(first.desc(), search_key.c.subject).limit(limit + 1)
        found = (await connection.execute(page)).all()
        if not accounts and not found and after is None:
            return None
        orders = [row.subject for row in found[:limit]]
        about = sa.union(
            sa.select(search_key.c.subject).where(mine),
            *(sa.select(sa.literal(account).label("subject")) for account in accounts),
        ).subquery()
        known = await lines(connection, [*orders, *accounts], may_see)
        rows = sa.select(link.c.system, link.c.object_id).where(link.c.canonical_id.in_(accounts)).order_by(*link.c)
        links = tuple((r.system, r.object_id) for r in await connection.execute(rows))
        states = await _states(connection, [*orders, *accounts])
        corrected = sa.select(correction).where(correction.c.subject.in_(sa.select(about.c.subject)))
        secret = set[str]().union(*map(personal, states.values()), *map(_personal, await connection.execute(corrected)))
        cases = tuple([_case(r, may_see, secret) for r in await _cases(connection, about)])
        messages = _notes(states, may_see) + await _told(connection, about)
    return Customer(
        tuple(known[account] for account in accounts),
        links,
        tuple(known[order] for order in orders),
        (found[limit - 1].at, found[limit - 1].subject) if len(found) > limit else None,
        cases,
        tuple(sorted(messages, key=lambda m: m.at.timestamp() if m.at else 0.0, reverse=True)[:MESSAGES]),
    )


async def known_of(store: Store, subjects: Iterable[str]) -> dict[str, set[str]]:
    """By thing, what is personal in what the hub knows of it: to be looked for in what is said about it."""
    asked, known = sorted(subjects), defaultdict[str, set[str]](set)
    mine = sa.select(object_.c.canonical_id, object_.c.state).where(object_.c.canonical_id.in_(asked))
    async with store.read() as connection:
        for row in await connection.execute(mine):
            known[row.canonical_id] |= personal(row.state)
        for row in await connection.execute(sa.select(correction).where(correction.c.subject.in_(asked))):
            known[row.subject] |= _personal(row)
    return known


def _personal(row: Any) -> set[str]:
    """What is personal in a correction: also what was wrong may be somebody's."""
    return personal(nested(row.path, row.was)) | personal(nested(row.path, row.becomes))


async def _known_as(connection: AsyncConnection, who: str) -> tuple[list[str], list[str]]:
    """The customer's records, and the fingerprints of the addresses and numbers they are known by."""
    if thing_of(who) == "customer":
        accounts = await identity.family(connection, [who])
        theirs = sa.and_(search_key.c.thing == "customer", search_key.c.subject.in_(sorted(accounts)))
        states = (await _states(connection, sorted(accounts))).values()
        people = [state.get("customer") or {} for state in states]
        written = [text for person in people for text in (person.get("email"), person.get("phone")) if text]
        values = [value for text in written for value in exact_values(text)]
        there = await connection.execute(sa.select(search_key.c.subject).where(theirs, search_key.c.value.in_(values)))
        return sorted({*there.scalars(), *(s for s in accounts if states)}), values
    values = exact_values(who)
    mine = (search_key.c.thing == "customer", search_key.c.kind.in_(HASHED), search_key.c.value.in_(values))
    rows = await connection.execute(sa.select(search_key.c.subject).where(*mine).limit(100))
    return sorted(await identity.family(connection, set(rows.scalars()))), values


async def _states(connection: AsyncConnection, subjects: list[str]) -> dict[str, Any]:
    rows = await connection.execute(
        sa.select(object_.c.canonical_id, object_.c.state)
        .where(object_.c.canonical_id.in_(subjects), object_.c.kind.in_(("order", "customer")))
        .order_by(object_.c.updated_at)
    )
    return {row.canonical_id: row.state for row in rows}


async def _cases(connection: AsyncConnection, about: sa.Subquery) -> list[Any]:
    closed = sa.case((exception.c.status == "open", 0), else_=1)
    mine = sa.select(exception).where(exception.c.subject.in_(sa.select(about.c.subject)))
    return list(await connection.execute(mine.order_by(closed, exception.c.opened_at.desc()).limit(CASES)))


def _case(row: Any, may_see: bool, secret: set[str]) -> Case:
    message, suggestion = mask([row.message, row.suggestion], may_see, secret)
    return Case(row.id, row.status, at_utc(row.opened_at), row.subject, message, suggestion, row.owner)


def _notes(states: dict[str, Any], may_see: bool) -> list[Message]:
    noted = {s: mask(state, may_see) for s, state in states.items() if state.get("note")}
    return [
        Message(datetime.fromisoformat(state["placed_at"]), subject, "note on the order", state["note"])
        for subject, state in noted.items()
        if state.get("placed_at")
    ]


async def _told(connection: AsyncConnection, about: sa.Subquery) -> list[Message]:
    mine = (event.c.subject.in_(sa.select(about.c.subject)), event.c.type.in_(TOLD))
    rows = await connection.execute(
        sa.select(event.c.type, event.c.subject, event.c.recorded_at)
        .where(*mine)
        .order_by(event.c.recorded_at.desc())
        .limit(MESSAGES)
    )
    return [Message(at_utc(r.recorded_at), r.subject, r.type, "") for r in rows]
