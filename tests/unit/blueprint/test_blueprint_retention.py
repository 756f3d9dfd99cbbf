"""How long things are kept, as the blueprint declares it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.fakes import CATALOGUE

from counterfoil.blueprint import Blueprint, Retention, dump, examine_text, parse, render

PLAN = "counterfoil: 1\nsystems: {shop: {connector: fake}}\n"


def of(retention: str) -> Blueprint:
    return parse(f"{PLAN}retention: {retention}\n", known=CATALOGUE)


def test_what_nobody_declared_is_kept_for_a_quarter_and_a_good_year() -> None:
    kept = parse(PLAN, known=CATALOGUE).retention
    assert kept == Retention(bodies=timedelta(days=90), history=timedelta(days=400))


def test_it_is_declared_shown_and_written_again() -> None:
    plan = of("{bodies: 14d, history: 2000d}")
    assert plan.retention == Retention(bodies=timedelta(days=14), history=timedelta(days=2000))
    assert "kept for 2000d, the raw bodies that arrived for 14d" in render(plan)
    assert parse(dump(plan), known=CATALOGUE).retention == plan.retention


@pytest.mark.parametrize("wrong", ["{bodies: 90}", "{bodies: 0d}", "{history: ever}", "{body: 9d}", "[]"])
def test_what_makes_no_sense_is_refused_with_its_place(wrong: str) -> None:
    found = examine_text(f"{PLAN}retention: {wrong}\n", known=CATALOGUE)
    assert [p.path.partition(".")[0] for p in found.problems] == ["retention"]
    assert found.problems[0].line == 3


def test_bodies_kept_longer_than_their_receipts_are_warned_of() -> None:
    found = examine_text(f"{PLAN}retention: {{bodies: 500d, history: 400d}}\n", known=CATALOGUE)
    assert found.problems == ()
    assert ["at most as long as the history" in str(w) for w in found.warnings] == [True]
