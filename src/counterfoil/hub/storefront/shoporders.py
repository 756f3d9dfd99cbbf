"""The shop's order as its customer names it: by its number and the e-mail address it was placed with."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.schema import event, event_ref, object_
from counterfoil.retail.order import Order
from counterfoil.retail.party import normal_email


class NoSuchOrder(LookupError):
    """The channel has no order of that number and address."""


@dataclass(frozen=True, slots=True)
class Found:
    """An order of a shop as it was last known; `stage` is what its process made of it."""

    order: Order
    stage: str

    @property
    def id(self) -> str:
        """Its canonical id."""
        return self.order.canonical_id

    @property
    def email(self) -> str:
        """The address it was placed with."""
        return self.order.customer.email or self.order.billing.email


async def find(connection: AsyncConnection, channel: str, number: str, email: str, lock: bool = False) -> Found:
    """The channel's order of that number, placed with that address; locked, if asked, until the transaction ends.

    Raises NoSuchOrder, for a wrong address too, so that an answer does not say which numbers there are.
    """
    told = (
        sa.select(event.c.subject)
        .join(event_ref, event_ref.c.event_id == event.c.id)
        .where(event_ref.c.kind == "order", event_ref.c.value == number)
    )
    mine = (object_.c.system == channel, object_.c.kind == "order", object_.c.canonical_id.in_(told))
    query = sa.select(object_.c.state, object_.c.stage).where(*mine)
    rows = (await connection.execute(query.with_for_update() if lock else query)).all()
    for row in rows:
        order = Order.model_validate(row.state)
        found = Found(order, row.stage)
        if order.number == number and _same(found.email, email):
            return found
    raise NoSuchOrder


async def by_id(connection: AsyncConnection, channel: str, id_: str) -> Found:
    """The channel's order of that canonical id. Raises NoSuchOrder."""
    mine = (object_.c.system == channel, object_.c.kind == "order", object_.c.canonical_id == id_)
    row = (await connection.execute(sa.select(object_.c.state, object_.c.stage).where(*mine))).first()
    if row is None:
        raise NoSuchOrder
    return Found(Order.model_validate(row.state), row.stage)


def _same(known: str, given: str) -> bool:
    ours, theirs = normal_email(known), normal_email(given)
    return bool(ours) and hmac.compare_digest(ours.encode(), theirs.encode())
