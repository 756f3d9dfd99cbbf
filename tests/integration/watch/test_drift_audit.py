"""The audit between a stand-in shop and a stand-in Odoo, over HTTP, with a whole hub beside it or none."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import time
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.command import counterfoil
from tests.order_life import Life, rest, ship
from tests.order_life import _wanted as in_euros

from counterfoil.connectors.odoo import feeds
from counterfoil.doors import assembly
from counterfoil.doors.serve import ROLES, Hub, hub
from counterfoil.hub import exceptions
from counterfoil.hub.schema import cursor, delivery_log, event
from counterfoil.hub.worker import idle
from counterfoil.watch import drifting
from counterfoil.watch.auditing import Report
from counterfoil.watch.drift import Verdict
from counterfoil_lab import warehouse
from counterfoil_lab.prepare import prepare, variants
from counterfoil_lab.stage import OdooPlace, blueprint
from counterfoil_sandbox.faults import Faulty
from counterfoil_sandbox.odoo import make_app as make_odoo
from counterfoil_sandbox.serving import serving
from counterfoil_sandbox.woocommerce import RECORDINGS, ShopApp, make_order
from counterfoil_sandbox.woocommerce import make_app as make_shop

SKU = "SIM-0001"
"""A simple article of the recorded catalogue."""
SERVED_BY_NOBODY = ("workers",)
"""A hub that does what is in its lanes, and hears of nothing by itself."""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "SELDOM", 2.0)  # Odoo's customers and products are looked at every 30 s otherwise


@dataclass
class World:
    """Shop, Odoo and the blueprint between them."""

    app: ShopApp
    odoo_app: Faulty
    place: OdooPlace
    file: Path

    @contextlib.asynccontextmanager
    async def hub(self, roles: Collection[str] = ROLES) -> AsyncIterator[Hub]:
        async with hub(assembly.load(self.file), roles) as running:
            if "doors" in roles:
                await running.connectors["web"].ensure_webhooks(running.url)  # type: ignore[attr-defined]
            yield running

    @contextlib.asynccontextmanager
    async def settled(self) -> AsyncIterator[Hub]:
        """With two orders and all stock and products told."""
        async with self.hub() as running:
            self.order(), self.order()
            await rest(running, self.app.shop)
            yield running

    def order(self, **fields: Any) -> int:
        """A paid order, placed now or `at`; its number."""
        order = make_order(5000, status="processing", only=in_euros, folder=RECORDINGS)
        order["payment_method"] = "bacs"  # money that arrives before the goods leave
        return int(self.app.shop.place(order, **fields)["id"])

    def shelf(self, sku: str = SKU) -> dict[str, Any]:
        row = self.app.shop.catalogue.find(sku)
        assert row is not None
        return row

    def in_odoo(self, number: int) -> list[dict[str, Any]]:
        return self.place.api.read("sale.order", [["origin", "=", f"web:order:{number}"]], ["state", "name"])


async def audited(running: Hub, *what: str, repair: bool = False, ask: bool = False) -> list[Report]:
    house = assembly.house(running.store, running.blueprint, running.connectors)
    end = datetime.now(UTC) + timedelta(minutes=1)
    names: Sequence[str] = what or ("orders", "stock", "prices", "customers")
    channels = assembly.channels(running.blueprint)
    return await drifting.compared(
        house, channels, names, end - timedelta(days=30), end, names if repair else (), ask, who="a tester"
    )


def drifting_labels(report: Report) -> list[str]:
    return [finding.row.label for finding in report.tally.drift]


async def quiet(running: Hub) -> None:
    async with asyncio.timeout(30):
        while not await idle(running.store):  # noqa: ASYNC110 - the worker is another task
            await asyncio.sleep(0.05)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    app = make_shop(options={"woocommerce_prices_include_tax": "no"})
    odoo = make_odoo(currency="EUR", country="FR")
    with serving(app) as shop_url, serving(odoo) as url:
        place = OdooPlace(url, "sandbox", "sandbox-key")
        variants(place.api, RECORDINGS)
        prepare(place.api, RECORDINGS, ["EUR"])
        articles = place.api.read("product.product", [place.api.names.stocked()], ["id"])
        warehouse.count_stock(place.api, {p["id"]: 50 for p in articles})
        yield World(app, odoo, place, blueprint(tmp_path, place, shop_url, poll="1s", catalogue=RECORDINGS, whole=True))


def written(world: World) -> int:
    """How many requests of the shop's API were other than reading."""
    return sum(n for what, n in world.app.requests.items() if not what.startswith("GET"))


