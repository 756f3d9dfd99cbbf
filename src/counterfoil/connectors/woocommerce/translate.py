"""WooCommerce's order JSON in the retail language. Pure: no I/O, no clock.

Amounts come from the strings only, never from the JSON numbers beside them (`price` carries float noise). Tax is
told three times over: unrounded by line and rate, rounded by line, rounded by rate. The rate's word wins, because
the order's total is made from it; what then is left between the parts and the total is the order's `rounding`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from counterfoil.connectors.overlay import PLAIN, Dialect, read
from counterfoil.connectors.woocommerce.mapping import ADDRESS, STATUSES, VAT_METAS, plain_status
from counterfoil.connectors.woocommerce.reading import (
    LOOK_AT_ORDER,
    MAX_AMOUNT,
    At,
    clean,
    is_sane,
    json_object,
    label_of,
    meta_texts,
    not_an_order,
)
from counterfoil.hub.contract import BadPayload, Observed
from counterfoil.retail.mapping import missing, scalar
from counterfoil.retail.money import Money, minor_units, round_to, spread, total
from counterfoil.retail.order import Discount, Line, LineKind, Order, Payment, Refund, Status, Tax, TaxRate
from counterfoil.retail.party import Address, Customer

ERP_NUMBER = "_counterfoil_erp_number"
PICKUPS = ("local_pickup", "pickup_location")
REFUND_STATUS = "_wcpay_refund_status"  # WooPayments: successful, pending or failed, of the order's last refund
MAX_SPREAD = 5  # smallest units that a rate's total may differ from its lines before it is left to `rounding`

_TAX_AMOUNT = re.compile(r"-?\d{1,15}(\.\d{1,40})?([eE][+-]?\d{1,2})?")
_PERCENT_IN_TEXT = re.compile(r"(\d{1,3}(?:[.,]\d{1,4})?)\s*%")
_CURRENCY = re.compile(r"[A-Z]{3}")


def decode(system: str, body: bytes, dialect: Dialect = PLAIN) -> Observed:
    """One order from a webhook's or the API's body. Raises BadPayload for whatever cannot be read, nothing else."""
    data = json_object(body)
    if "line_items" not in data:
        not_an_order(data)
    label = label_of(data)
    try:
        order = order_of(system, data, dialect)
    except BadPayload as bad:
        raise BadPayload(bad.reason, f"{label} cannot be read: {bad.message}", bad.suggestion) from bad
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:  # pydantic's errors are ValueErrors
        words = " ".join(str(error).split())[:300] or type(error).__name__
        raise BadPayload("wrong_shape", f"{label} cannot be read: {words}", LOOK_AT_ORDER) from error
    return Observed("order", order.id, iso_z(order.modified_at), order)


def order_of(system: str, data: Mapping[str, Any], dialect: Dialect = PLAIN) -> Order:
    """The order in the retail language. Raises BadPayload, or ValueError where its parts contradict each other."""
    top = At("", data)
    currency = top.text("currency")
    if not _CURRENCY.fullmatch(currency):
        top.wrong("currency", "a currency code such as EUR")
    amount = Money(top.amount("total"), currency)
    step = Decimal(1).scaleb(-_digits(data["total"], currency))
    rates, told = _rates(top.objects("tax_lines", required=True), currency)
    charges = _charges(top, rates, currency, step)
    _settle_rates(charges, told, currency, step)
    lines = tuple(charge.line() for charge in charges)
    parts = total((line.net + line.tax for line in lines), currency)
    billing, meta = top.object("billing"), meta_texts(data)
    modified = top.moment("date_modified_gmt") or top.moment("date_created_gmt")
    if modified is None:
        top.wrong("date_modified_gmt", "a date")
    order = Order(
        system=system,
        id=top.id("id"),
        number=top.text("number"),
        status=_status(top, system, dialect),
        currency=currency,
        prices_include_tax=top.flag("prices_include_tax"),
        placed_at=top.moment("date_created_gmt") or modified,
        modified_at=modified,
        customer=_customer(top, billing, meta),
        billing=address_of(billing),
        shipping=address_of(top.object("shipping")),
        lines=lines,
        rates=rates,
        discounts=_discounts(top, currency, step),
        payments=(_payment(top, amount),),
        refunds=_refunds(top, currency, meta),
        total=amount,
        tax_told=Money(top.amount("total_tax"), currency),
        rounding=amount - parts,
        note=top.text("customer_note", ""),
        pickup=pickup_of(data)[0],
        erp_number=next(reversed(erp_numbers(data)), ""),
    )
    return read(dialect, "order", order, data, clean)


def pickup_of(data: Mapping[str, Any]) -> tuple[str, str]:
    """How the order is collected, as the blueprint names it, and what the customer calls the place; '' if any of it is
    sent.

    `local_pickup:3` is the method of a shipping zone with the number of its instance, `pickup_location:Paris` a
    location of the block checkout, which has names only (LocalPickupUtils, PickupLocation of WooCommerce).
    """
    lines = data.get("shipping_lines")
    rows = [row for row in lines if isinstance(row, Mapping)] if isinstance(lines, list) else []
    if any(row.get("method_id") not in PICKUPS for row in rows):
        return "", ""
    for row in rows:
        method = str(row["method_id"])
        name = dict(meta_texts(row)).get("pickup_location", "")
        which = name if method == "pickup_location" else str(row.get("instance_id") or "")
        return ":".join(filter(None, (method, clean(which)))), name or clean(str(row.get("method_title") or ""))
    return "", ""


def erp_numbers(data: Mapping[str, Any]) -> list[str]:
    """The ERP's numbers written into the order; more than one where two writers raced."""
    return [value for key, value in meta_texts(data) if key == ERP_NUMBER and value]


