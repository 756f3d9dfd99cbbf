"""10,000 orders and 10,000 articles compared between a shop and an Odoo: seconds, calls, memory, and what is found.

Over HTTP. Both systems are stand-ins in processes of their own, without a disk, so the seconds are the hub's and
theirs. Some orders are missing in Odoo, some quantities and prices differ in the shop: each must be found, and nothing
else. Nobody serves meanwhile, so that no time is waited for feeds. Last line: one JSON object.

    python bench/drift.py [--orders 10000] [--articles 10000] [--planted 10]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from starlette.responses import JSONResponse

from counterfoil.blueprint import parse
from counterfoil.doors import assembly
from counterfoil.hub.store import open_store
from counterfoil.watch import drifting
from counterfoil_sandbox.odoo import make_app as make_odoo
from counterfoil_sandbox.serving import free_port, serve_forever
from counterfoil_sandbox.woocommerce import make_app as make_shop
from counterfoil_sandbox.woocommerce import make_order

DAYS = 30
CHUNK = 500
BLUEPRINT = """\
counterfoil: 1
store: sqlite:///{folder}/counterfoil.db
systems:
  web: {{connector: woocommerce, url: "{shop}", consumer_key: "${{K}}", consumer_secret: "${{S}}", timeout: 60s}}
  odoo: {{connector: odoo, url: "{odoo}", database: sandbox, api_key: "${{A}}"}}
owners: {{product: odoo, stock: odoo}}
flows:
  - {{on: order.placed, from: web, do: odoo.accept_order}}
  - {{on: stock.changed, from: odoo, do: web.publish_stock}}
  - {{on: product.changed, from: odoo, do: web.publish_product}}
"""
SECRETS = {"K": "ck_sandbox", "S": "cs_sandbox", "A": "sandbox-key"}


class Counted:
    """A stand-in that counts what it is asked; GET /_bench tells."""

    def __init__(self, app: Any) -> None:
        self.app, self.calls = app, 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/_bench":
            await JSONResponse({"calls": self.calls})(scope, receive, send)
            return
        self.calls += 1
        await self.app(scope, receive, send)


def when(n: int, of: int, now: float) -> float:
    """The orders are spread over the days, the newest an hour old."""
    return now - 3600 - (DAYS - 1) * 86400 * n / of


def odoo(port: int, orders: int, articles: int, planted: int, now: float) -> None:
    """An Odoo with the articles, ten of each in stock, and the orders but the first few, until it is ended."""
    app = make_odoo(currency="EUR", country="FR")
    call = app.inner.state.odoo.call
    (location,) = {row["lot_stock_id"][0] for row in call("stock.warehouse", "search_read", domain=[])}
    products: list[int] = []
    for start in range(0, articles, CHUNK):
        numbers = range(start, min(start + CHUNK, articles))
        rows = [
            {"name": f"Article {n}", "default_code": f"BENCH-{n}", "list_price": (500 + n) / 100, "is_storable": True}
            for n in numbers
        ]
        made = call("product.product", "create", vals_list=rows)
        counts = [{"product_id": p, "location_id": location, "inventory_quantity": 10} for p in made]
        quants = call("stock.quant", "create", vals_list=counts, context={"inventory_mode": True})
        call("stock.quant", "action_apply_inventory", ids=quants, context={"inventory_mode": True})
        products += made
    (partner,) = call("res.partner", "create", vals_list=[{"name": "Customer"}])
    for start in range(planted, orders, CHUNK):
        rows, names = [], []
        for n in range(start, min(start + CHUNK, orders)):
            line = {"product_id": products[0], "product_uom_qty": 1, "price_unit": 100.0, "tax_ids": [(6, 0, [])]}
            at = datetime.fromtimestamp(when(n, orders, now), UTC).strftime("%Y-%m-%d %H:%M:%S")
            row = {"partner_id": partner, "origin": f"web:order:{1000 + n}", "date_order": at, "state": "sale"}
            rows.append({**row, "order_line": [(0, 0, line)]})
            names.append(f"web_order_{1000 + n}")
        ids = call("sale.order", "create", vals_list=rows)
        data = [
            {"module": "counterfoil", "model": "sale.order", "name": name, "res_id": id_}
            for name, id_ in zip(names, ids, strict=True)
        ]
        call("ir.model.data", "create", vals_list=data)
    serve_forever(Counted(app), port)


def shop(port: int, orders: int, articles: int, planted: int, now: float) -> None:
    """A shop with the same, of which the first few quantities and prices are others, until it is ended."""
    app = make_shop(options={"woocommerce_prices_include_tax": "no"}, webhook_delay=1e6)
    catalogue = app.shop.catalogue
    for number in list(catalogue.products):  # of the recordings only the settings are wanted
        catalogue.remove(number)
    for n in range(articles):
        price = f"{(500 + n + (n < planted)) / 100:.2f}"
        stock = {"manage_stock": True, "stock_quantity": 10 - (n < planted)}
        row = {"name": f"Article {n}", "sku": f"BENCH-{n}", "regular_price": price, "status": "publish"}
        catalogue.write({**row, "type": "simple", **stock})
    like = make_order(1, status="processing")
    for n in range(orders):
        app.shop.place({**like, "id": 1000 + n, "total": "100.00", "currency": "EUR"}, at=when(n, orders, now))
    serve_forever(Counted(app), port)


def started(what: Callable[..., None], *told: Any) -> tuple[multiprocessing.Process, str]:
    """Run it in a process of its own, until it answers."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=what, args=(port, *told), daemon=True)
    process.start()
    url = f"http://127.0.0.1:{port}"
    end = time.monotonic() + 600
    while time.monotonic() < end:
        try:
            httpx.get(f"{url}/_bench", timeout=5)
            return process, url
        except httpx.HTTPError:
            time.sleep(0.5)
    raise RuntimeError("a stand-in did not start")


