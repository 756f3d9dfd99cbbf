"""May this be sold on that channel? What a channel asks of a product, and why a product falls short of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from counterfoil.retail.availability import Policy
from counterfoil.retail.product import Product, Variant

NEEDS = ("sku", "price", "image", "gtin", "description", "category", "weight")
"""What a channel may ask of a product."""
PUBLISHED = (
    *("name", "description", "price", "sale", "image", "category", "tax_class"),
    *("stock", "visibility", "weight", "gtin"),
)
"""What the hub may write of a product into a channel; the rest is the channel's own."""
_GTIN = re.compile(r"\d{8}|\d{12,14}")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something cannot be sold: a code for grouping, words for people, and the SKU where it is about one."""

    code: str
    words: str
    variant: str = ""  # its id; empty for the whole product
    sku: str = ""


@dataclass(frozen=True, slots=True)
class ListingRule:
    """What a channel asks: the attributes a product must have, and the tax classes it can take (none: any).

    Its assortment is what stands in one of the categories `only` (none: all) and in none of `never`; a category is its
    path from the root, and what stands below it stands in it.
    """

    requires: frozenset[str] = frozenset({"sku", "price"})
    tax_classes: frozenset[str] = frozenset()
    only: tuple[tuple[str, ...], ...] = ()
    never: tuple[tuple[str, ...], ...] = ()

    def wants(self, category: tuple[str, ...]) -> bool:
        """Whether what stands in the category is in the assortment."""
        path = _folded(category)

        def within(places: Iterable[tuple[str, ...]]) -> bool:
            return any(path[: len(place)] == _folded(place) for place in places)

        return (not self.only or within(self.only)) and not within(self.never)


def _folded(path: Iterable[str]) -> tuple[str, ...]:
    return tuple(name.strip().casefold() for name in path)


@dataclass(frozen=True, slots=True)
class Channel:
    """How the shop `name` is fed: what it is told of stock, what a product needs, what is written of it, assortment.

    `stock` is what holds of an article of which no rule says otherwise.
    `tax_classes` maps the home system's tax class to the shop's; an empty one leaves tax classes to the shop.
    `publish` names what the hub writes (see PUBLISHED); what is not named stays as the shop has it.
    """

    name: str = ""
    stock: Policy = field(default_factory=Policy)
    requires: frozenset[str] = frozenset({"sku", "price"})
    tax_classes: Mapping[str, str] = field(default_factory=dict)
    publish: frozenset[str] = frozenset(PUBLISHED)
    only: tuple[tuple[str, ...], ...] = ()
    never: tuple[tuple[str, ...], ...] = ()

    @property
    def listing(self) -> ListingRule:
        """What this channel asks of a product."""
        return ListingRule(self.requires, frozenset(self.tax_classes), self.only, self.never)


def gtin_of(variant: Variant) -> str:
    """The variant's barcode where it is a GTIN (8, 12, 13 or 14 digits and the right last one), else empty."""
    code = variant.gtin.strip()
    if not _GTIN.fullmatch(code):
        return ""
    digits = [int(digit) for digit in reversed(code)]
    return code if (sum(digits[0::2]) + 3 * sum(digits[1::2])) % 10 == 0 else ""


def reasons(product: Product, rule: ListingRule) -> tuple[Reason, ...]:
    """Why the product, or single variants of it, cannot be sold under `rule`; empty if all of it can.

    A reason without a variant keeps the whole product away, one with a variant only that one. A product of which
    no variant is left cannot be sold either, and says so in a reason of its own.
    """
    found = [*_of_product(product, rule)]
    counts = _Counts.of(product)
    for variant in product.variants:
        named = [*_of_variant(variant, product, rule, counts)]
        found += [replace(reason, variant=variant.id, sku=variant.sku) for reason in named]
    barred = {reason.variant for reason in found if reason.variant}
    if product.variants and all(variant.id in barred for variant in product.variants):
        archived = not any(variant.active for variant in product.variants)
        found.insert(0, _ARCHIVED if archived else _NONE_LEFT)
    return tuple(found)


