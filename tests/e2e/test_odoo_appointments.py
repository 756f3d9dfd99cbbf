"""Appointments in the calendar of a real Odoo 19: booked once, read as its people see it, moved and cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.appointing import PARIS, SHOP, STORE, TEST, VISITOR, Practice, at, utc
from tests.e2e.odoo_real import an_odoo

from counterfoil.hub import exceptions
from counterfoil.hub.contract import Item, Kind
from counterfoil.hub.store import open_store
from counterfoil.processes.booking import Taken
from counterfoil.retail.appointment import Appointment
from counterfoil_lab.odoo_api import Odoo

DAY = iter(range(3, 50, 2))
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@pytest.fixture(scope="module")
def real(odoo_ready: None) -> Iterator[dict[str, Any]]:
    """A server of this module's own."""
    with an_odoo() as answer:
        api = Odoo(answer["url"], answer["api_key"], answer["database"])
        [user] = api.read("res.users", [["login", "=", "admin"]], ["id"])
        api.call("res.users", "write", ids=[user["id"]], vals={"tz": "America/New_York"})  # the key's user: no matter
        api.call("res.partner", "create", vals_list=[{"name": "Erika Muster", "email": VISITOR.email}])
        yield answer


@pytest.fixture
def day() -> int:
    """A day that nobody has used yet; the one after it is free too."""
    return next(DAY)


@pytest.fixture
async def practice(real: dict[str, Any], tmp_path: Path) -> Any:
    store = await open_store(f"sqlite:///{tmp_path}/hub.db")
    made = Practice(store, real=real)
    await made.look()
    yield made
    await made.odoo.close()
    await store.close()


async def free(practice: Practice, day: int, staff: str = "anna") -> list[float]:
    found = await practice.diary.free(TEST, STORE, staff, (at(9, day), at(12, day)))
    return [(start - at(0, day)) / 3600 for start in found.slots[staff]]


def on(practice: Practice, moment: int) -> list[dict[str, Any]]:
    """Our appointments that begin then, as Odoo has them."""
    return [event for event in practice.events() if event["start"] == utc(moment)]


async def test_fifty_want_one_slot_and_it_is_once_in_the_calendar(practice: Practice, day: int) -> None:
    """One wins and 49 are told so; told to Odoo again by two hubs at once it is still once, and nobody got a mail."""
    ten, mails = at(10, day), practice.rows("mail.mail", [], ["id"])
    asked = (practice.diary.book(SHOP, TEST, STORE, ten, VISITOR, "anna", f"key-{n}") for n in range(50))
    results = await asyncio.gather(*asked, return_exceptions=True)
    [won] = [r for r in results if isinstance(r, Appointment)]
    assert sum(isinstance(r, Taken) for r in results) == 49
    item = Item(
        1, won.canonical_id, won.canonical_id, "appointment.requested", {"appointment": won.model_dump(mode="json")}
    )
    other = Practice(practice.store, real=_place(practice)).odoo
    both = await asyncio.gather(
        *(each.operations["book_appointment"].run([item]) for each in (practice.odoo, other)), return_exceptions=True
    )
    await other.close()
    await practice.work()
    assert any(not isinstance(r, BaseException) and r[0].kind is Kind.DONE for r in both)
    [event] = on(practice, ten)
    assert (event["stop"], event["user_id"][0], event["active"]) == (utc(ten + 1800), practice.users["anna"][0], True)
    [erika] = practice.rows("res.partner", [["email", "=", VISITOR.email]], ["id"])
    assert sorted(event["partner_ids"]) == sorted([practice.users["anna"][1], erika["id"]])
    assert (await practice.diary.get(SHOP, won.id)).state.value == "booked"
    assert practice.rows("mail.mail", [], ["id"]) == mails


def _place(practice: Practice) -> dict[str, Any]:
    """The same Odoo for another hub."""
    http = practice.api.http
    key = http.headers["authorization"].removeprefix("bearer ")
    return {"url": str(http.base_url), "database": http.headers["x-odoo-database"], "api_key": key}


