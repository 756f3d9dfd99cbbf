"""The stock audit compares with the number the shops are told: by the rules, less what is taken and not yet read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import cast

import pytest

from counterfoil.blueprint import Blueprint, Catalogue, ConnectorInfo, parse
from counterfoil.hub import mending
from counterfoil.hub.availability import stock
from counterfoil.hub.availability.readings import Reading, keep_readings
from counterfoil.hub.availability.stock import Taking
from counterfoil.hub.contract import Connector
from counterfoil.hub.facts import Shelf
from counterfoil.hub.store import Store
from counterfoil.retail.availability import UNIT
from counterfoil.retail.product import Place, StockLevel
from counterfoil.watch.drift_house import House
from counterfoil.watch.drift_rows import Pair
from counterfoil.watch.drift_sources import Stock

PLAN = """\
counterfoil: 1
systems: {web: {connector: shop}, odoo: {connector: shop}}
stock: {safety: [{sku: MUG, units: 1}], bundles: {SET: {MUG: 2}}}
"""
MUG = StockLevel(system="odoo", id="1", sku="MUG", places=(Place(warehouse="WH", on_hand=Decimal(9)),))


SET = StockLevel(system="odoo", id="2", sku="SET", places=(Place(warehouse="WH", on_hand=Decimal(50)),))


class Erp:
    """Nine mugs, and fifty of what is only a name for two of them."""

    feeds = ()

    async def list_stock(self) -> AsyncIterator[Sequence[StockLevel]]:
        yield [MUG, SET]

    async def stock_now(self, ids: Sequence[str]) -> Sequence[StockLevel]:
        return [level for level in (MUG, SET) if level.id in ids]


class Shop:
    """It shows five of everything."""

    feeds = ()

    async def shelf(self, wanted: Sequence[tuple[str, str]]) -> Sequence[Shelf | None]:
        return [Shelf("1", Decimal(5)) for _ in wanted]


def plan() -> Blueprint:
    return parse(PLAN, known=Catalogue.of([ConnectorInfo("shop", is_channel=True, needs_url=False)], frozenset()))


@pytest.mark.parametrize(("accepted", "shown"), [(False, 5), (True, 8)])
async def test_a_taking_counts_until_the_erp_had_it_before_the_audit_read(
    store: Store, accepted: bool, shown: int
) -> None:
    """Nine, one of them safety stock, three sold and not yet in the ERP: five. case: F15"""
    async with store.write() as connection:
        reading = Reading(MUG.canonical_id, "MUG", MUG.counted(), 1.0)
        rows = await keep_readings(connection, store, [reading])
        taken = Taking("web:order:7", MUG.canonical_id, "WH", 3 * UNIT, "web")
        await stock.take(connection, store, rows, [taken])
    if accepted:  # the reading of the audit begins later: what the ERP says has it
        at = await mending.clock(store) - 1
        async with store.write() as connection:
            now = await stock.takings(connection, store, ["web:order:7"])
            rows = await stock.locked(connection, store, [MUG.canonical_id])
            after = [Taking(t.holder, t.article, t.place, t.units, t.channel, t.units, 0, at) for t in now]
            await stock.put(connection, store, rows, now, after)
    made = {"web": cast(Connector, Shop()), "odoo": cast(Connector, Erp())}
    source = Stock(House(store, plan(), made, {}, {}), Pair("web", "odoo"))
    (page,) = [page async for page in source.pages()]
    assert page[0].erp[("units for sale", "all warehouses")] == shown
    assert page[0].differs == accepted
    assert page[1].erp[("units for sale", "all warehouses")] == 2  # (9 - 3 - 1) / 2: of the hub's own reading
    assert [row.erp for row in await source.again(page)] == [row.erp for row in page]
