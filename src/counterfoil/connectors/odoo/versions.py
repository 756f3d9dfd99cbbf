"""What differs between Odoo versions, in one place: names, states, methods, behaviours.

Each version is written as what changed since the one before. The sources: `fields_get` answers and call recordings of
live servers 14.0, 16.0, 18.0 and 19.0; the sources of Odoo 14.0 and 19.0. 15.0 and 17.0 are written from knowledge of
those releases and were never tried (`tried` is False and the doctor says so).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

OLDEST, NEWEST = 14, 19


@dataclass(frozen=True, slots=True)
class Names:
    """Field, state and method names of one version. '' stands for: this version has no such field."""

    major: int
    tried: bool  # whether it was run against a live server of this version

    # sale.order
    line_taxes: str  # sale.order.line
    line_uom: str  # sale.order.line
    line_route: str  # sale.order.line → the routes of its delivery
    line_follows_route: bool  # and ships from the warehouse that its route pulls from, not from the order's alone
    order_locked: str  # boolean field of a locked order; '' where locked is the state 'done'
    confirmed_states: tuple[str, ...]
    delivery_status: str
    pricelist_required: bool  # sale.order has its currency from its pricelist alone
    html_note: bool  # sale.order.note is HTML, not plain text
    cancel_asks: bool  # action_cancel of a confirmed order is a question unless the context disables it
    confirm_twice: bool  # action_confirm of a confirmed order does nothing; else it is refused
    outside_taxes: bool  # sale.order.line.extra_tax_data takes taxes computed elsewhere
    rounds_price_unit: bool  # price_unit is cut to the 'Product Price' digits

    # account
    payment_memo: str  # account.payment
    payment_posted: tuple[str, ...]  # account.payment.state
    payment_cancelled: tuple[str, ...]
    payment_method: str  # account.payment, account.payment.register: what the journal pays by
    payment_of_entry: str  # account.move → its account.payment
    reversals: str  # account.move → the credit notes that reverse it
    reversal_method: str  # account.move.reversal
    reversal_refund: tuple[tuple[str, str], ...]  # values of that wizard for a draft credit note
    tax_country: str  # account.tax
    fiscal_country: str  # res.company
    receivable: tuple[str, str, str]  # account.move.line: domain leaf of a customer's receivable
    entry_lines_named: bool  # load() of an account.move keeps the external ids of its invoice_line_ids
    payment_invoices: str  # account.payment: the invoices it pays where it has no journal entry of its own

    # stock
    move_done: str  # stock.move: quantity that has been, or is about to be, moved
    move_line_done: str  # stock.move.line
    move_picked: str  # stock.move: that quantity is meant, not just reserved
    picking_moves: str  # stock.picking → stock.move
    picking_origin: str  # stock.picking: the picking that it returns
    procurement_group: str  # stock.move: what keeps the moves of one order together; '' where references do
    moves_named: bool  # stock.move.name is required
    delivery_kept_up: bool  # open deliveries take the order's new address along and keep its name when moves join them
    return_method: str  # stock.return.picking
    return_lines_given: bool  # its lines must be sent along; else they come by themselves, with quantity nought
    apply_inventory: str  # stock.quant method; '' where create with `inventory_mode` applies it
    location_warehouse: str  # stock.location → stock.warehouse

    # product, partner, user
    storable: tuple[tuple[str, str], ...]  # values of a product whose stock is kept
    image: str  # product.template and product.product
    variant_image: str  # product.product's own
    mobile: str  # res.partner
    user_groups: str  # res.users
    access_method: str  # (operation) → bool, or with raise_exception

    @property
    def unnamed_reads(self) -> bool:
        """Whether search_read takes `load`: without names of related records it is cheaper (models.py from 15 on)."""
        return self.major >= 15

    @property
    def json2(self) -> bool:
        """Whether it has the JSON-2 API."""
        return self.major >= 19

    def storable_values(self) -> dict[str, object]:
        """Values of a product whose stock is kept."""
        return {name: value == "True" if value in ("True", "False") else value for name, value in self.storable}

    def is_storable(self) -> list[object]:
        """Domain leaf: products whose stock is kept (on product.product or product.template)."""
        name, value = self.storable[0]
        return [name, "=", value == "True" if value == "True" else value]

    def locked(self, order: dict[str, object]) -> bool:
        """Whether a sale.order that was read with `order_state_fields` is locked."""
        return bool(order[self.order_locked]) if self.order_locked else order["state"] == "done"

    def order_state_fields(self) -> tuple[str, ...]:
        """The fields of sale.order that say how far it is."""
        return tuple(filter(None, ("state", self.order_locked, self.delivery_status)))


V14 = Names(
    major=14,
    tried=True,
    line_taxes="tax_id",
    line_uom="product_uom",
    line_route="route_id",
    line_follows_route=False,  # its warehouse is the order's (sale_stock/models/sale_order.py, fields_get_16)
    order_locked="",  # state 'done' (fields_get_14)
    confirmed_states=("sale", "done"),
    delivery_status="",
    pricelist_required=True,
    html_note=False,
    cancel_asks=False,  # only where there are draft invoices (sale/models/sale.py, _show_cancel_wizard)
    confirm_twice=True,
    outside_taxes=False,
    rounds_price_unit=True,
    payment_memo="ref",
    payment_posted=("posted",),
    payment_cancelled=("cancel",),
    payment_method="payment_method_id",
    payment_of_entry="payment_id",
    reversals="reversal_move_id",
    reversal_method="reverse_moves",
    reversal_refund=(("refund_method", "refund"),),
    tax_country="",
    fiscal_country="account_tax_fiscal_country_id",
    receivable=("account_internal_type", "=", "receivable"),
    entry_lines_named=False,  # account.move makes them anew (_move_autocomplete_invoice_lines_create)
    payment_invoices="",
    move_done="quantity_done",
    move_line_done="qty_done",
    move_picked="",
    picking_moves="move_lines",
    picking_origin="",
    procurement_group="group_id",
    moves_named=True,
    # neither `update_delivery_shipping_partner` (sale_stock/models/sale_order.py) nor what stood on a delivery that
    # moves of another address join (stock/models/stock_move.py, _assign_picking). 15 to 18 are taken for the same
    delivery_kept_up=False,
    return_method="create_returns",
    return_lines_given=True,
    apply_inventory="",
    location_warehouse="",
    storable=(("type", "product"),),
    image="image_1920",
    variant_image="image_variant_1920",
    mobile="mobile",
    user_groups="groups_id",
    access_method="check_access_rights",
)

V15 = replace(
    V14,
    major=15,
    tried=False,
    html_note=True,
    cancel_asks=True,
    payment_method="payment_method_line_id",
    tax_country="country_id",
    fiscal_country="account_fiscal_country_id",
    apply_inventory="action_apply_inventory",
    location_warehouse="warehouse_id",
    storable=(("detailed_type", "product"),),
)

V16 = replace(
    V15,
    major=16,
    tried=True,
    delivery_status="delivery_status",
    receivable=("account_type", "=", "asset_receivable"),
    entry_lines_named=True,
    picking_moves="move_ids",
)

V17 = replace(
    V16,
    major=17,
    tried=False,
    line_follows_route=True,  # of 18 its warehouse is stored (fields_get_18); 17 is taken for the same
    order_locked="locked",
    confirmed_states=("sale",),
    pricelist_required=False,
    confirm_twice=False,
    reversal_method="refund_moves",
    reversal_refund=(),
    move_done="quantity",
    move_line_done="quantity",
    move_picked="picked",
    return_lines_given=False,
)

V18 = replace(
    V17,
    major=18,
    tried=True,
    payment_memo="memo",
    payment_posted=("in_process", "paid"),
    payment_cancelled=("canceled", "rejected"),
    payment_of_entry="origin_payment_id",
    payment_invoices="invoice_ids",  # fields_get_18
    reversals="reversal_move_ids",
    picking_origin="return_id",
    return_method="action_create_returns",
    storable=(("is_storable", "True"),),
    access_method="has_access",
)

V19 = replace(
    V18,
    major=19,
    line_taxes="tax_ids",
    line_uom="product_uom_id",
    line_route="route_ids",
    cancel_asks=False,
    outside_taxes=True,
    rounds_price_unit=False,
    procurement_group="",  # fields_get_19: reference_ids instead
    moves_named=False,
    delivery_kept_up=True,
    mobile="",
    user_groups="group_ids",
)

BY_VERSION = {each.major: each for each in (V14, V15, V16, V17, V18, V19)}

MODELS = {
    "line_taxes": ("sale.order.line",),
    "line_uom": ("sale.order.line",),
    "line_route": ("sale.order.line",),
    "order_locked": ("sale.order",),
    "delivery_status": ("sale.order",),
    "payment_memo": ("account.payment",),
    "payment_method": ("account.payment", "account.payment.register"),
    "payment_of_entry": ("account.move",),
    "payment_invoices": ("account.payment",),
    "reversals": ("account.move",),
    "tax_country": ("account.tax",),
    "fiscal_country": ("res.company",),
    "move_done": ("stock.move",),
    "move_line_done": ("stock.move.line",),
    "move_picked": ("stock.move",),
    "picking_moves": ("stock.picking",),
    "picking_origin": ("stock.picking",),
    "procurement_group": ("stock.move",),
    "location_warehouse": ("stock.location",),
    "image": ("product.template", "product.product"),
    "variant_image": ("product.product",),
    "mobile": ("res.partner",),
    "user_groups": ("res.users",),
}
"""The models that have the fields named above, for a check against what live servers said of their fields."""


class UnsupportedVersion(ValueError):
    """This Odoo is older than all that are served; the message names those that are."""


def major_of(version: str) -> int:
    """The major number of a server version as Odoo tells it: '16.0-20230301', 'saas~18.2', '19.0+e'. 0 if none."""
    found = re.match(r"(?:saas[~-])?(\d+)", version)
    return int(found[1]) if found else 0


def names(major: int) -> Names:
    """The names of Odoo `major`; one newer than all known is tried as the newest. Raises UnsupportedVersion."""
    if major < OLDEST:
        raise UnsupportedVersion(f"Odoo {major} is not served by this connector (served: {OLDEST} to {NEWEST})")
    return BY_VERSION.get(major) or replace(BY_VERSION[NEWEST], major=major, tried=False)


def warning(version: str) -> str:
    """What the doctor says of a version that was never run against; '' where there is nothing to say."""
    found = names(major_of(version))
    if found.major > NEWEST:
        return f"Odoo {version} is newer than all that were tried; it is taken for Odoo {NEWEST}"
    if version.startswith("saas"):
        return f"{version} lies between two releases; it is taken for Odoo {found.major}.0"
    return "" if found.tried else f"Odoo {version} is served from knowledge of that release, but was never tried"
