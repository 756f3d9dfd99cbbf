"""What people look at: today, money that waits, the search, a thing's journey, a customer, lanes, systems, reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from counterfoil.blueprint.calendars import zone_of
from counterfoil.doors.admin import exports
from counterfoil.doors.admin.acts import act
from counterfoil.doors.admin.context import Admin, Desk, may
from counterfoil.doors.admin.problems import INVALID, NOT_FOUND
from counterfoil.hub.access.people import Person
from counterfoil.hub.access.roles import Right
from counterfoil.hub.views import flows as lanes_view
from counterfoil.hub.views import journey as journey_view
from counterfoil.hub.views import money as money_view
from counterfoil.hub.views import people, picture, search
from counterfoil.hub.views import reports as reports_view
from counterfoil.hub.views import systems as systems_view
from counterfoil.hub.views import today as today_view
from counterfoil.hub.views.flows import Lanes
from counterfoil.hub.views.journey import Journey, Sent
from counterfoil.hub.views.money import Item, Sum
from counterfoil.hub.views.people import Customer
from counterfoil.hub.views.reports import TABLES, Report
from counterfoil.hub.views.search import BadPage, Found
from counterfoil.hub.views.systems import SystemView
from counterfoil.hub.views.things import THINGS
from counterfoil.hub.views.today import Today
from counterfoil.watch import drifting


@dataclass(frozen=True, slots=True)
class Reports:
    """A report, and what the last drift audit by the clock found."""

    figures: Report
    drift: dict[str, Any]


@act(Right.SEE)
async def today(desk: Admin, person: Person, zone: str = "") -> Today:
    """How it stands; a day begins at midnight in `zone`, by default the shop's. Raises Refusal."""
    if zone:
        try:
            zone_of(zone)
        except ValueError as error:
            raise INVALID.problem(f"zone: {zone!r} is not {error}.") from None
    return await today_view.today(desk.store, desk.blueprint, desk.streams, zone)


@dataclass(frozen=True, slots=True)
class Money:
    """Money that waits to be matched: all of it by currency and kind, and a page of the `of` items asked for."""

    at: datetime
    sums: tuple[Sum, ...]
    items: tuple[Item, ...]
    of: int


@act(Right.SEE)
async def money(
    desk: Admin, person: Person, kind: str = "", currency: str = "", limit: int | None = 50, offset: int = 0
) -> Money:
    """What storefronts told of and the ERP has not booked yet, the longest wait first. Raises Refusal."""
    if kind not in ("", *money_view.KINDS):
        raise INVALID.problem(f"kind: {kind!r} is none of {', '.join(money_view.KINDS)}.")
    found = await money_view.waiting(desk.store)
    items = money_view.chosen(found, kind, currency)
    last = None if limit is None else offset + limit
    return Money(found.at, found.sums, items[offset:last], len(items))


@act(Right.SEE)
async def find(desk: Admin, person: Person, text: str, thing: str = "", after: str = "", limit: int = 10) -> Found:
    """What a number, an address or an id belongs to, by kind of thing. Raises Refusal."""
    if thing and thing not in THINGS:
        raise INVALID.problem(f"thing: {thing!r} is none of {', '.join(THINGS)}.")
    try:
        return await search.find(desk.store, text, desk.blueprint.systems, thing, after, limit, _may_see(person))
    except BadPage as error:
        raise INVALID.problem(f"after: {error}.") from None


@act(Right.SEE)
async def journey(
    desk: Admin, person: Person, subject: str, until: float | None = None, limit: int = journey_view.MOST
) -> Journey:
    """All that happened to one thing, across all systems. Raises Refusal."""
    found = await journey_view.of(desk.store, subject, _may_see(person), limit, until)
    if found is None:
        raise NOT_FOUND.problem("Nothing is known of that.")
    return found


@act(Right.SEE)
async def drawn(desk: Admin, person: Person, subject: str) -> str:
    """Its newest steps as SVG; empty where there is nothing to draw. Raises Refusal."""
    return picture.svg(await journey(desk, person, subject))


@act(Right.SEE)
async def received(desk: Admin, person: Person, number: int) -> Sent:
    """A receipt as it arrived; its body only for who may see personal data. Raises Refusal."""
    found = await journey_view.received(desk.store, number, _may_see(person))
    if found is None:
        raise NOT_FOUND.problem("There is no such receipt.")
    return found


@act(Right.SEE)
async def happened(desk: Admin, person: Person, event: str) -> Sent:
    """An event with its data. Raises Refusal."""
    found = await journey_view.happened(desk.store, event, _may_see(person))
    if found is None:
        raise NOT_FOUND.problem("There is no such event.")
    return found


@act(Right.SEE)
async def customer(
    desk: Admin, person: Person, who: str, limit: int = 20, after: tuple[float, str] | None = None
) -> Customer:
    """A customer's orders, cases and messages, by e-mail, telephone or canonical id. Raises Refusal."""
    found = await people.customer(desk.store, who, _may_see(person), limit, after)
    if found is None:
        raise NOT_FOUND.problem("Nobody is known by that.")
    return found


