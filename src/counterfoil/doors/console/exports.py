"""The ways to a table as a file."""

from __future__ import annotations

from counterfoil.doors.console import words
from counterfoil.doors.console.markup import Html, link, tag
from counterfoil.hub.views.exporting import FORMATS


def downloads(address: str, about: str, query: str = "") -> Html:
    """A link to each format of the table at this address of the admin API; `about` is the table, for who hears it."""
    ways = (
        link(
            f"{address}/{format_}{f'?{query}' if query else ''}",
            *(words.AS_FORMAT[format_], tag("span", f" {about}", class_="unseen")),
            download=True,
            class_="button",
        )
        for format_ in FORMATS
    )
    return tag("div", *ways, class_="row-of")
