"""Booking: a time is taken, moved or given up, and what the calendar says of it is followed.

A time is held in the transaction that answers the customer, so that of many who want it one gets it, whether the
calendar's system answers or not. The calendar is then told through the lanes, and has the last word: what is in it
already when the appointment comes is a refusal, and what its people move or take out there is moved or cancelled here.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub import exceptions, lanes, records
from counterfoil.hub.records import Known, state_digest
from counterfoil.hub.storefront import answers, appointments
from counterfoil.hub.storefront.appointments import Booking, Span
from counterfoil.hub.storefront.looking import looked_at
from counterfoil.hub.telling import Teller
from counterfoil.processes.appointments import Offer, Offers, first_free
from counterfoil.retail.appointment import ENDED, Appointment, AppointmentState, Visitor
from counterfoil.retail.events import Event, at_utc, event_id, hashed_ref

FEED = KIND = "calendar"
STALE = 60.0
"""Seconds after which the calendars' last reading is called old: they are polled every few seconds."""
OFFERED_AHEAD = 14 * 86400
"""Seconds: so far ahead other times are looked for when one is taken."""


class NotBooked(Exception):
    """Nothing was done; the message says why."""


class NotOffered(NotBooked):
    """There is no such service, store or member, or the member does not do that there."""


class Taken(NotBooked):
    """That time is not free (any more). `instead` are the next ones that are: (start, member)."""

    def __init__(self, instead: Sequence[tuple[int, str]]) -> None:
        super().__init__("That time is not free.")
        self.instead = instead


class NoSuchAppointment(NotBooked):
    """This channel has no appointment of that id."""


class Ended(NotBooked):
    """It was cancelled."""


class KeyReused(NotBooked):
    """The Idempotency-Key was sent with another request before."""


@dataclass(frozen=True, slots=True)
class Free:
    """When a service may begin: by member, in seconds since the epoch. `as_of` is when the calendars were last read
    (None: never), `stale` whether that is too long ago to rely on it."""

    slots: Mapping[str, Sequence[int]]
    as_of: float | None
    stale: bool


