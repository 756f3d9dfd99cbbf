"""Reports: the last days in figures, as tables and as files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from counterfoil.doors.admin import views
from counterfoil.doors.console import words
from counterfoil.doors.console.exports import downloads
from counterfoil.doors.console.frame import Page, Part, page
from counterfoil.doors.console.markup import Child, Html, breakable, facts, join, link, mark, number, span, table, tag
from counterfoil.hub.views.reports import COUNTED

ROOT = "/console/reports"
DAYS = (1, 7, 30, 90)
MOST = 60
"""Rows of a table that the page shows; all are in the files."""


@page("/reports")
async def reports(opened: Page) -> None:
    """Throughput, promises, exceptions by cause, and what the drift audit found last."""
    asked = opened.asked("days", "30")
    days = int(asked) if asked.isdigit() and int(asked) in DAYS else 30
    opened.heading(words.REPORTS, words.REPORTS_ABOUT)
    Part(opened, _choice(days))
    found = await views.reports(opened.visit.desk, opened.visit.person, days)
    figures, columns = found.figures, tuple(COUNTED.values())
    names = tuple(words.COLUMNS.get(column, column) for column in columns)
    throughput = [
        (day.day.isoformat(), breakable(day.system), *(number(getattr(day, column)) for column in columns))
        for day in reversed(figures.throughput)
    ]
    kept = [
        (
            breakable(each.operation),
            number(each.done),
            *(span(seconds) for seconds in (each.p50, each.p95, each.p99)),
            number(each.promised),
            mark(f"{each.late:,}", "bad") if each.late else "0",
        )
        for each in figures.promises
    ]
    causes = [
        (each.day.isoformat(), breakable(each.reason), number(each.opened), number(each.open))
        for each in reversed(figures.causes)
    ]
    promised = (
        *(words.OPERATION, words.DONE_COUNT, words.SHARE_50, words.SHARE_95, words.SHARE_99),
        *(words.PROMISED_COUNT, words.LATE_COUNT),
    )
    drift = [(name, str(value)) for name, value in found.drift.items()]
    Part(
        opened,
        join(
            _section("throughput", words.THROUGHPUT, days, (words.DAY, words.SYSTEM, *names), throughput, 2),
            _section("promises", words.PROMISES, days, promised, kept, 1),
            _section(
                "causes", words.CAUSES, days, (words.DAY, words.REASON, words.OPENED, words.STILL_OPEN), causes, 2
            ),
            tag("section", tag("h2", words.DRIFT), facts(drift), class_="card") if drift else None,
        ),
        class_="sections",
    )


def _choice(days: int) -> Html:
    ways = (
        tag(
            "li",
            link(
                f"{ROOT}?days={each}",
                words.DAYS_OF.format(days=each) if each > 1 else words.LAST_DAY,
                aria_current="true" if each == days else None,
            ),
        )
        for each in DAYS
    )
    return tag("nav", tag("ul", *ways), class_="inside", aria_label=words.DAYS)


def _section(
    name: str, title: str, days: int, head: Sequence[str], rows: Sequence[Sequence[Child]], first: int
) -> Html:
    """A table of the report with its ways to a file; columns from `first` on are numbers."""
    shown: Any = rows[:MOST]
    more = tag("p", words.FIRST_ROWS.format(shown=MOST, total=f"{len(rows):,}"), class_="soft") if rows[MOST:] else None
    files = downloads(f"/admin/v1/reports/{name}", title, f"days={days}") if rows else None
    found = table(title, head, shown, numbers=range(first, len(head)), empty=words.NO_ROWS)
    return tag("section", tag("div", tag("h2", title), files, class_="row-of"), found, more)
