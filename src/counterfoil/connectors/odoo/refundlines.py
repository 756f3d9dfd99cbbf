"""A refund in Odoo's terms: the lines of its credit note, which of them lower the order, what comes back. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from counterfoil.connectors.odoo.credits import CreditLine
from counterfoil.connectors.odoo.jobs import decimal
from counterfoil.connectors.odoo.translate import Currency, OdooTax, Row, price_unit, shop_line
from counterfoil.retail.money import Money, round_to, total
from counterfoil.retail.order import Line, LineKind, Order, Refund, RefundLine

Taxes = Mapping[tuple[str, str, LineKind], OdooTax | None]


@dataclass(frozen=True, slots=True)
class Composed:
    """A credit note's lines, and the shipped units that come back by order line."""

    lines: tuple[CreditLine, ...]
    back: Mapping[int, Decimal]


def is_in_full(refund: Refund, order: Order) -> bool:
    """Whether this one refund gives everything back without saying for what."""
    return not refund.lines and refund.amount == order.total


def exceeds(refunds: Sequence[Refund], order: Order) -> bool:
    """Whether more is given back than was to pay, of the refunds told whole and the order's own list together."""
    amounts = {refund.id: refund.amount for refund in (*order.refunds, *refunds)}
    return order.total < total(amounts.values(), order.currency)


def in_full(order: Order) -> tuple[RefundLine, ...]:
    """All lines of the order."""
    return tuple(
        RefundLine(line=line.id, kind=line.kind, quantity=line.quantity, net=line.net, taxes=line.taxes)
        for line in order.lines
    )


def standing(line: str, lines: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The order line in Odoo that the shop's line stands on: of several (exchanged products), the one in use."""
    mine = [each for each in lines if each["external_id"] and shop_line(each["external_id"]) == line]
    return max(mine, key=lambda each: decimal(each["product_uom_qty"]), default=None)


def standing_parts(line: str, lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The order lines that the shop's line stands on: one, or one for each place that its quantity ships from."""
    mine = (each["external_id"] for each in lines if each["external_id"] and shop_line(each["external_id"]) == line)
    names = dict.fromkeys(name.partition("_item_")[0] for name in mine)
    return [found for name in names if (found := standing_at(name, lines)) is not None]


def standing_at(name: str, lines: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The line of this external id (without module), or the one in use of those that its product was exchanged on."""
    mine = [each for each in lines if each["external_id"].partition("_item_")[0] == name]
    return max(mine, key=lambda each: decimal(each["product_uom_qty"]), default=None)


def compose(
    external_id: str,
    refund: Refund,
    order: Order,
    lines: Sequence[Mapping[str, Any]],
    taxes: Taxes,
    services: Mapping[str, int],
    currency: Currency,
    tolerance: int,
) -> Composed:
    """The lines that make the refund's amount, at the currency's rounding.

    Units that are not shipped are taken off the order, so their line is linked to it; shipped ones are not.
    What the lines do not sum to goes to a line of its own.
    """
    whole = is_in_full(refund, order)
    by_id = {line.id: line for line in order.lines}
    made: list[CreditLine] = []
    back: dict[int, Decimal] = {}
    for part in in_full(order) if whole else refund.lines:
        stands = standing(part.line, lines)
        row = _row(f"{external_id}_line_{part.line}", part, by_id.get(part.line), stands, taxes, services, currency)
        if stands is None or part.kind is not LineKind.PRODUCT or part.quantity <= 0:
            made.append(CreditLine(row))
            continue
        there, left = standing_parts(part.line, lines), part.quantity
        for number, each in enumerate(there):
            waiting = decimal(each["product_uom_qty"]) - decimal(each["qty_delivered"])
            unshipped = min(max(waiting, Decimal(0)), left)
            if unshipped:
                first, row = split(row, unshipped, currency.unit)
                name = first.external_id.removesuffix("_shipped") + (f"_part_{each['id']}" if number else "")
                made.append(CreditLine(replace(first, external_id=name), int(each["id"])))
                left -= unshipped
        if left:
            name = f"{row.external_id.removesuffix('_shipped')}_shipped"
            made.append(CreditLine(replace(row, external_id=name)))
        for each in there if not whole else ():  # in full, nothing is said of goods: the customer may keep them
            some = left if each is there[-1] else min(decimal(each["qty_delivered"]), left)
            if some:
                back[int(each["id"])] = back.get(int(each["id"]), Decimal(0)) + some
                left -= some
    made = [line for line in made if line.row.net or any(line.row.taxes.values()) or line.sale_line]
    rest = round_to(refund.amount.amount, currency.unit) - sum((line.row.total for line in made), Decimal(0))
    if rest or not made:
        small = bool(made) and abs(rest) <= tolerance * currency.unit
        name = "Rounding" if small else f"Refund {refund.reason}".strip()
        product = services["rounding" if small else "refund"]
        made.append(CreditLine(Row(name, f"{external_id}_line_amount", product, Decimal(1), rest, rest, {})))
    return Composed(tuple(made), back)


def _row(
    external_id: str,
    part: RefundLine,
    line: Line | None,
    stands: Mapping[str, Any] | None,
    taxes: Taxes,
    services: Mapping[str, int],
    currency: Currency,
) -> Row:
    product = int(stands["product_id"][0]) if stands and stands["product_id"] else 0
    product = product or services.get(str(part.kind), services["refund"])
    return charge(
        external_id,
        line.name if line else str(part.kind).title(),
        product,
        part.quantity or Decimal(1),
        part.net,
        [(t.code, t.amount) for t in part.taxes],
        line,
        part.kind,
        taxes,
        currency,
    )


def charge(
    external_id: str,
    name: str,
    product: int,
    quantity: Decimal,
    net: Money,
    parts: Sequence[tuple[str, Money]],
    line: Line | None,
    kind: LineKind,
    taxes: Taxes,
    currency: Currency,
) -> Row:
    """One line of amounts as the shop has them, its taxes being Odoo's."""
    exact = round_to(net.amount, currency.unit)
    amounts: dict[int, Decimal] = {}
    included = Decimal(0)
    for code, money in parts:
        tax = taxes[(code, line.tax_class if line else "", kind)]
        if tax is None:
            continue
        amount = round_to(money.amount, currency.unit)
        amounts[tax.id] = amounts.get(tax.id, Decimal(0)) + amount
        included += amount if tax.included else 0
    return Row(name, external_id, product, quantity, price_unit(exact + included, quantity), exact, amounts)


def split(row: Row, quantity: Decimal, unit: Decimal) -> tuple[Row, Row]:
    """The row as two, the first of `quantity`; amounts shared by quantity, both together what they were."""
    share = quantity / row.quantity
    net = round_to(row.net * share, unit)
    taxes = {tax: round_to(amount * share, unit) for tax, amount in row.taxes.items()}
    rest = {tax: amount - taxes[tax] for tax, amount in row.taxes.items()}
    second = f"{row.external_id}_shipped"
    left = row.quantity - quantity
    if not quantity or not left:
        return row, Row(row.name, second, row.product, row.quantity, row.price_unit, row.net, row.taxes)
    included = row.price_unit * row.quantity - row.net
    ratio = included / row.total_tax if row.total_tax else Decimal(0)

    def price(of: Decimal, tax: Mapping[int, Decimal], pieces: Decimal) -> Decimal:
        return price_unit(of + ratio * sum(tax.values(), Decimal(0)), pieces)

    return (
        Row(row.name, row.external_id, row.product, quantity, price(net, taxes, quantity), net, taxes),
        Row(row.name, second, row.product, left, price(row.net - net, rest, left), row.net - net, rest),
    )
