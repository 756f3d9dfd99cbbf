"""A line in the parts that ship from different places: whatever is decided, nothing of it is lost or made."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.connectors.odoo.lookups import Reference
from counterfoil.connectors.odoo.routing import parts_of
from counterfoil.connectors.odoo.translate import Impossible, Row, shop_line

CENT = Decimal("0.01")
REFERENCE = Reference(0.0, 1, "FR", {}, (), {}, {}, {}, {}, {}, warehouses={"WH": 1, "PAR": 2, "LYO": 3})
PLACES = st.lists(st.tuples(st.sampled_from(("WH", "PAR", "LYO")), st.integers(-2000, 9000)), max_size=4)


def row(quantity: int, cents: int, tax: int) -> Row:
    net = cents * CENT
    unit = net / quantity
    return Row("Mug", "counterfoil.web_order_1_line_5", 7, Decimal(quantity), unit, net, {4: tax * CENT})


@given(st.integers(1, 12), st.integers(0, 99_999), st.integers(0, 9_999), PLACES)
def test_the_parts_are_the_line(quantity: int, cents: int, tax: int, decided: list[tuple[str, int]]) -> None:
    """Quantity, net and taxes add up to the cent, also where fewer or more was decided than is ordered now."""
    whole = row(quantity, cents, tax)
    found = parts_of(whole, {"5": decided}, REFERENCE, CENT)
    parts = [part for _, part in found]
    assert sum(part.quantity for part in parts) == whole.quantity
    assert sum(part.net for part in parts) == whole.net
    assert sum(part.total_tax for part in parts) == whole.total_tax
    assert all(part.quantity > 0 for part in parts)
    names = [part.external_id for part in parts]
    assert (names[0], len(set(names))) == (whole.external_id, len(names))
    assert {shop_line(name) for name in names} == {"5"}


def test_a_place_that_is_not_there() -> None:
    with pytest.raises(Impossible):
        parts_of(row(1, 100, 20), {"5": [("XX", 1000)]}, REFERENCE, CENT)
