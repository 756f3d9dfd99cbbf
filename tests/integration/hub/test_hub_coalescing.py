"""Coalescing: of several deliveries that carry out the newest state, only the last is done, and answers for all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import empty
from tests.fakes import (
    ERP,
    SHOP,
    Fake,
    House,
    assert_one_status,
    at,
    failing,
    hasten,
    payload,
    rows_of,
    stock_level,
    subject,
    until,
)

from counterfoil.hub import carrying, claiming, exceptions, lanes, schema
from counterfoil.hub.contract import Item, Kind, Outcome, done, rejected
from counterfoil.hub.store import Store

PUBLISH = "  - {on: stock.changed, from: erp, do: shop.publish_stock}\n"
PASSING = "  - {on: stock.changed, from: erp, do: shop.publish_stock, on_exception: pass}\n"
MUG = "erp:variant:1"


class Channel(Fake):
    """A shop that shows the stock it was last told; `writes` are all it was told."""

    def __init__(self, **options: Any) -> None:
        super().__init__(SHOP, **options)
        self.writes: list[int] = []

    async def stand(self, item: Item, operation: str = "publish_stock") -> Outcome:
        self.writes.append(quantity(item))
        return done({"quantity": quantity(item)})

    @property
    def shows(self) -> int | None:
        """What a customer sees."""
        return self.writes[-1] if self.writes else None


def quantity(item: Item) -> int:
    """The newest quantity the operation was given."""
    return int(item.data["state"]["places"][0]["on_hand"])


async def moves(house: House, *quantities: int, start: int = 0) -> None:
    """The stock goes through these quantities, each read a second later, and becomes events; nothing is published."""
    for number, units in enumerate(quantities, start):
        await house.erp_says("stock", stock_level(units), at(number))
        await decode_only(house)


async def decode_only(house: House) -> None:
    """What has arrived becomes events and deliveries."""
    worker = house.worker()
    while works := await claiming.claim(house.store, worker.name, ERP, lanes.DECODE, 10, 60.0, 5):
        await worker.carrier.decode(ERP, works)


async def log_of(store: Store, operation: str = "publish_stock") -> list[tuple[str, str]]:
    """(outcome, reason) of each delivery, in the order of the deliveries."""
    rows = sorted(
        await rows_of(store, schema.delivery_log, operation=operation), key=lambda r: (r["delivery_id"], r["id"])
    )
    return [(r["outcome"], r["reason"]) for r in rows]


async def test_only_the_last_is_carried_out_and_answers_for_all(store: Store) -> None:
    house = House(store, PUBLISH, shop=(shop := Channel()))
    await moves(house, 5, 3, 4)
    assert len(await rows_of(store, schema.delivery)) == 3
    await house.work()
    assert shop.writes == [4]
    assert await log_of(store) == [("done", "superseded"), ("done", "superseded"), ("done", "")]
    rows = await rows_of(store, schema.delivery_log, operation="publish_stock")
    last = max(r["delivery_id"] for r in rows)
    assert {r["detail"]["result"]["by"] for r in rows if r["reason"] == "superseded"} == {last}
    assert await rows_of(store, schema.delivery) == await rows_of(store, schema.lane) == []
    await assert_one_status(store)


@pytest.mark.parametrize("pause", [(), (1,), (2,), (1, 2)], ids=str)
async def test_five_three_five_arrives(store: Store, pause: tuple[int, ...]) -> None:
    """Whether or not something was published in between: the corrective third write reaches the channel. case: F06"""
    house = House(store, PUBLISH, shop=(shop := Channel()))
    for number, units in enumerate((5, 3, 5)):
        await moves(house, units, start=number)
        if number + 1 in pause:
            await house.work()
    await house.work()
    assert shop.shows == 5
    assert [e for e in await house.events() if e == "stock.changed"] == ["stock.changed"] * 3


async def test_five_three_five_within_one_second_arrives(store: Store) -> None:
    """case: F06, case: F09"""
    house = House(store, PUBLISH, shop=(shop := Channel()))
    for units in (5, 3, 5):
        await house.erp_says("stock", stock_level(units), at(0))
        await house.work()
    assert shop.writes == [5, 3, 5]


async def test_what_arrives_while_a_write_is_in_flight_is_written_after_it(store: Store) -> None:
    """The second write is under way with 3 when 5 comes: the channel ends with 5. case: F06"""
    house = House(store, PUBLISH, shop=(shop := Channel()))
    reached, go_on = asyncio.Event(), asyncio.Event()
    await moves(house, 5)
    await house.work()
    shop.plan(MUG, shop.waiting_for(go_on, reached))
    async with house.working():
        await house.erp_says("stock", stock_level(3), at(1))
        await reached.wait()
        await house.erp_says("stock", stock_level(5), at(2))

        async def queued() -> bool:
            return len(await rows_of(store, schema.delivery, operation="publish_stock")) == 2

        await until(queued)
        go_on.set()

        async def over() -> bool:
            return await rows_of(store, schema.delivery) == []

        await until(over)
    assert shop.writes == [5, 3, 5]


async def test_what_is_not_done_stays_in_its_order_and_is_counted_on_the_first(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newer ones that join do not give the failing call its attempts anew."""
    monkeypatch.setattr(carrying, "backoff", lambda *_: 0.0)
    monkeypatch.setattr(carrying, "MOST_ATTEMPTS", 3)
    house = House(store, PUBLISH, shop=(shop := Channel()))
    shop.always[MUG] = Outcome(Kind.RETRY, "lost_race")
    await moves(house, 5, 3)
    before = [d["id"] for d in await rows_of(store, schema.delivery)]
    await one_round(house)
    assert [(d["id"], d["attempt"]) for d in await rows_of(store, schema.delivery)] == [(before[0], 1), (before[1], 0)]
    await moves(house, 4, start=2)
    await house.work()
    assert [c.attempts for c in shop.calls] == [(1,), (2,), (3,)]
    (told,) = await house.exceptions()
    assert (told["reason"], told["delivery_id"]) == ("gave_up", before[0])
    await assert_one_status(store)


