"""What of a trial is where, what of it is charged, and when it is settled. Pure.

What is out = kept + returning + returned + undecided, of every line, always: what the warehouse has back, or waits for,
is not kept, whatever was decided before; what is left after that and the decisions is undecided.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from counterfoil.blueprint.trials import Trials
from counterfoil.processes.returns import Request, outstanding
from counterfoil.retail.fulfilment import ErpState, Fulfilment, ShipmentState
from counterfoil.retail.money import Money, total
from counterfoil.retail.order import LineKind, Order, Refund

NOUGHT = Decimal(0)
Units = Mapping[str, Decimal]
"""By the id of the shop's line."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One line's units: `out` is what was shipped; the others sum to it."""

    out: Decimal
    kept: Decimal = NOUGHT
    returning: Decimal = NOUGHT
    returned: Decimal = NOUGHT

    @property
    def undecided(self) -> Decimal:
        """Still at the customer's, and nothing said of it."""
        return self.out - self.kept - self.returning - self.returned


def tried(fulfilment: Fulfilment | None, keeps: Units, requests: Sequence[Request]) -> dict[str, Tried]:
    """How each line stands of which something was shipped: `keeps` is what was decided to be kept."""
    if fulfilment is None:
        return {}
    out, waited, back = (_moved(fulfilment, kind) for kind in ("out", "waited", "back"))
    for request in requests:
        for line, units in outstanding(request, fulfilment).items():
            waited[line] = waited.get(line, NOUGHT) + units
    found = {}
    for line, units in out.items():
        returned = min(back.get(line, NOUGHT), units)
        returning = min(waited.get(line, NOUGHT), units - returned)
        found[line] = Tried(units, min(keeps.get(line, NOUGHT), units - returned - returning), returning, returned)
    return found


def _moved(fulfilment: Fulfilment, way: str) -> dict[str, Decimal]:
    """Units by line that left (out), came back (back), or are to come back (waited)."""
    ways = {
        (False, ShipmentState.DONE): "out",
        (True, ShipmentState.DONE): "back",
        (True, ShipmentState.OPEN): "waited",
    }
    names = {line.sku: line.line for line in fulfilment.lines if line.sku and line.line}
    found: dict[str, Decimal] = {}
    for shipment in fulfilment.shipments:
        for item in shipment.items if ways.get((shipment.returned, shipment.state)) == way else ():
            line = item.line or names.get(item.sku, "")
            if line:
                found[line] = found.get(line, NOUGHT) + item.quantity
    return found


def left_at(fulfilment: Fulfilment | None) -> datetime | None:
    """When the last of its goods left; None while nothing has."""
    sent = fulfilment.shipments if fulfilment else ()
    done = (s.done_at for s in sent if s.state is ShipmentState.DONE and not s.returned)
    return max((at for at in done if at is not None), default=None)


# --- the charge -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Charge:
    """What the customer pays: units by line (shipping and fees among them), and what that comes to, to the cent.

    `whole`: all of the order. `left_at`: when its last goods had left.
    """

    lines: Units
    amount: Money
    whole: bool = False
    left_at: datetime | None = None

    def told(self) -> dict[str, Any]:
        """As events and the store keep it."""
        lines = {line: f"{units:f}" for line, units in self.lines.items()}
        at = self.left_at.isoformat() if self.left_at else ""
        return {"lines": lines, "amount": str(self.amount), "whole": self.whole, "left_at": at}

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Charge:
        """The inverse of `told`."""
        lines = {line: Decimal(units) for line, units in told["lines"].items()}
        at = datetime.fromisoformat(told["left_at"]) if told["left_at"] else None
        return cls(lines, Money.parse(told["amount"]), told["whole"], at)


def charge(order: Order, kept: Units, rules: Trials, at: datetime | None = None) -> Charge:
    """What is charged where so much of each line is kept: its share of net and taxes, each at the currency's rounding,
    and shipping and fees whole by the blueprint's rule. All of it is the order's total."""
    some = any(units > 0 for units in kept.values())
    besides = rules.shipping == "always" or (rules.shipping == "if_kept" and some)
    lines = {}
    for line in order.lines:
        units = min(kept.get(line.id, NOUGHT), line.quantity) if line.kind is LineKind.PRODUCT else line.quantity
        if units > 0 and (besides or line.kind is LineKind.PRODUCT):
            lines[line.id] = units
    if all(lines.get(line.id) == line.quantity for line in order.lines):
        return Charge(lines, order.total.rounded(), True, at)
    parts = [
        Money(amount.rounded().amount * (lines[line.id] / line.quantity), order.currency).rounded()
        for line in order.lines
        if line.id in lines
        for amount in (line.net, *(tax.amount for tax in line.taxes))
    ]
    return Charge(lines, total(parts, order.currency).rounded(), False, at)


