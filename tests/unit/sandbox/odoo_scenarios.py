"""Days in the life of an Odoo, played both on a real Odoo 19 and on the stand-in, which is held to the recording.

A scenario is a function of a `Witness`: it calls, looks at records, and everything it sees is written down with
ids replaced by names ("stock.picking#2" is the second picking seen) and times by "<time>". To record anew:

    python tests/unit/sandbox/odoo_scenarios.py URL DATABASE API_KEY [NAME…]    on a database fresh from the template
"""

from __future__ import annotations

import json
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).resolve().parents[3] / "src/counterfoil_sandbox/recordings/odoo"
Call = Callable[..., Any]
TIME = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d+)?)?")
QUIET = {"tracking_disable": True}

ORDER = "name state delivery_status picking_ids invoice_status locked amount_untaxed amount_tax amount_total"
LINE = "product_id product_uom_qty qty_delivered qty_invoiced qty_to_invoice invoice_status qty_delivered_method"
PICKING = (
    "name state origin partner_id sale_id picking_type_id picking_type_code location_id location_dest_id "
    "backorder_id return_id date_done scheduled_date move_type priority carrier_id carrier_tracking_ref"
)
MOVE = (
    "product_id product_uom_qty quantity state picking_id location_id location_dest_id origin reference picked "
    "sale_line_id is_inventory origin_returned_move_id to_refund procure_method location_final_id "
    "move_orig_ids move_dest_ids"
)
MOVE_LINE = "product_id quantity picked state location_id location_dest_id picking_id"
QUANT = (
    "product_id location_id quantity reserved_quantity available_quantity inventory_quantity inventory_quantity_set "
    "inventory_diff_quantity inventory_quantity_auto_apply user_id"
)
QUANTITIES = "qty_available free_qty outgoing_qty incoming_qty virtual_available"


class Refused(Exception):
    """An error answer: status, name, message."""


class Witness:
    """Calls one Odoo and writes down what it answers."""

    def __init__(self, call: Call, fields: dict[str, dict[str, Any]], wait: Callable[[], None]) -> None:
        self._call, self._fields, self._wait = call, fields, wait
        self.log: list[list[Any]] = []
        self.names: dict[str, dict[int, str]] = {}
        self.watched: dict[str, list[Any]] = {}
        self._stamps: dict[tuple[str, int], str] = {}

    def do(self, model: str, method: str, ids: Any = None, /, **arguments: Any) -> Any:
        """A call that must succeed; not written down."""
        if ids is not None:
            arguments["ids"] = ids
        return self._call(model, method, **arguments)

    def tell(self, title: str, model: str, method: str, ids: Any = None, /, **arguments: Any) -> Any:
        """A call whose answer is written down, an error too."""
        try:
            answer = self.do(model, method, ids, **arguments)
            self.log.append([title, answer if answer in (True, False, None) else _plain(answer)])
        except Refused as refused:
            answer = None
            self.log.append([title, list(refused.args)])
        return answer

    def see(self, title: str, model: str, domain: Any, fields: str, **arguments: Any) -> list[dict[str, Any]]:
        """Records as they are now, by their numbers."""
        names = fields.split()
        rows: list[dict[str, Any]] = self.do(
            model, "search_read", domain=domain, fields=names, **{"order": "id", **arguments}
        )
        seen = [[self.name(model, row["id"]), [self._shown(model, n, row[n]) for n in names]] for row in rows]
        self.log.append([title, seen])
        return rows

    def name(self, model: str, number: int) -> str:
        """What a record is called in the log."""
        known = self.names.setdefault(model, {})
        return known.setdefault(number, f"{model}#{len(known) + 1}")

    def touched(self, title: str, **watched: Any) -> None:
        """Which records of the watched models have another write_date than last time, and which are gone."""
        now: dict[tuple[str, int], str] = {}
        for model, domain in self.watched.items():
            rows = self.do(model, "search_read", domain=domain, fields=["write_date"], order="id")
            now |= {(model, row["id"]): row["write_date"] for row in rows}
        changed = [key for key, stamp in now.items() if self._stamps.get(key) != stamp]
        gone = [key for key in self._stamps if key not in now]
        self.log.append([title, [self.name(*key) for key in changed], [self.name(*key) for key in gone]])
        self._stamps = now
        self._wait()

    def _shown(self, model: str, field: str, value: Any) -> Any:
        spec = self._fields[model][field]
        if spec["type"] == "many2one":
            return value[1] if value else value
        if spec["type"] in ("one2many", "many2many"):
            return sorted(self.name(spec["relation"], number) for number in value)
        if spec["type"] in ("datetime", "date") and value:
            return "<time>"
        if isinstance(value, float):
            return round(value, 6)
        if spec["type"] == "json" and value:
            taxes = value.get("manual_tax_amounts") or {}
            return {**value, "currency_id": "<id>", "manual_tax_amounts": [taxes[tax] for tax in taxes]}
        return value


