"""Business calendars: what is open when, in any zone, and time that counts only then."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from counterfoil.blueprint.calendars import DAYS, Calendar, Hours, moment, parse_days, parse_span

HOUR, DAY = 3600.0, 86400.0
ZONES = ("Europe/Paris", "UTC", "America/New_York", "America/Santiago", "America/Havana", "Australia/Lord_Howe")
ALWAYS = {"mon-sun": "00:00-24:00"}
WAREHOUSE = Calendar(
    zone="Europe/Paris", open={"mon-fri": "08:00-17:00", "sat": "09:00-12:00"}, closed=("2026-12-25", "01-01")
)


def at(text: str, zone: str = "Europe/Paris") -> float:
    """A local time as seconds since the epoch."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def local(seconds: float, zone: str = "Europe/Paris") -> str:
    return f"{datetime.fromtimestamp(seconds, ZoneInfo(zone)):%Y-%m-%dT%H:%M}"


# --- what people expect -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begin", "hours", "due"),
    [
        ("2026-11-02T10:00", 4, "2026-11-02T14:00"),
        ("2026-11-02T10:00", 7, "2026-11-02T17:00"),  # closing time is still in time
        ("2026-11-02T10:00", 8, "2026-11-03T09:00"),
        ("2026-11-02T20:00", 1, "2026-11-03T09:00"),
        ("2026-11-06T16:00", 2, "2026-11-07T10:00"),  # Friday evening to Saturday morning
        ("2026-11-07T11:00", 2, "2026-11-09T09:00"),  # over a Sunday
        ("2026-12-24T16:00", 2, "2026-12-26T10:00"),  # over Christmas, a Friday here
        ("2026-12-31T16:00", 2, "2027-01-02T10:00"),  # and New Year, closed in every year
        ("2027-12-24T16:00", 2, "2027-12-25T10:00"),  # a Christmas that nobody named, on a Saturday
    ],
)
def test_time_counts_only_while_the_place_is_open(begin: str, hours: float, due: str) -> None:
    assert local(WAREHOUSE.hours.add(at(begin), hours * HOUR)) == due
    assert WAREHOUSE.hours.between(at(begin), at(due)) == hours * HOUR


@pytest.mark.parametrize(("night", "hours"), [("2026-03-28", 5.0), ("2026-10-24", 7.0), ("2026-07-10", 6.0)])
def test_a_night_shift_is_an_hour_shorter_or_longer_when_the_clock_is_changed(night: str, hours: float) -> None:
    nights = Calendar(zone="Europe/Paris", open={"mon-sun": "22:00-04:00"}).hours
    begin = moment(date.fromisoformat(night), 21 * 60, ZoneInfo("Europe/Paris"))
    assert nights.between(begin, begin + 10 * HOUR) == hours * HOUR


def test_a_time_that_does_not_exist_is_the_moment_of_the_change() -> None:
    day, zone = date(2026, 3, 29), ZoneInfo("Europe/Paris")
    assert moment(day, 2 * 60 + 30, zone) == moment(day, 3 * 60, zone) == at("2026-03-29T03:00")
    early = Calendar(zone="Europe/Paris", open={"sun": ["02:10-02:50", "04:00-05:00"]}).hours
    assert early.between(at("2026-03-29T00:00"), at("2026-03-30T00:00")) == HOUR


def test_a_closed_day_has_none_of_the_hours_that_begin_on_it() -> None:
    nights = Calendar(zone="UTC", open={"mon-sun": "22:00-04:00"}, closed=("2026-12-25",)).hours
    assert nights.between(at("2026-12-25T00:00", "UTC"), at("2026-12-26T12:00", "UTC")) == 4 * HOUR
    assert not nights.works_on(date(2026, 12, 25))
    assert nights.works_on(date(2026, 12, 26))


def test_hours_that_overlap_count_once() -> None:
    both = Calendar(zone="UTC", open={"mon": ["08:00-12:00", "10:00-14:00"], "sun": "20:00-10:00"}).hours
    assert both.between(at("2026-11-01T00:00", "UTC"), at("2026-11-03T00:00", "UTC")) == (14 + 4) * HOUR


def test_a_place_that_never_opens_again_has_an_end() -> None:
    gone = Calendar(zone="UTC", open={"mon": "08:00-09:00"}, closed=tuple(f"{m:02}-{d:02}" for m, d in _all_days()))
    assert gone.hours.add(0.0, 1.0) >= 0.0
    assert gone.hours.between(0.0, 3650 * DAY) == 0.0


