"""Systems: how each stands, and one with all that is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from counterfoil.doors.admin import looking, views
from counterfoil.doors.console import guides, words
from counterfoil.doors.console.frame import Fields, Gone, Page, Part, now, page
from counterfoil.doors.console.markup import (
    Child,
    Html,
    breakable,
    facts,
    join,
    link,
    mark,
    moment,
    span,
    table,
    tag,
)
from counterfoil.hub.access.people import Person
from counterfoil.hub.access.roles import Right
from counterfoil.hub.contract import Finding, Mark
from counterfoil.hub.looks import Look
from counterfoil.hub.schedule import CARE, DOCTOR
from counterfoil.hub.versions import UNTESTED

ROOT = "/console/systems"
AGAIN = 5.0
RECENT = 7 * 86400.0
"""Seconds for which a change of version shows in the list."""


@page("/systems")
async def systems(opened: Page) -> None:
    """All of them."""
    desk, zone = opened.visit.desk, opened.visit.zone
    opened.heading(words.SYSTEMS, words.SYSTEMS_ABOUT)
    shown = Part(opened, listing(await views.systems(desk, opened.visit.person), zone, now()))

    async def again(person: Person) -> None:
        shown.show(listing(await views.systems(desk, person), zone, now()))

    opened.every(AGAIN, again)


@page("/systems/{name}")
async def one(opened: Page) -> None:
    """One of them."""
    desk, zone, name = opened.visit.desk, opened.visit.zone, opened.asked("name")

    async def read(person: Person) -> Html:
        found = [each for each in await views.systems(desk, person) if each.name == name]
        if not found:
            raise Gone(words.NO_SUCH_SYSTEM)
        return whole(found[0], zone, now(), may_look=person.may(Right.FLOWS))

    html = await read(opened.visit.person)
    opened.heading(name, link(ROOT, words.SYSTEMS))

    async def look(person: Person, fields: Fields) -> None:
        found = await looking.look(desk, person, name)
        ill = sum(each.mark is not Mark.OK for each in found)
        opened.say(words.LOOKED.format(name=name, ill=ill, count=len(found)), "warn" if ill else "good")
        await again(person)

    shown = Part(opened, html, look, class_="sections")

    async def again(person: Person) -> None:
        shown.show(await read(person))

    opened.every(AGAIN, again)


def _health(system: Any) -> Html:
    return mark(words.HEALTHS.get(system.health, system.health), words.HEALTH_TONES.get(system.health, ""))


def listing(found: Sequence[Any], zone: ZoneInfo, at: float) -> Html:
    """A row a system."""
    rows = [
        (
            link(f"{ROOT}/{each.name}", breakable(each.name)),
            _health(each),
            each.connector,
            join(*(tag("div", _version(one), _changed(one, zone, at)) for one in each.versions)),
            _polled(each, zone, at),
            moment(each.last_webhook, zone, at) if each.last_webhook is not None else words.NO_WEBHOOK,
            ", ".join(str(problem.message) for problem in each.problems) or "",
        )
        for each in found
    ]
    head = (
        *(words.SYSTEM, words.STATE, words.CONNECTOR, words.VERSION),
        *(words.LAST_POLL, words.LAST_WEBHOOK, words.PROBLEMS),
    )
    return table(words.SYSTEMS, head, rows)


def _polled(system: Any, zone: ZoneInfo, at: float) -> Child:
    """The feed that is furthest behind."""
    if not system.feeds:
        return ""
    behind = min(system.feeds, key=lambda feed: feed.seen or 0.0)
    late = mark(words.POLL_LATE, "warn") if any(feed.late for feed in system.feeds) else None
    return join(moment(behind.seen, zone, at), " ", late)


def whole(system: Any, zone: ZoneInfo, at: float, may_look: bool = False) -> Html:
    """All that is known of a system."""
    paused = [
        tag("div", p.place.stream or words.SYSTEM, ": ", _paused(p, zone), f", {p.why}" if p.why else None)
        for p in system.paused
    ]
    limits = [tag("div", f"{name.replace('_', ' ')}: {value}") for name, value in system.limits.items()]
    about = {
        words.STATE: _health(system),
        words.CONNECTOR: system.connector,
        words.LAST_WEBHOOK: moment(system.last_webhook, zone, at)
        if system.last_webhook is not None
        else words.NO_WEBHOOK,
        words.STATES_PAUSED.capitalize(): join(*paused) if paused else None,
        words.LIMITS: join(*limits) if limits else None,
    }
    feeds = [
        (
            feed.feed,
            moment(feed.seen, zone, at),
            join(mark(words.POLL_LATE, "warn"), guides.helps("poll-stale")) if feed.late else "",
        )
        for feed in system.feeds
    ]
    problems = [
        (
            link(f"/console/exceptions/{problem.number}", str(problem.number)),
            problem.message,
            join(problem.remedy, guides.helps_with(problem.reason)),
            moment(problem.since, zone, at),
        )
        for problem in system.problems
    ]
    closed = [
        (
            breakable(name),
            join(state["message"], guides.helps_with(state["reason"])),
            state["reason"],
            moment(state["since"], zone, at),
            state["again"],
        )
        for name, state in system.closed.items()
    ]
    ages = [(one.name, words.SINCE_AT_LEAST.format(span=span(at - one.since))) for one in system.credentials]
    breaker = table(words.BREAKER, (words.SYSTEM, words.WHAT, words.REASON, words.SINCE, words.AGAIN_WHEN), closed)
    return join(
        tag("section", facts(about), class_="card"),
        tag("section", tag("h2", words.BREAKER), breaker) if closed else None,
        tag(
            "section",
            tag("h2", words.PROBLEMS),
            table(
                words.PROBLEMS,
                (words.CASE, words.WHAT, words.REMEDY, words.SINCE),
                problems,
                empty=words.NO_PROBLEMS,
            ),
        ),
        _versions(system.versions, zone, at),
        tag(
            "section",
            tag("h2", words.FEEDS),
            table(words.FEEDS, (words.FEED, words.LAST_POLL, words.STATE), feeds, empty=words.NO_FEEDS),
        ),
        tag(
            "section",
            tag("h2", words.CREDENTIALS),
            table(words.CREDENTIALS, (words.NAME, words.SINCE), ages, empty=words.NO_CREDENTIALS),
        ),
        _look(words.CARED, words.CARED_ABOUT, system.looks.get(CARE), words.NOT_CARED, zone, at),
        _look(
            *(words.DOCTOR, words.DOCTOR_ABOUT, system.looks.get(DOCTOR), words.NOT_EXAMINED, zone, at),
            more=tag("form", tag("button", words.LOOK_NOW, type="submit"), data_act="look") if may_look else None,
        ),
    )


def _version(one: Any) -> Html:
    return join(breakable(f"{one.name} {one.version}"), " ", mark(words.NOT_TESTED, "warn") if one.doubt else None)


def _changed(one: Any, zone: ZoneInfo, at: float) -> Html | None:
    """What it was until a few days ago."""
    if not one.before or at - one.since > RECENT:
        return None
    return tag(
        "div", words.WAS_UNTIL.format(version=one.before[0][0]), moment(one.since, zone, at), class_="soft small"
    )


def _versions(found: Sequence[Any], zone: ZoneInfo, at: float) -> Html:
    """What it said it is, and was. The first one known was there for longer than it has been known."""
    rows = [
        (
            _version(one),
            join(None if one.before else words.SINCE_AT_LEAST_THEN, moment(one.since, zone)),
            join(*(tag("div", version, ", ", moment(since, zone)) for version, since in one.before)),
            join(one.tested, _doubt(one) if one.doubt else None),
            moment(one.seen_at, zone, at),
        )
        for one in found
    ]
    head = (words.VERSION, words.SINCE, words.VERSION_BEFORE, words.TESTED_WITH, words.TOLD_LAST)
    shown = table(words.VERSIONS, head, rows, empty=words.NO_VERSIONS)
    return tag("section", tag("h2", words.VERSIONS), shown)


def _doubt(one: Any) -> Html:
    said = tag("div", one.doubt, ". ", one.remedy, class_="soft small")
    return join(said, guides.helps_with(UNTESTED))


def _look(title: str, about: str, look: Look | None, empty: str, zone: ZoneInfo, at: float, more: Child = None) -> Html:
    """What a look found, what needs somebody first, and when it was."""
    order = {Mark.FAILED: 0, Mark.WARNING: 1, Mark.OK: 2}
    found: Sequence[Finding] = sorted(look.found, key=lambda each: order[each.mark]) if look else ()
    rows = [
        (each.check, mark(words.MARKS[each.mark], words.MARK_TONES[each.mark]), each.found, each.remedy)
        for each in found
    ]
    when = tag("p", words.LOOKED_AT, " ", moment(look.at, zone, at), class_="soft small") if look else None
    shown = table(title, (words.CHECK, words.STATE, words.FINDING, words.REMEDY), rows, empty=empty)
    return tag("section", tag("h2", title), tag("p", about, class_="soft"), when, shown, more)


def _paused(pause: Any, zone: ZoneInfo) -> Html:
    said = words.PAUSED_BY.format(who=pause.who, when="\0")
    before, _, after = said.partition("\0")
    return join(before, moment(pause.since, zone), after)
