"""Timing classes: a delivery waits for the run or the posting window of its flow, and nothing overtakes it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.fakes import ERP, House, assert_one_status, failing, hasten, payload, replayed, rows_of, subject, until

from counterfoil.hub import alerts, lanes, pressure, replay, schema, systems, timeline
from counterfoil.hub.contract import Kind
from counterfoil.hub.lanes import NewDelivery
from counterfoil.hub.store import Store

NOW = datetime.now(UTC)
HOUR = 3600.0
LATER = f'timing: batch, zone: UTC, schedule: "{NOW - timedelta(days=2):%M %H %d %m} *"'  # in nearly a year


def window(begin: float, end: float) -> str:
    """A window that begins and ends so many hours from now."""
    begins, ends = (f"{datetime.now(UTC) + timedelta(hours=h):%H:%M}" for h in (begin, end))
    return f'timing: batch, zone: UTC, window: "{begins}-{ends}"'


def flow(on: str, do: str, more: str = "") -> str:
    return f"  - {{on: {on}, from: shop, do: erp.{do}{', ' + more if more else ''}}}\n"


async def lane_of(store: Store, stream: str = "order") -> dict[str, Any]:
    """The only lane of a stream at the ERP."""
    (row,) = await rows_of(store, schema.lane, system=ERP, stream=stream)
    return row


async def decoded(house: House, *bodies: bytes) -> None:
    """Keep the bodies and read them; operations are not called yet."""
    await house.receive(*bodies)
    house.erp.answer = failing(Kind.DOWN)  # whatever is tried meanwhile is put off
    async with house.working():
        await until(lambda: _nothing_to_decode(house.store))
    house.erp.answer = None
    house.erp.calls.clear()
    async with house.store.write() as connection:
        await connection.execute(sa.delete(schema.system_state))


async def _nothing_to_decode(store: Store) -> bool:
    return not await rows_of(store, schema.lane, stream=lanes.DECODE)


async def time_comes(store: Store) -> None:
    """The run has come that everything waits for."""
    async with store.write() as connection:
        waits = schema.delivery.c.not_before.is_not(None)
        await connection.execute(sa.update(schema.delivery).where(waits).values(not_before=1.0))
    await hasten(store)


async def settled(house: House, times: int = 3) -> None:
    """One worker has looked for work again and again, and found nothing to start."""
    worker = house.worker()
    idle = 0
    while idle < times:
        idle = idle + 1 if not await worker.dispatch() and not worker._running else 0
        await until(lambda: _done(worker))


async def _done(worker: Any) -> bool:
    return not worker._running


# --- waiting ------------------------------------------------------------------------------------------------------


async def test_it_waits_for_its_run_and_is_done_then(store: Store) -> None:
    house = House(store, flow("order.placed", "accept_order", LATER))
    await house.receive(payload())
    await settled(house)
    (row,) = await rows_of(store, schema.delivery)
    assert row["not_before"] > time.time() + 300 * 24 * HOUR
    assert (await lane_of(store))["due_at"] == row["not_before"], "nobody looks at it before"
    assert house.erp.calls == []
    await time_comes(store)
    await house.work()
    assert house.erp.made == [subject()]
    await assert_one_status(store)


async def test_a_window_that_is_open_delays_nothing(store: Store) -> None:
    house = House(store, flow("order.placed", "accept_order", window(-1, 1)))
    await house.hear(payload())
    assert house.erp.made == [subject()]


async def test_what_is_not_done_when_the_window_closes_waits_for_the_next(store: Store) -> None:
    """The ERP was away in the night: its postings are not made up for in the middle of the day."""
    house = House(store, flow("order.placed", "accept_order", window(1, 2)))
    await house.receive(*(payload(n) for n in range(5)))
    await settled(house)
    await time_comes(store)
    await settled(house)
    assert house.erp.calls == []
    due = [row["due_at"] for row in await rows_of(store, schema.lane)]
    assert due == pytest.approx([time.time() + HOUR] * 5, abs=300.0)
    await assert_one_status(store)


async def test_whoever_hastens_a_lane_does_not_hasten_what_has_to_wait(store: Store) -> None:
    house = House(store, flow("order.placed", "accept_order", LATER))
    await house.receive(payload())
    await settled(house)
    await hasten(store)
    await settled(house)
    assert house.erp.calls == []
    assert (await lane_of(store))["due_at"] > time.time() + 300 * 24 * HOUR
    await assert_one_status(store)


async def test_a_replay_waits_as_well(store: Store) -> None:
    house = House(store, flow("order.placed", "accept_order"))
    await house.hear(payload())
    house = House(store, flow("order.placed", "accept_order", LATER), erp=house.erp)
    house.erp.calls.clear()
    await replayed(store, house.blueprint, house.worker().streams, replay.Choice(types=("order.placed",)))
    await settled(house)
    assert house.erp.calls == []
    assert len(await rows_of(store, schema.delivery)) == 1


async def test_a_new_lane_is_due_when_its_first_delivery_is(store: Store) -> None:
    """Before any worker has looked at it: what nobody can do yet must not count as due."""

    def queued(key: str, waits: bool) -> NewDelivery:
        release = (lambda now: now + HOUR) if waits else None
        return NewDelivery(ERP, "order", key, "accept_order", key, event_id=key, release=release)

    async with store.write() as connection:
        both = [queued("late", True), queued("late", False), queued("soon", False), queued("soon", True)]
        await lanes.enqueue(connection, store, both)
    async with store.write() as connection:
        await lanes.enqueue(connection, store, [queued("late", False), queued("soon", True)])
    due = {row["key"]: row["due_at"] - time.time() for row in await rows_of(store, schema.lane)}
    assert due == pytest.approx({"late": HOUR, "soon": 0.0}, abs=60.0)
    assert (await pressure.measure(store, [(ERP, "order")], 100)).backlog == 3


async def test_the_time_is_asked_for_only_where_it_is_of_any_importance(store: Store) -> None:
    at_once = [NewDelivery(ERP, "order", "k", "accept_order", "s", event_id="e")]
    assert await lanes._starts(None, store, at_once) == [None]  # type: ignore[arg-type]


# --- order --------------------------------------------------------------------------------------------------------


async def test_earlier_work_is_not_delayed_by_what_waits_behind_it(store: Store) -> None:
    house = House(store, flow("order.placed", "accept_order") + flow("order.cancelled", "cancel_order", LATER))
    await decoded(house, payload(), payload(status="cancelled", modified="2026-11-02T10:05:00+00:00"))
    assert len(await rows_of(store, schema.delivery)) == 2
    await hasten(store)
    await settled(house)
    assert house.erp.history == [("accept_order", subject())]
    (row,) = await rows_of(store, schema.delivery)
    assert (row["operation"], (await lane_of(store))["due_at"]) == ("cancel_order", row["not_before"])
    await time_comes(store)
    await house.work()
    assert house.erp.history[1:] == [("cancel_order", subject())]


async def test_what_waits_is_not_hastened_by_what_comes_behind_it(store: Store) -> None:
    house = House(store, flow("order.placed", "accept_order", LATER) + flow("order.cancelled", "cancel_order"))
    await house.receive(payload())
    await settled(house)
    await house.receive(payload(status="cancelled", modified="2026-11-02T10:05:00+00:00"))
    await settled(house)
    assert len(await rows_of(store, schema.delivery)) == 2
    assert house.erp.calls == []
    assert (await lane_of(store))["due_at"] > time.time() + 300 * 24 * HOUR
    await time_comes(store)
    await house.work()
    assert house.erp.history == [("accept_order", subject()), ("cancel_order", subject())]


async def test_what_an_outcome_queues_behind_itself_waits(store: Store) -> None:
    house = House(store, flow("order.placed", "accept_order") + flow("order.accepted", "note_order", LATER))
    await house.receive(payload())
    await settled(house)
    assert house.erp.history == [("accept_order", subject())]
    (row,) = await rows_of(store, schema.delivery)
    assert (await lane_of(store))["due_at"] == row["not_before"]
    await assert_one_status(store)


async def test_other_keys_and_streams_are_not_kept_waiting(store: Store) -> None:
    house = House(store, flow("order.placed", "accept_order", LATER) + flow("order.placed", "post_refund"))
    await house.receive(payload(1), payload(2))
    await settled(house)
    assert sorted(house.erp.history) == [("post_refund", subject(1)), ("post_refund", subject(2))]


async def test_the_newest_state_answers_for_those_that_wait_behind_a_due_one(store: Store) -> None:
    """What is told now is the newest state: nothing is left that the later run could tell."""
    at_once, later = flow("order.placed", "tell_order"), flow("order.changed", "tell_order", LATER)
    house = House(store, at_once + later)
    await decoded(house, payload(), payload(total="13.00", modified="2026-11-02T10:05:00+00:00"))
    await hasten(store)
    await settled(house)
    assert [call.operation for call in house.erp.calls] == ["tell_order"]
    assert await rows_of(store, schema.delivery) == []


# --- not late -----------------------------------------------------------------------------------------------------


async def test_what_waits_for_its_time_is_neither_due_nor_late(store: Store) -> None:
    more = f"{LATER}, within: 1s, when_down: critical"
    house = House(store, flow("order.placed", "accept_order", more))
    await house.receive(payload())
    await settled(house)
    streams = house.worker().streams
    reading = await pressure.measure(store, pressure.on_time(house.blueprint, streams), 100)
    assert (reading.backlog, reading.lag) == (0, 0.0)
    found = await lanes.depth(store)
    assert (found["deliveries"], found["for_later"]) == (1, 1)
    (waits,) = (await timeline.of(store, subject()))["waiting"]
    assert datetime.fromisoformat(waits["not_before"]) > NOW

    async with store.write() as connection:
        await connection.execute(sa.update(schema.delivery).values(created_at=0.0))
        await systems.close_system(connection, store, ERP, failing(Kind.DOWN).outcome)
    await alerts.look(store, house.blueprint, await systems.closed(store))
    assert await house.exceptions() == [], "nobody is told of what has to wait in any case"
    await time_comes(store)
    await alerts.look(store, house.blueprint, await systems.closed(store))
    assert [e["reason"] for e in await house.exceptions()] == [alerts.REASON]
