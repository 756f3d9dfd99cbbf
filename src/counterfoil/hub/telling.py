"""Telling: facts that come from neither a receipt nor an operation (a person's word, a customer's request)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint import Blueprint
from counterfoil.hub import flows, lanes, records
from counterfoil.hub.carrying import Follow
from counterfoil.hub.store import Store
from counterfoil.retail.events import Event


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells facts in one hub; `streams` by `system.operation`, `follow` is told of what is new."""

    store: Store
    blueprint: Blueprint
    streams: Mapping[str, str]
    follow: Follow | None = None

    async def tell(self, connection: AsyncConnection, events: Sequence[Event]) -> list[Event]:
        """Keep the events that are new, tell `follow` of them and queue what the flows make of them, in the caller's
        transaction. Returns the new ones. Objects are locked before this, as lanes are locked here."""
        new = await records.keep_events(connection, self.store, events)
        if self.follow is not None:
            await self.follow(connection, self.store, new)
        made = [d for e in new for d in flows.deliveries(self.blueprint, self.streams, e)]
        await lanes.enqueue(connection, self.store, made)
        return new
