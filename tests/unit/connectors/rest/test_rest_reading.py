"""Records of a JSON API in the retail language: canonical JSON, mapped fields, times of any zone."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.connectors.overlay import Dialect
from counterfoil.connectors.rest.reading import Shape, changed_at, decode, raw_of, records_in
from counterfoil.connectors.rest.writing import known, merged, only
from counterfoil.hub.contract import BadPayload, Raw
from counterfoil.retail.availability import Policy
from counterfoil.retail.party import Account
from counterfoil.retail.product import Product, StockLevel

SHAPE = Shape({"customer": "/accounts", "product": "/products", "stock": "/stock"})
AT = "2026-11-01T10:00:00Z"


def read(kind: str, record: dict[str, Any], shape: Shape = SHAPE, **mapped: str) -> Any:
    dialect = Dialect("crm", fields={kind: mapped})
    return decode(shape, "crm", raw_of(shape, kind, {"updated_at": AT, **record}), dialect)


def test_canonical_json_is_taken_field_by_field() -> None:
    """A system that speaks the retail language needs no mapping."""
    record = {"id": 7, "customer": {"name": "Anna", "phone": 5551}, "billing": {"city": "Porto", "country": "PT"}}
    state: Account = read("customer", record).state
    assert (state.id, state.customer.name, state.customer.phone) == ("7", "Anna", "5551")
    assert (state.billing.city, state.shipping.city, state.canonical_id) == ("Porto", "", "crm:customer:7")


def test_mapped_fields_are_found_where_the_blueprint_says() -> None:
    """Own names, nested, and a field of the retailer's own; what is not mapped stays canonical."""
    record = {"id": "A", "contact": {"tel": "1"}, "mail": " a@b.test ", "tier": "gold", "shipping": {"city": "Faro"}}
    state: Account = read(
        "customer", record, phone="contact.tel", email="mail", **{"extra.tier": "tier", "billing.city": "shipping.city"}
    ).state
    assert (state.customer.phone, state.customer.email, state.extra) == ("1", "a@b.test", {"tier": "gold"})
    assert (state.billing.city, state.shipping.city) == ("Faro", "Faro")


def test_a_simple_product_is_its_own_variant_to_the_cent() -> None:
    """19.90 as a JSON number is 19.90, not a float."""
    body = b'{"id": 3, "name": "N", "sku": "S", "price": 19.90, "currency": "EUR", "cat": "A/ B"}'
    state = decode(
        SHAPE, "crm", Raw("product", "3", body), Dialect("crm", fields={"product": {"category": "cat"}})
    ).state
    assert isinstance(state, Product)
    (variant,) = state.variants
    assert variant.price
    assert (variant.sku, str(variant.price.amount), state.category) == ("S", "19.90", ("A", "B"))


def test_stock_by_number_or_by_places() -> None:
    """One number is one warehouse called like the system; places are taken as they are."""
    one: StockLevel = read("stock", {"id": "S1", "free": 4}, on_hand="free").state
    assert (one.sku, one.places[0].warehouse, one.to_sell(Policy())) == ("S1", "crm", 4)
    places = [{"warehouse": "A", "on_hand": "5", "outgoing": "2"}, {"warehouse": "B", "on_hand": "1"}]
    two: StockLevel = read("stock", {"id": "x", "sku": "S2", "places": places}).state
    assert (two.sku, two.to_sell(Policy())) == ("S2", 4)


