"""Opens the storefront beside the webhook door: its context, what keeps it up, and which door a request goes to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from counterfoil.blueprint import Blueprint
from counterfoil.doors import assembly
from counterfoil.doors.storefront import tokens
from counterfoil.doors.storefront.app import ROOT, application, front
from counterfoil.doors.storefront.book import Book
from counterfoil.doors.storefront.context import Context
from counterfoil.doors.storefront.following import Follower
from counterfoil.hub.contract import Connector
from counterfoil.hub.store import Store
from counterfoil.hub.storefront import apitokens
from counterfoil.hub.waiting import at_most
from counterfoil.processes.holding import Offer
from counterfoil.processes.reserving import WITHOUT_ORDER, Desk

log = structlog.get_logger()

LOOK_EVERY = 5.0
"""Seconds between two looks whether anybody may ask the storefront by now."""


def context_of(store: Store, blueprint: Blueprint, made: Mapping[str, Connector], stop: asyncio.Event) -> Context:
    """What the storefront works with; its book is empty until `keep_up` has read it."""
    rules = assembly.stock_rules(blueprint)
    book = Book(rules)
    desk = Desk(
        store,
        Offer(rules, lambda sku: (book.find(sku) or (None,))[0], book.is_untracked, lambda: book.freshness().stale),
        blueprint.stock.hold.total_seconds(),
        blueprint.stock.order_within.total_seconds(),
        blueprint.exceptions.owner_of(WITHOUT_ORDER),
    )
    gate = tokens.Gate(store, blueprint.storefront.rate.per_second)
    return Context(store, blueprint, made, gate, book, desk, stop=stop)


def document(blueprint: Blueprint) -> dict[str, Any]:
    """The OpenAPI document, of no running hub: the store that it would use is never opened."""
    unopened = Store("sqlite:///counterfoil.db")
    return application(context_of(unopened, blueprint, {}, asyncio.Event())).openapi()


def doors(webhooks: ASGIApp, context: Context) -> ASGIApp:
    """One address for both."""
    storefront = front(context)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (storefront if scope["path"].startswith(ROOT) else webhooks)(scope, receive, send)

    return app


async def keep_up(context: Context) -> None:
    """Keep the book up until the process stops; a hub without any token spares itself the work."""
    while not context.stop.is_set():
        try:
            if await apitokens.any_there(context.store):
                break
        except (OSError, sa.exc.SQLAlchemyError) as error:
            log.error("the storefront waits for the store", error=type(error).__name__)
        await at_most(LOOK_EVERY, context.gate.used)
        context.gate.used.clear()
    await Follower(context.store, context.book, context.feeds("stock")).run(context.stop)
