"""Whether orders keep their times while another system is down for an hour: the same load with and without it.

Orders come at a fixed rate; each is accepted in an ERP that takes a little time, and told to a CRM on a `defer` flow.
The hub's clock (the database's) runs fast, so that an hour passes in a run: breaker, probes and parked lanes live
through all of it. Times are from the order's commit to the ERP's answer, by the machine's clock. The runs alternate.
Last line: one JSON object; `ratio` is with the CRM down to with the CRM up, at the same percentile.

    python bench/outage.py [--rate 50] [--seconds 30] [--runs 3] [postgresql://…]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from counterfoil.blueprint import Catalogue, ConnectorInfo, OperationInfo, parse
from counterfoil.hub import flows, lanes, records, schema
from counterfoil.hub.contract import Failure, Item, Kind, Operation, Outcome, done
from counterfoil.hub.store import Store, open_store
from counterfoil.hub.worker import Worker
from counterfoil.retail.events import EVENT_TYPES, Event, at_utc

HOUR = 3600.0
TAKES = 0.02
"""Seconds of a call at either system."""
TICK = 0.1
BLUEPRINT = """\
counterfoil: 1
systems: {web: {connector: sink}, erp: {connector: sink}, crm: {connector: sink}}
pressure: {lag: 1d}
flows:
  - {on: [order.placed, order.paid], from: web, do: erp.take, within: 60s, when_down: critical}
  - {on: [order.placed, order.paid], from: web, do: crm.take, when_down: defer}
"""


class FastStore(Store):
    """A store whose clock can be moved on. (A lag in it is no lag: the blueprint's threshold is out of reach.)"""

    @property
    def now(self) -> sa.ColumnElement[float]:
        return sa.literal_column(f"({super().now} + (select ahead from fast_clock))", sa.Double())

    async def move_on(self, seconds: float) -> None:
        async with self.write() as connection:
            await connection.execute(sa.text("update fast_clock set ahead = ahead + :s"), {"s": seconds})


class Sink:
    """A system that takes what it is given, unless it is down."""

    feeds: Sequence[Any] = ()

    def __init__(self) -> None:
        self.down = False
        self.calls = 0
        self.taken: dict[str, float] = {}
        self.order: defaultdict[str, list[str]] = defaultdict(list)
        take = Operation("take", "order", self._take, batch=20, parallel=2)
        self.operations: Mapping[str, Operation] = {"take": take}

    async def _take(self, items: Sequence[Item]) -> list[Outcome]:
        self.calls += 1
        await asyncio.sleep(TAKES)
        if self.down:
            raise Failure(Outcome(Kind.DOWN, "unreachable", "It does not answer."))
        for item in items:
            self.taken.setdefault(item.subject, time.perf_counter())
            self.order[item.subject].append(item.event_type)
        return [done({}) for _ in items]


def event(number: int, kind: str) -> Event:
    """Something about an order."""
    subject = f"web:order:{number}"
    moment = at_utc(time.time())
    return Event(
        **{"id": f"{kind}-{number}", "type": kind, "source": "web", "subject": subject, "key": subject},
        **{"time": moment, "correlation": subject, "data": {"order": "x" * 5900}},
    )


async def an_hour(url: str, down: bool, rate: float, seconds: float) -> dict[str, Any]:
    """One run, on an emptied store."""
    await (await open_store(url)).close()
    store = FastStore(url)
    async with store.write() as connection:
        await connection.execute(sa.text("create table if not exists fast_clock (ahead double precision)"))
        for table in (
            "fast_clock",
            *(t.name for t in schema.metadata.sorted_tables if t not in (schema.audit, schema.audit_head)),
        ):
            await connection.execute(sa.text(f"delete from {table}"))
        await connection.execute(sa.text("insert into fast_clock values (0)"))
    known = Catalogue.of([ConnectorInfo("sink", operations=(OperationInfo("take", "order"),), needs_url=False)], ())
    blueprint = parse(BLUEPRINT, known=Catalogue(known.connectors, frozenset(EVENT_TYPES)))
    erp, crm = Sink(), Sink()
    crm.down = down
    worker = Worker(store, blueprint, {"erp": erp, "crm": crm}, {}, lease=4 * HOUR)
    placed: dict[str, float] = {}
    running = asyncio.create_task(worker.run())
    ticking = asyncio.create_task(_tick(store, HOUR / seconds * TICK))
    began = time.perf_counter()
    count = int(rate * seconds)
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        async with store.write() as connection:
            both = [event(number, kind) for kind in ("order.placed", "order.paid")]
            await records.keep_events(connection, store, both)
            new = [d for e in both for d in flows.deliveries(blueprint, worker.streams, e)]
            await lanes.enqueue(connection, store, new)
        placed[both[0].subject] = time.perf_counter()
    await _until(lambda: len(erp.taken) == count)
    ticking.cancel()
    deferred = 2 * count - sum(map(len, crm.order.values()))
    crm.down = False
    await store.move_on(60.0)
    await _until(lambda: sum(map(len, crm.order.values())) == 2 * count)
    worker.stop()
    await running
    waits = sorted(erp.taken[subject] - at for subject, at in placed.items())
    in_order = all(told == ["order.placed", "order.paid"] for told in (*erp.order.values(), *crm.order.values()))
    settings = await store.durability()
    await store.close()
    return {"waits": waits, "deferred": deferred, "in_order": in_order, "settings": settings}


async def _until(check: Callable[[], bool]) -> None:
    while True:
        if check():
            return
        await asyncio.sleep(0.02)


async def _tick(store: FastStore, seconds: float) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(TICK)
            await store.move_on(seconds)


def percentiles(waits: Sequence[float]) -> dict[str, float]:
    """In milliseconds."""
    cuts = statistics.quantiles(waits, n=100)
    return {name: round(cuts[n - 1] * 1000, 1) for name, n in (("p50", 50), ("p95", 95), ("p99", 99))}


def main() -> None:
    """Alternate the runs and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?", default="")
    parser.add_argument("--rate", type=float, default=50.0, help="orders a second, two events each")
    parser.add_argument("--seconds", type=float, default=30.0, help="in which the hour passes")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    waits: dict[bool, list[float]] = {False: [], True: []}
    deferred, in_order, settings = 0, True, {}
    with tempfile.TemporaryDirectory() as folder:
        url = given.url or f"sqlite:///{folder}/hub.db"
        for _ in range(given.runs):
            for down in (False, True):
                run = asyncio.run(an_hour(url, down, given.rate, given.seconds))
                waits[down] += run["waits"]
                deferred, in_order, settings = (
                    max(deferred, run["deferred"]),
                    in_order and run["in_order"],
                    run["settings"],
                )
    up, down_ = percentiles(waits[False]), percentiles(waits[True])
    ratio = {name: round(down_[name] / up[name], 2) for name in up}
    found = {"crm_up_ms": up, "crm_down_ms": down_, "ratio": ratio, "deferred_and_done": deferred, "in_order": in_order}
    print(json.dumps({**found, "orders_a_run": int(given.rate * given.seconds), "settings": settings}))


if __name__ == "__main__":
    main()
