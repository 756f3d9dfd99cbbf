"""Taxes and totals of an order, as Odoo 19 computes them (in floats, like Odoo, so that it also errs like Odoo).

A line's own amounts are rounded one by one; the order's totals are, by Odoo 19's default (`round_globally`), the
rounded sums of the unrounded amounts per tax. Taxes given from outside (`extra_tax_data.manual_tax_amounts`) count
only while the line's price, discount, quantity and currency are still those they were given for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from counterfoil_sandbox.odoo_schema import Row, rounded


@dataclass
class TaxPart:
    """One tax on one line. raw: unrounded (or rounded per line) amount. target: what counts in the order's sum."""

    tax: Row
    included: bool
    raw: float | None = None
    amount: float = 0.0
    target: float = 0.0
    batch: list[int] = field(default_factory=list)
    extra_base: float = 0.0  # what other taxes add to the base this tax is computed on
    extra_shown: float = 0.0  # the same for the base that is reported, from which the net is read


@dataclass
class LineAmounts:
    """A line's net, its taxes and what belongs together when rounding the order."""

    excluded: float
    target: float
    taxes: list[TaxPart]
    key: str = ""

    @property
    def included(self) -> float:
        """Net and taxes, each rounded."""
        return self.excluded + sum(part.amount for part in self.taxes)


def line_amounts(line: Row, taxes: list[Row], currency: Row, *, per_line: bool) -> LineAmounts:
    """Amounts of one order line. line: price_unit, discount, product_uom_qty, extra_tax_data.

    taxes: rows of account.tax, groups already replaced by their children. Raises KeyError, as Odoo does, when
    manual taxes come without the values they were computed for.
    """
    step = currency["rounding"]
    taxes = sorted(taxes, key=lambda tax: (tax["sequence"], tax["id"]))
    extra = line["extra_tax_data"] or {}
    manual, price = None, line["price_unit"]
    if extra.get("manual_tax_amounts") and _still_valid(line, extra, taxes, currency):
        manual, price = extra["manual_tax_amounts"], extra["price_unit"]
    price *= 1 - line["discount"] / 100.0
    net, parts = _raw_amounts(price, line["product_uom_qty"], taxes, step if per_line else 0.0)
    amounts = LineAmounts(rounded(net, step), net, parts, extra.get("computation_key") or "")
    if manual and extra.get("manual_total_excluded_currency") is not None:
        amounts.excluded = amounts.target = extra["manual_total_excluded_currency"]
    for part in parts:
        part.target = float(part.raw or 0.0)
        part.amount = rounded(part.target, step)
        given = (manual or {}).get(str(part.tax["id"]), {})
        if "tax_amount_currency" in given:
            part.target = given["tax_amount_currency"]
            part.amount = rounded(part.target, step)
    return amounts


def order_totals(lines: list[LineAmounts], currency: Row) -> tuple[float, float]:
    """(untaxed, tax) of the whole order."""
    untaxed, taxes = totals(lines, currency)
    return untaxed, rounded(sum(taxes.values()), currency["rounding"])


def totals(lines: list[LineAmounts], currency: Row) -> tuple[float, dict[int, float]]:
    """(untaxed, amount by tax) of a whole order or invoice."""
    step, digits = currency["rounding"], currency["decimal_places"]
    per_tax: dict[Any, list[TaxPart]] = {}
    for line in lines:
        for part in line.taxes:
            per_tax.setdefault((part.tax["id"], part.included, line.key), []).append(part)
    taxes: dict[int, float] = {}
    corrections: dict[str, float] = {}
    for (tax_id, _included, key), parts in per_tax.items():
        sum_rounded = sum(part.amount for part in parts)
        delta = _whole(rounded(sum(part.target for part in parts), step) - sum_rounded, step, digits)
        taxes[tax_id] = rounded(taxes.get(tax_id, 0.0) + sum_rounded + delta, step)
        corrections[key] = corrections.get(key, 0.0) + delta
    untaxed = 0.0
    for key in dict.fromkeys(line.key for line in lines):
        group = [line for line in lines if line.key == key]
        net = sum(line.excluded for line in group)
        aim = sum(line.target for line in group)
        if all(part.included for line in group for part in line.taxes):
            # Prices include their taxes: what the customer sees is kept, the net gives way.
            aim += sum(part.target for line in group for part in line.taxes)
            sum_rounded = net + sum(part.amount for line in group for part in line.taxes) + corrections.get(key, 0.0)
        else:
            sum_rounded = net
        untaxed += net + (_whole(rounded(aim, step) - sum_rounded, step, digits) if aim else 0.0)
    return rounded(untaxed, step), taxes


