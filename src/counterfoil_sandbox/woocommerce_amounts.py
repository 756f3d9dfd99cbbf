"""The arithmetic of the WooCommerce stand-in: what refunds and amended lines come to.

Refunds as recorded on 9.9.5: lines are negative and name the order's line in `_refunded_item_id`; without an amount a
refund is worth its lines and their taxes, rounded once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from counterfoil_sandbox.woocommerce_orders import CHARGES

Json = dict[str, Any]
_CENT = Decimal("0.01")


def _amount(text: Any) -> Decimal:
    """What is no amount counts as zero, as in PHP."""
    try:
        return Decimal(str(text))
    except InvalidOperation:
        return Decimal(0)


def sum_of(lines: Sequence[Mapping[str, Any]]) -> Decimal:
    """What a refund without an amount is worth: its lines and their taxes, rounded once."""
    total = Decimal(0)
    for line in lines:
        total += _amount(line.get("refund_total", 0))
        total += sum((_amount(tax.get("refund_total", 0)) for tax in line.get("refund_tax") or []), Decimal(0))
    return cents(total)


def cents(amount: Decimal) -> Decimal:
    """To two decimals, half away from zero, as PHP's round does."""
    return amount.quantize(_CENT, ROUND_HALF_UP)


def lines_for(order: Json, quantities: Mapping[int, int | str | Decimal]) -> list[Json]:
    """What a person in the shop enters to give back so many pieces of some lines: their share of net and taxes.

    Shipping and fees count as one piece; a quantity of nought gives back the money of the whole line.
    """
    charges = {charge["id"]: charge for key in CHARGES for charge in order[key]}
    lines = []
    for number, quantity in quantities.items():
        charge = charges[number]
        had = Decimal(str(charge.get("quantity") or 1))
        share = Decimal(str(quantity)) / had if Decimal(str(quantity)) else Decimal(1)
        taxes = [
            {"id": tax["id"], "refund_total": str(cents(Decimal(tax["total"]) * share))}
            for tax in charge["taxes"]
            if tax["total"] not in ("", None)
        ]
        if share == 1 and len(taxes) == 1:  # the whole line: to the cent, whatever its taxes round to
            taxes[0]["refund_total"] = charge["total_tax"]
        net = charge["total"] if share == 1 else str(cents(Decimal(charge["total"]) * share))
        pieces = int(Decimal(str(quantity))) if "quantity" in charge else 0
        lines.append({"id": number, "quantity": pieces, "refund_total": net, "refund_tax": taxes})
    return lines


def written(order: Json, lines: Sequence[Mapping[str, Any]], next_item: Callable[[], int]) -> Json:
    """The line arrays of a refund object, as WooCommerce stores them: negative, by kind, with their taxes by rate."""
    made: Json = {"line_items": [], "shipping_lines": [], "tax_lines": [], "fee_lines": []}
    by_rate: dict[int, list[Decimal]] = {}
    for line in lines:
        for kind in CHARGES:
            charge = next((c for c in order[kind] if c["id"] == line.get("id")), None)
            if charge is not None:
                made[kind].append(_line(kind, charge, line, next_item, by_rate))
    rates = {rate["rate_id"]: rate for rate in order["tax_lines"]}
    for rate_id, (goods, shipping) in by_rate.items():
        known = rates.get(rate_id, {"rate_code": f"TAX-{rate_id}", "label": "Tax", "compound": False})
        words = {name: known.get(name) for name in ("rate_code", "label", "compound")}
        entry = {"id": next_item(), "rate_id": rate_id, **words, "rate_percent": known.get("rate_percent", 0)}
        entry.update(tax_total=f"{cents(goods):.2f}", shipping_tax_total=f"{cents(shipping):.2f}", meta_data=[])
        made["tax_lines"].append(entry)
    return made


