"""Which prices need a person's look before they go out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.processes.pricing import PriceRule, breaches, with_prices_of
from counterfoil.retail.money import Money
from counterfoil.retail.product import ChannelPrice, Product, SalePrice, Variant

ALL = PriceRule(margin=Decimal(0), change=Decimal(30), off=Decimal(50))


def mug(price: str | None, sale: str = "", cost: str = "", **more: Any) -> Product:
    """A mug at these prices, in EUR."""
    campaign = SalePrice(price=Money.of(sale, "EUR")) if sale else None
    variant = Variant(id="1", sku="MUG", price=Money.of(price, "EUR") if price else None, sale=campaign, **more)
    costs = (("1", Decimal(cost)),) if cost else ()
    return Product(system="odoo", id="7", name="Mug", costs=costs, variants=(variant,))


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        (None, mug("9.99", cost="10"), "the price 9.99 EUR of MUG is below 10, its cost"),
        (None, mug("19", "9.99", cost="10"), "the campaign price 9.99 EUR of MUG is below 10, its cost"),
        (mug("10"), mug("13.01"), "the price of MUG goes from 10 EUR to 13.01 EUR: 30.1 %, more than 30 %"),
        (mug("10"), mug("1.00"), "the price of MUG goes from 10 EUR to 1.00 EUR: 90.0 %, more than 30 %"),
        (mug("10"), mug("10", "4.99"), "the campaign takes 50.1 % off MUG (10 EUR to 4.99 EUR), more than 50 %"),
    ],
)
def test_what_needs_a_look_is_said_in_words(before: Product | None, now: Product, words: str) -> None:
    assert breaches(before, now, ALL) == [words]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (None, mug("10", cost="10")),
        (None, mug("9.99")),  # what it costs is not known
        (mug("10"), mug("13")),
        (mug("10"), mug("7")),
        (mug("10"), mug("10", "5")),
        (mug("9", cost="10"), mug("9", cost="11")),  # looked at before; the cost alone is no price
        (mug("10"), mug(None)),
        (mug("10"), mug("1", cost="5", active=False)),
        (mug("0"), mug("10")),
    ],
)
def test_what_needs_none(before: Product | None, now: Product) -> None:
    assert breaches(before, now, ALL) == []


def test_a_margin_is_asked_over_the_cost() -> None:
    rule = PriceRule(margin=Decimal("12.5"))
    assert breaches(None, mug("11.24", cost="10"), rule) == [
        "the price 11.24 EUR of MUG is below 11.25, its cost and 12.5 %"
    ]
    assert breaches(None, mug("11.25", cost="10"), rule) == []


def test_a_channels_own_price_is_looked_at_too() -> None:
    def sold(own: str, currency: str = "EUR", usual: str = "20") -> Product:
        prices = (ChannelPrice(channel="web", price=Money.of(own, currency)),)
        return mug(usual, cost="10", prices=prices)

    assert breaches(None, sold("9"), ALL) == ["the price 9 EUR of MUG is below 10, its cost, on web"]
    assert breaches(sold("10"), sold("14"), ALL) == [
        "the price of MUG goes from 10 EUR to 14 EUR: 40.0 %, more than 30 %, on web"
    ]
    assert breaches(sold("10"), sold("10"), ALL) == []
    assert breaches(sold("9", "USD"), sold("9", "USD"), ALL) == []
    assert breaches(None, sold("9", "USD"), ALL) == []  # what it costs is known in euros


def test_earlier_prices_are_those_of_every_channel() -> None:
    def sold(usual: str, own: str) -> Product:
        return mug(usual, prices=(ChannelPrice(channel="web", price=Money.of(own, "EUR")),))

    assert with_prices_of(sold("12", "11"), sold("10", "9")) == sold("10", "9")


def test_prices_of_two_currencies_are_not_compared() -> None:
    dollars = Variant(id="1", sku="MUG", price=Money.of("100", "USD"))
    assert breaches(mug("10"), mug("10").model_copy(update={"variants": (dollars,)}), ALL) == []


cents = st.integers(1, 10_000).map(lambda n: str(Decimal(n) / 100))


@given(before=cents, now=cents, sale=cents, cost=cents)
def test_what_is_not_declared_is_never_asked(before: str, now: str, sale: str, cost: str) -> None:
    assert breaches(mug(before), mug(now, sale, cost), PriceRule()) == []


@given(before=cents, now=cents, sale=cents, cost=cents)
def test_what_went_out_once_is_not_asked_again(before: str, now: str, sale: str, cost: str) -> None:
    product = mug(now, sale, cost)
    assert breaches(product, product, ALL) == []
    fine = breaches(mug(before), product, ALL) == []
    least, price, off = Decimal(cost), Decimal(now), Decimal(sale)
    moved = abs(price - Decimal(before)) / Decimal(before)
    assert fine == (min(price, off) >= least and moved <= Decimal("0.3") and off * 2 >= price)
