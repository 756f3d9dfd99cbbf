"""A shop under fire: customers and a warehouse at work while processes are killed, answers lost, disks filled.

    python -m counterfoil_lab.soak [--seed 1] [--minutes 2] [--store sqlite|postgresql] [--orders 2000]
    python -m counterfoil_lab.soak --suite      four runs on both stores, two at a time, with seeds made of this one

What strikes when is drawn by seed (faults.py). At the end all faults are lifted, the hub comes to rest, and both
systems are read over HTTP: every wanted order in Odoo once, nothing undone or out of its order, stock and amounts
equal. The verdict is the last line and the exit code; the hub's store has no say in it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
from rich.console import Console

from counterfoil.doors.assembly import connectors, load
from counterfoil.hub import lanes
from counterfoil.hub.store import open_store
from counterfoil_lab.agreement import read_erp, read_shop, to_be_shown
from counterfoil_lab.checker import check, odoo_orders, sellable
from counterfoil_lab.faults import Strike, schedule
from counterfoil_lab.resting import at_rest, feeds_of
from counterfoil_lab.site import LEASE, RealOdoo, Site, site
from counterfoil_lab.stage import SHOP_KEYS, NoOdoo
from counterfoil_lab.victims import Kept, NoPostgres
from counterfoil_lab.week import SHOP, World, amend, cancel, move_stock, pay, place
from counterfoil_sandbox.woocommerce import RECORDINGS, generate

SUITE = ("sqlite", "postgresql", "sqlite", "postgresql")
"""The stores of the suite's runs, each with a seed of its own."""
SUITE_SECONDS, SUITE_ORDERS = 60.0, 2600
A_SECOND, A_SECOND_REAL = 37, 4
"""Orders placed in the stand-in's and in a real Odoo's world."""
TICK = 0.5
"""Seconds in which a shop's hour passes: `week` counts in hours."""
EVERY = {"sandbox": 1.0, "real": 3.0}
"""Seconds from one strike to the next, about."""
QUICK_FEED = 5.0
STUCK = 90.0
"""Seconds without any lane coming or going after which a hub that is not at rest is judged as it stands."""
QUIRKS = {"duplicate": 0.1, "missing": 0.05, "out_of_order": 0.1, "stale": 0.03}
AT_ODOO = {"lost_answer": "lost_answer", "reset": "reset", "slow": "latency", "throttle": "throttle", "error": "status"}
AT_SHOP = {"shop_lost_answer": "lost_answer", "shop_throttle": "throttle"}
ZEROS = ("lost", "duplicated", "reordered", "stock_wrong", "unbalanced")

out = Console(stderr=True, highlight=False)


# --- what goes wrong --------------------------------------------------------------------------------------------------


def kinds(at: Site) -> list[str]:
    """The faults that can happen there."""
    here = ["kill_hub", "kill_odoo", "stall", "clock", "webhooks_lost", *AT_ODOO, *AT_SHOP]
    here += ["kill_odoo_postgres"] if isinstance(at.erp, RealOdoo) else []
    here += ["kill_postgres"] if at.postgres else []
    return here + (["disk_full"] if at.postgres is None and at.disk.can_be_full else [])


