"""A refund as credit note lines: always the refund's amount, to the cent, linked exactly where units were waiting."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.connectors.odoo.refundlines import compose, exceeds, split
from counterfoil.connectors.odoo.translate import Currency, OdooTax, Row
from counterfoil.retail.money import Money, total
from counterfoil.retail.order import Line, LineKind, Order, Refund, RefundLine, Status, Tax, TaxRate

EUR = Currency(1, "EUR", Decimal("0.01"), 0)
SERVICES = {"shipping": 91, "fee": 92, "rounding": 93, "refund": 94}
TAXES = {
    ("20", "", LineKind.PRODUCT): OdooTax(5, "20%", Decimal(20), False, "FR", ""),
    ("20", "", LineKind.SHIPPING): OdooTax(6, "20% S", Decimal(20), False, "FR", ""),
}
AT = datetime(2026, 11, 9, tzinfo=UTC)


def money(amount: str | Decimal) -> Money:
    """Euros."""
    return Money.of(amount, "EUR")


def an_order(quantity: str = "3", net: str = "33.33", tax: str = "6.67") -> Order:
    """One line of goods."""
    line = Line(
        id="100",
        kind=LineKind.PRODUCT,
        name="Article",
        quantity=Decimal(quantity),
        net=money(net),
        taxes=(Tax(code="20", amount=money(tax)),),
        sku="A",
        product_id="1",
    )
    return Order(
        system="web",
        id="1",
        number="#1",
        status=Status.PROCESSING,
        currency="EUR",
        placed_at=AT,
        modified_at=AT,
        lines=(line,),
        rates=(TaxRate(code="20", percent=Decimal(20), country="FR"),),
        total=line.net + line.tax,
        tax_told=line.tax,
        rounding=money("0"),
    )


def in_odoo(ordered: str, delivered: str) -> list[dict[str, Any]]:
    """The line as Odoo has it."""
    row = {"id": 7, "external_id": "web_order_1_line_100", "product_id": [10, "A"]}
    return [row | {"product_uom_qty": float(ordered), "qty_delivered": float(delivered)}]


def part(quantity: str, net: str, tax: str) -> RefundLine:
    """A part of the line given back."""
    taxes = (Tax(code="20", amount=money(tax)),)
    return RefundLine(line="100", kind=LineKind.PRODUCT, quantity=Decimal(quantity), net=money(net), taxes=taxes)


def of(refund: Refund, lines: list[dict[str, Any]]) -> Any:
    """The refund composed."""
    return compose("counterfoil.web_refund_9", refund, an_order(), lines, TAXES, SERVICES, EUR, 5)


@given(
    st.integers(0, 3), st.integers(0, 3), st.integers(0, 3333), st.integers(0, 667), st.integers(1, 4000), st.booleans()
)
def test_the_lines_always_make_the_amount(
    quantity: int, delivered: int, net: int, tax: int, amount: int, lines: bool
) -> None:
    """case: F26 - whatever the shop says of its parts, the credit note is what the customer got."""
    parts = (part(str(quantity), f"{net / 100:.2f}", f"{tax / 100:.2f}"),) if lines else ()
    refund = Refund(id="9", amount=money(f"{amount / 100:.2f}"), refunded_at=AT, lines=parts)
    composed = of(refund, in_odoo("3", str(delivered)))
    assert sum(line.row.total for line in composed.lines) == refund.amount.amount
    assert len({line.row.external_id for line in composed.lines}) == len(composed.lines)
    linked = sum((line.row.quantity for line in composed.lines if line.sale_line), Decimal(0))
    if lines:
        assert linked == min(quantity, 3 - delivered)
        assert composed.back.get(7, Decimal(0)) == max(quantity - (3 - delivered), 0)


@pytest.mark.parametrize(("delivered", "linked"), [("0", 3), ("1", 2), ("3", 0)])
def test_in_full_takes_off_what_waits_and_asks_nothing_back(delivered: str, linked: int) -> None:
    """The shop says nothing of goods: the customer may keep what was sent."""
    composed = of(Refund(id="9", amount=money("40.00"), refunded_at=AT), in_odoo("3", delivered))
    assert sum(line.row.quantity for line in composed.lines if line.sale_line) == linked
    assert (composed.back, {line.row.product for line in composed.lines}) == ({}, {10})


@given(st.integers(1, 50), st.integers(0, 50), st.integers(0, 99999), st.integers(0, 9999))
def test_two_parts_are_the_whole(quantity: int, first: int, net: int, tax: int) -> None:
    """case: F26 - no cent is lost between the two."""
    first = min(first, quantity)
    row = Row(
        "A", "x", 1, Decimal(quantity), Decimal(net) / 100 / quantity, Decimal(net) / 100, {5: Decimal(tax) / 100}
    )
    one, two = split(row, Decimal(first), EUR.unit)
    if 0 < first < quantity:
        assert one.net + two.net == row.net
        assert one.taxes[5] + two.taxes[5] == row.taxes[5]
        assert one.quantity + two.quantity == row.quantity


def test_more_than_the_order_is_seen() -> None:
    """The order's own list of refunds counts as well, each once."""
    order = an_order()
    known = order.model_copy(update={"refunds": (Refund(id="1", amount=money("30.00")),)})
    assert not exceeds([Refund(id="1", amount=money("30.00"))], known)
    assert not exceeds([Refund(id="2", amount=money("10.00"))], known)
    assert exceeds([Refund(id="2", amount=money("10.01"))], known)
    assert total([], "EUR") == money("0")
