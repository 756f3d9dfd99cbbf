"""Payments of the Odoo stand-in."""

from __future__ import annotations

from counterfoil_sandbox import odoo_invoicing, odoo_reconciling
from counterfoil_sandbox.odoo_base import company
from counterfoil_sandbox.odoo_ledger import method_lines
from counterfoil_sandbox.odoo_schema import (
    AFTER_SAVE,
    BEFORE_CREATE,
    BEFORE_UNLINK,
    COMPUTED,
    Row,
    database_error,
    validation_error,
)
from counterfoil_sandbox.odoo_store import Store


def _payment_defaults(store: Store, vals: Row) -> None:
    for name, value in (
        ("payment_type", "inbound"),
        ("partner_type", "customer"),
        ("state", "draft"),
        ("company_id", 1),
        ("date", store.now()[:10]),
    ):
        vals.setdefault(name, value)
    if not vals.get("journal_id"):
        money = [r["id"] for r in store.rows["account.journal"].values() if r["type"] in ("bank", "cash", "credit")]
        vals["journal_id"] = store.sorted("account.journal", money)[0] if money else False
    journal = store.rows["account.journal"].get(vals["journal_id"] or 0)
    if journal and not vals.get("currency_id"):
        vals["currency_id"] = journal["currency_id"] or company(store)["currency_id"]
    if journal and not vals.get("payment_method_line_id"):
        lines = method_lines(store, journal["id"], vals["payment_type"])
        if not lines:
            raise validation_error("Please define a payment method line on your payment.")
        vals["payment_method_line_id"] = lines[0]
    if float(vals.get("amount") or 0) < 0:
        raise database_error("The payment amount cannot be negative.", "amount")


def post_payments(store: Store, ids: list[int]) -> None:
    """action_post: drafts get a number and a posted entry, and are `in_process`; answers nothing."""
    store.check_exist("account.payment", ids)
    for payment_id in ids:
        row = store.rows["account.payment"][payment_id]
        if row["state"] not in ("draft", "in_process"):
            continue
        store.touch("account.payment", payment_id, state="in_process")
        if not row["move_id"]:
            store.touch("account.payment", payment_id, move_id=_entry(store, row))
        move_id = store.rows["account.payment"][payment_id]["move_id"]
        if store.rows["account.move"][move_id]["state"] == "draft":
            odoo_invoicing.post(store, [move_id])
        store.touch("account.payment", payment_id, name=store.rows["account.move"][move_id]["name"])


def _entry(store: Store, row: Row) -> int:
    """The journal entry of a payment: where the money is, and what the customer owes that much less (or more)."""
    number = store.create(
        "account.move",
        {
            "move_type": "entry",
            "journal_id": row["journal_id"],
            "currency_id": row["currency_id"],
            "partner_id": row["partner_id"],
            "date": row["date"],
            "ref": row["memo"],
            "origin_payment_id": row["id"],
        },
    )
    return _fill(store, row, number)


def _fill(store: Store, row: Row, number: int) -> int:
    """The items of a payment's entry, made anew."""
    for line in odoo_invoicing.lines_of(store, number):
        store.put("account.move.line", line["id"], None)
    move = store.rows["account.move"][number]
    method = store.rows["account.payment.method.line"].get(row["payment_method_line_id"] or 0)
    words = [method["name"] if method else "", row["memo"] or ""]
    amount = row["amount"] if row["payment_type"] == "inbound" else -row["amount"]
    outstanding = (method and method["payment_account_id"]) or odoo_invoicing.account(store, "asset_current")
    owed = "asset_receivable" if row["partner_type"] == "customer" else "liability_payable"
    for account_id, part in ((outstanding, amount), (odoo_invoicing.account(store, owed), -amount)):
        values = odoo_invoicing.balance(store, move, part)
        line = store.create(
            "account.move.line",
            {
                "move_id": number,
                "account_id": account_id,
                "name": ": ".join(word for word in words if word),
                "partner_id": row["partner_id"],
                "quantity": 1.0,
            },
        )
        residual = {"amount_residual": values["balance"], "amount_residual_currency": values["amount_currency"]}
        shown = {"price_subtotal": part, "price_total": part, "date_maturity": row["date"]}
        store.set("account.move.line", line, **values, **residual, **shown)
    total = {"amount_total": row["amount"], "amount_total_signed": abs(values["balance"])}
    store.set("account.move", number, **total)
    return number


def _payment_saved(store: Store, row: Row, changed: set[str]) -> None:
    """Another amount of a draft that had been posted: its entry follows, and what it paid is owed again."""
    move = store.rows["account.move"].get(row["move_id"] or 0)
    if move is None or move["state"] != "draft" or not changed & {"amount", "currency_id", "partner_id"}:
        return
    odoo_reconciling.unreconcile(store, [line["id"] for line in odoo_invoicing.lines_of(store, move["id"])])
    same = {"currency_id": row["currency_id"], "partner_id": row["partner_id"], "date": row["date"]}
    store.touch("account.move", move["id"], **same)
    _fill(store, row, move["id"])


AFTER_SAVE["account.payment"] = _payment_saved


def set_payments(store: Store, ids: list[int], state: str) -> None:
    """action_draft and action_cancel: the entry follows, a cancelled draft is deleted with it; answer nothing."""
    store.check_exist("account.payment", ids)
    for payment_id in ids:
        store.write("account.payment", [payment_id], {"state": state})
        move = store.rows["account.move"].get(store.rows["account.payment"][payment_id]["move_id"] or 0)
        if move is None:
            continue
        if state == "draft" and move["state"] != "draft":
            odoo_invoicing.set_draft(store, [move["id"]])
        elif state == "canceled" and move["state"] == "draft":
            odoo_reconciling.unreconcile(store, [line["id"] for line in odoo_invoicing.lines_of(store, move["id"])])
            store.unlink("account.move", [move["id"]])
            store.set("account.payment", payment_id, move_id=False)
        elif state == "canceled":
            odoo_invoicing.set_cancelled(store, [move["id"]])


def _payments_unlinked(store: Store, ids: list[int]) -> None:
    for payment_id in ids:
        move = store.rows["account.move"].get(store.rows["account.payment"][payment_id]["move_id"] or 0)
        if move is not None:
            odoo_reconciling.unreconcile(store, [line["id"] for line in odoo_invoicing.lines_of(store, move["id"])])
            if move["state"] != "draft":
                odoo_invoicing.set_draft(store, [move["id"]])
            store.unlink("account.move", [move["id"]])


BEFORE_UNLINK["account.payment"] = _payments_unlinked
BEFORE_CREATE["account.payment"] = _payment_defaults
COMPUTED["account.payment", "display_name"] = lambda _store, row: row["name"] or "Draft Payment"
COMPUTED["account.payment", "payment_method_code"] = lambda store, row: (
    store.rows["account.payment.method.line"].get(row["payment_method_line_id"] or 0, {}).get("code", False)
)