class Striker:
    """Carries out a schedule of faults; each lasts in a thread of its own, so that they overlap."""

    def __init__(self, at: Site, strikes: list[Strike]) -> None:
        self.site, self.strikes = at, strikes
        self.kills: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.broken: list[Exception] = []
        self._odoo: list[dict[str, Any]] = []
        self._turn, self._dying = threading.Lock(), threading.Lock()

    def run(self, over: threading.Event) -> None:
        """All of it, or until `over`; returns when everything is lifted."""
        began = time.monotonic()
        lasting = []
        for strike in self.strikes:
            if over.wait(max(0.0, began + strike.at - time.monotonic())):
                break
            lasting.append(threading.Thread(target=self._strike, args=(strike,), daemon=True))
            lasting[-1].start()
        for thread in lasting:
            thread.join()
        self.site.shop.shop.set_quirks()
        for error in self.broken:
            raise error

    def _strike(self, strike: Strike) -> None:
        out.print(f"{strike.at:7.1f} s  {strike.kind} for {strike.seconds:.1f} s", style="dim")
        try:
            if strike.kills:
                self.kills[strike.kind] += self._kill(strike)
                return
            self.faults[strike.kind] += 1
            undo = self._begin(strike)
            time.sleep(strike.seconds)
            undo()
        except Exception as error:  # of the soak's own making: told when all is lifted
            self.broken.append(error)

    def _kill(self, strike: Strike) -> bool:
        erp, postgres = self.site.erp, self.site.postgres
        if strike.kind == "kill_postgres" and postgres:
            return postgres.kill(strike.seconds)
        if strike.kind == "kill_hub":
            return self._hub(strike).kill()
        if not self._dying.acquire(blocking=False):  # an Odoo that is still coming up cannot be killed
            return False
        try:
            if strike.kind == "kill_odoo_postgres" and isinstance(erp, RealOdoo):
                return erp.kill_postgres(strike.seconds)
            return erp.kill(strike.seconds)
        finally:
            self._dying.release()

    def _hub(self, strike: Strike) -> Kept:
        return self.site.hubs[strike.which % len(self.site.hubs)]

    def _begin(self, strike: Strike) -> Callable[[], object]:
        """Let it happen; what lifts it again."""
        at, shop = self.site, self.site.shop
        match strike.kind:
            case "stall":
                self._hub(strike).stall()
                return self._hub(strike).go_on
            case "disk_full":
                at.disk.fill()
                return at.disk.free
            case "clock":
                at.jump(strike.seconds)
                return partial(at.jump, 0)
            case "webhooks_lost":
                shop.shop.set_quirks(missing=1.0)
                return partial(shop.shop.set_quirks, **QUIRKS)
            case kind if kind in AT_SHOP:
                fault = _fault_of(AT_SHOP[kind], strike, "/wp-json/")
                shop.faults.add(**fault)
                return partial(shop.faults.clear, fault["kind"])
            case kind:
                fault = _fault_of(AT_ODOO[kind], strike, "/json/2/")
                self._at_odoo(fault, True)
                return partial(self._at_odoo, fault, False)

    def _at_odoo(self, fault: dict[str, Any], on: bool) -> None:
        with self._turn:
            self._odoo.append(fault) if on else self._odoo.remove(fault)
            self.site.erp.set_faults(self._odoo)


def _fault_of(kind: str, strike: Strike, path: str) -> dict[str, Any]:
    """As the stand-ins take it."""
    fault: dict[str, Any] = {"kind": kind, "path": path, "times": -1, "share": strike.share}
    if kind in ("throttle", "latency"):
        fault["seconds"] = 1 if kind == "throttle" else 2.0
    if kind == "status":
        fault |= {"status": 502, "body": "<h1>Bad Gateway</h1>", "content_type": "text/html"}
    return fault


