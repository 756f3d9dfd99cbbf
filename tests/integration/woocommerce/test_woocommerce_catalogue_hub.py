"""Catalogue and stock through the whole hub: receipts of the ERP in, two real connectors out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from decimal import Decimal
from typing import Any, cast

import pytest
from tests.fakes import rows_of, until
from tests.integration.woocommerce.woocommerce_catalogue import connector, product, shirt, stock

from counterfoil.blueprint import Blueprint, parse
from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil.doors import assembly
from counterfoil.hub.contract import Connector, Feed, Observed, Operation, Raw
from counterfoil.hub.receipts import Arrival, take
from counterfoil.hub.schema import link
from counterfoil.hub.store import Store
from counterfoil.hub.worker import idle
from counterfoil.retail.product import Product, StockLevel
from counterfoil_sandbox.serving import serving
from counterfoil_sandbox.woocommerce import ShopApp, make_app

TEXT = """\
counterfoil: 1
systems:
  one: {connector: woocommerce, url: https://one.example, consumer_key: '${K}', consumer_secret: '${K}'}
  two: {connector: woocommerce, url: https://two.example, consumer_key: '${K}', consumer_secret: '${K}'}
  odoo: {connector: odoo, url: https://odoo.example, api_key: '${K}'}
owners: {product: odoo, stock: odoo}
flows:
  - {on: stock.changed, do: one.publish_stock, when_down: latest_only, on_exception: pass}
  - {on: stock.changed, do: two.publish_stock, when_down: latest_only, on_exception: pass}
  - {on: product.changed, do: one.publish_product, when_down: latest_only, on_exception: pass}
  - {on: product.changed, do: two.publish_product, when_down: latest_only, on_exception: pass}
"""


class Erp:
    """Its receipts are our entities' own JSON."""

    system = "odoo"
    operations: Mapping[str, Operation] = {}
    feeds: tuple[Feed, ...] = ()

    def decode(self, raw: Raw) -> Observed:
        entity = StockLevel if raw.kind == "stock" else Product
        return Observed(raw.kind, raw.object_id, raw.headers["read_at"], entity.model_validate_json(raw.body))


class House:
    """A hub between an ERP and two shops."""

    def __init__(self, store: Store, shops: Mapping[str, WooCommerce]) -> None:
        self.store = store
        self.systems = {**shops, "odoo": cast(Connector, Erp())}
        self.blueprint: Blueprint = parse(TEXT, known=assembly.catalogue(), environ={"K": "k"})
        self._reading = 0

    async def told(self, *entities: Product | StockLevel) -> None:
        """The ERP's states come in, and all that follows is done."""
        arrivals = []
        for entity in entities:
            self._reading += 1
            kind = "product" if isinstance(entity, Product) else "stock"
            headers = {"read_at": f"2026-11-21T10:00:{self._reading:02}Z"}
            raw = Raw(kind, entity.id, entity.model_dump_json().encode(), headers)
            arrivals.append(Arrival("odoo", "poll", raw))
        async with self.store.write() as connection:
            await take(connection, self.store, arrivals)
        work = asyncio.create_task(assembly.worker(self.store, self.blueprint, self.systems).run())
        try:
            await until(lambda: idle(self.store), 30)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def links(self, system: str, *ids: str) -> dict[str, str]:
        rows = await rows_of(self.store, link, system=system)
        return {r["canonical_id"]: r["object_id"] for r in rows if r["canonical_id"] in ids}


@pytest.fixture
def apps() -> Iterator[dict[str, tuple[ShopApp, str]]]:
    one, two = make_app(), make_app()
    with serving(one) as url_one, serving(two) as url_two:
        yield {"one": (one, url_one), "two": (two, url_two)}


@pytest.fixture
async def house(store: Store, apps: dict[str, tuple[ShopApp, str]]) -> AsyncIterator[House]:
    shops = {name: connector(url, system=name) for name, (_, url) in apps.items()}
    yield House(store, shops)
    for shop in shops.values():
        await shop.close()


def shown(apps: dict[str, tuple[ShopApp, str]], sku: str, field: str = "stock_quantity") -> list[Any]:
    rows = [app.shop.catalogue.find(sku) for app, _ in apps.values()]
    return [row[field] if row else None for row in rows]


async def test_an_order_in_one_shop_lowers_what_the_other_is_told(
    house: House, apps: dict[str, tuple[ShopApp, str]]
) -> None:
    """Ten in both; three sold in the first are promised in the ERP; its new StockLevel reaches both. case: F22"""
    await house.told(stock("SIM-0001", 10))
    assert shown(apps, "SIM-0001") == [10, 10]
    app, _ = apps["one"]
    app.shop.catalogue.follows_orders = True
    line = {"product_id": 10, "variation_id": 0, "quantity": 3}
    app.shop.place(None, status="processing", line_items=[line])
    assert shown(apps, "SIM-0001") == [7, 10]
    await house.told(stock("SIM-0001", 10, outgoing=Decimal(3)))
    assert shown(apps, "SIM-0001") == [7, 7]


async def test_a_corrected_quantity_passes_the_whole_hub(house: House, apps: dict[str, tuple[ShopApp, str]]) -> None:
    """5, 3 and 5 again: neither the receipts nor the keys of events swallow the third. case: F06"""
    for quantity in (5, 3, 5):
        await house.told(stock("SIM-0001", quantity))
        assert shown(apps, "SIM-0001") == [quantity, quantity]


async def test_stock_told_before_the_product_was_there_arrives(
    house: House, apps: dict[str, tuple[ShopApp, str]]
) -> None:
    """It went nowhere the first time; once its articles are made it is told again, by the links just written."""
    new = shirt(2)
    await house.told(*(stock(v.sku, 6, int(v.id)) for v in new.variants))
    assert shown(apps, "SHIRT-2-M") == [None, None]
    await house.told(new)
    assert shown(apps, "SHIRT-2-M") == [6, 6]
    assert shown(apps, "SHIRT-2-L") == [6, 6]
    links = await house.links("two", "odoo:product:2", "odoo:variant:200")
    variation = apps["two"][0].shop.catalogue.find("SHIRT-2-M")
    assert variation is not None
    assert links == {
        "odoo:product:2": str(variation["parent_id"]),
        "odoo:variant:200": f"{variation['parent_id']}/{variation['id']}",
    }


async def test_a_product_that_changed_is_found_by_its_link(house: House, apps: dict[str, tuple[ShopApp, str]]) -> None:
    """Even under a new SKU: same product of the shop, no second one; an unchanged one is not even told."""
    await house.told(product(1))
    number = shown(apps, "ART-1", "id")
    own = product(1).variants[0].model_copy(update={"sku": "RENAMED"})
    await house.told(product(1, own))
    assert shown(apps, "RENAMED", "id") == number
    assert shown(apps, "ART-1", "id") == [None, None]
    for app, _ in apps.values():
        app.requests.clear()
    await house.told(product(1, own))
    assert [app.requests for app, _ in apps.values()] == [{}, {}]
