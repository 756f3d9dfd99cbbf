"""The form in which two keys are compared: check digits, countries, and what identifies nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.retail.keys import folded, key_of, phone_key, vat_key


@pytest.mark.parametrize(
    ("written", "country", "expected"),
    [
        ("FR 23 334 175 221", "", "FR23334175221"),
        ("23334175221", "FR", "FR23334175221"),  # as shops ask for it: without its country
        ("23334175221", "", "23334175221"),  # whose it is nobody knows
        ("FR23334175222", "FR", ""),  # the check digits are others
        ("DE136695976", "FR", "DE136695976"),  # who lives in France may have a German number
        ("EL094259216", "", "GR094259216"),
        ("094259216", "GR", "GR094259216"),
        ("12345", "US", "12345"),  # no rule is known
        ("00000000000", "FR", ""),
        ("n/a", "FR", ""),
        ("", "FR", ""),
    ],
)
def test_a_vat_number_is_one_only_with_its_check_digits(written: str, country: str, expected: str) -> None:
    """case: F34"""
    assert vat_key(written, country) == expected


@pytest.mark.parametrize(
    ("written", "country", "expected"),
    [
        ("06 12 34 56 78", "FR", "+33612345678"),
        ("+33 (0)6 12 34 56 78", "", "+33612345678"),
        ("0033 6 12 34 56 78", "DE", "+33612345678"),
        ("06 12 34 56 78", "", "0612345678"),  # national stays national
        ("030 123456", "DE", "+4930123456"),
        ("030 123456 ext. 12", "DE", "+4930123456;12"),  # one switchboard, another person
        ("112", "FR", "112"),
        ("call me", "FR", ""),
        ("+", "", ""),
    ],
)
def test_a_telephone_number_is_one_of_its_country(written: str, country: str, expected: str) -> None:
    """case: F34"""
    assert phone_key(written, country) == expected


@given(
    st.sampled_from(["vat", "phone", "email", "gtin", "sku"]), st.text(max_size=30), st.sampled_from(["", "FR", "x"])
)
def test_whatever_is_written_there_is_a_key_or_none_and_it_stays_itself(kind: str, text: str, country: str) -> None:
    key = key_of(kind, text, country)
    if ";" not in key:  # an extension is written in another way than it is read
        assert key_of(kind, key, country) in (key, "")


@pytest.mark.parametrize(
    ("one", "other"),
    [("Müller, José", "jose muller"), ("12 rue de la Paix", "RUE DE LA PAIX 12"), ("Hauptstraße", "hauptstrasse")],
)
def test_names_are_compared_without_their_ways_of_writing(one: str, other: str) -> None:
    assert folded(one) == folded(other)
