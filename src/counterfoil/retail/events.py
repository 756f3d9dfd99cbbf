"""Business facts in a CloudEvents 1.0 envelope, and the list of the ones that exist.

Attributes by CloudEvents 1.0: id, source, type, subject, time, data (https://github.com/cloudevents/spec).
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

EVENT_TYPES: dict[str, str] = {
    "order.placed": "an order is wanted: it was paid, or the shop waits for a transfer, or ships on account",
    "order.paid": "a placed order is now paid or released for delivery",
    "order.changed": "lines, addresses or amounts of a placed order changed",
    "order.cancelled": "a placed order is not wanted any more",
    "order.payment_lost": "a placed order went back to waiting for its payment",
    "order.refunded": "money of a placed order was given back, in part or in full",
    "order.waiting": "an order waits for its payment and is not wanted yet",
    "order.not_wanted": "an order that was never placed will not be: cancelled, refunded, trash, before cut-over",
    "order.accepted": "the ERP holds the order, in the state that was asked for",
    "order.completed": "the shop closed a placed order as shipped, not at our word",
    "order.history": "an order from before the cut-over is imported as history",
    "order.refund_read": "the refunds of an order were read whole from the shop",
    "order.closed": "the ERP has cancelled the order",
    "order.confirmed": "the ERP's order is confirmed",
    "order.backordered": "a part of the order is shipped later",
    "order.ready_for_pickup": "what the customer collects is ready in the store",
    "order.delivered": "nothing of the order is left to ship",
    "order.invoiced": "the ERP has posted an invoice of the order",
    "order.credited": "the ERP has posted a credit note of the order",
    "order.noted": "the shop was told the ERP's order number",
    "prescription.attached": "a customer attached a prescription to an order; a person has to look at it",
    "prescription.released": "a person released a prescription: what it is for may be sold",
    "prescription.rejected": "a person rejected a prescription",
    "return.requested": "a customer asks to send shipped goods of an order back",
    "return.prepared": "the ERP waits for goods that a customer wants to send back",
    "trial.decided": "what a customer keeps of what was tried on at home, and what goes back",
    "trial.settled": "all of a trial is decided: what is kept is to be charged",
    "trial.overdue": "a trial cannot be settled by itself: a person decides",
    "order.told": "the shop was told how far the ERP is with the order",
    "shipment.dispatched": "a shipment of the order has left",
    "shipment.returned": "goods of the order have come back",
    "stock.changed": "the quantities of an article changed",
    "stock.published": "a channel was told how many of an article it may sell",
    "product.changed": "a product, its variants or prices changed",
    "product.contested": "two systems changed the same of a product; its owner's value stands",
    "product.reverted": "a system changed of a product what it does not own, and is told the owner's value again",
    "product.published": "a channel was given a product as it now is",
    "customer.changed": "a customer's master data changed, or a new one registered",
    "customer.contested": "two systems changed the same of a customer; its owner's value stands",
    "customer.reverted": "a system changed of a customer what it does not own, and is told the owner's value again",
    "customer.updated": "a system was given a customer's master data as they now are",
    "appointment.requested": "a customer asks for an appointment; its time is held",
    "appointment.booked": "the calendar has the appointment as it now stands",
    "appointment.moved": "an appointment is wanted at another time, or was moved in the calendar",
    "appointment.cancelled": "an appointment is not wanted any more, or was taken out of the calendar",
    "appointment.refused": "the calendar has something else at the appointment's time; a person finds another",
    "calendar.changed": "a week of somebody's calendar changed",
    "record.posted": "a system was given the record of a fact, such as finance an invoice",
}

OWN = frozenset(
    {
        *("prescription.attached", "prescription.released", "prescription.rejected", "return.requested"),
        *("appointment.requested", "appointment.moved", "appointment.cancelled"),
        *("trial.decided", "trial.settled", "trial.overdue"),
    }
)
"""What the hub itself tells: no system reports it, and no operation brings it about."""


class Event(BaseModel):
    """One immutable fact. `key` is what must keep its order; `refs` are what people search by."""

    model_config = ConfigDict(frozen=True)

    id: str
    type: str
    source: str
    subject: str
    key: str
    time: AwareDatetime
    correlation: str
    causation: str | None = None
    refs: tuple[tuple[str, str], ...] = ()
    data: dict[str, Any]
    traceparent: str | None = None  # CloudEvents' extension for distributed tracing


def event_id(source: str, type_: str, subject: str, *distinguish: str) -> str:
    """The same fact always gets the same id: from its source's identity alone, never from an attempt."""
    text = "\x1f".join((source, type_, subject, *distinguish))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def hashed_ref(value: str) -> str:
    """A search key for personal data: found by who knows the value, unreadable for who does not."""
    return hashlib.sha256(value.strip().lower().encode()).hexdigest()[:32]


def at_utc(seconds: float) -> datetime:
    """An aware UTC datetime from seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC)


def moment(version: str) -> datetime:
    """When an object was read, by its own system's clock; now, where its version is no time."""
    try:
        read_at = datetime.fromisoformat(version)
    except ValueError:
        return datetime.now(UTC)
    return read_at if read_at.tzinfo else read_at.replace(tzinfo=UTC)
