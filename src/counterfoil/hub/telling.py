"""Telling: facts that come from neither a receipt nor an operation (a person's word, a customer's request)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint import Blueprint
from counterfoil.hub import flows, lanes, records
from counterfoil.hub.carrying import Follow
from counterfoil.hub.store import Store
from counterfoil.retail.events import Event


async def tell(
    connection: AsyncConnection,
    store: Store,
    blueprint: Blueprint,
    streams: Mapping[str, str],
    events: Sequence[Event],
    follow: Follow | None = None,
) -> list[Event]:
    """Keep the events that are new, tell `follow` of them and queue what the flows make of them, in the caller's
    transaction. Returns the new ones. Objects are locked before this, as lanes are locked here."""
    new = await records.keep_events(connection, store, events)
    if follow is not None:
        await follow(connection, store, new)
    await lanes.enqueue(connection, store, [d for e in new for d in flows.deliveries(blueprint, streams, e)])
    return new
