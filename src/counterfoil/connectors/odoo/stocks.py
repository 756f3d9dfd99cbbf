"""How many of each article stand where: quantities per warehouse from product.product, never from quants.

Quants split, merge by raw SQL without touching their `write_date`, and vanish at zero; `free_qty` leaves out orders
that could not reserve. What is promised is all open demand: `outgoing_qty`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from counterfoil.connectors.odoo.watching import KEEP, Changed, Reader, Watch, number

BATCH = 500
QUANTS = Watch("stock.quant", "product_id", ("quantity", "reserved_quantity"))
MOVES = Watch("stock.move", "product_id", ("state", "product_uom_qty"))
_QUANTITIES = ("qty_available", "outgoing_qty", "incoming_qty")


class Stocks:
    """Reads stock levels."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._warehouses: tuple[float, tuple[tuple[str, int], ...]] = (0.0, ())

    async def watches(self) -> tuple[Watch, ...]:
        """What to watch; nothing where Odoo keeps no stock. Raises Failure."""
        return (QUANTS, MOVES) if await self.reader.fields("stock.quant") else ()

    async def owners(self, changes: Iterable[Changed]) -> list[int]:
        """The articles that changed rows are about, each once."""
        return sorted({change.owner for change in changes} - {0})

    async def everything(self) -> list[Any]:
        """The domain of all articles whose stock is kept. Raises Failure."""
        return [(await self.reader.client.names()).is_storable(), ["active", "=", True]]

    async def read(self, articles: Sequence[int]) -> dict[str, Mapping[str, Any]]:
        """Bodies by article, of those whose stock is kept: not services, nor kits, which are made of others.

        Raises Failure.
        """
        names = await self.reader.client.names()
        domain = [["id", "in", list(articles)], names.is_storable()]
        bodies: dict[str, dict[str, Any]] = {}
        for code, location in await self.warehouses():
            context = {"location": location}  # all versions know it; `warehouse` has changed its name
            rows = await self.reader.rows(
                "product.product", domain, ["default_code", *_QUANTITIES], ["is_kits"], context=context
            )
            for row in rows:
                if row.get("is_kits"):
                    continue
                body = bodies.setdefault(
                    str(row["id"]), {"id": row["id"], "sku": row["default_code"] or "", "places": {}}
                )
                body["places"][code] = [row[name] for name in _QUANTITIES]
        return dict(bodies)

    async def warehouses(self) -> tuple[tuple[str, int], ...]:
        """(code, the location that holds all of it) of each warehouse. Raises Failure."""
        at, known = self._warehouses
        if not at or time.monotonic() - at > KEEP:
            rows = await self.reader.rows("stock.warehouse", [], ["code", "view_location_id"], archived=False)
            known = tuple((str(row["code"]), number(row["view_location_id"])) for row in rows)
            self._warehouses = (time.monotonic(), known)
        return known
