"""Owners in the blueprint: the short and the long form, what cannot be kept, and the page that shows it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.owned_customers import BOTH_WAYS, CATALOGUE, blueprint_text

from counterfoil.blueprint import Examined, dump, examine_text, parse, render
from counterfoil.blueprint.ownership import Ownership

LONG = "{owner: shop, fields: {phone: erp, billing: erp}, otherwise: revert}"
ONE_WAY = "  - {on: customer.changed, from: shop, do: erp.update_customer}\n"


def looked_at(owners: str, flows: str = BOTH_WAYS) -> Examined:
    return examine_text(blueprint_text(owners, flows), known=CATALOGUE)


@pytest.mark.parametrize(
    ("owners", "field", "owner"),
    [
        ("shop", "", "shop"),
        ("shop", "phone", "shop"),
        (LONG, "", "shop"),
        (LONG, "name", "shop"),
        (LONG, "phone", "erp"),
        (LONG, "billing.street", "erp"),
        ("{owner: shop, fields: {billing.city: erp}}", "billing.city", "erp"),
        ("{owner: shop, fields: {billing.city: erp}}", "billing.street", "shop"),
        ("{owner: origin}", "name", "origin"),
        ("origin", "", "origin"),
    ],
)
def test_each_field_has_an_owner(owners: str, field: str, owner: str) -> None:
    blueprint = parse(blueprint_text(owners), known=CATALOGUE)
    assert blueprint.owner_of("customer", field) == owner
    assert blueprint.owner_of("parcel") == ""


def test_what_is_not_said_is_dropped() -> None:
    rule = parse(blueprint_text("{owner: shop}"), known=CATALOGUE).owners["customer"]
    assert rule == Ownership(owner="shop", fields={}, otherwise="drop")


@pytest.mark.parametrize("owners", ["shop", LONG, "{owner: origin, otherwise: ask}"])
def test_what_is_dumped_loads_again(owners: str) -> None:
    blueprint = parse(blueprint_text(owners), known=CATALOGUE)
    assert parse(dump(blueprint), known=CATALOGUE) == blueprint


@pytest.mark.parametrize(
    ("owners", "path", "found", "expected", "hint"),
    [
        ("[shop]", "owners.customer", "a list", "the name of a system", ""),
        ("{fields: {phone: erp}}", "owners.customer.owner", "nothing", "the name of a system, or origin", ""),
        ("{owner: shp}", "owners.customer.owner", '"shp"', "one of erp, shop, or origin", 'did you mean "shop"?'),
        ("{owner: shop, otherwise: undo}", "owners.customer.otherwise", '"undo"', "one of drop, revert, ask", ""),
        ("{owner: shop, othrwise: ask}", "owners.customer.othrwise", '"othrwise"', "otherwise", '"otherwise"?'),
        ("{owner: shop, fields: [phone]}", "owners.customer.fields", "a list", "a mapping of fields to systems", ""),
        ("{owner: shop, fields: {phone: }}", "owners.customer.fields.phone", "nothing", "the name of a system", ""),
        ("{owner: shop, fields: {phone: crm}}", "owners.customer.fields.phone", '"crm"', "one of erp, shop", ""),
        ("{owner: shop, fields: {phon: erp}}", "owners.customer.fields.phon", '"phon"', "phone", '"phone"?'),
        (
            "{owner: shop, fields: {phone: erp, phone: shop}}",
            "owners.customer.fields.phone",
            'the key "phone" twice',
            "each key once",
            "first on line 6",
        ),
        (
            "{owner: shop, fields: {billing: erp, billing.city: shop}}",
            'owners.customer.fields."billing.city"',
            "billing.city owned by shop as well",
            "one owner for each field",
            "owners.customer.fields.billing on line 6 is erp",
        ),
    ],
)
def test_what_is_wrong_is_shown_with_its_line_and_remedy(
    owners: str, path: str, found: str, expected: str, hint: str
) -> None:
    problems = looked_at(owners).problems
    (problem,) = [p for p in problems if p.path == path]
    assert problem.line == 6
    assert found in problem.found
    assert expected in problem.expected
    assert hint in problem.hint


def test_a_field_and_its_part_may_have_one_owner() -> None:
    assert looked_at("{owner: shop, fields: {billing: erp, billing.city: erp}}").problems == ()


def test_what_is_told_whole_has_one_owner() -> None:
    text = blueprint_text("shop").replace("customer: shop", "order: {owner: shop, fields: {note: erp}}")
    (problem,) = examine_text(text, known=CATALOGUE).problems
    assert (problem.path, problem.expected) == ("owners.order.fields.note", "no fields: order has one owner")


@pytest.mark.parametrize(
    "owners", ["{owner: shop, fields: {phone: erp}, otherwise: revert}", "{owner: origin, otherwise: revert}"]
)
def test_a_revert_that_no_flow_carries_is_an_error(owners: str) -> None:
    (problem,) = looked_at(owners, ONE_WAY).problems
    assert (problem.path, problem.line) == ("owners.customer.otherwise", 6)
    assert problem.expected == "a flow that carries erp's changes to shop"
    assert "{on: customer.changed, from: erp, do: shop." in problem.hint


def test_a_revert_in_one_direction_needs_one_flow() -> None:
    assert looked_at("{owner: shop, otherwise: revert}", ONE_WAY).problems == ()


def test_an_order_cannot_be_reverted() -> None:
    text = blueprint_text("shop").replace("customer: shop", "order: {owner: shop, otherwise: revert}")
    (problem,) = examine_text(text, known=CATALOGUE).problems
    assert (problem.path, problem.expected) == ("owners.order.otherwise", "drop or ask")


def test_a_system_called_origin_leaves_the_word_without_a_meaning() -> None:
    text = blueprint_text("{owner: origin}").replace("systems:\n", "systems:\n  origin: {connector: book}\n")
    (problem,) = examine_text(text, known=CATALOGUE).problems
    assert (problem.path, problem.hint) == ("owners.customer.owner", "a system is called so: give it another name")


@pytest.mark.parametrize(
    ("owners", "hint"),
    [
        ("{owner: shop}", "erp owns nothing of customer: this flow would never be set off"),
        ("shop", "to hold its changes back write customer: {owner: shop}; the short form is not enforced"),
    ],
)
def test_a_flow_from_a_system_that_owns_nothing_is_hardly_meant(owners: str, hint: str) -> None:
    (warning,) = looked_at(owners).warnings
    assert (warning.path, warning.hint) == ("flows[1].from", hint)


def test_the_page_shows_who_owns_what() -> None:
    text = render(parse(blueprint_text(LONG), known=CATALOGUE), CATALOGUE)
    assert "| What | shop | erp | Changed by another system |" in text
    assert "| customer, all other fields | owns | – | not spread, the owner's value is written back |" in text
    assert "| customer: phone | – | owns | – |" in text


def test_the_page_stays_plain_where_nothing_is_enforced() -> None:
    text = render(parse(blueprint_text("shop"), known=CATALOGUE), CATALOGUE)
    assert "| Object | System |" in text
    assert "| customer | shop |" in text


WORDS = st.sampled_from(
    ["", "owner", "fields", "otherwise", "origin", "shop", "erp", "phone", "billing", "billing.", "ask"]
)
ANY = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), WORDS, st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(ANY, st.sampled_from(["customer", "order", "stock", "parcel"]))
def test_whatever_stands_there_is_judged_and_nothing_breaks(anything: Any, kind: str) -> None:
    """JSON is YAML: each problem has its line, or the blueprint loads and says what it was told."""
    text = blueprint_text("shop").replace("customer: shop", f"{kind}: {json.dumps(anything)}")
    examined = examine_text(text, known=CATALOGUE)
    assert (examined.blueprint is None) == bool(examined.problems)
    assert all(problem.line > 0 and problem.expected for problem in examined.problems)
    if examined.blueprint:
        assert parse(dump(examined.blueprint), known=CATALOGUE).owners == examined.blueprint.owners
        render(examined.blueprint)
