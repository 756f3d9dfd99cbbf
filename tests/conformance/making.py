"""Orders in the retail language, made in one line, with amounts that add up unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from counterfoil.hub.contract import Item
from counterfoil.retail.money import Money, total
from counterfoil.retail.order import Line, LineKind, Order, Payment, Refund, RefundLine, Status, Tax, TaxRate
from counterfoil.retail.party import Account, Address, Customer

PLACED = datetime(2026, 11, 2, 10, 30, tzinfo=UTC)
PARIS = Address(
    name="First Light", street="1 rue de la Paix", city="Paris", postcode="75002", country="FR", phone="+33 1 02 03 04"
)
REFUNDED = datetime(2026, 11, 9, 8, 0, tzinfo=UTC)
LYON = PARIS.model_copy(update={"street": "2 place Bellecour", "city": "Lyon", "postcode": "69002"})


def code(percent: str) -> str:
    """The shop's id of a rate: one for each percentage here."""
    return f"rate-{percent}"


def line(
    sku: str = "SKU-A",
    net: str = "10.00",
    taxes: Mapping[str, str] | None = None,
    quantity: str = "1",
    kind: LineKind = LineKind.PRODUCT,
    id: str = "",
    tax_class: str = "",
    currency: str = "EUR",
    product_id: str = "7",
) -> Line:
    """A line; `taxes` by percentage, in amounts: {"20": "2.00"}. Without an id it gets its place in the order."""
    product = kind is LineKind.PRODUCT
    return Line(
        id=id,
        kind=kind,
        name=f"Article {sku}" if product else str(kind).title(),
        quantity=Decimal(quantity),
        net=Money.of(net, currency),
        taxes=tuple(Tax(code=code(p), amount=Money.of(a, currency)) for p, a in (taxes or {}).items()),
        tax_class=tax_class,
        product_id=product_id if product else "",
        sku=sku if product else "",
    )


def order(
    id: str = "1001",
    *lines: Line,
    currency: str = "EUR",
    status: Status = Status.PROCESSING,
    told_total: str | None = None,
    paid: bool = True,
    method: str = "bacs",
    email: str | None = None,
    customer: Mapping[str, str] | None = None,
    billing: Address | None = None,
    shipping: Address | None = None,
    country: str = "FR",
    system: str = "web",
    **more: Any,
) -> Order:
    """An order; `told_total` is what the customer pays where the parts do not sum to it."""
    chosen = tuple(
        part if part.id else part.model_copy(update={"id": str(100 + n)})
        for n, part in enumerate(lines or (line(taxes={"20": "2.00"}, currency=currency),))
    )
    email = f"buyer-{id}@shop.example" if email is None else email
    parts = total((part.net + part.tax for part in chosen), currency)
    to_pay = parts if told_total is None else Money.of(told_total, currency)
    percents = dict.fromkeys(t.code.removeprefix("rate-") for part in chosen for t in part.taxes)
    payment = Payment(method=method, reference=f"ref-{id}", amount=to_pay, paid_at=PLACED if paid else None)
    values: dict[str, Any] = {
        "system": system,
        "id": id,
        "number": f"#{id}",
        "status": status,
        "currency": currency,
        "placed_at": PLACED,
        "modified_at": PLACED,
        "customer": Customer(**{"email": email, "name": "First Light", **(customer or {})}),
        "billing": billing or PARIS,
        "shipping": shipping or Address(),
        "lines": chosen,
        "rates": tuple(TaxRate(code=code(p), percent=Decimal(p), country=country, name=f"VAT {p}") for p in percents),
        "payments": (payment,),
        "total": to_pay,
        "tax_told": total((part.tax for part in chosen), currency),
        "rounding": to_pay - parts,
    }
    return Order(**{**values, **more})


def item(
    of: Order,
    level: str = "accept",
    link: str = "",
    delivery: int = 1,
    attempt: int = 1,
    event_type: str = "order.placed",
    before: Order | None = None,
    state: Order | None = None,
    **more: Any,
) -> Item:
    """The order as an operation gets it. `state`: what is known of it by now, where that is newer; `more` data."""
    data: dict[str, Any] = {"order": of.model_dump(mode="json"), "level": level, **more}
    if before is not None:
        data["before"] = before.model_dump(mode="json")
    if state is not None:
        data["state"] = state.model_dump(mode="json")
    return Item(delivery, of.canonical_id, of.canonical_id, event_type, data, link, attempt)


def given_back(of: Order, number: str, amount: str = "", **quantities: str) -> Refund:
    """A refund of the order, known whole: an amount, or so many units of each line (`l100="1"`; nought: money only).

    Units are given back with their part of the line's net and taxes; without an amount, that is the amount.
    """
    parts = []
    for line in of.lines:
        text = quantities.get(f"l{line.id}")
        if text is None:
            continue
        quantity = Decimal(text)
        share = quantity / line.quantity if quantity else Decimal(1)
        net = Money(line.net.amount * share, of.currency).rounded()
        taxes = tuple(
            Tax(code=t.code, amount=Money(t.amount.amount * share, of.currency).rounded()) for t in line.taxes
        )
        parts.append(RefundLine(line=line.id, kind=line.kind, quantity=quantity, net=net, taxes=taxes))
    told = sum((p.net + total((t.amount for t in p.taxes), of.currency) for p in parts), Money.zero(of.currency))
    money = Money.of(amount, of.currency) if amount else told
    return Refund(id=number, amount=money, reason="changed my mind", refunded_at=REFUNDED, lines=tuple(parts))


def refunded(of: Order, *refunds: Refund, **more: Any) -> Item:
    """The event that tells of an order's refunds."""
    told = of.model_copy(update={"refunds": tuple(r.model_copy(update={"lines": ()}) for r in refunds)})
    return item(told, event_type="order.refund_read", refunds=[r.model_dump(mode="json") for r in refunds], **more)


def about(of: Order, event_type: str = "shipment.dispatched", link: str = "") -> Item:
    """The order as an operation gets it from the ERP's own events: without the shop's order."""
    return Item(1, of.canonical_id, of.canonical_id, event_type, {}, link)


def account(number: str, link: str = "", email: str = "", billing: Address = PARIS, **customer: str) -> Item:
    """A shop's customer as an operation gets it."""
    person = Customer(
        **{"id": number, "name": "First Light", "email": email or f"member-{number}@shop.example", **customer}
    )
    state = Account(system="web", id=number, customer=person, billing=billing)
    data = {"customer": state.model_dump(mode="json"), "state": state.model_dump(mode="json")}
    return Item(1, state.canonical_id, state.canonical_id, "customer.changed", data, link)


def owning(item: Item, *fields: str) -> Item:
    """The same from a system that owns nothing but these fields."""
    return replace(item, data={**item.data, "owned": list(fields)})
