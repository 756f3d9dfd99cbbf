"""What the Odoo stand-in's models do: first data, defaults, order totals, confirm and cancel, payments.

Everything here was checked against an Odoo 19 (sale_management, stock, account). Not here: pricelist rules and
currency rates (a default price is the list price as it is), fiscal positions, deliveries and invoices.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from email.utils import getaddresses
from typing import Any

from counterfoil_sandbox.odoo_store import (
    AFTER_SAVE,
    BEFORE_CREATE,
    BEFORE_UNLINK,
    BEFORE_WRITE,
    COMPUTED,
    NAME_FIELDS,
    RECORDINGS,
    SCHEMA,
    OdooError,
    Row,
    Store,
    database_error,
    required_error,
    rounded,
    still_used,
    user_error,
    validation_error,
)
from counterfoil_sandbox.odoo_taxes import LineAmounts, line_amounts, order_totals

MODULE_MODELS = {  # models that are gone when a module is not installed
    "sale": ("sale.order", "sale.order.line"),
    "stock": ("stock.warehouse",),
    "account": (
        "account.tax",
        "account.tax.group",
        "account.journal",
        "account.payment",
        "account.payment.method.line",
    ),
    "product": ("product.product", "product.template", "product.category", "product.pricelist"),
}
INSTALLED = ("base web rpc mail contacts uom product account account_payment sale sale_management stock "
             "sale_stock crm delivery calendar").split()  # fmt: skip
NAME_FIELDS.update(
    {
        "res.partner": ("complete_name", "email", "ref", "vat"),
        "product.product": ("default_code", "barcode", "name"),
        "product.template": ("default_code", "barcode", "name"),
        "res.country": ("name", "code"),
    }
)
ADDRESS = ("street", "street2", "zip", "city", "state_id", "country_id")
TEMPLATE_FIELDS = sorted(
    set(SCHEMA["product.template"]["fields"])
    & set(SCHEMA["product.product"]["fields"])
    - {"id", "display_name", "product_variant_ids", "create_uid", "create_date", "write_uid", "write_date"}
)


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
    for name, code, kind, sequence in (
        ("Sales", "INV", "sale", 5),
        ("Purchases", "BILL", "purchase", 6),
        ("Miscellaneous Operations", "MISC", "general", 9),
        ("Exchange Difference", "EXCH", "general", 10),
        ("Cash Basis Taxes", "CABA", "general", 10),
        ("Bank", "BNK1", "bank", 7),
    ):
        store.create("account.journal", {"name": name, "code": code, "type": kind, "sequence": sequence})
    store.create("stock.warehouse", {"name": "My Company", "code": "WH", "company_id": 1, "partner_id": 1})
    for key, value in (
        ("database.uuid", "00000000-0000-4000-8000-000000000000"),
        ("web.base.url", "http://127.0.0.1"),
    ):
        store.create("ir.config_parameter", {"key": key, "value": value})
    store.settle = settle_orders
    store.commit()


def find(store: Store, model: str, **values: Any) -> int:
    """Id of the first row with exactly these values; raises LookupError."""
    for row in store.rows[model].values():
        if all(row[name] == value for name, value in values.items()):
            return int(row["id"])
    raise LookupError(f"no {model} with {values}")


def company(store: Store) -> Row:
    """The one company."""
    return store.rows["res.company"][1]


# Partners


def _partner_defaults(store: Store, vals: Row) -> None:
    parent = store.rows["res.partner"].get(vals.get("parent_id") or 0)
    vals.setdefault("type", "contact")
    vals.setdefault("active", True)
    vals.setdefault("lang", "en_US")
    if vals.pop("company_type", "") == "company":
        vals["is_company"] = True
    if vals["type"] == "contact" and not vals.get("name"):
        raise database_error("Contacts require a name")
    if parent and not vals.get("vat"):
        vals["vat"] = parent["vat"]
    if parent and vals["type"] == "contact" and any(parent[name] for name in ADDRESS):
        vals |= {name: parent[name] for name in ADDRESS}  # a contact lives where its parent does


def _check_vat(store: Store, row: Row) -> None:
    """Of base_vat only what it asks of a French number: shape, and check digits where they are digits."""
    vat = re.sub(r"[ .-]", "", row["vat"] or "").upper()
    if vat in ("", "/") or _country_code(store, row["country_id"]) != "FR" or re.match("(?!FR)[A-Z]{2}[0-9]", vat):
        return
    number = vat.removeprefix("FR")
    shape = re.fullmatch(r"([0-9A-Z]{2})([0-9]{9})", number)
    digits = shape is not None and shape[1].isdigit()
    if shape is None or (digits and int(shape[1]) != (12 + 3 * (int(shape[2]) % 97)) % 97):
        raise validation_error(
            f"\nThe VAT number [{number}] for partner [{row['name']}] does not seem to be valid.  \n"
            "Note: the expected format is FR23334175221"
        )
    store.set("res.partner", row["id"], vat=vat)


def _partner_saved(store: Store, row: Row, changed: set[str]) -> None:
    if changed & {"vat", "country_id"}:
        _check_vat(store, row)
    parent = store.rows["res.partner"].get(row["parent_id"] or 0)
    found = [address for _name, address in getaddresses([row["email"] or ""]) if "@" in address]
    label = row["name"] or {"invoice": "Invoice", "delivery": "Delivery", "other": "Other"}.get(row["type"], "")
    commercial = row["id"] if row["is_company"] or not parent else parent["commercial_partner_id"]
    store.set(
        "res.partner",
        row["id"],
        email_normalized=found[0].lower() if found else False,
        complete_name=f"{parent['complete_name']}, {label}" if parent else label,
        commercial_partner_id=commercial,
    )
    if "name" in changed:
        for child in list(store.children["res.partner", "parent_id"].get(row["id"], ())):
            _partner_saved(store, store.rows["res.partner"][child], {"name"})


def _address(store: Store, partner_id: int, kind: str) -> int:
    """The partner's address for `kind`: itself, the first such child, or one of the company it belongs to."""
    partners = store.rows["res.partner"]
    current: int | bool = partner_id
    while current:
        waiting = [int(current)]
        while waiting:
            row = partners[waiting.pop(0)]
            if row["type"] == kind:
                return int(row["id"])
            waiting = [
                c for c in store.value("res.partner", row, "child_ids") if not partners[c]["is_company"]
            ] + waiting
        current = False if partners[current]["is_company"] else partners[current]["parent_id"]
    return partner_id


