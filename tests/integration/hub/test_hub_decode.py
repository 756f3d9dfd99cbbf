"""Decode: shops tell states, late, doubled and in any order; what differs from what is known becomes events."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import empty
from tests.fakes import (
    ERP,
    FLOWS,
    SHOP,
    Fake,
    House,
    arrival,
    assert_one_status,
    at,
    decode_order,
    payload,
    rows_of,
    subject,
)

from counterfoil.hub import exceptions, lanes, receipts, records, schema
from counterfoil.hub.contract import Item, Observed, Outcome, rejected
from counterfoil.hub.decode import Decision, Process
from counterfoil.hub.lanes import DECODE, NewDelivery
from counterfoil.hub.store import Store, open_store

# --- states become events -----------------------------------------------------------------------------------


async def test_the_first_state_of_an_order_places_it(store: Store) -> None:
    house = House(store)
    await house.hear(payload(1))
    assert await house.events() == ["order.placed", "order.accepted"]
    (known,) = await rows_of(store, schema.object_)
    assert (known["stage"], known["canonical_id"]) == ("placed", subject(1))


async def test_a_newer_state_becomes_the_difference(store: Store) -> None:
    house = House(store, flows="  - {on: order.placed, do: erp.accept_order}\n")
    await house.hear(payload(1, status="on_hold"))
    await house.hear(payload(1, modified=at(5), paid=at(4)))
    assert [e for e in await house.events() if e != "order.accepted"] == ["order.placed", "order.paid"]


async def test_several_changes_between_two_looks_are_several_facts(store: Store) -> None:
    """Payloads are coalesced: the poll sees only where it ended."""
    house = House(store)
    await house.hear(payload(1, status="on_hold"))
    await house.hear(payload(1, modified=at(5), status="processing", total="13.00"))
    assert {"order.changed", "order.paid"} <= set(await house.events())


async def test_states_of_one_order_in_one_batch_are_taken_one_after_the_other(store: Store) -> None:
    """Three webhooks within a moment: placed, changed, cancelled, in that order."""
    house = House(store)
    await house.hear(
        payload(1),
        payload(1, modified=at(1), total="13.00"),
        payload(1, modified=at(2), total="13.00", status="cancelled"),
    )
    events = [e for e in await house.events() if e not in ("order.accepted", "order.closed")]
    assert events == ["order.placed", "order.changed", "order.cancelled"]
    assert house.erp.history == [("accept_order", subject(1)), ("cancel_order", subject(1))]


async def test_an_event_carries_who_sent_it_what_it_is_about_and_when(store: Store) -> None:
    house = House(store)
    await house.hear(payload(1, modified=at(7)))
    placed, accepted = sorted(await rows_of(store, schema.event), key=lambda e: e["recorded_at"])
    assert (placed["source"], placed["subject"], placed["correlation"]) == (SHOP, subject(1), subject(1))
    assert placed["time"] == decode_order(SHOP, payload(modified=at(7))).modified_at.timestamp()
    assert (accepted["source"], accepted["causation"]) == (ERP, placed["id"])


# --- what is no news ------------------------------------------------------------------------------------------


async def test_an_older_state_that_comes_late_is_stale(store: Store) -> None:
    """The webhook of the unpaid order arrives after that of the cancelled one: nothing is turned back."""
    house = House(store)
    await house.hear(payload(1, modified=at(9), status="cancelled"))
    await house.hear(payload(1, modified=at(1), status="processing"))
    assert await house.events() == ["order.not_wanted"]
    assert (await house.counters())["stale"] == 1
    assert house.erp.calls == []


async def test_the_same_state_in_other_bytes_is_a_duplicate(store: Store) -> None:
    """A webhook and a poll do not write the same JSON."""
    house = House(store)
    await house.hear(payload(1))
    await house.hear(payload(1) + b" \n")
    assert await house.events() == ["order.placed", "order.accepted"]
    assert (await house.counters())["duplicate"] == 1


async def test_a_touch_that_changes_nothing_is_counted_and_moves_the_version(store: Store) -> None:
    house = House(store)
    await house.hear(payload(1))
    await house.hear(payload(1, modified=at(30)))
    await house.hear(payload(1, modified=at(20), total="13.00"))
    assert await house.events() == ["order.placed", "order.accepted"]
    assert await house.counters() == {"echo": 1, "stale": 1}


async def test_other_content_within_the_same_second_is_news(store: Store) -> None:
    """A shop's clock has seconds; two changes fit into one. case: F09"""
    house = House(store)
    await house.hear(payload(1, status="on_hold"))
    await house.hear(payload(1, status="processing"))
    await house.hear(payload(1, status="processing", paid=at(0)))
    told = [e for e in await house.events() if e != "order.accepted"]
    assert told == ["order.placed", "order.paid", "order.paid"]
    assert len(await house.outcomes()) == 3


