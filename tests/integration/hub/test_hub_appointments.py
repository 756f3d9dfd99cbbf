"""Appointments from the customer's request to the calendar, on both stores, with a stand-in for Odoo."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from tests.appointing import PARIS, SHOP, STORE, TEST, VISITOR, Practice, at, utc
from tests.conftest import ON_SQLITE

from counterfoil.blueprint.model import Retention
from counterfoil.hub import exceptions, receipts, schema, systems
from counterfoil.hub.receipts import Arrival
from counterfoil.hub.retention import purge
from counterfoil.hub.store import Store, open_store
from counterfoil.processes.booking import Ended, KeyReused, NoSuchAppointment, Taken
from counterfoil.retail.appointment import Appointment, AppointmentState

TEN = at(10)


@pytest.fixture
async def practice(store: Store) -> Practice:
    made = Practice(store)
    await made.look()
    return made


async def book(practice: Practice, start: int = TEN, staff: str = "anna", key: str = "") -> Appointment:
    return await practice.diary.book(SHOP, TEST, STORE, start, VISITOR, staff, key)


async def state(practice: Practice, of: Appointment) -> str:
    return (await practice.diary.get(SHOP, of.id)).state.value


async def free(practice: Practice, staff: str = "anna", hours: tuple[float, float] = (9.5, 11.5)) -> list[float]:
    """The hours by the wall clock at which somebody may begin."""
    found = await practice.diary.free(TEST, STORE, staff, (at(hours[0]), at(hours[1])))
    return [(start - at(0)) / 3600 for start in found.slots[staff]]


def day(moment: int) -> str:
    return datetime.fromtimestamp(moment, PARIS).strftime("%Y-%m-%d")


async def long_ago(practice: Practice) -> None:
    """Our last write was more than a second ago: in the same one Odoo's times cannot tell what came first."""
    async with practice.store.write() as connection:
        await connection.execute(sa.update(schema.appointment).values(known_at=""))


async def test_fifty_want_one_slot_and_one_gets_it(practice: Practice, store_url: str) -> None:
    """Over two processes' stores, at once; the others are told so, and the calendar has it once, also when told twice.
    Nothing is held twice in the store either."""
    other = await open_store(store_url, migrate=False)
    diaries = [practice.diary, Practice(other).diary]
    asked = (diaries[n % 2].book(SHOP, TEST, STORE, TEN, VISITOR, "anna", f"key-{n}") for n in range(50))
    results = await asyncio.gather(*asked, return_exceptions=True)
    await other.close()
    won = [r for r in results if isinstance(r, Appointment)]
    assert len(won) == 1
    lost = [r for r in results if isinstance(r, Taken)]
    assert len(lost) == 49
    assert lost[0].instead[0] == (TEN + 3600, "anna")  # ten minutes after each are kept free
    await practice.work()
    [event] = practice.events()
    assert (event["start"], event["stop"], event["user_id"][0]) == (
        utc(TEN),
        utc(TEN + 1800),
        practice.users["anna"][0],
    )
    assert event["partner_ids"] == [practice.users["anna"][1]]
    assert await state(practice, won[0]) == "booked"


async def test_the_database_itself_refuses_an_overlap(practice: Practice, store: Store) -> None:
    """Whoever writes past the diary: the same member at the same time is refused, another member is not."""
    first = await book(practice)
    row = {"channel": SHOP, "state": "requested", "service": TEST, "place": STORE, "visitor": {}, "asked": 1}
    row |= {"starts_at": TEN, "ends_at": TEN + 60, "held_from": TEN + 2399, "held_until": TEN + 9999}
    row |= {"known_at": "", "made_at": 0.0}
    with pytest.raises(sa.exc.IntegrityError, match="never_twice"):
        async with store.write() as connection:
            await connection.execute(sa.insert(schema.appointment).values(id="x", staff="anna", **row))
    async with store.write() as connection:
        await connection.execute(sa.insert(schema.appointment).values(id="x", staff="bo", **row))
        await connection.execute(
            sa.insert(schema.appointment).values(id="y", staff="anna", **row | {"held_from": TEN + 2400})
        )
    with pytest.raises(sa.exc.IntegrityError, match="never_twice"):
        async with store.write() as connection:
            await connection.execute(
                sa.update(schema.appointment).where(schema.appointment.c.id == "x").values(staff="anna")
            )
    assert await state(practice, first) == "requested"


