"""Never oversold: shoppers want more than there is, while processes are killed, answers lost, and Odoo is away.

    python -m counterfoil_lab.oversell [--seeds 100] [--first 1] [--odoo real]

A seed: 1,000 units of 50 articles, five bundles of them, 200 shoppers at once, nine in ten in the web shop and the
others in a second one. They hold their carts at two `counterfoil run` on one PostgreSQL, lose answers and ask again
with the same key at the other process, abandon carts, confirm, order, cancel. The second shop also takes orders without
holding anything, of articles of which a ring fence keeps some for it. Both processes are killed in turn, and started
again; Odoo is away, or loses answers. At the end all has come to rest in Odoo, and shops and Odoo say what was sold
(oversold.py). Bundles are written into orders as their parts, as shops' bundle plug-ins do. Last line: one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from counterfoil_lab import oversold, warehouse
from counterfoil_lab.checker import shop_orders
from counterfoil_lab.odoo_api import Odoo
from counterfoil_lab.selling_place import MARKET, UNITS, WEB, Place, World, a_place, world
from counterfoil_lab.shopping import ROOT, SHOPPERS, Play
from counterfoil_lab.stage import SHOP_KEYS, NoOdoo
from counterfoil_lab.victims import CANNOT_BE_HAD, NoPostgres

AT_ONCE = 10
"""Seeds that are played in one place, one after another, each with articles of its own."""

out = Console(stderr=True, highlight=False, soft_wrap=True)


async def play(place: Place, seed: int) -> dict[str, Any]:
    """Play it through; the verdict."""
    here, began = world(seed), time.monotonic()
    await asyncio.to_thread(stocked, place.odoo, here)
    limits = httpx.Limits(max_connections=300, max_keepalive_connections=100)
    async with httpx.AsyncClient(timeout=20, limits=limits, trust_env=False) as client:
        game = Play(place, here, client, random.Random(f"shoppers/{seed}"))
        await known(game)
        async with asyncio.TaskGroup() as group:
            group.create_task(game.trouble())
            group.create_task(game.unasked_orders())
            group.create_task(sell(game))
        await asyncio.to_thread(settled, place, here, game.ends_at)
        while left := await game.look():  # what cancelled orders gave back, and what was fenced
            game.left = {WEB: set(), MARKET: left}
            await sell(game)
            await asyncio.to_thread(settled, place, here, game.ends_at)
    verdict = await asyncio.to_thread(judged, place, here)
    told = ", ".join(f"{name} {n}" for name, n in sorted(game.happened.items()))
    took = time.monotonic() - began
    out.print(f"seed {seed}: {verdict['sold']} of {verdict['units']} units, {took:.1f} s; {told}")
    for name in ("oversold", "differ"):
        if verdict[name]:
            out.print(f"  {name}: {json.dumps(verdict[name])}", style="red", markup=False)
    return verdict | {"seconds": took, "kills": game.happened["kills"], "orders": game.happened["orders in web"]}


async def sell(game: Play) -> None:
    """All shoppers at once, until there is nothing left that they know of."""
    async with asyncio.TaskGroup() as group:
        for number in range(SHOPPERS):
            group.create_task(game.shopper(number))


def stocked(odoo: Odoo, here: World) -> None:
    """The articles are in Odoo, and so many of each on hand."""
    storable = [str(value) for _, value in odoo.names.storable]
    rows = [[f"lab.product_{sku.replace('-', '_')}", sku, sku, *storable] for sku in here.units]
    odoo.load("product.product", ["id", "name", "default_code", *(name for name, _ in odoo.names.storable)], rows)
    made = odoo.read("product.product", [["default_code", "in", list(here.units)]], ["default_code"])
    warehouse.count_stock(odoo, {p["id"]: here.units[p["default_code"]] for p in made})


async def known(game: Play) -> None:
    """Wait until the hub has heard of all of it: every article may be held at both processes."""
    for door in game.place.doors:
        while True:
            with contextlib.suppress(httpx.HTTPError, KeyError, ValueError):
                headers = {"Authorization": f"Bearer {game.place.tokens[MARKET]}"}
                asked = {"skus": list(game.world.units)}
                got = await game.client.post(f"{door}{ROOT}/availability", json=asked, headers=headers)
                items = got.json()["items"]
                if sum(item["quantity"] or 0 for item in items) == UNITS:
                    break
            if time.monotonic() > game.ends_at:
                raise TimeoutError(f"{door} does not know the stock: {got.text[:500]}")
            await asyncio.sleep(0.2)


def settled(place: Place, here: World, until: float) -> None:
    """Wait until Odoo has every order that stands in the shops, and none that does not; or no longer."""
    while time.monotonic() < until:
        verdict = judged(place, here)
        if not verdict["differ"]:
            return
        time.sleep(0.3)


def judged(place: Place, here: World) -> dict[str, Any]:
    """By shops and Odoo alone."""
    orders = [o for url in place.urls.values() for o in shop_orders(url, *SHOP_KEYS)]
    units = oversold.there(place.odoo, here.units)
    if units != here.units:
        raise RuntimeError("Odoo does not have on hand what was counted in")
    return oversold.judge(
        units, oversold.sold_in_shops(orders, here.units), oversold.sold_in_odoo(place.odoo, here.units)
    )


def run(seeds: Sequence[int], odoo: str = "sandbox") -> dict[str, Any]:
    """All seeds; one verdict of all. What is behind a bad one stays in its folder. Raises NoPostgres, NoOdoo."""
    verdicts: list[dict[str, Any]] = []
    for start in range(0, len(seeds), AT_ONCE):
        some = seeds[start : start + AT_ONCE]
        folder = Path(tempfile.mkdtemp(prefix=f"counterfoil-oversell-{some[0]}-"))
        with a_place(folder, [world(seed) for seed in some], odoo) as place:
            verdicts += [asyncio.run(play(place, seed)) for seed in some]
        if all(map(oversold.passed, verdicts[start:])):
            shutil.rmtree(folder)
        else:
            out.print(f"kept: {folder}")
    return {
        "seeds": len(verdicts),
        "oversold": sum(bool(v["oversold"]) for v in verdicts),
        "differ": sum(bool(v["differ"]) for v in verdicts),
        "units": sum(v["units"] for v in verdicts),
        "sold": sum(v["sold"] for v in verdicts),
        "least_sold_share": min(v["sold_share"] for v in verdicts),
        "kills": sum(v["kills"] for v in verdicts),
        "seconds_a_seed": round(sum(v["seconds"] for v in verdicts) / len(verdicts), 1),
        "passed": all(map(oversold.passed, verdicts)),
    }


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    env = os.environ
    parser.add_argument("--seeds", type=int, default=int(env.get("SEEDS", "10")))
    parser.add_argument("--first", type=int, default=int(env.get("SEED", "1")))
    parser.add_argument("--odoo", choices=("sandbox", "real"), default=env.get("ODOO", "sandbox"))
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left running
    try:
        verdict = run(range(options.first, options.first + options.seeds), options.odoo)
    except (NoOdoo, NoPostgres) as why:
        print(why, file=sys.stderr)
        return CANNOT_BE_HAD
    print(json.dumps(verdict), flush=True)
    return 0 if verdict["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
