"""Which product, currency, tax and journal of Odoo: exactly one, or a person decides. Never a guess."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.conformance.making import PARIS, line, order

from counterfoil.blueprint import parse
from counterfoil.connectors.odoo.lookups import (
    Reference,
    pick_currency,
    pick_journal,
    pick_product,
    pick_tax,
    pick_taxes,
)
from counterfoil.connectors.odoo.rules import Rules, TaxRule
from counterfoil.connectors.odoo.translate import Currency, Impossible, OdooTax
from counterfoil.doors import assembly
from counterfoil.hub.contract import Kind
from counterfoil.retail.order import LineKind, TaxRate

PLAIN_BLUEPRINT = """\
counterfoil: 1
systems:
  odoo: {connector: odoo, url: "https://odoo.example", api_key: "${KEY}"}
"""


def tax(id: int, name: str, percent: str, included: bool = False, country: str = "FR", scope: str = "") -> OdooTax:
    """A sales tax of Odoo."""
    return OdooTax(id, name, Decimal(percent), included, country, scope)


REFERENCE = Reference(
    at=0.0,
    company=1,
    company_country="FR",
    currencies={
        "EUR": Currency(1, "EUR", Decimal("0.01"), 0),
        "JPY": Currency(2, "JPY", Decimal(1), 5),
        "GBP": Currency(3, "GBP", Decimal("0.01"), -1),
    },
    taxes=(
        tax(20, "20% G", "20", scope="consu"),
        tax(21, "20% S", "20", scope="service"),
        tax(10, "10%", "10"),
        tax(11, "10% INC", "10", included=True),
        tax(19, "19% DE", "19", country="DE"),
        tax(7, "7% a", "7"),
        tax(8, "7% b", "7"),
    ),
    tax_ids={"lab.german": 19},
    journals={"BNK1": 6, "STRP": 9},
    countries={"FR": 75, "DE": 57},
    states={},
    services={},
)


def rate(percent: str, country: str = "FR") -> TaxRate:
    """A rate of the shop."""
    return TaxRate(code="r", percent=Decimal(percent), country=country, name="VAT")


def reason(no: pytest.ExceptionInfo[Impossible]) -> str:
    """Of a refusal; it must be a rejection with words and a next step."""
    outcome = no.value.outcome
    assert outcome.kind is Kind.REJECTED
    assert outcome.message
    assert outcome.suggestion
    return outcome.reason


# --- products -------------------------------------------------------------------------------------------------


def product(id: int, active: bool = True, sale_ok: bool = True) -> dict[str, Any]:
    """A product as Odoo answers it."""
    return {"id": id, "active": active, "sale_ok": sale_ok}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([product(5)], 5),
        ([product(4, active=False), product(5)], 5),
        ([], "unknown_sku"),
        ([product(5, active=False)], "discontinued_sku"),
        ([product(5, active=False), product(6, active=False)], "discontinued_sku"),
        ([product(5, sale_ok=False)], "discontinued_sku"),
        ([product(5), product(6)], "ambiguous_sku"),
        ([product(5), product(6, sale_ok=False)], "ambiguous_sku"),
    ],
)
def test_products_by_sku(found: list[dict[str, Any]], expected: int | str) -> None:
    """case: F38 - one active, sellable product, or an exception; never an archived or default one."""
    if isinstance(expected, int):
        assert pick_product("SKU-A", "Lamp", {"SKU-A": found}) == expected
        return
    with pytest.raises(Impossible) as no:
        pick_product("SKU-A", "Lamp", {"SKU-A": found})
    assert reason(no) == expected
    assert "SKU-A" in no.value.outcome.message


def test_a_name_never_finds_a_product() -> None:
    """case: F36 - another SKU of the same name is another product."""
    with pytest.raises(Impossible) as no:
        pick_product("SKU-B", "Lamp", {"SKU-A": [product(5)]})
    assert reason(no) == "unknown_sku"


# --- currencies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "expected"), [("EUR", 1), ("JPY", 2), ("USD", "unknown_currency"), ("GBP", "no_pricelist")]
)
def test_currencies(code: str, expected: int | str) -> None:
    """case: F28 - an order is never taken over in another currency than its own."""
    of = order("1", line(currency=code), currency=code)
    if isinstance(expected, int):
        assert pick_currency(of, REFERENCE).id == expected
        return
    with pytest.raises(Impossible) as no:
        pick_currency(of, REFERENCE)
    assert reason(no) == expected
    assert code in no.value.outcome.suggestion


# --- taxes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("percent", "country", "kind", "expected"),
    [
        ("20", "FR", LineKind.PRODUCT, 20),
        ("20", "FR", LineKind.SHIPPING, 21),
        ("20", "FR", LineKind.FEE, 21),
        ("10", "FR", LineKind.PRODUCT, 10),
        ("10", "FR", LineKind.SHIPPING, 10),
        ("10.00", "FR", LineKind.PRODUCT, 10),
        ("19", "DE", LineKind.PRODUCT, 19),
        ("20", "DE", LineKind.PRODUCT, 20),
        ("20", "", LineKind.PRODUCT, 20),
        ("0", "US", LineKind.PRODUCT, None),
        ("7", "FR", LineKind.PRODUCT, "ambiguous_tax"),
        ("19", "FR", LineKind.PRODUCT, "unmapped_tax"),
        ("21", "BE", LineKind.PRODUCT, "unmapped_tax"),
        ("20.5", "FR", LineKind.PRODUCT, "unmapped_tax"),
    ],
)
def test_taxes_by_rate_country_scope_and_inclusion(
    percent: str, country: str, kind: LineKind, expected: int | str | None
) -> None:
    """case: F24 - the tax of that rate in that country, goods and services apart, rather added than included."""
    if isinstance(expected, str):
        with pytest.raises(Impossible) as no:
            pick_tax(rate(percent, country), "", kind, "FR", REFERENCE, Rules())
        assert reason(no) == expected
        assert "taxes:" in no.value.outcome.suggestion
        return
    found = pick_tax(rate(percent, country), "", kind, "FR", REFERENCE, Rules())
    assert (found.id if found else None) == expected


def test_a_tax_that_is_only_there_as_included_is_taken() -> None:
    """case: F24 - the price is sent with it then."""
    only = replace(REFERENCE, taxes=(tax(11, "10% INC", "10", included=True),))
    found = pick_tax(rate("10"), "", LineKind.PRODUCT, "FR", only, Rules())
    assert found is not None
    assert found.included


def test_ambiguous_taxes_are_named() -> None:
    """The person sees which ones, with their numbers, and the row to write."""
    with pytest.raises(Impossible) as no:
        pick_tax(rate("7"), "", LineKind.PRODUCT, "FR", REFERENCE, Rules())
    assert "“7% a” (7), “7% b” (8)" in no.value.outcome.message
    assert 'taxes:\n  - {rate: 7, country: FR, odoo: "…"}' in no.value.outcome.suggestion


@pytest.mark.parametrize(
    ("what", "filled_in", "finds"),
    [
        (lambda rules: pick_tax(rate("7"), "", LineKind.PRODUCT, "FR", REFERENCE, rules), "7% b", 8),
        (lambda rules: pick_tax(rate("8.5"), "", LineKind.PRODUCT, "FR", REFERENCE, rules), "20% S", 21),
        (lambda rules: pick_journal("on: delivery #1", REFERENCE, rules), "STRP", 9),
    ],
)
def test_the_row_that_is_suggested_is_the_row_that_helps(
    what: Callable[[Rules], Any], filled_in: str, finds: int
) -> None:
    """Pasted into a blueprint, with the gap filled in, the order goes through."""
    with pytest.raises(Impossible) as no:
        what(Rules())
    suggested = no.value.outcome.suggestion
    row = "\n".join(text for text in suggested.splitlines() if text.endswith(":") or text.startswith("  - "))
    plan = parse(
        PLAIN_BLUEPRINT + row.removeprefix("Add to the blueprint:\n").replace("…", filled_in),
        known=assembly.catalogue(),
        environ={},
        require_secrets=False,
    )
    found = what(assembly.odoo_rules(plan, "odoo"))
    assert getattr(found, "id", found) == finds


def test_an_unmapped_thing_comes_with_what_there_is() -> None:
    """The taxes of the country, where Odoo has none of that rate; only journals that take money."""
    with pytest.raises(Impossible) as no:
        pick_tax(rate("8.5"), "", LineKind.PRODUCT, "FR", REFERENCE, Rules())
    assert '"20% G", "20% S", "10%"' in no.value.outcome.suggestion
    assert "19% DE" not in no.value.outcome.suggestion
    with pytest.raises(Impossible) as no:
        pick_journal("bacs", replace(REFERENCE, banks=("BNK1", "CSH1")), Rules())
    assert no.value.outcome.suggestion == (
        'Add to the blueprint:\npayments:\n  - {method: bacs, journal: "…"}\nThere is: BNK1, CSH1.'
    )


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (TaxRule(Decimal(7), "", "", "7% b"), 8),
        (TaxRule(Decimal(7), "FR", "", "8"), 8),
        (TaxRule(Decimal("7.0"), "FR", "", "lab.german"), 19),
        (TaxRule(Decimal(7), "FR", "reduced", "7% a"), 7),
        (TaxRule(Decimal(7), "DE", "", "7% a"), "ambiguous_tax"),
        (TaxRule(Decimal(7), "FR", "standard", "7% a"), "ambiguous_tax"),
        (TaxRule(Decimal(8), "FR", "", "7% a"), "ambiguous_tax"),
        (TaxRule(Decimal(7), "FR", "", "7% c"), "unmapped_tax"),
        (TaxRule(Decimal(7), "FR", "", "lab.gone"), "unmapped_tax"),
    ],
)
def test_a_declared_rule_decides(rule: TaxRule, expected: int | str) -> None:
    """By name, external id or number; one that names nothing is an exception, not a fallback."""
    rules = Rules(taxes=(rule,))
    if isinstance(expected, int):
        found = pick_tax(rate("7"), "reduced", LineKind.PRODUCT, "FR", REFERENCE, rules)
        assert found is not None
        assert found.id == expected
        return
    with pytest.raises(Impossible) as no:
        pick_tax(rate("7"), "reduced", LineKind.PRODUCT, "FR", REFERENCE, rules)
    assert reason(no) == expected


def test_the_first_rule_that_fits_wins() -> None:
    """As the blueprint is read, from the top."""
    rules = Rules(taxes=(TaxRule(Decimal(7), "", "", "7"), TaxRule(Decimal(7), "FR", "", "8")))
    found = pick_tax(rate("7"), "", LineKind.PRODUCT, "FR", REFERENCE, rules)
    assert found is not None
    assert found.id == 7


def test_a_rate_without_country_is_that_of_the_delivery() -> None:
    """Shops leave the country of a rate empty for “everywhere”."""
    of = order("1", line("A", taxes={"19": "1.90"}), country="", shipping=PARIS.model_copy(update={"country": "DE"}))
    found = pick_taxes(of, REFERENCE, Rules())[("rate-19", "", LineKind.PRODUCT)]
    assert found is not None
    assert found.id == 19


def test_each_kind_of_line_gets_its_tax() -> None:
    """One rate of the shop, two taxes of Odoo."""
    of = order("1", line("A", taxes={"20": "2.00"}), line(net="5", taxes={"20": "1.00"}, kind=LineKind.SHIPPING))
    found = pick_taxes(of, REFERENCE, Rules())
    assert {key: tax.id for key, tax in found.items() if tax} == {
        ("rate-20", "", LineKind.PRODUCT): 20,
        ("rate-20", "", LineKind.SHIPPING): 21,
    }


# --- journals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payments", "method", "expected"),
    [
        ({"stripe": "STRP"}, "stripe", 9),
        ({"stripe": "STRP", "*": "BNK1"}, "stripe", 9),
        ({"stripe": "STRP", "*": "BNK1"}, "paypal", 6),
        ({"": "BNK1"}, "", 6),
        ({"*": "BNK1"}, "", 6),
        ({"stripe": "STRP"}, "paypal", "unmapped_payment"),
        ({}, "", "unmapped_payment"),
        ({"stripe": "GONE"}, "stripe", "unmapped_payment"),
        ({"stripe": "GONE", "*": "BNK1"}, "stripe", "unmapped_payment"),
    ],
)
def test_journals(payments: dict[str, str], method: str, expected: int | str) -> None:
    """case: F38 - money never lands in a journal that nobody named for it."""
    rules = Rules(payments=payments)
    if isinstance(expected, int):
        assert pick_journal(method, REFERENCE, rules) == expected
        return
    with pytest.raises(Impossible) as no:
        pick_journal(method, REFERENCE, rules)
    assert reason(no) == expected
