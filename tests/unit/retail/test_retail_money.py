"""Money is exact: it never mixes currencies, never rounds unless asked, and is never a float."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal, getcontext, localcontext
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel

from counterfoil.retail.money import (
    CurrencyMismatch,
    Money,
    NotAnAmount,
    decimal_of,
    minor_units,
    round_to,
    smallest_unit,
    spread,
    total,
)

# all that plain notation allows: up to 18 digits before the point, 12 after it
AMOUNTS = st.builds(
    lambda whole, cents, places, sign: sign * (Decimal(whole) + Decimal(cents % 10**places).scaleb(-places)),
    st.integers(0, 10**18 - 1),
    st.integers(0, 10**12 - 1),
    st.integers(0, 12),
    st.sampled_from((1, -1)),
)
CURRENCIES = st.sampled_from(("EUR", "USD", "JPY", "KWD", "CLF"))


def as_fraction(amount: Decimal) -> tuple[int, int]:
    """Exactly, by integers alone: Decimal's own arithmetic is what is on trial."""
    numerator, denominator = amount.as_integer_ratio()
    return numerator * (10**40 // denominator) if 10**40 % denominator == 0 else 0, 10**40


@given(AMOUNTS, AMOUNTS, CURRENCIES)
@example(Decimal("123456789012345678.123456789012"), Decimal("0.000000000001"), "EUR")
def test_sums_and_differences_are_exact_to_the_last_digit(a: Decimal, b: Decimal, currency: str) -> None:
    """Thirty digits are more than Decimal keeps by default: nothing may be lost all the same."""
    x, y = Money(a, currency), Money(b, currency)
    assert as_fraction((x + y).amount)[0] == as_fraction(a)[0] + as_fraction(b)[0]
    assert as_fraction((x - y).amount)[0] == as_fraction(a)[0] - as_fraction(b)[0]
    assert as_fraction((-x).amount)[0] == -as_fraction(a)[0]
    assert as_fraction(abs(x).amount)[0] == abs(as_fraction(a)[0])


@given(AMOUNTS, st.integers(-(10**9), 10**9), CURRENCIES)
def test_products_are_exact(a: Decimal, factor: int, currency: str) -> None:
    """A quantity times a price keeps every digit."""
    assert as_fraction((Money(a, currency) * factor).amount)[0] == as_fraction(a)[0] * factor


def test_no_ambient_precision_can_make_a_sum_round() -> None:
    """A library that lowers Decimal's precision for this thread changes nothing."""
    with localcontext() as context:
        context.prec = 4
        assert str(Money.of("12345.67", "EUR") + Money.of("0.01", "EUR")) == "12345.68 EUR"
        assert str(Money.of("12345.675", "EUR").rounded()) == "12345.68 EUR"
    assert getcontext().prec >= 28


@pytest.mark.parametrize(
    "mix",
    [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a < b,
        lambda a, b: a <= b,
        lambda a, b: a > b,
        lambda a, b: a >= b,
        lambda a, b: total([a, b], "EUR"),
        lambda a, b: total([b], "EUR"),
    ],
)
def test_two_currencies_never_meet(mix: Any) -> None:
    """case: F28 - shop and presentment currency in one calculation raise, however small the amounts."""
    with pytest.raises(CurrencyMismatch, match=r"EUR|USD"):
        mix(Money.of("1.00", "EUR"), Money.of("1.00", "USD"))


def test_amounts_of_two_currencies_are_never_equal() -> None:
    """case: F28 - not even nought of each."""
    assert Money.zero("EUR") != Money.zero("USD")
    assert Money.of("1.0", "EUR") == Money.of("1.00", "EUR")
    assert hash(Money.of("1.0", "EUR")) == hash(Money.of("1.00", "EUR"))


@pytest.mark.parametrize("number", [1, 1.0, Decimal(1), "1", None])
def test_a_bare_number_is_not_money(number: Any) -> None:
    """case: F28 - an amount without a currency cannot be added to one that has it."""
    with pytest.raises(TypeError):
        Money.of("1.00", "EUR") + number


@pytest.mark.parametrize("factor", [1.5, True, "2", Money.of("2", "EUR")])
def test_money_is_multiplied_by_exact_numbers_only(factor: Any) -> None:
    """A float would bring its own rounding along."""
    with pytest.raises(TypeError):
        Money.of("1.00", "EUR") * factor


@pytest.mark.parametrize(
    "text",
    [
        *("", " 1", "1 ", "1,50", "1.", ".5", "1e3", "NaN", "Infinity", "--1", "+1", "0x10", "1_000", "１.00"),
        *("1" * 19, "0." + "1" * 13),
    ],
)
def test_what_is_not_a_plain_decimal_is_refused(text: str) -> None:
    """Shops do send commas, exponents and NaN; a guess would be somebody's money."""
    with pytest.raises(NotAnAmount):
        Money.of(text, "EUR")


@pytest.mark.parametrize("value", [1.1, True, None, b"1", Decimal("NaN"), Decimal("Infinity")])
def test_floats_and_the_like_are_refused(value: Any) -> None:
    """1.1 is not 1.10: no amount is ever made from a float."""
    with pytest.raises(NotAnAmount):
        decimal_of(value)


@pytest.mark.parametrize("currency", ["", "eur", "EU", "EURO", "E1R", "EUR "])
def test_a_currency_is_three_capitals(currency: str) -> None:
    """ISO 4217, nothing else."""
    with pytest.raises(NotAnAmount):
        Money.of("1", currency)


@pytest.mark.parametrize(
    ("currency", "digits", "unit"),
    [
        ("EUR", 2, "0.01"),
        ("USD", 2, "0.01"),
        ("JPY", 0, "1"),
        ("KRW", 0, "1"),
        ("KWD", 3, "0.001"),
        ("CLF", 4, "0.0001"),
    ],
)
def test_minor_units_are_those_of_iso_4217(currency: str, digits: int, unit: str) -> None:
    """A hundredth is not the smallest unit everywhere."""
    assert minor_units(currency) == digits
    assert smallest_unit(currency) == Decimal(unit)


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("0.005", "EUR", "0.01"),
        ("-0.005", "EUR", "-0.01"),
        ("0.0049999", "EUR", "0.00"),
        ("1234.5", "JPY", "1235"),
        ("1.0005", "KWD", "1.001"),
        ("2.675", "EUR", "2.68"),
        ("123456789012345678.004999999999", "EUR", "123456789012345678.00"),
    ],
)
def test_rounding_is_half_away_from_zero_unless_said(amount: str, currency: str, expected: str) -> None:
    """As an invoice is rounded; 2.675 stays 2.675 until then, and nothing is rounded twice on the way."""
    assert Money.of(amount, currency).rounded() == Money.of(expected, currency)


