"""The row of the blueprint that an exception suggests: read, its gaps filled in, added to a blueprint. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

GAP = "…"
"""What stands in a suggested row where a person has to choose."""


class CannotAdd(ValueError):
    """The exception suggests no row, or the row is not whole; the message says what is missing."""


def read(proposed: str) -> dict[str, Any]:
    """A suggested row as data: {section: …}. Raises CannotAdd."""
    row = yaml.safe_load(proposed) if proposed else None
    if not isinstance(row, dict) or len(row) != 1:
        raise CannotAdd("this exception suggests no row to add to the blueprint; do what `show` says, then retry")
    return row


def filled(row: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """The row with these values at its keys, read as YAML. Raises CannotAdd for a key it does not have, or a gap."""
    whole: dict[str, Any] = copy.deepcopy(dict(row))
    left = dict(values)
    for place, key in _places(whole):
        if str(key) in left:
            place[key] = yaml.safe_load(left.pop(str(key)))
    keys = [str(key) for _, key in _places(whole)]
    if left:
        raise CannotAdd(f"the row has no {', '.join(map(repr, left))}; it has {', '.join(keys)}")
    if empty := gaps(whole):
        raise CannotAdd(f"the row has a gap at {', '.join(empty)}: say what belongs there, as {empty[0]}=VALUE")
    return whole


def gaps(row: Mapping[str, Any]) -> list[str]:
    """The keys at which a person has to choose."""
    return [str(key) for place, key in _places(row) if place[key] == GAP]


def _places(within: Any) -> Iterator[tuple[Any, Any]]:
    """Where single values stand: the mapping, and the key in it."""
    if isinstance(within, list):
        for each in within:
            yield from _places(each)
    elif isinstance(within, dict):
        for key, value in list(within.items()):
            if isinstance(value, dict | list):
                yield from _places(value)
            else:
                yield within, key


def added(data: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """A blueprint's data with the row: at the end of a list; in a mapping, over what stands there."""
    whole = dict(data)
    for key, more in row.items():
        there = whole.get(key)
        if isinstance(more, list):
            whole[key] = [*(there or []), *more]
        else:
            whole[key] = added(there or {}, more) if isinstance(more, dict) else more
    return whole


def stands_in(data: Any, row: Any) -> bool:
    """Whether the blueprint's data has all that the row says."""
    if isinstance(row, dict):
        return isinstance(data, dict) and all(key in data and stands_in(data[key], row[key]) for key in row)
    if isinstance(row, list):
        return isinstance(data, list) and all(any(stands_in(one, each) for one in data) for each in row)
    return bool(data == row)


def as_loaded(data: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """The row as it stands in a blueprint's data that it was added to: 7 % is `rate: "7"` there."""
    said: dict[str, Any] = {}
    for key, more in row.items():
        if isinstance(more, list):
            said[key] = data[key][-len(more) :]
        else:
            said[key] = as_loaded(data[key], more) if isinstance(more, dict) else data[key]
    return said
