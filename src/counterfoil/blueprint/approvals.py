"""Which changes of the blueprint need a second person, and whether one has agreed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from counterfoil.blueprint.problems import Problem, choice, nearest, quoted
from counterfoil.blueprint.values import Name, Part, each_once
from counterfoil.blueprint.yamlread import Source

APPROVALS = "approvals"
_NOT_OF_THE_MODEL = ("counterfoil", "store", "listen")
"""The version of the format, and what may differ between two processes of a hub."""


class Approvals(Part):
    """The sections of which a change needs a second person, and who that may be; nobody named: anyone else.

    Where any section does, this one does too, or who wants to change alone would take the rule out first.
    """

    sections: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(
        default=(), description="a list of sections such as [owners, mappings, taxes, payments]"
    )
    by: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(
        default=(), description="a list of names, such as [anna, bob]; empty for anyone but who proposed it"
    )


def problems(rules: Approvals | None, keys: Collection[str], source: Source) -> Iterator[Problem]:
    """Sections that are none of the blueprint's `keys`."""
    sections = [key for key in keys if key not in _NOT_OF_THE_MODEL]
    for index, name in enumerate(rules.sections if rules else ()):
        if name not in sections:
            path = (APPROVALS, "sections", index)
            yield source.problem(path, f"a section: {choice(sections)}", quoted(name), nearest(name, sections))


def warnings(rules: Approvals | None, source: Source) -> Iterator[Problem]:
    """One person alone, whose own changes nobody could approve; people without anything to approve."""
    if rules and len(rules.by) == 1:
        hint = f"what {rules.by[0]} proposes nobody could approve"
        yield source.problem((APPROVALS, "by"), "two people at least, or nobody by name", hint=hint)
    if rules and rules.by and not rules.sections:
        yield source.problem((APPROVALS, "by"), "sections that need their approval", hint="name them under sections")


def rows(rules: Approvals) -> list[tuple[str, str]]:
    """For people: which sections, and who may approve a change of them."""
    by = ", ".join(rules.by) or "anyone but who proposed it"
    return [(section, by) for section in rules.sections]


def needing(rules: Mapping[str, Any], changed: Iterable[str]) -> list[str]:
    """Of the changed sections those that need a second person, by the rules in force before the change."""
    covered = {*rules.get("sections", ()), APPROVALS} if rules.get("sections") else set()
    return [section for section in dict.fromkeys(changed) if section in covered]


def why_not(rules: Mapping[str, Any], proposed_by: str, who: str) -> str:
    """Why that person may not approve it; empty if they may."""
    by = list(rules.get("by", ()))
    if not _folded(who):
        return "Say who approves it: --who NAME."
    if _folded(who) == _folded(proposed_by):
        return f"{proposed_by} proposed it: somebody else has to approve it."
    if by and _folded(who) not in map(_folded, by):
        return f"{who} is not among those who may approve changes: {', '.join(by)}."
    return ""


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())
