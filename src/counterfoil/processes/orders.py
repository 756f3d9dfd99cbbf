"""The life of an order: what a shop's state means for the ERP. The order table of the docs, as pure functions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from counterfoil.blueprint import OrderChoices
from counterfoil.blueprint.trials import Trials
from counterfoil.hub.contract import Observed
from counterfoil.hub.decode import Decision, Process
from counterfoil.hub.receipts import IMPORT
from counterfoil.hub.records import Known, state_digest
from counterfoil.retail.events import Event, event_id, hashed_ref
from counterfoil.retail.keys import phone_refs
from counterfoil.retail.order import Order, Status
from counterfoil.retail.party import normal_email

IGNORED = frozenset({"modified_at", "erp_number"})
"""A shop moves the first on every touch, and the second is our own mark: neither is news."""

WAITING, PLACED, NOT_WANTED, CANCELLED = "waiting", "placed", "not_wanted", "cancelled"
HISTORY = "history"
"""Placed before the cut-over and imported as history: nothing about it is told any more but refunds."""

_UNPAID = (Status.PENDING, Status.FAILED)
_AWAITS_MONEY = (*_UNPAID, Status.ON_HOLD)
_HAPPENED = (Status.ON_HOLD, Status.PROCESSING, Status.COMPLETED, Status.REFUNDED)
_WORDS = {
    Status.CANCELLED: "cancelled before it was accepted",
    Status.TRASH: "in the shop's trash",
    Status.DRAFT: "a checkout that was not finished",
}


def wanted(order: Order, choices: OrderChoices, cut_over: datetime | None) -> tuple[str, str]:
    """What a never accepted order is now: (waiting | placed | not_wanted, why)."""
    if cut_over is not None and order.placed_at < cut_over:
        return NOT_WANTED, f"placed before the cut-over date {cut_over:%Y-%m-%d %H:%M} UTC"
    if order.status in _WORDS:
        return NOT_WANTED, _WORDS[order.status]
    if order.is_refunded_in_full:
        return NOT_WANTED, "refunded in full"
    choice = {
        Status.PENDING: choices.pending,
        Status.FAILED: choices.pending,
        Status.ON_HOLD: choices.on_hold,
        Status.PROCESSING: choices.processing,
        Status.COMPLETED: choices.completed,
    }[order.status]
    if choice == "wait":
        return WAITING, f"{order.status}: waits for its payment"
    if choice == "not_wanted":
        return NOT_WANTED, f"{order.status} orders are not taken over by this blueprint"
    return PLACED, f"{order.status}: {choice}"


def level(order: Order, choices: OrderChoices) -> str:
    """How far the ERP should take a placed order now: quotation or accept (confirmed)."""
    choice = {
        Status.PENDING: choices.pending,
        Status.FAILED: choices.pending,
        Status.ON_HOLD: choices.on_hold,
        Status.PROCESSING: choices.processing,
    }.get(order.status, "accept")
    return "accept" if choice == "accept" else "quotation"


def orders(choices: OrderChoices, cut_over: datetime | None = None, trials: Trials | None = None) -> Process:
    """The process for objects of kind `order` of one shop. A trial is shipped before it is paid: on hold or not, it
    is confirmed."""
    on_trial = choices.model_copy(update={"on_hold": "accept", "processing": "accept"})

    def interpret(known: Known | None, observed: Observed, origin: str) -> Decision:
        assert isinstance(observed.state, Order)
        before = Order.model_validate(known.state) if known else None
        mine = on_trial if trials is not None and trials.fits(observed.state) else choices
        return judge(before, known.stage if known else "", observed.state, mine, cut_over, origin)

    return Process(interpret, IGNORED, frozenset({PLACED}))


def judge(
    before: Order | None,
    stage: str,
    now: Order,
    choices: OrderChoices,
    cut_over: datetime | None,
    origin: str = "",
) -> Decision:
    """The stage the order is in now, and the facts that follow from the change.

    `origin` is the way it was heard of: an import tells of orders placed before the cut-over as history.
    """

    def fact(type_: str, why: str, earlier: Order | None = None) -> Event:
        return _event(type_, stage, now, choices, why, earlier)

    if stage == PLACED:
        assert before is not None
        if not before.is_given_up:
            return _of_placed(before, now, choices, fact)
        stage = CANCELLED  # the shop cancelled it at our own word: nobody has to be told
    refunded = (fact("order.refunded", "money was given back", before),) if _gave_back(before, now) else ()
    if stage == HISTORY:
        return Decision(HISTORY, refunded)
    if origin == IMPORT and cut_over is not None and now.placed_at < cut_over and stage in ("", NOT_WANTED):
        if now.status not in _HAPPENED:
            return Decision(NOT_WANTED)
        return Decision(HISTORY, (fact("order.history", f"placed before {cut_over:%Y-%m-%d %H:%M} UTC, {now.status}"),))
    stage_now, why = wanted(now, choices, cut_over)
    if stage == CANCELLED and stage_now == NOT_WANTED:  # it was placed once: its money is still to be told of
        return Decision(CANCELLED, refunded)
    if stage_now == PLACED:
        return Decision(PLACED, _placed(before, stage, now, why, fact))
    if stage_now == stage:
        return Decision(stage)
    return Decision(stage_now, (fact(f"order.{stage_now}", why),))


def _placed(before: Order | None, stage: str, now: Order, why: str, fact: Callable[..., Event]) -> tuple[Event, ...]:
    """What an order tells that is wanted from now on: all that has happened to it until now."""
    events = [fact("order.placed", why)]
    known = _booked(before, now) if before is not None and stage == CANCELLED else frozenset[Any]()
    unpaid = now.paid_at is None and now.status in _AWAITS_MONEY
    if _refunded(now) - known and not unpaid:  # taken over as it was sold, then the refund: so the money adds up
        events.append(fact("order.refunded", "money was given back before it was taken over"))
    if now.status is Status.COMPLETED:
        events.append(fact("order.completed", "shipped before it was taken over"))
    return tuple(events)


def _of_placed(before: Order, now: Order, choices: OrderChoices, fact: Callable[..., Event]) -> Decision:
    """What follows for an order that the ERP was already told of."""
    events: list[Event] = []
    cancelled = now.is_given_up
    if cancelled:
        events.append(fact("order.cancelled", str(now.status)))
    elif _content(before) != _content(now):
        events.append(fact("order.changed", "lines, amounts or addresses changed", before))
    paid = now.paid_at is not None and before.paid_at is None
    if not cancelled and now.is_refunded_in_full and paid:  # nobody has told of it before: so the money adds up
        events.append(fact("order.paid", "paid before it was given back"))
    if _gave_back(before, now):
        events.append(fact("order.refunded", "money was given back", before))
    if not cancelled and not now.is_refunded_in_full:
        if now.status in _UNPAID and before.status not in _UNPAID:
            events.append(fact("order.payment_lost", f"back to {now.status}", before))
        elif _releases(before, now, choices):
            events.append(fact("order.paid", f"{now.status}, {'paid' if now.paid_at else 'not paid'}"))
        if now.status is Status.COMPLETED and before.status is not Status.COMPLETED:
            events.append(fact("order.completed", f"from {before.status}, not at our word"))
    return Decision(CANCELLED if cancelled else PLACED, tuple(events))


def _gave_back(before: Order | None, now: Order) -> bool:
    """Whether refunds came (or went: the shop deletes one) since `before`. What was never paid cannot be given back."""
    if before is None or _never_paid(before, now):
        return False
    earlier = _booked(before, now)
    gone = {id_ for id_, _ in earlier} - {r.id for r in now.refunds}
    in_full = now.is_refunded_in_full and not before.is_refunded_in_full
    return bool(_refunded(now) - earlier) or bool(gone) or in_full


def _booked(before: Order, now: Order) -> frozenset[tuple[str, bool]]:
    """The refunds that were told of: of an order not paid yet none, they are once its money is there (F31)."""
    unbooked = before.paid_at is None and (before.status in _AWAITS_MONEY or now.paid_at is not None)
    return frozenset() if unbooked else _refunded(before)


def _never_paid(before: Order, now: Order) -> bool:
    """Whether the shop was still waiting for the money: given up from there, it was never paid either."""
    if now.paid_at is not None:
        return False
    return now.status in _AWAITS_MONEY or (now.is_given_up and before.paid_at is None)


def _releases(before: Order, now: Order, choices: OrderChoices) -> bool:
    """Whether the ERP must go further with it: confirm, or record a payment. Put on hold again is neither."""
    anew = before.is_refunded_in_full  # what was given back in full was not taken further then
    confirms = level(now, choices) == "accept" and (anew or level(before, choices) != "accept")
    pays = now.paid_at is not None and (anew or now.paid_at != before.paid_at)
    return confirms or pays


def _content(order: Order) -> tuple[object, ...]:
    return (order.lines, order.total, order.billing, order.ship_to, order.currency)


def _refunded(order: Order) -> frozenset[tuple[str, bool]]:
    """The refunds; one that was pending and went through is another fact."""
    return frozenset((r.id, r.pending) for r in order.refunds)


def _event(type_: str, stage: str, order: Order, choices: OrderChoices, why: str, before: Order | None = None) -> Event:
    data = {
        "order": order.model_dump(mode="json"),
        "level": level(order, choices),
        "why": why,
    }
    if before is not None:
        data["before"] = before.model_dump(mode="json")
    refs = [("order", order.number), ("id", order.id), (order.system, order.id)]
    if order.customer.email:
        refs.append(("email", hashed_ref(normal_email(order.customer.email))))
    refs += phone_refs(*((p, order.billing.country) for p in (order.customer.phone, order.billing.phone)))
    refs += [("payment", p.reference) for p in order.payments if p.reference]
    refs += [("sku", line.sku) for line in order.lines if line.sku]
    subject = order.canonical_id
    # the content and the stage it had are part of the id: a shop's clock has seconds, and two facts fit into one
    content = state_digest(order, IGNORED)
    return Event(
        id=event_id(order.system, type_, subject, order.modified_at.isoformat(), stage, content),
        type=type_,
        source=order.system,
        subject=subject,
        key=subject,
        time=order.modified_at,
        correlation=subject,
        refs=tuple(dict.fromkeys(refs)),
        data=data,
    )
