"""A level of stock as availability counts it."""

from __future__ import annotations

from decimal import Decimal

from counterfoil.retail.availability import Policy
from counterfoil.retail.product import Place, StockLevel


def level(*places: Place) -> StockLevel:
    return StockLevel(system="odoo", id="7", sku="TEE", places=places)


MAIN = Place(warehouse="WH", on_hand=Decimal(10), outgoing=Decimal("4.5"), incoming=Decimal(6))
OTHER = Place(warehouse="NORTH", on_hand=Decimal(3))


def test_a_level_is_counted_in_thousandths_and_a_warehouse_told_twice_is_one() -> None:
    assert level(MAIN, OTHER, OTHER).counted() == {"WH": (10_000, 4_500, 6_000), "NORTH": (6_000, 0, 0)}


def test_what_may_be_sold_of_a_level_is_whole_units_less_what_is_taken_and_not_in_it() -> None:
    assert level(MAIN, OTHER).to_sell(Policy()) == 8
    assert level(MAIN, OTHER).to_sell(Policy(places=frozenset({"NORTH"})), {"NORTH": 500}) == 2
    assert level(OTHER).to_sell(Policy(safety=4_000)) == 0


def test_a_level_goes_by_the_variants_own_id_so_that_one_link_serves_both() -> None:
    assert level().canonical_id == "odoo:variant:7"
