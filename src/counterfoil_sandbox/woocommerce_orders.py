"""Orders for the WooCommerce stand-in: as recorded from a real shop, or made from those recordings.

Totals are never calculated here: a made order takes the amounts of a recorded one, so that they add up the way
WooCommerce's really do. What is new is who it is: ids, number, dates, e-mail, keys.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import random
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).parent / "recordings" / "woocommerce"
CHARGES = ("line_items", "shipping_lines", "fee_lines")
FIRST_ID = 1000
DATES = ("date_created", "date_modified", "date_completed", "date_paid")
_STATUSES = ("processing",) * 8 + ("on-hold", "pending")  # what `generate` makes: mostly paid


def recordings(folder: Path | str, pattern: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and content of the recordings that match, such as `orders/*.json`, in order of their names."""
    for path in sorted(Path(folder).glob(pattern)):
        yield path.relative_to(folder).as_posix(), json.loads(path.read_text(encoding="utf-8"))


def without_links(value: Any) -> Any:
    """The same JSON without `_links`, at any depth."""
    if isinstance(value, dict):
        return {key: without_links(inner) for key, inner in value.items() if key != "_links"}
    return [without_links(inner) for inner in value] if isinstance(value, list) else value


def recorded_orders(folder: Path | str = RECORDINGS) -> list[dict[str, Any]]:
    """Each recorded order once, with the shop's two decimals, in order of id."""
    found: dict[int, dict[str, Any]] = {}
    for pattern in ("storefront/*.json", "orders/*.json"):
        for name, recording in recordings(folder, pattern):
            body = recording["response"]["body"]
            if "_dp6" not in name and isinstance(body, dict) and "line_items" in body:
                found[body["id"]] = without_links(body)
    return [found[number] for number in sorted(found)]


def adds_up(order: dict[str, Any]) -> bool:
    """Whether lines, rates and total agree to the cent, however they are summed."""
    charges = [charge for key in CHARGES for charge in order[key]]
    net = sum((Decimal(charge["total"]) for charge in charges), Decimal(0))
    line_tax = sum((Decimal(charge["total_tax"]) for charge in charges), Decimal(0))
    rates = order["tax_lines"]
    rate_tax = sum((Decimal(r["tax_total"]) + Decimal(r["shipping_tax_total"]) for r in rates), Decimal(0))
    tax = Decimal(order["total_tax"])
    return line_tax == tax == rate_tax and net + tax == Decimal(order["total"])


@functools.cache
def _templates(folder: Path) -> tuple[dict[str, Any], ...]:
    """Recorded orders a shop could ship: products it still has, an address, nothing given back."""
    return tuple(
        order
        for order in recorded_orders(folder)
        if adds_up(order)
        and order["line_items"]
        and all(line["product_id"] and line["sku"] for line in order["line_items"])
        and order["billing"]["last_name"]
        and not order["refunds"]
    )


def make_order(
    n: int,
    seed: int = 1,
    *,
    status: str = "processing",
    folder: Path | str = RECORDINGS,
    only: Callable[[dict[str, Any]], bool] | None = None,
) -> dict[str, Any]:
    """The n-th made order: id and number 1000 + n, the amounts of a recorded order that `only` lets through.

    The same arguments always make the same order.
    """
    dice = random.Random(f"{seed}/{n}")
    templates = [t for t in _templates(Path(folder)) if only is None or only(t)]
    if not templates:
        raise ValueError(f"no recorded order in {folder} can be made into a new one with this filter")
    order = copy.deepcopy(dice.choice(templates))
    key = "wc_order_" + hashlib.sha256(f"{seed}/{n}".encode()).hexdigest()[:13]
    order.update(id=FIRST_ID + n, number=str(FIRST_ID + n), order_key=key, parent_id=0)
    order["payment_url"] = f"http://shop.example/checkout/order-pay/{order['id']}/?pay_for_order=true&key={key}"
    if not order["customer_id"]:
        order["billing"]["email"] = f"buyer{n}@example.test"
    _renumber(order)
    paid = status in ("processing", "completed", "refunded") and order["payment_method"] != "cod"
    order["status"] = status
    order["transaction_id"] = f"tx_{key[9:]}" if paid and order["payment_method"] in ("stripe", "paypal") else ""
    order.update(is_editable=status in ("pending", "on-hold"), needs_payment=status in ("pending", "failed"))
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(1_795_200_000 + n))
    set_at = {
        "date_created": True,
        "date_modified": True,
        "date_paid": paid,
        "date_completed": status == "completed",
    }
    for name in DATES:
        order[name] = order[f"{name}_gmt"] = stamp if set_at[name] else None
    return order


def _renumber(order: dict[str, Any]) -> None:
    """New ids for everything inside: WooCommerce counts all its items in one sequence."""
    number = order["id"] * 100
    for key in (*CHARGES, "tax_lines", "coupon_lines"):
        for item in order[key]:
            number += 1
            item["id"] = number
            for meta in item.get("meta_data", []):
                meta["id"] = number
    for position, meta in enumerate(order["meta_data"]):
        meta["id"] = number + 1 + position


def generate(
    folder: Path | str = RECORDINGS,
    count: int = 100,
    seed: int = 1,
    only: Callable[[dict[str, Any]], bool] | None = None,
    statuses: tuple[str, ...] = _STATUSES,
) -> list[dict[str, Any]]:
    """`count` different orders; the statuses are drawn from `statuses`, by default eight in ten processing."""
    dice = random.Random(f"{seed}/statuses")
    return [make_order(n, seed, status=dice.choice(statuses), folder=folder, only=only) for n in range(count)]
