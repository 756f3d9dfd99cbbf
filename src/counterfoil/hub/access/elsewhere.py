"""Who signs in at a provider: kept here as a user of their own, whose roles are as the provider last said."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import sqlalchemy as sa

from counterfoil.hub.access import audit, sessions, users
from counterfoil.hub.access.roles import Role
from counterfoil.hub.access.sessions import Limits
from counterfoil.hub.access.signing_in import NotSignedIn
from counterfoil.hub.schema import person
from counterfoil.hub.store import Store


def login_for(wanted: str, identity: str) -> str:
    """The login name of who comes for the first time; one of their identity where theirs cannot be one."""
    try:
        return users.login_of(wanted)
    except users.CannotAdd:
        return f"elsewhere-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


async def arrive(
    store: Store, identity: str, login: str, name: str, email: str, roles: Iterable[Role], address: str, limits: Limits
) -> str:
    """The token of a new session. `identity`: issuer and subject, which is who they are whatever else changes.

    Raises NotSignedIn for who is disabled here, and for a name that another user has: nobody becomes somebody who
    signs in otherwise by calling themselves so.
    """
    named = sorted(set(roles))
    async with store.write() as connection:
        mine = sa.select(person).where(person.c.identity == identity).with_for_update()
        row = (await connection.execute(mine)).first()
        if row is None:
            try:
                more = {"identity": identity, "seen_at": store.now}
                id_ = await users.keep_new(connection, store, login, name, email, named, login, **more)
            except users.CannotAdd as error:
                raise NotSignedIn(f"There is another user {login} here, who signs in otherwise.") from error
        elif row.disabled_at is not None:
            raise NotSignedIn("This user is disabled here.")
        else:
            id_, login = row.id, row.login
            now = {"roles": named, "name": name or login, "email": email, "seen_at": store.now}
            await connection.execute(sa.update(person).where(person.c.id == id_).values(now))
            if sorted(row.roles) != named:
                await sessions.end_all(connection, id_)
        token = await sessions.begin(connection, store, id_, limits)
        detail = {"from": address, "at": identity.partition(" ")[0], "roles": named}
        await audit.note(connection, store, login, "sign-in", f"user:{login}", detail)
    return token
