"""Proposing a blueprint from its page: paste it, see its problems beside their lines or what it changes, propose it."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence

from counterfoil.blueprint import BlueprintError, Problem
from counterfoil.blueprint.difference import Change
from counterfoil.doors.admin import changes
from counterfoil.doors.console import words
from counterfoil.doors.console.frame import LONGEST_FIELD, Fields, Gone, Page, Part
from counterfoil.doors.console.markup import Html, card, join, table, tag
from counterfoil.hub.access.people import Person

AROUND = 2
"""Lines shown before and after the one with a problem."""
MOST = 50
"""Problems shown at once."""


def section(opened: Page, again: Callable[[Person], Awaitable[None]]) -> None:
    """The form; `again` shows the pending changes anew."""
    desk = opened.visit.desk

    async def act(person: Person, fields: Fields) -> None:
        text = fields.get("text", "").replace("\r\n", "\n")
        if len(text) >= LONGEST_FIELD:
            raise Gone(words.PROPOSE_TOO_LONG.format(most=f"{LONGEST_FIELD:,}"))
        looked = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        really = fields.get("act") == "do" and fields.get("looked") == looked
        try:
            done = await changes.propose(desk, person, text, fields.get("why", "")[:500], dry_run=not really)
        except BlueprintError as error:
            part.show(_shown(fields, problems(text, error.problems, words.PROPOSE_PROBLEMS)))
            return
        if really and done.proposal.number:
            opened.say(words.PROPOSED_DONE.format(number=done.proposal.number))
            part.show(_shown({}))
            await again(person)
            return
        doubtful = problems(text, done.warnings, words.PROPOSE_WARNINGS) if done.warnings else None
        found = join(_differences(done.proposal.changes, done.proposal.needing), doubtful)
        part.show(_shown(fields, found, looked if done.proposal.changes else ""))

    part = Part(opened, _shown({}), act)


def _shown(fields: Fields, found: Html | None = None, looked: str = "") -> Html:
    file = tag("input", type="file", accept=".yaml,.yml", data_into="text")
    text = tag("textarea", fields.get("text", ""), name="text", rows=12, class_="code", spellcheck="false")
    buttons = [tag("button", words.PROPOSE_LOOK, type="submit", data_act="look")]
    if looked:
        buttons.append(tag("button", words.PROPOSE_DO, type="submit", class_="main", data_act="do"))
    form = tag(
        "form",
        tag("label", words.PROPOSE_FILE, file, class_="field"),
        tag("label", words.PROPOSE_TEXT, text, class_="field"),
        found,
        tag(
            "label",
            words.PROPOSE_WHY,
            tag("input", name="why", maxlength=500, value=fields.get("why", "")),
            class_="field",
        ),
        tag("input", type="hidden", name="looked", value=looked),
        tag("div", *buttons, class_="row-of"),
        class_="stack",
        data_act="look",
    )
    inside = tag("details", tag("summary", words.PROPOSE_OPEN), form, open=bool(fields))
    return card(words.PROPOSE_TITLE, words.PROPOSE_ABOUT, inside)


def _differences(found: Sequence[Change], needing: Sequence[str]) -> Html:
    if not found:
        return tag("p", words.NOTHING_DIFFERS, class_="said warn", data_focus=True)
    said = words.PROPOSE_NEEDS.format(sections=", ".join(needing)) if needing else words.PROPOSE_NEEDS_NOBODY
    rows = [(change.what, change.old or "", change.new or "") for change in found]
    head = (words.PARTICULAR, words.BEFORE, words.AFTER)
    return join(tag("p", said, class_="said warn", data_focus=True), table(words.PARTICULAR, head, rows))


def problems(text: str, found: Sequence[Problem], said: str) -> Html:
    """Each beside its lines, with what was expected and what helps."""
    lines = text.split("\n")
    more = len(found) - MOST
    return join(
        tag("p", said.format(count=len(found)), class_="said bad", data_focus=True),
        tag("ol", *(tag("li", _problem(lines, each)) for each in found[:MOST]), class_="problems"),
        tag("p", words.PROPOSE_MORE.format(count=more), class_="soft") if more > 0 else None,
    )


def _problem(lines: Sequence[str], one: Problem) -> Html:
    said = words.PROPOSE_FOUND.format(found=one.found, expected=one.expected)
    shown = []
    if 0 < one.line <= len(lines):
        for number in range(max(1, one.line - AROUND), min(len(lines), one.line + AROUND) + 1):
            line = f"{number:>4}  {lines[number - 1]}\n"
            shown.append(tag("mark", line) if number == one.line else line)
    return join(
        tag("strong", one.path or words.PROPOSE_WHOLE),
        tag("div", said),
        tag("div", one.hint, class_="soft") if one.hint else None,
        tag("pre", *shown) if shown else None,
    )
