"""The section `places`: where goods lie and people come to, by the code of the warehouse in the ERP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from counterfoil.blueprint.calendars import A_ZONE, Zone
from counterfoil.blueprint.page import Block, section
from counterfoil.blueprint.problems import Problem, choice, nearest
from counterfoil.blueprint.timing import a_time
from counterfoil.blueprint.values import Name, Part, country_code
from counterfoil.blueprint.yamlread import Source


def _degrees(value: Any) -> Any:
    try:
        return value if isinstance(value, Decimal | bool) else Decimal(str(value))
    except ArithmeticError:
        raise ValueError("a number") from None


Degrees = Annotated[Decimal, BeforeValidator(_degrees)]


class Place(Part):
    """One warehouse or store: its address, when it ships, and whether customers may collect there.

    `handling` are the working days from order to dispatch; an order after `cut_off` begins with the next open day of
    `calendar` (every day, where there is none).
    """

    name: str = Field(default="", description="what customers know it by, such as Paris Bastille")
    street: str = Field(default="", description="a text")
    postcode: str = Field(default="", description='a text such as "75011"')
    city: str = Field(default="", description="a text")
    region: str = Field(default="", description="the code of a region as shops write it, such as CA or FR-IDF")
    country: Annotated[str, AfterValidator(country_code)] | None = Field(
        default=None, description="a two-letter country code such as FR"
    )
    latitude: Degrees | None = Field(default=None, ge=-90, le=90, description="degrees north such as 48.8530")
    longitude: Degrees | None = Field(default=None, ge=-180, le=180, description="degrees east such as 2.3692")
    pickup: bool = Field(default=False, strict=True, description="true where customers may collect, else false")
    zone: Zone = Field(default="UTC", description=A_ZONE)
    calendar: Name | None = Field(default=None, description="the name of a calendar")
    cut_off: Annotated[str, AfterValidator(a_time)] | None = Field(
        default=None, description='a time of day such as "15:00"'
    )
    handling: int = Field(default=0, strict=True, ge=0, le=60, description="working days until it ships, 0 to 60")


def problems(places: Mapping[str, Place], calendars: Iterable[str], source: Source) -> Iterator[Problem]:
    """What does not fit the rest of the blueprint."""
    known = list(calendars)
    for code, place in places.items():
        if place.calendar is not None and place.calendar not in known:
            expected = f"a declared calendar: {choice(known)}" if known else "a declared calendar"
            yield source.problem(("places", code, "calendar"), expected, hint=nearest(place.calendar, known))
        missing = [name for name in ("latitude", "longitude") if source.at(("places", code, name)) is None]
        if len(missing) == 1:
            yield source.problem(("places", code, missing[0]), "latitude and longitude together, or neither")


def on_page(places: Mapping[str, Place]) -> list[Block]:
    """For people; nothing where no place is declared."""
    rows = [
        (
            code,
            place.name,
            " ".join(filter(None, (place.street, place.postcode, place.city, place.country))),
            "yes" if place.pickup else "no",
            f"orders until {place.cut_off}" if place.cut_off else "",
            f"after {place.handling} working days" if place.handling else "",
        )
        for code, place in places.items()
    ]
    return section("Places", ("Warehouse", "Name", "Address", "Collected from", "Same day", "Ships"), rows)
