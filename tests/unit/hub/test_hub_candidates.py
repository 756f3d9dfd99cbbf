"""Candidates: what is much alike goes to a person, is never linked, and is found without comparing all with all."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz import fuzz

from counterfoil.hub import candidates
from counterfoil.hub.matching import Matching, Thing, match
from counterfoil.retail.keys import folded, key_of

LEAST = {"name": 0.85, "address": 0.85}
KINDS = ("email", "vat", "phone")


def person(id_: str, name: str, street: str = "12 rue de la Paix", postcode: str = "75002", email: str = "") -> Thing:
    told = {"name": name, "street": street, "postcode": postcode, "city": "Paris", "email": email}
    keys = {"email": key_of("email", email)} if email else {}
    return Thing(id_, keys, told={k: v for k, v in told.items() if v})


def pairs(here: list[Thing], there: list[Thing], least: Mapping[str, float] = LEAST) -> list[tuple[str, str]]:
    return [(found.one, found.other) for found in candidates.between(here, there, least)]


def test_who_is_alike_in_all_that_is_declared_is_a_candidate_and_it_is_said_how_much() -> None:
    """case: F36"""
    here, there = (
        [person("h1", "Anna Müller", email="a@x.example")],
        [person("t1", "Mueller Anna", email="b@y.example")],
    )
    (found,) = candidates.between(here, there, LEAST)
    assert (found.one, found.other) == ("h1", "t1")
    assert dict(found.of)["address"] == 1.0
    assert 0.85 <= dict(found.of)["name"] < 1.0
    assert found.words.startswith("name 0.9")


@pytest.mark.parametrize(
    ("name", "street"),
    [("Ben Keller", "12 rue de la Paix"), ("Anna Müller", "98 avenue Foch"), ("Anna Müller", "")],
    ids=["another name", "another street", "no street"],
)
def test_a_name_alone_or_an_address_alone_is_none(name: str, street: str) -> None:
    """case: F36"""
    there = person("t1", name, street) if street else Thing("t1", {}, told={"name": name})
    assert pairs([person("h1", "Anna Müller")], [there]) == []


def test_a_rule_without_likenesses_has_no_candidates() -> None:
    assert pairs([person("h1", "Anna Müller")], [person("t1", "Anna Müller")], {}) == []


def test_what_was_told_apart_is_not_proposed_again() -> None:
    here, there = [person("h1", "Anna Müller")], [person("t1", "Anna Müller")]
    assert candidates.between(here, there, LEAST, {("h1", "t1")}) == []


def test_a_candidate_stands_in_the_review_in_place_of_being_alone() -> None:
    """case: F36: it is in the review, and not among what is matched."""
    here = [person("h1", "Anna Müller", email="a@x.example"), person("h2", "Ben Keller", email="ben@x.example")]
    there = [person("t1", "Anna Müller", email="b@y.example"), person("t2", "Ben Keller", email="ben@x.example")]
    found = match(here, there, KINDS)
    alone_here, alone_there = candidates.alone(found)
    alike = candidates.between(
        [t for t in here if t.id in alone_here], [t for t in there if t.id in alone_there], LEAST
    )
    whole = candidates.reviewed(found, alike)
    assert [(p.here, p.there) for p in whole.matched] == [("h2", "t2")]
    assert [(e.reason, e.here, e.there) for e in whole.review] == [("candidate", ("h1",), ("t1",))]


def test_the_same_within_one_system_is_told_once() -> None:
    things = [person("2", "Anna Müller"), person("1", "Anna Muller"), person("3", "Ben Keller")]
    assert [(p.one, p.other) for p in candidates.within(things, LEAST)] == [("1", "2")]


def test_a_block_that_many_share_is_compared_with_neighbours_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times as many of one postcode are some ten times the comparisons, and the twins are found all the same."""
    calls = 0
    real = fuzz.ratio

    def counted(*args: str, score_cutoff: float) -> float:
        nonlocal calls
        calls += 1
        return real(*args, score_cutoff=score_cutoff)

    monkeypatch.setattr(fuzz, "ratio", counted)
    spent = []
    for count in (300, 3000):
        names = random.Random(1)
        people = ["".join(names.choices("abcdefghijklmnopqrstuvwxyz", k=14)) for _ in range(count)]
        here = [person(f"h{n}", name) for n, name in enumerate(people)]
        there = [person(f"t{n}", f"{name}e") for n, name in enumerate(people)]
        calls = 0
        assert pairs(here, there) == sorted((f"h{n}", f"t{n}") for n in range(count))
        spent.append(calls)
    assert spent[1] < spent[0] * 15


