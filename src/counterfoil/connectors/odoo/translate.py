"""An order in Odoo's terms: lines, prices and taxes to the cent. Pure.

Net unit prices are sent with as many digits as the line's net needs (Odoo 19 does not round `price_unit`), and
the taxes the customer paid ride along in `extra_tax_data`, so that neither Odoo's rounding method nor the
order of its taxes can move a cent. What is left between the parts and the total goes to a named rounding line.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from types import MappingProxyType

from counterfoil.connectors.odoo.versions import Names
from counterfoil.connectors.overlay import Dialect, written
from counterfoil.hub.contract import Outcome, rejected
from counterfoil.retail.money import round_to
from counterfoil.retail.order import Line, LineKind, Order

MODULE = "counterfoil"
MOST_PRICE_DIGITS = 9


class Impossible(Exception):
    """This order cannot be taken over as it is; carries the outcome that says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


def impossible(reason: str, message: str, suggestion: str, technical: str = "") -> Impossible:
    """An Impossible with a rejected outcome."""
    return Impossible(rejected(reason, message, suggestion, technical))


@dataclass(frozen=True, slots=True)
class Currency:
    """An active currency of Odoo. `unit` is its rounding, `pricelist` one that sells in it (0: none needed)."""

    id: int
    code: str
    unit: Decimal
    pricelist: int


@dataclass(frozen=True, slots=True)
class OdooTax:
    """A sales tax of Odoo; `included`: it is part of the price it is computed from."""

    id: int
    name: str
    percent: Decimal
    included: bool
    country: str
    scope: str


@dataclass(frozen=True, slots=True)
class Row:
    """One order line as Odoo gets it. `net` and `taxes` are at the currency's rounding in Odoo."""

    name: str
    external_id: str
    product: int
    quantity: Decimal
    price_unit: Decimal
    net: Decimal
    taxes: Mapping[int, Decimal]
    route: str = ""  # numbers of the routes its delivery takes; '': as the order's warehouse delivers

    @property
    def total(self) -> Decimal:
        """What the customer pays for it."""
        return self.net + self.total_tax

    @property
    def total_tax(self) -> Decimal:
        """All taxes of the line."""
        return sum(self.taxes.values(), Decimal(0))


@dataclass(frozen=True, slots=True)
class Draft:
    """An order ready for Odoo, and what Odoo must show once it holds it."""

    external_id: str
    rows: tuple[Row, ...]
    currency: Currency
    total: Decimal
    untaxed: Decimal
    tax: Decimal
    rounding: Decimal


def order_name(order: Order) -> str:
    """The external id (without module) of an order: from its source's identity alone."""
    return f"{order.system}_order_{order.id}"


def name_of(subject: str) -> str:
    """The same from the order's id across all systems (`web-eu:order:1001`), where the order itself is not at hand."""
    system, _, number = subject.partition(":order:")
    return f"{system}_order_{number}"


def shop_line(external_id: str) -> str:
    """The shop's line id from a line's external id, '' where the line is not one of the shop's (rounding, by hand)."""
    _, found, line = external_id.rpartition("_line_")
    return line.partition("_item_")[0].partition("_from_")[0] if found else ""


def check(order: Order) -> None:
    """What no ERP can take, whatever it knows. Raises Impossible."""
    products = [line for line in order.lines if line.kind is LineKind.PRODUCT]
    if not products:
        raise impossible(
            "no_lines",
            f"Order {order.number} has no lines.",
            "Complete the order in the shop (it will be tried again by itself), or skip this.",
        )
    if order.total.amount < 0:
        raise impossible(
            "negative_total",
            f"Order {order.number} has a total below zero ({order.total}).",
            "Correct fees and discounts in the shop, or book it by hand and resolve this.",
        )
    for line in products:
        if line.quantity <= 0:
            raise impossible(
                "bad_quantity",
                f"“{line.name}” is ordered {line.quantity} times.",
                "Correct the quantity in the shop, or skip this order.",
            )
        if not line.product_id:
            raise impossible(
                "line_without_product",
                f"“{line.name}” has no product: it was deleted in the shop.",
                "Put the product back or exchange the line in the shop; or book it by hand and resolve this.",
            )
        if not line.sku:
            raise impossible(
                "unknown_sku",
                f"“{line.name}” (product {line.product_id}) has no SKU in the shop.",
                "Give it the SKU that Odoo knows, then retry.",
            )


