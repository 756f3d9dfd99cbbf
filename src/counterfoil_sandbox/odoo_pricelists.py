"""Price lists of the Odoo stand-in: their rules, and what an article costs by them."""

from __future__ import annotations

import math
from typing import Any

from counterfoil_sandbox.odoo_base import company
from counterfoil_sandbox.odoo_products import price_extra
from counterfoil_sandbox.odoo_schema import (
    AFTER_SAVE,
    BEFORE_CREATE,
    BEFORE_WRITE,
    COMPUTED,
    Row,
    rounded,
    validation_error,
)
from counterfoil_sandbox.odoo_store import Store

LIST, ITEM = "product.pricelist", "product.pricelist.item"


def _item_defaults(store: Store, vals: Row) -> None:
    for name, value in (
        ("applied_on", "3_global"),
        ("base", "list_price"),
        ("compute_price", "fixed"),
        ("pricelist_id", next(iter(store.rows[LIST]), False)),
    ):
        vals.setdefault(name, value)
    if (
        vals.get("product_id")
        and not vals.get("product_tmpl_id")
        and vals["product_id"] in store.rows["product.product"]
    ):
        vals["product_tmpl_id"] = store.rows["product.product"][vals["product_id"]]["product_tmpl_id"]
    _discounts(vals)


def _item_written(_store: Store, _ids: list[int], vals: Row) -> None:
    _discounts(vals)


def _discounts(vals: Row) -> None:
    if "price_markup" in vals and "price_discount" not in vals:
        vals["price_discount"] = -float(vals["price_markup"] or 0.0)
    if "price_discount" in vals:
        vals["price_markup"] = -float(vals["price_discount"] or 0.0)


def _item_saved(_store: Store, row: Row, _changed: set[str]) -> None:
    if row["base"] == "pricelist" and not row["base_pricelist_id"]:
        raise validation_error('A pricelist item with "Other Pricelist" as base must have a base_pricelist_id.')
    if row["base"] == "pricelist" and row["base_pricelist_id"] == row["pricelist_id"]:
        raise validation_error("You cannot assign the Main Pricelist as Other Pricelist in PriceList Item")
    if row["date_start"] and row["date_end"] and row["date_start"] >= row["date_end"]:
        raise validation_error(
            f"{row['display_name'] or 'Pricelist Rule'}: end date ({row['date_end']}) should be after start date "
            f"({row['date_start']})"
        )
    low, high = row["price_min_margin"], row["price_max_margin"]
    if low > high:
        raise validation_error("The minimum margin should be lower than the maximum margin.")


def price_of(store: Store, pricelist_id: Any, product: Row, quantity: float, moment: str) -> float:
    """The unit price of a variant by a price list at a time, in the list's currency; the list price if none rules."""
    rule = _rule(store, pricelist_id, product, quantity, moment)
    currency = _currency(store, pricelist_id)
    if rule is None:
        return _exchanged(store, product["list_price"] + price_extra(store, product), None, currency)
    if rule["compute_price"] == "fixed":
        return float(rule["fixed_price"])
    base = _base_price(store, rule, product, quantity, moment, currency)
    if rule["compute_price"] == "percentage":
        return base - base * (rule["percent_price"] / 100)
    discount = rule["price_discount"] if rule["base"] != "standard_price" else -rule["price_markup"]
    price = base - base * (discount / 100)
    if rule["price_round"]:
        price = _to_step(price, rule["price_round"])
    price += rule["price_surcharge"]
    if rule["price_min_margin"]:
        price = max(price, base + rule["price_min_margin"])
    if rule["price_max_margin"]:
        price = min(price, base + rule["price_max_margin"])
    return price


def _to_step(price: float, step: float) -> float:
    """To the nearest multiple of any step, halves away from zero."""
    scaled = price / step
    whole = math.floor(abs(scaled) + 0.5 + 2**-40)
    return math.copysign(whole, scaled) * step


def _base_price(store: Store, rule: Row, product: Row, quantity: float, moment: str, currency: int) -> float:
    if rule["base"] == "pricelist" and rule["base_pricelist_id"]:
        price = price_of(store, rule["base_pricelist_id"], product, quantity, moment)
        return _exchanged(store, price, _currency(store, rule["base_pricelist_id"]), currency)
    if rule["base"] == "standard_price":
        return _exchanged(store, product["standard_price"], None, currency)
    return _exchanged(store, product["list_price"] + price_extra(store, product), None, currency)


def _currency(store: Store, pricelist_id: Any) -> int:
    row = store.rows[LIST].get(pricelist_id or 0)
    return int((row or company(store))["currency_id"])


def _exchanged(store: Store, price: float, source: int | None, target: int) -> float:
    source = source or company(store)["currency_id"]
    if source == target:
        return price
    rates = store.rows["res.currency"]
    return price * (rates[target]["rate"] or 1.0) / (rates[source]["rate"] or 1.0)


def _rule(store: Store, pricelist_id: Any, product: Row, quantity: float, moment: str) -> Row | None:
    """The first rule that applies, in Odoo's order: variant, template, category, all; high quantities first."""
    if not pricelist_id:
        return None
    paths = store.rows["product.category"]
    category = paths.get(product["categ_id"] or 0)
    found = []
    for number in store.children[ITEM, "pricelist_id"].get(pricelist_id, ()):
        rule = store.rows[ITEM][number]
        if rule["min_quantity"] and quantity < rule["min_quantity"]:
            continue
        if (rule["date_start"] and rule["date_start"] > moment) or (rule["date_end"] and rule["date_end"] < moment):
            continue
        kind = rule["applied_on"]
        if kind == "0_product_variant" and rule["product_id"] != product["id"]:
            continue
        if kind == "1_product" and rule["product_tmpl_id"] != product["product_tmpl_id"]:
            continue
        if kind == "2_product_category":
            top = paths.get(rule["categ_id"] or 0)
            if not top or not category or not str(category["parent_path"]).startswith(str(top["parent_path"])):
                continue
        found.append(rule)
    found.sort(key=lambda rule: (rule["applied_on"], -rule["min_quantity"], -(rule["categ_id"] or 0), -rule["id"]))
    return found[0] if found else None


BEFORE_CREATE[ITEM] = _item_defaults
BEFORE_WRITE[ITEM] = _item_written
AFTER_SAVE[ITEM] = _item_saved
COMPUTED[ITEM, "currency_id"] = lambda store, row: _currency(store, row["pricelist_id"])
COMPUTED[ITEM, "company_id"] = lambda store, row: store.rows[LIST].get(row["pricelist_id"], {}).get("company_id", False)
COMPUTED[ITEM, "display_name"] = lambda store, row: (
    store.display_name("product.product", row["product_id"])
    if row["applied_on"] == "0_product_variant"
    else store.display_name("product.template", row["product_tmpl_id"])
    if row["applied_on"] == "1_product"
    else f"Category: {store.display_name('product.category', row['categ_id'])}"
    if row["applied_on"] == "2_product_category"
    else "All Products"
)
_ = rounded