BEFORE_CREATE["res.partner"] = _partner_defaults
AFTER_SAVE["res.partner"] = _partner_saved
COMPUTED["res.partner", "display_name"] = lambda _store, row: row["complete_name"] or ""
COMPUTED["res.partner", "company_type"] = lambda _store, row: "company" if row["is_company"] else "person"
COMPUTED["res.partner", "country_code"] = lambda store, row: _country_code(store, row["country_id"])
COMPUTED["res.partner", "property_product_pricelist"] = lambda store, _row: _pricelist(store)


def _country_code(store: Store, country_id: Any) -> Any:
    row = store.rows["res.country"].get(country_id or 0)
    return row["code"] if row else False


def _pricelist(store: Store) -> int | bool:
    active = [row["id"] for row in store.rows["product.pricelist"].values() if row["active"]]
    return store.sorted("product.pricelist", active)[0] if active else False


def _still_used(store: Store, model: str, ids: list[int]) -> None:
    for user, field in USED_BY[model]:
        if any(row[field] in ids for row in store.rows[user].values()):
            raise database_error(still_used(user, field))


USED_BY = {
    "res.partner": [("account.payment", "partner_id")]
    + [("sale.order", field) for field in ("partner_id", "partner_invoice_id", "partner_shipping_id")],
    "product.product": [("sale.order.line", "product_id")],
    "product.pricelist": [("sale.order", "pricelist_id")],
}
for _model in USED_BY:
    BEFORE_UNLINK[_model] = lambda store, ids, model=_model: _still_used(store, model, ids)


# Users, company, small things

for _field in ("name", "lang", "tz", "email"):
    COMPUTED["res.users", _field] = lambda store, row, f=_field: store.rows["res.partner"][row["partner_id"]][f]
