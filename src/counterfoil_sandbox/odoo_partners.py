"""Customers and addresses of the Odoo stand-in."""

from __future__ import annotations

import re
from email.utils import getaddresses

from counterfoil_sandbox.odoo_base import country_code, default_pricelist
from counterfoil_sandbox.odoo_schema import (
    AFTER_SAVE,
    BEFORE_CREATE,
    COMPUTED,
    Row,
    database_error,
    validation_error,
)
from counterfoil_sandbox.odoo_store import Store

ADDRESS = ("street", "street2", "zip", "city", "state_id", "country_id")


def _partner_defaults(store: Store, vals: Row) -> None:
    parent = store.rows["res.partner"].get(vals.get("parent_id") or 0)
    vals.setdefault("type", "contact")
    vals.setdefault("active", True)
    vals.setdefault("partner_share", True)
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
    if vat in ("", "/") or country_code(store, row["country_id"]) != "FR" or re.match("(?!FR)[A-Z]{2}[0-9]", vat):
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
    if "active" in changed and len(changed) < len(store.fields("res.partner")):
        store.stir("res.partner", store.children["res.partner", "parent_id"].get(row["id"], ()))
    if "name" in changed:
        for child in list(store.children["res.partner", "parent_id"].get(row["id"], ())):
            _partner_saved(store, store.rows["res.partner"][child], {"name"})


def address_of(store: Store, partner_id: int, kind: str) -> int:
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
COMPUTED["res.partner", "country_code"] = lambda store, row: country_code(store, row["country_id"])
COMPUTED["res.partner", "property_product_pricelist"] = lambda store, _row: default_pricelist(store)
