"""The section `appointments`: what may be booked, how long it takes, where, with whom, and when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from counterfoil.blueprint.catalogue import Catalogue
from counterfoil.blueprint.page import Block, section
from counterfoil.blueprint.problems import Path, Problem, choice, nearest, quoted
from counterfoil.blueprint.values import (
    A_DURATION,
    Duration,
    Name,
    Part,
    ReadOnly,
    Remedy,
    Wait,
    each_once,
    format_duration,
)
from counterfoil.blueprint.yamlread import Source

if TYPE_CHECKING:
    from counterfoil.blueprint.check import Draft

_STORES = "a list of codes of `places`, such as [WH]"
_MINUTE = timedelta(minutes=1)
_AT_MOST_A_DAY = f"{A_DURATION}, of whole minutes and at most 1d"
BOOK = "book_appointment"
"""A connector that offers this operation has calendars."""


def _minutes(value: timedelta) -> timedelta:
    if value % _MINUTE or value > timedelta(days=1):
        raise Remedy("whole minutes, at most 1d")
    return value


def _not_years(value: timedelta) -> timedelta:
    if value > timedelta(days=366):
        raise Remedy("at most 366d")
    return value


Minutes = Annotated[Wait, AfterValidator(_minutes)]
Gap = Annotated[Duration, AfterValidator(_minutes)]


class Service(Part):
    """What is booked. `every`: so far apart it may begin, counted from the opening; as long as it takes by itself.

    `before` and `after` are kept free around it. It is bookable from `lead` before its time, at most `horizon` ahead.
    """

    title: Name = Field(description="what customers know it by, such as Eye test")
    duration: Minutes = Field(description=_AT_MOST_A_DAY)
    every: Minutes | None = Field(default=None, description=_AT_MOST_A_DAY)
    before: Gap = Field(default=timedelta(0), description=_AT_MOST_A_DAY)
    after: Gap = Field(default=timedelta(0), description=_AT_MOST_A_DAY)
    lead: Duration = Field(default=timedelta(hours=1), description=A_DURATION)
    horizon: Annotated[Wait, AfterValidator(_not_years)] = Field(
        default=timedelta(days=60), description="a duration of at most 366d such as 60d"
    )
    stores: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(
        default=(), description=f"{_STORES}; empty for every store with staff for it"
    )
    type: Name | None = Field(default=None, description="the name of an appointment type in Odoo Enterprise")


class Member(Part):
    """One of the staff: a user of the calendar's system, by login or by name. `hours` narrows the store's own."""

    user: Name = Field(description="the login or the name of a user in Odoo, such as anna@shop.example")
    name: str = Field(default="", description="what customers are told, such as Anna")
    stores: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(min_length=1, description=_STORES)
    services: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(
        default=(), description="a list of names of services; empty for all"
    )
    hours: Name | None = Field(default=None, description="the name of a calendar")


class Appointments(Part):
    """The whole section."""

    system: Name | None = Field(default=None, description="the system with the calendars, such as odoo")
    services: ReadOnly[Service] = Field(default_factory=dict, validate_default=True, description="services by name")
    staff: ReadOnly[Member] = Field(default_factory=dict, validate_default=True, description="members by name")

    def members(self, service: str, place: str) -> dict[str, Member]:
        """Who does that there, by name."""
        offered = self.services[service].stores
        return {
            name: member
            for name, member in self.staff.items()
            if place in member.stores and (not offered or place in offered)
            if not member.services or service in member.services
        }


def read(reading: Any) -> Appointments | None:
    """The section as `reading` (see load) has it; what is wrong with it is blamed there."""
    data = reading.section("appointments", dict, "a mapping with the keys system, services, staff")
    whole = dict(data)
    for key, model in (("services", Service), ("staff", Member)):
        below = data.get(key)
        if below is None:
            continue
        whole[key] = {}
        if not isinstance(below, dict):
            reading.blame(("appointments", key), f"a mapping of names to {key}")
            continue
        for name, entry in below.items():
            part = reading.built(model, entry, ("appointments", key, name))
            if part is not None:
                whole[key][name] = part
    found: Appointments | None = reading.built(Appointments, whole, ("appointments",))
    return found


def problems(draft: Draft, known: Catalogue, source: Source) -> Iterator[Problem]:
    """What does not fit the rest of the blueprint."""
    found = draft.appointments
    if found is None or not (found.services or found.staff):
        return
    yield from _system(found, draft, known, source)
    for name, service in found.services.items():
        path: Path = ("appointments", "services", name)
        yield from _stores(service.stores, path, draft, source)
        if service.lead >= service.horizon:
            hint = f"lead is {format_duration(service.lead)}"
            yield source.problem((*path, "horizon"), "a horizon beyond the lead", hint=hint)
        places = service.stores or tuple(draft.sites)
        if not any(found.members(name, place) for place in places):
            expected = "a service that a member of staff does in one of its stores"
            yield source.problem(path, expected, quoted(name), "add it to somebody's services", at_key=True)
    for name, member in found.staff.items():
        path = ("appointments", "staff", name)
        yield from _stores(member.stores, path, draft, source)
        for n, service_name in enumerate(member.services):
            if service_name not in found.services:
                hint = nearest(service_name, found.services)
                yield source.problem((*path, "services", n), f"a service: {choice(found.services)}", hint=hint)
        if member.hours is not None and member.hours not in draft.calendars:
            hint = nearest(member.hours, draft.calendars) or "declare it under calendars"
            yield source.problem((*path, "hours"), f"a declared calendar: {choice(draft.calendars)}", hint=hint)
    yield from _same_users(found, source)


def _system(found: Appointments, draft: Draft, known: Catalogue, source: Source) -> Iterator[Problem]:
    kinds = {name for name, connector in known.connectors.items() if connector.operation(BOOK)}
    able = [name for name, system in draft.systems.items() if system is None or system.connector in kinds]
    path: Path = ("appointments", "system")
    if found.system is None:
        hint = f"write system: {able[0]}" if able else "declare an Odoo under systems"
        yield source.problem(path, f"the system with the calendars: {choice(able)}", hint=hint)
    elif found.system not in able:
        yield source.problem(path, f"a system with calendars: {choice(able)}", hint=nearest(found.system, able))


def _stores(stores: tuple[str, ...], path: Path, draft: Draft, source: Source) -> Iterator[Problem]:
    for n, code in enumerate(stores):
        place = draft.sites.get(code)
        if place is None:
            hint = nearest(code, draft.sites) or "declare it under places"
            yield source.problem((*path, "stores", n), f"a declared place: {choice(draft.sites)}", hint=hint)
        elif place.calendar is None:
            hint = f"write places: {{{code}: {{calendar: …}}}}"
            yield source.problem((*path, "stores", n), f"a place with opening hours, which {code} has not", hint=hint)


def _same_users(found: Appointments, source: Source) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for name, member in found.staff.items():
        other = first.setdefault(member.user, name)
        if other != name:
            hint = f"{other} is that user already: one calendar, one member"
            yield source.problem(("appointments", "staff", name, "user"), "each user once", hint=hint)


def on_page(found: Appointments) -> list[Block]:
    """For people; nothing where nothing can be booked."""
    if not found.services:
        return []
    services = (
        (
            *(s.title, format_duration(s.duration), f"{format_duration(s.lead)} to {format_duration(s.horizon)} ahead"),
            ", ".join(s.stores) or "every store with staff for it",
        )
        for s in found.services.values()
    )
    staff = (
        (m.name or name, ", ".join(m.stores), ", ".join(m.services) or "all", m.hours or "as the store")
        for name, m in found.staff.items()
    )
    return [
        *section("Appointments", ("Service", "Takes", "Booked", "Where"), services),
        *section("Staff who take appointments", ("Who", "Where", "Services", "Hours"), staff),
    ]
