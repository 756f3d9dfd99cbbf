"""An order's lines as they stand in Odoo, beside those the shop wants: what must be written so that they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from counterfoil.connectors.odoo.accept import UPDATE
from counterfoil.connectors.odoo.client import QUIET
from counterfoil.connectors.odoo.errors import load_failed
from counterfoil.connectors.odoo.jobs import Desk, Job, decimal
from counterfoil.connectors.odoo.translate import MODULE, Currency, Draft, Row, below, outside_taxes, price_unit
from counterfoil.connectors.odoo.versions import Names
from counterfoil.hub.contract import Failure

HALF_A_CENT = Decimal("0.005")


@dataclass(slots=True)
class Reduced:
    """What credit notes of refunds have taken off an order line."""

    quantity: Decimal = Decimal(0)
    net: Decimal = Decimal(0)
    taxes: dict[int, Decimal] = field(default_factory=dict)


async def reductions(desk: Desk, lines: Sequence[int]) -> dict[int, Reduced]:
    """What refunds have taken off each order line: the lines of their credit notes that are linked to it."""
    names = await desk.names()
    found: dict[int, Reduced] = {}
    for row in await linked(desk, lines):
        if not (row["external_id"].startswith("refund_") or "_refund_" in row["external_id"]):
            continue
        for line in row["sale_line_ids"]:
            reduced = found.setdefault(line, Reduced())
            reduced.quantity += decimal(row["quantity"])
            reduced.net += decimal(row["price_subtotal"])
            for tax, amount in taxes_of(row, names).items():
                reduced.taxes[tax] = reduced.taxes.get(tax, Decimal(0)) + amount
    return found


async def linked(desk: Desk, lines: Sequence[int]) -> list[dict[str, Any]]:
    """The lines of invoices and credit notes, cancelled ones left out, that are linked to these order lines."""
    if not lines:
        return []
    names = await desk.names()
    fields = ["move_id", "quantity", "price_unit", "price_subtotal", "price_total", "tax_ids", "sale_line_ids"]
    fields += ["extra_tax_data"] if names.outside_taxes else []
    domain = [["sale_line_ids", "in", list(lines)], ["parent_state", "!=", "cancel"]]
    rows = await desk.client.search_read("account.move.line", domain, fields, order="id")
    known = await desk.names_of("account.move.line", [row["id"] for row in rows])
    return [{**row, "external_id": known.get(row["id"], "")} for row in rows]


def taxes_of(row: Mapping[str, Any], names: Names) -> dict[int, Decimal]:
    """The amount of each tax on an order's or invoice's line; where Odoo tells only their sum, on the first of them."""
    told = (row.get("extra_tax_data") or {}).get("manual_tax_amounts") if names.outside_taxes else None
    if told:
        return {int(tax): decimal(amounts["tax_amount_currency"]) for tax, amounts in told.items()}
    taxes = row.get("tax_ids") or row.get(names.line_taxes) or []
    total = row["price_tax"] if "price_tax" in row else decimal(row["price_total"]) - decimal(row["price_subtotal"])
    return {tax: decimal(total) if not n else Decimal(0) for n, tax in enumerate(taxes)}


def aimed(made: Draft, lines: Sequence[Mapping[str, Any]], taken_off: Mapping[int, Reduced]) -> Draft:
    """The draft, aimed at the lines that stand there, less what refunds have taken off them.

    A confirmed line cannot change its product, so that another one gets a line of its own.
    """
    standing = {f"{MODULE}.{line['external_id']}": line for line in lines if line["external_id"]}
    rows = []
    for row in made.rows:
        line = standing.get(row.external_id)
        if line is not None and line["product_id"] and line["product_id"][0] != row.product:
            row = replace(row, external_id=f"{row.external_id}_item_{row.product}")
            line = standing.get(row.external_id)
        less = taken_off.get(int(line["id"])) if line is not None else None
        rows.append(lowered(row, less, max(row.quantity - less.quantity, Decimal(0))) if less else row)
    untaxed = sum((row.net for row in rows), Decimal(0))
    tax = sum((amount for row in rows for amount in row.taxes.values()), Decimal(0))
    return replace(made, rows=tuple(rows), untaxed=untaxed, tax=tax, total=untaxed + tax)


def lowered(row: Row, less: Reduced, quantity: Decimal) -> Row:
    """The row with `quantity` left, and its amounts less what was taken off."""
    if quantity <= 0:
        return replace(row, quantity=Decimal(0), net=Decimal(0), taxes=dict.fromkeys(row.taxes, Decimal(0)))
    net = row.net - less.net
    taxes = {tax: amount - less.taxes.get(tax, Decimal(0)) for tax, amount in row.taxes.items()}
    included = row.price_unit * row.quantity - row.net  # taxes that are part of the price
    share = included / row.total_tax if row.total_tax else Decimal(0)
    price = price_unit(net + share * sum(taxes.values(), Decimal(0)), quantity)
    return replace(row, quantity=quantity, net=net, taxes=taxes, price_unit=price)


def changed(made: Draft, lines: Sequence[Mapping[str, Any]], names: Names) -> list[Row]:
    """The rows that Odoo does not have, or has otherwise."""
    standing = {f"{MODULE}.{line['external_id']}": line for line in lines if line["external_id"]}
    return [row for row in made.rows if not _same(row, standing.get(row.external_id), made, names)]


def _same(row: Row, line: Mapping[str, Any] | None, made: Draft, names: Names) -> bool:
    if line is None:
        return not row.quantity
    if not names.outside_taxes and row.external_id.endswith("_rounding"):
        return True  # carries what Odoo computes otherwise: brought up to date once the others are
    if decimal(line["product_uom_qty"]) != row.quantity:
        return False
    if not row.quantity:
        return True
    if set(line[names.line_taxes]) != set(row.taxes):
        return False
    if not names.outside_taxes:  # Odoo's own rounding is in its sums: the unit price is what was sent
        return abs(decimal(line["price_unit"]) - row.price_unit) <= HALF_A_CENT
    return (decimal(line["price_subtotal"]), decimal(line["price_tax"])) == (row.net, row.total_tax)


def gone(made: Draft, lines: Sequence[Mapping[str, Any]], names: Names) -> list[Row]:
    """Our lines that the shop does not have any more, with nothing left on them."""
    wanted = {row.external_id for row in made.rows}
    rows = []
    for line in lines:
        external_id = f"{MODULE}.{line['external_id']}"
        if not line["external_id"] or external_id in wanted or not decimal(line["product_uom_qty"]):
            continue
        if external_id.endswith("_rounding") and not names.outside_taxes:
            continue
        taxes = dict.fromkeys(line[names.line_taxes], Decimal(0))
        price = decimal(line["price_unit"])
        product = int(line["product_id"][0])
        rows.append(Row(line["name"], external_id, product, Decimal(0), price, Decimal(0), taxes))
    return rows


async def lower(desk: Desk, job: Job, rows: Sequence[tuple[str, Row]], currency: Currency, names: Names) -> None:
    """Write these quantities and prices into the job's order lines, by external id, and let its open deliveries follow;
    nothing is done where there are none. Raises Failure."""
    if not rows:
        return
    taxes = ["extra_tax_data"] if names.outside_taxes else []
    fields = ["id", *(f"order_line/{name}" for name in ("id", "product_uom_qty", "price_unit", *taxes))]
    cells = [
        [f"{MODULE}.{line}", f"{row.quantity:f}", f"{row.price_unit:f}", *(outside_taxes(row, currency) for _ in taxes)]
        for line, row in rows
    ]
    _, messages = await desk.client.load("sale.order", fields, below([job.external_id], cells), UPDATE)
    if messages:
        raise Failure(load_failed(messages))
    await follow(desk, [job.odoo_id])


async def follow(desk: Desk, orders: Sequence[int]) -> None:
    """Open deliveries have what their order lines still want.

    Odoo does this itself where it can; where a lower quantity does not reach the delivery (14), it is written to the
    open moves, and a delivery with nothing left is cancelled. Idempotent: what is written is the quantity itself, and
    only where it differs.
    """
    if not orders:
        return
    lines = {line["id"]: line for rows in (await desk.lines(orders)).values() for line in rows}
    domain = [["sale_line_id", "in", sorted(lines)], ["state", "not in", ["done", "cancel"]]]
    domain += [["location_dest_id.usage", "=", "customer"]]
    fields = ["sale_line_id", "product_uom_qty", "product_id", "picking_id"]
    moves: dict[int, list[dict[str, Any]]] = {}
    for move in await desk.client.search_read("stock.move", domain, fields, order="id"):
        moves.setdefault(move["sale_line_id"][0], []).append(move)
    emptied: set[int] = set()
    for number, waiting in moves.items():
        line = lines[number]
        too_many = sum((decimal(m["product_uom_qty"]) for m in waiting), Decimal(0))
        too_many -= max(decimal(line["product_uom_qty"]) - decimal(line["qty_delivered"]), Decimal(0))
        for move in reversed(waiting):
            quantity = decimal(move["product_uom_qty"])
            less = min(too_many, quantity)
            if less > 0 and move["product_id"] == line["product_id"]:  # a kit's parts are counted otherwise
                quantity -= less
                vals = {"product_uom_qty": float(quantity)}
                await desk.client.call("stock.move", "write", ids=[move["id"]], vals=vals)
                too_many -= less
            if not quantity and move["picking_id"]:
                emptied.add(move["picking_id"][0])
    if not emptied:
        return
    left = [["picking_id", "in", sorted(emptied)], ["state", "!=", "cancel"], ["product_uom_qty", ">", 0]]
    emptied -= {row["picking_id"][0] for row in await desk.client.search_read("stock.move", left, ["picking_id"])}
    if emptied:
        await desk.client.call("stock.picking", "action_cancel", ids=sorted(emptied), context=QUIET)
