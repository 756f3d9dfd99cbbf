"""Publishing on demand: everything read again from the ERP, everything sold told again, and why something is not."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from counterfoil.blueprint import Blueprint
from counterfoil.doors import assembly
from counterfoil.doors.onboarding import HOLD, Tick, Unfit, erp_of
from counterfoil.hub import receipts, replay, replays
from counterfoil.hub.contract import Connector, Feed
from counterfoil.hub.receipts import Arrival
from counterfoil.hub.schema import object_
from counterfoil.hub.store import Store
from counterfoil.hub.worker import streams_of
from counterfoil.retail.listing import Reason, bars_all, reasons
from counterfoil.retail.product import Product

What = Literal["products", "stock"]

TOLD: Mapping[What, tuple[str, str]] = {
    "products": ("product.changed", "publish_product"),
    "stock": ("stock.changed", "publish_stock"),
}
"""The event by which each is told, and the operation that usually carries it out."""

KINDS: Mapping[What, str] = {"products": "product", "stock": "stock"}
"""The kind of object of each."""


async def read_again(
    store: Store, blueprint: Blueprint, made: Mapping[str, Connector], system: str, what: What, tick: Tick
) -> int:
    """Read all products, or the whole stock, of the ERP again, through the same receipts; how many were news.

    It has cursors of its own: the hub's regular poll is not disturbed, and after a stop it goes on where it was.
    Raises Failure, Unfit.
    """
    erp = erp_of(blueprint, system, "products")
    feeds = [feed for feed in made[erp].feeds if feed.kind == KINDS[what]]
    if not feeds:
        raise Unfit(f"{erp} reports no {what}.")
    return sum([await _read(store, erp, feed, tick) for feed in feeds])


async def _read(store: Store, erp: str, feed: Feed, tick: Tick) -> int:
    name, token = f"publish {feed.name}", secrets.token_hex(8)
    cursor = await receipts.begin_poll(store, erp, name, token, HOLD)
    if cursor is None:
        raise Unfit("The same is under way in another process, or ended just now without a word: wait 2 minutes.")
    new, ok = 0, False
    try:
        async for page in feed.poll(cursor):
            arrivals = [Arrival(erp, "poll", raw) for raw in page.receipts]
            kept = await receipts.keep_page(store, erp, name, token, arrivals, page.cursor, HOLD)
            if kept is None:
                raise Unfit("Another process has taken this over.")
            new += kept
            tick(f"{feed.name} of {erp} read", len(arrivals), None)
        ok = True
    finally:
        await asyncio.shield(receipts.end_poll(store, erp, name, token, 0.0, ok=ok))
    await receipts.forget_cursor(store, erp, name)
    return new


@dataclass(frozen=True, slots=True)
class Published:
    """What a refresh came to: how much is known, how much of what was read was news, how much is told anew."""

    system: str
    what: What
    known: int
    read_anew: int | None = None
    told_again: int | None = None


async def publish(
    store: Store,
    blueprint: Blueprint,
    made: Mapping[str, Connector],
    system: str,
    what: What,
    tick: Tick,
    again: bool = False,
    dry_run: bool = False,
    rate: float = 0.0,
    who: str = "",
) -> Published:
    """Read everything again; what is news is told by its own event, so a second run writes nothing.

    `again`: tell the newest of all the rest once more, at most `rate` a second, for a shop that was connected later
    or whose channel was declared anew. Raises Failure, Unfit.
    """
    event, operation = TOLD[what]
    if not any(flow.on == event and flow.system == system for flow in blueprint.flows):
        raise Unfit(f"No flow tells {system} of {what}. Add one: {{on: {event}, do: {system}.{operation}}}.")
    choice = replay.Choice(types=(event,), system=system, newest_only=True)
    streams = streams_of(made)
    planned = await replay.plan(store, blueprint, streams, choice)
    if dry_run:
        return Published(system, what, planned.events)
    new = await read_again(store, blueprint, made, system, what, tick)
    if not again:
        return Published(system, what, planned.events, new)
    before = 0

    def ticked(now: replays.Job) -> None:
        nonlocal before
        tick(f"{what} told to {system} again", now.events - before, planned.events)
        before = now.events

    number = await replays.begin(store, choice, planned, who, rate)
    told = await replays.carry_out(store, blueprint, streams, number, ticked, who)
    return Published(system, what, planned.events, new, told.deliveries)


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A product that a channel cannot sell, or not all of it, and why."""

    product: str
    name: str
    whole: bool
    reasons: tuple[Reason, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        words = [{"code": r.code, "words": r.words, "variant": r.variant, "sku": r.sku} for r in self.reasons]
        return {"product": self.product, "name": self.name, "whole": self.whole, "reasons": words}


async def listing(store: Store, blueprint: Blueprint, system: str) -> tuple[int, list[Unlisted]]:
    """How many products are known, and those that cannot be sold on the channel, whole or in part. Raises Unfit."""
    erp = erp_of(blueprint, system, "products")
    rule = assembly.channel_of(blueprint, system).listing
    count, found = 0, []
    async with store.read() as connection:
        rows = await connection.stream(
            sa.select(object_.c.canonical_id, object_.c.state)
            .where(object_.c.system == erp, object_.c.kind == "product")
            .order_by(object_.c.canonical_id)
        )
        async for row in rows:
            count += 1
            product = Product.model_validate(row.state).on(system)
            why = reasons(product, rule)
            if why:
                found.append(Unlisted(row.canonical_id, product.name, bars_all(why), why))
    return count, found
