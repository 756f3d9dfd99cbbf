"""Flows: what waits on which lanes and why; pause, resume and drain; and the replays."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from counterfoil.doors.admin import flowing, views
from counterfoil.doors.console import guides, replaying, words
from counterfoil.doors.console.frame import Fields, Page, Part, page
from counterfoil.doors.console.markup import (
    Child,
    Html,
    breakable,
    card,
    join,
    link,
    mark,
    moment,
    number,
    progress,
    span,
    table,
    tag,
)
from counterfoil.hub.access.people import Person
from counterfoil.hub.access.roles import Right
from counterfoil.hub.draining import Drain
from counterfoil.hub.lanes import DECODE

ROOT = "/console/flows"
AGAIN = 3.0


@page("/flows")
async def flows(opened: Page) -> None:
    """The lanes, and what a person may do to them."""
    desk, zone, person, stream = opened.visit.desk, opened.visit.zone, opened.visit.person, opened.asked("stream")
    opened.heading(words.FLOWS, words.FLOWS_ABOUT)
    found = await views.flows(desk, person)
    shown = Part(opened, _shown(found, stream, zone))
    drained = Part(opened, drains(await flowing.drains(desk, person), zone))

    async def again(person: Person) -> None:
        shown.show(_shown(await views.flows(desk, person), stream, zone))
        drained.show(drains(await flowing.drains(desk, person), zone))
        await replays(person)

    if person.may(Right.FLOWS):
        _stopping(opened, found, again)
    replays = await replaying.section(opened)
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
        said = tag("div", one.closed.message, class_="soft small")
        return join(mark(words.STATES_CLOSED, "bad"), said, guides.helps_with(one.closed.reason))
    return join(mark(words.STATES_RUNS, "good"), guides.helps("lane-held") if one.held else None)


def drains(found: Sequence[Drain], zone: ZoneInfo) -> Html:
    """How far the drains of the last day are; nothing where there was none."""
    if not found:
        return Html("")
    head = (words.LANE, words.STATE, words.PROGRESS, words.FAILED_TRIES, words.WHAT_WAITS)
    rows = [
        (
            join(
                breakable(each.system),
                f" · {each.stream}" if each.stream else None,
                tag("div", f"{each.who}, ", moment(each.began_at, zone), class_="soft small"),
            ),
            mark(words.DRAIN_STATES[each.state], words.DRAIN_TONES[each.state]),
            progress(each.done, each.total),
            number(each.failed),
            join(tag("div", one.words, _until(one.until, zone)) for one in each.waiting),
        )
        for each in found
    ]
    return tag("section", tag("h2", words.DRAINS), table(words.DRAINS, head, rows, numbers=(3,)))


def _until(at: float | None, zone: ZoneInfo) -> Html:
    return join(f", {words.UNTIL} ", moment(at, zone)) if at is not None else Html("")


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


def _stopping(opened: Page, found: Sequence[Any], again: Callable[[Person], Awaitable[None]]) -> None:
    options = [tag("option", said, value=name) for name, said in _names(found).items()]
    form = tag(
        "form",
        tag("label", words.PAUSE_WHAT, tag("select", *options, name="name"), class_="field"),
        tag("label", words.PAUSE_WHY, tag("input", name="why", maxlength=500), class_="field"),
        tag(
            "label",
            tag("input", type="checkbox", name="lift"),
            tag("span", words.DRAIN_RESUMES),
            class_="choice",
        ),
        tag(
            "div",
            tag("button", words.PAUSE, type="submit", data_act="pause"),
            tag("button", words.RESUME, type="submit", data_act="resume"),
            tag("button", words.DRAIN, type="submit", data_act="drain"),
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
        elif fields.get("act") == "drain":
            begun = await flowing.drain(desk, person, name, fields.get("lift") == "on")
            opened.say(words.DRAINED.format(name=name, count=f"{begun.total:,}"))
        else:
            stopped = await flowing.pause(desk, person, name, fields.get("why", "").strip()[:500])
            opened.say(words.PAUSED_DONE.format(name=name, count=stopped.in_hand), "warn")
        await again(person)

    Part(opened, card(words.PAUSE_TITLE, words.PAUSE_ABOUT, form), act)
