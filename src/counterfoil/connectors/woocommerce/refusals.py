"""Why the shop did not take a product, in words for the person who can put it right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

from counterfoil.hub.contract import Kind, Outcome

_PRICES = ("regular_price", "sale_price")


def named(outcome: Outcome, sku: str, attempt: int, content: Mapping[str, Any]) -> Outcome:
    """A refusal of the shop as a reason of its own where it is a known one; `attempt` counts from 1.

    A SKU taken between our look and our write is looked up once more before a person is asked: then it is found,
    unless it lies in the trash, which no list shows.
    """
    technical = outcome.technical
    if "product_invalid_sku" in technical or "woocommerce_rest_product_not_created" in technical:
        if attempt == 1:
            return Outcome(Kind.RETRY, "sku_taken", f"The SKU {sku} was taken meanwhile.", technical)
        words = f"The shop keeps the SKU {sku} for a product that cannot be seen, such as one in its trash."
        return _rejected(
            "sku_taken", words, "In the shop, empty the trash or take the SKU off that product.", technical
        )
    if "invalid_global_unique_id" in technical:
        words = (
            f"The shop does not take the GTIN {content.get('global_unique_id')} of {sku}: wrong, or on another product."
        )
        return _rejected("gtin_taken", words, "Put the barcode right in the ERP or in the shop.", technical)
    if "image" in technical and "error" in technical:
        words = f"The shop could not fetch the image of {sku}."
        fix = "Open the image's address from outside; the shop's server must be able to reach it."
        return _rejected("image_not_fetched", words, fix, technical)
    if outcome.reason in ("not_in_shop", "gone"):
        return Outcome(Kind.RETRY, "gone_meanwhile", f"The product {sku} went away while it was written.", technical)
    return replace(outcome, message=f"{sku}: {outcome.message}") if sku else outcome


def not_kept(sku: str, sent: Mapping[str, Any], row: Mapping[str, Any]) -> Outcome | None:
    """An exception where the shop swallowed a price or a tax class in silence; None where they stand as sent."""
    for name in _PRICES:
        if name in sent and name in row and not _same(sent[name], row[name]):
            words = f"The shop made {row[name]!r} of the {name.replace('_', ' ')} {sent[name]!r} of {sku}."
            fix = "Look for a plugin in the shop that changes prices as they are written."
            return _rejected("price_not_kept", words, fix, f"product {row.get('id')}")
    if "tax_class" in sent and row.get("tax_class", sent["tax_class"]) != sent["tax_class"]:
        words = f"No tax class {sent['tax_class']!r} in the shop; {sku} is taxed by {row['tax_class'] or 'standard'!r}."
        fix = "Put the channel's tax_classes right: the names are the slugs of WooCommerce > Settings > Tax."
        return _rejected("tax_class_not_kept", words, fix, f"product {row.get('id')}")
    return None


def _same(sent: str, kept: object) -> bool:
    try:
        return sent == kept or Decimal(sent) == Decimal(str(kept))
    except InvalidOperation:
        return False


def _rejected(reason: str, words: str, suggestion: str, technical: str) -> Outcome:
    return Outcome(Kind.REJECTED, reason, words, technical, suggestion)
