"""Quotations and orders of the Odoo stand-in: defaults, totals, statuses, confirm and cancel."""

from __future__ import annotations

from typing import Any

from counterfoil_sandbox import odoo_billing, odoo_deliveries, odoo_invoicing, odoo_pricelists, odoo_products
from counterfoil_sandbox.odoo_base import company, default_pricelist
from counterfoil_sandbox.odoo_ledger import line_taxes
from counterfoil_sandbox.odoo_partners import address_of
from counterfoil_sandbox.odoo_products import product_name
from counterfoil_sandbox.odoo_schema import (
    AFTER_SAVE,
    BEFORE_CREATE,
    BEFORE_UNLINK,
    BEFORE_WRITE,
    COMPUTED,
    OdooError,
    Row,
    rounded,
    user_error,
)
from counterfoil_sandbox.odoo_store import Store
from counterfoil_sandbox.odoo_taxes import LineAmounts, line_amounts, order_totals


def _order_defaults(store: Store, vals: Row) -> None:
    if "date_order" in vals and not vals["date_order"]:
        raise OdooError(500, "builtins.AssertionError", "Datetime instance expected")
    if vals.get("name", "New") == "New":
        number = store.sequences["sale.order"] = store.sequences.get("sale.order", 0) + 1
        vals["name"] = f"S{number:05d}"
    vals.pop("currency_id", None)  # computed from the pricelist, a value given is dropped
    for name, value in (
        ("state", "draft"),
        ("date_order", store.now()),
        ("company_id", 1),
        ("warehouse_id", 1),
        ("user_id", store.uid),
        ("picking_policy", "direct"),
        ("require_signature", True),
        ("currency_rate", 1.0),
        ("invoice_status", "no"),
        ("pricelist_id", default_pricelist(store)),
    ):
        vals.setdefault(name, value)
    partner = vals.get("partner_id")
    if partner and partner in store.rows["res.partner"]:
        for name, kind in (("partner_invoice_id", "invoice"), ("partner_shipping_id", "delivery")):
            vals.setdefault(name, address_of(store, int(partner), kind))
    vals["currency_id"] = order_currency(store, vals["pricelist_id"])


def order_currency(store: Store, pricelist_id: Any) -> int:
    row = store.rows["product.pricelist"].get(pricelist_id or 0)
    return int((row or company(store))["currency_id"])


def _order_written(store: Store, ids: list[int], vals: Row) -> None:
    orders = [store.rows["sale.order"][i] for i in ids]
    if "pricelist_id" in vals and any(order["state"] == "sale" for order in orders):
        raise user_error("You cannot change the pricelist of a confirmed order !")
    partner = vals.get("partner_id")
    if partner and partner in store.rows["res.partner"] and any(o["partner_id"] != partner for o in orders):
        for name, kind in (("partner_invoice_id", "invoice"), ("partner_shipping_id", "delivery")):
            vals.setdefault(name, address_of(store, partner, kind))
        if all(order["state"] == "draft" for order in orders):
            vals.setdefault("pricelist_id", default_pricelist(store))
    if "pricelist_id" in vals:
        vals.setdefault("currency_id", order_currency(store, vals["pricelist_id"]))


def _order_saved(store: Store, row: Row, changed: set[str]) -> None:
    if "state" in changed:  # the lines keep a copy of it
        store.stir("sale.order.line", store.children["sale.order.line", "order_id"].get(row["id"], ()))
    if "partner_shipping_id" in changed and store.context.get("update_delivery_shipping_partner"):
        for number in list(store.children["stock.picking", "sale_id"].get(row["id"], ())):
            store.write("stock.picking", [number], {"partner_id": row["partner_shipping_id"]})
    if changed & {"currency_id", "state", "order_line"}:
        store.stale_orders.add(row["id"])


def _order_unlinked(store: Store, ids: list[int]) -> None:
    if any(store.rows["sale.order"][i]["state"] not in ("draft", "cancel") for i in ids):
        raise user_error("You can not delete a sent quotation or a confirmed sales order. You must first cancel it.")