async def one_round(house: House) -> None:
    """One batch of publications."""
    worker = house.worker()
    works = await claiming.claim(house.store, worker.name, SHOP, "stock", 10, 60.0, coalescing={"publish_stock"})
    if works:
        await worker.carrier.call(house.shop.operations["publish_stock"], works)


async def test_an_outage_keeps_all_of_them_and_ends_with_the_newest(store: Store) -> None:
    house = House(store, PUBLISH, shop=(shop := Channel()))
    shop.answer = failing(Kind.DOWN, "no_answer")
    await moves(house, 5, 3)
    await one_round(house)
    assert len(await rows_of(store, schema.delivery)) == 2
    assert shop.writes == []
    shop.answer = None
    await moves(house, 8, start=2)
    await hasten(store)
    await house.work()
    assert shop.writes == [8]
    await assert_one_status(store)


async def test_held_for_a_person_the_lane_is_held_by_its_first(store: Store) -> None:
    """Something newer lets it be tried again, with the newest; done, nothing is left of the rest."""
    house = House(store, PUBLISH, shop=(shop := Channel()))
    shop.plan(MUG, rejected("unknown_article", "No such article.", "List it."))
    await moves(house, 5, 3)
    await house.work()
    (told,) = await house.exceptions()
    waiting = await rows_of(store, schema.delivery)
    assert (len(waiting), told["delivery_id"], told["held"]) == (2, waiting[0]["id"], True)
    await assert_one_status(store)
    await moves(house, 4, start=2)
    await house.work()
    assert (shop.writes, await house.exceptions(), await rows_of(store, schema.delivery)) == ([4], [], [])
    await assert_one_status(store)


@pytest.mark.parametrize("act", ["retried", "resolved", "skipped"])
async def test_whatever_a_person_does_about_it_the_newest_arrives(store: Store, act: str) -> None:
    house = House(store, PUBLISH, shop=(shop := Channel()))
    shop.plan(MUG, rejected("unknown_article", "No such article.", "List it."))
    await moves(house, 5, 3)
    await house.work()
    (told,) = await house.exceptions()
    await exceptions.act(store, told["id"], act, "ada")
    await house.work()
    assert (shop.shows, await rows_of(store, schema.delivery)) == (3, [])
    await assert_one_status(store)


async def test_let_pass_it_is_one_exception_for_all_of_them(store: Store) -> None:
    """The channel refuses the newest state: trying the older deliveries would ask the same again."""
    house = House(store, PASSING, shop=(shop := Channel()))
    shop.always[MUG] = rejected("unknown_article", "No such article.", "List it.")
    await moves(house, 5, 3, 4)
    await house.work()
    assert len(shop.calls) == len(await house.exceptions()) == 1
    assert await rows_of(store, schema.delivery) == []
    await assert_one_status(store)


