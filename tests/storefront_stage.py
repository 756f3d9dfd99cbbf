"""A storefront in this process: a store with products and stock in it, and a client with a token for all of it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import sqlalchemy as sa

from counterfoil.blueprint.load import parse
from counterfoil.doors import assembly
from counterfoil.doors.storefront import opening
from counterfoil.doors.storefront.context import Context
from counterfoil.doors.storefront.following import Follower
from counterfoil.hub import records
from counterfoil.hub.availability.readings import Reading, keep_readings
from counterfoil.hub.schema import cursor
from counterfoil.hub.store import Store
from counterfoil.hub.storefront import apitokens
from counterfoil.retail.entity import Entity
from counterfoil.retail.product import Product

ROOT = "/storefront/v1"
KEY = base64.b64encode(bytes(32)).decode()
BLUEPRINT = """\
counterfoil: 1
systems:
  odoo: {connector: odoo, url: http://127.0.0.1:9, database: shop, login: hub, api_key: "${KEY}"}
  web: {connector: woocommerce, url: http://127.0.0.1:9, consumer_key: "${KEY}", consumer_secret: "${KEY}"}
  other: {connector: woocommerce, url: http://127.0.0.1:9, consumer_key: "${KEY}", consumer_secret: "${KEY}"}
"""


def product(sku: str, price: str = "10.00 EUR", **changes: Any) -> Product:
    """A simple product of Odoo, its number made of its SKU."""
    number = str(1 + sum(map(ord, sku)) * 7 + len(sku))
    variant = {"id": number, "sku": sku, "price": price, **changes.pop("variant", {})}
    whole = {"system": "odoo", "id": number, "name": f"The {sku}", "category": ("Home", "Kitchen"), **changes}
    return Product.model_validate({"variants": [variant], **whole})


async def keep(store: Store, system: str, kind: str, id_: str, state: Entity, stage: str = "1") -> None:
    """The hub knows this object."""
    known = records.Known("", "", state.model_dump(mode="json"), stage)
    async with store.write() as connection:
        await records.keep_objects(connection, store, {(system, kind, id_): (known, state.canonical_id)})


@dataclass
class Stage:
    """The store, and the storefront over it."""

    store: Store
    context: Context
    client: httpx.AsyncClient
    follower: Follower

    async def sells(self, *products: Product) -> None:
        """These products are there."""
        for each in products:
            await keep(self.store, "odoo", "product", each.id, each)

    async def counts(self, **quantities: Mapping[str, int]) -> None:
        """The ERP has just counted: by SKU, how many where."""
        async with self.store.write() as connection:
            now = await self.store.clock(connection)
            readings = [
                Reading(f"odoo:variant:{product(sku).variants[0].id}", sku, _thousandths(places), now)
                for sku, places in quantities.items()
            ]
            await keep_readings(connection, self.store, readings)
        await self.looked()

    async def looked(self, ago: float = 0.0) -> None:
        """The ERP was looked at so many seconds ago, and the book has heard of it."""
        async with self.store.write() as connection:
            await connection.execute(sa.delete(cursor))
            row = {"system": "odoo", "feed": "stock", "value": {}, "next_at": 0.0, "ok_at": self.store.now - ago}
            await connection.execute(sa.insert(cursor).values(row))
        await (self.follower.look() if self.context.book.ready else self.follower.load())

    async def token(self, *scopes: str, channel: str = "web", rate: float | None = None) -> str:
        """A new one, as a header has it."""
        made = await apitokens.add(self.store, "test", channel, list(scopes or apitokens.SCOPES), rate, "somebody")
        return f"Bearer {made[1]}"


def _thousandths(places: Mapping[str, int]) -> dict[str, tuple[int, int, int]]:
    return {place: (units * 1000, 0, 0) for place, units in places.items()}


@contextlib.asynccontextmanager
async def storefront(store: Store, more: str = "", front: Any = None) -> AsyncIterator[Stage]:
    """A storefront over the store, with `more` in its blueprint."""
    plan = parse(BLUEPRINT + more, known=assembly.catalogue(), environ={"KEY": KEY})
    made = assembly.connectors(plan)
    context = opening.context_of(store, plan, made, asyncio.Event())
    transport = httpx.ASGITransport(app=opening.doors(front, context), raise_app_exceptions=False)
    client = httpx.AsyncClient(transport=transport, base_url="http://hub.example")
    stage = Stage(store, context, client, Follower(store, context.book, [("odoo", "stock")]))
    client.headers["Authorization"] = await stage.token(rate=10_000.0)
    try:
        yield stage
    finally:
        context.stop.set()
        await client.aclose()
        for connector in made.values():
            await connector.close()
