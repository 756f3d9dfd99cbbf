"""Who may sign in: all their SQL. Whoever changes somebody's password or roles ends that person's sessions."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.access import audit, passwords, sessions
from counterfoil.hub.access.roles import Role
from counterfoil.hub.schema import person, personal_token
from counterfoil.hub.store import Store

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,79}")
_SHOWN = [column for column in person.c if column.name not in ("password", "identity")]


class NoSuchUser(LookupError):
    """There is no user of that name; `counterfoil users list` shows those there are."""


class CannotAdd(ValueError):
    """The user cannot be made; the message says why."""


def login_of(text: str) -> str:
    """A login name as it is kept. Raises CannotAdd."""
    login = text.strip().casefold()
    if not _LOGIN.fullmatch(login):
        raise CannotAdd("A login name has up to 80 letters, digits and . _ @ + -, and begins with a letter or digit.")
    return login


async def add(store: Store, login: str, name: str, email: str, password: str, roles: Iterable[Role], who: str) -> str:
    """Make a user; their id. Raises CannotAdd, Unsuitable."""
    login = login_of(login)
    passwords.suitable(password, login)
    kept = await passwords.hashed(password)
    async with store.write() as connection:
        return await keep_new(connection, store, login, name, email, roles, who, password=kept)


async def keep_new(
    connection: AsyncConnection,
    store: Store,
    login: str,
    name: str,
    email: str,
    roles: Iterable[Role],
    who: str,
    **more: Any,
) -> str:
    """The same, in the caller's transaction. Raises CannotAdd where the name is taken."""
    id_, named = secrets.token_hex(8), sorted(set(roles))
    row = {"id": id_, "login": login, "name": name.strip() or login, "email": email.strip(), "roles": named, **more}
    new = store.insert(person).values(**row, made_at=store.now, made_by=who)
    done = await connection.execute(new.on_conflict_do_nothing().returning(person.c.id))
    if done.first() is None:
        raise CannotAdd(f"There is a user {login} already.")
    await audit.note(connection, store, who, "user.added", f"user:{login}", {"roles": named})
    return id_


async def all_of(store: Store) -> list[dict[str, Any]]:
    """Every user, by login name, without what they are known by."""
    local = person.c.password.is_not(None).label("local")
    async with store.read() as connection:
        rows = await connection.execute(sa.select(*_SHOWN, local).order_by(person.c.login))
        return [{**row, "local": bool(row["local"])} for row in rows.mappings()]


async def any_there(store: Store) -> bool:
    """Whether anybody can sign in at all."""
    async with store.read() as connection:
        return await connection.scalar(sa.select(sa.exists().where(person.c.disabled_at.is_(None)))) is True


async def found(connection: AsyncConnection, login: str) -> Mapping[str, Any] | None:
    """The whole row of a user."""
    row = (await connection.execute(sa.select(person).where(person.c.login == login))).mappings().first()
    return dict(row) if row else None


async def set_roles(store: Store, login: str, roles: Iterable[Role], who: str) -> None:
    """What they are from now on. Raises NoSuchUser."""
    named = sorted(set(roles))
    await _change(store, login, who, "user.roles", {"roles": named}, roles=named)


async def set_password(store: Store, login: str, password: str, who: str) -> None:
    """Raises NoSuchUser, Unsuitable."""
    passwords.suitable(password, login)
    await _change(store, login, who, "user.password", {}, password=await passwords.hashed(password))


async def disable(store: Store, login: str, who: str) -> None:
    """They cannot sign in any more, and their tokens do not work. Raises NoSuchUser."""
    await _change(store, login, who, "user.disabled", {}, disabled_at=store.now)


async def enable(store: Store, login: str, who: str) -> None:
    """They can again, with new sessions. Raises NoSuchUser."""
    await _change(store, login, who, "user.enabled", {}, disabled_at=None)


async def _change(store: Store, login: str, who: str, act: str, detail: Mapping[str, Any], **values: Any) -> None:
    async with store.write() as connection:
        changed = sa.update(person).where(person.c.login == login.strip().casefold()).values(**values)
        row = (await connection.execute(changed.returning(person.c.id, person.c.login))).first()
        if row is None:
            raise NoSuchUser(f"There is no user {login}; `counterfoil users list` shows those there are.")
        await sessions.end_all(connection, row.id)
        if act == "user.password":  # whoever knew the old one may have made tokens with it
            mine = (personal_token.c.person == row.id) & personal_token.c.revoked_at.is_(None)
            await connection.execute(sa.update(personal_token).where(mine).values(revoked_at=store.now))
        await audit.note(connection, store, who, act, f"user:{row.login}", detail)
