"""The soak's own judgement and schedule: it must find what is wrong, and strike the same way twice."""

from __future__ import annotations

from decimal import Decimal

import pytest

from counterfoil_lab.faults import WEIGHTS, schedule
from counterfoil_lab.soak import out_of_order, passed, together

KINDS = sorted(WEIGHTS)
TOTALS = {7: [Decimal("10.00"), Decimal("15.00"), Decimal("12.00")]}
GOOD = {"orders": 2, "kills": 1, "faults": 3, "finished_share": 1.0}
GOOD |= dict.fromkeys(("lost", "duplicated", "reordered", "stock_wrong", "unbalanced"), 0)


def strikes(seed: str, kinds: list[str] = KINDS) -> list[object]:
    return list(schedule(seed, 60.0, 1.5, kinds, lease=8.0))


def test_the_same_seed_is_the_same_schedule_and_another_is_not() -> None:
    assert strikes("5") == strikes("5")
    assert strikes("5") != strikes("6")


@pytest.mark.parametrize("seed", ["1", "2", "3", "4"])
def test_a_schedule_keeps_to_its_time_and_has_every_kind(seed: str) -> None:
    made = schedule(seed, 60.0, 1.5, KINDS, lease=8.0)
    assert all(0 < strike.at <= 60 for strike in made)
    assert [strike.at for strike in made] == sorted(strike.at for strike in made)
    assert {strike.kind for strike in made} == set(KINDS)
    assert all(strike.seconds > 8.0 for strike in made if strike.kind in ("stall", "clock"))


def test_only_what_can_happen_is_drawn_and_nothing_unknown() -> None:
    assert {s.kind for s in schedule("1", 60.0, 1.5, ["reset", "slow"], 8.0)} == {"reset", "slow"}
    with pytest.raises(ValueError, match="unknown fault"):
        schedule("1", 60.0, 1.5, ["flood"], 8.0)


def told(*steps: tuple[str, float]) -> list[list[object]]:
    """What Odoo did to order 7, step by step."""
    return [["web:order:7", state, total] for state, total in steps]


@pytest.mark.parametrize(
    "steps",
    [
        [("draft", 10.0), ("sale", 10.0), ("sale", 15.0), ("sale", 12.0), ("cancel", 12.0)],
        [("draft", 10.0), ("sale", 12.0)],  # what lay between was overtaken
        [("draft", 10.0), ("sale", 11.11), ("sale", 15.0)],  # a step in the middle of a write
        [("cancel", 10.0), ("cancel", 10.0)],
    ],
)
def test_what_follows_the_shop_is_in_order(steps: list[tuple[str, float]]) -> None:
    assert out_of_order(TOTALS, told(*steps)) == set()


@pytest.mark.parametrize(
    "steps",
    [
        [("sale", 15.0), ("sale", 10.0)],
        [("sale", 12.0), ("sale", 15.0), ("sale", 12.0)],
        [("cancel", 10.0), ("sale", 10.0)],
    ],
)
def test_the_older_after_the_newer_and_life_after_a_cancel_are_found(steps: list[tuple[str, float]]) -> None:
    assert out_of_order(TOTALS, told(*steps)) == {"7"}


def test_a_total_that_comes_back_in_the_shop_may_come_back_in_odoo() -> None:
    totals = {7: [Decimal("10.00"), Decimal("15.00"), Decimal("10.00")]}
    assert out_of_order(totals, told(("sale", 10.0), ("sale", 15.0), ("sale", 10.0))) == set()


@pytest.mark.parametrize("name", ["lost", "duplicated", "reordered", "stock_wrong", "unbalanced"])
def test_one_of_what_must_be_zero_fails_the_whole_suite(name: str) -> None:
    assert passed(together([GOOD, GOOD]))
    assert not passed(together([GOOD, GOOD | {name: 1}]))


def test_runs_add_up_and_the_smallest_share_counts() -> None:
    both = together([GOOD, GOOD | {"finished_share": 0.98}])
    assert (both["orders"], both["kills"], both["faults"], both["finished_share"]) == (4, 2, 6, 0.98)
    assert not passed(both)
