"""The worker: what becomes of each delivery, whatever the other system answers."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest
import sqlalchemy as sa
from tests.fakes import (
    ERP,
    FLOWS,
    SHOP,
    Fake,
    House,
    arrival,
    assert_one_status,
    at,
    failing,
    hasten,
    payload,
    rows_of,
    subject,
    until,
)

from counterfoil.hub import carrying, exceptions, lanes, receipts, records, schema, systems
from counterfoil.hub.claiming import Work
from counterfoil.hub.contract import Item, Kind, Outcome, done, rejected
from counterfoil.hub.lanes import NewDelivery
from counterfoil.hub.store import Store

NO_SKU = rejected("unknown_sku", "No product MUG.", "Make the product.", "KeyError: MUG")
LOST_RACE = Outcome(Kind.RETRY, "lost_race", technical="could not serialize access due to concurrent update")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries do not wait, and a person is asked after three attempts."""
    monkeypatch.setattr(carrying, "backoff", lambda *_: 0.0)
    monkeypatch.setattr(carrying, "MOST_ATTEMPTS", 3)


# --- done ---------------------------------------------------------------------------------------------------------


async def test_what_is_done_leaves_its_result_its_link_and_its_events(store: Store) -> None:
    house = House(store)
    await house.hear(payload(1))
    (line,) = await rows_of(store, schema.delivery_log, operation="accept_order")
    assert (line["outcome"], line["attempt"], line["detail"]) == ("done", 1, {"result": {"number": "S1"}})
    (link,) = await rows_of(store, schema.link)
    assert (link["canonical_id"], link["system"], link["object_id"]) == (subject(1), ERP, f"id-{subject(1)}")
    (accepted,) = await rows_of(store, schema.event, type="order.accepted")
    assert (accepted["source"], accepted["data"]) == (ERP, {"number": "S1"})


async def test_a_later_operation_is_told_the_id_the_other_system_gave(store: Store) -> None:
    house = House(store)
    told: list[str] = []

    async def cancel(item: Item) -> Outcome:
        told.append(item.link)
        return done({})

    await house.hear(payload(1))
    house.erp.plan(subject(1), cancel)
    await house.hear(payload(1, modified=at(1), status="cancelled"))
    assert told == [f"id-{subject(1)}"]


async def test_deliveries_of_many_keys_go_in_batches(store: Store) -> None:
    """As many as the operation takes at once, or as the flow says."""
    house = House(store, "  - {on: order.placed, do: erp.accept_order, batch: 4}\n")
    await house.hear(*[payload(n) for n in range(10)])
    assert sorted(len(c.subjects) for c in house.erp.calls) == [2, 4, 4]


async def test_a_promise_is_kept_with_the_delivery_its_log_and_its_exception(store: Store) -> None:
    house = House(store, "  - {on: order.placed, do: erp.accept_order, within: 60s}\n")
    house.erp.plan(subject(1), NO_SKU)
    await house.hear(payload(1))
    (pending,) = await rows_of(store, schema.delivery)
    assert pending["promise_by"] == pytest.approx(pending["created_at"] + 60, abs=0.001)
    (line,) = await rows_of(store, schema.delivery_log, operation="accept_order")
    (told,) = await house.exceptions()
    assert line["promise_by"] == told["promise_by"] == pending["promise_by"]


async def test_without_a_promise_there_is_none(store: Store) -> None:
    house = House(store)
    await house.hear(payload(1))
    assert {r["promise_by"] for r in await rows_of(store, schema.delivery_log)} == {None}


# --- an outcome an item ------------------------------------------------------------------------------------------


