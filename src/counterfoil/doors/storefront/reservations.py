"""Reservations by the storefront: hold what is in the cart, all of it or nothing; extend, confirm, release."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from counterfoil.doors.storefront.context import Context
from counterfoil.doors.storefront.models import MOST_SKUS, Asked, Key, MaybeKey, Quantity, Sku, Text
from counterfoil.doors.storefront.problems import KEY_TAKEN, NOT_FOUND, Kind, documented
from counterfoil.doors.storefront.tokens import Caller, needs
from counterfoil.hub.availability.reservations import Reservation
from counterfoil.processes.holding import (
    LONGEST,
    AnotherOrder,
    Ended,
    KeyReused,
    NoSuchReservation,
    Short,
)
from counterfoil.retail.availability import in_units, thousandths
from counterfoil.retail.events import at_utc

SHORT = Kind("short", 409, "There is too little", "Ask for at most what `available` says, or wait for more.")
ENDED = Kind("ended", 409, "The reservation holds nothing any more", "Hold the cart anew.")
OTHER_ORDER = Kind("other_order", 409, "It is for another order", "Use the number it was confirmed for, or hold anew.")

Seconds = Annotated[int, Field(ge=1, le=int(LONGEST))]


class Wanted(Asked):
    """A line of the cart. Lines may share a SKU, or parts of bundles: they are added up."""

    sku: Sku
    quantity: Quantity


class Holding(Asked):
    """What to hold, and for how long; without `seconds` as long as the blueprint says. `place`: to be collected there,
    by its warehouse's code."""

    lines: list[Wanted] = Field(min_length=1, max_length=MOST_SKUS)
    seconds: Seconds | None = None
    place: Text = ""


class Longer(Asked):
    """For how long from now; never shorter than it was to be held. Without `seconds` as the blueprint says."""

    seconds: Seconds | None = None


class ForOrder(Asked):
    """The number under which the shop places the order."""

    order: Text = Field(min_length=1)


class HeldLine(BaseModel):
    """As asked for."""

    sku: str
    quantity: Decimal


class Held(BaseModel):
    """A reservation. It holds its units while it is `held` or `confirmed`, and once `ordered` its order does."""

    id: str
    state: Literal["held", "confirmed", "ordered", "released", "expired"]
    lines: list[HeldLine]
    order: str = Field(description="the number it was confirmed for; empty before")
    made_at: datetime
    expires_at: datetime = Field(
        description="when it is given back, unless it is extended, confirmed, or its order comes"
    )


def routes(context: Context) -> APIRouter:
    """The routes of this concept."""
    router = APIRouter(tags=["reservations"])
    desk = context.reservations

    @router.post("/reservations", status_code=201, responses=documented(SHORT, KEY_TAKEN))
    async def hold(caller: Annotated[Caller, needs("reserve")], asked: Holding, key: Key) -> Held:
        """Hold all of it or nothing. The same key and request again is the same reservation."""
        book = context.ready_book()
        lines = [(line.sku, thousandths(line.quantity)) for line in asked.lines]
        try:
            done = await desk.hold(caller.channel, lines, asked.seconds, place=asked.place, key=key)
        except KeyReused:
            raise KEY_TAKEN.problem("It came with another request before.") from None
        if isinstance(done, Short):
            short = [{"sku": sku, "available": units} for sku, units in done.lines.items()]
            raise SHORT.problem("Not all lines can be held together.", lines=short)
        book.wake()
        return _told(done)

    @router.get("/reservations/{id}", responses=documented(NOT_FOUND))
    async def reservation(caller: Annotated[Caller, needs("reserve")], id: Text) -> Held:
        """How it stands."""
        found = await desk.get(caller.channel, id)
        if found is None:
            raise NOT_FOUND.problem("This channel has no such reservation.")
        return _told(found)

    @router.post("/reservations/{id}/extend", responses=documented(NOT_FOUND, ENDED, KEY_TAKEN))
    async def extend(caller: Annotated[Caller, needs("reserve")], id: Text, asked: Longer, key: MaybeKey = "") -> Held:
        """Hold it longer, as while the customer pays."""
        return await done(desk.extend(caller.channel, id, asked.seconds, key=key))

    @router.post("/reservations/{id}/confirm", responses=documented(NOT_FOUND, ENDED, OTHER_ORDER, KEY_TAKEN))
    async def confirm(
        caller: Annotated[Caller, needs("reserve")], id: Text, asked: ForOrder, key: MaybeKey = ""
    ) -> Held:
        """The order is about to be placed. Its units wait for it; when it is here, it holds them itself."""
        return await done(desk.confirm(caller.channel, id, asked.order, key=key))

    @router.delete("/reservations/{id}", responses=documented(NOT_FOUND, ENDED, KEY_TAKEN))
    async def release(caller: Annotated[Caller, needs("reserve")], id: Text, key: MaybeKey = "") -> Held:
        """Give it back. Again is nothing; what an order has is given back by cancelling the order."""
        return await done(desk.release(caller.channel, id, key=key))

    async def done(asked: Awaitable[Reservation]) -> Held:
        try:
            found = await asked
        except NoSuchReservation:
            raise NOT_FOUND.problem("This channel has no such reservation.") from None
        except Ended as ended:
            raise ENDED.problem(f"It is {ended.reservation.state}.") from None
        except AnotherOrder as other:
            raise OTHER_ORDER.problem(f"It was confirmed for order {other.reservation.order_number}.") from None
        except KeyReused:
            raise KEY_TAKEN.problem("It came with another request before.") from None
        if not found.holds:
            context.book.wake()
        return _told(found)

    return router


def _told(each: Reservation) -> Held:
    return Held(
        id=each.id,
        state=each.state.value,
        lines=[HeldLine(sku=sku, quantity=in_units(units)) for sku, units in each.lines],
        order=each.order_number,
        made_at=at_utc(each.made_at),
        expires_at=at_utc(each.expires_at),
    )
