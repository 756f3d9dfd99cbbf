"""What is wrong with a blueprint, said so that the line can be found and put right."""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Where a value stands: ("systems", "web-eu", "poll") or ("flows", 0, "do")."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,60}")
_USER_INFO = re.compile(r"(?<=://).*@", re.DOTALL)
_SHOWN = 60  # characters of a wrong value that are repeated in a message
_NAMED = 100  # names of which one is expected
_LISTED = 50  # problems that are printed in full


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to put right.

    `line` and `column` count from 1; 0 where no line is to blame, as for a missing file. `found` never shows a
    secret. `hint` is the likely remedy, or empty.
    """

    file: str
    line: int
    column: int
    path: str
    found: str
    expected: str
    hint: str = ""

    def __str__(self) -> str:
        """`shop.yaml:14: systems.web-eu.poll: found "often", expected a duration such as 60s or 2m`."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        path = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}: {path}found {self.found}, expected {self.expected}{hint}"


class BlueprintError(Exception):
    """The blueprint cannot be used. `problems` holds everything found, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        """One line a problem."""
        lines = [str(problem) for problem in self.problems[:_LISTED]]
        if len(self.problems) > _LISTED:
            lines.append(f"... and {len(self.problems) - _LISTED} more")
        return "\n".join(lines)


def dotted(path: Path) -> str:
    """`systems.web-eu.poll`, `flows[0].do`; list items count from 0."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + (step if _PLAIN_KEY.fullmatch(step) else quoted(step))
    return text


def quoted(text: str, limit: int = _SHOWN) -> str:
    """`text` in double quotes on one line, shortened, with what stands before an @ in an address hidden."""
    text = _USER_INFO.sub("***@", text)
    if len(text) > limit:
        text = text[:limit] + "…"
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def described(value: object) -> str:
    """What was found, in words: `"often"`, `12`, `a list`, `nothing`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return quoted(value)
    return "a mapping" if isinstance(value, dict) else "a list"


def choice(names: Iterable[str]) -> str:
    """`one of a, b, c`, in order; `a` if there is but one."""
    listed = sorted(names)
    if len(listed) > _NAMED:
        listed = [*listed[:_NAMED], f"{len(listed) - _NAMED} more"]
    return listed[0] if len(listed) == 1 else "one of " + ", ".join(listed) if listed else "nothing"


def nearest(word: object, names: Iterable[str]) -> str:
    """`did you mean "poll"?`, or nothing if no name comes close."""
    if not isinstance(word, str) or len(word) > _SHOWN:
        return ""
    found = difflib.get_close_matches(word, list(names), n=1)
    return f'did you mean "{found[0]}"?' if found else ""


_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They turn the direction of reading, so that a text looks like another one."""


def plain(text: str) -> str:
    """On one line; a mark for what cannot be shown: control characters, half of a surrogate pair, turns."""
    return "".join("\ufffd" if _hidden(char) else char for char in " ".join(text.split()))


def _hidden(char: str) -> bool:
    return char in _TURNS or unicodedata.category(char) in ("Cc", "Cs")
