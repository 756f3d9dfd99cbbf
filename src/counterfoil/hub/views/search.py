"""One search over all things: by order number, e-mail, telephone, SKU, payment reference, tracking or invoice number,
any system's id and canonical ids.

Whole numbers first, then what begins with the text (from MIN_PREFIX characters on). E-mail addresses and telephone
numbers are kept as fingerprints only, so they are found whole or not at all. Groups are by thing, each paged in the
database: `after` of a group is where its next page begins.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub import identity
from counterfoil.hub.schema import delivery, event, exception, link, object_, search_key
from counterfoil.hub.store import Store
from counterfoil.hub.views.things import THINGS, Line, lines, thing_of
from counterfoil.retail.events import hashed_ref
from counterfoil.retail.keys import phone_forms
from counterfoil.retail.party import normal_email

MIN_PREFIX = 3
"""Characters from which on things are found by how a number begins."""
HASHED = ("email", "phone")
KINDS = {
    **{"order": "order number", "erp": "the ERP's number", "id": "id", "email": "e-mail", "phone": "telephone"},
    **{"sku": "SKU", "gtin": "GTIN", "payment": "payment reference", "invoice": "invoice", "tracking": "tracking"},
    **{"shipment": "shipment", "appointment": "appointment", "prescription": "prescription", "return": "return"},
}
"""What a key is called; any other kind is the name of the system whose id it is."""
_OWN = ("order", "erp", "id", "email", "phone", "appointment")
_RANKS = dict.fromkeys(_OWN, 0) | {"invoice": 1, "tracking": 1, "shipment": 1, "payment": 1, "return": 1, "sku": 2}
"""Which of several exact matches comes first: what is the thing's own name before what it only has in it."""
_OTHER_RANK = 1