async def test_free_is_what_the_calendar_leaves(practice: Practice) -> None:
    """Busy, a whole day and another's slot are not offered; free, declined, archived and somebody else's are."""
    assert await free(practice) == [9.5, 10, 10.5, 11]
    busy = practice.event("anna", at(10.1), at(10.5))
    practice.event("anna", at(11), at(12), show_as="free")
    practice.event("anna", at(9), at(10), active=False)
    declined = practice.event("anna", at(9), at(9.75))
    practice.event("bo", at(9), at(12))
    practice.decline(declined)
    await practice.look()
    assert await free(practice) == [10.5, 11]  # ten minutes after half past nine are not free
    assert await free(practice, "bo") == []
    practice.write(busy, start=utc(at(11)), stop=utc(at(12)))
    await practice.look()
    assert await free(practice) == [9.5, 10]
    practice.api.call("calendar.event", "unlink", ids=[busy])
    day = utc(at(10))[:10]
    practice.event("anna", at(9), at(9), allday=True, start_date=day, stop_date=day)
    await practice.look(anew=True)  # what is deleted leaves no trace: reading all of it finds it
    assert await free(practice) == []
    next_day = await practice.diary.free(TEST, STORE, "anna", (at(9, 4), at(10, 4)))
    assert (next_day.slots, next_day.stale) == ({"anna": [at(9, 4), at(9.5, 4)]}, False)


async def test_moved_and_cancelled_and_told_once_each(practice: Practice) -> None:
    """Its old time is free at once; the calendar follows; again changes nothing; what was cancelled is over."""
    made = await book(practice)
    await practice.work()
    await practice.diary.move(SHOP, made.id, at(10.5))  # what it holds itself is not in its way
    moved = await practice.diary.move(SHOP, made.id, at(11), key="again")
    assert await practice.diary.move(SHOP, made.id, at(11), key="again") == moved
    assert moved.state is AppointmentState.MOVED
    assert (await book(practice)).starts_at.timestamp() == TEN
    with pytest.raises(KeyReused):
        await practice.diary.move(SHOP, made.id, at(12), key="again")
    with pytest.raises(Taken):
        await practice.diary.move(SHOP, made.id, at(10.5))
    await practice.work()
    assert sorted(e["start"] for e in practice.events()) == [utc(TEN), utc(at(11))]
    assert await state(practice, made) == "booked"
    for _ in range(2):
        assert (await practice.diary.cancel(SHOP, made.id)).state is AppointmentState.CANCELLED
    await practice.work()
    assert [e["active"] for e in practice.events() if e["start"] == utc(at(11))] == [False]
    with pytest.raises(Ended):
        await practice.diary.move(SHOP, made.id, at(12))
    with pytest.raises(NoSuchAppointment):
        await practice.diary.get("another", made.id)
    async with practice.store.read() as connection:
        mine = schema.event.c.subject == made.canonical_id
        told = Counter((await connection.execute(sa.select(schema.event.c.type).where(mine))).scalars())
    assert told == {
        **{"appointment.requested": 1, "appointment.moved": 2, "appointment.cancelled": 1},
        "appointment.booked": 3,  # what it says is the newest state, each time it was told
    }


@ON_SQLITE
async def test_without_odoo_requests_are_taken_and_confirmed_when_it_is_back(practice: Practice) -> None:
    """Held all the same, and one more for the same time is refused; no answer of Odoo's is lost or doubled."""
    practice.api.database_up = False
    made = await book(practice, key="once")
    assert (await book(practice, key="once")).id == made.id
    with pytest.raises(Taken):
        await book(practice)
    working = asyncio.create_task(practice.work())
    while not await systems.closed(practice.store):  # noqa: ASYNC110 - the store has nothing to wait on
        await asyncio.sleep(0.01)
    assert await state(practice, made) == "requested"
    practice.app.faults.add("lost_answer", path="/calendar.event/load")
    practice.api.database_up = True
    await working
    async with practice.store.write() as connection:  # the retry need not be waited for
        await connection.execute(sa.update(schema.lane).values(due_at=0.0))
    await practice.work()
    assert await state(practice, made) == "booked"
    assert len(practice.events()) == 1


@ON_SQLITE
async def test_what_is_in_the_calendar_already_wins(practice: Practice) -> None:
    """Somebody booked there meanwhile: refused, its time given back, a person asked with other times to move it to."""
    practice.event("anna", at(10.25), at(10.75))
    made = await book(practice)  # nobody has looked since
    await practice.work()
    assert await state(practice, made) == "refused"
    assert practice.events() == []
    [asked] = await exceptions.listing(practice.store)
    assert (asked["reason"], asked["subject"]) == ("appointment_clash", made.canonical_id)
    assert "Private" not in asked["message"]
    assert (
        f"(free: {day(at(10))} 10:00 with bo, {day(at(10))} 10:30 with bo, {day(at(11))} 11:00 with anna)"
        in (asked["suggestion"])
    )
    await practice.look()
    await practice.diary.move(SHOP, made.id, at(11))
    await practice.work()
    assert await state(practice, made) == "booked"
    assert [e["start"] for e in practice.events()] == [utc(at(11))]
    assert await exceptions.listing(practice.store) == []


