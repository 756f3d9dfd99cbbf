"""Replay: past events go through the present flows again, each delivery once, at a rate, and go on after a break."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from pydantic import TypeAdapter
from tests.fakes import (
    ERP,
    FLOWS,
    SHOP,
    House,
    assert_one_status,
    at,
    order,
    payload,
    replayed,
    rows_of,
    stock_level,
    subject,
    until,
)

from counterfoil.hub import replay, replays, schema
from counterfoil.hub.contract import rejected
from counterfoil.hub.replay import Choice
from counterfoil.hub.replays import Job
from counterfoil.hub.store import Store
from counterfoil.hub.worker import streams_of
from counterfoil.retail.events import at_utc

PUBLISH = FLOWS + "  - {on: stock.changed, from: erp, do: shop.publish_stock}\n"


@pytest.fixture
async def house(store: Store) -> House:
    """Three orders, one of them cancelled, and a stock that changed twice; all carried out."""
    house = House(store, PUBLISH)
    await house.hear(payload(1), payload(2), payload(3))
    await house.hear(payload(3, modified=at(5), status="cancelled"))
    for second in (1, 2):
        await house.erp_says("stock", stock_level(second), at(second))
        await house.work()
    house.erp.calls.clear()
    house.shop.calls.clear()
    return house


def streams(house: House) -> dict[str, str]:
    """The stream of each operation."""
    return streams_of({SHOP: house.shop, ERP: house.erp})


async def plan(house: House, **choice: Any) -> replay.Plan:
    """The dry run."""
    return await replay.plan(house.store, house.blueprint, streams(house), Choice(**choice))


async def run(house: House, choice: Choice, **more: Any) -> Job:
    """The real one."""
    return await replayed(house.store, house.blueprint, streams(house), choice, **more)


async def test_a_dry_run_says_what_would_be_done_and_does_nothing(house: House) -> None:
    found = await plan(house)
    assert found.by_type == {"order.placed": 3, "order.cancelled": 1, "stock.changed": 2}
    assert found.by_operation == {"erp.accept_order": 3, "erp.cancel_order": 1, "shop.publish_stock": 2}
    assert (found.events, found.deliveries, found.unfinished) == (6, 6, 0)
    assert set(found.sample) == {subject(1), subject(2), subject(3), "erp:variant:1"}
    assert await rows_of(house.store, schema.delivery) == await rows_of(house.store, schema.replay) == []


@pytest.mark.parametrize(
    ("choice", "operations"),
    [
        ({"types": ("order.placed",)}, {"erp.accept_order": 3}),
        ({"types": ("order.placed", "order.cancelled")}, {"erp.accept_order": 3, "erp.cancel_order": 1}),
        ({"subject": subject(3)}, {"erp.accept_order": 1, "erp.cancel_order": 1}),
        ({"source": ERP}, {"shop.publish_stock": 2}),
        ({"system": SHOP}, {"shop.publish_stock": 2}),
        ({"operations": ("erp.cancel_order",)}, {"erp.cancel_order": 1}),
        ({"source": ERP, "newest_only": True}, {"shop.publish_stock": 1}),
        ({"subject": subject(9)}, {}),
    ],
    ids=str,
)
async def test_what_is_chosen(house: House, choice: dict[str, Any], operations: dict[str, int]) -> None:
    assert (await plan(house, **choice)).by_operation == operations
    done = await run(house, Choice(**choice))
    assert done.deliveries == sum(operations.values())
    rows = await rows_of(house.store, schema.delivery)
    assert sorted(f"{r['system']}.{r['operation']}" for r in rows) == sorted(
        n for n, c in operations.items() for _ in range(c)
    )


async def test_a_time_range_is_by_when_it_was_recorded(house: House) -> None:
    recorded = sorted(
        r["recorded_at"] for r in await rows_of(house.store, schema.event) if r["type"] != "order.accepted"
    )
    first, last, moment = at_utc(recorded[0]), at_utc(recorded[-1]), timedelta(milliseconds=1)
    assert (await plan(house, since=last - moment)).events == 1
    assert (await plan(house, until=last - moment)).events == 5
    assert (await plan(house, until=first - moment)).events == 0
    assert (await plan(house, since=last + moment)).events == 0


async def test_a_run_carries_out_again_with_the_newest_state_and_makes_nothing_twice(house: House) -> None:
    done = await run(house, Choice())
    await house.work()
    assert (done.state, done.events, done.deliveries, done.planned_deliveries) == ("done", 6, 6, 6)
    assert sorted(set(house.erp.made)) == sorted(house.erp.made)
    stock = house.shop.items[-1]
    assert stock.data["state"]["places"][0]["on_hand"] == "2"
    assert await rows_of(house.store, schema.delivery) == []
    await assert_one_status(house.store)


async def test_a_replayed_operation_does_not_tell_the_others_again(house: House) -> None:
    """What it emits has the id it had."""
    before = await house.events()
    await run(house, Choice(types=("order.placed",)))
    await house.work()
    assert await house.events() == before


async def test_what_is_still_on_its_way_is_left_alone(house: House) -> None:
    house.erp.plan(subject(4), rejected("unknown_sku", "No product MUG.", "Make it."))
    await house.hear(payload(4))
    found = await plan(house, subject=subject(4))
    assert (found.deliveries, found.unfinished) == (0, 1)
    assert (await run(house, Choice(subject=subject(4)))).deliveries == 0
    assert len(await rows_of(house.store, schema.delivery)) == 1
    await assert_one_status(house.store)


async def test_a_replay_makes_no_promise(store: Store) -> None:
    house = House(store, "  - {on: order.placed, do: erp.accept_order, within: 60s}\n")
    await house.hear(payload(1))
    await run(house, Choice())
    assert [r["promise_by"] for r in await rows_of(store, schema.delivery)] == [None]


async def test_it_goes_at_the_rate_it_is_given(house: House) -> None:
    """Six deliveries at twenty a second: not before a quarter of a second, and it says how far it is."""
    told: list[Job] = []
    began = time.monotonic()
    await run(house, Choice(), rate=20, progress=told.append)
    assert time.monotonic() - began >= 0.25
    assert (told[-1].state, told[-1].events, told[-1].deliveries) == ("running", 6, 6)


class Cut:
    """Interrupts a run once it has told so often how far it is."""

    def __init__(self, after: int) -> None:
        self.after, self.told = after, list[Job]()

    def __call__(self, job: Job) -> None:
        self.told.append(job)
        if len(self.told) == self.after:
            raise KeyboardInterrupt


async def test_a_run_that_was_stopped_goes_on_where_it_was(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "CHUNK", 2)
    cut = Cut(2)
    with pytest.raises(KeyboardInterrupt):
        await run(house, Choice(), progress=cut, who="ada")
    (kept,) = await replays.listing(house.store)
    before = len(await rows_of(house.store, schema.delivery))
    assert (kept.state, kept.ended_by, kept.worked_on) == ("stopped", "ada", False)
    assert 0 < before == kept.deliveries == cut.told[-1].deliveries < 6
    await house.work()
    await house.hear(payload(7))  # new since the run began: not its business
    done = await run(house, Choice())
    assert (done.number, done.deliveries, done.state) == (kept.number, 6, "done")
    assert len(await rows_of(house.store, schema.delivery)) == 6 - before


async def test_it_can_be_told_to_begin_anew(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "CHUNK", 2)
    with pytest.raises(KeyboardInterrupt):
        await run(house, Choice(), progress=Cut(2))
    await house.work()
    await run(house, Choice(), anew=True)
    assert len(await rows_of(house.store, schema.delivery)) == 6
    assert [job.state for job in await replays.listing(house.store)] == ["done", "stopped"]


async def test_a_running_hub_takes_up_what_nobody_works_on_and_each_event_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hubs; a third one died in the middle of a job, whose lease has run out; another is told to stop."""
    monkeypatch.setattr(replay, "CHUNK", 1)
    monkeypatch.setattr(replays, "EVERY", 0.02)
    planned = await plan(house)
    number = await replays.begin(house.store, Choice(), planned, "ada")
    assert await replays._step(house.store, house.blueprint, streams(house), number, "died") == 0.0
    assert await replays._step(house.store, house.blueprint, streams(house), number, "another") is None
    assert (await replays.get(house.store, number)).worked_on
    async with house.store.write() as connection:
        await connection.execute(sa.update(schema.replay).values(lease_until=house.store.now - 1))
    end = asyncio.Event()
    hubs = [
        asyncio.create_task(replays.run(house.store, house.blueprint, streams(house), end)),
        asyncio.create_task(replays.run(house.store, house.blueprint, streams(house), end)),
    ]

    async def ended() -> bool:
        return (await replays.get(house.store, number)).state == "done"

    await until(ended)
    assert (await replays.get(house.store, number)).deliveries == 6
    slow = await replays.begin(house.store, Choice(source=SHOP), planned, "ada", rate=0.001)

    async def in_hand() -> bool:
        return (await replays.get(house.store, slow)).worked_on

    async def given_back() -> bool:
        return not await in_hand()

    await until(in_hand)
    assert await replays.stop(house.store, slow, "tom")
    assert not await replays.stop(house.store, slow, "tom")
    end.set()
    for hub in hubs:  # as the hub does when it ends: whatever is out then is given back
        hub.cancel()
    await asyncio.gather(*hubs, return_exceptions=True)
    await until(given_back)
    left = await replays.get(house.store, slow)
    assert (left.state, left.ended_by) == ("stopped", "tom")
    assert await replays.go_on(house.store, slow, "tom")
    assert (await replays.get(house.store, slow)).state == "running"
    rows = [(r["event_id"], r["operation"]) for r in await rows_of(house.store, schema.delivery)]
    assert len(rows) == len(set(rows)) == 6
    acts = [(r["who"], r["act"]) for r in await rows_of(house.store, schema.audit) if "replay" in r["act"]]
    assert acts == [("ada", "replay"), ("ada", "replay"), ("tom", "replay.stop"), ("tom", "replay.go_on")]


