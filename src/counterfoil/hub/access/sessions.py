"""Who is signed in: all the SQL. A session is 256 random bits in a cookie; the store has their SHA-256 only."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.access.people import Person
from counterfoil.hub.access.roles import roles_in
from counterfoil.hub.schema import person, session
from counterfoil.hub.store import Store

TOUCHED_EVERY = 60.0
"""Seconds after which it is kept anew that a session is used: not at each request."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: signed out after `idle` unused, and in any case after `at_most`."""

    idle: float = 1800.0
    at_most: float = 43200.0


def digest_of(token: str) -> str:
    """What a session is recognised by."""
    return hashlib.sha256(token.encode()).hexdigest()


def csrf_of(token: str) -> str:
    """What a page of this session sends with each act, and a page from elsewhere cannot know."""
    return hmac.digest(token.encode(), b"counterfoil csrf", hashlib.sha256).hex()


def is_csrf(token: str, given: str) -> bool:
    """Whether it is that."""
    return hmac.compare_digest(csrf_of(token).encode(), given.encode())


async def begin(connection: AsyncConnection, store: Store, person_id: str, limits: Limits) -> str:
    """Sign somebody in, in the caller's transaction: the token, which is nowhere else."""
    token = secrets.token_urlsafe(32)
    row = {"digest": digest_of(token), "person": person_id}
    times = {"made_at": store.now, "used_at": store.now, "ends_at": store.now + limits.at_most}
    await connection.execute(sa.insert(session).values(**row, **times))
    return token


async def found(store: Store, token: str, limits: Limits, touch: bool = True) -> Person | None:
    """Who is signed in with it; None where nobody is any more. Without `touch` that is no use of it."""
    mine = session.c.digest == digest_of(token)
    query = sa.select(person.c.id, person.c.login, person.c.roles, (store.now - session.c.used_at).label("unused"))
    query = query.join(person, person.c.id == session.c.person).where(mine, person.c.disabled_at.is_(None))
    async with store.read() as connection:
        row = (await connection.execute(query.where(session.c.ends_at > store.now))).first()
    if row is None or row.unused > limits.idle:
        return None
    if touch and row.unused > min(TOUCHED_EVERY, limits.idle / 2):
        async with store.write() as connection:
            await connection.execute(sa.update(session).where(mine).values(used_at=store.now))
    return Person.of(row.id, row.login, roles_in(row.roles), "session")


async def end(store: Store, token: str) -> None:
    """Sign out."""
    async with store.write() as connection:
        await connection.execute(sa.delete(session).where(session.c.digest == digest_of(token)))


async def end_all(connection: AsyncConnection, person_id: str) -> None:
    """Sign somebody out everywhere."""
    await connection.execute(sa.delete(session).where(session.c.person == person_id))