async def test_other_operations_of_the_lane_keep_their_place(store: Store) -> None:
    """placed, changed, changed, cancelled, changed: only neighbours are drawn together."""
    flows = """\
  - {on: order.changed, from: shop, do: erp.tell_order}
  - {on: order.cancelled, from: shop, do: erp.cancel_order}
  - {on: order.placed, from: shop, do: erp.tell_order}
"""
    house = House(store, flows)
    await house.receive(
        payload(1),
        payload(1, modified=at(1), total="13.00"),
        payload(1, modified=at(2), total="14.00"),
        payload(1, modified=at(3), total="14.00", status="cancelled"),
        payload(1, modified=at(4), total="15.00"),
    )
    await house.work()
    assert [op for op, _ in house.erp.history] == ["tell_order", "cancel_order", "tell_order"]
    assert [
        (i.event_type, i.data["state"]["status"]) for i in house.erp.items if i.event_type != "order.cancelled"
    ] == [
        ("order.changed", "processing"),
        ("order.placed", "processing"),
    ]
    assert await log_of(store, "tell_order") == [("done", "superseded")] * 2 + [("done", "")] * 2
    await assert_one_status(store)


async def test_an_operation_that_does_not_coalesce_is_carried_out_each_time(store: Store) -> None:
    house = House(
        store, "  - {on: order.placed, do: erp.accept_order}\n  - {on: order.changed, do: erp.accept_order}\n"
    )
    await house.receive(
        payload(1), payload(1, modified=at(1), total="13.00"), payload(1, modified=at(2), total="14.00")
    )
    await house.work()
    assert [c.subjects for c in house.erp.calls] == [(subject(1),)] * 3


async def test_lanes_are_not_drawn_together(store: Store) -> None:
    """Two articles in one batch, each with its own newest state."""
    house = House(store, PUBLISH, shop=(shop := Channel()))
    for number in (1, 2):
        for second, units in enumerate((5, 3 + number)):
            await house.erp_says("stock", stock_level(units, number), at(second))
    await decode_only(house)
    await house.work()
    assert [c.subjects for c in shop.calls] == [("erp:variant:1", "erp:variant:2")]
    assert [i.data["stock"]["places"][0]["on_hand"] for i in shop.items] == ["4", "5"]
    assert shop.writes == [4, 5]


_steps = st.lists(
    st.one_of(
        st.tuples(st.just("moves"), st.integers(0, 3)),
        st.tuples(st.just("works"), st.just(0)),
        st.tuples(st.just("fails"), st.sampled_from([Kind.RETRY, Kind.DOWN, Kind.REJECTED, Kind.BUG])),
        st.tuples(st.just("arrives_in_flight"), st.integers(0, 3)),
    ),
    max_size=10,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_steps)
async def test_whatever_happens_the_channel_ends_with_the_newest_stock(
    store: Store, steps: list[tuple[str, Any]]
) -> None:
    """Moves, publications, failures of every kind and changes in the middle of a write, in any order. case: F06"""
    await empty(store)
    house = House(store, PUBLISH, shop=(shop := Channel()))
    newest = None
    for second, (step, value) in enumerate(steps):
        if step == "moves":
            newest = value
            await moves(house, value, start=second)
        elif step == "works":
            await one_round(house)
        elif step == "fails":
            shop.plan(MUG, Outcome(value, "scripted"))
            await one_round(house)
            shop.plans.clear()
            await hasten(store)
        elif await rows_of(store, schema.delivery):

            async def meanwhile(item: Item, units: int = value, moment: int = second) -> Outcome:
                outcome = await shop.stand(item)
                await moves(house, units, start=moment)
                return outcome

            shop.plan(MUG, meanwhile)
            await one_round(house)
            newest = value if not shop.plans[MUG] else newest
            shop.plans.clear()
        await assert_one_status(store)
    for told in await house.exceptions():
        await exceptions.act(store, told["id"], "retried", "ada")
    await hasten(store)
    await house.work()
    assert shop.shows == newest
    assert await rows_of(store, schema.delivery) == []


# --- declared by a flow -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("when_down", "calls"), [("latest_only", [3]), ("defer", [3, 3, 3]), ("critical", [3, 3, 3])])
async def test_latest_only_leaves_out_what_is_overtaken_whatever_the_operation_says(
    store: Store, when_down: str, calls: list[int]
) -> None:
    """Three readings wait. Products do not coalesce by themselves here; for a flow that says so they do."""
    channel = Channel()
    house = House(
        store, f"  - {{on: stock.changed, from: erp, do: shop.publish_product, when_down: {when_down}}}\n", shop=channel
    )
    await moves(house, 5, 4, 3)
    await house.work()
    assert channel.writes == calls
    log = await log_of(store, "publish_product")
    assert log == [("done", "superseded" if n < 2 and len(calls) == 1 else "") for n in range(3)]
