"""The ground the Odoo stand-in's models stand on: the company, users, countries, and what several of them need."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from counterfoil_sandbox.odoo_schema import (
    BEFORE_CREATE,
    BEFORE_UNLINK,
    COMPUTED,
    EMPTY,
    NAME_FIELDS,
    SCHEMA,
    Row,
    database_error,
    rounded,
    still_used,
)
from counterfoil_sandbox.odoo_store import Store

NAME_FIELDS.update(
    {
        "res.partner": ("complete_name", "email", "ref", "vat"),
        "product.product": ("default_code", "barcode", "name"),
        "product.template": ("default_code", "barcode", "name"),
        "res.country": ("name", "code"),
    }
)


def find(store: Store, model: str, **values: Any) -> int:
    """Id of the first row with exactly these values; raises LookupError."""
    for row in store.rows[model].values():
        if all(row[name] == value for name, value in values.items()):
            return int(row["id"])
    raise LookupError(f"no {model} with {values}")


def company(store: Store) -> Row:
    """The one company."""
    return store.rows["res.company"][1]


def related(model: str, **fields: str) -> None:
    """Let fields of a model show what the record behind a many2one has: `field="link.its_field"`."""
    for name, path in fields.items():
        link, _, field = path.partition(".")
        target = SCHEMA[model]["fields"][link]["relation"]
        empty = EMPTY.get(SCHEMA[model]["fields"][name]["type"], False)

        def show(
            store: Store, row: Row, link: str = link, field: str = field, target: str = target, empty: Any = empty
        ) -> Any:
            other = store.rows[target].get(store.value(model, row, link) or 0)
            return store.value(target, other, field) if other else empty

        COMPUTED[model, name] = show


def portal_url(store: Store, model: str, record_id: int, suffix: str, query: str) -> str:
    """get_portal_url: the address a customer may open, with the key that lets them; made on first use."""
    row = store.rows[model][record_id]
    if not row["access_token"]:
        store.write(model, [record_id], {"access_token": str(uuid.UUID(int=_key_number(model, record_id), version=4))})
        row = store.rows[model][record_id]
    return f"{store.value(model, row, 'access_url')}{suffix}?access_token={row['access_token']}{query}"


def _key_number(model: str, record_id: int) -> int:
    return int.from_bytes(f"{model},{record_id}".encode().rjust(16)[-16:], "big")


def in_uom(store: Store, quantity: float, unit: Any, wanted: Any) -> float:
    """A quantity in another unit of the same kind; unknown units count as the same."""
    if not unit or not wanted or unit == wanted:
        return quantity
    rows = store.rows["uom.uom"]
    return rounded(quantity * rows[unit]["factor"] / rows[wanted]["factor"], 0.00001)


def country_code(store: Store, country_id: Any) -> Any:
    row = store.rows["res.country"].get(country_id or 0)
    return row["code"] if row else False


def default_pricelist(store: Store) -> int | bool:
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
    f"{row['name']} ({country_code(store, row['country_id'])})"
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


def defaults(**defaults: Any) -> Callable[[Store, Row], None]:
    def apply(_store: Store, vals: Row) -> None:
        for name, value in defaults.items():
            vals.setdefault(name, value)

    return apply


def _unique_xmlid(store: Store, vals: Row) -> None:
    key = (vals.get("module") or "", vals.get("name") or "")
    if key in store.xmlids:
        raise database_error(
            'duplicate key value violates unique constraint "ir_model_data_module_name_uniq_index"\n'
            f"DETAIL:  Key (module, name)=({key[0]}, {key[1]}) already exists.\n"
        )


BEFORE_CREATE["ir.model.data"] = _unique_xmlid
BEFORE_CREATE["res.users"] = _user_defaults
BEFORE_CREATE["res.currency"] = defaults(active=True, rounding=0.01, decimal_places=2, position="after")
BEFORE_CREATE["account.tax.group"] = defaults(company_id=1, sequence=10)
BEFORE_CREATE["product.pricelist"] = lambda store, vals: defaults(
    active=True, sequence=16, company_id=1, currency_id=company(store)["currency_id"]
)(store, vals)
