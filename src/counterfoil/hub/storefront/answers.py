"""What requests with an Idempotency-Key were answered, kept in the transaction that did what they asked for.

Whoever lost an answer sends the request again and gets the same one; nothing is done twice. All SQL on `answered` is
here, but for the purge's.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.schema import answered
from counterfoil.hub.store import Store, as_json, from_json


@dataclass(frozen=True, slots=True)
class Answer:
    """`scope` is the channel and the act, `digest` the request's fingerprint, `body` what was answered, as JSON."""

    scope: str
    key: str
    digest: str
    status: int
    body: Any


def digest_of(asked: Any) -> str:
    """The fingerprint of what was asked for, as plain values in an order of their own."""
    return hashlib.sha256(as_json(asked).encode()).hexdigest()


_NAMES = ("scope", "key", "digest", "status", "body")


async def given(
    connection: AsyncConnection, store: Store, wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Answer]:
    """What these (scope, key) were answered before; those that are new are left out."""
    keys: defaultdict[str, set[str]] = defaultdict(set)
    for scope, key in wanted:
        keys[scope].add(key)
    found: dict[tuple[str, str], Answer] = {}
    for scope, its in keys.items():
        rows = await store.run(connection, _given, {"scope": scope, "keys": store.listed(sorted(its))})
        for key, digest, status, body in rows:
            found[(scope, key)] = Answer(scope, key, digest, status, from_json(body))
    return found


def _given(store: Store) -> sa.Select[Any]:
    return store.by_keys(answered, ["scope"], ["key", "digest", "status", "body"])


async def keep(connection: AsyncConnection, store: Store, new: Sequence[Answer]) -> None:
    """Keep what was answered.

    Raises sqlalchemy.exc.IntegrityError where another transaction answered one of the keys meanwhile: roll back, and
    look again.
    """
    # in sorted order, or two transactions that were given the same keys could wait for each other
    rows = [
        {name: getattr(each, name) for name in _NAMES} | {"body": as_json(each.body)}
        for each in sorted(new, key=lambda each: (each.scope, each.key))
    ]
    await store.each(connection, _kept, rows)


def _kept(store: Store) -> sa.Insert:
    return sa.insert(answered).values({name: sa.bindparam(name) for name in _NAMES} | {"at": store.now})