def iso_z(moment: datetime) -> str:
    """An aware moment as ISO 8601 in UTC with whole seconds, such as 2026-11-21T02:31:26Z."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


@dataclass(slots=True)
class _Charge:
    """A line in the making: taxes by rate can still move by a cent."""

    at: At
    kind: LineKind
    name: str
    net: Money
    taxes: dict[str, Money]

    def line(self) -> Line:
        product = self.kind is LineKind.PRODUCT
        tax_class = "" if self.kind is LineKind.SHIPPING else self.at.text("tax_class", "") or "standard"
        return Line(
            id=self.at.id("id"),
            kind=self.kind,
            name=self.name,
            quantity=self.at.quantity("quantity") if product else Decimal(1),
            net=self.net,
            taxes=tuple(Tax(code=code, amount=amount) for code, amount in self.taxes.items()),
            tax_class=tax_class,
            product_id=(self.at.reference("variation_id") or self.at.reference("product_id")) if product else "",
            sku=self.at.text("sku", "") if product else "",
        )


def _charges(top: At, rates: tuple[TaxRate, ...], currency: str, step: Decimal) -> list[_Charge]:
    known = {rate.code for rate in rates}
    charges = []
    for key, kind, name in (
        ("line_items", LineKind.PRODUCT, "name"),
        ("shipping_lines", LineKind.SHIPPING, "method_title"),
        ("fee_lines", LineKind.FEE, "name"),
    ):
        for at in top.objects(key, required=True):
            net = Money(at.amount("total"), currency)
            charges.append(_Charge(at, kind, at.text(name, ""), net, line_taxes(at, known, currency, step)))
    ids = [charge.at.id("id") for charge in charges]
    if len(set(ids)) != len(ids):
        raise BadPayload("wrong_shape", "two lines of the order have the same id", LOOK_AT_ORDER)
    return charges


def line_taxes(at: At, known: set[str] | None, currency: str, step: Decimal) -> dict[str, Money]:
    """Tax by rate, rounded to `step` so that it sums to the line's own total_tax; `known` rates only, if given."""
    taxes: dict[str, Money] = {}
    for entry in at.objects("taxes"):
        value = entry.data.get("total")
        if value in (None, ""):  # this rate of the order does not apply to this line
            continue
        exact = _tax_amount(entry)
        code = entry.text("id")
        if known is not None and code not in known:
            if exact == 0:
                continue
            raise BadPayload(
                "unknown_tax_rate",
                f"{entry.where} is taxed at the rate {code}, which is not among the order's tax lines",
                "Open the order in the shop, press Recalculate, and save it.",
            )
        taxes[code] = taxes.get(code, Money.zero(currency)) + Money(round_to(exact, step), currency)
    return _moved(taxes, Money(at.amount("total_tax", Decimal(0)), currency), currency, step)


