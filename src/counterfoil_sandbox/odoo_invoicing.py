"""Invoices and credit notes of the Odoo stand-in: their lines, taxes and totals, posting, and making them from orders.

An invoice is an account.move whose journal items are kept in step while it is a draft: the lines themselves, one item
per tax, one for what the customer owes. Amounts are computed like an order's. Not here: cash rounding, payment terms
in parts, early discounts, down payments, locked dates.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

from counterfoil_sandbox.odoo_base import company, find, related
from counterfoil_sandbox.odoo_ledger import line_taxes
from counterfoil_sandbox.odoo_schema import (
    AFTER_SAVE,
    BEFORE_CREATE,
    BEFORE_UNLINK,
    BEFORE_WRITE,
    COMPUTED,
    Row,
    rounded,
    user_error,
)
from counterfoil_sandbox.odoo_store import Store
from counterfoil_sandbox.odoo_taxes import line_amounts, totals

MOVE, LINE = "account.move", "account.move.line"
SALES = ("out_invoice", "out_refund")
SHOWN = ("product", "line_section", "line_subsection", "line_note")
DRAFT_NAMES = {
    "out_invoice": "Draft Invoice",
    "out_refund": "Draft Credit Note",
    "in_invoice": "Draft Bill",
    "in_refund": "Draft Vendor Credit Note",
    "out_receipt": "Draft Sales Receipt",
    "in_receipt": "Draft Purchase Receipt",
    "entry": "Draft Entry",
}
NO_CUSTOMER = (
    "The 'Customer' field is required to validate the invoice.\n"
    "You probably don't want to explain to your auditor that you invoiced an invisible man :)"
)
NEGATIVE = (
    "You cannot validate an invoice with a negative total amount. You should create a credit note instead. Use the "
    "action menu to transform it into a credit note or refund."
)
POSTED_LINE = (
    "You can't delete a posted journal item. Don’t play games with your accounting records; reset the journal entry "
    "to draft before deleting it."
)


def lines_of(store: Store, move_id: int) -> list[Row]:
    """All journal items of a move, the oldest first."""
    return [store.rows[LINE][i] for i in sorted(store.children[LINE, "move_id"].get(move_id, ()))]


def account(store: Store, kind: str) -> int:
    """The account of a type that is there once: asset_receivable, income, asset_current …"""
    return find(store, "account.account", account_type=kind)


def sign(move: Row) -> int:
    """1 where the customer owes the total, -1 where it is owed to the customer."""
    return -1 if move["move_type"] in ("out_refund", "in_invoice") else 1


# Keeping a draft in step


def _move_defaults(store: Store, vals: Row) -> None:
    kind = vals.setdefault("move_type", store.context.get("default_move_type") or "entry")
    partner = store.rows["res.partner"].get(vals.get("partner_id") or 0)
    for name, value in (
        ("state", "draft"),
        ("company_id", 1),
        ("payment_state", "not_paid"),
        ("auto_post", "no"),
        ("date", vals.get("invoice_date") or store.today()),
        ("currency_id", company(store)["currency_id"]),
    ):
        if not vals.get(name):
            vals[name] = value
    if not vals.get("journal_id"):
        wanted = {"out": "sale", "in_": "purchase"}.get(kind[:3], "general")
        wanted = "sale" if kind in SALES else wanted
        found = [row["id"] for row in store.rows["account.journal"].values() if row["type"] == wanted and row["active"]]
        if not found:
            raise user_error(f"No journal could be found in company {company(store)['name']} for any of those types: "
                             f"{wanted}")  # fmt: skip
        vals["journal_id"] = store.sorted("account.journal", found)[0]
    if kind in SALES and partner:
        vals.setdefault("partner_shipping_id", vals["partner_id"])
        vals.setdefault("invoice_user_id", store.uid)
    vals["commercial_partner_id"] = partner["commercial_partner_id"] if partner else False
    vals.setdefault("invoice_date_due", vals.get("invoice_date") or store.today())
    vals["invoice_currency_rate"] = float(store.rows["res.currency"][vals["currency_id"]]["rate"] or 1.0)


def _move_written(store: Store, ids: list[int], vals: Row) -> None:
    rows = [store.rows[MOVE][i] for i in ids]
    if "partner_id" in vals:
        partner = store.rows["res.partner"].get(vals["partner_id"] or 0)
        vals["commercial_partner_id"] = partner["commercial_partner_id"] if partner else False
    if vals.get("invoice_date"):
        vals.setdefault("date", vals["invoice_date"])
        vals.setdefault("invoice_date_due", vals["invoice_date"])
    touched = {"invoice_line_ids", "line_ids", "currency_id", "invoice_date", "partner_id"} & set(vals)
    for row in rows:
        if row["state"] == "posted" and touched - {"line_ids", "invoice_line_ids"}:
            label = store.fields(MOVE)[sorted(touched - {"line_ids", "invoice_line_ids"})[0]]["string"]
            raise user_error(f"You cannot modify the following readonly fields on a posted move: {label}")


def _move_saved(store: Store, row: Row, _changed: set[str]) -> None:
    store.stale_invoices.add(row["id"])


def _line_defaults(store: Store, vals: Row) -> None:
    move = store.rows[MOVE].get(vals.get("move_id") or 0)
    product = store.rows["product.product"].get(vals.get("product_id") or 0)
    for name, value in (("display_type", "product"), ("company_id", 1), ("sequence", 100)):
        vals.setdefault(name, value)
    if not move:
        return
    vals["parent_state"] = move["state"]
    vals["currency_id"] = move["currency_id"]
    vals.setdefault("partner_id", move["commercial_partner_id"])
    vals.setdefault("date", move["date"])
    if vals["display_type"] != "product" or move["move_type"] == "entry":
        return
    vals.setdefault("quantity", 1.0)
    vals.setdefault("account_id", account(store, "income" if move["move_type"] in SALES else "expense"))
    if product:
        vals.setdefault("name", store.display_name("product.product", product["id"]))
        vals.setdefault("price_unit", product["lst_price"] or product["list_price"])
        vals.setdefault("product_uom_id", product["uom_id"])
    if "tax_ids" not in vals:
        home = company(store)["account_sale_tax_id"]
        vals["tax_ids"] = [(6, 0, product["taxes_id"] if product else [home] if home else [])]


def _line_written(store: Store, ids: list[int], vals: Row) -> None:
    guarded = {
        "quantity",
        "price_unit",
        "discount",
        "tax_ids",
        "product_id",
        "account_id",
        "debit",
        "credit",
        "balance",
    }
    for number in ids:
        line = store.rows[LINE][number]
        if store.rows[MOVE][line["move_id"]]["state"] == "posted" and guarded & set(vals):
            raise user_error(
                "You cannot do this modification on a posted journal entry, you can just change some non legal fields."
                " You must reset the journal entry to draft to do so.\nEntry: "
                f"{store.display_name(MOVE, line['move_id'])}"
            )


def _line_saved(store: Store, row: Row, _changed: set[str]) -> None:
    store.stale_invoices.add(row["move_id"])
    stir_orders(store, [row])


def _line_unlinked(store: Store, ids: list[int]) -> None:
    rows = [store.rows[LINE][i] for i in ids]
    if any(store.rows[MOVE][row["move_id"]]["state"] == "posted" for row in rows):
        raise user_error(POSTED_LINE)
    for row in rows:
        store.stale_invoices.add(row["move_id"])
    stir_orders(store, rows)


def _move_unlinked(store: Store, ids: list[int]) -> None:
    for number in ids:
        if store.rows[MOVE][number]["state"] == "posted":
            raise user_error(POSTED_LINE)
        lines = lines_of(store, number)
        stir_orders(store, lines)
        for line in lines:
            for side in ("debit_move_id", "credit_move_id"):
                for partial in list(store.children["account.partial.reconcile", side].get(line["id"], ())):
                    store.unlink("account.partial.reconcile", [partial])
            store.put(LINE, line["id"], None)


def stir_orders(store: Store, lines: Iterable[Row]) -> None:
    """Orders whose lines are on these invoice lines have to look again at what is invoiced."""
    for line in lines:
        for sold in line["sale_line_ids"]:
            if sold in store.rows["sale.order.line"]:
                store.stale_orders.add(store.rows["sale.order.line"][sold]["order_id"])


def settle_invoices(store: Store) -> None:
    """Bring every draft whose lines or header changed back into step."""
    while store.stale_invoices:
        move = store.rows[MOVE].get(store.stale_invoices.pop())
        if move and move["move_type"] != "entry" and move["state"] == "draft":
            _synchronise(store, move)
            store.stale_invoices.discard(move["id"])


def _synchronise(store: Store, move: Row) -> None:
    currency = store.rows["res.currency"][move["currency_id"]]
    per_line = company(store)["tax_calculation_rounding_method"] == "round_per_line"
    lines = lines_of(store, move["id"])
    shown = [line for line in lines if line["display_type"] == "product"]
    amounts = [
        line_amounts(
            {**line, "product_uom_qty": line["quantity"]}, line_taxes(store, line), currency, per_line=per_line
        )
        for line in shown
    ]
    untaxed, taxes = totals(amounts, currency)
    net_sum = rounded(sum(one.excluded for one in amounts), currency["rounding"])
    rest = rounded(untaxed - net_sum, currency["rounding"])
    largest = max(range(len(amounts)), key=lambda i: abs(amounts[i].excluded), default=-1)
    direction = sign(move)
    for position, (line, one) in enumerate(zip(shown, amounts, strict=True)):
        net = rounded(one.excluded, currency["rounding"])
        store.touch(
            LINE,
            line["id"],
            price_subtotal=net,
            price_total=rounded(one.included, currency["rounding"]),
            **balance(store, move, -direction * (net + (rest if position == largest else 0.0))),
        )
    tax_sum = rounded(sum(taxes.values()), currency["rounding"])
    total = rounded(untaxed + tax_sum, currency["rounding"])
    wanted: list[tuple[str, Any, float]] = [("tax", tax_id, -direction * amount) for tax_id, amount in taxes.items()]
    if shown:
        wanted.append(("payment_term", False, direction * total))
    if store.context.get("_term_first"):
        wanted.sort(key=lambda one: one[0] != "payment_term")
    _own_lines(store, move, lines, wanted)
    home = company(store)["currency_id"]
    signed = _home(store, move, total)
    store.touch(
        MOVE,
        move["id"],
        amount_untaxed=untaxed,
        amount_tax=tax_sum,
        amount_total=total,
        amount_total_signed=direction * signed,
        amount_total_in_currency_signed=direction * total,
        amount_untaxed_signed=direction * _home(store, move, untaxed),
        amount_tax_signed=direction * _home(store, move, tax_sum),
        company_currency_id=home,
        invoice_partner_display_name=store.display_name("res.partner", move["partner_id"]) or False,
    )
    refresh_residual(store, move["id"])


def _own_lines(store: Store, move: Row, lines: list[Row], wanted: list[tuple[str, Any, float]]) -> None:
    """The items Odoo makes by itself: taxes and what is owed."""
    old = {(line["display_type"], line["tax_line_id"]): line for line in lines if line["display_type"] not in SHOWN}
    income = next((line["account_id"] for line in lines if line["display_type"] == "product"), False)
    for kind, tax_id, amount in wanted:
        values = balance(store, move, amount)
        term = kind == "payment_term"
        account_id = account(store, "asset_receivable") if term else income
        values |= {"amount_residual": values["balance"] if term else 0.0}
        values |= {"amount_residual_currency": values["amount_currency"] if term else 0.0}
        line = old.pop((kind, tax_id), None)
        if line is None:
            number = store.create(
                LINE,
                {
                    "move_id": move["id"],
                    "display_type": kind,
                    "account_id": account_id,
                    "tax_line_id": tax_id,
                    "name": False if term else store.rows["account.tax"][tax_id]["name"],
                },
            )
        else:
            number = line["id"]
        values |= {"parent_state": move["state"], "currency_id": move["currency_id"]}
        values |= {"date_maturity": (move["invoice_date_due"] or store.today()) if term else False}
        store.touch(LINE, number, **values)
    for line in old.values():
        store.put(LINE, line["id"], None)


def _home(store: Store, move: Row, amount: float) -> float:
    """An amount of the move in the company's currency."""
    home = store.rows["res.currency"][company(store)["currency_id"]]
    return rounded(amount / (move["invoice_currency_rate"] or 1.0), home["rounding"])