@pytest.mark.parametrize(
    ("kind", "record", "mapped", "reason"),
    [
        ("stock", {"id": "S"}, {}, "no_quantity"),
        ("stock", {"id": "S", "on_hand": "many"}, {}, "unfit"),
        ("stock", {"id": "S", "on_hand": 1}, {"extra.bin": "id"}, "mapping_failed"),
        ("product", {"id": "S", "name": "N", "price": "1"}, {}, "unfit"),
        ("product", {"id": "S", "variants": [{"sku": "A"}]}, {}, "unfit"),
        ("product", {"id": "S", "name": "N", "variants": [{"id": "v", "sku": "A", "price": {"a": 1}}]}, {}, "unfit"),
        ("customer", {"id": "S", "tags": ["a"]}, {"phone": "tags"}, "mapping_failed"),
        ("customer", {"id": "S", "customer": {"name": ["a"]}}, {}, "unfit"),
        ("customer", {"id": "S", "updated_at": "soon"}, {}, "bad_time"),
        ("customer", {"id": "S", "deleted": True}, {}, "deleted"),
    ],
)
def test_what_cannot_be_read_is_said_so(kind: str, record: dict[str, Any], mapped: dict[str, str], reason: str) -> None:
    """Each has a reason and words."""
    with pytest.raises(BadPayload) as raised:
        read(kind, record, **mapped)
    assert raised.value.reason == reason
    assert raised.value.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    "id",
    "updated_at",
    "customer",
    "billing",
    "sku",
    "price",
    "currency",
    "variants",
    "places",
    "on_hand",
    "extra",
)


@given(st.sampled_from(["customer", "product", "stock"]), st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_record_is_read_or_refused_in_words(kind: str, record: dict[str, Any]) -> None:
    """No body makes the decoder break."""
    with contextlib.suppress(BadPayload):
        assert decode(SHAPE, "crm", Raw(kind, "1", json.dumps(record).encode())).kind == kind


START, END = (datetime(year, 1, 2) for year in (1971, 2100))  # noqa: DTZ001


@given(st.datetimes(START, END), st.integers(-840, 840))
def test_one_moment_is_one_version_whatever_zone_it_is_told_in(moment: datetime, offset: int) -> None:
    """Versions of one object are compared as text: they must not depend on the zone."""
    utc = moment.replace(tzinfo=UTC)
    told = utc.astimezone(timezone(timedelta(minutes=offset)))
    versions = {read("customer", {"id": 1, "updated_at": t.isoformat()}).version for t in (utc, told)}
    assert versions == {utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}


def test_times_without_a_zone_and_times_as_numbers() -> None:
    """Bare times are in the declared zone; seconds and milliseconds since 1970 are told apart."""
    shape = Shape(zone=ZoneInfo("Europe/Paris"))
    assert changed_at(shape, {"updated_at": "2026-07-01T12:00:00"}) == datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert changed_at(shape, {"updated_at": 1_700_000_000}) == changed_at(shape, {"updated_at": 1_700_000_000_000})
    assert changed_at(shape, {}) is None


@pytest.mark.parametrize(
    ("answer", "count"),
    [([{"id": 1}], 1), ({"items": [{"id": 1}, {"id": 2}]}, 2), ({"rows": []}, None), ({"data": [1]}, None), ("", None)],
)
def test_the_list_of_an_answer(answer: Any, count: int | None) -> None:
    """Bare or under a usual name; anything else is no list."""
    found = records_in(SHAPE, answer)
    assert (None if found is None else len(found)) == count
    assert records_in(Shape(list="rows"), {"rows": [], "data": [{}]}) == []


def test_only_owned_places_of_a_state_are_kept() -> None:
    """Of lists the ids stay, so that they can be merged with what stands there."""
    state = {"customer": {"name": "A", "phone": "1"}, "variants": [{"id": "v", "sku": "S", "price": 2}], "x": 1}
    assert only(state, ["customer.phone", "variants.*.price"]) == {
        "customer": {"phone": "1"},
        "variants": [{"id": "v", "price": 2}],
    }


def test_merging_leaves_what_is_not_ours() -> None:
    """Field by field, things in lists by their ids; nothing empty is written over anything."""
    there = {"id": "7", "note": "theirs", "customer": {"name": "Old", "vat": "V"}, "variants": [{"id": "v", "bin": 4}]}
    ours = known(
        {"customer": {"name": "New", "vat": "", "phone": None}, "variants": [{"id": "v", "price": Decimal(0)}]}
    )
    assert merged(there, ours) == {
        "id": "7",
        "note": "theirs",
        "customer": {"name": "New", "vat": "V"},
        "variants": [{"id": "v", "bin": 4, "price": Decimal(0)}],
    }
