"""An order in Odoo's terms: every amount is the customer's, to the cent, whatever the shop's way of counting."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conformance.making import line, order

from counterfoil.connectors.odoo.translate import (
    MOST_PRICE_DIGITS,
    Currency,
    Draft,
    Impossible,
    OdooTax,
    check,
    conflict_keys,
    draft,
    load_fields,
    load_rows,
    order_name,
    outside_taxes,
    price_unit,
    sorted_unique,
)
from counterfoil.connectors.odoo.versions import V19
from counterfoil.retail.money import Money, round_to
from counterfoil.retail.order import Line, LineKind, Order

EUR = Currency(1, "EUR", Decimal("0.01"), 0)
JPY = Currency(2, "JPY", Decimal(1), 5)
SERVICES = {"shipping": 901, "fee": 902, "rounding": 903}
CENT = Decimal("0.01")


def tax(percent: str, included: bool = False) -> OdooTax:
    """A tax of Odoo, numbered by its percentage."""
    return OdooTax(int(Decimal(percent) * 10), f"{percent}% G", Decimal(percent), included, "FR", "consu")


def drafted(of: Order, tolerance: int = 5, included: bool = False, currency: Currency = EUR) -> Draft:
    """The draft with each rate mapped to a tax of its percentage."""
    taxes = {
        (part.code, each.tax_class, each.kind): tax(part.code.removeprefix("rate-"), included)
        for each in of.lines
        for part in each.taxes
    }
    products = {each.sku: 10 + n for n, each in enumerate(of.lines) if each.sku}
    return draft(of, currency, products, SERVICES, taxes, tolerance)


def as_odoo_sees(made: Draft) -> Decimal:
    """Price by quantity of each line, rounded as Odoo does it (in floats), plus the taxes sent along."""
    lines = [round(float(row.price_unit) * float(row.quantity) * 100) for row in made.rows]
    return Decimal(sum(lines)).scaleb(-2) + sum(a for row in made.rows for a in row.taxes.values())


# --- unit prices ----------------------------------------------------------------------------------------------


NETS = st.integers(-(10**8), 10**8).map(lambda cents: Decimal(cents).scaleb(-2))
QUANTITIES = st.one_of(
    st.integers(1, 5000).map(Decimal), st.integers(1, 10**6).map(lambda thousandths: Decimal(thousandths).scaleb(-3))
)


@given(NETS, QUANTITIES)
def test_the_unit_price_gives_the_exact_net(net: Decimal, quantity: Decimal) -> None:
    """case: F24 - price × quantity is the line's net to the cent, in decimals as in Odoo's floats."""
    price = price_unit(net, quantity)
    assert round_to(price * quantity, CENT) == net
    assert round(float(price) * float(quantity), 2) == float(net)


@given(NETS, QUANTITIES)
def test_the_unit_price_has_the_fewest_digits_that_do(net: Decimal, quantity: Decimal) -> None:
    """9.99 stays 9.99 on the customer's invoice: digits are added only where the net needs them."""
    price = price_unit(net, quantity)
    places = -int(price.as_tuple().exponent)
    assert 2 <= places <= MOST_PRICE_DIGITS
    for fewer in range(2, places):
        shorter = round_to(net / quantity, Decimal(1).scaleb(-fewer))
        assert abs(shorter * quantity - net) > Decimal("0.000005")


@pytest.mark.parametrize(
    ("net", "quantity", "price"),
    [
        ("29.97", "3", "9.99"),
        ("10.00", "3", "3.333333"),
        ("0.01", "3", "0.003333"),
        ("100", "7", "14.285714"),
        ("-10.00", "3", "-3.333333"),
        ("10.00", "2.5", "4.00"),
        ("0.00", "4", "0.00"),
        ("6.125", "2", "3.0625"),
    ],
)
def test_some_unit_prices(net: str, quantity: str, price: str) -> None:
    """77 of 164 recorded orders need more than two digits."""
    assert str(price_unit(Decimal(net), Decimal(quantity))) == price


# --- whole orders ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shop_includes_tax", [True, False])
def test_a_price_is_never_taxed_twice(shop_includes_tax: bool) -> None:
    """case: F24 - 69 stays 69, from a shop that prints prices with tax and from one that does not."""
    made = drafted(order("1", line("A", "57.98", {"19": "11.02"}), prices_include_tax=shop_includes_tax))
    assert (made.untaxed, made.tax, made.total) == (Decimal("57.98"), Decimal("11.02"), Decimal("69.00"))
    assert made.rows[0].price_unit == Decimal("57.98")
    assert as_odoo_sees(made) == Decimal("69.00")