def calls(url: str) -> int:
    """How many it was asked so far."""
    return int(httpx.get(f"{url}/_bench", timeout=30).json()["calls"])


async def measure(folder: str, shop_url: str, odoo_url: str) -> dict[str, Any]:
    """One audit of each; seconds, calls of both systems, and how much more memory than before."""
    plan = parse(
        BLUEPRINT.format(folder=folder, shop=shop_url, odoo=odoo_url), known=assembly.catalogue(), environ=SECRETS
    )
    store = await open_store(plan.store.reveal())
    made = assembly.connectors(plan)
    house, channels, found = assembly.house(store, plan, made), assembly.channels(plan), {}
    end = datetime.now(UTC)
    try:
        for what in ("orders", "stock", "prices"):
            asked, began = (calls(shop_url), calls(odoo_url)), time.monotonic()
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            (report,) = await drifting.compared(house, channels, [what], end - timedelta(days=DAYS), end)
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            found[what] = {
                "rows": report.tally.rows,
                "drift": len(report.tally.drift),
                "explained": sum(report.tally.verdicts.values()) - len(report.tally.drift),
                "unread": report.unread,
                "seconds": round(time.monotonic() - began, 2),
                "calls_shop": calls(shop_url) - asked[0],
                "calls_odoo": calls(odoo_url) - asked[1],
                "peak_memory_grown_mib": round(grown / 1024, 1),
            }
            print(what, found[what], file=sys.stderr)
    finally:
        for connector in made.values():
            await connector.close()
        await store.close()
    return found


def main() -> int:
    """Set the stage, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--articles", type=int, default=10_000)
    parser.add_argument("--planted", type=int, default=10)
    told = parser.parse_args()
    sizes = (told.orders, told.articles, told.planted, time.time())
    (first, odoo_url), (second, shop_url) = started(odoo, *sizes), started(shop, *sizes)
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = asyncio.run(measure(folder, shop_url, odoo_url))
    finally:
        for process in (first, second):
            process.terminate()
    expected = {"orders": told.planted, "stock": told.planted, "prices": told.planted}
    right = {what: one["drift"] for what, one in found.items()} == expected
    print(json.dumps({"right": right, "store": "SQLite, WAL, synchronous=FULL", **found}))
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
