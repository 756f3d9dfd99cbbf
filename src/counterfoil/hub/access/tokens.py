"""Personal tokens, for programs that act in somebody's name: all their SQL.

A token is 256 random bits, shown once; the store has its SHA-256 only. It may what it was made for, and never more than
its person may when it is used. It ends by itself.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from counterfoil.hub.access import audit, users
from counterfoil.hub.access.people import Person
from counterfoil.hub.access.roles import Right, roles_in
from counterfoil.hub.schema import person, personal_token
from counterfoil.hub.store import Store

PREFIX = "cfp_"
"""So that a token that leaked is known for one, by people and by scanners."""
LONGEST = 366 * 86400.0
"""Seconds that one may last."""


def digest_of(token: str) -> str:
    """What it is recognised by."""
    return hashlib.sha256(token.encode()).hexdigest()


async def found(store: Store, token: str) -> Person | None:
    """Whose it is, and what they may with it; None where it does not work (any more)."""
    if not token.startswith(PREFIX):
        return None
    query = sa.select(person.c.id, person.c.login, person.c.roles, personal_token.c.rights)
    query = query.join(person, person.c.id == personal_token.c.person).where(
        personal_token.c.digest == digest_of(token),
        personal_token.c.revoked_at.is_(None),
        personal_token.c.ends_at > store.now,
        person.c.disabled_at.is_(None),
    )
    async with store.read() as connection:
        row = (await connection.execute(query)).first()
    if row is None:
        return None
    return Person.of(row.id, row.login, roles_in(row.roles), "token", (r for r in Right if r in row.rights))


async def add(
    store: Store, login: str, name: str, rights: Iterable[Right], seconds: float, who: str
) -> tuple[str, str]:
    """Make a token for somebody: its id, and the token itself, which is nowhere else. Raises NoSuchUser, ValueError."""
    if not 0 < seconds <= LONGEST:
        raise ValueError("A personal token lasts a year at most.")
    token, id_ = PREFIX + secrets.token_urlsafe(32), secrets.token_hex(4)
    async with store.write() as connection:
        row = await users.found(connection, login)
        if row is None:
            raise users.NoSuchUser(f"There is no user {login}; `counterfoil users list` shows those there are.")
        new: dict[str, Any] = {"id": id_, "digest": digest_of(token), "person": row["id"], "name": name}
        new |= {"rights": sorted(set(rights)), "made_by": who}
        times = {"made_at": store.now, "ends_at": store.now + seconds}
        await connection.execute(sa.insert(personal_token).values(**new, **times))
        detail = {"id": id_, "rights": new["rights"]}
        await audit.note(connection, store, who, "personal-token.added", f"user:{row['login']}", detail)
    return id_, token


async def all_of(store: Store, login: str = "") -> list[dict[str, Any]]:
    """Every personal token there is or was, or those of one user, oldest first."""
    columns = [c for c in personal_token.c if c.name not in ("digest", "person")]
    query = sa.select(*columns, person.c.login).join(person, person.c.id == personal_token.c.person)
    if login:
        query = query.where(person.c.login == login)
    async with store.read() as connection:
        rows = await connection.execute(query.order_by(personal_token.c.made_at, personal_token.c.id))
        return [dict(row) for row in rows.mappings()]


async def revoke(store: Store, id_: str, who: str, login: str = "") -> bool:
    """End a token, if it is this user's where one is named; whether there was one that worked."""
    mine = (personal_token.c.id == id_) & personal_token.c.revoked_at.is_(None)
    if login:
        theirs = sa.select(person.c.id).where(person.c.login == login).scalar_subquery()
        mine &= personal_token.c.person == theirs
    async with store.write() as connection:
        done = await connection.execute(sa.update(personal_token).where(mine).values(revoked_at=store.now))
        if done.rowcount:
            await audit.note(connection, store, who, "personal-token.revoked", f"personal-token:{id_}")
        return bool(done.rowcount)
