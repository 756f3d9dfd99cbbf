"""What an order, an article, a price count for on either side, and which differences the blueprint wants."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.integration.woocommerce.woocommerce_catalogue import euros, product, stock, variant

from counterfoil.blueprint import OrderChoices
from counterfoil.hub.facts import HeldOrder, Shelf, ShopOrder, Standing
from counterfoil.retail.listing import Channel
from counterfoil.retail.money import Money
from counterfoil.retail.order import Status
from counterfoil.retail.product import SalePrice
from counterfoil.watch.drift_rows import Pair, customer_row, order_row, price_rows, standing, stock_row

PAIR = Pair("web", "odoo")
AT = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)


def there(status: Status = Status.PROCESSING, total: str = "100.00", **fields: Any) -> ShopOrder:
    made: dict[str, Any] = {"id": "web:order:7", "number": "7", "placed_at": AT, "modified_at": AT, "paid": True}
    return ShopOrder(**{**made, "refunded": Decimal(0), "status": status, "total": euros(total), **fields})


def held(at: Standing = Standing.CONFIRMED, total: str = "100.00", **fields: Any) -> HeldOrder:
    made: dict[str, Any] = {"id": "web:order:7", "number": "S1", "own_id": "41", "dated": AT}
    return HeldOrder(**{**made, "standing": at, "total": euros(total), **fields})


# --- orders


@pytest.mark.parametrize(
    ("status", "choices", "expected"),
    [
        (Status.PENDING, {}, Standing.WAITING),
        (Status.PENDING, {"pending": "quotation"}, Standing.QUOTATION),
        (Status.ON_HOLD, {}, Standing.QUOTATION),
        (Status.ON_HOLD, {"on_hold": "accept"}, Standing.CONFIRMED),
        (Status.PROCESSING, {}, Standing.CONFIRMED),
        (Status.PROCESSING, {"processing": "quotation"}, Standing.QUOTATION),
        (Status.COMPLETED, {}, Standing.SHIPPED),
        (Status.TRASH, {}, Standing.CANCELLED),
        (Status.REFUNDED, {}, Standing.REFUNDED),
    ],
)
def test_a_shops_status_on_the_one_lifecycle(status: Status, choices: dict[str, Any], expected: Standing) -> None:
    assert standing(there(status), OrderChoices(**choices)) is expected


@pytest.mark.parametrize(
    ("shop", "erp", "words"),
    [
        (there(), held(), None),  # even
        (there(), None, ""),  # drift
        (there(Status.PENDING), None, "waits for its payment"),
        (there(Status.CANCELLED), None, "cancelled before it was accepted"),
        (there(Status.CANCELLED), held(Standing.CANCELLED), None),
        (there(Status.CANCELLED), held(), ""),
        (None, held(), ""),
        (None, held(Standing.CANCELLED), "thrown away"),
        (there(Status.ON_HOLD), held(), "stays confirmed"),
        (there(Status.ON_HOLD), held(Standing.SHIPPED), ""),
        (there(Status.PENDING), held(Standing.QUOTATION), "as a quotation"),
        (there(Status.PENDING), held(), ""),
        (there(Status.REFUNDED), held(Standing.SHIPPED), "credit note"),
        (there(Status.COMPLETED), held(), ""),
        (there(Status.COMPLETED), held(ships=False), "nothing to ship"),
        (there(), held(Standing.SHIPPED), ""),
        (there(), held(Standing.CANCELLED), ""),
        (there(total="100.05"), held(), "tolerance"),
        (there(total="100.06"), held(), ""),
        (there(refunded=Decimal("20")), held(total="80.00"), "refunded before it was shipped"),
        (there(refunded=Decimal("20")), held(total="79.00"), ""),
        (there(refunded=Decimal("20")), held(total="100.10"), ""),
        (there(), held(total="90.00"), ""),
        (there(Status.ON_HOLD), held(total="90.00"), ""),  # the status is declared, the value is not
    ],
)
def test_which_differences_of_an_order_the_order_table_wants(
    shop: ShopOrder | None, erp: HeldOrder | None, words: str | None
) -> None:
    row = order_row(PAIR, shop, erp)
    assert row.differs == (words is not None)
    if words is not None:
        assert words in row.declared
        assert bool(row.declared) == bool(words)


def test_two_currencies_are_never_within_a_tolerance() -> None:
    row = order_row(PAIR, there(total="1.00"), held(total="1.00"))
    other = order_row(
        PAIR, there(total="1.00"), HeldOrder("web:order:7", "S1", "41", Standing.CONFIRMED, AT, Money.of(1, "USD"))
    )
    assert not row.differs
    assert other.differs
    assert other.declared == ""


def test_a_trial_is_sent_unpaid_and_comes_to_what_was_charged() -> None:
    unpaid, charged = there(Status.ON_HOLD), held(total="90.00")
    assert "tried on at home" in order_row(PAIR, unpaid, charged, on_trial=True).declared
    for erp in (None, held(Standing.CANCELLED), held(Standing.QUOTATION, "90.00")):
        assert order_row(PAIR, unpaid, erp, on_trial=True).declared == order_row(PAIR, unpaid, erp).declared


def test_before_the_cut_over_nothing_is_wanted() -> None:
    pair = Pair("web", "odoo", cut_over=datetime(2026, 11, 22, tzinfo=UTC))
    assert order_row(pair, there(), None).declared == "placed before the cut-over"


def test_an_order_counts_for_its_day_in_the_shops_zone_on_both_sides() -> None:
    """Half past eleven at night in UTC is the next day in Paris. case: F10"""
    row = order_row(Pair("web", "odoo", zone=ZoneInfo("Europe/Paris")), there(), held())
    day = {("orders", "2026-11-22 confirmed"): Decimal(1), ("order value EUR", "2026-11-22"): Decimal("100.00")}
    assert row.shop == row.erp == day


@pytest.mark.parametrize(
    ("shop", "erp", "types", "to"),
    [
        (there(), None, ("order.placed",), "odoo"),
        (there(), held(Standing.QUOTATION), ("order.placed", "order.paid"), "odoo"),
        (there(Status.CANCELLED), held(), ("order.cancelled",), "odoo"),
        (there(), held(Standing.CANCELLED), ("order.closed",), "web"),
        (there(), held(Standing.SHIPPED), ("order.confirmed", "shipment.dispatched", "order.delivered"), "web"),
        (there(Status.COMPLETED), held(), (), ""),  # shipped outside of the ERP: who is right is not clear
        (there(total="90"), held(), (), ""),
        (None, held(), (), ""),
    ],
)
def test_what_is_told_again_and_to_whom(
    shop: ShopOrder | None, erp: HeldOrder | None, types: tuple[str, ...], to: str
) -> None:
    remedy = order_row(PAIR, shop, erp).remedy
    assert (remedy.tell, remedy.to) == (types, to)
    assert ("web", "order", "7") in remedy.fetch


# --- stock


def units(row: Any) -> tuple[Decimal, Decimal]:
    group = ("units for sale", "all warehouses")
    return row.shop.get(group, Decimal(0)), row.erp.get(group, Decimal(0))


def test_stock_is_compared_by_the_channels_own_rule() -> None:
    """What may be shown is less than what stands on the shelf. case: F16"""
    row = stock_row(PAIR, stock("A", 10, outgoing=Decimal(3)), Shelf("55", Decimal(5)), 5, taken=2000)
    assert not row.differs
    assert units(row) == (5, 5)
    assert row.erp_says == "5 of 10 in WH (3 promised), 2 taken by orders on their way"


@pytest.mark.parametrize(
    ("shelf", "on_hand", "differs", "declared"),
    [
        (Shelf("55", Decimal(4)), 5, True, ""),
        (None, 5, True, "not listed"),
        (Shelf("55", None), 5, True, ""),
        (Shelf("55", None), 0, True, ""),  # not counted is not nought: it can be sold without end
        (Shelf("55", Decimal(0)), -3, False, ""),
    ],
)
def test_stock_of_an_article(shelf: Shelf | None, on_hand: int, differs: bool, declared: str) -> None:
    row = stock_row(PAIR, stock("A", on_hand), shelf, max(0, on_hand))
    assert row.differs == differs
    assert declared in row.declared
    assert bool(declared) == bool(row.declared)


def test_a_shop_that_owns_its_stock_is_not_told_otherwise() -> None:
    pair = Pair("web", "odoo", channel=Channel(publish=frozenset({"price"})))
    assert "by itself" in stock_row(pair, stock("A", 5), Shelf("55", Decimal(1)), 5).declared


# --- prices


def priced(shelf: Shelf | None, pair: Pair = PAIR, **fields: Any) -> Any:
    return price_rows(pair, product(1, variant(1, **fields)), {"1": shelf})[0]


def on_shelf(regular: str = "19.90", sale: str | None = None, **fields: Any) -> Shelf:
    made: dict[str, Any] = {"currency": "EUR", "with_tax": True}
    amounts = {"regular": Decimal(regular), "sale": Decimal(sale) if sale else None}
    return Shelf("55", **{**made, **amounts, **fields})


CAMPAIGN = SalePrice(price=euros("15.00"))


@pytest.mark.parametrize(
    ("shelf", "fields", "differs", "declared"),
    [
        (on_shelf(), {}, False, ""),
        (on_shelf("19.91"), {}, True, ""),
        (None, {}, True, ""),
        (on_shelf(), {"price": euros("19.899")}, False, ""),
        (on_shelf(), {"sale": CAMPAIGN}, True, ""),
        (on_shelf(sale="15.00"), {"sale": CAMPAIGN}, False, ""),
        (on_shelf(sale="15.00"), {}, True, ""),
        (on_shelf(currency="USD"), {}, True, "USD"),
        (on_shelf("16.58", with_tax=False), {}, True, "with and without tax"),
        (on_shelf("16.58", with_tax=None), {}, True, ""),
        (on_shelf("1.00"), {"active": False}, True, "archived"),
        (None, {"active": False}, False, ""),
    ],
)
def test_price_of_an_article(shelf: Shelf | None, fields: dict[str, Any], differs: bool, declared: str) -> None:
    row = priced(shelf, **fields)
    assert row.differs == differs
    if differs:
        assert declared in row.declared
        assert bool(declared) == bool(row.declared)


def test_only_what_is_published_is_compared() -> None:
    pair = Pair("web", "odoo", channel=Channel(publish=frozenset({"price"})))
    assert not priced(on_shelf(sale="3.00"), pair).differs


# --- customers


def test_an_account_without_a_partner_waits_for_its_first_order_unless_a_flow_brings_it() -> None:
    assert customer_row(PAIR, "12", False, False).declared
    assert not customer_row(PAIR, "12", False, True).declared
    assert not customer_row(PAIR, "12", True, True).differs