class Diary:
    """The appointments of one hub."""

    def __init__(self, teller: Teller) -> None:
        self.teller, self.store, self.blueprint = teller, teller.store, teller.blueprint
        self.offers = Offers(self.blueprint)
        self.system = self.blueprint.appointments.system or ""

    # --- asked for ------------------------------------------------------------------------------------------------

    async def free(self, service: str, place: str, staff: str, within: Span) -> Free:
        """When it may begin in `within`. Raises NotOffered."""
        async with self.store.read() as connection:
            as_of, now = await looked_at(connection, self.store, [(self.system, FEED)], KIND)
            offers = self._offers(service, place, staff)
            slots = await self.free_of(connection, offers, within, now)
            return Free(slots, as_of, as_of is None or now - as_of > STALE)

    async def book(
        self, channel: str, service: str, place: str, start: int, visitor: Visitor, staff: str = "", key: str = ""
    ) -> Appointment:
        """Hold that time; with several members who are free, the one with the least to do. The same key is answered
        the same. Raises NotOffered, Taken, KeyReused."""
        offers = self._offers(service, place, staff)

        async def act(connection: AsyncConnection, now: float) -> tuple[Booking, bool]:
            await appointments.take_turns(connection, self.store, offers)
            offer = await self._choose(connection, offers, start, now)
            held_from, held_until = offer.times.held(start)
            booking = Booking(
                id=secrets.token_hex(12),
                channel=channel,
                state=AppointmentState.REQUESTED.value,
                service=service,
                place=place,
                staff=offer.staff,
                starts_at=start,
                ends_at=start + offer.times.duration,
                held_from=held_from,
                held_until=held_until,
                visitor=visitor.model_dump(),
            )
            await appointments.insert(connection, self.store, booking)
            return booking, True

        asked = {"service": service, "place": place, "start": start, "staff": staff, **visitor.model_dump()}
        return await self._once(f"{channel} appointment.book", key, asked, "appointment.requested", act)

    async def move(self, channel: str, id_: str, start: int, staff: str = "", key: str = "") -> Appointment:
        """Hold another time instead; with the same member unless another is asked for. One that was refused lives on.

        Raises NoSuchAppointment, Ended, NotOffered, Taken, KeyReused.
        """

        async def act(connection: AsyncConnection, now: float) -> tuple[Booking, bool]:
            known = await self._known(connection, channel, id_)  # not locked yet: members come first
            offers = self._offers(known.service, known.place, staff or known.staff)
            await appointments.take_turns(connection, self.store, {*offers, known.staff})
            known = await self._known(connection, channel, id_, lock=True)
            if known.state == AppointmentState.CANCELLED:
                raise Ended("The appointment was cancelled.")
            if known.starts_at == start and known.staff in offers and known.state not in ENDED:
                return known, False
            offer = await self._choose(connection, offers, start, now, without=id_)
            held_from, held_until = offer.times.held(start)
            state = AppointmentState.REQUESTED if known.state == AppointmentState.REQUESTED else AppointmentState.MOVED
            moved = known.become(
                state=state.value,
                staff=offer.staff,
                starts_at=start,
                ends_at=start + offer.times.duration,
                held_from=held_from,
                held_until=held_until,
                asked=known.asked + 1,
            )
            await appointments.change(connection, self.store, moved)
            return moved, True

        asked = {"id": id_, "start": start, "staff": staff}
        return await self._once(f"{channel} appointment.move", key, asked, "appointment.moved", act)

    async def cancel(self, channel: str, id_: str) -> Appointment:
        """Give its time back; a second time changes nothing. Raises NoSuchAppointment."""

        async def act(connection: AsyncConnection, _now: float) -> tuple[Booking, bool]:
            known = await self._known(connection, channel, id_, lock=True)
            if known.state == AppointmentState.CANCELLED:
                return known, False
            gone = known.become(state=AppointmentState.CANCELLED.value, asked=known.asked + 1)
            await appointments.change(connection, self.store, gone)
            return gone, True

        return await self._once(f"{channel} appointment.cancel", "", {"id": id_}, "appointment.cancelled", act)

    async def get(self, channel: str, id_: str) -> Appointment:
        """As it now stands. Raises NoSuchAppointment."""
        async with self.store.read() as connection:
            return self.appointment(await self._known(connection, channel, id_))

    def appointment(self, booking: Booking) -> Appointment:
        """In the retail language. Of what is not declared any more the names stay."""
        declared = self.blueprint.appointments
        service, member = declared.services.get(booking.service), declared.staff.get(booking.staff)
        there = booking.place in self.blueprint.places
        return Appointment(
            system=booking.channel,
            id=booking.id,
            state=AppointmentState(booking.state),
            service=booking.service,
            place=booking.place,
            staff=booking.staff,
            starts_at=at_utc(booking.starts_at),
            ends_at=at_utc(booking.ends_at),
            held_from=at_utc(booking.held_from),
            held_until=at_utc(booking.held_until),
            user=member.user if member else booking.staff,
            title=service.title if service else booking.service,
            type=(service.type if service else None) or "",
            location=self.offers.location(booking.place) if there else booking.place,
            zone=self.offers.zone(booking.place) if there else "UTC",
            visitor=Visitor.model_validate(booking.visitor),
        )

    # --- how ------------------------------------------------------------------------------------------------------

    def _offers(self, service: str, place: str, staff: str) -> dict[str, Offer]:
        offers = self.offers.of(service, place, staff)
        if not offers:
            raise NotOffered("There is no such service, store or member of staff, or not together.")
        return offers

    async def free_of(
        self,
        connection: AsyncConnection,
        offers: Mapping[str, Offer],
        within: Span,
        now: float,
        without: str = "",
        also: Mapping[str, Sequence[Span]] = MappingProxyType({}),
    ) -> dict[str, list[int]]:
        """When each may begin, for who asks now; `without` is the appointment to be moved, `also` what is taken too."""
        around, staff = (within[0] - 86400, within[1] + 3 * 86400), self.blueprint.appointments.staff
        users = {name: staff[name].user for name in offers}
        held = await appointments.held(connection, list(offers), around, without)
        busy = await appointments.busy_times(connection, self.system, list(users.values()), staff, around)
        free = {}
        for name, offer in offers.items():
            first, last = offer.times.bookable(now)
            taken = [*held[name], *busy[users[name]], *also.get(name, ())]
            free[name] = offer.free(taken, (max(within[0], first), min(within[1], last)))
        return free

    async def _choose(
        self, connection: AsyncConnection, offers: Mapping[str, Offer], start: int, now: float, without: str = ""
    ) -> Offer:
        free = await self.free_of(connection, offers, (start, start + 1), now, without)
        able = [name for name, starts in free.items() if start in starts]
        if not able:
            instead = await self.free_of(connection, offers, (start, start + OFFERED_AHEAD), now, without)
            raise Taken(first_free(instead))
        day = await appointments.held(connection, able, (start - 43200, start + 43200))
        return offers[min(able, key=lambda name: (len(day[name]), name))]

    async def _known(self, connection: AsyncConnection, channel: str, id_: str, lock: bool = False) -> Booking:
        found = (await appointments.of(connection, [f"{channel}:appointment:{id_}"], lock)).values()
        for booking in found:
            return booking
        raise NoSuchAppointment("There is no such appointment.")

    async def _once(
        self,
        scope: str,
        key: str,
        asked: Mapping[str, Any],
        type_: str,
        act: Callable[[AsyncConnection, float], Awaitable[tuple[Booking, bool]]],
    ) -> Appointment:
        """Act, keep what follows and the answer in one transaction; a key that was answered is answered the same.

        `act` gives the appointment as it is then, and whether that is news.
        """
        digest = answers.digest_of(asked)
        for left in (1, 0):
            try:
                async with self.store.write() as connection:
                    if key and (known := await answers.given(connection, self.store, [(scope, key)])):
                        answer = known[(scope, key)]
                        if answer.digest != digest:
                            raise KeyReused("The Idempotency-Key was sent with another request before.")
                        return Appointment.model_validate(answer.body)
                    now = await self.store.clock(connection)
                    booking, news = await act(connection, now)
                    state = self.appointment(booking)
                    if news:
                        await self.keep(connection, booking, type_, now)
                    if key:
                        body = state.model_dump(mode="json")
                        await answers.keep(connection, self.store, [answers.Answer(scope, key, digest, 200, body)])
                    return state
            except sa.exc.IntegrityError:  # the same key at the same moment, or somebody who does not take turns
                if not left:
                    raise
        raise AssertionError

    async def keep(
        self, connection: AsyncConnection, booking: Booking, type_: str, now: float, source: str = ""
    ) -> None:
        """The newest state, for who carries it out, and the fact with what the flows make of it."""
        state = self.appointment(booking)
        await self.keep_state(connection, state, now)
        subject, source = booking.canonical_id, source or booking.channel
        refs = [("appointment", booking.id)]
        refs += [("email", hashed_ref(state.visitor.email))] if state.visitor.email else []
        event = Event(
            id=event_id(source, type_, subject, str(booking.asked)),
            type=type_,
            source=source,
            subject=subject,
            key=subject,
            time=at_utc(now),
            correlation=subject,
            refs=tuple(refs),
            data={"appointment": state.model_dump(mode="json")},
        )
        # a lane that is held for a person goes on with what is new
        held = await exceptions.held_lanes(connection, [subject])
        await self.teller.tell(connection, [event])
        if booking.state == AppointmentState.CANCELLED:
            over = {appointments.CLASH: "the appointment was cancelled"}
            await exceptions.close_about(connection, self.store, [subject], appointments.OPERATION, over)
        if held:
            await lanes.settle(connection, self.store, [], unheld=held)
            await exceptions.close_as_retried(
                connection, self.store, list(held.values()), "something new is known of it"
            )

    async def keep_state(self, connection: AsyncConnection, state: Appointment, now: float) -> None:
        known = Known(at_utc(now).isoformat(), state_digest(state), state.model_dump(mode="json"), state.state.value)
        await records.keep_objects(
            connection, self.store, {(state.system, "appointment", state.id): (known, state.canonical_id)}
        )
