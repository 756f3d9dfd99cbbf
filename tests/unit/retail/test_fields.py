"""The fields that can have an owner: they cover the entities, and two ways of writing are one value."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from counterfoil.retail.entity import Entity
from counterfoil.retail.fields import ALL, FIELDS, Owned, changed, names, owned_in, same, says, shortened, value
from counterfoil.retail.party import Account, Address, Customer
from counterfoil.retail.product import Product, Variant

PERSON = Customer(id="1", name="Anna", email="a@example.test", phone="+33 1 23", vat="FR 12", company="Firm")
PLACE = Address(name="Anna", street="1 High St", city="Paris", state="FR-75", country="FR", phone="+33 1 23")
ACCOUNT = Account(system="shop", id="1", customer=PERSON, billing=PLACE)


def leaves(model: type[BaseModel], *above: str) -> set[tuple[str, ...]]:
    return {(*above, name) for name in model.model_fields}


def test_every_part_of_a_customer_and_a_product_belongs_to_one_field() -> None:
    """A field that is added to an entity must be given to somebody: else its changes would be nobody's."""
    customer = leaves(Customer, "customer") | leaves(Address, "billing") | leaves(Address, "shipping") | leaves(Entity)
    variants = leaves(Variant, "variants", "*")
    own = {(name,) for name in Product.model_fields} - {("system",), ("id",), ("variants",)}
    for kind, parts in (("customer", customer), ("product", variants | own)):
        placed = [path for paths in FIELDS[kind].values() for path in paths]
        assert len(placed) == len(set(placed))
        assert set(placed) == parts


def test_names_are_what_people_say() -> None:
    assert {"name", "phone", "vat", "billing", "billing.street", "shipping", "shipping.phone"} <= set(names("customer"))
    assert {"price", "sale", "description", "category", "image", "weight", "gtin"} <= set(names("product"))
    assert "billing.phone" not in names("customer")
    assert (names("order"), names("stock"), names("parcel")) == ([], [], [])


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("customer.phone", "2", {"phone"}),
        ("billing.phone", "2", {"phone"}),
        ("billing.street", "2", {"billing.street"}),
        ("shipping.name", "2", {"shipping.name"}),
        ("system", "crm", {"customer"}),
    ],
)
def test_what_changed_is_told_by_field(path: str, text: str, expected: set[str]) -> None:
    before, now = ACCOUNT.model_dump(mode="json"), ACCOUNT.model_dump(mode="json")
    place: Any = now
    *above, last = path.split(".")
    for step in above:
        place = place[step]
    place[last] = text
    assert changed("customer", before, now) == expected


def test_a_field_of_the_variants_is_one_field_of_the_product() -> None:
    def product(weight: str, sku: str = "A") -> dict[str, Any]:
        variants = (Variant(id="1", sku=sku, weight=weight), Variant(id="2", sku="B"))  # type: ignore[arg-type]
        return Product(system="odoo", id="7", name="Mug", variants=variants).model_dump(mode="json")

    assert changed("product", product("1"), product("2")) == {"weight"}
    assert changed("product", product("1"), product("1", "C")) == {"product"}


@pytest.mark.parametrize(
    ("field", "one", "other", "alike"),
    [
        ("phone", "+33 1-23", "0033123", True),
        ("email", "A@Example.test ", "a@example.test", True),
        ("vat", "fr 12.3", "FR123", True),
        ("billing.state", "FR-75", "75", True),
        ("name", "Anna  Meier", "Anna Meier", True),
        ("name", "anna", "Anna", False),
        ("phone", "", None, True),
        ("phone", "1", "2", False),
    ],
)
def test_two_ways_of_writing_mean_the_same(field: str, one: Any, other: Any, alike: bool) -> None:
    assert same(field, one, other) is alike


def test_a_state_says_a_field_in_each_place_it_has() -> None:
    state = ACCOUNT.model_dump(mode="json") | {"billing": {"phone": "9"}}
    assert says("customer", "phone", state, "9")
    assert says("customer", "name", state, "Firm")  # what a system writes that must have a name
    assert not says("customer", "phone", state, "8")
    assert value("customer", "billing.city", {"billing": None}) is None


def test_owning_a_field_is_owning_its_parts() -> None:
    owned = owned_in({"owned": ["billing", "phone"]})
    assert ("billing.street" in owned, "phone" in owned, "name" in owned) == (True, True, False)
    assert (owned.at("customer", "billing", "phone"), owned.at("customer", "billing", "name")) == (True, False)
    assert {"customer.phone", "billing.phone", "billing.city"} <= owned.paths("customer")
    assert owned_in({}) == ALL
    assert owned_in({"owned": []}) == Owned(frozenset())


def test_all_parts_are_written_as_the_whole() -> None:
    billing = [name for name in FIELDS["customer"] if name.startswith("billing.")]
    assert shortened("customer", ["vat", *billing]) == ["billing", "vat"]
    assert shortened("customer", billing[:2]) == sorted(billing[:2])
