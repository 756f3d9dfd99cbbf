"""Data quality of what is sold: what products lack, what stands twice, what is priced below its cost.

Looked at by the clock, in what the owner of products last told. For each kind of finding there is one exception as long
as something of it is found; `counterfoil quality` lists the articles.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from dataclasses import dataclass

import sqlalchemy as sa
import structlog

from counterfoil.blueprint import Blueprint
from counterfoil.blueprint.quality import WORDS
from counterfoil.hub import exceptions, schedule
from counterfoil.hub.contract import Kind, Outcome
from counterfoil.hub.schema import exception, object_
from counterfoil.hub.store import Store
from counterfoil.hub.waiting import at_most
from counterfoil.retail.listing import gtin_of
from counterfoil.retail.product import Product, Variant

log = structlog.get_logger()

REASON = "data_quality"
CHECK = "quality:"
"""What the operation of an exception about a kind of finding begins with."""
_PLACE = ("hub", "quality")


@dataclass(frozen=True, slots=True)
class Found:
    """An article with something wrong: which check, the product's canonical id, its SKU, in words."""

    check: str
    product: str
    sku: str
    words: str


class Survey:
    """Takes in products one by one; `found` is complete once all have been seen."""

    def __init__(self, checks: Collection[str]) -> None:
        self.checks = frozenset(checks)
        self.found: list[Found] = []
        self._first: dict[tuple[str, str], tuple[str, str]] = {}

    def add(self, product: Product) -> None:
        """Look at a product and what is sold of it; what is not for sale is nobody's business."""
        if not product.sellable:
            return
        for check, words in _of_product(product):
            self._note(check, product, "", words)
        costs = dict(product.costs)
        for variant in (v for v in product.variants if v.active):
            for check, words in _of_variant(product, variant):
                self._note(check, product, variant.sku, words)
            cost = costs.get(variant.id)
            if cost is None:
                self._note("cost", product, variant.sku, "what it costs is not known")
            elif variant.price is not None and variant.price.amount < cost:
                words = f"its price {variant.price} is below {cost.normalize():f}, its cost"
                self._note("below_cost", product, variant.sku, words)
            for check, key in (("duplicate_sku", variant.sku.strip()), ("duplicate_gtin", gtin_of(variant))):
                self._only_one(check, key, product, variant)

    def _only_one(self, check: str, key: str, product: Product, variant: Variant) -> None:
        if not key:
            return
        first = self._first.setdefault((check, key), (product.canonical_id, variant.id))
        if first != (product.canonical_id, variant.id):
            self._note(check, product, variant.sku, f"{key} stands on {first[0]} too")

    def _note(self, check: str, product: Product, sku: str, words: str) -> None:
        if check in self.checks:
            self.found.append(Found(check, product.canonical_id, sku, words))


def _of_product(product: Product) -> Iterator[tuple[str, str]]:
    if not product.name.strip():
        yield "name", "it has no name"
    if not product.description.strip():
        yield "description", "it has no description"
    if not product.category:
        yield "category", "it is in no category"
    if not product.tax_class:
        yield "tax_class", "it has no tax"


def _of_variant(product: Product, variant: Variant) -> Iterator[tuple[str, str]]:
    if not variant.sku.strip():
        yield "sku", f"variant {variant.id} has no SKU"
    if not gtin_of(variant):
        yield "gtin", f"{variant.gtin!r} is no valid GTIN" if variant.gtin else "it has no GTIN"
    if not variant.weight:
        yield "weight", "it has no weight"
    if variant.image is None and product.image is None:
        yield "image", "it has no image"
    if variant.price is None or variant.price.amount <= 0:
        yield "price", "it has no price"


async def survey(
    store: Store, owner: str, checks: Collection[str], tick: Callable[[int], None] = lambda _n: None
) -> tuple[int, list[Found]]:
    """How many products of `owner` are known, and what is found of them."""
    looked, count = Survey(checks), 0
    async for product in _products(store, owner):
        looked.add(product)
        count += 1
        tick(1)
    return count, looked.found


async def _products(store: Store, owner: str) -> AsyncIterator[Product]:
    mine = (object_.c.system == owner, object_.c.kind == "product")
    async with store.read() as connection:
        rows = await connection.stream(sa.select(object_.c.state).where(*mine).order_by(object_.c.canonical_id))
        async for row in rows:
            yield Product.model_validate(row.state)
            await asyncio.sleep(0)  # the same process may be working lanes


async def look(store: Store, blueprint: Blueprint) -> Counter[str]:
    """Look at everything; open an exception for each check that finds something and close the others. By check."""
    owner, rules = blueprint.owner_of("product"), blueprint.quality
    found = Counter(one.check for one in (await survey(store, owner, rules.check))[1])
    person = blueprint.exceptions.owner_of(REASON)
    async with store.write() as connection:
        for check in rules.check:
            if found[check]:
                await exceptions.open_for_system(
                    connection, store, owner, _outcome(check, found[check]), person, CHECK + check
                )
        mine = (exception.c.status == "open", exception.c.system == owner, exception.c.operation.startswith(CHECK))
        for name in set(await connection.scalars(sa.select(exception.c.operation).where(*mine))):
            if not found[name.removeprefix(CHECK)]:
                await exceptions.close_for_system(connection, store, owner, name, "nothing of it is found any more")
    return found


def _outcome(check: str, count: int) -> Outcome:
    return Outcome(
        Kind.REJECTED,
        REASON,
        f"{WORDS[check]}.",
        f"{count} when it was first found",
        f"`counterfoil quality --check {check}` lists them now. Put them right in the system that owns products.",
    )


async def run(store: Store, blueprint: Blueprint, stop: asyncio.Event, turn: float = schedule.TURN) -> None:
    """Look as often as the blueprint says until `stop`; never, if it says no `every`, or nobody owns products."""
    every = blueprint.quality.every
    while every is not None and blueprint.owner_of("product") in blueprint.systems and not stop.is_set():
        try:
            seconds = every.total_seconds()
            found = await schedule.in_turn(store, _PLACE, lambda: look(store, blueprint), seconds, turn)
            if found:
                log.info("data quality", **found)
        except Exception as error:  # mostly the store out of reach; whatever it is, the rest of the schedule goes on
            log.error("data quality not looked at", error=type(error).__name__, detail=str(error)[:200])
        await at_most(5.0, stop)