COMPUTED["res.users", "display_name"] = lambda store, row: store.display_name("res.partner", row["partner_id"])
COMPUTED["ir.config_parameter", "display_name"] = lambda _store, row: row["key"]
COMPUTED["res.country.state", "display_name"] = lambda store, row: (
    f"{row['name']} ({_country_code(store, row['country_id'])})"
)
COMPUTED["ir.module.module", "display_name"] = lambda _store, row: row["shortdesc"]
COMPUTED["ir.model.data", "complete_name"] = lambda _store, row: f"{row['module']}.{row['name']}"
COMPUTED["ir.model.data", "reference"] = lambda _store, row: f"{row['model']},{row['res_id']}"
COMPUTED["ir.model.data", "display_name"] = lambda store, row: (
    (row["model"] in SCHEMA and store.display_name(row["model"], row["res_id"])) or f"{row['module']}.{row['name']}"
)
COMPUTED["product.pricelist", "display_name"] = lambda store, row: (
    f"{row['name']} ({store.display_name('res.currency', row['currency_id'])})"
)


def _user_defaults(_store: Store, vals: Row) -> None:
    vals.setdefault("active", True)
    vals.setdefault("company_id", 1)
    vals.setdefault("company_ids", [1])


def _simple_defaults(**defaults: Any) -> Callable[[Store, Row], None]:
    def apply(_store: Store, vals: Row) -> None:
        for name, value in defaults.items():
            vals.setdefault(name, value)

    return apply


BEFORE_CREATE["res.users"] = _user_defaults
BEFORE_CREATE["res.currency"] = _simple_defaults(active=True, rounding=0.01, decimal_places=2, position="after")
BEFORE_CREATE["stock.warehouse"] = _simple_defaults(active=True, company_id=1, sequence=10)
BEFORE_CREATE["account.tax.group"] = _simple_defaults(company_id=1, sequence=10)
BEFORE_CREATE["product.pricelist"] = lambda store, vals: _simple_defaults(
    active=True, sequence=16, company_id=1, currency_id=company(store)["currency_id"]
)(store, vals)


# Products: a product and its template are kept as two rows with the same values


def _product_defaults(store: Store, vals: Row) -> None:
    if not vals.get("name") and not vals.get("product_tmpl_id"):
        label = store.fields("product.template")["name"]["string"]
        raise required_error("product.template", "name", label, SCHEMA["product.template"]["name"])
    for name, value in (
        ("type", "consu"),
        ("active", True),
        ("sale_ok", True),
        ("purchase_ok", True),
        ("list_price", vals.get("lst_price", 1.0)),
        ("uom_id", 1),
        ("tracking", "none"),
        ("invoice_policy", "order"),
        ("taxes_id", [i for i in [company(store)["account_sale_tax_id"]] if i]),
    ):
        vals.setdefault(name, value)
    vals.pop("lst_price", None)
    _unique_barcode(store, vals, 0)


def _variant_defaults(store: Store, vals: Row) -> None:
    _product_defaults(store, vals)
    if not vals.get("product_tmpl_id"):
        given = {name: value for name, value in vals.items() if name in TEMPLATE_FIELDS}
        vals["product_tmpl_id"] = store.create("product.template", {**given, "sequence": -1})


def _unique_barcode(store: Store, vals: Row, but: int) -> None:
    code = vals.get("barcode")
    for row in store.rows["product.product"].values() if code else ():
        if row["barcode"] == code and row["product_tmpl_id"] != vals.get("product_tmpl_id") and row["id"] != but:
            new = store.rows["product.product"].get(but, {"default_code": False, "name": ""}) | vals
            raise validation_error(
                f'Barcode(s) already assigned:\n\n- Barcode "{code}" already assigned to product(s): '
                f"{_product_name(store, row)} and {_product_name(store, new)}\n\n"
                "Note: products that you don't have access to will not be shown above."
            )


def _variant_written(store: Store, ids: list[int], vals: Row) -> None:
    for product_id in ids:
        _unique_barcode(store, vals, product_id)


def _template_saved(store: Store, row: Row, changed: set[str]) -> None:
    if row["sequence"] == -1:  # made by its own variant, which is on its way
        store.set("product.template", row["id"], sequence=1)
    elif not store.children["product.product", "product_tmpl_id"].get(row["id"]):
        values = {name: row[name] for name in TEMPLATE_FIELDS}
        store.create("product.product", {**values, "product_tmpl_id": row["id"]})
    else:
        for variant in list(store.children["product.product", "product_tmpl_id"][row["id"]]):
            store.set("product.product", variant, **{n: row[n] for n in changed & set(TEMPLATE_FIELDS)})


