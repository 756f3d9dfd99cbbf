"""The queue in the admin API: acts by who may, words without names for who may not see them, many at once in parts."""

from __future__ import annotations

import pytest
from tests.conftest import ON_SQLITE
from tests.fakes import blueprint, rows_of

from counterfoil.doors.admin import exceptions as desk_acts
from counterfoil.doors.admin.context import Admin
from counterfoil.hub import exceptions, schema
from counterfoil.hub.access.people import NotAllowed, Person
from counterfoil.hub.access.roles import Role
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