def balance(store: Store, move: Row, amount: float) -> Row:
    """An amount of the move's currency as an item keeps it: balance, debit and credit in the company's."""
    balance = _home(store, move, amount)
    step = store.rows["res.currency"][move["currency_id"]]["rounding"]
    return {
        "balance": balance,
        "debit": balance if balance > 0 else 0.0,
        "credit": -balance if balance < 0 else 0.0,
        "amount_currency": rounded(amount, step),
    }


def refresh_residual(store: Store, move_id: int) -> None:
    """What is still owed of an invoice, from its items' own residuals."""
    move = store.rows[MOVE][move_id]
    owed = [line for line in lines_of(store, move_id) if line["display_type"] == "payment_term"]
    left = rounded(sum(line["amount_residual_currency"] for line in owed), 0.00001)
    home = rounded(sum(line["amount_residual"] for line in owed), 0.00001)
    store.touch(MOVE, move_id, amount_residual=abs(left), amount_residual_signed=home + 0.0)
    del move


# Numbers and states


def next_name(store: Store, move: Row) -> str:
    """The number after the highest of its journal, kind and year."""
    journal = store.rows["account.journal"][move["journal_id"]]
    stem = f"{journal['code']}/{str(move['date'])[:4]}/"
    if move["origin_payment_id"]:
        stem = f"P{stem}"
    elif move["move_type"] in ("out_refund", "in_refund"):
        stem = f"R{stem}"
    highest = store.highest.get(stem, 0) + 1
    while store.index.texts[MOVE, "name"].get(f"{stem}{highest:05d}".casefold()):
        highest += 1
    while highest > 1 and not store.index.texts[MOVE, "name"].get(f"{stem}{highest - 1:05d}".casefold()):
        highest -= 1
    store.highest[stem] = highest
    return f"{stem}{highest:05d}"


