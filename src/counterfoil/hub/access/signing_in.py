"""Signing in with a name and a password: counted, checked, kept in the audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from counterfoil.hub.access import audit, lockout, passwords, sessions, users
from counterfoil.hub.access.sessions import Limits
from counterfoil.hub.schema import person
from counterfoil.hub.store import Store

_WRONG = "That name and that password do not go together here."


class NotSignedIn(Exception):
    """Name or password is wrong, or signing in is not allowed: which of them is not told."""


class Waiting(Exception):
    """There were too many tries; `seconds` are still to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Too many tries: wait {seconds:.0f} s.")
        self.seconds = seconds


async def known(store: Store, login: str, password: str, address: str) -> Mapping[str, Any]:
    """The row of the user whose name and password these are. Each try counts. Raises NotSignedIn, Waiting."""
    if wait := await lockout.count_try(store, login, address):
        raise Waiting(wait)
    async with store.read() as connection:
        row = await users.found(connection, login)
    right = await passwords.fits(row["password"] if row else None, password)
    if row is not None and right and row["disabled_at"] is None:
        return row
    async with store.write() as connection:
        # who is not known is not named: people type their password in the wrong field
        subject = f"user:{row['login']}" if row else ""
        await audit.note(connection, store, "", "sign-in.refused", subject, {"from": address})
    raise NotSignedIn(_WRONG)


async def sign_in(store: Store, login: str, password: str, address: str, limits: Limits) -> str:
    """The token of a new session. `address` is where it comes from. Raises NotSignedIn, Waiting."""
    login = login.strip().casefold()
    row = await known(store, login, password, address)
    kept = await passwords.hashed(password) if passwords.outdated(row["password"]) else row["password"]
    async with store.write() as connection:
        # the password may have been changed, or the user disabled, while it was checked
        same = (person.c.id == row["id"]) & (person.c.password == row["password"]) & person.c.disabled_at.is_(None)
        now = sa.update(person).where(same).values(seen_at=store.now, password=kept)
        if not (await connection.execute(now)).rowcount:
            raise NotSignedIn(_WRONG)
        await lockout.forget(connection, login, address)
        token = await sessions.begin(connection, store, row["id"], limits)
        await audit.note(connection, store, login, "sign-in", f"user:{login}", {"from": address})
    return token
