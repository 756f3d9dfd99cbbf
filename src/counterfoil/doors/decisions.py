"""The review list given back: what a person decided of each row is checked as a whole, then linked or remembered."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LINK, APART, LATER = "link", "not the same", "later"
WORDS = (LINK, APART, LATER)
"""What may stand in the column `decision`; an empty one is `later`."""

SHOWN = 10
"""Problems of a file that are told at once."""


class Undecided(ValueError):
    """The file cannot be taken as it is; the message names file, lines and what would do."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One decided row: what it is about, the word, the ids on both sides, and where it stands."""

    line: int
    what: str
    word: str
    here: tuple[str, ...]
    there: tuple[str, ...]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Each of one side with each of the other."""
        return [(mine, other) for mine in self.here for other in self.there]


@dataclass(slots=True)
class Decided:
    """What the verdicts come to: pairs to link, pairs told apart, and how many rows say `later`."""

    links: list[tuple[str, str]] = field(default_factory=list)
    apart: set[tuple[str, str]] = field(default_factory=set)


def read(file: Path, erp: str, shop: str) -> list[Verdict]:
    """The decided rows of a review list, .csv or .json, with the systems' names as columns. Raises Undecided."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        rows = _from_json(text) if file.suffix == ".json" else _from_csv(text)
    except OSError as error:
        raise Undecided(f"{file} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, ValueError, csv.Error) as error:
        raise Undecided(f"{file} is no list in {file.suffix[1:].upper()} and UTF-8: {error}") from error
    problems: list[str] = []
    verdicts: list[Verdict] = []
    for line, row in rows:
        missing = [name for name in ("what", "decision", erp, shop) if name not in row]
        if missing:
            raise Undecided(
                f"{file}, line {line}: the column {missing[0]!r} is missing; keep those of the review list."
            )
        word = " ".join(str(row["decision"] or "").replace("_", " ").casefold().split()) or LATER
        if word not in WORDS:
            problems.append(f"line {line}: decision is {word!r}, expected {', '.join(WORDS)} or nothing")
        elif word != LATER:
            here, there = (tuple(str(row[name] or "").replace("'", "").split()) for name in (erp, shop))
            verdicts.append(Verdict(line, str(row["what"]), word, here, there))
    _raise(file, problems)
    return verdicts


def _from_json(text: str) -> list[tuple[int, Mapping[str, Any]]]:
    rows = json.loads(text)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("expected a list of objects")
    return list(enumerate(rows, 1))


def _from_csv(text: str) -> list[tuple[int, Mapping[str, Any]]]:
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)  # a spreadsheet writes what its country parts lists with
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    return [(reader.line_num, row) for row in reader]


def settle(
    file: Path,
    verdicts: Iterable[Verdict],
    what: str,
    names: tuple[str, str],
    there_are: tuple[Mapping[str, Any], Mapping[str, Any]],
    linked: Sequence[tuple[str, str]],
) -> Decided:
    """What the verdicts come to beside what is `linked`, if all of them can stand. Raises Undecided with the others.

    They are about `what`, article or customer; `names` and `there_are`: the systems here and there, and the things
    of each by id.
    """
    decided, problems = Decided(), []
    known = set(linked)
    taken = (dict(linked), {other: mine for mine, other in linked})
    for verdict in verdicts:
        problem = _problem(verdict, names, there_are)
        if verdict.what != what:
            problem = f"a {verdict.what} cannot be decided here, only a row of {what}"
        for mine, other in () if problem else verdict.pairs:
            if verdict.word == APART:
                if (mine, other) in known:
                    problem = f"{names[0]} {mine} and {names[1]} {other} are linked; part them with identity split"
                decided.apart.add((mine, other))
            elif (mine, other) not in known:
                ids = ((mine, other), (other, mine))
                stand = [
                    (side, *ids[side], taken[side][ids[side][0]]) for side in (0, 1) if ids[side][0] in taken[side]
                ]
                if stand:
                    side, one, _, has = stand[0]
                    problem = f"{names[side]} {one} is linked with {names[1 - side]} {has} already"
                taken[0][mine], taken[1][other] = other, mine
                known.add((mine, other))
                decided.links.append((mine, other))
        if problem:
            problems.append(f"line {verdict.line}: {problem}")
    both = sorted(decided.apart.intersection(decided.links))
    problems += [f"{names[0]} {mine} and {names[1]} {other} are to be linked and not the same" for mine, other in both]
    _raise(file, problems)
    return decided


def _problem(verdict: Verdict, names: tuple[str, str], there_are: tuple[Mapping[str, Any], Mapping[str, Any]]) -> str:
    for name, ids, things in zip(names, (verdict.here, verdict.there), there_are, strict=True):
        if not ids:
            return f"{verdict.word!r} wants the id of the other one in the column {name}"
        if verdict.word == LINK and len(ids) > 1:
            return f"the column {name} has {len(ids)} ids; leave the one that is meant"
        if gone := [i for i in ids if i not in things]:
            return f"{name} has no {verdict.what} {gone[0]}"
    return ""


def _raise(file: Path, problems: Sequence[str]) -> None:
    if problems:
        more = f"\n… and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        shown = "\n".join(f"{file}, {problem}" for problem in problems[:SHOWN])
        raise Undecided(f"{shown}{more}\nNothing was changed.")