def post(store: Store, ids: list[int]) -> bool:
    """action_post: drafts get a number and count from now on; raises UserError for what cannot be posted."""
    store.check_exist(MOVE, ids)
    store.flush()
    for number in ids:
        _check_postable(store, store.rows[MOVE][number])
    for number in ids:
        _post(store, number)
    return False


def _check_postable(store: Store, move: Row) -> None:
    messages = []
    if move["move_type"] in SALES and rounded(move["amount_total"], 0.00001) < 0:
        messages.append(NEGATIVE)
    if move["move_type"] in SALES and not move["partner_id"]:
        messages.append(NO_CUSTOMER)
    if move["state"] in ("posted", "cancel"):
        messages.append(f"The entry {move['name']} (id {move['id']}) must be in draft.")
    if not any(line["display_type"] in ("product", "tax", "payment_term") for line in lines_of(store, move["id"])):
        messages.append("Even magicians can't post nothing!")
    if messages:
        raise user_error("\n".join(messages))


def _post(store: Store, number: int) -> None:
    move = store.rows[MOVE][number]
    values: Row = {"state": "posted", "posted_before": True}
    if move["move_type"] in SALES and not move["invoice_date"]:
        values |= {"invoice_date": store.today(), "date": store.today(), "invoice_date_due": store.today()}
    store.touch(MOVE, number, **values)
    move = store.rows[MOVE][number]
    name = move["name"] or next_name(store, move)
    reference = move["payment_reference"] or (name if move["move_type"] == "out_invoice" else False)
    prefix, _, digits = name.rpartition("/")
    store.touch(
        MOVE,
        number,
        name=name,
        payment_reference=reference,
        sequence_prefix=f"{prefix}/",
        sequence_number=int(digits) if digits.isdigit() else 0,
    )
    for line in lines_of(store, number):
        changed: Row = {"parent_state": "posted", "move_name": name, "date": move["date"]}
        if line["display_type"] == "payment_term":
            changed["date_maturity"] = move["invoice_date_due"]
            if reference:
                changed["name"] = f"{move['ref']} - {reference}" if move["ref"] else reference
        store.touch(LINE, line["id"], **changed)
    _after_post(store, number)