# --- what people do ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Life:
    """The world, and each order's total after each change of it in the shop."""

    world: World
    patient: bool = False  # what people do in an Odoo that may be dead is done later, or not at all
    totals: dict[int, list[Decimal]] = field(default_factory=lambda: defaultdict(list))

    def note(self, hour: int) -> None:
        """Whatever young orders have become."""
        for number, placed in reversed(self.world.placed.items()):
            if placed < hour - 4:
                return
            total = Decimal(self.world.shop.shop.stored[number].data["total"])
            if self.totals[number][-1:] != [total]:
                self.totals[number].append(total)

    def hour(self, hour: int, orders: list[dict[str, Any]], owed: dict[str, float]) -> None:
        """New orders; some of the youngest paid, amended more than once, cancelled; stock counted."""
        place(self.world, hour, orders)
        self.note(hour)
        pay(self.world, hour)
        for name, act, share in (("amend", amend, 0.15), ("cancel", cancel, 0.08)):
            owed[name] = owed.get(name, 0.0) + share * len(orders)
            act(self.world, hour, int(owed[name]))
            owed[name] %= 1
            self.note(hour)
        self.world.touched = {
            n for n in self.world.touched if self.world.shop.shop.stored[n].data["status"] == "cancelled"
        }
        with contextlib.suppress(*((httpx.HTTPError, RuntimeError) if self.patient else ())):
            move_stock(self.world, len(orders) // 2)


def live(at: Site, life: Life, orders: list[dict[str, Any]], seconds: float) -> None:
    """Play: the orders spread evenly over the time."""
    began, hours = time.monotonic(), int(seconds / TICK)
    owed: dict[str, float] = {}
    for hour in range(hours):
        at.webhooks_on()
        life.hour(hour, orders[len(orders) * hour // hours : len(orders) * (hour + 1) // hours], owed)
        time.sleep(max(0.0, began + (hour + 1) * TICK - time.monotonic()))
        if hour % 20 == 19:
            out.print(f"{time.monotonic() - began:7.1f} s  {life.world.happened['placed']} orders placed")


# --- what is made of it -----------------------------------------------------------------------------------------------


def judge(at: Site, totals: dict[int, list[Decimal]]) -> dict[str, Any]:
    """The verdict, from what shop and Odoo say over HTTP."""
    api = at.erp.api
    shop, erp = read_shop(at.shop_url, *SHOP_KEYS), read_erp(api, SHOP)
    verdict = check(shop.orders.values(), odoo_orders(api, f"{SHOP}:order:"), sellable(api), SHOP)
    wrong: dict[str, Any] = verdict["wrong"]
    reordered = {n for n, what in wrong.items() if "still standing" in what} | out_of_order(totals, at.erp.history())
    shown = to_be_shown(shop, erp)
    stock = {
        sku: f"{told} for {shown[sku]}"
        for sku, told in shop.stock.items()
        if sku in shown and told is not None and told != shown[sku]
    }
    return {
        "orders": verdict["orders_placed"],
        "finished_share": verdict["finished_share"],
        "lost": verdict["lost"],
        "duplicated": verdict["duplicates"],
        "reordered": len(reordered),
        "stock_wrong": len(stock),
        "unbalanced": verdict["total_mismatches"] + verdict["unpaid"],
        "wrong": wrong
        | {f"stock {sku}": what for sku, what in stock.items()}
        | {f"order of {n}": "" for n in reordered},
    }


def out_of_order(totals: dict[int, list[Decimal]], history: list[list[Any]]) -> set[str]:
    """Orders to which Odoo did something older after something newer.

    `totals` are an order's totals in the shop, one after another; `history` what its record in Odoo became, commit by
    commit. Totals that the shop never had (between two steps of one write) say nothing.
    """
    found: set[str] = set()
    place: dict[str, int] = {}
    ended: set[str] = set()
    for origin, state, amount in history:
        number = origin.rpartition(":")[2]
        if number in ended and state != "cancel":
            found.add(number)
        if state == "cancel":
            ended.add(number)
        versions = totals.get(int(number), []) if number.isdigit() else []
        total = Decimal(str(amount)).quantize(Decimal("0.01"))
        if total in versions:
            later = [i for i, version in enumerate(versions) if version == total and i >= place.get(number, 0)]
            if not later:
                found.add(number)
            else:
                place[number] = later[0]
    return found


async def rest(at: Site) -> bool:
    """Wait until nothing is due or in flight and all feeds have looked; False where nothing moves any more before."""
    declared = load(at.file)
    feeds = feeds_of(connectors(declared), QUICK_FEED)
    store = await open_store(declared.store.reveal())
    # what was noted while a clock was ahead looks as if it were of later than now
    changed, moved, told = max(time.time(), at.seen_until), time.monotonic(), time.monotonic()
    waiting = -1
    try:
        while time.monotonic() < moved + STUCK:
            with contextlib.suppress(OSError, sa.exc.SQLAlchemyError):
                if await at_rest(store, feeds, changed):
                    return True
                before, waiting = waiting, (await lanes.depth(store))["lanes_waiting"]
                moved = moved if waiting == before else time.monotonic()
            if time.monotonic() > told + 10:
                told = time.monotonic()
                out.print(f"settling, {waiting} lanes to go")
            await asyncio.sleep(0.25)
        return False
    finally:
        await store.close()


@dataclass(frozen=True, slots=True)
class Plan:
    """One run: `seconds` of life with `orders`, a fault about every `EVERY` seconds."""

    seed: str
    store: str
    seconds: float
    orders: int
    odoo: str = "sandbox"


def play(plan: Plan, keep: str = "") -> dict[str, Any]:
    """One run's verdict. Its folder (blueprint, logs) stays if that is bad, or where `keep` says. Raises NoPostgres."""
    began = time.monotonic()

    def say(what: str) -> None:
        out.print(f"{plan.seed}: {what} after {time.monotonic() - began:.0f} s")

    folder = Path(keep or tempfile.mkdtemp(prefix=f"counterfoil-soak-{plan.seed}-"))
    folder.mkdir(parents=True, exist_ok=True)
    out.print(f"seed {plan.seed}, {plan.store}, Odoo {plan.odoo}, {plan.orders} orders: {folder}", style="bold")
    seed = random.Random(plan.seed).randrange(10**6)
    orders = generate(RECORDINGS, plan.orders, seed, only=lambda o: o["currency"] == "EUR")
    with site(folder, plan.store, plan.odoo, seed) as at:
        domain = [at.erp.api.names.stocked(), ["default_code", "!=", False]]
        articles = [p["id"] for p in at.erp.api.read("product.product", domain, ["id"])]
        dice = random.Random(f"life/{plan.seed}")
        life = Life(World(at.shop, at.erp.api, dice, articles), patient=plan.odoo == "real")
        move_stock(life.world, len(articles))
        at.shop.shop.set_quirks(**QUIRKS)
        striker = Striker(at, schedule(plan.seed, plan.seconds, EVERY[plan.odoo], kinds(at), LEASE))
        over = threading.Event()
        say("everything up")
        with ThreadPoolExecutor(1) as pool:
            striking = pool.submit(striker.run, over)
            try:
                live(at, life, orders, plan.seconds)
            finally:
                over.set()
            striking.result()
        say("all faults lifted")
        say("at rest" if asyncio.run(rest(at)) else "NOT AT REST")
        verdict = judge(at, life.totals)
        verdict |= {"kills": striker.kills.total(), "faults": striker.faults.total()}
        if not passed(verdict) or keep:  # the disk is gone with the site
            shutil.copytree(at.disk.folder, folder / "store")
    if passed(verdict) and not keep:
        shutil.rmtree(folder)
    else:
        out.print(f"kept: {folder}")
    for title, counts in (("happened", life.world.happened), ("struck", striker.kills + striker.faults)):
        out.print(f"{title}: " + ", ".join(f"{k} {v}" for k, v in sorted(counts.items())))
    for name, what in list(verdict.pop("wrong").items())[:20]:
        out.print(f"{name}: {json.dumps(what)}", markup=False)
    used = [sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    out.print(f"processor seconds so far: shop and people {used[0]:.0f}, all others {used[1]:.0f}")
    say(json.dumps(verdict))
    return verdict


def play_all(plans: list[Plan]) -> list[dict[str, Any]]:
    """The runs' verdicts; two at a time, as each waits for half of its time. Raises NoPostgres."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), leave_nothing_running) as pool:
        return list(pool.map(play, plans))


def together(verdicts: list[dict[str, Any]]) -> dict[str, Any]:
    """One verdict of several: sums, and the smallest share."""
    names = ("orders", "kills", "faults", "finished_share", *ZEROS)
    return {n: (min if n == "finished_share" else sum)(verdict[n] for verdict in verdicts) for n in names}


def passed(verdict: dict[str, Any]) -> bool:
    """Nothing lost, doubled, out of order or wrong; at least 99 % finished."""
    return not any(verdict[name] for name in ZEROS) and verdict["finished_share"] >= 0.99


def leave_nothing_running() -> None:
    """A process that is told to end stops what it has started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    env = os.environ
    parser.add_argument("--seed", default=env.get("SEED", "1"))
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default=env.get("STORE", "sqlite"))
    parser.add_argument("--odoo", choices=("sandbox", "real"), default=env.get("ODOO", "sandbox"))
    parser.add_argument("--minutes", type=float, default=float(env.get("MINUTES", "1")))
    parser.add_argument("--orders", type=int, default=int(env.get("COUNT", "0")), help="else 37 a second, 4 real ones")
    parser.add_argument("--suite", action="store_true", help="four runs on both stores, as in make faults")
    options = parser.parse_args()
    leave_nothing_running()
    seconds = options.minutes * 60
    rate = A_SECOND if options.odoo == "sandbox" else A_SECOND_REAL
    plans = [Plan(options.seed, options.store, seconds, options.orders or int(seconds * rate), options.odoo)]
    if options.suite:
        seeds = (f"{options.seed}{letter}" for letter in "abcd")
        plans = [Plan(seed, store, SUITE_SECONDS, SUITE_ORDERS) for seed, store in zip(seeds, SUITE, strict=True)]
    try:
        verdict = together(play_all(plans) if options.suite else [play(plan, env.get("KEEP", "")) for plan in plans])
    except (NoOdoo, NoPostgres) as why:
        print(why, file=sys.stderr)
        return 77
    print(json.dumps(verdict), flush=True)
    return 0 if passed(verdict) else 1


if __name__ == "__main__":
    sys.exit(main())
