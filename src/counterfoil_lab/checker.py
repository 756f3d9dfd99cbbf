"""The independent checker: reads only the shop (or its recordings) and Odoo, never Counterfoil's store.

    counterfoil-check --shop URL --key K --secret S --odoo URL --api-key K [--database D] [--login L] [--system web]

It says which orders that the shop holds are lost, doubled or wrong by how much in Odoo, and which share of the
wanted ones is finished, so that doing nothing cannot pass. It imports nothing of the hub.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import httpx

from counterfoil_lab.odoo_api import Odoo

WAITING = ("pending", "failed")
NOT_WANTED = ("cancelled", "refunded", "trash", "checkout-draft", "auto-draft")
TO_CONFIRM = ("processing", "completed")


@dataclass(slots=True)
class OdooOrder:
    """One sale.order as Odoo shows it. `unit` is its currency's rounding there; `lines` by the shop's line id.

    `step` is what Odoo cuts unit prices to, 0 where it takes them as they are.
    """

    number: str
    state: str
    total: Decimal
    untaxed: Decimal
    tax: Decimal
    unit: Decimal
    currency: str
    paid: Decimal = Decimal(0)
    rounding: Decimal = Decimal(0)
    lines: dict[str, tuple[Decimal, Decimal, tuple[str, ...]]] = field(default_factory=dict)
    step: Decimal = Decimal(0)

    def rounded(self, amount: Decimal) -> Decimal:
        """An amount of the shop at the currency's rounding in Odoo."""
        return (amount / self.unit).quantize(Decimal(1), ROUND_HALF_UP) * self.unit

    def net(self, amount: Decimal, pieces: Decimal) -> Decimal:
        """A line's amount of the shop as Odoo can have it: the unit price is cut first."""
        exact = self.rounded(amount)
        if not self.step:
            return exact
        return self.rounded((exact / pieces / self.step).quantize(Decimal(1), ROUND_HALF_UP) * self.step * pieces)

    def text(self, amount: Decimal) -> str:
        """With as many digits as the currency has in Odoo."""
        return f"{amount.quantize(self.unit):f}"


def odoo_orders(odoo: Odoo, origin: str) -> dict[str, list[OdooOrder]]:
    """Odoo's orders by their origin (`web:order:1001`); more than one of an origin is a double."""
    units = {
        c["id"]: (c["name"], Decimal(f"{c['rounding']:g}")) for c in odoo.read("res.currency", [], ["name", "rounding"])
    }
    step = Decimal(0)
    if odoo.names.cuts_prices:
        [price] = odoo.read("decimal.precision", [["name", "=", "Product Price"]], ["digits"])
        step = Decimal(1).scaleb(-price["digits"])
    fields = ["name", "state", "origin", "amount_total", "amount_untaxed", "amount_tax", "currency_id"]
    orders: dict[int, OdooOrder] = {}
    by_origin: dict[str, list[OdooOrder]] = defaultdict(list)
    for row in odoo.read("sale.order", [["origin", "=like", f"{origin}%"]], fields):
        name, unit = units[row["currency_id"][0]]
        total, untaxed, tax = (Decimal(str(row[f"amount_{part}"])) for part in ("total", "untaxed", "tax"))
        order = OdooOrder(row["name"], row["state"], total, untaxed, tax, unit, name, step=step)
        orders[row["id"]] = order
        by_origin[row["origin"]].append(order)
    _lines(odoo, orders)
    _payments(odoo, orders)
    return by_origin


def _lines(odoo: Odoo, orders: dict[int, OdooOrder]) -> None:
    names = {
        r["res_id"]: r["name"]
        for r in odoo.read(
            "ir.model.data", [["module", "=", "counterfoil"], ["model", "=", "sale.order.line"]], ["name", "res_id"]
        )
    }
    percents = {t["id"]: f"{t['amount']:g}" for t in odoo.read("account.tax", [], ["amount"])}
    taxes = odoo.names.line_taxes
    fields = ["order_id", "price_subtotal", "price_tax", taxes]
    for row in odoo.read("sale.order.line", [["order_id", "in", list(orders)]], fields):
        order = orders[row["order_id"][0]]
        net, tax = order.rounded(Decimal(str(row["price_subtotal"]))), order.rounded(Decimal(str(row["price_tax"])))
        name = names.get(row["id"], "")
        if name.endswith("_rounding"):
            order.rounding += net
        else:
            order.lines[name.rpartition("_line_")[2] or f"odoo-{row['id']}"] = (
                net,
                tax,
                tuple(sorted(percents[t] for t in row[taxes])),
            )


