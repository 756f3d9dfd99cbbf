"""Shoppers who want more than there is, and what goes wrong meanwhile: one seed of `oversell` as it is played."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from counterfoil_lab.selling_place import FENCE, MARKET, WEB, Place, World
from counterfoil_sandbox.woocommerce import make_order

SHOPPERS = 200
HOLD = 2
"""Seconds an abandoned cart is held."""
ABANDONED, RELEASED, CANCELLED = 0.06, 0.12, 0.15
"""Shares of the carts that come to nothing, each the rest of what was before: never touched again, given back, and
ordered and then cancelled."""
TROUBLE = 3.0
"""Seconds in which processes die and Odoo is away; the selling goes on until everything is sold."""
LOOK_SECONDS = 1.0
"""A look at Odoo that ends so much later began later."""
ROOT = "/storefront/v1"


@dataclass
class Play:
    """One seed as it goes. `left` are the SKUs by shop of which there may be something; some may come back (`pending`).

    `unasked`: what the second shop is selling without a reservation, and the hub does not know yet.
    """

    place: Place
    world: World
    client: httpx.AsyncClient
    dice: random.Random
    left: dict[str, set[str]] = field(default_factory=dict)
    unasked: set[str] = field(default_factory=set)
    pending: set[asyncio.Task[None]] = field(default_factory=set)
    down: dict[str, float] = field(default_factory=dict)
    visits: Iterator[int] = field(default_factory=itertools.count)
    happened: Counter[str] = field(default_factory=Counter)
    calm: bool = False
    ends_at: float = 0.0

    def __post_init__(self) -> None:
        open_ = set(self.world.units)
        self.unasked = set(self.world.fenced)
        self.left = {WEB: open_ | set(self.world.bundles), MARKET: open_ - set(self.world.fenced)}
        self.ends_at = time.monotonic() + self.place.patience

    async def ask(self, shop: str, method: str, path: str, body: Any = None, key: str = "") -> httpx.Response:
        """An answer, whatever it takes: from either process, again with the same key where it was lost."""
        headers = {"Authorization": f"Bearer {self.place.tokens[shop]}", **({"Idempotency-Key": key} if key else {})}
        while True:
            doors = [door for door in self.place.doors if self.down.get(door, 0.0) < time.monotonic()]
            if not doors:
                await asyncio.sleep(0.1)
                continue
            door = self.dice.choice(doors)
            url = door + ROOT + path
            asked = asyncio.ensure_future(self.client.request(method, url, json=body, headers=headers))
            lost = not self.calm and key and self.dice.random() < 0.05
            try:
                if lost:  # the shopper's line breaks, at whatever moment: what was done stays done
                    await asyncio.wait([asked], timeout=self.dice.uniform(0.0, 0.05))
                    asked.cancel()
                    self.happened["answers lost"] += 1
                    continue
                answer = await asked
                if answer.status_code < 500 and answer.status_code != 429:
                    return answer
                self.happened[f"answered {answer.status_code}"] += 1
            except httpx.HTTPError:
                self.happened["not answered"] += 1
                self.down[door] = time.monotonic() + 0.5  # as whatever stands before the two would notice
            if time.monotonic() > self.ends_at:
                raise TimeoutError(f"{method} {path}: no answer")
            await asyncio.sleep(self.dice.uniform(0.05, 0.5))

    async def shopper(self, number: int) -> None:
        """Fills carts until there is nothing left of anything."""
        shop = MARKET if number % 10 == 0 else WEB
        while (self.left[shop] or self.pending or self.unasked) and time.monotonic() < self.ends_at:
            if not self.left[shop]:
                await asyncio.sleep(0.05)
                continue
            chosen = self.dice.sample(sorted(self.left[shop]), min(len(self.left[shop]), self.dice.randint(1, 4)))
            await self.visit(
                shop, {sku: self.dice.randint(1, 6) for sku in chosen}, f"{self.world.seed}-{next(self.visits)}"
            )

    async def visit(self, shop: str, cart: dict[str, int], key: str) -> None:
        """Hold the cart, or what there is of it, and go on with it."""
        fate = 1.0 if self.calm else self.dice.random()
        for again in range(4):
            lines = [{"sku": sku, "quantity": n} for sku, n in cart.items()]
            body = {"lines": lines, "seconds": HOLD if fate < ABANDONED else 30}
            held = await self.ask(shop, "POST", "/reservations", body, f"hold-{key}-{again}")
            if held.status_code == 201:
                await self.go_on(shop, cart, held.json()["id"], fate, key)
                return
            if held.status_code != 409:
                raise RuntimeError(f"hold: {held.status_code} {held.text}")
            self.happened["short"] += 1
            there = {line["sku"]: line["available"] for line in held.json()["lines"]}
            for sku, units in there.items():
                if units <= 0:
                    self.left[shop].discard(sku)
            cart = {sku: min(n, there[sku]) for sku, n in cart.items() if there[sku] > 0}
            if again:  # parts that bundles share: one after another
                cart = dict(list(cart.items())[:1])
            if not cart:
                return

    async def go_on(self, shop: str, cart: dict[str, int], held: str, fate: float, key: str) -> None:
        """Order, or think better of it: by never coming back, at once, or when the order is placed."""
        if fate < ABANDONED:
            self.happened["abandoned"] += 1
            self.comes_back(cart, HOLD + 0.1)
            return
        if fate < RELEASED:
            self.happened["released"] += 1
            await self.ask(shop, "DELETE", f"/reservations/{held}", key=f"free-{key}")
            self.comes_back(cart, 0.0)
            return
        await asyncio.sleep(self.dice.uniform(0.0, 0.2))  # the customer pays
        number = next(self.place.numbers)
        confirmed = await self.ask(shop, "POST", f"/reservations/{held}/confirm", {"order": str(number)}, f"sure-{key}")
        if confirmed.status_code == 409:  # held too short: nothing is ordered
            self.happened["too late"] += 1
            self.comes_back(cart, 0.0)
            return
        if confirmed.status_code != 200:
            raise RuntimeError(f"confirm: {confirmed.status_code} {confirmed.text}")
        self.order(shop, number, cart)
        if shop == WEB and fate < CANCELLED:
            self.happened["cancelled"] += 1
            self.place.shops[shop].shop.change(number, status="cancelled")

    def comes_back(self, cart: Mapping[str, int], after: float) -> None:
        """There may be some of it again after so many seconds."""

        async def later() -> None:
            await asyncio.sleep(after)
            freed = {part for sku in cart for part in self.world.bundles.get(sku, {sku: 1})}
            self.left[WEB] |= freed | {sku for sku, parts in self.world.bundles.items() if freed & set(parts)}
            self.left[MARKET] |= freed - self.unasked

        task = asyncio.create_task(later())
        self.pending.add(task)
        task.add_done_callback(self.pending.discard)

    async def look(self) -> set[str]:
        """What there is still, by a look at Odoo that began after now; the web shop's fences are none for the other."""
        began = time.time()
        while True:
            answer = await self.ask(MARKET, "POST", "/availability", {"skus": sorted(self.world.units)})
            told = answer.json()
            as_of = datetime.fromisoformat(told["as_of"] or "1970-01-01T00:00:00+00:00").timestamp()
            if as_of > began + LOOK_SECONDS or time.monotonic() > self.ends_at:
                return {item["sku"] for item in told["items"] if item["quantity"]}
            await asyncio.sleep(0.3)

    def order(self, shop: str, number: int, cart: Mapping[str, int]) -> None:
        """The shop places the order; a bundle is written as its parts."""
        parts: Counter[str] = Counter()
        for sku, n in cart.items():
            for part, each in self.world.bundles.get(sku, {sku: 1}).items():
                parts[part] += n * each
        self.place.shops[shop].shop.place(an_order(number, parts), at=time.time())
        self.happened[f"orders in {shop}"] += 1

    # --- the second shop's own orders -----------------------------------------------------------------------------

    async def unasked_orders(self) -> None:
        """The second shop sells what is fenced for it without a word, and holds the article like others only once the
        hub knows of that order."""
        await asyncio.gather(*map(self.unasked_order, self.world.fenced))

    async def unasked_order(self, sku: str) -> None:
        """One of these, and the wait until the hub tells of it."""
        await asyncio.sleep(self.dice.uniform(0.0, TROUBLE))
        number = next(self.place.numbers)
        self.order(MARKET, number, {sku: self.dice.randint(1, FENCE)})
        self.happened["orders without a reservation"] += 1
        asked = {"number": str(number), "email": f"buyer{number}@example.test"}
        while (await self.ask(MARKET, "POST", "/orders/status", asked)).status_code != 200:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.5)
        self.unasked.discard(sku)
        self.left[MARKET].add(sku)

    # --- what goes wrong ------------------------------------------------------------------------------------------

    async def trouble(self) -> None:
        """Odoo loses answers, then is away; a process is killed, and in every third seed the other one too."""
        hubs = self.dice.sample(self.place.hubs, 2)
        for number, (kind, share) in enumerate((("lost_answer", 0.5), ("down", 1.0))):
            await asyncio.sleep(self.dice.uniform(0.2, TROUBLE / 4))
            self.place.faults([{"kind": kind, "path": "/json/2/", "times": -1, "share": share}])
            self.happened[f"odoo {kind}"] += 1
            await asyncio.sleep(self.dice.uniform(0.2, TROUBLE / 4))
            if number == 0 or self.world.seed % 3 == 0:
                self.happened["kills"] += await asyncio.to_thread(hubs[number].kill)
        await asyncio.sleep(TROUBLE / 4)
        self.place.faults([])
        self.calm = True


