"""How far an order is: for its customer, by number and e-mail address, or by the signed token of a link."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.doors.storefront.context import Context
from counterfoil.doors.storefront.models import Asked, Fresh, Price, Text
from counterfoil.doors.storefront.problems import TOO_MANY, Kind, documented
from counterfoil.doors.storefront.shelf import Freshness
from counterfoil.doors.storefront.tokens import Bucket, Caller, needs
from counterfoil.hub import records
from counterfoil.hub.storefront import looking, requested, shoporders, signing
from counterfoil.hub.storefront.shoporders import Found, NoSuchOrder
from counterfoil.processes import fulfilment, orders
from counterfoil.retail.events import at_utc
from counterfoil.retail.fulfilment import Fulfilment, ShipmentState
from counterfoil.retail.order import LineKind, Order, Status

NO_SUCH_ORDER = Kind(
    "no_such_order",
    404,
    "There is no such order",
    "Check number and e-mail address as they stand in the order's confirmation; a link works for a limited time.",
)
WRONG_A_SECOND, WRONG_AT_ONCE = 0.5, 60.0
"""Lookups that find nothing, of one token: who tries numbers and addresses must not get far."""
KEY = "order-links"

State = Literal[
    "waiting_for_payment",
    "placed",
    "accepted",
    "confirmed",
    "part_shipped",
    "shipped",
    "cancelled",
    "refunded",
    "history",
]
_OF_SHOP: Mapping[str, State] = {
    orders.WAITING: "waiting_for_payment",
    orders.PLACED: "placed",
    orders.NOT_WANTED: "cancelled",
    orders.CANCELLED: "cancelled",
    orders.HISTORY: "history",
}
_OF_ERP: Mapping[str, State] = {
    fulfilment.QUOTATION: "accepted",
    fulfilment.CONFIRMED: "confirmed",
    fulfilment.PART_SHIPPED: "part_shipped",
    fulfilment.DELIVERED: "shipped",
    fulfilment.CLOSED: "cancelled",
}
TOLD = (
    *("order.placed", "order.paid", "order.accepted", "order.confirmed", "order.backordered", "order.cancelled"),
    *("order.ready_for_pickup", "order.delivered", "order.refunded", "order.closed"),
    *("shipment.dispatched", "shipment.returned", "return.requested"),
    *("trial.decided", "trial.settled"),
)
"""The events that mean something to a customer."""


class Asking(Asked):
    """As they stand in the order's confirmation. In the body, as addresses of pages end up in logs."""

    number: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
    email: Annotated[Text, StringConstraints(min_length=3)]


class OrderedLine(BaseModel):
    """A product line; `delivered` null: the ERP has said nothing yet."""

    line: str
    sku: str
    name: str
    quantity: Decimal
    delivered: Decimal | None


class Item(BaseModel):
    """Units in a shipment."""

    sku: str
    name: str
    quantity: Decimal


class ShipmentStatus(BaseModel):
    """Goods that leave together, or, `returned`, come back."""

    number: str
    shipped: bool
    returned: bool
    carrier: str
    tracking: str
    tracking_url: str
    shipped_at: datetime | None
    items: list[Item]


class Milestone(BaseModel):
    """What happened to the order, and when."""

    what: str
    at: datetime


class OrderStatus(Fresh):
    """What its customer may know. `token` is for a link: it shows this order for a limited time, and nothing else."""

    number: str
    erp_number: str
    state: State
    placed_at: datetime
    total: Price
    pickup: str = Field(description="the shop's word for where it is collected; empty: it is sent")
    ready_for_pickup: bool
    lines: list[OrderedLine]
    shipments: list[ShipmentStatus]
    milestones: list[Milestone]
    token: str


def routes(context: Context) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["orders"])

    @router.post("/orders/status", responses=documented(NO_SUCH_ORDER))
    async def order_status(caller: Annotated[Caller, needs("orders")], asked: Asking) -> OrderStatus:
        """How far an order is, its shipments, and a token for a link to it."""
        with seeking(context, caller):
            async with context.store.read() as connection:
                found = await shoporders.find(connection, caller.channel, asked.number.strip(), asked.email)
                status = await _status(context, connection, found)
        until = int(time.time() + context.blueprint.storefront.order_links.total_seconds())
        token = signing.sign(await signing.key(context.store, KEY), found.id, until)
        return OrderStatus(**status, token=token)

    @router.get("/orders/status/{token}", responses=documented(NO_SUCH_ORDER))
    async def order_status_by_token(
        token: Annotated[str, StringConstraints(max_length=500)], caller: Annotated[Caller, needs("orders")]
    ) -> OrderStatus:
        """The same, by the token of a link."""
        found = await _of_token(context, caller, token)
        async with context.store.read() as connection:
            return OrderStatus(**await _status(context, connection, found), token=token)

    return router