def test_a_tax_that_odoo_includes_gets_the_price_with_it() -> None:
    """case: F24 - Odoo takes the tax out again, so that the net is the same."""
    row = drafted(order("1", line("A", "115.97", {"19": "22.03"}, quantity="2")), included=True).rows[0]
    assert (row.price_unit, row.net, sum(row.taxes.values())) == (Decimal("69.00"), Decimal("115.97"), Decimal("22.03"))


def test_of_two_taxes_only_the_included_one_is_in_the_price() -> None:
    """case: F24 - the other is added by Odoo and must not be in twice."""
    of = order("1", line("A", "100.00", {"20": "20.00", "1": "1.00"}))
    taxes = {
        ("rate-20", "", LineKind.PRODUCT): tax("20", included=True),
        ("rate-1", "", LineKind.PRODUCT): tax("1"),
    }
    assert draft(of, EUR, {"A": 10}, SERVICES, taxes, 5).rows[0].price_unit == Decimal("120.00")


def test_a_fixed_voucher_over_several_rates_keeps_the_total() -> None:
    """case: F25 - 75 off, spread over 20 %, 5.5 % and a free line: nothing negative, all to the cent."""
    of = order(
        "1",
        line("A", "18.75", {"20": "3.75"}, quantity="3"),
        line("B", "11.85", {"5.5": "0.65"}, quantity="7"),
        line("C", "0.00", {"20": "0.00"}),
        line(net="4.13", taxes={"20": "0.83"}, kind=LineKind.SHIPPING),
    )
    made = drafted(of)
    assert (made.total, made.rounding) == (Decimal("39.96"), 0)
    assert as_odoo_sees(made) == of.total.amount
    assert [row.net for row in made.rows] == [each.net.amount for each in of.lines]
    assert made.rows[1].price_unit * 7 == pytest.approx(Decimal("11.85"), abs=Decimal("0.000005"))


def test_a_percentage_voucher_and_a_negative_fee_keep_the_total() -> None:
    """case: F25 - a third off each line, and money off as a fee of its own."""
    of = order(
        "1",
        line("A", "6.67", {"20": "1.33"}),
        line("B", "3.33", {"10": "0.33"}),
        line(net="-5.00", taxes={"20": "-1.00"}, kind=LineKind.FEE),
    )
    made = drafted(of)
    assert made.total == Decimal("5.66")
    assert as_odoo_sees(made) == made.total
    assert (made.rows[2].product, made.rows[2].price_unit) == (902, Decimal("-5.00"))


@pytest.mark.parametrize(
    ("total", "cents"), [("62.35", "-0.01"), ("62.36", "0"), ("62.37", "0.01"), ("62.41", "0.05"), ("62.31", "-0.05")]
)
def test_a_rounding_difference_gets_a_named_line(total: str, cents: str) -> None:
    """case: F26 - 15.59 × 4: what the parts lack stands on a line called Rounding, without tax."""
    of = order("1", *(line(f"S{n}", "12.99", {"20": "2.60"}) for n in range(4)), told_total=total)
    made = drafted(of)
    extra = [row for row in made.rows if row.external_id == "counterfoil.web_order_1_rounding"]
    assert made.rounding == Decimal(cents)
    assert made.total == Decimal(total) == made.untaxed + made.tax
    assert [(r.name, r.product, r.price_unit, dict(r.taxes)) for r in extra] == (
        [("Rounding", 903, Decimal(cents), {})] if Decimal(cents) else []
    )


@pytest.mark.parametrize(("total", "tolerance"), [("62.42", 5), ("62.30", 5), ("62.37", 0), ("100.00", 5)])
def test_beyond_the_tolerance_a_person_decides(total: str, tolerance: int) -> None:
    """case: F26 - the exception names both amounts; nothing is made in Odoo."""
    of = order("1", *(line(f"S{n}", "12.99", {"20": "2.60"}) for n in range(4)), told_total=total)
    with pytest.raises(Impossible) as no:
        drafted(of, tolerance)
    assert no.value.outcome.reason == "amounts_differ"
    assert "62.36" in no.value.outcome.message
    assert total in no.value.outcome.message


