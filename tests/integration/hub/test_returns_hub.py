"""Customers who ask for returns at the same time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from tests.conformance.making import line, order
from tests.fakes import rows_of
from tests.storefront_stage import BLUEPRINT, keep

from counterfoil.blueprint import parse
from counterfoil.doors import assembly
from counterfoil.hub import records, schema
from counterfoil.hub.store import Store
from counterfoil.processes.orders import PLACED
from counterfoil.processes.returning import NotTaken, TooMany
from counterfoil.retail.events import Event
from counterfoil.retail.fulfilment import ErpState, Fulfilment, Packed, Shipment, ShipmentState

OF = order("1001", line("MUG", quantity="5"))
FLOW = "flows:\n  - {on: return.requested, do: odoo.prepare_return}\n"
WHO = ("web", OF.number, OF.customer.email)


async def shipped(store: Store) -> None:
    """The order is known, and five mugs of it have left."""
    await keep(store, "web", "order", OF.id, OF, PLACED)
    told = {"id": "e1", "type": "order.placed", "source": "web", "subject": OF.canonical_id, "key": OF.canonical_id}
    event = Event(time=OF.placed_at, correlation=OF.canonical_id, refs=(("order", OF.number),), data={}, **told)
    async with store.write() as connection:
        await records.keep_events(connection, store, [event])
    mugs, at = (Packed(sku="MUG", quantity=5, line="100"),), datetime.now(UTC)
    left = Shipment(id="7", number="OUT/7", state=ShipmentState.DONE, done_at=at, items=mugs)
    state = Fulfilment(order=OF.canonical_id, id="1", number="S1", state=ErpState.CONFIRMED, shipments=(left,))
    await keep(store, "odoo", "fulfilment", OF.canonical_id, state)


async def test_of_many_who_ask_at_once_only_so_many_get_what_was_shipped(store: Store) -> None:
    await shipped(store)
    desk = assembly.returning(store, parse(BLUEPRINT + FLOW, known=assembly.catalogue(), environ={"KEY": "x"}))

    async def ask(number: int) -> bool:
        try:
            await desk.request(*WHO, {"100": Decimal(2)}, "damaged", f"key-{number % 4}")
        except TooMany:
            return False
        return True

    taken = await asyncio.gather(*map(ask, range(8)))
    assert sum(taken) == 4, "two requests, each sent twice"
    requested = await rows_of(store, schema.event, type="return.requested")
    assert len(requested) == len(await rows_of(store, schema.delivery)) == 2


async def test_without_a_flow_nothing_is_taken(store: Store) -> None:
    await shipped(store)
    desk = assembly.returning(store, parse(BLUEPRINT, known=assembly.catalogue(), environ={"KEY": "x"}))
    with pytest.raises(NotTaken):
        await desk.request(*WHO, {"100": Decimal(1)}, "damaged", "key-1")
