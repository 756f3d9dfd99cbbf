"""Candidates: things that are much alike although no key says that they are the same. Pure.

They are for a person, never linked (F36). A pair is a candidate where both have everything that the rule names and
all of it is at least as alike as declared. Not all pairs are compared, which on 100,000 customers nobody would wait
for, but those that share a postcode, the beginnings of a name, or a part of an e-mail address; and where too many
share one, only neighbours in alphabetical order. So the work grows with the number of things, not with its square.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from rapidfuzz import fuzz

from counterfoil.hub.matching import Matching, Review, Thing
from counterfoil.retail.keys import folded

TOLD = ("name", "label", "street", "postcode", "city", "country", "email")
"""What a connector tells that candidates are found by."""

BLOCK = 40
"""So many things that share something are compared each with each."""

WINDOW = 15
"""In a larger block: so many places in alphabetical order."""

HEAD = 4
"""Letters of the words of a name by which things come into one block."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """Two things and how alike they are, by what: 1 is equal."""

    one: str
    other: str
    of: tuple[tuple[str, float], ...]

    @property
    def words(self) -> str:
        """`name 0.96, address 0.91`."""
        return ", ".join(f"{name} {share:.2f}" for name, share in self.of)


@dataclass(frozen=True, slots=True)
class _Face:
    """A thing as it is compared: on which side, its folded texts, what it may share with others."""

    id: str
    side: int
    texts: Mapping[str, str]
    blocks: tuple[str, ...]

    @property
    def place(self) -> tuple[str, str]:
        """Where it stands in alphabetical order."""
        return ("\x1f".join(self.texts.values()), self.id)


def between(
    here: Iterable[Thing],
    there: Iterable[Thing],
    least: Mapping[str, float],
    apart: Collection[tuple[str, str]] = frozenset(),
    tick: Callable[[int], None] = lambda _n: None,
) -> list[Likeness]:
    """Pairs (here, there) that are at least as alike as `least` says of `name` and `address`, sorted by id."""
    faces = [face for side, things in enumerate((here, there)) for t in things if (face := _face(t, side, least))]
    return _alike(faces, least, apart, lambda a, b: a.side != b.side, tick)


def within(
    things: Iterable[Thing],
    least: Mapping[str, float],
    apart: Collection[tuple[str, str]] = frozenset(),
    tick: Callable[[int], None] = lambda _n: None,
) -> list[Likeness]:
    """Pairs of one system, each once with the smaller id first."""
    faces = [face for t in things if (face := _face(t, 0, least))]
    return _alike(faces, least, apart, lambda a, b: a.id != b.id, tick)


def reviewed(matching: Matching, found: Sequence[Likeness]) -> Matching:
    """The matching with these candidates in its review, in place of what was said of them alone."""
    here, there = {pair.one for pair in found}, {pair.other for pair in found}
    rest = [
        e
        for e in matching.review
        if e.reason not in ALONE or not (here.intersection(e.here) or there.intersection(e.there))
    ]
    return replace(matching, review=(*rest, *(Review("candidate", p.words, (p.one,), (p.other,)) for p in found)))


def alone(matching: Matching) -> tuple[set[str], set[str]]:
    """The ids here and there that no key has put together with anything."""
    left = [entry for entry in matching.review if entry.reason in ALONE]
    return {i for entry in left for i in entry.here}, {i for entry in left for i in entry.there}


ALONE = ("only_here", "only_there", "no_key")


def _face(thing: Thing, side: int, least: Mapping[str, float]) -> _Face | None:
    """None for what lacks something that the rule names: it cannot be a candidate."""
    told = thing.told
    of = {"name": ("name", "label"), "address": ("street", "postcode", "city")}
    texts = {name: folded(" ".join(told.get(part, "") for part in of[name])) for name in least}
    if not texts or not all(texts.values()):
        return None
    blocks = []
    if told.get("postcode"):
        blocks.append(f"postcode {told.get('country', '')} {folded(told['postcode'])}")
    if "name" in texts:
        heads = sorted(word[:HEAD] for word in sorted(texts["name"].split(), key=len)[-2:])
        blocks.append(f"name {' '.join(heads)}")
    local, at, domain = told.get("email", "").casefold().rpartition("@")
    if at:
        blocks += [f"mailbox {local}", f"domain {domain}"]
    return _Face(thing.id, side, texts, tuple(blocks))


def _alike(
    faces: Sequence[_Face],
    least: Mapping[str, float],
    apart: Collection[tuple[str, str]],
    may_pair: Callable[[_Face, _Face], bool],
    tick: Callable[[int], None],
) -> list[Likeness]:
    blocks: dict[str, list[_Face]] = defaultdict(list)
    for face in faces:
        for block in face.blocks:
            blocks[block].append(face)
    found: dict[tuple[str, str], Likeness] = {}
    for members in blocks.values():
        for one, other in _neighbours(members):
            if may_pair(one, other):
                first, second = sorted((one, other), key=lambda face: (face.side, face.id))
                pair = (first.id, second.id)
                if pair not in found and pair not in apart and (of := _shares(first, second, least)):
                    found[pair] = Likeness(*pair, of)
        tick(len(members))
    return [found[pair] for pair in sorted(found)]


def _neighbours(members: Sequence[_Face]) -> Iterator[tuple[_Face, _Face]]:
    """All pairs of a small block; of a large one those that stand close in order, wherever a tie may fall."""
    if len(members) < 2:
        return
    places: dict[tuple[str, str], list[_Face]] = defaultdict(list)
    for face in members:
        places[face.place].append(face)
    ordered = [places[place] for place in sorted(places)]
    reach = len(ordered) if len(members) <= BLOCK else WINDOW
    for rank, group in enumerate(ordered):
        yield from ((group[i], other) for i in range(len(group)) for other in group[i + 1 :])
        for other in chain.from_iterable(ordered[rank + 1 : rank + 1 + reach]):
            yield from ((one, other) for one in group)


def _shares(one: _Face, other: _Face, least: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """How alike in all that is asked for; empty where any of it is not alike enough."""
    shares = []
    for name, enough in least.items():
        # a hundredth of a percent of room: the cut is on floats
        share = fuzz.ratio(one.texts[name], other.texts[name], score_cutoff=enough * 100 - 0.01) / 100
        if share < enough - 0.0001:
            return ()
        shares.append((name, share))
    return tuple(shares)
