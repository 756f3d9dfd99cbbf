"""The models of the Odoo stand-in, and the first data of a database.

Everything here was checked against an Odoo 19 (sale_management, sale_stock, account).
"""

from __future__ import annotations

import json
from typing import Any

from counterfoil_sandbox import (
    odoo_calendar,
    odoo_images,
    odoo_ledger,
    odoo_merging,
    odoo_payments,
    odoo_pickings,
    odoo_places,
    odoo_pricelists,
    odoo_reconciling,
    odoo_sales,
)
from counterfoil_sandbox.odoo_base import find
from counterfoil_sandbox.odoo_schema import (
    RECORDINGS,
    Row,
)
from counterfoil_sandbox.odoo_store import Store

MODULE_MODELS = {  # models that are gone when a module is not installed
    "calendar": ("calendar.event", "calendar.attendee"),
    "sale": ("sale.order", "sale.order.line", "sale.advance.payment.inv"),
    "stock": (
        "stock.warehouse",
        "stock.route",
        "stock.location",
        "stock.picking.type",
        "stock.picking",
        "stock.move",
        "stock.move.line",
        "stock.quant",
        "stock.return.picking",
        "stock.return.picking.line",
        "stock.backorder.confirmation",
    ),
    "account": (
        "account.tax",
        "account.tax.group",
        "account.journal",
        "account.payment",
        "account.payment.method.line",
        "account.payment.method",
        "account.account",
        "account.move",
        "account.move.line",
        "account.move.reversal",
        "account.partial.reconcile",
        "account.payment.register",
    ),
    "product": (
        "product.product",
        "product.template",
        "product.category",
        "product.pricelist",
        "product.pricelist.item",
        "product.attribute",
        "product.attribute.value",
        "product.template.attribute.line",
        "product.template.attribute.value",
    ),
}
INSTALLED = ("base web rpc mail contacts uom product account account_payment sale sale_management stock "
             "sale_stock crm delivery calendar").split()  # fmt: skip


def first_data(store: Store, *, currency: str, country: str, rounding: str, modules: tuple[str, ...]) -> None:
    """A fresh database: countries, currencies, one company with its taxes, journals, warehouse and users."""
    base: dict[str, list[list[Any]]] = json.loads((RECORDINGS / "base_19.json").read_text())
    moment = store.now()
    for model, (names, *rows) in base.items():
        blank: Row = dict.fromkeys(store.fields(model), False)
        blank |= {"active": True, "create_uid": 1, "write_uid": 1, "create_date": moment, "write_date": moment}
        for values in rows:
            row = {**blank, **dict(zip(names, values, strict=True))}
            store.put(model, row["id"], row)
            store.last_id[model] = max(store.last_id[model], row["id"])
    for row in list(store.rows["res.currency"].values()):
        store.set("res.currency", row["id"], active=row["name"] == currency, rate=1.0)
    for row in list(store.rows["ir.module.module"].values()):
        installed = row["name"] in modules
        version = row["installed_version"] if installed else False
        state = "installed" if installed else "uninstalled"
        store.set("ir.module.module", row["id"], state=state, latest_version=version)
    currency_id = find(store, "res.currency", name=currency)
    country_id = find(store, "res.country", code=country)
    for name, values in (
        ("My Company", {"is_company": True, "country_id": country_id}),
        ("OdooBot", {"active": False, "email": "odoobot@example.com"}),
        ("Administrator", {"email": False}),
    ):
        partner = store.create("res.partner", {"name": name, **values})
        if name != "My Company":
            store.set("res.partner", partner, partner_share=False)
            login = "__system__" if name == "OdooBot" else "admin"
            store.create("res.users", {"login": login, "partner_id": partner, "active": login == "admin"})
            continue
        store.create(
            "res.company",
            {
                "name": name,
                "partner_id": partner,
                "currency_id": currency_id,
                "country_id": country_id,
                "account_fiscal_country_id": country_id,
                "country_code": country,
                "active": True,
                "tax_calculation_rounding_method": rounding,
                "account_price_include": "tax_excluded",
            },
        )
    for name in ("Tax 15%", "Tax 0%"):
        store.create("account.tax.group", {"name": name, "company_id": 1, "country_id": country_id})
    for name, amount, use in (
        ("15%", 15, "sale"),
        ("15%", 15, "purchase"),
        ("0% Exports", 0, "sale"),
        ("0% Imports", 0, "purchase"),
    ):
        group = 2 if amount == 0 else 1
        store.create("account.tax", {"name": name, "amount": amount, "type_tax_use": use, "tax_group_id": group})
    store.set("res.company", 1, account_sale_tax_id=1)
    odoo_ledger.first_accounts(store)
    for name, code, kind, sequence in (
        ("Sales", "INV", "sale", 5),
        ("Purchases", "BILL", "purchase", 6),
        ("Miscellaneous Operations", "MISC", "general", 9),
        ("Exchange Difference", "EXCH", "general", 10),
        ("Cash Basis Taxes", "CABA", "general", 10),
        ("Bank", "BNK1", "bank", 7),
    ):
        store.create("account.journal", {"name": name, "code": code, "type": kind, "sequence": sequence})
    odoo_places.first_places(store)
    store.create("stock.warehouse", {"name": "My Company", "code": "WH", "company_id": 1, "partner_id": 1})
    for key, value in (
        ("database.uuid", "00000000-0000-4000-8000-000000000000"),
        ("web.base.url", "http://127.0.0.1"),
    ):
        store.create("ir.config_parameter", {"key": key, "value": value})
    store.settle = odoo_sales.settle
    store.commit()


_ = (
    odoo_calendar,
    odoo_images,
    odoo_merging,
    odoo_pricelists,
    odoo_payments,
    odoo_pickings,
    odoo_reconciling,
)  # registered by being there
