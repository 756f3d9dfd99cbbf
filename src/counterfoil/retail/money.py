"""Money: an exact decimal amount with its ISO 4217 currency, and the rounding rules that go with it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, DivisionByZero, Inexact, InvalidOperation
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

# ISO 4217 minor units; every currency not named here has two.
_MINOR_UNITS = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}
_CURRENCY = re.compile(r"[A-Z]{3}")
_AMOUNT = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,12})?")
# Thirty digits fit into an amount, Decimal's own context keeps 28 and whatever a library sets it to.
_EXACT = Context(prec=120, traps=[Inexact, InvalidOperation])
_WIDE = Context(prec=120, traps=[InvalidOperation, DivisionByZero])


class CurrencyMismatch(ValueError):
    """Two amounts of different currencies were mixed; convert one of them first."""


class NotAnAmount(ValueError):
    """The text is not a plain decimal number such as 12.50 or -3."""


def minor_units(currency: str) -> int:
    """Digits after the point of `currency` by ISO 4217: 2 for EUR, 0 for JPY, 3 for KWD."""
    return _MINOR_UNITS.get(currency, 2)


def smallest_unit(currency: str) -> Decimal:
    """The smallest amount of `currency`: 0.01 for EUR, 1 for JPY."""
    return Decimal(1).scaleb(-minor_units(currency))


def decimal_of(text: str | int | Decimal) -> Decimal:
    """An exact Decimal from plain notation. Floats, exponents, NaN and commas raise NotAnAmount."""
    if isinstance(text, Decimal):
        if not text.is_finite():
            raise NotAnAmount(f"{text} is not an amount")
        return text
    if isinstance(text, bool) or not isinstance(text, str | int):
        raise NotAnAmount(f"{text!r} is not an amount in plain decimal notation")
    if not _AMOUNT.fullmatch(str(text)):
        raise NotAnAmount(f"{str(text)[:40]!r} is not an amount in plain decimal notation")
    try:
        return Decimal(text)
    except InvalidOperation as error:  # the pattern above leaves nothing to fail on; kept for safety
        raise NotAnAmount(str(text)[:40]) from error


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An exact amount in one currency. Arithmetic never rounds and never mixes currencies.

    Shops send more digits than a currency has (a WooCommerce in JPY has two), so an amount may be finer
    than the currency's smallest unit until someone calls `rounded`.
    """

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not _CURRENCY.fullmatch(self.currency):
            raise NotAnAmount(f"{self.currency!r} is not an ISO 4217 currency code")
        object.__setattr__(self, "amount", decimal_of(self.amount))

    @classmethod
    def of(cls, amount: str | int | Decimal, currency: str) -> Money:
        """Money from plain decimal notation; raises NotAnAmount."""
        return cls(decimal_of(amount), currency)

    @classmethod
    def zero(cls, currency: str) -> Money:
        """Nothing, in `currency`."""
        return cls(Decimal(0), currency)

    @classmethod
    def parse(cls, text: str) -> Money:
        """The inverse of str(): `12.50 EUR`."""
        amount, _, currency = text.partition(" ")
        return cls(decimal_of(amount), currency)

    def _same(self, other: Money) -> Decimal:
        if not isinstance(other, Money):
            raise TypeError(f"cannot combine Money with {type(other).__name__}")
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} cannot be combined")
        return other.amount

    def __add__(self, other: Money) -> Money:
        return Money(_EXACT.add(self.amount, self._same(other)), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(_EXACT.subtract(self.amount, self._same(other)), self.currency)

    def __neg__(self) -> Money:
        return Money(_EXACT.minus(self.amount), self.currency)

    def __abs__(self) -> Money:
        return Money(_EXACT.abs(self.amount), self.currency)

    def __mul__(self, factor: int | Decimal) -> Money:
        if isinstance(factor, bool) or not isinstance(factor, int | Decimal):
            raise TypeError("Money is multiplied by int or Decimal only")
        return Money(_EXACT.multiply(self.amount, Decimal(factor)), self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.amount <= self._same(other)

    def __bool__(self) -> bool:
        return self.amount != 0

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"

    def rounded(self, unit: Decimal | None = None, rounding: str = ROUND_HALF_UP) -> Money:
        """Rounded to `unit`, by default the currency's smallest one, half away from zero unless said."""
        step = smallest_unit(self.currency) if unit is None else unit
        return Money(round_to(self.amount, step, rounding), self.currency)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(value: Any) -> Money:
            if not isinstance(value, Money | str):
                raise NotAnAmount("expected a text such as 12.50 EUR")
            return value if isinstance(value, Money) else Money.parse(value)

        return core_schema.no_info_plain_validator_function(read, serialization=core_schema.to_string_ser_schema())


def round_to(amount: Decimal, step: Decimal, rounding: str = ROUND_HALF_UP) -> Decimal:
    """`amount` to the nearest multiple of `step`, half away from zero unless said."""
    return _WIDE.multiply(_WIDE.divide(amount, step).quantize(Decimal(1), rounding, _WIDE), step)


def total(amounts: Iterable[Money], currency: str) -> Money:
    """The sum of `amounts`, all in `currency`; nothing sums to zero. Raises CurrencyMismatch."""
    zero, found = Money.zero(currency), Decimal(0)
    for each in amounts:
        found = _EXACT.add(found, zero._same(each))
    return Money(found, currency)


def spread(difference: Money, over: list[Money]) -> list[Money]:
    """Parts of `difference`, one for each of `over`, that sum to it: all of it on the largest amount.

    Used where a shop's total by rate is a cent away from the sum of its lines.
    """
    parts = [Money.zero(difference.currency) for _ in over]
    if over:
        largest = max(range(len(over)), key=lambda i: abs(over[i].amount))
        parts[largest] = difference
    return parts
