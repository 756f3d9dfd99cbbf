"""When a flow's deliveries may be done: runs by a schedule, a posting window, a cut-off. Pure; seconds since the epoch.

A cut-off decides which run (or window) a delivery is in time for: the first whose last cut-off before its end is not
earlier than the delivery. What comes later waits for the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from counterfoil.blueprint.calendars import FARTHEST, Calendar, Hours, Minutes, moment, parse_span, parse_time, zone_of
from counterfoil.blueprint.values import Remedy

if TYPE_CHECKING:
    from counterfoil.blueprint.model import Flow

REAL_TIME = timedelta(seconds=5)
"""What a real-time flow may take until its system is heard."""
NEAR_REAL_TIME = timedelta(minutes=5)

_MISSES = 1000
"""Runs in a row, none of them in the window or on a working day, after which there is none."""
_FORESEEN = 35
"""Days over which the longest wait is looked for."""
_MOST = 2000
"""Runs that are looked at for that."""


def a_schedule(text: str) -> str:
    """A cron line of five fields, as it is. Raises ValueError."""
    try:
        if len(text.split()) != 5:
            raise CronSimError("five fields are wanted")
        CronSim(text, datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")))
    except CronSimError as wrong:
        raise Remedy(f"minute, hour, day, month and weekday: {wrong}") from None
    return text


def a_window(text: str) -> str:
    """`22:00-04:00`, as it is. Raises ValueError."""
    parse_span(text)
    return text


def a_time(text: str) -> str:
    """`17:00`, as it is. Raises ValueError."""
    parse_time(text)
    return text


@dataclass(frozen=True, slots=True)
class Timing:
    """The timing of a flow that lets its deliveries wait. `days` are those on which there are runs and windows."""

    zone: ZoneInfo
    schedule: str = ""
    window: Minutes | None = None
    cut_off: int | None = None
    days: Hours | None = None

    def release(self, at: float) -> float:
        """From when on what is queued at `at` may be done; `at` itself where no run is ever in the window."""
        for begin, end in self._runs(at) if self.schedule else self._windows(at):
            if self.cut_off is None or at <= self._last_cut_off(end):
                return max(at, begin)
        return at

    def opening(self, at: float) -> float:
        """The next moment in the posting window: `at` itself where it is open, or where there is none."""
        return max(at, next(self._windows(at))[0]) if self.window else at

    def is_ever(self, at: float) -> bool:
        """Whether there is any run or window after `at`."""
        return next(self._runs(at) if self.schedule else self._windows(at), None) is not None

    def longest_wait(self, at: float) -> float:
        """The most seconds that a delivery waits, as far as the next weeks (or the next three runs) show."""
        critical = [at]
        for number, (begin, end) in enumerate(self._runs(at) if self.schedule else self._windows(at)):
            critical += [end + 1, self._last_cut_off(end) + 1]
            if (begin > at + _FORESEEN * 86400 and number > 1) or number > _MOST:
                break
        return max(self.release(t) - t for t in critical if t >= at)

    def _windows(self, at: float) -> Iterator[tuple[float, float]]:
        """The posting windows that end after `at`, by the day on which they begin."""
        if self.window is None:
            return
        today = datetime.fromtimestamp(at, self.zone).date()
        for ahead in range(-2, FARTHEST):
            day = today + timedelta(days=ahead)
            if self.days is None or self.days.works_on(day):
                begin, end = (moment(day, minutes, self.zone) for minutes in self.window)
                if end > max(at, begin):
                    yield begin, end

    def _runs(self, at: float) -> Iterator[tuple[float, float]]:
        """The runs not before `at`, each a moment."""
        misses = 0
        while misses < _MISSES:
            run = next(CronSim(self.schedule, datetime.fromtimestamp(at - 1, self.zone)))
            when = run.timestamp()
            if self.window:
                on = self.opening(when)
            else:
                on = when if self.days is None or self.days.works_on(run) else moment(run, 24 * 60, self.zone)
            if on == when and when >= at:
                yield when, when
                misses = 0
            else:
                misses += 1
            at = max(on, when + 1)

    def _last_cut_off(self, at: float) -> float:
        """The last cut-off not after `at`."""
        if self.cut_off is None:
            return at
        day = datetime.fromtimestamp(at, self.zone).date()
        today = moment(day, self.cut_off, self.zone)
        return today if today <= at else moment(day - timedelta(days=1), self.cut_off, self.zone)


def timing_of(flow: Flow, calendars: Mapping[str, Calendar]) -> Timing | None:
    """When the flow's deliveries may be done; None: at once. Its calendar must be one of `calendars`."""
    if not (flow.schedule or flow.window):
        return None
    calendar = calendars[flow.calendar] if flow.calendar else None
    return Timing(
        zone_of(flow.zone or (calendar.zone if calendar else "UTC")),
        flow.schedule or "",
        parse_span(flow.window) if flow.window else None,
        parse_time(flow.cut_off) if flow.cut_off else None,
        calendar.hours if calendar else None,
    )
