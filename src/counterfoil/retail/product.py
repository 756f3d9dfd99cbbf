"""What is sold: products and their variants, at what price, and how many there are where."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from counterfoil.retail.availability import Policy, available, stands_of, thousandths
from counterfoil.retail.entity import Entity, Extended
from counterfoil.retail.money import Money


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class SalePrice(_Value):
    """A price of a campaign; without `starts_at` it holds already, without `ends_at` for good (UTC)."""

    price: Money
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None


class ChannelPrice(_Value):
    """What an article costs on one channel that does not sell at the usual price."""

    channel: str
    price: Money
    sale: SalePrice | None = None


class Image(_Value):
    """A picture: `digest` changes with its content, `url` is where the channel can fetch it."""

    digest: str
    url: str


class Variant(_Value):
    """One sellable article. `sku` is the key between systems; nothing is ever matched by a display name.

    `price` is the regular price, taxed or not as its product says; `prices` are those of channels with their own.
    `weight` is in kilograms.
    """

    id: str
    sku: str
    gtin: str = ""
    options: tuple[tuple[str, str], ...] = ()  # (attribute, value), such as ("Colour", "Red")
    price: Money | None = None
    sale: SalePrice | None = None
    prices: tuple[ChannelPrice, ...] = ()
    weight: Decimal | None = None
    image: Image | None = None
    active: bool = True

    def on(self, channel: str) -> Variant:
        """As that channel sells it: at its own price and campaign where it has them, else at the usual ones. What it
        costs elsewhere is not that channel's business."""
        if not self.prices:
            return self
        own = next((each for each in self.prices if each.channel == channel), self)
        return self.model_copy(update={"price": own.price, "sale": own.sale, "prices": ()})


class Product(Extended):
    """A product with its variants, as its home system has it; a simple product is its own only variant.

    `sellable`: it may be sold at all. `tracked`: its stock is counted. `tax_class` is in the home system's words.
    `category` is the path from the root. `costs` are what articles cost the retailer, by the variant's id, in the
    currency of its price and with tax where the price is with tax; of an article without one nothing is known.
    `kits` says what articles are made of when they are sold: the variant's id, and units of others by theirs.
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
    kits: tuple[tuple[str, tuple[tuple[str, Decimal], ...]], ...] = ()
    variants: tuple[Variant, ...]

    @property
    def canonical_id(self) -> str:
        """`odoo:product:17`."""
        return f"{self.system}:product:{self.id}"

    def on(self, channel: str) -> Product:
        """As that channel sells it; see `Variant.on`."""
        if not any(variant.prices for variant in self.variants):
            return self
        return self.model_copy(update={"variants": tuple(variant.on(channel) for variant in self.variants)})

    @property
    def is_simple(self) -> bool:
        """Whether there is nothing to choose."""
        return len(self.variants) == 1 and not self.variants[0].options


def variant_id(system: str, id_: str) -> str:
    """The id of a variant across all systems: `odoo:variant:23`. Its stock goes by the same."""
    return f"{system}:variant:{id_}"


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

    def counted(self) -> dict[str, tuple[int, int, int]]:
        """(on hand, outgoing, incoming) of each warehouse as availability counts them: in thousandths."""
        found: dict[str, tuple[int, int, int]] = {}
        for p in self.places:
            hand, out, coming = found.get(p.warehouse, (0, 0, 0))
            found[p.warehouse] = (
                *(hand + thousandths(p.on_hand), out + thousandths(p.outgoing)),
                coming + thousandths(p.incoming),
            )
        return found

    def to_sell(self, policy: Policy, taken: Mapping[str, int] | None = None) -> int:
        """Whole units that may be sold by the policy, less what is `taken` by place (thousandths) and not in here."""
        return available(stands_of(self.counted(), taken or {}), policy).units
