"""What follows from the state of stock moves in the Odoo stand-in: their transfers, and what counts as delivered."""

from __future__ import annotations

from typing import Any

from counterfoil_sandbox.odoo_base import in_uom
from counterfoil_sandbox.odoo_quants import bypasses
from counterfoil_sandbox.odoo_schema import Row, rounded
from counterfoil_sandbox.odoo_store import Store

MOVE, LINE = "stock.move", "stock.move.line"
CLOSED = ("done", "cancel")


def move_row(store: Store, number: int) -> Row:
    """The move as it stands."""
    return store.rows[MOVE][number]


def lines_of(store: Store, move_id: int) -> list[Row]:
    """A move's lines, the oldest first."""
    return [store.rows[LINE][i] for i in sorted(store.children[LINE, "move_id"].get(move_id, ()))]


def moves_of(store: Store, picking_id: int) -> list[Row]:
    """A transfer's moves, the oldest first."""
    return [store.rows[MOVE][i] for i in sorted(store.children[MOVE, "picking_id"].get(picking_id, ()))]


def needs_stock(store: Store, move: Row) -> bool:
    """Whether a move can only take what lies where it takes from."""
    return keeps_quants(store, move["product_id"]) and not bypasses(store, move["location_id"])


def keeps_quants(store: Store, product_id: int) -> bool:
    """Whether it is counted what lies where of the product."""
    return bool(store.rows["product.product"][product_id]["is_storable"])


# States


def refresh_move(store: Store, number: int) -> None:
    """Quantity and state of a move after its lines changed, then its transfer's state."""
    row = move_row(store, number)
    lines = lines_of(store, number)
    quantity = rounded(sum(line["quantity"] for line in lines), 0.00001)
    values: Row = {"quantity": quantity}
    if lines and row["state"] != "done":
        values["picked"] = any(line["picked"] for line in lines)
    if row["state"] not in CLOSED and not (row["state"] == "draft" and not quantity):
        values["state"] = (
            "assigned"
            if quantity >= row["product_uom_qty"]
            else "partially_available" if quantity else "confirmed"
        )  # fmt: skip
    store.touch(MOVE, number, **values)
    for line in lines:
        _follow(store, line["id"])
    refresh_picking(store, row["picking_id"])


def _follow(store: Store, line_id: int) -> None:
    """A line's stored copy of its move's state and transfer."""
    line = store.rows[LINE][line_id]
    move = move_row(store, line["move_id"])
    store.touch(LINE, line_id, state=move["state"], picking_id=move["picking_id"])


def set_state(store: Store, number: int, state: str, **values: Any) -> None:
    """Another state for the move, its lines, its transfer and what it was sold with."""
    store.touch(MOVE, number, state=state, **values)
    row = move_row(store, number)
    for line in lines_of(store, number):
        _follow(store, line["id"])
    refresh_picking(store, row["picking_id"])
    delivered(store, row["sale_line_id"])


def refresh_picking(store: Store, picking_id: Any) -> None:
    """A transfer's state from its moves' states, and the dates that follow from them."""
    if not picking_id or picking_id not in store.rows["stock.picking"]:
        return
    picking = store.rows["stock.picking"][picking_id]
    moves = moves_of(store, picking_id)
    states = [move["state"] for move in moves]
    if not moves or "draft" in states:
        state = picking["state"] if not moves and picking["state"] in CLOSED else "draft"
    elif all(one == "cancel" for one in states):
        state = "cancel"
    elif all(one in CLOSED for one in states):
        state = "done"
    elif bypasses(store, picking["location_id"]):
        state = "assigned"
    else:
        state = _state_among(picking, moves)
    values: Row = {"state": state}
    # Odoo takes the date of open moves; once all are closed it stays.
    open_dates = [move["date"] for move in moves if move["state"] not in CLOSED]
    if open_dates:
        pick = max if picking["move_type"] == "one" else min
        values["scheduled_date"] = pick(open_dates)
    deadlines = [move["date_deadline"] for move in moves if move["state"] != "cancel" and move["date_deadline"]]
    if deadlines:
        values["date_deadline"] = min(deadlines)
    sold = [store.rows["sale.order.line"][m["sale_line_id"]]["order_id"] for m in moves if m["sale_line_id"]]
    if sold:
        values["sale_id"] = sold[0]
    store.touch("stock.picking", picking_id, **values)
    for order_id in {sold[0] if sold else False, picking["sale_id"]} - {False}:
        store.stale_orders.add(order_id)


def _state_among(picking: Row, moves: list[Row]) -> str:
    rank = {"assigned": 4, "waiting": 3, "partially_available": 2, "confirmed": 1}
    todo = [
        move
        for move in moves
        if move["state"] not in CLOSED and not (move["state"] == "assigned" and not move["product_uom_qty"])
    ]
    todo.sort(key=lambda move: (rank.get(move["state"], 0), move["product_uom_qty"]))
    if not todo:
        return "assigned"
    if picking["move_type"] == "one":
        least = str(todo[0]["state"])
        return "confirmed" if least == "partially_available" else least
    if any(move["state"] in ("assigned", "partially_available") for move in todo):
        return "assigned"
    last = todo[-1]
    return "assigned" if last["state"] == "confirmed" and not last["product_uom_qty"] else str(last["state"])


def delivered(store: Store, sale_line_id: Any) -> None:
    """Quantity delivered of an order's line: what went out to the customer, less what came back."""
    line = store.rows["sale.order.line"].get(sale_line_id or 0)
    if line is None:
        return
    quantity = 0.0
    for move, sign in sold_moves(store, line):
        if move["state"] == "done":
            quantity += sign * in_uom(store, move["quantity"], move["product_uom"], line["product_uom_id"])
    store.touch("sale.order.line", line["id"], qty_delivered=quantity)
    store.stale_orders.add(line["order_id"])


def sold_moves(store: Store, line: Row) -> list[tuple[Row, int]]:
    """The moves of an order's line that count: 1 for what goes out, -1 for what comes back and is taken off."""
    found = []
    for number in sorted(store.children[MOVE, "sale_line_id"].get(line["id"], ())):
        move = store.rows[MOVE][number]
        if move["state"] == "cancel" or move["product_id"] != line["product_id"]:
            continue
        usage = store.rows["stock.location"]
        if usage[move["location_dest_id"]]["usage"] == "customer":
            if not move["origin_returned_move_id"] or move["to_refund"]:
                found.append((move, 1))
        elif move["to_refund"] and usage[move["location_id"]]["usage"] == "customer":
            found.append((move, -1))
    return found
