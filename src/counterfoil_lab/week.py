"""A week of a shop: customers, warehouse, accounting and buying at work on both sides, and the hub between them.

    python -m counterfoil_lab.week [--odoo real] [--orders 5000] [--moves 20000]

Orders come in, some are paid late, amended, cancelled, refunded; the warehouse ships, in parts too; stock moves by the
thousand and two price campaigns run in Odoo. The hub is a process of its own, as `counterfoil run` starts it. At the
end the independent reading of shop and Odoo says what does not agree; its verdict is the last line and the exit code.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
from rich.console import Console
from rich.progress import Progress

from counterfoil.doors.assembly import connectors, load
from counterfoil.hub import lanes
from counterfoil.hub.schema import delivery_log, exception
from counterfoil.hub.store import Store, open_store
from counterfoil_lab import warehouse
from counterfoil_lab.agreement import agreed, judge, read_erp, read_shop
from counterfoil_lab.odoo_api import Odoo
from counterfoil_lab.prepare import variants
from counterfoil_lab.resting import Feeds, at_rest, feeds_of
from counterfoil_lab.stage import SHOP_KEYS, NoOdoo, an_odoo, blueprint, prepared
from counterfoil_sandbox.serving import serving
from counterfoil_sandbox.woocommerce import RECORDINGS, ShopApp, generate
from counterfoil_sandbox.woocommerce import make_app as make_shop

SHOP = "web"
HOURS = 168
EXTRA_ARTICLES = 400
"""Articles that only Odoo has at first: the hub lists them in the shop."""
QUIRKS = {"duplicate": 0.1, "missing": 0.05, "out_of_order": 0.1}
SHIPPING_HOUR = 17
SLOWEST_FEED, QUICK_FEED = 60.0, 5.0
BACKLOG = 300
"""Lanes in wait beyond which the world stands still: a week in minutes must not become one long jam."""
LEAST_WITHOUT_A_PERSON = 0.995

out = Console(stderr=True)


@dataclass(slots=True)
class World:
    """Both systems and what has happened in them. `waiting` orders may still change, `open` are to be shipped."""

    shop: ShopApp
    odoo: Odoo
    dice: random.Random
    articles: list[int]
    placed: dict[int, int] = field(default_factory=dict)  # order → hour
    touched: set[int] = field(default_factory=set)
    happened: Counter[str] = field(default_factory=Counter)


# --- customers and the shop's staff ---------------------------------------------------------------------------------


def place(world: World, hour: int, orders: list[dict[str, Any]]) -> None:
    """New orders of this hour."""
    for order in orders:
        world.placed[world.shop.shop.place(order)["id"]] = hour
        world.happened["placed"] += 1


def _choose(world: World, count: int, hours: range, statuses: tuple[str, ...]) -> list[int]:
    """Orders placed in `hours` that nobody changed yet and that are in one of these statuses."""
    fitting = [n for n, hour in world.placed.items() if hour in hours and n not in world.touched]
    world.dice.shuffle(fitting)
    chosen: list[int] = []
    for number in fitting:
        if len(chosen) == count:
            break
        if world.shop.shop.order(number)["status"] in statuses:
            chosen.append(number)
    world.touched.update(chosen)
    return chosen


def pay(world: World, hour: int) -> None:
    """What waited for its money is paid after a few hours, or given up."""
    for number, placed in world.placed.items():
        if placed == hour - 4:
            order = world.shop.shop.order(number)
            if order["status"] in ("pending", "on-hold"):
                status = "processing" if world.dice.random() < 0.8 else "cancelled"
                world.shop.shop.change(number, status=status)
                world.happened[f"{order['status']} → {status}"] += 1


def amend(world: World, hour: int, count: int) -> int:
    """The customer wants more or less of it, or it sent somewhere else; nothing of it has been shipped yet."""
    chosen = _choose(world, count, range(hour - 2, hour), ("processing", "on-hold"))
    for number in chosen:
        order = world.shop.shop.order(number)
        kind = world.dice.choice(("address", "quantity", "removed"))
        if kind == "address":
            change = {"shipping": order["shipping"] | {"address_1": f"{number} New Street", "city": "Elsewhere"}}
        else:
            change = _other_lines(order, kind)
        world.shop.shop.change(number, **change)
        world.happened[f"amended: {kind}"] += 1
    return len(chosen)


def _other_lines(order: dict[str, Any], kind: str) -> dict[str, Any]:
    """One more piece of the first line, or the last line gone; totals and taxes as the shop would write them."""
    lines = [dict(line) for line in order["line_items"]]
    if kind == "removed" and len(lines) > 1:
        moved, sign = lines.pop(), -1
        share = Decimal(1)
    else:
        moved, sign = lines[0], 1
        share = Decimal(1) / Decimal(moved["quantity"])
        lines[0] = moved | {"quantity": moved["quantity"] + 1}
    cents = Decimal("0.01")

    def part(text: str) -> Decimal:
        return (Decimal(text) * share).quantize(cents)

    net = part(moved["total"])
    taxes = {str(t["id"]): part(t["total"]) for t in moved["taxes"] if t["total"]}
    tax = sum(taxes.values(), Decimal(0))
    if sign > 0:
        lines[0] |= {
            "total": f"{Decimal(moved['total']) + net:.2f}",
            "subtotal": f"{Decimal(moved['subtotal']) + net:.2f}",
            "total_tax": f"{Decimal(moved['total_tax']) + tax:.2f}",
            "subtotal_tax": f"{Decimal(moved['subtotal_tax']) + tax:.2f}",
            "taxes": [
                t | ({"total": f"{Decimal(t['total']) + taxes[str(t['id'])]:.2f}"} if t["total"] else {})
                for t in moved["taxes"]
            ],
        }
    rates = [
        rate | {"tax_total": f"{Decimal(rate['tax_total']) + sign * taxes.get(str(rate['rate_id']), Decimal(0)):.2f}"}
        for rate in order["tax_lines"]
    ]
    return {
        "line_items": lines,
        "tax_lines": rates,
        "cart_tax": f"{Decimal(order['cart_tax']) + sign * tax:.2f}",
        "total_tax": f"{Decimal(order['total_tax']) + sign * tax:.2f}",
        "total": f"{Decimal(order['total']) + sign * (net + tax):.2f}",
    }


def cancel(world: World, hour: int, count: int) -> int:
    """Cancelled before anything was shipped."""
    chosen = _choose(world, count, range(hour - 2, hour), ("processing", "on-hold"))
    for number in chosen:
        world.shop.shop.change(number, status="cancelled")
        world.happened["cancelled"] += 1
    return len(chosen)


def refund(world: World, hour: int, count: int) -> int:
    """Money back, days after: in full, by a line, or an amount, on orders old and new."""
    chosen = _choose(world, count, range(hour - 12), ("processing", "completed"))
    for number in chosen:
        order = world.shop.shop.order(number)
        kind = world.dice.choice(("in full", "amount", "line"))
        total = Decimal(order["total"])
        if kind == "line":
            line = world.dice.choice(order["line_items"])
            amount = Decimal(line["total"]) + Decimal(line["total_tax"])
            world.shop.shop.refund(number, amount, "", lines=[line["id"]])
        else:
            amount = total if kind == "in full" else (total / 4).quantize(Decimal("0.01"))
            world.shop.shop.refund(number, amount, "goodwill")
        world.happened[f"refunded: {kind}"] += 1
    return len(chosen)


# --- warehouse, buying and pricing in Odoo --------------------------------------------------------------------------


def send(world: World, hour: int) -> None:
    """The warehouse sends what is a few hours old; one shipment in eight leaves in parts."""
    old = [f"{SHOP}:order:{number}" for number, placed in world.placed.items() if placed <= hour - 6]
    whole = []
    for picking in warehouse.open_shipments(world.odoo, old):
        in_parts = not picking["backorder_id"] and world.dice.random() < 1 / 8
        if in_parts and warehouse.ship_a_part(world.odoo, picking):
            world.happened["shipments in part"] += 1
        else:
            whole.append(picking["id"])
    warehouse.ship(world.odoo, whole, {number: f"TRACK{number}" for number in whole[::3]})
    world.happened["shipments"] += len(whole)


def move_stock(world: World, count: int) -> None:
    """Counts and receipts: so many stock moves over all articles."""
    while count > 0:
        chosen = world.dice.sample(world.articles, min(100, count, len(world.articles)))
        warehouse.count_stock(world.odoo, {p: world.dice.randint(500, 900) for p in chosen})
        world.happened["stock moves"] += len(chosen)
        count -= len(chosen)


def campaign(world: World, percent: int) -> None:
    """New prices for a third of the articles."""
    chosen = world.articles[:: max(1, len(world.articles) // (len(world.articles) // 3))]
    prices = world.odoo.call("product.product", "read", ids=chosen, fields=["lst_price"])
    for row in prices:
        price = round(max(row["lst_price"], 1.0) * (100 + percent)) / 100
        world.odoo.call("product.product", "write", ids=[row["id"]], vals={"lst_price": price}, context=warehouse.QUIET)
    world.happened["prices changed"] += len(prices)


# --- the week -------------------------------------------------------------------------------------------------------


async def live(
    world: World, store: Store, quick: Feeds, orders: list[dict[str, Any]], moves: int, bar: Progress
) -> None:
    """Hour by hour; once a day, in the afternoon, the warehouse sends what is a few hours old."""
    task = bar.add_task("the week", total=HOURS)
    began = time.monotonic()
    per_hour = [len(orders) * (hour + 1) // HOURS - len(orders) * hour // HOURS for hour in range(HOURS)]
    shares = {amend: 0.08, cancel: 0.06, refund: 0.07}
    owed = dict.fromkeys(shares, 0.0)
    rest = iter(orders)
    for hour in range(HOURS):
        batch = [next(rest) for _ in range(per_hour[hour])]
        await asyncio.to_thread(place, world, hour, batch)
        await asyncio.to_thread(pay, world, hour)
        for act, share in shares.items():
            owed[act] += share * len(batch)  # what finds no order to happen to now happens later
            owed[act] -= await asyncio.to_thread(act, world, hour, int(owed[act]))
        await asyncio.to_thread(move_stock, world, moves * (hour + 1) // HOURS - moves * hour // HOURS)
        if hour in (HOURS // 4, HOURS // 2):
            await asyncio.to_thread(campaign, world, -20 if hour == HOURS // 4 else 25)
        await _caught_up(store, BACKLOG)
        if hour % 24 == SHIPPING_HOUR:
            # hours pass in a blink here: what changed hours ago has long arrived when a real warehouse begins to pack
            await settled(store, quick, bar)
            await asyncio.to_thread(send, world, hour)
        if hour % 24 == 23:
            out.print(f"day {hour // 24 + 1} over after {time.monotonic() - began:.0f} s", highlight=False)
        bar.update(task, advance=1, description=f"day {hour // 24 + 1}, {world.happened['placed']} orders")


async def _caught_up(store: Store, most: int) -> None:
    while (await lanes.depth(store))["lanes_waiting"] > most:  # noqa: ASYNC110 - the backlog is another process'
        await asyncio.sleep(0.1)


async def settled(store: Store, feeds: Feeds, bar: Progress) -> None:
    """Until every feed has looked once more from now on, and nothing is due or in flight."""
    task = bar.add_task("settling", total=None)
    changed = time.time()
    while not await at_rest(store, feeds, changed):
        waiting = (await lanes.depth(store))["lanes_waiting"]
        bar.update(task, description=f"settling, {waiting} lanes to go")
        await asyncio.sleep(0.25)
    bar.remove_task(task)


@contextlib.contextmanager
def running_hub(file: Path) -> Iterator[None]:
    """`counterfoil run` as a process of its own, its log beside the blueprint."""
    program = Path(sys.executable).with_name("counterfoil")
    with (file.parent / "hub.log").open("wb") as log:
        process = subprocess.Popen([program, "run", "-b", file], stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def listening(url: str) -> None:
    """Wait until the hub answers. Raises RuntimeError after half a minute."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health").status_code == 200:
                return
        time.sleep(0.05)
    raise RuntimeError(f"the hub does not answer at {url}")