@ON_SQLITE
async def test_a_reading_from_before_our_own_write_moves_nothing_back(practice: Practice) -> None:
    """It was on its way while we moved the appointment: what it says of it is old."""
    made = await book(practice)
    await practice.work()
    [feed] = [feed for feed in practice.odoo.feeds if feed.name == "calendar"]
    read = [raw async for page in feed.poll({}) for raw in page.receipts]
    await practice.diary.move(SHOP, made.id, at(11))
    await practice.work()
    async with practice.store.write() as connection:
        await receipts.take(connection, practice.store, [Arrival("odoo", "poll", raw) for raw in read])
    await practice.work()
    assert (await practice.diary.get(SHOP, made.id)).starts_at.timestamp() == at(11)


@ON_SQLITE
async def test_what_comes_into_the_calendar_later_is_put_before_a_person(practice: Practice) -> None:
    """Once, with other times; it is over when they part again."""
    made = await book(practice)
    await practice.work()
    event = practice.event("anna", TEN, TEN + 60)
    await practice.look()
    await practice.look()
    [asked] = await exceptions.listing(practice.store)
    assert (asked["reason"], asked["subject"]) == ("appointment_clash", made.canonical_id)
    practice.write(event, show_as="free")
    await practice.look()
    assert await exceptions.listing(practice.store) == []
    assert await state(practice, made) == "booked"


@ON_SQLITE
async def test_what_is_taken_out_of_the_calendar_is_put_before_a_person(practice: Practice) -> None:
    """Nothing is cancelled by itself: what was deleted may be a slip. Moved, it is put back, and nobody need look."""
    made = await book(practice)
    await practice.work()
    await practice.look()
    await long_ago(practice)
    practice.api.call("calendar.event", "unlink", ids=[practice.events()[0]["id"]])
    await practice.look(anew=True)
    [asked] = await exceptions.listing(practice.store)
    assert (asked["subject"], "not in the calendar any more" in asked["message"]) == (made.canonical_id, True)
    assert await state(practice, made) == "booked"
    await practice.diary.move(SHOP, made.id, at(11))
    await practice.work()
    assert [e["start"] for e in practice.events()] == [utc(at(11))]
    assert await exceptions.listing(practice.store) == []


async def test_what_is_long_over_is_forgotten(practice: Practice) -> None:
    """With who came: the appointment, its newest state, and in the end its events."""
    made = await book(practice)
    keep = Retention(bodies=timedelta(days=1), history=timedelta(days=1))
    assert (await purge(practice.store, keep))["appointments"] == 0
    async with practice.store.write() as connection:
        await connection.execute(sa.update(schema.appointment).values(ends_at=at(0, -2)))
    assert (await purge(practice.store, keep))["appointments"] == 1
    async with practice.store.read() as connection:
        mine = schema.object_.c.canonical_id == made.canonical_id
        assert (await connection.execute(sa.select(schema.object_).where(mine))).first() is None


async def test_who_moves_it_in_the_calendar_moves_it(practice: Practice) -> None:
    """By another time or to another calendar: the hub follows, and the customer's old time is free again."""
    made = await book(practice)
    await practice.work()
    await practice.look()
    [event] = practice.events()
    user, partner = practice.users["bo"]
    await long_ago(practice)
    values = {"start": utc(at(11)), "stop": utc(at(11.5)), "user_id": user, "partner_ids": [[6, 0, [partner]]]}
    practice.write(event["id"], **values)
    await practice.look()
    now = await practice.diary.get(SHOP, made.id)
    assert (now.state.value, now.staff, int(now.starts_at.timestamp())) == ("booked", "bo", at(11))
    assert await free(practice) == [9.5, 10, 10.5, 11]
    assert await free(practice, "bo") == [9.5, 10]
    assert [e["start"] for e in practice.events()] == [utc(at(11))]


@ON_SQLITE
async def test_what_is_moved_onto_another_in_the_calendar_is_put_before_a_person(practice: Practice) -> None:
    """It stays as it was booked until somebody parts the two again; then the hub follows, and nobody need look."""
    made, other = await book(practice), await book(practice, at(14))
    await practice.work()
    await practice.look()
    await long_ago(practice)
    [event] = [e for e in practice.events() if e["start"] == utc(TEN)]
    practice.write(event["id"], start=utc(at(14)), stop=utc(at(14.5)))
    for _ in range(2):
        await practice.look()
    [asked] = await exceptions.listing(practice.store)
    assert (asked["subject"], "to a time that is held" in asked["message"]) == (made.canonical_id, True)
    assert (await practice.diary.get(SHOP, made.id)).starts_at.timestamp() == TEN
    practice.write(event["id"], start=utc(at(16)), stop=utc(at(16.5)))
    await practice.look()
    assert await exceptions.listing(practice.store) == []
    assert (await practice.diary.get(SHOP, made.id)).starts_at.timestamp() == at(16)
    assert (await practice.diary.get(SHOP, other.id)).starts_at.timestamp() == at(14)