class BadPage(ValueError):
    """The place of a page is none that a search has given out."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing found. `why` says by what, `exact` whether by the whole of it, `since` when it was first heard of."""

    line: Line
    why: str
    exact: bool
    since: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """The hits of one kind of thing; `after` is where its next page begins, empty for none."""

    thing: str
    hits: tuple[Hit, ...]
    after: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to: the best group first."""

    text: str
    groups: tuple[Group, ...]


async def find(
    store: Store,
    text: str,
    systems: Collection[str] = (),
    thing: str = "",
    after: str = "",
    limit: int = 10,
    may_see: bool = False,
) -> Found:
    """What the text is a number or address of; `systems` are the blueprint's. With `thing` only that, from `after` on.

    Raises BadPage.
    """
    text = "".join(c for c in text if c.isprintable()).strip()
    if not text:
        return Found(text, ())
    async with store.read() as connection:
        rows = {
            each: await _page(connection, each, text, _place(after), limit) for each in ([thing] if thing else THINGS)
        }
        if not after:
            await _add_named(connection, rows, text, systems, limit - 1)
        kept = {each: found for each, found in rows.items() if found}
        wanted = [row[0] for found in kept.values() for row in found[:limit]]
        known = await lines(connection, wanted, may_see)
    groups = [_group(each, found, limit, known) for each, found in kept.items()]
    groups.sort(key=lambda g: (not g.hits[0].exact, _rank(g.thing, kept), THINGS.index(g.thing)))
    return Found(text, tuple(groups))


async def exact(store: Store, text: str, systems: Collection[str], thing: str = "") -> list[str]:
    """The subjects that the whole text names, sorted; of more than a hundred the newest."""
    found = await find(store, text, systems, thing, limit=100)
    return sorted(hit.line.subject for group in found.groups for hit in group.hits if hit.exact)


_Row = tuple[str, str, bool, float | None, list[Any]]
"""subject, kind, exact, since, and the place behind it."""


def _group(thing: str, found: list[_Row], limit: int, known: dict[str, Line]) -> Group:
    hits = tuple(
        Hit(known[subject], KINDS.get(kind, f"id at {kind}"), exact, at)
        for subject, kind, exact, at, _ in found[:limit]
    )
    return Group(thing, hits, json.dumps(found[limit - 1][4]) if len(found) > limit else "")


def _rank(thing: str, rows: dict[str, list[_Row]]) -> int:
    kind = rows[thing][0][1]
    return 0 if kind in ("sku", "gtin") and thing in ("product", "variant") else _RANKS.get(kind, _OTHER_RANK)


def _place(after: str) -> list[Any]:
    if not after:
        return []
    try:
        place = json.loads(after)
        if isinstance(place, list) and [type(part) for part in place] in ([int, float, str], [str, str]):
            return place
    except ValueError:
        pass
    raise BadPage(f"{after!r} is no place that a search has given out; search again without it")


async def _page(connection: AsyncConnection, thing: str, text: str, place: list[Any], limit: int) -> list[_Row]:
    """A page and one more: first what the text is the whole of, newest first; then what begins with it, by number."""
    found: list[_Row] = []
    key = search_key.c
    if len(place) != 2:
        rank = sa.case(_RANKS, value=key.kind, else_=_OTHER_RANK)
        whole = sa.select(key.subject, key.kind, key.at, rank.label("rank"))
        whole = whole.where(key.thing == thing, key.value.in_(exact_values(text)))
        if place:
            later = sa.and_(key.at == place[1], key.subject > place[2])
            same = sa.and_(rank == place[0], sa.or_(key.at < place[1], later))
            whole = whole.where(sa.or_(rank > place[0], same))
        whole = whole.order_by(rank, key.at.desc(), key.subject).limit(limit + 1)
        found = [(r.subject, r.kind, True, r.at, [r.rank, r.at, r.subject]) for r in await connection.execute(whole)]
    low = text.lower()
    if len(found) <= limit and len(low) >= MIN_PREFIX:
        begins = sa.select(key.subject, key.kind, key.at, key.value).where(key.thing == thing)
        begins = begins.where(key.value > low, key.value < low + "\U0010ffff", key.kind.not_in(HASHED))
        if len(place) == 2:
            begins = begins.where(sa.tuple_(key.value, key.subject) > sa.tuple_(*map(sa.literal, place)))
        begins = begins.order_by(key.value, key.subject).limit(limit + 1 - len(found))
        rows = await connection.execute(begins)
        found += [(r.subject, r.kind, False, r.at, [r.value, r.subject]) for r in rows]
    return _each_once(found)


def exact_values(text: str) -> list[str]:
    """The forms in which the whole text may stand among the search keys."""
    low = text.lower()
    ascii_only = "".join(c.lower() if c.isascii() else c for c in text)  # as SQLite once lowered it in a migration
    forms = [low, ascii_only, hashed_ref(normal_email(text))]
    return list(dict.fromkeys([*forms, *(hashed_ref(form) for form in phone_forms(text))]))


async def _add_named(
    connection: AsyncConnection, rows: dict[str, list[_Row]], text: str, systems: Collection[str], most: int
) -> None:
    """What no event has told of: by its canonical id, by a linked id, or because only a receipt or a person knows it.

    They stand first, and at most so many of a thing: where the next page begins is the place of one of the others.
    """
    candidates = {f"{system}:{thing}:{text}" for system in systems for thing in rows}
    candidates |= {text} if thing_of(text) in rows else set()
    named: dict[str, str] = {}
    linked = await connection.execute(
        sa.select(link.c.canonical_id, link.c.system).where(link.c.object_id == text).limit(100)
    )
    named |= {row.canonical_id: row.system for row in linked}
    if candidates:
        asked = sorted(candidates)
        columns = (object_.c.canonical_id, event.c.subject, exception.c.subject, delivery.c.subject)
        there = sa.union(*(sa.select(column.label("subject")).where(column.in_(asked)) for column in columns))
        named |= {row.subject: "id" for row in await connection.execute(there)}
    people = [row[0] for row in rows.get("customer", ())]
    if not named and not people:
        return
    more = sorted(await identity.family(connection, [*named, *people]))
    for thing in rows:
        first = [s for s in more if thing_of(s) == thing and s not in {row[0] for row in rows[thing]}][:most]
        rows[thing] = [(s, named.get(s, "id"), True, None, []) for s in first] + rows[thing]


def _each_once(rows: Iterable[_Row]) -> list[_Row]:
    once: dict[str, _Row] = {}
    for row in rows:
        once.setdefault(row[0], row)
    return list(once.values())
