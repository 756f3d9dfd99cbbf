"""When an order leaves and arrives, and which stores are near."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.blueprint.calendars import Calendar
from counterfoil.blueprint.places import Place
from counterfoil.processes.arriving import Where, arrives, estimate, kilometres, nearest, ships_on, travels
from counterfoil.retail.availability import Answer, Beyond

WEEKDAYS = Calendar(zone="Europe/Paris", open={"mon-fri": "08:00-17:00"}, closed=["12-25"]).hours
PARIS = Place(zone="Europe/Paris", calendar="shop", cut_off="15:00")
HOURS = {"shop": WEEKDAYS}
FRIDAY = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "handling", "leaves"),
    [
        (FRIDAY.replace(hour=13, minute=59), 0, date(2026, 11, 20)),  # 14:59 in Paris
        (FRIDAY.replace(hour=14), 0, date(2026, 11, 23)),  # 15:00 is the cut-off
        (FRIDAY.replace(hour=23, minute=30), 0, date(2026, 11, 23)),  # Saturday in Paris already
        (FRIDAY, 2, date(2026, 11, 24)),
        (datetime(2026, 12, 24, 16, tzinfo=UTC), 0, date(2026, 12, 28)),  # the 25th is closed
    ],
)
def test_goods_leave_on_an_open_day_after_the_cut_off_by_the_places_own_clock(
    at: datetime, handling: int, leaves: date
) -> None:
    assert ships_on(at, PARIS.model_copy(update={"handling": handling}), WEEKDAYS) == leaves


@given(st.dates(date(2020, 1, 1), date(2040, 1, 1)), st.integers(0, 30))
def test_carriers_travel_on_weekdays(day: date, way: int) -> None:
    there = arrives(day, way)
    between = [day + timedelta(days=n) for n in range(1, (there - day).days + 1)]
    assert there.weekday() < 5
    assert sum(each.weekday() < 5 for each in between) == way or (way == 0 and day.weekday() >= 5)


def test_it_comes_from_the_wished_place_if_that_has_it_else_from_where_it_leaves_first() -> None:
    slow = Place(handling=3)
    answer = Answer(5, 0, "in_stock", (("A", 0), ("B", 2), ("C", 3)), 5000)

    def place(wished: str | None) -> str:
        found = estimate(answer, None, FRIDAY, {"B": slow}, HOURS, (1, 2), wished)
        assert found is not None
        return found.place

    assert (place("B"), place("A"), place(None)) == ("B", "C", "C")


def test_what_is_not_there_comes_when_it_was_promised_or_nobody_knows() -> None:
    gone = Answer(0, 4, "pre_order", (("A", 0),))

    def leaves(beyond: Beyond | None) -> date | None:
        found = estimate(gone, beyond, FRIDAY, {}, {}, None)
        return found.ships_on if found else None

    assert leaves(Beyond("back_order", days=10)) == date(2026, 11, 30)
    assert leaves(Beyond("pre_order", from_=date(2027, 3, 1))) == date(2027, 3, 1)
    assert leaves(Beyond("incoming")) is None
    assert leaves(None) is None
    assert estimate(Answer(0, 0, "out"), Beyond("back_order", days=1), FRIDAY, {}, {}, None) is None


def test_days_on_the_way_are_by_country_or_by_any_other() -> None:
    transit = {"FR": "2", "*": "4-7"}
    assert (travels(transit, "FR"), travels(transit, "DE"), travels({"FR": "2"}, "DE")) == ((2, 2), (4, 7), None)


def test_the_nearest_store_comes_first_by_distance_else_by_city_region_country() -> None:
    places = {
        "P": Place(pickup=True, country="FR", city="Paris", latitude="48.8566", longitude="2.3522"),
        "L": Place(pickup=True, country="GB", city="London", latitude="51.5074", longitude="-0.1278"),
        "B": Place(pickup=True, country="BE", city="Brussels"),
        "W": Place(country="FR"),
    }
    near_london = nearest(places, Where(latitude=51.0, longitude=0.0), places)
    assert [code for code, _ in near_london] == ["L", "P", "B"]
    assert nearest(places, Where(country="BE"), places)[0] == ("B", None)
    assert nearest(places, Where(country="FR", city="paris"), places)[0] == ("P", None)


def test_the_distance_between_paris_and_london() -> None:
    """344 km by the great circle between their centres (48.8566 N 2.3522 E, 51.5074 N 0.1278 W)."""
    assert round(kilometres((48.8566, 2.3522), (51.5074, -0.1278))) == 344