def _plain(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {key: answer[key] for key in ("res_model", "type") if key in answer}
    return "<ids>" if isinstance(answer, list) else answer


def goods(see: Witness) -> None:
    """Stock, deliveries in parts, changes after confirming, returns, cancellations."""
    do, tell = see.do, see.tell
    customer = do("res.partner", "create", vals_list=[{"name": "Cust", "street": "1 r", "city": "Paris"}])[0]
    a, b, c, s = do(
        "product.product",
        "create",
        vals_list=[
            {"name": "A", "default_code": "H4A", "is_storable": True, "list_price": 10},
            {"name": "B", "default_code": "H4B", "is_storable": True, "list_price": 20, "invoice_policy": "delivery"},
            {"name": "C", "default_code": "H4C", "type": "consu", "list_price": 5},
            {"name": "S", "default_code": "H4S", "type": "service", "list_price": 7},
        ],
    )
    products = [a, b, c, s]
    warehouse = do("stock.warehouse", "search_read", domain=[], fields=["lot_stock_id", "view_location_id"])[0]
    shelf = warehouse["lot_stock_id"][0]
    see.watched = {
        "product.product": [["id", "in", products]],
        "product.template": [["product_variant_ids", "in", products]],
        "res.partner": [["id", "=", customer]],
        "stock.quant": [["product_id", "in", products]],
        "sale.order": [["partner_id", "=", customer]],
        "sale.order.line": [["order_id.partner_id", "=", customer]],
        "stock.picking": [["partner_id", "=", customer]],
        "stock.move": [["product_id", "in", products]],
    }

    def quantities(title: str, **context: Any) -> None:
        see.see(title, "product.product", [["id", "in", products]], QUANTITIES, context=context)

    def quants(title: str) -> None:
        see.see(title, "stock.quant", [["product_id", "in", products]], QUANT)

    def count(product: int, quantity: float) -> list[int]:
        made: list[int] = do(
            "stock.quant",
            "create",
            vals_list=[{"product_id": product, "location_id": shelf, "inventory_quantity": quantity}],
            context={"inventory_mode": True},
        )
        return made

    def whole(title: str, order: int) -> None:
        see.see(f"{title}: order", "sale.order", [["id", "=", order]], ORDER)
        see.see(f"{title}: lines", "sale.order.line", [["order_id", "=", order]], LINE)
        see.see(f"{title}: pickings", "stock.picking", [["sale_id", "=", order]], PICKING)
        see.see(f"{title}: moves", "stock.move", [["picking_id.sale_id", "=", order]], MOVE)
        see.see(f"{title}: move lines", "stock.move.line", [["picking_id.sale_id", "=", order]], MOVE_LINE)
        quantities(f"{title}: quantities")

    def order(*lines: tuple[int, float], **values: Any) -> int:
        commands = [
            [0, 0, {"product_id": p, "name": f"line {n}", "product_uom_qty": q, "price_unit": 10, "tax_ids": []}]
            for n, (p, q) in enumerate(lines, 1)
        ]
        made = do("sale.order", "create", vals_list=[{"partner_id": customer, "order_line": commands, **values}])
        return int(made[0])

    def lines_of(number: int) -> list[int]:
        return list(do("sale.order", "read", [number], fields=["order_line"])[0]["order_line"])

    def pickings_of(number: int) -> list[int]:
        return list(do("stock.picking", "search", domain=[["sale_id", "=", number]], order="id"))

    # stock comes in
    see.touched("before")
    counted = count(a, 10) + count(b, 3)
    quants("counted")
    see.touched("counted")
    tell("apply", "stock.quant", "action_apply_inventory", counted)
    quants("applied")
    see.see("inventory moves", "stock.move", [["product_id", "in", products]], MOVE)
    quantities("in stock")
    see.touched("applied")

    # an order is confirmed and changed
    one = order((a, 4), (b, 5), (c, 2), (s, 1), origin="web:order:1")
    see.touched("ordered")
    tell("confirm", "sale.order", "action_confirm", [one], context=QUIET)
    see.touched("confirmed")
    whole("confirmed", one)
    quants("reserved")
    line_a, _line_b, line_c, _line_s = lines_of(one)
    tell("more of A", "sale.order.line", "write", [line_a], vals={"product_uom_qty": 6})
    see.touched("more of A")
    whole("more of A", one)
    tell("less of A", "sale.order.line", "write", [line_a], vals={"product_uom_qty": 3})
    see.touched("less of A")
    whole("less of A", one)
    tell("no C", "sale.order", "write", [one], vals={"order_line": [[1, line_c, {"product_uom_qty": 0}]]})
    whole("no C", one)
    see.touched("no C")

    # delivered in parts
    first = pickings_of(one)[0]
    tell("validate and be asked", "stock.picking", "button_validate", [first])
    see.touched("asked")
    tell("tracking", "stock.picking", "write", [first], vals={"carrier_tracking_ref": "TRK-1"})
    tell("validate", "stock.picking", "button_validate", [first], context={"skip_backorder": True, "skip_sms": True})
    see.touched("validated")
    whole("validated", one)
    quants("after delivery")
    tell("validate again", "stock.picking", "button_validate", [first])
    tell("cancel a done picking", "stock.picking", "action_cancel", [first])
    second = pickings_of(one)[1]
    tell("validate nothing", "stock.picking", "button_validate", [second], context={"skip_backorder": True})
    again = count(b, 10)
    tell("apply more", "stock.quant", "action_apply_inventory", again)
    see.touched("B came in")
    whole("B came in", one)
    quants("B came in")
    move = do("stock.move", "search", domain=[["picking_id", "=", second]])
    tell("one only", "stock.move", "write", move, vals={"quantity": 1})
    see.see("one only", "stock.move", [["id", "in", move]], MOVE)
    see.see("one only: picking", "stock.picking", [["id", "=", second]], PICKING)
    quants("one only")
    context = {"skip_backorder": True, "skip_sms": True, "picking_ids_not_to_backorder": [second]}
    tell("validate without rest", "stock.picking", "button_validate", [second], context=context)
    see.touched("validated without rest")
    whole("validated without rest", one)

    # a return
    tell("return of nothing", "stock.return.picking", "create", vals_list=[{"picking_id": first}])
    wizard = do("stock.return.picking", "create", vals_list=[{"picking_id": first}])[0]
    returns = see.see(
        "return lines",
        "stock.return.picking.line",
        [["wizard_id", "=", wizard]],
        "product_id quantity move_id move_quantity to_refund uom_id",
    )
    tell("no quantities", "stock.return.picking", "action_create_returns", [wizard])
    do("stock.return.picking.line", "write", [returns[0]["id"]], vals={"quantity": 2})
    tell("return", "stock.return.picking", "action_create_returns", [wizard])
    see.touched("return prepared")
    whole("return prepared", one)
    back = pickings_of(one)[-1]
    tell("goods are back", "stock.picking", "button_validate", [back], context={"skip_sms": True})
    see.touched("goods are back")
    whole("goods are back", one)
    wizard = do("stock.return.picking", "create", vals_list=[{"picking_id": first}])[0]
    tell("return all", "stock.return.picking", "action_create_returns_all", [wizard])
    whole("return all", one)

    # cancelled and taken up again
    two = order((a, 2), (c, 1))
    tell("confirm 2", "sale.order", "action_confirm", [two], context=QUIET)
    tell("cancel 2", "sale.order", "action_cancel", [two])
    see.touched("cancelled 2")
    whole("cancelled 2", two)
    tell("draft 2", "sale.order", "action_draft", [two])
    tell("confirm 2 again", "sale.order", "action_confirm", [two], context=QUIET)
    whole("confirmed 2 again", two)

    # more and less than what is delivered
    three = order((a, 1), (c, 3))
    tell("confirm 3", "sale.order", "action_confirm", [three], context=QUIET)
    tell("validate 3", "stock.picking", "button_validate", pickings_of(three), context={"skip_sms": True})
    whole("validated 3", three)
    a3, c3 = lines_of(three)
    tell("more after delivery", "sale.order.line", "write", [a3], vals={"product_uom_qty": 2})
    whole("more after delivery", three)
    tell("less than delivered", "sale.order.line", "write", [c3], vals={"product_uom_qty": 1})
    whole("less than delivered", three)
    tell("cancel 3", "sale.order", "action_cancel", [three])
    whole("cancelled 3", three)
    see.touched("cancelled 3")

    # lines added, more than there is, nothing to deliver
    four = order((s, 2))
    tell("confirm 4", "sale.order", "action_confirm", [four], context=QUIET)
    whole("only a service", four)
    new = [0, 0, {"product_id": a, "name": "new", "product_uom_qty": 100, "price_unit": 1, "tax_ids": []}]
    tell("a line more", "sale.order", "write", [four], vals={"order_line": [new]})
    whole("a line more", four)
    moves = do("stock.move", "search", domain=[["picking_id.sale_id", "=", four]])
    tell("all of it", "stock.move", "write", moves, vals={"quantity": 100})
    quants("taken more than there is")
    tell("validate 4", "stock.picking", "button_validate", pickings_of(four), context={"skip_sms": True})
    whole("validated 4", four)
    quants("below nothing")
    quantities("in the warehouse", warehouse_id=warehouse["id"])
    quantities("on the shelf", location=shelf)
    quantities("in the whole house", location=warehouse["view_location_id"][0])
    see.touched("end")


INVOICE = (
    "name state move_type payment_state amount_untaxed amount_tax amount_total amount_residual currency_id ref "
    "invoice_origin reversed_entry_id partner_id partner_shipping_id invoice_date payment_reference access_url "
    "amount_total_signed amount_residual_signed journal_id invoice_line_ids"
)
INVOICE_LINE = (
    "move_id display_type name product_id quantity price_unit discount price_subtotal price_total tax_ids "
    "tax_line_id account_type debit credit amount_currency amount_residual amount_residual_currency reconciled "
    "sale_line_ids parent_state extra_tax_data date_maturity"
)
PAYMENT = "name state amount payment_type partner_type move_id memo is_reconciled is_matched reconciled_invoice_ids"


def money(see: Witness) -> None:
    """Invoices from orders, credit notes, payments both ways, and what reconciles with what."""
    do, tell = see.do, see.tell
    customer = do("res.partner", "create", vals_list=[{"name": "Cust", "street": "1 r", "city": "Paris"}])[0]
    group = do("account.tax.group", "create", vals_list=[{"name": "H4"}])[0]
    tax, inside = do(
        "account.tax",
        "create",
        vals_list=[
            {"name": "H4 20", "amount": 20, "type_tax_use": "sale", "tax_group_id": group},
            {
                "name": "H4 10 in",
                "amount": 10,
                "type_tax_use": "sale",
                "price_include_override": "tax_included",
                "tax_group_id": group,
            },
        ],
    )
    a, b, s = do(
        "product.product",
        "create",
        vals_list=[
            {"name": "A", "default_code": "H4A", "is_storable": True, "list_price": 10},
            {"name": "B", "default_code": "H4B", "is_storable": True, "list_price": 20, "invoice_policy": "delivery"},
            {"name": "S", "default_code": "H4S", "type": "service", "list_price": 7},
        ],
    )
    bank = do("account.journal", "create", vals_list=[{"name": "H4 Bank", "code": "H4B", "type": "bank"}])[0]
    see.watched = {
        "sale.order": [["partner_id", "=", customer]],
        "sale.order.line": [["order_id.partner_id", "=", customer]],
        "account.move": [["partner_id", "=", customer]],
        "account.payment": [["partner_id", "=", customer]],
        "res.partner": [["id", "=", customer]],
    }
    moves: list[list[Any]] = [["partner_id", "=", customer]]

    def order(*lines: tuple[int, float, float, list[int]], confirm: bool = True, **more: Any) -> int:
        commands = [
            [
                0,
                0,
                {
                    "product_id": product,
                    "name": f"line {number}",
                    "product_uom_qty": quantity,
                    "price_unit": price,
                    "tax_ids": [[6, 0, taxes]],
                    **(more if number == 1 else {}),
                },
            ]
            for number, (product, quantity, price, taxes) in enumerate(lines, 1)
        ]
        made = int(do("sale.order", "create", vals_list=[{"partner_id": customer, "order_line": commands}])[0])
        if confirm:
            do("sale.order", "action_confirm", [made], context=QUIET)
        return made

    def invoice(title: str, order_id: int, **values: Any) -> None:
        context = {**QUIET, "active_model": "sale.order", "active_ids": [order_id], "active_id": order_id}
        values = {"advance_payment_method": "delivered", **values}
        wizard = do("sale.advance.payment.inv", "create", vals_list=[values], context=context)
        tell(f"{title}: create_invoices", "sale.advance.payment.inv", "create_invoices", wizard, context=context)

    def invoices_of(order_id: int) -> list[int]:
        return sorted(do("sale.order", "read", [order_id], fields=["invoice_ids"])[0]["invoice_ids"])

    def open_line(move: int) -> int:
        domain = [["move_id", "=", move], ["account_type", "=", "asset_receivable"]]
        return int(do("account.move.line", "search", domain=domain, order="id")[0])

    def pay(amount: float, memo: str, direction: str = "inbound") -> int:
        values = {"payment_type": direction, "partner_type": "customer", "partner_id": customer, "amount": amount,
                  "journal_id": bank, "memo": memo}  # fmt: skip
        made = int(do("account.payment", "create", vals_list=[values])[0])
        tell(f"{memo}: post", "account.payment", "action_post", [made])
        return made

    def entry_of(payment: int) -> int:
        found = do("account.payment", "read", [payment], fields=["move_id"])[0]["move_id"]
        return int(found[0]) if found else 0

    def whole(title: str, *orders: int) -> None:
        see.see(f"{title}: invoices", "account.move", [*moves, ["move_type", "!=", "entry"]], INVOICE)
        for number in orders:
            see.see(f"{title}: order", "sale.order", [["id", "=", number]], f"{ORDER} invoice_ids invoice_count")
            see.see(f"{title}: order lines", "sale.order.line", [["order_id", "=", number]], f"{LINE} invoice_lines")
        see.see(f"{title}: payments", "account.payment", moves, PAYMENT)

    def lines(title: str, *numbers: int) -> None:
        see.see(title, "account.move.line", [["move_id", "in", list(numbers)]], INVOICE_LINE)

    # an order invoiced as ordered
    see.touched("before")
    one = order((a, 3, 10.01, [tax]), (s, 1, 7.33, [inside]))
    see.touched("ordered")
    invoice("one", one)
    see.touched("drafted")
    whole("drafted", one)
    first = invoices_of(one)[0]
    lines("drafted lines", first)
    invoice("again", one)
    tell("post", "account.move", "action_post", [first])
    see.touched("posted")
    whole("posted", one)
    lines("posted lines", first)
    tell("post again", "account.move", "action_post", [first])
    tell("delete a posted one", "account.move", "unlink", [first])

    # paid in two parts
    part = pay(20.0, "part")
    see.touched("paid a part")
    see.see("part", "account.payment", [["id", "=", part]], PAYMENT)
    entry = entry_of(part)
    lines("part: entry", entry)
    tell("assign", "account.move", "js_assign_outstanding_line", [first], line_id=open_line(entry))
    see.touched("assigned")
    whole("assigned", one)
    tell("assign again", "account.move", "js_assign_outstanding_line", [first], line_id=open_line(entry))
    rest = pay(100.0, "rest")
    tell("assign rest", "account.move", "js_assign_outstanding_line", [first], line_id=open_line(entry_of(rest)))
    see.touched("assigned rest")
    whole("assigned rest", one)
    lines("assigned rest: lines", first, entry, entry_of(rest))

    # invoiced as delivered, with taxes from outside
    outside = {
        "price_unit": 9.99, "quantity": 3.0, "discount": 0.0, "currency_id": 0,
        "manual_tax_amounts": {str(tax): {"tax_amount_currency": 6.01}},
    }  # fmt: skip
    currency = do("sale.order", "read", [one], fields=["currency_id"])[0]["currency_id"][0]
    outside["currency_id"] = currency
    two = order((b, 3, 9.99, [tax]), extra_tax_data=outside)
    whole("two", two)
    invoice("nothing delivered", two)
    pickings = do("stock.picking", "search", domain=[["sale_id", "=", two]])
    held = do("stock.move", "search", domain=[["picking_id", "in", pickings]])
    do("stock.move", "write", held, vals={"quantity": 2})
    quiet = {"skip_backorder": True, "skip_sms": True}
    do("stock.picking", "button_validate", pickings, context=quiet)
    whole("two of three", two)
    invoice("two", two)
    second = invoices_of(two)[0]
    whole("two invoiced", two)
    lines("two: lines", second)
    backorder = do("stock.picking", "search", domain=[["sale_id", "=", two], ["state", "!=", "done"]])
    held = do("stock.move", "search", domain=[["picking_id", "in", backorder]])
    do("stock.move", "write", held, vals={"quantity": 1})
    do("stock.picking", "button_validate", backorder, context=quiet)
    whole("all three", two)
    tell("delete a draft", "account.move", "unlink", [second])
    whole("draft deleted", two)
    invoice("all three", two)
    second = invoices_of(two)[0]
    lines("all three: lines", second)
    tell("post two", "account.move", "action_post", [second])
    whole("two posted", two)
    lines("two posted: lines", second)

    # reversed by the wizard
    journal = do("account.move", "read", [second], fields=["journal_id"])[0]["journal_id"][0]
    context = {**QUIET, "active_model": "account.move", "active_ids": [second]}
    wizard = do(
        "account.move.reversal",
        "create",
        vals_list=[{"move_ids": [[6, 0, [second]]], "reason": "sent back", "journal_id": journal}],
        context=context,
    )
    see.see("wizard", "account.move.reversal", [["id", "in", wizard]], "reason residual move_type")
    tell("refund_moves", "account.move.reversal", "refund_moves", wizard, context=context)
    see.touched("reversal drafted")
    third = do("account.move", "search", domain=[["reversed_entry_id", "=", second]])[0]
    whole("reversal drafted", two)
    lines("reversal lines", third)
    tell("post reversal", "account.move", "action_post", [third])
    see.touched("reversal posted")
    whole("reversal posted", two)
    lines("reversal posted: lines", second, third)

    # a credit note made directly, paid out
    line_a = do("sale.order", "read", [one], fields=["order_line"])[0]["order_line"][0]
    row = {
        "product_id": a, "name": "back", "quantity": 1, "price_unit": 10.01, "tax_ids": [[6, 0, [tax]]],
        "sale_line_ids": [[6, 0, [line_a]]],
    }  # fmt: skip
    values = {
        "move_type": "out_refund", "partner_id": customer, "invoice_origin": "web:order:1", "ref": "refund 7",
        "reversed_entry_id": first, "invoice_date": "2026-11-20", "invoice_line_ids": [[0, 0, row]],
    }  # fmt: skip
    fourth = do("account.move", "create", vals_list=[values], context=QUIET)[0]
    whole("credit note drafted", one)
    lines("credit note lines", fourth)
    tell("post credit note", "account.move", "action_post", [fourth])
    see.touched("credit note posted")
    whole("credit note posted", one)
    out = pay(12.01, "out", "outbound")
    see.see("out", "account.payment", [["id", "=", out]], PAYMENT)
    lines("out: entry", entry_of(out))
    tell("assign out", "account.move", "js_assign_outstanding_line", [fourth], line_id=open_line(entry_of(out)))
    see.touched("assigned out")
    whole("assigned out", one)
    lines("assigned out: lines", fourth, entry_of(out))

    # a credit note by amount, against an open invoice
    three = order((s, 2, 50.0, [tax]))
    invoice("three", three)
    fifth = invoices_of(three)[0]
    do("account.move", "action_post", [fifth])
    values = {
        "move_type": "out_refund", "partner_id": customer, "invoice_date": "2026-11-20",
        "invoice_line_ids": [[0, 0, {"name": "Goodwill", "quantity": 1, "price_unit": 30.0, "tax_ids": [[6, 0, []]]}]],
    }  # fmt: skip
    sixth = do("account.move", "create", vals_list=[values], context=QUIET)[0]
    do("account.move", "action_post", [sixth])
    tell("credit assigned", "account.move", "js_assign_outstanding_line", [fifth], line_id=open_line(sixth))
    whole("credit assigned", three)
    free = pay(90.0, "rest of three")
    tell("reconcile", "account.move.line", "reconcile", [open_line(fifth), open_line(entry_of(free))])
    whole("reconciled", three)
    tell("reconcile nothing", "account.move.line", "reconcile", [open_line(fifth), open_line(entry_of(free))])

    # undone
    four = order((s, 1, 5.0, []))
    invoice("four", four)
    tell("cancel order with draft", "sale.order", "action_cancel", [four])
    whole("cancelled with draft", four)
    five = order((s, 1, 5.0, []))
    invoice("five", five)
    last = invoices_of(five)[0]
    do("account.move", "action_post", [last])
    tell("cancel order with posted", "sale.order", "action_cancel", [five])
    whole("cancelled with posted", five)
    tell("to draft", "account.move", "button_draft", [last])
    whole("back in draft", five)
    tell("post once more", "account.move", "action_post", [last])
    whole("posted once more", five)
    tell("cancel posted", "account.move", "button_cancel", [last])
    tell("reset a paid one", "account.move", "button_draft", [first])
    whole("reset a paid one", one)
    tell("payment back to draft", "account.payment", "action_draft", [out])
    whole("payment back to draft", one)
    tell("cancel payment", "account.payment", "action_cancel", [out])
    whole("cancelled payment", one)
    empty = do("account.move", "create", vals_list=[{"move_type": "out_invoice", "partner_id": customer}])[0]
    tell("post an empty one", "account.move", "action_post", [empty])
    tell("delete the empty one", "account.move", "unlink", [empty])
    see.touched("end")


TEMPLATE = (
    "name default_code barcode list_price standard_price weight sale_ok active categ_id type is_storable "
    "invoice_policy product_variant_ids product_variant_count attribute_line_ids taxes_id description_sale"
)
VARIANT = (
    "display_name name default_code barcode lst_price list_price price_extra standard_price weight active "
    "product_tmpl_id product_template_attribute_value_ids product_template_variant_value_ids categ_id"
)
DOT = (  # an image of one white point, and one of a black one
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTjxGQAAAABJRU5ErkJggg==",
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==",
)


def catalogue(see: Witness) -> None:
    """Articles with variants, categories, images, and prices by rules."""
    do, tell = see.do, see.tell
    see.watched = {
        "product.template": [["name", "like", "H4%"]],
        "product.product": [["name", "like", "H4%"]],
        "product.pricelist.item": [["pricelist_id.name", "like", "H4%"]],
        "product.category": [["name", "like", "H4%"]],
        "ir.attachment": [
            ["res_model", "in", ["product.template", "product.product"]],
            ["res_field", "=", "image_1920"],
        ],
    }

    def whole(title: str) -> None:
        context = {"active_test": False}
        see.see(f"{title}: templates", "product.template", [["name", "like", "H4%"]], TEMPLATE, context=context)
        see.see(f"{title}: variants", "product.product", [["name", "like", "H4%"]], VARIANT, context=context)

    def images(title: str) -> None:
        domain = [
            ["res_model", "in", ["product.template", "product.product"]],
            ["res_field", "in", ["image_1920", "image_variant_1920"]],
        ]
        see.see(title, "ir.attachment", domain, "res_model res_field name checksum mimetype type public")

    # a plain article
    top = do("product.category", "create", vals_list=[{"name": "H4 top"}])[0]
    under = do("product.category", "create", vals_list=[{"name": "H4 under", "parent_id": top}])[0]
    see.see("categories", "product.category", [["id", "in", [top, under]]], "name complete_name parent_id child_id")
    plain = do(
        "product.template",
        "create",
        vals_list=[
            {"name": "H4 plain", "default_code": "H4P", "barcode": "H4-40001", "list_price": 12.5, "categ_id": under,
             "weight": 0.75, "standard_price": 6.0, "taxes_id": [[6, 0, []]], "is_storable": True},
        ],
    )[0]  # fmt: skip
    see.touched("plain")
    whole("plain")
    tell("price", "product.template", "write", [plain], vals={"list_price": 13.0})
    see.touched("price")
    variant = do("product.template", "read", [plain], fields=["product_variant_ids"])[0]["product_variant_ids"]
    tell("code of the variant", "product.product", "write", variant, vals={"default_code": "H4PX"})
    see.touched("code of the variant")
    tell("price of the variant", "product.product", "write", variant, vals={"lst_price": 14.0})
    see.touched("price of the variant")
    tell("name of the variant", "product.product", "write", variant, vals={"name": "H4 plainer"})
    see.touched("name of the variant")
    tell("category", "product.category", "write", [under], vals={"name": "H4 below"})
    see.touched("category")
    whole("plain changed")
    tell("same code bar", "product.product", "create", vals_list=[{"name": "H4 double", "barcode": "H4-40001"}])
    tell("archive", "product.template", "write", [plain], vals={"active": False})
    see.touched("archived")
    whole("archived")
    tell("back", "product.template", "write", [plain], vals={"active": True})
    see.touched("back")
    whole("back")

    # images
    tell("image", "product.template", "write", [plain], vals={"image_1920": DOT[0]})
    see.touched("image")
    images("image")
    tell("other image", "product.product", "write", variant, vals={"image_1920": DOT[1]})
    images("other image")
    see.touched("other image")
    tell("no image", "product.template", "write", [plain], vals={"image_1920": False})
    images("no image")
    see.touched("no image")

    # variants
    colour, size = do(
        "product.attribute",
        "create",
        vals_list=[
            {"name": "H4 colour", "value_ids": [[0, 0, {"name": "red"}], [0, 0, {"name": "blue"}]]},
            {"name": "H4 size", "value_ids": [[0, 0, {"name": "S"}], [0, 0, {"name": "L"}], [0, 0, {"name": "XL"}]]},
        ],
    )
    values = "name attribute_id sequence"
    colours = see.see("colours", "product.attribute.value", [["attribute_id", "=", colour]], values)
    sizes = see.see("sizes", "product.attribute.value", [["attribute_id", "=", size]], values)
    see.see("attributes", "product.attribute", [["id", "in", [colour, size]]], "name create_variant display_type")
    shirt = do(
        "product.template",
        "create",
        vals_list=[
            {
                "name": "H4 shirt",
                "list_price": 20.0,
                "attribute_line_ids": [
                    [0, 0, {"attribute_id": colour, "value_ids": [[6, 0, [one["id"] for one in colours]]]}],
                    [0, 0, {"attribute_id": size, "value_ids": [[6, 0, [one["id"] for one in sizes[:2]]]]}],
                ],
            }
        ],
    )[0]
    see.touched("shirt")
    whole("shirt")
    lines = see.see(
        "attribute lines",
        "product.template.attribute.line",
        [["product_tmpl_id", "=", shirt]],
        "attribute_id value_ids value_count product_template_value_ids",
    )
    chosen = "name display_name attribute_id attribute_line_id product_attribute_value_id price_extra ptav_active"
    ptavs = see.see("chosen values", "product.template.attribute.value", [["product_tmpl_id", "=", shirt]], chosen)
    tell("L is dearer", "product.template.attribute.value", "write", [ptavs[3]["id"]], vals={"price_extra": 2.5})
    see.touched("L is dearer")
    shirts = do("product.product", "search", domain=[["product_tmpl_id", "=", shirt]], order="id")
    tell(
        "codes",
        "product.product",
        "write",
        [shirts[0]],
        vals={"default_code": "H4-RS", "barcode": "H4-1", "weight": 0.2},
    )
    see.touched("codes")
    tell("price for all", "product.product", "write", [shirts[3]], vals={"lst_price": 30.0})
    see.touched("price for all")
    whole("shirt with codes")
    tell("image of one", "product.product", "write", [shirts[1]], vals={"image_variant_1920": DOT[0]})
    images("image of one")
    see.touched("image of one")
    tell("one size more", "product.template.attribute.line", "write", [lines[1]["id"]],
         vals={"value_ids": [[4, sizes[2]["id"]]]})  # fmt: skip
    see.touched("one size more")
    whole("one size more")
    tell("no blue", "product.template.attribute.line", "write", [lines[0]["id"]],
         vals={"value_ids": [[6, 0, [colours[0]["id"]]]]})  # fmt: skip
    see.touched("no blue")
    whole("no blue")
    see.see("chosen values left", "product.template.attribute.value", [["product_tmpl_id", "=", shirt]], chosen)
    tell("archive one", "product.product", "write", [shirts[0]], vals={"active": False})
    see.touched("archive one")
    whole("archived one")

    # prices by rules
    lists = do("product.pricelist", "create", vals_list=[{"name": "H4 list"}, {"name": "H4 other"}])
    rules = [
        {"pricelist_id": lists[1], "applied_on": "3_global", "compute_price": "percentage", "percent_price": 10},
        {"pricelist_id": lists[0], "applied_on": "3_global", "compute_price": "formula", "base": "pricelist",
         "base_pricelist_id": lists[1], "price_discount": 5, "price_surcharge": 0.5, "price_round": 0.1},
        {"pricelist_id": lists[0], "applied_on": "2_product_category", "categ_id": top, "compute_price": "percentage",
         "percent_price": 20},
        {"pricelist_id": lists[0], "applied_on": "1_product", "product_tmpl_id": plain, "compute_price": "fixed",
         "fixed_price": 9.99, "min_quantity": 10},
        {"pricelist_id": lists[0], "applied_on": "0_product_variant", "product_id": shirts[1], "compute_price": "fixed",
         "fixed_price": 7.77, "date_start": "2020-01-01 00:00:00", "date_end": "2030-01-01 00:00:00"},
        {"pricelist_id": lists[0], "applied_on": "0_product_variant", "product_id": shirts[1], "compute_price": "fixed",
         "fixed_price": 1.11, "date_start": "2019-01-01 00:00:00", "date_end": "2020-01-01 00:00:00"},
        {"pricelist_id": lists[0], "applied_on": "1_product", "product_tmpl_id": shirt, "compute_price": "formula",
         "base": "standard_price", "price_discount": -50, "price_min_margin": 1.0, "price_max_margin": 2.0},
    ]  # fmt: skip
    do("product.pricelist.item", "create", vals_list=rules)
    see.see(
        "rules",
        "product.pricelist.item",
        [["pricelist_id", "in", lists]],
        "pricelist_id applied_on compute_price base base_pricelist_id percent_price price_discount price_surcharge "
        "price_round fixed_price min_quantity date_start date_end product_id product_tmpl_id categ_id price_markup "
        "price_min_margin price_max_margin currency_id company_id",
    )
    see.touched("rules")
    customer = do("res.partner", "create", vals_list=[{"name": "Cust"}])[0]
    third = do("product.product", "create", vals_list=[{"name": "H4 third", "list_price": 33.33}])[0]
    for title, product, quantity in (
        ("by category", variant[0], 1),
        ("from ten on", variant[0], 10),
        ("by variant", shirts[1], 1),
        ("by template, from cost", do("product.product", "search", domain=[["product_tmpl_id", "=", shirt]])[-1], 1),
        ("by the other list", third, 1),
    ):
        line = [0, 0, {"product_id": product, "product_uom_qty": quantity, "tax_ids": [[6, 0, []]]}]
        number = do(
            "sale.order",
            "create",
            vals_list=[{"partner_id": customer, "pricelist_id": lists[0], "order_line": [line]}],
        )[0]
        see.see(f"price {title}", "sale.order.line", [["order_id", "=", number]], "price_unit discount price_subtotal")
    see.touched("end")


def merging(see: Witness) -> None:
    """Two customers become one: orders, addresses, external ids, invoices follow."""
    do, tell = see.do, see.tell
    kept, gone, other = do(
        "res.partner",
        "create",
        vals_list=[
            {"name": "Kept", "email": "kept@x.test"},
            {"name": "Gone", "email": "gone@x.test", "phone": "+33123456789", "street": "2 r", "city": "Lyon"},
            {"name": "Other", "email": "other@x.test"},
        ],
    )
    child = do("res.partner", "create", vals_list=[{"name": "Door", "parent_id": gone, "type": "delivery"}])[0]
    rows = [
        {"module": "h4", "name": f"customer_{name}", "model": "res.partner", "res_id": number, "noupdate": True}
        for name, number in (("kept", kept), ("gone", gone), ("child", child))
    ]
    do("ir.model.data", "create", vals_list=rows)
    tell("the same id twice", "ir.model.data", "create", vals_list=rows[:1])
    product = do("product.product", "create", vals_list=[{"name": "A", "default_code": "H4A", "type": "service"}])[0]
    order = do(
        "sale.order",
        "create",
        vals_list=[
            {"partner_id": gone, "partner_shipping_id": child,
             "order_line": [[0, 0, {"product_id": product, "name": "x", "price_unit": 3.0, "tax_ids": []}]]}
        ],
    )[0]  # fmt: skip
    everyone = [["id", "in", [kept, gone, other, child]]]
    fields = "name email phone street city parent_id child_ids active type commercial_partner_id partner_share"
    see.watched = {"res.partner": everyone, "sale.order": [["id", "=", order]],
                   "ir.model.data": [["module", "=", "h4"]]}  # fmt: skip

    def whole(title: str) -> None:
        see.see(f"{title}: partners", "res.partner", everyone, fields, context={"active_test": False})
        see.see(
            f"{title}: orders", "sale.order", [["id", "=", order]], "partner_id partner_shipping_id partner_invoice_id"
        )
        rows = see.do(
            "ir.model.data", "search_read", domain=[["module", "=", "h4"]], fields=["name", "res_id"], order="id"
        )
        see.log.append([f"{title}: ids", [[row["name"], see.name("res.partner", row["res_id"])] for row in rows]])

    whole("before")
    see.touched("before")
    wizard = do(
        "base.partner.merge.automatic.wizard",
        "create",
        vals_list=[{"partner_ids": [[6, 0, [kept, gone]]], "dst_partner_id": kept, "state": "selection"}],
    )
    tell("merge different addresses", "base.partner.merge.automatic.wizard", "action_merge", wizard)
    whole("merge different addresses")
    see.touched("merge different addresses")
    do("res.partner", "write", [other], vals={"email": "kept@x.test"})
    wizard = do(
        "base.partner.merge.automatic.wizard",
        "create",
        vals_list=[{"partner_ids": [[6, 0, [kept, other]]], "dst_partner_id": kept, "state": "selection"}],
    )
    tell("merge", "base.partner.merge.automatic.wizard", "action_merge", wizard)
    whole("merged")
    see.touched("merged")
    tell("archive", "res.partner", "write", [kept], vals={"active": False})
    see.touched("archived")
    whole("archived")


SCENARIOS: dict[str, Callable[[Witness], None]] = {
    "goods": goods,
    "money": money,
    "catalogue": catalogue,
    "merging": merging,
}


def play(name: str, call: Call, fields: dict[str, dict[str, Any]], wait: Callable[[], None]) -> list[list[Any]]:
    """The log of a scenario."""
    witness = Witness(call, fields, wait)
    SCENARIOS[name](witness)
    done: list[list[Any]] = json.loads(json.dumps(witness.log))
    return done


def recorded(name: str) -> list[list[Any]]:
    """What the real server did."""
    log: list[list[Any]] = json.loads((RECORDINGS / f"scenario_{name}_19.json").read_text())
    return log


class _Fields(dict[str, Any]):
    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call

    def __missing__(self, model: str) -> Any:
        self[model] = self._call(model, "fields_get", attributes=["type", "relation"])
        return self[model]


def _main() -> None:
    url, database, key, *names = sys.argv[1:]

    def call(model: str, method: str, **arguments: Any) -> Any:
        request = urllib.request.Request(
            f"{url}/json/2/{model}/{method}",
            json.dumps(arguments).encode(),
            {"authorization": f"bearer {key}", "content-type": "application/json", "x-odoo-database": database},
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            body = json.loads(error.read())
            raise Refused(error.code, body["name"], body["message"]) from None

    for name in names or SCENARIOS:
        log = play(name, call, _Fields(call), lambda: time.sleep(1.1))
        lines = ",\n".join(json.dumps(line, ensure_ascii=False) for line in log)
        (RECORDINGS / f"scenario_{name}_19.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    _main()