def price_unit(net: Decimal, quantity: Decimal, digits: int = 2) -> Decimal:
    """The unit price with the fewest digits (from `digits` on) whose product with `quantity` is `net`."""
    exact = net / quantity
    for places in range(digits, MOST_PRICE_DIGITS + 1):
        price = round_to(exact, Decimal(1).scaleb(-places))
        if abs(price * quantity - net) <= Decimal("0.000005"):
            return price
    return round_to(exact, Decimal(1).scaleb(-MOST_PRICE_DIGITS))


def draft(
    order: Order,
    currency: Currency,
    products: Mapping[str, int],
    services: Mapping[str, int],
    taxes: Mapping[tuple[str, str, LineKind], OdooTax | None],
    tolerance: int,
) -> Draft:
    """The order in Odoo's terms.

    `products` by SKU; `services`: the products for shipping, fee, rounding; `taxes` by (rate code, tax class,
    kind of line), None for a rate of nought that Odoo has no tax for. Raises Impossible where the parts differ
    from the total by more than `tolerance` smallest units of the currency.
    """
    name = order_name(order)
    rows = [_row(name, line, currency.unit, products, services, taxes) for line in order.lines]
    total = round_to(order.total.amount, currency.unit)
    untaxed = sum((row.net for row in rows), Decimal(0))
    tax = sum((amount for row in rows for amount in row.taxes.values()), Decimal(0))
    rounding = total - untaxed - tax
    if abs(rounding) > tolerance * currency.unit:
        raise impossible(
            "amounts_differ",
            f"The parts of order {order.number} sum to {untaxed + tax} {currency.code}, its total is {total}.",
            f"More than the declared tolerance of {tolerance * currency.unit}: check the order in the shop.",
        )
    if rounding:
        external_id = f"{MODULE}.{name}_rounding"
        product = services["rounding"]
        rows.append(Row("Rounding", external_id, product, Decimal(1), rounding, rounding, {}))
        untaxed += rounding
    return Draft(f"{MODULE}.{name}", tuple(rows), currency, total, untaxed, tax, rounding)


def _row(
    order: str,
    line: Line,
    unit: Decimal,
    products: Mapping[str, int],
    services: Mapping[str, int],
    taxes: Mapping[tuple[str, str, LineKind], OdooTax | None],
) -> Row:
    net = round_to(line.net.amount, unit)
    amounts: dict[int, Decimal] = {}
    included = Decimal(0)
    for part in line.taxes:
        tax = taxes[(part.code, line.tax_class, line.kind)]
        if tax is None:
            continue
        amount = round_to(part.amount.amount, unit)
        amounts[tax.id] = amounts.get(tax.id, Decimal(0)) + amount
        # a tax that Odoo holds to be part of the price needs the price it is part of
        included += amount if tax.included else 0
    return Row(
        name=line.name or line.sku or str(line.kind),
        external_id=f"{MODULE}.{order}_line_{line.id}",
        product=products[line.sku] if line.kind is LineKind.PRODUCT else services[str(line.kind)],
        quantity=line.quantity,
        price_unit=price_unit(net + included, line.quantity),
        net=net,
        taxes=amounts,
    )


def outside_taxes(row: Row, currency: Currency) -> str:
    """`extra_tax_data`: the taxes as computed by the shop, in the shape account.tax reads it back.

    Odoo honours it while price, quantity and taxes of the line stay as they are
    (_import_base_line_extra_tax_data in account/models/account_tax.py of Odoo 19).
    """
    if not row.taxes:
        return ""
    amounts = {
        str(tax): {"tax_amount_currency": float(amount), "base_amount_currency": float(row.net)}
        for tax, amount in row.taxes.items()
    }
    return json.dumps(
        {
            "currency_id": currency.id,
            "price_unit": float(row.price_unit),
            "discount": 0.0,
            "quantity": float(row.quantity),
            "rate": 1.0,
            "manual_total_excluded_currency": float(row.net),
            "manual_tax_amounts": amounts,
        }
    )