def _tax_amount(entry: At) -> Decimal:
    """An unrounded tax: more digits than money has, in PHP's notation (9.0E-5)."""
    value = entry.data["total"]
    if isinstance(value, bool) or not isinstance(value, str | int) or not _TAX_AMOUNT.fullmatch(str(value)):
        entry.wrong("total", "an amount such as 0.458874", "bad_amount")
    exact = Decimal(value)
    if abs(exact) >= MAX_AMOUNT:
        entry.wrong("total", f"an amount below {MAX_AMOUNT:,}", "bad_amount")
    return exact


def _moved(taxes: dict[str, Money], told: Money, currency: str, step: Decimal) -> dict[str, Money]:
    """The taxes moved onto the sum `told`; a difference that rounding cannot explain stays."""
    difference = told - total(taxes.values(), currency)
    if not difference or abs(difference.amount) > MAX_SPREAD * step:
        return taxes
    parts = spread(difference, list(taxes.values()))
    return {code: amount + part for (code, amount), part in zip(taxes.items(), parts, strict=True)}


def _settle_rates(charges: list[_Charge], told: Mapping[str, Money], currency: str, step: Decimal) -> None:
    """Move the lines' taxes onto the rates' totals, in place, where they differ by no more than rounding."""
    for code, wanted in told.items():
        taxed = [charge for charge in charges if code in charge.taxes]
        amounts = [charge.taxes[code] for charge in taxed]
        difference = wanted - total(amounts, currency)
        if not difference or abs(difference.amount) > MAX_SPREAD * step:
            continue
        for charge, part in zip(taxed, spread(difference, amounts), strict=True):
            charge.taxes[code] += part


def _rates(entries: list[At], currency: str) -> tuple[tuple[TaxRate, ...], dict[str, Money]]:
    """The order's rates, and what each of them sums to by the shop's word."""
    rates: dict[str, TaxRate] = {}
    told: dict[str, Money] = {}
    for entry in entries:
        code = entry.text("rate_id")
        country, state = place_of(entry.text("rate_code", ""), entry.text("label", ""))
        rate = TaxRate(
            code=code,
            percent=_percent(entry),
            country=country,
            state=state,
            name=entry.text("label", ""),
            compound=entry.flag("compound"),
        )
        if rates.setdefault(code, rate).percent != rate.percent:
            raise BadPayload(
                "unknown_tax_rate",
                f"two taxes of {rates[code].percent} % and {rate.percent} % share the id {code}",
                "Open the order in the shop, press Recalculate, and save it.",
            )
        amount = entry.amount("tax_total") + entry.amount("shipping_tax_total", Decimal(0))
        told[code] = told.get(code, Money.zero(currency)) + Money(amount, currency)
    return tuple(rates.values()), told


def _percent(entry: At) -> Decimal:
    """The rate in percent. Orders older than WooCommerce 3.7 have it in the label only."""
    value = entry.data.get("rate_percent")
    if value is None or value == "":
        inside = _PERCENT_IN_TEXT.search(f"{entry.text('label', '')} {entry.text('rate_code', '')}")
        if inside is None:
            raise BadPayload(
                "unknown_tax_rate",
                f"{entry.where} does not say how many percent it is",
                "Open the order in the shop, press Recalculate, and save it.",
            )
        value = inside[1].replace(",", ".")
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        entry.wrong("rate_percent", "a number of percent")
    try:
        percent = Decimal(value)
    except InvalidOperation:
        entry.wrong("rate_percent", "a number of percent")
    if not percent.is_finite() or not is_sane(percent, 12) or not 0 <= percent <= 1000:
        entry.wrong("rate_percent", "a number of percent")
    return Decimal(f"{percent.normalize():f}")


