"""The blueprint: what waits for a second person, what the hub does in words, and who changed what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from counterfoil.blueprint.difference import Change
from counterfoil.blueprint.page import Block, Diagram, Heading, Table, plain
from counterfoil.blueprint.svg import svg
from counterfoil.doors.admin import changes
from counterfoil.doors.console import proposing, words
from counterfoil.doors.console.frame import Fields, Gone, Page, Part, page
from counterfoil.doors.console.markup import Child, Html, facts, join, link, mark, moment, nothing, table, tag
from counterfoil.hub.access.people import Person
from counterfoil.hub.access.roles import Right
from counterfoil.hub.inforce import NoSuchChange, NotApproved

DAYS = 30


@page("/blueprint")
async def show(opened: Page) -> None:
    """Pending changes, then the specification, then the history."""
    desk, person, zone = opened.visit.desk, opened.visit.person, opened.visit.zone
    opened.heading(words.BLUEPRINT, words.BLUEPRINT_ABOUT)

    async def act(person: Person, fields: Fields) -> None:
        number = fields.get("number", "")
        if not number.isdigit():
            raise Gone(words.NOTHING_CHANGED)
        try:
            await changes.approve(desk, person, int(number))
        except (NoSuchChange, NotApproved) as refusal:
            raise Gone(str(refusal)) from None
        command = f"counterfoil blueprint history {number} -o counterfoil.yaml"
        opened.say(words.APPROVED_DONE.format(number=number, command=command))
        await again(person)

    async def again(person: Person) -> None:
        rows = await changes.history(desk, person)
        waiting = [row for row in rows if row["in_force_at"] is None]
        of = {row["id"]: await changes.differences(desk, person, row["id"]) for row in waiting}
        pending.show(_pending(waiting, of, person.may(Right.APPROVE), zone))
        past.show(_history(rows, zone))

    async def measure(person: Person, _fields: Fields) -> None:
        whole.show(_specification(await changes.specification(desk, person, DAYS), measured=True))

    pending = Part(opened, Html(""), act)
    if person.may(Right.PROPOSE):
        proposing.section(opened, again)
    whole = Part(opened, _specification(await changes.specification(desk, person)), measure)
    past = Part(opened, Html(""))
    await again(person)


def _when(at: float | None, who: str | None, zone: ZoneInfo) -> Html:
    return join(who, ", " if who else None, moment(at, zone)) if at is not None else Html("")


def _pending(
    rows: Sequence[Mapping[str, Any]], of: Mapping[int, Sequence[Change]], may_approve: bool, zone: ZoneInfo
) -> Html:
    cards: list[Child] = []
    for row in rows:
        number = row["id"]
        approved = row["approved_at"] is not None
        state = mark(words.WAITS_FOR_START, "good") if approved else mark(words.WAITS_FOR_APPROVAL, "warn")
        button = tag(
            *("button", words.APPROVE.format(number=number)),
            type="button",
            class_="main",
            data_act="approve",
            data_number=number,
        )
        cards.append(
            tag(
                "section",
                tag("h3", words.CHANGE.format(number=number), " ", state),
                facts(
                    {
                        words.PROPOSED: _when(row["proposed_at"], row["proposed_by"], zone),
                        words.WHY: row["why"] or None,
                        words.APPROVED: _when(row["approved_at"], row["approved_by"], zone) if approved else None,
                    }
                ),
                table(
                    words.PARTICULAR,
                    (words.PARTICULAR, words.BEFORE, words.AFTER),
                    [(change.what, change.old or "", change.new or "") for change in of[number]],
                    empty=words.NOTHING_DIFFERS,
                ),
                tag("div", button, class_="row-of") if may_approve and not approved else None,
                class_="card",
            )
        )
    return tag("section", tag("h2", words.PENDING), *(cards or [tag("p", words.NO_PENDING, class_="soft")]))


def _history(rows: Sequence[Mapping[str, Any]], zone: ZoneInfo) -> Html:
    shown = [
        (
            str(row["id"]),
            ", ".join(row["sections"]),
            _when(row["proposed_at"], row["proposed_by"], zone),
            row["why"],
            _when(row["approved_at"], row["approved_by"], zone),
            moment(row["in_force_at"], zone) if row["in_force_at"] is not None else "",
        )
        for row in rows
    ]
    head = ("No.", words.SECTIONS, words.PROPOSED, words.WHY, words.APPROVED, words.IN_FORCE)
    found = table(words.HISTORY, head, shown) if shown else nothing(words.NO_HISTORY)
    return tag("section", tag("h2", words.HISTORY), found)


def _specification(blocks: Sequence[Block], measured: bool = False) -> Html:
    """The blocks as the console shows them, each heading with a place that a link leads to."""
    blocks = [block for block in blocks if block]
    headings = [block.text for block in blocks if isinstance(block, Heading)]
    links = (tag("li", link(f"#s{n}", plain(text))) for n, text in enumerate(headings))
    button = tag("button", words.MEASURE, type="button", data_act="measure")
    body, number = [], 0
    for block in blocks:
        if isinstance(block, Heading):
            body.append(tag("h3", plain(block.text), id=f"s{number}"))
            number += 1
        else:
            body.append(_block(block))
    return tag(
        "section",
        tag("h2", words.SPECIFICATION),
        tag("p", words.MEASURED, class_="soft") if measured else tag("div", button, class_="row-of"),
        tag("nav", tag("ul", *links), class_="inside", aria_label=words.ON_THIS_PAGE),
        *body,
        class_="specification",
    )


def _block(block: Block) -> Html:
    if isinstance(block, Diagram):
        drawn = join(Html(svg(block)), tag("figcaption", words.DIAGRAM_ABOUT, class_="soft"))
        return tag("figure", drawn, tabindex=0, aria_label=words.DIAGRAM)
    if isinstance(block, Table):
        return table("", block.head, [[plain(cell) for cell in row] for row in block.rows])
    return tag("p", plain(block)) if isinstance(block, str) else Html("")
