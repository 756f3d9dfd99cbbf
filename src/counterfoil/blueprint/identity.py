"""How the same article or customer is known again: exact keys, then likenesses that go to a person."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from counterfoil.blueprint.values import Part, Percent, each_once

Likeness = Annotated[Percent, Field(ge=Decimal("0.5"), le=1)]
A_LIKENESS = "a likeness from 0.5 to 1, such as 0.9"


class Likenesses(Part):
    """What must be at least how alike; what is not named does not count."""

    def least(self) -> dict[str, float]:
        """By what is compared."""
        return {name: float(share) for name, share in self.model_dump(exclude_none=True).items()}


class ArticleLikenesses(Likenesses):
    """Of articles."""

    name: Likeness | None = Field(default=None, description=A_LIKENESS)


class CustomerLikenesses(Likenesses):
    """Of customers; an address is street, postcode and city."""

    name: Likeness | None = Field(default=None, description=A_LIKENESS)
    address: Likeness | None = Field(default=None, description=A_LIKENESS)


class ArticleRules(Part):
    """How an article of a shop is found in the ERP: by these keys, in this order."""

    match: Annotated[tuple[Literal["sku", "gtin"], ...], AfterValidator(each_once)] = Field(
        default=("sku", "gtin"), min_length=1, description="a list of sku, gtin, each at most once"
    )
    candidates: ArticleLikenesses = Field(
        default=ArticleLikenesses(), description="a mapping of name to a likeness, such as {name: 0.95}"
    )


class CustomerRules(Part):
    """How a customer is found in Odoo: by these, in this order; the first that finds exactly one wins."""

    match: Annotated[tuple[Literal["email", "vat", "phone"], ...], AfterValidator(each_once)] = Field(
        default=("email",), min_length=1, description="a list of email, vat, phone, each at most once"
    )
    candidates: CustomerLikenesses = Field(
        default=CustomerLikenesses(),
        description="a mapping of name and address to a likeness, such as {name: 0.92, address: 0.9}",
    )


def rules_in_words(customers: CustomerRules, products: ArticleRules) -> list[str]:
    """What the rules say, a sentence each."""
    found = f"Customers are found in Odoo by {', then '.join(customers.match)}; the first that finds exactly one wins."
    linked = f"Articles are linked by {', then '.join(products.match)}."
    sentences = [found, linked]
    for what, rule in (("Customers", customers.candidates), ("Articles", products.candidates)):
        if least := rule.least():
            alike = " and ".join(f"{name} {share:g}" for name, share in least.items())
            sentences.append(f"{what} at least so much alike are put before a person, never linked: {alike}.")
    return sentences