def place_of(rate_code: str, label: str) -> tuple[str, str]:
    """Country and state out of a rate's code, made by the shop as COUNTRY-STATE-NAME-PRIORITY, each part optional.

    The name may have dashes of its own, so it is taken off by the label, which is the name in its own case.
    """
    place, _, priority = rate_code.rpartition("-")
    if not priority.isdigit():
        return "", ""
    if label and place.lower().endswith(label.lower()):
        country, _, state = place[: len(place) - len(label)].rstrip("-").partition("-")
    else:
        country, state = place.partition("-")[0], ""
    return (country, state) if re.fullmatch(r"[A-Z]{2}", country) else ("", "")


def _digits(amount: object, currency: str) -> int:
    """Digits after the point that the shop works with, told by how it writes the total."""
    if isinstance(amount, str):
        return len(amount.partition(".")[2])
    return minor_units(currency)


def _status(top: At, system: str, dialect: Dialect) -> Status:
    told = plain_status(top.text("status"))
    known = dialect.statuses.get(told) or STATUSES.get(told)
    if known is None:
        row = f"statuses:\n  {system}:\n    order: {{{scalar(told)}: processing}}"
        ours = ", ".join(sorted(set(STATUSES.values())))
        raise BadPayload(
            "unknown_status",
            f"the shop has it in a status of its own, {told!r:.60}",
            missing(row, otherwise=f"What it means is one of {ours}. Or leave it if nothing shall happen yet."),
        )
    return known


def _customer(top: At, billing: At, meta: list[tuple[str, str]]) -> Customer:
    found = dict(reversed(meta))
    return Customer(
        id=top.reference("customer_id"),
        email=billing.text("email", ""),
        name=name_of(billing),
        company=billing.text("company", ""),
        phone=billing.text("phone", ""),
        vat=next((found[key] for key in VAT_METAS if found.get(key)), ""),
    )


def name_of(at: At) -> str:
    """First and last name as one."""
    return f"{at.text('first_name', '')} {at.text('last_name', '')}".strip()


def address_of(at: At) -> Address:
    """A billing or shipping address."""
    return Address(name=name_of(at), **{ours: at.text(theirs, "") for ours, theirs in ADDRESS.items()})


def _discounts(top: At, currency: str, step: Decimal) -> tuple[Discount, ...]:
    """The coupons. Orders of the block checkout say 0 at each coupon and the truth in the order's total only."""
    zero = Decimal(0)

    def amount(at: At, key: str) -> Money:
        return Money(round_to(at.amount(key, zero), step), currency)

    found = tuple(
        Discount(code=at.text("code", ""), net=amount(at, "discount"), tax=amount(at, "discount_tax"))
        for at in top.objects("coupon_lines")
    )
    if not found or any(discount.net or discount.tax for discount in found):
        return found
    codes = " + ".join(discount.code for discount in found)
    return (Discount(code=codes, net=amount(top, "discount_total"), tax=amount(top, "discount_tax")),)


def _payment(top: At, amount: Money) -> Payment:
    return Payment(
        method=top.code("payment_method"),
        title=top.text("payment_method_title", ""),
        reference=top.code("transaction_id"),
        amount=amount,
        paid_at=top.moment("date_paid_gmt"),
    )


def _refunds(top: At, currency: str, meta: list[tuple[str, str]]) -> tuple[Refund, ...]:
    """Refunds stand in the order as negative totals. Of the newest WooPayments says whether it is through."""
    entries = top.objects("refunds")
    newest = max((int(entry.id("id")) for entry in entries), default=0)
    under_way = dict(meta).get(REFUND_STATUS) == "pending"
    return tuple(
        Refund(
            id=entry.id("id"),
            amount=abs(Money(entry.amount("total"), currency)),
            reason=entry.text("reason", ""),
            pending=under_way and int(entry.id("id")) == newest,
        )
        for entry in entries
    )