def bars_all(found: Iterable[Reason]) -> bool:
    """Whether these reasons keep the whole product away."""
    return any(not reason.variant for reason in found)


def sentence(found: Iterable[Reason]) -> str:
    """All reasons in one sentence for people."""
    parts = [f"{reason.sku or reason.variant}: {reason.words}" if reason.variant else reason.words for reason in found]
    return f"Cannot be sold on this channel because {'; '.join(parts)}."


_ARCHIVED = Reason("archived", "it is archived")
_NONE_LEFT = Reason("no_variant_left", "none of its variants can be sold")


@dataclass(frozen=True, slots=True)
class _Counts:
    """How often each SKU and each choice of options occurs among the active variants."""

    skus: Counter[str]
    options: Counter[tuple[tuple[str, str], ...]]

    @classmethod
    def of(cls, product: Product) -> _Counts:
        active = [variant for variant in product.variants if variant.active]
        return cls(Counter(v.sku.strip() for v in active), Counter(tuple(sorted(v.options)) for v in active))


def _of_product(product: Product, rule: ListingRule) -> Iterator[Reason]:
    if not product.sellable:
        yield Reason("not_sellable", "it is not for sale")
    elif not rule.wants(product.category):
        place = " / ".join(product.category) or "no category"
        yield Reason("not_in_assortment", f"in {place}, it is not in this channel's assortment")
    if not product.variants:
        yield Reason("no_variants", "it has no variants")
    if not product.name.strip():
        yield Reason("no_name", "it has no name")
    if "description" in rule.requires and not product.description.strip():
        yield Reason("no_description", "it has no description")
    if "category" in rule.requires and not product.category:
        yield Reason("no_category", "it is in no category")
    if rule.tax_classes and product.tax_class not in rule.tax_classes:
        shown = f"its tax {product.tax_class!r} is" if product.tax_class else "it has no tax, and that is"
        yield Reason("no_tax_class", f"{shown} mapped to no tax class of the channel")


def _of_variant(variant: Variant, product: Product, rule: ListingRule, counts: _Counts) -> Iterator[Reason]:
    if not variant.active:  # nothing else matters of it
        yield Reason("archived", "it is archived")
        return
    sku = variant.sku.strip()
    if not sku:  # the key between systems: asked for by every channel
        yield Reason("no_sku", f"variant {variant.id} has no SKU")
    elif counts.skus[sku] > 1:
        yield Reason("duplicate_sku", f"the SKU {sku} stands on {counts.skus[sku]} of its variants")
    if not product.is_simple:
        if not variant.options:
            yield Reason("no_options", "nothing tells it from the product's other variants")
        elif counts.options[tuple(sorted(variant.options))] > 1:
            shown = ", ".join(f"{name} {value}" for name, value in variant.options)
            yield Reason("duplicate_options", f"another variant is {shown} too")
        if len({name for name, _ in variant.options}) < len(variant.options):
            yield Reason("duplicate_option", "it has two values of one option")
    yield from _of_price(variant, rule)
    if "gtin" in rule.requires and not gtin_of(variant):
        yield Reason("no_gtin", f"{variant.gtin!r} is no valid GTIN" if variant.gtin else "it has no GTIN")
    if "weight" in rule.requires and not (variant.weight and variant.weight > 0):
        yield Reason("no_weight", "it has no weight")
    if "image" in rule.requires and variant.image is None and product.image is None:
        yield Reason("no_image", "it has no image")


def _of_price(variant: Variant, rule: ListingRule) -> Iterator[Reason]:
    price, sale = variant.price, variant.sale
    if "price" in rule.requires and price is None:
        yield Reason("no_price", "it has no price")
    elif "price" in rule.requires and price is not None and price.amount <= 0:
        yield Reason("no_price", f"its price is {price}")
    if price is not None and sale is not None:
        if sale.price.currency != price.currency:
            yield Reason("campaign_currency", f"its campaign price {sale.price} is not in {price.currency}")
        elif not 0 <= sale.price.amount < price.amount:
            yield Reason("campaign_price", f"its campaign price {sale.price} is not below its price {price}")
