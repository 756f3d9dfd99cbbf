"""Kits: what Odoo makes of others when it is sold, in the parts' own units."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.unit.connectors.odoo.an_odoo import AnOdoo

from counterfoil.connectors.odoo.kits import Kits
from counterfoil.connectors.odoo.watching import Reader

PIECE, DOZEN = 1, 2
RED, BLUE, BIG, SMALL = 31, 32, 41, 42  # values of the attribute lines 3 and 4
LINE_OF = {RED: 3, BLUE: 3, BIG: 4, SMALL: 4}
KIT = {"id": 10, "product_tmpl_id": 100, "product_template_attribute_value_ids": [RED, BIG]}


class WithBills(AnOdoo):
    """An Odoo with bills of materials; `allowed` says whether its user may read them."""

    allowed = True

    def __init__(self, major: int) -> None:
        super().__init__(major)
        self.write("uom.uom", PIECE, factor=1.0)
        self.write("uom.uom", DOZEN, factor=12.0 if major >= 19 else 1 / 12)
        storable = {name: True if value == "True" else value for name, value in (storable_by(major)).items()}
        for article in (10, 21, 22):
            self.write("product.product", article, uom_id=PIECE, is_kits=article == 10, **storable)
        self.write("product.product", 23, uom_id=PIECE, is_kits=False, **dict.fromkeys(storable, False))

    def bill(self, id_: int, *lines: tuple[int, float, int, list[int]], variant: int = 0, **own: Any) -> None:
        """A kit's bill with (part, quantity, unit, for which values)."""
        values = {"product_tmpl_id": 100, "product_id": variant, "product_qty": 1.0, "product_uom_id": PIECE}
        rest = {"sequence": 1, "type": "phantom", "active": True, "company_id": False}
        self.write("mrp.bom", id_, **{**values, **rest, **own})
        for n, (part, quantity, unit, wanted) in enumerate(lines):
            line = {"bom_id": id_, "product_id": part, "product_qty": quantity, "product_uom_id": unit}
            self.write("mrp.bom.line", id_ * 10 + n, **line, bom_product_template_attribute_value_ids=wanted)

    async def call(self, model: str, method: str, *positional: Any, **arguments: Any) -> Any:
        """The question whether it may be read, too."""
        if method in ("has_access", "check_access_rights"):
            return self.allowed
        return await super().call(model, method, *positional, **arguments)


def storable_by(major: int) -> dict[str, str]:
    """The fields that say that an article's stock is kept, in that version."""
    return {"is_storable": "True"} if major >= 18 else {"type": "product"}


async def parts(odoo: WithBills) -> dict[int, Decimal]:
    found = await Kits(Reader(odoo)).read([KIT], LINE_OF, 1)
    return {part: Decimal(units) for part, units in found.get(10, [])}


@pytest.mark.parametrize("major", [14, 18, 19])
async def test_parts_are_in_their_own_units_for_one_kit(major: int) -> None:
    """A bill of a dozen pieces for two kits is six for one; what is not counted is no part; the same part adds up."""
    odoo = WithBills(major)
    odoo.bill(
        1, (21, 1.0, DOZEN, []), (22, 1.0, PIECE, []), (22, 2.0, PIECE, []), (23, 5.0, PIECE, []), product_qty=2.0
    )
    assert await parts(odoo) == {21: Decimal(6), 22: Decimal("1.5")}


async def test_a_line_for_other_values_is_not_meant_and_of_each_attribute_one_is_enough() -> None:
    odoo = WithBills(19)
    no, yes = (21, 1.0, PIECE, [BLUE]), (21, 2.0, PIECE, [BLUE, RED, BIG])
    odoo.bill(1, no, yes, (22, 4.0, PIECE, [BIG]), (22, 8.0, PIECE, [RED, SMALL]))
    assert await parts(odoo) == {21: Decimal(2), 22: Decimal(4)}


async def test_the_first_bill_counts_the_variants_own_before_one_of_all() -> None:
    odoo = WithBills(19)
    odoo.bill(1, (21, 1.0, PIECE, []))
    odoo.bill(2, (22, 2.0, PIECE, []), variant=10)
    odoo.bill(3, (22, 9.0, PIECE, []), sequence=0, company_id=7)
    assert await parts(odoo) == {22: Decimal(2)}


async def test_where_bills_may_not_be_read_or_are_not_there_there_are_no_kits() -> None:
    odoo = WithBills(19)
    assert await parts(odoo) == {}
    odoo.bill(1, (21, 1.0, PIECE, []))
    odoo.allowed = False
    assert await parts(odoo) == {}
    assert await Kits(Reader(odoo)).watches() == ()


async def test_a_changed_line_is_about_the_product_of_its_bill() -> None:
    odoo = WithBills(19)
    odoo.bill(1, (21, 1.0, PIECE, []))
    assert await Kits(Reader(odoo)).of_lines([10]) == {100}
