"""From order to delivery in the Odoo stand-in: what is confirmed is to be moved, and what moved counts as delivered."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from counterfoil_sandbox import odoo_move_states, odoo_moves, odoo_places
from counterfoil_sandbox.odoo_base import in_uom, related
from counterfoil_sandbox.odoo_move_states import CLOSED, MOVE
from counterfoil_sandbox.odoo_schema import COMPUTED, Row, rounded, user_error
from counterfoil_sandbox.odoo_store import Store

PICKING = "stock.picking"
BELOW_DELIVERED = (
    "The ordered quantity of a sale order line cannot be decreased below the amount already delivered. Instead, "
    "create a return in your inventory."
)


def launch(store: Store, line_ids: Iterable[int]) -> None:
    """Make the moves of confirmed lines fit their quantities: more of them, or less of those that are open."""
    if store.context.get("skip_procurement") or "stock.picking" in store.missing:
        return
    made: dict[tuple[int, int], list[int]] = {}
    for line_id in line_ids:
        line = store.rows["sale.order.line"][line_id]
        order = store.rows["sale.order"][line["order_id"]]
        product = store.rows["product.product"].get(line["product_id"] or 0)
        if order["state"] != "sale" or order["locked"] or not product or product["type"] != "consu":
            continue
        difference = rounded(line["product_uom_qty"] - _under_way(store, line), 0.00001)
        if difference:
            quantity = in_uom(store, difference, line["product_uom_id"], product["uom_id"])
            house = warehouse_of(store, line)
            made.setdefault((order["id"], house), []).append(_move(store, order, line, product, quantity, house))
    for (order_id, house), moves in made.items():
        _assign_pickings(store, store.rows["sale.order"][order_id], moves, house)
        odoo_moves.confirm(store, moves)
        _turn_round(store, store.rows["sale.order"][order_id], moves, house)


def warehouse_of(store: Store, line: Row) -> int:
    """The warehouse that a line ships from: the one that delivers by its route, else the order's.

    Odoo does not see routes that may not be chosen on lines where it reads those of a line.
    """
    houses = store.rows["stock.warehouse"].values()
    chosen = [i for i in line["route_ids"] or () if store.rows["stock.route"][i]["sale_selectable"]]
    routed = [house["id"] for house in houses if house["delivery_route_id"] in chosen]
    return int(routed[0] if routed else store.rows["sale.order"][line["order_id"]]["warehouse_id"])


def _under_way(store: Store, line: Row) -> float:
    """What of the line is moved or going to be, less what came or comes back."""
    total = 0.0
    for move, sign in odoo_move_states.sold_moves(store, line):
        quantity = move["quantity"] if move["state"] == "done" else move["product_uom_qty"]
        total += sign * in_uom(store, quantity, move["product_uom"], line["product_uom_id"])
    return rounded(total, 0.00001)


def _move(store: Store, order: Row, line: Row, product: Row, quantity: float, house_id: int) -> int:
    house = store.rows["stock.warehouse"][house_id]
    customer = odoo_places.of_usage(store, "customer")
    deadline = order["commitment_date"] or _later(order["date_order"], line["customer_lead"])
    return store.create(
        MOVE,
        {
            "product_id": product["id"],
            "product_uom_qty": quantity,
            "location_id": house["lot_stock_id"],
            "location_dest_id": customer,
            "location_final_id": customer,
            "picking_type_id": house["out_type_id"],
            "warehouse_id": house["id"],
            "partner_id": order["partner_shipping_id"],
            "origin": order["name"],
            "sale_line_id": line["id"],
            "date": deadline,
            "date_deadline": deadline,
            "sequence": line["sequence"],
        },
    )


def _later(moment: Any, days: float) -> str:
    when = datetime.strptime(str(moment)[:19], "%Y-%m-%d %H:%M:%S") + timedelta(days=days or 0.0)  # noqa: DTZ007
    return when.strftime("%Y-%m-%d %H:%M:%S")


def _assign_pickings(store: Store, order: Row, moves: list[int], house: int) -> None:
    """Put new moves into the order's open transfer there, or into a new one; less than nothing needs an open one."""
    kind = store.rows["stock.warehouse"][house]["out_type_id"]
    picking = next((row["id"] for row in _open_pickings(store, order, kind)), None)
    if picking is None:
        if all(store.rows[MOVE][i]["product_uom_qty"] < 0 for i in moves):
            return
        first = store.rows[MOVE][next(i for i in moves if store.rows[MOVE][i]["product_uom_qty"] >= 0)]
        picking = store.create(
            PICKING,
            {
                "picking_type_id": kind,
                "partner_id": order["partner_shipping_id"],
                "origin": order["name"],
                "location_id": first["location_id"],
                "location_dest_id": first["location_dest_id"],
                "move_type": order["picking_policy"],
                "carrier_id": order["carrier_id"],
                "scheduled_date": first["date"],
                "sale_id": order["id"],
            },
        )
    elif any(store.rows[MOVE][i]["product_uom_qty"] > 0 for i in moves):
        store.stir(PICKING, [picking])
    name = store.rows[PICKING][picking]["name"]
    for number in moves:
        store.set(MOVE, number, picking_id=picking, reference=name)


