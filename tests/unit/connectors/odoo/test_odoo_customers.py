"""By which keys a customer is known again: the declared ones, in the declared order, never a name."""

from __future__ import annotations

import pytest
from tests.conformance.making import PARIS, order

from counterfoil.connectors.odoo.customers import external_id, keys
from counterfoil.retail.order import Order

ALL = ("email", "vat", "phone")
WHOLE = order(
    "1", email=" Buyer@Shop.example", customer={"vat": "fr 40 303 265 045", "phone": "0033 1 020304", "id": "7"}
)


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (("email",), [("email", "buyer@shop.example")]),
        (("vat", "email"), [("vat", "FR40303265045"), ("email", "buyer@shop.example")]),
        (("phone",), [("phone", "+331020304")]),
        (ALL, [("email", "buyer@shop.example"), ("vat", "FR40303265045"), ("phone", "+331020304")]),
        ((), []),
    ],
)
def test_keys_by_the_declared_rules(match: tuple[str, ...], expected: list[tuple[str, str]]) -> None:
    """case: F34 - normalised, in the blueprint's order."""
    assert keys(WHOLE, match) == expected


def test_the_billing_address_steps_in() -> None:
    """case: F34 - a guest's e-mail and phone stand there."""
    guest = order("1", email="", billing=PARIS.model_copy(update={"email": "Guest@shop.example"}))
    assert keys(guest, ALL) == [("email", "guest@shop.example"), ("phone", "+331020304")]


@pytest.mark.parametrize(
    "again",
    [
        order("2", email="BUYER@shop.example "),
        order("2", email="buyer@shop.example", customer={"id": "99", "name": "Another Name"}),
        order("2", email="buyer@shop.example", system="other-shop"),
    ],
    ids=["typed differently", "registered later", "in another shop"],
)
def test_the_same_customer_has_the_same_external_id(again: Order) -> None:
    """case: F34 - repeat orders, a guest who registers, a second shop: one customer."""
    first = order("1", email="buyer@shop.example")
    assert external_id(again, ("email",)) == external_id(first, ("email",))


def test_another_key_is_another_customer() -> None:
    """case: F36 - the same name says nothing."""
    assert external_id(order("1", email="a@shop.example"), ALL) != external_id(order("1", email="b@shop.example"), ALL)


def test_an_order_without_any_key_has_a_customer_of_its_own() -> None:
    """case: F05 - and a repeat of that order finds it again."""
    nobody = order("1", email="", billing=PARIS.model_copy(update={"phone": ""}))
    assert external_id(nobody, ALL) == "counterfoil.web_order_1_customer"
    assert external_id(WHOLE, ()) == "counterfoil.web_order_1_customer"


def test_an_external_id_tells_nothing_of_the_person() -> None:
    """It stands in plain sight in Odoo's exports."""
    assert "buyer" not in external_id(WHOLE, ("email",))
