"""What lies where in the Odoo stand-in: quants, counting them, and the quantities a product shows.

Only storable products have quants. Places that are no stock (customers, suppliers, losses) keep quants too, but
nothing is ever reserved there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from counterfoil_sandbox.odoo_base import related
from counterfoil_sandbox.odoo_schema import (
    BEFORE_CREATE,
    BEFORE_UNLINK,
    COMPUTED,
    OdooError,
    Row,
    rounded,
    user_error,
)
from counterfoil_sandbox.odoo_store import Store

NO_STOCK = ("supplier", "customer", "inventory", "production")
OPEN = ("waiting", "confirmed", "assigned", "partially_available")
EDITABLE = {
    "inventory_quantity", "inventory_quantity_auto_apply", "inventory_diff_quantity", "inventory_date", "user_id",
    "inventory_quantity_set", "is_outdated", "lot_id", "location_id", "package_id", "product_id", "owner_id",
    "accounting_date",
}  # fmt: skip


def bypasses(store: Store, location_id: int) -> bool:
    """Whether nothing needs to be reserved there."""
    return store.rows["stock.location"][location_id]["usage"] in NO_STOCK


def below(store: Store, location_ids: Iterable[int]) -> set[int]:
    """These places and all within them."""
    found: set[int] = set()
    waiting = list(location_ids)
    while waiting:
        one = waiting.pop()
        if one not in found and one in store.rows["stock.location"]:
            found.add(one)
            waiting += store.children["stock.location", "location_id"].get(one, ())
    return found


def quants_of(store: Store, product_id: int, locations: set[int] | None = None) -> list[Row]:
    """The product's quants, the oldest first."""
    rows = [store.rows["stock.quant"][i] for i in store.children["stock.quant", "product_id"].get(product_id, ())]
    found = [row for row in rows if locations is None or row["location_id"] in locations]
    return sorted(found, key=lambda row: (row["in_date"] or "", row["id"]))


def quant_at(store: Store, product_id: int, location_id: int) -> Row | None:
    """The product's quant at exactly this place."""
    return next(iter(quants_of(store, product_id, {location_id})), None)


def change(store: Store, product_id: int, location_id: int, quantity: float = 0.0, reserved: float = 0.0) -> float:
    """Add to what lies (quantity) and what is promised (reserved) at a place; what is then free there."""
    row = quant_at(store, product_id, location_id)
    if row is None:
        values = {"product_id": product_id, "location_id": location_id, "quantity": quantity}
        number = store.create("stock.quant", {**values, "reserved_quantity": max(0.0, reserved)})
        row = store.rows["stock.quant"][number]
    else:
        store.put(
            "stock.quant",
            row["id"],
            {
                **row,
                "quantity": rounded(row["quantity"] + quantity, 0.00001),
                "reserved_quantity": max(0.0, rounded(row["reserved_quantity"] + reserved, 0.00001)),
                "write_uid": store.uid,
                "write_date": store.stamp(),
            },
        )
        row = store.rows["stock.quant"][row["id"]]
    return float(row["quantity"] - row["reserved_quantity"])


def reserve(store: Store, product_id: int, location_id: int, need: float) -> list[tuple[int, float]]:
    """Promise up to `need` of what is free at a place or within it: (location, quantity) each."""
    rows = quants_of(store, product_id, below(store, [location_id]))
    free = sum(row["quantity"] - row["reserved_quantity"] for row in rows)
    need, taken = min(need, free), []
    for row in rows:
        part = rounded(min(need, row["quantity"] - row["reserved_quantity"]), 0.00001)
        if part > 0:
            change(store, product_id, row["location_id"], reserved=part)
            taken.append((int(row["location_id"]), part))
            need -= part
    return taken


def _quant_defaults(store: Store, vals: Row) -> None:
    counted = {"inventory_quantity", "inventory_quantity_auto_apply"} & set(vals)
    if counted and store.context.get("inventory_mode"):
        if set(vals) - EDITABLE:
            raise user_error("Quant's creation is restricted, you can't do this operation.")
        vals["user_id"] = vals.get("user_id", store.uid)
        _counted(vals, 0.0)
    elif not store.context.get("inventory_mode"):
        for name in counted:
            vals.pop(name)
    vals.setdefault("in_date", store.now())
    product = store.rows["product.product"].get(vals.get("product_id") or 0)
    if product and (product["type"] != "consu" or not product["is_storable"]):
        text = "Quants cannot be created for consumables or services."
        raise OdooError(422, "odoo.exceptions.ValidationError", text)


def _counted(vals: Row, quantity: float) -> None:
    vals["inventory_quantity_set"] = True
    vals["inventory_diff_quantity"] = float(vals.get("inventory_quantity") or 0.0) - quantity


