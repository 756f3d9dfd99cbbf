"""An order adds up or cannot be built; what it says of itself follows from its parts."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.conformance.making import LYON, PARIS, PLACED, line, order

from counterfoil.retail.money import Money, smallest_unit
from counterfoil.retail.order import Discount, LineKind, Order, Payment, Refund, Status
from counterfoil.retail.party import Address

CENTS = st.integers(-(10**9), 10**9).map(lambda n: Decimal(n).scaleb(-2))


def changed(of: Order, **values: Any) -> Order:
    """Built anew from its parts, so that every check runs."""
    return Order.model_validate({**of.model_dump(), **values})


def test_an_order_that_adds_up_can_be_built() -> None:
    """The plain case, with the sums it offers."""
    made = order("1", line("A", "10.00", {"20": "2.00"}), line("B", "4.00", {"5.5": "0.22"}))
    assert (made.net, made.tax, made.total) == (
        Money.of("14", "EUR"),
        Money.of("2.22", "EUR"),
        Money.of("16.22", "EUR"),
    )
    assert made.tax_by_rate == {"rate-20": Money.of("2", "EUR"), "rate-5.5": Money.of("0.22", "EUR")}


@pytest.mark.parametrize("total", ["11.99", "12.01", "12.001", "0.00", "-12.00"])
def test_an_order_that_does_not_add_up_cannot_be_built(total: str) -> None:
    """case: F26 - a total that differs from the parts without saying so is refused, however small the difference."""
    with pytest.raises(ValidationError, match=r"parts sum to 12\.00 EUR, total is"):
        changed(order(), total=Money.of(total, "EUR"), rounding=Money.zero("EUR"))


def test_a_named_rounding_makes_it_add_up() -> None:
    """case: F26 - the shop's own rounding difference stands in the order under its name."""
    made = order("1", line("A", "10.00", {"20": "2.00"}), told_total="12.01")
    assert made.rounding == Money.of("0.01", "EUR")


@given(st.lists(st.tuples(CENTS, CENTS), min_size=1, max_size=5), CENTS)
def test_only_the_one_right_total_can_be_built(parts: list[tuple[Decimal, Decimal]], off: Decimal) -> None:
    """Whatever the lines: their sum is taken, and any other total only with the difference named."""
    lines = [line(f"S{n}", str(net), {"20": str(tax)}) for n, (net, tax) in enumerate(parts)]
    made = order("1", *lines)
    assert made.total.amount == sum(net + tax for net, tax in parts)
    other = made.total + Money(off, "EUR")
    if off:
        with pytest.raises(ValidationError):
            changed(made, total=other)
    assert changed(made, total=other, rounding=Money(off, "EUR")).total == other


def test_a_line_is_taxed_only_at_rates_the_order_lists() -> None:
    """A tax whose percentage nobody knows could be mapped to anything."""
    with pytest.raises(ValidationError, match="taxed at rates it does not list"):
        changed(order(), rates=())


USD = Money.of("1.00", "USD")


@pytest.mark.parametrize(
    "foreign",
    [
        {"lines": (line(currency="USD"),), "rates": ()},
        {"total": Money.of("12.00", "USD")},
        {"rounding": Money.zero("USD")},
        {"tax_told": USD},
        {"payments": (Payment(method="bacs", amount=USD),)},
        {"refunds": (Refund(id="r", amount=USD),)},
        {"discounts": (Discount(code="c", net=USD, tax=Money.zero("EUR")),)},
        {"discounts": (Discount(code="c", net=Money.zero("EUR"), tax=USD),)},
    ],
    ids=lambda foreign: next(iter(foreign)),
)
def test_every_amount_of_an_order_is_in_its_currency(foreign: dict[str, Any]) -> None:
    """case: F28 - a refund, payment or discount in another currency cannot get into an order, nor into Odoo."""
    with pytest.raises(ValidationError, match="USD"):
        changed(order(), **foreign)


def test_a_line_and_its_tax_share_a_currency() -> None:
    """case: F28 - the tax of a line in another currency than its net raises as soon as it is summed."""
    mixed = line("A", "10.00", {"20": "2.00"}).model_copy(update={"net": Money.of("10", "USD")})
    with pytest.raises(ValidationError, match="USD"):
        changed(order(), lines=(mixed,))


def test_an_order_survives_the_store() -> None:
    """Written as JSON and read again it is equal, to the last digit."""
    made = order("1", line("A", "10.123456", {"20": "2.0246912"}, quantity="2.5"), told_total="12.15", currency="EUR")
    assert Order.model_validate_json(made.model_dump_json()) == made
    assert Order.model_validate(made.model_dump(mode="json")) == made


@pytest.mark.parametrize("field", ["total", "tax_told", "rounding"])
def test_a_bare_number_is_no_amount_of_an_order(field: str) -> None:
    """case: F28 - an amount must bring its currency."""
    with pytest.raises((ValidationError, TypeError, AttributeError)):
        Order.model_validate({**order().model_dump(mode="json"), field: 12})


@pytest.mark.parametrize(
    ("status", "refunds", "total", "expected"),
    [
        (Status.PROCESSING, [], None, False),
        (Status.PROCESSING, ["11.99"], None, False),
        (Status.PROCESSING, ["2.00", "10.00"], None, True),
        (Status.PROCESSING, ["12.01"], None, True),
        (Status.REFUNDED, [], None, True),
        (Status.PROCESSING, ["0.00"], "0.00", False),
    ],
)
def test_refunded_in_full_by_word_or_by_sum(
    status: Status, refunds: list[str], total: str | None, expected: bool
) -> None:
    """An order over nought is not refunded because nothing was given back."""
    given_back = tuple(Refund(id=str(n), amount=Money.of(r, "EUR")) for n, r in enumerate(refunds))
    assert order(status=status, told_total=total, refunds=given_back).is_refunded_in_full is expected


def test_paid_when_the_first_money_came() -> None:
    """None until then."""
    later = PLACED + timedelta(days=1)
    amount = Money.of("6.00", "EUR")
    parts = [Payment(method="a", amount=amount, paid_at=at) for at in (later, None, PLACED)]
    assert order(payments=tuple(parts)).paid_at == PLACED
    assert order(paid=False).paid_at is None


def test_goods_go_to_the_billing_address_unless_another_is_given() -> None:
    """A phone number alone is no place."""
    assert order(billing=PARIS).ship_to == PARIS
    assert order(billing=PARIS, shipping=LYON).ship_to == LYON
    assert order(billing=PARIS, shipping=Address(phone="1", name="x")).ship_to == PARIS


def test_its_canonical_id_names_the_source() -> None:
    """case: F04 - system and the shop's own id, nothing of an attempt."""
    assert order("42", system="web-eu").canonical_id == "web-eu:order:42"


def test_a_line_has_the_sum_of_its_taxes() -> None:
    """Two taxes on one line."""
    made = line("A", "100", {"5": "5.00", "9.975": "9.98"}, kind=LineKind.FEE)
    assert made.tax == Money.of("14.98", "EUR")
    assert smallest_unit("EUR") == Decimal("0.01")
