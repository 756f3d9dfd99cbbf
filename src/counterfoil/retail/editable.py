"""Which values of an order or a customer's master data a person may correct, by their paths, and what fits there. Pure.

A path is what stands in the state, dotted: `billing.country`, `lines.7.sku` (the line by its id, a rate by its code, a
payment by its place). Amounts, quantities, rates and currencies are none: corrected here, the books of two systems
would differ. Nor is what a thing is known by, or how it stands.
"""

from __future__ import annotations

import copy
import difflib
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import phonenumbers
from pydantic import ValidationError

from counterfoil.retail.entity import Entity
from counterfoil.retail.order import Order
from counterfoil.retail.party import Account, Address

Changes = Mapping[str, tuple[str, str]]
"""By path: what the home system says, and what is told in its place."""
LONGEST = 500
"""Characters of a value."""

_CUSTOMER = tuple(f"customer.{name}" for name in ("email", "name", "company", "phone", "vat"))
_PLACES = tuple(f"{where}.{name}" for where in ("billing", "shipping") for name in Address.model_fields)
_LINE = ("sku", "product_id", "name", "tax_class", "taxes.*.code")
EDITABLE: Mapping[str, tuple[str, ...]] = {
    "order": (
        *(*_CUSTOMER, *_PLACES, *(f"lines.*.{name}" for name in _LINE)),
        *("rates.*.country", "rates.*.state", "rates.*.name"),
        *("payments.*.method", "payments.*.title", "payments.*.reference", "discounts.*.code"),
        *("pickup", "reference", "note", "extra.*"),
    ),
    "customer": (*_CUSTOMER, *_PLACES, "extra.*"),
}
"""By kind of thing; `*` is each of a list, or each name."""
MODELS: Mapping[str, type[Entity]] = {"order": Order, "customer": Account}

_NEEDED = ("sku", "code", "method")
_MONEY = frozenset(
    {
        *("total", "net", "tax", "amount", "quantity", "currency", "rounding", "tax_told", "percent", "compound"),
        "prices_include_tax",
    }
)
_EMAIL = re.compile(r"[^\s@]+@[^\s@.]+(\.[^\s@.]+)+")
_WITHOUT_TELEPHONES = ("AQ", "BV", "GS", "HM", "PN", "TF", "UM")
_COUNTRIES = frozenset({*phonenumbers.SUPPORTED_REGIONS, *_WITHOUT_TELEPHONES})


class CannotCorrect(ValueError):
    """The value cannot be corrected, or not to this; the message says why and what to do. Nothing was changed."""


def values(kind: str, state: Mapping[str, Any]) -> dict[str, str]:
    """What can be corrected of a state (an entity as JSON), by path, in the order of EDITABLE; what is not there is ''.

    A state of a kind with nothing to correct has none.
    """
    found: dict[str, str] = {}
    for path, place, key in _places(kind, state):
        found.setdefault(path, place.get(key) or "")
    return found