def _variant_saved(store: Store, row: Row, changed: set[str]) -> None:
    if "lst_price" in changed and row["lst_price"]:
        store.set("product.product", row["id"], list_price=row["lst_price"], lst_price=0.0)
        row = store.rows["product.product"][row["id"]]
        changed |= {"list_price"}
    store.set("product.template", row["product_tmpl_id"], **{n: row[n] for n in changed & set(TEMPLATE_FIELDS)})


def _product_name(_store: Store, row: Row) -> str:
    return f"[{row['default_code']}] {row['name']}" if row["default_code"] else row["name"] or ""


BEFORE_CREATE["product.template"] = _product_defaults
BEFORE_CREATE["product.product"] = _variant_defaults
BEFORE_WRITE["product.product"] = _variant_written
AFTER_SAVE["product.template"] = _template_saved
AFTER_SAVE["product.product"] = _variant_saved
for _model in ("product.product", "product.template"):
    COMPUTED[_model, "display_name"] = _product_name
    COMPUTED[_model, "uom_name"] = lambda store, row: store.display_name("uom.uom", row["uom_id"])
    COMPUTED[_model, "currency_id"] = lambda store, _row: company(store)["currency_id"]
COMPUTED["product.product", "lst_price"] = lambda _store, row: row["list_price"]
COMPUTED["product.product", "product_variant_ids"] = lambda _store, row: [row["id"]]
COMPUTED["product.template", "product_variant_id"] = lambda store, row: next(
    iter(store.children["product.product", "product_tmpl_id"].get(row["id"], ())), False
)
COMPUTED["product.template", "product_variant_count"] = lambda store, row: len(
    store.children["product.product", "product_tmpl_id"].get(row["id"], ())
)


# Taxes and journals


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


def _price_include(store: Store, row: Row) -> bool:
    chosen = row["price_include_override"] or company(store)["account_price_include"]
    return bool(chosen == "tax_included")


def _tax_name(store: Store, row: Row) -> str:
    code = _country_code(store, row["country_id"])
    home = _country_code(store, company(store)["account_fiscal_country_id"])
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
    if row["type"] in ("bank", "cash", "credit") and not _method_lines(store, row["id"], "inbound"):
        for direction in ("inbound", "outbound"):
            line = store.create(lines, {"name": "Manual Payment", "journal_id": row["id"], "sequence": 10})
            store.set(lines, line, code="manual", payment_type=direction)


def _method_lines(store: Store, journal_id: int, direction: str) -> list[int]:
    rows = store.rows["account.payment.method.line"].values()
    return [row["id"] for row in rows if row["journal_id"] == journal_id and row["payment_type"] == direction]


BEFORE_CREATE["account.tax"] = _tax_defaults
BEFORE_CREATE["account.journal"] = _journal_defaults
AFTER_SAVE["account.journal"] = _journal_saved
COMPUTED["account.tax", "price_include"] = _price_include
COMPUTED["account.tax", "display_name"] = _tax_name
COMPUTED["account.tax", "country_code"] = lambda store, row: _country_code(store, row["country_id"])
COMPUTED["account.tax", "company_price_include"] = lambda store, _row: company(store)["account_price_include"]
COMPUTED["account.journal", "display_name"] = lambda store, row: (
    f"{row['name']} ({store.display_name('res.currency', row['currency_id'])})"
    if row["currency_id"] and row["currency_id"] != company(store)["currency_id"]
    else row["name"]
)
COMPUTED["account.journal", "inbound_payment_method_line_ids"] = lambda store, row: _method_lines(
    store, row["id"], "inbound"
)
COMPUTED["account.journal", "outbound_payment_method_line_ids"] = lambda store, row: _method_lines(
    store, row["id"], "outbound"
)
COMPUTED["account.payment.method.line", "display_name"] = lambda store, row: (
    f"{row['name']} ({store.display_name('account.journal', row['journal_id'])})"
)


# Orders


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
        ("pricelist_id", _pricelist(store)),
    ):
        vals.setdefault(name, value)
    partner = vals.get("partner_id")
    if partner and partner in store.rows["res.partner"]:
        for name, kind in (("partner_invoice_id", "invoice"), ("partner_shipping_id", "delivery")):
            vals.setdefault(name, _address(store, int(partner), kind))
    vals["currency_id"] = _order_currency(store, vals["pricelist_id"])