def _after_post(store: Store, number: int) -> None:
    from counterfoil_sandbox import odoo_reconciling  # which knows invoices

    move = store.rows[MOVE][number]
    partner = store.rows["res.partner"].get(move["partner_id"] or 0)
    if partner:
        rank = partner["customer_rank"] + (1 if move["move_type"] in SALES else 0)
        store.put("res.partner", partner["id"], {**partner, "customer_rank": rank})
        store.stir("res.partner", [partner["id"]])
    for line in lines_of(store, number):
        for sold in line["sale_line_ids"]:
            if sold in store.rows["sale.order.line"]:
                store.stir("sale.order.line", [sold])
    original = store.rows[MOVE].get(move["reversed_entry_id"] or 0)
    if original and original["state"] == "posted":
        odoo_reconciling.reconcile_open(store, original["id"], number)
    odoo_reconciling.refresh_payment_state(store, number)


def set_draft(store: Store, ids: list[int]) -> None:
    """button_draft: back to draft under the same number, still reconciled; answers nothing."""
    store.check_exist(MOVE, ids)
    if any(store.rows[MOVE][i]["state"] not in ("cancel", "posted") for i in ids):
        raise user_error("Only posted/cancelled journal entries can be reset to draft.")
    for number in ids:
        _set_state(store, number, "draft")