@given(
    st.lists(
        st.tuples(
            st.integers(-(10**6), 10**7), st.integers(0, 10**6), st.integers(1, 60), st.sampled_from("20 5.5 0".split())
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(-5, 5),
)
def test_what_odoo_gets_always_balances(parts: list[tuple[int, int, int, str]], off: int) -> None:
    """case: F27 - untaxed + tax is the total, exactly, and so are the sums over the lines: nothing to post is
    out of balance."""
    lines = [
        line(f"S{n}", str(Decimal(net).scaleb(-2)), {rate: str(Decimal(amount).scaleb(-2))}, quantity=str(quantity))
        for n, (net, amount, quantity, rate) in enumerate(parts)
    ]
    told = sum((x.net.amount + x.tax.amount for x in lines), Decimal(0)) + Decimal(off).scaleb(-2)
    of = order("1", *lines, told_total=str(told))
    made = drafted(of)
    assert made.untaxed + made.tax == made.total == of.total.amount
    assert sum(row.net for row in made.rows) == made.untaxed
    assert sum(a for row in made.rows for a in row.taxes.values()) == made.tax
    assert as_odoo_sees(made) == made.total


def test_finer_amounts_than_the_currency_has_are_rounded_line_by_line() -> None:
    """case: F27 - 8.01 + 1.20 for 9.22: the cent goes to the rounding line, not into thin air."""
    of = order("1", line("A", "8.0125", {"15": "1.2025"}), told_total="9.22")
    made = drafted(of)
    assert (made.untaxed, made.tax, made.rounding, made.total) == tuple(map(Decimal, ("8.02", "1.20", "0.01", "9.22")))


def test_yen_have_no_cents() -> None:
    """A shop in JPY that counts with two decimals: Odoo gets whole yen."""
    of = order("1", line("A", "1234.50", {"10": "123.45"}, currency="JPY", quantity="3"), currency="JPY")
    made = drafted(of, currency=JPY)
    assert (made.untaxed, made.tax, made.total, made.rounding) == (Decimal(1235), Decimal(123), Decimal(1358), 0)
    assert made.rows[0].price_unit * 3 == pytest.approx(Decimal(1235), abs=Decimal("0.00001"))
    off = drafted(of.model_copy(update={"total": Money.of("1362.60", "JPY")}), currency=JPY)
    assert (off.rounding, off.total) == (Decimal(5), Decimal(1363))
    with pytest.raises(Impossible):
        drafted(of.model_copy(update={"total": Money.of("1363.50", "JPY")}), currency=JPY)


# --- taxes from outside ---------------------------------------------------------------------------------------


def test_the_taxes_the_customer_paid_ride_along() -> None:
    """case: F26 - neither Odoo's rounding method nor the order of its taxes can move a cent."""
    made = drafted(order("1", line("A", "33.33", {"20": "6.67", "1": "0.33"}, quantity="3")))
    told = json.loads(outside_taxes(made.rows[0], made.currency))
    assert told == {
        "currency_id": 1,
        "price_unit": 11.11,
        "discount": 0.0,
        "quantity": 3.0,
        "rate": 1.0,
        "manual_total_excluded_currency": 33.33,
        "manual_tax_amounts": {
            "200": {"tax_amount_currency": 6.67, "base_amount_currency": 33.33},
            "10": {"tax_amount_currency": 0.33, "base_amount_currency": 33.33},
        },
    }


def test_a_line_without_taxes_has_none_to_tell() -> None:
    """Odoo would not read an empty table back."""
    assert outside_taxes(drafted(order("1", line("A", "5.00"))).rows[0], EUR) == ""


def test_two_rates_of_the_shop_on_one_tax_of_odoo_are_summed() -> None:
    """City and state tax under one tax in Odoo."""
    of = order("1", line("A", "100.00", {"5": "5.00", "6": "6.00"}))
    both = {(f"rate-{p}", "", LineKind.PRODUCT): tax("11") for p in "56"}
    row = draft(of, EUR, {"A": 10}, SERVICES, both, 5).rows[0]
    assert dict(row.taxes) == {110: Decimal("11.00")}


def test_nought_percent_without_a_tax_in_odoo_leaves_none() -> None:
    """Exports need no tax record."""
    of = order("1", line("A", "100.00", {"0": "0.00"}))
    assert dict(draft(of, EUR, {"A": 10}, SERVICES, {("rate-0", "", LineKind.PRODUCT): None}, 5).rows[0].taxes) == {}


# --- what no ERP can take -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        (order("1", line(net="5.00", kind=LineKind.SHIPPING)), "no_lines"),
        (order("1", line("A", "-5.00")), "negative_total"),
        (order("1", line("A", quantity="0")), "bad_quantity"),
        (order("1", line("A", quantity="-1")), "bad_quantity"),
        (order("1", line("A", product_id="")), "line_without_product"),
        (order("1", line("")), "unknown_sku"),
    ],
)
def test_orders_that_cannot_be_taken_over(of: Order, reason: str) -> None:
    """case: F38 - each with its reason, in plain words, and what to do."""
    with pytest.raises(Impossible) as no:
        check(of)
    assert no.value.outcome.reason == reason
    assert no.value.outcome.kind == "rejected"
    assert no.value.outcome.message
    assert no.value.outcome.suggestion


