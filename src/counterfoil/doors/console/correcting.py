"""Correcting a value on the pages of exceptions: the fields of what one is about, what would be told, the telling."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from counterfoil.doors.admin import exceptions as desk_acts
from counterfoil.doors.admin.context import Admin
from counterfoil.doors.console import words
from counterfoil.doors.console.frame import Fields, Gone, Page, Part
from counterfoil.doors.console.markup import Html, join, table, tag
from counterfoil.hub.access.people import Person
from counterfoil.hub.access.roles import Right
from counterfoil.hub.exceptions import CannotCorrect, NoSuchException, NotOpen
from counterfoil.hub.exceptions.bulk import AGAIN, WAITING, WORKED
from counterfoil.hub.exceptions.correcting import Corrected, Field
from counterfoil.hub.views.masking import is_personal
from counterfoil.retail.editable import LONGEST

TRIES, EVERY = 30, 0.5
"""So often, and so many seconds apart, it is looked whether one that was tried came through."""
_VALUE = "value."
Row = Mapping[str, Any]
After = Callable[[Person], Awaitable[None]]
Next = Callable[[], Row | None]


async def part(opened: Page, row: Row, after: After, going_on: Next = lambda: None) -> Part | None:
    """The form for what an exception is about; None where nothing of it can be corrected.

    `after`: one or all were corrected; `going_on` then says which is the next, if there is one.
    """
    correcting = _Correcting(opened)
    if not await correcting.begin(row, opened.visit.person):
        return None

    async def act(person: Person, fields: Fields) -> None:
        await correcting.act(formed, person, fields, after, going_on)

    formed = Part(opened, correcting.form({}), act)
    return formed


class _Correcting:
    """The form as it stands on one page."""

    def __init__(self, opened: Page) -> None:
        self.opened, self.desk = opened, opened.visit.desk
        self.row: Row = {}
        self.found: Sequence[Field] = ()
        self.seen: frozenset[str] = frozenset()

    async def begin(self, row: Row, person: Person) -> bool:
        """With this exception; whether anything can be corrected."""
        try:
            self.found = await desk_acts.correctable(self.desk, person, row["id"])
        except (CannotCorrect, NotOpen, NoSuchException):
            return False
        self.row, may_see = row, person.may(Right.SEE_PERSONAL)
        self.seen = frozenset(
            f.path for f in self.found if len(f.told) <= LONGEST and (may_see or not is_personal(*f.path.split(".")))
        )
        return True

    def form(self, values: Mapping[str, str], would: Corrected | None = None, why: str = "") -> Html:
        """With these values in place of what is told now; `would`: what that comes to, which has been looked at."""
        said = f"{self.row['message']} {self.row['technical']}"
        return card(form(self.found, values, self.seen, said, would, why))

    async def act(self, formed: Part, person: Person, fields: Fields, after: After, going_on: Next) -> None:
        """Look at it, or do it for one or for all."""
        mine = [f for f in self.found if f.path in self.seen and f"{_VALUE}{f.path}" in fields]
        there = {f.path: (_plain(fields[f"{_VALUE}{f.path}"]), _plain(f.told)) for f in mine}
        values = {path: value for path, (value, told) in there.items() if value != told}
        why, doing, count = fields.get("why", "").strip(), fields.get("act", ""), 0

        def tick(some: int) -> None:
            nonlocal count
            count += some
            trying = words.TRYING if doing == "one" else words.CORRECTING
            formed.show(card(tag("p", trying.format(subject=self.row["subject"], count=f"{count:,}"))))

        dry_run = doing not in ("one", "all") or fields.get("looked") != _looked(values)
        asked = (self.desk, person, self.row["id"], values, why)
        try:
            done = await desk_acts.correct(*asked, dry_run, doing == "all", tick=tick)
        except (CannotCorrect, NotOpen, NoSuchException) as refusal:
            raise Gone(f"{words.NOTHING_CHANGED} {refusal}") from None
        if dry_run:
            self.opened.said.show(Html(""))
            formed.show(self.form(values, done, why))
            return
        text, tone = words.CORRECTED.format(count=f"{len(done.done):,}"), "good"
        if done.left:
            text += " " + words.CLOSED_BEFORE.format(count=f"{len(done.left):,}")
        elif doing == "one":
            text, tone = await came_of(self.desk, person, self.row["id"], self.row["subject"])
        await after(person)
        row = going_on()
        goes_on = row is not None and await self.begin(row, person)
        formed.show(self.form(values, why=why) if goes_on else Html(""))
        self.opened.say(text, tone)


async def came_of(desk: Admin, person: Person, number: int, subject: str) -> tuple[str, str]:
    """What came of one that is tried again, in words and with a tone; it is waited for a little."""
    came, again = WAITING, None
    for _ in range(TRIES):
        came, again = await desk_acts.came_of(desk, person, number)
        if came != WAITING:
            break
        await asyncio.sleep(EVERY)
    said = {WORKED: words.TRIED_WORKED, AGAIN: words.TRIED_AGAIN, WAITING: words.TRIED_WAITS}[came]
    return said.format(subject=subject, number=again), {WORKED: "good", AGAIN: "bad", WAITING: "warn"}[came]


# --- how it looks: pure -----------------------------------------------------------------------------------------------


def card(content: Html) -> Html:
    """Its frame, and what it is for."""
    return tag(
        "section", tag("h2", words.CORRECT), tag("p", words.CORRECT_ABOUT, class_="soft"), content, class_="card"
    )


def form(
    found: Sequence[Field],
    values: Mapping[str, str],
    seen: frozenset[str],
    said: str,
    would: Corrected | None = None,
    why: str = "",
) -> Html:
    """The fields, some together; open are those that the exception speaks of, and those that are changed."""
    groups = [
        _group(name, list(some), values, seen, said) for name, some in groupby(found, lambda f: _group_of(f, found))
    ]
    buttons = [tag("button", words.CORRECT_LOOK, type="submit", data_act="look")]
    if would is not None:
        buttons.append(tag("button", words.CORRECT_ONE, type="submit", class_="main", data_act="one"))
    if would is not None and would.alike:
        text = words.CORRECT_ALL.format(count=f"{len(would.alike) + 1:,}")
        buttons.append(tag("button", text, type="submit", data_act="all"))
    return tag(
        "form",
        *groups,
        tag("label", words.NOTE, tag("input", name="why", value=why), class_="field"),
        _would_be(would, values) if would is not None else None,
        tag("div", *buttons, class_="row-of"),
        class_="stack",
        data_act="look",
    )


def _would_be(would: Corrected, values: Mapping[str, str]) -> Html:
    """What would be told, and to how many more it applies."""
    rows = [(path, was or "–", becomes or "–") for path, (was, becomes) in would.changes.items()]
    return join(
        tag("h3", words.CORRECT_WOULD, data_focus=True),
        table(words.CORRECT_WOULD, (words.VALUE, words.SOURCE, words.TOLD), rows),
        tag("p", words.CORRECT_ALIKE.format(count=f"{len(would.alike):,}"), class_="soft") if would.alike else None,
        tag("input", type="hidden", name="looked", value=_looked(values)),
    )


def _plain(text: str) -> str:
    """As a field of a form gives it back, whether it was changed or not."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _looked(values: Mapping[str, str]) -> str:
    """What has been looked at: nothing else is done."""
    return json.dumps(sorted(values.items()))


