"""Exceptions: what is alike as one, the ones of it, and one; and what a person does about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from counterfoil.doors.admin import exceptions as desk_acts
from counterfoil.doors.console import correcting, words
from counterfoil.doors.console import exceptions_html as html
from counterfoil.doors.console.frame import Fields, Gone, Page, Part, now, page
from counterfoil.doors.console.markup import Html, join, link, moment, tag
from counterfoil.hub.access.people import Person
from counterfoil.hub.access.roles import Right
from counterfoil.hub.exceptions import NoSuchException, NothingHeldBack, NotOpen
from counterfoil.hub.exceptions.bulk import RELEASED
from counterfoil.hub.exceptions.fixing import CannotLink, not_linkable
from counterfoil.hub.exceptions.rows import CannotAdd

SIZE = 50
"""Rows of a page."""
ROOT = html.ROOT


@page("/exceptions")
async def groups(opened: Page) -> None:
    """What is open, by likeness."""
    visit, owner, outcome, offset = opened.visit, opened.asked("owner"), opened.asked("outcome"), opened.place()
    opened.heading(words.EXCEPTIONS, words.EXCEPTIONS_ABOUT)
    Part(opened, html.owners(desk_acts.owners(visit.desk), owner, outcome))
    shown = Part(opened, await _groups(opened, visit.person, owner, outcome, offset))

    async def again(person: Person) -> None:
        shown.show(await _groups(opened, person, owner, outcome, offset))

    opened.every(10.0, again)


async def _groups(opened: Page, person: Person, owner: str, outcome: str, offset: int) -> Html:
    found, total = await desk_acts.groups(opened.visit.desk, person, owner, SIZE, offset, outcome)
    query = {name: text for name, text in (("owner", owner), ("outcome", outcome)) if text}
    return join(html.groups(found, owner, opened.visit.zone, now()), html.pager(ROOT, query, offset, SIZE, total))


class Alike:
    """The page of what is alike: which are left, and what was done about them here."""

    def __init__(self, opened: Page, likeness: str, owner: str, offset: int) -> None:
        self.opened, self.likeness, self.owner, self.offset = opened, likeness, owner, offset
        self.desk, self.zone = opened.visit.desk, opened.visit.zone
        self.rows: Sequence[Mapping[str, Any]] = ()
        self.total = 0

    async def read(self, person: Person) -> None:
        """Which are open now."""
        self.rows, self.total = await desk_acts.within(self.desk, person, self.likeness, self.owner, SIZE, self.offset)

    def listed(self) -> Html:
        """As a list with its pages."""
        query = {"owner": self.owner} if self.owner else {}
        pages = html.pager(f"{ROOT}/alike/{self.likeness}", query, self.offset, SIZE, self.total)
        return join(html.listing(self.rows, self.zone, now()), pages)


@page("/exceptions/alike/{likeness}")
async def alike(opened: Page) -> None:
    """Those of one likeness: try one, then all."""
    state = Alike(opened, opened.asked("likeness"), opened.asked("owner"), opened.place())
    person = opened.visit.person
    await state.read(person)
    back = link(ROOT, words.EXCEPTIONS)
    if not state.rows:
        opened.heading(words.ALIKE.format(count=0), back)
        Part(opened, html.none_open())
        return
    first = state.rows[0]
    opened.heading(words.ALIKE.format(count=f"{state.total:,}"), back)
    oldest = html.told(first, state.zone, now())
    Part(opened, tag("section", tag("p", words.ALIKE_ABOUT, class_="soft"), oldest))
    listed: list[Part] = []
    acting: list[Part] = []

    async def settle(person: Person) -> None:
        await state.read(person)
        for part in listed:
            part.show(state.listed() if state.rows else html.none_open())

    if person.may(Right.EXCEPTIONS):
        if (gaps := desk_acts.gaps(first)) is not None and person.may(Right.PROPOSE):
            acting.append(_fix(opened, first, gaps))
        correct = await correcting.part(opened, first, settle, lambda: state.rows[0] if state.rows else None)
        if correct is not None:
            acting.append(correct)
        acting.append(_try_one(opened, state, settle))
        _all(opened, state, settle, acting)
    listed.append(Part(opened, state.listed()))


def _card(title: str, about: str, content: Html) -> Html:
    return tag("section", tag("h2", title), tag("p", about, class_="soft") if about else None, content, class_="card")


def _try_one(opened: Page, state: Alike, settle: Any) -> Part:
    def shown(more: Html | None = None) -> Html:
        button = tag("div", tag("button", words.TRY_ONE, type="button", data_act="one"), class_="row-of")
        return _card(words.TRY_ONE_TITLE, words.TRY_ONE_ABOUT, join(button, more))

    async def act(person: Person, _fields: Fields) -> None:
        await state.read(person)
        if not state.rows:
            raise Gone(words.ALIKE_NONE)
        number, subject = state.rows[0]["id"], state.rows[0]["subject"]
        part.show(shown(tag("p", words.TRYING.format(subject=subject), class_="said warn")))
        await _closed(opened, desk_acts.act(state.desk, person, number, "retried", words.TRY_ONE_TITLE))
        text, tone = await correcting.came_of(state.desk, person, number, subject)
        part.show(shown(tag("p", text, class_=f"said {tone}", role="status", data_focus=True)))
        await settle(person)

    part = Part(opened, shown(), act)
    return part


def _all(opened: Page, state: Alike, settle: Any, acting: list[Part]) -> None:
    async def act(person: Person, fields: Fields) -> None:
        status, note = _asked(fields)
        await state.read(person)
        numbers = await desk_acts.alike(state.desk, person, state.likeness, state.owner)
        if not numbers:
            raise Gone(words.ALIKE_NONE)
        if fields.get("act") != "do" or fields.get("looked", status if len(numbers) == 1 else "") != status:
            would = words.WOULD[status].format(count=f"{len(numbers):,}")
            part.show(_card(words.ALL_TITLE, "", html.act_form(len(numbers), status, note, would, release)))
            return
        done = [0]

        def tick(n: int) -> None:
            done[0] += n
            part.show(_card(words.ALL_TITLE, "", html.progressing(done[0], len(numbers))))

        tick(0)
        try:
            closed = await desk_acts.in_bulk(state.desk, person, numbers, status, note, tick)
        finally:
            await settle(person)
            part.show(_card(words.ALL_TITLE, "", html.act_form(max(state.total, 1), status, note, "", release)))
        text = words.DONE[status].format(count=f"{len(closed.done):,}")
        if closed.closed_before:
            text += " " + words.CLOSED_BEFORE.format(count=f"{len(closed.closed_before):,}")
        opened.say(text)
        if not state.total:
            for each in acting:
                each.show(Html(""))

    release = desk_acts.is_held_back(state.rows[0])
    part = Part(opened, _card(words.ALL_TITLE, "", html.act_form(state.total, release=release)), act)
    acting.append(part)


def _asked(fields: Fields) -> tuple[str, str]:
    """What to do, and why; a reason is needed where nothing is tried again."""
    status, note = fields.get("status", ""), fields.get("note", "").strip()
    if status not in words.WOULD:
        raise Gone(words.NOTHING_CHANGED)
    if not note and status in ("resolved", "skipped"):
        raise Gone(words.NOTE_NEEDED)
    return status, note


async def _closed(opened: Page, doing: Any) -> Any:
    """The act, or why it could not be done, in its own words."""
    try:
        return await doing
    except (NoSuchException, NotOpen, NothingHeldBack, CannotLink, CannotAdd) as refusal:
        raise Gone(f"{words.NOTHING_CHANGED} {refusal}") from None


def _fix(opened: Page, row: Mapping[str, Any], gaps: Sequence[str]) -> Part:
    desk, number = opened.visit.desk, row["id"]

    async def act(person: Person, fields: Fields) -> None:
        values = {name: fields[f"row.{name}"].strip() for name in gaps if fields.get(f"row.{name}")}
        why, dry_run = fields.get("why", "").strip(), fields.get("act") != "propose"
        fix = await _closed(opened, desk_acts.propose_row(desk, person, number, values, why, dry_run))
        count = f"{len(fix.alike):,}"
        if dry_run:
            would = f"{fix.text}\n{words.FIX_WOULD.format(count=count)}"
            part.show(_card(words.FIX_TITLE, words.FIX_ABOUT, html.fix_form(gaps, values, would, why)))
        elif fix.proposal is None or not fix.proposal.number:
            opened.say(words.FIX_THERE, "warn")
        else:
            text = words.FIX_PROPOSED.format(number=fix.proposal.number, count=count)
            done = tag("p", text, " ", link("/console/blueprint", words.BLUEPRINT), class_="said good", data_focus=True)
            part.show(_card(words.FIX_TITLE, "", done))

    part = Part(opened, _card(words.FIX_TITLE, words.FIX_ABOUT, html.fix_form(gaps, {})), act)
    return part


@page("/exceptions/{number:int}")
async def one(opened: Page) -> None:
    """One exception: what it says, what was sent, and what to do."""
    number, desk, person = int(opened.asked("number")), opened.visit.desk, opened.visit.person
    row = await _shown(opened, person, number)
    opened.heading(words.ONE.format(number=number), link(ROOT, words.EXCEPTIONS))
    told = Part(opened, _one(opened, row))
    parts: list[Part] = []

    async def again(person: Person) -> None:
        new = await _shown(opened, person, number)
        told.show(_one(opened, new))
        if new["status"] != "open":
            for part in parts:
                part.show(Html(""))

    async def act(person: Person, fields: Fields) -> None:
        if fields.get("act") == "link":
            await _closed(opened, desk_acts.link_record(desk, person, number, fields.get("id", "").strip()))
            status = "retried"
        elif fields.get("act") == "acknowledge":
            await _closed(opened, desk_acts.acknowledge(desk, person, number))
            return await again(person)
        else:
            status, note = _asked(fields)
            doing = (
                desk_acts.release(desk, person, number, note)
                if status == RELEASED
                else desk_acts.act(desk, person, number, status, note)
            )
            await _closed(opened, doing)
        opened.say(words.DONE[status].format(count=1))
        await again(person)

    if row["status"] == "open" and person.may(Right.EXCEPTIONS):
        if (gaps := desk_acts.gaps(row)) is not None and person.may(Right.PROPOSE):
            _fix(opened, row, gaps)
        if (correct := await correcting.part(opened, row, again)) is not None:
            parts.append(correct)
        form = html.act_form(1, release=desk_acts.is_held_back(row))
        known = tag("button", words.ACKNOWLEDGE, type="button", data_act="acknowledge")
        more = None if row.get("acknowledged_at") else tag("div", known, class_="row-of")
        parts.append(Part(opened, _card(words.ACT, "", join(form, more)), act))
        if not not_linkable(row) and person.may(Right.IDENTITY):
            about = words.LINK_ABOUT.format(system=row["system"])
            parts.append(Part(opened, _card(words.LINK_TITLE, about, html.link_form(row["system"])), act))


async def _shown(opened: Page, person: Person, number: int) -> Mapping[str, Any]:
    try:
        return await desk_acts.show(opened.visit.desk, person, number)
    except NoSuchException:
        raise Gone(words.NO_SUCH_EXCEPTION) from None


def _one(opened: Page, row: Mapping[str, Any]) -> Html:
    zone = opened.visit.zone
    state = words.STATUS.get(row["status"], row["status"])
    if row["status"] != "open":
        by = words.CLOSED_BY.format(status=state, who=row["closed_by"])
        state = join(by, " ", moment(row["closed_at"], zone), f": {row['note']}" if row["note"] else None)
    more: dict[str, Any] = {words.STATE: state}
    if row.get("acknowledged_at"):
        more[words.ACKNOWLEDGE] = words.ACKNOWLEDGED.format(who=row["acknowledged_by"], when="") + " "
        more[words.ACKNOWLEDGE] = join(more[words.ACKNOWLEDGE], moment(row["acknowledged_at"], zone))
    if row.get("alike", 0) > 1:
        count = words.ALL_ALIKE.format(count=f"{row['alike']:,}")
        more[words.LIKE_IT] = link(f"{ROOT}/alike/{row['likeness']}", count)
    return html.told(row, zone, now(), more)
