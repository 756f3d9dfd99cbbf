"""The judge of what was sold: it lets nothing pass that it should not."""

from __future__ import annotations

import pytest

from counterfoil_lab import oversold

UNITS = {"A": 60, "B": 40}


@pytest.mark.parametrize(
    ("in_shops", "in_odoo", "passes"),
    [
        ({"A": 60, "B": 40}, {"A": 60, "B": 40}, True),
        ({"A": 60, "B": 38}, {"A": 60, "B": 38}, True),
        ({"A": 60, "B": 37}, {"A": 60, "B": 37}, False),  # too little was sold
        ({"A": 61, "B": 39}, {"A": 61, "B": 39}, False),  # of A one too many, though 100 in all
        ({"A": 60, "B": 40}, {"A": 60, "B": 39}, False),  # one never came to Odoo
        ({"A": 60, "B": 39}, {"A": 61, "B": 39}, False),  # Odoo sold what no shop did
        ({}, {}, False),
    ],
)
def test_what_passes(in_shops: dict[str, int], in_odoo: dict[str, int], passes: bool) -> None:
    assert oversold.passed(oversold.judge(UNITS, in_shops, in_odoo)) is passes


def test_orders_that_do_not_stand_have_sold_nothing() -> None:
    lines = [{"sku": "A", "quantity": 2}, {"sku": "OTHER", "quantity": 9}]
    orders = [{"status": status, "line_items": lines} for status in ("processing", "completed", "cancelled")]
    assert oversold.sold_in_shops(orders, UNITS) == {"A": 4}
