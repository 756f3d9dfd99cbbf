"""Is this cart still right? Prices, campaigns, stock and the customer, in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from counterfoil.doors.storefront.context import Context
from counterfoil.doors.storefront.models import (
    MOST_SKUS,
    Amount,
    Asked,
    Availability,
    Country,
    Currency,
    Delivery,
    Fresh,
    Prices,
    Quantity,
    Sku,
    Text,
)
from counterfoil.doors.storefront.selling import Selling
from counterfoil.doors.storefront.tokens import Caller, needs
from counterfoil.hub import ownfields
from counterfoil.hub.availability import reservations
from counterfoil.retail.availability import UNIT, thousandths
from counterfoil.retail.bundles import explode
from counterfoil.retail.money import Money
from counterfoil.retail.offer import difference

Trouble = Literal["no_such_sku", "no_price", "price_changed", "promotion_ended", "promotion_not_begun", "short"]

WORDS: Mapping[Trouble, str] = {
    "no_such_sku": "The channel does not sell this any more.",
    "no_price": "The article has no price, so it cannot be compared.",
    "price_changed": "The price is another one now.",
    "promotion_ended": "The campaign of this price is over.",
    "promotion_not_begun": "The campaign of this price has not begun.",
    "short": "There are not as many, together with the other lines of the cart.",
}


class Expected(Asked):
    """What the page showed for one unit."""

    amount: Amount
    currency: Currency


class Bought(Asked):
    """A line of the cart. Without a `price` only stock is looked at."""

    sku: Sku
    quantity: Quantity
    price: Expected | None = None


class Buyer(Asked):
    """Whose cart it is, as far as the shop knows: its own id of the account, the e-mail address."""

    id: Text = ""
    email: Text = ""


class Cart(Asked):
    """What is about to be ordered. What the `reservation` holds counts as there."""

    lines: list[Bought] = Field(min_length=1, max_length=MOST_SKUS)
    customer: Buyer | None = None
    country: Country | None = None
    reservation: Text = ""


class Finding(BaseModel):
    """What is not right with a line."""

    code: Trouble
    message: str


class CheckedLine(BaseModel):
    """A line of the cart, in the same order, as things are now."""

    sku: str
    ok: bool
    problems: list[Finding]
    price: Prices | None
    availability: Availability | None
    delivery: Delivery | None


class CheckedBuyer(BaseModel):
    """`blocked`: a person must look first. Why is for the people behind the shop, not for its pages."""

    blocked: bool


class Verdict(Fresh):
    """`ok`: everything is as the cart has it, and the customer may buy."""

    ok: bool
    lines: list[CheckedLine]
    customer: CheckedBuyer
    reservation_holds: bool | None = Field(description="null where none was named")


def routes(context: Context) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["checkout"])
    selling = Selling(context)

    @router.post("/checkout/validate")
    async def validate_checkout(caller: Annotated[Caller, needs("checkout")], cart: Cart) -> Verdict:
        """Prices and campaigns at this moment, stock of all lines together, and whether the customer may buy."""
        book, at, channel = context.ready_book(), datetime.now(UTC), caller.channel
        held = await _held(context, channel, cart.reservation)
        short = missing(context, channel, cart.lines, held or {})
        lines = [_checked(selling, channel, line, line.sku in short, at, cart.country or "") for line in cart.lines]
        blocked = await _blocked(context, channel, cart.customer)
        return Verdict(
            ok=all(line.ok for line in lines) and not blocked and not (cart.reservation and held is None),
            lines=lines,
            customer=CheckedBuyer(blocked=blocked),
            reservation_holds=held is not None if cart.reservation else None,
            **book.freshness().said(),
        )

    return router


def missing(context: Context, channel: str, lines: Sequence[Bought], held: Mapping[str, int]) -> set[str]:
    """The SKUs of lines of whose parts there are not enough for all lines together (F18)."""
    book, bundles = context.book, context.book.rules.bundles
    needed = explode([(line.sku, thousandths(line.quantity)) for line in lines], bundles)
    short = set()
    for part, amount in needed.items():
        answer = book.answer(channel, part)
        if answer is None:
            continue  # not counted, or not there at all: said of the line itself
        if amount - held.get(part, 0) > answer.free + answer.beyond * UNIT:
            short.add(part)
    return {line.sku for line in lines if short & set(explode([(line.sku, UNIT)], bundles))}


def _checked(selling: Selling, channel: str, line: Bought, short: bool, at: datetime, country: str) -> CheckedLine:
    found = selling.article(channel, line.sku)
    if found is None and not selling.is_bundle_alone(line.sku):
        return _line(line.sku, ["no_such_sku"])
    troubles: list[Trouble] = []
    prices = selling.prices(channel, *found, at) if found else None
    if line.price is None or not selling.sets_prices(channel):
        pass
    elif found is None or prices is None:
        troubles.append("no_price")
    else:
        expected = Money(Decimal(line.price.amount), line.price.currency)
        if differs := difference(found[1], expected, at, selling.campaigns(channel)):
            troubles.append(differs)
    if short:
        troubles.append("short")
    return _line(
        line.sku,
        troubles,
        prices,
        selling.availability(channel, line.sku),
        selling.delivery(channel, line.sku, at, country),
    )


def _line(
    sku: str,
    troubles: Sequence[Trouble],
    price: Prices | None = None,
    availability: Availability | None = None,
    delivery: Delivery | None = None,
) -> CheckedLine:
    problems = [Finding(code=code, message=WORDS[code]) for code in troubles]
    return CheckedLine(
        sku=sku, ok=not problems, problems=problems, price=price, availability=availability, delivery=delivery
    )


async def _held(context: Context, channel: str, id_: str) -> dict[str, int] | None:
    """What the reservation holds of single articles; None where it is not this channel's, or holds nothing."""
    found = await reservations.get(context.store, id_) if id_ else None
    if found is None or found.channel != channel or not found.holds:
        return None
    return explode(found.lines, context.book.rules.bundles)


async def _blocked(context: Context, channel: str, buyer: Buyer | None) -> bool:
    fields = context.blueprint.storefront.blocked_by
    if buyer is None or not fields or not (buyer.id or buyer.email):
        return False
    async with context.store.read() as connection:
        known = await ownfields.of_customer(connection, channel, buyer.id, buyer.email)
    return any(holds_up(own.get(name)) for _, own in known for name in fields)


def holds_up(value: object) -> bool:
    """Whether a customer's own field says so: true, a number that is not nought, a text that is not a no."""
    if isinstance(value, str):
        return value.strip().casefold() not in ("", "0", "false", "no", "none")
    return bool(value)