def _whole(delta: float, step: float, digits: int) -> float:
    """A difference of two rounded sums, freed of float noise."""
    unit = 10.0**-digits
    return 0.0 if abs(delta) < min(step, unit) / 2 else round(delta / unit) * unit


def _still_valid(line: Row, extra: Row, taxes: list[Row], currency: Row) -> bool:
    step = currency["rounding"]

    def same(name: str, field_name: str) -> bool:
        return rounded(line[field_name], step) == rounded(extra[name], step)

    return (
        currency["id"] == extra["currency_id"]
        and same("price_unit", "price_unit")
        and same("discount", "discount")
        and same("quantity", "product_uom_qty")
        and all(str(tax["id"]) in extra["manual_tax_amounts"] for tax in taxes)
    )


def _raw_amounts(price: float, quantity: float, taxes: list[Row], step: float) -> tuple[float, list[TaxPart]]:
    """(net, taxes) of a line; step > 0 rounds each amount at once (`round_per_line`)."""
    base = quantity * price
    if step:
        base = rounded(base, step)
    parts = [TaxPart(tax, bool(tax["price_include"])) for tax in taxes]
    _group(parts)
    backwards = range(len(parts) - 1, -1, -1)
    for index in backwards:
        if parts[index].tax["amount_type"] == "fixed":
            sign = -1 if price < 0 else 1
            _settle(parts, index, sign * quantity * parts[index].tax["amount"], step)
    for index in backwards:
        if parts[index].included and parts[index].raw is None:
            _settle(parts, index, _share(parts, index, base), step)
    for index in range(len(parts)):
        if not parts[index].included and parts[index].raw is None:
            _settle(parts, index, _share(parts, index, base), step)
    if not parts:
        return base, []
    first = parts[0]
    net = base + first.extra_shown
    if first.included:
        net -= sum(float(parts[i].raw or 0.0) for i in first.batch)
    return net, parts


def _group(parts: list[TaxPart]) -> None:
    """Neighbours of one kind are computed together: 5 % and 10 % included are taken out of the price as 15 %."""
    batch: list[int] = []
    later_is_affected = False
    for index in range(len(parts) - 1, -1, -1):
        tax = parts[index].tax
        if batch:
            head = parts[batch[0]].tax
            alike = all(tax[name] == head[name] for name in ("amount_type", "price_include", "include_base_amount"))
            if not alike or (tax["include_base_amount"] and later_is_affected):
                batch = []
        batch.append(index)
        parts[index].batch = batch
        later_is_affected = tax["is_base_affected"]


def _share(parts: list[TaxPart], index: int, base: float) -> float:
    part = parts[index]
    base += part.extra_base
    rate = part.tax["amount"] / 100.0
    together = sum(parts[i].tax["amount"] for i in part.batch) / 100.0
    if part.tax["amount_type"] == "division":
        if part.included:
            return base * rate
        return base * rate / (1.0 if together == 1.0 else 1 - together)
    if part.included:
        return base * (1 / (1 + together) if together != -1 else 0.0) * rate
    return base * rate


def _settle(parts: list[TaxPart], index: int, amount: float, step: float) -> None:
    """Keep a tax's amount and let it change the base of the others, where it does."""
    part = parts[index]
    part.raw = rounded(amount, step) if step else amount
    before = range(min(part.batch))
    after = range(max(part.batch) + 1, len(parts))

    def add(others: range, sign: int, *, affected: bool | None) -> None:
        for other in (parts[i] for i in others):
            if affected is not None and bool(other.tax["is_base_affected"]) != affected:
                continue
            if other.raw is None:
                other.extra_base += sign * float(part.raw or 0.0)
            other.extra_shown += sign * float(part.raw or 0.0)

    if part.included:
        add(after, -1, affected=False if part.tax["include_base_amount"] else None)
        add(before, -1, affected=None)
    elif part.tax["include_base_amount"]:
        add(after, 1, affected=True)
