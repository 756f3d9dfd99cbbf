"""When a flow's deliveries may be done: runs, posting windows and cut-offs, in any zone."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.blueprint.calendars import Calendar, parse_span, parse_time
from counterfoil.blueprint.timing import Timing, a_schedule

HOUR = 3600.0
PARIS = ZoneInfo("Europe/Paris")
WEEKDAYS = Calendar(zone="Europe/Paris", open={"mon-fri": "08:00-17:00"}, closed=("12-25",)).hours


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS).timestamp()


def local(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, PARIS):%Y-%m-%dT%H:%M}"


def timing(schedule: str = "", window: str = "", cut_off: str = "", days: bool = False) -> Timing:
    return Timing(
        PARIS,
        schedule,
        parse_span(window) if window else None,
        parse_time(cut_off) if cut_off else None,
        WEEKDAYS if days else None,
    )


NIGHTLY, EVENING, DAYTIME = "0 22 * * *", "22:00-04:00", "08:00-18:00"


@pytest.mark.parametrize(
    ("how", "queued", "released"),
    [
        # a schedule: the next run, or this one
        (timing(NIGHTLY), "2026-11-02T10:00", "2026-11-02T22:00"),
        (timing(NIGHTLY), "2026-11-02T22:00", "2026-11-02T22:00"),
        (timing(NIGHTLY), "2026-11-02T22:01", "2026-11-03T22:00"),
        (timing("0 22 * * mon-fri"), "2026-11-06T23:00", "2026-11-09T22:00"),
        (timing(NIGHTLY, days=True), "2026-12-24T23:00", "2026-12-28T22:00"),  # over Christmas and a weekend
        (timing("30 2 * * *"), "2026-03-28T12:00", "2026-03-29T03:00"),  # a time that does not exist on that day
        # a window: at once while it is open
        (timing(window=EVENING), "2026-11-02T10:00", "2026-11-02T22:00"),
        (timing(window=EVENING), "2026-11-02T23:10", "2026-11-02T23:10"),
        (timing(window=EVENING), "2026-11-03T03:59", "2026-11-03T03:59"),
        (timing(window=EVENING), "2026-11-03T04:00", "2026-11-03T22:00"),
        (timing(window=EVENING, days=True), "2026-11-07T02:00", "2026-11-07T02:00"),  # Friday's window, on a Saturday
        (timing(window=EVENING, days=True), "2026-11-07T12:00", "2026-11-09T22:00"),
        # both: the next run in the window
        (timing("0 * * * *", EVENING), "2026-11-02T10:00", "2026-11-02T22:00"),
        (timing("0 * * * *", EVENING), "2026-11-03T03:30", "2026-11-03T22:00"),
        # a cut-off: what comes later waits for the next run or window
        (timing(NIGHTLY, cut_off="17:00"), "2026-11-02T17:00", "2026-11-02T22:00"),
        (timing(NIGHTLY, cut_off="17:00"), "2026-11-02T17:01", "2026-11-03T22:00"),
        (timing(NIGHTLY, cut_off="17:00"), "2026-11-02T23:00", "2026-11-03T22:00"),
        (timing("0 6 * * *", cut_off="17:00"), "2026-11-02T16:00", "2026-11-03T06:00"),
        (timing("0 6 * * *", cut_off="17:00"), "2026-11-02T18:00", "2026-11-04T06:00"),
        (timing(window=EVENING, cut_off="17:00"), "2026-11-02T16:00", "2026-11-02T22:00"),
        (timing(window=EVENING, cut_off="17:00"), "2026-11-02T23:00", "2026-11-03T22:00"),
        (timing(window=EVENING, cut_off="17:00"), "2026-11-03T02:00", "2026-11-03T22:00"),
        (timing(window=EVENING, cut_off="02:00"), "2026-11-03T01:00", "2026-11-03T01:00"),
        (timing(window=EVENING, cut_off="02:00"), "2026-11-03T02:30", "2026-11-03T22:00"),
        (timing(window=DAYTIME, cut_off="17:00"), "2026-11-02T16:59", "2026-11-02T16:59"),
        (timing(window=DAYTIME, cut_off="17:00"), "2026-11-02T17:30", "2026-11-03T08:00"),
    ],
)
def test_what_is_queued_waits_for_its_run_or_window(how: Timing, queued: str, released: str) -> None:
    assert local(how.release(at(queued))) == released


def test_a_window_that_is_over_opens_again() -> None:
    evening = timing(window=EVENING, cut_off="17:00")
    assert local(evening.opening(at("2026-11-03T05:00"))) == "2026-11-03T22:00"
    assert local(evening.opening(at("2026-11-02T23:00"))) == "2026-11-02T23:00", "the cut-off is for what comes"
    assert timing(NIGHTLY).opening(5.0) == 5.0


@pytest.mark.parametrize(
    ("how", "hours"),
    [
        (timing("0 * * * *"), 1),
        (timing("0 22 * * mon-fri"), 72),
        (timing("0 22 1 * *"), 31 * 24),
        (timing(NIGHTLY, cut_off="17:00"), 29),
        (timing(window=EVENING), 18),
        (timing(window=EVENING, cut_off="17:00"), 29),
        (timing(window=EVENING, days=True), 66),
    ],
)
def test_the_longest_wait_is_known(how: Timing, hours: float) -> None:
    assert how.longest_wait(at("2026-11-02T10:00")) == pytest.approx(hours * HOUR, abs=2)


def test_runs_that_are_never_in_the_window_are_known() -> None:
    never = timing("0 12 * * *", EVENING)
    assert not never.is_ever(at("2026-11-02T10:00"))
    assert never.release(7.0) == 7.0, "and nothing is lost for it"


@pytest.mark.parametrize(
    "wrong", ["", "* * * *", "60 * * * *", "often and often and always", "* * * * * *", "0 0 31 2 *"]
)
def test_what_is_no_schedule_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="minute, hour, day, month and weekday"):
        a_schedule(wrong)


moments = st.integers(int(at("2026-01-01T00:00")), int(at("2026-12-31T00:00"))).map(float)
times = st.times().map(lambda t: f"{t:%H:%M}")
schedules = st.sampled_from(["", NIGHTLY, "*/20 * * * *", "30 2 * * *", "0 6 1 * *", "15 9 * * mon"])
windows = st.one_of(st.just(""), st.tuples(times, times).map("-".join))
timings = st.builds(timing, schedules, windows, st.one_of(st.just(""), times), st.booleans()).filter(
    lambda t: (t.schedule or t.window) and t.is_ever(0.0) and t.is_ever(at("2026-06-01T00:00"))
)


@given(timings, moments, moments)
def test_nothing_is_released_early_and_later_never_before(how: Timing, one: float, other: float) -> None:
    early, late = sorted((one, other))
    assert early <= how.release(early) <= how.release(late)


@given(timings, moments)
def test_what_is_released_is_in_the_window(how: Timing, queued: float) -> None:
    released = how.release(queued)
    assert how.opening(released) == released


@given(st.dates(date(2026, 1, 1), date(2026, 12, 31)), times, times)
def test_what_comes_after_the_cut_off_goes_with_no_run_of_that_day(day: date, cut_off: str, later: str) -> None:
    how = timing(NIGHTLY, cut_off=cut_off)
    queued = max(at(f"{day}T{cut_off}"), at(f"{day}T{later}")) + 1
    released = datetime.fromtimestamp(how.release(queued), PARIS).date()
    assert released > day or parse_time(cut_off) > 22 * 60
