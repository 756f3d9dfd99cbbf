"""The same thing found in two systems by its keys, never by its name (F36). Pure.

`match` says what belongs together, what a person must look at, and why. Only what is unique on both sides, and
contradicted by nothing, is a match.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Thing:
    """An article or a customer of one system: its normalised keys, and the product that it is a variant of.

    `told` is what it is called and where it lives, as it is written there: for candidates and for people.
    """

    id: str
    keys: Mapping[str, str]
    product: str = ""
    told: Mapping[str, str] = field(default_factory=dict)


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
    "candidate": "no key says so, but they are much alike; never linked without a person",
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


def match(
    here: Iterable[Thing],
    there: Iterable[Thing],
    kinds: Sequence[str],
    linked: Iterable[tuple[str, str]] = (),
    apart: Collection[tuple[str, str]] = frozenset(),
) -> Matching:
    """What belongs together by these `kinds` of keys, tried in this order; `linked` (here, there) was known before.

    Two things match by the first key that both have and that nothing else on either side has. What an earlier key
    contradicts is not matched by a later one: two people may share a telephone. What a person has told `apart` is
    not put together or proposed again.
    """
    work = _Work({t.id: t for t in here}, {t.id: t for t in there}, apart)
    work.take_linked(linked)
    for place, kind in enumerate(kinds):
        work.by_key(kind, kinds[:place])
    return work.result()


@dataclass(slots=True)
class _Work:
    """One matching under way."""

    here: dict[str, Thing]
    there: dict[str, Thing]
    apart: Collection[tuple[str, str]]
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
            if (mine, other) in self.apart:
                continue
            if _contradicted(self.here[mine], self.there[other], earlier):
                self.review.append(Review("keys_disagree", kind, (mine,), (other,)))
            else:
                self.matched.append(Pair(mine, other, kind))
            self.settle(mine, other)

    def still(self, entry: Review) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Those of an entry that are not done with, nor told apart from all others of it."""
        open_here = [i for i in entry.here if i not in self.done_here]
        open_there = [i for i in entry.there if i not in self.done_there]
        if not self.apart:
            return tuple(open_here), tuple(open_there)
        here = tuple(i for i in open_here if any((i, o) not in self.apart for o in open_there))
        return here, tuple(o for o in open_there if any((i, o) not in self.apart for i in open_here))

    def result(self) -> Matching:
        """All that was found; whatever is left is in the review with its reason."""
        for entry in self.ambiguous:
            mine, other = self.still(entry)
            if mine and other:  # else a later key has told them apart
                self.review.append(Review(entry.reason, entry.by, mine, other))
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
