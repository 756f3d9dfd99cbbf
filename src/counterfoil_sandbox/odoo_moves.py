"""Stock moves of the Odoo stand-in: confirmed, reserved, picked, done or cancelled, as Odoo 19 does it in one step.

A move's quantity is the sum of its move lines; reserving makes lines, and a line reserves quants where it takes
from. Not here: chains of moves, lots, packages, units other than the product's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from counterfoil_sandbox import odoo_quants
from counterfoil_sandbox.odoo_base import related
from counterfoil_sandbox.odoo_move_states import (
    CLOSED,
    LINE,
    MOVE,
    delivered,
    keeps_quants,
    lines_of,
    move_row,
    moves_of,
    needs_stock,
    refresh_move,
    refresh_picking,
    set_state,
)
from counterfoil_sandbox.odoo_quants import bypasses
from counterfoil_sandbox.odoo_schema import (
    AFTER_SAVE,
    BEFORE_CREATE,
    BEFORE_UNLINK,
    BEFORE_WRITE,
    COMPUTED,
    Row,
    rounded,
    user_error,
)
from counterfoil_sandbox.odoo_store import Store

ALIKE = (
    "picking_id", "product_id", "price_unit", "procure_method", "location_id", "location_dest_id", "location_final_id",
    "product_uom", "origin_returned_move_id", "propagate_cancel", "date_deadline", "sale_line_id",
)  # fmt: skip
IS_DONE = (
    "You cannot cancel a stock move that has been set to 'Done'. Create a return in order to reverse the moves "
    "which took place."
)


# Lines


def add_line(store: Store, move: Row, quantity: float, location_id: int | None = None, **values: Any) -> int:
    """A move line that takes `quantity`; it reserves where something can be reserved."""
    return store.create(
        LINE,
        {
            "move_id": move["id"],
            "quantity": quantity,
            "location_id": location_id or move["location_id"],
            "picked": move["picked"],
            **values,
        },
    )


def _line_defaults(store: Store, vals: Row) -> None:
    move = store.rows[MOVE].get(vals.get("move_id") or 0)
    picking = store.rows["stock.picking"].get(vals.get("picking_id") or 0)
    if move is None and picking and vals.get("product_id"):
        same = [m for m in moves_of(store, picking["id"]) if m["product_id"] == vals["product_id"]]
        open_ones = [m for m in same if m["state"] not in CLOSED]
        if not open_ones:
            number = store.create(MOVE, {"product_id": vals["product_id"], "picking_id": picking["id"]})
            open_ones = [move_row(store, number)]
        move = open_ones[0]
        vals["move_id"] = move["id"]
    for source in (move, picking):
        for name in ("product_id", "location_id", "location_dest_id", "picking_id", "company_id"):
            if source and name in source and not vals.get(name):
                vals[name] = source[name]
    product = store.rows["product.product"].get(vals.get("product_id") or 0)
    if product:
        vals.setdefault("product_uom_id", product["uom_id"])
    vals.setdefault("company_id", 1)
    vals.setdefault("date", store.now())
    vals.setdefault("quantity_product_uom", float(vals.get("quantity") or 0.0))


def _line_written(store: Store, ids: list[int], vals: Row) -> None:
    if "quantity" not in vals:
        return
    for number in ids:
        line = store.rows[LINE][number]
        _book(store, line, float(vals["quantity"] or 0.0) - line["quantity"])
    vals["quantity_product_uom"] = float(vals["quantity"] or 0.0)


def _book(store: Store, line: Row, more: float) -> None:
    """Let the quants follow a line that takes more or less than before."""
    move = move_row(store, line["move_id"])
    if not more or not keeps_quants(store, line["product_id"]):
        return
    if move["state"] == "done":
        odoo_quants.change(store, line["product_id"], line["location_id"], -more)
        odoo_quants.change(store, line["product_id"], line["location_dest_id"], more)
    elif not bypasses(store, line["location_id"]):
        odoo_quants.change(store, line["product_id"], line["location_id"], reserved=more)


def _line_saved(store: Store, row: Row, changed: set[str]) -> None:
    if len(changed) == len(store.fields(LINE)) and not store.context.get("_reserved"):  # new
        _book(store, row, row["quantity"])
    if changed & {"quantity", "picked"}:
        refresh_move(store, row["move_id"])
        move = move_row(store, row["move_id"])
        if move["state"] == "done":
            delivered(store, move["sale_line_id"])


def _line_unlinked(store: Store, ids: list[int]) -> None:
    for number in ids:
        line = store.rows[LINE][number]
        if move_row(store, line["move_id"])["state"] == "done":
            raise user_error(
                "You can not delete product moves if the picking is done. You can only correct the done quantities."
            )
        _book(store, line, -line["quantity"])


def drop_lines(store: Store, lines: Iterable[Row]) -> None:
    """Delete move lines: what they reserved is free again."""
    ids = [line["id"] for line in lines]
    moves = {store.rows[LINE][i]["move_id"] for i in ids}
    if ids:
        store.unlink(LINE, ids)
    for move in moves:
        refresh_move(store, move)


# Moves


def _move_defaults(store: Store, vals: Row) -> None:
    product = store.rows["product.product"].get(vals.get("product_id") or 0)
    picking = store.rows["stock.picking"].get(vals.get("picking_id") or 0)
    for name, value in (
        ("product_uom_qty", 1.0),
        ("state", "draft"),
        ("procure_method", "make_to_stock"),
        ("date", store.now()),
        ("company_id", 1),
        ("priority", "0"),
        ("sequence", 10),
        ("propagate_cancel", True),
        ("to_refund", True),
    ):
        vals.setdefault(name, value)
    if picking:
        for name in ("location_id", "location_dest_id", "picking_type_id", "partner_id"):
            vals[name] = vals.get(name) or picking[name]
        vals.setdefault("reference", picking["name"])
        vals["date"] = picking["scheduled_date"] or vals["date"]
        if picking["state"] == "done":
            vals["additional"] = True
    if product:
        vals.setdefault("product_uom", product["uom_id"])
    vals["product_qty"] = float(vals["product_uom_qty"] or 0.0)


def _move_written(store: Store, ids: list[int], vals: Row) -> None:
    rows = [move_row(store, i) for i in ids]
    if "product_qty" in vals:
        raise user_error(
            "The requested operation cannot be processed because of a programming error setting the `product_qty` "
            "field instead of the `product_uom_qty`."
        )
    if "quantity" in vals and any(row["state"] == "cancel" for row in rows):
        raise user_error("You cannot change a cancelled stock move, create a new line instead.")
    if "product_uom_qty" in vals:
        vals["product_qty"] = float(vals["product_uom_qty"] or 0.0)
        for row in rows:
            if row["state"] not in ("draft", *CLOSED) and row["quantity"] > vals["product_qty"]:
                unreserve(store, [row["id"]])
    if "quantity" in vals:
        quantity = float(vals.pop("quantity") or 0.0)
        for number in ids:
            set_quantity(store, number, quantity)
    if "picked" in vals:
        for number in ids:
            for line in lines_of(store, number):
                store.touch(LINE, line["id"], picked=bool(vals["picked"]))


def _move_saved(store: Store, row: Row, changed: set[str]) -> None:
    if len(changed) == len(store.fields(MOVE)):
        if row["quantity"] and not lines_of(store, row["id"]):
            quantity = row["quantity"]
            store.set(MOVE, row["id"], quantity=0.0)
            set_quantity(store, row["id"], quantity)
        refresh_picking(store, row["picking_id"])
    elif changed & {"product_uom_qty", "picking_id", "date", "date_deadline"}:
        refresh_move(store, row["id"])


def _move_unlinked(store: Store, ids: list[int]) -> None:
    if any(move_row(store, i)["state"] not in ("draft", "cancel") for i in ids):
        raise user_error("You can only delete draft or cancelled moves.")


def set_quantity(store: Store, number: int, quantity: float) -> None:
    """Write a move's quantity: its lines give way from the last one back, or take more, there or not."""
    move = move_row(store, number)
    lines = lines_of(store, number)
    more = rounded(quantity - sum(line["quantity"] for line in lines), 0.00001)
    if more < 0:
        for line in reversed(lines):
            less = min(line["quantity"], -more)
            if less <= 0:
                break
            more += less
            if less == line["quantity"] and move["state"] not in CLOSED:
                drop_lines(store, [line])
            else:
                store.write(LINE, [line["id"]], {"quantity": line["quantity"] - less})
        return
    if more > 0 and needs_stock(store, move) and move["state"] not in CLOSED:
        more = rounded(more - _reserve(store, move, more), 0.00001)
    if more <= 0:
        return
    if not needs_stock(store, move) and lines:
        store.write(LINE, [lines[0]["id"]], {"quantity": lines[0]["quantity"] + more})
    else:
        add_line(store, move, more)