# Whoever stands on the two sides

names = st.sampled_from(["Anna Müller", "Anna Mueller", "Ana Muller", "Ben Keller", "Ben Kellner", ""])
streets = st.sampled_from(["12 rue de la Paix", "12, Rue de la Paix", "98 avenue Foch", ""])
emails = st.sampled_from(["a@x.example", "b@x.example", "c@y.example", ""])
keyed = st.dictionaries(st.sampled_from(["vat", "phone"]), st.sampled_from("pq"), max_size=2)
crowds = st.lists(st.tuples(names, streets, emails, keyed), max_size=8)


def crowd(side: str, rows: list[tuple[str, str, str, dict[str, str]]]) -> list[Thing]:
    return [
        Thing(t.id, {**t.keys, **more}, told=t.told)
        for t, more in ((person(f"{side}{n}", *row[:2], email=row[2]), row[3]) for n, row in enumerate(rows))
    ]


def whole(here: list[Thing], there: list[Thing]) -> Matching:
    found = match(here, there, KINDS)
    ours, theirs = candidates.alone(found)
    alike = candidates.between([t for t in here if t.id in ours], [t for t in there if t.id in theirs], LEAST)
    return candidates.reviewed(found, alike)


def told(found: Matching, swapped: bool = False) -> tuple[set[object], set[object]]:
    """Pairs and review without an order, seen from one side or the other."""
    turn = {"only_here": "only_there", "only_there": "only_here"}
    links = {(p.there, p.here, p.by) if swapped else (p.here, p.there, p.by) for p in found.matched}
    review = {
        (turn.get(e.reason, e.reason), e.by, frozenset(e.there), frozenset(e.here))
        if swapped
        else (e.reason, e.by, frozenset(e.here), frozenset(e.there))
        for e in found.review
    }
    return set(links), set(review)


@settings(max_examples=300)
@given(crowds, crowds, st.randoms(use_true_random=False), st.booleans())
def test_sides_and_order_decide_nothing_and_likeness_links_nothing(
    ours: list[tuple[str, str, str, dict[str, str]]],
    theirs: list[tuple[str, str, str, dict[str, str]]],
    dice: random.Random,
    crowded: bool,
) -> None:
    """case: F36: swapped sides give the mirror image, shuffled lists the same; one goes with one; by keys alone."""
    with pytest.MonkeyPatch.context() as patch:
        if crowded:  # so that blocks are too large for each with each
            patch.setattr(candidates, "BLOCK", 2)
            patch.setattr(candidates, "WINDOW", 1)
        here, there = crowd("h", ours), crowd("t", theirs)
        found = whole(here, there)
        assert told(whole(there, here), swapped=True) == told(found)
        assert told(whole(dice.sample(here, len(here)), dice.sample(there, len(there)))) == told(found)
    assert len({p.here for p in found.matched}) == len({p.there for p in found.matched}) == len(found.matched)
    assert {p.by for p in found.matched} <= set(KINDS)
    by_id = {t.id: t for t in (*here, *there)}
    for entry in found.review:
        if entry.reason == "candidate":
            one, other = by_id[entry.here[0]], by_id[entry.there[0]]
            assert fuzz.ratio(folded(one.told["name"]), folded(other.told["name"])) >= 85