class Named(Asked):
    """An order: by number and e-mail address, or by the token that its status came with."""

    number: Text = ""
    email: Text = ""
    token: Annotated[str, StringConstraints(max_length=500)] = ""


async def named(context: Context, caller: Caller, asked: Named) -> tuple[str, str]:
    """Number and address of the order that is meant; those that were sent, where there is no token. Raises Refusal."""
    if not asked.token:
        return asked.number.strip(), asked.email
    found = await _of_token(context, caller, asked.token)
    return found.order.number, found.email


async def _of_token(context: Context, caller: Caller, token: str) -> Found:
    """The order that the token shows. Raises Refusal."""
    id_ = signing.read(await signing.key(context.store, KEY), token, time.time())
    with seeking(context, caller):
        async with context.store.read() as connection:
            return await shoporders.by_id(connection, caller.channel, id_ or "")


@contextlib.contextmanager
def seeking(context: Context, caller: Caller) -> Iterator[None]:
    """Refuses who asks for an order that there is not (NoSuchOrder), and who tries too many."""
    try:
        yield
    except NoSuchOrder:
        tries: dict[str, Bucket] = context.more.setdefault("order_tries", {})
        now = time.monotonic()
        bucket = tries.setdefault(caller.id, Bucket(WRONG_AT_ONCE, now))
        if bucket.take(WRONG_A_SECOND, now, WRONG_AT_ONCE):
            words = "Too many orders were asked for that there are not."
            raise TOO_MANY.problem(words, {"Retry-After": "60"}) from None
        raise NO_SUCH_ORDER.problem("No order of this channel goes by that.") from None


async def _status(context: Context, connection: AsyncConnection, found: Found) -> dict[str, Any]:
    order, theirs = found.order, await records.states_of(connection, "fulfilment", [found.id])
    told = await requested.events_of(connection, found.id, TOLD)
    milestones = [Milestone(what=type_, at=at_utc(at)) for _, type_, at, _ in sorted(told, key=lambda each: each[2])]
    done = Fulfilment.model_validate(theirs[found.id]) if theirs else None
    return {
        "number": order.number,
        "erp_number": done.number if done else "",
        "state": state_of(order, found.stage, fulfilment.stage_of(done) if done else None),
        "placed_at": order.placed_at,
        "total": Price.of(order.total),
        "pickup": order.pickup,
        "ready_for_pickup": any(each.what == "order.ready_for_pickup" for each in milestones),
        "lines": _lines(order, done),
        "shipments": _shipments(done),
        "milestones": milestones,
        **(await fresh(context, connection)).said(),
    }


def state_of(order: Order, stage: str, of_erp: str | None) -> State:
    """The ERP's word counts once it has the order; what the shop has cancelled or refunded is so at once."""
    if order.status is Status.REFUNDED:
        return "refunded"
    if stage in (orders.CANCELLED, orders.NOT_WANTED) or order.status is Status.CANCELLED:
        return "cancelled"
    return _OF_ERP.get(of_erp or "") or _OF_SHOP.get(stage, "placed")


def _lines(order: Order, done: Fulfilment | None) -> list[OrderedLine]:
    delivered = {line.line: line.delivered for line in done.lines} if done else {}
    return [
        OrderedLine(
            line=line.id, sku=line.sku, name=line.name, quantity=line.quantity, delivered=delivered.get(line.id)
        )
        for line in order.lines
        if line.kind is LineKind.PRODUCT
    ]


def _shipments(done: Fulfilment | None) -> list[ShipmentStatus]:
    return [
        ShipmentStatus(
            number=shipment.number,
            shipped=shipment.state is ShipmentState.DONE,
            returned=shipment.returned,
            carrier=shipment.carrier,
            tracking=shipment.tracking,
            tracking_url=shipment.tracking_url,
            shipped_at=shipment.done_at,
            items=[Item(sku=item.sku, name=item.name, quantity=item.quantity) for item in shipment.items],
        )
        for shipment in (done.shipments if done else ())
        if shipment.state is not ShipmentState.CANCELLED
    ]


async def fresh(context: Context, connection: AsyncConnection) -> Freshness:
    """As of when the ERP's part holds."""
    as_of, now = await looking.looked_at(connection, context.store, context.feeds("fulfilment"), "fulfilment")
    stale_after = context.blueprint.stock.stale_after.total_seconds()
    return Freshness.of(as_of, now - (as_of or now), stale_after)