def corrected(kind: str, state: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """A copy of the state with each value that is the first of its pair replaced by the second."""
    now = copy.deepcopy(dict(state))
    for path, place, key in list(_places(kind, now)):
        was, becomes = changes.get(path, ("", ""))
        if path in changes and (place.get(key) or "") == was:
            place[key] = becomes
    return now


def fitting(kind: str, state: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """As `corrected`, without the changes with which the thing would be none by the retail model."""
    now = corrected(kind, state, changes)
    if _is_whole(kind, now) or not _is_whole(kind, state):
        return now
    kept: dict[str, tuple[str, str]] = {}
    for path, change in changes.items():
        if _is_whole(kind, corrected(kind, state, kept | {path: change})):
            kept[path] = change
    return corrected(kind, state, kept)


def _is_whole(kind: str, state: Mapping[str, Any]) -> bool:
    try:
        MODELS[kind].model_validate(state)
    except ValidationError:
        return False
    return True


@functools.lru_cache(4096)
def pattern(kind: str, path: str) -> str:
    """The path for things alike, whatever ids their lines have: `lines.*.sku`."""
    return next((each for each in EDITABLE[kind] if _fits(each, path)), path)


def _fits(pattern: str, path: str) -> bool:
    wanted = ".+".join(re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(wanted, path) is not None


def alike(kind: str, state: Mapping[str, Any], changes: Changes, of: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """The changes `of` one thing in the state of another, by its own paths; {} where one of them has no place there.

    A line is changed where it is of the same product: what is wrong of one may be right of another.
    """
    here, found = values(kind, state), dict[str, tuple[str, str]]()
    for path, (was, becomes) in changes.items():
        wanted, sold = pattern(kind, path), _sold(of, path)
        mine = [each for each, value in here.items() if value == was and pattern(kind, each) == wanted]
        mine = [each for each in mine if _sold(state, each) == sold]
        if not mine:
            return {}
        found |= dict.fromkeys(mine, (was, becomes))
    return found


def _sold(state: Mapping[str, Any], path: str) -> tuple[str, ...]:
    """What the line that a path is about sells: its kind, and its product or, of none, its name."""
    if not path.startswith("lines."):
        return ()
    named = {str(line.get("id") or place): line for place, line in enumerate(state["lines"])}
    line: Mapping[str, Any] = next((line for name, line in named.items() if path.startswith(f"lines.{name}.")), {})
    return tuple(line.get(key) or "" for key in ("kind", "product_id" if line.get("product_id") else "name"))


def nested(path: str, value: Any) -> dict[str, Any]:
    """`{"billing": {"country": value}}`: as it stands in a state, but that a list is named by its parts."""
    for step in reversed(path.split(".")):
        value = {step: value}
    return dict(value)


def leaf(value: Any) -> str:
    """The value of what `nested` made."""
    while isinstance(value, Mapping):
        value = next(iter(value.values()), "")
    return str(value)


def _places(kind: str, state: Any) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Each path, and where its value stands: in which part, under which key."""
    for each in EDITABLE.get(kind, ()):
        yield from _expanded(state, each.split("."), ())


def _expanded(node: Any, steps: list[str], said: tuple[str, ...]) -> Iterator[tuple[str, Any, str]]:
    step, *rest = steps
    if step == "*" and isinstance(node, list):
        for place, each in enumerate(node):
            keys = ("id",) if rest == ["code"] else ("id", "code")  # a code that can be corrected names nothing
            name = next((each[key] for key in keys if each.get(key)), place) if isinstance(each, dict) else place
            yield from _expanded(each, rest, (*said, str(name)))
    elif isinstance(node, dict):
        for key in node if step == "*" else (step,):
            if rest:
                yield from _expanded(node.get(key), rest, (*said, key))
            elif isinstance(node.get(key) or "", str) and (step != "*" or isinstance(node[key], str)):
                yield ".".join((*said, key)), node, key


# --- what fits --------------------------------------------------------------------------------------------------------


def changes_of(kind: str, state: Mapping[str, Any], wanted: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """What the wanted values change in the state, by path: (was, becomes). Raises CannotCorrect.

    The changed state is a whole one by the retail model: a line is taxed at a rate that the order lists, say.
    """
    here, system = values(kind, state), str(state.get("system") or "its own system")
    for path, value in wanted.items():
        if path not in here:
            raise CannotCorrect(_why_not(path, here, kind, system))
        _check(path, value)
    changes = {path: (here[path], value) for path, value in wanted.items()}
    try:
        MODELS[kind].model_validate(corrected(kind, state, changes))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CannotCorrect(f"With that the {kind} is none: {where + ': ' if where else ''}{first['msg']}.") from None
    return changes


def _why_not(path: str, here: Mapping[str, str], kind: str, system: str) -> str:
    steps = path.split(".")
    if _MONEY & {steps[0], steps[-1]}:
        return (
            f"{path} is not corrected here: with other amounts, quantities, tax rates or another currency the books of "
            f"two systems would differ. Change it in {system}; it is then tried again by itself."
        )
    if (steps[0] in MODELS[kind].model_fields and len(steps) == 1) or steps[-1] == "id":
        return (
            f"{path} is not corrected here: it is what the {kind} is known by, how it stands, or more than one value. "
            f"Change it in {system}; it is then tried again by itself."
        )
    near = difflib.get_close_matches(path, here, 3, 0.5)
    return f"There is no {path!r} in this {kind}. {'Near it: ' if near else 'There is: '}{', '.join(near or here)}."


def _check(path: str, value: str) -> None:
    last = path.rpartition(".")[2]
    if not isinstance(value, str):
        raise CannotCorrect(f"{path} is text; {value!r} is none.")
    if len(value) > LONGEST:
        raise CannotCorrect(f"{path} has {len(value):,} characters; at most {LONGEST} go.")
    if any(not c.isprintable() for c in (value.replace("\n", "") if path == "note" else value)):
        raise CannotCorrect(f"{path} has a character that cannot be seen, such as a tab or the end of a line.")
    if value != value.strip():
        raise CannotCorrect(f"{path} begins or ends with a space.")
    if not value:
        if last in _NEEDED or (last == "name" and path.startswith("lines.")):
            raise CannotCorrect(f"{path} cannot be empty.")
        return
    if last == "country" and value not in _COUNTRIES:
        raise CannotCorrect(
            f"{path} is a country by ISO 3166 in two capital letters, such as GB or DE; it is {value!r}."
        )
    if last == "email" and not _EMAIL.fullmatch(value):
        raise CannotCorrect(f"{path} is an e-mail address, such as name@example.org.")
    if last == "phone" and (sum(c.isdigit() for c in value) < 3 or any(c.isalpha() for c in value)):
        raise CannotCorrect(f"{path} is a telephone number, such as +44 20 7946 0018.")
    if last == "vat" and not (any(c.isdigit() for c in value) and all(c.isalnum() or c in " .-" for c in value)):
        raise CannotCorrect(f"{path} is a VAT number, such as DE123456788.")
