"""What an alert names is broken in a hub at work, and what is scraped of it makes it fire; before, it is quiet."""

from __future__ import annotations

import functools
import itertools
import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from tests.alerting import Watch
from tests.conftest import ON_SQLITE
from tests.counting import NO_ERP, Warehouse
from tests.fakes import CATALOGUE, ERP, OPERATIONS, SHOP, Fake, House, at, failing, payload, raw, rows_of, until
from tests.storefront_stage import ROOT, storefront

from counterfoil.blueprint import Catalogue, ConnectorInfo, OperationInfo, parse
from counterfoil.blueprint.values import Secret
from counterfoil.doors import metrics as door
from counterfoil.doors.storefront import app as storefront_app
from counterfoil.doors.webhooks import application
from counterfoil.hub import care, credentials, poller, schema
from counterfoil.hub.contract import Finding, Kind, Mark, Operation, rejected
from counterfoil.hub.receipts import GroupCommit
from counterfoil.hub.store import Store
from counterfoil.hub.worker import Worker
from counterfoil.watch import metrics, promises
from counterfoil.watch.milestones import rules_of
from counterfoil.watch.promises import Follower

pytestmark = ON_SQLITE  # that the store says the same on PostgreSQL is for test_metrics_door.py

HOUR = 60


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path)


class Scraped:
    """A hub and what was scraped of it: `well` before something was broken, then `ill`, a minute apart."""

    def __init__(self, house: Any, own: Any = dict) -> None:
        known = metrics.Known((SHOP, ERP), {(SHOP, "orders"): 60.0})
        self.clock = 0.0
        self.metrics = metrics.Metrics(house.store, known, own, clock=lambda: self.clock)
        self.well: list[tuple[float, str]] = []
        self.ill: list[tuple[float, str]] = []

    async def look(self) -> tuple[float, str]:
        self.clock += metrics.KEEP  # every scrape asks the store anew
        text, _ = await self.metrics.text()
        return time.time(), text.decode()

    def expect(self, watch: Watch, alert: str, minutes: int) -> None:
        """Quiet while it is well, also for so long; it fires when it stays ill for so many minutes."""
        watch.expect(alert, False, self.well, minutes, goes_on=True)
        watch.expect(alert, True, [*self.well, *self.ill], minutes, goes_on=False)


async def worked(store: Store, house: House, worker: Worker, *tables: sa.Table) -> None:
    """The worker works until each of the tables has a row."""
    async with house.working(worker):
        for table in tables:
            await until(functools.partial(rows_of, store, table))


async def test_a_system_that_refuses_our_key_and_what_waits_for_it(store: Store, watch: Watch) -> None:
    house = House(store)
    await house.hear(payload(1))
    hub = Scraped(house)
    hub.well = [await hub.look()]
    house.erp.answer = failing(Kind.MISCONFIGURED, "bad_credentials")
    await house.receive(payload(2))
    await worked(store, house, house.worker(), schema.system_state)
    hub.ill = [await hub.look()]
    hub.expect(watch, "SystemClosed", 6)
    hub.expect(watch, "CredentialsRefused", 2)
    watch.expect("WorkWaits", False, hub.ill, 30, goes_on=False)  # the breaker says it already
    watch.ask()


async def test_nobody_works(store: Store, watch: Watch) -> None:
    house = House(store)
    hub = Scraped(house)
    await house.hear(payload(1))
    hub.well = [await hub.look()]
    house.erp.plan("shop:order:2", failing(Kind.RETRY))
    await house.receive(payload(2))
    await worked(store, house, house.worker(), schema.delivery_log)
    async with house.working():
        await until(lambda: rows_of(store, schema.delivery_log, outcome="retry"))
    await house.receive(payload(3))
    hub.ill = [await hub.look()]
    hub.expect(watch, "ReceiptsWait", 6)
    hub.expect(watch, "WorkWaits", 22)
    watch.ask()


async def test_an_order_is_refused_and_its_lane_held(store: Store, watch: Watch) -> None:
    house = House(store)
    hub = Scraped(house)
    hub.well = [await hub.look()]
    house.erp.always["shop:order:1"] = failing(Kind.REJECTED, "unknown_sku")
    house.erp.always["shop:order:2"] = ValueError("a mistake of ours")
    await house.hear(payload(1), payload(2))
    async with store.write() as connection:
        late = sa.update(schema.exception).where(schema.exception.c.reason == "unknown_sku")
        await connection.execute(late.values(respond_by=store.now - 1))
    hub.ill = [await hub.look()]
    hub.expect(watch, "LaneHeld", 4 * HOUR + 10)
    hub.expect(watch, "Bug", 2)
    hub.expect(watch, "ExceptionsOverdue", 7)
    watch.ask()


