"""What the calendars say: who is busy when, what became of our appointments there, what was moved by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint.calendars import zone_of
from counterfoil.hub import exceptions
from counterfoil.hub.contract import rejected
from counterfoil.hub.store import Store
from counterfoil.hub.storefront import appointments
from counterfoil.hub.storefront.appointments import Booking, Span
from counterfoil.processes.appointments import first_free, merged, span_of
from counterfoil.processes.booking import OFFERED_AHEAD, Diary
from counterfoil.retail.appointment import ENDED, AppointmentState, CalendarWeek
from counterfoil.retail.events import Event, at_utc

WEEK = 7 * 86400
_OVER = {appointments.CLASH: "the calendar and the appointment fit again"}


class Calendars:
    """Follows what the system with the calendars says, in the transaction that keeps it."""

    def __init__(self, diary: Diary) -> None:
        self.diary, self.store, self.system = diary, diary.store, diary.system

    async def __call__(self, connection: AsyncConnection, _store: Store, events: Sequence[Event]) -> None:
        """Follow events that are new."""
        for event in events:
            if event.source != self.system:
                continue
            if event.type == "calendar.changed":
                week = CalendarWeek.model_validate(event.data["calendar"])
                await self._read(connection, week, event.time.strftime("%Y-%m-%dT%H:%M:%SZ"))
            elif event.type in _OUTCOMES:
                await self._told(connection, event)

    async def _told(self, connection: AsyncConnection, event: Event) -> None:
        """What came of telling the calendar; of a time that is not wanted any more it says nothing."""
        booking = (await appointments.of(connection, [event.subject], True)).get(event.subject)
        told = event.data
        if booking is None or booking.state in ENDED:
            return
        if (told.get("starts_at"), told.get("staff")) != (booking.starts_at, booking.staff):
            return
        now = await self.store.clock(connection)
        state = _OUTCOMES[event.type]
        booking = booking.become(state=state.value, known_at=str(told.get("known_at", "")))
        await appointments.change(connection, self.store, booking)
        await self.diary.keep_state(connection, self.diary.appointment(booking), now)
        if state is AppointmentState.REFUSED:
            taken = [(int(begin), int(end)) for begin, end in told.get("taken", ())]
            await self._ask(connection, [(booking, "Something else was in the calendar first.")], now, taken)
        else:
            await exceptions.close_about(connection, self.store, [booking.canonical_id], appointments.OPERATION, _OVER)

    async def _read(self, connection: AsyncConnection, week: CalendarWeek, read_at: str) -> None:
        """A week of a calendar: when its owner is busy, and where our own appointments stand by now."""
        zone = self.diary.offers.zone_of_user(week.user)
        staff = next((n for n, m in self.diary.blueprint.appointments.staff.items() if m.user == week.user), None)
        entries = [(e.id, span_of(e, zone), e.appointment) for e in week.engagements if staff]
        await appointments.keep_calendar(connection, self.system, week.id, week.user, entries)
        if staff is None:  # not declared any more
            return
        await appointments.take_turns(connection, self.store, [staff])
        now = await self.store.clock(connection)
        for booking, span in await self._elsewhere(connection, staff, entries, read_at):
            moved = _at(booking, staff, span)
            held = await appointments.held(connection, [staff], (moved.held_from, moved.held_until), booking.id)
            if held[staff]:
                await self._ask(connection, [(booking, "It was moved in the calendar to a time that is held.")], now)
            else:
                await appointments.change(connection, self.store, moved)
                await self.diary.keep(connection, moved, "appointment.moved", now, self.system)
        begin = int(datetime(week.week.year, week.week.month, week.week.day, tzinfo=UTC).timestamp())
        others = merged(span for _, span, ours in entries if not ours)
        booked = await appointments.booked(connection, staff, (begin, begin + WEEK))
        there = await appointments.in_calendars(connection, self.system, [b.canonical_id for b in booked])
        asked = []
        for booking in booked:
            if any(a < booking.ends_at and b > booking.starts_at for a, b in others):
                asked.append((booking, "Something else is in the calendar at its time."))
            elif not there[booking.canonical_id] and booking.known_at < read_at:
                asked.append((booking, "It is not in the calendar any more."))
        await self._ask(connection, asked, now)
        fits = {b.canonical_id for b in booked if (week.user, b.starts_at, b.ends_at) in there[b.canonical_id]}
        over = fits - {b.canonical_id for b, _ in asked}
        await exceptions.close_about(connection, self.store, over, appointments.OPERATION, _OVER)

    async def _elsewhere(
        self, connection: AsyncConnection, staff: str, entries: Sequence[tuple[str, Span, str]], read_at: str
    ) -> list[tuple[Booking, Span]]:
        """Our appointments that people of the calendar's have moved, and where to; not by what was read before our
        own last write was there."""
        where = {ours: span for _, span, ours in entries if ours}
        known = await appointments.of(connection, list(where), lock=True)
        return [
            (booking, where[id_])
            for id_, booking in known.items()
            if booking.state == AppointmentState.BOOKED and booking.known_at < read_at
            if (booking.staff, booking.starts_at, booking.ends_at) != (staff, *where[id_])
        ]

    async def _ask(
        self,
        connection: AsyncConnection,
        clashes: Iterable[tuple[Booking, str]],
        now: float,
        taken: Sequence[Span] = (),
    ) -> None:
        """Put these before a person, with the next times that are free; `taken` is what no reading has told yet."""
        asked, owner = [], self.diary.blueprint.exceptions.owner_of(appointments.CLASH, "rejected")
        for booking, why in clashes:
            offers = self.diary.offers.of(booking.service, booking.place)
            within = (booking.starts_at, booking.starts_at + OFFERED_AHEAD)
            also = {booking.staff: taken}
            free = first_free(await self.diary.free_of(connection, offers, within, now, booking.id, also))
            state = self.diary.appointment(booking)
            words = [f"{self.shown(start, booking.place)} with {name}" for start, name in free]
            clash = rejected(
                appointments.CLASH,
                f"{state.title} on {self.shown(booking.starts_at, booking.place)} with {booking.staff}: {why}",
                f"Agree on another time with the customer and move it"
                f"{' (free: ' + ', '.join(words) + ')' if words else ''}, cancel it, or put the calendar right.",
            )
            asked.append((self.system, booking.canonical_id, clash, owner))
        await exceptions.open_about(connection, self.store, appointments.OPERATION, asked)

    def shown(self, start: int, place: str) -> str:
        """A time as the store's clocks show it."""
        zone = self.diary.offers.zone(place) if place in self.diary.blueprint.places else "UTC"
        return at_utc(start).astimezone(zone_of(zone)).strftime("%Y-%m-%d %H:%M")


def _at(booking: Booking, staff: str, span: Span) -> Booking:
    """Moved there, with what is kept free around it."""
    begin, end = span
    return booking.become(
        staff=staff,
        starts_at=begin,
        ends_at=end,
        held_from=booking.held_from + begin - booking.starts_at,
        held_until=booking.held_until + end - booking.ends_at,
        asked=booking.asked + 1,
    )


_OUTCOMES = {
    "appointment.booked": AppointmentState.BOOKED,
    "appointment.refused": AppointmentState.REFUSED,
}
