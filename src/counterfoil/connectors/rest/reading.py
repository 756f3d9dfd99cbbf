"""Records of a JSON API in the retail language: canonical JSON field by field, or as the blueprint maps it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

from pydantic import ValidationError

from counterfoil.connectors.overlay import EXTRA, PLAIN, Dialect, unfit, written
from counterfoil.connectors.rest.mapping import ADDRESSES, ARTICLE, BUYER, KINDS, LEVEL
from counterfoil.hub.contract import BadPayload, Observed, Raw
from counterfoil.retail.entity import Entity
from counterfoil.retail.expression import Scalar
from counterfoil.retail.party import Account
from counterfoil.retail.product import Product, StockLevel

MILLISECONDS = 10**11
"""From here on a number is no count of seconds: it would be after the year 5138."""
_LISTS = ("data", "items", "records", "results", "value")


@dataclass(frozen=True, slots=True)
class Shape:
    """How one API is built: the paths of its records, the names of its fields and parameters. `zone` is of bare times.

    Without `since` it cannot be asked for changes: then everything is read each time. `reads` are the kinds that are
    read of it; `email` asks for the customers of an e-mail address.
    """

    paths: Mapping[str, str] = field(default_factory=dict)
    id: str = "id"
    changed: str = "updated_at"
    since: str = "updated_since"
    page: str = "page"
    size: str = "per_page"
    per_page: int = 100
    query: Mapping[str, str] = field(default_factory=dict)
    list: str = ""
    zone: tzinfo = UTC
    reads: frozenset[str] = frozenset(KINDS)
    email: str = ""


def records_in(shape: Shape, answer: Any) -> list[dict[str, Any]] | None:
    """The records of a list's answer; None where there are none to be found."""
    found = answer
    if isinstance(answer, dict):
        names = [shape.list] if shape.list else [name for name in _LISTS if isinstance(answer.get(name), list)]
        found = answer.get(names[0]) if len(names) == 1 else None
    return found if isinstance(found, list) and all(isinstance(each, dict) for each in found) else None


def raw_of(shape: Shape, kind: str, record: Mapping[str, Any]) -> Raw:
    """The receipt of a record, the same bytes whether it was polled or sent. Raises BadPayload without an id."""
    return Raw(kind, id_of(shape, record), json.dumps(record, separators=(",", ":"), sort_keys=True).encode())


def id_of(shape: Shape, record: Mapping[str, Any]) -> str:
    """The record's id as text. Raises BadPayload."""
    found = record.get(shape.id)
    if isinstance(found, bool) or not isinstance(found, str | int) or not str(found).strip():
        raise BadPayload("no_id", f"A record has no {shape.id}.", "Say with id_field which field is the record's id.")
    return str(found).strip()


