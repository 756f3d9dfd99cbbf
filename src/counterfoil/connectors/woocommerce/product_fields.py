"""A product of the retail language as WooCommerce's fields. Pure: no I/O, no clock.

What is written is kept as digests in the shop's own meta data, so that an unchanged product is known by one read.
PHP's isset() passes over null (WC_REST_Products_Controller), so a date is cleared with an empty text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from counterfoil.retail.listing import Channel, Reason, bars_all, gtin_of, reasons
from counterfoil.retail.money import Money
from counterfoil.retail.product import Image, Product, Variant, variant_id

ID, DIGEST, IMAGES = "_counterfoil_id", "_counterfoil_digest", "_counterfoil_images"
CATEGORY, MADE = "_counterfoil_category", "_counterfoil_made"
NOT_TAXED = "none"
"""The word in `tax_classes` for a product without tax."""
_FORMAT = "1"  # part of every digest: raise it when the fields below change, and all is published once more
_KILOGRAMS = {
    "kg": Decimal(1),
    "g": Decimal("0.001"),
    "lbs": Decimal("0.45359237"),
    "oz": Decimal("0.028349523125"),
}
Content = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Facts:
    """How the shop is set up: money, weights, and the ids of its global attributes by name."""

    currency: str
    decimals: int
    with_tax: bool | None  # None: the shop calculates no taxes, so prices are what they are
    weight_unit: str
    attributes: Mapping[str, int] = field(default_factory=dict)
    manages_stock: bool = True

    @property
    def converts_weight(self) -> bool:
        """Whether the shop's unit of weight is a known one."""
        return self.weight_unit in _KILOGRAMS


@dataclass(frozen=True, slots=True)
class Article:
    """A variant as it shall stand in the shop. `withheld`: it shall not be sold."""

    id: str
    sku: str
    content: Content
    choice: tuple[tuple[str, str], ...]
    image: Image | None
    withheld: bool
    digest: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A product as it shall stand in the shop."""

    id: str
    name: str
    simple: bool
    content: Content
    category: tuple[str, ...]
    image: Image | None
    articles: tuple[Article, ...]
    why_not: tuple[Reason, ...]
    hidden: bool
    tracked: bool  # the hub tells its stock
    shows: bool  # the hub decides whether it is to be seen
    digest: str

    @property
    def skus(self) -> list[str]:
        """Under which it may be found: those of its articles, and the one it has while it is being made.

        What is withheld does not count: its SKU often lives on, on a successor.
        """
        own = [article.sku for article in self.articles if article.sku and (self.hidden or not article.withheld)]
        return own if self.simple else [*own, self.id]

    @property
    def options(self) -> dict[str, list[str]]:
        """What there is to choose from, in the order of the variants."""
        found: dict[str, list[str]] = {}
        for article in self.articles:
            for name, value in article.choice if not article.withheld else ():
                if value not in found.setdefault(name, []):
                    found[name].append(value)
        return found


def wanted(product: Product, channel: Channel, facts: Facts, choosable: bool = False) -> Wanted:
    """The product as the channel shall show it.

    With one variant there is nothing to choose, whatever its options say: it is a simple product, unless the shop
    has it as one to choose from already (`choosable`).
    """
    simple = product.is_simple or (len(product.variants) == 1 and not choosable)
    why_not = reasons(product, channel.listing)
    barred = {reason.variant for reason in why_not}
    hidden = bars_all(why_not)
    articles = tuple(_article(product, variant, channel, facts, variant.id in barred) for variant in product.variants)
    content = _shared(product, channel, simple)
    if simple:
        content |= articles[0].content
    image = product.image if "image" in channel.publish else None
    if simple and image is None:
        image = articles[0].image
    category = product.category if "category" in channel.publish else ()
    text = [_FORMAT, content, list(category), image.digest if image else "", [a.digest for a in articles]]
    return Wanted(
        product.canonical_id,
        product.name.strip(),
        simple,
        content,
        category,
        image,
        articles,
        why_not,
        hidden,
        product.tracked and "stock" in channel.publish,
        "visibility" in channel.publish,
        digest_of([_FORMAT, "hidden"] if hidden else text),
    )


def money_differs(product: Product, channel: Channel, facts: Facts) -> tuple[str, str] | None:
    """Why the product's prices cannot be the shop's: a reason and words; None if they can."""
    if not channel.publish & {"price", "sale"}:
        return None
    for variant in product.variants:
        if variant.price is not None and variant.price.currency != facts.currency:
            return "currency_differs", f"its price is in {variant.price.currency}, the shop sells in {facts.currency}"
    priced = any(variant.price is not None for variant in product.variants)
    if priced and facts.with_tax is not None and product.prices_include_tax != facts.with_tax:
        own, other = ("with", "without") if product.prices_include_tax else ("without", "with")
        return "tax_basis_differs", f"its prices are {own} tax, the shop's are entered {other} it"
    return None


def digest_of(value: Any) -> str:
    """A short fingerprint of JSON-like content."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def meta(row: Mapping[str, Any], key: str) -> str:
    """The value of a meta key of ours, empty where there is none."""
    entries = row.get("meta_data")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("key") == key:
            return str(entry.get("value") or "")
    return ""


