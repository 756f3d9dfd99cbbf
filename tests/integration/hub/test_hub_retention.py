"""Retention: what is finished and old goes, what is needed stays, and nothing comes twice because of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.fakes import ERP, SHOP, Fake, House, at, failing, payload, rows_of, subject, until

from counterfoil.blueprint import Retention
from counterfoil.hub import draining, exceptions, replay, replays, retention, schema, timeline
from counterfoil.hub.contract import Kind, rejected
from counterfoil.hub.pausing import Place
from counterfoil.hub.replay import Choice
from counterfoil.hub.store import Store
from counterfoil.hub.views import search

DAY = 86400.0
NOTHING_KEPT = Retention(bodies=timedelta(milliseconds=1), history=timedelta(milliseconds=1))
DECLARED = Retention(bodies=timedelta(days=10), history=timedelta(days=100))
AGES = {
    schema.receipt: ("received_at",),
    schema.event: ("recorded_at",),
    schema.delivery_log: ("ended_at",),
    schema.exception: ("opened_at", "closed_at"),
}


async def let_pass(store: Store, days: float) -> None:
    """All that was kept so far is so many days older now."""
    async with store.write() as connection:
        for table, names in AGES.items():
            await connection.execute(sa.update(table).values({n: table.c[n] - days * DAY for n in names}))


async def sizes(store: Store) -> dict[str, int]:
    """How many rows each table has that ages."""
    return {t.name: len(await rows_of(store, t)) for t in (*AGES, schema.event_ref, schema.search_key)}


async def purge(store: Store, kept: Retention = DECLARED, **options: Any) -> dict[str, int]:
    """Purge without rest; what went."""
    return dict(await retention.purge(store, kept, rest=0.0, **options))


# --- what goes ----------------------------------------------------------------------------------------------------


async def test_bodies_go_first_and_the_history_later(store: Store) -> None:
    house = House(store)
    await house.hear(payload(1))
    assert await purge(store) == {}

    await let_pass(store, 11)
    assert await purge(store) == {"bodies": 1}
    (receipt,) = await rows_of(store, schema.receipt)
    assert (receipt["body"], receipt["headers"], bool(receipt["digest"])) == (b"", {}, True)
    assert await purge(store) == {}, "what is empty is not emptied again"
    await house.hear(payload(2))
    await let_pass(store, 11)
    assert await purge(store) == {"bodies": 1}, "the next one"
    await house.hear(payload(3))

    before = await sizes(store)
    await let_pass(store, 101)
    assert await purge(store) == {
        "receipts": 3,
        "events": before["event"],
        "deliveries": before["delivery_log"],
        "search keys": before["event_ref"] + before["search_key"],
    }
    assert set((await sizes(store)).values()) == {0}


async def test_what_is_younger_stays(store: Store) -> None:
    house = House(store)
    await house.hear(payload(1))
    await let_pass(store, 101)
    await house.hear(payload(2))
    await purge(store)
    assert {r["subject"] for r in await rows_of(store, schema.event)} == {subject(2)}
    assert [r["object_id"] for r in await rows_of(store, schema.receipt)] == ["2"]
    assert await search.exact(store, "N2", (SHOP, ERP)) == [subject(2)]


async def test_a_closed_exception_ages_from_its_end(store: Store) -> None:
    house = House(store)
    house.erp.plan(subject(), rejected("unknown_sku", "No such article.", "Make it."))
    await house.hear(payload())
    await let_pass(store, 101)
    (row,) = await house.exceptions()
    await exceptions.act(store, row["id"], "skipped", "pia")
    await purge(store)
    assert len(await house.exceptions("skipped")) == 1
    await let_pass(store, 101)
    assert (await purge(store))["exceptions"] == 1
    assert await house.exceptions("skipped") == []


async def test_replays_that_are_over_and_rows_that_are_in_force_go_and_what_is_not_stays(store: Store) -> None:
    planned = replay.Plan()
    for subject_ in ("old", "new", "going"):
        number = await replays.begin(store, Choice(subject=subject_), planned, "ada")
        if subject_ != "going":
            assert await replays.stop(store, number, "ada")
    fix = {"likeness": "x", "row": {}, "change": 1, "at": 1.0, "who": "ada"}
    await draining.begin(store, Place(ERP), "ada")
    async with store.write() as connection:
        for done_at in (1.0, None):
            await connection.execute(sa.insert(schema.exception_fix).values(**fix, done_at=done_at))
        old = schema.replay.c.name == Choice(subject="old").name
        await connection.execute(sa.update(schema.replay).where(old).values(ended_at=1.0))
        await connection.execute(sa.update(schema.drain).values(began_at=1.0))
    assert await purge(store, dry_run=True) == {"replays": 1, "drains": 1, "fixes": 1}
    assert await purge(store) == {"replays": 1, "drains": 1, "fixes": 1}
    assert [job.choice.subject for job in await replays.listing(store)] == ["going", "new"]
    assert [r["done_at"] for r in await rows_of(store, schema.exception_fix)] == [None]


async def test_many_rows_go_in_batches(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim that comes in between need not wait for all of it."""
    monkeypatch.setattr(retention, "BATCH", 3)
    house = House(store)
    await house.hear(*[payload(n) for n in range(10)])
    await let_pass(store, 101)
    await house.hear(payload(10))
    steps: list[int] = []
    step = retention._step

    async def counted(*arguments: Any) -> Any:
        count, place = await step(*arguments)
        steps.append(count)
        return count, place

    monkeypatch.setattr(retention, "_step", counted)
    gone = await purge(store)
    assert (gone["receipts"], gone["events"]) == (10, 20)
    assert max(steps) <= 3
    assert {r["subject"] for r in await rows_of(store, schema.event)} == {subject(10)}


