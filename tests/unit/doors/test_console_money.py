"""How the console writes amounts: exact, and with the digits of their currency."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.doors.console.money import amount
from counterfoil.retail.money import minor_units


@given(value=st.decimals(-(10**15), 10**15, places=4), currency=st.sampled_from(["EUR", "JPY", "KWD"]))
def test_no_digit_is_lost_and_none_of_the_currency_is_missing(value: Decimal, currency: str) -> None:
    shown, code = amount(value, currency).split(" ")
    assert (Decimal(shown.replace(",", "")), code) == (value, currency)
    assert len(shown.partition(".")[2]) >= minor_units(currency)


@pytest.mark.parametrize(
    ("value", "currency", "shown"),
    [("1234.5", "EUR", "1,234.50 EUR"), ("3000", "JPY", "3,000 JPY"), ("2", "KWD", "2.000 KWD")],
)
def test_amounts_read_as_people_write_them(value: str, currency: str, shown: str) -> None:
    assert amount(Decimal(value), currency) == shown
