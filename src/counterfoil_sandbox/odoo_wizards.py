"""Wizards of the Odoo stand-in about invoices: making them from orders, reversing and paying them."""

from __future__ import annotations

from typing import Any

from counterfoil_sandbox import odoo_billing, odoo_invoicing, odoo_payments, odoo_reconciling
from counterfoil_sandbox.odoo_invoicing import LINE, MOVE
from counterfoil_sandbox.odoo_schema import BEFORE_CREATE, COMPUTED, Row, missing_error, user_error
from counterfoil_sandbox.odoo_store import Store

ADVANCE, REVERSAL, REGISTER = "sale.advance.payment.inv", "account.move.reversal", "account.payment.register"
OPPOSITE = {"out_invoice": "out_refund", "out_refund": "entry", "in_invoice": "in_refund", "entry": "entry"}


def _advance_defaults(store: Store, vals: Row) -> None:
    vals.setdefault("advance_payment_method", "delivered")
    vals.setdefault("consolidated_billing", True)
    vals.setdefault("deduct_down_payments", True)
    if "sale_order_ids" not in vals and store.context.get("active_model") in ("sale.order", None):
        active = store.context.get("active_ids") or [store.context.get("active_id")]
        vals["sale_order_ids"] = [(6, 0, [number for number in active if number])]


def create_invoices(store: Store, wizard_id: int) -> Row:
    """create_invoices: drafts for the wizard's orders; the action that would show them."""
    wizard = store.rows[ADVANCE].get(wizard_id)
    if wizard is None:
        raise missing_error(ADVANCE, wizard_id)
    if wizard["advance_payment_method"] != "delivered":
        raise NotImplementedError("down payments are not part of the stand-in")
    made = odoo_billing.make_invoices(store, wizard["sale_order_ids"])
    return _action(store, "Invoices", made)


def _action(_store: Store, name: str, moves: list[int]) -> Row:
    action: Row = {"name": name, "type": "ir.actions.act_window", "res_model": MOVE}
    if len(moves) == 1:
        return {**action, "view_mode": "form", "res_id": moves[0], "context": {"default_move_type": "out_invoice"}}
    return {**action, "view_mode": "list,form", "domain": [["id", "in", moves]]}


def _reversal_defaults(store: Store, vals: Row) -> None:
    if "move_ids" not in vals and store.context.get("active_model") == MOVE:
        vals["move_ids"] = [(6, 0, store.context.get("active_ids") or [])]
    vals.setdefault("date", store.today())
    vals.setdefault("company_id", 1)
    chosen = [number for command in vals.get("move_ids") or [] for number in _numbers(command)]
    for number in chosen:
        if number in store.rows[MOVE] and store.rows[MOVE][number]["state"] != "posted":
            raise user_error("To reverse a journal entry, it has to be posted first.")
    if chosen and not vals.get("journal_id"):
        vals["journal_id"] = store.rows[MOVE][chosen[0]]["journal_id"]


def _numbers(command: Any) -> list[int]:
    if isinstance(command, int):
        return [command]
    return list(command[2]) if command[0] == 6 else [command[1]] if command[0] == 4 else []


def reverse(store: Store, wizard_id: int, *, modify: bool) -> Row:
    """refund_moves and modify_moves: drafts of the opposite kind; modify posts them and drafts the invoices anew."""
    wizard = store.rows[REVERSAL].get(wizard_id)
    if wizard is None:
        raise missing_error(REVERSAL, wizard_id)
    made = []
    for number in wizard["move_ids"]:
        move = store.rows[MOVE][number]
        new = _copy(store, move, wizard)
        if modify:
            store.flush()
            odoo_invoicing.post(store, [new])
            new = _copy(store, move, wizard, again=True)
        made.append(new)
    store.flush()
    store.set(REVERSAL, wizard_id, new_move_ids=made)
    return _action(store, "Reverse Moves", made)


