"""Draining makes due what waits for its next try, and nothing else; and says how far it is, or why it stands still."""

from __future__ import annotations

import itertools
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import ON_SQLITE
from tests.fakes import ERP, SHOP, Fake, House, assert_one_status, failing, payload, rows_of, subject, until

from counterfoil.hub import draining, pausing, schema, systems
from counterfoil.hub.contract import Kind, Outcome, rejected
from counterfoil.hub.draining import Drain
from counterfoil.hub.lanes import DECODE
from counterfoil.hub.pausing import Place
from counterfoil.hub.store import Store
from counterfoil.hub.worker import streams_of

STREAMS = streams_of({SHOP: Fake(SHOP), ERP: Fake(ERP)})
ORDERS = Place(ERP, "order")
HOUR = 3600.0


async def queued(house: House, *numbers: int) -> None:
    """These orders wait at the ERP, which is paused meanwhile."""
    await pausing.pause(house.store, ORDERS, "mara")
    await house.receive(*(payload(n) for n in numbers))

    async def decoded() -> bool:
        return not await rows_of(house.store, schema.lane, stream=DECODE)

    async with house.working():
        await until(decoded)
    await pausing.resume(house.store, ORDERS, "mara")


async def change(house: House, table: sa.Table, key: str, **values: Any) -> None:
    """Change the rows of one order."""
    async with house.store.write() as connection:
        await connection.execute(sa.update(table).where(table.c.key == key).values(**values))


async def tried_in_vain(house: House, number: int, wait: float = HOUR) -> None:
    """It failed once, and is tried again in an hour."""
    await change(house, schema.lane, subject(number), due_at=house.store.now + wait)
    await change(house, schema.delivery, subject(number), attempt=1)


async def seen(house: House, place: Place = ORDERS) -> Drain:
    return await draining.look(house.store, house.blueprint, STREAMS, place)


async def test_what_waits_for_its_next_try_is_done_now(store: Store) -> None:
    house = House(store)
    await queued(house, 1, 2, 3)
    for number in (1, 2):
        await tried_in_vain(house, number)
    with pytest.raises(LookupError):
        await seen(house)
    assert await draining.begin(store, ORDERS, "tom") == 3
    before = await seen(house)
    assert (before.total, before.left, before.state, before.who) == (3, 3, "going", "tom")
    house.erp.plan(subject(1), Outcome(Kind.RETRY, "busy"))
    await house.work()
    await queued(house, 4)  # what comes later is not meant
    after = await seen(house)
    assert (after.left, after.done, after.failed, after.state, after.waiting) == (0, 3, 1, "empty", ())
    assert sorted(house.erp.made) == [subject(1), subject(2), subject(3)]
    kept = [(r["who"], r["subject"], r["detail"]) for r in await rows_of(store, schema.audit, act="flows.drain")]
    assert kept == [("tom", str(ORDERS), {"waiting": 3})]
    assert [d.total for d in await draining.listing(store, house.blueprint, STREAMS)] == [3]


async def test_what_holds_it_back_holds_still_and_is_said(store: Store) -> None:
    """A person's decision, a run to come, and a try that failed again; then the breaker, then a pause."""
    house = House(store)
    house.erp.always[subject(9)] = rejected("unknown_sku", "No product.", "Make it.")
    await house.hear(payload(9))
    await queued(house, 1, 2, 3)
    await change(house, schema.delivery, subject(1), not_before=store.now + HOUR)
    await change(house, schema.lane, subject(1), due_at=store.now + HOUR)
    await draining.begin(store, ORDERS, "tom")
    await tried_in_vain(house, 2)
    await tried_in_vain(house, 3)
    found = await seen(house)
    assert (found.total, found.state) == (4, "still")
    assert [(w.reason, w.things, w.until is not None) for w in found.waiting] == [
        ("held", 1, False),
        ("window", 1, True),
        ("retry", 2, True),
    ]
    assert found.waiting[0].words == "1 held for a person: the exception is open"

    async with store.write() as connection:
        await systems.close_system(connection, store, ERP, failing(Kind.DOWN, message="Nobody answers.").outcome)
    found = await seen(house)
    assert [(w.reason, w.things, w.more) for w in found.waiting][1:] == [("closed", 3, "Nobody answers.")]
    await pausing.pause(store, Place(ERP), "mara", "stocktaking")
    found = await seen(house)
    assert [(w.reason, w.more) for w in found.waiting][1:] == [("paused", "mara, stocktaking")]
    assert await draining.begin(store, Place(ERP), "tom", resume=True) == 4
    assert await pausing.listing(store) == []
    await assert_one_status(store)


@ON_SQLITE
async def test_what_missed_its_window_waits_for_the_next_one(store: Store) -> None:
    begins, ends = (f"{datetime.now(UTC) + timedelta(hours=h):%H:%M}" for h in (2, 3))
    house = House(store, f'  - {{on: order.placed, do: erp.accept_order, zone: UTC, window: "{begins}-{ends}"}}\n')
    await queued(house, 1)
    await change(house, schema.delivery, subject(1), not_before=store.now - HOUR)
    await change(house, schema.lane, subject(1), due_at=store.now + 2 * HOUR)
    await draining.begin(store, ORDERS, "tom")
    assert (await seen(house)).state == "going", "it is looked at now; the worker finds the window over"
    await change(house, schema.lane, subject(1), due_at=store.now + HOUR)
    (waiting,) = (await seen(house)).waiting
    assert (waiting.reason, waiting.things) == ("window", 1)
    assert f"{datetime.fromtimestamp(waiting.until or 0, UTC):%H:%M}" == begins


