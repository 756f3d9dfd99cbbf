"""Why a product cannot be sold on a channel: each reason alone, in words, per product and per variant."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from counterfoil.retail.listing import (
    NEEDS,
    Channel,
    ListingRule,
    bars_all,
    gtin_of,
    reasons,
    sentence,
)
from counterfoil.retail.money import Money
from counterfoil.retail.product import Image, Product, SalePrice, Variant

ALL = ListingRule(frozenset(NEEDS), frozenset({"20%"}))


def euros(amount: str) -> Money:
    return Money.of(amount, "EUR")


def variant(number: int = 1, **fields: Any) -> Variant:
    """A variant with all that a channel can ask for."""
    made: dict[str, Any] = {"id": str(number), "sku": f"A{number}", "price": euros("10"), "gtin": "4006381333931"}
    image = Image(digest="d", url="https://erp.example/a.png")
    return Variant(**{**made, "weight": Decimal("0.2"), "image": image, **fields})


def product(*variants: Variant, **fields: Any) -> Product:
    """A product that lacks nothing."""
    made: dict[str, Any] = {"system": "odoo", "id": "1", "name": "Tea", "description": "Green", "category": ("Tea",)}
    return Product(**{**made, "tax_class": "20%", "variants": variants or (variant(),), **fields})


def sizes(**second: Any) -> Product:
    """Two variants; `second` changes the second."""
    made = {"options": (("Size", "L"),), **second}
    return product(variant(1, options=(("Size", "M"),)), variant(2, **made))


def codes(found: Product, rule: ListingRule = ALL) -> list[tuple[str, str]]:
    return [(reason.code, reason.variant) for reason in reasons(found, rule)]


def test_a_whole_product_has_no_reasons() -> None:
    """Simple or with variants, under the strictest rule."""
    assert codes(product()) == []
    assert codes(sizes()) == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"sellable": False}, "not_sellable"),
        ({"name": " "}, "no_name"),
        ({"description": ""}, "no_description"),
        ({"category": ()}, "no_category"),
        ({"tax_class": "7%"}, "no_tax_class"),
        ({"tax_class": ""}, "no_tax_class"),
    ],
)
def test_what_a_product_lacks_keeps_all_of_it_away(fields: dict[str, Any], code: str) -> None:
    """One reason each, without a variant."""
    found = reasons(product(**fields), ALL)
    assert [(reason.code, reason.variant) for reason in found] == [(code, "")]
    assert bars_all(found)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"active": False}, "archived"),
        ({"sku": "  "}, "no_sku"),
        ({"sku": "A1"}, "duplicate_sku"),
        ({"options": ()}, "no_options"),
        ({"options": (("Size", "M"),)}, "duplicate_options"),
        ({"options": (("Size", "L"), ("Size", "XL"))}, "duplicate_option"),
        ({"price": None}, "no_price"),
        ({"price": euros("0")}, "no_price"),
        ({"gtin": ""}, "no_gtin"),
        ({"gtin": "4006381333932"}, "no_gtin"),
        ({"weight": None}, "no_weight"),
        ({"weight": Decimal(0)}, "no_weight"),
        ({"image": None}, "no_image"),
        ({"sale": SalePrice(price=euros("10"))}, "campaign_price"),
        ({"sale": SalePrice(price=Money.of("5", "USD"))}, "campaign_currency"),
    ],
)
def test_what_a_variant_lacks_keeps_that_variant_away(fields: dict[str, Any], code: str) -> None:
    """The other stays on sale, unless the two are in each other's way."""
    found = reasons(sizes(**fields), ALL)
    assert (code, "2") in [(reason.code, reason.variant) for reason in found]
    both = code in ("duplicate_sku", "duplicate_options")
    assert {reason.variant for reason in found} == ({"", "1", "2"} if both else {"2"})
    assert bars_all(found) is both


def test_the_last_variant_gone_takes_the_product_along() -> None:
    """And it is told apart whether all were archived or something is missing on them."""
    assert codes(product(variant(price=None))) == [("no_variant_left", ""), ("no_price", "1")]
    assert codes(product(variant(active=False))) == [("archived", ""), ("archived", "1")]
    assert codes(product(variants=())) == [("no_variants", "")]


