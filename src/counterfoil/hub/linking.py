"""Onboarding: what systems list is read with its keys, and links and verdicts of people are kept.

`write_links` never replaces a link that is there, so it can be run again at any time.

A connector that takes part has `articles()` or `people()`, asynchronous iterators of (object id, what is told of it):
the id as its operations write it as a link, and the texts that are not empty.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import sqlalchemy as sa

from counterfoil.hub.access import audit
from counterfoil.hub.matching import Thing
from counterfoil.hub.schema import link, merged, told_apart
from counterfoil.hub.store import Store
from counterfoil.retail.keys import key_of

Keyed = tuple[str, Mapping[str, str]]

PRODUCT = "product"
"""Under which an article names the product it is a variant of; never matched, only carried along."""

COUNTRY = "country"
"""Under which a customer's country stands, ISO 3166-1 alpha-2: what a national number belongs to."""

CHUNK = 1000
"""Links written in one transaction."""

TICK = 100
"""So many things are read from one sign of progress to the next."""


@runtime_checkable
class HasArticles(Protocol):
    """A connector whose system has articles."""

    def articles(self) -> AsyncIterator[Keyed]:
        """Every sellable article, each variant on its own: `sku`, `gtin`, `product` and `name`. Raises Failure."""


@runtime_checkable
class HasPeople(Protocol):
    """A connector whose system has customers."""

    def people(self) -> AsyncIterator[Keyed]:
        """Every customer as it is written there: `email`, `vat`, `phone`, `country`; `name`, `street`, `postcode`,
        `city`. Raises Failure.
        """


async def read(
    found: AsyncIterator[Keyed],
    kinds: Sequence[str],
    tick: Callable[[int], None] = lambda _n: None,
    told: Collection[str] = (),
) -> list[Thing]:
    """Everything a connector lists, with its keys of these `kinds` normalised; `tick` is told how many more there are.

    What is `told` beside the keys is kept as it is written. Raises Failure, and ValueError for a text of a connector
    that is none: it would match by chance.
    """
    things: dict[str, Thing] = {}
    async for object_id, raw in found:
        for name, value in raw.items():
            if not isinstance(value, str):
                raise ValueError(f"{object_id}: the key {name} is {type(value).__name__}, not text")
        country = raw.get(COUNTRY, "")
        keys = {kind: key_of(kind, raw[kind], country) for kind in kinds if raw.get(kind)}
        kept = {name: raw[name] for name in told if raw.get(name)}
        things[object_id] = Thing(object_id, {k: v for k, v in keys.items() if v}, raw.get(PRODUCT, ""), kept)
        if len(things) % TICK == 0:
            tick(TICK)
    tick(len(things) % TICK)
    return list(things.values())


async def known_links(store: Store, home: str, kind: str, system: str) -> list[tuple[str, str]]:
    """(id at `home`, id at `system`) of all linked things of this kind: `variant`, `product` or `customer`."""
    return await _pairs(store, link, home, kind, system)


async def known_apart(store: Store, home: str, kind: str, system: str) -> list[tuple[str, str]]:
    """(id at `home`, id at `system`) of all that a person has told apart."""
    return await _pairs(store, told_apart, home, kind, system)


async def merged_away(store: Store, system: str, kind: str) -> set[str]:
    """The ids of a system's records that a person has merged into others: they are nobody of their own."""
    prefix = f"{system}:{kind}:"
    async with store.read() as connection:
        rows = await connection.execute(
            sa.select(merged.c.canonical_id).where(merged.c.canonical_id.startswith(prefix, autoescape=True))
        )
        return {canonical[len(prefix) :] for canonical in rows.scalars()}


async def _pairs(store: Store, table: sa.Table, home: str, kind: str, system: str) -> list[tuple[str, str]]:
    prefix = f"{home}:{kind}:"
    async with store.read() as connection:
        rows = await connection.execute(
            sa.select(table.c.canonical_id, table.c.object_id).where(
                table.c.system == system, table.c.canonical_id.startswith(prefix, autoescape=True)
            )
        )
        return [(row.canonical_id[len(prefix) :], row.object_id) for row in rows]


async def write_links(
    store: Store,
    home: str,
    kind: str,
    system: str,
    pairs: Sequence[tuple[str, str]],
    tick: Callable[[int], None] = lambda _n: None,
) -> int:
    """Link (id at `home`, id at `system`); how many were new. A thing that has a link meanwhile keeps it.

    Committed in chunks: stopped in between, what is written stands, and the next run goes on behind it.
    """
    written = 0
    # in sorted order, or two transactions that link the same things could wait for each other
    named = sorted((f"{home}:{kind}:{mine}", other) for mine, other in pairs)
    for start in range(0, len(named), CHUNK):
        rows = [{"canonical_id": c, "system": system, "object_id": o} for c, o in named[start : start + CHUNK]]
        async with store.write() as connection:
            taken = await connection.execute(
                sa.select(link.c.object_id).where(
                    link.c.system == system,
                    link.c.canonical_id.startswith(f"{home}:{kind}:", autoescape=True),
                    link.c.object_id.in_([row["object_id"] for row in rows]),
                )
            )
            theirs = set(taken.scalars())
            free = [row for row in rows if row["object_id"] not in theirs]
            if free:
                statement = store.insert(link).values(since=store.now).on_conflict_do_nothing()
                kept = await connection.execute(statement.returning(link.c.canonical_id), free)
                written += len(kept.all())
        tick(len(rows))
    return written


async def decide(
    store: Store,
    home: str,
    kind: str,
    system: str,
    links: Iterable[tuple[str, str]],
    apart: Iterable[tuple[str, str]],
    who: str,
) -> None:
    """Keep what a person has said of (id at `home`, id at `system`): each in the audit log, and what is not the same
    where it is not proposed again.
    """
    same, other = ([(f"{home}:{kind}:{a}", b) for a, b in sorted(set(pairs))] for pairs in (links, apart))
    async with store.write() as connection:
        for canonical, object_id in same:  # said otherwise before, and changed their mind
            mine = (told_apart.c.canonical_id == canonical, told_apart.c.object_id == object_id)
            await connection.execute(sa.delete(told_apart).where(told_apart.c.system == system, *mine))
        if other:
            rows = [{"canonical_id": c, "system": system, "object_id": o, "who": who} for c, o in other]
            statement = store.insert(told_apart).values(since=store.now).on_conflict_do_nothing()
            await connection.execute(statement, rows)
        said = (("identity.same", same), ("identity.not_the_same", other))
        notes = [(act, c, {"system": system, "id": o}) for act, pairs in said for c, o in pairs]
        await audit.note_all(connection, store, who, notes)


async def note(store: Store, who: str, act: str, subject: str, detail: Mapping[str, Any]) -> None:
    """Keep in the audit log who did what."""
    async with store.write() as connection:
        await audit.note(connection, store, who, act, subject, detail)