def _payments(odoo: Odoo, orders: dict[int, OdooOrder]) -> None:
    by_number = {order.number: order for order in orders.values()}
    domain = [["payment_type", "=", "inbound"], ["state", "in", odoo.names.payment_posted]]
    memo = odoo.names.payment_memo
    for row in odoo.read("account.payment", domain, [memo, "amount"]):
        order = by_number.get((row[memo] or "").partition(" ")[0])
        if order is not None:
            order.paid += Decimal(str(row["amount"]))


def order_differences(shop: dict[str, Any], found: OdooOrder) -> dict[str, str]:
    """Where Odoo's amounts are not the customer's: total, each line's net, tax by rate; empty when all agree.

    A tax difference that the rounding line carries is not wrong, it is named by the caller.
    """
    differences: dict[str, str] = {}
    total = found.rounded(Decimal(shop["total"]))
    if total != found.total:
        differences["total"] = f"{found.text(found.total)} for {found.text(total)}"
    expected_tax: dict[str, Decimal] = defaultdict(Decimal)
    actual_tax: dict[str, Decimal] = defaultdict(Decimal)
    percents = {str(t["rate_id"]): f"{Decimal(str(t['rate_percent'])):g}" for t in shop["tax_lines"]}
    for line in [*shop["line_items"], *shop["shipping_lines"], *shop["fee_lines"]]:
        number = str(line["id"])
        net, tax, rates = found.lines.get(number, (None, Decimal(0), ()))
        expected = found.net(Decimal(line["total"] or 0), Decimal(line.get("quantity") or 1))
        if net != expected:
            differences[f"line {number}"] = f"{net} for {expected}"
        actual_tax["+".join(rates)] += tax
        told = [percents[str(t["id"])] for t in line["taxes"] if t["total"] not in ("", None)]
        # a nought-percent rate that Odoo has no tax for leaves no trace there and needs none
        told = [p for p in told if p in rates or p != "0"]
        expected_tax["+".join(sorted(told))] += found.rounded(Decimal(line["total_tax"] or 0))
    allowed = abs(found.rounding) + found.unit * 5
    for rates_ in sorted(set(expected_tax) | set(actual_tax)):
        if abs(expected_tax[rates_] - actual_tax[rates_]) > allowed:
            differences[f"tax {rates_} %"] = f"{actual_tax[rates_]} for {expected_tax[rates_]}"
    return differences


def shop_orders(url: str, key: str, secret: str) -> list[dict[str, Any]]:
    """All orders of a WooCommerce shop, trash among them."""
    orders: list[dict[str, Any]] = []
    with httpx.Client(base_url=url, auth=(key, secret), timeout=60) as client:
        for status in ("any", "trash"):
            page = 1
            while True:
                query = {"per_page": 100, "page": page, "orderby": "id", "order": "asc", "status": status}
                got = client.get("/wp-json/wc/v3/orders", params=query)
                got.raise_for_status()
                orders += got.json()
                if page >= int(got.headers["X-WP-TotalPages"]):
                    break
                page += 1
    return list({o["id"]: o for o in orders}.values())


def refunded_in_full(order: dict[str, Any]) -> bool:
    """Whether the refunds sum to the total."""
    back = -sum((Decimal(r["total"]) for r in order.get("refunds", [])), Decimal(0))
    return back > 0 and back >= Decimal(order["total"])


@dataclass(frozen=True, slots=True)
class Sellable:
    """What Odoo can sell: SKUs of active products, and its active currencies."""

    skus: frozenset[str]
    currencies: frozenset[str]

    def refuses(self, order: dict[str, Any]) -> bool:
        """Whether no system could take this order without a person, judged from the shop and Odoo alone."""
        lines = order["line_items"]
        return (
            not lines
            or order["currency"] not in self.currencies
            or Decimal(order["total"]) < 0
            or any(not line["product_id"] or line["quantity"] <= 0 or line["sku"] not in self.skus for line in lines)
        )


