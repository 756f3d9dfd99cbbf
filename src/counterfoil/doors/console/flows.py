"""Flows: what waits on which lanes and why; pause and resume; replay, after a look at what it would do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from counterfoil.doors.admin import flowing, views
from counterfoil.doors.console import words
from counterfoil.doors.console.frame import Fields, Gone, Page, Part, page
from counterfoil.doors.console.markup import Child, Html, breakable, join, link, mark, moment, number, span, table, tag
from counterfoil.hub.access.people import Person
from counterfoil.hub.access.roles import Right
from counterfoil.hub.lanes import DECODE
from counterfoil.hub.replay import Choice

ROOT = "/console/flows"
AGAIN = 3.0


@page("/flows")
async def flows(opened: Page) -> None:
    """The lanes, and what a person may do to them."""
    desk, zone, person, stream = opened.visit.desk, opened.visit.zone, opened.visit.person, opened.asked("stream")
    opened.heading(words.FLOWS, words.FLOWS_ABOUT)
    found = await views.flows(desk, person)
    shown = Part(opened, _shown(found, stream, zone))
    if person.may(Right.FLOWS):
        _stopping(opened, found)
    if person.may(Right.REPLAY):
        _replaying(opened)

    async def again(person: Person) -> None:
        shown.show(_shown(await views.flows(desk, person), stream, zone))

    opened.every(AGAIN, again)


def _shown(found: Sequence[Any], stream: str, zone: ZoneInfo) -> Html:
    if not stream:
        return lanes(found, zone)
    only = tag("p", words.ONLY_STREAM.format(stream=stream), " ", link(ROOT, words.SHOW_ALL))
    return join(only, lanes([each for each in found if each.stream == stream], zone))


def lanes(found: Sequence[Any], zone: ZoneInfo) -> Html:
    """A row a stream."""
    head = (
        *(words.LANE, words.STATE, words.DEPTH, words.HELD_COUNT, words.RETRIED, words.OLDEST_AGE),
        *(words.RATE, words.FAILED_COUNT),
    )
    rows = [
        (
            join(
                link(f"/console/systems/{each.system}", breakable(each.system)),
                f" · {each.stream}",
                tag("div", ", ".join(each.operations), class_="soft small"),
            ),
            _state(each, zone),
            number(each.depth),
            number(each.held) if each.held else "",
            number(each.retried) if each.retried else "",
            span(each.oldest) if each.depth else "",
            number(each.per_minute),
            mark(f"{each.failed:,}", "warn") if each.failed else "",
        )
        for each in found
    ]
    return table(words.FLOWS, head, rows, numbers=range(2, 8), empty=words.NO_FLOWS)


def _state(one: Any, zone: ZoneInfo) -> Child:
    if one.paused:
        before, _, after = words.PAUSED_BY.format(who=one.paused.who, when="\0").partition("\0")
        by = tag("div", before, moment(one.paused.since, zone), after, class_="soft small")
        why = tag("div", one.paused.why, class_="soft small") if one.paused.why else None
        return join(mark(words.STATES_PAUSED, "warn"), by, why)
    if one.closed:
        return join(mark(words.STATES_CLOSED, "bad"), tag("div", one.closed.message, class_="soft small"))
    return mark(words.STATES_RUNS, "good")


def _card(title: str, about: str, content: Html) -> Html:
    return tag("section", tag("h2", title), tag("p", about, class_="soft") if about else None, content, class_="card")


def _names(found: Sequence[Any]) -> dict[str, str]:
    """What can be paused: by the name that the act takes, in words."""
    names = {each.system: words.ALL_STREAMS.format(system=each.system) for each in found if each.operations}
    for each in found:
        if each.stream == DECODE:
            names[f"{each.system}.{DECODE}"] = words.DECODING.format(system=each.system)
        elif each.operations:
            said = {"system": each.system, "stream": each.stream, "operations": ", ".join(each.operations)}
            names[f"{each.system}.{each.operations[0]}"] = words.ONE_STREAM.format(**said)
    return dict(sorted(names.items()))


def _stopping(opened: Page, found: Sequence[Any]) -> None:
    options = [tag("option", said, value=name) for name, said in _names(found).items()]
    form = tag(
        "form",
        tag("label", words.PAUSE_WHAT, tag("select", *options, name="name"), class_="field"),
        tag("label", words.PAUSE_WHY, tag("input", name="why", maxlength=500), class_="field"),
        tag(
            "div",
            tag("button", words.PAUSE, type="submit", data_act="pause"),
            tag("button", words.RESUME, type="submit", data_act="resume"),
            class_="row-of",
        ),
        class_="stack",
        data_act="pause",
    )

    async def act(person: Person, fields: Fields) -> None:
        desk, name = opened.visit.desk, fields.get("name", "")
        if fields.get("act") == "resume":
            await flowing.resume(desk, person, name)
            opened.say(words.RESUMED.format(name=name))
        else:
            stopped = await flowing.pause(desk, person, name, fields.get("why", "").strip()[:500])
            opened.say(words.PAUSED_DONE.format(name=name, count=stopped.in_hand), "warn")

    Part(opened, _card(words.PAUSE_TITLE, "", form), act)


def _replaying(opened: Page) -> None:
    desk, zone = opened.visit.desk, opened.visit.zone

    async def act(person: Person, fields: Fields) -> None:
        choice = _choice(fields, zone)
        really = fields.get("act") == "do" and fields.get("looked") == choice.name
        found = await flowing.replay(desk, person, choice, dry_run=not really)
        if found.done is not None:
            opened.say(words.REPLAY_DONE.format(count=f"{found.done:,}"))
            part.show(_card(words.REPLAY_TITLE, words.REPLAY_ABOUT, _replay_form(systems, {})))
            return
        part.show(_card(words.REPLAY_TITLE, words.REPLAY_ABOUT, _replay_form(systems, fields, found, choice.name)))

    systems = list(desk.blueprint.systems)
    part = Part(opened, _card(words.REPLAY_TITLE, words.REPLAY_ABOUT, _replay_form(systems, {})), act)


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

    subject = tag("input", name="subject", value=fields.get("subject", ""), autocomplete="off")
    newest = tag("input", type="checkbox", name="newest", checked=fields.get("newest") == "on")
    return tag(
        "form",
        tag("label", words.REPLAY_SUBJECT, subject, class_="field"),
        tag("label", words.REPLAY_SYSTEM, tag("select", *options, name="system"), class_="field"),
        tag("div", time_field("since", words.REPLAY_SINCE), time_field("until", words.REPLAY_UNTIL), class_="row-of"),
        tag("label", newest, tag("span", words.REPLAY_NEWEST), class_="choice"),
        would,
        tag("input", type="hidden", name="looked", value=looked),
        tag("div", *buttons, class_="row-of"),
        class_="stack",
        data_act="look",
    )
