"""Invoices from orders in the Odoo stand-in: what is to be invoiced, what is, and the drafts made of it."""

from __future__ import annotations

from typing import Any

from counterfoil_sandbox.odoo_base import in_uom
from counterfoil_sandbox.odoo_invoicing import LINE, MOVE, SALES, sign
from counterfoil_sandbox.odoo_schema import COMPUTED, Row, rounded, user_error
from counterfoil_sandbox.odoo_store import Store


def invoiced_quantity(store: Store, line: Row) -> float:
    """qty_invoiced of an order's line: on invoices, drafts too, less what is on credit notes."""
    total = 0.0
    for number in store.children[LINE, "sale_line_ids"].get(line["id"], ()):
        item = store.rows[LINE][number]
        move = store.rows[MOVE][item["move_id"]]
        if move["state"] != "cancel" and move["move_type"] in SALES:
            total += sign(move) * in_uom(store, item["quantity"], item["product_uom_id"], line["product_uom_id"])
    return rounded(total, 0.00001)


def invoice_lines(store: Store, line: Row) -> list[int]:
    """The invoice lines of an order's line."""
    return store.sorted(LINE, store.children[LINE, "sale_line_ids"].get(line["id"], ()))


def order_invoices(store: Store, order: Row) -> list[int]:
    """Invoices and credit notes of an order's lines."""
    found: dict[int, None] = {}
    for line_id in store.children["sale.order.line", "order_id"].get(order["id"], ()):
        for number in store.children[LINE, "sale_line_ids"].get(line_id, ()):
            move = store.rows[MOVE][store.rows[LINE][number]["move_id"]]
            if move["move_type"] in SALES:
                found[move["id"]] = None
    return store.sorted(MOVE, found)


def _line_name(row: Row, store: Store) -> Any:
    name = store.display_name("product.product", row["product_id"]) if row["product_id"] else ""
    return row["name"] if not name or name in (row["name"] or "") else f"{name}\n{row['name']}"


def make_invoices(store: Store, order_ids: list[int]) -> list[int]:
    """One draft per order with what is to be invoiced now; raises UserError if there is nothing."""
    store.flush()
    made = []
    for order_id in order_ids:
        order = store.rows["sale.order"][order_id]
        numbers = store.sorted("sale.order.line", store.children["sale.order.line", "order_id"].get(order_id, ()))
        chosen = _with_headings([store.rows["sale.order.line"][number] for number in numbers])
        if all(line["display_type"] for line in chosen):
            continue
        rows = [(0, 0, _invoice_line(store, line, sequence)) for sequence, line in enumerate(chosen)]
        made.append(
            store.create(
                MOVE,
                {
                    "ref": order["client_order_ref"] or order["name"],
                    "move_type": "out_invoice",
                    "narration": order["note"],
                    "currency_id": order["currency_id"],
                    "partner_id": order["partner_invoice_id"],
                    "partner_shipping_id": order["partner_shipping_id"],
                    "invoice_origin": order["name"],
                    "invoice_payment_term_id": order["payment_term_id"],
                    "invoice_user_id": order["user_id"],
                    "payment_reference": order["reference"],
                    "invoice_line_ids": rows,
                },
            )
        )
    if not made:
        raise user_error(NOTHING_TO_INVOICE)
    store.flush()
    return made


def _with_headings(lines: list[Row]) -> list[Row]:
    """The lines to invoice, and before them the section each stands under, if it was not there yet."""
    chosen: list[Row] = []
    headings: list[Row] = []
    for line in lines:
        if line["display_type"] == "line_section":
            headings = [line]
        elif line["display_type"] in ("line_note", "line_subsection"):
            (headings if headings else chosen).append(line)
        elif rounded(line["qty_to_invoice"], 0.01) > 0:
            chosen += [*headings, line]
            headings = []
    return chosen


def _invoice_line(store: Store, line: Row, sequence: int) -> Row:
    values: Row = {
        "display_type": line["display_type"] or "product",
        "sequence": sequence,
        "name": _line_name(line, store),
        "quantity": line["qty_to_invoice"],
        "sale_line_ids": [(6, 0, [line["id"]])],
    }
    if not line["display_type"]:
        values |= {
            "product_id": line["product_id"],
            "product_uom_id": line["product_uom_id"],
            "discount": line["discount"],
            "price_unit": line["price_unit"],
            "tax_ids": [(6, 0, line["tax_ids"])],
            "extra_tax_data": line["extra_tax_data"],
        }
    return values


NOTHING_TO_INVOICE = (
    "Cannot create an invoice. No items are available to invoice.\n\nTo resolve this issue, please ensure that:\n"
    "   • The products have been delivered before attempting to invoice them.\n"
    "   • The invoicing policy of the product is configured correctly.\n\n"
    "If you want to invoice based on ordered quantities instead:\n"
    "   • For consumable or storable products, open the product, go to the 'General Information' tab and change the "
    "'Invoicing Policy' from 'Delivered Quantities' to 'Ordered Quantities'.\n"
    "   • For services (and other products), change the 'Invoicing Policy' to 'Prepaid/Fixed Price'.\n"
)


COMPUTED["sale.order", "invoice_ids"] = order_invoices
COMPUTED["sale.order", "invoice_count"] = lambda store, row: len(order_invoices(store, row))
COMPUTED["sale.order.line", "invoice_lines"] = invoice_lines
