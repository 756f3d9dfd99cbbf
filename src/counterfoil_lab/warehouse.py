"""What people do in an Odoo 19 about orders: count stock, ship whole or in part, take goods back. Through its API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from counterfoil_lab.odoo_api import Odoo

QUIET = {"tracking_disable": True, "mail_notrack": True}
VALIDATE = {"skip_backorder": True, "skip_sms": True, **QUIET}
BATCH = 50


def count_stock(odoo: Odoo, quantities: Mapping[int, int]) -> None:
    """Set what stands in the first warehouse's stock, by product.product number: one stock move each."""
    location = odoo.read("stock.warehouse", [], ["lot_stock_id"])[0]["lot_stock_id"][0]
    context = {**QUIET, "inventory_mode": True}
    rows = [{"product_id": p, "location_id": location, "inventory_quantity": n} for p, n in quantities.items()]
    for start in range(0, len(rows), 100):
        ids = odoo.call("stock.quant", "create", vals_list=rows[start : start + 100], context=context)
        odoo.call("stock.quant", "action_apply_inventory", ids=ids, context=context)


def open_shipments(odoo: Odoo, origins: Iterable[str]) -> list[dict[str, Any]]:
    """Outgoing pickings still to be sent, of the orders with these origins: id, move_ids, backorder_id, sale_id."""
    domain = [
        ["picking_type_code", "=", "outgoing"],
        ["state", "in", ["assigned", "confirmed", "waiting"]],
        ["sale_id.origin", "in", list(origins)],
    ]
    return odoo.read("stock.picking", domain, ["move_ids", "backorder_id", "sale_id"])


def ship(odoo: Odoo, pickings: list[int], tracking: Mapping[int, str]) -> None:
    """Send these pickings whole, with a tracking number where there is one."""
    for number, reference in tracking.items():
        odoo.call("stock.picking", "write", ids=[number], vals={"carrier_tracking_ref": reference}, context=QUIET)
    for start in range(0, len(pickings), BATCH):
        ids = pickings[start : start + BATCH]
        odoo.call("stock.picking", "action_assign", ids=ids, context=QUIET)
        odoo.call("stock.picking", "button_validate", ids=ids, context=VALIDATE)


def ship_a_part(odoo: Odoo, picking: dict[str, Any]) -> bool:
    """Send only the first article (or one piece less of an only one); the rest becomes a back-order.

    False where there is nothing to part.
    """
    moves = odoo.call("stock.move", "read", ids=picking["move_ids"], fields=["product_uom_qty"])
    if len(moves) < 2 and moves[0]["product_uom_qty"] < 2:
        return False
    odoo.call("stock.picking", "action_assign", ids=[picking["id"]], context=QUIET)
    for place, move in enumerate(moves):
        quantity = move["product_uom_qty"] if len(moves) > 1 else move["product_uom_qty"] - 1
        vals = {"quantity": 0 if place else quantity, "picked": not place}
        odoo.call("stock.move", "write", ids=[move["id"]], vals=vals, context=QUIET)
    odoo.call("stock.picking", "button_validate", ids=[picking["id"]], context=VALIDATE)
    return True


def take_back(odoo: Odoo, picking: int) -> int:
    """The customer sends all of a shipment back: the return is made and received; its number."""
    context = {**QUIET, "active_id": picking, "active_ids": [picking], "active_model": "stock.picking"}
    wizard = odoo.call("stock.return.picking", "create", vals_list=[{"picking_id": picking}], context=context)
    lines = odoo.read("stock.return.picking.line", [["wizard_id", "in", wizard]], ["move_id"])
    for line in lines:
        sent = odoo.call("stock.move", "read", ids=[line["move_id"][0]], fields=["quantity"])[0]["quantity"]
        odoo.call("stock.return.picking.line", "write", ids=[line["id"]], vals={"quantity": sent}, context=context)
    made = int(odoo.call("stock.return.picking", "action_create_returns", ids=wizard, context=context)["res_id"])
    ship(odoo, [made], {})
    return made