async def test_a_try_that_is_soon_is_no_standstill_and_what_nobody_takes_is_one(
    store: Store,
) -> None:
    house = House(store)
    await queued(house, 1)
    await draining.begin(store, ORDERS, "tom")
    await tried_in_vain(house, 1, wait=draining.SOON / 2)
    assert (await seen(house)).state == "going"
    long_ago = store.now - 2 * draining.IDLE
    await change(house, schema.lane, subject(1), due_at=long_ago)
    assert (await seen(house)).state == "going", "as after a long pause: it was only just let go"
    async with store.write() as connection:
        await connection.execute(sa.update(schema.drain).values(began_at=long_ago))
        await connection.execute(sa.update(schema.delivery_log).values(ended_at=long_ago))
    found = await seen(house)
    assert (found.state, [w.reason for w in found.waiting]) == ("still", ["idle"])
    await change(house, schema.lane, subject(1), worker="somebody")
    assert (await seen(house)).state == "going"


async def test_of_many_it_says_how_the_lanes_are(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(store)
    house.erp.always[subject(9)] = rejected("unknown_sku", "No product.", "Make it.")
    await house.hear(payload(9))
    await queued(house, 1, 2, 3)
    await draining.begin(store, ORDERS, "tom")
    await tried_in_vain(house, 1)
    await tried_in_vain(house, 2)
    monkeypatch.setattr(draining, "MOST", 3)
    found = await seen(house)
    assert [(w.reason, w.things) for w in found.waiting] == [("held", 1), ("later", 2), ("due", 1)]
    assert (found.left, found.state) == (4, "going")
    await tried_in_vain(house, 3)
    assert (await seen(house)).state == "still"


@ON_SQLITE
async def test_many_open_pages_look_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    house, looks, look = House(store), [], draining._look
    await queued(house, 1)

    async def counted(*given: Any) -> Drain:
        looks.append(1)
        return await look(*given)

    monkeypatch.setattr(draining, "_look", counted)
    monkeypatch.setattr(draining, "KEEP", 600.0)
    for begun in (1, 2):
        await draining.begin(store, ORDERS, f"tom {begun}")
        for _ in range(3):
            assert [d.who for d in await draining.listing(store, house.blueprint, STREAMS)] == [f"tom {begun}"]
        assert len(looks) == begun


LANE = st.fixed_dictionaries(
    {
        "due": st.sampled_from(["later", "held", "past"]),
        "in_hand": st.sampled_from([False, False, False, True]),
        "early": st.sampled_from([False, False, False, True]),
        "system": st.sampled_from([ERP, ERP, ERP, SHOP]),
        "stream": st.sampled_from(["order", "order", "stock", "decode"]),
    }
)


@pytest.fixture(scope="module")
def file(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copied = tmp_path_factory.mktemp("draining") / "counterfoil.db"
    shutil.copy(sqlite_template, copied)
    return copied


@settings(max_examples=30, deadline=None)
@given(st.lists(LANE, min_size=5, max_size=12), st.sampled_from(["order", ""]))
async def test_just_those_lanes_become_due_that_wait_for_a_try_there(
    file: Path, lanes: list[dict[str, Any]], stream: str
) -> None:
    """Whatever the lanes are like, and however they fall into chunks."""
    kept, number = Store(f"sqlite:///{file}"), itertools.count(1)
    now = await _now(kept)
    due = {"past": now - 5, "later": now + HOUR, "held": schema.HELD}
    rows = [{**each, "n": next(number)} for each in lanes]
    async with kept.write() as connection:
        for table in (schema.lane, schema.delivery):
            await connection.execute(sa.delete(table))
        for row in rows:
            at = {"system": row["system"], "stream": row["stream"], "key": f"k{row['n']}"}
            lane = {**at, "n": 1, "due_at": due[row["due"]], "worker": "w" if row["in_hand"] else None}
            await connection.execute(sa.insert(schema.lane).values(**lane))
            early = now + HOUR if row["early"] else None
            told = {"operation": "x", "subject": "s", "attempt": 0, "created_at": now, "on_exception": "hold"}
            await connection.execute(sa.insert(schema.delivery).values(**at, **told, not_before=early))
    chunk, draining.CHUNK = draining.CHUNK, 2
    try:
        total = await draining.begin(kept, Place(ERP, stream), "tom")
    finally:
        draining.CHUNK = chunk
    found = {r["key"]: r["due_at"] for r in await rows_of(kept, schema.lane)}
    await kept.close()
    meant = {stream} if stream else {"order", "stock"}
    mine = [r for r in rows if r["system"] == ERP and r["stream"] in meant]
    assert total == len(mine)
    for row in rows:
        waits = row in mine and row["due"] == "later" and not row["in_hand"] and not row["early"]
        was = due[row["due"]]
        assert (found[f"k{row['n']}"] < was - 1) is waits, row
        assert waits or found[f"k{row['n']}"] == was


async def _now(kept: Store) -> float:
    async with kept.read() as connection:
        return await kept.clock(connection)