def meta_data(**values: str) -> list[dict[str, str]]:
    """Meta data to write, by our short names: id, digest, images, category, made."""
    keys = {"id": ID, "digest": DIGEST, "images": IMAGES, "category": CATEGORY, "made": MADE}
    return [{"key": keys[name], "value": value} for name, value in values.items()]


def choice_of(article: Article, facts: Facts) -> list[Content]:
    """The variation's options."""
    return [{**_attribute(name, facts), "option": value} for name, value in article.choice]


def attributes_of(options: Mapping[str, list[str]], facts: Facts) -> list[Content]:
    """The parent's attributes to vary by. A global one is used where the shop has it by exactly this name."""
    return [
        {**_attribute(name, facts), "position": position, "visible": True, "variation": True, "options": values}
        for position, (name, values) in enumerate(options.items())
    ]


def _attribute(name: str, facts: Facts) -> Content:
    number = facts.attributes.get(name)
    return {"id": number} if number else {"name": name}


def _shared(product: Product, channel: Channel, simple: bool) -> Content:
    """What stands on the product itself, simple or not."""
    content: Content = {}
    if "name" in channel.publish:
        content["name"] = product.name.strip()
    if "description" in channel.publish:
        content["description"] = product.description
    shop_class = channel.tax_classes.get(product.tax_class) if "tax_class" in channel.publish else None
    if shop_class == NOT_TAXED:
        content["tax_status"] = "none"
    elif shop_class is not None:
        content |= {"tax_status": "taxable", "tax_class": "" if shop_class == "standard" else shop_class}
    if "stock" in channel.publish and not product.tracked and simple:
        content |= {"manage_stock": False, "stock_status": "instock"}
    return content


def _article(product: Product, variant: Variant, channel: Channel, facts: Facts, withheld: bool) -> Article:
    content = dict(_fields(variant, channel, facts))
    if "stock" in channel.publish and not product.tracked:
        content |= {"manage_stock": False, "stock_status": "instock"}
    image = variant.image if "image" in channel.publish else None
    id_ = variant_id(product.system, variant.id)
    text = [_FORMAT, content, list(variant.options), image.digest if image else "", withheld]
    return Article(id_, variant.sku.strip(), content, variant.options, image, withheld, digest_of(text))


def _fields(variant: Variant, channel: Channel, facts: Facts) -> Iterator[tuple[str, Any]]:
    yield "sku", variant.sku.strip()
    if "price" in channel.publish:
        yield "regular_price", price_text(variant.price, facts.decimals) if variant.price else ""
    if "sale" in channel.publish:
        sale = variant.sale
        yield "sale_price", price_text(sale.price, facts.decimals) if sale else ""
        yield "date_on_sale_from_gmt", _date(sale.starts_at if sale else None)
        yield "date_on_sale_to_gmt", _date(sale.ends_at if sale else None)
    if "weight" in channel.publish and facts.converts_weight:
        yield "weight", _weight(variant.weight, facts.weight_unit) if variant.weight else ""
    if "gtin" in channel.publish and gtin_of(variant):
        yield "global_unique_id", gtin_of(variant)


def price_text(price: Money, decimals: int) -> str:
    """With the shop's number of decimals and a point, as the shop stores it: a comma or a number it would misread."""
    return f"{price.amount.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP):f}"


def _date(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S") if moment else ""


def _weight(kilograms: Decimal, unit: str) -> str:
    """In the shop's unit, to a tenth of a gram or so, without needless zeros."""
    value = (kilograms / _KILOGRAMS[unit]).quantize(Decimal("0.0001"), ROUND_HALF_UP)
    return f"{value.normalize():f}"
