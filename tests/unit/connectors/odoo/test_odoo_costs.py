"""What an article costs, in the terms of its price."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from counterfoil.connectors.odoo.catalogue import _cost, _Shared
from counterfoil.connectors.odoo.prices import Article

TEMPLATE = {"taxes_id": [1, 2]}


def shared(*taxes: dict[str, Any]) -> _Shared:
    """One company in EUR, whose taxes these are."""
    rows = {i: {"company_id": [1, "Us"], "amount_type": "percent", **tax} for i, tax in enumerate(taxes, 1)}
    return _Shared(at=0.0, company=1, taxes=rows, categories={}, root=0, currencies={3: {"name": "EUR"}})


def article(cost: str) -> Article:
    return Article(1, 1, (), Decimal(10), Decimal(cost), 3)


@pytest.mark.parametrize(
    ("taxes", "cost"),
    [
        ([], "5"),
        ([{"amount": 20.0, "price_include": False}], "5"),
        ([{"amount": 20.0, "price_include": True}], "6.000"),
        ([{"amount": 20.0, "price_include": True}, {"amount": 5.5, "price_include": True}], "6.275"),
        ([{"amount": 2.0, "price_include": True, "amount_type": "fixed"}], ""),
    ],
)
def test_with_the_taxes_that_the_price_includes(taxes: list[dict[str, Any]], cost: str) -> None:
    found = _cost(article("5"), TEMPLATE, "EUR", shared(*taxes))
    assert (found and Decimal(found)) == (cost and Decimal(cost))


def test_a_price_in_another_currency_does_not_compare() -> None:
    assert _cost(article("5"), TEMPLATE, "USD", shared()) == ""


def test_without_a_cost_nothing_is_known() -> None:
    assert _cost(article("0"), TEMPLATE, "EUR", shared()) == ""


def test_of_another_company_no_tax_counts() -> None:
    theirs = {"amount": 20.0, "price_include": True, "company_id": [2, "They"]}
    assert _cost(article("5"), TEMPLATE, "EUR", shared(theirs)) == "5"
