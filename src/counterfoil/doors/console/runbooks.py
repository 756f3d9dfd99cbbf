"""Runbooks: what an alert or an exception means for the shop, what to do, and how to know that it is over."""

from __future__ import annotations

import re
from collections.abc import Iterable

from counterfoil.doors.console import guides, words
from counterfoil.doors.console.frame import Gone, Page, Part, page
from counterfoil.doors.console.markup import Html, join, link, mark, table, tag
from counterfoil.hub.exceptions.runbooks import PAGES
from counterfoil.watch.rules import RULES, Rule


@page(f"/{guides.RUNBOOKS}")
async def runbooks(opened: Page) -> None:
    """All of them, with the alerts and the reasons that lead there."""
    opened.heading(words.RUNBOOKS, words.RUNBOOKS_ABOUT)
    Part(opened, listing(guides.titles(guides.RUNBOOKS)))


def listing(names: Iterable[str]) -> Html:
    """A row a page."""
    alerts = {rule.page: rule for rule in RULES}
    rows = [
        (
            guides.runbook(name),
            _alert(alerts[name]) if name in alerts else "",
            Html(", ".join(tag("code", reason) for reason in sorted(PAGES.get(name, ())))),
        )
        for name in names
    ]
    return table(words.RUNBOOKS, (words.RUNBOOK, words.ALERT, words.REASONS), rows)


def _alert(rule: Rule) -> Html:
    name = tag("wbr").join(re.findall("[A-Z][a-z]*", rule.name))  # a long one breaks between its words
    return join(Html(name), " ", mark(rule.severity, "bad" if rule.severity == "critical" else "warn"))


def _guide(folder: str) -> None:
    @page(f"/{folder}/{{name}}")
    async def guide(opened: Page) -> None:
        name = opened.asked("name")
        try:
            shown = guides.shown(folder, name)
        except KeyError:
            raise Gone(words.NO_SUCH_GUIDE) from None
        title, back = guides.titles(folder)[name], link(f"{guides.ROOT}/{guides.RUNBOOKS}", words.RUNBOOKS)
        opened.heading(title, back, f"{title} · {words.RUNBOOKS}")
        Part(opened, shown, class_="prose card")


for _folder in guides.FOLDERS:
    _guide(_folder)
