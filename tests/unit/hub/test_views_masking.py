"""Of a person nothing is shown to who may not see it: whatever the field is called, and in whatever text it stands."""

from __future__ import annotations

import json
import string
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import order

from counterfoil.hub.views.masking import DOTS, mask, personal
from counterfoil.retail.party import Address, Customer

WORDS = st.text(string.ascii_letters + "éüß", min_size=4, max_size=12)
EMAILS = st.builds("{}.{}@mail.example".format, WORDS, WORDS)
PHONES = st.builds("+49 {} {}".format, st.integers(100, 999), st.integers(1_000_000, 9_999_999))
PEOPLE = st.builds(
    Address,
    name=st.builds("{} {}".format, WORDS, WORDS),
    company=WORDS,
    street=st.builds("{} {}".format, WORDS, st.integers(100, 9999)),
    city=WORDS,
    postcode=st.integers(10_000, 99_999).map(str),
    country=st.just("FR"),
    phone=PHONES,
    email=EMAILS,
)


def shown(value: Any) -> str:
    """All that is left to read."""
    return json.dumps(value, ensure_ascii=False).casefold()


@given(person=PEOPLE, note=st.builds("{} {}".format, WORDS, WORDS), before=WORDS)
def test_nothing_of_an_address_survives_in_a_state_or_in_what_is_said_about_it(
    person: Address, note: str, before: str
) -> None:
    customer = Customer(id="12", email=person.email, name=person.name, company=person.company, phone=person.phone)
    state = order().model_copy(update={"billing": person, "customer": customer, "note": note}).model_dump(mode="json")
    said = f"{before}: {person.name} ({person.email}), {person.street} in {person.city}: ring {person.phone}."
    seen = shown(mask({"state": state, "said": [said, {said: said}]}, False))
    fields = [value for value in person.model_dump().values() if value not in ("", "FR")]
    others = shown(mask({"said": before}, False)) + shown(order().model_dump(mode="json"))
    for text in [*fields, note, *person.email.split("@")[0].split("."), *person.name.split()]:
        assert text.casefold() not in seen or text.casefold() in others
    assert "mug" in seen, "what is nobody's stays"


@given(person=PEOPLE)
def test_who_may_see_it_sees_all_of_it(person: Address) -> None:
    state = {"billing": person.model_dump(), "said": f"ring {person.phone}"}
    assert mask(state, True) == state


def test_what_is_left_tells_people_apart_no_more_than_need_be() -> None:
    billing = {"name": "Ada King Lovelace", "email": "ada@mail.example", "phone": "020 7946 0000", "country": "GB"}
    assert mask({"billing": billing}, False)["billing"] == {
        **{"name": "A. K. L.", "email": f"a{DOTS}@mail.example", "phone": DOTS, "country": "GB"}
    }


def test_names_of_articles_are_no_names_of_people() -> None:
    product = {"name": "Ada mug", "variants": [{"sku": "ADA-1", "name": "blue"}]}
    assert mask(product, False) == product
    assert personal(product) == set()
