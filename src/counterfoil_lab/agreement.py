"""Do shop and Odoo agree? Every order's status, quantities, money, and every article's stock and price.

Independent as the checker is: reads only the shop and Odoo, never Counterfoil's store. Orders that wait for a person
are named by the caller; they are counted and not judged.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx

from counterfoil_lab.checker import OdooOrder, odoo_orders, order_differences, shop_orders
from counterfoil_lab.odoo_api import Odoo

SHIPMENTS = "_counterfoil_shipments"
ZERO = Decimal(0)
Quantities = Counter[str]


@dataclass(slots=True)
class Shop:
    """What the shop shows: orders by id, their refunds, stock and regular price by SKU."""

    orders: dict[str, dict[str, Any]]
    refunds: dict[str, list[dict[str, Any]]]
    stock: dict[str, int | None]
    prices: dict[str, str]


@dataclass(slots=True)
class Erp:
    """What Odoo shows, by the shop's order id: orders (doubles too), what left and came back; `credits` by refund.

    `available` (on hand less all open demand) and `prices` are by SKU, `demanded` is what confirmed orders ask for,
    `paid_back` is all money that went out.
    """

    orders: dict[str, list[OdooOrder]]
    sent: dict[str, Quantities] = field(default_factory=dict)
    back: dict[str, Quantities] = field(default_factory=dict)
    open_shipments: Counter[str] = field(default_factory=Counter)
    invoiced: dict[str, Decimal] = field(default_factory=dict)
    unpaid: dict[str, Decimal] = field(default_factory=dict)  # what posted invoices leave open
    credits: dict[str, list[Decimal]] = field(default_factory=dict)
    paid_back: Decimal = ZERO
    available: dict[str, int] = field(default_factory=dict)
    demanded: dict[str, Quantities] = field(default_factory=dict)
    prices: dict[str, Decimal] = field(default_factory=dict)


def read_shop(url: str, key: str, secret: str) -> Shop:
    """Everything the shop's API tells, read page by page."""
    orders = {str(o["id"]): o for o in shop_orders(url, key, secret)}
    with httpx.Client(base_url=f"{url}/wp-json/wc/v3/", auth=(key, secret), timeout=60) as client:
        refunds = {number: listed(client, f"orders/{number}/refunds") for number, o in orders.items() if o["refunds"]}
        stock: dict[str, int | None] = {}
        prices: dict[str, str] = {}
        for article in articles(client):
            if article["sku"]:
                stock[article["sku"]] = article["stock_quantity"] if article["manage_stock"] is True else None
                prices[article["sku"]] = article["regular_price"]
    return Shop(orders, refunds, stock, prices)


def articles(client: httpx.Client) -> Iterator[dict[str, Any]]:
    """All that is sold: simple products, and the variations of the others."""
    for product in listed(client, "products"):
        yield from (
            listed(client, f"products/{product['id']}/variations") if product["type"] == "variable" else [product]
        )


def listed(client: httpx.Client, path: str) -> list[dict[str, Any]]:
    """All rows of a list, page by page."""
    rows: list[dict[str, Any]] = []
    page = 1
    while True:
        got = client.get(path, params={"per_page": 100, "page": page, "orderby": "id", "order": "asc"})
        got.raise_for_status()
        rows += got.json()
        if len(got.json()) < 100:
            return rows
        page += 1


def read_erp(odoo: Odoo, system: str) -> Erp:
    """Everything Odoo tells of the shop's orders, their deliveries and money, and of its articles."""
    by_origin = odoo_orders(odoo, f"{system}:order:")
    erp = Erp({origin.rpartition(":")[2]: found for origin, found in by_origin.items()})
    numbers = {row["id"]: row["origin"].rpartition(":")[2] for row in _our_orders(odoo, system)}
    skus = {p["id"]: p for p in odoo.read("product.product", [["default_code", "!=", False]], _ARTICLE)}
    for number, orders in erp.orders.items():
        if orders[0].state in ("sale", "done"):
            erp.demanded[number] = Counter()
    for row in odoo.read("sale.order.line", [["order_id", "in", list(numbers)]], _LINE):
        demanded = erp.demanded.get(numbers[row["order_id"][0]])
        if demanded is not None and row["product_id"] and row["product_id"][0] in skus:
            demanded[skus[row["product_id"][0]]["default_code"]] += int(row["product_uom_qty"])
    _moves(odoo, erp, numbers, skus)
    _invoices(odoo, erp, system)
    for product in skus.values():
        sku = product["default_code"]
        erp.available[sku] = int(Decimal(str(product["qty_available"])) - Decimal(str(product["outgoing_qty"])))
        erp.prices[sku] = Decimal(str(product["lst_price"]))
    return erp


