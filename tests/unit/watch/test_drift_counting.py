"""The comparison itself: what the verdicts explain, and drift, is all of the difference; no row counts twice."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.watch.drift import SAMPLE, ZERO, Bearing, Finding, Group, Row, Tally, Verdict, judge

SINCE = 1000.0
GROUPS: list[Group] = [("orders", "2026-11-21 confirmed"), ("order value EUR", "2026-11-21"), ("units for sale", "WH")]

amounts = st.dictionaries(
    st.sampled_from(GROUPS), st.decimals(min_value=-1000, max_value=1000, places=2), max_size=len(GROUPS)
)
rows = st.builds(
    Row,
    what=st.just("orders"),
    key=st.uuids().map(str),
    label=st.just("1"),
    shop=amounts,
    erp=amounts,
    declared=st.sampled_from(["", "", "not listed"]),
    changed_at=st.sampled_from([None, SINCE - 500, SINCE + 1]),
)
bearings = st.builds(
    Bearing,
    open=st.integers(0, 2),
    exception=st.sampled_from([None, None, 7]),
    decided=st.sampled_from([None, None, 5]),
    done_at=st.sampled_from([0.0, SINCE - 1, SINCE + 1]),
)


def tallied(pairs: list[tuple[Row, Bearing]]) -> tuple[Tally, list[Finding | None]]:
    tally = Tally()
    found = [judge(row, bearing, SINCE, SINCE - 60) for row, bearing in pairs]
    for (row, _), finding in zip(pairs, found, strict=True):
        tally.add(row, finding)
    return tally, found


@given(st.lists(st.tuples(rows, bearings), max_size=20))
def test_what_is_explained_and_what_drifts_is_all_of_the_difference(pairs: list[tuple[Row, Bearing]]) -> None:
    tally, _ = tallied(pairs)
    for group, cell in tally.cells.items():
        assert cell.difference == sum((row.difference(group) for row, _ in pairs), ZERO)
        assert sum(cell.by.values(), ZERO) == cell.difference


@given(st.lists(st.tuples(rows, bearings), max_size=20))
def test_every_row_is_even_or_has_one_verdict(pairs: list[tuple[Row, Bearing]]) -> None:
    tally, found = tallied(pairs)
    even = sum(1 for row, _ in pairs if not row.differs)
    assert sum(tally.verdicts.values()) + even == tally.rows == len(pairs)
    assert [finding is None for finding in found] == [not row.differs for row, _ in pairs]
    assert len(tally.drift) == tally.verdicts[Verdict.DRIFT]


def mirrored(row: Row) -> Row:
    return replace(row, shop=row.erp, erp=row.shop)


@given(st.lists(st.tuples(rows, bearings), max_size=20))
def test_with_the_sides_exchanged_it_is_the_same_the_other_way_round(pairs: list[tuple[Row, Bearing]]) -> None:
    tally, found = tallied(pairs)
    other, others = tallied([(mirrored(row), bearing) for row, bearing in pairs])
    assert [f and (f.verdict, f.why) for f in found] == [f and (f.verdict, f.why) for f in others]
    assert {g: -c.difference for g, c in tally.cells.items()} == {g: c.difference for g, c in other.cells.items()}


def test_a_nought_is_as_good_as_nothing() -> None:
    row = Row("stock", "a", "A", {GROUPS[2]: Decimal("0.00")}, {})
    assert judge(row, Bearing(), SINCE, SINCE) is None


DIFFERENT = Row("stock", "a", "A", {GROUPS[2]: Decimal(1)}, {GROUPS[2]: Decimal(2)})


@pytest.mark.parametrize(
    ("row", "bearing", "verdict", "word"),
    [
        (DIFFERENT, Bearing(), Verdict.DRIFT, "nothing under way"),
        (replace(DIFFERENT, declared="not listed"), Bearing(exception=3), Verdict.DECLARED, "not listed"),
        (DIFFERENT, Bearing(open=1), Verdict.IN_FLIGHT, "open"),
        (DIFFERENT, Bearing(open=1, exception=3, reason="unknown_sku"), Verdict.PERSON, "exception 3 is open"),
        (DIFFERENT, Bearing(done_at=SINCE), Verdict.IN_FLIGHT, "ended while it was read"),
        (DIFFERENT, Bearing(done_at=SINCE - 1), Verdict.DRIFT, "nothing under way"),
        (replace(DIFFERENT, changed_at=SINCE - 59), Bearing(), Verdict.IN_FLIGHT, "promised"),
        (replace(DIFFERENT, changed_at=SINCE - 60), Bearing(), Verdict.DRIFT, "nothing under way"),
        (DIFFERENT, Bearing(decided=9, decided_as="skipped"), Verdict.PERSON, "exception 9 was skipped"),
    ],
)
def test_why_a_row_differs(row: Row, bearing: Bearing, verdict: Verdict, word: str) -> None:
    found = judge(row, bearing, SINCE, SINCE - 60)
    assert found is not None
    assert found.verdict is verdict
    assert word in found.why


def test_a_verdict_about_what_is_even_is_refused_and_one_that_is_missing_too() -> None:
    even = Row("stock", "a", "A", {}, {})
    with pytest.raises(ValueError, match="exactly if it differs"):
        Tally().add(even, Finding(even, Verdict.DRIFT, ""))
    with pytest.raises(ValueError, match="exactly if it differs"):
        Tally().add(DIFFERENT, None)


def test_of_what_is_explained_only_a_few_rows_are_kept_and_all_are_counted() -> None:
    tally = Tally()
    for number in range(SAMPLE + 3):
        tally.add(DIFFERENT, Finding(DIFFERENT, Verdict.PERSON, f"exception {number} is open: unknown_sku"))
    assert len(tally.samples) == SAMPLE
    assert tally.whys == {(Verdict.PERSON, "exception is open: unknown_sku"): SAMPLE + 3}
    assert tally.is_even
