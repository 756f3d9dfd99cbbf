"""The section `appointments` of the blueprint: what is declared, and what is refused with its line and remedy."""

from __future__ import annotations

import pytest
from tests.appointing import SYSTEMS, TEXT, blueprint

from counterfoil.blueprint import dump, examine_text, render
from counterfoil.doors import assembly

KNOWN = assembly.catalogue()


def test_it_is_declared_shown_and_written_again() -> None:
    plan = blueprint()
    page = render(plan)
    assert "Eye test" in page
    assert "1h to 60d ahead" in page
    again = dump(plan)
    assert blueprint(again).appointments == plan.appointments
    assert "anna@shop.example" not in page  # a login is nobody's business who reads the page
    assert list(plan.appointments.members("eye-test", "WH")) == ["anna", "bo"]


def test_without_it_nothing_is_booked_and_nothing_read() -> None:
    plan = blueprint(SYSTEMS)
    assert plan.appointments.services == {}
    assert assembly.odoo_rules(plan, "odoo").staff.users == ()
    assert assembly.odoo_rules(blueprint(), "odoo").staff.days >= 60


SERVICE, ANNA, BO = (f"appointments.{it}" for it in ("services.eye-test", "staff.anna", "staff.bo"))


@pytest.mark.parametrize(
    ("old", "new", "place", "hint"),
    [
        ("  system: odoo\n", "", "appointments.system", "write system: odoo"),
        ("system: odoo", "system: web", "appointments.system", ""),
        ("duration: 30m", "duration: 30s", f"{SERVICE}.duration", "whole minutes, at most 1d"),
        ("duration: 30m, ", "", f"{SERVICE}.duration", ""),
        ("every: 30m", "every: 30m, lead: 60d", f"{SERVICE}.horizon", "lead is 60d"),
        ("every: 30m", "evry: 30m", f"{SERVICE}.evry", 'did you mean "every"?'),
        ("every: 30m", "every: 30m, stores: [X]", f"{SERVICE}.stores[0]", "declare it under places"),
        ("stores: [WH], hours", "stores: [WHX], hours", f"{BO}.stores[0]", 'did you mean "WH"?'),
        ("hours: mornings", "hours: morning", f"{BO}.hours", 'did you mean "mornings"?'),
        ("user: Bo Martin", "user: anna@shop.example", f"{BO}.user", "anna is that user already"),
        ("stores: [WH]}", "stores: [WH], services: [ey-test]}", f"{ANNA}.services[0]", "eye-test"),
        ("city: Paris, calendar: paris", "city: Paris", f"{ANNA}.stores[0]", "write places: {WH: {calendar"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line_and_remedy(old: str, new: str, place: str, hint: str) -> None:
    assert old in TEXT
    text = TEXT.replace(old, new)
    found = examine_text(text, known=KNOWN, environ={"KEY": "x"}).problems
    [problem] = [p for p in found if p.path == place]
    assert hint in problem.hint
    _, _, *name = place.split(".")  # the entry stands on one line
    if name:
        assert text.splitlines()[problem.line - 1].strip().startswith(f"{name[0]}:")


def test_a_service_that_nobody_does_is_refused() -> None:
    text = TEXT.replace("stores: [WH]}", "stores: [WH], services: []}").replace(
        "    eye-test:", "    fitting: {title: Fitting, duration: 1h}\n    eye-test:"
    )
    text = text.replace("services: []", "services: [eye-test]").replace("hours: mornings", "services: [eye-test]")
    [problem] = examine_text(text, known=KNOWN, environ={"KEY": "x"}).problems
    assert (problem.path, problem.hint) == ("appointments.services.fitting", "add it to somebody's services")
