"""When goods leave and arrive, and which stores are near: estimates by the calendar. Pure.

A place ships on the days on which its calendar is open (every day where it has none), carriers travel from Monday to
Friday.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from counterfoil.blueprint.calendars import Hours, parse_time, zone_of
from counterfoil.blueprint.places import Place
from counterfoil.blueprint.storefront import ELSEWHERE, days
from counterfoil.retail.availability import Answer, Beyond

_DAY = timedelta(days=1)
_EARTH = 6371.0088
"""Its mean radius in kilometres."""
LONGEST_CLOSED = 366
"""Days after which a place that never opens is taken for one that is always open."""
NOWHERE = Place()
"""A place that the blueprint does not declare."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """When it leaves, from where, and between which days it arrives; None: nothing is declared of the way."""

    place: str
    ships_on: date
    earliest: date | None
    latest: date | None


@dataclass(frozen=True, slots=True)
class Where:
    """Where a customer is, as far as known. Degrees north and east; country, region and city as addresses have them."""

    latitude: float | None = None
    longitude: float | None = None
    country: str = ""
    region: str = ""
    city: str = ""


def ships_on(at: datetime, place: Place, hours: Hours | None) -> date:
    """The day on which an order of that (aware) moment leaves the place."""
    local = at.astimezone(zone_of(place.zone))
    day = local.date()
    if place.cut_off is not None and local.hour * 60 + local.minute >= parse_time(place.cut_off):
        day += _DAY
    day = _open_from(day, hours)
    for _ in range(place.handling):
        day = _open_from(day + _DAY, hours)
    return day


def _open_from(day: date, hours: Hours | None) -> date:
    if hours is None:
        return day
    days_ahead = (day + n * _DAY for n in range(LONGEST_CLOSED))
    return next((each for each in days_ahead if hours.works_on(each)), day)


def arrives(day: date, travels: int) -> date:
    """After so many weekdays on the way; at the earliest on a weekday."""
    while travels > 0 or day.weekday() > 4:
        day += _DAY
        if day.weekday() <= 4:
            travels -= 1
    return day


def travels(transit: Mapping[str, str], country: str) -> tuple[int, int] | None:
    """The fewest and the most weekdays on the way to the country; None where nothing is declared."""
    text = transit.get(country) or transit.get(ELSEWHERE)
    return days(text) if text else None


def estimate(
    answer: Answer,
    beyond: Beyond | None,
    at: datetime,
    places: Mapping[str, Place],
    hours: Mapping[str, Hours],
    way: tuple[int, int] | None,
    wished: str | None = None,
) -> Estimate | None:
    """For one unit ordered at that moment; None where there is none to be had, or nobody knows when.

    From the `wished` place if it has one, else from the one it leaves first. `hours` are those of the calendars.
    """

    def leaving(code: str, when: datetime) -> date:
        place = places.get(code, NOWHERE)
        return ships_on(when, place, hours.get(place.calendar or ""))

    if answer.units > 0:
        having = [code for code, units in answer.by_place if units > 0]
        if not having:
            return None
        place = wished if wished in having else min(having, key=lambda code: (leaving(code, at), code))
        leaves = leaving(place, at)
    elif answer.beyond > 0 and beyond is not None and (beyond.days is not None or beyond.from_ is not None):
        place = wished or next((code for code, _ in answer.by_place), "")
        leaves = leaving(place, at + (beyond.days or 0) * _DAY)
        if beyond.from_ is not None and beyond.from_ > leaves:
            leaves = _open_from(beyond.from_, hours.get(places.get(place, NOWHERE).calendar or ""))
    else:
        return None
    if way is None:
        return Estimate(place, leaves, None, None)
    return Estimate(place, leaves, arrives(leaves, way[0]), arrives(leaves, way[1]))


def kilometres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Between two points (degrees north, degrees east), as the crow flies."""
    north, east = (math.radians(other[i] - one[i]) for i in (0, 1))
    middle = math.cos(math.radians(one[0])) * math.cos(math.radians(other[0]))
    half = math.sin(north / 2) ** 2 + middle * math.sin(east / 2) ** 2
    return 2 * _EARTH * math.asin(min(1.0, math.sqrt(half)))


def nearest(places: Mapping[str, Place], where: Where, among: Iterable[str]) -> list[tuple[str, float | None]]:
    """The places `among` these where customers may collect, nearest first, with kilometres where both ends are known.

    Without those: the same city, then the same region, then the same country come first.
    """

    def away(code: str) -> float | None:
        place = places[code]
        if place.latitude is None or place.longitude is None or where.latitude is None or where.longitude is None:
            return None
        return kilometres((where.latitude, where.longitude), (float(place.latitude), float(place.longitude)))

    def rank(found: tuple[str, float | None]) -> tuple[object, ...]:
        code, far = found
        place = places[code]
        other = [
            not theirs or theirs.casefold() != (ours or "").casefold()
            for theirs, ours in ((where.city, place.city), (where.region, place.region), (where.country, place.country))
        ]
        return (far is None, far or 0.0, *other, code)

    collected = [(code, away(code)) for code in among if code in places and places[code].pickup]
    return sorted(collected, key=rank)
