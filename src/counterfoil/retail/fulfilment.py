"""What the ERP has done about one order of a shop: confirmed, shipped, invoiced, returned."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from counterfoil.retail.entity import Entity
from counterfoil.retail.money import Money


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class ErpState(StrEnum):
    """How far the ERP's order is."""

    QUOTATION = "quotation"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"


class ShipmentState(StrEnum):
    """How far a shipment is."""

    OPEN = "open"
    DONE = "done"
    CANCELLED = "cancelled"


class Packed(_Value):
    """Units of one article in a shipment. `line` is the shop's line id, '' where the ERP added it."""

    sku: str
    quantity: Decimal
    line: str = ""
    name: str = ""


class Shipment(_Value):
    """Goods that leave (or, `returned`, come back) together. `follows` is the shipment it is the back-order of, `place`
    the warehouse's code, `ready`: all of it lies reserved there."""

    id: str
    number: str
    state: ShipmentState
    returned: bool = False
    carrier: str = ""
    tracking: str = ""
    tracking_url: str = ""
    done_at: AwareDatetime | None = None
    follows: str = ""
    place: str = ""
    ready: bool = False
    items: tuple[Packed, ...] = ()

    @model_serializer(mode="wrap", when_used="json")
    def _without_what_is_empty(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A state known from before there were places looks the same."""
        written: dict[str, Any] = handler(self)
        return {name: value for name, value in written.items() if value or name not in ("place", "ready")}


class Invoice(_Value):
    """A posted invoice, or, `credit`, a posted credit note; `total` is positive. `paid`: nothing of it is open."""

    id: str
    number: str
    credit: bool = False
    total: Money
    paid: bool = False
    dated: str = ""  # ISO 8601 date
    url: str = ""  # where the customer can see it


class FulfilledLine(_Value):
    """One line: how many were ordered, delivered (returns taken off), invoiced. Services need no shipment."""

    line: str
    sku: str = ""
    ordered: Decimal
    delivered: Decimal = Decimal(0)
    invoiced: Decimal = Decimal(0)
    shippable: bool = True


class Fulfilment(Entity):
    """The ERP's side of one shop order, whole. `order` is the order's id across all systems."""

    order: str
    id: str
    number: str
    state: ErpState
    lines: tuple[FulfilledLine, ...] = ()
    shipments: tuple[Shipment, ...] = ()
    invoices: tuple[Invoice, ...] = ()

    @property
    def canonical_id(self) -> str:
        """That of the order it is about."""
        return self.order

    @property
    def is_delivered(self) -> bool:
        """Whether something was shipped and nothing is left to ship."""
        shipped = any(s.state is ShipmentState.DONE and not s.returned for s in self.shipments)
        waits = any(s.state is ShipmentState.OPEN and not s.returned for s in self.shipments)
        return shipped and not waits
