"""How what was found, a customer and the journey of one thing look: pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from counterfoil.doors.console import words
from counterfoil.doors.console.markup import (
    Child,
    Html,
    breakable,
    facts,
    join,
    link,
    mark,
    moment,
    nothing,
    number,
    readable,
    span,
    table,
    tag,
)

ROOT = "/console/counterfoil"
_GOOD = (": done", ": resolved", ": skipped")


def search_form(text: str) -> Html:
    """The page's own field to search in."""
    field = tag("input", name="q", value=text, type="search", required=True, autocomplete="off", class_="wide")
    return tag(
        "form",
        tag("label", words.SEARCH_FOR, field, class_="field grow"),
        tag("button", words.SEARCH_DO, type="submit", class_="main"),
        action=ROOT,
        method="get",
        class_="row-of",
        data_search=True,
        data_kept=True,
    )


def thing_link(line: Any) -> Html:
    """What it is called, leading to its counterfoil; what waits for a person beside it."""
    waits = mark(words.WAITS.format(count=line.exceptions_open), "bad") if line.exceptions_open else None
    return join(link(f"{ROOT}/{quote(line.subject)}", breakable(line.title)), " ", waits)


def _known(line: Any, zone: ZoneInfo) -> Html:
    return join(*(piece for n, (name, text) in enumerate(line.facts.items()) for piece in _fact(n, name, text, zone)))


def _fact(n: int, name: str, text: str, zone: ZoneInfo) -> tuple[Child, ...]:
    return ((" · " if n else None), tag("span", f"{name} ", class_="soft"), readable(text, zone))


def found(found: Any, zone: ZoneInfo) -> Html:
    """Every group of what was found."""
    if not found.groups:
        text = words.NOT_FOUND.format(text=found.text)
        return nothing(text, tag("p", words.NOT_FOUND_HINT, class_="soft"))
    return join(*(group(each, found.text, zone) for each in found.groups))


def group(each: Any, text: str, zone: ZoneInfo) -> Html:
    """One kind of thing that was found."""
    head = (words.NAME, words.STAGE, words.KNOWN, words.FOUND_BY)
    rows = [
        (
            join(thing_link(hit.line), tag("div", breakable(hit.line.subject), class_="soft small")),
            mark(hit.line.stage) if hit.line.stage else "",
            _known(hit.line, zone),
            (words.FOUND_EXACT if hit.exact else words.FOUND_BEGINS).format(why=hit.why),
        )
        for hit in each.hits
    ]
    more = tag(
        *("button", words.MORE),
        type="button",
        data_act="more",
        data_thing=each.thing,
        data_after=each.after,
        data_q=text,
    )
    title = words.THINGS.get(each.thing, each.thing)
    return tag("section", tag("h2", title), table(title, head, rows), tag("div", more) if each.after else None)


def customer(known: Any, zone: ZoneInfo, now: float) -> Html:
    """All of a customer in one place."""
    orders = [(thing_link(line), mark(line.stage) if line.stage else "", _known(line, zone)) for line in known.orders]
    cases = [
        (
            link(f"/console/exceptions/{case.number}", str(case.number)),
            words.STATUS.get(case.status, case.status),
            readable(case.message, zone),
            link(f"{ROOT}/{quote(case.subject)}", breakable(case.subject)),
            moment(case.opened_at.isoformat(), zone, now),
        )
        for case in known.cases
    ]
    messages = [
        (
            moment(message.at.isoformat(), zone) if message.at else "",
            message.what,
            readable(message.text, zone),
            link(f"{ROOT}/{quote(message.subject)}", breakable(message.subject)),
        )
        for message in known.messages
    ]
    told = table(words.ORDERS_OF, (words.NAME, words.STAGE, words.KNOWN), orders)
    return tag(
        "section",
        tag("h2", words.CUSTOMER_OF),
        facts({words.LINKS: ", ".join(f"{system} {id_}" for system, id_ in known.links) or None}),
        tag("h3", words.ORDERS_OF),
        told,
        tag("h3", words.CASES),
        table(
            words.CASES, (words.CASE, words.STATE, words.WHAT, words.ABOUT, words.SINCE), cases, empty=words.NO_CASES
        ),
        tag("h3", words.MESSAGES),
        table(
            *(words.MESSAGES, (words.WHEN, words.WHAT, words.MESSAGE, words.ABOUT)),
            messages,
            empty=words.NO_MESSAGES,
        ),
    )


def overview(journey: Any, zone: ZoneInfo) -> Html:
    """What is known of the thing, and what is waited for."""
    line = journey.line
    known: list[tuple[str, Child]] = [(name.capitalize(), readable(text, zone)) for name, text in line.facts.items()]
    elsewhere = [tag("div", f"{system} ", breakable(str(id_))) for system, id_ in journey.links.items()]
    same = [link(f"{ROOT}/{quote(other)}", breakable(other)) for other in journey.merged_with]
    known += [
        (words.STAGE, mark(line.stage) if line.stage else None),
        (words.LINKS, join(*elsewhere) if elsewhere else None),
        (words.MERGED, join(*same) if same else None),
        (words.NOW_WAITING, join(*(_waiting(one, zone) for one in journey.waiting)) if journey.waiting else None),
        (words.NEXT_PROMISES, join(*(_promised(p, zone) for p in journey.promised)) if journey.promised else None),
    ]
    return tag("section", tag("h2", words.FACTS), facts(known), class_="card")


