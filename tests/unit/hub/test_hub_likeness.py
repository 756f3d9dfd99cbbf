"""Which exceptions are alike: the same trouble with other numbers is, another trouble is not."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.hub.exceptions.likeness import likeness, proposed, said
from counterfoil.retail.mapping import missing, to_add

number = st.integers(1, 10**9).map(str)
sku = st.from_regex(r"[A-Z]{2,6}(-[A-Z0-9]{1,4}){0,2}", fullmatch=True)
name = st.text(string.ascii_letters + " äöüÉ-,.", min_size=1, max_size=30)

WORDS = (
    "“{name}” (product {number}) has no SKU in the shop.",
    "Odoo has no product with the SKU {sku}.",
    "Order {number} has a total below zero (-{number}.50 EUR).",
    "The record '{name}' of {sku} was deleted.",
    "Odoo has {number} customers that match: {number}, {number}.",
)


def of(message: str, **other: str) -> str:
    place = {"system": "odoo", "operation": "accept_order", "reason": "odoo_refused"} | other
    return likeness(place["system"], place["operation"], place["reason"], message, place.get("suggestion", ""))


@given(st.sampled_from(WORDS), *(st.tuples(each, each) for each in (number, sku, name)))
def test_the_same_words_about_other_things_are_alike(
    words: str, numbers: tuple[str, str], skus: tuple[str, str], names: tuple[str, str]
) -> None:
    a, b = (words.format(number=numbers[i], sku=skus[i], name=names[i]) for i in (0, 1))
    assert of(a) == of(b)


@pytest.mark.parametrize("other", [{"system": "rest"}, {"operation": "cancel_order"}, {"reason": "no_lines"}])
def test_another_system_operation_or_reason_is_something_else(other: dict[str, str]) -> None:
    assert of("Order 1 has no lines.") != of("Order 1 has no lines.", **other)


def test_what_five_kinds_of_words_say_are_five_likenesses() -> None:
    assert len({of(words.format(number=7, sku="MUG", name="Mug")) for words in WORDS}) == len(WORDS)


def test_names_in_the_middle_of_a_sentence_are_taken_out_and_its_first_word_stays() -> None:
    assert said("The shop has no Müller. Anna Bee has none.") == "The shop has no #. # has none."


def test_an_order_number_without_digits_is_known_by_its_subject() -> None:
    alike = {likeness("odoo", "a", "r", f"order {n} is odd", subject=f"web:order:{n}") for n in ("abc", "xyz")}
    assert len(alike) == 1


def test_where_the_fix_is_a_row_only_the_same_row_is_alike() -> None:
    """One mapping row clears all alike: 7 % and 19 % are two."""

    def lacking(rate: str, order: int) -> str:
        row = missing(to_add("taxes", {"rate": rate, "country": "DE", "odoo": "…"}), ["7 % A"], "Or make it.")
        return of(f"Odoo has no sales tax of {rate} % (order {order}).", suggestion=row)

    assert lacking("7", 1) == lacking("7", 2) != lacking("19", 1)


def test_two_currencies_are_two_troubles() -> None:
    told = [of(f"Odoo does not have the currency {c}.", reason="unknown_currency") for c in ("SEK", "NOK")]
    assert told[0] != told[1]


def test_the_fingerprint_stays_what_it_is() -> None:
    """It is kept in stores: changed by accident, what is open would fall apart."""
    assert of("“Mug” (product 12) has no SKU in the shop.") == "f54d1ce82f80700a"


def test_the_row_ends_where_it_is_no_longer_indented() -> None:
    row = missing("statuses:\n  web:\n    order: {in-print: processing}", ["a"], "Or leave it.")
    assert proposed(row) == "statuses:\n  web:\n    order: {in-print: processing}"
    assert proposed("Make the tax in Odoo.") == ""
