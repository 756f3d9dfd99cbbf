"""Which exceptions are alike: those that a person looks at, and mostly clears, as one. Pure.

Alike are system, operation, reason, and what is said, without what tells one case from another: numbers, ids, SKUs,
addresses, what stands in quotes, and the names of things. Where the fix is a row of the blueprint, that row is what
has to be alike, to the letter: 7 % and 19 % are two rows.
"""

from __future__ import annotations

import hashlib
import itertools
import re

from counterfoil.retail.mapping import ADD

_PARTICULAR = frozenset({"unknown_currency", "no_pricelist"})
"""Reasons whose words name in capitals what is to be put right once for all: a currency."""

_CASE = re.compile(
    r"""
      “[^”]*” | «[^»]*» | "[^"]*" | (?<!\w)'[^']*'(?!\w)   # what is quoted
    | \S+@\S+                                              # an address
    | \b\w*\d[\w./:-]*                                     # a number, an id, a SKU with a digit
    | \b[A-ZÀ-ÖØ-Þ]{2,}(?:[_./-]\w+)*\b                      # a SKU in capitals
    | \b\w+(?:[_./-]\w+)*[_/]\w+                           # an id that is put together: attribute_pa_colour
    """,
    re.VERBOSE,
)
_WORD = re.compile(r"[^\W\d_][\w’'-]*")
_SOME = re.compile(r"#(?:(?:,? and|,? or|,|:|;| ×| x)? ?#)*")


def proposed(suggestion: str) -> str:
    """The row to add to the blueprint that a suggestion holds, as YAML; empty where it holds none."""
    _, found, after = suggestion.partition(ADD)
    head, *more = after.split("\n") if found else [""]
    return "\n".join([head, *itertools.takewhile(lambda line: line.startswith(" "), more)])


def said(message: str) -> str:
    """The message without what tells one case from another."""
    without = _CASE.sub("#", message)
    return _SOME.sub("#", _WORD.sub(lambda word: "#" if _is_name(word) else word[0], without)).strip()


def _is_name(word: re.Match[str]) -> bool:
    """Whether it begins with a capital, and not only because a sentence does."""
    before, after = word.string[: word.start()], word.string[word.end() : word.end() + 2]
    begins = not before or before.endswith((". ", "! ", "? "))
    return word[0][0].isupper() and (not begins or (after[:1] == " " and after[1:].isupper()))


def likeness(system: str, operation: str, reason: str, message: str, suggestion: str = "", subject: str = "") -> str:
    """The fingerprint that all alike have in common, the same in every process and version: 16 hexadecimal digits."""
    what = proposed(suggestion)
    if not what:
        number = subject.rpartition(":")[2]
        known = re.sub(rf"(?<!\w){re.escape(number)}(?!\w)", "#", message) if number else message
        what = known if reason in _PARTICULAR else said(known)
    return hashlib.sha256("\x1f".join((system, operation, reason, what)).encode()).hexdigest()[:16]
