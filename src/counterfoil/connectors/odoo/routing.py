"""Which warehouse ships what of an order, in Odoo's terms. Pure.

The order has the warehouse that ships most of its lines; a line that ships from elsewhere has the route by which that
warehouse delivers, and where its quantity is split, each further part is a line of its own with its own external id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from counterfoil.connectors.odoo.lookups import Reference
from counterfoil.connectors.odoo.refundlines import split
from counterfoil.connectors.odoo.rules import Rules
from counterfoil.connectors.odoo.translate import Draft, Row, impossible, shop_line
from counterfoil.retail.availability import UNIT
from counterfoil.retail.mapping import choose, missing, scalar
from counterfoil.retail.order import Order

Lines = Mapping[str, Sequence[Sequence[Any]]]
"""By the shop's line id: [warehouse, thousandths] each, in the order in which they were chosen."""


def warehouse_of(order: Order, decided: Lines, rules: Rules, reference: Reference) -> str:
    """The short name of the order's warehouse; '' where the blueprint leaves it to Odoo. Raises Impossible."""
    stores = rules.pickups.get(order.system)
    if order.pickup and stores:
        if order.pickup not in stores:
            row = f"routing:\n  pickup:\n    {order.system}: {{{scalar(order.pickup)}: {choose([])}}}"
            raise impossible(
                "unmapped_pickup",
                f"Order {order.number} is collected at {order.pickup!r}, which the blueprint gives no store.",
                missing(row, sorted(set(stores.values()))),
            )
        place = stores[order.pickup]
    else:
        place = _most(decided)
    if place:
        _warehouse(place, reference)
    return place or rules.warehouses.get(order.system, "")


def _most(decided: Lines) -> str:
    """The place of most lines; of several, the one chosen first."""
    counts: dict[str, int] = {}
    for parts in decided.values():
        for place in dict.fromkeys(part[0] for part in parts):
            counts[place] = counts.get(place, 0) + 1
    return max(counts, key=lambda place: counts[place], default="")


def placed(made: Draft, decided: Lines, main: str, reference: Reference) -> Draft:
    """The draft with each line in the parts that ship from different places; `main` is the order's own warehouse.

    Raises Impossible where Odoo has no such warehouse, or no route by which it delivers.
    """
    rows = [
        replace(part, route=_route(place, reference)) if place and place != main else part
        for row in made.rows
        for place, part in parts_of(row, decided, reference, made.currency.unit)
    ]
    return replace(made, rows=tuple(rows))


def parts_of(row: Row, decided: Lines, reference: Reference, unit: Decimal) -> list[tuple[str, Row]]:
    """The row in its parts, each with its place ('': none was decided); quantities and amounts add up to the row's.

    Raises Impossible where Odoo has no such warehouse.
    """
    parts = _fitted(decided.get(shop_line(row.external_id), ()), row.quantity)
    found: list[tuple[str, Row]] = []
    left = row
    for number, (place, quantity) in enumerate(parts):
        part, left = split(left, quantity, unit) if number + 1 < len(parts) else (left, left)
        warehouse = _warehouse(place, reference)
        name = f"{row.external_id}_from_{warehouse}" if number else row.external_id
        found.append((place, replace(part, external_id=name)))
    return found or [("", row)]


def _fitted(parts: Sequence[Sequence[Any]], quantity: Decimal) -> list[tuple[str, Decimal]]:
    """The parts in units, at most the quantity that the shop says now; what it says beyond them is the last one's."""
    left, found = quantity, dict[str, Decimal]()
    for place, thousandths in parts:
        some = min(Decimal(thousandths) / UNIT, left)
        if some > 0:
            found[place] = found.get(place, Decimal(0)) + some
            left -= some
    return list(found.items())


def _warehouse(place: str, reference: Reference) -> int:
    if place not in reference.warehouses:
        known = ", ".join(sorted(reference.warehouses))
        raise impossible(
            "unmapped_warehouse",
            f"The order is routed to the warehouse {place!r}, which Odoo does not have (it has {known}).",
            "Correct the code under places in the blueprint, or make that warehouse in Odoo; then retry.",
        )
    return reference.warehouses[place]


def _route(place: str, reference: Reference) -> str:
    _warehouse(place, reference)
    if place not in reference.routes:
        raise impossible(
            "no_route",
            f"A part of the order ships from {place}, and Odoo has no route that a line could have to ask for that.",
            f"In Odoo (Inventory, Configuration, Routes) tick Sales Order Lines on the delivery route of {place}; up "
            f"to Odoo 16 make one with that tick, and a rule that pulls from the stock of {place} to the customer by "
            "its delivery orders, propagated to no warehouse. Then retry.",
        )
    return str(reference.routes[place])


def in_words(made: Draft, main: str, reference: Reference) -> dict[str, str]:
    """What ships from where, by warehouse."""
    codes = {str(number): code for code, number in reference.routes.items()}
    found: dict[str, list[str]] = {}
    for row in made.rows:
        if row.product not in reference.services.values() and (main or row.route):
            found.setdefault(codes.get(row.route, main), []).append(f"{row.quantity.normalize():f} × {row.name}")
    return {code: ", ".join(articles) for code, articles in found.items()}


def standing_route(line: Mapping[str, Any], field: str) -> str:
    """The routes that an order line has in Odoo, as a cell of `load()`."""
    value = line.get(field) or ()
    return ",".join(str(number) for number in (value[:1] if value and isinstance(value[-1], str) else value))