@act(Right.SEE)
async def flows(desk: Admin, person: Person) -> list[Lanes]:
    """The lanes by system and stream."""
    return await lanes_view.all_of(desk.store, desk.streams)


@act(Right.SEE)
async def systems(desk: Admin, person: Person) -> list[SystemView]:
    """Every system of the blueprint."""
    return await systems_view.all_of(desk.store, desk.blueprint, desk.streams)


@act(Right.SEE)
async def reports(desk: Admin, person: Person, days: int = 7) -> Reports:
    """The last days in figures."""
    figures = await reports_view.report(desk.store, days, today_view.zone_of(desk.blueprint))
    return Reports(figures, drifting.in_short(await drifting.last(desk.store)))


def _may_see(person: Person) -> bool:
    return person.may(Right.SEE_PERSONAL)


Limit = Annotated[int, Query(ge=1, le=500)]


def routes() -> APIRouter:
    """Under /admin/v1."""
    router = APIRouter(tags=["views"])

    @router.get("/today")
    async def see_today(desk: Desk, person: Annotated[Person, may(today)], zone: str = "") -> Today:
        """How it stands now."""
        return await today(desk, person, zone)

    @router.get("/money")
    async def see_money(
        desk: Desk,
        person: Annotated[Person, may(money)],
        kind: str = "",
        currency: str = "",
        limit: Limit = 50,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> Money:
        """Payments and refunds that wait to be booked, the longest wait first."""
        return await money(desk, person, kind, currency, limit, offset)

    @router.get("/money/{format}", response_class=Response)
    async def see_money_file(
        desk: Desk, person: Annotated[Person, may(money)], format: str, kind: str = "", currency: str = ""
    ) -> Response:
        """All of them as a file: `csv`, safe to open in a spreadsheet, or `parquet`."""
        found = await money(desk, person, kind, currency, limit=None)
        return await exports.answer("money", found.items, Item, format)

    @router.get("/search")
    async def see_search(
        desk: Desk,
        person: Annotated[Person, may(find)],
        text: Annotated[str, Query(max_length=200)],
        thing: str = "",
        after: str = "",
        limit: Limit = 10,
    ) -> Found:
        """Whole numbers first, then what begins so; `after` of a group, with its `thing`, is its next page."""
        return await find(desk, person, text, thing, after, limit)

    @router.get("/journeys/{subject}")
    async def see_journey(
        desk: Desk,
        person: Annotated[Person, may(journey)],
        subject: str,
        until: float | None = None,
        limit: Limit = journey_view.MOST,
    ) -> Journey:
        """All that happened to one thing; `until` of a page leads to the older steps."""
        return await journey(desk, person, subject, until, limit)

    @router.get("/journeys/{subject}/picture", response_class=Response)
    async def see_picture(desk: Desk, person: Annotated[Person, may(drawn)], subject: str) -> Response:
        """Its newest steps as SVG."""
        return Response(await drawn(desk, person, subject), media_type="image/svg+xml")

    @router.get("/receipts/{number}")
    async def see_receipt(desk: Desk, person: Annotated[Person, may(received)], number: int) -> Sent:
        """What arrived, as it arrived."""
        return await received(desk, person, number)

    @router.get("/events/{event}")
    async def see_event(desk: Desk, person: Annotated[Person, may(happened)], event: str) -> Sent:
        """A fact, as operations were given it."""
        return await happened(desk, person, event)

    @router.get("/customers/{who}")
    async def see_customer(
        desk: Desk,
        person: Annotated[Person, may(customer)],
        who: str,
        limit: Limit = 20,
        after_at: float | None = None,
        after_order: str = "",
    ) -> Customer:
        """All of a customer in one place; both parts of `after` lead to the next orders."""
        after = None if after_at is None else (after_at, after_order)
        return await customer(desk, person, who, limit, after)

    @router.get("/flows")
    async def see_flows(desk: Desk, person: Annotated[Person, may(flows)]) -> list[Lanes]:
        """How much waits where, for how long, and what stands in its way."""
        return await flows(desk, person)

    @router.get("/systems")
    async def see_systems(desk: Desk, person: Annotated[Person, may(systems)]) -> list[SystemView]:
        """How each system is, and what it told when."""
        return await systems(desk, person)

    @router.get("/reports")
    async def see_reports(
        desk: Desk, person: Annotated[Person, may(reports)], days: Annotated[int, Query(ge=1, le=400)] = 7
    ) -> Reports:
        """The last days in figures."""
        return await reports(desk, person, days)

    @router.get("/reports/{table}/{format}", response_class=Response)
    async def see_report(
        desk: Desk,
        person: Annotated[Person, may(reports)],
        table: str,
        format: str,
        days: Annotated[int, Query(ge=1, le=400)] = 7,
    ) -> Response:
        """One of its tables as a file: `csv`, safe to open in a spreadsheet, or `parquet`."""
        if table not in TABLES:
            raise NOT_FOUND.problem(f"There is no table {table!r}; there are: {', '.join(TABLES)}.")
        found = await reports(desk, person, days)
        return await exports.answer(table, getattr(found.figures, table), TABLES[table], format)

    return router