# --- echoes -----------------------------------------------------------------------------------------------------

NOTED = FLOWS + "  - {on: order.accepted, from: shop, do: shop.note_order}\n"


async def test_the_shop_repeating_what_we_wrote_is_dropped(store: Store) -> None:
    """The ERP's number is written into the shop's order, the shop tells the world: no event, no loop. case: F37"""
    house = House(store, NOTED)
    await house.hear(payload(1))
    await house.hear(payload(1, modified=at(5), erp_number="S1"))
    assert await house.events() == ["order.placed", "order.accepted", "order.noted"]
    assert (await house.counters())["echo"] == 1
    assert [c.operation for c in house.shop.calls] == ["note_order"]
    assert [c.operation for c in house.erp.calls] == ["accept_order"]


async def test_an_echo_does_not_erase_an_error(store: Store) -> None:
    """The ERP refused the order and a person has not looked yet: our own echo is no reason to go on. case: F37"""
    house = House(store, FLOWS + "  - {on: order.placed, do: shop.note_order}\n")
    house.erp.always[subject(1)] = rejected("unknown_sku", "No product MUG.", "Make it.")
    await house.hear(payload(1))
    (before,) = await house.exceptions()
    await house.hear(payload(1, modified=at(5), erp_number="none yet"))
    assert (await house.counters())["echo"] == 1
    assert await house.exceptions() == [before]
    assert len(house.erp.calls) == 1
    await assert_one_status(store)


async def test_the_answer_to_our_own_write_is_already_known_when_it_comes_back(store: Store) -> None:
    """The write's answer holds the new version, so even a doubled echo is only a duplicate. case: F37"""
    house = House(store, NOTED)
    written = payload(1, modified=at(5), erp_number="S1")
    house.shop.plan(subject(1), answers_with(written))
    await house.hear(payload(1))
    (known,) = await rows_of(store, schema.object_)
    assert known["version"] == at(5)
    await house.hear(written)
    assert await house.counters() == {"duplicate": 1}
    assert await house.events() == ["order.placed", "order.accepted", "order.noted"]


async def test_a_strangers_change_in_the_answer_to_our_write_still_becomes_an_event(store: Store) -> None:
    """Someone cancelled while we wrote: the answer shows it, the receipt tells it. case: F37"""
    house = House(store, NOTED)
    written = payload(1, modified=at(5), erp_number="S1", status="cancelled")
    house.shop.plan(subject(1), answers_with(written))
    await house.hear(payload(1))
    await house.hear(written)
    assert "order.cancelled" in await house.events()
    assert house.erp.history[-1] == ("cancel_order", subject(1))


def answers_with(body: bytes) -> Any:
    """A step whose answer shows the order as this body says it now is."""

    async def step(item: Item) -> Outcome:
        state = decode_order(SHOP, body)
        seen = Observed("order", state.id, state.modified_at.isoformat(), state)
        return dataclasses.replace(await Fake(SHOP).stand(item, "note_order"), observed=seen)

    return step


# --- exactly once ---------------------------------------------------------------------------------------------


async def test_two_hubs_give_the_same_fact_the_same_id(store: Store, tmp_path: Any) -> None:
    """Ids come from the shop's data: not from the attempt, the receipt or the clock. case: F04"""
    house = House(store)
    await house.hear(payload(99))  # the numbers of receipts and deliveries differ
    await house.hear(payload(1))
    ids = {e["id"] for e in await rows_of(store, schema.event, subject=subject(1))}
    other = await open_store(f"sqlite:///{tmp_path}/other.db")
    try:
        await House(other).hear(payload(1))
        assert ids == {e["id"] for e in await rows_of(other, schema.event)}
    finally:
        await other.close()


