"""Replays on the page of the flows: what one would do, the job that it is then, and how far each is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from counterfoil.doors.admin import flowing
from counterfoil.doors.console import words
from counterfoil.doors.console.frame import Fields, Gone, Page, Part
from counterfoil.doors.console.markup import (
    Child,
    Html,
    breakable,
    card,
    join,
    mark,
    moment,
    number,
    progress,
    table,
    tag,
)
from counterfoil.hub.access.people import Person
from counterfoil.hub.access.roles import Right
from counterfoil.hub.replay import Choice
from counterfoil.hub.replays import FAILED, RUNNING, STOPPED, Job


async def section(opened: Page) -> Callable[[Person], Awaitable[None]]:
    """The last replays, and the form of a new one for who may; what shows how far they are by now."""
    desk, zone = opened.visit.desk, opened.visit.zone

    async def act(person: Person, fields: Fields) -> None:
        text = fields.get("number", "")
        if not text.isdigit():
            raise Gone(words.NOTHING_CHANGED)
        if fields.get("act") == "stop":
            await flowing.stop_replay(desk, person, int(text))
            opened.say(words.REPLAY_STOPPED.format(number=text), "warn")
        else:
            await flowing.go_on_with_replay(desk, person, int(text))
            opened.say(words.REPLAY_GOES_ON.format(number=text))
        await again(person)

    async def again(person: Person) -> None:
        shown.show(jobs(await flowing.replays_begun(desk, person), zone, person.may(Right.REPLAY)))

    shown = Part(opened, Html(""), act)
    await again(opened.visit.person)
    if opened.visit.person.may(Right.REPLAY):
        _form_of_a_new_one(opened, again)
    return again


def jobs(found: Sequence[Job], zone: ZoneInfo, may_act: bool) -> Html:
    """A row each, the newest first; nothing where there was none."""
    if not found:
        return Html("")
    head = ["No.", words.WHAT, words.STATE, words.PROGRESS, *([words.REPLAY_ACT] if may_act else [])]
    rows = [
        (
            str(job.number),
            join(
                _chosen(job.choice, zone), tag("div", f"{job.who}, ", moment(job.began_at, zone), class_="soft small")
            ),
            _state(job, zone),
            progress(job.deliveries, job.expected),
            *([_button(job)] if may_act else []),
        )
        for job in found
    ]
    return tag("section", tag("h2", words.REPLAYS), table(words.REPLAYS, head, rows))


def _chosen(choice: Choice, zone: ZoneInfo) -> Html:
    said: list[Child] = [*choice.types, choice.subject, choice.source, choice.system, *choice.operations]
    for label, at in ((words.REPLAY_SINCE, choice.since), (words.REPLAY_UNTIL, choice.until)):
        said += [join(f"{label} ", moment(at.timestamp(), zone))] if at else []
    said += [words.REPLAY_NEWEST] if choice.newest_only else []
    return join(tag("div", part if isinstance(part, Html) else breakable(str(part))) for part in said if part)


def _state(job: Job, zone: ZoneInfo) -> Html:
    more: Child = None
    if job.state == RUNNING and not job.worked_on:
        more = words.REPLAY_WAITS
    elif job.state == STOPPED:
        more = words.REPLAY_STOPPED_BY.format(who=job.ended_by)
    elif job.state == FAILED:
        more = job.trouble
    elif job.ended_at is not None:
        more = moment(job.ended_at, zone)
    shown = mark(words.REPLAY_STATES[job.state], words.REPLAY_TONES[job.state])
    return join(shown, tag("div", more, class_="soft small") if more else None)


def _button(job: Job) -> Html:
    if job.state == RUNNING:
        return tag("button", words.REPLAY_STOP, type="button", data_act="stop", data_number=job.number)
    if job.state in (STOPPED, FAILED):
        return tag("button", words.REPLAY_GO_ON, type="button", data_act="go_on", data_number=job.number)
    return Html("")


def _form_of_a_new_one(opened: Page, again: Callable[[Person], Awaitable[None]]) -> None:
    desk, zone = opened.visit.desk, opened.visit.zone

    async def act(person: Person, fields: Fields) -> None:
        choice = _choice(fields, zone)
        really = fields.get("act") == "do" and fields.get("looked") == choice.name
        found = await flowing.replay(desk, person, choice, not really, _rate(fields), anew=True)
        if found.job is not None:
            opened.say(words.REPLAY_BEGUN.format(number=found.job))
            part.show(shown({}))
            await again(person)
            return
        part.show(shown(fields, found, choice.name))

    def shown(fields: Fields, found: Any = None, looked: str = "") -> Html:
        form = _replay_form(list(desk.blueprint.systems), fields, found, looked)
        return card(words.REPLAY_TITLE, words.REPLAY_ABOUT, form)

    part = Part(opened, shown({}), act)


def _rate(fields: Fields) -> float:
    """Deliveries a second."""
    text = fields.get("rate", "").strip()
    if not text:
        return 0.0
    if not text.isdigit() or int(text) < 1:
        raise Gone(words.REPLAY_NO_RATE)
    return int(text) / 60


def _choice(fields: Fields, zone: ZoneInfo) -> Choice:
    try:
        since, until = (
            datetime.fromisoformat(fields[name]).replace(tzinfo=zone) if fields.get(name) else None
            for name in ("since", "until")
        )
    except ValueError:
        raise Gone(words.REPLAY_NARROW) from None
    subject, system = fields.get("subject", "").strip(), fields.get("system", "")
    if not (subject or system or since or until):
        raise Gone(words.REPLAY_NARROW)
    return Choice(subject=subject, system=system, since=since, until=until, newest_only="newest" in fields)


def _replay_form(systems: Sequence[str], fields: Fields, found: Any = None, looked: str = "") -> Html:
    options = [tag("option", words.REPLAY_ANY, value="")]
    options += [tag("option", name, value=name, selected=name == fields.get("system")) for name in systems]
    buttons = [tag("button", words.DRY_RUN, type="submit", data_act="look")]
    would: Html | None = None
    if found is not None:
        said = words.REPLAY_WOULD if found.deliveries else words.REPLAY_NONE
        counts = {name: f"{getattr(found, name):,}" for name in ("events", "deliveries", "unfinished")}
        rows = [(breakable(name), number(count)) for name, count in found.by_operation.items()]
        head = (words.OPERATION, words.HOW_MANY)
        would = join(
            tag("p", said.format(**counts), class_="said warn", data_focus=True),
            table(words.REPLAY_BY, head, rows, numbers=(1,)) if rows else None,
        )
        if found.deliveries:
            do = words.REPLAY_DO.format(count=counts["deliveries"])
            buttons.append(tag("button", do, type="submit", class_="main", data_act="do"))

    def time_field(name: str, label: str) -> Html:
        field = tag("input", type="datetime-local", name=name, value=fields.get(name, ""))
        return tag("label", label, field, class_="field")

    rate = tag("input", type="number", min=1, step=1, name="rate", value=fields.get("rate", ""))
    subject = tag("input", name="subject", value=fields.get("subject", ""), autocomplete="off")
    newest = tag("input", type="checkbox", name="newest", checked=fields.get("newest") == "on")
    return tag(
        "form",
        tag("label", words.REPLAY_SUBJECT, subject, class_="field"),
        tag("label", words.REPLAY_SYSTEM, tag("select", *options, name="system"), class_="field"),
        tag("div", time_field("since", words.REPLAY_SINCE), time_field("until", words.REPLAY_UNTIL), class_="row-of"),
        tag("label", words.REPLAY_RATE, rate, class_="field"),
        tag("label", newest, tag("span", words.REPLAY_NEWEST), class_="choice"),
        would,
        tag("input", type="hidden", name="looked", value=looked),
        tag("div", *buttons, class_="row-of"),
        class_="stack",
        data_act="look",
    )
