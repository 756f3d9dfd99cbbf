"""What is known of every article: its SKU, its category, what it is made of. From the products' last known states."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub import records
from counterfoil.hub.availability import stock
from counterfoil.hub.schema import object_
from counterfoil.hub.store import Store
from counterfoil.hub.storefront import looking
from counterfoil.retail.availability import Article, Stand, stands_of, thousandths
from counterfoil.retail.product import variant_id

EVERY = 10.0
"""Seconds after which `refresh` looks again."""
PAGE = 5000
_NEVER = 1.0
_BACK = 60.0
"""Seconds that are looked at again: a transaction may have written before, and committed after, the last look."""


class Articles:
    """In memory, for those who decide for many articles at once; one process, one of these.

    Of the products of `systems`, where named, only those are read again that are told to have changed: who looks again
    and again names them.
    """

    def __init__(self, systems: Sequence[str] = ()) -> None:
        self.systems = systems
        self.by_id: dict[str, Article] = {}
        self.by_sku: dict[str, Article] = {}
        self._since = 0.0
        self._looked_at = -EVERY

    @property
    def kits(self) -> Mapping[str, Mapping[str, int]]:
        """Articles that the ERP makes of others when they are sold: SKU to the SKUs of its parts (thousandths)."""
        found: dict[str, Mapping[str, int]] = {}
        for article in self.by_id.values():
            parts: dict[str, int] = {}
            for id_, amount in article.parts:
                sku = self.by_id[id_].sku if id_ in self.by_id else id_
                parts[sku] = parts.get(sku, 0) + amount
            if parts and article.sku:
                found[article.sku] = parts
        return found

    async def found(self, store: Store, skus: Collection[str]) -> dict[str, tuple[Article, list[Stand]]]:
        """How the store knows the stock of these SKUs; those of which the ERP has told nothing are absent."""
        async with store.read() as connection:
            ids = await stock.by_sku(connection, skus)
            rows = await stock.rows_of(connection, store, ids.values())
        return {
            sku: (self.by_id.get(id_) or Article(sku, (), id_), stands_of(rows[id_].places, rows[id_].taken))
            for sku, id_ in ids.items()
            if id_ in rows and rows[id_].asked_at
        }

    async def refresh(self, store: Store, every: float = EVERY) -> bool:
        """Take in the products that changed, unless that was done in the last `every` seconds; whether any had."""
        if time.monotonic() - self._looked_at < every:
            return False
        async with store.read() as connection:
            states = await (self._told(connection, store) if self.systems else self._written(connection, store))
        self._looked_at = time.monotonic()
        changed = [article for state in states for article in articles_of(state)]
        news = [article for article in changed if self.by_id.get(article.id) != article]
        for article in news:
            before = self.by_id.get(article.id)
            if before and self.by_sku.get(before.sku) == before:
                del self.by_sku[before.sku]
            self.by_id[article.id] = article
            if article.sku:
                self.by_sku[article.sku] = article
        return bool(news)

    async def _written(self, connection: AsyncConnection, store: Store) -> Sequence[Mapping[str, Any]]:
        wanted = (object_.c.kind == "product", object_.c.updated_at >= self._since)
        self._since = await store.clock(connection) - _BACK
        return (await connection.execute(sa.select(object_.c.state).where(*wanted))).scalars().all()

    async def _told(self, connection: AsyncConnection, store: Store) -> Sequence[Mapping[str, Any]]:
        since = self._since or math.inf
        told, self._since = await looking.products_told_since(connection, store, self.systems, since)
        if since != math.inf:
            return list((await records.states_of(connection, "product", told.values())).values())
        found: list[Mapping[str, Any]] = []
        for system in self.systems:
            after = ""
            while page := await looking.products(connection, system, after, PAGE):
                found += [state for _, state in page]
                after = page[-1][0]
        self._since = self._since or _NEVER
        return found


def articles_of(state: Mapping[str, Any]) -> list[Article]:
    """The articles of a product as it is kept."""
    system, made = state["system"], dict(state.get("kits", ()))
    return [
        Article(
            v["sku"].strip(),
            tuple(state.get("category", ())),
            variant_id(system, v["id"]),
            tuple((variant_id(system, id_), thousandths(Decimal(units))) for id_, units in made.get(v["id"], ())),
            _sale(v.get("sale")),
        )
        for v in state["variants"]
    ]


def _sale(campaign: Mapping[str, Any] | None) -> tuple[float, float] | None:
    if not campaign:
        return None
    begins, ends = campaign.get("starts_at"), campaign.get("ends_at")
    since = datetime.fromisoformat(begins).timestamp() if begins else 0.0
    return since, datetime.fromisoformat(ends).timestamp() if ends else math.inf
