"""Appointments of customers with staff, and the calendars of the staff as their system has them. Pure data."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

from counterfoil.retail.entity import Entity


class AppointmentState(StrEnum):
    """How far an appointment is."""

    REQUESTED = "requested"  # its time is held; the calendar has not taken it yet
    BOOKED = "booked"  # the calendar has it as it now stands
    MOVED = "moved"  # another time is held; the calendar still has the one before
    CANCELLED = "cancelled"
    REFUSED = "refused"  # the calendar had something else there; a person finds another time


ENDED = frozenset({AppointmentState.CANCELLED, AppointmentState.REFUSED})
"""These hold no time any more."""


class Visitor(BaseModel):
    """Who comes, and what they say about it."""

    model_config = ConfigDict(frozen=True)

    name: str
    email: str = ""
    phone: str = ""
    note: str = ""


class Appointment(Entity):
    """One appointment as it now stands. `staff`, `service` and `place` are names of the blueprint.

    `user` is who the member of staff is in the calendar's system, `title` and `location` are what it says there.
    Between `held_from` and `held_until` nothing else may be in that calendar. All times are UTC; `zone` is the place's.
    """

    system: str  # the channel it was made through
    id: str
    state: AppointmentState
    service: str
    place: str
    staff: str
    user: str
    title: str
    location: str = ""
    type: str = ""
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    held_from: AwareDatetime
    held_until: AwareDatetime
    zone: str
    visitor: Visitor

    @property
    def canonical_id(self) -> str:
        """`web-eu:appointment:<id>`."""
        return f"{self.system}:appointment:{self.id}"


class Engagement(BaseModel):
    """A time somebody is not free: from moment to moment, or for whole days where they are. No names, no subjects."""

    model_config = ConfigDict(frozen=True)

    id: str
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    first_day: date | None = None
    last_day: date | None = None
    appointment: str = ""  # the canonical id, where it is one of ours


class CalendarWeek(Entity):
    """One week of one person's calendar, from Monday 00:00 UTC: all that begins in it, or goes on in it."""

    system: str
    id: str
    user: str
    week: date  # its Monday
    engagements: tuple[Engagement, ...] = ()

    @property
    def canonical_id(self) -> str:
        """`odoo:calendar:7@2026-11-23`."""
        return f"{self.system}:calendar:{self.id}"
