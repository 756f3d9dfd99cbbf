"""How exceptions look: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from counterfoil.doors.console import guides, words
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
    table,
    tag,
)
from counterfoil.hub.exceptions.runbooks import name_of

ROOT = "/console/exceptions"
ACTS = (  # status, what it is called, what it means
    ("retried", words.RETRY, words.RETRY_ABOUT),
    ("resolved", words.RESOLVE, words.RESOLVE_ABOUT),
    ("skipped", words.SKIP, words.SKIP_ABOUT),
)
RELEASED = ("released", words.RELEASE, words.RELEASE_ABOUT)


def subject_link(subject: str) -> Html:
    """A thing by its name, leading to its counterfoil."""
    if subject.count(":") < 2:
        return breakable(subject)
    return link(f"/console/counterfoil/{quote(subject)}", breakable(subject))


def money(sums: Mapping[str, Decimal]) -> Html:
    """Sums by currency, one below the other; nothing where there are none."""
    return tag("span", (tag("div", f"{amount:,.2f} {code}") for code, amount in sums.items())) if sums else Html("")


def groups(found: Sequence[Any], owner: str, zone: ZoneInfo, now: float) -> Html:
    """The groups of what is alike."""
    empty = words.NO_EXCEPTIONS_OF.format(owner=owner) if owner else words.NO_EXCEPTIONS
    query = f"?{urlencode({'owner': owner})}" if owner else ""
    rows = [
        (
            join(
                link(
                    f"{ROOT}/alike/{quote(each.likeness)}{query}", tag("span", each.example["message"], class_="clamp")
                ),
                tag("div", where(each.example), class_="soft small"),
            ),
            number(each.count),
            ", ".join(each.owners),
            moment(each.oldest, zone, now),
            money(each.stakes),
        )
        for each in found
    ]
    head = (words.WHAT, words.HOW_MANY, words.OWNER, words.OLDEST, words.AT_STAKE)
    return table(words.EXCEPTIONS, head, rows, numbers=(1, 4), empty=empty)


def where(row: Mapping[str, Any]) -> Html:
    """System, operation and reason."""
    return join(*_between([breakable(row[name]) for name in ("system", "operation", "reason") if row[name]]))


def _between(parts: Sequence[Child]) -> Sequence[Child]:
    return [piece for n, part in enumerate(parts) for piece in ((" · ", part) if n else (part,))]


def owners(all_: Sequence[str], chosen: str, outcome: str = "") -> Html:
    """Whose are shown, as a choice that acts at once; of one class only, where it was asked for."""
    options = [tag("option", words.ALL_OWNERS, value="", selected=not chosen)]
    options += [tag("option", name, value=name, selected=name == chosen) for name in all_]
    form = tag(
        "form",
        tag("label", words.OWNER, tag("select", *options, name="owner", data_submit=True), class_="field"),
        tag("input", type="hidden", name="outcome", value=outcome) if outcome else None,
        method="get",
        action=ROOT,
        class_="row-of",
    )
    if not outcome:
        return form
    all_of = f"{ROOT}?{urlencode({'owner': chosen})}" if chosen else ROOT
    return join(form, tag("p", words.ONLY_CLASS.format(outcome=outcome), " ", link(all_of, words.SHOW_ALL)))


def pager(address: str, query: Mapping[str, str], offset: int, size: int, total: int) -> Html:
    """Which part of a list this is, and the ways to the others."""
    if total <= size and not offset:
        return Html("")

    def to(place: int) -> str:
        return f"{address}?{urlencode({**query, 'from': place})}"

    shown = words.PAGE_OF.format(first=offset + 1, last=min(offset + size, total), total=f"{total:,}")
    return tag(
        "p",
        link(to(max(0, offset - size)), words.NEWER) if offset else None,
        tag("span", shown, class_="soft"),
        link(to(offset + size), words.OLDER) if offset + size < total else None,
        class_="row-of",
    )


def listing(rows: Sequence[Mapping[str, Any]], zone: ZoneInfo, now: float) -> Html:
    """Exceptions that are alike, one a row."""
    shown = [
        (
            link(f"{ROOT}/{row['id']}", f"{row['id']}"),
            subject_link(row["subject"]),
            tag("span", row["message"], class_="clamp"),
            row["owner"],
            moment(row["opened_at"], zone, now),
        )
        for row in rows
    ]
    head = (words.ONE.format(number="").strip(), words.ABOUT, words.WHAT, words.OWNER, words.SINCE)
    return table(words.EXCEPTIONS, head, shown, empty=words.ALIKE_NONE)


def told(row: Mapping[str, Any], zone: ZoneInfo, now: float, more: Mapping[str, Child] | None = None) -> Html:
    """What an exception says."""
    held = join(" ", mark(words.HELD, "warn")) if row["held"] and row["status"] == "open" else None
    pairs: dict[str, Child] = {
        words.ABOUT: subject_link(row["subject"]) if row["subject"] else None,
        words.WHERE: join(where(row), held),
        words.OWNER: row["owner"],
        words.SINCE: join(moment(row["opened_at"], zone), " (", moment(row["opened_at"], zone, now), ")"),
        words.RESPOND: moment(row["respond_by"], zone, now) if row.get("respond_by") else None,
        words.RUNBOOK: guides.runbook(name_of(row["reason"])),
        **(more or {}),
    }
    technical = (
        tag("details", tag("summary", words.TECHNICAL), tag("pre", row["technical"])) if row["technical"] else None
    )
    helps = (tag("h3", words.SUGGESTED), tag("pre", row["suggestion"], class_="prose")) if row["suggestion"] else ()
    return tag("div", tag("p", row["message"], class_="message"), facts(pairs), *helps, technical, class_="card")


def act_form(count: int, chosen: str = "", note: str = "", would: str = "", release: bool = False) -> Html:
    """What to do about `count`, and why; `would`: what it comes to, which has been looked at for the same choice."""
    acts = (*ACTS, RELEASED) if release else ACTS
    choices = [
        tag(
            "label",
            tag("input", type="radio", name="status", value=status, checked=status == (chosen or "retried")),
            tag("span", tag("strong", name), f": {means}"),
            class_="choice",
        )
        for status, name, means in acts
    ]
    do = words.DO_ALL.format(count=f"{count:,}") if count > 1 else words.DO_ONE
    look = tag("button", words.DRY_RUN, type="submit", data_act="look") if count > 1 else None
    really = tag("button", do, type="submit", class_="main", data_act="do") if would or count == 1 else None
    return tag(
        "form",
        tag("fieldset", tag("legend", words.ACT, class_="unseen"), *choices),
        tag("label", words.NOTE, tag("textarea", note, name="note", rows=2), class_="field"),
        tag("p", would, class_="said warn", data_focus=True) if would else None,
        tag("input", type="hidden", name="looked", value=chosen) if would else None,
        tag("div", look, really, class_="row-of"),
        class_="stack",
        data_act="look" if count > 1 else "do",
    )


def progressing(done: int, count: int) -> Html:
    """How far it is."""
    text = words.DOING.format(done=f"{done:,}", count=f"{count:,}")
    return join(tag("p", text), tag("progress", text, value=done, max=count, aria_label=text))


def fix_form(gaps: Sequence[str], values: Mapping[str, str], would: str = "", why: str = "") -> Html:
    """The gaps of a suggested row; `would`: the row as it would be, which has been looked at."""
    fields = [
        tag("label", name, tag("input", name=f"row.{name}", value=values.get(name, ""), required=True), class_="field")
        for name in gaps
    ]
    return tag(
        "form",
        *fields,
        tag("label", words.NOTE, tag("input", name="why", value=why), class_="field"),
        tag("pre", would, data_focus=True) if would else None,
        tag(
            "div",
            tag("button", words.FIX_LOOK, type="submit", data_act="look"),
            tag("button", words.FIX_PROPOSE, type="submit", class_="main", data_act="propose") if would else None,
            class_="row-of",
        ),
        class_="stack",
        data_act="look",
    )


def link_form(system: str) -> Html:
    """Which record it is."""
    return tag(
        "form",
        tag("label", words.LINK_ID.format(system=system), tag("input", name="id", required=True), class_="field"),
        tag("div", tag("button", words.LINK, type="submit"), class_="row-of"),
        class_="stack",
        data_act="link",
    )


def none_open() -> Html:
    """All of a likeness are closed."""
    return nothing(words.ALIKE_NONE, link(ROOT, words.EXCEPTIONS))
