"""Receipts: kept and queued in one transaction, acknowledged after it, and not kept twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.fakes import ERP, SHOP, House, arrival, assert_one_status, at, payload, raw, rows_of

from counterfoil.hub import receipts, schema
from counterfoil.hub.lanes import DECODE
from counterfoil.hub.receipts import Arrival, GroupCommit
from counterfoil.hub.store import Store

# --- kept and queued together -------------------------------------------------------------------------------


async def test_what_arrives_is_kept_byte_by_byte_and_queued(store: Store) -> None:
    """Nothing is parsed on the way in: a body may be anything."""
    body = b'\xff\xfe{"no": json\x00'
    async with store.write() as connection:
        assert await receipts.take(connection, store, [arrival(body, "17")]) == 1
    (receipt,) = await rows_of(store, schema.receipt)
    (delivery,) = await rows_of(store, schema.delivery)
    assert (receipt["system"], receipt["object_id"], receipt["origin"]) == (SHOP, "17", "webhook")
    assert receipt["body"] == body
    assert (delivery["receipt_id"], delivery["operation"]) == (receipt["id"], DECODE)
    await assert_one_status(store)


async def test_a_receipt_that_cannot_be_queued_is_not_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept but never looked at would be the worst of both."""

    async def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(receipts, "enqueue", broken)
    with pytest.raises(OSError, match="disk full"):
        await House(store).receive(payload())
    assert await rows_of(store, schema.receipt) == []


async def test_one_transaction_holds_the_arrivals_of_several_systems(store: Store) -> None:
    arrivals = [arrival(payload(1)), Arrival(ERP, "import", raw(payload(1))), arrival(payload(2))]
    async with store.write() as connection:
        assert await receipts.take(connection, store, arrivals) == 3
    kept = await rows_of(store, schema.receipt)
    assert [(r["system"], r["origin"], r["object_id"]) for r in kept] == [
        (SHOP, "webhook", "1"),
        (ERP, "import", "1"),
        (SHOP, "webhook", "2"),
    ]


# --- acknowledged after the commit ------------------------------------------------------------------------------


async def test_when_the_door_may_answer_another_process_sees_the_receipt(
    store: Store, another_store: Callable[[], Awaitable[Store]]
) -> None:
    elsewhere = await another_store()
    await GroupCommit(store).take(arrival(payload()))
    assert len(await rows_of(elsewhere, schema.receipt)) == 1


async def test_many_doors_share_few_commits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred webhooks at once are all kept, in a handful of transactions."""
    commits = 0
    write = store.write

    @contextlib.asynccontextmanager
    async def counted() -> AsyncIterator[AsyncConnection]:
        nonlocal commits
        async with write() as connection:
            yield connection
        commits += 1

    monkeypatch.setattr(store, "write", counted)
    intake = GroupCommit(store)
    await asyncio.gather(*(intake.take(arrival(payload(n))) for n in range(100)))
    assert len(await rows_of(store, schema.receipt)) == 100
    assert commits <= 3


async def test_a_store_that_fails_is_heard_by_every_door_that_waits(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them may say "kept", and nothing was."""

    async def broken(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(receipts, "enqueue", broken)
        intake = GroupCommit(store)
        heard = await asyncio.gather(*(intake.take(arrival(payload(n))) for n in range(3)), return_exceptions=True)
    assert [str(e) for e in heard] == ["disk full"] * 3
    assert await rows_of(store, schema.receipt) == []
    await intake.take(arrival(payload(1)))
    assert len(await rows_of(store, schema.receipt)) == 1


# --- not kept twice ---------------------------------------------------------------------------------------------


async def test_a_body_that_was_decoded_already_is_counted_and_not_kept_again(store: Store) -> None:
    """The reconciling poll sees every order again and again."""
    house = House(store)
    await house.hear(payload(1))
    assert await house.receive(payload(1), origin="poll") == 0
    assert await house.receive(payload(1), payload(1), origin="webhook") == 0
    assert len(await rows_of(store, schema.receipt)) == 1
    assert await house.counters() == {"duplicate_poll": 1, "duplicate_webhook": 2}


async def test_a_duplicate_before_the_first_was_decoded_is_kept_and_dropped_later(store: Store) -> None:
    """Webhook and poll at the same moment, from two sources: one order. case: F03"""
    house = House(store)
    await house.receive(payload(1), origin="webhook")
    await house.receive(payload(1), origin="poll")
    await house.work()
    assert await house.events() == ["order.placed", "order.accepted"]
    assert house.erp.made == ["shop:order:1"]
    assert await house.counters() == {"duplicate": 1}


async def test_the_same_body_for_another_order_or_system_is_no_duplicate(store: Store) -> None:
    house = House(store)
    await house.hear(payload(1))
    async with store.write() as connection:
        others = [Arrival(ERP, "webhook", raw(payload(1))), arrival(payload(1), object_id="2")]
        assert await receipts.take(connection, store, others) == 2


async def test_only_the_body_last_decoded_counts(store: Store) -> None:
    """What was true before something else was true is worth a look: the shop may have gone back to it."""
    house = House(store)
    await house.hear(payload(1))
    await house.hear(payload(1, modified=at(1), total="13.00"))
    assert await house.receive(payload(1)) == 1


async def test_a_stale_body_does_not_pass_for_the_last_one(store: Store) -> None:
    """After an old webhook came late, the newest state polled again is still a duplicate."""
    house = House(store)
    newest = payload(1, modified=at(9))
    await house.hear(newest)
    await house.hear(payload(1, modified=at(1), total="13.00"))
    assert await house.receive(newest, origin="poll") == 0


async def test_a_body_nobody_can_read_is_one_exception_however_often_it_comes(store: Store) -> None:
    """Every poll brings the same broken order again: a person need not be told each minute."""
    house = House(store)
    for _ in range(3):
        await house.receive(payload(1, total="twelve"), origin="poll")
        await house.work()
    assert len(await house.exceptions()) == 1
    assert await house.counters() == {"duplicate_poll": 2}
