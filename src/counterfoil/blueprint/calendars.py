"""Business calendars: the hours in which a place is open, in its zone, and time that counts only while they last.

Pure. Moments are seconds since the epoch. Where the clock is put forward, a time of day that does not exist is the
moment of the change; where it is put back, one that comes twice is its first.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field

from counterfoil.blueprint.values import Part, ReadOnly, Remedy

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FARTHEST = 3660
"""Days after which nobody looks for an open hour any more."""

_DAYS = re.compile(rf"({'|'.join(DAYS)})(?:-({'|'.join(DAYS)}))?")
_SPAN = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-(?:([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00))")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_CLOSED = re.compile(r"(?:([0-9]{4})-)?([0-9]{2})-([0-9]{2})")

Minutes = tuple[int, int]
"""From and to, in minutes after midnight; a `to` beyond 24 h is on the next day."""


def parse_time(text: str) -> int:
    """`17:00` as minutes after midnight. Raises ValueError."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise Remedy("a time of day such as 17:00")
    return int(match[1]) * 60 + int(match[2])


def parse_span(text: str) -> Minutes:
    """`08:00-17:00`, or over midnight `22:00-04:00`. Raises ValueError."""
    match = _SPAN.fullmatch(text.replace(" ", ""))
    if match is None:
        raise Remedy("from and to such as 08:00-17:00; the last is 24:00")
    begin = int(match[1]) * 60 + int(match[2])
    end = int(match[3] or match[5]) * 60 + int(match[4] or match[6])
    return begin, end + 24 * 60 if end <= begin else end


def parse_days(text: str) -> tuple[int, ...]:
    """`mon-fri` or `sat` as numbers, Monday being 0; `sat-mon` goes over Sunday. Raises ValueError."""
    match = _DAYS.fullmatch(text)
    if match is None:
        raise Remedy(f"{text!r} is no day: write {', '.join(DAYS)}, or a range such as mon-fri")
    first = DAYS.index(match[1])
    return tuple((first + n) % 7 for n in range((DAYS.index(match[2] or match[1]) - first) % 7 + 1))


def parse_closed(text: str) -> tuple[int | None, int, int]:
    """`2026-12-25`, or `12-25` for every year, as year, month and day. Raises ValueError."""
    match = _CLOSED.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        year = int(match[1]) if match[1] else None
        day = date(year or 2000, int(match[2]), int(match[3]))
    except ValueError:
        raise Remedy("a day such as 2026-12-25, or 12-25 for every year") from None
    return year, day.month, day.day


