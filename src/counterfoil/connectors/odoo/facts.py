"""What the drift audit reads of Odoo: shops' orders in a few fields, stock and products as the feeds read them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from counterfoil.connectors.odoo import catalogue, reading, stocks
from counterfoil.connectors.odoo.feeds import Sources, receipt
from counterfoil.connectors.odoo.fulfilments import CANONICAL
from counterfoil.connectors.odoo.mapping import ORDER_STATES
from counterfoil.connectors.odoo.translate import MODULE
from counterfoil.connectors.odoo.watching import Reader, Row, iso, moment_of, number, stamp
from counterfoil.hub.contract import BadPayload, Raw
from counterfoil.hub.facts import HeldOrder, Standing
from counterfoil.retail.entity import Entity
from counterfoil.retail.money import Money

PAGE = 500
"""Orders of one page; ids in one request."""
_ORDER = ("name", "state", "origin", "date_order", "amount_total", "currency_id")

E = TypeVar("E", bound=Entity)


async def list_held(reader: Reader, shop: str, since: datetime, until: datetime) -> AsyncIterator[Sequence[HeldOrder]]:
    """The shop's orders dated in [since, until), by id; confirming dates them anew. Raises Failure."""
    domain = [["origin", "=like", f"{shop}:order:%"]]
    domain += [["date_order", ">=", stamp(since)], ["date_order", "<", stamp(until)]]
    async for page in reader.pages("sale.order", domain, ["origin"], size=PAGE):
        yield await _held(reader, ["id", "in", [row["id"] for row in page]])


async def held_now(reader: Reader, ids: Sequence[str]) -> list[HeldOrder]:
    """These orders by canonical id; what is not here is left out. Raises Failure."""
    found: list[HeldOrder] = []
    for start in range(0, len(ids), PAGE):
        found += await _held(reader, ["origin", "in", list(ids[start : start + PAGE])])
    return found


async def _held(reader: Reader, which: list[Any]) -> list[HeldOrder]:
    rows = await reader.rows("sale.order", [which], _ORDER, named=True)
    rows = await _ours(reader, rows)
    shipped, ships = await _shipped(reader, [row["id"] for row in rows if row["state"] in ("sale", "done")])
    return [
        HeldOrder(
            id=row["origin"],
            number=row["name"],
            own_id=str(row["id"]),
            standing=Standing.SHIPPED if row["id"] in shipped else _standing(row["state"]),
            dated=moment_of(row["date_order"]),
            total=Money(Decimal(str(row["amount_total"])), row["currency_id"][1]),
            ships=row["id"] in ships,
        )
        for row in rows
    ]


def _standing(state: str) -> Standing:
    """A state of somebody's own is an exception already when it comes as a receipt."""
    known = ORDER_STATES.get(state)
    return Standing(known.value) if known is not None else Standing.NONE


async def _ours(reader: Reader, rows: list[Row]) -> list[Row]:
    """Those that Counterfoil has put there; a copy that somebody made has the origin, but not the external id."""
    domain = [["module", "=", MODULE], ["model", "=", "sale.order"], ["res_id", "in", [row["id"] for row in rows]]]
    names = {row["res_id"]: row["name"] for row in await reader.rows("ir.model.data", domain, ["res_id", "name"])}
    found = []
    for row in rows:
        parts = CANONICAL.fullmatch(row["origin"] or "")
        if parts is not None and names.get(row["id"]) == f"{parts['system']}_order_{parts['id']}":
            found.append(row)
    return found


async def _shipped(reader: Reader, orders: Sequence[int]) -> tuple[set[int], set[int]]:
    """(those of which something has left and nothing is left to, those that have deliveries at all).

    By the pickings, as `delivery_status` is not there before 16 and counts what customers send back.
    """
    if not orders or "sale_id" not in await reader.fields("stock.picking"):
        return set(), set()
    domain = [["sale_id", "in", list(orders)], ["picking_type_code", "in", ["outgoing", "internal"]]]
    gone, left, all_ = set(), set(), set()
    for row in await reader.rows("stock.picking", domain, ["sale_id", "state", "picking_type_code"]):
        order = number(row["sale_id"])
        all_.add(order)
        if row["state"] == "done" and row["picking_type_code"] == "outgoing":
            gone.add(order)
        elif row["state"] not in ("done", "cancel"):
            left.add(order)
    return gone - left, all_


class Listing:
    """Stock and products in pages, through the readers and the decoder of the feeds."""

    def __init__(self, system: str, sources: Sources, url: str, image_url: str) -> None:
        self.system, self.sources = system, sources
        self.reader = sources.stocks.reader
        self._decoded = {"url": url, "image_url": image_url}

    async def stock(self, numbers: Sequence[int] | None = None) -> AsyncIterator[list[Any]]:
        """Stock levels of these articles, or of all. Raises Failure."""
        domain = await self.sources.stocks.everything()
        async for page in self._numbers("product.product", domain, stocks.BATCH, numbers):
            yield self._entities("stock", await self.sources.stocks.read(page))

    async def products(self, numbers: Sequence[int] | None = None) -> AsyncIterator[list[Any]]:
        """These products, or all. Raises Failure."""
        domain = await self.sources.catalogue.everything()
        async for page in self._numbers("product.template", domain, catalogue.BATCH, numbers):
            yield self._entities("product", await self.sources.catalogue.read(page))

    async def fetch(self, kind: str, numbers: Sequence[int]) -> list[Raw]:
        """Receipts of these objects, orders by their number here. Raises Failure."""
        read: Mapping[str, Callable[..., Any]] = {
            "stock": self.sources.stocks.read,
            "product": self.sources.catalogue.read,
            "customer": self.sources.people.read,
            "fulfilment": self.sources.fulfilments.read,
        }
        at = iso(await self.reader.now_exactly())
        return [receipt(kind, id_, body, at) for id_, body in (await read[kind](list(numbers))).items()]

    async def _numbers(
        self, model: str, domain: Sequence[Any], size: int, numbers: Sequence[int] | None
    ) -> AsyncIterator[list[int]]:
        if numbers is not None:
            for start in range(0, len(numbers), size):
                yield list(numbers[start : start + size])
            return
        async for rows in self.reader.pages(model, domain, ["write_date"], size=size):
            yield [int(row["id"]) for row in rows]

    def _entities(self, kind: str, bodies: Mapping[str, Mapping[str, Any]]) -> list[Entity]:
        """What the feed would make of them; what it cannot read is an exception already when it comes as a receipt."""
        found = []
        for id_, body in bodies.items():
            try:
                raw = receipt(kind, id_, body, "")
                found.append(reading.decode(self.system, raw, self._decoded["url"], self._decoded["image_url"]).state)
            except BadPayload:
                continue
        return found
