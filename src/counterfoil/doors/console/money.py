"""Money waiting to be matched: the sums by currency and kind, and the payments and refunds they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from counterfoil.doors.admin import views
from counterfoil.doors.console import words
from counterfoil.doors.console.exceptions_html import pager, subject_link
from counterfoil.doors.console.exports import downloads
from counterfoil.doors.console.frame import Page, Part, page
from counterfoil.doors.console.markup import Child, Html, breakable, join, link, mark, moment, number, span, table, tag
from counterfoil.hub.access.people import Person
from counterfoil.retail.money import minor_units

ROOT = "/console/money"
SIZE = 50
"""Rows of a page; all are in the files."""
AGAIN = 15.0


@page("/money")
async def money(opened: Page) -> None:
    """All of it, or of one kind and currency, anew as long as it is open."""
    desk, zone = opened.visit.desk, opened.visit.zone
    asked = {"kind": opened.asked("kind"), "currency": opened.asked("currency").upper()}
    query = {name: text for name, text in asked.items() if text}
    offset = opened.place()
    opened.heading(words.MONEY, words.MONEY_ABOUT)

    async def drawn(person: Person) -> Html:
        found = await views.money(desk, person, query.get("kind", ""), query.get("currency", ""), SIZE, offset)
        pages = pager(ROOT, query, offset, SIZE, found.of)
        files = downloads("/admin/v1/money", words.MONEY, urlencode(query)) if found.of else None
        only = _only(query) if query else None
        empty = words.NONE_OF_THIS_MONEY if query else words.NO_MONEY
        rows = items(found.items, zone, found.at.timestamp(), empty)
        listed = tag("section", only, files, rows, pages)
        before, _, after = words.AS_OF.partition("{when}")
        about = tag("p", words.MONEY_NOT, class_="soft small")
        foot = tag("p", before, moment(found.at.isoformat(), zone), after, class_="soft small")
        return join(tag("section", sums(found.sums)) if found.sums else None, listed, tag("div", about, foot))

    part = Part(opened, await drawn(opened.visit.person), class_="sections")

    async def again(person: Person) -> None:
        part.show(await drawn(person))

    opened.every(AGAIN, again)


def _only(query: dict[str, str]) -> Html:
    kind = words.MONEY_KINDS.get(query.get("kind", ""), "")
    what = " · ".join(filter(None, (kind, query.get("currency", ""))))
    return tag("p", words.MONEY_SHOWN.format(what=what), " ", link(ROOT, words.SHOW_ALL))


def amount(value: Decimal, currency: str) -> str:
    """An exact amount with at least the currency's own digits: `1,234.50 EUR`."""
    shown = (
        value
        if -int(value.as_tuple().exponent) >= minor_units(currency)
        else value.quantize(Decimal(1).scaleb(-minor_units(currency)))
    )
    return f"{shown:,f} {currency}"


def sums(found: Sequence[Any]) -> Html:
    """What waits of each kind in each currency, leading to its list."""
    rows = [
        (
            link(f"/console/{each.address}", words.MONEY_KINDS[each.kind]),
            number(each.count),
            amount(each.amount, each.currency),
            span(each.oldest),
        )
        for each in found
    ]
    head = (words.KIND, words.HOW_MANY, words.AMOUNT, words.OLDEST)
    more = tag("p", words.MONEY_MORE, class_="soft small") if any(each.at_least for each in found) else None
    return join(table(words.MONEY, head, rows, numbers=(1, 2, 3), empty=words.NO_MONEY), more)


def items(found: Sequence[Any], zone: ZoneInfo, at: float, empty: str) -> Html:
    """One a row."""
    rows = [
        (
            join(subject_link(each.order), tag("div", each.number, class_="soft small")),
            words.MONEY_KIND[each.kind],
            amount(each.amount, each.currency),
            breakable(" ".join(filter(None, (each.method, each.reference)))),
            moment(each.since.timestamp(), zone, at),
            breakable(each.operation),
            _state(each),
        )
        for each in found
    ]
    head = (words.ORDER, words.KIND, words.AMOUNT, words.PAID_BY, words.SINCE, words.WAITS_AT, words.STATE)
    return table(words.MONEY, head, rows, numbers=(2,), empty=empty)


def _state(item: Any) -> Child:
    said = words.MONEY_STATES[item.state]
    if item.exception is not None:
        said = f"{said} {item.exception}"
    shown = mark(said, words.MONEY_TONES.get(item.state, ""))
    return shown if item.exception is None else link(f"/console/exceptions/{item.exception}", shown)
