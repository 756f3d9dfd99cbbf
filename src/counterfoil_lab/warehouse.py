"""What people do in an Odoo about orders: count stock, ship whole or in part, take goods back. Through its API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from counterfoil_lab.odoo_api import Odoo

QUIET = {"tracking_disable": True, "mail_notrack": True}
VALIDATE = {"skip_backorder": True, "skip_immediate": True, "skip_sms": True, **QUIET}
BATCH = 50


def count_stock(odoo: Odoo, quantities: Mapping[int, int], place: str = "") -> None:
    """Set what stands in the stock of a warehouse, the first if no code is given, by product.product number: one stock
    move each."""
    domain = [["code", "=", place]] if place else []
    location = odoo.read("stock.warehouse", domain, ["lot_stock_id"])[0]["lot_stock_id"][0]
    context = {**QUIET, "inventory_mode": True}
    rows = [{"product_id": p, "location_id": location, "inventory_quantity": n} for p, n in quantities.items()]
    for start in range(0, len(rows), 100):
        ids = odoo.call("stock.quant", "create", vals_list=rows[start : start + 100], context=context)
        if odoo.names.apply_count:
            odoo.call("stock.quant", odoo.names.apply_count, ids=ids, context=context)


def open_shipments(odoo: Odoo, origins: Iterable[str]) -> list[dict[str, Any]]:
    """Outgoing pickings still to be sent, of the orders with these origins: id, backorder_id, sale_id."""
    domain = [
        ["picking_type_code", "=", "outgoing"],
        ["state", "in", ["assigned", "confirmed", "waiting"]],
        ["sale_id.origin", "in", list(origins)],
    ]
    return odoo.read("stock.picking", domain, ["backorder_id", "sale_id"])


def ship(odoo: Odoo, pickings: list[int], tracking: Mapping[int, str]) -> None:
    """Send these pickings whole, with a tracking number where there is one."""
    for number, reference in tracking.items():
        odoo.call("stock.picking", "write", ids=[number], vals={"carrier_tracking_ref": reference}, context=QUIET)
    for start in range(0, len(pickings), BATCH):
        ids = pickings[start : start + BATCH]
        odoo.call("stock.picking", "action_assign", ids=ids, context=QUIET)
        if not odoo.names.move_picked:
            domain = [["picking_id", "in", ids], ["state", "!=", "cancel"]]
            for move in odoo.read("stock.move", domain, ["product_uom_qty"]):
                _move(odoo, move["id"], move["product_uom_qty"])
        odoo.call("stock.picking", "button_validate", ids=ids, context=VALIDATE)


def _move(odoo: Odoo, move: int, quantity: float) -> None:
    """So much of it will leave."""
    odoo.call("stock.move", "write", ids=[move], vals=odoo.names.moved(quantity), context=QUIET)


def ship_a_part(odoo: Odoo, picking: dict[str, Any]) -> bool:
    """Send only the first article (or one piece less of an only one); the rest becomes a back-order.

    False where there is nothing to part.
    """
    still_open = [["picking_id", "=", picking["id"]], ["state", "not in", ["done", "cancel"]]]  # a line may be gone
    moves = odoo.read("stock.move", still_open, ["product_uom_qty"])
    if len(moves) < 2 and moves[0]["product_uom_qty"] < 2:
        return False
    odoo.call("stock.picking", "action_assign", ids=[picking["id"]], context=QUIET)
    for place, move in enumerate(moves):
        quantity = move["product_uom_qty"] if len(moves) > 1 else move["product_uom_qty"] - 1
        _move(odoo, move["id"], 0 if place else quantity)
    odoo.call("stock.picking", "button_validate", ids=[picking["id"]], context=VALIDATE)
    return True


def take_back(odoo: Odoo, picking: int) -> int:
    """The customer sends all of a shipment back: the return is made and received; its number."""
    context = {**QUIET, "active_id": picking, "active_ids": [picking], "active_model": "stock.picking"}
    done, domain = odoo.names.move_done, [["picking_id", "=", picking], ["state", "=", "done"]]
    moves = odoo.read("stock.move", domain, ["product_id", "location_id", done])
    lines = [[0, 0, {"move_id": m["id"], "product_id": m["product_id"][0], "quantity": m[done]}] for m in moves]
    values = {"picking_id": picking, "product_return_moves": lines}
    if odoo.names.return_location:
        values[odoo.names.return_location] = moves[0]["location_id"][0]
    wizard = odoo.call("stock.return.picking", "create", vals_list=[values], context=context)
    made = int(odoo.call("stock.return.picking", odoo.names.return_method, ids=wizard, context=context)["res_id"])
    ship(odoo, [made], {})
    return made
