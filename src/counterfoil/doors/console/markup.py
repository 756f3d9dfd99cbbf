"""HTML from data: pure functions. Every text is escaped unless it is `Html` already."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from zoneinfo import ZoneInfo

from counterfoil.doors.console import words

VOID = frozenset({"br", "hr", "input", "link", "meta", "wbr"})
MINUTE, HOUR, DAY = 60, 3600, 86400
LONG = 24
"""Characters of a word in a table that are kept together."""
_TAGS = re.compile(r"<[^>]*>")
_BETWEEN = re.compile(r"[\s._:/@-]+")
_MOMENT = re.compile(r"(?a)(?<![\w-])(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?: UTC|Z|[+-]\d\d:?\d\d))(?!\w)")


class Html(str):
    """Markup, as opposed to text."""

    __slots__ = ()


Child = Html | str | int | None


def tag(name: str, /, *children: Child | Iterable[Child], **attributes: str | int | bool | None) -> Html:
    """`<name ...>children</name>`. A trailing underscore of an attribute goes, other ones are hyphens; False and None
    leave it out."""
    said = []
    for key, value in attributes.items():
        if value is True:
            said.append(f" {_attribute(key)}")
        elif value is not None and value is not False:
            said.append(f' {_attribute(key)}="{escape(str(value))}"')
    opened = f"<{name}{''.join(said)}>"
    return Html(opened if name in VOID else f"{opened}{join(*children)}</{name}>")


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def join(*children: Child | Iterable[Child]) -> Html:
    """One after the other."""
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, str | int):
            parts.append(escape(str(child)))
        else:
            parts.append(join(*child))
    return Html("".join(parts))


def table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[Child]], numbers: Iterable[int] = (), empty: str = ""
) -> Html:
    """A table whose rows are cards on a narrow screen; `numbers` are the columns set to the right."""
    right = set(numbers)
    body = [
        tag(
            "tr",
            *(
                tag(
                    "th" if n == 0 else "td",
                    tag("span", _wrapping(cell), class_="cell"),
                    scope="row" if n == 0 else None,
                    role="rowheader" if n == 0 else "cell",
                    class_=_class_of(cell, n in right),
                    data_head=head[n],
                )
                for n, cell in enumerate(row)
            ),
            role="row",
        )
        for row in rows
    ]
    if not body:
        return nothing(empty or words.NOTHING_HERE)
    heads = (
        tag("th", name, scope="col", role="columnheader", class_="number" if n in right else None)
        for n, name in enumerate(head)
    )
    return tag(
        "table",
        tag("caption", caption, class_="unseen"),
        tag("thead", tag("tr", *heads, role="row"), role="rowgroup"),
        tag("tbody", *body, role="rowgroup"),
        role="table",
    )


def _wrapping(cell: Child) -> Child:
    return breakable(cell) if isinstance(cell, str) and not isinstance(cell, Html) else cell


def _class_of(cell: Child, is_number: bool) -> str | None:
    """A single word stays whole where it is short, and breaks anywhere where it is long."""
    text = _TAGS.sub("", cell) if isinstance(cell, Html) else str(cell)
    long = any(len(part) > LONG for part in _BETWEEN.split(text))
    short = len(text) <= LONG and " " not in text
    return " ".join(filter(None, ("number" if is_number else "", "long" if long else "short" if short else ""))) or None


def nothing(text: str, more: Child = None) -> Html:
    """What stands where there is nothing to show."""
    return tag("div", tag("p", text), more, class_="empty")


def link(address: str, *children: Child, **attributes: str | int | bool | None) -> Html:
    """To another page of the console, or an address of our own docs."""
    return tag("a", *children, href=address, **attributes)


def facts(pairs: Mapping[str, Child] | Iterable[tuple[str, Child]]) -> Html:
    """Names and what they are, one below the other; what is None is left out."""
    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    return tag("dl", *((tag("dt", name), tag("dd", value)) for name, value in items if value is not None))


def mark(text: str, tone: str = "") -> Html:
    """A state in a few words; `tone` is good, warn, bad or empty. The words say it too, never the colour alone."""
    return tag("span", text, class_=f"mark {tone}".strip())


def progress(done: int, total: int) -> Html:
    """A bar, and the figures."""
    said = words.DONE_OF.format(done=f"{done:,}", total=f"{total:,}")
    bar = tag("progress", said, value=min(done, total), max=max(total, 1), aria_label=said)
    return join(bar, tag("div", said, class_="small"))


def card(title: str, about: str, content: Html) -> Html:
    """A piece of work under a heading of its own."""
    return tag("section", tag("h2", title), tag("p", about, class_="soft") if about else None, content, class_="card")


def number(value: float | None) -> Html:
    """With thin groups of three; a missing one is a dash."""
    if value is None:
        return tag("span", "–", aria_label=words.UNKNOWN)
    return Html(f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}")


def span(seconds: float) -> str:
    """A length of time in its largest two units that say enough: `45 s`, `12 min`, `3 h 5 min`, `2 d 4 h`."""
    seconds = max(0.0, seconds)
    if seconds < MINUTE:
        return f"{seconds:.0f} s" if seconds >= 10 or seconds == int(seconds) else f"{seconds:.1f} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min"
    if seconds < DAY:
        hours, rest = divmod(seconds, HOUR)
        return f"{hours:.0f} h" + (f" {rest // MINUTE:.0f} min" if rest >= MINUTE else "")
    days, rest = divmod(seconds, DAY)
    return f"{days:.0f} d" + (f" {rest // HOUR:.0f} h" if rest >= HOUR else "")


def moment(at: float | str | None, zone: ZoneInfo, now: float | None = None) -> Html:
    """A time in the shop's zone, the exact one on hover; with `now` said as an age. `at` is in seconds or ISO 8601."""
    if at is None:
        return tag("span", "–", aria_label=words.NEVER)
    known = datetime.fromisoformat(at) if isinstance(at, str) else datetime.fromtimestamp(at, UTC)
    local = known.astimezone(zone)
    exact = f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d} {zone.key}"
    if now is None:
        shown = f"{local:%Y-%m-%d %H:%M:%S}"
    else:
        age = now - known.timestamp()
        shown = words.AGO.format(span=span(age)) if age >= 0 else words.AHEAD.format(span=span(-age))
    return tag("time", shown, datetime=known.astimezone(UTC).isoformat(timespec="milliseconds"), title=exact)


def readable(text: str, zone: ZoneInfo) -> Html:
    """A text in which times, of ISO 8601 or in UTC, are said in the shop's zone; one without a zone stays as it is."""
    parts: list[Child] = []
    for n, part in enumerate(_MOMENT.split(text)):
        try:
            parts.append(moment(part.replace(" UTC", "Z"), zone) if n % 2 else breakable(part))
        except (ValueError, OverflowError):  # it only looks like one
            parts.append(part)
    return join(*parts)


def breakable(text: str) -> Html:
    """A long name that may wrap at its dots, slashes, underscores, hyphens and colons; a short one stays whole."""
    shown = escape(text)
    for character in "._:/@-" if len(text) > LONG else "":
        shown = shown.replace(character, f"{character}<wbr>")
    return Html(shown)
