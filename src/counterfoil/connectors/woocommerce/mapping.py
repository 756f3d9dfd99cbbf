"""WooCommerce's fields and states in the retail language, as tables. The code uses them, or a test holds them to it.

ADDRESS, PLACE, VAT_METAS, PRODUCT and STATUSES are used by translate.py, accounts.py, product_fields.py and tell.py.
The rest is what their code does: tests/unit/connectors/test_mappings.py changes each field and sees what moves.
"""

from __future__ import annotations

from collections.abc import Mapping

from counterfoil.retail.mapping import AS_IT_IS, How, Overlays, Row, StateRow, Way
from counterfoil.retail.order import Status

IN, OUT, BOTH = Way.IN, Way.OUT, Way.BOTH

NAMES = How("two names", "first and last name as one; written, all but the last word is the first name")
STATE = How("state's code", "written without the country before it (DE-BE), unless the shop has it so already")
IF_KNOWN = How("if known", "nothing is written over what is there")
UTC = How("UTC", "a time without a zone, which is UTC")
NOUGHT = How("0 is none", "a number of 0 is empty")
EXACT = How("exact amount", "from the text, never from the number beside it; in the order's currency")
SETTLED = How("settled tax", "rounded by line, moved onto the rate's total where rounding explains the difference")
REST = How("what is left", "the total less all parts: at most the shop's rounding")
PERCENT = How("percent", "rate_percent, or the number before % in older orders' labels")
PLACE_OF_CODE = How("out of a code", "rate_code is COUNTRY-STATE-NAME-PRIORITY")
POSITIVE = How("positive", "refunds stand there below zero")
FIRST = How("first that is there", "of the meta data that plugins keep it in")
TABLE = How("table", "see the states below")
STANDARD = How("standard", "an empty class is standard; shipping has none")
DECIMALS = How("shop's decimals", "with a point and the number of decimals the shop works with")
UNIT = How("shop's unit", "kilograms in the unit of weight of the shop")
CLASSES = How("tax classes", "by `tax_classes` of the channel; `none` is no tax")
IDS = How("ids", "of the categories of that path, made where missing")
GTIN = How("valid GTIN", "with the right check digit, else nothing is written")
CHOICE = How("options", "a variation's attributes; of the parent, all there are")
PICTURE = How("picture", "by its address, when its digest changed")
QUANTITY = How("units", "by the channel's warehouses, basis and safety stock; whole and never below zero")
NOTES = How("in words", "a note, once each; and kept in meta data of ours")

# --- customers: read and written by these rows ----------------------------------------------------------------------

_ADDRESS: tuple[tuple[str, tuple[str, ...], Way, How], ...] = (
    ("name", ("first_name", "last_name"), BOTH, NAMES),
    ("company", ("company",), BOTH, AS_IT_IS),
    ("street", ("address_1",), BOTH, AS_IT_IS),
    ("street2", ("address_2",), BOTH, AS_IT_IS),
    ("city", ("city",), BOTH, AS_IT_IS),
    ("postcode", ("postcode",), BOTH, AS_IT_IS),
    ("state", ("state",), BOTH, STATE),
    ("country", ("country",), BOTH, AS_IT_IS),
    ("phone", ("phone",), BOTH, IF_KNOWN),
    ("email", ("email",), IN, AS_IT_IS),
)
ADDRESS: Mapping[str, str] = {field: theirs[0] for field, theirs, _, how in _ADDRESS if how is not NAMES}
"""Canonical field of an address to the shop's, for reading."""
PLACE: Mapping[str, str] = {theirs[0]: field for field, theirs, way, how in _ADDRESS if way is BOTH and how is AS_IT_IS}
"""The shop's field of an address to the canonical one, for those that are written as they are."""
VAT_METAS = ("_billing_vat_number", "billing_vat", "_vat_number", "vat_number", "_billing_eu_vat_number")
_VATS = tuple(f"meta_data.{key}" for key in VAT_METAS)


def _address(object_: str, ours: str, written: bool) -> tuple[Row, ...]:
    return tuple(
        Row(object_, f"{ours}.{field}", tuple(f"{ours}.{name}" for name in theirs), way if written else IN, how)
        for field, theirs, way, how in _ADDRESS
    )


