"""What differs between two blueprints by meaning: a row by what it is about, a key by its value, never by lines.

Works on plain data (`as_data`), where secrets stand as references only.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_ABOUT: Mapping[str, tuple[str, ...]] = {
    "flows": ("on", "from", "do"),
    "taxes": ("rate", "country", "class"),
    "payments": ("method",),
}
"""What a row of a list is about; there is one row about one thing. Rows of other lists are compared as a whole."""

_NOTHING: tuple[Any, ...] = (None, {}, [])
_OF_THE_PLACE = ("store", "listen")
"""Where a process of the hub runs, which may differ from one to the next, and nothing of what it does."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `what` is about whom, `old` and `new` in words, None where there is nothing on that side."""

    section: str
    what: str
    old: str | None
    new: str | None

    @property
    def how(self) -> str:
        """added, removed or changed."""
        return "added" if self.old is None else "removed" if self.new is None else "changed"

    def __str__(self) -> str:
        """`changed  flows: order.placed from web-eu, odoo.accept_order: within: 60s → 5m`."""
        value = f"{self.old} \u2192 {self.new}" if self.how == "changed" else self.new if self.old is None else self.old
        return f"{self.how:8} {self.what}: {value}"


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """All that differs, in the order of the sections; empty if nothing does."""
    return tuple(
        change
        for section in dict.fromkeys([*old, *new])
        if old.get(section) not in _NOTHING or new.get(section) not in _NOTHING
        for change in _of(section, section, old.get(section), new.get(section))
    )


def operating_model(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data without what may differ between two processes of the same hub, and without empty sections."""
    return {section: value for section, value in data.items() if section not in _OF_THE_PLACE and value not in _NOTHING}


def digest(data: Mapping[str, Any]) -> str:
    """Another one wherever operating models differ."""
    return hashlib.sha256(_as_text(operating_model(data)).encode()).hexdigest()


def _as_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def _of(section: str, what: str, old: Any, new: Any, then: str = ".") -> Iterator[Change]:
    if _as_text(old) == _as_text(new):
        return
    for parts in (_has_rows, _has_parts):  # named one by one, also where there was nothing before
        if parts(old) or parts(new):
            old, new = ((type(old) if parts(old) else type(new))() if side in _NOTHING else side for side in (old, new))
    if isinstance(old, Mapping) and isinstance(new, Mapping) and not _is_reference(old) and not _is_reference(new):
        for key in dict.fromkeys([*old, *new]):
            yield from _of(section, f"{what}{then}{key}", old.get(key), new.get(key))
    elif (_has_rows(old) or old == []) and (_has_rows(new) or new == []):
        yield from _rows(section, what, old, new)
    elif old is None or new is None:
        yield Change(section, what, *(None if value is None else in_words(value) for value in (old, new)))
    elif in_words(old) == in_words(new):  # a text and a number that look alike
        yield Change(section, what, _as_text(old), _as_text(new))
    else:
        yield Change(section, what, in_words(old), in_words(new))


def _is_reference(value: Mapping[str, Any]) -> bool:
    return set(value) == {"file"}


def _has_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _has_parts(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(part, Mapping) for part in value.values())


def _rows(section: str, what: str, old: Sequence[Any], new: Sequence[Any]) -> Iterator[Change]:
    before, after = _named(section, old), _named(section, new)
    for name in dict.fromkeys([*before, *after]):
        a, b = before.get(name), after.get(name)
        if a is None or b is None:
            sides = (None if row is None else in_words(_rest(section, row)) for row in (a, b))
            yield Change(section, f"{what}: {name}", *sides)
        else:
            yield from _of(section, f"{what}: {name}", a, b, then=": ")
    kept = [[name for name in side if name in before and name in after] for side in (before, after)]
    if kept[0] != kept[1]:
        yield Change(section, f"{what}: their order", "; ".join(kept[0]), "; ".join(kept[1]))


def _named(section: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    seen: Counter[str] = Counter()
    named = {}
    for row in rows:
        name = _name(section, row)
        seen[name] += 1
        named[name if seen[name] == 1 else f"{name} ({seen[name]})"] = row
    return named


def _name(section: str, row: Mapping[str, Any]) -> str:
    about = [(key, row[key]) for key in _ABOUT.get(section, ()) if row.get(key) is not None]
    return in_words(dict(about or row))


def _rest(section: str, row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in _ABOUT.get(section, ())}


def in_words(value: Any) -> str:
    """A value for people: `a, b`, `within 60s, batch 20`, `nothing`."""
    if value is None or value == "" or value == {} or value == []:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping) and _is_reference(value):
        return f"{{file: {value['file']}}}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {in_words(below)}" for key, below in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(in_words(below) for below in value)
    return str(value)
