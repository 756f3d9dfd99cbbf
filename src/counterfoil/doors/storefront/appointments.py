"""Appointments by the storefront: what may be booked, when it is free, booking, moving, cancelling."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field

from counterfoil.doors import assembly
from counterfoil.doors.storefront.context import Context
from counterfoil.doors.storefront.models import Asked, Key, Text
from counterfoil.doors.storefront.problems import KEY_TAKEN, NOT_FOUND, Kind, Refusal, documented
from counterfoil.doors.storefront.tokens import Caller, needs
from counterfoil.processes import booking
from counterfoil.retail.appointment import Appointment, Visitor
from counterfoil.retail.events import at_utc

NOT_OFFERED = Kind("not_offered", 404, "That is not offered there", "Use what `GET /appointments/services` names.")
TAKEN = Kind("taken", 409, "That time is not free", "Offer the customer one of `instead`, or ask for free slots again.")
OVER = Kind("cancelled", 409, "The appointment was cancelled", "Book anew.")
LONGEST = timedelta(days=31)
"""Of free slots in one answer."""

Moment = Annotated[AwareDatetime, Field(description="with its zone, such as 2026-11-23T10:00:00+01:00")]


class Service(BaseModel):
    """What may be booked, and where with whom: the codes of stores, each with its staff by name."""

    service: str
    title: str
    minutes: int
    stores: dict[str, list[str]]


class Slot(BaseModel):
    """A time that is free, as the store's clocks show it, and who is free then."""

    starts_at: datetime
    ends_at: datetime
    staff: list[str]


class Slots(BaseModel):
    """`as_of`: when the calendars were last read, `null` before the first time. `stale`: so long ago that what was put
    into them since may be missing; a booking is then a request, as always, and may yet be refused."""

    slots: list[Slot]
    as_of: datetime | None
    stale: bool


class Customer(Asked):
    """Who comes."""

    name: Text = Field(min_length=1)
    email: Text = ""
    phone: Text = ""
    note: Annotated[Text, Field(max_length=200)] = ""


class Wanted(Asked):
    """What to book. Without `staff` it is with whoever is free."""

    service: Text
    store: Text
    starts_at: Moment
    staff: Text = ""
    customer: Customer


class Instead(Asked):
    """Another time; without `staff` with the same member."""

    starts_at: Moment
    staff: Text = ""


class Booked(BaseModel):
    """An appointment. Its time is held in every state but `cancelled` and `refused`.

    `requested`, `moved`: the calendar has not taken it yet; `booked`: it has; `refused`: it had something else there,
    and the shop will propose another time. `erp_reachable` false: it is taken into the calendar once that is back.
    """

    id: str
    state: Literal["requested", "booked", "moved", "cancelled", "refused"]
    service: str
    title: str
    store: str
    location: str
    staff: str
    starts_at: datetime
    ends_at: datetime
    erp_reachable: bool