CUSTOMER = (
    Row("customer", "id", ("id",), IN),
    Row("customer", "customer.id", ("id",), IN),
    Row("customer", "customer.email", ("email",), IN, note="what they log in with: written only to a new account"),
    Row("customer", "customer.name", ("first_name", "last_name"), BOTH, NAMES, "else of the billing address"),
    Row(
        "customer",
        "customer.company",
        ("billing.company",),
        BOTH,
        IF_KNOWN,
        "written where no billing address is known",
    ),
    Row("customer", "customer.phone", ("billing.phone",), BOTH, IF_KNOWN),
    Row("customer", "customer.vat", _VATS, IN, FIRST),
    *_address("customer", "billing", written=True),
    *_address("customer", "shipping", written=True),
    Row("customer", "modified_at", ("date_modified_gmt",), IN, UTC),
)

# --- orders: amounts and lines are translate.py's work, told here ---------------------------------------------------


def _each(field: str) -> tuple[str, ...]:
    return tuple(f"{lines}[].{field}" for lines in ("line_items", "shipping_lines", "fee_lines"))


_TAXED = ("tax_lines[].tax_total", "tax_lines[].shipping_tax_total")
ORDER = (
    Row("order", "id", ("id",), IN),
    Row("order", "number", ("number",), IN),
    Row("order", "status", ("status",), IN, TABLE),
    Row("order", "currency", ("currency",), IN),
    Row("order", "prices_include_tax", ("prices_include_tax",), IN),
    Row("order", "placed_at", ("date_created_gmt",), IN, UTC),
    Row("order", "modified_at", ("date_modified_gmt",), IN, UTC),
    Row("order", "customer.id", ("customer_id",), IN, NOUGHT, "empty for a guest"),
    Row("order", "customer.email", ("billing.email",), IN),
    Row("order", "customer.name", ("billing.first_name", "billing.last_name"), IN, NAMES),
    Row("order", "customer.company", ("billing.company",), IN),
    Row("order", "customer.phone", ("billing.phone",), IN),
    Row("order", "customer.vat", _VATS, IN, FIRST),
    *_address("order", "billing", written=False),
    *_address("order", "shipping", written=False),
    Row("order", "lines[].id", _each("id"), IN),
    Row("order", "lines[].name", ("line_items[].name", "shipping_lines[].method_title", "fee_lines[].name"), IN),
    Row("order", "lines[].quantity", ("line_items[].quantity",), IN, note="1 of shipping and fees"),
    Row("order", "lines[].net", _each("total"), IN, EXACT, "after discounts"),
    Row("order", "lines[].taxes[].code", _each("taxes[].id"), IN),
    Row("order", "lines[].taxes[].amount", (*_each("taxes[].total"), *_each("total_tax"), *_TAXED), IN, SETTLED),
    Row("order", "lines[].tax_class", ("line_items[].tax_class", "fee_lines[].tax_class"), IN, STANDARD),
    Row("order", "lines[].product_id", ("line_items[].variation_id", "line_items[].product_id"), IN, NOUGHT),
    Row("order", "lines[].sku", ("line_items[].sku",), IN),
    Row("order", "rates[].code", ("tax_lines[].rate_id",), IN),
    Row("order", "rates[].percent", ("tax_lines[].rate_percent",), IN, PERCENT, "looked up in `taxes`"),
    Row("order", "rates[].country", ("tax_lines[].rate_code",), IN, PLACE_OF_CODE),
    Row("order", "rates[].state", ("tax_lines[].rate_code", "tax_lines[].label"), IN, PLACE_OF_CODE),
    Row("order", "rates[].name", ("tax_lines[].label",), IN),
    Row("order", "rates[].compound", ("tax_lines[].compound",), IN),
    Row("order", "discounts[].code", ("coupon_lines[].code",), IN),
    Row("order", "discounts[].net", ("coupon_lines[].discount", "discount_total"), IN, EXACT),
    Row("order", "discounts[].tax", ("coupon_lines[].discount_tax", "discount_tax"), IN, EXACT),
    Row("order", "payments[].method", ("payment_method",), IN, note="looked up in `payments`"),
    Row("order", "payments[].title", ("payment_method_title",), IN),
    Row("order", "payments[].reference", ("transaction_id",), IN),
    Row("order", "payments[].amount", ("total",), IN, EXACT),
    Row("order", "payments[].paid_at", ("date_paid_gmt",), IN, UTC),
    Row("order", "refunds[].id", ("refunds[].id",), IN),
    Row("order", "refunds[].amount", ("refunds[].total",), IN, POSITIVE),
    Row("order", "refunds[].reason", ("refunds[].reason",), IN),
    Row("order", "refunds[].pending", ("meta_data._wcpay_refund_status",), IN, note="of the newest: `pending`"),
    Row("order", "total", ("total",), IN, EXACT),
    Row("order", "tax_told", ("total_tax",), IN, EXACT),
    Row("order", "rounding", ("total", *_each("total")), IN, REST),
    Row("order", "note", ("customer_note",), IN),
    Row(
        "order",
        "erp_number",
        ("meta_data._counterfoil_erp_number",),
        BOTH,
        note="the ERP's number; written by note_order",
    ),
)
TOLD = (
    Row("fulfilment", "state", ("status",), OUT, TABLE, "forward only, each step once"),
    Row("fulfilment", "lines", ("status",), OUT, TABLE, "completed when nothing is left to ship"),
    Row("fulfilment", "shipments", ("status", "notes", "meta_data._counterfoil_shipments"), OUT, NOTES),
    Row("fulfilment", "invoices", ("notes",), OUT, NOTES),
)

