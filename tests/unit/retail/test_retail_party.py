"""The keys by which the same customer, address and event are known again."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conformance.making import PARIS

from counterfoil.retail.events import at_utc, event_id, hashed_ref
from counterfoil.retail.party import Address, Customer, fingerprint, normal_email, normal_phone, normal_vat


@pytest.mark.parametrize(
    ("written", "key"),
    [
        (" Buyer@Shop.Example ", "buyer@shop.example"),
        ("a.b+c@shop.example", "a.b+c@shop.example"),
        (unicodedata.normalize("NFD", "josé@shop.example"), unicodedata.normalize("NFC", "josé@shop.example")),
        ("", ""),
    ],
)
def test_email_keys(written: str, key: str) -> None:
    """case: F34 - one customer, however the address is typed; dots and tags may be another person's."""
    assert normal_email(written) == key


@pytest.mark.parametrize(
    ("written", "key"), [("fr 40 303.265-045", "FR40303265045"), ("FR40303265045", "FR40303265045"), ("", "")]
)
def test_vat_keys(written: str, key: str) -> None:
    """case: F34 - spaces, dots and dashes say nothing."""
    assert normal_vat(written) == key


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("+33 1 02-03.04", "+331020304"),
        ("0033 1 020304", "+331020304"),
        ("(01) 02 03 04", "01020304"),
        ("", ""),
    ],
)
def test_phone_keys(written: str, key: str) -> None:
    """case: F34 - an international prefix is one, however written; national numbers stay national."""
    assert normal_phone(written) == key


@given(st.lists(st.text(max_size=12), min_size=1, max_size=5))
def test_fingerprints_ignore_case_and_spacing_but_not_places(parts: list[str]) -> None:
    """The same text in another field is another thing."""
    loud = [f"  {part.upper().lower()} " for part in parts]
    assert fingerprint(*loud) == fingerprint(*(part.upper().lower() for part in parts))
    assert fingerprint("", *parts) != fingerprint(*parts)


def test_addresses_are_the_same_when_typed_differently() -> None:
    """Case, spacing and Unicode form; a phone number is not part of a place."""
    again = PARIS.model_copy(update={"street": " 1  RUE de la paix ", "phone": ""})
    assert again.fingerprint == PARIS.fingerprint
    assert PARIS.model_copy(update={"postcode": "75003"}).fingerprint != PARIS.fingerprint
    assert Address(name="x", company="y", phone="1", email="a@b.example").is_empty
    assert not Address(country="FR").is_empty


def test_a_guest_has_no_account() -> None:
    """An id is an account at the shop."""
    assert Customer().is_guest
    assert not Customer(id="7").is_guest


def test_the_same_fact_has_the_same_id() -> None:
    """case: F04 - and another one another id; parts cannot run into each other."""
    assert event_id("web", "order.placed", "s") == event_id("web", "order.placed", "s")
    assert event_id("web", "order.placed", "s") != event_id("web", "order.placed", "s", "1")
    assert event_id("ab", "c", "d") != event_id("a", "bc", "d")


def test_personal_keys_are_unreadable_and_found_again() -> None:
    """Who knows the address finds it, who reads the table learns nothing."""
    assert hashed_ref(" Buyer@Shop.Example") == hashed_ref("buyer@shop.example")
    assert "buyer" not in hashed_ref("buyer@shop.example")


def test_seconds_become_utc() -> None:
    """UTC inside."""
    assert at_utc(0).isoformat() == "1970-01-01T00:00:00+00:00"