async def test_neither_a_slow_one_nor_one_that_breaks_keeps_another_waiting(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "EVERY", 0.02)
    planned, chunk = await plan(house), replays._chunk
    slow = await replays.begin(house.store, Choice(source=SHOP), planned, "ada", rate=0.001)
    broken = await replays.begin(house.store, Choice(source=ERP), planned, "ada")
    quick = await replays.begin(house.store, Choice(subject=subject(1)), planned, "ada")

    async def breaks(*given: Any) -> Any:
        if given[-1].id == broken:
            raise sa.exc.OperationalError("", {}, Exception("out of reach"))
        return await chunk(*given)

    monkeypatch.setattr(replays, "_chunk", breaks)
    end = asyncio.Event()
    hub = asyncio.create_task(replays.run(house.store, house.blueprint, streams(house), end))

    async def done() -> bool:
        return (await replays.get(house.store, quick)).state == "done" and (
            await replays.get(house.store, slow)
        ).deliveries == 1

    async def ended() -> bool:
        return hub.done()

    await until(done)
    end.set()
    await until(ended)  # with one in the middle of its work
    found = {job.number: (job.state, job.worked_on) for job in await replays.listing(house.store)}
    assert found == {slow: ("running", False), broken: ("running", False), quick: ("done", False)}


