"""A whole hub between a stand-in shop and a stand-in Odoo, over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from counterfoil.doors.assembly import load
from counterfoil.doors.serve import Hub, hub
from counterfoil.hub import exceptions
from counterfoil.hub.worker import idle
from counterfoil_lab.checker import check, odoo_orders, sellable, shop_orders
from counterfoil_lab.prepare import prepare
from counterfoil_lab.stage import SHOP_KEYS, OdooPlace, blueprint
from counterfoil_sandbox.faults import Faulty
from counterfoil_sandbox.odoo import make_app as make_odoo
from counterfoil_sandbox.serving import serving
from counterfoil_sandbox.woocommerce import RECORDINGS, ShopApp
from counterfoil_sandbox.woocommerce import make_app as make_shop

CURRENCIES = ["EUR", "GBP", "USD", "JPY", "CHF", "HUF", "PLN", "CAD"]


@dataclass(frozen=True)
class Scene:
    """Shop and Odoo with their faults, and the blueprint that joins them."""

    shop: ShopApp
    shop_url: str
    odoo: Faulty
    place: OdooPlace
    file: Path

    @contextlib.asynccontextmanager
    async def hub(self, webhooks: bool = True) -> AsyncIterator[Hub]:
        """A running hub; with its webhooks at the shop unless said."""
        async with hub(load(self.file)) as running:
            if webhooks:
                await running.connectors["web"].ensure_webhooks(running.url)  # type: ignore[attr-defined]
            yield running

    def verdict(self) -> dict[str, object]:
        """By the independent checker, from shop and Odoo alone."""
        odoo = self.place.api
        return check(shop_orders(self.shop_url, *SHOP_KEYS), odoo_orders(odoo, "web:order:"), sellable(odoo), "web")

    def in_odoo(self, number: int) -> list[dict[str, object]]:
        """The sale orders of one shop order."""
        fields = ["name", "state", "amount_total", "partner_id", "order_line"]
        return self.place.api.read("sale.order", [["origin", "=", f"web:order:{number}"]], fields)


@pytest.fixture
def prepared_odoo() -> Iterator[tuple[Faulty, OdooPlace]]:
    app = make_odoo(currency="EUR", country="FR")
    with serving(app) as url:
        place = OdooPlace(url, "sandbox", "sandbox-key")
        prepare(place.api, RECORDINGS, CURRENCIES)
        yield app, place


@pytest.fixture
def scene(prepared_odoo: tuple[Faulty, OdooPlace], tmp_path: Path) -> Iterator[Scene]:
    odoo, place = prepared_odoo
    shop = make_shop()
    with serving(shop) as shop_url:
        file = blueprint(tmp_path, place, shop_url, poll="1s", catalogue=RECORDINGS)
        yield Scene(shop, shop_url, odoo, place, file)


async def until(what: Callable[[], bool | Awaitable[bool]], limit: float = 30.0) -> None:
    """Wait for a condition; fail the test if it does not come true in `limit` seconds."""
    async with asyncio.timeout(limit):
        while True:
            value = await asyncio.to_thread(what)  # it may ask a stand-in: the hub goes on meanwhile
            if await value if isinstance(value, Awaitable) else value:
                return
            await asyncio.sleep(0.05)


async def at_rest(running: Hub, scene: Scene) -> None:
    """Webhooks are out and nothing is due or in flight."""
    await asyncio.to_thread(scene.shop.shop.drain, 10)
    await until(lambda: idle(running.store))


async def open_exceptions(running: Hub) -> list[dict[str, object]]:
    """What waits for a person now."""
    return await exceptions.listing(running.store)
