"""How long a stock change takes from a real Odoo 19 to the storefront API and to the shop, at default settings.

A person counts stock in Odoo at random moments; the clock runs from Odoo's answer (the change is committed) until the
storefront API, and the shop's own, show the new quantity. The hub is `counterfoil run` in a process of its own, its
blueprint without any interval of its own. Last line: one JSON object with p50 and p95 in seconds for both.

    python bench/stock.py [--changes 100] [--articles 100]
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx

from counterfoil.doors.assembly import load
from counterfoil_lab import warehouse
from counterfoil_lab.odoo_api import Odoo
from counterfoil_lab.stage import SHOP_KEYS, NoOdoo, an_odoo, blueprint
from counterfoil_lab.week import SHOP, listening, running_hub
from counterfoil_sandbox.serving import serving
from counterfoil_sandbox.woocommerce import make_app

LONGEST = 60.0


def _articles(odoo: Odoo, count: int) -> dict[str, int]:
    rows = [[f"bench.s{n}", f"Article {n}", f"STOCK-{n:04}", "consu", "True", "10"] for n in range(count)]
    fields = ["id", "name", "default_code", "type", "is_storable", "lst_price"]
    return dict(zip((row[2] for row in rows), odoo.load("product.product", fields, rows), strict=True))


def _shown(shop: httpx.Client, sku: str) -> int | None:
    found = shop.get("products", params={"sku": sku, "_fields": "stock_quantity"}).json()
    return found[0]["stock_quantity"] if found else None


def _promised(storefront: httpx.Client, sku: str) -> int | None:
    answer = storefront.get(sku)
    return answer.json()["quantity"] if answer.status_code == 200 else None


def _wait(shown: Callable[[], int | None], quantity: int, since: float) -> float:
    while time.monotonic() - since < LONGEST:
        if shown() == quantity:
            return time.monotonic() - since
        time.sleep(0.02)  # what is measured is polled from outside: neither tells anybody
    return float("inf")


def _token(file: Path) -> str:
    """A token of the storefront API, made as a person makes it."""
    program = Path(sys.executable).with_name("counterfoil")
    asked = [program, "tokens", "add", "bench", "--channel", SHOP, "--scope", "availability", "--rate", "10000/s"]
    made = subprocess.run([*asked, "--json", "-b", file], check=True, capture_output=True)
    return str(json.loads(made.stdout)["token"])


def _figures(seconds: list[float]) -> dict[str, float]:
    seconds.sort()
    p95 = seconds[int(len(seconds) * 0.95) - 1]
    return {"p50": round(statistics.median(seconds), 2), "p95": round(p95, 2), "max": round(seconds[-1], 2)}


def measure(changes: int, articles: int) -> dict[str, object]:
    """The latencies of `changes` changes at random moments."""
    dice = random.Random(5)
    took: dict[str, list[float]] = {"storefront": [], "shop": []}
    app = make_app(options={"woocommerce_prices_include_tax": "no"})
    with an_odoo("real", "cf_stock", workers=2) as place, serving(app) as url:
        odoo = place.api
        numbers = _articles(odoo, articles)
        warehouse.count_stock(odoo, dict.fromkeys(numbers.values(), 100))
        folder = Path(tempfile.mkdtemp(prefix="counterfoil-stock-"))
        file = blueprint(folder, place, url, SHOP, poll="60s", whole=True)
        hub = f"http://{load(file).listen}"
        with (
            running_hub(file),
            httpx.Client(base_url=f"{url}/wp-json/wc/v3/", auth=SHOP_KEYS, timeout=30) as shop,
            httpx.Client(base_url=f"{hub}/storefront/v1/availability/", timeout=30) as storefront,
        ):
            listening(hub)
            storefront.headers["Authorization"] = f"Bearer {_token(file)}"
            asked: dict[str, Callable[[str], int | None]] = {
                "storefront": partial(_promised, storefront),
                "shop": partial(_shown, shop),
            }
            began = time.monotonic()
            for sku in numbers:  # the hub lists them in the shop, with their stock
                if any(_wait(partial(ask, sku), 100, time.monotonic()) > LONGEST for ask in asked.values()):
                    raise RuntimeError(f"{sku} does not appear in the shop; the hub's log: {file.parent / 'hub.log'}")
            print(f"{articles} articles listed in {time.monotonic() - began:.1f} s", file=sys.stderr)
            threads = []
            for sku in dice.sample(sorted(numbers), changes):
                quantity = dice.randint(101, 900)
                warehouse.count_stock(odoo, {numbers[sku]: quantity})
                committed = time.monotonic()
                for name, ask in asked.items():
                    shown = partial(ask, sku)
                    watch = threading.Thread(
                        target=lambda n=name, s=shown, q=quantity, t=committed: took[n].append(_wait(s, q, t))
                    )
                    watch.start()
                    threads.append(watch)
                time.sleep(dice.uniform(0.1, 0.9))  # people do not wait for the poll
            for watch in threads:
                watch.join()
    return {"changes": changes, **{name: _figures(seconds) for name, seconds in took.items()}}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=100)
    parser.add_argument("--articles", type=int, default=100)
    options = parser.parse_args()
    try:
        print(json.dumps(measure(options.changes, options.articles)))
    except NoOdoo as why:
        print(why, file=sys.stderr)
        return 77
    return 0


if __name__ == "__main__":
    sys.exit(main())
