"""Odoo's fields and states in the retail language, as tables. The code uses them, or a test holds them to it.

PARTNER makes the columns and values of customers (customers.py, accounts.py), ORDER_STATES the states that are read.
The rest is what the code does: tests/unit/connectors/test_mappings.py changes each field and sees what moves.
"""

from __future__ import annotations

from collections.abc import Mapping

from counterfoil.retail.fulfilment import ErpState, ShipmentState
from counterfoil.retail.mapping import AS_IT_IS, How, Overlays, Row, StateRow, Way

IN, OUT, BOTH = Way.IN, Way.OUT, Way.BOTH

FIRST_KNOWN = How("first known", "of these, the first that is not empty")
NUMBER = How("record's number", "the record of that code; none where Odoo has no such code")
CONTACT = How("contact", "of the newest contact of that type; billing without one: the customer's own")
EXTERNAL_ID = How(
    "external id", "`counterfoil.<system>_order_<id>`, and one for each line: what stands is never made again"
)
RULE = How("table or rate", "by `taxes`, else by rate, country and inclusion")
SKU = How("by SKU", "the one sellable product with this internal reference; shipping and fees have products of ours")
TO_THE_CENT = How(
    "net price", "net unit price, with as many digits as the line's net needs; a discount is in the price"
)
UTC = How("UTC", "without a zone")
HTML = How("HTML", "as Odoo keeps notes from 15 on")
JOURNAL = How("table", "by `payments`")
PARTY = How("partner", "found by `customers.match` or made; addresses are contacts below it")
PRICELIST = How("pricelist", "one in the order's currency, where that is not the company's")
TABLE = How("table", "see the states below")
SHOP_LINE = How("shop's line", "out of the line's external id; parts of one line are added up")
DIRECTION = How("direction", "whether it goes to a customer's place or comes back from one")
OPEN = How("nothing open", "whether the amount due is nought")
LINK = How("link", "the customer's page with its token")
PATH = How("path", "names from the root, without Odoo's own All")
BOOK = How("price", "of the pricelist, with campaigns; without one the list price")
CODES = How("by warehouse", "on hand, going out and coming in, by the warehouse's short name")
TAXES = How("names", "of its sales taxes, joined with +")
PICTURE = How("picture", "its checksum, and an address made by `image_url`")
KITS = How("kits", "bills of type kit, their parts in the parts' own units")
DAY = How("day", "of a whole day, whose times mean nothing")
STORABLE = How("storable", "whether Odoo counts it, or a kit's parts")

# --- customers: columns and values are made of these rows -----------------------------------------------------------

_Source = tuple[tuple[str, str], ...]
PARTNER: Mapping[str, _Source] = {
    "name": (
        ("customer", "name"),
        ("billing", "name"),
        ("customer", "company"),
        ("billing", "company"),
        ("customer", "email"),
    ),
    "email": (("customer", "email"), ("billing", "email")),
    "phone": (("customer", "phone"), ("billing", "phone")),
    "vat": (("customer", "vat"),),
    "company_name": (("customer", "company"), ("billing", "company")),
    "street": (("billing", "street"),),
    "street2": (("billing", "street2"),),
    "city": (("billing", "city"),),
    "zip": (("billing", "postcode"),),
    "country_id": (("billing", "country"),),
    "state_id": (("billing", "state"),),
}
"""Field of a partner to where it comes from: the first that is known. Country and state become records' numbers."""
ADDRESS: Mapping[str, str] = {
    **{
        "name": "name",
        "street": "street",
        "street2": "street2",
        "city": "city",
        "postcode": "zip",
        "state": "state_id",
    },
    **{"country": "country_id", "phone": "phone", "email": "email"},
}
"""Canonical field of an address to the partner's, for reading."""
NUMBERS = ("country_id", "state_id")


def ours(field: str) -> str:
    """The canonical name of a partner's field, as owners name it: `name`, `billing.street`."""
    part, name = PARTNER[field][0]
    return name if part == "customer" else f"{part}.{name}"


def _how(field: str) -> How:
    return NUMBER if field in NUMBERS else FIRST_KNOWN if len(PARTNER[field]) > 1 else AS_IT_IS


def _customers() -> tuple[Row, ...]:
    out = [
        Row(
            "customer",
            f"{part}.{name}",
            (field,),
            OUT,
            _how(field),
            "" if not n else f"where {'.'.join(sources[0])} is empty",
        )
        for field, sources in PARTNER.items()
        for n, (part, name) in enumerate(sources)
    ]
    read = [Row("customer", f"customer.{name}", (name,), IN) for name in ("id", "name", "email", "phone", "vat")]
    read = [Row("customer", "id", ("id",), IN), *read]
    read.append(Row("customer", "customer.company", ("is_company", "name"), IN, note="the name, of a company"))
    for kind, part in (("invoice", "billing"), ("delivery", "shipping")):
        for name, field in ADDRESS.items():
            own = (field,) if part == "billing" else ()
            read.append(Row("customer", f"{part}.{name}", (*own, f"{kind}.{field}"), IN, CONTACT))
    return (*read, *out)