# --- what stays ---------------------------------------------------------------------------------------------------


async def test_what_waits_for_a_person_stays_whole_and_can_still_be_done(store: Store) -> None:
    house = House(store)
    house.erp.plan(subject(1), rejected("unknown_sku", "No such article.", "Make it."))
    await house.hear(payload(1), payload(2))
    before = await timeline.of(store, subject(1))
    await let_pass(store, 101)
    await purge(store, NOTHING_KEPT)
    assert len((await timeline.of(store, subject(1)))["entries"]) == len(before["entries"])
    assert {r["subject"] for r in await rows_of(store, schema.event)} == {subject(1)}
    (row,) = await house.exceptions()
    await exceptions.act(store, row["id"], "retried", "pia")
    await house.work()
    assert sorted(house.erp.made) == [subject(1), subject(2)]


async def test_what_is_not_finished_stays_whole_and_is_done_later(store: Store) -> None:
    """Its system was down for longer than anything is kept."""
    house = House(store)
    house.erp.answer = failing(Kind.DOWN)
    await house.receive(payload(1))
    async with house.working():
        await until(lambda: rows_of(store, schema.delivery_log, outcome="down"))
    await let_pass(store, 1000)
    await purge(store, NOTHING_KEPT)
    (receipt,) = await rows_of(store, schema.receipt)
    assert receipt["body"] == payload(1)
    house.erp.answer = None
    async with store.write() as connection:
        await connection.execute(sa.update(schema.system_state).values(open_until=0))
        await connection.execute(sa.update(schema.lane).values(due_at=0))
    await house.work()
    assert house.erp.made == [subject(1)]


async def test_what_could_not_be_read_stays_for_the_retry(store: Store) -> None:
    house = House(store)
    odd = payload(1).replace(b'"total"', b'"sum"')
    await house.hear(odd)
    assert len(await house.exceptions()) == 1
    await let_pass(store, 101)
    await purge(store, NOTHING_KEPT)
    (receipt,) = await rows_of(store, schema.receipt)
    assert receipt["body"] == odd


# --- nothing comes twice because of it -----------------------------------------------------------------------------


async def test_the_same_webhook_after_everything_was_purged_does_nothing(store: Store) -> None:
    house = House(store)
    await house.hear(payload(1))
    await let_pass(store, 1)
    await purge(store, NOTHING_KEPT)
    assert set((await sizes(store)).values()) == {0}

    assert await house.receive(payload(1)) == 0, "the door knows it"
    await house.work()
    assert await house.events() == []
    assert house.erp.history == [("accept_order", subject(1))]


