"""What moves when one thing is changed: to hold a table of fields to the code that is said to do what it says."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

Path = tuple[str | int, ...]
NOTHING = object()


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value with nothing below it, and where it stands."""
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from leaves(below, (*path, key))
    elif isinstance(value, list | tuple) and value:
        for number, below in enumerate(value):
            yield from leaves(below, (*path, number))
    else:
        yield path, value


def named(path: Path) -> str:
    """`lines[].net`: a place of a list by the list, meta data by their key."""
    return re.sub(r"\.\[\]", "[]", ".".join("[]" if isinstance(step, int) else step for step in path))


def moved(before: Any, after: Any) -> set[str]:
    """The fields in which two values differ, by name."""
    one, two = dict(leaves(before)), dict(leaves(after))
    return {named(path) for path in one.keys() | two.keys() if one.get(path, NOTHING) != two.get(path, NOTHING)}


def changed(data: Any, path: Path, value: Any) -> Any:
    """A copy with another value at that place."""
    new = copy.deepcopy(data)
    at = new
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return new


def other(value: Any) -> Any:
    """Another value of the same kind, as plausible as the first."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float | Decimal):
        return value + 1
    if isinstance(value, str):
        if re.fullmatch(r"-?\d+\.\d+", value):
            return f"{Decimal(value) + Decimal('0.01')}"
        if re.match(r"\d{4}-\d\d-\d\d", value):
            return f"{int(value[:4]) - 1}{value[4:]}"
        return f"{value}x" if value else "x"
    return None


def probed(body: Any, read: Callable[[Any], Any], others: dict[str, list[Any]]) -> dict[str, set[str]]:
    """By field of the body: which fields of what is read of it move when it alone is changed.

    `others` are the values to try where another of the same kind would make no sense.
    """
    before = read(body)
    found: dict[str, set[str]] = {}
    for path, value in leaves(body):
        name = named(path)
        for new in others.get(name, [other(value)]):
            if new is not None:
                found.setdefault(name, set()).update(moved(before, read(changed(body, path, new))))
    return {name: fields for name, fields in found.items() if fields}