CUSTOMER = _customers()

# --- orders ---------------------------------------------------------------------------------------------------------

_L = "order_line."
ORDER = (
    Row("order", "id", ("id", _L + "id", "origin"), OUT, EXTERNAL_ID),
    Row("order", "system", ("id", _L + "id", "origin"), OUT, EXTERNAL_ID),
    Row("order", "number", ("client_order_ref",), OUT),
    Row("order", "placed_at", ("date_order",), OUT, UTC),
    Row("order", "note", ("note",), OUT, HTML),
    Row("order", "customer", ("partner_id",), OUT, PARTY),
    Row("order", "billing", ("partner_invoice_id",), OUT, PARTY),
    Row("order", "shipping", ("partner_shipping_id",), OUT, PARTY, "without one: the billing address"),
    Row("order", "currency", ("pricelist_id",), OUT, PRICELIST),
    Row(
        "order",
        "system",
        ("warehouse_id", "pricelist_id"),
        OUT,
        How("channel", "by `channels`, where the shop has one"),
    ),
    Row("order", "lines[].id", (_L + "id",), OUT, EXTERNAL_ID),
    Row("order", "lines[].sku", (_L + "product_id",), OUT, SKU),
    Row("order", "lines[].name", (_L + "name",), OUT),
    Row("order", "lines[].quantity", (_L + "product_uom_qty", _L + "price_unit"), OUT, TO_THE_CENT),
    Row("order", "lines[].net", (_L + "price_unit",), OUT, TO_THE_CENT),
    Row("order", "lines[].taxes", (_L + "tax_ids", _L + "extra_tax_data"), OUT, RULE, "amounts ride along from 19 on"),
    Row("order", "rounding", (_L + "price_unit",), OUT, How("line", "a line of its own, named Rounding")),
    Row("order", "payments", ("account.payment",), OUT, JOURNAL, "recorded and posted once the shop says paid"),
)
_P, _M, _I = "picking_ids.", "move_ids.", "invoice_ids."
FULFILMENT = (
    Row("fulfilment", "order", ("origin",), IN),
    Row("fulfilment", "id", ("id",), IN),
    Row("fulfilment", "number", ("name",), IN),
    Row("fulfilment", "state", ("state",), IN, TABLE),
    Row("fulfilment", "lines[].line", (_L + "external_id",), IN, SHOP_LINE),
    Row("fulfilment", "lines[].sku", (_L + "product_id",), IN),
    Row("fulfilment", "lines[].shippable", (_L + "product_id",), IN, note="not of services"),
    Row("fulfilment", "lines[].ordered", (_L + "product_uom_qty",), IN),
    Row("fulfilment", "lines[].delivered", (_L + "qty_delivered",), IN),
    Row("fulfilment", "lines[].invoiced", (_L + "qty_invoiced",), IN),
    Row("fulfilment", "shipments[].id", (_P + "id",), IN),
    Row("fulfilment", "shipments[].number", (_P + "name",), IN),
    Row("fulfilment", "shipments[].state", (_P + "state",), IN, TABLE),
    Row("fulfilment", "shipments[].returned", (_M + "location_id", _M + "location_dest_id"), IN, DIRECTION),
    Row("fulfilment", "shipments[].carrier", (_P + "carrier_id",), IN),
    Row("fulfilment", "shipments[].tracking", (_P + "carrier_tracking_ref",), IN),
    Row("fulfilment", "shipments[].tracking_url", (_P + "carrier_tracking_url",), IN),
    Row("fulfilment", "shipments[].done_at", (_P + "date_done",), IN, UTC),
    Row("fulfilment", "shipments[].follows", (_P + "backorder_id",), IN),
    Row(
        "fulfilment",
        "shipments[].items[].quantity",
        (_M + "quantity", _M + "product_uom_qty"),
        IN,
        note="what was asked for, until it is done",
    ),
    Row("fulfilment", "shipments[].items[].sku", (_M + "product_id",), IN),
    Row("fulfilment", "shipments[].items[].line", (_L + "external_id",), IN, SHOP_LINE),
    Row("fulfilment", "shipments[].items[].name", (_L + "name",), IN, note="its first line"),
    Row("fulfilment", "invoices[].id", (_I + "id",), IN),
    Row("fulfilment", "invoices[].number", (_I + "name",), IN),
    Row("fulfilment", "invoices[].credit", (_I + "move_type",), IN),
    Row("fulfilment", "invoices[].total", (_I + "amount_total", _I + "currency_id"), IN),
    Row("fulfilment", "invoices[].paid", (_I + "amount_residual",), IN, OPEN),
    Row("fulfilment", "invoices[].dated", (_I + "invoice_date",), IN),
    Row("fulfilment", "invoices[].url", (_I + "access_url", _I + "access_token"), IN, LINK),
)

# --- products and stock ---------------------------------------------------------------------------------------------

