"""Prepare an Odoo as a retailer has it before the first order: currencies, taxes, journals, customers, products.

From a catalogue in the layout of the recordings (products/, variations/, taxes/, orders/ …). Everything goes in by
external id, so preparing twice changes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from counterfoil_lab.odoo_api import Odoo

JOURNALS = {"bacs": "WBANK", "cheque": "WCHEQ", "cod": "WCOD", "stripe": "WSTRP", "paypal": "WPAYP", "": "WMISC"}
"""Payment method of the shop → journal code in the prepared Odoo."""


def bodies(folder: Path, *patterns: str) -> Iterator[tuple[Path, Any]]:
    """The recorded answers' bodies, by file."""
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            content = json.loads(path.read_text(encoding="utf-8"))
            body = content.get("response", {}).get("body") if isinstance(content, dict) else content
            yield path, body


def rows(folder: Path, *patterns: str) -> list[dict[str, Any]]:
    """All objects of recorded lists and single answers."""
    found: list[dict[str, Any]] = []
    for _, body in bodies(folder, *patterns):
        found += body if isinstance(body, list) else [body] if isinstance(body, dict) else []
    return [row for row in found if "id" in row]


def articles(catalogue: Path) -> dict[str, str]:
    """Sellable SKUs and their names: simple products and variations; a variable parent is not sold."""
    skus: dict[str, str] = {}
    for product in rows(catalogue, "products/*.json"):
        if product.get("sku") and product.get("type") != "variable":
            skus[product["sku"]] = product["name"]
    for variation in rows(catalogue, "variations/*.json", "variations/*/*.json"):
        if variation.get("sku"):
            skus[variation["sku"]] = variation.get("name") or variation["sku"]
    return skus


def rates(catalogue: Path) -> list[tuple[str, str, str, bool]]:
    """(country, percent, name, compound) of the shop's tax rates."""
    return [
        (t["country"], f"{float(t['rate']):g}", t["name"], bool(t["compound"]))
        for t in rows(catalogue, "taxes/*.json")
        if "rate" in t
    ]


def tax_rows(catalogue: Path) -> list[str]:
    """Rows for the blueprint's `taxes`: the rates of nought percent, of which an Odoo has several."""
    countries = sorted({country for country, percent, *_ in rates(catalogue) if percent == "0"})
    return [f"{{rate: 0, country: {country}, odoo: {tax_name(country, '0')}}}" for country in countries]


def tax_name(country: str, percent: str) -> str:
    """The external id of a prepared tax."""
    return f"lab.tax_{country}_{_xml_name(percent)}"


def _xml_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", lambda m: f"_{ord(m[0]):x}_", text)


def prepare(odoo: Odoo, catalogue: Path, currencies: Iterable[str], more_skus: Iterable[str] = ()) -> dict[str, int]:
    """Bring the Odoo up to the catalogue; how many of each there are."""
    _currencies(odoo, sorted(set(currencies)))
    made_taxes = _taxes(odoo, rates(catalogue))
    _journals(odoo)
    known_customers = _customers(odoo, catalogue)
    skus = articles(catalogue) | dict.fromkeys(more_skus, "Article")
    storable = [str(value) for _, value in odoo.names.storable]
    products = [[f"lab.product_{_xml_name(sku)}", name or sku, sku, *storable] for sku, name in sorted(skus.items())]
    for start in range(0, len(products), 500):
        fields = ["id", "name", "default_code", *(name for name, _ in odoo.names.storable)]
        odoo.load("product.product", fields, products[start : start + 500])
    return {"products": len(products), "taxes": made_taxes, "customers": known_customers}


def variants(odoo: Odoo, catalogue: Path) -> int:
    """Make the catalogue's variable products with their variants, before `prepare` makes what is missing; how many.

    Each variant goes by the external id that `prepare` would give its SKU.
    """
    by_parent: dict[int, dict[tuple[str, ...], str]] = {}
    for product in rows(catalogue, "variations/*.json", "variations/*/*.json"):
        chosen = tuple(sorted(a["option"] for a in product["attributes"]))
        by_parent.setdefault(product["parent_id"], {})[chosen] = product["sku"]
    values: dict[tuple[str, str], int] = {}
    attributes: dict[str, int] = {}
    names: list[dict[str, Any]] = []
    parents = [p for p in rows(catalogue, "products/*.json") if p["type"] == "variable" and p["id"] in by_parent]
    for product in {p["id"]: p for p in parents}.values():
        lines = [_attribute_line(odoo, a, attributes, values) for a in product["attributes"] if a["variation"]]
        row = {"name": product["name"], "attribute_line_ids": lines, **dict(odoo.names.storable)}
        template = odoo.call("product.template", "create", vals_list=[row])
        made = odoo.read(
            "product.product", [["product_tmpl_id", "in", template]], ["product_template_attribute_value_ids"]
        )
        parts = {
            v["id"]: v["name"]
            for v in odoo.read(
                "product.template.attribute.value", [["product_tmpl_id", "in", template]], ["name", "attribute_id"]
            )
        }
        for variant in made:
            chosen = tuple(sorted(parts[n] for n in variant["product_template_attribute_value_ids"]))
            sku = by_parent[product["id"]].get(chosen)
            vals = {"default_code": sku} if sku else {"active": False}
            odoo.call("product.product", "write", ids=[variant["id"]], vals=vals)
            if sku:
                name = f"product_{_xml_name(sku)}"
                names.append(
                    {
                        "module": "lab",
                        "noupdate": True,
                        "name": name,
                        "model": "product.product",
                        "res_id": variant["id"],
                    }
                )
    if names:
        odoo.call("ir.model.data", "create", vals_list=names)
    return len(names)