def set_cancelled(store: Store, ids: list[int]) -> None:
    """button_cancel: posted ones too; what they were reconciled with is open again; answers nothing."""
    from counterfoil_sandbox import odoo_reconciling

    store.check_exist(MOVE, ids)
    for number in ids:
        odoo_reconciling.unreconcile(store, [line["id"] for line in lines_of(store, number)])
        _set_state(store, number, "cancel")


def _set_state(store: Store, number: int, state: str) -> None:
    from counterfoil_sandbox import odoo_reconciling

    store.touch(MOVE, number, state=state)
    lines = lines_of(store, number)
    for line in lines:
        store.touch(LINE, line["id"], parent_state=state)
        store.stir("sale.order.line", [sold for sold in line["sale_line_ids"] if sold in store.rows["sale.order.line"]])
    stir_orders(store, lines)
    store.stir("account.payment", odoo_reconciling.payments_of(store, store.rows[MOVE][number]))
    _stir_next(store, number)


def _stir_next(store: Store, number: int) -> None:
    """Odoo looks anew whether the invoice with the next number leaves a gap behind it."""
    move = store.rows[MOVE][number]
    if move["name"]:
        after = f"{move['sequence_prefix']}{move['sequence_number'] + 1:05d}"
        store.stir(MOVE, store.index.texts[MOVE, "name"].get(after.casefold(), ()))


def _move_name(_store: Store, row: Row) -> str:
    name = DRAFT_NAMES[row["move_type"]] if row["state"] == "draft" else ""
    if row["name"] and row["name"] != "/":
        name = f"{name} {row['name']}".strip()
    return name + (f" ({textwrap.shorten(row['ref'], width=50)})" if row["ref"] else "")


def _item_name(store: Store, row: Row) -> str:
    name = row["name"] or (store.display_name("product.product", row["product_id"]) if row["product_id"] else "")
    move = store.rows[MOVE][row["move_id"]]
    parts = [str(part) for part in (move["name"], f"({move['ref']})" if move["ref"] else "", name) if part]
    return " ".join(parts)


BEFORE_CREATE[MOVE] = _move_defaults
BEFORE_WRITE[MOVE] = _move_written
AFTER_SAVE[MOVE] = _move_saved
BEFORE_UNLINK[MOVE] = _move_unlinked
BEFORE_CREATE[LINE] = _line_defaults
BEFORE_WRITE[LINE] = _line_written
AFTER_SAVE[LINE] = _line_saved
BEFORE_UNLINK[LINE] = _line_unlinked
COMPUTED[MOVE, "display_name"] = _move_name
COMPUTED[MOVE, "access_url"] = lambda _store, row: f"/my/invoices/{row['id']}" if row["move_type"] != "entry" else "#"
COMPUTED["sale.order", "access_url"] = lambda _store, row: f"/my/orders/{row['id']}"
COMPUTED[MOVE, "direction_sign"] = lambda _store, row: 1 if row["move_type"] in ("entry", "out_refund") else -1
COMPUTED[MOVE, "amount_paid"] = lambda _store, row: row["amount_total"] - row["amount_residual"]
COMPUTED[MOVE, "country_code"] = lambda store, _row: company(store)["country_code"]
COMPUTED[MOVE, "invoice_line_ids"] = lambda store, row: store.sorted(
    LINE, [line["id"] for line in lines_of(store, row["id"]) if line["display_type"] in SHOWN]
) if row["move_type"] != "entry" else []  # fmt: skip
COMPUTED[LINE, "display_name"] = _item_name
COMPUTED[LINE, "is_refund"] = lambda store, row: store.rows[MOVE][row["move_id"]]["move_type"] == "out_refund"
related(
    LINE,
    move_type="move_id.move_type",
    account_type="account_id.account_type",
    ref="move_id.ref",
    journal_id="move_id.journal_id",
    company_currency_id="move_id.company_currency_id",
    invoice_date="move_id.invoice_date",
    payment_id="move_id.origin_payment_id",
)
COMPUTED["account.account", "display_name"] = lambda _store, row: f"{row['code']} {row['name']}"
