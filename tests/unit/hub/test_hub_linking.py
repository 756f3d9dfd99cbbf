"""What belongs together: only what is unique on both sides and contradicted by nothing, never by a name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.hub.linking import read
from counterfoil.hub.matching import Matching, Pair, Review, Thing, match, products
from counterfoil.retail.keys import key_of as normal

ARTICLE_KEYS = ("sku", "gtin")
PERSON = ("email", "vat", "phone")


def thing(id_: str, product: str = "", **keys: str) -> Thing:
    return Thing(id_, {kind: normal(kind, value) for kind, value in keys.items()}, product)


def reasons(found: Matching) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    return [(entry.reason, entry.here, entry.there) for entry in found.review]


def test_the_sku_comes_first_then_the_gtin() -> None:
    """case: F36"""
    here = [thing("h1", sku="A-1", gtin="4006381333931"), thing("h2", gtin="4006381333948")]
    there = [thing("t1", sku=" a-1 "), thing("t2", gtin="04006381333948")]
    found = match(here, there, ARTICLE_KEYS)
    assert found.matched == (Pair("h1", "t1", "sku"), Pair("h2", "t2", "gtin"))
    assert found.review == ()


def test_a_name_says_nothing() -> None:
    """case: F36"""
    found = match([thing("h1", name="Mug")], [thing("t1", name="Mug")], ARTICLE_KEYS)
    assert found.matched == ()
    assert reasons(found) == [("only_here", ("h1",), ()), ("only_there", (), ("t1",))]


@pytest.mark.parametrize("twice", ["here", "there", "both"])
def test_a_key_that_stands_twice_is_for_a_person(twice: str) -> None:
    here = [thing("h1", sku="X"), *([thing("h2", sku="X")] if twice in ("here", "both") else [])]
    there = [thing("t1", sku="X"), *([thing("t2", sku="X")] if twice in ("there", "both") else [])]
    found = match(here, there, ARTICLE_KEYS)
    assert found.matched == ()
    assert reasons(found) == [("ambiguous", tuple(t.id for t in here), tuple(t.id for t in there))]


def test_a_later_key_tells_apart_what_an_earlier_one_could_not() -> None:
    here = [thing("h1", sku="X", gtin="4006381333931"), thing("h2", sku="X", gtin="4006381333948")]
    there = [thing("t1", sku="X", gtin="4006381333931"), thing("t2", sku="X", gtin="4006381333948")]
    found = match(here, there, ARTICLE_KEYS)
    assert [(pair.here, pair.there) for pair in found.matched] == [("h1", "t1"), ("h2", "t2")]
    assert found.review == ()


def test_what_is_left_over_when_a_later_key_has_told_apart_is_alone() -> None:
    here = [thing("h1", sku="X", gtin="4006381333931")]
    there = [thing("t1", sku="X", gtin="4006381333931"), thing("t2", sku="X")]
    found = match(here, there, ARTICLE_KEYS)
    assert found.matched == (Pair("h1", "t1", "gtin"),)
    assert reasons(found) == [("only_there", (), ("t2",))]


def test_what_an_earlier_key_contradicts_is_not_matched_by_a_later_one() -> None:
    """Two people of one household share a telephone."""
    here = [thing("h1", email="anna@x.example", phone="+33 1 02")]
    there = [thing("t1", email="ben@x.example", phone="0033102")]
    found = match(here, there, PERSON)
    assert found.matched == ()
    assert found.review == (Review("keys_disagree", "phone", ("h1",), ("t1",)),)


def test_a_key_that_only_one_side_has_contradicts_nothing() -> None:
    found = match([thing("h1", email="a@x.example", phone="1")], [thing("t1", phone="1")], PERSON)
    assert found.matched == (Pair("h1", "t1", "phone"),)


def test_only_the_kinds_asked_for_count() -> None:
    found = match([thing("h1", phone="1")], [thing("t1", phone="1")], ("email",))
    assert found.matched == ()


def test_what_is_linked_already_is_left_alone_and_its_key_serves_nobody_else() -> None:
    here = [thing("h1", sku="X"), thing("h2", sku="X"), thing("h3", sku="Y")]
    there = [thing("t1", sku="X"), thing("t3", sku="Y")]
    found = match(here, there, ARTICLE_KEYS, [("h1", "t1")])
    assert found.linked == (Pair("h1", "t1", "link"),)
    assert found.matched == (Pair("h3", "t3", "sku"),)
    assert reasons(found) == [("only_here", ("h2",), ())]


def test_a_link_to_what_is_gone_is_told_and_not_replaced() -> None:
    found = match([thing("h1", sku="X")], [thing("t2", sku="X")], ARTICLE_KEYS, [("h1", "t1"), ("h9", "t9")])
    assert found.matched == ()
    assert reasons(found) == [("link_gone", ("h1",), ("t1",)), ("only_there", (), ("t2",))]


def test_of_several_only_those_are_shown_that_were_not_told_apart() -> None:
    here, there = [thing("h1", sku="X"), thing("h2", sku="X")], [thing("t1", sku="X"), thing("t2", sku="X")]
    found = match(here, there, ARTICLE_KEYS, apart={("h1", "t1"), ("h1", "t2")})
    assert reasons(found) == [("ambiguous", ("h2",), ("t1", "t2")), ("only_here", ("h1",), ())]
    found = match(here, there, ARTICLE_KEYS, apart={("h1", "t1"), ("h2", "t1")})
    assert reasons(found) == [("ambiguous", ("h1", "h2"), ("t2",)), ("only_there", (), ("t1",))]
    assert reasons(match(here[:1], there[:1], ARTICLE_KEYS, apart={("h1", "t1")})) == [
        ("only_here", ("h1",), ()),
        ("only_there", (), ("t1",)),
    ]


def test_without_any_key_nothing_can_be_found() -> None:
    found = match([Thing("h1", {})], [Thing("t1", {})], ARTICLE_KEYS)
    assert reasons(found) == [("no_key", ("h1",), ()), ("no_key", (), ("t1",))]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("4006381333931", "04006381333931"),
        ("4006381 333931", "04006381333931"),
        ("04006381333931", "04006381333931"),
        ("96385074", "00000096385074"),
        ("4006381333932", ""),  # the check digit is another
        ("12345", ""),
        ("0000000000000", ""),
        ("N/A", ""),
        ("４００６３８１３３３９３１", ""),
    ],
)
def test_a_gtin_is_one_only_with_its_check_digit(value: str, expected: str) -> None:
    assert normal("gtin", value) == expected


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("email", " Anna@X.example", "anna@x.example"),
        ("vat", "fr 23-334.175 221", "FR23334175221"),
        ("phone", "0033 1/02", "+33 102"),
        ("sku", "Abc-1 ", "ABC-1"),
    ],
)
def test_spelling_does_not_matter(kind: str, one: str, other: str) -> None:
    assert normal(kind, one) == normal(kind, other) != ""


async def listed(*rows: tuple[str, Mapping[str, str]]) -> AsyncIterator[tuple[str, Mapping[str, str]]]:
    for row in rows:
        yield row


async def test_what_a_connector_lists_is_read_with_its_keys_normalised() -> None:
    ticks: list[int] = []
    rows = listed(("55/56", {"sku": " a ", "gtin": "n/a", "product": "55", "label": "Mug"}), ("57", {"product": "57"}))
    found = await read(rows, ARTICLE_KEYS, ticks.append)
    assert found == [Thing("55/56", {"sku": "a"}, "55"), Thing("57", {}, "57")]
    assert sum(ticks) == 2


async def test_what_is_listed_twice_is_one_thing() -> None:
    assert len(await read(listed(("1", {"sku": "a"}), ("1", {"sku": "a"})), ARTICLE_KEYS)) == 1


async def test_a_key_that_is_no_text_is_refused() -> None:
    """False is what Odoo says for an empty field: all of them would be the same."""
    with pytest.raises(ValueError, match="sku is bool"):
        await read(listed(("1", {"sku": False})), ARTICLE_KEYS)  # type: ignore[dict-item]


# Products, by their variants


def test_products_belong_together_where_all_their_variants_say_so() -> None:
    here = [thing("h1", "P"), thing("h2", "P"), thing("h3", "Q")]
    there = [thing("5/1", "5"), thing("5/2", "5"), thing("7", "7")]
    pairs = [Pair("h1", "5/1", "sku"), Pair("h2", "5/2", "sku"), Pair("h3", "7", "sku")]
    found = products(here, there, pairs)
    assert [(p.here, p.there) for p in found.matched] == [("P", "5"), ("Q", "7")]
    assert found.review == ()


def test_variants_that_are_products_of_their_own_there_are_for_a_person() -> None:
    here, there = [thing("h1", "P"), thing("h2", "P")], [thing("7", "7"), thing("8", "8")]
    found = products(here, there, [Pair("h1", "7", "sku"), Pair("h2", "8", "sku")])
    assert found.matched == ()
    assert found.review == (Review("product_split", "variants", ("P",), ("7", "8")),)


def test_two_products_that_are_one_there_are_for_a_person_once() -> None:
    here, there = [thing("h1", "P"), thing("h2", "Q")], [thing("7/1", "7"), thing("7/2", "7")]
    found = products(here, there, [Pair("h1", "7/1", "sku"), Pair("h2", "7/2", "sku")])
    assert found.matched == ()
    assert found.review == (Review("product_split", "variants", ("P", "Q"), ("7",)),)


def test_a_product_that_is_linked_keeps_its_link() -> None:
    here, there = [thing("h1", "P"), thing("h2", "Q")], [thing("7/1", "7"), thing("7/2", "7")]
    found = products(here, there, [Pair("h1", "7/1", "sku"), Pair("h2", "7/2", "sku")], [("P", "7")])
    assert found.linked == (Pair("P", "7", "link"),)
    assert found.matched == ()
    assert [entry.reason for entry in found.review] == ["product_split"]


def test_a_product_that_is_linked_is_not_linked_to_a_second_one() -> None:
    """Also where no variant tells so: those of the linked product may be archived by now."""
    here, there = [thing("h2", "Q")], [thing("7/2", "7")]
    found = products(here, there, [Pair("h2", "7/2", "sku")], [("P", "7")])
    assert found.matched == ()
    assert found.review == (Review("product_split", "variants", ("Q",), ("7",)),)


# Whatever the catalogues look like

keys = st.dictionaries(st.sampled_from(ARTICLE_KEYS), st.sampled_from("abcd"), max_size=2)
sides = st.lists(keys, max_size=7)


@given(sides, sides, st.sets(st.integers(0, 6), max_size=2))
def test_everything_ends_in_exactly_one_place(
    ours: list[dict[str, str]], theirs: list[dict[str, str]], old: set[int]
) -> None:
    """Each thing is linked, matched, or in the review; no thing is matched twice; the order of the lists is nothing."""
    here = [Thing(f"h{n}", k) for n, k in enumerate(ours)]
    there = [Thing(f"t{n}", k) for n, k in enumerate(theirs)]
    linked = [(f"h{n}", f"t{n}") for n in old]
    found = match(here, there, ARTICLE_KEYS, linked)
    pairs = [*found.matched, *found.linked]
    reviewed_here = {i for entry in found.review for i in entry.here}
    reviewed_there = {i for entry in found.review for i in entry.there}
    for side, done, reviewed in (
        (here, [p.here for p in pairs], reviewed_here),
        (there, [p.there for p in pairs], reviewed_there),
    ):
        assert len(set(done)) == len(done)
        assert {t.id for t in side} <= set(done) | reviewed
    for pair in found.matched:
        mine, other = here[int(pair.here[1:])], there[int(pair.there[1:])]
        assert mine.keys[pair.by] == other.keys[pair.by]
        same_here = [t for t in here if t.keys.get(pair.by) == mine.keys[pair.by]]
        same_there = [t for t in there if t.keys.get(pair.by) == mine.keys[pair.by]]
        assert (len(same_here), len(same_there)) == (1, 1)
    again = match(here[::-1], there[::-1], ARTICLE_KEYS, linked)
    assert set(again.matched) == set(found.matched)


def test_the_order_of_a_catalogue_decides_nothing() -> None:
    here = [thing("h1", sku="X"), thing("h2", sku="Y", gtin="4006381333931"), thing("h3", sku="Y")]
    there = [thing("t1", sku="X"), thing("t2", sku="Y", gtin="4006381333931")]
    found = {frozenset(match(order, there, ARTICLE_KEYS).matched) for order in permutations(here)}
    assert found == {frozenset({Pair("h1", "t1", "sku"), Pair("h2", "t2", "gtin")})}