async def test_free_is_what_its_calendars_leave(practice: Practice, day: int) -> None:
    """An appointment every week, a day off, all of it private; not what is declined, free, archived, deleted."""
    assert len(await free(practice, day)) == 6
    weekly = {"recurrency": True, "rrule_type": "weekly", "end_type": "count", "count": 3, "interval": 1}
    weekly |= {"event_tz": "Europe/Paris", WEEKDAYS[datetime.fromtimestamp(at(9, day), PARIS).weekday()]: True}
    practice.event("anna", at(9, day), at(9.5, day), **weekly)
    gone = practice.event("anna", at(11, day), at(11.5, day))
    practice.event("anna", at(10, day), at(10.5, day), show_as="free")
    practice.event("anna", at(10, day), at(10.5, day), active=False)
    practice.decline(practice.event("anna", at(10, day), at(10.5, day)))
    off = utc(at(12, day + 1))[:10]
    practice.event("anna", at(8, day + 1), at(9, day + 1), allday=True, start_date=off, stop_date=off)
    # her own times are no secret by it, and what we put there can be written
    practice.make_private("anna")
    await practice.look()
    # ten minutes after each appointment are kept free
    assert await free(practice, day) == [9.5, 10, 11.5]
    assert [(await free(practice, day + 7 * n))[0] for n in (1, 2, 3)] == [9.5, 9.5, 9.0]
    assert len(await free(practice, day, "bo")) == 6
    practice.api.call("calendar.event", "unlink", ids=[gone])
    await practice.look(anew=True)
    assert await free(practice, day) == [9.5, 10, 10.5, 11, 11.5]
    assert await free(practice, day + 1) == []


async def test_moved_by_the_customer_then_in_the_calendar_then_cancelled(practice: Practice, day: int) -> None:
    """Odoo has it once all the way, at the time that counts, with whom it counts; archived in the end."""
    made = await practice.diary.book(SHOP, TEST, STORE, at(10, day), VISITOR, "anna")
    await practice.work()
    await practice.diary.move(SHOP, made.id, at(11, day), "bo")
    await practice.work()
    [event] = on(practice, at(11, day))
    assert (on(practice, at(10, day)), event["user_id"][0]) == ([], practice.users["bo"][0])
    assert (await practice.diary.get(SHOP, made.id)).state.value == "booked"
    await practice.look()
    await asyncio.sleep(1.1)  # Odoo's times are whole seconds: what was written in the same one cannot be told apart
    practice.write(event["id"], start=utc(at(9, day)), stop=utc(at(9.5, day)))
    await practice.look()
    now = await practice.diary.get(SHOP, made.id)
    assert (int(now.starts_at.timestamp()), now.staff, now.state.value) == (at(9, day), "bo", "booked")
    await practice.diary.cancel(SHOP, made.id)
    await practice.work()
    assert [e["active"] for e in on(practice, at(9, day))] == [False]
    assert await exceptions.listing(practice.store) == []


async def test_what_is_in_the_calendar_first_wins_and_what_comes_later_is_asked_about(
    practice: Practice, day: int
) -> None:
    practice.event("anna", at(10, day), at(10.5, day))
    first = await practice.diary.book(SHOP, TEST, STORE, at(10, day), VISITOR, "anna")
    second = await practice.diary.book(SHOP, TEST, STORE, at(11, day), VISITOR, "anna")
    await practice.work()
    assert [(await practice.diary.get(SHOP, each.id)).state.value for each in (first, second)] == ["refused", "booked"]
    assert [len(on(practice, at(hour, day))) for hour in (10, 11)] == [0, 1]
    practice.event("anna", at(11, day), at(12, day))
    await practice.look()
    asked = await exceptions.listing(practice.store)
    assert {(e["reason"], e["subject"]) for e in asked} == {
        ("appointment_clash", each.canonical_id) for each in (first, second)
    }