@pytest.mark.parametrize("origin", ["webhook", "poll", "import"])
async def test_an_older_or_the_same_state_in_other_bytes_does_nothing_either(store: Store, origin: str) -> None:
    """The poll's list spells it otherwise than the webhook; an old webhook comes late; history is imported again."""
    house = House(store)
    await house.hear(payload(1, modified=at(0)), payload(1, modified=at(60), paid=at(60)))
    done = list(house.erp.history)
    await let_pass(store, 1)
    await purge(store, NOTHING_KEPT)
    await house.hear(payload(1, modified=at(0)), payload(1, modified=at(60), paid=at(60)) + b" ", origin=origin)
    assert await house.events() == []
    assert house.erp.history == done


async def test_what_is_news_after_a_purge_is_told_once(store: Store) -> None:
    house = House(store)
    await house.hear(payload(1))
    await let_pass(store, 1)
    await purge(store, NOTHING_KEPT)
    await house.hear(payload(1, status="cancelled", modified=at(60)))
    assert await house.events() == ["order.cancelled", "order.closed"]
    assert house.erp.history[-1] == ("cancel_order", subject(1))


async def test_an_event_made_again_finds_its_search_keys_in_the_way_and_is_kept(store: Store) -> None:
    """A purge that was stopped between events and keys."""
    house = House(store)
    await house.hear(payload(1))
    async with store.write() as connection:
        for table in (schema.event, schema.object_, schema.seen):
            await connection.execute(sa.delete(table))
    await house.hear(payload(1))
    assert await house.events() == ["order.placed", "order.accepted"]
    assert await search.exact(store, "N1", (SHOP, ERP)) == [subject(1)]


async def test_decoding_again_leaves_out_what_has_no_body_any_more(store: Store) -> None:
    house = House(store)
    await house.hear(payload(1))
    await let_pass(store, 11)
    await purge(store)
    await house.hear(payload(2))
    assert await replay.decode_again(store, SHOP) == 1
    await house.work()
    assert await house.exceptions() == []


# --- looking before, and the turn ----------------------------------------------------------------------------------


async def test_a_dry_run_counts_what_would_go_and_changes_nothing(store: Store) -> None:
    house = House(store)
    await house.hear(payload(1), payload(2))
    await let_pass(store, 101)
    before = await sizes(store)
    await house.hear(payload(3))
    await let_pass(store, 11)
    counted = await purge(store, dry_run=True)
    assert await sizes(store) == {name: n * 3 // 2 for name, n in before.items()}
    assert {r["body"] for r in await rows_of(store, schema.receipt)} == {payload(n) for n in (1, 2, 3)}
    assert counted == {"receipts": 2, "events": 4, "deliveries": before["delivery_log"], "bodies": 1}
    gone = await purge(store)
    assert {name: n for name, n in gone.items() if name != "search keys"} == counted


async def test_of_two_processes_one_purges(store: Store, another_store: Callable[[], Awaitable[Store]]) -> None:
    second = await another_store()
    house = House(store)
    await house.hear(payload(1))
    await let_pass(store, 101)
    both = await asyncio.gather(retention.purge_once(store, DECLARED), retention.purge_once(second, DECLARED))
    assert [gone for gone in both if gone is None] == [None]
    assert await retention.purge_once(store, DECLARED) is None, "not due again before its time"


async def test_orders_go_on_while_it_purges(store: Store) -> None:
    house = House(store, erp=Fake(ERP, batch=5))
    await house.hear(*[payload(n) for n in range(40)])
    await let_pass(store, 101)
    async with house.working():
        purging = asyncio.create_task(retention.purge(store, DECLARED, rest=0.0))
        await house.receive(*[payload(n) for n in range(40, 60)])

        async def all_made() -> bool:
            return len(house.erp.made) == 60

        await until(all_made)
        assert (await purging)["receipts"] == 40
    assert len(set(house.erp.made)) == 60