def _reserve(store: Store, move: Row, need: float) -> float:
    """Reserve what is free of what the move takes from; how much."""
    taken = odoo_quants.reserve(store, move["product_id"], move["location_id"], need)
    for location_id, quantity in taken:
        line = next(
            (
                one
                for one in lines_of(store, move["id"])
                if one["location_id"] == location_id and one["picked"] == move["picked"]
            ),
            None,
        )
        if line:
            total = line["quantity"] + quantity
            store.touch(LINE, line["id"], quantity=total, quantity_product_uom=total)
        else:
            store.context["_reserved"] = True
            add_line(store, move, quantity, location_id)
            store.context.pop("_reserved")
    refresh_move(store, move["id"])
    return sum(quantity for _location, quantity in taken)


def assign(store: Store, numbers: Iterable[int]) -> None:
    """Reserve for open moves what they need and there is."""
    for number in numbers:
        move = move_row(store, number)
        if move["picked"] or move["state"] not in odoo_quants.OPEN or move["state"] == "assigned":
            continue
        need = rounded(move["product_uom_qty"] - move["quantity"], 0.00001)
        if need <= 0:
            refresh_move(store, number)
        elif needs_stock(store, move):
            _reserve(store, move, need)
        else:
            set_quantity(store, number, move["product_uom_qty"])


