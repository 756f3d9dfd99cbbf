"""What the storefront's routes take and answer, where several of them share it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import Header
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from counterfoil.retail.money import Money
from counterfoil.retail.offer import Offer

MOST_SKUS = 500
"""In one request."""

_NO_NUL = r"^[^\x00]*$"  # which PostgreSQL cannot take
Text = Annotated[str, StringConstraints(max_length=200, pattern=_NO_NUL)]
Sku = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_NO_NUL)]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Amount = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,12}(\.[0-9]{1,6})?$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Key = Annotated[str, Header(alias="Idempotency-Key", min_length=8, max_length=200, pattern=r"^[\x21-\x7e]+$")]
MaybeKey = Annotated[str, Header(alias="Idempotency-Key", max_length=200, pattern=r"^[\x21-\x7e]*$")]

Quantity = Annotated[
    Decimal,
    Field(gt=0, le=100_000, max_digits=9, decimal_places=3),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 100_000},
                {"type": "string", "pattern": r"^(0\.[0-9]{0,2}[1-9]|[1-9][0-9]{0,4}(\.[0-9]{1,3})?)$"},
            ],
            "description": "units; a part of one as text, such as 1.5",
        }
    ),
]


class Asked(BaseModel):
    """What a request may hold; a key that is not known is refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Price(BaseModel):
    """An amount as text, never a floating number, and its ISO 4217 currency."""

    amount: Decimal
    currency: str

    @classmethod
    def of(cls, money: Money) -> Price:
        """The same."""
        return cls(amount=money.amount, currency=money.currency)


class Campaign(BaseModel):
    """Between which moments its price holds (UTC); null: since ever, or for good."""

    starts_at: datetime | None
    ends_at: datetime | None


class Prices(BaseModel):
    """`now` is what one unit costs at this moment; `campaign` is the one that makes it so."""

    now: Price
    regular: Price
    includes_tax: bool
    campaign: Campaign | None

    @classmethod
    def of(cls, offer: Offer | None, includes_tax: bool) -> Prices | None:
        """The same; None where the article has no price."""
        if offer is None:
            return None
        sale = offer.campaign
        campaign = Campaign(starts_at=sale.starts_at, ends_at=sale.ends_at) if sale else None
        now, regular = Price.of(offer.now), Price.of(offer.regular)
        return cls(now=now, regular=regular, includes_tax=includes_tax, campaign=campaign)


class Availability(BaseModel):
    """What the channel may sell now. `quantity` null: its stock is not counted. `beyond`: how many more, sent later."""

    state: Literal["in_stock", "low", "back_order", "pre_order", "out", "untracked"]
    quantity: int | None
    beyond: int


class Fresh(BaseModel):
    """As of when the ERP's part of an answer holds (UTC). Past the declared age it is `stale`."""

    as_of: datetime | None
    age_seconds: int | None
    stale: bool


class Delivery(BaseModel):
    """For one unit ordered now: from which warehouse, when it leaves, and between which days it arrives."""

    place: str
    ships_on: date
    earliest: date | None
    latest: date | None


class Store(BaseModel):
    """Where the article can be collected."""

    place: str
    name: str
    street: str
    postcode: str
    city: str
    country: str | None
    quantity: int = Field(description="how many are there now; nought: none")
    kilometres: float | None = Field(description="as the crow flies, where both ends are known")