def test_only_what_is_asked_for_is_missed() -> None:
    """A channel that asks for nothing still needs the key between systems, the SKU."""
    bare = product(Variant(id="1", sku="A1"), description="", category=(), tax_class="")
    assert codes(bare, ListingRule(frozenset())) == []
    assert codes(bare, Channel().listing) == [("no_variant_left", ""), ("no_price", "1")]
    assert ("no_sku", "1") in codes(product(Variant(id="1", sku="")), ListingRule(frozenset()))


def test_archived_variants_are_in_nobodys_way() -> None:
    """The same SKU or options on an archived variant do not count."""
    assert codes(sizes(active=False, sku="A1", options=(("Size", "M"),))) == [("archived", "2")]


def test_the_products_image_does_for_a_variant() -> None:
    """A picture of the whole product shows its variants too."""
    picture = Image(digest="d", url="https://erp.example/a.png")
    assert codes(product(variant(image=None), image=picture)) == []


def test_a_campaign_below_the_price_is_fine() -> None:
    """With or without dates."""
    sale = SalePrice(price=euros("9.99"), starts_at=datetime(2026, 11, 27, tzinfo=UTC))
    assert codes(product(variant(sale=sale))) == []


@pytest.mark.parametrize(
    ("code", "valid"),
    [
        ("4006381333931", True),
        ("40063813339", False),
        ("96385074", True),
        ("036000291452", True),
        ("00036000291452", True),
        ("036000291453", False),
        ("INTERNAL-1", False),
    ],
)
def test_a_gtin_has_the_right_last_digit(code: str, valid: bool) -> None:
    """GS1 General Specifications 7.9: weights 3 and 1 from the right, sum a multiple of ten."""
    assert gtin_of(variant(gtin=code)) == (code if valid else "")


def test_words_name_the_sku_and_the_cause() -> None:
    """For the listing report: one sentence a person can act on."""
    found = reasons(sizes(price=None, weight=None), ALL)
    assert sentence(found) == "Cannot be sold on this channel because A2: it has no price; A2: it has no weight."
    unmapped = sentence(reasons(product(tax_class="7%"), ALL))
    assert unmapped == "Cannot be sold on this channel because its tax '7%' is mapped to no tax class of the channel."


def test_a_channel_asks_for_its_mapped_tax_classes() -> None:
    """Without a mapping any tax class will do, as the shop then keeps its own."""
    channel = Channel(tax_classes={"20%": "standard"})
    assert reasons(product(tax_class="7%"), channel.listing)[0].code == "no_tax_class"
    assert reasons(product(tax_class="7%"), Channel().listing) == ()


@pytest.mark.parametrize(
    ("only", "never", "wanted"),
    [
        ((), (), True),
        ((("Kitchen",),), (), True),
        ((("kitchen ", "TEA"),), (), True),
        ((("Kitchen", "Tea", "Green"),), (), False),
        ((("Kit",),), (), False),
        ((("Garden",), ("Kitchen",)), (), True),
        ((), (("Kitchen", "Tea"),), False),
        ((), (("Kitchen", "Coffee"),), True),
        ((("Kitchen",),), (("Kitchen", "Tea"),), False),
    ],
)
def test_an_assortment_is_categories_with_all_below_them(
    only: tuple[tuple[str, ...], ...], never: tuple[tuple[str, ...], ...], wanted: bool
) -> None:
    rule = Channel(only=only, never=never).listing
    assert rule.wants(("Kitchen", "Tea")) is wanted
    assert codes(product(category=("Kitchen", "Tea")), rule) == ([] if wanted else [("not_in_assortment", "")])


def test_without_a_category_it_is_only_in_an_assortment_of_everything() -> None:
    assert ListingRule().wants(())
    assert ListingRule(never=(("Tea",),)).wants(())
    [reason] = reasons(product(category=()), ListingRule(only=(("Tea",),)))
    assert reason.words == "in no category, it is not in this channel's assortment"
