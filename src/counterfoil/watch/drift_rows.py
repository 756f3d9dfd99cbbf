"""What orders, stock, prices and customers count for on either side, and which differences are declared. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from typing import cast

from counterfoil.blueprint import OrderChoices
from counterfoil.hub.facts import HeldOrder, Shelf, ShopOrder, Standing
from counterfoil.processes.orders import PLACED, level, wanted
from counterfoil.retail.availability import in_units
from counterfoil.retail.listing import Channel, reasons
from counterfoil.retail.money import Money, smallest_unit
from counterfoil.retail.order import Order, Status
from counterfoil.retail.product import Product, StockLevel, Variant, variant_id
from counterfoil.watch.drift import ZERO, Group, Remedy, Row

ONE = Decimal(1)
_FURTHER = [Standing.WAITING, Standing.QUOTATION, Standing.CONFIRMED, Standing.SHIPPED]
_OVER = {Status.CANCELLED, Status.TRASH, Status.DRAFT}


@dataclass(frozen=True, slots=True)
class Pair:
    """A shop and the ERP it is compared with, and what the blueprint says of both."""

    shop: str
    erp: str
    choices: OrderChoices = field(default_factory=OrderChoices)
    cut_over: datetime | None = None
    zone: tzinfo | None = None
    channel: Channel = field(default_factory=Channel)


# --- orders -----------------------------------------------------------------------------------------------------


def standing(order: ShopOrder, choices: OrderChoices) -> Standing:
    """Where the ERP should be with the shop's order, by the blueprint's order table."""
    if order.status in _OVER:
        return Standing.CANCELLED
    if order.is_refunded_in_full:
        return Standing.REFUNDED
    if order.status is Status.COMPLETED:
        return Standing.SHIPPED
    choice = {Status.ON_HOLD: choices.on_hold, Status.PROCESSING: choices.processing}.get(order.status, choices.pending)
    if choice == "wait":
        return Standing.WAITING
    return Standing.CONFIRMED if level(cast(Order, order), choices) == "accept" else Standing.QUOTATION


def order_row(pair: Pair, there: ShopOrder | None, held: HeldOrder | None, on_trial: bool = False) -> Row:
    """One order by day (in the shop's zone) and status, and by value; one of the two sides may be missing. One that is
    tried on at home is sent unpaid, and comes to what was charged."""
    if there is not None:
        known, at = there.id, there.placed_at  # the shop's day, on both sides
    elif held is not None:
        known, at = held.id, held.dated
    else:
        raise ValueError("an order on neither side")
    day = at.astimezone(pair.zone).date().isoformat()
    shop = standing(there, pair.choices) if there else Standing.NONE
    erp = held.standing if held else Standing.NONE
    own_ids = [(pair.shop, "order", known.rpartition(":")[2])]
    own_ids += [(pair.erp, "fulfilment", held.own_id)] if held else []
    tell, to = _told_again(shop, erp)
    return Row(
        "orders",
        known,
        there.number if there else known.rpartition(":")[2],
        _order_counts(day, shop, there.total if there else None),
        _order_counts(day, erp, held.total if held else None),
        f"{there.status}, {there.total}" if there else "not there",
        f"{held.number}: {erp}, {held.total}" if held else "not there",
        _declared_order(pair, there, held, on_trial),
        (known, f"{pair.erp}:fulfilment:{known}"),
        there.modified_at.timestamp() if there else None,
        Remedy(tuple(own_ids), tell, known, {"shop": pair.shop, "erp": pair.erp, "": ""}[to]),
    )


def _order_counts(day: str, at: Standing, total: Money | None) -> dict[Group, Decimal]:
    if total is None:
        return {}
    counts: dict[Group, Decimal] = {("orders", f"{day} {at}"): ONE}
    if at is not Standing.CANCELLED:
        counts[(f"order value {total.currency}", day)] = total.amount
    return counts


def _declared_order(pair: Pair, there: ShopOrder | None, held: HeldOrder | None, on_trial: bool) -> str:
    """Why the blueprint wants all that differs; empty if it does not, or not all of it."""
    if there is None:
        over = held is not None and held.standing is Standing.CANCELLED
        return "cancelled, and thrown away in the shop" if over else ""
    if pair.cut_over is not None and there.placed_at < pair.cut_over:
        return "placed before the cut-over"
    if held is None:
        stage, why = wanted(cast(Order, there), pair.choices, pair.cut_over)
        return "" if stage == PLACED else why
    if on_trial and held.standing in (Standing.CONFIRMED, Standing.SHIPPED):
        return "it is tried on at home: the ERP has what was charged"
    shop, erp = standing(there, pair.choices), held.standing
    whys = [_declared_standing(there, shop, held), _declared_value(pair, there, shop, held)]
    if (shop is not erp and not whys[0]) or (whys[1] is None):
        return ""
    return "; ".join(why for why in whys if why)


def _declared_standing(there: ShopOrder, shop: Standing, held: HeldOrder) -> str:
    erp = held.standing
    if shop is Standing.REFUNDED:
        return "refunded in the shop; the ERP keeps the order beside its credit note"
    if shop is Standing.WAITING and erp is Standing.QUOTATION:
        return "waits for its payment as a quotation"
    if there.status is Status.ON_HOLD and erp is Standing.CONFIRMED:
        return "put on hold again, it stays confirmed"
    if shop is Standing.SHIPPED and erp is Standing.CONFIRMED and not held.ships:
        return "there is nothing to ship in it"
    return ""


def _declared_value(pair: Pair, there: ShopOrder, shop: Standing, held: HeldOrder) -> str | None:
    """Why the values may differ, '' where they do not; None where nothing declared says why."""
    gone = {Standing.CANCELLED}
    if shop in gone and held.standing in gone:
        return ""
    if there.total.currency != held.total.currency:
        return None
    difference = there.total.amount - held.total.amount
    tolerance = pair.choices.rounding_tolerance * smallest_unit(there.total.currency)
    if not difference and held.standing not in gone:
        return ""
    if abs(difference) <= tolerance and held.standing not in gone:
        return f"within the rounding tolerance of {tolerance}"
    if there.refunded and (held.standing in gone or ZERO <= difference <= there.refunded + tolerance):
        return "what was refunded before it was shipped is not in the ERP's total"
    return None


def _told_again(shop: Standing, erp: Standing) -> tuple[tuple[str, ...], str]:
    """Which facts to tell again, and to which side; none where it is not clear who is right."""
    if shop is Standing.NONE or (shop is erp):
        return (), ""
    if erp is Standing.NONE:
        return ("order.placed",), "erp"
    if shop is Standing.CANCELLED:
        return ("order.cancelled",), "erp"
    if erp is Standing.CANCELLED:
        return ("order.closed",), "shop"
    if shop not in _FURTHER or erp not in _FURTHER:
        return (), ""
    if _FURTHER.index(erp) > _FURTHER.index(shop):
        return ("order.confirmed", "shipment.dispatched", "order.delivered"), "shop"
    return (("order.placed", "order.paid"), "erp") if erp is not Standing.CONFIRMED else ((), "")


# --- stock and prices -----------------------------------------------------------------------------------------------


def stock_row(pair: Pair, counted: StockLevel, shelf: Shelf | None, quantity: int, taken: int = 0) -> Row:
    """One article: `quantity` is what the channel may show by the rules, less what is `taken` (thousandths)."""
    places = ", ".join(sorted(pair.channel.stock.places)) or "all warehouses"
    shop: dict[Group, Decimal] = {}
    if shelf is not None and shelf.quantity is not None:
        shop = {("articles counted", places): ONE, ("units for sale", places): shelf.quantity}
    declared = "" if shelf is not None else f"not listed at {pair.shop}"
    if "stock" not in pair.channel.publish:
        declared = f"{pair.shop} has its stock by itself"
    standing_there = ", ".join(f"{p.on_hand:f} in {p.warehouse} ({p.outgoing:f} promised)" for p in counted.places)
    says = "not there" if shelf is None else "not counted" if shelf.quantity is None else f"{shelf.quantity:f}"
    return Row(
        "stock",
        counted.canonical_id,
        counted.sku or counted.id,
        shop,
        {("articles counted", places): ONE, ("units for sale", places): Decimal(quantity)},
        f"{says}; {shelf.unclear}" if shelf and shelf.unclear else says,
        f"{quantity} of {standing_there}" + (f", {in_units(taken):f} taken by orders on their way" if taken else ""),
        declared,
        (counted.canonical_id, f"{counted.system}:stock:{counted.id}"),
        None,
        Remedy(((pair.erp, "stock", counted.id),), ("stock.changed",), counted.canonical_id, pair.shop),
    )


def price_rows(pair: Pair, product: Product, shelves: dict[str, Shelf | None]) -> list[Row]:
    """The regular price and that of the campaign, of each article; `shelves` by the variant's id."""
    barred = {reason.variant: reason.words for reason in reasons(product, pair.channel.listing)}
    return [
        _price_row(pair, product, variant, shelves.get(variant.id), barred.get(variant.id) or barred.get("") or "")
        for variant in product.variants
    ]


def _price_row(pair: Pair, product: Product, variant: Variant, shelf: Shelf | None, barred: str) -> Row:
    currency = variant.price.currency if variant.price else ""
    decimals = shelf.decimals if shelf else 2
    regular = _to(variant.price.amount, decimals) if variant.price else None
    sale = _to(variant.sale.price.amount, decimals) if variant.sale else None
    erp = _price_counts(pair, currency, regular, sale) if not barred or shelf is not None else {}
    shop = _price_counts(pair, shelf.currency, shelf.regular, shelf.sale) if shelf is not None else {}
    subject = product.canonical_id
    return Row(
        "prices",
        variant_id(product.system, variant.id),
        variant.sku or variant.id,
        shop,
        erp,
        _price_words(shelf.regular, shelf.sale, shelf.currency) if shelf else "not there",
        _price_words(regular, sale, currency),
        _declared_price(product, variant, shelf, barred),
        (subject, f"{product.system}:product:{product.id}"),
        None,
        Remedy(((pair.erp, "product", product.id),), ("product.changed",), subject, pair.shop),
    )


def _declared_price(product: Product, variant: Variant, shelf: Shelf | None, barred: str) -> str:
    if barred:
        return f"not for sale there: {barred}"
    if shelf is None or variant.price is None:
        return ""
    if shelf.currency != variant.price.currency:
        return f"prices in {variant.price.currency} are not told to a shop in {shelf.currency}"
    if shelf.with_tax is not None and shelf.with_tax != product.prices_include_tax:
        return "prices with and without tax are not told to one another"
    return ""


def _price_counts(pair: Pair, currency: str, regular: Decimal | None, sale: Decimal | None) -> dict[Group, Decimal]:
    counts: dict[Group, Decimal] = {}
    if "price" in pair.channel.publish and regular is not None:
        counts[("articles with a price", currency)] = ONE
        counts[(f"regular prices {currency}", "sum")] = regular
    if "sale" in pair.channel.publish and sale is not None:
        counts[("articles with a campaign price", currency)] = ONE
        counts[(f"campaign prices {currency}", "sum")] = sale
    return counts


def _price_words(regular: Decimal | None, sale: Decimal | None, currency: str) -> str:
    words = f"{regular:f} {currency}" if regular is not None else "no price"
    return f"{words}, campaign {sale:f}" if sale is not None else words


def _to(amount: Decimal, decimals: int) -> Decimal:
    return amount.quantize(ONE.scaleb(-decimals), ROUND_HALF_UP)


# --- customers ------------------------------------------------------------------------------------------------------


def customer_row(pair: Pair, account: str, is_held: bool, are_told: bool) -> Row:
    """An account of the shop. `are_told`: a flow brings accounts into the ERP by themselves, not only with orders."""
    subject = f"{pair.shop}:customer:{account}"
    group: Group = ("customers", f"accounts of {pair.shop}")
    return Row(
        "customers",
        subject,
        account,
        {group: ONE},
        {group: ONE} if is_held else {},
        "an account",
        "a partner" if is_held else "not there",
        "" if are_told else "comes into the ERP with its first order",
        (subject,),
        None,
        Remedy(((pair.shop, "customer", account),), ("customer.changed",), subject, pair.erp),
    )


def others_row(pair: Pair, label: str, count: int) -> Row:
    """Customers of the ERP that are no accounts of this shop: guests, other channels, its own."""
    group: Group = ("customers", "of other origin")
    counts = {group: Decimal(count)}
    return Row("customers", label, label, {}, counts, "", str(count), "guests, other channels, and the ERP's own")
