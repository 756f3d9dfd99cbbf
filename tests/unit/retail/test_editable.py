"""Which values may be corrected: text that names, never what is counted; and what fits there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.probing import changed, leaves

from counterfoil.retail import editable
from counterfoil.retail.editable import CannotCorrect
from counterfoil.retail.order import Order
from counterfoil.retail.party import Account

PLACE = {"name": "Ada L", "street": "1 rue Haute", "city": "Paris", "country": "FR", "phone": "+33 1 23 45 67 89"}
ORDER: dict[str, Any] = {
    **{"system": "web", "id": "1", "number": "N1", "status": "processing", "currency": "EUR"},
    **{"placed_at": "2026-11-02T09:00:00Z", "modified_at": "2026-11-02T10:00:00Z"},
    **{"customer": {"id": "7", "email": "ada@example.org", "vat": "FR123"}, "billing": PLACE, "shipping": PLACE},
    "lines": [
        {"id": "11", "kind": "product", "name": "Mug", "sku": "MUG", "net": "10.00 EUR", "taxes": taxes}
        | {"quantity": "2", "product_id": "5"}
        for taxes in ([{"code": "1", "amount": "2.00 EUR"}], [])
    ],
    "rates": [{"code": "1", "percent": "20", "country": "FR"}, {"code": "2", "percent": "10"}],
    "discounts": [{"code": "SALE", "net": "1.00 EUR", "tax": "0.20 EUR"}],
    "payments": [{"method": "card", "amount": "22.00 EUR", "paid_at": "2026-11-02T09:30:00Z"}],
    "refunds": [{"id": "1", "amount": "1.00 EUR", "reason": "broken"}],
    **{"total": "22.00 EUR", "tax_told": "2.00 EUR", "rounding": "0.00 EUR"},
    "extra": {"gift": "yes", "points": 3},
}
ORDER["lines"][1]["id"] = "12"
STATE = Order.model_validate(ORDER).model_dump(mode="json")
PATHS = sorted(editable.values("order", STATE))


@given(st.lists(st.sampled_from(PATHS), unique=True), st.text("abc ", min_size=1, max_size=5))
def test_a_correction_changes_the_values_it_names_and_nothing_else(paths: list[str], text: str) -> None:
    before = editable.values("order", STATE)
    there = {path: (before[path], text + "!") for path in paths}
    now = editable.corrected("order", STATE, there)
    known, new = dict(leaves(STATE)), dict(leaves(now))
    assert len([each for each in new if new[each] != known.get(each)]) == len(paths)
    assert editable.values("order", now) == before | dict.fromkeys(paths, text + "!")
    back = {path: (becomes, was) for path, (was, becomes) in there.items()}
    assert editable.values("order", editable.corrected("order", now, back)) == before
    assert editable.corrected("order", now, there) == now  # another value stands there: it is left


def test_nothing_that_is_counted_and_nothing_that_identifies_can_be_corrected() -> None:
    """Each value of an order is probed: what moves something that can be corrected is text that names."""
    kept = set()
    for path, value in leaves(STATE):
        moved = editable.values("order", changed(STATE, path, "probe")) != editable.values("order", STATE)
        if not moved or not isinstance(value, str):
            kept.add(str(path[-1]))
    assert kept >= {"total", "net", "amount", "quantity", "percent", "currency", "tax_told", "rounding", "kind", "tax"}
    assert kept >= {"system", "number", "status", "placed_at", "modified_at", "paid_at", "prices_include_tax", "points"}
    assert not kept & {"email", "vat", "street", "country", "sku", "method", "gift", "tax_class", "note"}
    assert "refunds.1.reason" not in PATHS


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (
            "total",
            "1.00 EUR",
            "amounts, quantities, tax rates or another currency .* Change it in web",
        ),
        ("lines.11.quantity", "2", "amounts, quantities"),
        ("lines.11.taxes.0.amount", "2", "amounts, quantities"),
        ("rates.1.percent", "7", "amounts, quantities"),
        ("currency", "USD", "amounts, quantities"),
        ("status", "completed", "how it stands"),
        ("customer.id", "8", "is known by"),
        ("billing.contry", "FR", r"There is no 'billing\.contry' in this order\. Near it: billing\.country"),
        ("zzz", "FR", r"There is no 'zzz' in this order\. There is: customer\.email, "),
        ("billing.country", "UK", "ISO 3166 .* it is 'UK'"),
        ("customer.email", "ada", "is an e-mail address"),
        ("customer.phone", "ring me", "is a telephone number"),
        ("customer.vat", "none!", "is a VAT number"),
        ("billing.city", "Par\tis", "cannot be seen"),
        ("billing.city", "Paris\x00", "cannot be seen"),
        ("billing.city", " Paris", "a space"),
        ("lines.11.sku", "", "cannot be empty"),
        ("payments.0.method", "", "cannot be empty"),
        ("billing.street", "x" * 501, "at most 500"),
        ("lines.11.taxes.0.code", "9", "With that the order is none: .*rates it does not list"),
    ],
)
def test_what_cannot_be_is_said_with_the_way_out(path: str, value: str, says: str) -> None:
    with pytest.raises(CannotCorrect, match=says):
        editable.changes_of("order", STATE, {path: value})


def test_what_fits_is_taken() -> None:
    wanted = {"billing.country": "GB", "customer.phone": "", "lines.12.sku": "CUP", "lines.11.taxes.0.code": "2"}
    wanted |= {"extra.gift": "no", "note": "ring\ntwice", "reference": "PO 4", "customer.vat": "DE 123.456-789"}
    changes = editable.changes_of("order", STATE, wanted)
    assert {path: becomes for path, (_, becomes) in changes.items()} == wanted
    now = json.dumps(editable.corrected("order", STATE, changes))
    assert Order.model_validate_json(now).lines[0].taxes[0].code == "2"


def test_alike_is_the_same_value_at_the_same_place_of_any_line() -> None:
    other = json.loads(json.dumps(STATE).replace('"id": "11"', '"id": "91"').replace('"id": "12"', '"id": "92"'))
    here = {"lines.11.sku": ("MUG", "CUP"), "billing.country": ("FR", "DE")}
    same = {"lines.91.sku": ("MUG", "CUP"), "lines.92.sku": ("MUG", "CUP"), "billing.country": ("FR", "DE")}
    assert editable.alike("order", other, here, STATE) == same
    assert editable.alike("order", changed(other, ("billing", "country"), "BE"), here, STATE) == {}


@pytest.mark.parametrize(("key", "value"), [("product_id", "6"), ("product_id", ""), ("kind", "fee")])
def test_a_line_of_another_product_is_not_alike(key: str, value: str) -> None:
    other = changed(STATE, ("lines", 0, key), value)
    for sku in ("MUG", ""):
        here = [changed(changed(each, ("lines", 0, "sku"), sku), ("lines", 1, "sku"), sku) for each in (STATE, other)]
        assert list(editable.alike("order", here[1], {"lines.11.sku": (sku, "CUP")}, here[0])) == ["lines.12.sku"]


def test_a_correction_with_which_the_order_would_be_none_is_left_out() -> None:
    gone = changed(STATE, ("rates", 1, "code"), "3")  # the rate that it was corrected to is not listed any more
    changes = {"lines.11.taxes.0.code": ("1", "2"), "note": ("", "ring")}
    assert editable.fitting("order", gone, changes) == editable.corrected("order", gone, {"note": ("", "ring")})
    assert editable.fitting("order", STATE, changes) == editable.corrected("order", STATE, changes)


def test_a_customer_s_master_data_can_be_corrected_too() -> None:
    account = Account.model_validate({"system": "web", "id": "7", "customer": ORDER["customer"], "billing": PLACE})
    state = account.model_dump(mode="json")
    changes = editable.changes_of("customer", state, {"customer.email": "bea@example.org"})
    assert changes == {"customer.email": ("ada@example.org", "bea@example.org")}
    with pytest.raises(CannotCorrect, match="is known by"):
        editable.changes_of("customer", state, {"customer.id": "8"})
