"""When an appointment may begin."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from counterfoil.blueprint.calendars import Calendar
from counterfoil.processes.appointments import Times, first_free, merged, open_spans, span_of, starts
from counterfoil.retail.appointment import Engagement

PARIS = ZoneInfo("Europe/Paris")
HALF = Times(duration=1800, every=1800, before=0, after=0, lead=0, horizon=10**9)


def at(text: str, zone: ZoneInfo = PARIS) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())


def clock(moments: list[int], zone: ZoneInfo = PARIS) -> list[str]:
    return [datetime.fromtimestamp(m, zone).strftime("%H:%M") for m in moments]


WHOLE = 240
spans = st.lists(st.tuples(st.integers(0, WHOLE), st.integers(1, 120)).map(lambda p: (p[0], p[0] + p[1])), max_size=4)
gaps = st.lists(st.tuples(st.integers(0, WHOLE), st.integers(1, 9)).map(lambda p: (p[0], p[0] + p[1])), max_size=4)
lengths = st.integers(1, 12)
times = st.builds(Times, lengths, lengths, st.integers(0, 12), st.integers(0, 12), st.just(0), st.just(1))


@given(times, spans, spans, gaps, st.tuples(st.integers(0, WHOLE), st.integers(0, WHOLE)))
def test_slots_are_all_those_that_fit_and_no_other(
    service: Times,
    opened: list[tuple[int, int]],
    hours: list[tuple[int, int]],
    taken: list[tuple[int, int]],
    window: tuple[int, int],
) -> None:
    """Second by second: open at the store, open with the one who does it, nothing taken in what is held, on the grid of
    some opening. Two on one calendar are held apart by the rule that keeps out what is taken."""
    within = (window[0], window[0] + window[1])
    store, own, busy = ({s for a, b in some for s in range(a, b)} for some in (opened, hours, taken))

    def fits(start: int) -> bool:
        during = range(start, start + service.duration)
        grid = any(a <= start < b and (start - a) % service.every == 0 for a, b in opened)
        return (
            grid
            and store.issuperset(during)
            and own.issuperset(during)
            and busy.isdisjoint(range(*service.held(start)))
        )

    assert starts(service, opened, hours, taken, within) == [s for s in range(*within) if fits(s)]


@given(spans)
def test_merged_time_is_the_same_time(some: list[tuple[int, int]]) -> None:
    """No second more or less, and what is left neither meets nor overlaps."""
    whole = merged(some)
    assert {s for a, b in whole for s in range(a, b)} == {s for a, b in some for s in range(a, b)}
    assert all(before[1] < after[0] for before, after in pairwise(whole))


@given(st.sampled_from(["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "UTC"]), st.integers(0, 730))
def test_every_day_opens_by_the_wall_clock_and_lasts_by_the_real_one(zone: str, day: int) -> None:
    """Whatever the clocks do: the first slot is at nine on the wall, each is half an hour of real time."""
    hours = Calendar.model_validate({"zone": zone, "open": {"mon-sun": "09:00-17:00"}}).hours
    begin = datetime(2026, 1, 1, tzinfo=ZoneInfo(zone)) + timedelta(days=day)
    window = (int(begin.timestamp()), int((begin + timedelta(days=1)).timestamp()))
    opened = open_spans(hours, window)
    found = starts(HALF, opened, opened, [], window)
    assert clock(found, ZoneInfo(zone)) == [f"{h:02}:{m:02}" for h in range(9, 17) for m in (0, 30)]


def test_a_night_in_which_the_clocks_change_is_shorter_or_longer() -> None:
    """Open from ten to four: six hours of slots as a rule, five when the clock is put forward, seven when back."""
    hours = Calendar.model_validate({"zone": "Europe/Paris", "open": {"sat": "22:00-04:00"}}).hours
    hour = Times(3600, 3600, 0, 0, 0, 1)

    def slots(day: str) -> list[str]:
        window = (at(f"{day}T12:00"), at(f"{day}T12:00") + 24 * 3600)
        opened = open_spans(hours, window)
        return clock(starts(hour, opened, opened, [], window))

    assert slots("2026-03-21") == ["22:00", "23:00", "00:00", "01:00", "02:00", "03:00"]
    assert slots("2026-03-28") == ["22:00", "23:00", "00:00", "01:00", "03:00"]
    assert slots("2026-10-24") == ["22:00", "23:00", "00:00", "01:00", "02:00", "02:00", "03:00"]


def test_hours_that_meet_are_one_and_each_has_its_grid() -> None:
    """A slot may go over noon where the morning and the afternoon meet, and not where the store closes for lunch."""
    meeting = [(0, 3600), (3600, 7200)]
    assert starts(Times(3600, 1800, 0, 0, 0, 1), meeting, meeting, [], (0, 7200)) == [0, 1800, 3600]
    apart = [(0, 3600), (3700, 7300)]
    assert starts(Times(3600, 1800, 0, 0, 0, 1), apart, apart, [], (0, 7200)) == [0, 3700]


def test_whole_days_are_those_of_the_zone() -> None:
    """A day off in Paris begins when it begins there, and is 23 hours long when the clock is put forward."""
    off = Engagement(id="1", first_day=date(2026, 3, 29), last_day=date(2026, 3, 29))
    begin, end = span_of(off, "Europe/Paris")
    assert datetime.fromtimestamp(begin, UTC) == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert end - begin == 23 * 3600


def test_the_soonest_that_are_free() -> None:
    """One a moment, whoever it is with."""
    assert first_free({"bo": [10, 20], "ann": [10, 30], "cy": []}) == [(10, "ann"), (20, "bo"), (30, "ann")]