def changed_at(shape: Shape, record: Mapping[str, Any]) -> datetime | None:
    """When the record was changed last (UTC); None where it does not say. Raises BadPayload."""
    found = record.get(shape.changed)
    if found in (None, ""):
        return None
    try:
        if isinstance(found, int | float) and not isinstance(found, bool):
            return datetime.fromtimestamp(found / 1000 if found >= MILLISECONDS else found, UTC)
        told = datetime.fromisoformat(str(found))
        return (told if told.tzinfo else told.replace(tzinfo=shape.zone)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        words = f"A record's {shape.changed} is no date and time: {str(found)[:40]!r}."
        raise BadPayload(
            "bad_time", words, "Say with changed_field which field is the time of its last change."
        ) from None


def decode(shape: Shape, system: str, raw: Raw, dialect: Dialect = PLAIN) -> Observed:
    """The record as an Account, Product or StockLevel; its version is its time in UTC. Raises BadPayload."""
    record = _record(raw.body)
    id_, changed = id_of(shape, record), changed_at(shape, record)
    if record.get("deleted") is True:
        raise BadPayload("deleted", f"{system} says that {raw.kind} {id_} was deleted.")
    own = written(dialect, raw.kind, record)  # expressions see numbers as numbers
    exact = json.loads(raw.body, parse_float=str)
    try:
        state: Entity
        if raw.kind == "customer":
            state = _account(system, id_, exact, own, changed)
        elif raw.kind == "product":
            state = _product(system, id_, exact, own)
        else:
            state = _level(system, id_, exact, own)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        words = f"{system}: the {raw.kind} {id_} cannot be read: {where}: {error.errors()[0]['msg']}."
        raise BadPayload(
            "unfit", words, f"Put it right there, or map it under mappings: {system}: {raw.kind}."
        ) from None
    version = changed.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if changed else ""
    return Observed(raw.kind, id_, version, state)


def _record(body: bytes) -> dict[str, Any]:
    try:
        record = json.loads(body)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise BadPayload("not_a_record", "What was sent is no JSON object.")
    return record


def _account(
    system: str, id_: str, body: Mapping[str, Any], own: Mapping[str, Scalar], changed: datetime | None
) -> Account:
    parts: dict[str, dict[str, Any]] = {part: {} for part in ("customer", "billing", "shipping")}
    for name in (*(f"customer.{name}" for name in BUYER), *ADDRESSES):
        part, _, name = name.partition(".")
        within = body.get(part)
        found = own.get(name if part == "customer" else f"{part}.{name}")
        found = within.get(name) if found is None and isinstance(within, dict) else found
        if found is not None:
            parts[part][name] = _text(found)
    parts["customer"]["id"] = id_
    return Account.model_validate(
        {"system": system, "id": id_, "modified_at": changed, "extra": _extra(body, own), **parts}
    )


def _product(system: str, id_: str, body: Mapping[str, Any], own: Mapping[str, Scalar]) -> Product:
    base = {**body, "system": system, "id": id_, "extra": _extra(body, own)}
    if isinstance(body.get("variants"), list):
        return Product.model_validate({**base, **{k: v for k, v in own.items() if k in Product.model_fields}})
    flat = {name: own.get(name, body.get(name)) for name in ARTICLE}
    price = flat["price"]
    if price is not None and flat["currency"] is not None:
        price = f"{_text(price)} {_text(flat['currency'])}"
    variant = {name: _text(flat[name]) for name in ("gtin", "weight") if flat[name] is not None}
    variant |= {"id": id_, "sku": _text(flat["sku"] or id_), "price": price}
    named = {name: _text(flat[name]) for name in ("name", "description", "tax_class") if flat[name] is not None}
    path = flat["category"]
    path = [each.strip() for each in path.split("/") if each.strip()] if isinstance(path, str) else path or ()
    return Product.model_validate({**base, **named, "category": path, "variants": [variant]})


def _level(system: str, id_: str, body: Mapping[str, Any], own: Mapping[str, Scalar]) -> StockLevel:
    if any(name.startswith(EXTRA) for name in own):
        name = next(name for name in own if name.startswith(EXTRA))
        raise unfit(system, "stock", name, "is set on a stock level, which has no fields of one's own")
    flat = {name: own.get(name, body.get(name)) for name in LEVEL}
    sku, places = _text(flat["sku"] or id_), body.get("places")
    if flat["on_hand"] is None and isinstance(places, list):
        return StockLevel.model_validate({"system": system, "id": id_, "sku": sku, "places": places})
    if flat["on_hand"] is None:
        words = f"{system} does not say how many of {sku} there are."
        raise BadPayload("no_quantity", words, f"Map it in the blueprint: mappings: {system}: stock: on_hand: ….")
    numbers = {name: flat[name] for name in ("on_hand", "outgoing", "incoming") if flat[name] is not None}
    place = {"warehouse": _text(flat["warehouse"] or system), **numbers}
    return StockLevel.model_validate({"system": system, "id": id_, "sku": sku, "places": [place]})


def _extra(body: Mapping[str, Any], own: Mapping[str, Scalar]) -> dict[str, Any]:
    told = body.get("extra")
    mapped = {name.removeprefix(EXTRA): value for name, value in own.items() if name.startswith(EXTRA)}
    return {**(told if isinstance(told, dict) else {}), **mapped}


def _text(found: Any) -> Any:
    """A number as text and space taken off; anything else is for the model to judge."""
    if isinstance(found, str):
        return found.strip()
    return str(found) if isinstance(found, int) and not isinstance(found, bool) else "" if found is None else found