def test_a_free_order_and_a_shipping_only_refund_are_no_trouble() -> None:
    """A total of nought is an order like any other."""
    check(order("1", line("A", "0.00")))


# --- rows -----------------------------------------------------------------------------------------------------


def test_names_come_from_the_source_alone() -> None:
    """case: F04 - the external ids of an order and its lines hold nothing of attempt, amount or time."""
    of = order("42", line("A"), line(net="4", kind=LineKind.SHIPPING), system="web-eu")
    later = of.model_copy(update={"modified_at": of.modified_at + timedelta(days=1), "number": "other"})
    assert order_name(of) == order_name(later) == "web-eu_order_42"
    assert [row.external_id for row in drafted(of).rows] == [row.external_id for row in drafted(later).rows]
    assert drafted(of).external_id == "counterfoil.web-eu_order_42"
    assert [row.external_id for row in drafted(of).rows] == [
        "counterfoil.web-eu_order_42_line_100",
        "counterfoil.web-eu_order_42_line_101",
    ]


def test_the_order_stands_beside_its_first_line_only() -> None:
    """As `load()` wants it; each line has its name, or Odoo recomputes every line for each line."""
    of = order("1", line("A", "10.00", {"20": "2.00"}), line("B", "3.00"), note="to the door")
    rows = load_rows(of, drafted(of), 5, 6, 7, V19)
    columns = load_fields(V19)
    named = [dict(zip(columns, row, strict=True)) for row in rows]
    assert named[0] | {"order_line/extra_tax_data": ""} == {
        "id": "counterfoil.web_order_1",
        "partner_id/.id": "5",
        "partner_invoice_id/.id": "6",
        "partner_shipping_id/.id": "7",
        "pricelist_id/.id": "",
        "client_order_ref": "#1",
        "origin": "web:order:1",
        "date_order": "2026-11-02 10:30:00",
        "note": "to the door",
        "order_line/id": "counterfoil.web_order_1_line_100",
        "order_line/product_id/.id": "10",
        "order_line/name": "Article A",
        "order_line/product_uom_qty": "1",
        "order_line/price_unit": "10.00",
        "order_line/discount": "0",
        "order_line/tax_ids/.id": "200",
        "order_line/extra_tax_data": "",
    }
    assert all(named[1][column] == "" for column in columns if not column.startswith("order_line/"))
    assert all(row["order_line/name"] for row in named)
    assert all(isinstance(cell, str) for row in rows for cell in row)


@pytest.mark.parametrize(
    ("placed", "written"),
    [
        (datetime(2026, 3, 29, 1, 30, tzinfo=UTC), "2026-03-29 01:30:00"),
        (datetime(2026, 3, 29, 1, 30, tzinfo=timezone(timedelta(hours=-7))), "2026-03-29 08:30:00"),
        (datetime(2026, 10, 25, 2, 30, 59, 999999, tzinfo=timezone(timedelta(hours=2))), "2026-10-25 00:30:59"),
    ],
)
def test_odoo_gets_utc(placed: datetime, written: str) -> None:
    """case: F10 - Odoo keeps UTC: the order's date is told in it, whatever zone the moment was given in."""
    of = order("1", placed_at=placed)
    assert load_rows(of, drafted(of), 1, 1, 1, V19)[0][load_fields(V19).index("date_order")] == written


def test_a_foreign_currency_goes_by_its_pricelist() -> None:
    """Odoo takes an order's currency from there and nowhere else."""
    of = order("1")
    made = replace(drafted(of), currency=replace(EUR, pricelist=12))
    assert load_rows(of, made, 1, 1, 1, V19)[0][load_fields(V19).index("pricelist_id/.id")] == "12"


def test_a_line_without_a_name_gets_one() -> None:
    """Its SKU, or what kind of charge it is."""
    bare: list[Line] = [line("A"), line(net="1", kind=LineKind.FEE)]
    of = order("1", *(each.model_copy(update={"name": ""}) for each in bare))
    assert [row.name for row in drafted(of).rows] == ["A", "fee"]


def test_what_two_confirmations_must_not_share() -> None:
    """Products are reserved, customers may be made: calls that share one are kept apart."""
    of = order("1", line("A"), line("B"), line(net="1", kind=LineKind.SHIPPING), email="Buyer@Shop.example")
    assert conflict_keys(of) == {"sku:A", "sku:B", "customer:buyer@shop.example"}
    assert conflict_keys(order("1", line("A"), email="")) == {"sku:A"}


def test_sorted_unique() -> None:
    """Stable, so that two hubs ask in the same order."""
    assert sorted_unique(["b", "", "a", "b"]) == ["a", "b"]
