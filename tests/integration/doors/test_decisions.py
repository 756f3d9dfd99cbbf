"""The review list given back: what people decide is checked as a whole, done once, remembered, and in the audit log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from counterfoil.blueprint import Blueprint, Catalogue, ConnectorInfo, parse
from counterfoil.doors import onboarding
from counterfoil.doors.cli_onboarding import write_rows
from counterfoil.doors.decisions import Undecided, read
from counterfoil.doors.linked import Linked
from counterfoil.hub import linking
from counterfoil.hub.schema import audit
from counterfoil.hub.store import Store
from counterfoil.retail.events import EVENT_TYPES

KNOWN = Catalogue.of([ConnectorInfo("shop", is_channel=True), ConnectorInfo("erp")], EVENT_TYPES)
TEXT = """\
counterfoil: 1
systems:
  web: {connector: shop, url: https://shop.example}
  odoo: {connector: erp, url: https://odoo.example}
owners: {customer: OWNER, product: odoo}
customers: {match: [email, phone], candidates: {name: 0.9, address: 0.9}}
"""
PLACE = {"street": "1 rue Haute", "postcode": "75002", "city": "Paris", "country": "FR"}
PARTNERS = {
    "501": {"name": "Anna Martin", "email": "anna@x.example", **PLACE},
    "502": {"name": "Ben Keller", "email": "twice@x.example"},
    "503": {"name": "Ben Keller", "email": "twice@x.example"},
    "504": {"name": "Carl Ott", "email": "carl@x.example", "phone": "01 23 45 67 89", "country": "FR"},
}
ACCOUNTS = {
    "1": {"name": "Ana Martin", "email": "a.martin@y.example", **PLACE},
    "2": {"name": "Ben Keller", "email": "twice@x.example"},
    "3": {"name": "Dora Ott", "email": "dora@x.example", "phone": "+33 1 23 45 67 89"},
}


class People:
    """A connector with these customers."""

    def __init__(self, people: Mapping[str, Mapping[str, str]]) -> None:
        self._people = people

    async def people(self) -> AsyncIterator[tuple[str, Mapping[str, str]]]:
        for row in self._people.items():
            yield row


@pytest.fixture(params=["web", "odoo"])
def plan(request: pytest.FixtureRequest) -> Blueprint:
    """Whoever owns customers, and so gives them their names."""
    return parse(TEXT.replace("OWNER", request.param), known=KNOWN, environ={})


def quiet(_label: str, _n: int, _total: int | None) -> None:
    """No progress is shown."""


async def link(store: Store, plan: Blueprint, file: Path | None = None, write: bool = True) -> Linked:
    made: dict[str, Any] = {"odoo": People(PARTNERS), "web": People(ACCOUNTS)}
    return await onboarding.link(store, plan, made, "web", "customers", write, quiet, file, "pat", personal=True)


def seen(found: Linked) -> list[tuple[str, str, str]]:
    return sorted((row.reason, row.here, row.there) for row in found.rows)


def review(folder: Path, found: Linked, decisions: Mapping[str, str], name: str = "review.csv") -> Path:
    """The review list as a person gives it back, decided by reason."""
    rows = [row.as_dict("odoo", "web", personal=True) for row in found.rows]
    for row in rows:
        row["decision"] = decisions.get(row["reason"], "")
    write_rows(folder / name, rows)
    return folder / name


async def noted(store: Store) -> list[tuple[str, str]]:
    async with store.read() as connection:
        return [(row.who, row.act) for row in await connection.execute(sa.select(audit).order_by(audit.c.id))]


OPEN = [
    ("ambiguous", "502 503", "2"),
    ("candidate", "501", "1"),
    ("keys_disagree", "504", "3"),
]


async def test_what_is_only_alike_waits_for_a_person(store: Store, plan: Blueprint, tmp_path: Path) -> None:
    """case: F36"""
    found = await link(store, plan)
    assert (found.written, seen(found)) == (0, OPEN)
    row = next(r for r in found.rows if r.reason == "candidate").as_dict("odoo", "web")
    assert row["by"] == "name 0.95, address 1.00"
    assert "Martin" not in str(row), "who they are stands only where it was asked for"


@pytest.mark.parametrize("name", ["review.csv", "review.json"])
async def test_decisions_link_or_are_remembered(store: Store, plan: Blueprint, tmp_path: Path, name: str) -> None:
    found = await link(store, plan)
    file = review(tmp_path, found, {"candidate": "Link", "keys_disagree": "not_the_same", "ambiguous": "later"}, name)
    dry = await link(store, plan, file, write=False)
    assert (len(dry.decided.links), len(dry.decided.apart), dry.written) == (1, 1, None)
    assert seen(await link(store, plan)) == OPEN, "a dry run decides nothing"
    done = await link(store, plan, file)
    assert done.written == 1
    after = [("ambiguous", "502 503", "2"), ("only_here", "504", ""), ("only_there", "", "3")]
    assert seen(await link(store, plan)) == after, "told apart once, proposed never again"
    home, away, pair = (
        ("web", "odoo", ("1", "501")) if plan.owners["customer"] == "web" else ("odoo", "web", ("501", "1"))
    )
    assert await linking.known_links(store, home, "customer", away) == [pair]
    assert await noted(store) == [("pat", "identity.same"), ("pat", "identity.not_the_same")]
    again = await link(store, plan, file)
    assert (again.written, again.decided.links) == (0, [])


async def test_of_several_the_one_that_is_meant_is_left_in_the_row(
    store: Store, plan: Blueprint, tmp_path: Path
) -> None:
    file = review(tmp_path, await link(store, plan), {"ambiguous": "link"})
    with pytest.raises(Undecided, match=r"line \d: the column odoo has 2 ids; leave the one that is meant"):
        await link(store, plan, file)
    file.write_text(file.read_text().replace("502 503", "503"))
    assert (await link(store, plan, file)).written == 1
    assert ("only_here", "502", "") in seen(await link(store, plan))


async def test_none_of_several_is_meant(store: Store, plan: Blueprint, tmp_path: Path) -> None:
    await link(store, plan, review(tmp_path, await link(store, plan), {"ambiguous": "not the same"}))
    assert [row for row in seen(await link(store, plan)) if row[0] == "ambiguous"] == []


async def test_who_changes_their_mind_may_link_what_was_told_apart(
    store: Store, plan: Blueprint, tmp_path: Path
) -> None:
    file = review(tmp_path, await link(store, plan), {"candidate": "not the same"})
    await link(store, plan, file)
    file.write_text(file.read_text().replace("not the same", "link"))
    assert (await link(store, plan, file)).written == 1
    assert len((await link(store, plan)).matching.linked) == 1


async def test_what_is_linked_cannot_be_told_apart_here(store: Store, plan: Blueprint, tmp_path: Path) -> None:
    file = review(tmp_path, await link(store, plan), {"candidate": "link"})
    await link(store, plan, file)
    file.write_text(file.read_text().replace(",link,", ",not the same,"))
    with pytest.raises(Undecided, match="are linked; part them with identity split"):
        await link(store, plan, file)


HEAD = "what,decision,odoo,web\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "customer,yes,501,1\n", "line 2: decision is 'yes', expected link, not the same, later or nothing"),
        (HEAD + "customer,link,999,1\n", "line 2: odoo has no customer 999"),
        (HEAD + "customer,link,501,\n", "line 2: 'link' wants the id of the other one in the column web"),
        (HEAD + "customer,link,501,1\ncustomer,link,502,1\n", "line 3: web 1 is linked with odoo 501 already"),
        (HEAD + "customer,link,501,1\ncustomer,not the same,501,1\n", "to be linked and not the same|are linked"),
        (HEAD + "product,link,501,1\n", "line 2: a product cannot be decided here"),
        ("what,decision,odoo\ncustomer,link,501\n", "line 2: the column 'web' is missing"),
        ("\xff\xfe", "is no list in CSV and UTF-8"),
    ],
)
async def test_a_file_with_a_mistake_changes_nothing_and_says_where(
    store: Store, plan: Blueprint, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "review.csv"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(Undecided, match=said):
        await link(store, plan, file)
    assert await noted(store) == []


def test_a_spreadsheet_may_part_with_semicolons_and_mark_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "review.csv"
    file.write_bytes("\ufeffwhat;decision;odoo;web;note\r\ncustomer;link;501;1;a, b\r\n".encode())
    (verdict,) = read(file, "odoo", "web")
    assert (verdict.line, verdict.word, verdict.pairs) == (2, "link", [("501", "1")])


def test_only_its_owner_can_read_a_list_of_people(tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    write_rows(file, [{"odoo": "=1+1"}])
    assert file.stat().st_mode & 0o077 == 0
    assert file.read_text() == "odoo\n'=1+1\n"