def zone_of(name: str) -> ZoneInfo:
    """The time zone of an IANA name such as Europe/Paris. Raises ValueError."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):  # not found, a folder, or no name at all
        raise Remedy("a name of the IANA time zone database such as Europe/Paris or UTC") from None


def _known_zone(name: str) -> str:
    zone_of(name)
    return name


def _spans_by_days(value: Any) -> Any:
    """The hours as written, one text or a list a row; wrong ones are told by their days."""
    if not isinstance(value, Mapping) or not value:
        raise ValueError
    taken: set[int] = set()
    read: dict[str, tuple[str, ...]] = {}
    for days, spans in value.items():
        numbers = set(parse_days(str(days)))
        if numbers & taken:
            raise Remedy(f"{DAYS[min(numbers & taken)]} stands in two rows: give its hours once, as a list")
        taken |= numbers
        read[str(days)] = tuple(spans) if isinstance(spans, list | tuple) else (spans,)
        for span in read[str(days)]:
            try:
                parse_span(str(span))
            except ValueError as wrong:
                raise Remedy(f"{days}: {wrong}") from None
    if not any(read.values()):
        raise Remedy("at least one hour in the week")
    return read


def _known_day(text: str) -> str:
    parse_closed(text)
    return text


Zone = Annotated[str, AfterValidator(_known_zone)]
A_ZONE = "a time zone such as Europe/Paris"


class Calendar(Part):
    """When a place is open. A closed day has none of the hours that begin on it."""

    zone: Zone = Field(description=A_ZONE)
    open: Annotated[ReadOnly[tuple[str, ...]], BeforeValidator(_spans_by_days)] = Field(
        description='days and their hours, such as {mon-fri: "08:00-17:00", sat: "09:00-12:00"}'
    )
    closed: tuple[Annotated[str, AfterValidator(_known_day)], ...] = Field(
        default=(), description="a list of days such as [2026-12-25], or 12-25 for every year"
    )

    @property
    def hours(self) -> Hours:
        """What to reckon with."""
        weekly = {d: tuple(map(parse_span, spans)) for days, spans in self.open.items() for d in parse_days(days)}
        return Hours(zone_of(self.zone), weekly, frozenset(map(parse_closed, self.closed)))


class Hours:
    """The open hours of a calendar as spans of time, and how much of them passes."""

    def __init__(
        self,
        zone: ZoneInfo,
        weekly: Mapping[int, tuple[Minutes, ...]],
        closed: frozenset[tuple[int | None, int, int]] = frozenset(),
    ) -> None:
        self.zone, self._weekly, self._closed = zone, weekly, closed
        self._of = functools.lru_cache(maxsize=1000)(self._spans)

    def works_on(self, day: date) -> bool:
        """Whether any open hours begin on that day."""
        off = {(day.year, day.month, day.day), (None, day.month, day.day)}
        return bool(self._weekly.get(day.weekday())) and not off & self._closed

    def _spans(self, day: date) -> tuple[tuple[float, float], ...]:
        spans = sorted(self._weekly[day.weekday()]) if self.works_on(day) else ()
        return tuple((moment(day, begin, self.zone), moment(day, end, self.zone)) for begin, end in spans)

    def spans(self, begin: float, end: float) -> list[tuple[float, float]]:
        """What is open at any moment of [begin, end), whole as it is declared: in order, two may meet or overlap."""
        today, last = (datetime.fromtimestamp(at, self.zone).date() for at in (begin, end))
        days = (today + timedelta(days=n) for n in range(-2, (last - today).days + 1))
        return sorted({span for day in days for span in self._of(day) if span[0] < end and span[1] > begin})

    def _from(self, at: float) -> Iterator[tuple[float, float]]:
        """What is open after `at`, in order, no moment twice; at most FARTHEST days ahead."""
        reached = at
        today = datetime.fromtimestamp(at, self.zone).date()
        for ahead in range(-2, FARTHEST):  # the hours of yesterday may go over midnight
            for begin, end in self._of(today + timedelta(days=ahead)):
                if end > reached:
                    yield max(begin, reached), end
                    reached = end

    def add(self, at: float, seconds: float) -> float:
        """The moment by which `seconds` (more than 0) of open hours have passed since `at`.

        Where the hours of FARTHEST days are not enough, the end of those.
        """
        reached = at
        for begin, reached in self._from(at):
            if reached - begin >= seconds:
                return begin + seconds
            seconds -= reached - begin
        return reached

    def between(self, begin: float, end: float) -> float:
        """The seconds of open hours in [begin, end); 0 where `end` is not later."""
        passed = 0.0
        for opened, closed in self._from(begin) if end > begin else ():
            if opened >= end:
                break
            passed += min(closed, end) - opened
        return passed


def moment(day: date, minutes: int, zone: ZoneInfo) -> float:
    """That time of that day; beyond 24 h it is on the next."""
    naive = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minutes)
    early = naive.replace(tzinfo=zone)
    seconds = early.timestamp()
    if datetime.fromtimestamp(seconds, zone).replace(tzinfo=None) == naive:
        return seconds
    before, after = int(early.replace(fold=1).timestamp()), int(seconds)  # the clock is put forward in between
    offset = datetime.fromtimestamp(after, zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return float(after)
