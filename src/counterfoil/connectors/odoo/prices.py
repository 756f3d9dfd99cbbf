"""What an article costs by a pricelist of Odoo, now and in the campaigns to come. Pure.

The rules as in product/models/product_pricelist_item.py of Odoo 14 to 19: the first rule that applies wins, by what it
is for, then the smallest quantity, then the category, then the newest. Dated rules are campaigns: they become sale
prices with their dates; undated ones make the regular price; without one it is the list price.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from counterfoil.connectors.odoo.watching import Row, moment_of, number
from counterfoil.retail.money import round_to

DEEPEST = 5
"""How many pricelists may build on each other."""

ITEM_FIELDS = (
    *("pricelist_id", "applied_on", "product_id", "product_tmpl_id", "categ_id", "min_quantity"),
    *("base", "base_pricelist_id", "compute_price", "fixed_price", "percent_price"),
    *("price_discount", "price_surcharge", "price_round", "price_min_margin", "price_max_margin"),
    *("date_start", "date_end"),
)


@dataclass(frozen=True, slots=True)
class Article:
    """What prices depend on. `categories` are the numbers from the root to its own; amounts in `currency`."""

    id: int
    template: int
    categories: tuple[int, ...]
    list_price: Decimal
    cost: Decimal
    currency: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a pricelist that holds for one piece. `of` is the number of what it is for (0: everything)."""

    id: int
    pricelist: int
    applied_on: str  # 0_product_variant, 1_product, 2_product_category, 3_global: sorts by precedence
    of: int
    min_quantity: Decimal
    starts: datetime | None
    ends: datetime | None
    row: Mapping[str, Any]

    def holds(self, article: Article, at: datetime) -> bool:
        """Whether it is for this article, at this moment."""
        if (self.starts and self.starts > at) or (self.ends and self.ends < at):
            return False
        match self.applied_on:
            case "0_product_variant":
                return self.of == article.id
            case "1_product":
                return self.of == article.template
            case "2_product_category":
                return self.of in article.categories
        return True


@dataclass(frozen=True, slots=True)
class Priced:
    """The regular price and the campaign that is on, or the next one."""

    regular: Decimal
    sale: Decimal | None = None
    starts: datetime | None = None
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Book:
    """Pricelists with their rules. `currencies` by pricelist; `rates` are units for one of the company's currency."""

    rules: Mapping[int, Sequence[Rule]]
    currencies: Mapping[int, int]
    rates: Mapping[int, Decimal]
    units: Mapping[int, Decimal]

    def price(self, article: Article, pricelist: int, at: datetime) -> Priced:
        """For one piece, in the pricelist's currency, rounded to it. Raises KeyError for a pricelist it has not."""
        unit = self.units[self.currencies[pricelist]]
        mine = [rule for rule in self.rules.get(pricelist, ()) if rule.min_quantity <= 1]
        always = [rule for rule in mine if not rule.starts and not rule.ends]
        regular = round_to(self._amount(_first(always, article, at), article, pricelist, at), unit)
        now = _first(mine, article, at)
        if now is not None and (now.starts or now.ends):
            price = round_to(self._amount(now, article, pricelist, at), unit)
            if price >= regular:  # a shop knows no sale that is dearer: it is the price while it lasts
                return Priced(price)
            return Priced(regular, price, now.starts, now.ends)
        for rule in sorted((r for r in mine if r.starts and r.starts > at), key=lambda r: (r.starts, r.id)):
            assert rule.starts is not None
            if _first(mine, article, rule.starts) is rule:
                price = round_to(self._amount(rule, article, pricelist, rule.starts), unit)
                if price < regular:
                    return Priced(regular, price, rule.starts, rule.ends)
        return Priced(regular)

    def _amount(self, rule: Rule | None, article: Article, pricelist: int, at: datetime, depth: int = 0) -> Decimal:
        if rule is not None and rule.row["compute_price"] == "fixed":
            return exact(rule.row["fixed_price"])
        base = self._base(rule, article, pricelist, at, depth)
        if rule is None:
            return base
        if rule.row["compute_price"] == "percentage":
            return base * (1 - exact(rule.row["percent_price"]) / 100)
        price = base * (1 - exact(rule.row["price_discount"]) / 100)
        if unit := exact(rule.row["price_round"]):
            price = round_to(price, unit)
        price += exact(rule.row["price_surcharge"])
        if margin := exact(rule.row["price_min_margin"]):
            price = max(price, base + margin)
        if margin := exact(rule.row["price_max_margin"]):
            price = min(price, base + margin)
        return price

    def _base(self, rule: Rule | None, article: Article, pricelist: int, at: datetime, depth: int) -> Decimal:
        kind = rule.row["base"] if rule is not None else "list_price"
        other = number(rule.row["base_pricelist_id"]) if rule is not None else 0
        currency = self.currencies[pricelist]
        if kind == "pricelist" and other in self.currencies and depth < DEEPEST:
            there = [each for each in self.rules.get(other, ()) if each.min_quantity <= 1]
            price = self._amount(_first(there, article, at), article, other, at, depth + 1)
            return self._convert(price, self.currencies[other], currency)
        price = article.cost if kind == "standard_price" else article.list_price
        return self._convert(price, article.currency, currency)

    def _convert(self, price: Decimal, source: int, target: int) -> Decimal:
        return price if source == target else price * self.rates[target] / self.rates[source]


def rules(rows: Iterable[Row], category_names: Mapping[int, str]) -> dict[int, list[Rule]]:
    """Rules by pricelist, the first to apply first. `category_names` are whole paths."""
    made = [_rule(row) for row in rows]
    # stable sorts from the least to the most important: applied_on, min_quantity desc, categ_id desc, id desc,
    # where Odoo orders by a category's complete name
    made.sort(key=lambda rule: rule.id, reverse=True)
    made.sort(key=lambda r: category_names.get(r.of, "") if r.applied_on == "2_product_category" else "", reverse=True)
    made.sort(key=lambda rule: rule.min_quantity, reverse=True)
    made.sort(key=lambda rule: rule.applied_on)
    found: dict[int, list[Rule]] = {}
    for rule in made:
        found.setdefault(rule.pricelist, []).append(rule)
    return found


def _rule(row: Row) -> Rule:
    of = {"0_product_variant": "product_id", "1_product": "product_tmpl_id", "2_product_category": "categ_id"}
    field = of.get(row["applied_on"])
    return Rule(
        id=row["id"],
        pricelist=number(row["pricelist_id"]),
        applied_on=row["applied_on"],
        of=number(row[field]) if field else 0,
        min_quantity=exact(row["min_quantity"]),
        starts=moment_of(row["date_start"]) if row["date_start"] else None,
        ends=moment_of(row["date_end"]) if row["date_end"] else None,
        row=row,
    )


def _first(candidates: Sequence[Rule], article: Article, at: datetime) -> Rule | None:
    return next((rule for rule in candidates if rule.holds(article, at)), None)


def exact(value: Any) -> Decimal:
    """A number as Odoo shows it."""
    return Decimal(str(value or 0))