def _order_currency(store: Store, pricelist_id: Any) -> int:
    row = store.rows["product.pricelist"].get(pricelist_id or 0)
    return int((row or company(store))["currency_id"])


def _order_written(store: Store, ids: list[int], vals: Row) -> None:
    orders = [store.rows["sale.order"][i] for i in ids]
    if "pricelist_id" in vals and any(order["state"] == "sale" for order in orders):
        raise user_error("You cannot change the pricelist of a confirmed order !")
    partner = vals.get("partner_id")
    if partner and partner in store.rows["res.partner"] and any(o["partner_id"] != partner for o in orders):
        for name, kind in (("partner_invoice_id", "invoice"), ("partner_shipping_id", "delivery")):
            vals.setdefault(name, _address(store, partner, kind))
        if all(order["state"] == "draft" for order in orders):
            vals.setdefault("pricelist_id", _pricelist(store))
    if "pricelist_id" in vals:
        vals.setdefault("currency_id", _order_currency(store, vals["pricelist_id"]))


def _order_saved(store: Store, row: Row, changed: set[str]) -> None:
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
        vals.setdefault("name", _product_name(store, product) + note)
        vals.setdefault("price_unit", product["list_price"])
        vals.setdefault("tax_ids", [(6, 0, product["taxes_id"])])
        vals.setdefault("product_uom_id", product["uom_id"])
    vals.setdefault("technical_price_unit", vals.get("price_unit", 0.0))
    if vals.get("product_id") and not product:
        store.converted("sale.order.line", "product_id", vals["product_id"], {})  # says it is gone


def _line_written(store: Store, ids: list[int], vals: Row) -> None:
    lines = [store.rows["sale.order.line"][i] for i in ids]
    if "display_type" in vals and any(line["display_type"] != vals["display_type"] for line in lines):
        raise user_error(
            "You cannot change the type of a sale order line. Instead you should delete the current line and create "
            "a new line of the proper type."
        )
    guarded = ("product_id", "name", "price_unit", "product_uom_id", "product_uom_qty", "tax_ids", "discount")
    touched = [store.fields("sale.order.line")[name]["string"] for name in guarded if name in vals]
    if touched and any(store.rows["sale.order"][line["order_id"]]["locked"] for line in lines):
        raise user_error("It is forbidden to modify the following fields in a locked order:\n" + "\n".join(touched))
    if "price_unit" not in vals and {"product_uom_qty", "product_id"} & set(vals):
        # Odoo asks the pricelist again, unless the price was changed by hand after the line was made.
        for line in lines:
            product = store.rows["product.product"].get(vals.get("product_id", line["product_id"]) or 0)
            step = _currency(store, line)["rounding"]
            if product and rounded(line["technical_price_unit"], step) == rounded(line["price_unit"], step):
                price = product["list_price"]
                store.set("sale.order.line", line["id"], price_unit=price, technical_price_unit=price)


def _line_saved(store: Store, row: Row, _changed: set[str]) -> None:
    store.stale_orders.add(row["order_id"])


def _line_unlinked(store: Store, ids: list[int]) -> None:
    for line_id in ids:
        line = store.rows["sale.order.line"][line_id]
        if store.rows["sale.order"][line["order_id"]]["state"] == "sale" and not line["display_type"]:
            raise user_error(
                "Once a sales order is confirmed, you can't remove one of its lines (we need to track if something "
                "gets invoiced or delivered).\n                Set the quantity to 0 instead."
            )
        store.stale_orders.add(line["order_id"])


def _currency(store: Store, line: Row) -> Row:
    order = store.rows["sale.order"][line["order_id"]]
    return store.rows["res.currency"][order["currency_id"]]