def unreserve(store: Store, numbers: Iterable[int]) -> None:
    """Give back what was reserved, except what is picked."""
    for number in numbers:
        move = move_row(store, number)
        if move["state"] == "done":
            raise user_error("You cannot unreserve a stock move that has been set to 'Done'.")
        if move["state"] != "cancel" and not move["picked"]:
            drop_lines(store, [line for line in lines_of(store, number) if not line["picked"]])
            refresh_move(store, number)


def confirm(store: Store, numbers: Iterable[int], *, merge: bool = True) -> list[int]:
    """Confirm draft moves, join them with what is open in their transfer, and reserve; the moves there are then."""
    fresh = [i for i in numbers if move_row(store, i)["state"] == "draft"]
    for number in fresh:
        store.touch(MOVE, number, state="confirmed", reservation_date=store.today())
        refresh_move(store, number)
    found: dict[int, None] = {}
    for number in fresh:
        for kept in _merge(store, number) if merge else [number]:
            found[kept] = None
    assign(store, [i for i in found if i in store.rows[MOVE]])
    return [i for i in found if i in store.rows[MOVE]]


def _merge(store: Store, number: int) -> list[int]:
    """Join a move with one that is alike in the same transfer; less than nothing takes away from it."""
    row = move_row(store, number)
    if not row["picking_id"]:
        return [number]
    for other in moves_of(store, row["picking_id"]):
        if other["id"] == number or other["state"] in ("draft", *CLOSED):
            continue
        if any(other[name] != row[name] for name in ALIKE):
            continue
        total = rounded(other["product_uom_qty"] + row["product_uom_qty"], 0.00001)
        store.put(MOVE, number, None)
        store.write(MOVE, [other["id"]], {"product_uom_qty": total})
        if not total:
            cancel(store, [other["id"]])
        return [other["id"]]
    return [number]


def cancel(store: Store, numbers: Iterable[int]) -> None:
    """Cancel moves and free what they reserved; raises UserError for what is done."""
    numbers = list(numbers)
    if any(move_row(store, i)["state"] == "done" for i in numbers):
        raise user_error(IS_DONE)
    for number in numbers:
        if move_row(store, number)["state"] == "cancel":
            continue
        store.touch(MOVE, number, picked=False)
        for line in lines_of(store, number):
            store.touch(LINE, line["id"], picked=False)
        unreserve(store, [number])
        set_state(store, number, "cancel")


def finish(store: Store, numbers: Iterable[int], *, cancel_rest: bool) -> list[int]:
    """Do moves: quants change places; what was not picked of a move becomes a new one, or is let go."""
    numbers = [i for i in numbers if move_row(store, i)["state"] not in CLOSED]
    confirm(store, numbers, merge=False)
    todo = []
    for number in numbers:
        move = move_row(store, number)
        if move["picked"]:
            drop_lines(store, [line for line in lines_of(store, number) if not line["picked"]])
            move = move_row(store, number)
        if (move["quantity"] <= 0 or not move["picked"]) and not move["is_inventory"]:
            if not move["product_uom_qty"] or cancel_rest:
                cancel(store, [number])
        elif move["picked"]:
            todo.append(number)
    if not cancel_rest:
        for number in todo:
            _split(store, number)
    lines = [line for number in todo for line in lines_of(store, number) if line["quantity"]]
    for line in sorted(lines, key=lambda line: line["id"]):
        _carry(store, move_row(store, line["move_id"]), line)
    for number in todo:
        set_state(store, number, "done", date=store.now(), picked=True)
    return todo


def _carry(store: Store, move: Row, line: Row) -> None:
    store.touch(LINE, line["id"], date=store.now())
    if not keeps_quants(store, line["product_id"]):
        return
    product, source = line["product_id"], line["location_id"]
    reserved = 0.0 if bypasses(store, source) else -line["quantity"]
    free = odoo_quants.change(store, product, source, -line["quantity"], reserved)
    odoo_quants.change(store, product, line["location_dest_id"], line["quantity"])
    if free < 0 and not bypasses(store, source):
        take_back(store, move, line, -free)