def _attribute_line(
    odoo: Odoo, attribute: dict[str, Any], attributes: dict[str, int], values: dict[tuple[str, str], int]
) -> list[Any]:
    name = attribute["name"]
    if name not in attributes:
        attributes[name] = odoo.call("product.attribute", "create", vals_list=[{"name": name}])[0]
    for option in attribute["options"]:
        if (name, option) not in values:
            row = {"name": option, "attribute_id": attributes[name]}
            values[(name, option)] = odoo.call("product.attribute.value", "create", vals_list=[row])[0]
    chosen = [values[(name, option)] for option in attribute["options"]]
    return [0, 0, {"attribute_id": attributes[name], "value_ids": [[6, 0, chosen]]}]


def _currencies(odoo: Odoo, codes: list[str]) -> None:
    known = {c["name"]: c for c in odoo.read("res.currency", [["name", "in", codes]], ["name", "active"])}
    asleep = [c["id"] for c in known.values() if not c["active"]]
    if asleep:
        odoo.call("res.currency", "write", ids=asleep, vals={"active": True})
    lists = [[f"lab.pricelist_{code}", f"Web {code}", str(c["id"])] for code, c in sorted(known.items())]
    if lists:
        odoo.load("product.pricelist", ["id", "name", "currency_id/.id"], lists)


def _taxes(odoo: Odoo, wanted: list[tuple[str, str, str, bool]]) -> int:
    """A tax of each rate in each country; where taxes have no country (Odoo 14), one of each rate."""
    country_field = odoo.names.tax_country
    countries = {c["code"]: str(c["id"]) for c in odoo.read("res.country", [], ["code"])}
    groups: dict[str, int] = {}
    for country in sorted({country for country, *_ in wanted} if country_field else ()):
        row = [f"lab.tax_group_{country}", f"Web {country}", countries[country]]
        groups[country] = odoo.load("account.tax.group", ["id", "name", "country_id/.id"], [row])[0]
    active = [["type_tax_use", "=", "sale"], ["active", "=", True]]
    present = {
        (str(t[country_field][0]) if country_field and t[country_field] else "", f"{t['amount']:g}")
        for t in odoo.read("account.tax", active, ["amount", *filter(None, [country_field])])
        if t["amount"]  # several of nought percent are usual (exports, exempt goods): the blueprint names the one meant
    }
    added_field, added = odoo.names.tax_added
    table: list[dict[str, str]] = []
    for country, percent, name, compound in wanted:
        key = (countries[country] if country_field or percent == "0" else "", percent)
        if key in present:
            continue
        present.add(key)
        others = any(c for other, _, _, c in wanted if other == country) and not compound
        tax = {"id": tax_name(country, percent), "name": f"{name} (web)", "amount": percent, "type_tax_use": "sale"}
        tax |= {added_field: added, "include_base_amount": str(others)}
        if country_field:
            tax |= {f"{country_field}/.id": countries[country], "tax_group_id/.id": str(groups[country])}
        table.append(tax)
    if table:
        odoo.load("account.tax", list(table[0]), [list(tax.values()) for tax in table])
    return len(wanted)


def _customers(odoo: Odoo, catalogue: Path) -> int:
    """The shop's account holders, as a retailer who has sold to them before has them: name and e-mail."""
    people = {c["email"].lower(): c for c in rows(catalogue, "customers/*.json") if c.get("email")}
    table = [
        [f"lab.customer_{c['id']}", f"{c['first_name']} {c['last_name']}".strip() or email, email]
        for email, c in sorted(people.items())
    ]
    if table:
        odoo.load("res.partner", ["id", "name", "email"], table)
    return len(table)


def _journals(odoo: Odoo) -> None:
    known = {j["code"] for j in odoo.read("account.journal", [], ["code"])}
    missing = [
        [f"lab.journal_{code}", f"Web {method or 'other'}", code, "bank"]
        for method, code in JOURNALS.items()
        if code not in known
    ]
    if missing:
        odoo.load("account.journal", ["id", "name", "code", "type"], missing)
