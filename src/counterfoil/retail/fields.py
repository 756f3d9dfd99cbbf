"""The fields of an object that can have an owner of their own, by the names people use, and where a state holds them.

An object has one more field, called like its kind: the thing itself. It stands for what is no field (a product's
variants and SKUs), and who owns it makes new ones. Orders and stock have only that one: they are told whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from counterfoil.retail.entity import Entity
from counterfoil.retail.party import Address, Customer, normal_email, normal_phone, normal_vat
from counterfoil.retail.product import Product, Variant

Paths = tuple[tuple[str, ...], ...]
"""Where a field stands in a state, its own place first. `*` is each variant."""
State = Mapping[str, Any]
"""An entity as JSON."""

_ITSELF: Paths = tuple((name,) for name in Entity.model_fields)
_KEYS = {"system", "id", *Entity.model_fields}


def _customer() -> dict[str, Paths]:
    """The customer's own data; of the billing address only the place: whom to call there is the customer's."""
    person = [name for name in Customer.model_fields if name not in _KEYS]
    both = {n: (("customer", n), *([("billing", n)] if n in Address.model_fields else [])) for n in person}
    place = {f"billing.{n}": (("billing", n),) for n in Address.model_fields if n not in person}
    shipping = {f"shipping.{n}": (("shipping", n),) for n in Address.model_fields}
    return {"customer": (("customer", "id"), *_ITSELF), **both, **place, **shipping}


def _product() -> dict[str, Paths]:
    """A field of the variants is one field of the product. What makes them what they are belongs to the thing."""
    itself: Paths = (
        ("tracked",),
        ("kits",),
        *_ITSELF,
        *(("variants", "*", name) for name in ("id", "sku", "options", "active")),
    )
    of_variants = {n for n in Variant.model_fields if ("variants", "*", n) not in itself}
    of_product = set(Product.model_fields) - _KEYS - {"variants", "tracked", "kits", "prices_include_tax"}
    fields: dict[str, Paths] = {"product": itself}
    for name in sorted(of_product | of_variants):
        own: Paths = ((name,),) if name in of_product else ()
        fields[name] = (*own, *([("variants", "*", name)] if name in of_variants else []))
    fields["price"] = (*fields["price"], ("prices_include_tax",))
    return fields


FIELDS: Mapping[str, Mapping[str, Paths]] = {
    "customer": _customer(),
    "product": _product(),
    "order": {"order": ()},
    "stock": {"stock": ()},
}
"""By kind of object, then by field. A part of a field is written `billing.street`."""

_STANDS_FOR: Mapping[tuple[str, str], Paths] = {("customer", "name"): (("customer", "company"), ("customer", "email"))}
"""What a system that must have a value writes where the field itself is empty."""

_NORMAL = {"email": normal_email, "phone": normal_phone, "vat": normal_vat}


def names(kind: str) -> list[str]:
    """What can be given an owner of its own: fields, and fields that have parts, `billing` before `billing.street`."""
    fields = [name for name in FIELDS.get(kind, ()) if name != kind]
    return sorted({*fields, *(whole_of(name) for name in fields)})


def whole_of(field: str) -> str:
    """`billing` of `billing.street`; the field itself where it is no part."""
    return field.partition(".")[0]


def changed(kind: str, before: State, now: State) -> frozenset[str]:
    """The fields (parts, where there are parts) that differ; what no field covers is the thing itself."""
    found = {name for name, paths in FIELDS[kind].items() if _at(before, paths) != _at(now, paths)}
    return frozenset(found or {kind})


def value(kind: str, field: str, state: State) -> Any:
    """What the field says, from its own place; None where nothing is known there."""
    paths = FIELDS[kind][field]
    return next(iter(_at(state, paths[:1])), None) if paths else None


def same(field: str, one: Any, other: Any) -> bool:
    """Whether two systems mean the same: without the ways of writing a telephone number, a space, a state's code."""
    return bool(_normal(field, one) == _normal(field, other))


def says(kind: str, field: str, state: State, found: Any) -> bool:
    """Whether `found` is what `state` says of the field, there or where it has a second place."""
    paths = (*FIELDS[kind][field], *_STANDS_FOR.get((kind, field), ()))
    return any(same(field, each, found) for each in _at(state, paths))


def _normal(field: str, found: Any) -> Any:
    if not isinstance(found, str):
        return found or None
    text = " ".join(found.split())
    if field in _NORMAL:
        text = _NORMAL[field](text)
    return (text.rpartition("-")[2] if field.endswith(".state") else text) or None


def _at(state: Any, paths: Paths) -> list[Any]:
    return [_one(state, path) for path in paths]


def _one(state: Any, path: tuple[str, ...]) -> Any:
    for place, step in enumerate(path):
        if step == "*":
            return {str(each.get("id")): _one(each, path[place + 1 :]) for each in state or ()}
        state = state.get(step) if isinstance(state, Mapping) else None
    return state


# --- what the system that tells owns of it ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Owned:
    """The fields of a told state that are its teller's to set; `fields` None: all of it.

    `field in owned` also holds for a part of an owned field.
    """

    fields: frozenset[str] | None = None

    def __contains__(self, field: str) -> bool:
        return self.fields is None or field in self.fields or whole_of(field) in self.fields

    def at(self, kind: str, *path: str) -> bool:
        """Whether what stands at this place of the state is the teller's: `("customer", "billing", "phone")`."""
        return self.fields is None or any(path in places for name, places in FIELDS[kind].items() if name in self)

    def paths(self, kind: str) -> frozenset[str]:
        """Where they stand in the state, dotted: `customer.phone`."""
        return frozenset(".".join(p) for name, places in FIELDS[kind].items() if name in self for p in places)


ALL = Owned()


def owned_in(data: Mapping[str, Any]) -> Owned:
    """What an event's data names under `owned`; all, where it names nothing."""
    told = data.get("owned")
    return ALL if told is None else Owned(frozenset(map(str, told)))


def shortened(kind: str, owned: Collection[str]) -> list[str]:
    """Sorted names, a field for all of its parts."""

    def short() -> Iterator[str]:
        for name in owned:
            parts = {each for each in FIELDS[kind] if whole_of(each) == whole_of(name)}
            yield whole_of(name) if parts <= set(owned) else name

    return sorted(set(short()))
