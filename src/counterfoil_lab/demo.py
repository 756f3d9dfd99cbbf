"""The demo: 500 orders made from recordings, through every trouble a web shop has, into an Odoo, exactly once.

    python -m counterfoil_lab.demo [--odoo real] [--keep] [--orders 500]

Webhooks come doubled, stale, out of order or not at all, answers of Odoo are lost after the commit, Odoo goes
down once in the middle, orders are paid and cancelled later. At the end the independent checker, which reads only
shop and Odoo, says what became of each order; its verdict is the last line, and the exit code.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil.doors.assembly import load
from counterfoil.doors.serve import Hub, hub
from counterfoil.hub import lanes
from counterfoil.hub.schema import counter, delivery_log, exception, receipt
from counterfoil_lab.checker import check, odoo_orders, passed, sellable, shop_orders
from counterfoil_lab.resting import at_rest, feeds_of
from counterfoil_lab.stage import SHOP_KEYS, NoOdoo, OdooPlace, an_odoo, blueprint, prepared
from counterfoil_sandbox import proxy
from counterfoil_sandbox.faults import Faulty
from counterfoil_sandbox.serving import serving
from counterfoil_sandbox.woocommerce import RECORDINGS, ShopApp, generate
from counterfoil_sandbox.woocommerce import make_app as make_shop

SHOP = "web"
QUIRKS = {"duplicate": 0.25, "stale": 0.05, "missing": 0.1, "out_of_order": 0.1}
LOST_ANSWERS = {
    "sale.order/load": 3,
    "action_confirm": 3,
    "account.payment/load": 2,
    "action_post": 2,
    "res.partner/load": 1,
}
SLOWEST_FEED = 5.0
OUTAGE = 3.0
"""Seconds that Odoo drops every connection."""

out = Console(stderr=True)


async def place_orders(shop: ShopApp, odoo: Faulty, orders: list[dict[str, Any]], bar: Progress) -> None:
    """Customers at work: orders come in, some are paid or cancelled later, and Odoo has its troubles meanwhile."""
    task = bar.add_task("placing orders", total=len(orders))
    dice = random.Random(7)
    for method, times in LOST_ANSWERS.items():
        odoo.faults.add("lost_answer", path=method, times=times)
    odoo.faults.add(
        "status", path="sale.order/", times=2, status=502, body="<h1>Bad Gateway</h1>", content_type="text/html"
    )
    placed: list[int] = []
    for number, order in enumerate(orders):
        placed.append((await asyncio.to_thread(shop.shop.place, order))["id"])
        bar.advance(task)
        if number == len(orders) // 2:
            odoo.faults.add("down", times=-1)
            asyncio.get_running_loop().call_later(OUTAGE, odoo.faults.clear, "down")
        if number % 10 == 9:
            await asyncio.sleep(0.05)  # customers are not a batch job
        if number % 25 == 24:
            await asyncio.to_thread(_change_one, shop, dice.choice(placed))


def _change_one(shop: ShopApp, number: int) -> None:
    """What happens to an order later on: what waited is paid, what is not shipped may be cancelled."""
    order = shop.shop.order(number)
    if order["status"] in ("pending", "on-hold"):
        shop.shop.change(
            number, status="processing", date_paid_gmt=order["date_created_gmt"], date_paid=order["date_created"]
        )
    elif order["status"] == "processing":
        shop.shop.change(number, status="cancelled")


async def settled(running: Hub, shop: ShopApp, changed: float, bar: Progress) -> None:
    """Until each poll has looked once after the last change, webhooks are out, and nothing is due or in flight."""
    task = bar.add_task("settling", total=None)
    feeds = feeds_of(running.connectors, SLOWEST_FEED)
    while not await at_rest(running.store, feeds, changed):
        waiting = (await lanes.depth(running.store))["lanes_waiting"]
        bar.update(task, description=f"settling, {waiting} lanes to go")
        await asyncio.sleep(0.25)


async def play(kind: str, count: int, keep: bool) -> dict[str, Any]:
    """The whole demo; the verdict."""
    started = time.monotonic()
    orders = generate(RECORDINGS, count)
    for order in orders[49::100]:
        order["line_items"][0]["sku"] = "NOT-IN-ODOO"  # what a person will have to look at
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="counterfoil-demo-"))
        stack.callback(shutil.rmtree, folder)
        place = stack.enter_context(an_odoo(kind, "cf_demo", workers=2))
        prepared(place, RECORDINGS, {order["currency"] for order in orders})
        faulty = proxy.make_app(place.url)
        front = OdooPlace(stack.enter_context(serving(faulty)), place.database, place.api_key)
        shop = make_shop()
        shop.shop.set_quirks(**QUIRKS)
        shop_url = stack.enter_context(serving(shop))
        file = blueprint(folder, front, shop_url, SHOP, poll="3s", catalogue=RECORDINGS)
        async with hub(load(file)) as running:
            await _hear_webhooks(running)
            with Progress(console=out, transient=True) as bar:
                await place_orders(shop, faulty, orders, bar)
                await settled(running, shop, time.time(), bar)
            verdict = await asyncio.to_thread(_verdict, place, shop_url)
            _print_table(await _what_happened(running, shop, faulty), verdict)
            verdict["seconds"] = round(time.monotonic() - started, 1)
            if keep:
                print_line(verdict)
                await _stay(file, running, shop_url, place)
        return verdict


async def _hear_webhooks(running: Hub) -> None:
    connector = running.connectors[SHOP]
    assert isinstance(connector, WooCommerce)
    await connector.ensure_webhooks(running.url)


def _verdict(place: OdooPlace, shop_url: str) -> dict[str, Any]:
    """By the checker, from shop and Odoo alone."""
    odoo = place.api
    return check(shop_orders(shop_url, *SHOP_KEYS), odoo_orders(odoo, f"{SHOP}:order:"), sellable(odoo), SHOP)


async def _what_happened(running: Hub, shop: ShopApp, odoo: Faulty) -> dict[str, Any]:
    async with running.store.read() as connection:
        receipts = await _tally(connection, sa.select(receipt.c.origin))
        counted = {r.name: r.n for r in await connection.execute(sa.select(counter))}
        calls = sa.select(delivery_log.c.outcome).where(delivery_log.c.operation != lanes.DECODE)
        tried = await _tally(connection, calls)
        reasons = await _tally(connection, sa.select(exception.c.reason).where(exception.c.status == "open"))
    quirks = Counter(d["quirk"] for d in shop.shop.deliveries if d.get("quirk"))
    return {
        "webhooks sent": len(shop.shop.deliveries),
        "webhook troubles": dict(quirks),
        "troubles of Odoo": dict(odoo.faults.played),
        "receipts": receipts,
        "dropped as no news": counted,
        "deliveries to systems": tried,
        "for a person": reasons,
    }


async def _tally(connection: AsyncConnection, column: sa.Select[tuple[str]]) -> dict[str, int]:
    return dict(Counter((await connection.execute(column)).scalars()))


def _print_table(happened: dict[str, Any], verdict: dict[str, Any]) -> None:
    table = Table("what", "how much", title="What happened")
    for name, value in happened.items():
        text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
        table.add_row(name, text or "none")
    table.add_section()
    for name in ("orders_placed", "orders_in_odoo", "waiting", "not_wanted", "exceptions", "finished_share"):
        table.add_row(name.replace("_", " "), str(verdict[name]))
    for number, what in list(verdict["wrong"].items())[:10]:
        table.add_row(f"[red]order {number}[/]", json.dumps(what, ensure_ascii=False))
    out.print(table)


def print_line(verdict: dict[str, Any]) -> None:
    """The verdict as one JSON line on stdout."""
    print(json.dumps({name: value for name, value in verdict.items() if name != "wrong"}), flush=True)


async def _stay(file: Path, running: Hub, shop_url: str, place: OdooPlace) -> None:
    out.print(f"\nStill running, until Ctrl-C. Shop {shop_url}, Odoo {place.url}, hub {running.url}.")
    for words in ("exceptions list", "show order 1001", "users add me --role admin"):
        out.print(f"Look around:  .venv/bin/counterfoil {words} -b {file}", soft_wrap=True, highlight=False)
    out.print(f"And sign in:  {running.url}/console", soft_wrap=True, highlight=False)
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    environment = os.environ
    parser.add_argument("--odoo", choices=("sandbox", "real"), default=environment.get("ODOO", "sandbox"))
    parser.add_argument("--orders", type=int, default=int(environment.get("COUNT", "500")))
    keep = bool(environment.get("KEEP"))
    parser.add_argument("--keep", action="store_true", default=keep, help="leave everything running, until Ctrl-C")
    options = parser.parse_args()
    try:
        verdict = asyncio.run(play(options.odoo, options.orders, options.keep))
    except NoOdoo as why:
        print(why, file=sys.stderr)
        return 77
    except KeyboardInterrupt:
        return 0
    if not options.keep:
        print_line(verdict)
    return 0 if passed(verdict) else 1


if __name__ == "__main__":
    sys.exit(main())
