"""What Counterfoil does to Odoo: one table of all operations, each in a module of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from counterfoil.connectors.odoo.accept import Accepting
from counterfoil.connectors.odoo.accounts import Accounts, newest_account
from counterfoil.connectors.odoo.amend import Amending
from counterfoil.connectors.odoo.appointments import Booking, newest_appointment
from counterfoil.connectors.odoo.attachments import Attaching
from counterfoil.connectors.odoo.calendar import Calendars
from counterfoil.connectors.odoo.cancel import Cancelling
from counterfoil.connectors.odoo.client import Client
from counterfoil.connectors.odoo.history import History
from counterfoil.connectors.odoo.invoices import Invoicing
from counterfoil.connectors.odoo.jobs import Desk, newest
from counterfoil.connectors.odoo.lookups import Lookups
from counterfoil.connectors.odoo.refunds import Refunding
from counterfoil.connectors.odoo.returning import Returning
from counterfoil.connectors.odoo.shipping import Shipping
from counterfoil.connectors.odoo.translate import conflict_keys
from counterfoil.connectors.odoo.trials import Settling
from counterfoil.connectors.odoo.watching import Reader
from counterfoil.hub.contract import Item, Operation, Outcome

BATCH = 20
"""Confirming is the limit, larger batches gain nothing and wait longer for each other."""
PARALLEL = 2
TIMEOUT = 300.0
"""Seconds: a batch is some calls for each order, each with its own shorter time-out."""

ACCEPTED = frozenset({"order.accepted"})
CALENDAR_SAYS = frozenset({"appointment.booked", "appointment.refused"})
NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Offer:
    """One operation as it is declared: its stream, and the types of events its outcomes give rise to.

    `state`: it writes the newest state, so that of several that wait only the last need be done.
    """

    name: str
    stream: str = "order"
    emits: frozenset[str] = NOTHING
    state: bool = False


OFFERS = (
    Offer("accept_order", emits=ACCEPTED),
    Offer("amend_order", emits=ACCEPTED),
    Offer("cancel_order"),
    Offer("hold_order"),
    Offer("refund_order"),
    Offer("invoice_order"),
    Offer("check_shipped"),
    Offer("import_order"),
    Offer("attach_prescription"),
    Offer("prepare_return", emits=frozenset({"return.prepared"})),
    Offer("settle_trial"),
    Offer("update_customer", stream="customer", state=True),
    Offer("book_appointment", stream="appointment", emits=CALENDAR_SAYS),
    Offer("move_appointment", stream="appointment", emits=CALENDAR_SAYS),
    Offer("cancel_appointment", stream="appointment"),
)


def operations(client: Client, lookups: Lookups) -> dict[str, Operation]:
    """All operations of one Odoo, by name."""
    desk = Desk(client, lookups)
    accepting, cancelling = Accepting(desk), Cancelling(desk)
    booking = Booking(desk, Calendars(Reader(client), lookups.rules.staff))
    run: dict[str, Callable[[Sequence[Item]], Awaitable[list[Outcome]]]] = {
        "accept_order": accepting.accept_order,
        "amend_order": Amending(desk, accepting).amend_order,
        "cancel_order": cancelling.cancel_order,
        "hold_order": cancelling.hold_order,
        "refund_order": Refunding(desk).refund_order,
        "invoice_order": Invoicing(desk).invoice_order,
        "check_shipped": Shipping(desk).check_shipped,
        "import_order": History(desk, accepting).import_order,
        "attach_prescription": Attaching(desk).attach_prescription,
        "prepare_return": Returning(desk).prepare_return,
        "settle_trial": Settling(desk).settle_trial,
        "update_customer": Accounts(desk).update_customer,
        "book_appointment": booking.book_appointment,
        "move_appointment": booking.move_appointment,
        "cancel_appointment": booking.cancel_appointment,
    }
    return {
        offer.name: Operation(
            offer.name,
            offer.stream,
            run[offer.name],
            BATCH,
            tuple(sorted(offer.emits)),
            TIMEOUT,
            PARALLEL,
            CONFLICTS.get(offer.name, _of_order),
        )
        for offer in OFFERS
    }


def _of_order(item: Item) -> frozenset[str]:
    return conflict_keys(newest(item))


def _of_books(_: Item) -> frozenset[str]:
    # posting numbers the entries of a journal one after another: two calls at once would wait for each other
    return frozenset({"books"})


def _of_customer(item: Item) -> frozenset[str]:
    account = newest_account(item)
    return frozenset({f"customer:{account.customer.email.lower() or account.canonical_id}"})


def _of_staff(item: Item) -> frozenset[str]:
    # one looks whether a time is free that the other is about to take
    return frozenset({f"calendar:{newest_appointment(item).user}"})


def _of_nothing(_: Item) -> frozenset[str]:
    return frozenset()


CONFLICTS: dict[str, Callable[[Item], frozenset[str]]] = {
    "attach_prescription": _of_nothing,
    "prepare_return": _of_nothing,
    "refund_order": _of_books,
    "invoice_order": _of_books,
    "settle_trial": _of_books,
    "update_customer": _of_customer,
    "book_appointment": _of_staff,
    "move_appointment": _of_staff,
    "cancel_appointment": _of_staff,
}