async def test_begun_by_a_double_click_it_is_one(house: House) -> None:
    planned = await plan(house)
    begun = await asyncio.gather(*(replays.begin(house.store, Choice(), planned, "ada") for _ in range(4)))
    assert set(begun) == {job.number for job in await replays.listing(house.store)}
    assert len(set(begun)) == 1


async def test_one_that_breaks_is_over_and_says_where(house: House) -> None:
    """The blueprint has an operation that no connector knows: no reason to break again and again."""
    planned = await plan(house)
    number = await replays.begin(house.store, Choice(), planned, "ada")
    job = await replays.carry_out(house.store, house.blueprint, {}, number)
    assert job.state == "failed"
    assert job.trouble.startswith("KeyError in flows.py:")
    assert await rows_of(house.store, schema.delivery) == []
    assert await replays.go_on(house.store, number, "ada")
    assert (await replays.carry_out(house.store, house.blueprint, streams(house), number)).deliveries == 6


async def test_who_had_what_replayed_is_kept(house: House) -> None:
    chosen = Choice(types=("order.placed",), system=ERP, since=at_utc(1.5))
    job = await run(house, chosen, who="ada")
    (kept,) = await rows_of(house.store, schema.audit)
    assert (kept["who"], kept["act"]) == ("ada", "replay")
    assert kept["detail"] == {
        "number": job.number,
        "rate": 0.0,
        "types": ["order.placed"],
        "system": ERP,
        "since": "1970-01-01T00:00:01.500000+00:00",
    }
    assert job.choice == chosen


