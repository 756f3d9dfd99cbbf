"""The section `drift` of the blueprint: when is compared, what, and what is made even."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from tests.fakes import CATALOGUE

from counterfoil.blueprint import dump, examine_text, parse, render
from counterfoil.blueprint.drift import Drift

PLAN = "counterfoil: 1\nsystems: {shop: {connector: fake}}\n"
PARIS = ZoneInfo("Europe/Paris")


def of(section: str) -> Drift:
    return parse(f"{PLAN}drift: {section}\n", known=CATALOGUE).drift


def test_nothing_is_compared_by_itself_unless_it_says_how_often() -> None:
    plan = parse(PLAN, known=CATALOGUE)
    assert plan.drift.every is None
    assert plan.drift.compare == ("orders", "stock", "prices", "customers")
    assert plan.drift.repair == ()
    assert "on demand only" in render(plan)


def test_it_is_declared_shown_and_written_again() -> None:
    text = '{every: 24h, at: "03:00", zone: Europe/Paris, compare: [orders, stock], repair: [stock]}'
    plan = parse(f"{PLAN}drift: {text}\n", known=CATALOGUE)
    assert "Every 1d at 03:00 (Europe/Paris) the orders, stock of the systems are compared" in render(plan)
    assert parse(dump(plan), known=CATALOGUE).drift == plan.drift


@pytest.mark.parametrize(
    "wrong",
    [
        "{every: 0h}",
        '{every: 24h, at: "3:00"}',
        '{every: 24h, at: "24:00"}',
        "{every: 24h, at: 180}",
        '{at: "03:00"}',
        '{every: 6h, at: "03:00"}',
        "{zone: Europe/Atlantis}",
        "{compare: []}",
        "{compare: [orders, orders]}",
        "{compare: [weather]}",
        "{compare: [orders], repair: [stock]}",
        "[]",
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(wrong: str) -> None:
    found = examine_text(f"{PLAN}drift: {wrong}\n", known=CATALOGUE)
    assert {p.path.partition(".")[0] for p in found.problems} == {"drift"}
    assert found.problems[0].line == 3


def seconds(*parts: int) -> float:
    return datetime(*parts, tzinfo=PARIS).timestamp()  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("ended", "due"),
    [
        (seconds(2026, 11, 21, 3, 20), seconds(2026, 11, 22, 3, 0)),
        (seconds(2026, 11, 21, 2, 59), seconds(2026, 11, 21, 3, 0)),
        (seconds(2026, 3, 28, 12, 0), seconds(2026, 3, 29, 3, 0)),  # the clock is put forward that night
    ],
)
def test_it_is_due_at_its_time_of_day_in_its_zone(ended: float, due: float) -> None:
    assert of('{every: 24h, at: "03:00", zone: Europe/Paris}').due_after(ended) == due


def test_without_a_time_of_day_it_is_due_after_its_time() -> None:
    assert of("{every: 6h}").due_after(1000.0) == 1000.0 + 6 * 3600


def test_once_a_week_is_once_a_week() -> None:
    weekly = of('{every: 7d, at: "03:00", zone: UTC}')
    first = datetime(2026, 11, 21, 3, 0, tzinfo=UTC).timestamp()
    assert weekly.due_after(first + 60) == first + 7 * 86400