async def test_each_item_of_a_batch_has_its_own_outcome(store: Store) -> None:
    """case: F17"""
    house = House(store)
    house.erp.plan(subject(2), NO_SKU)
    house.erp.plan(subject(3), LOST_RACE)
    await house.hear(*[payload(n) for n in (1, 2, 3, 4)])
    assert house.erp.made == [subject(1), subject(4), subject(3)]
    told = await house.exceptions()
    assert [(e["subject"], e["reason"]) for e in told] == [(subject(2), "unknown_sku")]
    tries = {(r["subject"], r["outcome"]) for r in await rows_of(store, schema.delivery_log, operation="accept_order")}
    assert tries == {
        (subject(1), "done"),
        (subject(2), "rejected"),
        (subject(3), "retry"),
        (subject(3), "done"),
        (subject(4), "done"),
    }
    await assert_one_status(store)


@pytest.mark.parametrize(
    "bad",
    [ValueError("a price below zero"), failing(Kind.REJECTED, "bad_row"), failing(Kind.BUG, "bad_row")],
    ids=["raising", "rejecting", "breaking"],
)
async def test_a_row_that_fails_the_whole_batch_fails_alone(store: Store, bad: Exception) -> None:
    """The call is halved until the bad row stands alone; the other fifteen arrive. case: F17"""
    house = House(store, erp=Fake(ERP, batch=16))
    house.erp.always[subject(11)] = bad
    await house.hear(*[payload(n) for n in range(16)])
    assert sorted(house.erp.made) == sorted(subject(n) for n in range(16) if n != 11)
    assert [e["subject"] for e in await house.exceptions()] == [subject(11)]
    assert len(house.erp.calls) == 9  # 16, then four times both halves
    await assert_one_status(store)


async def test_a_batch_that_fails_for_a_passing_reason_is_not_torn_apart(store: Store, at_once: None) -> None:
    house = House(store)
    house.erp.plan(subject(1), failing(Kind.RETRY, "lost_race"))
    await house.hear(*[payload(n) for n in range(4)])
    assert [len(c.subjects) for c in house.erp.calls] == [4, 4]
    assert [c.attempts for c in house.erp.calls] == [(1,) * 4, (2,) * 4]


async def test_an_operation_that_loses_count_is_a_bug_of_its_own(store: Store) -> None:
    """Three items, two outcomes: nobody can say whose they are."""
    house = House(store)
    sound = house.erp._operations["accept_order"]

    async def short(items: Any) -> list[Outcome]:
        return (await sound.run(items))[:-1]

    house.erp._operations["accept_order"] = dataclasses.replace(sound, run=short)
    await house.hear(payload(1), payload(2))
    told = await house.exceptions()
    assert {e["outcome"] for e in told} == {"bug"}
    assert len(told) == 2
    assert "answered 0 outcomes for 1 items" in told[0]["technical"]


async def test_an_answer_the_database_cannot_hold_fails_alone(store: Store) -> None:
    """A zero byte, half a character, something that is no JSON: the batch beside it is none the worse. case: F17"""
    house = House(store)
    house.erp.plan(subject(1), done({"number": object()}))
    house.erp.plan(subject(2), done({}, link="\ud83d"))
    await house.hear(*[payload(n) for n in range(4)])
    told = await house.exceptions()
    assert [(e["subject"], e["reason"]) for e in told] == [(subject(n), "cannot_be_kept") for n in (1, 2)]
    assert sorted(house.erp.made) == [subject(0), subject(3)]
    await assert_one_status(store)


# --- tried again -------------------------------------------------------------------------------------------------


async def test_a_passing_failure_is_tried_again_and_its_attempts_are_counted(store: Store, at_once: None) -> None:
    house = House(store)
    house.erp.plan(subject(1), LOST_RACE, LOST_RACE)
    await house.hear(payload(1))
    assert [c.attempts for c in house.erp.calls] == [(1,), (2,), (3,)]
    assert await house.outcomes() == ["retry", "retry", "done"]
    assert await house.exceptions() == []


async def test_the_wait_before_a_retry_follows_the_attempts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lane is due again after the backoff of its attempt, by the database's clock."""
    monkeypatch.setattr(carrying, "backoff", lambda attempt: 1000.0 * attempt)
    house = House(store)
    house.erp.always[subject(1)] = LOST_RACE
    await house.receive(payload(1))
    async with house.working():
        for attempt in (1, 2):

            async def waits(attempt: int = attempt) -> bool:
                due = await lanes.next_due(store)
                return due is not None and 1000.0 * attempt - 10 < due <= 1000.0 * attempt

            await until(waits)
            await hasten(store)


