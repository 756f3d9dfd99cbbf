"""Orders in the retail language, made in one line, with amounts that add up unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from counterfoil.hub.contract import Item
from counterfoil.retail.money import Money, total
from counterfoil.retail.order import Line, LineKind, Order, Payment, Status, Tax, TaxRate
from counterfoil.retail.party import Address, Customer

PLACED = datetime(2026, 11, 2, 10, 30, tzinfo=UTC)
PARIS = Address(
    name="First Light", street="1 rue de la Paix", city="Paris", postcode="75002", country="FR", phone="+33 1 02 03 04"
)
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
) -> Item:
    """The order as an operation gets it. `state`: what is known of it by now, where that is newer."""
    data: dict[str, Any] = {"order": of.model_dump(mode="json"), "level": level}
    if before is not None:
        data["before"] = before.model_dump(mode="json")
    if state is not None:
        data["state"] = state.model_dump(mode="json")
    return Item(delivery, of.canonical_id, of.canonical_id, event_type, data, link, attempt)
