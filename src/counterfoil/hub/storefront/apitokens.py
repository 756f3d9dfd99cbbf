"""Tokens of the storefront API: all their SQL.

A token is 256 random bits, shown once when it is made; the store has its SHA-256 only.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.access import audit
from counterfoil.hub.schema import api_token
from counterfoil.hub.store import Store

SCOPES = (
    *("catalogue", "availability", "reserve", "checkout", "orders"),
    *("appointments", "prescriptions", "returns", "trials"),
)
"""What a token may be made for."""
PREFIX = "cfs_"
"""So that a token that leaked is known for one, by people and by scanners."""


def digest_of(token: str) -> str:
    """What it is recognised by."""
    return hashlib.sha256(token.encode()).hexdigest()


async def found(connection: AsyncConnection, digest: str) -> Mapping[str, Any] | None:
    """The token of that digest that was not revoked."""
    query = sa.select(api_token).where(api_token.c.digest == digest, api_token.c.revoked_at.is_(None))
    row = (await connection.execute(query)).mappings().first()
    return dict(row) if row and hmac.compare_digest(row["digest"], digest) else None


async def add(
    store: Store, name: str, channel: str, scopes: list[str], rate: float | None, who: str
) -> tuple[str, str]:
    """Make a token: its id, and the token itself, which is nowhere else."""
    token, id_ = PREFIX + secrets.token_urlsafe(32), secrets.token_hex(4)
    async with store.write() as connection:
        row: dict[str, Any] = {
            "id": id_,
            "digest": digest_of(token),
            "name": name,
            "channel": channel,
            "scopes": sorted(set(scopes)),
        }
        row |= {"rate": rate, "made_at": store.now, "made_by": who}
        await connection.execute(sa.insert(api_token).values(**row))
        detail = {"channel": channel, "scopes": row["scopes"]}
        await audit.note(connection, store, who, "token.added", f"token:{id_}", detail)
    return id_, token


async def all_of(store: Store) -> list[Mapping[str, Any]]:
    """Every token there is or was, without its digest, oldest first."""
    columns = [column for column in api_token.c if column.name != "digest"]
    async with store.read() as connection:
        rows = await connection.execute(sa.select(*columns).order_by(api_token.c.made_at, api_token.c.id))
        return [dict(row) for row in rows.mappings()]


async def any_there(store: Store) -> bool:
    """Whether any token works."""
    async with store.read() as connection:
        return await connection.scalar(sa.select(sa.exists().where(api_token.c.revoked_at.is_(None)))) is True


async def revoke(store: Store, id_: str, who: str) -> bool:
    """End a token; whether there was one that was not ended yet."""
    async with store.write() as connection:
        mine = (api_token.c.id == id_) & api_token.c.revoked_at.is_(None)
        done = await connection.execute(sa.update(api_token).where(mine).values(revoked_at=store.now))
        if done.rowcount:
            await audit.note(connection, store, who, "token.revoked", f"token:{id_}")
        return bool(done.rowcount)