async def test_a_lost_race_is_tried_again_at_once_and_is_no_outage(store: Store) -> None:
    """Odoo's "could not serialize access": the system is not closed, the others go on. case: F12"""
    house = House(store)
    house.erp.plan(subject(1), LOST_RACE)
    await house.hear(payload(1), payload(2))
    assert await rows_of(store, schema.system_state) == []
    first, again = (
        r for r in await rows_of(store, schema.delivery_log, operation="accept_order") if r["subject"] == subject(1)
    )
    assert (first["outcome"], again["outcome"]) == ("retry", "done")
    assert again["started_at"] - first["ended_at"] < 1.0


async def test_after_the_last_attempt_a_person_is_asked(store: Store, at_once: None) -> None:
    house = House(store)
    house.erp.always[subject(1)] = LOST_RACE
    await house.hear(payload(1))
    (told,) = await house.exceptions()
    assert (told["reason"], told["held"]) == ("gave_up", True)
    assert told["message"] == "Tried 3 times without success: lost_race"
    assert "could not serialize" in told["technical"]
    assert await house.outcomes() == ["retry", "retry", "rejected"]


async def test_who_presses_retry_gets_all_attempts_again(store: Store, at_once: None) -> None:
    house = House(store)
    house.erp.plan(subject(1), *[LOST_RACE] * 5)
    await house.hear(payload(1))
    (told,) = await house.exceptions()
    await exceptions.act(store, told["id"], "retried", "ada")
    await house.work()
    assert house.erp.made == [subject(1)]
    assert await house.exceptions() == []


# --- answers that are lost ------------------------------------------------------------------------------------------


async def test_a_call_whose_answer_was_lost_is_repeated_and_one_order_stands(store: Store) -> None:
    """It did land; the retry finds it and is a success. case: F01, case: F02"""
    house = House(store)
    house.erp.plan(subject(1), house.erp.lose_answer)
    await house.hear(payload(1))
    assert len(house.erp.calls) == 2
    assert house.erp.made == [subject(1)]
    assert await house.outcomes() == ["retry", "done"]
    assert await house.exceptions() == []
    assert (await house.events()).count("order.accepted") == 1


async def test_a_batch_whose_answer_was_lost_is_repeated_whole(store: Store, at_once: None) -> None:
    """Half of it had landed: each order stands once. case: F01, case: F02"""
    house = House(store)
    house.erp.plan(subject(2), house.erp.lose_answer)
    await house.hear(*[payload(n) for n in range(5)])
    assert sorted(house.erp.made) == [subject(n) for n in range(5)]
    assert [len(c.subjects) for c in house.erp.calls] == [5, 5]


async def test_an_answer_that_comes_too_late_counts_as_lost(store: Store) -> None:
    """case: F01"""
    house = House(store, erp=Fake(ERP, timeout=0.1))

    async def done_but_silent(item: Item) -> Outcome:
        outcome = await house.erp.stand(item)
        await asyncio.sleep(30)
        return outcome

    house.erp.plan(subject(1), done_but_silent)
    await house.hear(payload(1))
    assert house.erp.made == [subject(1)]
    (first, _) = await rows_of(store, schema.delivery_log, operation="accept_order")
    assert (first["outcome"], first["reason"]) == ("retry", "timeout")


async def test_a_retry_carries_the_same_identity_as_the_first_try(store: Store) -> None:
    """Nothing an operation could build a key from changes between attempts, but the attempt itself. case: F04"""
    house = House(store)
    seen: list[tuple[Any, ...]] = []

    async def look(item: Item) -> Outcome:
        seen.append((item.delivery, item.subject, item.key, item.event_type, item.data))
        return LOST_RACE if len(seen) == 1 else done({})

    house.erp.always[subject(1)] = look
    await house.hear(payload(1))
    assert len(seen) == 2
    assert seen[0] == seen[1]


