"""Appointments put into Odoo's calendars: book_appointment, move_appointment, cancel_appointment.

Idempotent by the external id `counterfoil.<channel>_appointment_<id>`, held by Odoo's own unique constraint.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from counterfoil.connectors.odoo.calendar import EVENT, OURS, Calendars, Person
from counterfoil.connectors.odoo.client import INSERT_ONLY, QUIET
from counterfoil.connectors.odoo.customers import found_by
from counterfoil.connectors.odoo.errors import load_failed
from counterfoil.connectors.odoo.jobs import Desk
from counterfoil.connectors.odoo.translate import MODULE
from counterfoil.connectors.odoo.watching import Row, iso, moment_of, number, stamp
from counterfoil.hub.contract import Failure, Item, Kind, Outcome, done, rejected
from counterfoil.retail.appointment import ENDED, Appointment
from counterfoil.retail.party import normal_email

SILENT = {"no_mail_to_attendees": True, "dont_notify": True, "skip_contact_description": True, "tz": "UTC"}
"""The shop writes to its customers, and `load()` takes times for those of the user's zone."""


def newest_appointment(item: Item) -> Appointment:
    """As last known: what was queued may have been overtaken."""
    return Appointment.model_validate(item.data.get("state") or item.data["appointment"])


class Booking:
    """book_appointment, move_appointment, cancel_appointment."""

    def __init__(self, desk: Desk, calendars: Calendars) -> None:
        self.desk, self.client, self.calendars = desk, desk.client, calendars

    async def book_appointment(self, items: Sequence[Item]) -> list[Outcome]:
        """Put each appointment into the calendar of who it is with, and confirm it; refused where something else is
        there already.

        Idempotent by the external id `counterfoil.<channel>_appointment_<id>`, by `load()`, insert-only: Odoo's own
        unique constraint holds it. What is there is brought to the newest state, and written only where it differs.
        """
        return [await self._one(item) for item in items]

    async def move_appointment(self, items: Sequence[Item]) -> list[Outcome]:
        """Bring each appointment to its new time; as book_appointment, and as idempotent. What is refused is taken
        out of the calendar, as its old time is given up."""
        return [await self._one(item) for item in items]

    async def cancel_appointment(self, items: Sequence[Item]) -> list[Outcome]:
        """Archive each appointment's event; one that is not there, or archived, is left alone."""
        return [await self._one(item) for item in items]

    async def _one(self, item: Item) -> Outcome:
        about = newest_appointment(item)
        try:
            there = await self._there(about)
            if about.state not in ENDED:
                return await self._bring(about, there)
            await self._take_out(there)
            return done(_told(about), link=str(there["id"]) if there else "")
        except Failure as failure:
            if failure.outcome.kind is not Kind.REJECTED:
                raise
            return failure.outcome

    async def _there(self, about: Appointment) -> Row | None:
        """Its event, archived or not."""
        name = _name(about)
        found = (await self.desk.lookups.external_ids([name], EVENT)).get(name)
        rows = await self._read([found]) if found else []
        return rows[0] if rows else None

    async def _read(self, ids: Sequence[int]) -> list[Row]:
        fields = ["start", "stop", "active", "user_id", "partner_ids", "write_date"]
        return await self.calendars.reader.rows(EVENT, [["id", "in", list(ids)]], fields)

    async def _take_out(self, there: Row | None) -> None:
        if there is not None and there["active"]:
            await self.client.call(EVENT, "write", ids=[there["id"]], vals={"active": False}, context=QUIET | SILENT)

    async def _bring(self, about: Appointment, there: Row | None) -> Outcome:
        person = await self.calendars.people.one(about.user)
        if person is None:
            return rejected(
                "unmapped_staff",
                f"The blueprint says that {about.staff} is the user {about.user!r}, whom Odoo does not have, or twice.",
                f"Correct appointments.staff.{about.staff}.user in the blueprint, or make that user; then retry.",
            )
        stands = there is not None and there["active"] and _stands(there, about, person)
        if not stands:
            clashes = await self.calendars.clashes(about, person.partner, there["id"] if there else 0)
            if clashes:
                taken = [[int(begin.timestamp()), int(end.timestamp())] for begin, end in clashes]
                await self._take_out(there)
                link = str(there["id"]) if there else ""
                return done(_told(about, taken=taken), link=link, emits=("appointment.refused",))
            there = await self._write(about, person, there)
        assert there is not None
        result = _told(about, known_at=iso(moment_of(there["write_date"])))
        return done(result, link=str(there["id"]), emits=("appointment.booked",))

    async def _write(self, about: Appointment, person: Person, there: Row | None) -> Row:
        partners = sorted({person.partner, *await self._customer(about)})
        when = {"start": stamp(about.starts_at), "stop": stamp(about.ends_at)}
        if there is None:
            columns = {
                **{"id": _name(about), **when, "name": _subject(about)},
                **{"user_id/.id": str(person.user), "partner_ids/.id": ",".join(map(str, partners))},
                **{"location": about.location, "description": _description(about), "privacy": "confidential"},
                **{"show_as": "busy", **await self._type(about)},
            }
            ids, messages = await self.client.load(EVENT, list(columns), [list(columns.values())], INSERT_ONLY | SILENT)
            if messages:
                raise Failure(load_failed(messages))
        else:
            ids = [there["id"]]
            values = {**when, "active": True, "location": about.location}
            if number(there["user_id"]) != person.user:
                values |= {"user_id": person.user, "partner_ids": [[6, 0, partners]]}
            await self.client.call(EVENT, "write", ids=ids, vals=values, context=QUIET | SILENT)
        [row] = await self._read(ids)
        return row

    async def _customer(self, about: Appointment) -> list[int]:
        """The customer's partner, where exactly one has this address; none is made for an appointment."""
        if not about.visitor.email:
            return []
        key = ("email", normal_email(about.visitor.email))
        found = (await found_by([key], self.desk.lookups)).get(key, [])
        return found if len(found) == 1 else []

    async def _type(self, about: Appointment) -> dict[str, str]:
        """Enterprise's appointment type, where its module is there. From knowledge: never run against Enterprise."""
        there = await self.calendars.reader.fields(EVENT)
        if not about.type or "appointment_type_id" not in there:
            return {}
        rows = await self.calendars.reader.rows("appointment.type", [["name", "=", about.type]], [], limit=2)
        status = {"appointment_status": "booked"} if "appointment_status" in there else {}
        return {"appointment_type_id/.id": str(rows[0]["id"]), **status} if len(rows) == 1 else {}


def _told(about: Appointment, **more: Any) -> dict[str, Any]:
    """What the hub is told: what it was that was carried out, and what came of it."""
    return {"state": about.state.value, "staff": about.staff, "starts_at": int(about.starts_at.timestamp()), **more}


def _stands(row: Row, about: Appointment, person: Person) -> bool:
    times = moment_of(row["start"]), moment_of(row["stop"])
    return times == (about.starts_at, about.ends_at) and number(row["user_id"]) == person.user


def _name(about: Appointment) -> str:
    """Its external id."""
    return f"{MODULE}.{about.system}{OURS}{about.id}"


def _subject(about: Appointment) -> str:
    return f"{about.title}: {about.visitor.name}"


def _description(about: Appointment) -> str:
    """What the staff need to know of the customer, as HTML."""
    visitor = about.visitor
    told = filter(None, (visitor.name, visitor.email, visitor.phone, visitor.note))
    return "".join(f"<p>{html.escape(text)}</p>" for text in told)