_V = "product_variant_ids."
PRODUCT = (
    Row("product", "id", ("id",), IN),
    Row("product", "name", ("name",), IN),
    Row("product", "description", ("description_sale",), IN),
    Row("product", "sellable", ("sale_ok", "active"), IN),
    Row("product", "tracked", ("is_storable",), IN, STORABLE, "type up to 17"),
    Row("product", "kits", ("mrp.bom", "mrp.bom.line"), IN, KITS, "where the module mrp is there"),
    Row("product", "tax_class", ("taxes_id",), IN, TAXES),
    Row("product", "prices_include_tax", ("taxes_id",), IN),
    Row("product", "category", ("categ_id",), IN, PATH),
    Row("product", "image", ("image_1920",), IN, PICTURE),
    Row("product", "variants[].id", (_V + "id",), IN),
    Row("product", "variants[].sku", (_V + "default_code",), IN),
    Row("product", "variants[].gtin", (_V + "barcode",), IN),
    Row("product", "variants[].weight", (_V + "weight",), IN),
    Row("product", "variants[].active", (_V + "active",), IN),
    Row("product", "variants[].options", (_V + "product_template_attribute_value_ids",), IN),
    Row("product", "variants[].price", (_V + "lst_price",), IN, BOOK),
    Row("product", "variants[].sale", ("product.pricelist.item",), IN, BOOK),
    Row("product", "variants[].prices", ("product.pricelist.item",), IN, BOOK, "where a channel has its own"),
    Row("product", "variants[].image", (_V + "image_variant_1920",), IN, PICTURE),
)
STOCK = (
    Row("stock", "id", ("id",), IN),
    Row("stock", "sku", ("default_code",), IN),
    Row("stock", "places", ("stock.quant", "stock.move"), IN, CODES),
)

# --- calendars ------------------------------------------------------------------------------------------------------

CALENDAR = (
    Row("calendar", "user", ("res.users",), IN, How("user", "by login, else by name")),
    Row("calendar", "engagements[].id", ("calendar.event.id",), IN),
    Row("calendar", "engagements[].starts_at", ("calendar.event.start",), IN, UTC),
    Row("calendar", "engagements[].ends_at", ("calendar.event.stop",), IN, UTC),
    Row("calendar", "engagements[].first_day", ("calendar.event.start",), IN, DAY),
    Row("calendar", "engagements[].last_day", ("calendar.event.stop",), IN, DAY),
    Row("calendar", "engagements[].appointment", ("external id",), IN, note="where it is one of ours"),
)
APPOINTMENT = (
    Row("appointment", "id", ("id",), OUT, How("external id", "`counterfoil.<channel>_appointment_<id>`")),
    Row("appointment", "title", ("name",), OUT, note="and the customer's name"),
    Row("appointment", "starts_at", ("start",), OUT, UTC),
    Row("appointment", "ends_at", ("stop",), OUT, UTC),
    Row("appointment", "user", ("user_id", "partner_ids"), OUT, How("user", "by login, else by name")),
    Row("appointment", "visitor", ("description",), OUT, HTML),
    Row("appointment", "visitor.email", ("partner_ids",), OUT, How("partner", "the one that has it; none is made")),
    Row("appointment", "location", ("location",), OUT),
    Row("appointment", "type", ("appointment_type_id",), OUT, note="in Enterprise; never run"),
)

# --- states ---------------------------------------------------------------------------------------------------------

STATES = (
    StateRow("order", "quotation", ("draft", "sent"), BOTH),
    StateRow("order", "confirmed", ("sale", "done"), BOTH, "done: a locked order, up to 16"),
    StateRow("order", "cancelled", ("cancel",), BOTH),
    StateRow("shipment", "open", ("draft", "waiting", "confirmed", "assigned"), IN, "and any other"),
    StateRow("shipment", "done", ("done",), IN),
    StateRow("shipment", "cancelled", ("cancel",), IN),
    StateRow("payment", "paid", ("posted", "in_process", "paid"), BOTH, "posted up to 17"),
)


def _states(object_: str) -> dict[str, str]:
    return {theirs: row.state for row in STATES if row.object == object_ for theirs in row.theirs}


ORDER_STATES = {theirs: ErpState(ours) for theirs, ours in _states("order").items()}
SHIPMENT_STATES = {theirs: ShipmentState(ours) for theirs, ours in _states("shipment").items()}

ROWS = (*ORDER, *FULFILMENT, *CUSTOMER, *PRODUCT, *STOCK, *CALENDAR, *APPOINTMENT)
_OPEN = {"client_order_ref", "note"}
"""Of what the hub writes, these may be made otherwise."""
_KEPT = {field for row in (*ORDER, *FULFILMENT) for field in row.theirs if field not in _OPEN}
OVERLAYS = {
    "order": Overlays(OUT, frozenset(_KEPT | {"order_line", "currency_id", "company_id", "locked"})),
    "customer": Overlays(OUT, frozenset(PARTNER) | {"id", "parent_id", "company_id", "active"}),
}
"""Into these the blueprint may write fields of Odoo, but not those that the hub keeps to itself."""
MODELS = {"order": "sale.order", "customer": "res.partner"}
