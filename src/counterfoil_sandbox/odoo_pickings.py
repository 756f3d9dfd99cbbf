"""Transfers of the Odoo stand-in: numbers, checking, validating with back-orders, and returns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from counterfoil_sandbox import odoo_move_states, odoo_moves
from counterfoil_sandbox.odoo_base import defaults, related
from counterfoil_sandbox.odoo_move_states import CLOSED, MOVE, moves_of
from counterfoil_sandbox.odoo_schema import (
    AFTER_SAVE,
    BEFORE_CREATE,
    BEFORE_UNLINK,
    BEFORE_WRITE,
    COMPUTED,
    Row,
    missing_error,
    rounded,
    user_error,
)
from counterfoil_sandbox.odoo_store import Store

PICKING, RETURN, RETURN_LINE = "stock.picking", "stock.return.picking", "stock.return.picking.line"
EMPTY = "You can’t validate an empty transfer. Please add some products to move before proceeding."
NOTHING = (
    "Transfer trouble alert! Validating a zero quantity transfer? You're not moving invisible goods around are you?\n"
    "Set some quantities and let's get moving!"
)
BACKORDER_VIEW = 936


def _picking_defaults(store: Store, vals: Row) -> None:
    kind = store.rows["stock.picking.type"].get(vals.get("picking_type_id") or 0)
    for name, value in (
        ("state", "draft"),
        ("move_type", kind["move_type"] if kind else "direct"),
        ("priority", "0"),
        ("company_id", 1),
        ("is_locked", True),
        ("scheduled_date", store.now()),
    ):
        vals.setdefault(name, value)
    if kind:
        vals.setdefault("location_id", kind["default_location_src_id"])
        vals.setdefault("location_dest_id", kind["default_location_dest_id"])
        if vals.get("name", "/") == "/":
            house = store.rows["stock.warehouse"].get(kind["warehouse_id"] or 0)
            stem = f"{house['code'] if house else ''}/{kind['sequence_code']}/"
            number = store.sequences[stem] = store.sequences.get(stem, 0) + 1
            vals["name"] = f"{stem}{number:05d}"


def _picking_written(store: Store, ids: list[int], vals: Row) -> None:
    for number in ids:
        row = store.rows[PICKING][number]
        if row["state"] in CLOSED and "scheduled_date" in vals:
            raise user_error("You cannot change the Scheduled Date on a done or cancelled transfer.")
        if "picking_type_id" in vals and row["state"] in CLOSED:
            raise user_error("Changing the operation type of this record is forbidden at this point.")


def _picking_saved(store: Store, row: Row, changed: set[str]) -> None:
    new = len(changed) == len(store.fields(PICKING))
    if new or not changed & {"scheduled_date", "location_id", "location_dest_id", "partner_id"}:
        return
    for move in moves_of(store, row["id"]):
        if move["state"] in CLOSED:
            continue
        values: Row = {"date": row["scheduled_date"]} if "scheduled_date" in changed else {}
        values |= {name: row[name] for name in ("location_id", "location_dest_id", "partner_id") if name in changed}
        store.touch(MOVE, move["id"], **values)


def _picking_unlinked(store: Store, ids: list[int]) -> None:
    for number in ids:
        moves = [move["id"] for move in moves_of(store, number)]
        odoo_moves.cancel(store, moves)
        if moves:
            store.unlink(MOVE, moves)


def confirm_pickings(store: Store, ids: Iterable[int]) -> bool:
    """action_confirm: draft moves are confirmed and reserved."""
    for number in ids:
        odoo_moves.confirm(store, [move["id"] for move in moves_of(store, number)])
    return True


def assign_pickings(store: Store, ids: list[int]) -> bool:
    """action_assign; raises UserError if there is nothing to reserve for."""
    confirm_pickings(store, [i for i in ids if store.rows[PICKING][i]["state"] == "draft"])
    moves = [move for number in ids for move in moves_of(store, number) if move["state"] not in ("draft", *CLOSED)]
    if not moves:
        raise user_error("Nothing to check the availability for.")
    moves.sort(key=lambda m: (m["priority"] != "1", not m["date_deadline"], m["date_deadline"], m["date"], m["id"]))
    odoo_moves.assign(store, [move["id"] for move in moves])
    return True


def cancel_pickings(store: Store, ids: Iterable[int]) -> bool:
    """action_cancel; raises UserError where something is done."""
    for number in ids:
        moves = moves_of(store, number)
        odoo_moves.cancel(store, [move["id"] for move in moves])
        store.write(PICKING, [number], {"is_locked": True, **({} if moves else {"state": "cancel"})})
    return True


def unreserve_pickings(store: Store, ids: list[int]) -> None:
    """do_unreserve; answers nothing."""
    for number in ids:
        odoo_moves.unreserve(
            store, [m["id"] for m in moves_of(store, number) if m["state"] not in CLOSED and not m["picked"]]
        )


def validate(store: Store, ids: list[int]) -> bool | Row:
    """button_validate: True when done, or the wizard that asks what to do with the rest (then nothing is done)."""
    store.check_exist(PICKING, ids)
    ids = [i for i in ids if store.rows[PICKING][i]["state"] != "done"]
    for number in [i for i in ids if store.rows[PICKING][i]["state"] == "draft"]:
        confirm_pickings(store, [number])
        for move in moves_of(store, number):
            if not move["quantity"] and move["product_uom_qty"]:
                odoo_moves.set_quantity(store, move["id"], move["product_uom_qty"])
    if not store.context.get("skip_sanity_check"):
        _check_sane(store, ids)
    for number in ids:
        moves = moves_of(store, number)
        if any(move["quantity"] for move in moves) and not any(move["picked"] for move in moves):
            store.write(MOVE, [move["id"] for move in moves], {"picked": True})
    asked = [] if store.context.get("skip_backorder") else [i for i in ids if _leaves_rest(store, i)]
    if asked:
        return _backorder_wizard(store, ids, asked)
    alone = set(store.context.get("picking_ids_not_to_backorder") or ())
    for number in ids:
        kind = store.rows["stock.picking.type"][store.rows[PICKING][number]["picking_type_id"]]["create_backorder"]
        do_picking(store, number, cancel_rest=kind == "never" or (number in alone and kind != "always"))
    return True


def _check_sane(store: Store, ids: list[int]) -> None:
    several = len(ids) > 1
    empty = [i for i in ids if not moves_of(store, i)]
    if empty and not several:
        raise user_error(EMPTY)
    if empty:
        names = ", ".join(store.rows[PICKING][i]["name"] for i in empty)
        raise user_error(f"Transfers {names}: Please add some items to move.")
    for number in ids if not several else ():
        moves = [move for move in moves_of(store, number) if move["state"] not in CLOSED]
        picked = any(move["picked"] for move in moves)
        if not any(rounded(move["quantity"], 0.01) for move in moves if not picked or move["picked"]):
            raise user_error(NOTHING)


def _leaves_rest(store: Store, number: int) -> bool:
    kind = store.rows["stock.picking.type"][store.rows[PICKING][number]["picking_type_id"]]
    if kind["create_backorder"] != "ask":
        return False
    for move in moves_of(store, number):
        if move["state"] == "cancel":
            continue
        picked = sum(line["quantity"] for line in odoo_move_states.lines_of(store, move["id"]) if line["picked"])
        if (move["product_uom_qty"] and not move["picked"]) or rounded(picked - move["product_uom_qty"], 0.01) < 0:
            return True
    return False


def _backorder_wizard(store: Store, ids: list[int], asked: list[int]) -> Row:
    return {
        "name": "Create Backorder?",
        "type": "ir.actions.act_window",
        "view_mode": "form",
        "res_model": "stock.backorder.confirmation",
        "views": [[BACKORDER_VIEW, "form"]],
        "view_id": BACKORDER_VIEW,
        "target": "new",
        "context": {
            **store.context,
            "button_validate_picking_ids": ids,
            "default_show_transfers": len(ids) > 1,
            "default_pick_ids": [[4, number] for number in asked],
        },
    }


def do_picking(store: Store, number: int, *, cancel_rest: bool) -> None:
    """Do a transfer: what is picked moves; the rest goes into a back-order or is let go."""
    open_moves = [move["id"] for move in moves_of(store, number) if move["state"] not in CLOSED]
    odoo_moves.finish(store, open_moves, cancel_rest=cancel_rest)
    rest = [move["id"] for move in moves_of(store, number) if move["state"] not in CLOSED]
    if rest and not cancel_rest:
        _backorder(store, number, rest)
    store.write(PICKING, [number], {"date_done": store.now(), "priority": "0"})
    store.stir(MOVE, [move["id"] for move in moves_of(store, number)])
    odoo_move_states.refresh_picking(store, number)
    row = store.rows[PICKING][number]
    if store.rows["stock.picking.type"][row["picking_type_id"]]["code"] in ("incoming", "internal"):
        done = [move["id"] for move in moves_of(store, number) if move["state"] == "done"]
        odoo_moves.serve_waiting(store, done)


def _backorder(store: Store, number: int, moves: list[int]) -> None:
    row = store.rows[PICKING][number]
    same = ("partner_id", "picking_type_id", "location_id", "location_dest_id", "origin", "move_type", "company_id",
            "sale_id", "carrier_id", "owner_id", "note", "scheduled_date")  # fmt: skip
    new = store.create(PICKING, {**{name: row[name] for name in same}, "backorder_id": number})
    for move in moves:
        store.touch(MOVE, move, picking_id=new, picked=False, reference=store.rows[PICKING][new]["name"])
        for line in odoo_move_states.lines_of(store, move):
            store.touch("stock.move.line", line["id"], picking_id=new, picked=False)
        odoo_move_states.refresh_move(store, move)
    odoo_move_states.refresh_picking(store, number)
    kind = store.rows["stock.picking.type"][row["picking_type_id"]]
    if kind["reservation_method"] == "at_confirm":
        odoo_moves.assign(store, moves)


# The wizard about the rest


def process_backorder(store: Store, ids: list[int], *, cancel_rest: bool) -> Any:
    """process and process_cancel_backorder of the wizard that button_validate answers."""
    for number in ids:
        asked = store.rows["stock.backorder.confirmation"][number]["pick_ids"]
        pickings = store.context.get("button_validate_picking_ids")
        if not pickings:
            return True
        kept = store.context
        store.context = {**kept, "skip_backorder": True}
        if cancel_rest:
            store.context["picking_ids_not_to_backorder"] = asked
        try:
            return validate(store, list(pickings))
        finally:
            store.context = kept
    return True


# Returns


def _return_defaults(store: Store, vals: Row) -> None:
    if not vals.get("picking_id") and store.context.get("active_model") == PICKING:
        vals["picking_id"] = store.context.get("active_id") or False
    picking = store.rows[PICKING].get(vals.get("picking_id") or 0)
    if vals.get("picking_id") and picking is None:
        raise missing_error(PICKING, vals["picking_id"])
    if picking and picking["state"] != "done" and not picking["sale_id"]:
        raise user_error("You may only return Done pickings.")


def _return_saved(store: Store, row: Row, changed: set[str]) -> None:
    new = len(changed) == len(store.fields(RETURN))
    if not new or not row["picking_id"] or store.children[RETURN_LINE, "wizard_id"].get(row["id"]):
        return
    for move in moves_of(store, row["picking_id"]):
        if move["state"] != "cancel":
            values = {"wizard_id": row["id"], "product_id": move["product_id"], "quantity": 0, "move_id": move["id"]}
            store.create(RETURN_LINE, values)


def create_returns(store: Store, wizard_id: int, *, everything: bool = False) -> Row:
    """action_create_returns (and …_all): a transfer back, confirmed and ready, not done."""
    wizard = store.rows[RETURN].get(wizard_id)
    if wizard is None:
        raise missing_error(RETURN, wizard_id)
    lines = [store.rows[RETURN_LINE][i] for i in sorted(store.children[RETURN_LINE, "wizard_id"].get(wizard_id, ()))]
    if everything:
        for line in lines:
            move = store.rows[MOVE].get(line["move_id"] or 0)
            if move and move["state"] != "cancel":
                back = [
                    store.rows[MOVE][i] for i in store.children[MOVE, "origin_returned_move_id"].get(move["id"], ())
                ]
                store.set(RETURN_LINE, line["id"], quantity=move["quantity"] - sum(one["quantity"] for one in back))
        lines = [store.rows[RETURN_LINE][line["id"]] for line in lines]
    picking = store.rows[PICKING][wizard["picking_id"]]
    kind = store.rows["stock.picking.type"][picking["picking_type_id"]]
    back_kind = store.rows["stock.picking.type"].get(kind["return_picking_type_id"] or 0, kind)
    target = back_kind["default_location_dest_id"] if back_kind["code"] == "incoming" else picking["location_id"]
    new = store.create(
        PICKING,
        {
            "picking_type_id": back_kind["id"],
            "return_id": picking["id"],
            "origin": f"Return of {picking['name']}",
            "location_id": picking["location_dest_id"],
            "location_dest_id": target,
            "partner_id": picking["partner_id"],
            "move_type": picking["move_type"],
            "carrier_id": picking["carrier_id"],
        },
    )
    made = [_return_move(store, line, new, back_kind) for line in lines if rounded(line["quantity"], 0.01)]
    if not made:
        raise user_error("Please specify at least one non-zero quantity.")
    confirm_pickings(store, [new])
    assign_pickings(store, [new])
    return {
        "name": "Returned Picking",
        "view_mode": "form",
        "res_model": PICKING,
        "res_id": new,
        "type": "ir.actions.act_window",
        "context": dict(store.context),
    }


def _return_move(store: Store, line: Row, picking_id: int, kind: Row) -> int:
    picking = store.rows[PICKING][picking_id]
    move = store.rows[MOVE].get(line["move_id"] or 0)
    values: Row = {
        "product_id": line["product_id"],
        "product_uom_qty": line["quantity"],
        "picking_id": picking_id,
        "location_id": picking["location_id"],
        "location_dest_id": picking["location_dest_id"],
        "location_final_id": False,
        "picking_type_id": kind["id"],
        "warehouse_id": kind["warehouse_id"],
        "origin_returned_move_id": line["move_id"],
        "move_orig_ids": [(6, 0, [line["move_id"]])] if move else [],
        "procure_method": "make_to_stock",
        "to_refund": line["to_refund"],
        "reference": picking["name"],
    }
    if kind["code"] != "outgoing":
        values["partner_id"] = move["partner_id"] if move else False
    return odoo_moves.copy_move(store, move, **values) if move else store.create(MOVE, values)


def _tracking_url(store: Store, row: Row) -> Any:
    carrier = store.rows["delivery.carrier"].get(row["carrier_id"] or 0)
    if carrier and row["carrier_tracking_ref"] and carrier["tracking_url"]:
        return str(carrier["tracking_url"]).replace("<shipmenttrackingnumber>", row["carrier_tracking_ref"])
    return False


BEFORE_CREATE[PICKING] = _picking_defaults
BEFORE_WRITE[PICKING] = _picking_written
AFTER_SAVE[PICKING] = _picking_saved
BEFORE_UNLINK[PICKING] = _picking_unlinked
BEFORE_CREATE[RETURN] = _return_defaults
AFTER_SAVE[RETURN] = _return_saved
BEFORE_CREATE[RETURN_LINE] = defaults(to_refund=True, quantity=1.0)
related(PICKING, picking_type_code="picking_type_id.code", delivery_type="carrier_id.delivery_type")
related(RETURN, picking_type_code="picking_id.picking_type_code", company_id="picking_id.company_id")
related(RETURN_LINE, move_quantity="move_id.quantity", uom_id="product_id.uom_id")
COMPUTED[RETURN_LINE, "display_name"] = lambda store, row: store.display_name("product.product", row["product_id"])
COMPUTED[PICKING, "carrier_tracking_url"] = _tracking_url
COMPUTED[PICKING, "return_count"] = lambda store, row: len(store.children[PICKING, "return_id"].get(row["id"], ()))
COMPUTED[PICKING, "is_return_picking"] = lambda _store, row: bool(row["return_id"])
COMPUTED[PICKING, "product_id"] = lambda store, row: next(
    (move["product_id"] for move in moves_of(store, row["id"])), False
)
