"""Appointments and busy times in the store: all SQL on `appointment` and `busy` is here.

What is held of one member of staff never overlaps: whoever takes a time locks the member first (`take_turns`), and the
database refuses an overlap whoever writes (migration 0005). Locks: members, appointments, their objects, lanes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.schema import appointment, busy
from counterfoil.hub.store import Store
from counterfoil.retail.appointment import ENDED

Span = tuple[int, int]
CLASH = "appointment_clash"
"""Why a person is asked: something else is in the calendar at an appointment's time."""
OPERATION = "appointments"
"""What such an exception has as its operation."""


@dataclass(frozen=True, slots=True)
class Booking:
    """An appointment as it is kept; times in whole seconds since the epoch."""

    id: str
    channel: str
    state: str
    service: str
    place: str
    staff: str
    starts_at: int
    ends_at: int
    held_from: int
    held_until: int
    visitor: Mapping[str, Any]
    asked: int = 1
    known_at: str = ""

    @property
    def canonical_id(self) -> str:
        """Across all systems."""
        return f"{self.channel}:appointment:{self.id}"

    def become(self, **changes: Any) -> Booking:
        """The same with these changes."""
        return replace(self, **changes)


async def take_turns(connection: AsyncConnection, store: Store, staff: Iterable[str]) -> None:
    """Wait until nobody else is taking times of these members; until this transaction ends nobody else can."""
    if not store.is_sqlite:  # there one transaction writes at a time
        lock = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('appointment ' || :staff, 0))")
        for name in sorted(set(staff)):
            await connection.execute(lock, {"staff": name})


async def held(
    connection: AsyncConnection, staff: Collection[str], within: Span, without: str = ""
) -> dict[str, list[Span]]:
    """What is held of each of these members then; `without` is the appointment that is to be moved."""
    rows = await connection.execute(
        sa.select(appointment.c.staff, appointment.c.held_from, appointment.c.held_until).where(
            *(appointment.c.staff.in_(sorted(staff)), appointment.c.ended_at.is_(None), appointment.c.id != without),
            *(appointment.c.held_until > within[0], appointment.c.held_from < within[1]),
        )
    )
    found: dict[str, list[Span]] = {name: [] for name in staff}
    for row in rows:
        found[row.staff].append((row.held_from, row.held_until))
    return found


async def busy_times(
    connection: AsyncConnection, system: str, users: Collection[str], staff: Collection[str], within: Span
) -> dict[str, list[Span]]:
    """When each of these users is not free then, by their calendars.

    Our own appointments with the declared `staff` are left out, and those that have ended: what of them is held is
    known better here.
    """
    rows = await connection.execute(
        sa.select(busy.c.who, busy.c.starts_at, busy.c.ends_at, busy.c.appointment).where(
            *(busy.c.system == system, busy.c.who.in_(sorted(users))),
            *(busy.c.ends_at > within[0], busy.c.starts_at < within[1]),
        )
    )
    found: dict[str, list[Span]] = {user: [] for user in users}
    told = rows.all()
    ours = await of(connection, {row.appointment for row in told if row.appointment})
    for row in told:
        known = ours.get(row.appointment)
        if known is None or (known.state not in ENDED and known.staff not in staff):
            found[row.who].append((row.starts_at, row.ends_at))
    return found


async def keep_calendar(
    connection: AsyncConnection,
    system: str,
    calendar: str,
    who: str,
    engagements: Iterable[tuple[str, Span, str]],
) -> None:
    """What is in one week of a calendar now: (its id, its time, the canonical id of our appointment or nothing)."""
    mine = sa.and_(busy.c.system == system, busy.c.calendar == calendar)
    await connection.execute(sa.delete(busy).where(mine))
    rows = [
        {"engagement": id_, "starts_at": span[0], "ends_at": span[1], "appointment": ours}
        for id_, span, ours in engagements
    ]
    if rows:
        await connection.execute(sa.insert(busy).values(system=system, calendar=calendar, who=who), rows)


async def in_calendars(
    connection: AsyncConnection, system: str, ids: Collection[str]
) -> dict[str, set[tuple[str, int, int]]]:
    """Where these appointments (canonical ids) stand in anybody's calendar, by its last reading: (whose, from, to)."""
    found: dict[str, set[tuple[str, int, int]]] = {id_: set() for id_ in ids}
    query = sa.select(busy.c.appointment, busy.c.who, busy.c.starts_at, busy.c.ends_at)
    for row in await connection.execute(query.where(busy.c.system == system, busy.c.appointment.in_(sorted(ids)))):
        found[row.appointment].add((row.who, row.starts_at, row.ends_at))
    return found


# --- appointments -----------------------------------------------------------------------------------------------------


async def insert(connection: AsyncConnection, store: Store, booking: Booking) -> None:
    """A new one. Raises sqlalchemy.exc.IntegrityError where its time is held already."""
    await connection.execute(sa.insert(appointment).values(**asdict(booking), made_at=store.now))


async def change(connection: AsyncConnection, store: Store, booking: Booking) -> None:
    """As it is now. One that has ended holds nothing. Raises sqlalchemy.exc.IntegrityError as `insert`."""
    values = {name: value for name, value in asdict(booking).items() if name not in ("id", "channel")}
    ended = store.now if booking.state in ENDED else sa.null()
    statement = sa.update(appointment).where(appointment.c.id == booking.id)
    await connection.execute(statement.values(**values, ended_at=ended))


async def of(connection: AsyncConnection, ids: Collection[str], lock: bool = False) -> dict[str, Booking]:
    """These appointments (canonical ids), with `lock` locked in order; those that are not there are left out."""
    by_id = {id_.rpartition(":")[2]: id_ for id_ in ids}
    query = sa.select(*_columns).where(appointment.c.id.in_(sorted(by_id))).order_by(appointment.c.id)
    rows = await connection.execute(query.with_for_update() if lock else query)
    found = [Booking(**row._mapping) for row in rows]
    return {b.canonical_id: b for b in found if by_id[b.id] == b.canonical_id}


async def booked(connection: AsyncConnection, staff: str, within: Span) -> list[Booking]:
    """Those of a member that the calendar has, then, in order."""
    mine = (appointment.c.staff == staff, appointment.c.state == "booked")
    then = (appointment.c.ends_at > within[0], appointment.c.starts_at < within[1])
    rows = await connection.execute(sa.select(*_columns).where(*mine, *then).order_by(appointment.c.id))
    return [Booking(**row._mapping) for row in rows]


_columns = [appointment.c[name] for name in Booking.__dataclass_fields__]
