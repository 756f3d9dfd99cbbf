"""The blueprints in examples/, as they stand, between stand-ins: what each promises is done, judged by the stand-ins.

Only addresses, places of the store and the ledger's journals are otherwise, by a profile beside the copied file.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
import yaml
from tests.integration.doors.conftest import CURRENCIES, until
from typer.testing import CliRunner

from counterfoil.blueprint import Blueprint
from counterfoil.connectors.odoo import feeds
from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil.doors.assembly import load
from counterfoil.doors.cli import app as command_line
from counterfoil.doors.serve import Hub, hub
from counterfoil.hub.lanes import DECODE
from counterfoil.hub.schema import cursor, delivery_log, lane
from counterfoil_lab import warehouse
from counterfoil_lab.odoo_api import Odoo
from counterfoil_lab.prepare import JOURNALS, prepare, tax_rows
from counterfoil_lab.resting import Feeds, feeds_of
from counterfoil_lab.stage import SHOP_KEYS
from counterfoil_sandbox.odoo import make_app as make_odoo
from counterfoil_sandbox.records import Book, BookApp
from counterfoil_sandbox.records import make_app as make_records
from counterfoil_sandbox.serving import free_port, serving
from counterfoil_sandbox.woocommerce import RECORDINGS, ShopApp
from counterfoil_sandbox.woocommerce import make_app as make_shop

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
NAMES = ("one-web-store", "web-shops-finance", "b2b-in-transition")
SKU = "SIM-0001"
SLOWEST = 2.0
"""Seconds between two looks of the feeds that are waited for."""
SECRETS = {
    **{f"{shop}_KEY": SHOP_KEYS[0] for shop in ("WEB", "WEB_EU", "WEB_US")},
    **{f"{shop}_SECRET": SHOP_KEYS[1] for shop in ("WEB", "WEB_EU", "WEB_US")},
    **{f"{system}_WEBHOOK_SECRET": f"whsec-of-{system}" for system in ("WEB", "WEB_EU", "WEB_US", "TILL", "CRM")},
    **{f"{system}_TOKEN": "sandbox-token" for system in ("TILL", "FINANCE", "CRM", "LEGACY")},
    "ODOO_API_KEY": "sandbox-key",
}


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "SELDOM", SLOWEST)  # Odoo's customers and products are looked at every 30 s otherwise


class Scene:
    """The stand-ins of one example, and its blueprint with their addresses."""

    def __init__(self, name: str, folder: Path, systems: Mapping[str, ShopApp | BookApp]) -> None:
        self.name, self.folder, self.systems = name, folder, systems
        self.stack = contextlib.ExitStack()
        urls = {system: self.stack.enter_context(serving(app)) for system, app in systems.items()}
        urls["odoo"] = self.stack.enter_context(serving(make_odoo(currency="EUR", country="FR")))
        self.odoo = Odoo(urls["odoo"], "sandbox-key", "sandbox")
        prepare(self.odoo, RECORDINGS, CURRENCIES)
        articles = self.odoo.read("product.product", [self.odoo.names.stocked()], ["id"])
        warehouse.count_stock(self.odoo, {article["id"]: 100 for article in articles})
        self.blueprint = load(self._file(urls), profile="test")

    def _file(self, urls: Mapping[str, str]) -> Path:
        file = Path(shutil.copy(EXAMPLES / f"{self.name}.yaml", self.folder))
        address = f"127.0.0.1:{free_port()}"
        profile: dict[str, Any] = {
            "store": f"sqlite:///{self.folder / 'counterfoil.db'}",
            "listen": address,
            "public_url": f"http://{address}",
            "systems": {name: {"url": url, "poll": "1s"} for name, url in urls.items()},
            "payments": [{"method": method, "journal": journal} for method, journal in JOURNALS.items()],
            "taxes": [yaml.safe_load(row) for row in tax_rows(RECORDINGS)],
        }
        profile["systems"]["odoo"]["database"] = "sandbox"
        file.with_suffix(".test.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")
        return file

    def shop(self, name: str) -> Any:
        """What stands in a web store."""
        system = self.systems[name]
        assert isinstance(system, ShopApp)
        return system.shop

    def book(self, name: str) -> Book:
        """What stands in a system of records."""
        system = self.systems[name]
        assert isinstance(system, BookApp)
        return system.book

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Hub]:
        """A hub over it that has read everything once; with the webhooks that the blueprint has secrets for."""
        async with hub(self.blueprint) as running:
            for name, connector in running.connectors.items():
                if isinstance(connector, WooCommerce):
                    await connector.ensure_webhooks(running.url)
                elif (secret := SECRETS.get(f"{name.upper()}_WEBHOOK_SECRET")) and name in self.systems:
                    self.book(name).hear(f"{running.url}/webhooks/{name}", secret)
            await self.rest(running)
            yield running

    async def rest(self, running: Hub) -> None:
        """Webhooks are out, every feed but the slow ones has looked since, nothing is due soon or in flight."""
        for system in self.systems.values():
            if isinstance(system, ShopApp):
                await asyncio.to_thread(system.shop.drain, 10)
        changed, looking = time.time(), feeds_of(running.connectors, SLOWEST)
        await until(lambda: at_rest(running, looking, changed), 90)

    async def do(self, running: Hub, act: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Somebody does something in one of the systems, and the hub does what follows."""
        done = await asyncio.to_thread(act, *arguments, **named)
        await self.rest(running)
        return done

    def product(self) -> int:
        """The article in Odoo."""
        return int(self.odoo.read("product.product", [["default_code", "=", SKU]], ["id"])[0]["id"])

    def orders(self, origin: str) -> list[dict[str, Any]]:
        """The sale orders of one order, as Odoo has them."""
        return self.odoo.read("sale.order", [["origin", "=", origin]], ["state", "amount_total", "partner_id"])

    def partners(self, email: str) -> list[dict[str, Any]]:
        """The customers of an e-mail address, as Odoo has them."""
        return self.odoo.read(
            "res.partner", [["email", "=", email], ["parent_id", "=", False]], ["name", "phone", "ref"]
        )

    def ship(self, origin: str) -> None:
        """Everything of the order leaves Odoo's warehouse."""
        warehouse.ship(self.odoo, [p["id"] for p in warehouse.open_shipments(self.odoo, [origin])], {})

    def invoices(self) -> list[dict[str, Any]]:
        """Posted invoices and credit notes."""
        posted = [["state", "=", "posted"], ["move_type", "in", ["out_invoice", "out_refund"]]]
        return self.odoo.read("account.move", posted, ["name", "amount_total", "move_type"])


