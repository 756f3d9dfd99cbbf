"""How things are known again, as it is declared: exact keys, and likenesses that only go to a person."""

from __future__ import annotations

import pytest

from counterfoil.blueprint import Blueprint, BlueprintError, Catalogue, ConnectorInfo, dump, parse, render

KNOWN = Catalogue.of([ConnectorInfo("shop")], {})
HEAD = "counterfoil: 1\nsystems:\n  web: {connector: shop, url: https://shop.example}\n"


def declared(rules: str) -> Blueprint:
    return parse(HEAD + rules, known=KNOWN, environ={}, file="plan.yaml")


def test_without_a_word_there_are_keys_and_no_likenesses() -> None:
    """case: F36"""
    plan = declared("")
    assert (plan.customers.match, plan.customers.candidates.least()) == (("email",), {})
    assert (plan.products.match, plan.products.candidates.least()) == (("sku", "gtin"), {})


def test_what_is_declared_counts_and_is_written_out_again_as_it_was() -> None:
    plan = declared(
        "customers: {match: [vat, email], candidates: {name: 0.92, address: 1}}\n"
        "products: {match: [gtin], candidates: {name: 0.5}}\n"
    )
    assert plan.customers.candidates.least() == {"name": 0.92, "address": 1.0}
    assert plan.products.candidates.least() == {"name": 0.5}
    again = parse(dump(plan), known=KNOWN, environ={})
    assert (again.customers, again.products) == (plan.customers, plan.products)
    page = render(plan)
    assert "Customers are found in Odoo by vat, then email" in page
    assert "never linked: name 0.92 and address 1" in page


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("customers: {candidates: {name: 0.4}}", "plan.yaml:4: customers.candidates"),
        ("customers: {candidates: {name: 1.1}}", "expected a mapping of name and address to a likeness"),
        ("customers: {candidates: {street: 0.9}}", "expected a mapping of name and address to a likeness"),
        ("customers: {candidates: 0.9}", "such as {name: 0.92, address: 0.9}"),
        ("customers: {match: [name]}", "a list of email, vat, phone"),
        ("products: {match: []}", "a list of sku, gtin"),
        ("products: {candidates: {address: 0.9}}", "expected a mapping of name to a likeness"),
        ("products: {similar: {name: 0.9}}", "the unknown key"),
    ],
)
def test_what_is_no_rule_is_said_with_its_line_and_what_would_be(rules: str, said: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        declared(rules + "\n")
    assert said in str(caught.value)
