"""Which prices a person looks at before they go out."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field

from counterfoil.blueprint.values import Part, percent

_A_PERCENTAGE = "a percentage such as 0, 15 or 7.5"
Share = Annotated[Decimal, BeforeValidator(percent), Field(ge=0, le=1000)]


class PriceRules(Part):
    """What a price may be without a person's word, in percent. What is not declared may be anything."""

    min_margin: Share | None = Field(default=None, description=f"{_A_PERCENTAGE}: at least so much over its cost")
    most_change: Share | None = Field(
        default=None, description=f"{_A_PERCENTAGE}: at most so far from the last price, up or down"
    )
    most_off: Share | None = Field(default=None, description=f"{_A_PERCENTAGE}: at most so much off in a campaign")

    @property
    def declared(self) -> bool:
        """Whether anything is asked of prices at all."""
        return (self.min_margin, self.most_change, self.most_off) != (None, None, None)


def prices_in_words(rules: PriceRules) -> list[str]:
    """For people; nothing where nothing is declared."""
    asked = [
        (rules.min_margin, "leaves less than {} % over the cost"),
        (rules.most_change, "is more than {} % from the last one"),
        (rules.most_off, "takes more than {} % off in a campaign"),
    ]
    said = [words.format(share) for share, words in asked if share is not None]
    return [f"A price waits for a person's word where it {', or '.join(said)}."] if said else []