def routes(context: Context) -> APIRouter:
    """The routes of this concept."""
    router = APIRouter(tags=["appointments"])
    diary = assembly.diary(context.store, context.blueprint)
    declared = context.blueprint.appointments

    @router.get("/appointments/services")
    async def services(caller: Annotated[Caller, needs("appointments")]) -> list[Service]:
        """What may be booked, where and with whom."""
        return [
            Service(
                service=name,
                title=service.title,
                minutes=int(service.duration.total_seconds() // 60),
                stores={p: sorted(there) for p in context.blueprint.places if (there := diary.offers.of(name, p))},
            )
            for name, service in declared.services.items()
        ]

    @router.get("/appointments/slots", responses=documented(NOT_OFFERED))
    async def slots(
        caller: Annotated[Caller, needs("appointments")],
        service: Text,
        store: Text,
        from_: Annotated[Moment | None, Query(alias="from")] = None,
        until: Moment | None = None,
        staff: Text = "",
    ) -> Slots:
        """When it is free in the next week, or from then until then: at most 31 days."""
        begin = from_ or datetime.now(UTC)
        end = until or begin + timedelta(days=7)
        within = (_seconds(begin), min(_seconds(end), _seconds(begin) + int(LONGEST.total_seconds())))
        try:
            free = await diary.free(service, store, staff, within)
        except booking.NotOffered as error:
            raise NOT_OFFERED.problem(str(error)) from None
        zone = ZoneInfo(diary.offers.zone(store))
        who: dict[int, list[str]] = {}
        for name, starts in sorted(free.slots.items()):
            for start in starts:
                who.setdefault(start, []).append(name)
        long = declared.services[service].duration
        found = [
            Slot(starts_at=(at := at_utc(start).astimezone(zone)), ends_at=_later(at, long), staff=names)
            for start, names in sorted(who.items())
        ]
        return Slots(slots=found, as_of=None if free.as_of is None else at_utc(free.as_of), stale=free.stale)

    @router.post("/appointments", status_code=201, responses=documented(NOT_OFFERED, TAKEN, KEY_TAKEN))
    async def book(caller: Annotated[Caller, needs("appointments")], asked: Wanted, key: Key) -> Booked:
        """Hold a time and ask the calendar for it. The same key and request again is the same appointment."""
        visitor = Visitor(**asked.customer.model_dump())
        start = _seconds(asked.starts_at)
        try:
            made = await diary.book(caller.channel, asked.service, asked.store, start, visitor, asked.staff, key)
        except booking.NotBooked as error:
            raise refused(error, asked.store) from None
        return await told(made)

    @router.get("/appointments/{id}", responses=documented(NOT_FOUND))
    async def appointment(caller: Annotated[Caller, needs("appointments")], id: Text) -> Booked:
        """How it stands."""
        try:
            return await told(await diary.get(caller.channel, id))
        except booking.NotBooked as error:
            raise refused(error) from None

    @router.post("/appointments/{id}/move", responses=documented(NOT_FOUND, NOT_OFFERED, TAKEN, OVER, KEY_TAKEN))
    async def move(caller: Annotated[Caller, needs("appointments")], id: Text, asked: Instead, key: Key) -> Booked:
        """Hold another time and give the old one back. One that was refused lives on by this."""
        try:
            made = await diary.move(caller.channel, id, _seconds(asked.starts_at), asked.staff, key)
        except booking.NotBooked as error:
            raise refused(error) from None
        return await told(made)

    @router.post("/appointments/{id}/cancel", responses=documented(NOT_FOUND))
    async def cancel(caller: Annotated[Caller, needs("appointments")], id: Text) -> Booked:
        """Give its time back. Again changes nothing."""
        try:
            return await told(await diary.cancel(caller.channel, id))
        except booking.NotBooked as error:
            raise refused(error) from None

    async def told(made: Appointment) -> Booked:
        zone = ZoneInfo(made.zone)
        return Booked(
            id=made.id,
            state=made.state.value,
            service=made.service,
            title=made.title,
            store=made.place,
            location=made.location,
            staff=made.staff,
            starts_at=made.starts_at.astimezone(zone),
            ends_at=made.ends_at.astimezone(zone),
            erp_reachable=await context.erp_reachable("book_appointment"),
        )

    def refused(error: booking.NotBooked, store: str = "") -> Refusal:
        if isinstance(error, booking.Taken):
            return TAKEN.problem(str(error), instead=_instead(error.instead, store))
        kinds = {booking.NotOffered: NOT_OFFERED, booking.Ended: OVER, booking.KeyReused: KEY_TAKEN}
        return kinds.get(type(error), NOT_FOUND).problem(str(error))

    def _instead(free: Sequence[tuple[int, str]], store: str) -> list[dict[str, str]]:
        zone = ZoneInfo(diary.offers.zone(store)) if store in context.blueprint.places else UTC
        return [{"starts_at": at_utc(start).astimezone(zone).isoformat(), "staff": name} for start, name in free]

    return router


def _later(at: datetime, long: timedelta) -> datetime:
    """By the real clock, also over a change of the wall's."""
    return (at.astimezone(UTC) + long).astimezone(at.tzinfo)


def _seconds(moment: datetime) -> int:
    """Since the epoch; what is out of any calendar's reach is far away."""
    try:
        return min(max(int(moment.timestamp()), 0), 4_102_444_800)
    except OverflowError:
        return 0