def as_paid(order: Order, settled: Charge | None) -> Order:
    """The order with what was paid of it: the charge, once the shop says so; nothing before there is one.

    A shop dates a payment when an order goes on to be shipped (WooCommerce does): so a date from before the goods left
    is none.
    """

    def paid(at: datetime | None) -> bool:
        return at is not None and settled is not None and (settled.left_at is None or at > settled.left_at)

    first, *_ = (*(p for p in order.payments if paid(p.paid_at)), *order.payments, None)
    if first is None:
        return order
    amount = settled.amount if settled is not None else first.amount
    payment = first.model_copy(update={"amount": amount, "paid_at": first.paid_at if paid(first.paid_at) else None})
    return order.model_copy(update={"payments": (payment,)})


def money_back(order: Order, refunds: Sequence[Refund], settled: Charge) -> tuple[list[Refund], bool]:
    """Which of the shop's refunds gave back money that was charged, and whether that can be told of all of them.

    A shop whose order stood at its full total takes off, as refunds, what was not charged: such units, or the whole
    difference, are no money. A refund of both, or one by an amount alone, is for a person.
    """
    free = {line.id: line.quantity - settled.lines.get(line.id, NOUGHT) for line in order.lines}
    difference = order.total - settled.amount
    money: list[Refund] = []
    for refund in sorted(refunds, key=lambda each: (str(each.refunded_at or ""), each.id)):
        if not refund.lines:
            if settled.whole:
                money.append(refund)
            elif refund.amount != difference:
                return money, False
            continue
        off = [min(part.quantity, free.get(part.line, NOUGHT)) for part in refund.lines]
        if all(units == part.quantity > 0 for units, part in zip(off, refund.lines, strict=True)):
            for part in refund.lines:
                free[part.line] -= part.quantity
        elif not any(off) and all(part.line in settled.lines for part in refund.lines):
            money.append(refund)
        else:
            return money, False
    return money, True


# --- how it goes on -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done about a trial now: wait (look again at `look_at`, or when something happens), settle it with
    `charge` after keeping `keep`, ask a person (`why`), or close it: nothing is charged."""

    act: str
    charge: Charge | None = None
    look_at: datetime | None = None
    keep: Units = field(default_factory=dict)
    why: str = ""


def verdict(
    order: Order, fulfilment: Fulfilment | None, lines: Mapping[str, Tried], rules: Trials, now: datetime
) -> Verdict:
    """How the trial goes on."""
    at = left_at(fulfilment)
    over = fulfilment is not None and fulfilment.state is ErpState.CANCELLED
    if order.is_given_up or order.is_refunded_in_full or (over and at is None):
        return Verdict("close")
    waits = any(s.state is ShipmentState.OPEN and not s.returned for s in fulfilment.shipments) if fulfilment else True
    if at is None or waits:
        return Verdict("wait")
    kept = {line: each.kept for line, each in lines.items()}
    keep = {line: each.undecided for line, each in lines.items() if each.undecided > 0}
    if keep and now < at + rules.within:
        return Verdict("wait", look_at=at + rules.within)
    if keep and rules.when_over == "ask":
        return Verdict("ask", why="time_over")
    whole = charge(order, {line: units + keep.get(line, NOUGHT) for line, units in kept.items()}, rules, at)
    taken_off = total((refund.amount for refund in order.refunds), order.currency)
    if order.refunds and taken_off != order.total - whole.amount:
        return Verdict("ask", why="refunded")
    return Verdict("settle", whole, keep=keep)


def summed(parts: Iterable[Mapping[str, str]]) -> dict[str, Decimal]:
    """Units by line, of several decisions together."""
    found: dict[str, Decimal] = {}
    for part in parts:
        for line, units in part.items():
            found[line] = found.get(line, NOUGHT) + Decimal(units)
    return found
