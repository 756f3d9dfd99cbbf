"""A CRM on a `defer` flow is down for an hour while orders come in: they keep their promises, and the CRM gets it all.

The hour is simulated: the database's clock, by which the hub times everything, is moved on, three minutes at a time.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from tests.fakes import OPERATIONS, Fake, House, assert_one_status, at, failing, payload, rows_of, until

from counterfoil.blueprint import Blueprint, Catalogue, ConnectorInfo, parse
from counterfoil.hub import mending, schema
from counterfoil.hub.contract import Item, Kind, Outcome
from counterfoil.hub.retry import BREAKER_CAP
from counterfoil.hub.store import Store
from counterfoil.hub.worker import Worker
from counterfoil.retail.events import EVENT_TYPES

CRM = "crm"
BLUEPRINT = """\
counterfoil: 1
systems: {shop: {connector: fake}, erp: {connector: fake}, crm: {connector: fake}}
pressure: {backlog: 50, lag: 10s}
flows:
  - {on: [order.placed, order.paid], from: shop, do: erp.accept_order, within: 60s, when_down: critical}
  - {on: order.cancelled, from: shop, do: erp.cancel_order, within: 60s, when_down: critical}
  - {on: [order.placed, order.paid, order.cancelled, order.accepted], from: shop, do: crm.note_order, when_down: defer}
"""
NOTED = {"order.placed", "order.paid", "order.cancelled", "order.accepted"}
STEP = 180.0
ORDERS = 5
"""In each step."""
HOUR = 3600.0
AWAY = failing(Kind.DOWN, "unreachable", message="The CRM does not answer.")


class MovableStore(Store):
    """A store whose clock can be moved on, for every process that uses it."""

    @property
    def now(self) -> sa.ColumnElement[float]:
        return sa.literal_column(f"({super().now} + (select ahead from movable_clock))", sa.Double())

    async def start_clock(self) -> None:
        async with self.write() as connection:
            await connection.execute(sa.text("create table if not exists movable_clock (ahead double precision)"))
            await connection.execute(sa.text("delete from movable_clock"))
            await connection.execute(sa.text("insert into movable_clock values (0)"))

    async def move_on(self, seconds: float) -> None:
        async with self.write() as connection:
            await connection.execute(sa.text("update movable_clock set ahead = ahead + :s"), {"s": seconds})
        self.wake()


@pytest.fixture
async def movable(store: Store, store_url: str) -> AsyncIterator[MovableStore]:
    """The test's store once more, with a clock that can be moved on."""
    opened = MovableStore(store_url)
    await opened.start_clock()
    yield opened
    await opened.close()


class Crm(Fake):
    """Keeps, by order, what it was told in the order in which it was told."""

    def __init__(self) -> None:
        super().__init__(CRM, batch=20, parallel=2)
        self.heard: defaultdict[str, list[str]] = defaultdict(list)

    async def stand(self, item: Item, operation: str = "note_order") -> Outcome:
        self.heard[item.subject].append(item.event_type)
        return await super().stand(item, operation)


class Three(House):
    """A house with a CRM."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        known = Catalogue.of([ConnectorInfo("fake", operations=OPERATIONS, needs_url=False)], frozenset(EVENT_TYPES))
        self.blueprint: Blueprint = parse(BLUEPRINT, known=known)
        self.crm = Crm()
        self.processes = {**self.processes, CRM: {}}

    def worker(self, **options: Any) -> Worker:
        connectors = {"shop": self.shop, "erp": self.erp, CRM: self.crm}
        options.setdefault("lease", 4 * HOUR)  # no lease runs out because the clock is moved
        return Worker(self.store, self.blueprint, connectors, self.processes, **options)


def life(dice: random.Random, number: int) -> list[bytes]:
    """What the shop says of an order, in the order in which it says it: some are paid later, some cancelled."""
    told = [payload(number)]
    if dice.random() < 0.5:
        told.append(payload(number, modified=at(1), paid=at(1)))
    if dice.random() < 0.3:
        told.append(payload(number, modified=at(2), status="cancelled"))
    return told


async def an_hour(store: MovableStore, crm_answers: bool) -> tuple[Three, list[float]]:
    """An hour of orders; the house, and how long each delivery at the ERP took, by the store's clock, sorted."""
    house, dice = Three(store), random.Random(40)
    house.crm.answer = None if crm_answers else AWAY
    sent = 0
    began = await mending.clock(store)
    async with house.working(house.worker(), house.worker()):
        while await mending.clock(store) - began < HOUR:
            await house.receive(*[state for n in range(ORDERS) for state in life(dice, sent + n)])
            sent += ORDERS

            async def only_the_crm_waits() -> bool:
                return {r["system"] for r in await rows_of(store, schema.lane)} <= {CRM}

            await until(only_the_crm_waits, 30)
            await store.move_on(STEP)
    log = await rows_of(store, schema.delivery_log, system="erp")
    assert {r["outcome"] for r in log} == {"done"}
    return house, sorted(r["ended_at"] - r["created_at"] for r in log)


async def test_an_hour_without_the_crm_touches_no_order_and_loses_no_note(movable: MovableStore) -> None:
    """Each order is accepted in the step it came in; nothing is counted against what waits; all arrives in order."""
    house, waited = await an_hour(movable, crm_answers=False)
    assert waited[-1] < STEP, "no order waited for as much as one move of the clock"
    assert house.crm.heard == {}
    assert {d["attempt"] for d in await rows_of(movable, schema.delivery, system=CRM)} == {0}
    assert await house.exceptions() == [], "nobody is called for what may wait"
    probes = len(house.crm.calls)
    assert probes <= HOUR / (BREAKER_CAP / 2) + 10, "it was left alone but for a call now and then"
    house.crm.answer = None
    await movable.move_on(2 * BREAKER_CAP)
    async with house.working(house.worker(), house.worker()):

        async def over() -> bool:
            return not await rows_of(movable, schema.delivery)

        await until(over, 30)
    types = {e["id"]: e["type"] for e in await rows_of(movable, schema.event)}
    done = await rows_of(movable, schema.delivery_log, system=CRM, outcome="done")
    expected: defaultdict[str, list[str]] = defaultdict(list)
    for row in sorted(done, key=lambda r: int(r["delivery_id"])):  # as they were queued
        expected[row["subject"]].append(types[row["event_id"]])
    assert house.crm.heard == expected
    assert sum(map(len, expected.values())) == sum(1 for type_ in types.values() if type_ in NOTED)
    assert {heard[0] for heard in expected.values()} == {"order.placed"}
    assert max(map(len, expected.values())) > 2
    await assert_one_status(movable)


async def test_the_same_hour_with_the_crm(movable: MovableStore) -> None:
    """Beside it: by the same measure the orders were no sooner there."""
    house, waited = await an_hour(movable, crm_answers=True)
    assert waited[-1] < STEP
    assert len(house.crm.heard) == len(house.erp.made) > 0
