"""Care: what breaks unseen is looked after, told once, and polled around until it is well again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa
from tests.fakes import ERP, SHOP, Fake, House, blueprint, failing, hasten, payload, raw, rows_of, subject, until

from counterfoil.hub import care, poller, schedule, schema
from counterfoil.hub.contract import Finding, Kind, Mark
from counterfoil.hub.store import Store

OFF = Finding("webhook order.created", Mark.FAILED, "It is switched off.", "Look at the shop's log.")
SLOW = Finding("webhook order.updated", Mark.WARNING, "Three deliveries failed.", "Look at the door's log.")
WELL = Finding("webhook order.created", Mark.OK, "It was made anew.")


async def look(store: Store, shop: Fake, *found: Finding, **more: Any) -> list[Finding] | None:
    """One look at the shop, which is due."""
    shop.cared = list(found)
    await hasten(store)
    return await care.care_once(store, SHOP, shop, "engineer", **more)


async def told(store: Store, status: str = "open") -> list[tuple[str, str]]:
    """(check, message) of the exceptions of a status."""
    return [(e["operation"], e["message"]) for e in await rows_of(store, schema.exception, status=status)]


async def test_what_could_not_be_mended_is_one_exception_a_check(store: Store) -> None:
    shop = Fake(SHOP)
    for _ in range(3):
        await look(store, shop, OFF, SLOW)
    assert await told(store) == [
        ("care.webhook order.created", "It is switched off."),
        ("care.webhook order.updated", "Three deliveries failed."),
    ]
    first = (await rows_of(store, schema.exception))[0]
    assert (first["system"], first["owner"], first["reason"]) == (SHOP, "engineer", "webhook_order_created")
    assert first["suggestion"] == OFF.remedy


async def test_it_is_over_once_it_is_well_again(store: Store) -> None:
    shop = Fake(SHOP)
    await look(store, shop, OFF, SLOW)
    await look(store, shop, WELL, SLOW)
    assert await told(store) == [("care.webhook order.updated", "Three deliveries failed.")]
    assert await told(store, "resolved") == [("care.webhook order.created", "It is switched off.")]
    await look(store, shop)
    assert await told(store) == []


async def test_one_that_breaks_again_is_told_again(store: Store) -> None:
    shop = Fake(SHOP)
    for found in (OFF, WELL, OFF):
        await look(store, shop, found)
    assert (len(await told(store)), len(await told(store, "resolved"))) == (1, 1)


async def test_the_words_follow_what_was_found_last(store: Store) -> None:
    shop = Fake(SHOP)
    await look(store, shop, OFF)
    await look(store, shop, Finding(OFF.check, Mark.FAILED, "It is gone.", "Make it."))
    assert await told(store) == [("care.webhook order.created", "It is gone.")]


async def test_all_well_leaves_no_trace(store: Store) -> None:
    assert await look(store, Fake(SHOP), WELL) == [WELL]
    assert await rows_of(store, schema.exception) == []


async def test_another_systems_exceptions_are_none_of_its_business(store: Store) -> None:
    shop, erp = Fake(SHOP), Fake(ERP)
    await look(store, shop, OFF)
    erp.cared = []
    await care.care_once(store, ERP, erp)
    assert len(await told(store)) == 1
    assert (await care.is_ill(store, SHOP), await care.is_ill(store, ERP)) == (True, False)


async def test_a_system_out_of_reach_says_nothing_of_its_webhooks(store: Store) -> None:
    """Neither ill nor well: what was open stays open, and nothing new is."""
    shop = Fake(SHOP)
    await look(store, shop, OFF)
    shop.cared = failing(Kind.DOWN, "no_answer")
    await hasten(store)
    assert await care.care_once(store, SHOP, shop) is None
    assert await told(store) == [("care.webhook order.created", "It is switched off.")]


async def test_care_that_breaks_is_an_exception_of_its_own_and_ends_with_the_next_look(store: Store) -> None:
    shop = Fake(SHOP)
    shop.cared = ValueError("a list was expected")
    await care.care_once(store, SHOP, shop)
    assert [check for check, _ in await told(store)] == ["care.care"]
    await look(store, shop)
    assert await told(store) == []


async def test_one_process_at_a_time(store: Store) -> None:
    """And not again before its time."""
    shop = Fake(SHOP)
    assert await care.care_once(store, SHOP, shop, every=60.0) == []
    assert await care.care_once(store, SHOP, shop, every=60.0) is None


async def test_it_runs_from_the_start_and_again_and_again(store: Store) -> None:
    shop = Fake(SHOP)
    shop.cared = [OFF]
    stop = asyncio.Event()
    task = asyncio.create_task(care.run(store, blueprint(), {SHOP: shop}, stop, every=0.02))

    async def is_told() -> bool:
        return await care.is_ill(store, SHOP)

    async def is_over() -> bool:
        return not await care.is_ill(store, SHOP)

    await until(is_told)
    assert (await rows_of(store, schema.exception))[0]["owner"] == blueprint().exceptions.owner_of("", "misconfigured")
    shop.cared = [WELL]
    await until(is_over)
    stop.set()
    await asyncio.wait_for(task, 5)


# --- the poll carries the load ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flows", "seconds"),
    [
        ("  - {on: order.placed, from: shop, do: erp.accept_order, within: 60s}\n", 30.0),
        (
            "  - {on: order.placed, do: erp.accept_order, within: 60s}\n"
            "  - {on: order.cancelled, from: shop, do: erp.cancel_order, within: 10s}\n",
            5.0,
        ),
        ("  - {on: order.accepted, from: erp, do: shop.note_order, within: 2s}\n", None),
        ("  - {on: order.placed, do: erp.accept_order}\n", None),
    ],
    ids=["one promise", "the tightest of two", "a promise about another system", "no promise"],
)
def test_the_hurry_follows_from_the_tightest_promise(flows: str, seconds: float | None) -> None:
    assert care.hurry(blueprint(flows), SHOP) == seconds


async def next_poll(store: Store, feed: str = "orders") -> float:
    """Seconds until the shop's orders are polled again, or whatever else has its turn."""
    async with store.read() as connection:
        due = sa.select(schema.cursor.c.next_at - store.now).where(schema.cursor.c.feed == feed)
        return float(await connection.scalar(due) or 0.0)


