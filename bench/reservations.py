"""How fast stock is held for shoppers, durability on: reservations a second at the limit, and p99 at a fixed rate.

Open loop: requests are sent when they are due, whatever became of those before, and a request's time runs from the
moment it was meant to be sent. Each has a key of its own, one to three lines out of 10,000 SKUs in three places, and is
answered after its commit. Beside it: all shoppers want one SKU. Last line: one JSON object.

    python bench/reservations.py [--seconds 10] [--rate 1000]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import uvloop

from counterfoil.blueprint import Catalogue, ConnectorInfo, parse
from counterfoil.doors.serve import collect_seldom
from counterfoil.hub.availability import stock
from counterfoil.hub.availability.readings import Reading, keep_readings
from counterfoil.hub.store import Store, open_store
from counterfoil.processes.holding import Offer
from counterfoil.processes.reserving import Desk
from counterfoil.processes.stock import Rules

SKUS = 10_000
PLACES = ("WH", "S1", "S2")
PLENTY = 10**9
SHOPPERS = 200
"""Who ask all the time, to find the limit."""
KEYS = map(str, itertools.count())
BLUEPRINT = """
counterfoil: 1
systems:
  web: {connector: fake}
stock:
  bundles: {SET: {SKU-1: 1, SKU-2: 2}}
"""

Lines = list[tuple[str, int]]


async def fill(store: Store) -> None:
    """The articles, each with plenty in each place."""
    at = dict.fromkeys(PLACES, (PLENTY, 0, 0))
    for start in range(0, SKUS, 1000):
        some = [Reading(f"odoo:variant:{n}", f"SKU-{n}", at, 1.0) for n in range(start, start + 1000)]
        async with store.write() as connection:
            await keep_readings(connection, store, some)


def wishes(dice: random.Random) -> Iterator[Lines]:
    """What shoppers want."""
    while True:
        yield [(f"SKU-{dice.randrange(SKUS)}", 1000) for _ in range(dice.choice((1, 1, 2, 3)))]


async def at_limit(desk: Desk, wanted: Iterator[Lines], seconds: float) -> float:
    """Reservations a second."""
    until = time.perf_counter() + seconds
    held = 0

    async def shop() -> None:
        nonlocal held
        while time.perf_counter() < until:
            await desk.hold("web", next(wanted), key=next(KEYS))
            held += 1

    began = time.perf_counter()
    await asyncio.gather(*(shop() for _ in range(SHOPPERS)))
    return held / (time.perf_counter() - began)


async def at_rate(desk: Desk, wanted: Iterator[Lines], rate: float, seconds: float) -> list[float]:
    """Milliseconds from the moment each was meant to be sent until it was answered, sorted."""
    took: list[float] = []

    async def one(due: float) -> None:
        await desk.hold("web", next(wanted), key=next(KEYS))
        took.append((time.perf_counter() - due) * 1000)

    began = time.perf_counter() + 0.1
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = began + number / rate
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            group.create_task(one(due))
    return sorted(took)


async def measured(url: str, seconds: float = 10.0, rate: float = 1000.0) -> dict[str, Any]:
    """The figures of one store: `per_s` at the limit, `p50_ms` and `p99_ms` at `rate`, `hot_per_s` of one SKU."""
    store = await open_store(url)
    try:
        await fill(store)
        declared = parse(BLUEPRINT, known=Catalogue.of([ConnectorInfo("fake", needs_url=False)], frozenset()))
        desk = Desk(store, Offer(Rules(declared)))
        collect_seldom()
        wanted = wishes(random.Random(7))
        await at_limit(desk, wanted, 1.0)  # warm
        took = await at_rate(desk, wanted, rate, seconds)
        hot = itertools.repeat([("SKU-3", 1000)])
        found = {
            "per_s": round(await at_limit(desk, wanted, seconds)),
            "rate": rate,
            "p50_ms": round(took[len(took) // 2], 1),
            "p99_ms": round(took[int(len(took) * 0.99)], 1),
            "hot_per_s": round(await at_limit(desk, hot, seconds / 2)),
            "settings": await store.durability(),
        }
        async with store.read() as connection:
            assert await stock.verify(connection, store) == []
        return found
    finally:
        await store.close()


def measure(url: str, seconds: float = 10.0, rate: float = 1000.0) -> dict[str, Any]:
    """As `measured`, in a process of its own."""
    arguments = [sys.executable, __file__, "--url", url, "--seconds", str(seconds), "--rate", str(rate)]
    done = subprocess.run(arguments, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def both(seconds: float = 10.0, rate: float = 1000.0) -> Mapping[str, dict[str, Any]]:
    """The figures of both stores, each on a fresh database."""
    sys.path.insert(0, str(Path(__file__).parent))
    from hub import stores

    with stores() as fresh:
        return {kind: measure(make(), seconds, rate) for kind, make in fresh.items()}


def main() -> None:
    """The whole bench, or one store's part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.url:
        print(json.dumps(uvloop.run(measured(options.url, options.seconds, options.rate))))
    else:
        print(json.dumps(both(options.seconds, options.rate)))


if __name__ == "__main__":
    main()