def _group_of(field: Field, found: Sequence[Field]) -> str:
    steps = field.path.split(".")
    part = ".".join(steps[:2]) if steps[0] == "lines" else steps[0] if len(steps) > 1 else ""
    name = words.CORRECT_PARTS.get(steps[0] if part else "", steps[0])
    if steps[0] != "lines":
        return name
    return f"{name} {next((f.source for f in found if f.path == f'{part}.name'), '') or steps[1]}"


def _group(name: str, fields: Sequence[Field], values: Mapping[str, str], seen: frozenset[str], said: str) -> Html:
    open_ = any(values.get(f.path, f.told) != f.told or (len(f.told) > 1 and f.told in said) for f in fields)
    labels = [_label(name, f, values.get(f.path, f.told), f.path in seen) for f in fields]
    return tag("details", tag("summary", name), tag("div", *labels, class_="fields"), open=open_)


def _label(group: str, field: Field, value: str, seen: bool) -> Html:
    steps = field.path.split(".")
    name = " ".join(steps[2:] if steps[0] in ("lines", "rates", "payments", "discounts") else steps[-1:])
    name = name.replace("_", " ")
    more: dict[str, Any] = {"name": f"{_VALUE}{field.path}" if seen else None, "disabled": not seen}
    more |= {"aria_label": f"{group}: {name}", "autocomplete": "off"}
    lines = field.path == "note" or "\n" in field.told
    shown = tag("textarea", value, rows=3, **more) if lines else tag("input", value=value, **more)
    source = words.SOURCE_SAYS.format(value=field.source or "–") if field.told != field.source else None
    return tag("label", name, shown, tag("span", source) if source else None, class_="field")
