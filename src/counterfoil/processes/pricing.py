"""Prices that a person looks at before they go out: below cost, too far from the last one, a campaign too deep.

Pure. A product whose prices need a look is held back as a whole, as its owner last told it: half of it would be a
state that nobody has ever decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from counterfoil.hub.contract import Observed
from counterfoil.hub.decode import HeldBack
from counterfoil.hub.records import Known
from counterfoil.retail.product import Product, Variant

SHOWN = 5
"""So many prices are named in one exception."""


@dataclass(frozen=True, slots=True)
class PriceRule:
    """What a price may be without a person's word, in percent; None: anything.

    `margin` at least over what the article costs, also in a campaign; `change` at most from its last regular price,
    up or down; `off` at most in a campaign.
    """

    margin: Decimal | None = None
    change: Decimal | None = None
    off: Decimal | None = None


def held_back(rule: PriceRule) -> Callable[[Known | None, Observed], None]:
    """Raises HeldBack for a product with prices that need a look."""

    def look(known: Known | None, observed: Observed) -> None:
        assert isinstance(observed.state, Product)
        before = Product.model_validate(known.state) if known else None
        if found := breaches(before, observed.state, rule):
            more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            raise HeldBack(f"{observed.state.name} is held back: {'; '.join(found[:SHOWN])}{more}.")

    return look


def breaches(before: Product | None, now: Product, rule: PriceRule) -> list[str]:
    """The prices of `now` that need a look, in words; one that stood so in `before` has had it."""
    found = _breaches(before, now, rule)
    usual = {v.id: v.price.currency for v in now.variants if v.price}  # the currency of its cost
    for channel in sorted({own.channel for variant in now.variants for own in variant.prices}):
        mine = {v.id: v.on(channel) for v in now.variants if any(own.channel == channel for own in v.prices)}
        same = {id_ for id_, v in mine.items() if v.price and v.price.currency == usual.get(id_)}
        costs = tuple((id_, cost) for id_, cost in now.costs if id_ in same)
        there = now.model_copy(update={"variants": tuple(mine.values()), "costs": costs})
        found += [f"{words}, on {channel}" for words in _breaches(before.on(channel) if before else None, there, rule)]
    return found


def _breaches(before: Product | None, now: Product, rule: PriceRule) -> list[str]:
    last = {v.id: v for v in before.variants} if before else {}
    costs = dict(now.costs)
    found: list[str] = []
    for variant in now.variants:
        known = last.get(variant.id)
        if variant.price is None or not variant.active:
            continue
        if known is not None and (known.price, known.sale) == (variant.price, variant.sale):
            continue
        found += _of(variant, known, costs.get(variant.id), rule)
    return found


def _of(variant: Variant, known: Variant | None, cost: Decimal | None, rule: PriceRule) -> Iterator[str]:
    assert variant.price is not None
    name, price = variant.sku or variant.id, variant.price
    asked = [("price", price)] + ([("campaign price", variant.sale.price)] if variant.sale else [])
    if rule.margin is not None and cost is not None:
        least = cost * (1 + rule.margin / 100)
        for what, amount in asked:
            if amount.amount < least:
                words = f"the {what} {amount} of {name} is below {least.normalize():f}, its cost"
                yield words + (f" and {rule.margin} %" if rule.margin else "")
    before = known.price if known else None
    if rule.change is not None and before and before.currency == price.currency and before.amount:
        moved = abs(price.amount - before.amount) / before.amount * 100
        if moved > rule.change:
            yield f"the price of {name} goes from {before} to {price}: {moved:.1f} %, more than {rule.change} %"
    if rule.off is not None and variant.sale and price.amount:
        off = (price.amount - variant.sale.price.amount) / price.amount * 100
        if off > rule.off:
            yield f"the campaign takes {off:.1f} % off {name} ({price} to {variant.sale.price}), more than {rule.off} %"


def with_prices_of(now: Product, then: Product) -> Product:
    """`now` at the prices and campaigns of `then`; an article that was not there then keeps its own."""
    last = {v.id: v for v in then.variants}
    variants = tuple(
        v.model_copy(update={name: getattr(last[v.id], name) for name in ("price", "sale", "prices")})
        if v.id in last
        else v
        for v in now.variants
    )
    return now.model_copy(update={"variants": variants})