def an_order(number: int, parts: Mapping[str, int]) -> dict[str, Any]:
    """A paid order of these, ten euros each and no tax."""
    order = make_order(number, only=lambda o: o["currency"] == "EUR" and o["payment_method"] == "bacs")
    [line, *_] = order["line_items"]
    order["line_items"] = [
        {
            **line,
            **{"id": number * 100 + n, "sku": sku, "name": sku, "product_id": 1 + n, "variation_id": 0},
            **{"quantity": units, "price": 10.0, "tax_class": "", "taxes": [], "meta_data": []},
            **{
                "subtotal": f"{units * 10}.00",
                "total": f"{units * 10}.00",
                "subtotal_tax": "0.00",
                "total_tax": "0.00",
            },
        }
        for n, (sku, units) in enumerate(sorted(parts.items()))
    ]
    for name in ("tax_lines", "shipping_lines", "fee_lines", "coupon_lines", "refunds"):
        order[name] = []
    for name in ("discount_total", "discount_tax", "shipping_total", "shipping_tax", "cart_tax", "total_tax"):
        order[name] = "0.00"
    order["total"] = f"{sum(parts.values()) * 10}.00"
    order.update(id=number, number=str(number), prices_include_tax=False, customer_id=0)
    order["billing"]["email"] = f"buyer{number}@example.test"
    return order