# --- exceptions ---------------------------------------------------------------------------------------------------


async def test_a_refusal_is_an_exception_in_the_systems_own_words(store: Store) -> None:
    house = House(store, more="exceptions: {default: ada, unknown_sku: bob}\n")
    house.erp.plan(subject(1), NO_SKU)
    await house.hear(payload(1))
    (told,) = await house.exceptions()
    words = ("outcome", "reason", "message", "technical", "suggestion", "owner")
    assert [told[w] for w in words] == [
        "rejected",
        "unknown_sku",
        "No product MUG.",
        "KeyError: MUG",
        "Make the product.",
        "bob",
    ]


async def test_a_bug_is_an_exception_with_its_trace(store: Store) -> None:
    house = House(store)
    house.erp.plan(subject(1), ZeroDivisionError("rate is nought"))
    await house.hear(payload(1))
    (told,) = await house.exceptions()
    assert (told["outcome"], told["owner"]) == ("bug", "integration-engineer")
    assert "ZeroDivisionError: rate is nought" in told["technical"]
    assert "Traceback" in told["technical"]


async def test_hold_keeps_what_follows_waiting(store: Store) -> None:
    """The order was refused: its cancellation must not be tried before a person has looked."""
    house = House(store)
    house.erp.plan(subject(1), NO_SKU)
    await house.hear(payload(1))
    await house.receive(payload(1, modified=at(1), status="on_hold"))
    await house.work()
    assert [c.operation for c in house.erp.calls] == ["accept_order"]
    assert (await lanes.depth(store))["held"] == 1


async def test_hold_keeps_the_same_order_waiting_and_no_other(store: Store) -> None:
    house = House(store)
    house.erp.plan(subject(1), NO_SKU)
    await house.hear(payload(1))
    await house.hear(payload(2))
    assert house.erp.made == [subject(2)]


async def test_pass_lets_what_follows_go_on(store: Store) -> None:
    flows = """\
  - {on: order.placed, do: erp.accept_order, on_exception: pass}
  - {on: order.placed, do: erp.note_order}
"""
    house = House(store, flows)
    house.erp.plan(subject(1), NO_SKU)
    await house.hear(payload(1))
    assert house.erp.history == [("note_order", subject(1))]
    (told,) = await house.exceptions()
    assert not told["held"]
    assert await rows_of(store, schema.delivery) == []


async def test_hub_ask_puts_an_event_before_a_person(store: Store) -> None:
    house = House(store, FLOWS + "  - {on: order.changed, do: hub.ask}\n")
    await house.hear(payload(1), payload(1, modified=at(1), total="13.00"))
    (told,) = await house.exceptions()
    assert (told["system"], told["reason"], told["subject"]) == ("hub", "order.changed", subject(1))
    assert house.erp.made == [subject(1)]


async def test_a_delivery_nobody_can_carry_out_any_more_is_asked_about_and_holds_up_nobody(store: Store) -> None:
    """Left over from another version: it alone fails, the system goes on being called."""
    house = House(store, FLOWS + "  - {on: order.placed, do: erp.note_order}\n")
    del house.erp._operations["note_order"]
    worker = house.worker()
    worker.streams["erp.note_order"] = "order"
    await house.receive(*[payload(n) for n in range(3)])
    await worker.drain(20)
    assert sorted(house.erp.made) == [subject(n) for n in range(3)]
    told = await house.exceptions()
    assert {e["reason"] for e in told} == {"no_such_operation"}
    assert sorted(e["subject"] for e in told) == [subject(n) for n in range(3)]
    assert "erp has no operation 'note_order' any more" in told[0]["message"]
    assert await systems.closed(store) == {}
    await assert_one_status(store)


# --- order, and side by side ---------------------------------------------------------------------------------------