def test_the_same_choice_is_the_same_in_every_zone() -> None:
    """As it comes from the command line, from an API that has its own UTC, and out of the store."""
    began = datetime(2026, 11, 2, 9, tzinfo=UTC)
    same = [
        began,
        began.astimezone(ZoneInfo("Asia/Kathmandu")),
        TypeAdapter(datetime).validate_python(began.isoformat()),
    ]
    choices = [Choice(types=("order.placed",), since=since) for since in same]
    choices.append(Choice.read(choices[0].as_dict()))
    assert len({choice.name for choice in choices}) == 1
    assert Choice(since=began).name != Choice(until=began).name


async def test_one_that_was_stopped_does_not_go_on_beside_another_of_the_same_choice(house: House) -> None:
    planned = await plan(house)
    first = await replays.begin(house.store, Choice(), planned, "ada", rate=5.0)
    second = await replays.begin(house.store, Choice(), planned, "tom", rate=5.0, anew=True)
    assert not await replays.go_on(house.store, first, "ada")
    assert (await replays.get(house.store, first)).state == replays.STOPPED
    assert await replays.stop(house.store, second, "tom")
    assert await replays.go_on(house.store, first, "ada")
    assert not await replays.go_on(house.store, second, "tom")
    assert await replays.begin(house.store, Choice(), planned, "tom", rate=5.0) == first, "not beside the one that runs"


async def test_who_slows_anothers_down_or_puts_one_in_its_place_is_kept(house: House) -> None:
    planned = await plan(house)
    first = await replays.begin(house.store, Choice(), planned, "ada", rate=5.0)
    assert await replays.begin(house.store, Choice(), planned, "ada", rate=5.0) == first
    assert await replays.begin(house.store, Choice(), planned, "tom", rate=1.0) == first
    second = await replays.begin(house.store, Choice(), planned, "tom", anew=True)
    kept = [(r["who"], r["act"], r["subject"], r["detail"]) for r in await rows_of(house.store, schema.audit)]
    assert kept == [
        ("ada", "replay", "", {"number": first, "rate": 5.0}),
        ("tom", "replay.go_on", f"replay:{first}", {"rate": 1.0}),
        ("tom", "replay.stop", f"replay:{first}", {}),
        ("tom", "replay", "", {"number": second, "rate": 0.0}),
    ]


# --- receipts -----------------------------------------------------------------------------------------------------


async def test_the_newest_receipts_are_decoded_again_and_what_reads_the_same_is_dropped(house: House) -> None:
    before = await house.events()
    assert await replay.decode_again(house.store, SHOP) == 3
    await house.work()
    assert await house.events() == before
    assert await replay.decode_again(house.store, SHOP, "order", "3") == 1
    assert await replay.decode_again(house.store, SHOP, "customer") == 0


async def test_after_a_mended_decoder_the_difference_becomes_events(store: Store) -> None:
    """It misread the address; the receipt is still there, the object is as it was misread."""
    house = House(store)
    await house.hear(payload(1))
    wrong = order(street="misread").model_dump(mode="json")
    async with store.write() as connection:
        await connection.execute(sa.update(schema.object_).values(digest="misread", state=wrong))
    assert await replay.decode_again(store, SHOP) == 1
    assert await replay.decode_again(store, SHOP) == 0, "it is on its way"
    await house.work()
    assert "order.changed" in await house.events()