async def test_while_webhooks_are_ill_the_feeds_are_polled_within_the_promise(store: Store) -> None:
    """And in their own time again once they are well. The doctor has nothing to do with it. case: F07"""
    shop = Fake(SHOP)
    rare: Any = {"system": SHOP, "feed": schedule.DOCTOR, "value": {}, "next_at": store.now + 3600}
    async with store.write() as connection:
        await connection.execute(sa.insert(schema.cursor).values(rare))
    shop.changes, shop.every = [raw(payload(1))], 600.0
    (feed,) = shop.feeds
    await poller.poll_once(store, SHOP, feed, hurry=5.0)
    assert await next_poll(store) == pytest.approx(600, abs=5)
    shop.cared = [OFF]
    await care.care_once(store, SHOP, shop, hurry=5.0)
    assert await next_poll(store) <= 0, "what lay far ahead is pulled near"
    assert await next_poll(store, schedule.DOCTOR) > 0
    await poller.poll_once(store, SHOP, feed, hurry=5.0)
    assert await next_poll(store) == pytest.approx(5, abs=2)
    await look(store, shop, WELL)
    await poller.poll_once(store, SHOP, feed, hurry=5.0)
    assert await next_poll(store) == pytest.approx(600, abs=5)


async def test_a_feed_quicker_than_the_promise_keeps_its_pace(store: Store) -> None:
    shop = Fake(SHOP)
    shop.changes, shop.every = [raw(payload(1))], 2.0
    await look(store, shop, OFF, hurry=5.0)
    await poller.poll_once(store, SHOP, shop.feeds[0], hurry=5.0)
    assert await next_poll(store) == pytest.approx(2, abs=1.5)


async def test_an_order_whose_webhook_died_arrives_within_its_promise(store: Store) -> None:
    """The feed would be polled in ten minutes; care sees the dead webhook, the order is in time. case: F07"""
    house = House(store, "  - {on: order.placed, from: shop, do: erp.accept_order, within: 2s}\n")
    house.shop.every = 600.0
    house.shop.changes = [raw(payload(0))]
    hurries = {SHOP: care.hurry(house.blueprint, SHOP)}
    stop = asyncio.Event()
    made = {SHOP: house.shop, ERP: house.erp}
    tasks = [
        asyncio.create_task(poller.run(store, made, "", stop, hurries)),
        asyncio.create_task(care.run(store, house.blueprint, made, stop, every=0.05)),
    ]

    async def first_is_there() -> bool:
        return subject(0) in house.erp.made

    async def second_is_there() -> bool:
        return subject(1) in house.erp.made

    async with house.working():
        await until(first_is_there)
        house.shop.cared = [OFF]
        house.shop.changes.append(raw(payload(1)))
        await until(second_is_there, 5)
        stop.set()
        await asyncio.gather(*tasks)
    assert house.erp.made == [subject(0), subject(1)]