def _line(
    kind: str,
    charge: Json,
    line: Mapping[str, Any],
    next_item: Callable[[], int],
    by_rate: dict[int, list[Decimal]],
) -> Json:
    number = next_item()
    net = -_amount(line.get("refund_total", 0))
    taxes, tax = [], Decimal(0)
    for entry in line.get("refund_tax") or []:
        value = -_amount(entry.get("refund_total", 0))
        if not value:
            continue
        text = f"{value.normalize():f}"
        taxes.append({"id": entry["id"], "total": text, "subtotal": text if kind == "line_items" else ""})
        tax += value
        by_rate.setdefault(entry["id"], [Decimal(0), Decimal(0)])[kind == "shipping_lines"] += value
    totals = {"total": f"{cents(net):.2f}", "total_tax": f"{cents(tax):.2f}"}
    names = {
        "line_items": ("name", "product_id", "variation_id", "tax_class", "sku", "parent_name"),
        "shipping_lines": ("method_title", "method_id"),
        "fee_lines": ("name", "tax_class", "tax_status"),
    }[kind]
    made: Json = {"id": number, **{name: charge.get(name) for name in names}, **totals, "taxes": taxes}
    if kind == "line_items":
        pieces = int(line.get("quantity") or 0)
        made.update(quantity=-pieces, subtotal=totals["total"], subtotal_tax=totals["total_tax"])
        made.update(price=float(net / -pieces) if pieces else 0, image={"id": "", "src": ""})
    if kind == "shipping_lines":
        made.update(instance_id="", tax_status="taxable")
    if kind == "fee_lines":
        made.update(amount=totals["total"])
    value = str(charge["id"])
    meta = {"id": number * 10, "key": "_refunded_item_id", "value": value}
    made["meta_data"] = [{**meta, "display_key": "_refunded_item_id", "display_value": value}]
    return made


def refund_entries(order: Json, lines: Sequence[int | Json] | Mapping[int, int | str | Decimal]) -> list[Json]:
    """Lines to refund in the API's own form, from ids (whole lines), quantities by id, or that form."""
    if isinstance(lines, Mapping):
        return lines_for(order, lines)
    whole = {c["id"]: c.get("quantity") or 1 for key in CHARGES for c in order[key]}
    entries: list[Json] = []
    for line in lines:
        entries += lines_for(order, {line: whole[line]}) if isinstance(line, int) else [line]
    return entries


def amended(order: Json, quantities: Mapping[int, int | str | Decimal]) -> Json:
    """The fields of `order` that new quantities of its lines change: lines, rates, taxes, total. Nought removes a line.

    Each line's net and taxes go with its quantity, rounded to the cent; a line's tax is what its rates sum to.
    """
    if not quantities:
        return {}
    lines, rates = copy.deepcopy(order["line_items"]), {r["rate_id"]: dict(r) for r in order["tax_lines"]}
    net_moved = tax_moved = Decimal(0)
    for line in lines:
        if line["id"] not in quantities:
            continue
        before = {name: Decimal(line[name]) for name in ("total", "total_tax", "subtotal", "subtotal_tax")}
        share = Decimal(str(quantities[line["id"]])) / Decimal(str(line["quantity"]))
        line["quantity"] = int(Decimal(str(quantities[line["id"]])))
        line.update({name: f"{cents(value * share):.2f}" for name, value in before.items()})
        moved = Decimal(line["total_tax"]) - before["total_tax"]
        tax_moved += moved
        net_moved += Decimal(line["total"]) - before["total"]
        taxed = [tax for tax in line["taxes"] if tax["total"]]
        for position, tax in enumerate(taxed):
            new = cents(Decimal(tax["total"]) * share)
            part = moved if position == len(taxed) - 1 else new - cents(Decimal(tax["total"]))
            moved -= part
            rate = rates[tax["id"]]
            rate["tax_total"] = f"{Decimal(rate['tax_total']) + part:.2f}"
            tax["total"], tax["subtotal"] = f"{new:.2f}", f"{cents(_amount(tax['subtotal']) * share):.2f}"
    return {
        "line_items": [line for line in lines if line["quantity"]],
        "tax_lines": list(rates.values()),
        "cart_tax": f"{Decimal(order['cart_tax']) + tax_moved:.2f}",
        "total_tax": f"{Decimal(order['total_tax']) + tax_moved:.2f}",
        "total": f"{Decimal(order['total']) + net_moved + tax_moved:.2f}",
    }
