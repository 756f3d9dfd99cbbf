"""Which data of products are looked at, and how often."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from counterfoil.blueprint.values import A_DURATION, Part, Wait, each_once, format_duration

Check = Literal[
    "sku",
    "duplicate_sku",
    "gtin",
    "duplicate_gtin",
    "name",
    "description",
    "category",
    "image",
    "weight",
    "tax_class",
    "price",
    "cost",
    "below_cost",
]

WORDS = {
    "sku": "Articles without a SKU",
    "duplicate_sku": "Articles that share a SKU",
    "gtin": "Articles without a valid GTIN",
    "duplicate_gtin": "Articles that share a GTIN",
    "name": "Products without a name",
    "description": "Products without a description",
    "category": "Products in no category",
    "image": "Articles without an image",
    "weight": "Articles without a weight",
    "tax_class": "Products without a tax",
    "price": "Articles without a price",
    "cost": "Articles whose cost is not known",
    "below_cost": "Articles priced below their cost",
}
"""What each check finds."""


class QualityRules(Part):
    """What is looked at, in all that is sold; without `every` only when somebody asks."""

    every: Wait | None = Field(default=None, description=A_DURATION)
    check: Annotated[tuple[Check, ...], AfterValidator(each_once)] = Field(
        default=("sku", "duplicate_sku", "duplicate_gtin", "tax_class", "price", "below_cost"),
        description=f"a list of {', '.join(get_args(Check))}",
    )


def quality_in_words(rules: QualityRules) -> list[str]:
    """For people; nothing where nothing is looked at by the clock."""
    if rules.every is None:
        return []
    found = ", ".join(WORDS[check][0].lower() + WORDS[check][1:] for check in rules.check)
    return [f"Every {format_duration(rules.every)} is looked for: {found}."]