def settle_orders(store: Store) -> None:
    """Amounts and statuses of every order whose lines, currency or state changed."""
    stale, store.stale_orders = store.stale_orders, set()
    per_line = company(store)["tax_calculation_rounding_method"] == "round_per_line"
    for order_id in stale:
        order = store.rows["sale.order"].get(order_id)
        if order is None:
            continue
        currency = store.rows["res.currency"][order["currency_id"]]
        amounts: list[LineAmounts] = []
        statuses = set()
        goods = False
        for line_id in list(store.children["sale.order.line", "order_id"].get(order_id, ())):
            line = store.rows["sale.order.line"][line_id]
            one = line_amounts(line, _line_taxes(store, line), currency, per_line=per_line)
            product = store.rows["product.product"].get(line["product_id"] or 0)
            confirmed = order["state"] == "sale"
            open_qty = line["product_uom_qty"] if confirmed and product else 0.0
            status = "to invoice" if open_qty else "invoiced" if confirmed else "no"
            subtotal, total = rounded(one.excluded, currency["rounding"]), rounded(one.included, currency["rounding"])
            store.set(
                "sale.order.line",
                line_id,
                price_subtotal=subtotal,
                price_total=total,
                price_tax=total - subtotal,
                qty_to_invoice=open_qty,
                invoice_status=status,
            )
            if not line["display_type"]:
                amounts.append(one)
                statuses.add(status)
                goods = goods or bool(open_qty and product and product["type"] == "consu")
        untaxed, tax = order_totals(amounts, currency)
        store.set(
            "sale.order",
            order_id,
            amount_untaxed=untaxed,
            amount_tax=tax,
            amount_total=rounded(untaxed + tax, currency["rounding"]),
            invoice_status="to invoice" if "to invoice" in statuses else "invoiced" if "invoiced" in statuses else "no",
            delivery_status="pending" if goods else False,
        )


def _line_taxes(store: Store, line: Row) -> list[Row]:
    taxes: dict[int, Row] = {}
    for tax_id in line["tax_ids"]:
        row = store.rows["account.tax"][tax_id]
        for member in row["children_tax_ids"] if row["amount_type"] == "group" else [tax_id]:
            tax = store.rows["account.tax"][member]
            taxes[member] = {**tax, "price_include": _price_include(store, tax)}
    return list(taxes.values())


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
    what = _product_name(store, product) if product else (row["name"] or "").partition("\n")[0]
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
    return True


def cancel_orders(store: Store, ids: list[int]) -> bool:
    """action_cancel: at once and without a question in 19, also for confirmed orders."""
    store.check_exist("sale.order", ids)
    if any(store.rows["sale.order"][i]["locked"] for i in ids):
        raise user_error("You cannot cancel a locked order. Please unlock it first.")
    store.write("sale.order", ids, {"state": "cancel"})
    return True


def reopen_orders(store: Store, ids: list[int]) -> bool:
    """action_draft: cancelled and sent orders become quotations again, others stay."""
    store.check_exist("sale.order", ids)
    back = [i for i in ids if store.rows["sale.order"][i]["state"] in ("cancel", "sent")]
    store.write("sale.order", back, {"state": "draft"})
    return True


# Payments


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
        lines = _method_lines(store, journal["id"], vals["payment_type"])
        if not lines:
            raise validation_error("Please define a payment method line on your payment.")
        vals["payment_method_line_id"] = lines[0]
    if float(vals.get("amount") or 0) < 0:
        raise database_error("The payment amount cannot be negative.", "amount")


def post_payments(store: Store, ids: list[int]) -> None:
    """action_post: draft payments get their number and are `in_process`; answers nothing."""
    store.check_exist("account.payment", ids)
    for payment_id in ids:
        row = store.rows["account.payment"][payment_id]
        if row["state"] != "draft":
            continue
        code = store.rows["account.journal"][row["journal_id"]]["code"]
        stem = f"P{code}/{row['date'][:4]}/"
        number = store.sequences[stem] = store.sequences.get(stem, 0) + 1
        store.write("account.payment", [payment_id], {"state": "in_process"})
        store.set("account.payment", payment_id, name=row["name"] or f"{stem}{number:05d}")


def set_payments(store: Store, ids: list[int], state: str) -> None:
    """action_draft and action_cancel; answer nothing."""
    store.check_exist("account.payment", ids)
    store.write("account.payment", ids, {"state": state})


BEFORE_CREATE["account.payment"] = _payment_defaults
COMPUTED["account.payment", "display_name"] = lambda _store, row: row["name"] or "Draft Payment"
COMPUTED["account.payment", "payment_method_code"] = lambda store, row: (
    store.rows["account.payment.method.line"].get(row["payment_method_line_id"] or 0, {}).get("code", False)
)
