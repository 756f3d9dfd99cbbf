"""What pays what in the Odoo stand-in: matching journal items, and what follows for invoices and payments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from counterfoil_sandbox.odoo_base import company
from counterfoil_sandbox.odoo_invoicing import LINE, MOVE, SALES, lines_of, refresh_residual
from counterfoil_sandbox.odoo_schema import BEFORE_UNLINK, COMPUTED, Row, rounded, user_error
from counterfoil_sandbox.odoo_store import Store

PARTIAL, PAYMENT = "account.partial.reconcile", "account.payment"
OPEN_ACCOUNTS = ("asset_receivable", "liability_payable")
ALREADY = "You are trying to reconcile some entries that are already reconciled."


def _partials(store: Store, line_id: int) -> list[Row]:
    numbers = [
        number
        for side in ("debit_move_id", "credit_move_id")
        for number in store.children[PARTIAL, side].get(line_id, ())
    ]
    return [store.rows[PARTIAL][number] for number in sorted(numbers)]


def _others(store: Store, line_id: int) -> list[Row]:
    """The items this one is matched with."""
    return [
        store.rows[LINE][p["credit_move_id"] if p["debit_move_id"] == line_id else p["debit_move_id"]]
        for p in _partials(store, line_id)
    ]


def _group(store: Store, line_id: int) -> set[int]:
    """All items matched with each other, this one among them."""
    found, waiting = {line_id}, [line_id]
    while waiting:
        for other in _others(store, waiting.pop()):
            if other["id"] not in found:
                found.add(other["id"])
                waiting.append(other["id"])
    return found


def reconcile(store: Store, ids: Iterable[int]) -> None:
    """Match open items of one account with each other; raises UserError for what is matched in full already."""
    ids = list(dict.fromkeys(ids))
    store.check_exist(LINE, ids)
    store.flush()
    rows = [store.rows[LINE][i] for i in ids]
    open_groups: set[int] = set()
    for row in rows:
        if not row["reconciled"] and _partials(store, row["id"]):
            open_groups |= _group(store, row["id"])
    rows = [row for row in rows if not row["reconciled"] or row["id"] not in open_groups]
    if not rows:
        return
    if any(row["reconciled"] for row in rows):
        raise user_error(ALREADY)
    if any(row["parent_state"] != "posted" for row in rows):
        raise user_error("You can only reconcile posted entries.")
    accounts = {row["account_id"] for row in rows}
    if len(accounts) > 1:
        names = ", ".join(store.display_name("account.account", i) for i in sorted(accounts))
        raise user_error(f"Entries are not from the same account: {names}")
    account = store.rows["account.account"][accounts.pop()]
    if not account["reconcile"] and account["account_type"] not in ("asset_cash", "liability_credit_card"):
        name = store.display_name("account.account", account["id"])
        raise user_error(
            f"Account {name} does not allow reconciliation. First change the configuration of this account to allow it."
        )
    _match(store, rows)


def _match(store: Store, rows: list[Row]) -> None:
    rows = sorted(rows, key=lambda row: (row["date_maturity"] or row["date"] or "", row["id"]))
    debits = [row["id"] for row in rows if row["amount_residual"] > 0 or row["amount_residual_currency"] > 0]
    credits_ = [row["id"] for row in rows if row["id"] not in debits]
    while debits and credits_:
        debit, credit = store.rows[LINE][debits[0]], store.rows[LINE][credits_[0]]
        amount = min(debit["amount_residual"], -credit["amount_residual"])
        in_debit = min(debit["amount_residual_currency"], -credit["amount_residual_currency"])
        if amount <= 0 and in_debit <= 0:
            break
        values = {
            "debit_move_id": debit["id"],
            "credit_move_id": credit["id"],
            "amount": amount,
            "debit_amount_currency": in_debit,
            "credit_amount_currency": in_debit,
            "company_id": 1,
            "max_date": max(str(debit["date"]), str(credit["date"])),
        }
        store.create(PARTIAL, values)
        _take_off(store, debit["id"], -amount, -in_debit)
        _take_off(store, credit["id"], amount, in_debit)
        for side in (debits, credits_):
            if store.rows[LINE][side[0]]["reconciled"]:
                side.pop(0)
    _follow(store, [row["id"] for row in rows])


def _take_off(store: Store, line_id: int, amount: float, in_currency: float) -> None:
    line = store.rows[LINE][line_id]
    left = rounded(line["amount_residual"] + amount, 0.00001)
    left_currency = rounded(line["amount_residual_currency"] + in_currency, 0.00001)
    store.touch(
        LINE,
        line_id,
        amount_residual=left + 0.0,
        amount_residual_currency=left_currency + 0.0,
        reconciled=not left and not left_currency,
    )


def reconcile_open(store: Store, move_id: int, other_id: int) -> None:
    """Match what is still owed of a move with what its reversal gives back."""
    open_items = [
        line
        for line in (*lines_of(store, move_id), *lines_of(store, other_id))
        if line["display_type"] == "payment_term" and not line["reconciled"]
    ]
    if len({line["move_id"] for line in open_items}) == 2:
        _match(store, open_items)


def unreconcile(store: Store, line_ids: Iterable[int]) -> None:
    """Undo every match of these items: what they took is owed again."""
    for line_id in line_ids:
        partials = [partial["id"] for partial in _partials(store, line_id)]
        if partials:
            store.unlink(PARTIAL, partials)


def _partials_unlinked(store: Store, ids: list[int]) -> None:
    touched: list[int] = []
    for number in ids:
        row = store.rows[PARTIAL][number]
        _take_off(store, row["debit_move_id"], row["amount"], row["debit_amount_currency"])
        _take_off(store, row["credit_move_id"], -row["amount"], -row["credit_amount_currency"])
        touched += [row["debit_move_id"], row["credit_move_id"]]
        store.put(PARTIAL, number, None)
    _follow(store, touched)


def _follow(store: Store, line_ids: Iterable[int]) -> None:
    """Residuals and states of the invoices and payments behind these items."""
    moves = {store.rows[LINE][i]["move_id"]: None for i in line_ids}
    for move_id in moves:
        if store.rows[MOVE][move_id]["move_type"] != "entry":
            refresh_residual(store, move_id)
            refresh_payment_state(store, move_id)


def refresh_payment_state(store: Store, move_id: int) -> None:
    """payment_state of an invoice and the state of the payments matched with it."""
    move = store.rows[MOVE][move_id]
    if move["move_type"] not in SALES:
        return
    owed = [line for line in lines_of(store, move_id) if line["display_type"] == "payment_term"]
    others = [store.rows[MOVE][other["move_id"]] for line in owed for other in _others(store, line["id"])]
    state = "not_paid"
    if move["state"] == "posted" or move["amount_total"]:
        if not rounded(move["amount_residual"], 0.00001) and (move["state"] == "posted" or others):
            state = "paid"
            kinds = {other["move_type"] for other in others}
            paid = any(other["origin_payment_id"] for other in others)
            backwards = (
                move["move_type"] == "out_invoice" and kinds <= {"out_refund", "entry"} and "out_refund" in kinds
            )
            if not paid and (backwards or (move["move_type"] == "out_refund" and kinds == {"entry"})):
                state = "reversed"
        elif others:
            state = "partial"
    store.touch(MOVE, move_id, payment_state=state)
    payments = {other["origin_payment_id"] for other in others if other["origin_payment_id"]}
    for payment_id in payments | set(move["matched_payment_ids"]):
        refresh_payment(store, payment_id)


def refresh_payment(store: Store, payment_id: int) -> None:
    """A posted payment is paid when all invoices it is matched with are."""
    row = store.rows[PAYMENT][payment_id]
    if row["state"] not in ("in_process", "paid"):
        return
    store.stir(PAYMENT, [payment_id])
    invoices = reconciled_invoices(store, row)
    paid = bool(invoices) and all(store.rows[MOVE][i]["payment_state"] == "paid" for i in invoices)
    store.touch(PAYMENT, payment_id, state="paid" if paid else "in_process")


def _sides(store: Store, row: Row) -> tuple[list[Row], list[Row]]:
    """(items where the money is, items of what the customer owes) of a payment."""
    lines = lines_of(store, row["move_id"]) if row["move_id"] else []
    owed = [line for line in lines if store.value(LINE, line, "account_type") in OPEN_ACCOUNTS]
    return [line for line in lines if line not in owed], owed


def reconciled_invoices(store: Store, row: Row) -> list[int]:
    """Invoices and credit notes a payment is matched with."""
    found = dict.fromkeys(row["invoice_ids"])
    for line in _sides(store, row)[1]:
        for other in _others(store, line["id"]):
            if store.rows[MOVE][other["move_id"]]["move_type"] in SALES:
                found[other["move_id"]] = None
    return store.sorted(MOVE, found)


def _is_reconciled(store: Store, row: Row) -> bool:
    owed = _sides(store, row)[1]
    return bool(owed) and not rounded(sum(line["amount_residual"] for line in owed), 0.00001)


def _is_matched(store: Store, row: Row) -> bool:
    money = _sides(store, row)[0]
    return bool(money) and not rounded(sum(line["amount_residual"] for line in money), 0.00001)


def assign_outstanding(store: Store, move_id: int, line_id: int) -> None:
    """js_assign_outstanding_line: match an item with what is open of the move in the same account."""
    store.check_exist(MOVE, [move_id])
    store.check_exist(LINE, [line_id])
    account = store.rows[LINE][line_id]["account_id"]
    own = [line["id"] for line in lines_of(store, move_id) if line["account_id"] == account and not line["reconciled"]]
    reconcile(store, [line_id, *own])


def _linked(side: str) -> Any:
    other = {"debit_move_id": "credit_move_id", "credit_move_id": "debit_move_id"}[side]
    return lambda store, row: sorted(store.children[PARTIAL, other].get(row["id"], ()))


def payments_of(store: Store, row: Row) -> list[int]:
    """The payments an invoice is matched with."""
    found = dict.fromkeys(row["matched_payment_ids"])
    for line in lines_of(store, row["id"]):
        if line["display_type"] == "payment_term":
            for other in _others(store, line["id"]):
                payment = store.rows[MOVE][other["move_id"]]["origin_payment_id"]
                if payment:
                    found[payment] = None
    return sorted(found)


def _status(_store: Store, row: Row) -> str:
    if row["state"] == "posted" and row["payment_state"] in ("partial", "in_payment", "paid", "reversed"):
        return str(row["payment_state"])
    if row["state"] == "draft" and row["payment_state"] in ("partial", "in_payment", "paid"):
        return str(row["payment_state"])
    return str(row["state"])


BEFORE_UNLINK[PARTIAL] = _partials_unlinked
COMPUTED[LINE, "matched_debit_ids"] = _linked("debit_move_id")
COMPUTED[LINE, "matched_credit_ids"] = _linked("credit_move_id")
COMPUTED[LINE, "reconciled_lines_ids"] = lambda store, row: [other["id"] for other in _others(store, row["id"])]
COMPUTED[MOVE, "reconciled_payment_ids"] = payments_of
COMPUTED[MOVE, "payment_count"] = lambda store, row: len(payments_of(store, row))
COMPUTED[MOVE, "status_in_payment"] = _status
COMPUTED[MOVE, "has_reconciled_entries"] = lambda store, row: any(
    _partials(store, line["id"]) for line in lines_of(store, row["id"])
)
COMPUTED[PAYMENT, "reconciled_invoice_ids"] = reconciled_invoices
COMPUTED[PAYMENT, "reconciled_invoices_count"] = lambda store, row: len(reconciled_invoices(store, row))
COMPUTED[PAYMENT, "is_reconciled"] = _is_reconciled
COMPUTED[PAYMENT, "is_matched"] = _is_matched
COMPUTED[PARTIAL, "company_currency_id"] = lambda store, _row: company(store)["currency_id"]