def _quant_unlinked(store: Store, _ids: list[int]) -> None:
    if not store.context.get("inventory_mode"):
        return
    raise user_error("Quants are auto-deleted when appropriate. If you must manually delete them, please ask a stock"
                     " manager to do it.")  # fmt: skip


# Quantities of products


def quantities(store: Store, product_id: int) -> dict[str, float]:
    """qty_available, free_qty, incoming_qty, outgoing_qty, virtual_available where the context asks for."""
    places = _places(store)
    known = store.memo.get(("quantities", product_id, places))
    if known is None:
        known = store.memo["quantities", product_id, places] = _quantities(store, product_id, places)
    return known


def _quantities(store: Store, product_id: int, places: frozenset[int]) -> dict[str, float]:
    rows = [
        row
        for row in (
            store.rows["stock.quant"][i] for i in store.children["stock.quant", "product_id"].get(product_id, ())
        )
        if row["location_id"] in places
    ]
    lies = sum(row["quantity"] for row in rows)
    promised = sum(row["reserved_quantity"] for row in rows)
    coming = going = 0.0
    for number in store.index.open_moves.get(product_id, ()):
        move = store.rows["stock.move"][number]
        inside = move["location_id"] in places
        if ((move["location_final_id"] or move["location_dest_id"]) in places) != inside:
            going += move["product_qty"] if inside else 0.0
            coming += 0.0 if inside else move["product_qty"]
    exact = {
        "qty_available": lies,
        "free_qty": lies - promised,
        "incoming_qty": coming,
        "outgoing_qty": going,
        "virtual_available": lies + coming - going,
    }
    return {name: rounded(value, 0.01) for name, value in exact.items()}


def _places(store: Store) -> frozenset[int]:
    """The places the context speaks of: warehouse_id, location (numbers or names), else all warehouses."""
    asked = repr([store.context.get(name) for name in ("location", "search_location", "warehouse_id", "strict")])
    known = store.memo.get(("places", asked))
    if known is None:
        known = store.memo["places", asked] = frozenset(_find_places(store))
    return known


def _find_places(store: Store) -> set[int]:
    locations = _asked(store, "stock.location", store.context.get("location") or store.context.get("search_location"))
    houses = _asked(store, "stock.warehouse", store.context.get("warehouse_id"))
    views = [store.rows["stock.warehouse"][i]["view_location_id"] for i in houses or ()]
    if houses is not None:
        found = below(store, views)
        roots = views if locations is None else [i for i in locations if i in found]
    elif locations is not None:
        roots = locations
    else:
        roots = [row["view_location_id"] for row in store.rows["stock.warehouse"].values() if row["active"]]
    return set(roots) if store.context.get("strict") else below(store, roots)


def _asked(store: Store, model: str, given: Any) -> list[int] | None:
    if not given:
        return None
    found: dict[int, None] = {}
    for one in given if isinstance(given, list) else [given]:
        if isinstance(one, int):
            if one in store.rows[model]:
                found[one] = None
        else:
            name = "complete_name" if model == "stock.location" else "name"
            found |= dict.fromkeys(store.search(model, [(name, "ilike", one)]))
    return list(found)


BEFORE_CREATE["stock.quant"] = _quant_defaults
BEFORE_UNLINK["stock.quant"] = _quant_unlinked
for _field in ("qty_available", "free_qty", "incoming_qty", "outgoing_qty", "virtual_available"):
    COMPUTED["product.product", _field] = lambda store, row, f=_field: quantities(store, row["id"])[f]
    COMPUTED["product.template", _field] = lambda store, row, f=_field: sum(
        quantities(store, i)[f] for i in store.value("product.template", row, "product_variant_ids")
    )
COMPUTED["stock.quant", "available_quantity"] = lambda _store, row: row["quantity"] - row["reserved_quantity"]
COMPUTED["stock.quant", "inventory_quantity_auto_apply"] = lambda _store, row: row["quantity"]
related(
    "stock.quant",
    product_uom_id="product_id.uom_id",
    product_tmpl_id="product_id.product_tmpl_id",
    product_categ_id="product_id.categ_id",
    tracking="product_id.tracking",
    company_id="location_id.company_id",
    warehouse_id="location_id.warehouse_id",
)
COMPUTED["stock.quant", "on_hand"] = lambda store, row: row["location_id"] in _places(store)
COMPUTED["stock.quant", "is_outdated"] = lambda _store, row: bool(
    row["inventory_quantity_set"]
    and rounded(row["inventory_quantity"] - row["inventory_diff_quantity"] - row["quantity"], 0.01)
)
COMPUTED["stock.quant", "display_name"] = lambda store, row: store.display_name("stock.location", row["location_id"])