def _stock_up(odoo: Odoo) -> list[int]:
    """More articles, and plenty of each; the numbers of all that are counted."""
    storable = dict(odoo.names.storable)
    values = [str(value) for value in storable.values()]
    rows = [[f"week.p{n}", f"Article {n}", f"WEEK-{n:04}", "12.5", *values] for n in range(EXTRA_ARTICLES)]
    odoo.load("product.product", ["id", "name", "default_code", "lst_price", *storable], rows)
    domain = [odoo.names.stocked(), ["default_code", "!=", False], ["active", "=", True]]
    return [p["id"] for p in odoo.read("product.product", domain, ["id"])]


async def play(kind: str, count: int, moves: int, store_url: str) -> dict[str, Any]:
    """The whole week; the verdict."""
    started = time.monotonic()
    orders = generate(RECORDINGS, count)
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="counterfoil-week-"))
        stack.callback(shutil.rmtree, folder)
        odoo_place = stack.enter_context(an_odoo(kind, "cf_week", workers=2))
        variants(odoo_place.api, RECORDINGS)
        prepared(odoo_place, RECORDINGS, {order["currency"] for order in orders})
        shop = make_shop(options={"woocommerce_prices_include_tax": "no"})
        shop.shop.set_quirks(**QUIRKS)
        shop_url = stack.enter_context(serving(shop))
        file = blueprint(
            folder, odoo_place, shop_url, SHOP, poll="3s", catalogue=RECORDINGS, store=store_url, whole=True
        )
        declared = load(file)
        made = connectors(declared)
        feeds, quick = feeds_of(made, SLOWEST_FEED), feeds_of(made, QUICK_FEED)
        world = World(shop, odoo_place.api, random.Random(11), _stock_up(odoo_place.api))
        warehouse.count_stock(world.odoo, dict.fromkeys(world.articles, 700))
        stack.enter_context(running_hub(file))
        listening(f"http://{declared.listen}")
        await _ensure_webhooks(file)
        store = await open_store(declared.store.reveal())
        try:
            with Progress(console=out, transient=True) as bar:
                await settled(store, feeds, bar)
                out.print(f"catalogue and stock in the shop after {time.monotonic() - started:.0f} s", highlight=False)
                await live(world, store, quick, orders, moves, bar)
                await settled(store, feeds, bar)
                out.print(f"everything at rest after {time.monotonic() - started:.0f} s", highlight=False)
            for_a_person, reasons = await _open_exceptions(store)
            calls = await _calls(store)
        finally:
            await store.close()
        verdict = await asyncio.to_thread(
            lambda: judge(read_shop(shop_url, *SHOP_KEYS), read_erp(odoo_place.api, SHOP), for_a_person)
        )
        if os.environ.get("KEEP"):
            shutil.copytree(folder, os.environ["KEEP"], dirs_exist_ok=True)
        _print(world, verdict, reasons, calls)
        verdict |= {
            "exceptions": len(for_a_person),
            "without_a_person": round(1 - len(for_a_person) / count, 4),
            "seconds": round(time.monotonic() - started, 1),
        }
        return verdict


