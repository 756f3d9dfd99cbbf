"""Today, systems and reports: figures of what is in the store, by the shop's day; shared by all who look."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, date, datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import ON_SQLITE
from tests.fakes import ERP, FLOWS, SHOP, Fake, House, failing, payload, rows_of, subject, until

from counterfoil.blueprint import Blueprint
from counterfoil.blueprint.values import Secret
from counterfoil.hub import credentials, exceptions, pausing, schema
from counterfoil.hub.contract import Kind, Outcome, rejected
from counterfoil.hub.store import Store
from counterfoil.hub.views import reports, systems, today
from counterfoil.hub.views.cached import shared
from counterfoil.hub.views.reports import Cause, Day
from counterfoil.hub.worker import streams_of

STREAMS = streams_of({SHOP: Fake(SHOP), ERP: Fake(ERP)})
PROMISED = "  - {on: order.placed, from: shop, do: erp.accept_order, within: 60s}\n"


async def looked(house: House) -> today.Today:
    """Past what is shared."""
    return await today._look(house.store, house.blueprint, STREAMS, "UTC")


async def aged(store: Store, seconds: float) -> None:
    """All that happened so far was so much earlier."""
    async with store.write() as connection:
        for column in (schema.event.c.recorded_at, schema.delivery_log.c.ended_at, schema.exception.c.opened_at):
            await connection.execute(sa.update(column.table).values({column.name: column - seconds}))


async def test_today_counts_what_came_in_what_was_done_and_what_waits_for_whom(store: Store) -> None:
    house = House(store, PROMISED)
    house.erp.always[subject(3)] = rejected("unknown_sku", "No product.", "Make it.")
    await house.hear(payload(1), payload(2), payload(3))
    seen = await looked(house)
    assert (seen.orders_in.last_hour, seen.orders_accepted.last_hour) == (3, 2)
    (lag,) = [each for each in seen.lag if each.operation == "erp.accept_order"]
    assert (lag.done, lag.late) == (2, 0)
    assert 0 <= lag.p50 <= lag.p95 < 60
    (waiting,) = seen.exceptions
    assert (waiting.owner, waiting.outcome, waiting.number) == ("shop-manager", "rejected", 1)
    assert waiting.address == "exceptions?owner=shop-manager&outcome=rejected"
    assert seen.late.number == 0
    assert [(s.system, s.health) for s in seen.systems] == [(SHOP, "well"), (ERP, "well")]
    assert set(seen.left_out) == {"payouts"}

    await aged(store, 2 * today.DAY)
    seen = await looked(house)
    assert (seen.orders_in.today, seen.orders_in.last_hour, seen.lag) == (0, 0, ())
    assert seen.exceptions[0].oldest > 2 * today.DAY - 60


async def test_an_order_is_counted_once_however_often_it_is_accepted(store: Store) -> None:
    """On the day it was so first, as in `report_orders`: a change of an order is accepted anew."""
    house = House(store)
    await house.hear(payload(1), payload(2))
    rows = [r for r in await rows_of(store, schema.event) if r["type"] == "order.accepted"]
    again = [{**r, "id": f"{r['id']}-2", "recorded_at": r["recorded_at"] + 1} for r in rows]
    old = {**rows[0], "id": "old", "recorded_at": rows[0]["recorded_at"] - 20 * today.DAY}
    left = [{**rows[1], "id": f"left-{n}", "type": "shipment.dispatched"} for n in (1, 2)]
    async with store.write() as connection:
        await connection.execute(sa.insert(schema.event), [*again, old, *left])
    assert (await looked(house)).orders_accepted.last_hour == 1
    for days, accepted in ((7, 1), (30, 2)):
        told = await reports._report(store, days, "UTC")
        assert sum(d.accepted for d in told.throughput) == accepted
        assert sum(d.dispatched for d in told.throughput) == 2, "each shipment"


@given(now=st.integers(1_735_689_600, 1_830_297_600).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)))
@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "America/St_Johns", "Asia/Kathmandu", "Africa/Cairo"])
def test_a_day_begins_where_the_shop_is(now: datetime, zone: str) -> None:
    """On days without a midnight too: clocks in Cairo go forward at midnight."""
    begins = today.midnight(now.timestamp(), zone)
    local = datetime.fromtimestamp(begins, ZoneInfo(zone))
    assert local.date() == now.astimezone(ZoneInfo(zone)).date()
    assert begins <= now.timestamp()
    before = datetime.fromtimestamp(begins - 1, ZoneInfo(zone))
    assert before.date() < local.date()


async def test_many_open_pages_ask_the_store_once(store: Store) -> None:
    asked = []

    async def answer() -> int:
        asked.append(1)
        await asyncio.sleep(0)
        return len(asked)

    assert await asyncio.gather(*(shared(store, "x", answer, 60.0) for _ in range(20))) == [1] * 20
    assert await shared(store, "y", answer, 60.0) == 2
    assert await shared(store, "x", answer, 0.0) == 3
    with pytest.raises(ZeroDivisionError):
        await shared(store, "z", _broken)
    assert await shared(store, "z", answer, 60.0) == 4, "what broke is not kept"


async def test_what_takes_longer_than_anybody_waits_is_made_all_the_same(store: Store) -> None:
    may, asked = asyncio.Event(), []

    async def slow() -> int:
        asked.append(1)
        await may.wait()
        return len(asked)

    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await shared(store, "x", slow, 60.0)
    may.set()
    assert await shared(store, "x", slow, 60.0) == 1


@ON_SQLITE
async def test_what_took_long_is_kept_for_longer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, asked = itertools.count(0, 10), []
    monkeypatch.setattr("counterfoil.hub.views.cached.time", SimpleNamespace(monotonic=lambda: next(clock)))

    async def answer() -> int:
        asked.append(1)
        return len(asked)

    told = [await shared(store, "x", answer, 5.0, share=0.2) for _ in range(9)]
    assert told == [1, 1, 1, 1, 1, 2, 2, 2, 2], "made in ten seconds, it is kept for fifty"


@ON_SQLITE
async def test_nothing_is_made_for_a_store_that_is_closed(store: Store) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def endless() -> None:
        began.set()
        try:
            await asyncio.sleep(300)
        finally:
            ended.set()

    asked = asyncio.create_task(shared(store, "x", endless))
    await began.wait()
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert not ended.is_set()
    await store.close()
    assert ended.is_set()


async def _broken() -> int:
    raise ZeroDivisionError


# --- systems --------------------------------------------------------------------------------------------------------


async def test_a_system_says_what_keeps_it_from_working_and_when_it_was_last_heard(store: Store) -> None:
    house = House(store)
    await house.hear(payload(1))
    shop, erp = await systems.all_of(store, house.blueprint, STREAMS)
    assert (shop.health, erp.health, erp.last_webhook) == ("well", "well", None)
    (receipt,) = await rows_of(store, schema.receipt)
    assert shop.last_webhook == receipt["received_at"]

    await pausing.pause(store, pausing.Place(SHOP), "mara", "stocktaking")
    house.erp.answer = failing(Kind.DOWN, "no_answer", message="The ERP does not answer.")
    async with house.working():
        await house.receive(payload(2))

        async def noticed() -> bool:
            return bool((await systems.all_of(store, house.blueprint, STREAMS))[1].closed)

        await until(noticed)
    shop, erp = await systems.all_of(store, house.blueprint, STREAMS)
    assert (shop.health, [p.why for p in shop.paused], erp.health) == ("paused", ["stocktaking"], "down")
    assert erp.closed[ERP]["reason"] == "no_answer"


async def test_a_late_poll_and_what_care_found_make_a_system_ill(store: Store) -> None:
    house = House(store)
    async with store.write() as connection:
        now = await store.clock(connection)
        rows = [("orders", now - 10), ("products", now - 10_000), ("care", now - 10_000)]
        await connection.execute(
            sa.insert(schema.cursor),
            [{"system": SHOP, "feed": f, "value": {}, "next_at": at, "ok_at": at} for f, at in rows],
        )
        found = Outcome(Kind.MISCONFIGURED, "webhooks", "The webhook is gone.", suggestion="Make it anew.")
        await exceptions.open_for_system(connection, store, ERP, found, "it", "care.webhooks")
    shop, erp = await systems.all_of(store, house.blueprint, STREAMS)
    assert ([(f.feed, f.late) for f in shop.feeds], shop.health) == ([("orders", False), ("products", True)], "ill")
    assert ([(p.about, p.remedy) for p in erp.problems], erp.health) == ([("webhooks", "Make it anew.")], "ill")


async def test_a_credential_is_as_old_as_its_last_change_and_is_nowhere_itself(store: Store) -> None:
    def plan(**secrets: str) -> Blueprint:
        house = House(store).blueprint
        shop = house.systems[SHOP].model_copy(
            update={"settings": {n: Secret(v) for n, v in secrets.items()} | {"url": "https://shop.example"}}
        )
        return house.model_copy(update={"systems": {SHOP: shop}})

    async def since() -> dict[str, float]:
        return {c.name: c.since for c in await credentials.ages(store)}

    await credentials.note(store, plan(key="k-1", secret="s-1"))
    first = await since()
    await credentials.note(store, plan(key="k-1", secret="s-1"))
    assert await since() == first
    await credentials.note(store, plan(key="k-1", secret="s-2"))
    second = await since()
    assert second["key"] == first["key"]
    assert second["secret"] > first["secret"]
    assert "s-2" not in str(await rows_of(store, schema.credential))
    await credentials.note(store, plan(key="k-1"))
    assert set(await since()) == {"key"}


# --- reports --------------------------------------------------------------------------------------------------------


async def test_a_report_counts_by_the_shops_day_and_by_cause(store: Store) -> None:
    house = House(store, FLOWS)
    house.erp.always[subject(3)] = rejected("unknown_sku", "No product.", "Make it.")
    await house.hear(payload(1), payload(2), payload(3))
    async with store.write() as connection:  # all of it a minute before midnight in Paris
        at = datetime(2026, 7, 14, 21, 59, tzinfo=UTC).timestamp()
        now = await store.clock(connection)
        await connection.execute(sa.update(schema.event).values(recorded_at=at))
        await connection.execute(sa.update(schema.exception).values(opened_at=at))
    days = int((now - at) / reports.DAY) + 2
    for zone, day in (("Europe/Paris", date(2026, 7, 14)), ("Europe/Helsinki", date(2026, 7, 15))):
        found = await reports.report(store, days, zone)
        assert found.throughput == (Day(day, ERP, 0, 2, 0, 0, 0), Day(day, SHOP, 3, 0, 0, 0, 0))
        assert found.causes == (Cause(day, "unknown_sku", 1, 1),)
    assert [(k.operation, k.done) for k in found.promises] == [("erp.accept_order", 2), ("shop.decode", 3)]


async def test_tools_for_reports_read_the_same_columns_on_both_stores(store: Store) -> None:
    """What docs/how-to/reports.md documents; and nothing of a person."""
    house = House(store, PROMISED)
    house.erp.always[subject(2)] = rejected("unknown_sku", "ada@mail.example wants it.", "Make it.")
    await house.hear(payload(1, email="ada@mail.example"), payload(2, email="ada@mail.example"))
    columns = {
        "report_orders": "order_id channel placed_at accepted_at seconds_to_accept dispatched_at invoiced_at "
        "cancelled_at refunded_at",
        "report_promises": "kind promise subject began_at due_at ended_at seconds outcome",
        "report_exceptions": "exception_id status system operation reason outcome owner subject opened_at closed_at "
        "seconds_open",
    }
    rows = {}
    async with store.read() as connection:
        for view, names in columns.items():
            result = await connection.execute(sa.text(f"SELECT * FROM {view} ORDER BY 1, 2"))
            assert list(result.keys()) == names.split()
            rows[view] = [dict(r._mapping) for r in result]
    placed = {r["order_id"]: r for r in rows["report_orders"]}
    assert set(placed) == {subject(1), subject(2)}
    assert placed[subject(1)]["channel"] == SHOP
    assert 0 <= placed[subject(1)]["seconds_to_accept"] < 60
    assert placed[subject(2)]["accepted_at"] is None
    assert str(placed[subject(1)]["placed_at"])[:4] == str(datetime.now(UTC).year)
    assert [(r["promise"], r["outcome"]) for r in rows["report_promises"]] == [("erp.accept_order", "kept")]
    assert [(r["reason"], r["status"]) for r in rows["report_exceptions"]] == [("unknown_sku", "open")]
    assert "ada" not in str(rows)
