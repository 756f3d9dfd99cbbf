"""What a system says that it is: kept with its history, told to people, and never in the way of work."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.fakes import ERP, SHOP, Fake, blueprint, failing, hasten, rows_of, until

from counterfoil.hub import care, looks, schedule, schema, versions
from counterfoil.hub.contract import Finding, Kind, Mark, Release
from counterfoil.hub.store import Store
from counterfoil.hub.views import systems
from counterfoil.watch.metrics import Known, Metrics

DOUBT = "Odoo 20.0 is newer than all that were tried"


def odoo(version: str, doubt: str = "") -> Release:
    return Release("Odoo", version, "19.0", doubt, "Try it on a copy." if doubt else "")


class Telling(Fake):
    """A system that tells its versions; or fails at it."""

    def __init__(self, *told: Release) -> None:
        super().__init__(ERP)
        self.told: Sequence[Release] | Exception = told
        self.asked = 0

    async def versions(self) -> Sequence[Release]:
        self.asked += 1
        if isinstance(self.told, Exception):
            raise self.told
        return self.told

    async def doctor(self) -> list[Finding]:
        return [Finding("rights", Mark.FAILED, "ann@example.org may not write orders", "Give the right.")]


async def said(store: Store, erp: Telling, *told: Release) -> list[str] | None:
    """It is due, and tells this."""
    erp.told = told
    await hasten(store)
    return await versions.ask_in_turn(store, ERP, erp, "engineer")


async def view(store: Store) -> systems.SystemView:
    found = await systems.all_of(store, blueprint(), {})
    return next(each for each in found if each.name == ERP)


async def opened(store: Store) -> list[tuple[str, str, str]]:
    rows = await rows_of(store, schema.exception, status="open")
    return [(row["reason"], row["message"], row["suggestion"]) for row in rows]


async def test_each_version_is_known_since_when_and_what_was_before(store: Store) -> None:
    erp = Telling()
    assert await said(store, erp, odoo("19.0"), Release("Odoo API", "JSON-2")) == []
    first = (await view(store)).versions
    assert [(str(v), v.tested, v.before) for v in first] == [("Odoo 19.0", "19.0", ()), ("Odoo API JSON-2", "", ())]
    with capture_logs() as logged:
        assert await said(store, erp, odoo("19.1"), Release("Odoo API", "JSON-2")) == ["Odoo 19.0 → 19.1"]
    assert [line["change"] for line in logged if line["event"] == "version changed"] == ["Odoo 19.0 → 19.1"]
    now, api = (await view(store)).versions
    assert now.before == (("19.0", first[0].since),)
    assert (now.since > first[0].since, api.since, api.seen_at > api.since) == (True, first[1].since, True)
    assert await opened(store) == [], "what it was tested with needs nobody"
    assert (await versions.in_short(store, [ERP, SHOP]))[ERP].startswith("Odoo 19.1, since 20")
    scraped, _ = await Metrics(store, Known((ERP,))).text()
    assert b'counterfoil_system_info{doubted="false",name="Odoo",system="erp",version="19.1"} 1.0' in scraped
    assert b'version="19.0"' not in scraped


async def test_of_what_changes_all_the_time_the_last_ten_are_known_and_odd_text_is_plain(store: Store) -> None:
    """As behind a balancer with servers of two versions."""
    erp = Telling()
    for number in range(14):
        await said(store, erp, odoo(f"19.{number}\x00+" + "x" * 200))
    (now,) = (await view(store)).versions
    assert len(now.version) == versions.LONGEST
    known = [now.version, *(before for before, _ in now.before)]
    assert [version.partition("+")[0] for version in known] == [f"19.{n}" for n in range(13, 3, -1)]


async def test_a_change_to_what_was_never_tried_is_put_before_a_person_once(store: Store) -> None:
    erp = Telling()
    for version in ("17.0", "17.1"):
        await said(store, erp, odoo(version, "never tried"))
    assert await opened(store) == [], "it was so when it was connected"
    await said(store, erp, odoo("19.0"))
    for _ in range(2):
        await said(store, erp, odoo("20.0", DOUBT))
    await said(store, erp, odoo("20.1", DOUBT))
    words = f"Odoo went from 19.0 to 20.0. {DOUBT}."
    assert await opened(store) == [("untested_version", words, "Try it on a copy.")]
    assert [problem.about for problem in (await view(store)).problems] == ["versions"]
    await said(store, erp, odoo("19.0"))
    assert await opened(store) == []


@pytest.mark.parametrize("trouble", [failing(Kind.DOWN, "unreachable"), ValueError("no version in it")])
async def test_one_that_does_not_answer_is_no_outage_and_is_known_as_before(store: Store, trouble: Exception) -> None:
    erp = Telling()
    await said(store, erp, odoo("19.0"))
    erp.told = trouble
    await hasten(store)
    assert await versions.ask_in_turn(store, ERP, erp) is None
    found = await view(store)
    assert ([str(v) for v in found.versions], found.closed, found.problems) == (["Odoo 19.0"], {}, ())
    (turn,) = await rows_of(store, schema.cursor)
    async with store.read() as connection:
        assert turn["next_at"] <= await store.clock(connection) + schedule.AGAIN, "asked again soon"


async def test_a_hub_that_starts_asks_at_once_and_then_once_an_hour(store: Store) -> None:
    erp, plain, stop = Telling(odoo("19.0")), Fake(SHOP), asyncio.Event()
    await versions.ask_in_turn(store, ERP, erp)
    assert await versions.ask_in_turn(store, ERP, erp) is None, "not due"
    running = asyncio.create_task(versions.run(store, {ERP: erp, SHOP: plain}, "engineer", stop))

    async def asked() -> bool:
        return erp.asked == 2

    await until(asked)
    stop.set()
    await running
    (turn,) = await rows_of(store, schema.cursor)
    assert turn["next_at"] - turn["ok_at"] >= versions.EVERY


async def test_what_the_doctor_and_care_found_last_is_shown_with_its_time(store: Store) -> None:
    erp: Any = Telling()
    erp.cared = [Finding("webhook order.created", Mark.OK, "active")]
    assert (await view(store)).looks == {}
    await care.care_once(store, ERP, erp)
    first = (await view(store)).looks[schedule.CARE]
    told = await looks.examine_in_turn(store, ERP, erp)
    assert await looks.examine_in_turn(store, ERP, erp) is None, "once a day"
    await hasten(store)
    await care.care_once(store, ERP, erp)
    found = (await view(store)).looks
    masked = Finding("rights", Mark.FAILED, "a•••@example.org may not write orders", "Give the right.")
    assert [*found[schedule.DOCTOR].found] == told == [masked]
    assert found[schedule.CARE].found == first.found == tuple(erp.cared)
    assert found[schedule.CARE].at > first.at, "looked again, though nothing was new"
    assert {feed.feed for feed in (await view(store)).feeds} == set()