async def at_rest(running: Hub, looking: Feeds, changed: float) -> bool:
    """Whether these feeds have looked since the last change, and nothing waits but for a distant run or a person."""
    did = sa.select(delivery_log.c.ended_at).where(delivery_log.c.operation != DECODE)
    async with running.store.read() as connection:
        last = await connection.scalar(did.order_by(delivery_log.c.id.desc()).limit(1))
        looked = {(r.system, r.feed): r.ok_at or 0.0 for r in await connection.execute(sa.select(cursor))}
        soon = sa.or_(lane.c.worker.is_not(None), lane.c.due_at < time.time() + 600)
        busy = await connection.scalar(sa.select(sa.func.count()).select_from(lane).where(soon))
    return not busy and all(looked.get(feed, 0.0) > max(changed, last or 0.0) for feed in looking)


Make = Callable[[str, Mapping[str, ShopApp | BookApp]], Scene]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Make]:
    with contextlib.ExitStack() as stack:

        def made(name: str, systems: Mapping[str, ShopApp | BookApp]) -> Scene:
            scene = Scene(name, tmp_path, systems)
            stack.enter_context(scene.stack)
            return scene

        yield made


def stock_shown(shop: ShopApp) -> Any:
    """How many of the article a web store shows."""
    row = shop.shop.catalogue.find(SKU)
    return row["stock_quantity"] if row else None


@pytest.mark.parametrize("name", NAMES)
def test_each_example_is_sound_without_a_warning(name: str) -> None:
    """`counterfoil check --json` has nothing to say."""
    said = CliRunner().invoke(command_line, ["check", "--blueprint", str(EXAMPLES / f"{name}.yaml")])
    assert (said.exit_code, said.stdout.strip()) == (0, "The blueprint is sound.")


@pytest.mark.parametrize("form", ["html", "md"])
@pytest.mark.parametrize("name", NAMES)
def test_each_example_is_a_page(name: str, form: str, tmp_path: Path) -> None:
    """With every system and every promise on it, and no secret."""
    page = tmp_path / f"page.{form}"
    file = EXAMPLES / f"{name}.yaml"
    said = CliRunner().invoke(command_line, ["blueprint", "render", "-b", str(file), "-o", str(page)])
    assert said.exit_code == 0
    text, blueprint = page.read_text(encoding="utf-8"), load(file)
    assert isinstance(blueprint, Blueprint)
    assert [word for word in (*blueprint.systems, *blueprint.promises) if word not in text] == []
    assert [secret for secret in SECRETS.values() if secret in text] == []


async def test_one_web_store(scene: Make) -> None:
    """An order goes in, ships, is invoiced, and the shop knows; stock counted in Odoo is what the shop shows."""
    web = make_shop()
    here = scene("one-web-store", {"web": web})
    async with here.running() as running:
        order = await here.do(running, here.shop("web").place)
        origin = f"web:order:{order['id']}"
        (sale,) = here.orders(origin)
        assert (sale["state"], f"{sale['amount_total']:.2f}") == ("sale", order["total"])
        await here.do(running, here.ship, origin)
        (invoice,) = here.invoices()
        assert f"{invoice['amount_total']:.2f}" == order["total"]
        assert here.shop("web").order(order["id"])["status"] == "completed"
        assert invoice["name"] in str(here.shop("web").notes(order["id"]))
        await here.do(running, warehouse.count_stock, here.odoo, {here.product(): 12})
        assert stock_shown(web) == 12


