"""Stock through the whole hub: a count in Odoo reaches the shop, and what the web sells is counted once."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from tests.fakes import rows_of
from tests.integration.doors.conftest import Scene, until

from counterfoil.hub import schema
from counterfoil.hub.availability import stock
from counterfoil_lab.warehouse import count_stock

FLOW = "flows:\n  - {on: stock.changed, from: odoo, do: web.publish_stock, on_exception: pass}\n"


async def test_a_count_and_an_order_reach_the_shop_and_each_counts_once(scene: Scene) -> None:
    """The order is taken when it is placed; in the end Odoo's own figures hold it, and nothing else. case: F15"""
    scene.file.write_text(scene.file.read_text("utf-8").replace("flows:\n", FLOW, 1), "utf-8")
    shop = scene.shop.shop
    order = shop.place(status="pending", payment_method="bacs")
    line = order["line_items"][0]
    [number] = [row["id"] for row in scene.place.api.read("product.product", [["default_code", "=", line["sku"]]], [])]

    def shown() -> int:
        return int(shop.catalogue.find(line["sku"])["stock_quantity"])

    async with scene.hub() as running:
        await asyncio.to_thread(count_stock, scene.place.api, {number: 20})
        await until(lambda: shown() == 20 - line["quantity"])
        shop.change(order["id"], status="processing")
        await until(lambda: bool(scene.in_odoo(order["id"])))

        async def settled() -> bool:
            return not await rows_of(running.store, schema.taking)

        await until(settled)
        async with running.store.read() as connection:
            assert await stock.verify(connection, running.store) == []
        assert await in_odoo(scene, number) == 20 - line["quantity"]
        await until(lambda: shown() == 20 - line["quantity"])


async def in_odoo(scene: Scene, number: int) -> Decimal:
    """On hand less outgoing, as Odoo says."""
    fields = ["qty_available", "outgoing_qty"]
    [row] = await asyncio.to_thread(scene.place.api.read, "product.product", [["id", "=", number]], fields)
    return Decimal(str(row["qty_available"])) - Decimal(str(row["outgoing_qty"]))
