"""Odoo's calendars: when the declared users are busy.

`calendar.event` of community's module `calendar`: every occurrence of a recurring event is a row of its own; a day off
has no zone, its times (08:00 and 18:00) only stand for the date. Busy is who attends an event that is shown as busy and
has not declined it. Of what is read nothing but times is kept: no subject, nobody else's name.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from counterfoil.connectors.odoo.rules import Staff
from counterfoil.connectors.odoo.translate import MODULE
from counterfoil.connectors.odoo.watching import KEEP, Changed, Reader, Row, Watch, moment_of, number, stamp
from counterfoil.hub.contract import Finding, Mark
from counterfoil.retail.appointment import Appointment

EVENT, ATTENDEE = "calendar.event", "calendar.attendee"
BATCH = 20
"""Calendars of one reading."""
OURS = "_appointment_"
"""What the external ids of our appointments have behind the channel."""
_TIMES = ["start", "stop", "allday"]


@dataclass(frozen=True, slots=True)
class Person:
    """One of the staff in Odoo, and what the blueprint calls them."""

    user: int
    partner: int
    called: str


class People:
    """The declared users, as Odoo has them."""

    def __init__(self, reader: Reader, staff: Staff) -> None:
        self.reader, self.staff = reader, staff
        self._known: tuple[float, dict[int, Person]] = (0.0, {})

    async def all(self, anew: bool = False) -> dict[int, Person]:
        """Those there are, by number. A login counts before a name; a name that several have is nobody's.

        Raises Failure.
        """
        at, known = self._known
        if anew or not at or time.monotonic() - at > KEEP:
            called = list(self.staff.users)
            domain = ["|", ["login", "in", called], ["name", "in", called], ["active", "=", True]]
            rows = await self.reader.rows("res.users", domain, ["login", "name", "partner_id"])
            by_login = {row["login"]: row for row in rows}
            by_name = {row["name"]: row for row in rows if sum(r["name"] == row["name"] for r in rows) == 1}
            meant = {name: by_login.get(name) or by_name.get(name) for name in called}
            found = (Person(row["id"], number(row["partner_id"]), name) for name, row in meant.items() if row)
            known = {person.user: person for person in found}
            self._known = (time.monotonic(), known)
        return known

    async def one(self, called: str) -> Person | None:
        """The user of that login or name; looked for again where there was none. Raises Failure."""
        for anew in (False, True):
            found = next((p for p in (await self.all(anew)).values() if p.called == called), None)
            if found is not None:
                return found
        return None


class Calendars:
    """Reads the declared users' calendars, a week at a time, so that a change costs little to keep."""

    def __init__(self, reader: Reader, staff: Staff) -> None:
        self.reader, self.people, self.days = reader, People(reader, staff), staff.days
        self.known: list[int] = []

    async def watches(self) -> tuple[Watch, ...]:
        """What to watch; nothing where nobody's calendar is asked for, or Odoo has none. Raises Failure."""
        if not self.people.staff.users or not await self.reader.fields(EVENT):
            return ()
        partners = [p.partner for p in (await self.people.all()).values()]
        events = Watch(EVENT, "id", (*_TIMES, "show_as", "active"), (["partner_ids", "in", partners],))
        return events, Watch(ATTENDEE, "event_id", ("state",), (["partner_id", "in", partners],))

    async def owners(self, changes: Iterable[Changed]) -> list[int]:
        """The users whose calendars changed. Who was taken out of an event is found by the walk. Raises Failure."""
        partners = {p.partner: p.user for p in (await self.people.all()).values()}
        domain = [["event_id", "in", sorted({c.owner for c in changes})], ["partner_id", "in", sorted(partners)]]
        rows = await self.reader.rows(ATTENDEE, domain, ["partner_id"])
        return sorted({partners[number(row["partner_id"])] for row in rows})

    async def everybody(self) -> list[int]:
        """The numbers of the declared users. Raises Failure."""
        self.known = sorted(await self.people.all())
        return self.known

    async def read(self, users: Sequence[int]) -> dict[str, Mapping[str, Any]]:
        """Bodies by user and week, those without anything in them too. Raises Failure."""
        people = {p.partner: p for p in (await self.people.all()).values() if p.user in users}
        today = (await self.reader.now()).date()
        weeks = [_monday(today - timedelta(days=1))]
        while weeks[-1] <= today + timedelta(days=self.days):
            weeks.append(weeks[-1] + timedelta(days=7))
        domain = [["partner_ids", "in", sorted(people)], ["active", "=", True]]
        domain += [["stop", ">=", f"{weeks[0]} 00:00:00"], ["start", "<", f"{weeks[-1]} 00:00:00"]]
        rows: list[Row] = []
        async for page in self.reader.pages(EVENT, domain, [*_TIMES, "show_as"]):
            rows += page
        ours = await self._ours([row["id"] for row in rows])
        attending = await self._attending([row["id"] for row in rows], sorted(people))
        bodies: dict[str, Mapping[str, Any]] = {}
        for person in people.values():
            mine = [
                _engagement(row, ours.get(row["id"], ""))
                for row in rows
                if (answered := attending.get((row["id"], person.partner)))
                if row["id"] in ours or (row["show_as"] == "busy" and answered != "declined")
            ]
            for begin, end in pairwise(weeks):
                within = [e for e in mine if e["start"][:10] < f"{end}" and e["stop"][:10] >= f"{begin}"]
                body = {"user": person.called, "number": person.user, "week": f"{begin}", "engagements": within}
                bodies[f"{person.user}@{begin}"] = body
        return bodies

    async def _attending(self, events: Sequence[int], partners: Sequence[int]) -> dict[tuple[int, int], str]:
        """How each of them answered to each event."""
        domain = [["event_id", "in", list(events)], ["partner_id", "in", list(partners)]]
        rows = await self.reader.rows(ATTENDEE, domain, ["event_id", "partner_id", "state"]) if events else []
        return {(number(row["event_id"]), number(row["partner_id"])): row["state"] for row in rows}

    async def _ours(self, events: Sequence[int]) -> dict[int, str]:
        """The canonical ids of those that are appointments of ours."""
        domain = [["module", "=", MODULE], ["model", "=", EVENT], ["res_id", "in", list(events)]]
        rows = await self.reader.rows("ir.model.data", domain, ["res_id", "name"]) if events else []
        return {row["res_id"]: _canonical(row["name"]) for row in rows}

    async def clashes(self, about: Appointment, partner: int, own: int) -> list[tuple[datetime, datetime]]:
        """What is in the calendar where the appointment shall be, but appointments of ours: those the hub keeps apart.

        Raises Failure.
        """
        held = about.held_from, about.held_until
        day = timedelta(days=1)
        domain = [["partner_ids", "in", [partner]], ["active", "=", True], ["show_as", "=", "busy"], ["id", "!=", own]]
        domain += [["start", "<", stamp(held[1] + day)], ["stop", ">", stamp(held[0] - day)]]
        times = {row["id"]: _times(row, about.zone) for row in await self.reader.rows(EVENT, domain, _TIMES)}
        meeting = [id_ for id_, (begin, end) in times.items() if begin < held[1] and end > held[0]]
        ours, attending = await self._ours(meeting), await self._attending(meeting, [partner])
        others = [id_ for id_ in meeting if id_ not in ours]
        return [times[id_] for id_ in others if attending.get((id_, partner), "declined") != "declined"]


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _canonical(name: str) -> str:
    system, part, id_ = name.partition(OURS)
    return f"{system}:appointment:{id_}" if part else ""