def test_rounding_takes_another_step_and_rule() -> None:
    """Swiss cash is paid in steps of 0.05."""
    amount = Money.of("12.375", "CHF")
    assert amount.rounded(Decimal("0.05")).amount == Decimal("12.40")
    assert amount.rounded(rounding=ROUND_DOWN).amount == Decimal("12.37")
    assert Money.of("0.125", "EUR").rounded(rounding=ROUND_HALF_EVEN).amount == Decimal("0.12")
    assert round_to(Decimal("7"), Decimal("3")) == 6


@given(AMOUNTS, CURRENCIES)
@example(Decimal("999999999999999999.999999999999"), "CLF")
def test_rounding_moves_at_most_half_a_unit_and_is_final(amount: Decimal, currency: str) -> None:
    """A second rounding changes nothing."""
    money = Money(amount, currency)
    once = money.rounded()
    assert once.rounded() == once
    assert 2 * abs((once - money).amount) <= smallest_unit(currency)
    assert once.amount % smallest_unit(currency) == 0


@given(AMOUNTS, CURRENCIES)
def test_text_and_back_is_the_same_money(amount: Decimal, currency: str) -> None:
    """Kept in the store as text: no digit and no currency may be lost."""

    class Held(BaseModel):
        money: Money

    money = Money(amount, currency)
    assert Money.parse(str(money)) == money
    assert Held.model_validate_json(Held(money=money).model_dump_json()).money == money


@pytest.mark.parametrize("value", [1, 1.5, "1.50", "1.50 eur", {"amount": "1", "currency": "EUR"}, None])
def test_a_model_takes_money_only_with_its_currency(value: Any) -> None:
    """case: F28 - a bare amount in a stored state is refused, not given some currency."""

    class Held(BaseModel):
        money: Money

    with pytest.raises((ValueError, TypeError, AttributeError)):
        Held.model_validate({"money": value})


@given(AMOUNTS, st.lists(AMOUNTS, min_size=1, max_size=6), CURRENCIES)
def test_a_difference_is_spread_without_loss(difference: Decimal, over: list[Decimal], currency: str) -> None:
    """The parts sum to what was spread, and it lies on the largest amount."""
    amounts = [Money(a, currency) for a in over]
    parts = spread(Money(difference, currency), amounts)
    assert total(parts, currency) == Money(difference, currency)
    at = [n for n, part in enumerate(parts) if part]
    assert len(at) <= 1
    assert all(abs(amounts[n].amount) == max(abs(a) for a in over) for n in at)


def test_nothing_is_spread_over_nothing() -> None:
    """An order without lines has no place for a difference."""
    assert spread(Money.of("0.01", "EUR"), []) == []


def test_truth_is_whether_there_is_money() -> None:
    """Nought is nothing, in any notation."""
    assert not Money.of("0.00", "EUR")
    assert Money.of("-0.01", "EUR")
