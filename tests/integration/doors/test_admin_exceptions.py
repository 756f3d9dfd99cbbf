"""The queue in the admin API: acts by who may, words without names for who may not see them, many at once in parts."""

from __future__ import annotations

import pytest
from tests.admin_stage import cheap_passwords, client_of, somebody, token_for
from tests.conftest import ON_SQLITE
from tests.fakes import House, blueprint, payload, rows_of, subject
from tests.picky import RIGHT, STREET, WRONG, refusing

from counterfoil.doors.admin import exceptions as desk_acts
from counterfoil.doors.admin.context import Admin
from counterfoil.hub import exceptions, schema
from counterfoil.hub.access.people import NotAllowed, Person
from counterfoil.hub.access.roles import Right, Role
from counterfoil.hub.contract import rejected
from counterfoil.hub.store import Store

pytestmark = ON_SQLITE
SAYS = "Odoo has 2 customers that match “Anna Müller” <anna@example.com>."


def who(role: Role) -> Person:
    return Person.of("1", str(role), [role], "session")


@pytest.fixture
async def desk(store: Store) -> Admin:
    """Three alike and one other are open."""
    about = [
        ("erp", f"shop:order:{n}", rejected("ambiguous_customer", SAYS, f"Ask Anna {n}.", SAYS), "o") for n in (1, 2, 3)
    ]
    about.append(("erp", "shop:order:9", rejected("no_lines", "Order 9 has no lines.", "Look."), "o"))
    async with store.write() as connection:
        await exceptions.open_about(connection, store, "accept_order", about)
    return Admin(store, blueprint(), {}, {})


async def test_who_may_not_see_people_is_shown_no_words_that_name_them(desk: Admin) -> None:
    found, _ = await desk_acts.groups(desk, who(Role.VIEWER))
    rows, total = await desk_acts.within(desk, who(Role.VIEWER), found[0].likeness, limit=2)
    shown = [found[0].example, *rows, await desk_acts.show(desk, who(Role.VIEWER), 1)]
    assert (found[0].count, total, len(rows)) == (3, 3, 2)
    assert "nna" not in str(shown)
    assert {row["message"] for row in shown} == {"Odoo has # customers that match #"}
    assert SAYS in str(await desk_acts.show(desk, who(Role.OPERATOR), 1))


@pytest.mark.parametrize("role", [Role.VIEWER, Role.APPROVER, Role.ADMIN])
async def test_who_has_not_the_right_closes_nothing(desk: Admin, role: Role) -> None:
    for doing in (
        desk_acts.act(desk, who(role), 1, "skipped"),
        desk_acts.in_bulk(desk, who(role), [1, 2], "skipped"),
        desk_acts.acknowledge(desk, who(role), 1),
        desk_acts.link_record(desk, who(role), 1, "7"),
        desk_acts.correct(desk, who(role), 1, {"billing.country": "FR"}),
    ):
        with pytest.raises(NotAllowed):
            await doing
    assert {row["status"] for row in await rows_of(desk.store, schema.exception)} == {"open"}


async def test_an_act_stands_in_the_audit_under_the_name_of_who_did_it(desk: Admin) -> None:
    closed = await desk_acts.in_bulk(desk, who(Role.OPERATOR), [1, 2, 3], "skipped", "all tests")
    assert closed.done == [1, 2, 3]
    told = await rows_of(desk.store, schema.audit)
    assert [(row["who"], row["act"], row["detail"]["note"]) for row in told] == [
        ("operator", "exception.skipped", "all tests")
    ] * 3


@pytest.fixture
async def wrong(store: Store) -> Admin:
    """The ERP takes no order to a street that two orders go to: exceptions 1 and 2."""
    house = House(store)
    for n in (1, 2):
        house.erp.always[subject(n)] = refusing(house.erp)
    await house.hear(*(payload(n, email="ada@example.org") for n in (1, 2)))
    return Admin(store, house.blueprint, {}, {})


async def test_values_of_people_are_shown_to_and_corrected_by_who_may_see_them(wrong: Admin) -> None:
    may, may_not = who(Role.OPERATOR), Person.of("1", "bot", [Role.OPERATOR], "token", [Right.SEE, Right.EXCEPTIONS])
    shown = {f.path: f.source for f in await desk_acts.correctable(wrong, may_not, 1)}
    assert (shown[STREET], shown["customer.email"], shown["lines.1.sku"]) == ("•••", "a•••@example.org", "MUG")
    assert {f.path: f.source for f in await desk_acts.correctable(wrong, may, 1)}[STREET] == WRONG
    with pytest.raises(NotAllowed):
        await desk_acts.correct(wrong, may_not, 1, {STREET: RIGHT})
    done = await desk_acts.correct(wrong, may_not, 1, {"lines.1.sku": "CUP"}, dry_run=True)
    assert "rue" not in str(done)
    assert "example.org" not in str(done).replace("a•••@example.org", "")


async def test_a_program_looks_first_and_then_corrects_all_alike(wrong: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_passwords(monkeypatch)
    await somebody(wrong.store, "otto", [Role.OPERATOR])
    async with client_of(wrong, await token_for(wrong.store, "otto")) as client:
        listed = (await client.get("/exceptions/1/values")).json()["values"]
        assert {"path": STREET, "source": WRONG, "told": WRONG} in listed
        money = await client.post("/exceptions/1/correct", json={"values": {"total": "1.00 EUR"}})
        assert (money.status_code, "Change it in shop" in money.json()["detail"]) == (409, True)
        assert (await client.post("/exceptions/1/correct", json={"values": {STREET: 7}})).status_code == 422
        asked = {"values": {STREET: RIGHT}, "all_alike": True, "why": "she called us"}
        would = (await client.post("/exceptions/1/correct", json={**asked, "dry_run": True})).json()
        assert (would["alike"], would["done"], would["told"]["billing"]["street"]) == ([2], [], RIGHT)
        done = (await client.post("/exceptions/1/correct", json=asked)).json()
        assert (done["changes"], done["done"]) == ({STREET: {"was": WRONG, "becomes": RIGHT}}, [1, 2])
        assert (await client.post("/exceptions/1/correct", json=asked)).status_code == 409
        assert (await client.get("/exceptions/99/values")).status_code == 404
    assert {row["who"] for row in await rows_of(wrong.store, schema.correction)} == {"otto"}
