"""How much may be sold: one formula, and what always holds of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.retail.availability import (
    MILLION,
    UNIT,
    UNLIMITED,
    Answer,
    Basis,
    Beyond,
    Policy,
    Stand,
    allocate,
    available,
    explain,
    stands_of,
)
from counterfoil.retail.bundles import explode, of_bundle

PLACES = ("WH", "S1", "S2", "")
amounts = st.integers(-20, 40).map(lambda half: half * UNIT // 2)
several = st.integers(0, 60).map(lambda half: half * UNIT // 2)
shares = st.integers(0, 4).map(lambda part: part * MILLION // 4)


@st.composite
def stands(draw: st.DrawFn) -> list[Stand]:
    places = draw(st.lists(st.sampled_from(PLACES), unique=True))
    return [(p, draw(amounts) if p else 0, draw(several), draw(several), draw(several)) for p in places]


policies = st.builds(
    Policy,
    places=st.frozensets(st.sampled_from(PLACES[:3])),
    basis=st.sampled_from(Basis),
    safety=several,
    fenced=several,
    fenced_share=shares,
    own=st.none() | several,
    own_share=st.none() | shares,
    beyond=st.none() | st.builds(Beyond, st.sampled_from(["back_order", "pre_order", "incoming"]), st.none() | several),
    low=several,
    closed=st.booleans(),
    only_safety=st.booleans(),
)


@given(stands(), policies)
def test_the_last_step_of_how_it_came_about_is_the_number(there: list[Stand], policy: Policy) -> None:
    steps = explain(there, policy)
    assert steps[-1].left == available(there, policy).units * UNIT
    assert [sum(step.by for step in steps[: n + 1]) for n in range(len(steps))] == [step.left for step in steps]


@given(stands(), policies)
def test_never_negative_and_no_place_has_more_than_the_whole(there: list[Stand], policy: Policy) -> None:
    answer = available(there, policy)
    assert answer.units >= 0
    assert answer.beyond >= 0
    assert all(0 <= units <= answer.units for _, units in answer.by_place)
    assert (answer.state in ("in_stock", "low")) == (answer.units > 0)
    assert (answer.state == "out") == (answer.units == answer.beyond == 0)


@given(stands(), policies, st.sampled_from(PLACES[:3]), several)
def test_more_on_hand_is_never_less_to_sell(there: list[Stand], policy: Policy, at: str, more: int) -> None:
    raised = [(p, hand + more if p == at else hand, out, coming, taken) for p, hand, out, coming, taken in there]
    assert available(raised, policy).free >= available(there, policy).free


@given(stands(), policies, st.integers(1, 80).map(lambda n: n * UNIT // 2), st.permutations(PLACES[:3]))
def test_what_is_allocated_is_what_was_needed_and_never_more_than_a_place_has(
    there: list[Stand], policy: Policy, needed: int, wished: list[str]
) -> None:
    policy = replace(policy, basis=Basis.AVAILABLE)
    found = allocate(needed, there, policy, wished)
    free = {p: hand - out - taken for p, hand, out, _, taken in there}
    if found is None:
        assert available(there, policy).free < needed
        return
    assert sum(amount for _, amount in found) == needed
    assert len(dict(found)) == len(found)
    assert all(0 < amount <= free[place] for place, amount in found)
    assert not policy.places or {place for place, _ in found} <= policy.places


@given(stands(), policies, st.sampled_from(PLACES[:3]))
def test_each_unit_sold_is_one_less_to_sell_now_or_beyond(there: list[Stand], policy: Policy, at: str) -> None:
    policy = replace(
        policy, basis=Basis.AVAILABLE, places=frozenset(), own=None, own_share=None, closed=False, only_safety=False
    )
    before = available(there, policy)
    after = available([*there, ("", 0, 0, 0, UNIT)], policy)
    if before.beyond < UNLIMITED and before.units + before.beyond > 0:
        assert before.units + before.beyond - after.units - after.beyond == 1


def test_what_is_confirmed_and_not_reserved_counts() -> None:
    """case: F15"""
    assert available([("WH", 10 * UNIT, 7 * UNIT, 5 * UNIT, 0)], Policy()).units == 3


def test_a_channel_told_what_stands_on_the_shelf_subtracts_by_itself_and_nothing_is_subtracted_here() -> None:
    """case: F16"""
    shelf = [("WH", 10 * UNIT, 7 * UNIT, 5 * UNIT, 2 * UNIT)]
    assert available(shelf, Policy(basis=Basis.ON_HAND)).units == 10
    assert available(shelf, Policy(basis=Basis.AVAILABLE)).units == 1
    assert available(shelf, Policy(basis=Basis.FORECAST)).units == 6


def test_what_is_taken_at_no_place_yet_lowers_every_channel_and_elsewhere_none() -> None:
    there = stands_of({"WH": (5 * UNIT, 0, 0), "S1": (9 * UNIT, 0, 0)}, {"": UNIT, "S2": UNIT})
    assert available(there, Policy(places=frozenset({"WH"}))).units == 4
    assert available(there, Policy()).units == 12


def test_fences_are_kept_for_others_and_an_exclusive_one_is_all_its_channel_has() -> None:
    there = [("WH", 10 * UNIT, 0, 0, 0)]
    assert available(there, Policy(fenced=3 * UNIT)).units == 7
    assert available(there, Policy(fenced_share=MILLION // 4)).units == 7  # 2.5 kept: no half unit is sold of it
    assert available(there, Policy(fenced_share=1)).units == 9  # however little it is
    assert available(there, Policy(own=4 * UNIT)).units == 4
    assert available(there, Policy(own_share=MILLION // 4)).units == 2


def test_a_state_that_is_too_old_sells_only_what_safety_stock_is_left_or_nothing() -> None:
    there = [("WH", 10 * UNIT, 0, 0, UNIT)]
    policy = Policy(safety=3 * UNIT, beyond=Beyond("back_order"))
    assert available(there, replace(policy, only_safety=True)) == Answer(2, 0, "in_stock", (("WH", 2),), 2 * UNIT)
    assert available(there, replace(policy, closed=True)).state == "out"


def test_what_is_on_its_way_in_is_promised_once() -> None:
    there = [("WH", 0, 0, 6 * UNIT, 2 * UNIT)]
    policy = Policy(beyond=Beyond("incoming", limit=5 * UNIT, days=4))
    answer = available(there, policy)
    assert (answer.units, answer.beyond, answer.state) == (0, 3, "back_order")
    assert available(there, replace(policy, basis=Basis.FORECAST)).units == 4
    assert available(there, replace(policy, basis=Basis.FORECAST)).beyond == 0


def test_two_bundles_that_share_a_part_take_of_it_together() -> None:
    """case: F18"""
    bundles = {"SET": {"MUG": 2 * UNIT, "BOX": UNIT}, "GIFT": {"SET": UNIT, "MUG": UNIT}}
    lines = [("SET", UNIT), ("GIFT", 2 * UNIT), ("MUG", UNIT)]
    assert explode(lines, bundles) == {"MUG": 9 * UNIT, "BOX": 3 * UNIT}


@given(st.lists(st.tuples(st.sampled_from(["SET", "PAIR", "MUG", "BOX"]), several), max_size=5))
def test_exploded_lines_are_the_sum_of_each_alone(lines: list[tuple[str, int]]) -> None:
    """case: F18"""
    bundles = {"SET": {"MUG": 2 * UNIT, "BOX": UNIT}, "PAIR": {"SET": 2 * UNIT}}
    total: dict[str, int] = {}
    for line in lines:
        for part, amount in explode([line], bundles).items():
            total[part] = total.get(part, 0) + amount
    assert explode(lines, bundles) == total


def test_bundles_in_a_circle_are_refused() -> None:
    with pytest.raises(ValueError, match="part of itself"):
        explode([("A", UNIT)], {"A": {"B": UNIT}, "B": {"A": UNIT}})


def test_of_a_bundle_there_is_what_its_scarcest_part_makes() -> None:
    mug = available([("WH", 7 * UNIT, 0, 0, 0)], Policy())
    box = available([("WH", 5 * UNIT, 0, 0, 0), ("S1", UNIT, 0, 0, 0)], Policy(beyond=Beyond("back_order", 4 * UNIT)))
    both = of_bundle([(mug, 2 * UNIT), (box, UNIT)])
    assert (both.units, both.beyond, both.state) == (3, 0, "in_stock")
    assert both.by_place == (("WH", 3),)
    one = of_bundle([(box, 3 * UNIT)])
    assert (one.units, one.beyond) == (2, 1)


def test_one_place_with_all_of_it_goes_before_a_wished_one_with_some() -> None:
    there = [("S1", 2 * UNIT, 0, 0, 0), ("WH", 3 * UNIT, 0, 0, 0)]
    assert allocate(3 * UNIT, there, Policy(), ["S1"]) == [("WH", 3 * UNIT)]
    assert allocate(2 * UNIT, there, Policy(), ["WH"]) == [("WH", 2 * UNIT)]
    assert allocate(4 * UNIT, there, Policy(), ["S1"]) == [("S1", 2 * UNIT), ("WH", 2 * UNIT)]


def test_what_is_beyond_stock_stands_at_the_wished_place() -> None:
    there = [("S1", UNIT, 0, 0, 0), ("WH", UNIT, 0, 0, 0)]
    policy = Policy(beyond=Beyond("back_order", 3 * UNIT))
    assert allocate(5 * UNIT, there, policy, ["WH"]) is None
    assert allocate(5 * UNIT, there, policy, ["WH"], beyond=True) == [("WH", 4 * UNIT), ("S1", UNIT)]
    assert allocate(6 * UNIT, there, policy, ["WH"], beyond=True) is None
