"""How many calls and seconds 10,000 products take into a WooCommerce shop, twice: the second time nothing is written.

One product in ten has three variants. The stand-in is a process of its own over HTTP and keeps nothing on disk, so
the seconds are the hub's and the stand-in's; a real shop takes 70 to 100 product writes a second (measured, 9.9.5).
The shop's own count of requests and its dates of change are the judge. Last line: one JSON object.

    python bench/catalogue.py [--products 10000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import sys
import time
from collections import Counter
from decimal import Decimal
from typing import Any

import httpx

from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil.hub.contract import Item, Kind
from counterfoil.retail.money import Money
from counterfoil.retail.product import Product, Variant
from counterfoil_sandbox.serving import free_port, serve_forever
from counterfoil_sandbox.woocommerce import make_app

CATEGORIES = 40
KEYS = {"consumer_key": "ck_sandbox", "consumer_secret": "cs_sandbox", "timeout": "60s"}


def products(count: int) -> list[Product]:
    """Made-up ones, always the same."""
    return [_product(n) for n in range(count)]


def _product(n: int) -> Product:
    price = Money(Decimal(500 + n) / 100, "EUR")
    sizes = ("S", "M", "L") if n % 10 == 0 else ("",)
    variants = tuple(
        Variant(id=f"{n}0{k}", sku=f"BENCH-{n}-{k}", options=(("Size", size),) if size else (), price=price)
        for k, size in enumerate(sizes)
    )
    path = ("Bench", f"Group {n % CATEGORIES}")
    return Product(
        system="odoo", id=str(n), name=f"Product {n}", prices_include_tax=True, category=path, variants=variants
    )


def shop(port: int) -> None:
    """The stand-in, until it is ended."""
    app = make_app()
    serve_forever(app, port)


async def publish(connector: WooCommerce, some: list[Product], links: dict[str, str]) -> Counter[str]:
    """All of them in the operation's own batches; what became of them."""
    operation = connector.operations["publish_product"]
    became: Counter[str] = Counter()
    for start in range(0, len(some), operation.batch):
        group = some[start : start + operation.batch]
        items = [
            Item(n, p.canonical_id, p.canonical_id, "product.changed", {"state": p.model_dump(mode="json")}, link)
            for n, p in enumerate(group)
            for link in [links.get(p.canonical_id, "")]
        ]
        for product, outcome in zip(group, await operation.run(items), strict=True):
            links[product.canonical_id] = outcome.link
            written = outcome.kind is Kind.DONE and outcome.result.get("written")
            became["written" if written else str(outcome.kind) if outcome.kind is not Kind.DONE else "unchanged"] += 1
    return became


def look(url: str) -> tuple[dict[str, int], str, int]:
    """What the shop itself tells: how often it was asked, its latest change, how many products it has."""
    state = httpx.get(f"{url}/_sandbox/state", timeout=60).json()
    params: dict[str, Any] = {"per_page": 1, "orderby": "modified", "order": "desc"}
    auth = (KEYS["consumer_key"], KEYS["consumer_secret"])
    answer = httpx.get(f"{url}/wp-json/wc/v3/products", params=params, auth=auth, timeout=60)
    return state, answer.json()[0]["date_modified_gmt"], int(answer.headers["X-WP-Total"])


async def run(url: str, count: int) -> dict[str, Any]:
    """Both runs; figures of each."""
    some, links = products(count), dict[str, str]()
    report: dict[str, Any] = {"products": count, "articles": sum(len(p.variants) for p in some)}
    for name in ("first", "second"):
        connector = WooCommerce("web", {"url": url, **KEYS})
        before = look(url)
        started = time.perf_counter()
        became = await publish(connector, some, links)
        seconds = time.perf_counter() - started
        after = look(url)
        calls = after[0]["requests"] - before[0]["requests"] - 1  # less our own look
        report[name] = {
            **became,
            "calls": calls,
            "calls_per_1000": round(calls * 1000 / count, 1),
            "seconds": round(seconds, 2),
            "seconds_per_1000": round(seconds * 1000 / count, 3),
            "shop_changed": after[1] != before[1] or after[2] != before[2],
        }
        print(f"{name} run: {report[name]}", flush=True)
        await asyncio.sleep(1.1)  # so that a write of the next run would show in the shop's whole seconds
        await connector.close()
    report["in_the_shop"] = look(url)[2]
    return report


def main() -> int:
    """Run it; 1 if the second run wrote anything or something is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=10_000)
    count = parser.parse_args().products
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=shop, args=(port,), daemon=True)
    process.start()
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url)
        existing = look(url)[2]
        report = asyncio.run(run(url, count))
    finally:
        process.terminate()
        process.join()
    whole = report["in_the_shop"] - existing == count and report["first"].get("written") == count
    quiet = report["second"].get("unchanged") == count and not report["second"]["shop_changed"]
    report["ok"] = whole and quiet
    print(json.dumps(report))
    return 0 if report["ok"] else 1


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/_sandbox/state", timeout=5)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError("the stand-in did not start")


if __name__ == "__main__":
    sys.exit(main())
