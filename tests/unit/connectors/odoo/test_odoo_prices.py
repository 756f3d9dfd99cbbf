"""Prices by pricelist as Odoo computes them: which rule, what it makes, from when to when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from counterfoil.connectors.odoo.prices import Article, Book, Priced, rules

NOW = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
EUR, USD = 1, 2
SHOP, BASE = 10, 11
SCARF = Article(id=23, template=17, categories=(1, 2), list_price=Decimal("20"), cost=Decimal("8"), currency=EUR)
NUMBERS = {"min_quantity", "fixed_price", "percent_price", "price_discount", "price_surcharge"}
NUMBERS |= {"price_round", "price_min_margin", "price_max_margin"}


def rule(id_: int, compute: str = "fixed", applied_on: str = "3_global", **values: Any) -> dict[str, Any]:
    """A product.pricelist.item as Odoo shows it."""
    row: dict[str, Any] = dict.fromkeys(NUMBERS, 0.0)
    row |= dict.fromkeys(("product_id", "product_tmpl_id", "categ_id", "base_pricelist_id"), False)
    row |= {"id": id_, "pricelist_id": SHOP, "applied_on": applied_on, "compute_price": compute, "base": "list_price"}
    return row | {"date_start": False, "date_end": False} | values


def at(days: float) -> str:
    """As Odoo writes it."""
    return (NOW + timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S")


def price(*rows: dict[str, Any], article: Article = SCARF, currency: int = EUR) -> Priced:
    """By the shop's pricelist, now."""
    book = Book(
        rules(rows, {1: "All", 2: "All / Scarves"}),
        {SHOP: currency, BASE: EUR},
        {EUR: Decimal(1), USD: Decimal("1.1")},
        {EUR: Decimal("0.01"), USD: Decimal("0.01")},
    )
    return book.price(article, SHOP, NOW)


def test_without_a_rule_it_is_the_list_price() -> None:
    """In the pricelist's currency."""
    assert price() == Priced(Decimal("20.00"))
    assert price(currency=USD) == Priced(Decimal("22.00"))


def test_the_most_particular_rule_wins() -> None:
    """Variant before product before category before all; a deeper category before its parent; the newest of equals."""
    everything = rule(1, fixed_price=1.0)
    parent = rule(2, applied_on="2_product_category", categ_id=1, fixed_price=2.0)
    category = rule(3, applied_on="2_product_category", categ_id=2, fixed_price=3.0)
    product = rule(4, applied_on="1_product", product_tmpl_id=17, fixed_price=4.0)
    newer = rule(5, applied_on="1_product", product_tmpl_id=17, fixed_price=5.0)
    variant = rule(6, applied_on="0_product_variant", product_id=23, product_tmpl_id=17, fixed_price=6.0)
    known: list[dict[str, Any]] = []
    for each, amount in ((everything, 1), (parent, 2), (category, 3), (product, 4), (newer, 5), (variant, 6)):
        known.insert(0, each)
        assert price(*known).regular == amount
        assert price(*reversed(known)).regular == amount
    others = rule(7, applied_on="0_product_variant", product_id=99, fixed_price=7.0)
    assert price(others).regular == 20


def test_a_price_for_several_pieces_is_not_the_price_of_one() -> None:
    """Rules with a larger smallest quantity are left out."""
    assert price(rule(1, fixed_price=1.0, min_quantity=2.0)).regular == 20
    assert price(rule(1, fixed_price=1.0, min_quantity=1.0)).regular == 1


@pytest.mark.parametrize(
    ("values", "amount"),
    [
        ({"compute": "percentage", "percent_price": 15.0}, "17.00"),
        ({"compute": "formula", "price_discount": 12.5}, "17.50"),
        ({"compute": "formula", "price_discount": 12.3, "price_round": 0.5, "price_surcharge": -0.01}, "17.49"),
        ({"compute": "formula", "price_discount": 90.0, "price_min_margin": -5.0}, "15.00"),
        ({"compute": "formula", "price_surcharge": 30.0, "price_max_margin": 4.0}, "24.00"),
        ({"compute": "formula", "base": "standard_price", "price_discount": -50.0}, "12.00"),
        ({"compute": "percentage", "percent_price": 33.33}, "13.33"),
    ],
)
def test_what_a_rule_makes_of_a_price(values: dict[str, Any], amount: str) -> None:
    """As product/models/product_pricelist_item.py computes it; a markup on the cost is a negative discount."""
    assert price(rule(1, **values)).regular == Decimal(amount)


def test_a_pricelist_that_builds_on_another() -> None:
    """Percent off what the other one says; one that builds on itself comes to an end."""
    base = rule(1, pricelist_id=BASE, fixed_price=10.0)
    off = rule(2, "percentage", base="pricelist", base_pricelist_id=BASE, percent_price=10.0)
    assert price(base, off).regular == 9
    assert price(base, off, currency=USD).regular == Decimal("9.90")
    itself = rule(3, "percentage", base="pricelist", base_pricelist_id=SHOP, percent_price=0.0)
    assert price(itself).regular == 20


def test_a_campaign_is_a_sale_with_its_dates() -> None:
    """On now, or the next one; over ones are nothing; the regular price stays the undated rule's."""
    usual = rule(1, fixed_price=18.0)
    now = rule(2, fixed_price=15.0, date_start=at(-1), date_end=at(1))
    found = price(usual, now)
    assert (found.regular, found.sale) == (18, 15)
    assert (found.starts, found.ends) == (NOW - timedelta(days=1), NOW + timedelta(days=1))
    soon, later = rule(3, fixed_price=14.0, date_start=at(3)), rule(4, fixed_price=13.0, date_start=at(9))
    assert price(usual, now, soon, later).sale == 15
    found = price(usual, soon, later)
    assert (found.sale, found.starts, found.ends) == (14, NOW + timedelta(days=3), None)
    over = rule(5, fixed_price=1.0, date_start=at(-9), date_end=at(-1))
    assert price(usual, over) == Priced(Decimal("18.00"))


def test_a_campaign_that_another_rule_beats_is_none() -> None:
    """A price for this very product goes before a campaign for all."""
    own = rule(1, applied_on="1_product", product_tmpl_id=17, fixed_price=19.0)
    assert price(own, rule(2, fixed_price=15.0, date_start=at(-1))) == Priced(Decimal("19.00"))
    assert price(own, rule(2, fixed_price=15.0, date_start=at(1))) == Priced(Decimal("19.00"))


def test_a_campaign_that_is_dearer_is_the_price_while_it_lasts() -> None:
    """No shop knows a sale above the regular price; one to come is not told before."""
    assert price(rule(1, fixed_price=25.0, date_start=at(-1), date_end=at(1))) == Priced(Decimal("25.00"))
    assert price(rule(1, fixed_price=25.0, date_start=at(1))) == Priced(Decimal("20.00"))
