"""Taxes and journals of the Odoo stand-in."""

from __future__ import annotations

from counterfoil_sandbox.odoo_base import company, country_code, defaults, find
from counterfoil_sandbox.odoo_schema import (
    AFTER_SAVE,
    BEFORE_CREATE,
    COMPUTED,
    Row,
    database_error,
    validation_error,
)
from counterfoil_sandbox.odoo_store import Store


def _tax_defaults(store: Store, vals: Row) -> None:
    home = company(store)
    for name, value in (
        ("type_tax_use", "sale"),
        ("amount_type", "percent"),
        ("active", True),
        ("company_id", 1),
        ("sequence", 1),
        ("is_base_affected", True),
        ("country_id", home["account_fiscal_country_id"]),
        ("tax_group_id", 1),
    ):
        vals.setdefault(name, value)
    if "price_include" in vals:  # computed in 19: what is written is the override
        vals["price_include_override"] = "tax_included" if vals.pop("price_include") else False
    same = ("name", "type_tax_use", "tax_scope", "country_id")
    for row in store.rows["account.tax"].values():
        if all((row[name] or False) == (vals.get(name) or False) for name in same):
            raise validation_error(f"Tax names must be unique!\n- {vals['name']} in {home['name']}")


def price_include(store: Store, row: Row) -> bool:
    chosen = row["price_include_override"] or company(store)["account_price_include"]
    return bool(chosen == "tax_included")


def _tax_name(store: Store, row: Row) -> str:
    code = country_code(store, row["country_id"])
    home = country_code(store, company(store)["account_fiscal_country_id"])
    return row["name"] if code == home else f"{row['name']} ({code})"


def _journal_defaults(store: Store, vals: Row) -> None:
    for name, value in (("active", True), ("company_id", 1), ("sequence", 10)):
        vals.setdefault(name, value)
    codes = {row["code"] for row in store.rows["account.journal"].values()}
    if not vals.get("code"):
        stem = {"bank": "BNK", "cash": "CSH", "credit": "CCD"}.get(vals.get("type", ""), "MISC")
        vals["code"] = next(f"{stem}{n}" for n in range(1, 100) if f"{stem}{n}" not in codes)
    if vals["code"] in codes:
        raise database_error("Journal codes must be unique per company.")


def _journal_saved(store: Store, row: Row, _changed: set[str]) -> None:
    lines = "account.payment.method.line"
    if row["type"] in ("bank", "cash", "credit") and not row["default_account_id"]:
        values = {"code": f"5121{row['id']:02d}", "name": row["name"], "account_type": "asset_cash"}
        store.set("account.journal", row["id"], default_account_id=store.create("account.account", values))
    if row["type"] in ("bank", "cash", "credit") and not method_lines(store, row["id"], "inbound"):
        for direction in ("inbound", "outbound"):
            method = find(store, "account.payment.method", code="manual", payment_type=direction)
            values = {"name": "Manual Payment", "journal_id": row["id"], "sequence": 10, "payment_method_id": method}
            line = store.create(lines, values)
            store.set(lines, line, code="manual", payment_type=direction)


def method_lines(store: Store, journal_id: int, direction: str) -> list[int]:
    rows = store.rows["account.payment.method.line"].values()
    return [row["id"] for row in rows if row["journal_id"] == journal_id and row["payment_type"] == direction]


def line_taxes(store: Store, line: Row) -> list[Row]:
    """The taxes of a line, groups replaced by their members, each saying whether prices include it."""
    taxes: dict[int, Row] = {}
    for tax_id in line["tax_ids"]:
        row = store.rows["account.tax"][tax_id]
        for member in row["children_tax_ids"] if row["amount_type"] == "group" else [tax_id]:
            tax = store.rows["account.tax"][member]
            taxes[member] = {**tax, "price_include": price_include(store, tax)}
    return list(taxes.values())


ACCOUNTS = (  # code, name, type, whether its items are matched
    ("411100", "Customers", "asset_receivable", True),
    ("401100", "Suppliers", "liability_payable", True),
    ("707100", "Sales of goods", "income", False),
    ("607100", "Purchases of goods", "expense", False),
    ("511500", "Outstanding receipts and payments", "asset_current", True),
)


def first_accounts(store: Store) -> None:
    """The few accounts the stand-in books on."""
    for code, name, kind, matched in ACCOUNTS:
        store.create("account.account", {"code": code, "name": name, "account_type": kind, "reconcile": matched})
    for direction in ("inbound", "outbound"):
        store.create("account.payment.method", {"name": "Manual Payment", "code": "manual", "payment_type": direction})


BEFORE_CREATE["account.account"] = defaults(active=True)
BEFORE_CREATE["account.tax"] = _tax_defaults
BEFORE_CREATE["account.journal"] = _journal_defaults
AFTER_SAVE["account.journal"] = _journal_saved
COMPUTED["account.tax", "price_include"] = price_include
COMPUTED["account.tax", "display_name"] = _tax_name
COMPUTED["account.tax", "country_code"] = lambda store, row: country_code(store, row["country_id"])
COMPUTED["account.tax", "company_price_include"] = lambda store, _row: company(store)["account_price_include"]
COMPUTED["account.journal", "display_name"] = lambda store, row: (
    f"{row['name']} ({store.display_name('res.currency', row['currency_id'])})"
    if row["currency_id"] and row["currency_id"] != company(store)["currency_id"]
    else row["name"]
)
COMPUTED["account.journal", "inbound_payment_method_line_ids"] = lambda store, row: method_lines(
    store, row["id"], "inbound"
)
COMPUTED["account.journal", "outbound_payment_method_line_ids"] = lambda store, row: method_lines(
    store, row["id"], "outbound"
)
COMPUTED["account.payment.method.line", "display_name"] = lambda store, row: (
    f"{row['name']} ({store.display_name('account.journal', row['journal_id'])})"
)
