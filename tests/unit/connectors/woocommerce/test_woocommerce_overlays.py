"""What a blueprint reads of a shop's bodies itself: fields of plugins, statuses of the shop's own."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from counterfoil.connectors.overlay import PLAIN, Dialect
from counterfoil.connectors.woocommerce.accounts import decode_account
from counterfoil.connectors.woocommerce.tell import shown
from counterfoil.connectors.woocommerce.translate import decode
from counterfoil.hub.contract import BadPayload
from counterfoil.hub.records import state_digest
from counterfoil.retail.order import Order, Status
from counterfoil_sandbox.woocommerce_orders import recorded_orders

PO = "meta_data[?key=='po_number'].value | [0]"


def body(**changes: Any) -> bytes:
    """A recorded order with a purchase order's number among its meta data."""
    found = copy.deepcopy(next(order for order in recorded_orders() if order["id"] == 152))
    found["meta_data"] = [{"id": 1, "key": "po_number", "value": "PO &amp; 7"}, {"id": 2, "key": "gift", "value": True}]
    return json.dumps({**found, **changes}).encode()


def order_of(fields: dict[str, str], **changes: Any) -> Order:
    """What is read with these fields of the blueprint."""
    state = decode("web-eu", body(**changes), Dialect("web-eu", fields={"order": fields})).state
    assert isinstance(state, Order)
    return state


def test_fields_of_the_shops_own_are_read() -> None:
    """Texts as people see them; parts of an order by a dot; one's own fields under `extra`."""
    more = {"reference": PO, "extra.gift": "meta_data[?key=='gift'].value | [0]", "extra.lines": "length(line_items)"}
    of = order_of({**more, "customer.phone": "'0'", "billing.city": "upper || 'Lyon'"})
    assert of.reference == "PO & 7"
    assert of.extra == {"gift": True, "lines": 2}
    assert (of.customer.phone, of.billing.city) == ("0", "Lyon")
    assert of.model_copy(update={"reference": ""}).lines == order_of({}).lines


def test_what_an_expression_does_not_find_stays_as_the_connector_reads_it() -> None:
    """Nothing is emptied by a row that does not apply."""
    assert order_of({"note": "no.such.thing", "extra.x": "nothing"}) == order_of({})


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("reference", "meta_data", "a list, not to one value"),
        ("reference", "meta_data[?key=='gift'].value | [0]", "true or false"),
        ("extra.x", "abs(number)", "gives abs() a text"),
    ],
)
def test_one_that_does_not_work_is_an_exception_of_that_order(field: str, text: str, words: str) -> None:
    """It names the row of the blueprint, and nothing of what was in the body."""
    with pytest.raises(BadPayload) as bad:
        order_of({field: text})
    assert bad.value.reason == "mapping_failed"
    assert words in bad.value.message
    assert f"mappings: web-eu: order: {field}" in bad.value.suggestion
    assert "PO" not in bad.value.message


@pytest.mark.parametrize(("number", "text"), [("12.50", "12.5"), ("1e999999999", ""), ("1e-999999999", "0")])
def test_numbers_of_any_size_are_read(number: str, text: str) -> None:
    """A body may hold what no computer wants to write out."""
    account = b'{"id": 5, "email": "a@b.example", "points": %s}' % number.encode()
    state: Any = decode_account("web", account, Dialect("web", fields={"customer": {"vat": "points"}})).state
    assert state.customer.vat == text


def test_customers_fields_need_no_part() -> None:
    """`phone` is the customer's own, `billing.phone` that of the address."""
    account = {"id": 5, "email": "a@b.example", "billing": {"phone": ""}, "mobile": "07", "role": "vip"}
    fields = {"phone": "billing.phone || mobile", "extra.tier": "role"}
    state: Any = decode_account("web", json.dumps(account).encode(), Dialect("web", fields={"customer": fields})).state
    assert (state.customer.phone, state.billing.phone, state.extra) == ("07", "", {"tier": "vip"})


# --- what was known before ------------------------------------------------------------------------------------------


def test_a_state_without_fields_of_ones_own_looks_as_it_always_did() -> None:
    """Or every order known before these fields came would be news; and one that has them is another."""
    plain = order_of({})
    assert {"extra", "reference"}.isdisjoint(plain.model_dump(mode="json"))
    assert Order.model_validate(plain.model_dump(mode="json")) == plain
    assert plain.model_dump()["total"] == plain.total, "values stay what they are where no JSON is made"
    told = order_of({"extra.gift": "'yes'", "reference": PO})
    assert Order.model_validate(told.model_dump(mode="json")) == told
    assert len({state_digest(state) for state in (plain, told, order_of({"reference": PO}))}) == 3


# --- statuses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["awaiting-pickup", "wc-awaiting-pickup"])
def test_a_status_of_the_shops_own_means_what_the_blueprint_says(said: str) -> None:
    """With or without WordPress's prefix; both when it is read and when the shop is told of the ERP."""
    dialect = Dialect("web-eu", statuses={"awaiting-pickup": Status.PROCESSING})
    state: Any = decode("web-eu", body(status=said), dialect).state
    assert state.status is Status.PROCESSING
    assert shown({"status": said}, dialect).status == "processing"


def test_one_that_is_not_mapped_suggests_the_row() -> None:
    """To be pasted as it stands, and changed if it means something else."""
    with pytest.raises(BadPayload) as bad:
        decode("web-eu", body(status="wc-awaiting-pickup"), PLAIN)
    assert bad.value.reason == "unknown_status"
    assert "statuses:\n  web-eu:\n    order: {awaiting-pickup: processing}" in bad.value.suggestion
    assert "on_hold" in bad.value.suggestion