async def test_a_receipt_looked_at_twice_gives_no_second_event(store: Store) -> None:
    """case: F04"""
    house = House(store)
    await house.hear(payload(1))
    (receipt,) = await rows_of(store, schema.receipt)
    again = NewDelivery(SHOP, DECODE, "order:1", DECODE, subject(1), receipt_id=receipt["id"], on_exception="pass")
    async with store.write() as connection:
        await lanes.enqueue(connection, store, [again])
    await house.work()
    assert await house.events() == ["order.placed", "order.accepted"]
    assert house.erp.made == [subject(1)]
    assert len(house.erp.calls) == 1


async def test_an_event_that_is_there_already_gives_rise_to_nothing_again(store: Store) -> None:
    """Should the object be forgotten (a purge, a restore), the event's id still stands in the way. case: F04"""
    house = House(store)
    await house.hear(payload(1))
    async with store.write() as connection:
        await connection.execute(schema.object_.delete())
        await connection.execute(schema.seen.delete())
    await house.hear(payload(1))
    assert await house.events() == ["order.placed", "order.accepted"]
    assert len(house.erp.calls) == 1


async def test_object_events_and_deliveries_are_written_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies after everything was written and before it was committed: nothing of it stands."""
    house = House(store)
    await house.receive(payload(1))

    async def dies(*_: object) -> None:
        raise OSError("the machine stops here")

    with monkeypatch.context() as patch:
        patch.setattr(records, "keep_log", dies)
        worker = house.worker()
        await worker.dispatch()
        await asyncio.wait(list(worker._running))
    for table in (schema.object_, schema.event, schema.event_ref, schema.seen, schema.delivery_log):
        assert await rows_of(store, table) == []
    assert [d["operation"] for d in await rows_of(store, schema.delivery)] == [DECODE]

    await house.work()
    assert await house.events() == ["order.placed", "order.accepted"]


STATUSES = ["pending", "on_hold", "processing", "completed", "cancelled"]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STATUSES), st.integers(0, 3)), min_size=1, max_size=6), st.randoms())
async def test_in_whatever_order_payloads_come_the_newest_state_stands(
    store: Store, told: list[tuple[str, int]], dice: Any
) -> None:
    """Shuffled and doubled: the object ends at the newest second, and no order is made twice. case: F03"""
    await empty(store)
    house = House(store)
    newest = max(second for _, second in told)
    doubled = [payload(1, status=status, modified=at(second)) for status, second in told] * 2
    dice.shuffle(doubled)
    await house.hear(*doubled)
    (known,) = await rows_of(store, schema.object_)
    assert known["version"] == at(newest)
    assert known["state"]["status"] in {status for status, second in told if second == newest}
    assert len(house.erp.made) == len(set(house.erp.made))
    await assert_one_status(store)


# --- one bad body among good ones -------------------------------------------------------------------------------


async def test_a_body_that_is_no_json_fails_alone_and_is_kept(store: Store) -> None:
    house = House(store)
    async with store.write() as connection:
        arrivals = [arrival(payload(1)), arrival(b"<html>504</html>", "2"), arrival(payload(3))]
        await receipts.take(connection, store, arrivals)
    await house.work()
    assert house.erp.made == [subject(1), subject(3)]
    (told,) = await house.exceptions()
    assert (told["reason"], told["message"], told["outcome"]) == ("not_json", "The body is not JSON.", "rejected")
    (kept,) = await rows_of(store, schema.receipt, id=told["receipt_id"])
    assert kept["body"] == b"<html>504</html>"
    assert not told["held"]
    await assert_one_status(store)


async def test_a_decoder_that_breaks_fails_that_body_alone_with_its_trace(store: Store) -> None:
    house = House(store)
    await house.hear(payload(1), b'{"id": "2"}', payload(3))
    assert house.erp.made == [subject(1), subject(3)]
    (told,) = await house.exceptions()
    assert (told["outcome"], told["reason"], told["owner"]) == ("bug", "decode_failed", "integration-engineer")
    assert "KeyError" in told["technical"]


async def test_a_process_that_breaks_fails_that_order_alone(store: Store) -> None:
    """The rules stumble over one order: the forty-nine beside it are none the worse. case: F17"""
    house = House(store)
    sound = house.processes[SHOP]["order"]

    def stumbles(known: Any, observed: Observed, origin: str) -> Decision:
        if observed.object_id == "2":
            raise ValueError("EUR and JPY cannot be combined")
        return sound.interpret(known, observed, origin)

    house.processes[SHOP]["order"] = Process(stumbles, sound.ignore)
    await house.hear(payload(1), payload(2), payload(3))
    assert house.erp.made == [subject(1), subject(3)]
    (told,) = await house.exceptions()
    assert (told["reason"], told["subject"]) == ("interpret_failed", subject(2))
    assert "EUR and JPY cannot be combined" in told["technical"]
    assert {o["object_id"] for o in await rows_of(store, schema.object_)} == {"1", "3"}


async def test_what_the_database_cannot_hold_fails_that_order_alone(store: Store) -> None:
    """A zero byte in a SKU: SQLite keeps it, PostgreSQL does not; the others arrive either way. case: F17"""
    house = House(store)
    await house.hear(payload(1), payload(2, sku="MUG\x00"), payload(3))
    assert {subject(1), subject(3)} <= set(house.erp.made)
    told = await house.exceptions()
    assert [e["subject"] for e in told] == ([] if store.is_sqlite else [subject(2)])
    await assert_one_status(store)


async def test_once_it_can_be_read_it_is_retried_from_the_kept_body(store: Store) -> None:
    """A newer version is installed: the person presses retry, nobody asks the shop again."""
    house = House(store)
    decode = house.shop.decode

    def too_old(given: Any) -> Observed:
        raise KeyError("a field this version does not know")

    house.shop.decode = too_old  # type: ignore[method-assign]
    await house.hear(payload(1))
    (told,) = await house.exceptions()
    house.shop.decode = decode  # type: ignore[method-assign]
    await exceptions.act(store, told["id"], "retried", "ada")
    await house.work()
    assert house.erp.made == [subject(1)]
    assert await house.exceptions() == []


# --- deleted at the source ----------------------------------------------------------------------------------------


async def test_a_live_order_that_is_deleted_is_somebodys_business(store: Store) -> None:
    house = House(store)
    await house.hear(payload(1))
    await house.hear(payload(1, status="gone"))
    assert [e["reason"] for e in await house.exceptions()] == ["deleted"]


async def test_a_deletion_of_what_nobody_waits_for_is_only_counted(store: Store) -> None:
    house = House(store)
    await house.hear(payload(1, status="cancelled"))
    await house.hear(payload(1, status="gone"), payload(2, status="gone"))
    assert await house.exceptions() == []
    assert (await house.counters())["deleted"] == 2


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one after the other"])
async def test_deleted_and_seen_again_in_the_trash_is_a_cancellation_and_no_question(
    store: Store, together: bool
) -> None:
    """The webhook says deleted, the poll of the trash says what it is now: one of them is enough."""
    house = House(store)
    await house.hear(payload(1))
    gone, trashed = payload(1, status="gone"), payload(1, modified=at(5), status="trash")
    if together:
        await house.hear(gone, trashed)
    else:
        await house.hear(gone)
        await house.hear(trashed)
    assert await house.exceptions() == []
    assert "order.cancelled" in await house.events()
    await assert_one_status(store)


async def test_seen_and_then_deleted_stays_a_question(store: Store) -> None:
    """In one batch too: what was told before the deletion does not answer it."""
    house = House(store)
    await house.hear(payload(1))
    await house.hear(payload(1, modified=at(5), total="13.00"), payload(1, status="gone"))
    assert [e["reason"] for e in await house.exceptions()] == ["deleted"]


async def test_an_old_state_that_comes_after_the_deletion_does_not_answer_it(store: Store) -> None:
    house = House(store)
    await house.hear(payload(1, modified=at(5)))
    await house.hear(payload(1, status="gone"))
    await house.hear(payload(1, modified=at(1), total="13.00"))
    assert [e["reason"] for e in await house.exceptions()] == ["deleted"]