async def test_web_shops_and_finance(scene: Make) -> None:
    """Orders of both web stores, one stock for all, members of the tills in Odoo, and each invoice booked once."""
    eu, us = make_shop(), make_shop(seed=2)
    till = make_records({"/members": "customer", "/articles": "product", "/quantities": "stock"})
    finance = make_records({"/postings": "record"})
    here = scene("web-shops-finance", {"web-eu": eu, "web-us": us, "till": till, "finance": finance})
    async with here.running() as running:
        origins = []
        for name in ("web-eu", "web-us"):
            order = await here.do(running, here.shop(name).place)
            origins.append(f"{name}:order:{order['id']}")
            assert [sale["state"] for sale in here.orders(origins[-1])] == ["sale"]
        for origin in origins:
            await here.do(running, here.ship, origin)
        number = int(origins[0].rpartition(":")[2])
        await here.do(running, here.shop("web-eu").refund, number, "1.50", "goodwill")
        booked = {(post["number"], Decimal(post["total"].removesuffix(" EUR"))) for post in here.book("finance").posts}
        assert booked == {(move["name"], Decimal(f"{move['amount_total']:.2f}")) for move in here.invoices()}
        assert sorted(post["kind"] for post in here.book("finance").posts) == [
            "order.credited",
            "order.invoiced",
            "order.invoiced",
        ]

        await here.do(running, warehouse.count_stock, here.odoo, {here.product(): 12})
        assert (stock_shown(eu), stock_shown(us)) == (11, 10)  # less what each is not told of
        told = {each["articleNo"]: each["available"] for each in here.book("till").records["/quantities"].values()}
        assert told[SKU] == 12
        assert here.book("till").records["/articles"] == {}  # those wait for the morning

        member = {"full_name": "Member", "email": "member@example.test", "phone": "+33 1 00"}
        await here.do(running, here.book("till").write, "/members", "M1", member)
        assert [(p["name"], p["phone"]) for p in here.partners("member@example.test")] == [("Member", "+33 1 00")]


async def test_b2b_in_transition(scene: Make) -> None:
    """Sales keep accounts in the CRM, goods are picked in the old warehouse, and nobody else's word counts there."""
    web = make_shop()
    crm = make_records({"/accounts": "customer"})
    legacy = make_records({"/stock": "stock", "/orders": "order"}, zone=ZoneInfo("Europe/Paris"), bare=True)
    here = scene("b2b-in-transition", {"web": web, "crm": crm, "legacy": legacy})
    email, accounts = "buyer@example.test", here.book("crm").records["/accounts"]
    account = {"account_name": "Buyer Ltd", "email": email, "phone": "+33 1 11", "tier": "gold", "manager": "M"}
    async with here.running() as running:
        await here.do(running, here.book("crm").write, "/accounts", "A1", account)
        assert [(p["name"], p["phone"], p["ref"]) for p in here.partners(email)] == [("Buyer Ltd", "+33 1 11", "gold")]

        order = await here.do(running, here.shop("web").place)
        origin = f"web:order:{order['id']}"
        assert [sale["state"] for sale in here.orders(origin)] == ["sale"]
        picked = here.book("legacy").records["/orders"][origin]
        assert (picked["number"], picked["status"]) == (order["number"], "processing")

        await here.do(running, here.book("legacy").write, "/stock", SKU, {"article": SKU, "shelf": 7, "picked": 2})
        assert stock_shown(web) == 5
        await here.do(running, warehouse.count_stock, here.odoo, {here.product(): 50})
        assert stock_shown(web) == 5

        await here.do(running, here.book("crm").write, "/accounts", "A1", {"phone": "+33 1 22"})
        (partner,) = here.partners(email)
        assert partner["phone"] == "+33 1 22"
        change = {"ids": [partner["id"]], "vals": {"phone": "+33 1 99"}}
        await here.do(running, here.odoo.call, "res.partner", "write", **change)
        assert accounts["A1"]["phone"] == "+33 1 22"
        assert [p["phone"] for p in here.partners(email)] == ["+33 1 22"]  # written back

        place = {"street": "1 Rue Neuve", "city": "Lyon", "zip": "69001"}
        change |= {"vals": place}
        await here.do(running, here.odoo.call, "res.partner", "write", **change)
        assert (accounts["A1"]["billing_street"], accounts["A1"]["billing_city"]) == ("1 Rue Neuve", "Lyon")
        assert (accounts["A1"]["phone"], accounts["A1"]["manager"], len(accounts)) == ("+33 1 22", "M", 1)
        assert here.book("crm").requests["PUT /accounts"] == 1  # the address, once: no echo of it, and no phone
