"""Warehouses of the Odoo stand-in with their places and kinds of transfers."""

from __future__ import annotations

from typing import Any

from counterfoil_sandbox.odoo_base import defaults, find
from counterfoil_sandbox.odoo_schema import AFTER_SAVE, BEFORE_CREATE, COMPUTED, NAME_FIELDS, Row
from counterfoil_sandbox.odoo_store import Store

# code of the kind, its letters in transfer numbers, its name
KINDS = (
    ("incoming", "IN", "Receipts"),
    ("outgoing", "OUT", "Delivery Orders"),
    ("internal", "INT", "Internal Transfers"),
)


def first_places(store: Store) -> None:
    """The places every database has beside its warehouses."""
    for name, usage in (
        ("Vendors", "supplier"),
        ("Customers", "customer"),
        ("Inter-company transit", "transit"),
        ("Inventory adjustment", "inventory"),
        ("Production", "production"),
    ):
        house = 1 if usage in ("inventory", "production") else False
        store.create("stock.location", {"name": name, "usage": usage, "company_id": house})


def of_usage(store: Store, usage: str) -> int:
    """The one place of a usage that is there once: customer, supplier, inventory."""
    return find(store, "stock.location", usage=usage)


def _location_saved(store: Store, row: Row, changed: set[str]) -> None:
    parent = store.rows["stock.location"].get(row["location_id"] or 0)
    name = f"{parent['complete_name']}/{row['name']}" if parent else row["name"]
    path = f"{parent['parent_path'] if parent else ''}{row['id']}/"
    house = row["warehouse_id"] or (parent["warehouse_id"] if parent else False)
    store.set("stock.location", row["id"], complete_name=name, parent_path=path, warehouse_id=house)
    if {"name", "location_id", "warehouse_id"} & changed:
        for child in list(store.children["stock.location", "location_id"].get(row["id"], ())):
            _location_saved(store, store.rows["stock.location"][child], changed)


def _warehouse_saved(store: Store, row: Row, changed: set[str]) -> None:
    if row["in_type_id"]:
        return
    view, stock = row["view_location_id"], row["lot_stock_id"]
    store.write("stock.location", [view], {"warehouse_id": row["id"]})
    inside: dict[str, Any] = {"location_id": view, "company_id": 1}
    for name in ("Input", "Quality Control", "Output", "Packing Zone"):
        store.create("stock.location", {"name": name, "usage": "internal", "active": False, **inside})
    kinds: dict[str, int] = {}
    sources = {"incoming": of_usage(store, "supplier")}
    targets = {"outgoing": of_usage(store, "customer")}
    for sequence, (kind, letters, name) in enumerate(KINDS, 1):
        kinds[kind] = store.create(
            "stock.picking.type",
            {
                "name": name,
                "code": kind,
                "sequence": sequence,
                "sequence_code": letters,
                "warehouse_id": row["id"],
                "default_location_src_id": sources.get(kind, stock),
                "default_location_dest_id": targets.get(kind, stock),
            },
        )
    store.set("stock.picking.type", kinds["incoming"], return_picking_type_id=kinds["outgoing"])
    store.set("stock.picking.type", kinds["outgoing"], return_picking_type_id=kinds["incoming"])
    store.set(
        "stock.warehouse",
        row["id"],
        in_type_id=kinds["incoming"],
        out_type_id=kinds["outgoing"],
        int_type_id=kinds["internal"],
        delivery_route_id=store.create("stock.route", {"name": f"{row['name']}: Deliver in 1 step (ship)"}),
    )


def _warehouse_defaults(store: Store, vals: Row) -> None:
    defaults(
        active=True, company_id=1, sequence=10, partner_id=1, reception_steps="one_step", delivery_steps="ship_only"
    )(store, vals)
    if not vals.get("code") and vals.get("name"):
        vals["code"] = str(vals["name"])[:5]
    if vals.get("code") and not vals.get("view_location_id"):
        vals["view_location_id"] = store.create(
            "stock.location", {"name": vals["code"], "usage": "view", "company_id": 1}
        )
        vals["lot_stock_id"] = store.create(
            "stock.location",
            {"name": "Stock", "location_id": vals["view_location_id"], "company_id": 1, "replenish_location": True},
        )


def _kind_name(store: Store, row: Row) -> str:
    house = store.display_name("stock.warehouse", row["warehouse_id"]) if row["warehouse_id"] else ""
    return f"{house}: {row['name']}" if house else str(row["name"])


NAME_FIELDS["stock.location"] = ("complete_name", "barcode")
BEFORE_CREATE["stock.warehouse"] = _warehouse_defaults
AFTER_SAVE["stock.warehouse"] = _warehouse_saved
BEFORE_CREATE["stock.route"] = defaults(active=True, company_id=1, sequence=60, warehouse_selectable=True)
BEFORE_CREATE["stock.location"] = defaults(active=True, usage="internal")
AFTER_SAVE["stock.location"] = _location_saved
BEFORE_CREATE["stock.picking.type"] = defaults(
    active=True, company_id=1, create_backorder="ask", reservation_method="at_confirm", move_type="direct", color=0
)
BEFORE_CREATE["delivery.carrier"] = defaults(
    active=True, sequence=10, delivery_type="fixed", integration_level="rate_and_ship", invoice_policy="estimated"
)
COMPUTED["stock.location", "display_name"] = lambda _store, row: row["complete_name"]
COMPUTED["stock.picking.type", "display_name"] = _kind_name
