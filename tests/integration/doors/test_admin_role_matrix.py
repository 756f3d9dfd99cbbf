"""Every route and every act of the admin API with every role and with nobody, from the right that each declares."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from starlette.requests import HTTPConnection
from tests.admin_stage import client_of, desk_of
from tests.conftest import ON_SQLITE

from counterfoil.doors import admin
from counterfoil.doors.admin.acts import ACTS
from counterfoil.doors.admin.app import NOT_DECLARED, SUBJECTS, application, rights
from counterfoil.doors.admin.context import Admin
from counterfoil.hub.access.people import NotAllowed, Person
from counterfoil.hub.access.roles import RIGHTS, Right, Role
from counterfoil.hub.store import Store

MODULES = [importlib.import_module(f"{admin.__name__}.{m.name}") for m in pkgutil.iter_modules(admin.__path__)]
OPEN_TO_ANYBODY = {
    ("GET", "/admin/v1/health"),
    ("POST", "/admin/v1/sign-in"),
    ("GET", "/admin/v1/problems/{code}"),
    ("GET", "/admin/v1/sign-in/elsewhere"),
    ("GET", "/admin/v1/sign-in/back"),
    ("GET", "/admin/v1/sign-out/elsewhere"),
}
"""What nobody in particular may ask: signing in, whether the hub is there, and what a refusal means."""


def filled(path: str) -> str:
    """The address of nothing that is there."""
    return "/".join(("999" if "number" in p else "nothing") if p.startswith("{") else p for p in path.split("/"))


@ON_SQLITE
async def test_a_route_answers_who_has_its_right_and_nobody_else(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody: 401, but for signing in and health. Without the right: 403, before anything of the request is looked at.
    With it: whatever else."""
    asking: list[Person | None] = [None, *(Person.of("1", role.value, [role], "token") for role in Role)]

    async def who(_desk: Admin, _request: HTTPConnection, touch: bool = True) -> Person | None:
        return person  # how somebody is recognised is a test of its own

    monkeypatch.setattr(Admin, "who", who)
    desk, wrong = desk_of(store), []
    table = rights(application(desk))
    assert len(table) > 20
    async with client_of(desk) as client:
        for person in asking:
            for path, method, right in table:
                answer = await client.request(method, f"http://hub.test{filled(path)}")
                got = answer.json().get("type", "").rpartition("/")[2] if answer.status_code in (401, 403) else ""
                if right is None or (person and (right == "" or person.may(Right(right)))):
                    expected = ""
                else:
                    expected = "not_allowed" if person else "not_signed_in"
                if got != expected or answer.status_code == 500:
                    wrong.append((method, path, right, person and person.name, answer.status_code, got))
    assert wrong == []


@ON_SQLITE
async def test_each_route_declares_a_right_and_what_is_open_is_known(store: Store) -> None:
    table = rights(application(desk_of(store)))
    assert [row for row in table if row[2] == NOT_DECLARED] == []
    assert {(method, path) for path, method, right in table if right is None} <= OPEN_TO_ANYBODY
    mounted = {module.__name__ for module in MODULES if hasattr(module, "routes")}
    assert mounted == {module.__name__ for module in SUBJECTS}


@ON_SQLITE
@pytest.mark.parametrize("role", Role)
async def test_an_act_refuses_who_has_not_its_right_whoever_calls_it(store: Store, role: Role) -> None:
    """The console calls acts without any route between: each asks by itself, before it does anything."""
    desk, person = desk_of(store), Person.of("1", "anna", [role], "session")
    assert len(ACTS) > 15
    for act in ACTS.values():
        if act.right is not None and act.right not in RIGHTS[role]:
            with pytest.raises(NotAllowed):
                await act(desk, person)


def test_roles_have_the_least_that_their_work_needs() -> None:
    def having(right: Right) -> set[Role]:
        return {role for role in Role if right in RIGHTS[role]}

    assert RIGHTS[Role.VIEWER] == {Right.SEE}
    assert having(Right.USERS) == having(Right.AUDIT) == having(Right.TOKENS) == {Role.ADMIN}
    assert having(Right.APPROVE) == {Role.APPROVER}
    assert having(Right.SEE_PERSONAL) == {Role.OPERATOR, Role.FINANCE}


def test_a_token_may_what_it_was_made_for_and_never_more_than_its_person() -> None:
    person = Person.of("1", "anna", [Role.VIEWER], "token", [Right.USERS, Right.SEE])
    assert person.rights == {Right.SEE}
    assert Person.of("1", "anna", [Role.ADMIN], "token", [Right.SEE]).rights == {Right.SEE}
    assert not Person.of("1", "anna", [], "session").rights
