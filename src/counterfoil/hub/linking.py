"""Onboarding: the same thing found in two systems by its keys, never by its name (F36).

`match` is pure: it says what belongs together, what a person must look at, and why. Only what is unique on both
sides, and contradicted by nothing, is a match. `write_links` keeps matches in the link table; it never replaces a
link that is there, so it can be run again at any time.

A connector that takes part has `articles()` or `people()`, asynchronous iterators of (object id, keys): the id as its
operations write it as a link, and the keys that are not empty.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import sqlalchemy as sa

from counterfoil.hub.schema import audit, link
from counterfoil.hub.store import Store
from counterfoil.retail.party import normal_email, normal_phone, normal_vat

Keyed = tuple[str, Mapping[str, str]]

ARTICLE_KEYS = ("sku", "gtin")
"""How an article is found, in this order."""

PRODUCT = "product"
"""The key under which an article names the product it is a variant of; never matched, only carried along."""

CHUNK = 500
"""Links written in one transaction."""


@runtime_checkable
class HasArticles(Protocol):
    """A connector whose system has articles."""

    def articles(self) -> AsyncIterator[Keyed]:
        """Every sellable article, each variant on its own: `sku`, `gtin` and `product`. Raises Failure."""


@runtime_checkable
class HasPeople(Protocol):
    """A connector whose system has customers."""

    def people(self) -> AsyncIterator[Keyed]:
        """Every customer: `email`, `vat` and `phone` as they are written there. Raises Failure."""


@dataclass(frozen=True, slots=True)
class Thing:
    """An article or a customer of one system: its normalised keys, and the product that it is a variant of."""

    id: str
    keys: Mapping[str, str]
    product: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """The same thing here and there; `by` is the kind of key that said so."""

    here: str
    there: str
    by: str


@dataclass(frozen=True, slots=True)
class Review:
    """Something a person must look at: why, by which kind of key, and the ids on both sides."""

    reason: str
    by: str = ""
    here: tuple[str, ...] = ()
    there: tuple[str, ...] = ()


REASONS = {
    "ambiguous": "the same key stands at more than one of them",
    "keys_disagree": "a later key is the same, an earlier one differs",
    "link_gone": "linked before, but one of them is not there any more",
    "product_split": "the variants of one product belong to several products on the other side",
    "no_key": "it has none of the keys it could be found by",
    "only_here": "nothing on the other side has one of its keys",
    "only_there": "nothing on the other side has one of its keys",
}
"""Why something is in the review list."""


@dataclass(frozen=True, slots=True)
class Matching:
    """What belongs together. `linked` was known before; `review` holds everything that is not linked, and why."""

    matched: tuple[Pair, ...] = ()
    linked: tuple[Pair, ...] = ()
    review: tuple[Review, ...] = ()

    def count(self, reason: str) -> int:
        """How many entries of the review have this reason."""
        return sum(1 for entry in self.review if entry.reason == reason)


def normal(kind: str, value: str) -> str:
    """The form in which two keys are compared; empty for one that cannot identify anything."""
    match kind:
        case "gtin":
            return normal_gtin(value)
        case "email":
            return normal_email(value)
        case "vat":
            return normal_vat(value)
        case "phone":
            return normal_phone(value)
        case _:
            return unicodedata.normalize("NFC", value).strip().casefold()


def normal_gtin(value: str) -> str:
    """A GTIN-8, -12, -13 or -14 as fourteen digits; empty if its length or check digit is wrong (GS1 7.9)."""
    digits = "".join(c for c in value if not c.isspace() and c != "-")
    if len(digits) not in (8, 12, 13, 14) or not (digits.isascii() and digits.isdigit()) or not digits.strip("0"):
        return ""
    padded = digits.zfill(14)
    total = sum(int(c) * (3 if place % 2 == 0 else 1) for place, c in enumerate(padded[:13]))
    return padded if (10 - total % 10) % 10 == int(padded[13]) else ""


async def read(
    found: AsyncIterator[Keyed], kinds: Sequence[str], tick: Callable[[], None] = lambda: None
) -> list[Thing]:
    """Everything a connector lists, with its keys of these `kinds` normalised; `tick` is called for each.

    Raises Failure, and ValueError for a key of a connector that is no text: it would match by chance.
    """
    things: dict[str, Thing] = {}
    async for object_id, raw in found:
        wrong = [kind for kind, value in raw.items() if not isinstance(value, str)]
        if wrong:
            raise ValueError(f"{object_id}: the key {wrong[0]} is {type(raw[wrong[0]]).__name__}, not text")
        keys = {kind: normal(kind, raw[kind]) for kind in kinds if raw.get(kind)}
        things[object_id] = Thing(object_id, {k: v for k, v in keys.items() if v}, raw.get(PRODUCT, ""))
        tick()
    return list(things.values())


def match(
    here: Iterable[Thing], there: Iterable[Thing], kinds: Sequence[str], linked: Iterable[tuple[str, str]] = ()
) -> Matching:
    """What belongs together by these `kinds` of keys, tried in this order; `linked` (here, there) was known before.

    Two things match by the first key that both have and that nothing else on either side has. What an earlier key
    contradicts is not matched by a later one: two people may share a telephone.
    """
    work = _Work({t.id: t for t in here}, {t.id: t for t in there})
    work.take_linked(linked)
    for place, kind in enumerate(kinds):
        work.by_key(kind, kinds[:place])
    return work.result()


@dataclass(slots=True)
class _Work:
    """One matching under way."""

    here: dict[str, Thing]
    there: dict[str, Thing]
    linked: list[Pair] = field(default_factory=list)
    matched: list[Pair] = field(default_factory=list)
    review: list[Review] = field(default_factory=list)
    ambiguous: list[Review] = field(default_factory=list)
    done_here: set[str] = field(default_factory=set)
    done_there: set[str] = field(default_factory=set)

    def take_linked(self, linked: Iterable[tuple[str, str]]) -> None:
        """Leave out what is linked already; say what is linked to nothing."""
        for mine, other in linked:
            if mine in self.here and other in self.there:
                self.linked.append(Pair(mine, other, "link"))
                self.settle(mine, other)
            elif mine in self.here or other in self.there:
                self.review.append(Review("link_gone", "link", (mine,), (other,)))
                self.settle(mine, other)

    def settle(self, mine: str, other: str) -> None:
        """These two are done with, one way or the other."""
        self.done_here.add(mine)
        self.done_there.add(other)

    def by_key(self, kind: str, earlier: Sequence[str]) -> None:
        """Match by one kind of key. Things that are done still count: a key that they share says nothing."""
        at_here, at_there = _by_value(self.here, kind), _by_value(self.there, kind)
        for value, theirs in at_there.items():
            ours = at_here.get(value, [])
            open_ours = [i for i in ours if i not in self.done_here]
            open_theirs = [i for i in theirs if i not in self.done_there]
            if not open_ours or not open_theirs:
                continue
            if len(ours) > 1 or len(theirs) > 1:
                self.ambiguous.append(Review("ambiguous", kind, tuple(ours), tuple(theirs)))
                continue
            mine, other = ours[0], theirs[0]
            if _contradicted(self.here[mine], self.there[other], earlier):
                self.review.append(Review("keys_disagree", kind, (mine,), (other,)))
            else:
                self.matched.append(Pair(mine, other, kind))
            self.settle(mine, other)

    def result(self) -> Matching:
        """All that was found; whatever is left is in the review with its reason."""
        for entry in self.ambiguous:
            mine = tuple(i for i in entry.here if i not in self.done_here)
            other = tuple(i for i in entry.there if i not in self.done_there)
            if mine and other:  # else a later key has told them apart
                self.review.append(entry)
                self.done_here.update(mine)
                self.done_there.update(other)
        for thing in self.here.values():
            if thing.id not in self.done_here:
                self.review.append(Review("only_here" if thing.keys else "no_key", here=(thing.id,)))
        for thing in self.there.values():
            if thing.id not in self.done_there:
                self.review.append(Review("only_there" if thing.keys else "no_key", there=(thing.id,)))
        return Matching(tuple(self.matched), tuple(self.linked), tuple(self.review))


def _by_value(things: Mapping[str, Thing], kind: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for thing in things.values():
        if kind in thing.keys:
            found[thing.keys[kind]].append(thing.id)
    return found


def _contradicted(mine: Thing, other: Thing, kinds: Sequence[str]) -> bool:
    return any(kind in mine.keys and kind in other.keys and mine.keys[kind] != other.keys[kind] for kind in kinds)


def products(
    here: Iterable[Thing], there: Iterable[Thing], pairs: Iterable[Pair], linked: Iterable[tuple[str, str]] = ()
) -> Matching:
    """Which products belong together, by their variants' `pairs`; `linked` products were known before.

    Only where all that is known of both points at each other: variants of one product that are products of their
    own on the other side stay linked as articles, and the product goes to the review.
    """
    of_here = {t.id: t.product for t in here}
    of_there = {t.id: t.product for t in there}
    ours: dict[str, set[str]] = defaultdict(set)
    theirs: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        mine, other = of_here.get(pair.here, ""), of_there.get(pair.there, "")
        if mine and other:
            ours[mine].add(other)
            theirs[other].add(mine)
    known = dict(linked)
    taken = set(known.values())
    found = Matching(linked=tuple(Pair(mine, other, "link") for mine, other in known.items()))
    matched, review = [], []
    for mine, others in ours.items():
        back = {one for other in others for one in theirs[other]}
        if mine in known:
            continue
        if len(others) > 1 or back != {mine} or others & taken:
            review.append(Review("product_split", "variants", tuple(sorted(back)), tuple(sorted(others))))
        else:
            matched.append(Pair(mine, next(iter(others)), "variants"))
    return Matching(tuple(matched), found.linked, tuple(dict.fromkeys(review)))


async def known_links(store: Store, home: str, kind: str, system: str) -> list[tuple[str, str]]:
    """(id at `home`, id at `system`) of all linked things of this kind: `variant`, `product` or `customer`."""
    prefix = f"{home}:{kind}:"
    async with store.read() as connection:
        rows = await connection.execute(
            sa.select(link.c.canonical_id, link.c.object_id).where(
                link.c.system == system, link.c.canonical_id.startswith(prefix, autoescape=True)
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


async def note(store: Store, who: str, subject: str, detail: Mapping[str, int]) -> None:
    """Keep in the audit log who linked what, and how many."""
    async with store.write() as connection:
        await connection.execute(
            sa.insert(audit).values(at=store.now, who=who, act="linked", subject=subject, detail=dict(detail))
        )