def _open_pickings(store: Store, order: Row, kind: int) -> list[Row]:
    rows = [store.rows[PICKING][i] for i in sorted(store.children[PICKING, "sale_id"].get(order["id"], ()))]
    return [
        row
        for row in rows
        if row["picking_type_id"] == kind and not row["printed"] and row["state"] not in CLOSED and not row["return_id"]
    ]


def _turn_round(store: Store, order: Row, moves: list[int], house: int) -> None:
    """What is asked back and no open move can give becomes a transfer the other way."""
    left = [i for i in moves if i in store.rows[MOVE] and store.rows[MOVE][i]["product_uom_qty"] < 0]
    if not left:
        return
    kind = store.rows["stock.picking.type"][store.rows["stock.warehouse"][house]["in_type_id"]]
    move = store.rows[MOVE][left[0]]
    picking = store.create(
        PICKING,
        {
            "picking_type_id": kind["id"],
            "partner_id": order["partner_shipping_id"],
            "origin": order["name"],
            "location_id": move["location_dest_id"],
            "location_dest_id": move["location_id"],
            "sale_id": order["id"],
        },
    )
    for number in left:
        move = store.rows[MOVE][number]
        old = move["picking_id"]
        store.set(
            MOVE,
            number,
            product_uom_qty=-move["product_uom_qty"],
            product_qty=-move["product_uom_qty"],
            location_id=move["location_dest_id"],
            location_dest_id=move["location_id"],
            location_final_id=move["location_id"],
            picking_type_id=kind["id"],
            picking_id=picking,
            reference=store.rows[PICKING][picking]["name"],
            state="confirmed",
        )
        odoo_move_states.refresh_picking(store, old)
    odoo_moves.assign(store, left)


def check_line_quantity(store: Store, lines: list[Row], quantity: float) -> None:
    """Raises UserError when confirmed lines shall have less than what is delivered of them."""
    most = 0.0
    for line in lines:
        product = store.rows["product.product"].get(line["product_id"] or 0)
        if product and product["type"] == "consu":
            most = max(most, line["qty_delivered"])
    if rounded(quantity - most, 0.01) < 0:
        raise user_error(BELOW_DELIVERED)


def cancel_deliveries(store: Store, order_id: int) -> None:
    """Cancel the order's transfers that are not done."""
    for number in sorted(store.children[PICKING, "sale_id"].get(order_id, ())):
        if store.rows[PICKING][number]["state"] != "done":
            odoo_moves.cancel(
                store, [m["id"] for m in odoo_move_states.moves_of(store, number) if m["state"] not in CLOSED]
            )
            store.write(PICKING, [number], {"is_locked": True})


def status(store: Store, order: Row, *, any_delivered: bool) -> dict[str, Any]:
    """delivery_status and effective_date of an order."""
    rows = [store.rows[PICKING][i] for i in store.children[PICKING, "sale_id"].get(order["id"], ())]
    states = [row["state"] for row in rows]
    if not states or all(state == "cancel" for state in states):
        found: str | bool = False
    elif all(state in CLOSED for state in states):
        found = "full"
    elif "done" in states:
        found = "partial" if any_delivered else "started"
    else:
        found = "pending"
    to_customer = [
        row["date_done"]
        for row in rows
        if row["state"] == "done"
        and row["date_done"]
        and store.rows["stock.location"][row["location_dest_id"]]["usage"] == "customer"
    ]
    return {"delivery_status": found, "effective_date": min(to_customer, default=False)}


COMPUTED["sale.order", "delivery_count"] = lambda store, row: len(store.children[PICKING, "sale_id"].get(row["id"], ()))
COMPUTED["sale.order.line", "qty_delivered_method"] = lambda store, row: (
    "stock_move"
    if row["product_id"] and store.rows["product.product"][row["product_id"]]["type"] == "consu"
    else "manual"
)
COMPUTED["sale.order.line", "qty_to_deliver"] = lambda _store, row: row["product_uom_qty"] - row["qty_delivered"]
COMPUTED["sale.order.line", "warehouse_id"] = warehouse_of
related("sale.order.line", is_storable="product_id.is_storable")
