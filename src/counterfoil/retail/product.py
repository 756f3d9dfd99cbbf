"""What is sold: products, their variants, and how many there are where."""

from __future__ import annotations

from decimal import Decimal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from counterfoil.retail.money import Money


class Variant(BaseModel):
    """One sellable article. `sku` is the key between systems; nothing is ever matched by a display name."""

    model_config = ConfigDict(frozen=True)

    id: str
    sku: str
    gtin: str = ""
    options: tuple[tuple[str, str], ...] = ()
    price: Money | None = None
    active: bool = True


class Product(BaseModel):
    """A product with at least one variant; a simple product is its own only variant."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    tax_class: str = ""
    variants: tuple[Variant, ...]


class StockLevel(BaseModel):
    """How many units of a SKU stood at a location when it was read (UTC)."""

    model_config = ConfigDict(frozen=True)

    sku: str
    location: str
    quantity: Decimal
    read_at: AwareDatetime