async def test_a_cancellation_never_comes_before_its_order_with_several_workers(store: Store) -> None:
    """Three workers, parallel calls, failures in between: each order is made before it is cancelled."""
    house = House(store, erp=Fake(ERP, batch=3, parallel=3))
    for n in range(0, 20, 3):
        house.erp.plan(subject(n), house.erp.slow(0.05), house.erp.slow(0.02))
    for n in range(1, 20, 5):
        house.erp.plan(subject(n), LOST_RACE)
    await house.receive(*[payload(n) for n in range(20)])
    async with house.working(*(house.worker() for _ in range(3))):
        await house.receive(*[payload(n, modified=at(1), status="cancelled") for n in range(20)])
        await house.worker().drain(30)
    for n in range(20):
        mine = [r for r in await rows_of(store, schema.delivery_log, subject=subject(n)) if r["outcome"] == "done"]
        done_in_order = [r["operation"] for r in mine if r["operation"] != "decode"]
        assert done_in_order == ["accept_order", "cancel_order"]
    assert len(house.erp.made) == 20


async def test_keys_run_beside_each_other(store: Store) -> None:
    """One slow order does not hold up the next."""
    house = House(store, erp=Fake(ERP, batch=1, parallel=2))
    go_on = asyncio.Event()
    house.erp.plan(subject(1), house.erp.waiting_for(go_on))
    await house.receive(payload(1), payload(2))
    async with house.working():
        await until(lambda: made(house, subject(2)))
        assert subject(1) not in house.erp.made
        go_on.set()
        await until(lambda: made(house, subject(1)))


async def made(house: House, what: str) -> bool:
    """Whether it stands in the ERP."""
    return what in house.erp.made


async def test_no_more_calls_at_once_than_the_operation_allows(store: Store) -> None:
    house = House(store, erp=Fake(ERP, batch=1, parallel=2))
    for n in range(8):
        house.erp.plan(subject(n), house.erp.slow(0.02))
    await house.hear(*[payload(n) for n in range(8)])
    assert house.erp.most_at_once == 2


def same_sku(item: Item) -> frozenset[str]:
    """Two orders of one product must not be confirmed at the same time."""
    return frozenset(line["sku"] for line in item.data["order"]["lines"])


async def test_calls_that_touch_the_same_are_kept_apart(store: Store) -> None:
    """And those that do not are not: of four slow calls over two products, two are in flight at once."""
    house = House(store, erp=Fake(ERP, batch=1, parallel=4, conflicts=same_sku))
    touching: list[str] = []
    clashes: list[str] = []

    async def step(item: Item) -> Outcome:
        (sku,) = same_sku(item)
        clashes.extend([sku] if sku in touching else [])
        touching.append(sku)
        await asyncio.sleep(0.03)
        touching.remove(sku)
        return await house.erp.stand(item)

    for n in range(8):
        house.erp.plan(subject(n), step)
    await house.hear(*[payload(n, sku="MUG" if n % 2 else "CUP") for n in range(8)])
    assert clashes == []
    assert house.erp.most_at_once == 2
    assert len(house.erp.made) == 8


async def test_conflicts_that_cannot_be_told_do_not_stop_the_worker(store: Store) -> None:
    """The question itself breaks on one order: it and all others are still carried out."""

    def breaks(item: Item) -> frozenset[str]:
        raise KeyError("lines")

    house = House(store, erp=Fake(ERP, conflicts=breaks))
    await house.receive(payload(1), payload(2))
    async with house.working():
        await until(lambda: made(house, subject(2)))


# --- leases in flight -----------------------------------------------------------------------------------------------


async def test_a_call_that_takes_longer_than_a_lease_keeps_it(store: Store) -> None:
    """The heart beats while it runs, and nobody else takes the order up."""
    erp = Fake(ERP, parallel=2)
    house = House(store, erp=erp)
    erp.plan(subject(1), erp.slow(1.2))
    await house.receive(payload(1))
    async with house.working(house.worker(lease=0.4), house.worker(lease=0.4)):
        await until(lambda: made(house, subject(1)))
    assert len(erp.calls) == 1
    assert await house.outcomes() == ["done"]