def _line_defaults(store: Store, vals: Row) -> None:
    if vals.get("display_type"):
        vals["product_uom_qty"] = 0.0
    product = store.rows["product.product"].get(vals.get("product_id") or 0)
    vals.setdefault("sequence", 10)
    vals.setdefault("product_uom_qty", 1.0)
    if product:
        note = f"\n{product['description_sale']}" if product["description_sale"] else ""
        vals.setdefault("name", product_name(store, product) + note)
        if "price_unit" not in vals:
            vals["price_unit"] = _asked_price(
                store, vals.get("order_id"), product, float(vals["product_uom_qty"] or 0.0)
            )
        vals.setdefault("tax_ids", [(6, 0, product["taxes_id"])])
        vals.setdefault("product_uom_id", product["uom_id"])
    vals.setdefault("technical_price_unit", vals.get("price_unit", 0.0))
    if vals.get("product_id") and not product:
        store.converted("sale.order.line", "product_id", vals["product_id"], {})  # says it is gone


def _asked_price(store: Store, order_id: Any, product: Row, quantity: float) -> float:
    """What the order's price list says of the product."""
    order = store.rows["sale.order"].get(order_id or 0)
    if order is None:
        return float(product["list_price"])
    price = odoo_pricelists.price_of(store, order["pricelist_id"], product, quantity or 1.0, order["date_order"])
    return rounded(price, 1e-9)


def _line_written(store: Store, ids: list[int], vals: Row) -> None:
    lines = [store.rows["sale.order.line"][i] for i in ids]
    if "display_type" in vals and any(line["display_type"] != vals["display_type"] for line in lines):
        raise user_error(
            "You cannot change the type of a sale order line. Instead you should delete the current line and create "
            "a new line of the proper type."
        )
    if "product_id" in vals and any(
        line["product_id"] != vals["product_id"] and not _updatable(store, line) for line in lines
    ):
        raise user_error("You cannot modify the product of this order line.")
    if "product_uom_qty" in vals:
        quantity = float(vals["product_uom_qty"] or 0.0)
        changed = [
            line
            for line in lines
            if store.rows["sale.order"][line["order_id"]]["state"] == "sale"
            and rounded(line["product_uom_qty"] - quantity, 0.01)
        ]
        if changed:
            odoo_deliveries.check_line_quantity(store, changed, quantity)
    guarded = ("product_id", "name", "price_unit", "product_uom_id", "product_uom_qty", "tax_ids", "discount")
    touched = [store.fields("sale.order.line")[name]["string"] for name in guarded if name in vals]
    if touched and any(store.rows["sale.order"][line["order_id"]]["locked"] for line in lines):
        raise user_error("It is forbidden to modify the following fields in a locked order:\n" + "\n".join(touched))
    if "price_unit" not in vals and {"product_uom_qty", "product_id"} & set(vals):
        # Odoo asks the pricelist again, unless the price was changed by hand after the line was made.
        for line in lines:
            product = store.rows["product.product"].get(vals.get("product_id", line["product_id"]) or 0)
            step = line_currency(store, line)["rounding"]
            if product and rounded(line["technical_price_unit"], step) == rounded(line["price_unit"], step):
                quantity = float(vals.get("product_uom_qty", line["product_uom_qty"]) or 0.0)
                price = _asked_price(store, line["order_id"], product, quantity)
                store.set("sale.order.line", line["id"], price_unit=price, technical_price_unit=price)


def _updatable(store: Store, line: Row) -> bool:
    """Whether the product of a line may still be exchanged."""
    order = store.rows["sale.order"][line["order_id"]]
    if order["state"] == "cancel":
        return False
    moves = store.children["stock.move", "sale_line_id"].get(line["id"], ())
    if any(store.rows["stock.move"][i]["state"] != "cancel" for i in moves):
        return False
    return not (order["state"] == "sale" and (order["locked"] or line["qty_invoiced"] or line["qty_delivered"]))


def _line_saved(store: Store, row: Row, changed: set[str]) -> None:
    store.stale_orders.add(row["order_id"])
    if "product_uom_qty" in changed and store.rows["sale.order"][row["order_id"]]["state"] == "sale":
        odoo_deliveries.launch(store, [row["id"]])


