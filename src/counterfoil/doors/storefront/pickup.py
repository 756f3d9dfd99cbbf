"""Click-and-collect: in which stores the whole cart can be collected, and from which day on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from counterfoil.doors.storefront.catalogue import Place
from counterfoil.doors.storefront.context import Context
from counterfoil.doors.storefront.models import MOST_SKUS, Asked, Fresh, Quantity, Sku, Store
from counterfoil.doors.storefront.selling import Selling
from counterfoil.doors.storefront.tokens import Caller, needs
from counterfoil.retail.availability import thousandths
from counterfoil.retail.bundles import explode


class Wished(Asked):
    """A line of the cart."""

    sku: Sku
    quantity: Quantity


class Cart(Asked):
    """What is to be collected, and where the customer is."""

    lines: list[Wished] = Field(min_length=1, max_length=MOST_SKUS)
    near: Place = Place()


class Collected(Store):
    """A store; `quantity` is how many of the first article are there."""

    has_all: bool
    missing: list[str] = Field(description="the SKUs of which there are not enough, parts of bundles by their own SKU")
    ready_on: date | None = Field(description="the day from which on it can be collected; null where not all is there")


class Collecting(Fresh):
    """The nearest first. None at all where the channel does not count one of the articles."""

    stores: list[Collected]


def routes(context: Context) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["click-and-collect"])
    selling = Selling(context)

    def missing(channel: str, needed: Mapping[str, int], place: str, stale: bool) -> list[str]:
        book = context.book

        def free(sku: str) -> int:
            return int(book.rules.answer(channel, sku, book.find, stale=stale, place=place).free)

        counted = {sku: some for sku, some in needed.items() if not book.is_untracked(sku)}
        return [sku for sku, some in counted.items() if free(sku) < some]

    @router.post("/pickup/stores", response_model=Collecting)
    async def pickup_stores(caller: Annotated[Caller, needs("availability")], cart: Cart) -> Collecting:
        """Stores near the customer: whether each has all of the cart now, and when it can be collected."""
        book, at = context.ready_book(), datetime.now(UTC)
        fresh = book.freshness()
        asked = [(line.sku, thousandths(line.quantity)) for line in cart.lines]
        needed = explode(asked, book.rules.bundles)
        found = []
        for store in selling.stores(caller.channel, cart.lines[0].sku, cart.near.where()):
            short = missing(caller.channel, needed, store.place, fresh.stale)
            ready = None if short else selling.ready_on(store.place, at)
            found.append(Collected(**store.model_dump(), has_all=not short, missing=short, ready_on=ready))
        return Collecting(stores=found, **fresh.said())

    return router
