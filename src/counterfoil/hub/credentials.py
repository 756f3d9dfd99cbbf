"""How old credentials are: since when each secret of the blueprint is the one it is.

What is kept is a fingerprint that costs time to guess (scrypt, salted); the secret itself is nowhere in the store.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from dataclasses import dataclass

import sqlalchemy as sa

from counterfoil.blueprint import Blueprint
from counterfoil.blueprint.values import Secret
from counterfoil.hub.schema import credential
from counterfoil.hub.store import Store

_COST = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret of a system: its setting's name, and since when (seconds) it is known as it is; no sooner than the hub
    first started with it."""

    system: str
    name: str
    since: float


async def note(store: Store, blueprint: Blueprint) -> None:
    """Compare the secrets of the blueprint with those of last time; what is another one is so from now on."""
    now = {
        (system.name, name): system.secret(name)
        for system in blueprint.systems.values()
        for name, value in system.settings.items()
        if isinstance(value, Secret)
    }
    async with store.read() as connection:
        rows = await connection.execute(sa.select(credential.c.system, credential.c.name, credential.c.fingerprint))
        known = {(r.system, r.name): r.fingerprint for r in rows}
    fresh = {}
    for place, secret in now.items():
        if not await asyncio.to_thread(_is_of, secret, known.get(place, "")):
            fresh[place] = await asyncio.to_thread(_fingerprint, secret, secrets.token_hex(16))
    gone = sorted(known.keys() - now.keys())
    if not fresh and not gone:
        return
    async with store.write() as connection:
        for (system, name), fingerprint in sorted(fresh.items()):
            row = store.insert(credential).values(system=system, name=name, fingerprint=fingerprint, since=store.now)
            newer = {"fingerprint": fingerprint, "since": store.now}
            await connection.execute(row.on_conflict_do_update(index_elements=["system", "name"], set_=newer))
        if gone:
            place_ = sa.tuple_(credential.c.system, credential.c.name)
            await connection.execute(sa.delete(credential).where(place_.in_(gone)))


async def ages(store: Store) -> list[Credential]:
    """Since when each secret is the one it is."""
    async with store.read() as connection:
        rows = await connection.execute(sa.select(credential).order_by(credential.c.system, credential.c.name))
        return [Credential(r.system, r.name, r.since) for r in rows]


def _fingerprint(secret: str, salt: str) -> str:
    return f"{salt}${hashlib.scrypt(secret.encode(), salt=salt.encode(), **_COST).hex()}"


def _is_of(secret: str, fingerprint: str) -> bool:
    salt, _, _ = fingerprint.partition("$")
    return hmac.compare_digest(_fingerprint(secret, salt), fingerprint)
