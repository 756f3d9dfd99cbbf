"""What an article costs at a moment: its regular price, or that of the campaign that is on. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from counterfoil.retail.money import Money
from counterfoil.retail.product import SalePrice, Variant


@dataclass(frozen=True, slots=True)
class Offer:
    """`now` is what a customer pays, `campaign` the one that makes it so; `regular` what it costs without one."""

    now: Money
    regular: Money
    campaign: SalePrice | None = None


def offer_at(variant: Variant, at: datetime, campaigns: bool = True) -> Offer | None:
    """The variant's at that (aware) time; None without a price. `campaigns`: whether the channel takes part in them."""
    if variant.price is None:
        return None
    sale = variant.sale
    if not campaigns or sale is None or not is_on(sale, at):
        return Offer(variant.price, variant.price)
    return Offer(sale.price, variant.price, sale)


def is_on(sale: SalePrice, at: datetime) -> bool:
    """Whether the campaign holds at that moment: from its beginning on, until before its end."""
    return (sale.starts_at is None or sale.starts_at <= at) and (sale.ends_at is None or at < sale.ends_at)


Difference = Literal["price_changed", "promotion_ended", "promotion_not_begun"]


def difference(variant: Variant, expected: Money, at: datetime, campaigns: bool = True) -> Difference | None:
    """Why `expected` is not what the variant costs at that moment; None where it is, to the currency's last digit."""
    offer = offer_at(variant, at, campaigns)
    if offer is None or (offer.now.currency == expected.currency and offer.now.rounded() == expected.rounded()):
        return None
    sale = variant.sale
    if not campaigns or sale is None or sale.price.currency != expected.currency:
        return "price_changed"
    if sale.price.rounded() != expected.rounded():
        return "price_changed"
    return "promotion_not_begun" if sale.starts_at is not None and at < sale.starts_at else "promotion_ended"
