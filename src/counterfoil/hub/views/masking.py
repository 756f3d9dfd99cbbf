"""What of a person is shown to somebody who may not see personal data: first letters, an e-mail's domain, the country.

Fields are known by their names and by what they stand in. Their values are looked for in all other text too: a message
may name who it is about. Free text written by a customer is not shown at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

DOTS = "•••"

_PEOPLE = frozenset({"customer", "billing", "shipping", "ship_to", "visitor", "contact", "address"})
"""Parts of a state in which everything is about a person, but for `_HARMLESS`."""
_PERSONAL = frozenset({"email", "phone", "street", "street2", "postcode", "city", "company", "vat", "note"})
"""Fields that are personal wherever they stand."""
_NOT_SHOWN = frozenset({*_PEOPLE, "extra", "refunds.reason"})
"""And what may be: a retailer's own fields, why money went back. These are not looked for elsewhere."""
_HARMLESS = frozenset({"id", "country"})
_NUMBER = re.compile(r"\b\d\w*")
_EMAIL = re.compile(r"[^\s@<>\"'(),;:]+@[^\s@<>\"'(),;:]+")
_PHONE = re.compile(r"\+\d[\d\s()/.-]{5,}\d")


def mask(value: Any, may_see: bool, known: Iterable[str] = ()) -> Any:
    """The value as JSON has it, as it may be shown; `known` is more that is personal, such as `personal(state)`."""
    if may_see:
        return value
    return _masked(value, "", False, _any_of({*known, *personal(value)}))


def email(text: str) -> str:
    """`m•••@example.org`."""
    local, at, domain = text.strip().rpartition("@")
    return f"{local[:1]}{DOTS}@{domain}" if at and local else DOTS


def name(text: str) -> str:
    """`A. L.`"""
    return " ".join(f"{word[0]}." for word in text.split())


def is_personal(*path: str) -> bool:
    """Whether what stands there in a state is somebody's: `is_personal("billing", "street")`."""
    return _is_personal(path[-1], any(step in _NOT_SHOWN for step in path[:-1]))


def personal(value: Any) -> set[str]:
    """Everything in the value that is somebody's, as it is written; of a name its words too, of a street all but its
    number."""
    found: set[str] = set()
    for field, text in _leaves(value, "", False):
        found.add(text.strip())
        if field == "name":
            found.update(word for word in text.split() if len(word) > 2)
        elif field == "street":  # some say it without the number
            found.add(_NUMBER.sub("", text).strip(" ,"))
    return {text for text in found if len(text) > 1}


def _leaves(value: Any, field: str, about_a_person: bool) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _leaves(below, str(key), about_a_person or key in _PEOPLE)
    elif isinstance(value, list | tuple):
        for below in value:
            yield from _leaves(below, field, about_a_person)
    elif isinstance(value, str | int) and not isinstance(value, bool) and _is_personal(field, about_a_person):
        yield field, str(value)


def _is_personal(field: str, about_a_person: bool) -> bool:
    return field in _PERSONAL or (about_a_person and field not in _HARMLESS)


def _any_of(texts: set[str]) -> re.Pattern[str] | None:
    if not texts:
        return None
    longest_first = "|".join(re.escape(text) for text in sorted(texts, key=lambda t: (-len(t), t)))
    return re.compile(rf"(?<!\w)(?:{longest_first})(?!\w)", re.IGNORECASE)


def _masked(value: Any, field: str, about_a_person: bool, known: re.Pattern[str] | None) -> Any:
    if isinstance(value, dict):
        return {
            _scrubbed(str(key), known): _masked(below, str(key), about_a_person or _hides(field, key), known)
            for key, below in value.items()
        }
    if isinstance(value, list | tuple):
        return [_masked(below, field, about_a_person, known) for below in value]
    if value is None or value == "" or isinstance(value, bool | float):
        return value
    if _is_personal(field, about_a_person):
        forms = {"email": email, "name": name}
        return forms.get(field, lambda _text: DOTS)(str(value))
    return _scrubbed(value, known) if isinstance(value, str) else value


def _hides(field: str, key: str) -> bool:
    return key in _NOT_SHOWN or f"{field}.{key}" in _NOT_SHOWN


def _scrubbed(text: str, known: re.Pattern[str] | None) -> str:
    def shorter(found: re.Match[str]) -> str:
        return email(found[0]) if "@" in found[0] else DOTS

    text = known.sub(shorter, text) if known else text
    return _PHONE.sub(DOTS, _EMAIL.sub(shorter, text))
