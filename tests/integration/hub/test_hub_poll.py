"""The reconciling poll: what no webhook told arrives all the same, once, whatever breaks in between."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from tests.fakes import SHOP, Fake, House, at, failing, hasten, payload, raw, rows_of, subject, until

from counterfoil.hub import poller, receipts, schema, systems
from counterfoil.hub.contract import Feed, Kind, Page, rejected
from counterfoil.hub.poller import poll_once
from counterfoil.hub.store import Store


def shop_with(orders: int, page_size: int = 2) -> Fake:
    """A shop whose feed has so many orders."""
    shop = Fake(SHOP)
    shop.changes = [raw(payload(n)) for n in range(orders)]
    shop.page_size = page_size
    return shop


async def poll(store: Store, shop: Fake) -> int | None:
    """Poll the shop now, due or not."""
    await hasten(store)
    return await poll_once(store, SHOP, shop.feeds[0], "engineer")


async def place(store: Store) -> dict[str, Any]:
    """The cursor's row."""
    (row,) = await rows_of(store, schema.cursor)
    return row


async def kept(store: Store) -> list[str]:
    """The orders whose receipts are kept, in order."""
    return [r["object_id"] for r in await rows_of(store, schema.receipt)]


# --- it finds what no webhook told --------------------------------------------------------------------------------


async def test_an_order_whose_webhook_never_came_is_found_once(store: Store) -> None:
    """case: F07"""
    shop = shop_with(3)
    house = House(store, shop=shop)
    await house.hear(payload(1))  # only this one was told
    assert await poll(store, shop) == 2
    await house.work()
    assert sorted(house.erp.made) == [subject(n) for n in range(3)]
    assert (await house.events()).count("order.placed") == 3
    assert (await place(store))["ok_at"] is not None


async def test_a_poll_begins_where_the_last_one_ended(store: Store) -> None:
    shop = shop_with(3)
    assert await poll(store, shop) == 3
    shop.changes += [raw(payload(7))]
    assert await poll(store, shop) == 1
    assert await kept(store) == ["0", "1", "2", "7"]


async def test_an_overlap_keeps_nothing_twice(store: Store) -> None:
    """A shop is asked again for the last minutes: what was decoded already is only counted."""
    shop = shop_with(4)
    house = House(store, shop=shop)
    await poll(store, shop)
    await house.work()
    async with store.write() as connection:
        await connection.execute(sa.update(schema.cursor).values(value={"at": 0}))
    assert await poll(store, shop) == 0
    assert await house.counters() == {"duplicate_poll": 4}


async def test_a_feed_is_not_asked_before_its_time(store: Store) -> None:
    shop = shop_with(1)
    shop.every = 3600
    assert await poll_once(store, SHOP, shop.feeds[0]) == 1
    assert await poll_once(store, SHOP, shop.feeds[0]) is None


async def test_every_feed_is_polled_in_its_time_until_told_to_stop(store: Store) -> None:
    shop = shop_with(1)
    stop = asyncio.Event()
    running = asyncio.create_task(poller.run(store, {SHOP: shop}, "engineer", stop))

    async def some(n: int) -> bool:
        return len(await kept(store)) == n

    await until(lambda: some(1))
    shop.changes.append(raw(payload(2)))
    await until(lambda: some(2))
    stop.set()
    await asyncio.wait_for(running, 2)


# --- nothing is skipped ---------------------------------------------------------------------------------------------


