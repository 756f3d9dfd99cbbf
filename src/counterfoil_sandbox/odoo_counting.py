"""Counting the stock of the Odoo stand-in: what was counted becomes what lies there, by done moves."""

from __future__ import annotations

from counterfoil_sandbox import odoo_moves, odoo_quants
from counterfoil_sandbox.odoo_base import find
from counterfoil_sandbox.odoo_move_states import LINE, MOVE, move_row, set_state
from counterfoil_sandbox.odoo_quants import bypasses
from counterfoil_sandbox.odoo_schema import BEFORE_WRITE, Row, user_error
from counterfoil_sandbox.odoo_store import Store

UNCOUNTED: Row = {
    "inventory_quantity": 0.0,
    "inventory_quantity_set": False,
    "inventory_diff_quantity": 0.0,
    "user_id": False,
}
"""A quant that nobody has counted, or whose count was applied."""


def create_quant(store: Store, vals: Row) -> int:
    """`create` of stock.quant: while counting, an existing quant is written instead of a second one made."""
    counting = store.context.get("inventory_mode")
    given = [name for name in ("inventory_quantity_auto_apply", "inventory_quantity") if name in vals]
    if not (counting and given):
        return store.create("stock.quant", vals)
    at_once = given[0] == "inventory_quantity_auto_apply"
    quantity = float(vals[given[0]] or 0.0)
    row = odoo_quants.quant_at(store, int(vals["product_id"]), int(vals["location_id"]))
    kept = {name: value for name, value in vals.items() if name not in given}
    number = row["id"] if row else store.create("stock.quant", kept)
    values = {"inventory_quantity": quantity, "user_id": vals.get("user_id", store.uid)}
    store.write("stock.quant", [number], values)
    if at_once:
        apply_inventory(store, [number])
    return int(number)


def _quant_written(store: Store, ids: list[int], vals: Row) -> None:
    if store.context.get("inventory_mode") and {"product_id", "quantity", "reserved_quantity"} & set(vals):
        if any(store.rows["stock.quant"][i]["location_id"] == loss_location(store) for i in ids):
            vals.clear()
            return
        raise user_error("Quant's editing is restricted, you can't do this operation.")
    if "inventory_quantity_auto_apply" in vals:
        quantity = vals.pop("inventory_quantity_auto_apply")
        if store.context.get("inventory_mode"):
            for number in ids:
                store.set("stock.quant", number, inventory_quantity=float(quantity or 0.0))
            apply_inventory(store, ids)
    if "inventory_quantity" in vals:
        vals["inventory_quantity_set"] = True
        for number in ids:
            difference = float(vals["inventory_quantity"] or 0.0) - store.rows["stock.quant"][number]["quantity"]
            store.set("stock.quant", number, inventory_diff_quantity=difference)


def loss_location(store: Store) -> int:
    """Where counted differences come from and go to."""
    return find(store, "stock.location", usage="inventory")


def apply_inventory(store: Store, ids: list[int]) -> None:
    """action_apply_inventory: what was counted becomes what lies there, by a done move each; answers nothing."""
    store.check_exist("stock.quant", ids)
    moves = []
    for number in ids:
        row = store.rows["stock.quant"][number]
        difference = row["inventory_quantity"] - row["quantity"]
        loss, shelf = loss_location(store), row["location_id"]
        source, target = (loss, shelf) if difference > 0 else (shelf, loss)
        moves.append(move_counted(store, row["product_id"], abs(difference), source, target))
        store.touch("stock.quant", number, **UNCOUNTED)
    odoo_moves.serve_waiting(store, moves)


def clear_inventory(store: Store, ids: list[int]) -> None:
    """action_clear_inventory_quantity: what was counted is forgotten."""
    store.check_exist("stock.quant", ids)
    for number in ids:
        store.touch("stock.quant", number, **UNCOUNTED)


def count_as_is(store: Store, ids: list[int], quantity: float | None = None) -> None:
    """action_set_inventory_quantity (and …_zero): counted is what lies there, or nothing."""
    store.check_exist("stock.quant", ids)
    for number in ids:
        lies = store.rows["stock.quant"][number]["quantity"]
        values = {"inventory_quantity": lies if quantity is None else quantity, "user_id": store.uid}
        store.write("stock.quant", [number], values)


def move_counted(store: Store, product_id: int, quantity: float, source: int, target: int) -> int:
    """The done move by which counting changes what lies somewhere."""
    number = store.create(
        MOVE,
        {
            "product_id": product_id,
            "product_uom_qty": quantity,
            "location_id": source,
            "location_dest_id": target,
            "is_inventory": True,
            "inventory_name": store.context.get("inventory_name") or False,
            "state": "confirmed",
            "picked": True,
        },
    )
    store.context["_reserved"] = True  # a counted line takes what lies there, reserved or not
    line = odoo_moves.add_line(store, move_row(store, number), quantity)
    store.context.pop("_reserved")
    store.touch(LINE, line, picked=True)
    move = move_row(store, number)
    if quantity:
        shelf = not bypasses(store, source)
        free = odoo_quants.change(store, product_id, source, -quantity)
        odoo_quants.change(store, product_id, target, quantity)
        if shelf and free < 0:
            odoo_moves.take_back(store, move, store.rows[LINE][line], -free)
    reference = "Product Quantity Updated" if quantity else "Product Quantity Confirmed"
    who = store.display_name("res.users", store.uid)
    named = store.context.get("inventory_name") or (f"{reference} ({who})" if store.uid != 1 else reference)
    set_state(store, number, "done", date=store.now(), picked=True, reference=named, quantity=quantity)
    return number


BEFORE_WRITE["stock.quant"] = _quant_written