async def rows_in(running: Hub, table: sa.Table) -> int:
    async with running.store.read() as connection:
        return int(await connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


async def test_two_systems_that_agree_and_nothing_is_written(world: World) -> None:
    async with world.settled() as running:
        before = written(world), await rows_in(running, event), await rows_in(running, delivery_log)
        orders, stock, prices, customers = await audited(running)
        after = written(world), await rows_in(running, event), await rows_in(running, delivery_log)
    assert [r.is_even for r in (orders, stock, prices, customers)] == [True] * 4
    assert (orders.tally.rows, stock.tally.rows) == (2, 120)
    assert prices.tally.rows >= 120
    assert sum(orders.tally.verdicts.values()) == 0
    assert after == before


async def test_stock_and_a_price_changed_by_hand_in_the_shop_are_found_and_published_again(world: World) -> None:
    """Dry first: nothing changes. Then through flow and lane, in the counterfoil; the next audit is even."""
    async with world.settled() as running:
        row = world.shelf()
        right = row["stock_quantity"], row["regular_price"]
        world.app.shop.catalogue.write({"stock_quantity": 7, "regular_price": "0.50"}, row["id"])
        (dry,) = await audited(running, "stock")
        assert drifting_labels(dry) == [SKU]
        assert dry.tally.drift[0].row.shop_says == "7"
        assert (world.shelf()["stock_quantity"], await exceptions.listing(running.store)) == (7, [])
        mended = await audited(running, "stock", "prices", repair=True, ask=True)
        assert [[f.repaired for f in r.tally.drift] for r in mended] == [["told web again"], ["told web again"]]
        await quiet(running)
        assert (world.shelf()["stock_quantity"], world.shelf()["regular_price"]) == right
        assert [r.is_even for r in await audited(running, "stock", "prices")] == [True, True]
        async with running.store.read() as connection:
            told = await connection.execute(sa.select(event.c.type).where(event.c.causation.startswith("drift:")))
            assert sorted(told.scalars()) == ["product.changed", "stock.changed"]
        assert await exceptions.listing(running.store) == []


async def test_an_order_deleted_in_odoo_is_asked_about_once_until_it_is_even(world: World) -> None:
    """It is not made again (DESIGN 4); thrown away in the shop too, the exception closes by itself."""
    async with world.settled() as running:
        number = world.order()
        await rest(running, world.app.shop)
        ids = [row["id"] for row in world.in_odoo(number)]
        world.place.api.call("sale.order", "action_cancel", ids=ids, context=warehouse.QUIET)
        world.place.api.call("sale.order", "unlink", ids=ids)
        for _ in range(2):
            (report,) = await audited(running, "orders", repair=True, ask=True)
            assert drifting_labels(report) == [str(number)]
            assert "not made again" in report.tally.drift[0].why
            (one,) = await exceptions.listing(running.store)
            assert (one["reason"], one["subject"]) == ("drift", f"web:order:{number}")
        assert world.in_odoo(number) == []
        world.app.shop.change(number, status="cancelled")
        await rest(running, world.app.shop)
        closed = [e["id"] for e in await exceptions.listing(running.store) if e["reason"] != "drift"]
        for other in closed:  # what the cancelled order itself is about
            await exceptions.act(running.store, other, "skipped", "a tester")
        (report,) = await audited(running, "orders", ask=True)
        assert report.is_even
        assert await exceptions.listing(running.store) == []


async def test_an_order_the_hub_never_heard_of_is_taken_in(world: World) -> None:
    """No webhook came and nobody polls; young ones are in flight, older ones drift. case: F07"""
    async with world.hub(SERVED_BY_NOBODY) as running:
        old = world.order(at=time.time() - 600)
        young = world.order()
        (dry,) = await audited(running, "orders")
        assert not dry.served
        assert drifting_labels(dry) == [str(old)]
        assert dry.tally.verdicts[Verdict.IN_FLIGHT] == 1
        (report,) = await audited(running, "orders", repair=True, ask=True)
        assert [f.repaired for f in report.tally.drift] == ["read again"]
        await quiet(running)
        assert [row["state"] for row in world.in_odoo(old)] == ["sale"]
        assert world.in_odoo(young) == []
        (report,) = await audited(running, "orders")
        assert report.is_even


async def test_what_telling_again_does_not_help_is_put_before_a_person(world: World) -> None:
    """Shipped in Odoo and told; then somebody sets the shop's order back, which the hub does not overrule."""
    async with world.settled() as running:
        number = world.order()
        await rest(running, world.app.shop)
        life = Life(world.app.shop, world.place.api, number)
        await asyncio.to_thread(ship, life)
        await rest(running, world.app.shop)
        assert life.now["status"] == "completed"
        world.app.shop.change(number, status="processing")
        await rest(running, world.app.shop)
        (report,) = await audited(running, "orders", repair=True, ask=True)
        assert [(f.row.label, f.repaired, f.why) for f in report.tally.drift] == [
            (str(number), "", "told web again, and it did not help")
        ]
        (one,) = await exceptions.listing(running.store)
        assert (one["reason"], one["owner"], one["subject"]) == ("drift", "shop-manager", f"web:order:{number}")
        assert "processing" in one["message"]
        assert "shipped" in one["message"]


async def test_an_order_cancelled_in_odoo_that_nobody_heard_of_is_told_to_the_shop(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("counterfoil.watch.auditing.UNHEARD", 0.0)
    async with world.settled() as running:
        number = world.order()
        await rest(running, world.app.shop)
    async with world.hub(SERVED_BY_NOBODY) as running:
        ids = [row["id"] for row in world.in_odoo(number)]
        world.place.api.call("sale.order", "action_cancel", ids=ids, context=warehouse.QUIET)
        async with running.store.write() as connection:  # they have not been looked at for long
            await connection.execute(sa.update(cursor).values(next_at=1.0))
        (report,) = await audited(running, "orders", repair=True, ask=True)
        assert [f.repaired for f in report.tally.drift] == ["read again"]
        await quiet(running)
        assert world.app.shop.order(number)["status"] == "cancelled"


async def test_changes_while_it_reads_are_no_drift(world: World) -> None:
    """Orders come in and stock is counted all the time: what differs meanwhile is in flight."""
    async with world.settled() as running:
        articles = [row["id"] for row in world.place.api.read("product.product", [["default_code", "=", SKU]], ["id"])]
        changes = 0

        def change() -> None:
            nonlocal changes
            changes += 1
            world.order()
            warehouse.count_stock(world.place.api, dict.fromkeys(articles, 50 + changes % 9))

        async def busy() -> None:
            while True:
                await asyncio.to_thread(change)
                await asyncio.sleep(0.4)

        task = asyncio.create_task(busy())
        try:
            for _ in range(3):
                for report in await audited(running, "orders", "stock"):
                    assert drifting_labels(report) == [], [f.as_dict() for f in report.tally.drift]
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert changes > 5
        await rest(running, world.app.shop)
        assert [r.is_even for r in await audited(running, "orders", "stock")] == [True, True]


async def test_a_page_that_fails_is_read_again_and_nothing_counts_twice(world: World) -> None:
    async with world.settled() as running:
        world.app.faults.add("status", path=r"/products$", method="GET", status=503, body="maintenance", times=2)
        (report,) = await audited(running, "stock")
        assert world.app.faults.played["status"] == 2
        assert report.is_even
        assert report.tally.rows == 120


async def test_a_system_that_cannot_be_read_is_named_and_the_others_are_compared(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("counterfoil.watch.auditing.FIRST_WAIT", 0.01)
    async with world.settled() as running:
        world.app.faults.add("status", path=r"/orders$", method="GET", status=503, body="maintenance", times=-1)
        orders, stock = await audited(running, "orders", "stock", repair=True, ask=True)
        assert not orders.is_even
        assert "down or under maintenance" in orders.unread
        assert stock.is_even


def drift(world: World, *arguments: str, code: int = 0) -> str:
    """`counterfoil drift` as people call it; what it prints."""
    done = counterfoil("drift", *arguments, "-b", world.file, code=code)
    return done.stdout + done.stderr


async def test_the_command_from_finding_to_mending(world: World, tmp_path: Path) -> None:
    async with world.settled():
        right = world.shelf()["stock_quantity"]
    assert "They agree" in drift(world, "orders", "stock")
    assert "declare drift" in drift(world, "--last", code=1)
    assert "nothing is known of" in drift(world, "weather", code=2).lower()
    world.app.shop.catalogue.write({"stock_quantity": 7}, world.shelf()["id"])
    page = drift(world, "stock", "--csv", str(tmp_path / "rows.csv"), code=1)
    assert "## Stock of web and odoo: drift" in page
    assert f"| {SKU} | 7 |" in page
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as rows:
        assert [(row["label"], row["shop"], row["verdict"]) for row in csv.DictReader(rows)] == [(SKU, "7", "drift")]
    (told,) = json.loads(drift(world, "stock", "--repair", "--json", code=1))
    assert [(row["label"], row["repaired"]) for row in told["drift"]] == [(SKU, "told web again")]
    async with world.hub(SERVED_BY_NOBODY) as running:
        await quiet(running)
    assert world.shelf()["stock_quantity"] == right
    assert "They agree" in drift(world, "stock")