# --- products and stock: product_fields.py and stock.py -------------------------------------------------------------

PRODUCT = (
    Row("product", "name", ("name",), OUT),
    Row("product", "description", ("description",), OUT),
    Row("product", "tax_class", ("tax_status", "tax_class"), OUT, CLASSES),
    Row("product", "category", ("categories",), OUT, IDS),
    Row("product", "image", ("images",), OUT, PICTURE),
    Row("product", "tracked", ("manage_stock", "stock_status"), OUT, note="not counted: always in stock"),
    Row("product", "variants[].sku", ("sku",), OUT),
    Row("product", "variants[].price", ("regular_price",), OUT, DECIMALS),
    Row("product", "variants[].sale.price", ("sale_price",), OUT, DECIMALS),
    Row("product", "variants[].sale.starts_at", ("date_on_sale_from_gmt",), OUT, UTC),
    Row("product", "variants[].sale.ends_at", ("date_on_sale_to_gmt",), OUT, UTC),
    Row("product", "variants[].weight", ("weight",), OUT, UNIT),
    Row("product", "variants[].gtin", ("global_unique_id",), OUT, GTIN),
    Row("product", "variants[].options", ("attributes",), OUT, CHOICE),
    Row("product", "variants[].image", ("image",), OUT, PICTURE),
)
STOCK = (Row("stock", "places", ("stock_quantity",), OUT, QUANTITY),)

# --- states ---------------------------------------------------------------------------------------------------------

STATES = (
    StateRow("order", "draft", ("auto-draft", "checkout-draft"), IN, "a checkout that was not finished"),
    StateRow("order", "pending", ("pending",), IN, "waits for its payment"),
    StateRow("order", "failed", ("failed",), IN, "its payment failed"),
    StateRow("order", "on_hold", ("on-hold",), IN, "a transfer is awaited"),
    StateRow("order", "processing", ("processing",), BOTH, "to be shipped; written once the ERP has confirmed"),
    StateRow("order", "completed", ("completed",), BOTH, "shipped; written once nothing is left to ship"),
    StateRow("order", "cancelled", ("cancelled",), BOTH, "written once the ERP has cancelled and nothing was sent"),
    StateRow("order", "refunded", ("refunded",), IN, "given back in full"),
    StateRow("order", "trash", ("trash",), IN, "thrown away"),
    StateRow("payment", "paid", ("date_paid_gmt",), IN, "that it has a date"),
    StateRow("payment", "expected", ("no date_paid_gmt",), IN),
)
STATUSES: Mapping[str, Status] = {
    theirs: Status(row.state) for row in STATES if row.object == "order" for theirs in row.theirs
}
"""The shop's word for an order's state to ours."""
WORDS: Mapping[str, str] = {row.state: row.theirs[0] for row in STATES if row.object == "order"}
"""Ours to the shop's."""


def plain_status(told: str) -> str:
    """A status without the prefix that WordPress stores it with; some exporters leave it on."""
    return told.removeprefix("wc-")


ROWS = (*ORDER, *TOLD, *CUSTOMER, *PRODUCT, *STOCK)
_ADDRESSES = frozenset(f"{part}.{field}" for part in ("billing", "shipping") for field, *_ in _ADDRESS)
_BUYER = ("email", "name", "company", "phone", "vat")
OVERLAYS = {
    "customer": Overlays(IN, _ADDRESSES | frozenset(_BUYER)),
    "order": Overlays(
        IN, _ADDRESSES | frozenset({"reference", "note", "pickup", *(f"customer.{field}" for field in _BUYER)})
    ),
}
"""What a blueprint may read otherwise; and `extra.NAME`, a field of one's own."""
