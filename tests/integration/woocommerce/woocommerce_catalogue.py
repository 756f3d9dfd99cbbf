"""What the catalogue tests share: products as Odoo would have them, and a shop to publish them into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from tests.woocommerce_shop import SYSTEM, settings

from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil.hub.contract import Item, Outcome
from counterfoil.retail.listing import Channel
from counterfoil.retail.money import Money
from counterfoil.retail.product import Image, Place, Product, SalePrice, StockLevel, Variant


def euros(amount: str) -> Money:
    return Money.of(amount, "EUR")


def connector(url: str, channel: Channel | None = None, system: str = SYSTEM) -> WooCommerce:
    return WooCommerce(system, settings(url), channel=channel)


def variant(number: int, **fields: Any) -> Variant:
    made = {"id": str(number), "sku": f"ART-{number}", "price": euros("19.90")}
    return Variant(**{**made, **fields})


def product(number: int, *variants: Variant, **fields: Any) -> Product:
    """A simple product with one article of the same number, unless variants are given."""
    made = {"system": "odoo", "id": str(number), "name": f"Product {number}", "prices_include_tax": True}
    return Product(**{**made, "variants": variants or (variant(number),), **fields})


def shirt(number: int = 70, sizes: Sequence[str] = ("M", "L"), **fields: Any) -> Product:
    """A product with a variant for each size."""
    own = [
        variant(number * 100 + n, sku=f"SHIRT-{number}-{size}", options=(("Colour", "Red"), ("Size", size)))
        for n, size in enumerate(sizes)
    ]
    return product(number, *own, **{"name": "Shirt", **fields})


def stock(sku: str, on_hand: int | str, number: int = 1, **fields: Any) -> StockLevel:
    places = (Place(warehouse="WH", on_hand=Decimal(on_hand), **fields),)
    return StockLevel(system="odoo", id=str(number), sku=sku, places=places)


def item(entity: Product | StockLevel, link: str = "", attempt: int = 1) -> Item:
    """The delivery the hub would make of the entity's change; the newest state rides along as JSON."""
    kind = "product" if isinstance(entity, Product) else "stock"
    state = entity.model_dump(mode="json")
    id_ = entity.canonical_id
    return Item(1, id_, id_, f"{kind}.changed", {kind: state, "state": state}, link, attempt)


async def publish(shop: WooCommerce, *entities: Product | StockLevel, links: Mapping[str, str] | None = None) -> Any:
    """Outcomes of publishing the entities in one call; one outcome for one entity."""
    name = "publish_product" if isinstance(entities[0], Product) else "publish_stock"
    known = links or {}
    items = [item(entity, known.get(entity.canonical_id, "")) for entity in entities]
    outcomes: list[Outcome] = await shop.operations[name].run(items)
    assert len(outcomes) == len(items)
    return outcomes if len(outcomes) > 1 else outcomes[0]


__all__ = ["Image", "SalePrice", "connector", "euros", "item", "product", "publish", "shirt", "stock", "variant"]
