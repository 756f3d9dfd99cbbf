"""A house whose ERP counts mugs: readings of stock that say when they began, claims of orders, publication."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from tests.fakes import ERP, SHOP, House, at, rows_of, told_by_erp

from counterfoil.hub import schema
from counterfoil.hub.availability import stock
from counterfoil.hub.availability.stock import Taking
from counterfoil.hub.contract import Item, Outcome, done
from counterfoil.hub.receipts import ASKED_AT, Arrival, take
from counterfoil.hub.store import Store
from counterfoil.processes.claiming import Claimant
from counterfoil.processes.publication import Publication
from counterfoil.processes.routing import Router
from counterfoil.processes.stock import Rules
from counterfoil.retail.product import Place, Product, SalePrice, StockLevel, Variant

FLOWS = """\
  - {on: order.placed, from: shop, do: erp.accept_order}
  - {on: order.cancelled, from: shop, do: erp.cancel_order}
  - {on: stock.changed, from: erp, do: shop.publish_stock, on_exception: pass}
"""
NO_ERP = FLOWS.splitlines(keepends=True)[-1]
"""The ERP is told of no order."""


class Warehouse(House):
    """The SKU MUG is article 1, BOX article 2, SET (two mugs in a box) article 3, where a test says so."""

    def __init__(self, store: Store, flows: str = FLOWS, more: str = "") -> None:
        super().__init__(store, flows, more)
        self.processes[ERP]["stock"] = dataclasses.replace(self.processes[ERP]["stock"], counts=True)
        self.rules = Rules(self.blueprint)
        streams = {flow.do: "stock" for flow in self.blueprint.flows if flow.do.endswith("publish_stock")}
        self.publication = Publication(store, self.blueprint, self.rules, streams | _ORDERS, [ERP])
        self._seconds = 0

    def worker(self, **options: Any) -> Any:
        claimant = Claimant(self.rules, Router.of(self.blueprint), self.publication.articles)
        return super().worker(**{"follow": claimant, "prepare": self.publication.prepare, **options})

    async def clock(self) -> float:
        """Now, by the store's clock."""
        async with self.store.read() as connection:
            return await self.store.clock(connection)

    async def reads(self, on_hand: int, outgoing: int = 0, asked_at: float | None = None, number: int = 1) -> None:
        """The ERP was read, in a reading that began now, or then."""
        await self.keeps(on_hand, outgoing, asked_at, number)
        await self.work()

    async def keeps(self, on_hand: int, outgoing: int = 0, asked_at: float | None = None, number: int = 1) -> None:
        """The same, and nobody has worked it yet."""
        self._seconds += 1
        told = told_by_erp("stock", level(on_hand, outgoing, number), at(self._seconds))
        headers = {**told.raw.headers, ASKED_AT: repr(await self.clock() if asked_at is None else asked_at)}
        async with self.store.write() as connection:
            await take(connection, self.store, [Arrival(ERP, "poll", dataclasses.replace(told.raw, headers=headers))])

    async def lists(self, number: int, sku: str, sale: SalePrice | None = None) -> None:
        """The ERP has a product with this number and SKU."""
        variant = Variant(id=str(number), sku=sku, sale=sale)
        product = Product(system=ERP, id=str(number), name=sku, variants=(variant,))
        row = {"system": ERP, "kind": "product", "object_id": product.id, "version": "1", "digest": "", "stage": "1"}
        async with self.store.write() as connection:
            new = sa.insert(schema.object_).values(**row, state=product.model_dump(mode="json"))
            await connection.execute(new.values(canonical_id=product.canonical_id, updated_at=self.store.now))

    async def holds(self, units: int, number: int = 1) -> None:
        """A reservation takes so many."""
        async with self.store.write() as connection:
            rows = await stock.locked(connection, self.store, [article(number)])
            await stock.take(connection, self.store, rows, [Taking("r1", article(number), "WH", units * 1000, SHOP)])

    async def promised(self, number: int = 1) -> int:
        """What may be promised of an article; below zero where more is sold than there is."""
        async with self.store.read() as connection:
            row = (await stock.rows_of(connection, self.store, [article(number)]))[article(number)]
            assert await stock.verify(connection, self.store) == []
        return (sum(h - o for h, o, _ in row.places.values()) - sum(row.taken.values())) // 1000

    def confirms(self, subject: str, meanwhile: Callable[[], Awaitable[Any]] | None = None) -> None:
        """The ERP confirms this order at once; `meanwhile` happens between its commit and its answer."""

        async def accept(item: Item) -> Outcome:
            if meanwhile is not None:
                await meanwhile()
            return done({"state": "sale"}, link="S1", emits=("order.accepted",))

        self.erp.plan(subject, accept)

    async def tells(self, gather: float = 0.0) -> int:
        """One look of the publication, and all work that follows."""
        looked = await self.publication.look(gather)
        await self.work()
        return looked

    def told(self, fake: Any = None, number: int = 1) -> list[int]:
        """The quantities a channel was told of an article, in order."""
        items = (fake or self.shop).items
        return [i.data["quantity"] for i in items if i.event_type == "stock.changed" and i.subject == article(number)]

    async def takings(self) -> dict[tuple[str, str], int]:
        """By holder and article, whole units."""
        return {(r["holder"], r["article"]): r["units"] // 1000 for r in await rows_of(self.store, schema.taking)}


_ORDERS = {"erp.accept_order": "order", "erp.cancel_order": "order"}
_SKUS = {1: "MUG", 2: "BOX"}


def article(number: int = 1) -> str:
    """The canonical id of an article."""
    return f"{ERP}:variant:{number}"


def level(on_hand: int, outgoing: int = 0, number: int = 1) -> StockLevel:
    """So many of an article in the ERP's only warehouse."""
    place = Place(warehouse="WH", on_hand=Decimal(on_hand), outgoing=Decimal(outgoing))
    return StockLevel(system=ERP, id=str(number), sku=_SKUS[number], places=(place,))