def take_back(store: Store, move: Row, line: Row, missing: float) -> None:
    """What is gone cannot stay reserved elsewhere: the moves with the latest date give it back."""
    others = [
        other
        for number in store.index.open_moves.get(line["product_id"], ())
        for other in lines_of(store, number)
        if number != move["id"]
        and other["location_id"] == line["location_id"]
        and other["quantity"] > 0
        and not other["picked"]
    ]
    others.sort(key=lambda other: (move_row(store, other["move_id"])["date"], other["id"]), reverse=True)
    touched = []
    for other in others:
        if missing <= 0:
            break
        touched.append(other["move_id"])
        less = min(missing, other["quantity"])
        missing -= less
        if less == other["quantity"]:
            drop_lines(store, [other])
        else:
            store.write(LINE, [other["id"]], {"quantity": other["quantity"] - less})
    assign(store, touched)


def _split(store: Store, number: int) -> None:
    move = move_row(store, number)
    rest = rounded(move["product_uom_qty"] - move["quantity"], 0.00001)
    if rest <= 0:
        return
    new = copy_move(store, move, product_uom_qty=rest)
    store.touch(MOVE, number, product_uom_qty=move["quantity"], product_qty=move["quantity"])
    refresh_move(store, number)
    store.touch(MOVE, new, state="confirmed", reservation_date=store.today())


def copy_move(store: Store, move: Row, **values: Any) -> int:
    """A draft move like this one, without what was done."""
    left_out = {
        "id", "state", "quantity", "picked", "move_line_ids", "product_qty", "reservation_date", "returned_move_ids",
        "create_uid", "create_date", "write_uid", "write_date", "date", "additional",
        "reference",
    }  # fmt: skip
    same = {
        name: value
        for name, value in move.items()
        if name not in left_out and store.fields(MOVE)[name]["store"] and store.fields(MOVE)[name]["type"] != "one2many"
    }
    return store.create(MOVE, {**same, **values})


def serve_waiting(store: Store, numbers: Iterable[int]) -> None:
    """After goods came in: reserve them for open moves that wait for them, the earliest first."""
    waiting: dict[int, None] = {}
    for number in numbers:
        came = move_row(store, number)
        for other in store.index.open_moves.get(came["product_id"], ()):
            move = move_row(store, other)
            if move["state"] in ("confirmed", "partially_available") and (
                move["location_id"] == came["location_dest_id"]
            ):
                waiting[other] = None
    rows = sorted((move_row(store, i) for i in waiting), key=lambda m: (m["priority"] != "1", m["date"], m["id"]))
    assign(store, [row["id"] for row in rows])


def _move_name(store: Store, row: Row) -> str:
    picking = store.rows["stock.picking"].get(row["picking_id"] or 0)
    product = store.rows["product.product"].get(row["product_id"], {"default_code": False})
    place = store.rows["stock.location"]
    return (
        f"{picking['origin']}/" if picking and picking["origin"] else ""
    ) + (f"{product['default_code']}: " if product["default_code"] else "") + (
        f"{place[row['location_id']]['name']}>{place[row['location_dest_id']]['name']}"
    )  # fmt: skip


BEFORE_CREATE[MOVE] = _move_defaults
BEFORE_WRITE[MOVE] = _move_written
AFTER_SAVE[MOVE] = _move_saved
BEFORE_UNLINK[MOVE] = _move_unlinked
BEFORE_CREATE[LINE] = _line_defaults
BEFORE_WRITE[LINE] = _line_written
AFTER_SAVE[LINE] = _line_saved
BEFORE_UNLINK[LINE] = _line_unlinked
COMPUTED[MOVE, "move_dest_ids"] = lambda store, row: sorted(store.children[MOVE, "move_orig_ids"].get(row["id"], ()))
COMPUTED[MOVE, "display_name"] = _move_name
related(
    MOVE,
    location_usage="location_id.usage",
    location_dest_usage="location_dest_id.usage",
    product_tmpl_id="product_id.product_tmpl_id",
    is_storable="product_id.is_storable",
    picking_code="picking_type_id.code",
)
related(
    LINE,
    location_usage="location_id.usage",
    location_dest_usage="location_dest_id.usage",
    reference="move_id.reference",
    origin="move_id.origin",
    is_inventory="move_id.is_inventory",
    picking_type_id="picking_id.picking_type_id",
    picking_code="picking_id.picking_type_code",
    picking_partner_id="picking_id.partner_id",
    tracking="product_id.tracking",
)
COMPUTED[LINE, "display_name"] = lambda store, row: store.display_name("product.product", row["product_id"])