async def test_refunds_and_invoices_are_refused(store: Store, watch: Watch) -> None:
    more = (OperationInfo("refund_order", "money"), OperationInfo("invoice_order", "money"))
    known = Catalogue.of([ConnectorInfo("fake", operations=OPERATIONS + more, needs_url=False)], CATALOGUE.events)
    flows = "".join(f"  - {{on: order.placed, from: shop, do: erp.{each.name}, on_exception: pass}}\n" for each in more)
    systems = f"systems: {{{SHOP}: {{connector: fake}}, {ERP}: {{connector: fake}}}}\n"
    plan = parse(f"counterfoil: 1\n{systems}flows:\n{flows}", known=known)

    async def refuse(items: Sequence[Any]) -> list[Any]:
        return [rejected("no_journal", "There is no journal.", "Name one.") for _ in items]

    house = House(store)
    books = Fake(ERP)
    books._operations |= {each.name: Operation(each.name, "money", refuse) for each in more}
    hub = Scraped(house)
    hub.well = [await hub.look()]
    await house.receive(payload(1))
    await Worker(store, plan, {SHOP: house.shop, ERP: books}, house.processes).drain(20)
    hub.ill = [await hub.look()]
    hub.expect(watch, "RefundsFailed", 7)
    hub.expect(watch, "PostingsFailed", 20)
    watch.ask()


async def test_orders_stop_coming(store: Store, watch: Watch) -> None:
    house = House(store)
    hub = Scraped(house)
    for number in range(1, 5, 2):
        await house.hear(payload(number), payload(number + 1))
        hub.well.append(await hub.look())
    watch.a_week_later("OrdersNotArriving", True, hub.well, stops=True)
    watch.a_week_later("OrdersNotArriving", False, hub.well, stops=False)
    watch.ask()