async def test_receipts_and_cursor_are_one_transaction(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It breaks after the cursor moved and before the receipts were in: neither happened. case: F08"""
    shop = shop_with(4)
    take, calls = receipts.take, 0

    async def breaks(*arguments: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError("disk full")
        return await take(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(receipts, "take", breaks)
        with pytest.raises(OSError, match="disk full"):
            await poll(store, shop)
    assert await kept(store) == ["0", "1"]
    assert (await place(store))["value"] == {"at": 2}
    assert await poll(store, shop) == 2
    assert await kept(store) == ["0", "1", "2", "3"]


async def test_the_cursor_does_not_move_before_the_receipts_are_in(store: Store) -> None:
    """It breaks the other way round: the receipts could be written, the commit could not. case: F08"""
    shop = shop_with(2)
    token = "t"
    await receipts.begin_poll(store, SHOP, "orders", token, 60)
    arrivals = [receipts.Arrival(SHOP, "poll", c) for c in shop.changes]
    write = store.write

    @contextlib.asynccontextmanager
    async def never_commits() -> AsyncIterator[Any]:
        async with write() as connection:
            yield connection
            raise OSError("the machine stops here")

    store.write = never_commits  # type: ignore[method-assign]
    with pytest.raises(OSError, match="the machine stops"):
        await receipts.keep_page(store, SHOP, "orders", token, arrivals, {"at": 2}, 60)
    store.write = write  # type: ignore[method-assign]
    assert await kept(store) == []
    assert (await place(store))["value"] == {}


@pytest.mark.parametrize("broken", [failing(Kind.RETRY, "cut_off"), ConnectionError("cut off"), ValueError("bad JSON")])
async def test_a_page_that_could_not_be_read_whole_is_not_received(store: Store, broken: Exception) -> None:
    """Half of the second page was read when the line broke: none of it counts, the next poll reads it. case: F14"""
    shop = shop_with(6)
    shop.breaks_at[3] = broken
    with contextlib.suppress(ConnectionError, ValueError):
        await poll(store, shop)
    assert await kept(store) == ["0", "1"]
    assert ((await place(store))["value"], (await place(store))["ok_at"]) == ({"at": 2}, None)
    shop.breaks_at.clear()
    assert await poll(store, shop) == 4
    assert await kept(store) == [str(n) for n in range(6)]


async def test_a_feed_that_is_empty_is_not_one_that_failed(store: Store) -> None:
    """And the other way round: only a poll that went through counts as one. case: F14"""
    shop = shop_with(1)
    shop.breaks_at[0] = failing(Kind.DOWN, "unreachable")
    await poll(store, shop)
    assert (await place(store))["ok_at"] is None
    shop.breaks_at.clear()
    shop.changes.clear()
    shop.breaks_at[99] = ValueError("never reached")
    await poll(store, shop)
    assert (await place(store))["ok_at"] is not None


# --- one process at a time ------------------------------------------------------------------------------------------


def gated(pages: list[list[bytes]], gate: asyncio.Event, there: asyncio.Event) -> Feed:
    """A feed that waits at the gate before its second page."""

    async def poll(cursor: Mapping[str, Any]) -> AsyncIterator[Page]:
        for number, bodies in enumerate(pages):
            if number == 1:
                there.set()
                await gate.wait()
            yield Page([raw(b) for b in bodies], {"page": number})

    return Feed("orders", "order", 60, poll)


async def test_of_two_processes_one_polls(store: Store, another_store: Callable[[], Awaitable[Store]]) -> None:
    elsewhere = await another_store()
    gate, there = asyncio.Event(), asyncio.Event()
    feed = gated([[payload(1)], [payload(2)]], gate, there)
    first = asyncio.create_task(poll_once(store, SHOP, feed))
    await there.wait()
    assert await poll_once(elsewhere, SHOP, feed) is None
    gate.set()
    assert await first == 2


async def test_who_lost_its_turn_does_not_write_over_the_other(
    store: Store, another_store: Callable[[], Awaitable[Store]]
) -> None:
    """It slept too long over a page; another polled meanwhile: its late page is dropped, the cursor stays. case: F08"""
    elsewhere = await another_store()
    gate, there = asyncio.Event(), asyncio.Event()
    slow = asyncio.create_task(poll_once(store, SHOP, gated([[payload(1)], [payload(2)]], gate, there)))
    await there.wait()
    await hasten(store)
    other = shop_with(4)
    assert await poll_once(elsewhere, SHOP, Feed("orders", "order", 60, other._poll)) is not None
    gate.set()
    assert await slow == 1
    assert (await place(store))["value"] == {"at": 4}


# --- the shop is away ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.DOWN, Kind.THROTTLED, Kind.RETRY])
async def test_an_outage_of_the_shop_is_survived(store: Store, kind: Kind) -> None:
    """No exception for a person: the poll comes again in its time, and finds everything. case: F07"""
    shop = shop_with(3)
    shop.breaks_at[0] = failing(kind)
    house = House(store, shop=shop)
    stop = asyncio.Event()
    running = asyncio.create_task(poller.run(store, {SHOP: shop}, "engineer", stop))
    await asyncio.sleep(0.2)
    assert await house.exceptions() == []
    shop.breaks_at.clear()

    async def all_here() -> bool:
        return len(await kept(store)) == 3

    await until(all_here)
    stop.set()
    await running


async def test_one_feed_that_breaks_does_not_stop_another(store: Store) -> None:
    good, bad = shop_with(1), shop_with(1)
    bad.breaks_at[0] = KeyError("no such field")
    stop = asyncio.Event()
    running = asyncio.create_task(poller.run(store, {"bad": bad, SHOP: good}, "engineer", stop))

    async def all_here() -> bool:
        return await kept(store) == ["0"]

    await until(all_here)
    good.changes.append(raw(payload(1)))

    async def both() -> bool:
        return await kept(store) == ["0", "1"]

    await until(both)
    stop.set()
    await running


@pytest.mark.parametrize(
    ("broken", "outcome"),
    [
        (failing(Kind.MISCONFIGURED, "unauthorized"), "misconfigured"),
        (failing(Kind.MISCONFIGURED, "no_right"), "misconfigured"),
        (KeyError("no such field"), "bug"),
    ],
    ids=["credentials", "right", "bug"],
)
async def test_a_poll_that_a_person_must_mend_is_one_exception_until_it_works(
    store: Store, broken: Exception, outcome: str
) -> None:
    """Told once, however often it is tried; over when it works, without a press."""
    shop = shop_with(1)
    shop.breaks_at[0] = broken
    house = House(store, shop=shop)
    for _ in range(3):
        with pytest.raises(KeyError) if isinstance(broken, KeyError) else contextlib.nullcontext():
            await poll(store, shop)
    (told,) = await house.exceptions()
    assert (told["outcome"], told["system"], told["owner"]) == (outcome, SHOP, "engineer")
    shop.breaks_at.clear()
    assert await poll(store, shop) == 1
    assert await house.exceptions() == []
    assert await systems.closed(store) == {}


NOTING = "  - {on: order.placed, do: shop.note_order}\n  - {on: order.placed, do: erp.accept_order}\n"


async def made(house: House, number: int) -> bool:
    """Whether the order stands in the ERP."""
    return subject(number) in house.erp.made


@pytest.mark.parametrize("reason", ["no_right", "module_missing", "unknown_pricelist", "not_a_list"])
async def test_a_feed_that_may_not_be_read_stops_alone(store: Store, reason: str) -> None:
    """The user lacks a right on products: their feed waits for a person, orders go in and out as ever."""
    shop = shop_with(1)
    shop.breaks_at[0] = failing(Kind.MISCONFIGURED, reason, message="May not.", suggestion="Give the right.")
    house = House(store, NOTING, shop=shop)
    await poll(store, shop)
    (told,) = await house.exceptions()
    assert (told["operation"], told["reason"], told["owner"]) == ("orders", reason, "engineer")
    assert (told["message"], told["suggestion"]) == ("May not.", "Give the right.")
    assert await systems.closed(store) == {}
    await house.hear(payload(5))
    assert shop.history == [("note_order", subject(5))]


@pytest.mark.parametrize("reason", ["bad_credentials", "unauthorized", "bad_address", "no_json2", "database_missing"])
async def test_a_feed_that_finds_the_key_refused_closes_the_system(store: Store, reason: str) -> None:
    """No call can work, and calling on would lock the account: all waits, and goes on with the poll that works."""
    shop = shop_with(1)
    shop.breaks_at[0] = failing(Kind.MISCONFIGURED, reason)
    house = House(store, NOTING, shop=shop)
    await poll(store, shop)
    assert (await systems.closed(store))[SHOP].reason == reason
    async with house.working():
        for n in (5, 6):  # once the second has reached the ERP, the first was due at the shop as well
            await house.receive(payload(n))
            await until(lambda n=n: made(house, n))
    assert shop.calls == []
    shop.breaks_at.clear()
    await poll(store, shop)
    assert (await systems.closed(store), await house.exceptions()) == ({}, [])
    await hasten(store)
    await house.work()
    assert {("note_order", subject(5)), ("note_order", subject(6))} <= set(shop.history)


async def test_a_feed_that_may_be_read_again_does_not_open_what_an_operation_closed(store: Store) -> None:
    """Products may be read now; orders may still not be written: that is for the next order to find out."""
    shop = shop_with(1)
    shop.breaks_at[0] = failing(Kind.MISCONFIGURED, "no_right")
    house = House(store, NOTING, shop=shop)
    await poll(store, shop)
    shop.plan(subject(5), failing(Kind.MISCONFIGURED, "module_missing"))
    await house.receive(payload(5))
    async with house.working():

        async def both() -> bool:
            return {e["reason"] for e in await house.exceptions()} == {"no_right", "module_missing"}

        await until(both)
    shop.breaks_at.clear()
    await poll(store, shop)
    assert [e["reason"] for e in await house.exceptions()] == ["module_missing"]
    assert (await systems.closed(store))[SHOP].reason == "module_missing"


async def test_a_call_that_works_does_not_close_what_the_poll_complains_of(store: Store) -> None:
    """Writing into the shop goes well, reading from it does not: still one exception, not a new one each minute."""
    shop = shop_with(1)
    shop.breaks_at[0] = failing(Kind.BUG, "strange_page")
    house = House(store, "  - {on: order.placed, do: shop.note_order}\n", shop=shop)
    await poll(store, shop)
    (told,) = await house.exceptions()
    for n in (5, 6):
        await house.hear(payload(n))
        await poll(store, shop)
    assert len(shop.history) == 2
    assert [e["id"] for e in await house.exceptions()] == [told["id"]]


async def test_a_poll_that_works_does_not_close_what_a_call_complains_of(store: Store) -> None:
    shop = shop_with(1)
    house = House(store, "  - {on: order.placed, do: shop.note_order}\n", shop=shop)
    shop.plan(subject(1), rejected("gone", "The order is gone.", "Look."))
    await house.hear(payload(1))
    await poll(store, shop)
    assert len(await house.exceptions()) == 1


async def test_what_was_cut_short_by_stopping_is_due_again(store: Store) -> None:
    """The process is told to stop in the middle of a poll: the turn is given back, the page is not lost."""
    gate, there = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(poll_once(store, SHOP, gated([[payload(1)], [payload(2)]], gate, there)))
    await there.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    row = await place(store)
    assert (row["token"], row["value"], row["ok_at"]) == (None, {"page": 0}, None)


async def test_two_hundred_and_fifty_orders_of_one_second_all_arrive(store: Store) -> None:
    """Over page borders, and one of them changed again within that second. case: F09"""
    shop = shop_with(250, page_size=100)
    shop.changes.insert(120, raw(payload(7, total="13.00")))
    house = House(store, shop=shop)
    await poll(store, shop)
    await house.work()
    assert sorted(house.erp.made) == sorted(subject(n) for n in range(250))
    assert (await house.events(subject(7))).count("order.changed") == 1
    assert at(0) in {o["version"] for o in await rows_of(store, schema.object_)}


async def test_a_look_sees_what_was_there_when_it_began(store: Store) -> None:
    """What changes while a slow poll is under way may have been missed: it is known as of its beginning. case: F14"""
    token = "t"
    await receipts.begin_poll(store, SHOP, "orders", token, 60)
    began = (await place(store))["began_at"]
    await asyncio.sleep(0.05)  # the look takes its time
    await receipts.end_poll(store, SHOP, "orders", token, 5, ok=True)
    assert (await place(store))["ok_at"] == began
