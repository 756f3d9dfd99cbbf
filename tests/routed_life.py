"""Two orders through a whole hub and an Odoo with two warehouses: one that ships from both, one that is collected."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.order_life import CENT, SHOP, rest

from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil.doors.assembly import load
from counterfoil.doors.serve import Hub, hub
from counterfoil.hub import exceptions, timeline
from counterfoil.watch import milestones, promises
from counterfoil_lab import warehouse
from counterfoil_lab.odoo_api import Odoo
from counterfoil_lab.stage import OdooPlace
from counterfoil_sandbox.woocommerce import RECORDINGS, Shop, make_order

STORE = "PAR"
SECTIONS = """
places:
  WH: {country: FR}
  PAR: {country: FR, name: Paris Bastille, pickup: true}
routing:
  rules: [{channel: web, prefer: [stock], split: quantities}]
  pickup: {web: {"local_pickup:3": PAR}}
promises:
  collected: {after: order.ready_for_pickup, expect: order.delivered, within: 1ms}
"""
FLOW = f"  - {{on: order.ready_for_pickup, from: odoo, do: {SHOP}.tell_order}}\n"


@dataclass(frozen=True)
class Routed:
    """What stands in the end."""

    split: dict[str, dict[str, float]]  # by warehouse, then by SKU: what its deliveries bring
    wanted: dict[str, int]  # by SKU, of the same order
    total: tuple[Decimal, Decimal]  # in the shop, in Odoo
    decided: list[str]  # why, as the counterfoil shows it
    collected_at: str
    told: list[str]  # the notes of the order that is collected
    events: list[str]
    sent_events: list[str]  # of the order that is sent
    late: list[str]  # what waits for a person while nobody comes, and
    over: list[str]  # once it was collected


def add_sections(file: Path) -> Path:
    """Declare places, routing, the flow that tells who collects, and how long they have."""
    text = file.read_text(encoding="utf-8").replace("payments:", f"{FLOW}payments:", 1)
    file.write_text(text + SECTIONS, encoding="utf-8")
    return file


async def play(file: Path, shop: Shop, place: OdooPlace) -> Routed:
    """Two of the first article lie in the first warehouse and one in the store, all else in the store."""
    odoo = place.api
    order = _three_of_each(make_order(7001, only=_plain, folder=RECORDINGS))
    await asyncio.to_thread(_second_warehouse, odoo)
    await asyncio.to_thread(_stock, odoo, [line["sku"] for line in order["line_items"]])
    async with hub(load(file)) as running:
        connector = running.connectors[SHOP]
        assert isinstance(connector, WooCommerce)
        await connector.ensure_webhooks(running.url)
        await rest(running, shop)  # the stock is known
        first = shop.place(order)["id"]
        second = make_order(7002, only=_plain, folder=RECORDINGS)
        second["shipping_lines"][0] |= {"method_id": "local_pickup", "instance_id": "3", "method_title": "Bastille"}
        second = shop.place(second)["id"]
        await rest(running, shop)
        rules = milestones.rules_of(running.blueprint)
        await promises.look(running.store, rules)
        late = await _before_people(running, second)
        waiting = warehouse.open_shipments(odoo, [f"{SHOP}:order:{second}"])
        await asyncio.to_thread(warehouse.ship, odoo, [each["id"] for each in waiting], {})
        await rest(running, shop)
        over = await _before_people(running, second)
        one = await timeline.of(running.store, f"{SHOP}:order:{first}")
        two = await timeline.of(running.store, f"{SHOP}:order:{second}")
    [sale] = odoo.read("sale.order", [["origin", "=", f"{SHOP}:order:{first}"]], ["amount_total"])
    return Routed(
        split=_deliveries(odoo, first),
        wanted={line["sku"]: line["quantity"] for line in order["line_items"]},
        total=(Decimal(shop.order(first)["total"]), Decimal(str(sale["amount_total"])).quantize(CENT)),
        decided=[e["text"] for e in one["entries"] if e["what"] == "routing"],
        collected_at=", ".join(_deliveries(odoo, second)),
        told=[note["note"] for note in shop.notes(second)],
        events=[e["text"] for e in two["entries"] if e["what"] == "event"],
        sent_events=[e["text"] for e in one["entries"] if e["what"] == "event"],
        late=late,
        over=over,
    )


def _plain(order: dict[str, Any]) -> bool:
    rates = len(order["tax_lines"]) == 1 and all(len(line["taxes"]) == 1 for line in order["line_items"])
    sent = bool(order["shipping_lines"]) and order["currency"] == "EUR"
    return len(order["line_items"]) >= 2 and rates and sent and all(line["sku"] for line in order["line_items"])


def _three_of_each(order: dict[str, Any]) -> dict[str, Any]:
    """The same amounts for three pieces a line, which they mostly do not divide into."""
    for line in order["line_items"]:
        line["quantity"] = 3
    return order


def _second_warehouse(odoo: Odoo) -> None:
    odoo.call("stock.warehouse", "create", vals_list=[{"name": "Paris Bastille", "code": STORE}])
    routes = [row["delivery_route_id"][0] for row in odoo.read("stock.warehouse", [], ["delivery_route_id"])]
    odoo.call("stock.route", "write", ids=routes, vals={"sale_selectable": True})


def _stock(odoo: Odoo, skus: list[str]) -> None:
    """Two of the first article in the first warehouse and one in the store; of all else enough in the store."""
    ids = {
        row["default_code"]: row["id"] for row in odoo.read("product.product", [odoo.names.stocked()], ["default_code"])
    }
    first = ids.pop(skus[0])
    warehouse.count_stock(odoo, {first: 2}, "WH")
    warehouse.count_stock(odoo, {first: 1} | dict.fromkeys(ids.values(), 50), STORE)


def _deliveries(odoo: Odoo, number: int) -> dict[str, dict[str, float]]:
    domain = [["picking_id.sale_id.origin", "=", f"{SHOP}:order:{number}"], ["state", "!=", "cancel"]]
    found: dict[str, dict[str, float]] = {}
    for move in odoo.read("stock.move", domain, ["picking_id", "product_id", "product_uom_qty"]):
        there = found.setdefault(move["picking_id"][1].partition("/")[0], {})
        there[move["product_id"][1].partition("]")[0].strip("[")] = move["product_uom_qty"]
    return found


async def _before_people(running: Hub, number: int) -> list[str]:
    listed = await exceptions.listing(running.store)
    return [str(one["reason"]) for one in listed if one["subject"] == f"{SHOP}:order:{number}"]