def _waiting(one: Mapping[str, Any], zone: ZoneInfo) -> Html:
    more = {name: value for name, value in one.items() if name not in ("id", "system", "operation", "attempt")}
    told: list[str] = [words.ATTEMPT.format(attempt=one["attempt"] + 1)] if one.get("attempt") else []
    told += [f"{name.replace('_', ' ')} {value}" for name, value in more.items() if value not in ("", None, False)]
    shown = (" (", readable(", ".join(told), zone), ")") if told else ()
    return tag("div", breakable(f"{one['system']}.{one['operation']}"), *shown)


def _promised(one: Mapping[str, Any], zone: ZoneInfo) -> Html:
    said = words.PROMISE_MISSED if one["missed"] else words.PROMISE_DUE
    before, _, after = said.partition("{when}")
    due = moment(one["due"], zone) if one.get("due") else Html("")
    return tag("div", one["name"], ": ", mark(before.strip(" ,"), "bad" if one["missed"] else ""), " ", due, after)


def stock(journey: Any, zone: ZoneInfo) -> Html:
    """Stock that is held for it, and reservations it was placed with; nothing where there are none."""
    parts: list[Child] = []
    if journey.claims:
        head = (words.ARTICLE, words.PLACE, words.UNITS, words.ERP_KNOWS)
        rows = [(c.article, c.place or "–", number(c.units), number(c.known)) for c in journey.claims]
        parts.append(tag("section", tag("h2", words.CLAIMS), table(words.CLAIMS, head, rows, numbers=(2, 3))))
    if journey.reservations:
        head = (words.RESERVATIONS, words.STATE, words.SINCE, words.UNTIL)
        rows = [
            (r.id, mark(r.state), moment(r.made_at.isoformat(), zone), moment(r.expires_at.isoformat(), zone))
            for r in journey.reservations
        ]
        parts.append(tag("section", tag("h2", words.RESERVATIONS), table(words.RESERVATIONS, head, rows)))
    return join(*parts)


def picture(drawn: str) -> Html:
    """The journey drawn, in a frame that scrolls by itself where it is wider than the page."""
    if not drawn:
        return Html("")
    shown = tag("figure", Html(drawn), tabindex=0, aria_label=words.PICTURE, class_="drawn")
    return tag("section", tag("h2", words.PICTURE), shown)


def timeline(journey: Any, zone: ZoneInfo, older: str, newest: str) -> Html:
    """Every step, oldest first, with the ways to what was sent. `older`, `newest`: addresses, empty for none."""
    ways = [link(older, words.OLDER_STEPS) if older else None, link(newest, words.NEWEST_STEPS) if newest else None]
    steps = [_step(step, zone) for step in journey.steps]
    body = tag("ol", *steps, class_="timeline") if steps else nothing(words.NO_STEPS)
    return tag("section", tag("h2", words.TIMELINE), tag("p", *ways, class_="row-of") if any(ways) else None, body)


def _step(step: Any, zone: ZoneInfo) -> Html:
    tone = tone_of(step)
    promise = mark(step.promise, "bad" if step.promise.startswith("missed") else "good") if step.promise else None
    late = mark(words.LATE_BY.format(span=span(step.late)), "bad") if step.late else None
    route = " → ".join(filter(None, (step.system, step.to)))
    ways = []
    if step.detail.get("receipt"):
        ways.append(_way(words.SHOW_RECEIPT, "receipt", step.detail["receipt"]))
    elif step.detail.get("event"):
        ways.append(_way(words.SHOW_EVENT, "event", step.detail["event"]))
    said = [f"{words.STEP_SAYS[name]} {_said(step.detail[name])}" for name in words.STEP_SAYS if step.detail.get(name)]
    rest = {name: value for name, value in step.detail.items() if name not in (*_LINKED, *words.STEP_SAYS)}
    more = {name: readable(_said(value), zone) for name, value in rest.items()}
    exception = step.detail.get("exception")
    return tag(
        "li",
        tag("div", moment(step.at.isoformat(), zone), f" · {route}" if route else None, class_="when"),
        tag("div", readable(step.text, zone), " ", promise, late),
        tag("div", readable(" · ".join(said), zone), class_="soft small wrap") if said else None,
        tag("div", link(f"/console/exceptions/{exception}", words.ONE.format(number=exception))) if exception else None,
        tag("details", tag("summary", words.TECHNICAL), facts(more), class_="small") if more else None,
        tag("div", *ways, class_="row-of") if ways else None,
        class_=tone or None,
    )


_LINKED = ("receipt", "event", "exception", "delivery")


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _way(text: str, what: str, which: object) -> Html:
    return tag("button", text, type="button", class_="quiet", data_act=what, data_which=str(which))


def tone_of(step: Any) -> str:
    """good, bad or plain: how a step went."""
    if step.what == "exception" or step.promise.startswith("missed") or step.late:
        return "bad"
    if step.what == "delivery":
        return "good" if step.text.endswith(_GOOD) else "warn"
    return ""


def sent(one: Any, zone: ZoneInfo) -> Html:
    """What came in, or the data of an event."""
    title = tag("h3", f"{one.what} · {one.system} · ", moment(_iso(one.at), zone), data_focus=True)
    headers = tag("details", tag("summary", words.HEADERS), facts(one.headers)) if one.headers else None
    return tag("div", title, tag("pre", _pretty(one.body) or words.BODY_PURGED, tabindex=0), headers, class_="card")


def _iso(at: datetime) -> str:
    return at.isoformat()


def _pretty(body: str) -> str:
    try:
        return json.dumps(json.loads(body), ensure_ascii=False, indent=1)
    except ValueError:
        return body