def sellable(odoo: Odoo) -> Sellable:
    """Read from Odoo."""
    products = odoo.read("product.product", [["active", "=", True], ["sale_ok", "=", True]], ["default_code"])
    currencies = odoo.read("res.currency", [["active", "=", True]], ["name"])
    return Sellable(
        frozenset(p["default_code"] for p in products if p["default_code"]), frozenset(c["name"] for c in currencies)
    )


def check(
    orders: Iterable[dict[str, Any]], in_odoo: dict[str, list[OdooOrder]], known: Sellable, system: str
) -> dict[str, Any]:
    """The verdict. An order that Odoo cannot sell counts as an exception if it is not there, never as finished."""
    verdict: dict[str, Any] = {
        "orders_placed": 0,
        "orders_in_odoo": 0,
        "waiting": 0,
        "not_wanted": 0,
        "exceptions": 0,
        "lost": 0,
        "duplicates": 0,
        "total_mismatches": 0,
        "unpaid": 0,
        "unconfirmed": 0,
    }
    wrong: dict[str, Any] = {}
    finished = wanted = 0
    for order in orders:
        verdict["orders_placed"] += 1
        number = str(order["id"])
        found = in_odoo.get(f"{system}:order:{number}", [])
        standing = [o for o in found if o.state != "cancel"]
        verdict["orders_in_odoo"] += bool(standing)
        verdict["duplicates"] += max(0, len(found) - 1)
        if order["status"] in WAITING and not standing:
            verdict["waiting"] += 1
            continue
        if order["status"] in NOT_WANTED or refunded_in_full(order):
            verdict["not_wanted"] += 1
            if standing and order["status"] == "cancelled":
                wrong[number] = {"still standing": standing[0].number}
            continue
        if known.refuses(order) and not standing:
            verdict["exceptions"] += 1
            continue
        wanted += 1
        if not standing:
            verdict["lost"] += 1
            wrong[number] = {"lost": order["status"]}
            continue
        differences = order_differences(order, standing[0])
        if differences:
            verdict["total_mismatches"] += 1
            wrong[number] = differences
        unconfirmed = order["status"] in TO_CONFIRM and standing[0].state != "sale"
        owed = standing[0].rounded(Decimal(order["total"])) if order.get("date_paid") else Decimal(0)
        unpaid = order["status"] in TO_CONFIRM and standing[0].paid != owed
        verdict["unconfirmed"] += unconfirmed
        verdict["unpaid"] += unpaid
        if unpaid:
            wrong.setdefault(number, {})["paid"] = f"{standing[0].paid} for {owed}"
        finished += not (unconfirmed or unpaid or differences)
    verdict["still_standing"] = sum("still standing" in w for w in wrong.values())
    verdict["finished_share"] = round(finished / wanted, 4) if wanted else 1.0
    verdict["wrong"] = wrong
    return verdict


def passed(verdict: dict[str, Any]) -> bool:
    """Nothing lost, doubled or wrong, and at least 99 % of what is wanted finished."""
    zeros = ("lost", "duplicates", "total_mismatches", "still_standing")
    return not any(verdict[name] for name in zeros) and verdict["finished_share"] >= 0.99


def main() -> int:
    """The command: prints what is wrong, then the verdict as one JSON line; exit 1 unless it passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("shop", "key", "secret", "odoo", "api-key"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--database", default="")
    parser.add_argument("--login", default="", help="the user's login, of an Odoo 14")
    parser.add_argument("--system", default="web", help="the shop's name in the blueprint")
    options = parser.parse_args()
    started = time.monotonic()
    odoo = Odoo(options.odoo, options.api_key, options.database, options.login)
    orders = shop_orders(options.shop, options.key, options.secret)
    verdict = check(orders, odoo_orders(odoo, f"{options.system}:order:"), sellable(odoo), options.system)
    for number, what in verdict.pop("wrong").items():
        print(f"order {number}: {json.dumps(what, ensure_ascii=False)}")
    print(json.dumps({**verdict, "seconds": round(time.monotonic() - started, 1)}))
    return 0 if passed(verdict) else 1


if __name__ == "__main__":
    sys.exit(main())