def _engagement(row: Row, ours: str) -> dict[str, Any]:
    return {"id": row["id"], "start": row["start"], "stop": row["stop"], "allday": row["allday"], "appointment": ours}


def _times(row: Row, zone: str) -> tuple[datetime, datetime]:
    """From when to when an event lasts; whole days are those of the zone."""
    begin, end = moment_of(row["start"]), moment_of(row["stop"])
    if not row["allday"]:
        return begin, end
    first, after = begin.date(), end.date() + timedelta(days=1)
    place = ZoneInfo(zone)
    return datetime(*first.timetuple()[:3], tzinfo=place), datetime(*after.timetuple()[:3], tzinfo=place)


async def examine(calendars: Calendars) -> list[Finding]:
    """Whether every declared user is there; nothing where no calendars are asked for. Raises Failure."""
    users = calendars.people.staff.users
    if not users:
        return []
    if not await calendars.reader.fields(EVENT):
        remedy = "Install the module Calendar, or take the section `appointments` out of the blueprint."
        return [Finding("calendars", Mark.FAILED, "Odoo has no calendars", remedy)]
    there = {person.called for person in (await calendars.people.all(anew=True)).values()}
    if missing := [user for user in users if user not in there]:
        found = f"no user, or several: {', '.join(missing)}"
        return [Finding("calendars", Mark.FAILED, found, "Correct appointments.staff in the blueprint.")]
    return [Finding("calendars", Mark.OK, f"of {len(there)} users")]