def _copy(store: Store, move: Row, wizard: Row, *, again: bool = False) -> int:
    store.stir(MOVE, [move["id"]])
    values: Row = {
        name: move[name]
        for name in (
            "partner_id",
            "partner_shipping_id",
            "currency_id",
            "invoice_origin",
            "invoice_user_id",
            "narration",
        )
    }
    if again:
        values |= {"move_type": move["move_type"], "ref": move["ref"]}
    else:
        reason = f", {wizard['reason']}" if wizard["reason"] else ""
        values |= {
            "move_type": OPPOSITE[move["move_type"]],
            "reversed_entry_id": move["id"],
            "ref": f"Reversal of: {move['name']}{reason}",
            "invoice_date": wizard["date"],
            "invoice_date_due": wizard["date"],
        }
    kept = ("display_type", "sequence", "name", "product_id", "product_uom_id", "quantity", "discount", "price_unit",
            "account_id", "extra_tax_data")  # fmt: skip
    lines = []
    for line in odoo_invoicing.lines_of(store, move["id"]):
        if line["display_type"] in odoo_invoicing.SHOWN:
            links = {name: [(6, 0, line[name])] for name in ("tax_ids", "sale_line_ids")}
            lines.append((0, 0, {**{name: line[name] for name in kept}, **links}))
    values |= {"journal_id": wizard["journal_id"] or move["journal_id"], "invoice_line_ids": lines}
    kept_context = store.context
    store.context = {**kept_context, "_term_first": True}
    try:
        number = store.create(MOVE, values)
        store.flush()
    finally:
        store.context = kept_context
    return number


def _register_defaults(store: Store, vals: Row) -> None:
    if "line_ids" not in vals:
        active = store.context.get("active_ids") or []
        moves = active if store.context.get("active_model") == MOVE else []
        items = [line for move in moves for line in odoo_invoicing.lines_of(store, move)]
        items += [store.rows[LINE][i] for i in active if store.context.get("active_model") == LINE]
        open_items = [line for line in items if line["display_type"] == "payment_term" and not line["reconciled"]]
        vals["line_ids"] = [(6, 0, [line["id"] for line in open_items if line["parent_state"] == "posted"])]
    chosen = [store.rows[LINE][i] for command in vals["line_ids"] for i in _numbers(command)]
    if not chosen:
        raise user_error(
            "You can't register a payment because there is nothing left to pay on the selected journal items."
        )
    owed = sum(line["amount_residual_currency"] for line in chosen)
    vals.setdefault("payment_type", "inbound" if owed > 0 else "outbound")
    vals.setdefault("partner_type", "customer")
    vals.setdefault("amount", abs(owed))
    vals.setdefault("payment_date", store.today())
    vals.setdefault("currency_id", chosen[0]["currency_id"])
    vals.setdefault("partner_id", chosen[0]["partner_id"])
    vals.setdefault("company_id", 1)
    move = store.rows[MOVE][chosen[0]["move_id"]]
    vals.setdefault("communication", move["payment_reference"] or move["ref"] or move["name"])
    if not vals.get("journal_id"):
        found = [r["id"] for r in store.rows["account.journal"].values() if r["type"] in ("bank", "cash", "credit")]
        vals["journal_id"] = store.sorted("account.journal", found)[0]


def register_payment(store: Store, wizard_id: int) -> Row:
    """action_create_payments: one posted payment for the wizard's items, matched with them."""
    wizard = store.rows[REGISTER].get(wizard_id)
    if wizard is None:
        raise missing_error(REGISTER, wizard_id)
    same = ("payment_type", "partner_type", "partner_id", "amount", "currency_id", "journal_id")
    values = {name: wizard[name] for name in same} | {"date": wizard["payment_date"], "memo": wizard["communication"]}
    if wizard["payment_method_line_id"]:
        values["payment_method_line_id"] = wizard["payment_method_line_id"]
    number = store.create("account.payment", values)
    odoo_payments.post_payments(store, [number])
    entry = store.rows["account.payment"][number]["move_id"]
    accounts = {store.rows[LINE][i]["account_id"] for i in wizard["line_ids"]}
    own = [line["id"] for line in odoo_invoicing.lines_of(store, entry) if line["account_id"] in accounts]
    odoo_reconciling.reconcile(store, [*wizard["line_ids"], *own])
    return {
        "name": "Payments",
        "type": "ir.actions.act_window",
        "res_model": "account.payment",
        "context": {"create": False},
        "view_mode": "form",
        "res_id": number,
    }


BEFORE_CREATE[REGISTER] = _register_defaults
BEFORE_CREATE[ADVANCE] = _advance_defaults
BEFORE_CREATE[REVERSAL] = _reversal_defaults
COMPUTED[REVERSAL, "residual"] = lambda store, row: (
    store.rows[MOVE][row["move_ids"][0]]["amount_residual"] if len(row["move_ids"]) == 1 else 0.0
)
COMPUTED[REVERSAL, "move_type"] = lambda store, row: (
    store.rows[MOVE][row["move_ids"][0]]["move_type"] if len(row["move_ids"]) == 1 else False
)
COMPUTED[REVERSAL, "currency_id"] = lambda store, row: (
    store.rows[MOVE][row["move_ids"][0]]["currency_id"] if row["move_ids"] else False
)
COMPUTED[ADVANCE, "count"] = lambda _store, row: len(row["sale_order_ids"])
