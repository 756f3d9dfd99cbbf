"""What the drift audit lists of an Odoo, on each version: the shop's orders, and stock as the feeds read it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.conformance.erp_suite import NUMBERS, deliver
from tests.conformance.making import item, line, order
from tests.conformance.odoo_place import Erp

from counterfoil.connectors.odoo import Odoo, facts
from counterfoil.hub.facts import HeldOrder, HoldsOrders, ListsProducts, ListsStock, Standing
from counterfoil.retail.order import Order, Status

LONG = timedelta(days=3650)


@pytest.fixture
async def odoo(erp_of_module: Erp) -> AsyncIterator[Odoo]:
    connector = erp_of_module.connector()
    yield connector
    await connector.close()


async def accepted(odoo: Odoo, **more: object) -> Order:
    of = order(str(next(NUMBERS)), line("SKU-A", "33.33", {"20": "6.67"}, quantity="3", id="100"), **more)
    await deliver(odoo.operations["accept_order"], [item(of)])
    return of


async def held(odoo: Odoo, of: Order) -> HeldOrder:
    (found,) = await odoo.held_now([of.canonical_id])
    return found


async def test_an_order_as_it_is_held(odoo: Odoo) -> None:
    assert isinstance(odoo, HoldsOrders)
    paid = await accepted(odoo)
    found = await held(odoo, paid)
    assert (found.standing, found.total, found.ships) == (Standing.CONFIRMED, paid.total, True)
    assert found.dated >= paid.placed_at  # confirming dates it anew
    open_ = await accepted(odoo, status=Status.ON_HOLD, paid=False)
    assert (await held(odoo, open_)).standing in (Standing.QUOTATION, Standing.CONFIRMED)


async def test_only_the_shops_own_orders_of_the_days_are_listed_page_by_page(
    odoo: Odoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "PAGE", 2)
    made = {(await accepted(odoo)).canonical_id for _ in range(5)}
    shop = next(iter(made)).partition(":")[0]
    now = datetime.now(UTC)
    pages = [page async for page in odoo.list_held(shop, now - LONG, now + LONG)]
    assert max(len(page) for page in pages) == 2
    assert made <= {one.id for page in pages for one in page}
    assert [page async for page in odoo.list_held("another-shop", now - LONG, now + LONG)] == []
    assert [page async for page in odoo.list_held(shop, now - LONG, now - LONG + timedelta(days=1))] == []


async def test_a_copy_that_somebody_made_is_not_the_shops_order(odoo: Odoo) -> None:
    of = await accepted(odoo)
    one = await held(odoo, of)
    rows = await odoo.client.search_read("sale.order", [["id", "=", int(one.own_id)]], ["partner_id"])
    await odoo.client.call(
        "sale.order", "create", vals_list=[{"origin": of.canonical_id, "partner_id": rows[0]["partner_id"][0]}]
    )
    assert [each.own_id for each in await odoo.held_now([of.canonical_id])] == [one.own_id]


async def test_stock_and_products_are_listed_as_the_feeds_read_them(odoo: Odoo) -> None:
    assert isinstance(odoo, ListsStock)
    assert isinstance(odoo, ListsProducts)
    levels = {level.sku: level async for page in odoo.list_stock() for level in page}
    assert {"SKU-A", "SKU-B"} <= set(levels)
    assert await odoo.stock_now([levels["SKU-A"].id]) == [levels["SKU-A"]]
    products = {v.sku: p async for page in odoo.list_products() for p in page for v in p.variants}
    assert products["SKU-A"].variants[0].price is not None
    raws = await odoo.fetch("stock", [levels["SKU-A"].id])
    assert [odoo.decode(raw).state for raw in raws] == [levels["SKU-A"]]
