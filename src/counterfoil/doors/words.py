"""What happened, in one line for people: the part of an event that a timeline shows."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

MOST = 4
"""Articles named in one line."""


def in_words(about: Mapping[str, Any]) -> str:
    """A shipment, an invoice or what two systems say of a field; nothing for what has none of it. Never raises."""
    shipment, invoice = about.get("shipment"), about.get("invoice")
    if isinstance(shipment, Mapping):
        return _shipment(shipment)
    if isinstance(invoice, Mapping):
        return _invoice(invoice)
    fields = about.get("contested") or about.get("reverted")
    return "; ".join(_field(each) for each in fields if isinstance(each, Mapping)) if isinstance(fields, list) else ""


def _field(clash: Mapping[str, Any]) -> str:
    """`phone: erp says 2, shop says 5; the value of erp stands`."""
    values = clash.get("values")
    said = (
        [f"{system} says {value or 'nothing'}" for system, value in values.items()] if isinstance(values, dict) else []
    )
    return f"{clash.get('field')}: {', '.join(said)}; {clash.get('decided')}"


def _shipment(shipment: Mapping[str, Any]) -> str:
    """`WH/OUT/00012: 2 × MUG, 1 × SHIRT-S; DHL 0034… https://…`."""
    items = [item for item in shipment.get("items") or () if isinstance(item, Mapping)]
    named = [
        f"{_quantity(item.get('quantity'))} × {item.get('sku') or item.get('name') or '?'}" for item in items[:MOST]
    ]
    more = f" and {len(items) - MOST} more" if len(items) > MOST else ""
    head = str(shipment.get("number") or shipment.get("id") or "")
    sent = [str(shipment[key]) for key in ("carrier", "tracking", "tracking_url") if shipment.get(key)]
    goods = ", ".join(named) + more
    return "; ".join(filter(None, (f"{head}: {goods}" if goods else head, " ".join(sent))))


def _invoice(invoice: Mapping[str, Any]) -> str:
    """`INV/2026/00007 of 120.00 EUR`."""
    number, total = str(invoice.get("number") or invoice.get("id") or ""), invoice.get("total")
    return f"{number} of {total}" if total else number


def _quantity(value: Any) -> str:
    """Without trailing noughts."""
    try:
        return f"{Decimal(str(value)).normalize():f}"
    except InvalidOperation:
        return "?"