_ARTICLE = ["default_code", "qty_available", "outgoing_qty", "lst_price"]
_LINE = ["order_id", "product_id", "product_uom_qty"]


def _our_orders(odoo: Odoo, system: str) -> list[dict[str, Any]]:
    return odoo.read("sale.order", [["origin", "=like", f"{system}:order:%"]], ["origin"])


def _moves(odoo: Odoo, erp: Erp, numbers: dict[int, str], skus: dict[int, dict[str, Any]]) -> None:
    domain = [["sale_id", "in", list(numbers)], ["picking_type_code", "in", ["outgoing", "incoming"]]]
    pickings = odoo.read("stock.picking", domain, ["sale_id", "state", "picking_type_code"])
    where: dict[int, Quantities] = {}
    for row in pickings:
        number, leaves = numbers[row["sale_id"][0]], row["picking_type_code"] == "outgoing"
        if row["state"] == "done":
            where[row["id"]] = (erp.sent if leaves else erp.back).setdefault(number, Counter())
        elif leaves and row["state"] != "cancel":
            erp.open_shipments[number] += 1
    done = odoo.names.move_done
    fields = ["picking_id", "product_id", done]
    for row in odoo.read("stock.move", [["picking_id", "in", list(where)], ["state", "=", "done"]], fields):
        where[row["picking_id"][0]][skus[row["product_id"][0]]["default_code"]] += int(row[done])


def _invoices(odoo: Odoo, erp: Erp, system: str) -> None:
    names = {found.number: number for number, orders in erp.orders.items() for found in orders}
    posted = [["state", "=", "posted"]]
    fields = ["invoice_origin", "amount_total", "amount_residual"]
    invoiced: dict[str, Decimal] = defaultdict(Decimal)
    unpaid: dict[str, Decimal] = defaultdict(Decimal)
    for row in odoo.read("account.move", [["move_type", "=", "out_invoice"], *posted], fields):
        invoiced[names.get(row["invoice_origin"] or "", "")] += Decimal(str(row["amount_total"]))
        unpaid[names.get(row["invoice_origin"] or "", "")] += Decimal(str(row["amount_residual"]))
    erp.invoiced, erp.unpaid = dict(invoiced), dict(unpaid)
    credited = {
        row["id"]: Decimal(str(row["amount_total"]))
        for row in odoo.read("account.move", [["move_type", "=", "out_refund"], *posted], fields)
    }
    prefix = f"{system}_refund_"
    domain = [["module", "=", "counterfoil"], ["model", "=", "account.move"], ["name", "=like", f"{prefix}%"]]
    for row in odoo.read("ir.model.data", domain, ["name", "res_id"]):
        if row["res_id"] in credited:
            erp.credits.setdefault(row["name"].removeprefix(prefix), []).append(credited[row["res_id"]])
    out = [["payment_type", "=", "outbound"], ["state", "in", odoo.names.payment_posted]]
    erp.paid_back = sum((Decimal(str(r["amount"])) for r in odoo.read("account.payment", out, ["amount"])), ZERO)


def to_be_shown(shop: Shop, erp: Erp, for_a_person: Collection[str] = ()) -> dict[str, int]:
    """How many of each article the shop may sell: what Odoo says, less what the shop's orders want beyond what Odoo
    demands for them. That are those it does not have or has as a quotation, and changes that wait for a person."""
    left = dict(erp.available)
    for number, order in shop.orders.items():
        quotation = any(found.state in ("draft", "sent") for found in erp.orders.get(number, ()))
        if order["status"] not in ("on-hold", "processing", "completed") and not quotation:
            continue
        demanded = erp.demanded.get(number)
        if demanded is not None and number not in for_a_person:
            continue
        wanted = Counter[str]()
        for line in order["line_items"]:
            wanted[line["sku"]] += int(line["quantity"])
        for sku, units in (wanted - (demanded or Counter())).items():
            if sku in left:
                left[sku] -= units
    return {sku: max(0, units) for sku, units in left.items()}