def _line_unlinked(store: Store, ids: list[int]) -> None:
    for line_id in ids:
        line = store.rows["sale.order.line"][line_id]
        if store.rows["sale.order"][line["order_id"]]["state"] == "sale" and not line["display_type"]:
            raise user_error(
                "Once a sales order is confirmed, you can't remove one of its lines (we need to track if something "
                "gets invoiced or delivered).\n                Set the quantity to 0 instead."
            )
        store.stale_orders.add(line["order_id"])


def line_currency(store: Store, line: Row) -> Row:
    order = store.rows["sale.order"][line["order_id"]]
    return store.rows["res.currency"][order["currency_id"]]


def settle(store: Store) -> None:
    """Amounts and statuses of all invoices, then orders, of which something changed."""
    odoo_products.settle_templates(store)
    odoo_invoicing.settle_invoices(store)
    stale, store.stale_orders = store.stale_orders, set()
    per_line = company(store)["tax_calculation_rounding_method"] == "round_per_line"
    for order_id in stale:
        order = store.rows["sale.order"].get(order_id)
        if order is not None:
            _settle(store, order, per_line=per_line)


def _settle(store: Store, order: Row, *, per_line: bool) -> None:
    currency = store.rows["res.currency"][order["currency_id"]]
    amounts: list[LineAmounts] = []
    statuses: set[str] = set()
    any_delivered = False
    for line_id in list(store.children["sale.order.line", "order_id"].get(order["id"], ())):
        line = store.rows["sale.order.line"][line_id]
        one = line_amounts(line, line_taxes(store, line), currency, per_line=per_line)
        store.touch("sale.order.line", line_id, qty_invoiced=odoo_billing.invoiced_quantity(store, line))
        line = store.rows["sale.order.line"][line_id]
        to_invoice, status = _invoicing(store, order, line)
        subtotal, total = rounded(one.excluded, currency["rounding"]), rounded(one.included, currency["rounding"])
        store.touch(
            "sale.order.line",
            line_id,
            price_subtotal=subtotal,
            price_total=total,
            price_tax=total - subtotal,
            qty_to_invoice=to_invoice,
            invoice_status=status,
        )
        if not line["display_type"]:
            amounts.append(one)
            any_delivered = any_delivered or bool(line["qty_delivered"])
            if not line["is_downpayment"]:
                statuses.add(status)
    untaxed, tax = order_totals(amounts, currency)
    store.touch(
        "sale.order",
        order["id"],
        amount_untaxed=untaxed,
        amount_tax=tax,
        amount_total=rounded(untaxed + tax, currency["rounding"]),
        invoice_status=_order_invoicing(statuses) if order["state"] == "sale" else "no",
        **odoo_deliveries.status(store, order, any_delivered=any_delivered),
    )


def _invoicing(store: Store, order: Row, line: Row) -> tuple[float, str]:
    """(qty_to_invoice, invoice_status) of a line."""
    if order["state"] != "sale":
        return 0.0, "no"
    product = store.rows["product.product"].get(line["product_id"] or 0)
    policy = product["invoice_policy"] if product else False
    ordered, delivered, invoiced = line["product_uom_qty"], line["qty_delivered"], line["qty_invoiced"]
    open_qty = 0.0 if line["display_type"] else rounded((ordered if policy == "order" else delivered) - invoiced, 1e-5)
    if rounded(open_qty, 0.01):
        return open_qty, "to invoice"
    if policy == "order" and ordered >= 0 and rounded(delivered - ordered, 0.01) > 0:
        return open_qty, "upselling"
    if rounded(invoiced - ordered, 0.01) >= 0:
        return open_qty, "invoiced"
    if product and product["type"] == "consu" and policy == "delivery":
        states = {
            store.rows["stock.move"][i]["state"]
            for i in store.children["stock.move", "sale_line_id"].get(line["id"], ())
        }
        if "done" in states and states <= {"done", "cancel"}:
            return open_qty, "invoiced"
    return open_qty, "no"