def _all_days() -> list[tuple[int, int]]:
    return [(d.month, d.day) for n in range(366) if (d := date.fromordinal(date(2024, 1, 1).toordinal() + n))]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"zone": "Europe/Pari", "open": ALWAYS}, "IANA"),
        ({"zone": "../etc/passwd", "open": ALWAYS}, "IANA"),
        ({"zone": "UTC", "open": {}}, ""),
        ({"zone": "UTC", "open": {"mon": []}}, "at least one hour"),
        ({"zone": "UTC", "open": {"monday": "08:00-17:00"}}, "'monday' is no day"),
        ({"zone": "UTC", "open": {"mon-fri": "08:00-17:00", "fri": "08:00-12:00"}}, "fri stands in two rows"),
        ({"zone": "UTC", "open": {"mon": "8-17"}}, "mon: from and to such as 08:00-17:00"),
        ({"zone": "UTC", "open": {"mon": "08:00-25:00"}}, "mon: from and to"),
        ({"zone": "UTC", "open": ALWAYS, "closed": ("2026-02-29",)}, "a day such as"),
        ({"zone": "UTC", "open": ALWAYS, "closed": ("Christmas",)}, "a day such as"),
    ],
)
def test_what_is_no_calendar_is_refused_with_the_remedy(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Calendar(**wrong)  # type: ignore[arg-type]
    assert told in str(refused.value)


def test_days_may_go_over_the_weekend_and_hours_over_midnight() -> None:
    assert [DAYS[n] for n in parse_days("sat-mon")] == ["sat", "sun", "mon"]
    assert parse_span("22:00-04:00") == (22 * 60, 28 * 60)
    assert parse_span("00:00-24:00") == (0, 24 * 60)
    assert parse_span("12:00-12:00") == (12 * 60, 36 * 60)


# --- what must always hold ----------------------------------------------------------------------------------------

minutes = st.integers(0, 24 * 60 - 1)
spans = st.tuples(minutes, st.integers(120, 24 * 60)).map(lambda s: (s[0], s[0] + s[1]))
weeks = st.dictionaries(st.integers(0, 6), st.lists(spans, min_size=1, max_size=3).map(tuple), min_size=1)
closures = st.sets(
    st.dates(date(2025, 12, 1), date(2027, 2, 1)).map(lambda d: (d.year, d.month, d.day)), max_size=20
).map(frozenset)
calendars = st.builds(Hours, st.sampled_from(ZONES).map(ZoneInfo), weeks, closures)
moments = st.integers(1_767_225_600, 1_798_675_200).map(float)  # of 2026
lengths = st.integers(1, 40 * 3600).map(float)


@given(calendars, moments, lengths)
def test_what_is_added_has_passed_and_not_a_moment_earlier(hours: Hours, begin: float, length: float) -> None:
    end = hours.add(begin, length)
    assert hours.between(begin, end) == length
    assert hours.between(begin, end - 1) == length - 1


@given(calendars, moments, lengths, lengths)
def test_adding_is_additive_and_monotone(hours: Hours, begin: float, one: float, other: float) -> None:
    assert hours.add(hours.add(begin, one), other) == hours.add(begin, one + other)
    assert hours.add(begin, one) <= hours.add(begin, one + other)
    assert hours.add(begin, one) <= hours.add(begin + other, one)
    assert hours.add(begin, one) >= begin + one


@given(calendars, st.tuples(moments, moments, moments).map(sorted))
def test_time_in_between_is_additive_and_never_more_than_wall_time(hours: Hours, three: list[float]) -> None:
    a, b, c = three
    assert hours.between(a, b) + hours.between(b, c) == hours.between(a, c)
    assert 0.0 <= hours.between(a, c) <= c - a
    assert hours.between(c, a) == 0.0


@given(st.sampled_from(ZONES), moments, lengths)
def test_a_place_that_is_always_open_counts_wall_time(zone: str, begin: float, length: float) -> None:
    always = Calendar(zone=zone, open=ALWAYS).hours  # type: ignore[arg-type]
    assert always.add(begin, length) == begin + length
    assert always.between(begin, begin + length) == length


@given(st.sampled_from(ZONES), st.dates(date(2026, 1, 1), date(2026, 12, 31)), minutes, minutes)
def test_later_on_the_clock_is_never_earlier_in_time(zone: str, day: date, one: int, other: int) -> None:
    early, late = sorted((one, other))
    assert moment(day, early, ZoneInfo(zone)) <= moment(day, late, ZoneInfo(zone))