async def test_the_disk_runs_full_and_a_key_grows_old(
    store: Store, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def free(bytes_: int) -> None:
        monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=bytes_, f_frsize=1))

    house = House(store)
    hub = Scraped(house)
    shop = house.blueprint.systems[SHOP].model_copy(update={"settings": {"key": Secret("a key of theirs")}})
    await credentials.note(store, house.blueprint.model_copy(update={"systems": {SHOP: shop}}))
    free(50 * 10**9)
    hub.well = [await hub.look()]
    free(10**9 // 2)
    async with store.write() as connection:
        await connection.execute(sa.update(schema.credential).values(since=store.now - 366 * 86400))
    hub.ill = [await hub.look()]
    hub.expect(watch, "DiskFull", 17)
    hub.expect(watch, "CredentialOld", 70)
    watch.ask()


async def test_what_is_promised_does_not_happen_in_time(store: Store, watch: Watch) -> None:
    within = "  - {on: order.placed, from: shop, do: erp.accept_order, within: 1ms}\n"
    named = "promises: {accepted: {after: order.placed, expect: order.closed, within: 1ms}}\n"
    house = House(store, within.replace("1ms", "1h"), named)
    late = House(store, within, named, erp=house.erp)
    hub = Scraped(house)
    await house.hear(payload(1))
    hub.well = [await hub.look()]
    for number in (2, 3):
        await late.receive(payload(number, placed=at(0)))
        await late.worker(follow=Follower(late.blueprint)).drain(20)
        await promises.look(store, rules_of(late.blueprint))
        hub.ill.append(await hub.look())
    hub.expect(watch, "PromisesMissed", 8)
    hub.expect(watch, "PromisesOverdue", 15)
    watch.ask()


async def test_there_is_more_to_do_than_can_be_done(store: Store, watch: Watch) -> None:
    urgent = "  - {on: order.placed, from: shop, do: erp.accept_order, when_down: critical}\n"
    may_wait = "  - {on: order.placed, from: shop, do: erp.post_refund}\n"
    house = House(store, urgent + may_wait, "pressure: {backlog: 1}\n")
    worker = house.worker()
    hub = Scraped(house, lambda: {("counterfoil_pressure", ()): float(worker.gauge.high)})
    await worker.look_around()
    hub.well = [await hub.look()]
    await house.receive(payload(1), payload(2))
    await worker.look_around()
    hub.ill = [await hub.look()]
    hub.expect(watch, "Pressure", 17)
    watch.ask()


async def test_webhooks_are_refused_and_found_ill_and_the_poll_fails(store: Store, watch: Watch) -> None:
    house = House(store)
    hub = Scraped(house)
    app = application({SHOP: house.shop, ERP: house.erp}, GroupCommit(store))
    house.shop.changes = [raw(payload(1))]
    [feed] = house.shop.feeds

    async def poll() -> None:
        async with store.write() as connection:
            await connection.execute(sa.update(schema.cursor).values(next_at=0))
        await poller.poll_once(store, SHOP, feed)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub") as shop:

        async def send(secret: str) -> None:
            await shop.post("/webhooks/shop", content=payload(1), headers={"x-secret": secret})

        await poll()
        await send("right")
        hub.well = [await hub.look()]
        [before] = await rows_of(store, schema.cursor, feed="orders")
        for _ in range(2):
            await send("wrong")
            house.shop.changes.append(raw(payload(2)))
            house.shop.breaks_at = {1: failing(Kind.DOWN)}
            await poll()
            hub.ill.append(await hub.look())
        [after] = await rows_of(store, schema.cursor, feed="orders")
        assert after["ok_at"] == before["ok_at"]
    hub.expect(watch, "WebhooksRefused", 12)
    hub.expect(watch, "PollStale", 15)
    house.shop.cared = [Finding("webhook", Mark.FAILED, "The webhook is off.", "Switch it on.")]
    await care.care_once(store, SHOP, house.shop)
    hub.ill.append(await hub.look())
    hub.expect(watch, "WebhooksIll", 20)
    watch.ask()


async def test_channels_are_not_told_and_more_is_sold_than_there_is(store: Store, watch: Watch) -> None:
    house = Warehouse(store, NO_ERP)
    hub = Scraped(house)
    await house.reads(8)
    await house.tells()
    hub.well = [await hub.look()]
    await house.reads(2, outgoing=5)
    hub.ill = [await hub.look()]  # nobody looks at it
    hub.expect(watch, "StockPublicationLate", 6)
    await house.tells()
    hub.ill = [await hub.look()]
    hub.expect(watch, "Oversold", 1)
    watch.ask()


async def test_the_storefront_is_slow(store: Store, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    async with storefront(store, "") as stage:
        await stage.counts(MUG={"WH": 5})
        hub = Scraped(stage)

        async def asked(seconds: float) -> tuple[float, str]:
            clock = itertools.count(0.0, seconds)  # the request takes what the clock goes on by from look to look
            monkeypatch.setattr(storefront_app, "perf_counter", lambda: next(clock))
            assert (await stage.client.get(f"{ROOT}/availability/MUG")).status_code == 200
            return await hub.look()

        hub.well = [await asked(0.001), await asked(0.001)]
        hub.ill = [await asked(1.5), await asked(1.5)]
    watch.expect("StorefrontSlow", False, hub.well, 17, goes_on=False)
    watch.expect("StorefrontSlow", True, hub.ill, 17, goes_on=False)
    watch.ask()


async def test_the_storefront_is_stale_and_fails_and_the_store_is_away(
    store: Store, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with storefront(store, "stock: {stale_after: 60s}\n") as stage:
        await stage.counts(MUG={"WH": 5})
        hub = Scraped(stage, lambda: door.own(["doors"], None, stage.context.book))  # type: ignore[arg-type]
        for _ in range(3):
            assert (await stage.client.get(f"{ROOT}/availability/MUG")).status_code == 200
            assert (await stage.client.get(f"{ROOT}/problems/not_found")).status_code == 200
        hub.well = [await hub.look()]
        await stage.looked(ago=61.0)
        hub.ill = [await hub.look()]
        hub.expect(watch, "StorefrontStale", 7)

        def away(*_: Any) -> Any:
            raise ConnectionError("away")

        monkeypatch.setattr(store, "_connected", away)
        hub.ill = []
        for _ in range(2):
            answer = await stage.client.get(f"{ROOT}/availability/MUG", headers={"Authorization": "Bearer unknown"})
            assert answer.status_code == 503
            hub.ill.append(await hub.look())
        hub.expect(watch, "StoreAway", 5)
        hub.expect(watch, "StorefrontFailing", 8)
    watch.ask()
