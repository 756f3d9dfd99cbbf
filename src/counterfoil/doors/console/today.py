"""Today: the figures that say whether the shop's work is done, each leading to its list; kept up while it is open."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from counterfoil.doors.admin import views
from counterfoil.doors.console import guides, money, words
from counterfoil.doors.console.frame import Page, Part, page
from counterfoil.doors.console.markup import Child, Html, breakable, join, link, mark, moment, number, span, table, tag
from counterfoil.hub.access.people import Person

ROOT = "/console"
AGAIN = 5.0
"""Seconds after which it is looked at again."""


@page("")
async def today(opened: Page) -> None:
    """All of it, anew every few seconds."""
    opened.heading(words.TODAY, words.TODAY_ABOUT)
    zone, desk = opened.visit.zone, opened.visit.desk
    now = await views.today(desk, opened.visit.person, zone.key)
    parts = [Part(opened, html) for html in drawn(now, zone)]

    async def again(person: Person) -> None:
        for part, html in zip(parts, drawn(await views.today(desk, person, zone.key), zone), strict=True):
            part.show(html)

    opened.every(AGAIN, again)


def drawn(now: Any, zone: ZoneInfo) -> tuple[Html, ...]:
    """The page's parts."""
    left_out = (tag("p", words.LEFT_OUT.format(why=why), class_="soft small") for why in now.left_out.values())
    before, _, after = words.AS_OF.partition("{when}")
    foot = tag("p", before, moment(now.at.isoformat(), zone), after, class_="soft small")
    return (
        tag("div", *_tiles(now), class_="tiles"),
        tag("section", tag("h2", words.HEALTH), tag("div", *map(_system, now.systems), class_="tiles")),
        tag("div", _owners(now), _money(now), class_="two"),
        _promises(now),
        join(*left_out, foot),
    )


def _tiles(now: Any) -> list[Html]:
    open_now = sum(each.number for each in now.exceptions)
    oldest = max((each.oldest for each in now.exceptions), default=0.0)
    return [
        _count(words.ORDERS_IN, now.orders_in),
        _count(words.ORDERS_ACCEPTED, now.orders_accepted),
        _waiting(words.LATE_NOW, now.late, "bad"),
        _tile(words.OPEN_NOW, number(open_now), _since(open_now, oldest), "exceptions", "bad" if open_now else ""),
        _waiting(words.STOCK_UNTOLD, now.stock_untold, ""),
        _waiting(words.STOCK_WAITING, now.stock_on_its_way, ""),
    ]


def _tile(name: str, value: Child, more: Child, address: str, tone: str = "") -> Html:
    return link(
        f"{ROOT}/{address}",
        tag("span", name, class_="name"),
        tag("span", value, class_="value"),
        tag("span", more, class_="more"),
        class_=f"tile {tone}".strip(),
    )


def _count(name: str, count: Any) -> Html:
    by = "; ".join(f"{system} {n:,}" for system, n in count.by_system.items()) if len(count.by_system) > 1 else ""
    more = words.LAST_HOUR.format(count=f"{count.last_hour:,}") + (f" · {by}" if by else "")
    return _tile(name, number(count.today), more, count.address)


def _since(n: int, oldest: float) -> str:
    return words.OLDEST_SINCE.format(span=span(oldest)) if n else words.NONE_LATE


def _waiting(name: str, waiting: Any, tone: str) -> Html:
    more = _since(waiting.number, waiting.oldest)
    return _tile(name, number(waiting.number), more, waiting.address, tone if waiting.number else "")


def _system(system: Any) -> Html:
    said = words.HEALTHS.get(system.health, system.health)
    tone = words.HEALTH_TONES.get(system.health, "")
    name = tag("span", breakable(system.system), class_="step")
    return link(f"{ROOT}/{system.address}", name, mark(said, tone), class_="tile system")


def _owners(now: Any) -> Html:
    rows = [
        (
            link(f"{ROOT}/{each.address}", each.owner),
            each.outcome,
            number(each.number),
            span(each.oldest),
        )
        for each in now.exceptions
    ]
    head = (words.OWNER, words.CLASS, words.HOW_MANY, words.OLDEST)
    found = table(words.BY_OWNER, head, rows, numbers=(2, 3), empty=words.NO_EXCEPTIONS)
    return tag("section", tag("h2", words.BY_OWNER), found)


def _money(now: Any) -> Html:
    return tag("section", tag("h2", words.MONEY), money.sums(now.money))


def _promises(now: Any) -> Html:
    rows = [
        (
            link(f"{ROOT}/{lag.address}", breakable(lag.operation)),
            number(lag.done),
            join(mark(f"{lag.late:,}", "bad"), guides.helps("promises-missed")) if lag.late else "0",
            span(lag.p50),
            span(lag.p95),
        )
        for lag in now.lag
    ]
    head = (words.OPERATION, words.DONE_COUNT, words.LATE_COUNT, words.SHARE_50, words.SHARE_95)
    found = table(words.PROMISES_TODAY, head, rows, numbers=(1, 2, 3, 4), empty=words.NO_PROMISES)
    return tag("section", tag("h2", words.PROMISES_TODAY), found)
