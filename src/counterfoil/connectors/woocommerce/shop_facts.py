"""What the catalogue needs to know of the shop itself: settings, attributes and categories, read once in a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from counterfoil.connectors.woocommerce.client import Client
from counterfoil.connectors.woocommerce.places import pages, rows_in
from counterfoil.connectors.woocommerce.product_fields import Facts
from counterfoil.connectors.woocommerce.reading import clean
from counterfoil.hub.contract import Failure, Kind, Outcome

FRESH = 300.0
"""Seconds for which what was read is believed."""
Path = tuple[str, ...]
Money = tuple[str, bool | None]
"""Currency, and whether prices are entered with tax."""


class ShopFacts:
    """Settings and categories of one shop, kept for a few minutes. One writer at a time makes categories."""

    def __init__(self, client: Client, now: Callable[[], float] = time.monotonic) -> None:
        self._client, self._now = client, now
        self._lock = asyncio.Lock()
        self._facts: tuple[float, Facts] | None = None
        self._categories: tuple[float, dict[tuple[int, str], int]] | None = None
        self._fitted: set[Money] = set()
        self._teller: dict[Money, str] = {}

    async def facts(self) -> Facts:
        """The shop's settings. Raises Failure."""
        async with self._lock:
            if self._facts is None or self._now() - self._facts[0] > FRESH:
                self._facts = (self._now(), await self._read())
            return self._facts[1]

    def teller(self, facts: Facts, differing: Sequence[str], others_fit: bool) -> str | None:
        """Which product stands for all those whose prices cannot be the shop's; None: each is a case of its own.

        That it is where the prices of other products fit; else the channel is at fault, and the first product found
        tells it whenever it comes. One alone is no proof that nothing fits any more.
        """
        money = (facts.currency, facts.with_tax)
        if others_fit:
            self._fitted.add(money)
            self._teller.pop(money, None)
        elif len(differing) > 1:
            self._fitted.discard(money)
        if not differing or money in self._fitted:
            return None
        return self._teller.setdefault(money, differing[0])

    async def category_ids(self, paths: Iterable[Path]) -> dict[Path, int]:
        """The id of each category path, from the root; what is missing is made. Raises Failure."""
        async with self._lock:
            return {path: await self._category(path) for path in sorted(set(paths)) if path}

    async def _read(self) -> Facts:
        values: dict[str, Any] = {}
        for group in ("general", "tax", "products"):
            answer = await self._client.get(f"settings/{group}", _fields="id,value")
            values |= {row["id"]: row.get("value") for row in rows_in(answer, f"settings/{group}")}
        attributes = await self._client.get("products/attributes", _fields="id,name")
        try:
            return Facts(
                str(values["woocommerce_currency"]),
                int(values["woocommerce_price_num_decimals"]),
                values["woocommerce_prices_include_tax"] == "yes"
                if values["woocommerce_calc_taxes"] == "yes"
                else None,
                str(values.get("woocommerce_weight_unit", "")),
                {clean(str(row["name"])): row["id"] for row in rows_in(attributes, "products/attributes")},
                values.get("woocommerce_manage_stock", "yes") == "yes",
            )
        except (KeyError, ValueError) as error:
            words = "The shop does not tell its settings: currency, decimals, whether prices are entered with tax."
            technical = f"{type(error).__name__}: {error}"
            fix = "Give the key's owner the role of a shop manager or administrator."
            raise Failure(Outcome(Kind.REJECTED, "no_settings", words, technical, fix)) from error

    async def _category(self, path: Path) -> int:
        number = 0
        for name in path:
            known = await self._known()
            number = known.get((number, _key(name))) or await self._make(number, name)
        return number

    async def _known(self, anew: bool = False) -> dict[tuple[int, str], int]:
        """Categories by parent and name. Names come with entities resolved: the shop stores `&amp;` (recorded)."""
        if anew or self._categories is None or self._now() - self._categories[0] > FRESH:
            found: dict[tuple[int, str], int] = {}
            async for row in pages(self._client, "products/categories", _fields="id,name,parent"):
                found.setdefault((int(row["parent"]), _key(clean(str(row["name"])))), int(row["id"]))
            self._categories = (self._now(), found)
        return self._categories[1]

    async def _make(self, parent: int, name: str) -> int:
        """A new category. Refused as already there (a person was faster, or our answer got lost), it is looked up."""
        try:
            content = {"name": name.strip(), "parent": parent}
            made = (await self._client.call("POST", "products/categories", content=content)).data
        except Failure as failure:
            if failure.outcome.kind is not Kind.REJECTED:
                raise
            number = (await self._known(anew=True)).get((parent, _key(name)))
            if number is None:
                raise
            return number
        number = int(made["id"])
        (await self._known())[(parent, _key(name))] = number
        return number


def _key(name: str) -> str:
    """The shop's database takes two names that differ in case for one."""
    return name.strip().casefold()