ORDER_FIELDS = [
    "id",
    "partner_id/.id",
    "partner_invoice_id/.id",
    "partner_shipping_id/.id",
    "pricelist_id/.id",
    "client_order_ref",
    "origin",
    "date_order",
    "note",
]
LINE_FIELDS = ["id", "product_id/.id", "name", "product_uom_qty", "price_unit", "discount", "{taxes}/.id"]


def line_fields(names: Names, relation: str = "order_line/", routed: bool = False) -> list[str]:
    """The columns of `load()` for order lines; `routed`: with the routes of their deliveries."""
    columns = [relation + name.format(taxes=names.line_taxes) for name in LINE_FIELDS]
    columns += [f"{relation}{names.line_route}/.id"] if routed else []
    return [*columns, f"{relation}extra_tax_data"] if names.outside_taxes else columns


def own_columns(order: Order, dialect: Dialect) -> dict[str, str]:
    """What the blueprint itself writes into the order's fields. Raises BadPayload."""
    if "order" not in dialect.fields:
        return {}
    found = written(dialect, "order", {"order": order.model_dump(mode="json")})
    return {field: str(value) for field, value in found.items()}


def load_fields(names: Names, more: Iterable[str] = (), routed: bool = False) -> list[str]:
    """The columns of `load()` for orders with `more` fields of their own, and their lines."""
    own = (field for field in more if field not in ORDER_FIELDS)
    return [*ORDER_FIELDS, *own, *line_fields(names, routed=routed)]


def line_row(row: Row, currency: Currency, names: Names, routed: bool = False) -> list[str]:
    """One line for the columns of `line_fields`.

    The line's name is always sent: without it Odoo 19 recomputes every line for each line.
    """
    values = [
        row.external_id,
        str(row.product),
        row.name,
        f"{row.quantity:f}",
        f"{row.price_unit:f}",
        "0",  # the shop's discounts are in the price; left out, a pricelist's own would come on top
        ",".join(str(tax) for tax in row.taxes),
        *([row.route] if routed else []),
    ]
    return [*values, outside_taxes(row, currency)] if names.outside_taxes else values


def load_rows(
    order: Order,
    made: Draft,
    partner: int,
    invoice_to: int,
    ship_to: int,
    names: Names,
    more: Mapping[str, str] = MappingProxyType({}),
    routed: bool = False,
) -> list[list[str]]:
    """The rows of `load()` for one order: the order beside its first line, then a row a line.

    `more` are the blueprint's own values by field; one that stands among ORDER_FIELDS takes that place.
    """
    head = [
        made.external_id,
        str(partner),
        str(invoice_to),
        str(ship_to),
        str(made.currency.pricelist or ""),
        order.number,
        order.canonical_id,
        order.placed_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        # Odoo keeps notes as HTML, from 15 on
        html.escape(order.note).replace("\n", "<br>") if names.html_note else order.note,
    ]
    head = [more.get(field, value) for field, value in zip(ORDER_FIELDS, head, strict=True)]
    head += [value for field, value in more.items() if field not in ORDER_FIELDS]
    return below(head, [line_row(row, made.currency, names, routed) for row in made.rows])


def below(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[list[str]]:
    """Rows of `load()`: the record's own columns beside its first line, empty beside the others."""
    return [[*(head if not n else [""] * len(head)), *line] for n, line in enumerate(lines)]


def conflict_keys(order: Order) -> frozenset[str]:
    """What two confirmations at once must not share: the products they reserve, the customer they may make."""
    skus = {f"sku:{line.sku}" for line in order.lines if line.sku}
    return frozenset(skus | {f"customer:{order.customer.email.lower()}"} if order.customer.email else skus)


def sorted_unique(texts: Sequence[str]) -> list[str]:
    """Without repeats, in a stable order."""
    return sorted(dict.fromkeys(t for t in texts if t))