def _order_invoicing(statuses: set[str]) -> str:
    if "to invoice" in statuses:
        return "to invoice"
    if statuses == {"invoiced"}:
        return "invoiced"
    return "upselling" if statuses and statuses <= {"invoiced", "upselling"} else "no"


BEFORE_CREATE["sale.order"] = _order_defaults
BEFORE_WRITE["sale.order"] = _order_written
AFTER_SAVE["sale.order"] = _order_saved
BEFORE_UNLINK["sale.order"] = _order_unlinked
BEFORE_CREATE["sale.order.line"] = _line_defaults
BEFORE_WRITE["sale.order.line"] = _line_written
AFTER_SAVE["sale.order.line"] = _line_saved
BEFORE_UNLINK["sale.order.line"] = _line_unlinked
for _field, _source in (
    ("state", "state"),
    ("company_id", "company_id"),
    ("currency_id", "currency_id"),
    ("order_partner_id", "partner_id"),
    ("salesman_id", "user_id"),
):
    COMPUTED["sale.order.line", _field] = lambda store, row, source=_source: store.rows["sale.order"][row["order_id"]][
        source
    ]
COMPUTED["sale.order.line", "product_template_id"] = lambda store, row: (
    store.rows["product.product"][row["product_id"]]["product_tmpl_id"] if row["product_id"] else False
)
COMPUTED["sale.order", "country_code"] = lambda store, _row: company(store)["country_code"]


def _line_name(store: Store, row: Row) -> str:
    order = store.rows["sale.order"][row["order_id"]]
    product = store.rows["product.product"].get(row["product_id"] or 0)
    what = product_name(store, product) if product else (row["name"] or "").partition("\n")[0]
    return f"{order['name']} - {what} ({store.display_name('res.partner', order['partner_id'])})"


COMPUTED["sale.order.line", "display_name"] = _line_name


def confirm_orders(store: Store, ids: list[int]) -> bool:
    """action_confirm: all or none; raises UserError for an order that is confirmed or cancelled already."""
    store.check_exist("sale.order", ids)
    for order_id in ids:
        if store.rows["sale.order"][order_id]["state"] not in ("draft", "sent"):
            raise user_error("Some orders are not in a state requiring confirmation.")
        lines = [
            store.rows["sale.order.line"][i] for i in store.children["sale.order.line", "order_id"].get(order_id, ())
        ]
        if any(not (line["display_type"] or line["is_downpayment"] or line["product_id"]) for line in lines):
            raise user_error("Some order lines are missing a product, you need to correct them before going further.")
    store.write("sale.order", ids, {"state": "sale", "date_order": store.now()})
    for order_id in ids:
        odoo_deliveries.launch(store, order_lines(store, order_id))
    return True


def order_lines(store: Store, order_id: int) -> list[int]:
    """The order's lines as it shows them."""
    return store.sorted("sale.order.line", store.children["sale.order.line", "order_id"].get(order_id, ()))


def cancel_orders(store: Store, ids: list[int]) -> bool:
    """action_cancel: at once and without a question in 19, also for confirmed orders."""
    store.check_exist("sale.order", ids)
    if any(store.rows["sale.order"][i]["locked"] for i in ids):
        raise user_error("You cannot cancel a locked order. Please unlock it first.")
    for order_id in ids:
        odoo_deliveries.cancel_deliveries(store, order_id)
        drafts = [
            number
            for number in odoo_billing.order_invoices(store, store.rows["sale.order"][order_id])
            if store.rows["account.move"][number]["state"] == "draft"
        ]
        odoo_invoicing.set_cancelled(store, drafts)
    store.write("sale.order", ids, {"state": "cancel"})
    return True


def reopen_orders(store: Store, ids: list[int]) -> bool:
    """action_draft: cancelled and sent orders become quotations again, others stay."""
    store.check_exist("sale.order", ids)
    back = [i for i in ids if store.rows["sale.order"][i]["state"] in ("cancel", "sent")]
    store.write("sale.order", back, {"state": "draft"})
    return True
