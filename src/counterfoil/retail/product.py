"""What is sold: products and their variants, at what price, and how many there are where."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

from counterfoil.retail.entity import Entity, Extended
from counterfoil.retail.money import Money


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class SalePrice(_Value):
    """A price of a campaign; without `starts_at` it holds already, without `ends_at` for good (UTC)."""

    price: Money
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None


class Image(_Value):
    """A picture: `digest` changes with its content, `url` is where the channel can fetch it."""

    digest: str
    url: str


class Variant(_Value):
    """One sellable article. `sku` is the key between systems; nothing is ever matched by a display name.

    `price` is the regular price, taxed or not as its product says; `weight` is in kilograms.
    """

    id: str
    sku: str
    gtin: str = ""
    options: tuple[tuple[str, str], ...] = ()  # (attribute, value), such as ("Colour", "Red")
    price: Money | None = None
    sale: SalePrice | None = None
    weight: Decimal | None = None
    image: Image | None = None
    active: bool = True


class Product(Extended):
    """A product with its variants, as its home system has it; a simple product is its own only variant.

    `sellable`: it may be sold at all. `tracked`: its stock is counted. `tax_class` is in the home system's words.
    `category` is the path from the root. `costs` are what articles cost the retailer, by the variant's id, in the
    currency of its price and with tax where the price is with tax; of an article without one nothing is known.
    """

    system: str
    id: str
    name: str
    description: str = ""
    sellable: bool = True
    tracked: bool = True
    tax_class: str = ""
    prices_include_tax: bool = False
    category: tuple[str, ...] = ()
    image: Image | None = None
    costs: tuple[tuple[str, Decimal], ...] = ()
    variants: tuple[Variant, ...]

    @property
    def canonical_id(self) -> str:
        """`odoo:product:17`."""
        return f"{self.system}:product:{self.id}"

    @property
    def is_simple(self) -> bool:
        """Whether there is nothing to choose."""
        return len(self.variants) == 1 and not self.variants[0].options


def variant_id(system: str, id_: str) -> str:
    """The id of a variant across all systems: `odoo:variant:23`. Its stock goes by the same."""
    return f"{system}:variant:{id_}"


class Basis(StrEnum):
    """What a channel's stock number means."""

    AVAILABLE = "available"  # on hand less all that is promised to somebody, reserved or not
    ON_HAND = "on_hand"  # what stands on the shelf; the channel subtracts its own orders
    FORECAST = "forecast"  # available and what is on its way in


class Place(_Value):
    """Quantities of one article in one warehouse. `outgoing` and `incoming` are all open demand and supply."""

    warehouse: str
    on_hand: Decimal
    outgoing: Decimal = Decimal(0)
    incoming: Decimal = Decimal(0)


class StockLevel(Entity):
    """How many units of one article stand where."""

    system: str
    id: str  # of the variant
    sku: str
    places: tuple[Place, ...] = ()

    @property
    def canonical_id(self) -> str:
        """The variant's: `odoo:variant:23`."""
        return variant_id(self.system, self.id)


class StockRule(_Value):
    """What a channel is told of stock: from which warehouses (none named: all), by which basis, less how much."""

    warehouses: tuple[str, ...] = ()
    basis: Basis = Basis.AVAILABLE
    safety_stock: Decimal = Decimal(0)

    def quantity(self, level: StockLevel) -> int:
        """Whole units that the channel may show; never below zero."""
        places = [p for p in level.places if not self.warehouses or p.warehouse in self.warehouses]
        units = sum((_units(place, self.basis) for place in places), Decimal(0)) - self.safety_stock
        return max(0, int(units))


def _units(place: Place, basis: Basis) -> Decimal:
    match basis:
        case Basis.ON_HAND:
            return place.on_hand
        case Basis.AVAILABLE:
            return place.on_hand - place.outgoing
        case Basis.FORECAST:
            return place.on_hand - place.outgoing + place.incoming
