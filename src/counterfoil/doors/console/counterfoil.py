"""The counterfoil: one search over all things, and the journey of one across the systems."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from counterfoil.doors.admin import views
from counterfoil.doors.console import journey_html as html
from counterfoil.doors.console import words
from counterfoil.doors.console.frame import Fields, Page, Part, now, page
from counterfoil.doors.console.markup import Html, join, link
from counterfoil.hub.access.people import Person
from counterfoil.hub.views import picture

LIMIT = 20
"""Hits of a kind at once."""
AGAIN = 5.0
"""Seconds after which an open journey is looked at again."""


@page("/counterfoil")
async def search(opened: Page) -> None:
    """Find things; what names a person is asked for by the open page, not by its address."""
    opened.heading(words.COUNTERFOIL, words.SEARCH_ABOUT)
    text = opened.asked("q").strip()

    async def act(person: Person, fields: Fields) -> None:
        asked = fields.get("q", "").strip()
        if fields.get("act") == "search":
            form.show(html.search_form(asked))
        more = (fields.get("thing", ""), fields.get("after", "")) if fields.get("act") == "more" else ("", "")
        shown.show(await _found(opened, person, asked, *more))

    form = Part(opened, html.search_form(text), act)
    shown = Part(opened, await _found(opened, opened.visit.person, text) if text else Html(""), act)


async def _found(opened: Page, person: Person, text: str, thing: str = "", after: str = "") -> Html:
    desk, zone = opened.visit.desk, opened.visit.zone
    found = await views.find(desk, person, text, thing, after, LIMIT)
    if after or not any(hit.exact and hit.why in ("e-mail", "telephone") for g in found.groups for hit in g.hits):
        return html.found(found, zone)
    return html.customer(await views.customer(desk, person, text), zone, now())


@page("/counterfoil/{subject:path}")
async def journey(opened: Page) -> None:
    """All that is known of one thing, as it comes in."""
    subject, until = opened.asked("subject"), opened.asked("until")
    desk, zone = opened.visit.desk, opened.visit.zone
    try:
        place = float(until) if until else None
    except ValueError:
        place = None
    address = f"{html.ROOT}/{quote(subject)}"

    async def read(person: Person) -> Any:
        return await views.journey(desk, person, subject, place)

    def drawn(found: Any) -> tuple[Html, ...]:
        older = f"{address}?until={found.until}" if found.until is not None else ""
        return (
            html.overview(found, zone),
            html.stock(found, zone),
            html.picture(picture.svg(found, zone)),
            html.timeline(found, zone, older, address if place is not None else ""),
        )

    async def act(person: Person, fields: Fields) -> None:
        what, which = fields.get("act", ""), fields.get("which", "")
        if what == "receipt" and which.isdigit():
            sent.show(html.sent(await views.received(desk, person, int(which)), zone))
        elif what == "event":
            sent.show(html.sent(await views.happened(desk, person, which), zone))

    found = await read(opened.visit.person)
    thing = words.THING.get(found.line.thing, found.line.thing)
    title = f"{thing} {found.line.title}".strip()
    opened.heading(title, join(link(html.ROOT, words.COUNTERFOIL), " · ", subject))
    overview, stock, drawing, steps = drawn(found)
    parts = [Part(opened, overview), Part(opened, stock), Part(opened, drawing)]
    sent = Part(opened, Html(""))
    parts.append(Part(opened, steps, act))

    async def again(person: Person) -> None:
        for part, new in zip(parts, await asyncio.to_thread(drawn, await read(person)), strict=True):
            part.show(new)

    if place is None:
        opened.every(AGAIN, again)
