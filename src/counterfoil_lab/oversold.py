"""Was anything sold that was not there? Judged from the shops and Odoo alone; nothing of Counterfoil is imported.

What is there is what Odoo counts on hand, with nothing shipped; what was sold is what shops' orders that stand have in
their lines, and again what Odoo's confirmed orders demand. Both must fit into what is there, article by article, and
be the same. So that selling nothing cannot pass, most of what is there must have been sold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from counterfoil_lab.odoo_api import Odoo

LEAST_SOLD = 0.98
GIVEN_UP = ("cancelled", "refunded", "trash", "failed", "pending", "checkout-draft", "auto-draft")


def there(odoo: Odoo, skus: Collection[str]) -> Counter[str]:
    """Units on hand in Odoo's own locations."""
    product = {p["id"]: p["default_code"] for p in _products(odoo, skus)}
    domain = [["product_id", "in", list(product)], ["location_id.usage", "=", "internal"]]
    found: Counter[str] = Counter()
    for quant in odoo.read("stock.quant", domain, ["product_id", "quantity"]):
        found[product[quant["product_id"][0]]] += round(quant["quantity"])
    return found


def sold_in_odoo(odoo: Odoo, skus: Collection[str]) -> Counter[str]:
    """Units that confirmed orders demand."""
    product = {p["id"]: p["default_code"] for p in _products(odoo, skus)}
    domain = [["product_id", "in", list(product)], ["order_id.state", "=", "sale"]]
    found: Counter[str] = Counter()
    for line in odoo.read("sale.order.line", domain, ["product_id", "product_uom_qty"]):
        found[product[line["product_id"][0]]] += round(line["product_uom_qty"])
    return found


def _products(odoo: Odoo, skus: Collection[str]) -> list[dict[str, Any]]:
    return odoo.read("product.product", [["default_code", "in", sorted(skus)]], ["default_code"])


def sold_in_shops(orders: Iterable[Mapping[str, Any]], skus: Collection[str]) -> Counter[str]:
    """Units in the lines of the orders that stand."""
    found: Counter[str] = Counter()
    for order in orders:
        for line in () if order["status"] in GIVEN_UP else order["line_items"]:
            if line["sku"] in skus:
                found[line["sku"]] += line["quantity"]
    return found


def judge(units: Mapping[str, int], in_shops: Mapping[str, int], in_odoo: Mapping[str, int]) -> dict[str, Any]:
    """The verdict: units there and sold, the articles of which more was sold, and those of which Odoo has another
    number than the shops."""
    skus = sorted({*units, *in_shops, *in_odoo})
    most = {sku: max(in_shops.get(sku, 0), in_odoo.get(sku, 0)) for sku in skus}
    oversold = {sku: f"{most[sku]} of {units.get(sku, 0)}" for sku in skus if most[sku] > units.get(sku, 0)}
    differ = {
        sku: f"{in_odoo.get(sku, 0)} in Odoo for {in_shops.get(sku, 0)}"
        for sku in skus
        if in_odoo.get(sku, 0) != in_shops.get(sku, 0)
    }
    sold, total = sum(in_shops.values()), sum(units.values())
    share = round(sold / total, 4) if total else 0.0
    return {"units": total, "sold": sold, "sold_share": share, "oversold": oversold, "differ": differ}


def passed(verdict: Mapping[str, Any]) -> bool:
    """Nothing sold twice, nothing lost on the way, and nearly everything sold."""
    return not verdict["oversold"] and not verdict["differ"] and verdict["sold_share"] >= LEAST_SOLD
