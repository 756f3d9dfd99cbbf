"""What may be sold, in memory: who asks how many there are waits neither for the store nor for the ERP.

A compact copy of what the store knows of stock and products (following.py keeps it up), and the answers made of it:
of each article and channel the number is worked out once and kept as bytes until something changes.
"""

from __future__ import annotations

import asyncio
import json
import time
from array import array
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import structlog

from counterfoil.doors.storefront.shelf import Freshness, Shelf
from counterfoil.doors.storefront.watching import Watch, Watches
from counterfoil.hub.availability.stock import Row, is_unread, unread
from counterfoil.hub.waiting import at_most
from counterfoil.processes.stock import Rules
from counterfoil.retail.availability import NOTHING, UNIT, Answer, Article, Policy, Stand, available, thousandths
from counterfoil.retail.bundles import explode, of_bundle
from counterfoil.retail.product import Product, variant_id

log = structlog.get_logger()

PARSED = 2_000
"""So many products are kept as objects; all of them as JSON, which is a tenth of that."""


@dataclass(slots=True)
class _Listed:
    """A product: its parts that answers need at once, and all of it as JSON."""

    state: bytes
    category: tuple[str, ...]
    skus: tuple[str, ...]
    sold: frozenset[str]  # of its SKUs those that may be sold at all
    tracked: bool


