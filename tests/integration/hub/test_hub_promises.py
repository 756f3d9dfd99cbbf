"""Promises between milestones: made, kept, missed and ended as events are kept, and put before a person once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.conftest import ON_POSTGRESQL
from tests.fakes import ERP, SHOP, House, blueprint, failing, hasten, payload, rows_of, subject, until

from counterfoil.blueprint import Blueprint, Retention
from counterfoil.hub import exceptions, records, retention, schema, timeline
from counterfoil.hub.contract import Kind
from counterfoil.hub.store import Store
from counterfoil.retail.events import Event, at_utc, event_id
from counterfoil.watch import milestones, promises
from counterfoil.watch.promises import Follower

PROMISES = """\
calendars:
  nights: {zone: UTC, open: {mon-sun: "22:00-04:00"}}
promises:
  accepted:
    {after: order.placed, expect: order.accepted, within: 60s, from: shop, unless: order.cancelled, owner: ada}
  dispatched: {after: order.accepted, expect: [shipment.dispatched, order.delivered], within: 48h}
"""
WAITING = sa.text(
    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
)
"""How many of PostgreSQL's transactions wait for another one."""


class Promising(House):
    """A house whose workers follow its promises."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, more=PROMISES)

    def worker(self, **options: Any) -> Any:
        return super().worker(follow=Follower(self.blueprint), **options)

    async def look(self) -> int:
        """Once, as the schedule does."""
        return await promises.look(self.store, milestones.rules_of(self.blueprint))


def ago(seconds: float = 0.0) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def placed(number: int = 1, before: float = 0.0, **more: Any) -> bytes:
    """An order that the shop says was placed so many seconds ago."""
    return payload(number, modified=ago(before).isoformat(), **more)


def fact(type_: str, when: datetime, number: int = 1, source: str = SHOP) -> Event:
    """An event about an order of the shop."""
    id_ = event_id(source, type_, subject(number), when.isoformat())
    about = subject(number)
    return Event(id=id_, type=type_, source=source, subject=about, key=about, time=when, correlation=about, data={})


async def tell(store: Store, plan: Blueprint, *events: Event) -> None:
    """Keep events as a worker does."""
    async with store.write() as connection:
        await Follower(plan)(connection, store, await records.keep_events(connection, store, events))


async def promised(store: Store, name: str = "accepted", number: int = 1) -> dict[str, Any]:
    """The only promise of this name about the order."""
    (row,) = await rows_of(store, schema.promise, name=name, subject=subject(number))
    return row


# --- kept, late, void ---------------------------------------------------------------------------------------------


async def test_it_is_made_by_one_event_and_kept_by_another(store: Store) -> None:
    house = Promising(store)
    house.erp.answer = failing(Kind.RETRY)
    await house.receive(placed())
    async with house.working():
        await until(lambda: rows_of(store, schema.delivery_log, outcome="retry"))
        row = await promised(store)
        assert (row["due_at"] - row["began_at"], row["ended_at"]) == (60.0, None)
        house.erp.answer = None
        await hasten(store)
        await until(lambda: rows_of(store, schema.promise, ended_as="kept"))
    row = await promised(store)
    assert 0.0 < row["took"] == row["ended_at"] - row["began_at"] < 60.0
    assert (await promised(store, "dispatched"))["ended_at"] is None, "one milestone keeps a promise and makes the next"
    assert await house.look() == 0
    assert await house.exceptions() == []


async def test_what_was_told_late_is_late_though_we_were_quick(store: Store) -> None:
    """Business time counts: the customer has waited, whoever was away."""
    house = Promising(store)
    await house.hear(placed(before=300.0))
    row = await promised(store)
    assert (row["ended_as"], row["took"] >= 300.0) == ("late", True)


@pytest.mark.parametrize("off", [timedelta(days=-20000), timedelta(hours=1)], ids=["in 1972", "an hour ahead"])
async def test_a_clock_that_is_off_makes_no_promise_late_and_none_everlasting(store: Store, off: timedelta) -> None:
    house = Promising(store)
    await house.hear(payload(1, modified=(ago() + off).isoformat()))
    row = await promised(store)
    assert row["ended_as"] == "kept"
    assert abs(row["began_at"] - time.time()) < 30.0


async def test_what_makes_it_needless_ends_it_without_blame(store: Store) -> None:
    house = Promising(store)
    await tell(store, house.blueprint, fact("order.placed", ago(300)), fact("order.cancelled", ago(290)))
    row = await promised(store)
    assert (row["ended_as"], row["took"]) == ("void", None)
    assert await house.look() == 0


async def test_any_of_several_events_keeps_it(store: Store) -> None:
    plan = blueprint(more=PROMISES)
    await tell(store, plan, fact("order.accepted", ago(9), 1, ERP), fact("order.accepted", ago(9), 2, ERP))
    await tell(store, plan, fact("shipment.dispatched", ago(4), 1, ERP))
    await tell(store, plan, fact("order.delivered", ago(4), 2, ERP))
    for number in (1, 2):
        assert (await promised(store, "dispatched", number))["took"] == pytest.approx(5.0, abs=0.5)


async def test_other_systems_and_other_orders_are_not_meant(store: Store) -> None:
    plan = blueprint(more=PROMISES.replace("from: shop", "from: erp"))
    await tell(store, plan, fact("order.placed", ago()))
    assert await rows_of(store, schema.promise) == []
    plan = blueprint(more=PROMISES)
    await tell(store, plan, fact("order.placed", ago(), 1), fact("order.placed", ago(), 2))
    await tell(store, plan, fact("order.accepted", ago(), 2, ERP))
    assert ((await promised(store))["ended_at"], (await promised(store, number=2))["ended_as"]) == (None, "kept")


async def test_what_is_told_again_changes_nothing(store: Store) -> None:
    house = Promising(store)
    body, event = placed(1), fact("order.placed", ago(100), 2)
    await house.hear(body)
    await tell(store, house.blueprint, event)
    before = await rows_of(store, schema.promise)
    await house.hear(body)
    await tell(store, house.blueprint, event)
    assert await rows_of(store, schema.promise) == before


async def test_the_first_fact_that_is_not_answered_counts_and_the_next_makes_a_new_promise(store: Store) -> None:
    plan = blueprint(more=PROMISES)
    await tell(store, plan, fact("order.placed", ago(50)))
    await tell(store, plan, fact("order.placed", ago(20)))
    assert (await promised(store))["began_at"] == pytest.approx(ago(50).timestamp(), abs=5.0)
    await tell(store, plan, fact("order.accepted", ago(10), 1, ERP), fact("order.placed", ago(5)))
    rows = await rows_of(store, schema.promise, name="accepted")
    assert [r["ended_as"] for r in rows] == ["kept", None]


async def test_made_and_kept_in_one_transaction_is_kept(store: Store) -> None:
    plan = blueprint(more=PROMISES)
    placed_twice = (fact("order.placed", ago(50)), fact("order.placed", ago(47)))
    await tell(store, plan, *placed_twice, fact("order.accepted", ago(45), 1, ERP), fact("order.placed", ago(40)))
    rows = await rows_of(store, schema.promise, name="accepted")
    assert [r["ended_as"] for r in rows] == ["kept", None]
    assert rows[0]["took"] == pytest.approx(5.0, abs=0.5), "from the first"


@ON_POSTGRESQL
async def test_made_by_two_at_the_same_moment_it_is_one(
    store: Store, another_store: Callable[[], Awaitable[Store]]
) -> None:
    plan, other = blueprint(more=PROMISES), await another_store()
    async with other.write() as connection:
        await Follower(plan)(connection, other, [fact("order.placed", ago(9))])
        second = asyncio.create_task(tell(store, plan, fact("order.placed", ago(8))))
        await until(lambda: connection.scalar(WAITING))
    await second
    assert (await promised(store))["ended_at"] is None


async def test_nothing_is_asked_of_the_store_for_events_that_no_promise_names(store: Store) -> None:
    events = [fact("stock.changed", ago()), fact("order.noted", ago())]
    await Follower(blueprint(more=PROMISES))(None, store, events)  # type: ignore[arg-type]


# --- calendars ----------------------------------------------------------------------------------------------------


async def test_with_a_calendar_only_its_open_hours_count(store: Store) -> None:
    plan = blueprint(more=PROMISES.replace("within: 48h}", "within: 7h, calendar: nights}"))
    noon = ago().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=5)
    await tell(store, plan, fact("order.accepted", noon, 1, ERP))
    row = await promised(store, "dispatched")
    assert at_utc(row["due_at"]) == noon + timedelta(hours=35), "six hours of the first night and one of the second"
    await tell(store, plan, fact("shipment.dispatched", noon + timedelta(hours=34), 1, ERP))
    row = await promised(store, "dispatched")
    assert (row["ended_as"], row["took"]) == ("kept", 6 * 3600.0)


# --- missed -------------------------------------------------------------------------------------------------------


async def test_an_absence_becomes_an_exception_once_and_closes_by_itself(store: Store) -> None:
    house = Promising(store)
    house.erp.answer = failing(Kind.RETRY)
    await house.receive(placed(before=90.0))
    async with house.working():
        await until(lambda: rows_of(store, schema.delivery_log, outcome="retry"))
        assert [await house.look(), await house.look()] == [1, 0]
        (row,) = await house.exceptions()
        assert (row["reason"], row["owner"], row["subject"]) == ("promise_missed", "ada", subject())
        assert "order.accepted within 1m of order.placed" in row["message"]
        assert f"counterfoil show order {subject().rpartition(':')[2]}" in row["suggestion"]
        house.erp.answer = None
        await hasten(store)
        await until(lambda: rows_of(store, schema.exception, status="resolved"))
    (row,) = await house.exceptions("resolved")
    assert row["closed_by"] == "counterfoil"
    assert row["note"].startswith("order.accepted has happened after all, ")
    assert (await promised(store))["ended_as"] == "late"
    assert await house.exceptions() == []


async def test_what_happened_in_time_and_was_heard_of_late_was_kept(store: Store) -> None:
    house = Promising(store)
    await tell(store, house.blueprint, fact("order.placed", ago(90)))
    assert await house.look() == 1
    await tell(store, house.blueprint, fact("order.accepted", ago(60), 1, ERP))
    assert (await promised(store))["ended_as"] == "kept"
    (row,) = await house.exceptions("resolved")
    assert row["note"] == "order.accepted had happened in time, and was heard of late"


async def test_a_person_may_close_it_and_is_not_asked_again(store: Store) -> None:
    house = Promising(store)
    await tell(store, house.blueprint, fact("order.placed", ago(90)))
    await house.look()
    (row,) = await house.exceptions()
    await exceptions.act(store, row["id"], "resolved", "pia", "by telephone")
    assert await house.look() == 0
    assert await house.exceptions() == []


async def test_who_owns_a_reason_owns_what_the_promise_gives_to_nobody(store: Store) -> None:
    more = PROMISES.replace(", owner: ada", "") + "exceptions: {promise_missed: duty-manager}\n"
    plan = blueprint(more=more)
    await tell(store, plan, fact("order.placed", ago(90)))
    await promises.look(store, milestones.rules_of(plan))
    assert [r["owner"] for r in await rows_of(store, schema.exception)] == ["duty-manager"]


async def test_many_are_put_before_people_in_batches(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promises, "BATCH", 3)
    house = Promising(store)
    await tell(store, house.blueprint, *(fact("order.placed", ago(90), n) for n in range(10)))
    assert await house.look() == 10
    assert sorted(r["subject"] for r in await house.exceptions()) == sorted(subject(n) for n in range(10))


async def test_however_many_look_each_absence_is_found_once(
    store: Store, another_store: Callable[[], Awaitable[Store]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promises, "BATCH", 2)
    plan = blueprint(more=PROMISES)
    await tell(store, plan, *(fact("order.placed", ago(90), n) for n in range(20)))
    stores = [store, *[await another_store() for _ in range(3)]]
    rules = milestones.rules_of(plan)
    found = 0
    while any(r["missed_at"] is None for r in await rows_of(store, schema.promise)):
        found += sum(await asyncio.gather(*(promises.look(each, rules) for each in stores)))
    assert found == len(await rows_of(store, schema.exception)) == 20


@ON_POSTGRESQL
async def test_kept_at_the_very_moment_at_which_it_is_looked_for_is_not_missed(
    store: Store, another_store: Callable[[], Awaitable[Store]]
) -> None:
    house = Promising(store)
    await tell(store, house.blueprint, fact("order.placed", ago(90)))
    other = await another_store()
    async with other.write() as connection:
        await Follower(house.blueprint)(connection, other, [fact("order.accepted", ago(), 1, ERP)])
        assert await house.look() == 0, "who keeps it has its row in hand"
    assert await house.look() == 0
    assert await house.exceptions() == []


@ON_POSTGRESQL
async def test_missed_at_the_very_moment_at_which_it_is_kept_is_closed_again(
    store: Store, another_store: Callable[[], Awaitable[Store]], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = Promising(store)
    await tell(store, house.blueprint, fact("order.placed", ago(90)))
    judge = promises._judge
    keeping: list[asyncio.Task[None]] = []

    async def meanwhile(*arguments: Any) -> int:
        """It is missed, but that is not committed yet, when another process hears that it is kept."""
        missed = await judge(*arguments)
        keeping.append(asyncio.create_task(tell(store, house.blueprint, fact("order.accepted", ago(), 1, ERP))))
        await until(lambda: arguments[0].scalar(WAITING))
        return missed

    monkeypatch.setattr(promises, "_judge", meanwhile)
    assert await promises.look(await another_store(), milestones.rules_of(house.blueprint)) == 1
    await asyncio.gather(*keeping)
    assert (await promised(store))["ended_as"] == "late"
    assert await house.exceptions() == []


async def test_the_schedule_finds_it_by_itself(store: Store) -> None:
    house = Promising(store)
    await tell(store, house.blueprint, fact("order.placed", ago(90)))
    stop = asyncio.Event()
    task = asyncio.create_task(promises.run(store, house.blueprint, stop, every=0.01))
    await until(house.exceptions)
    stop.set()
    await task


# --- what nobody noticed ------------------------------------------------------------------------------------------


async def test_what_was_heard_of_before_the_fact_that_makes_the_promise_has_kept_it(store: Store) -> None:
    """The ERP tells of the shipment before the answer to our own call is kept (its process was killed)."""
    house = Promising(store)
    await tell(store, house.blueprint, fact("shipment.dispatched", ago(50 * 3600 + 20), 1, ERP))
    await tell(store, house.blueprint, fact("order.accepted", ago(50 * 3600), 1, ERP))
    assert (await promised(store, "dispatched"))["ended_at"] is None
    assert await house.look() == 0
    row = await promised(store, "dispatched")
    assert (row["ended_as"], row["took"]) == ("kept", 0.0)


async def test_a_fact_that_nobody_noticed_and_whose_clock_is_off_happened_when_it_was_heard_of(store: Store) -> None:
    house = Promising(store)
    await tell(store, house.blueprint, fact("order.accepted", ago(20_000 * 86400), 1, ERP))
    await tell(store, house.blueprint, fact("order.placed", ago(90)))
    assert await house.look() == 0
    row = await promised(store)
    assert (row["ended_as"], row["took"] > 60.0) == ("late", True)


async def test_what_has_kept_one_promise_does_not_keep_the_next(store: Store) -> None:
    house = Promising(store)
    await tell(store, house.blueprint, fact("order.placed", ago(95)), fact("order.accepted", ago(94), 1, ERP))
    await tell(store, house.blueprint, fact("order.placed", ago(90)))
    assert await house.look() == 1


async def test_what_is_not_promised_any_more_ends_without_a_word(store: Store) -> None:
    await tell(store, blueprint(more=PROMISES), fact("order.placed", ago(90)))
    assert await promises.look(store, milestones.rules_of(blueprint())) == 0
    assert (await promised(store))["ended_as"] == "void"
    assert await rows_of(store, schema.exception) == []


# --- what people see ----------------------------------------------------------------------------------------------


async def test_the_timeline_shows_what_is_promised_and_how_it_ended(store: Store) -> None:
    house = Promising(store)
    await house.hear(placed())
    shown = await timeline.of(store, subject())
    (kept,) = [e for e in shown["entries"] if e["what"] == "promise"]
    assert kept["text"] == "accepted: kept"
    (waits,) = shown["promised"]
    assert (waits["name"], waits["missed"]) == ("dispatched", False)
    assert datetime.fromisoformat(waits["due"]) > ago()


async def test_how_promises_were_kept_is_measured(store: Store) -> None:
    now = time.time()
    rows = [{"took": float(n), "ended_at": now - 60, "ended_as": "kept" if n <= 90 else "late"} for n in range(1, 101)]
    rows += [{"ended_at": now - 60, "ended_as": "void"}, {"missed_at": now - 60}, {}, {}]
    rows += [{"took": 999.0, "ended_at": now - 8 * 86400, "ended_as": "late"}]  # long ago
    async with store.write() as connection:
        for number, row in enumerate(rows):
            common = {"name": "accepted", "subject": subject(number), "event_id": "", "began_at": now, "due_at": now}
            await connection.execute(sa.insert(schema.promise).values(**common, **row))
    found = await promises.measured(store, ["accepted", "dispatched"], 7 * 86400)
    accepted = found["accepted"]
    assert (accepted.open, accepted.kept, accepted.late, accepted.missed, accepted.void) == (2, 90, 10, 1, 1)
    assert (accepted.p50, accepted.p95, accepted.p99) == (50.0, 95.0, 99.0)
    assert accepted.share == pytest.approx(90 / 101)
    assert found["dispatched"] == promises.Measured()
    assert found["dispatched"].share is None


async def test_they_go_with_the_history_but_not_while_they_are_open_or_before_a_person(store: Store) -> None:
    house = Promising(store)
    await tell(store, house.blueprint, fact("order.placed", ago(90), 1), fact("order.placed", ago(30), 2))
    await tell(store, house.blueprint, fact("order.accepted", ago(29), 2, ERP))
    await house.look()
    async with store.write() as connection:
        old = {n: schema.promise.c[n] - 500 * 86400 for n in ("began_at", "ended_at", "missed_at")}
        await connection.execute(sa.update(schema.promise).values(old))
    assert (await retention.purge(store, Retention(), rest=0.0))["promises"] == 1
    left = [(r["name"], r["subject"]) for r in await rows_of(store, schema.promise)]
    assert left == [("accepted", subject(1)), ("dispatched", subject(2))]
    (row,) = await house.exceptions()
    await exceptions.act(store, row["id"], "resolved", "pia")
    assert (await retention.purge(store, Retention(), rest=0.0))["promises"] == 1
    assert (await promised(store, "dispatched", 2))["ended_at"] is None