async def test_results_of_a_lost_lease_are_dropped_and_those_beside_it_kept(store: Store) -> None:
    """Somebody took over one of two orders while the call was out: only the other's result counts. case: F11"""
    house = House(store)
    go_on, there = asyncio.Event(), asyncio.Event()
    house.erp.plan(subject(1), house.erp.waiting_for(go_on, there))
    await house.receive(payload(1), payload(2))
    worker = house.worker()
    async with house.working(worker):
        await there.wait()
        async with store.write() as connection:
            await connection.execute(
                sa.update(schema.lane).filter_by(key=subject(1)).values(worker="bob", token="bobs")
            )
        go_on.set()

        async def settled() -> bool:
            return "done" in await house.outcomes()

        await until(settled)
    log = await rows_of(store, schema.delivery_log, operation="accept_order")
    assert [(r["subject"], r["outcome"]) for r in log] == [(subject(2), "done")]
    assert [e["subject"] for e in await rows_of(store, schema.event, type="order.accepted")] == [subject(2)]
    (lane,) = await rows_of(store, schema.lane)
    assert (lane["key"], lane["worker"], lane["token"]) == (subject(1), "bob", "bobs")


async def test_a_result_that_could_not_be_written_is_taken_up_again_although_the_worker_lives(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store failed for a moment. The worker goes on, busy with another order, and must not sit on this one.

    case: F11
    """
    house = House(store, erp=Fake(ERP, batch=1, parallel=2))
    go_on = asyncio.Event()
    house.erp.plan(subject(1), house.erp.waiting_for(go_on))
    keep_log, failures = records.keep_log, 1

    async def fails_once(connection: Any, *arguments: Any) -> None:
        nonlocal failures
        if failures and arguments[-1][0][0].subject == subject(2) and arguments[-1][0][0].operation != "decode":
            failures -= 1
            raise OSError("connection reset")
        await keep_log(connection, *arguments)

    monkeypatch.setattr(records, "keep_log", fails_once)
    await house.receive(payload(1), payload(2))
    async with house.working():

        async def accepted() -> bool:
            return await house.outcomes() == ["done"]

        await until(accepted)
        assert [c.subjects for c in house.erp.calls if c.subjects == (subject(2),)] == [(subject(2),)] * 2
        go_on.set()
        await until(lambda: made(house, subject(1)))
    assert house.erp.made.count(subject(2)) == 1


async def test_a_call_that_broke_in_our_own_hands_does_not_keep_its_lease(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever went wrong in the worker itself: when the lease is over the order is taken up, the heart beating on.

    case: F11
    """
    house = House(store, erp=Fake(ERP, batch=1, parallel=2))
    go_on = asyncio.Event()
    house.erp.plan(subject(1), house.erp.waiting_for(go_on))
    item, failures = carrying.item, 1

    def breaks_once(work: Work) -> Item:
        nonlocal failures
        if failures and work.subject == subject(2):
            failures -= 1
            raise KeyError("a mistake of ours")
        return item(work)

    monkeypatch.setattr(carrying, "item", breaks_once)
    await house.receive(payload(1), payload(2))
    async with house.working(house.worker(lease=0.4)):
        await until(lambda: made(house, subject(2)))
        go_on.set()
    assert failures == 0


# --- starting and stopping ----------------------------------------------------------------------------------------


async def test_a_worker_that_is_stopped_finishes_what_is_in_flight(store: Store) -> None:
    house = House(store)
    there = asyncio.Event()
    go_on = asyncio.Event()
    house.erp.plan(subject(1), house.erp.waiting_for(go_on, there))
    await house.receive(payload(1))
    worker = house.worker()
    running = asyncio.create_task(worker.run())
    await there.wait()
    worker.stop()
    await asyncio.sleep(0.05)
    assert not running.done()
    go_on.set()
    await asyncio.wait_for(running, 5)
    assert await house.outcomes() == ["done"]


async def test_an_error_in_looking_for_work_does_not_end_the_work(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store was gone for a moment, or something stranger happened: the worker tries again."""
    house = House(store)
    worker = house.worker()
    dispatch, failures = worker.dispatch, [OSError("gone"), KeyError("stranger")]

    async def fails_twice() -> bool:
        if failures:
            raise failures.pop()
        return await dispatch()

    monkeypatch.setattr(worker, "dispatch", fails_twice)
    await house.receive(payload(1))
    async with house.working(worker):
        await until(lambda: made(house, subject(1)))


async def test_a_heart_that_misses_a_beat_beats_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """case: F11"""
    house = House(store)
    beat, failures = lanes.heartbeat, 2
    beats = 0

    async def misses(*arguments: Any) -> None:
        nonlocal failures, beats
        if failures:
            failures -= 1
            raise RuntimeError("the driver broke")
        beats += 1
        await beat(*arguments)

    monkeypatch.setattr(lanes, "heartbeat", misses)
    async with house.working(house.worker(lease=0.1)):

        async def beaten() -> bool:
            return beats > 1

        await until(beaten)


async def test_new_work_wakes_a_worker_that_rests(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit that queued it is not yet over when the worker could first look: it must be told after that."""
    house = House(store)
    wait, rests = store.wait, 0

    async def for_as_long_as_nobody_wakes_it(_: float) -> None:
        nonlocal rests
        rests += 1
        await wait(3600.0)

    monkeypatch.setattr(store, "wait", for_as_long_as_nobody_wakes_it)
    await store.listen()
    async with house.working():
        for n in range(4):
            seen = rests

            async def rested(seen: int = seen) -> bool:
                return rests > seen

            async with store.write() as connection:
                await receipts.take(connection, store, [arrival(payload(n))])
                store.wake()  # it looks while the commit is still open, finds nothing and rests again
                await until(rested)
            await until(lambda n=n: made(house, subject(n)))


async def test_while_a_system_is_away_the_worker_does_not_spin(store: Store) -> None:
    """Its lanes are due and cannot be taken: no reason to ask the store fifty times a second."""
    house = House(store)
    house.erp.answer = failing(Kind.THROTTLED, "busy", until=None)
    await house.receive(*[payload(n) for n in range(30)])
    worker = house.worker()
    async with house.working(worker):

        async def closed() -> bool:
            return bool(await systems.closed(store))

        await until(closed)
        async with store.write() as connection:
            await connection.execute(sa.update(schema.system_state).values(open_until=store.now + 60))
        await asyncio.sleep(0.3)
        looked = 0
        dispatch = worker.dispatch

        async def counted() -> bool:
            nonlocal looked
            looked += 1
            return await dispatch()

        worker.dispatch = counted  # type: ignore[method-assign]
        await asyncio.sleep(0.8)
    assert looked <= 3


async def test_a_delivery_without_a_worker_for_it_waits(store: Store) -> None:
    """A worker of another blueprint leaves alone what it does not know."""
    async with store.write() as connection:
        await lanes.enqueue(connection, store, [NewDelivery("crm", "order", "k", "greet", subject(1), event_id="e1")])
    house = House(store)
    await house.receive(payload(1))
    async with house.working():
        await until(lambda: made(house, subject(1)))
    assert [d["system"] for d in await rows_of(store, schema.delivery)] == ["crm"]


async def test_the_shop_hears_of_it_in_the_end(store: Store) -> None:
    """From the click to the number in the shop: three events, two systems, nothing left over."""
    house = House(store, FLOWS + "  - {on: order.accepted, from: shop, do: shop.note_order}\n")
    await house.hear(payload(1))
    assert await house.events() == ["order.placed", "order.accepted", "order.noted"]
    assert house.shop.history == [("note_order", subject(1))]
    assert {r["system"] for r in await rows_of(store, schema.link)} == {SHOP, ERP}
    assert await rows_of(store, schema.delivery) == []