async def _ensure_webhooks(file: Path) -> None:
    program = Path(sys.executable).with_name("counterfoil")
    await asyncio.to_thread(subprocess.run, [program, "webhooks", SHOP, "-b", file], check=True, stdout=2)


async def _open_exceptions(store: Store) -> tuple[set[str], Counter[str]]:
    """Orders (by the shop's id) that wait for a person, and all open exceptions by reason."""
    async with store.read() as connection:
        rows = (
            await connection.execute(
                sa.select(exception.c.subject, exception.c.reason).where(exception.c.status == "open")
            )
        ).all()
    orders = {r.subject.rpartition(":")[2] for r in rows if r.subject.startswith(f"{SHOP}:order:")}
    return orders, Counter(r.reason for r in rows)


async def _calls(store: Store) -> dict[str, int]:
    async with store.read() as connection:
        grouped = (
            sa.select(delivery_log.c.operation, sa.func.count().label("n"))
            .where(delivery_log.c.outcome == "done")
            .group_by(delivery_log.c.operation)
        )
        return {r.operation: r.n for r in await connection.execute(grouped)}


def _print(world: World, verdict: dict[str, Any], reasons: Counter[str], calls: dict[str, int]) -> None:
    for title, counts in (("happened", world.happened), ("carried out", calls), ("for a person", reasons)):
        out.print(f"{title}: " + ", ".join(f"{k} {v}" for k, v in sorted(counts.items())), highlight=False)
    for kind, found in verdict.pop("wrong").items():
        for number, what in list(found.items())[:10]:
            out.print(f"{kind} {number}: {json.dumps(what, ensure_ascii=False)}", highlight=False, markup=False)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    environment = os.environ
    parser.add_argument("--odoo", choices=("sandbox", "real"), default=environment.get("ODOO", "sandbox"))
    parser.add_argument("--orders", type=int, default=int(environment.get("COUNT", "5000")))
    parser.add_argument("--moves", type=int, default=int(environment.get("MOVES", "20000")))
    parser.add_argument("--store", default=environment.get("STORE", ""), help="a database; SQLite without it")
    options = parser.parse_args()
    try:
        verdict = asyncio.run(play(options.odoo, options.orders, options.moves, options.store))
    except NoOdoo as why:
        print(why, file=sys.stderr)
        return 77
    print(json.dumps(verdict), flush=True)
    return 0 if agreed(verdict) and verdict["without_a_person"] >= LEAST_WITHOUT_A_PERSON else 1


if __name__ == "__main__":
    sys.exit(main())
