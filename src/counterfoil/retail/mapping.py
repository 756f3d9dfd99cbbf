"""Which field of a system is which field of the retail language: rows for people, and the row that is still missing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Way(StrEnum):
    """Which way a field crosses: from the system into the hub, out of the hub into the system, or both."""

    IN = "in"
    OUT = "out"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class How:
    """What is done to a value on its way: a name for the table, and words for who wants to know."""

    name: str
    words: str = ""


AS_IT_IS = How("as it is")


@dataclass(frozen=True, slots=True)
class Row:
    """One canonical field of an `object` and the fields of the system that it is read from or written to.

    `[]` stands for each of a list: `lines[].net`. Several of `theirs` make one field together, or each in its case.
    """

    object: str
    field: str
    theirs: tuple[str, ...]
    way: Way
    how: How = AS_IT_IS
    note: str = ""


@dataclass(frozen=True, slots=True)
class StateRow:
    """One state of an `object`'s life in the retail language, and the system's own words for it."""

    object: str
    state: str
    theirs: tuple[str, ...]
    way: Way
    note: str = ""


@dataclass(frozen=True, slots=True)
class Overlays:
    """What of one object the blueprint may map itself.

    Inwards `fields` are canonical and expressions look at the system's own body; outwards the system's own fields
    are written, whatever they are called, and expressions look at the canonical state. `any_case`: they may have
    capitals in their names.
    """

    way: Way
    fields: frozenset[str] = frozenset()
    any_case: bool = False


def to_add(section: str, row: Mapping[str, object]) -> str:
    """The row of a blueprint's list to paste, as YAML: `taxes:` and `  - {rate: 5.5, country: FR, odoo: "…"}`."""
    return f"{section}:\n  - {{{', '.join(f'{key}: {scalar(value)}' for key, value in row.items())}}}"


ADD = "Add to the blueprint:\n"
"""What a suggestion begins with that holds a row to paste."""


def missing(row: str, offers: Sequence[str] = (), otherwise: str = "") -> str:
    """What to do about something that is mapped to nothing: the `row` to paste, what there is to fill in, or else."""
    parts = [f"{ADD}{row}"]
    if offers:
        shown = ", ".join(scalar(offer) for offer in offers[:8])
        parts.append(f"There is: {shown}{', …' if len(offers) > 8 else ''}.")
    return "\n".join([*parts, *filter(None, [otherwise])])


def choose(offers: Iterable[str]) -> str:
    """What to fill in: the only thing there is, or a gap."""
    found = list(dict.fromkeys(offers))
    return found[0] if len(found) == 1 else "…"


def scalar(value: object) -> str:
    """As YAML has it on one line: a text in quotes where it needs them."""
    if not isinstance(value, str):
        return str(value)
    plain = _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT
    return value if plain else json.dumps(value, ensure_ascii=False)


_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_NOT_TEXT = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
