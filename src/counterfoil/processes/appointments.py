"""When an appointment may begin: open hours, less what is taken, on a grid that begins with the opening. Pure.

Moments are whole seconds since the epoch, so that an hour is an hour also on the day the clocks change; open hours are
declared by the wall clock, and `Hours` knows what moment that is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from counterfoil.blueprint import Blueprint
from counterfoil.blueprint.appointments import Appointments, Member, Service
from counterfoil.blueprint.calendars import Hours, moment, zone_of
from counterfoil.retail.appointment import Engagement

Span = tuple[int, int]
"""From and to, without the last moment."""


@dataclass(frozen=True, slots=True)
class Times:
    """A service in seconds."""

    duration: int
    every: int
    before: int
    after: int
    lead: int
    horizon: int

    @classmethod
    def of(cls, service: Service) -> Times:
        """As it is declared."""
        every = service.every or service.duration
        found = (service.duration, every, service.before, service.after, service.lead, service.horizon)
        return cls(*map(_seconds, found))

    def held(self, start: int) -> Span:
        """What nothing else may be in."""
        return start - self.before, start + self.duration + self.after

    def bookable(self, now: float) -> Span:
        """When it may begin, for who asks now."""
        return int(now) + self.lead + 1, int(now) + self.horizon


def _seconds(duration: timedelta) -> int:
    return int(duration.total_seconds())


def starts(
    times: Times, opened: Sequence[Span], hours: Sequence[Span], taken: Iterable[Span], within: Span
) -> list[int]:
    """When the service may begin in `within`: all of it in the open hours of the store and in those of the one who
    does it, nothing taken in what it holds. It begins every so often after an opening of the store.
    """
    whole_day, hours, busy = merged(opened), merged(hours), merged(taken)
    found: set[int] = set()
    for begin, end in opened:
        first = begin + max(0, -(-(within[0] - begin) // times.every)) * times.every
        for start in range(first, min(end, within[1]), times.every):
            whole = (start, start + times.duration)
            if _inside(whole, whole_day) and _inside(whole, hours) and not _meets(times.held(start), busy):
                found.add(start)
    return sorted(found)


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same time in spans that neither meet nor overlap, in order."""
    whole: list[Span] = []
    for begin, end in sorted(spans):
        if whole and begin <= whole[-1][1]:
            whole[-1] = whole[-1][0], max(end, whole[-1][1])
        elif end > begin:
            whole.append((begin, end))
    return whole


def _inside(span: Span, whole: Sequence[Span]) -> bool:
    at = bisect_left(whole, (span[0] + 1,)) - 1
    return at >= 0 and span[1] <= whole[at][1]


def _meets(span: Span, whole: Sequence[Span]) -> bool:
    at = bisect_left(whole, (span[1],)) - 1
    return at >= 0 and whole[at][1] > span[0]


def open_spans(hours: Hours, within: Span) -> list[Span]:
    """What is open then, as it is declared."""
    return [(int(begin), int(end)) for begin, end in hours.spans(*within)]


def span_of(engagement: Engagement, zone: str) -> Span:
    """From when to when it lasts; whole days are those of the zone."""
    if engagement.first_day is not None and engagement.last_day is not None:
        place = zone_of(zone)
        after = engagement.last_day + timedelta(days=1)
        return int(moment(engagement.first_day, 0, place)), int(moment(after, 0, place))
    assert engagement.starts_at is not None
    assert engagement.ends_at is not None
    return int(engagement.starts_at.timestamp()), -int(-engagement.ends_at.timestamp() // 1)


@dataclass(frozen=True, slots=True)
class Offer:
    """A service somebody of the staff does in a store, with the hours that count."""

    service: str
    place: str
    staff: str
    times: Times
    store_hours: Hours
    own_hours: Hours | None

    def free(self, taken: Iterable[Span], within: Span) -> list[int]:
        """When it may begin."""
        around = (within[0] - 86400, within[1] + 2 * 86400)
        opened = open_spans(self.store_hours, around)
        own = opened if self.own_hours is None else open_spans(self.own_hours, around)
        return starts(self.times, opened, own, taken, within)


class Offers:
    """All that may be booked, by the blueprint."""

    def __init__(self, blueprint: Blueprint) -> None:
        self.declared: Appointments = blueprint.appointments
        self._places, self._calendars = blueprint.places, {n: c.hours for n, c in blueprint.calendars.items()}

    def of(self, service: str, place: str, staff: str = "") -> dict[str, Offer]:
        """Who does the service there, or that one of the staff, by name; empty where it is not offered."""
        if service not in self.declared.services or place not in self._places:
            return {}
        members = self.declared.members(service, place)
        return {name: self._offer(service, place, name, m) for name, m in members.items() if staff in ("", name)}

    def _offer(self, service: str, place: str, name: str, member: Member) -> Offer:
        own = self._calendars[member.hours] if member.hours else None
        store = self._calendars[self._places[place].calendar or ""]
        return Offer(service, place, name, Times.of(self.declared.services[service]), store, own)

    def zone(self, place: str) -> str:
        """Of the store's opening hours."""
        return str(self._calendars[self._places[place].calendar or ""].zone)

    def zone_of_user(self, user: str) -> str:
        """By which the whole days of a member's calendar are meant: their first store's."""
        member = next((m for m in self.declared.staff.values() if m.user == user), None)
        return self.zone(member.stores[0]) if member else "UTC"

    def location(self, place: str) -> str:
        """What the calendar says of where it is."""
        found = self._places[place]
        return ", ".join(filter(None, (found.name or place, found.street, f"{found.postcode} {found.city}".strip())))


def first_free(offers: Mapping[str, Sequence[int]], most: int = 3) -> list[tuple[int, str]]:
    """The soonest (start, member) of those that are free, one a moment."""
    soonest: dict[int, str] = {}
    for name, free in sorted(offers.items()):
        for start in free:
            soonest.setdefault(start, name)
    return sorted(soonest.items())[:most]
