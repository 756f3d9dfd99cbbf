"""What a channel is told of stock: one number, by one declared meaning."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.retail.product import Basis, Place, StockLevel, StockRule

UNITS = st.decimals(-50, 50, places=1)
PLACES = st.lists(
    st.builds(Place, warehouse=st.sampled_from("AB"), on_hand=UNITS, outgoing=UNITS, incoming=UNITS), max_size=4
)


def level(*places: Place) -> StockLevel:
    return StockLevel(system="odoo", id="7", sku="TEE", places=places)


MAIN = Place(warehouse="WH", on_hand=Decimal(10), outgoing=Decimal(4), incoming=Decimal(6))
OTHER = Place(warehouse="NORTH", on_hand=Decimal(3))


@pytest.mark.parametrize(("basis", "units"), [(Basis.ON_HAND, 10), (Basis.AVAILABLE, 6), (Basis.FORECAST, 12)])
def test_the_number_follows_the_channels_own_rule_and_nothing_is_taken_off_twice(basis: Basis, units: int) -> None:
    """A channel that subtracts its own orders is told what is on hand, another what is available. case: F16"""
    assert StockRule(basis=basis).quantity(level(MAIN)) == units


def test_only_the_declared_warehouses_count_and_none_declared_means_all() -> None:
    assert StockRule().quantity(level(MAIN, OTHER)) == 9
    assert StockRule(warehouses=("NORTH",)).quantity(level(MAIN, OTHER)) == 3


def test_the_safety_stock_is_kept_back_once_not_by_warehouse() -> None:
    assert StockRule(safety_stock=Decimal(2)).quantity(level(MAIN, OTHER)) == 7


def test_half_a_piece_cannot_be_sold() -> None:
    assert StockRule().quantity(level(Place(warehouse="WH", on_hand=Decimal("2.9")))) == 2


@given(PLACES, st.sampled_from(Basis), st.decimals(0, 20, places=0))
def test_a_channel_is_never_told_less_than_nothing_nor_more_than_there_is(
    places: list[Place], basis: Basis, safety: Decimal
) -> None:
    told = StockRule(basis=basis, safety_stock=safety).quantity(level(*places))
    there = sum((p.on_hand for p in places), Decimal(0))
    if basis is not Basis.ON_HAND:
        there -= sum((p.outgoing for p in places), Decimal(0))
    if basis is Basis.FORECAST:
        there += sum((p.incoming for p in places), Decimal(0))
    assert told >= 0
    assert told <= max(Decimal(0), there - safety)


def test_a_level_goes_by_the_variants_own_id_so_that_one_link_serves_both() -> None:
    assert level().canonical_id == "odoo:variant:7"
