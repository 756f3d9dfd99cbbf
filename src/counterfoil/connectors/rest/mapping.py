"""What can be mapped of a JSON API's records. The records are the retailer's: by themselves they are canonical JSON.

Inwards (`customer`, `product`, `stock`) each field of ours is an expression over the record. Outwards (`put_…`,
`post_record`) each field of the record is an expression over what is told: `customer.customer.phone`, `stock.sku`.
"""

from __future__ import annotations

from counterfoil.retail.mapping import How, Overlays, Row, StateRow, Way
from counterfoil.retail.party import Address, Customer

BUYER = tuple(name for name in Customer.model_fields if name != "id")
ADDRESSES = tuple(f"{part}.{field}" for part in ("billing", "shipping") for field in Address.model_fields)
ARTICLE = ("name", "description", "sku", "gtin", "price", "currency", "weight", "tax_class", "category")
LEVEL = ("sku", "warehouse", "on_hand", "outgoing", "incoming")
KINDS = ("customer", "product", "stock")
"""What is read."""
OUTWARDS = ("put_customer", "put_product", "put_stock", "put_order", "post_record")

_CANONICAL = How("canonical", "the same name in the record, where the blueprint maps nothing else")
_UTC = How("UTC", "any zone, or seconds since 1970; bare ones by the setting `zone`")
_PATH = How("path", "parts of the category's path between slashes")
ROWS: tuple[Row, ...] = (
    *(Row("customer", f"customer.{name}", (f"customer.{name}",), Way.BOTH, _CANONICAL) for name in BUYER),
    *(Row("customer", name, (name,), Way.BOTH, _CANONICAL) for name in ADDRESSES),
    Row("customer", "modified_at", ("changed_field",), Way.IN, _UTC),
    *(
        Row("product", name, (name,), Way.BOTH, _PATH if name == "category" else _CANONICAL, "of a simple product")
        for name in ARTICLE
    ),
    Row("product", "variants[]", ("variants[]",), Way.BOTH, _CANONICAL),
    *(Row("stock", name, (name,), Way.BOTH, _CANONICAL) for name in LEVEL),
    Row("stock", "places[]", ("places[]",), Way.BOTH, _CANONICAL),
)
STATES: tuple[StateRow, ...] = ()
OVERLAYS = {
    "customer": Overlays(Way.IN, frozenset((*BUYER, *ADDRESSES))),
    "product": Overlays(Way.IN, frozenset(ARTICLE)),
    "stock": Overlays(Way.IN, frozenset(LEVEL)),
    **{name: Overlays(Way.OUT, any_case=True) for name in OUTWARDS},
}
"""What a blueprint may map; inwards also `extra.NAME` of customers and products, a field of one's own."""
