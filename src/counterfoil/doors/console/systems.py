"""Systems: how each stands, and one with all that is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from counterfoil.doors.admin import views
from counterfoil.doors.console import words
from counterfoil.doors.console.frame import Gone, Page, Part, now, page
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

ROOT = "/console/systems"
AGAIN = 5.0


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
        return whole(found[0], zone, now())

    html = await read(opened.visit.person)
    opened.heading(name, link(ROOT, words.SYSTEMS))
    shown = Part(opened, html, class_="sections")

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
            _polled(each, zone, at),
            moment(each.last_webhook, zone, at) if each.last_webhook is not None else words.NO_WEBHOOK,
            ", ".join(str(problem.message) for problem in each.problems) or "",
        )
        for each in found
    ]
    head = (words.SYSTEM, words.STATE, words.CONNECTOR, words.LAST_POLL, words.LAST_WEBHOOK, words.PROBLEMS)
    return table(words.SYSTEMS, head, rows)


def _polled(system: Any, zone: ZoneInfo, at: float) -> Child:
    """The feed that is furthest behind."""
    if not system.feeds:
        return ""
    behind = min(system.feeds, key=lambda feed: feed.seen or 0.0)
    late = mark(words.POLL_LATE, "warn") if any(feed.late for feed in system.feeds) else None
    return join(moment(behind.seen, zone, at), " ", late)


def whole(system: Any, zone: ZoneInfo, at: float) -> Html:
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
            mark(words.POLL_LATE, "warn") if feed.late else "",
        )
        for feed in system.feeds
    ]
    problems = [
        (
            link(f"/console/exceptions/{problem.number}", str(problem.number)),
            problem.message,
            problem.remedy,
            moment(problem.since, zone, at),
        )
        for problem in system.problems
    ]
    closed = [
        (breakable(name), state["message"], state["reason"], moment(state["since"], zone, at), state["again"])
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
    )


def _paused(pause: Any, zone: ZoneInfo) -> Html:
    said = words.PAUSED_BY.format(who=pause.who, when="\0")
    before, _, after = said.partition("\0")
    return join(before, moment(pause.since, zone), after)
