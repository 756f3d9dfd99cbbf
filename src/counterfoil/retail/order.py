"""The order: what was bought, for how much, taxed how, paid how. Its amounts add up or say by how much not."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from counterfoil.retail.entity import Extended
from counterfoil.retail.money import CurrencyMismatch, Money, total
from counterfoil.retail.party import Address, Customer


class Status(StrEnum):
    """Where the shop says the order stands, in the words of DESIGN §10's order table."""

    DRAFT = "draft"
    PENDING = "pending"
    FAILED = "failed"
    ON_HOLD = "on_hold"
    PROCESSING = "processing"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"
    TRASH = "trash"


class LineKind(StrEnum):
    """What a line charges for."""

    PRODUCT = "product"
    SHIPPING = "shipping"
    FEE = "fee"


class AmountsDiffer(ValueError):
    """The order's parts do not sum to its total and the order does not say so in `rounding`."""


class TaxRate(BaseModel):
    """One tax by its identity at the shop: percent, country, class; `code` is the shop's own id of the rate."""

    model_config = ConfigDict(frozen=True)

    code: str
    percent: Decimal
    country: str = ""
    state: str = ""
    name: str = ""
    compound: bool = False


class Tax(BaseModel):
    """An amount of one tax rate on one line."""

    model_config = ConfigDict(frozen=True)

    code: str
    amount: Money


class Line(BaseModel):
    """One charge. `net` is after discounts and before tax, for the whole quantity."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: LineKind
    name: str
    quantity: Decimal = Decimal(1)
    net: Money
    taxes: tuple[Tax, ...] = ()
    tax_class: str = ""
    product_id: str = ""
    sku: str = ""

    @property
    def tax(self) -> Money:
        """All taxes of the line."""
        return total((t.amount for t in self.taxes), self.net.currency)


class Discount(BaseModel):
    """A coupon or voucher; already taken out of the lines' net."""

    model_config = ConfigDict(frozen=True)

    code: str
    net: Money
    tax: Money


class Payment(BaseModel):
    """Money the shop says it has received (`paid_at` set) or expects."""

    model_config = ConfigDict(frozen=True)

    method: str
    title: str = ""
    reference: str = ""
    amount: Money
    paid_at: AwareDatetime | None = None


class RefundLine(BaseModel):
    """What of one order line is given back; `net` and taxes are positive, `quantity` may be nought (money only)."""

    model_config = ConfigDict(frozen=True)

    line: str  # the order's line id
    kind: LineKind
    quantity: Decimal = Decimal(0)
    net: Money
    taxes: tuple[Tax, ...] = ()


class Refund(BaseModel):
    """Money given back; `amount` is positive.

    An order names its refunds by id and amount only. Read whole (`is_whole`) they have their date and lines; a refund
    without lines is one by amount. Lines need not sum to the amount: the amount is what the customer got. `pending`:
    the payment provider has not paid it out yet, so it is not to be booked.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    amount: Money
    reason: str = ""
    refunded_at: AwareDatetime | None = None
    pending: bool = False
    lines: tuple[RefundLine, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether more is known than the order tells."""
        return self.refunded_at is not None


class Order(Extended):
    """An order as its shop knows it now.

    `total` is what the customer pays. total = sum of line nets + sum of line taxes + `rounding`; a shop that
    rounds once per order differs from its own lines by a cent, and `rounding` names that difference.
    `tax_told` is the tax total the shop prints. Building an order whose parts do not sum raises AmountsDiffer,
    one with an amount in another currency CurrencyMismatch (both inside pydantic's ValidationError).
    """

    system: str
    id: str
    number: str
    status: Status
    currency: str
    prices_include_tax: bool = False
    placed_at: AwareDatetime
    modified_at: AwareDatetime
    customer: Customer = Customer()
    billing: Address = Address()
    shipping: Address = Address()
    lines: tuple[Line, ...] = ()
    rates: tuple[TaxRate, ...] = ()
    discounts: tuple[Discount, ...] = ()
    payments: tuple[Payment, ...] = ()
    refunds: tuple[Refund, ...] = ()
    total: Money
    tax_told: Money
    rounding: Money
    note: str = ""
    reference: str = Field(default="", description="The customer's own word for the order: a purchase order's number")
    pickup: str = Field(
        default="", description="The shop's word for where it is collected, such as local_pickup:3; empty: it is sent"
    )
    erp_number: str = Field(default="", description="The ERP's order number where the shop has been told it")

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        amounts = [self.total, self.tax_told, self.rounding]
        amounts += [p.amount for p in self.payments] + [r.amount for r in self.refunds]
        amounts += [part for d in self.discounts for part in (d.net, d.tax)]
        foreign = sorted({amount.currency for amount in amounts} - {self.currency})
        if foreign:
            raise CurrencyMismatch(f"order {self.number} is in {self.currency}, but holds amounts in {foreign}")
        parts = self.net + self.tax + self.rounding
        if parts != self.total:
            raise AmountsDiffer(f"order {self.number}: parts sum to {parts}, total is {self.total}")
        unknown = {t.code for line in self.lines for t in line.taxes} - {r.code for r in self.rates}
        if unknown:
            raise AmountsDiffer(f"order {self.number}: taxed at rates it does not list: {sorted(unknown)}")
        return self

    @property
    def canonical_id(self) -> str:
        """The id of this order across all systems."""
        return f"{self.system}:order:{self.id}"

    @property
    def net(self) -> Money:
        """Sum of the lines before tax."""
        return total((line.net for line in self.lines), self.currency)

    @property
    def tax(self) -> Money:
        """Sum of the lines' taxes."""
        return total((line.tax for line in self.lines), self.currency)

    @property
    def tax_by_rate(self) -> dict[str, Money]:
        """Tax amount by the rate's code; rates without an amount are there with zero."""
        sums = {rate.code: Money.zero(self.currency) for rate in self.rates}
        for line in self.lines:
            for tax in line.taxes:
                sums[tax.code] += tax.amount
        return sums

    @property
    def paid_at(self) -> AwareDatetime | None:
        """When the first payment arrived (UTC), None while none has."""
        return min((p.paid_at for p in self.payments if p.paid_at), default=None)

    @property
    def is_refunded_in_full(self) -> bool:
        """By the shop's word or because the refunds sum to the total, the customer has everything back."""
        given_back = total((r.amount for r in self.refunds), self.currency)
        return self.status is Status.REFUNDED or (
            bool(self.refunds) and given_back >= self.total > Money.zero(self.currency)
        )

    @property
    def is_given_up(self) -> bool:
        """Whether nothing comes of it: cancelled, thrown away, or refunded in full without ever having been paid."""
        over = self.status in (Status.CANCELLED, Status.TRASH, Status.DRAFT)
        return over or (self.status is Status.REFUNDED and self.paid_at is None)

    @property
    def ship_to(self) -> Address:
        """Where the goods go: the shipping address, or the billing one where none is given."""
        return self.billing if self.shipping.is_empty else self.shipping
