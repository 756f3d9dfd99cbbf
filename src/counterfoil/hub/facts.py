"""What a connector lists for the drift audit: bare facts, page by page, read and never written.

All of it is optional, as articles() and people() are for linking: a connector that offers a list has the method, and
the audit asks with isinstance. Every reader gives pages so that memory stays small, and can be asked for single things
again, so that what changed while it was read is not taken for drift.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, runtime_checkable

from counterfoil.hub.contract import Raw
from counterfoil.retail.money import Money
from counterfoil.retail.order import Status
from counterfoil.retail.product import Product, StockLevel


class Standing(StrEnum):
    """How far an order is, on the one lifecycle that shops and ERPs share."""

    NONE = "not there"
    WAITING = "waiting"  # for its payment
    QUOTATION = "quotation"
    CONFIRMED = "confirmed"
    SHIPPED = "shipped"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ShopOrder:
    """An order as its shop lists it. `id` is its id across all systems, `refunded` what was given back of `total`."""

    id: str
    number: str
    status: Status
    placed_at: datetime
    modified_at: datetime
    total: Money
    refunded: Decimal
    paid: bool

    @property
    def is_refunded_in_full(self) -> bool:
        """By the shop's word, or because what was given back is all of it."""
        return self.status is Status.REFUNDED or Decimal(0) < self.total.amount <= self.refunded


@dataclass(frozen=True, slots=True)
class HeldOrder:
    """A shop's order as the ERP has it. `number`, `own_id` and the date are the ERP's; `ships`: it has deliveries."""

    id: str
    number: str
    own_id: str
    standing: Standing
    dated: datetime
    total: Money
    ships: bool = True


@dataclass(frozen=True, slots=True)
class Shelf:
    """An article as a shop shows it.

    `quantity` None: the shop does not count it. `regular` and `sale` are in the shop's currency, entered with tax or
    without (`with_tax`; None: the shop knows no taxes), with so many `decimals`. `unclear` says why the SKU does not
    name one article.
    """

    link: str
    quantity: Decimal | None = None
    regular: Decimal | None = None
    sale: Decimal | None = None
    currency: str = ""
    decimals: int = 2
    with_tax: bool | None = None
    unclear: str = ""


@runtime_checkable
class ListsOrders(Protocol):
    """A shop."""

    def list_orders(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[ShopOrder]]:
        """Orders placed in [since, until), whatever became of them; the trash may be left out. Raises Failure."""

    async def orders_now(self, ids: Sequence[str]) -> Sequence[ShopOrder]:
        """These orders (canonical ids) as they are now, those in the trash too. Raises Failure."""


@runtime_checkable
class HoldsOrders(Protocol):
    """An ERP."""

    def list_held(self, shop: str, since: datetime, until: datetime) -> AsyncIterator[Sequence[HeldOrder]]:
        """The shop's orders here that are dated in [since, until) by the ERP, which may be when it confirmed them.

        Raises Failure.
        """

    async def held_now(self, ids: Sequence[str]) -> Sequence[HeldOrder]:
        """These orders (canonical ids) as they are here now. Raises Failure."""


@runtime_checkable
class ListsStock(Protocol):
    """Whoever counts the stock."""

    def list_stock(self) -> AsyncIterator[Sequence[StockLevel]]:
        """Every article whose stock is counted. Raises Failure."""

    async def stock_now(self, ids: Sequence[str]) -> Sequence[StockLevel]:
        """These articles (its own ids) now. Raises Failure."""


@runtime_checkable
class ListsProducts(Protocol):
    """Whoever makes the prices."""

    def list_products(self) -> AsyncIterator[Sequence[Product]]:
        """Every product with the prices of its variants. Raises Failure."""

    async def products_now(self, ids: Sequence[str]) -> Sequence[Product]:
        """These products (its own ids) now. Raises Failure."""


@runtime_checkable
class HasShelf(Protocol):
    """A channel."""

    async def shelf(self, wanted: Sequence[tuple[str, str]]) -> Sequence[Shelf | None]:
        """For each (SKU, link or '') how the channel shows it; None where it has no such article. Raises Failure."""


@runtime_checkable
class Fetches(Protocol):
    """A connector that can read single objects as receipts, as its feeds would bring them."""

    async def fetch(self, kind: str, ids: Sequence[str]) -> Sequence[Raw]:
        """The objects of this kind (as receipts name them, but orders of an ERP by its own id). Raises Failure."""