def judge(shop: Shop, erp: Erp, for_a_person: Collection[str]) -> dict[str, Any]:
    """The verdict: counts, and under `wrong` what is wrong with each order and article."""
    wrong: dict[str, dict[str, Any]] = {"lost": {}, "status": {}, "shipped": {}, "money": {}, "stock": {}, "price": {}}
    duplicates = 0
    for number, order in shop.orders.items():
        found = erp.orders.get(number, [])
        duplicates += max(0, len(found) - 1)
        if number in for_a_person:
            continue
        if not found:
            if order["status"] in ("processing", "completed", "on-hold"):
                wrong["lost"][number] = order["status"]
            continue
        _note(wrong["status"], number, _status(order, found[0], erp))
        _note(wrong["shipped"], number, _shipped(order, erp))
        _note(wrong["money"], number, _money(order, shop.refunds.get(number, []), found[0], erp))
    shown = to_be_shown(shop, erp, for_a_person)
    for sku, told in shop.stock.items():
        if sku in shown and told is not None and told != shown[sku]:
            wrong["stock"][sku] = f"{told} for {shown[sku]}"
        if sku in erp.prices and Decimal(shop.prices[sku] or -1) != erp.prices[sku]:
            wrong["price"][sku] = f"{shop.prices[sku]} for {erp.prices[sku]}"
    return {
        "orders": len(shop.orders),
        "lost": len(wrong["lost"]),
        "duplicates": duplicates,
        "status_wrong": len(wrong["status"]),
        "shipped_wrong": len(wrong["shipped"]),
        "stock_wrong": len(wrong["stock"]),
        "price_wrong": len(wrong["price"]),
        "money_wrong": len(wrong["money"]),
        "wrong": wrong,
    }


def _note(where: dict[str, Any], number: str, what: Any) -> None:
    if what:
        where[number] = what


def _status(order: dict[str, Any], found: OdooOrder, erp: Erp) -> str:
    """What is wrong between the two statuses, by the table of the order's life; empty when they agree."""
    number, status = str(order["id"]), order["status"]
    complete = bool(erp.sent.get(number)) and not erp.open_shipments[number]
    expected = {
        "cancelled": found.state == "cancel",
        "on-hold": found.state in ("draft", "sent", "sale"),  # put on hold again it stays as it is
        "processing": found.state == "sale" and not complete,
        "completed": found.state == "sale" and complete,
        "refunded": found.state in ("sale", "cancel"),
        "pending": found.state in ("draft", "sent"),
        "failed": found.state in ("draft", "sent"),
    }
    if expected.get(status, True):
        return ""
    return f"{status} in the shop, {found.state}{', all shipped' if complete else ''} in Odoo"


def _shipped(order: dict[str, Any], erp: Erp) -> str:
    """Units by article that the shop was told have left, and have come back, against Odoo's moves."""
    told: dict[bool, Quantities] = {False: Counter(), True: Counter()}
    for meta in order["meta_data"]:
        if meta["key"] == SHIPMENTS:
            value = json.loads(meta["value"]) if isinstance(meta["value"], str) else meta["value"]
            for shipment in value:
                for item in shipment["items"]:
                    told[bool(shipment.get("returned"))][item["sku"]] += int(Decimal(str(item["quantity"])))
    number = str(order["id"])
    there = {False: erp.sent.get(number, Counter()), True: erp.back.get(number, Counter())}
    return "" if told == there else f"told {told[False]}, back {told[True]} for {there[False]}, back {there[True]}"


def _money(order: dict[str, Any], refunds: list[dict[str, Any]], found: OdooOrder, erp: Erp) -> dict[str, str]:
    """Where total, payment, invoice or refunds differ."""
    number = str(order["id"])
    differences: dict[str, str] = {}
    given_back = sum((Decimal(r["amount"]) for r in refunds), ZERO)
    if found.state != "cancel" and not refunds:  # a refund may lower the quantity of what was not shipped
        differences |= order_differences(order, found)
    owed = found.rounded(Decimal(order["total"])) if order.get("date_paid") else ZERO
    if found.paid != owed:
        differences["paid"] = f"{found.paid} for {owed}"
    if order.get("date_paid") and erp.unpaid.get(number):
        differences["open"] = f"{erp.unpaid[number]} of a paid order's invoices"
    for refund in refunds:
        credit = erp.credits.get(str(refund["id"]), [])
        amount = found.rounded(Decimal(refund["amount"]))
        if order.get("date_paid") and credit != [amount] and amount:
            differences[f"refund {refund['id']}"] = f"{[str(c) for c in credit]} for {amount}"
    if order["status"] == "completed" and not given_back and erp.invoiced.get(number, ZERO) != found.total:
        differences["invoiced"] = f"{erp.invoiced.get(number, ZERO)} for {found.total}"
    return differences


def agreed(verdict: dict[str, Any]) -> bool:
    """Nothing lost, doubled or wrong."""
    return not any(n for name, n in verdict.items() if name.endswith("_wrong") or name in ("lost", "duplicates"))