class Book:
    """Stock and products in memory. Everything here is done in one thread, and nothing waits."""

    def __init__(self, rules: Rules, clock: Callable[[], float] = time.monotonic) -> None:
        self.rules = rules
        self._stale_after = rules.declared.stale_after.total_seconds()
        self.ready = False  # nothing can be said before all of it was read once
        self._clock = clock
        self._places: list[str] = []
        self._place_numbers: dict[str, int] = {}
        self._stands: dict[str, array[int]] = {}  # by article: place number, on hand, outgoing, incoming, taken, …
        self._sku_of: dict[str, str] = {}  # by article
        self._articles: dict[str, str | list[str]] = {}  # by SKU; several where a SKU stands on several articles
        self._products: dict[str, _Listed] = {}
        self._parsed: dict[str, Product] = {}
        self._product_of: dict[str, str] = {}  # by SKU
        self._categories: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._channels: dict[str, Shelf] = {}
        self._watches = Watches()
        self._kits: dict[str, Mapping[str, Any]] = {}  # by product: by SKU what the ERP makes it of, by variant's id
        self._kits_moved = False
        self._looked: tuple[float, float] | None = None  # (as of, by the store's clock; the same by ours)
        self._wake = asyncio.Event()

    # --- what is known ----------------------------------------------------------------------------------------

    def keep_stock(self, rows: Iterable[Row]) -> None:
        """Take over what the store has of these articles."""
        for row in rows:
            numbers = array("q")
            for place in sorted({*row.places, *row.taken}):
                numbers.extend((self._place(place), *row.places.get(place, (0, 0, 0)), row.taken.get(place, 0)))
            before = self._sku_of.get(row.article)
            if before == row.sku and self._stands[row.article] == numbers:
                continue
            if before != row.sku:
                if before is not None:
                    self._unname(before, row.article)
                self._name(row.sku, row.article)
                self._end_standin(row)
                self._kits_moved = bool(self._kits)  # a part may have its SKU only now
            self._stands[row.article] = numbers
            self._changed(row.sku)

    def keep_product(self, state: Mapping[str, Any]) -> None:
        """Take over a product as its object's state has it."""
        id_ = f"{state['system']}:product:{state['id']}"
        variants = [v for v in state["variants"] if v["sku"]]
        category = tuple(state.get("category", ()))
        kept = {name: value for name, value in state.items() if name not in ("description", "costs")}
        new = _Listed(
            json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode(),
            self._categories.setdefault(category, category),
            tuple(v["sku"] for v in variants),
            frozenset(v["sku"] for v in variants if v.get("active", True) and state.get("sellable", True)),
            bool(state.get("tracked", True)),
        )
        kits = {variant: parts for variant, parts in state.get("kits", ()) if parts}
        made_of = {v["sku"]: kits[v["id"]] for v in variants if v["id"] in kits}
        if made_of or id_ in self._kits:
            self._kits[id_], self._kits_moved = made_of, True
        before = self._products.get(id_)
        self._products[id_] = new
        self._parsed.pop(id_, None)
        for sku in {*new.skus, *(before.skus if before else ())}:
            if sku in new.skus:
                self._product_of[sku] = id_
            elif self._product_of.get(sku) == id_:
                del self._product_of[sku]
            self._changed(sku)

    def looked(self, as_of: float | None, now: float) -> None:
        """The ERP was last looked at then; both by the store's clock."""
        self._looked = None if as_of is None else (as_of, self._clock() - max(0.0, now - as_of))

    def learn_kits(self) -> None:
        """Tell the rules what the ERP makes of other articles, if that has changed."""
        if not self._kits_moved:
            return
        self._kits_moved, found = False, dict[str, dict[str, int]]()
        for id_, kits in self._kits.items():
            system = id_.partition(":")[0]
            for sku, parts in kits.items():
                needed = found.setdefault(sku, {})
                for variant, units in parts:
                    part = self._sku_of.get(variant_id(system, variant), variant)
                    needed[part] = needed.get(part, 0) + thousandths(Decimal(str(units)))
        try:
            self.rules.learn_kits(found)
        except ValueError as error:  # with the blueprint's bundles they make a circle; those alone do not
            log.error("Odoo's kits are left out", error=str(error))
            self.rules.learn_kits({})

    def _place(self, name: str) -> int:
        number = self._place_numbers.get(name)
        if number is None:
            number = self._place_numbers[name] = len(self._places)
            self._places.append(name)
        return number

    def _name(self, sku: str, article: str) -> None:
        self._sku_of[article] = sku
        others = self._articles.get(sku)
        if others is None:
            self._articles[sku] = article
        else:  # in the order of hub/availability/stock.py: an article of the ERP before one that only stands in
            every = {article, *([others] if isinstance(others, str) else others)}
            self._articles[sku] = sorted(every, key=lambda each: (is_unread(each), each))

    def _end_standin(self, row: Row) -> None:
        """What stood in for the article until the ERP told of it is in its row now."""
        standin = unread(row.sku)
        if row.article != standin and standin in self._stands:
            self._unname(row.sku, standin)
            del self._stands[standin], self._sku_of[standin]

    def _unname(self, sku: str, article: str) -> None:
        others = self._articles[sku]
        left = [] if isinstance(others, str) else [each for each in others if each != article]
        if not left:
            del self._articles[sku]
        else:
            self._articles[sku] = left[0] if len(left) == 1 else left
        self._changed(sku)

    def _changed(self, sku: str) -> None:
        for each in (sku, *self.rules.bundles_with(sku)):
            for shelf in self._channels.values():
                shelf.forget(each)
            self._watches.tell(each)

    # --- what is answered -------------------------------------------------------------------------------------

    def freshness(self) -> Freshness:
        """How old the ERP's part of what is known is."""
        as_of, at = self._looked or (None, 0.0)
        return Freshness.of(as_of, self._clock() - at, self._stale_after)

    def looked_and_age(self) -> tuple[object, int]:
        """What `freshness` changes with: cheap, for who asks thousands of times a second."""
        if self._looked is None:
            return None, 0
        age = self._clock() - self._looked[1]
        return self._looked, int(age) if age <= self._stale_after else -1 - int(age)

    def article(self, sku: str) -> str | None:
        """The canonical id of the article; of several with one SKU the first, as everywhere."""
        found = self._articles.get(sku)
        return found if found is None or isinstance(found, str) else found[0]

    def product(self, sku: str) -> Product | None:
        """The product that has the SKU, with all its variants; without its description and its costs."""
        id_ = self._product_of.get(sku)
        if id_ is None:
            return None
        found = self._parsed.get(id_)
        if found is None:
            if len(self._parsed) >= PARSED:
                self._parsed.clear()
            found = self._parsed[id_] = Product.model_validate_json(self._products[id_].state)
        return found

    def find(self, sku: str) -> tuple[Article, list[Stand]] | None:
        """The article and how it stands, as the rules ask for it; None where the ERP has told nothing of it."""
        return (self._article(sku), self.stands(sku)) if sku in self._articles else None

    def stands(self, sku: str) -> list[Stand]:
        """Where how many are, in thousandths; empty where nothing is known."""
        article = self.article(sku)
        if article is None:
            return []
        n, names = self._stands[article], self._places
        return [(names[n[i]], n[i + 1], n[i + 2], n[i + 3], n[i + 4]) for i in range(0, len(n), 5)]

    def policy(self, channel: str, sku: str, stale: bool | None = None) -> Policy:
        """How the channel sells the article now; with a state that is too old as the channel's rule says."""
        old = self.freshness().stale if stale is None else stale
        return self.rules.policy(channel, self._article(sku), stale=old)

    def answer(self, channel: str, sku: str, stale: bool | None = None) -> Answer | None:
        """How many the channel may sell now; None where nobody knows of the SKU, or its stock is not counted."""
        if not self.known(sku):
            return None
        old = self.freshness().stale if stale is None else stale
        listed = self._listed(sku)
        if listed is not None and sku not in listed.sold:
            return NOTHING
        if sku not in self.rules.bundles:
            return self._single(channel, sku, old)
        parts = explode([(sku, UNIT)], self.rules.bundles)
        answers = [(self._single(channel, part, old), quantity) for part, quantity in parts.items()]
        counted = [(answer, quantity) for answer, quantity in answers if answer is not None]
        return of_bundle(counted) if counted else None

    def _single(self, channel: str, sku: str, stale: bool) -> Answer | None:
        """Of one article; nothing of one nobody knows, None of one that is not counted."""
        if sku not in self._articles:
            listed = self._listed(sku)
            return NOTHING if listed is None or listed.tracked else None
        return available(self.stands(sku), self.policy(channel, sku, stale))

    def known(self, sku: str) -> bool:
        """Whether there is such a SKU."""
        return sku in self._articles or sku in self._product_of or sku in self.rules.bundles

    def is_untracked(self, sku: str) -> bool:
        """Whether it is sold without being counted."""
        return self.known(sku) and self.answer("", sku, False) is None

    def shelf(self, channel: str) -> Shelf:
        """The channel's answers as bytes."""
        found = self._channels.get(channel)
        if found is None:
            found = self._channels[channel] = Shelf(self, channel)
        return found

    def _article(self, sku: str) -> Article:
        listed = self._listed(sku)
        return Article(sku, listed.category if listed else (), self.article(sku) or "")

    def _listed(self, sku: str) -> _Listed | None:
        id_ = self._product_of.get(sku)
        return None if id_ is None else self._products[id_]

    # --- who waits --------------------------------------------------------------------------------------------

    def watch(self, skus: Iterable[str]) -> AbstractContextManager[Watch]:
        """Be told of changes of these SKUs."""
        return self._watches.watch(skus)

    def wake(self) -> None:
        """Something was committed: look at once."""
        self._wake.set()

    async def woken(self, seconds: float) -> None:
        """Until somebody wakes the book, at most so long."""
        await at_most(seconds, self._wake)
        self._wake.clear()
