"""Kits: articles that Odoo makes of others when they are sold (a bill of materials of type `phantom`, module mrp).

They have no stock of their own. Where the module is not there, or the key's user may not read it, there are none.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from counterfoil.connectors.odoo.prices import exact
from counterfoil.connectors.odoo.watching import KEEP, Reader, Row, Watch, number

BOMS = Watch("mrp.bom", "product_tmpl_id", ("type", "active", "product_qty"))
LINES = Watch("mrp.bom.line", "bom_id", ("product_qty",))
"""A line that is taken out in its bill moves the bill's own time (tried on 19); else the walk finds it."""
_BOM = ["product_tmpl_id", "product_id", "product_qty", "product_uom_id", "sequence"]
_LINE = ["bom_id", "product_id", "product_qty", "product_uom_id", "bom_product_template_attribute_value_ids"]
_DIGITS = Decimal("0.000001")


class Kits:
    """Reads what kits are made of."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._there = (0.0, False)

    async def watches(self) -> tuple[Watch, ...]:
        """What to watch; nothing where there are no kits. Raises Failure."""
        at, there = self._there
        if not at or time.monotonic() - at > KEEP:
            there = await self._readable(BOMS.model) and await self._readable(LINES.model)
            self._there = (time.monotonic(), there)
        return (BOMS, LINES) if there else ()

    async def _readable(self, model: str) -> bool:
        if not await self.reader.fields(model):
            return False
        method = (await self.reader.client.names()).access_method
        quietly: dict[str, Any] = {} if method == "has_access" else {"raise_exception": False}
        return bool(await self.reader.client.call(model, method, operation="read", **quietly))

    async def of_lines(self, lines: Sequence[int]) -> set[int]:
        """The products (templates) that these lines of bills are about. Raises Failure."""
        rows = await self.reader.rows(LINES.model, [["id", "in", list(lines)]], ["bom_id"])
        boms = sorted({number(row["bom_id"]) for row in rows})
        found = await self.reader.rows(BOMS.model, [["id", "in", boms]], ["product_tmpl_id"])
        return {number(row["product_tmpl_id"]) for row in found}

    async def read(
        self, variants: Sequence[Row], chosen: Mapping[int, int], company: int
    ) -> dict[int, list[tuple[int, str]]]:
        """Of each variant (id, product_tmpl_id, product_template_attribute_value_ids) that is a kit: (part, units).

        `chosen` is the attribute line of each attribute value. Parts whose stock is not kept are left out; a part that
        is a kit itself is not. Raises Failure.
        """
        if not variants or not await self.watches():
            return {}
        templates = sorted({number(v["product_tmpl_id"]) for v in variants})
        domain: list[Any] = [["type", "=", "phantom"], ["product_tmpl_id", "in", templates]]
        domain += [["company_id", "in", [False, company]]]
        boms = await self.reader.rows(BOMS.model, domain, _BOM, archived=False)
        domain = [["bom_id", "in", [bom["id"] for bom in boms]]]
        lines = await self.reader.rows(LINES.model, domain, _LINE) if boms else []
        if not lines:
            return {}
        units = await self._units([v["id"] for v in variants], lines, boms)
        own: dict[int, list[Row]] = defaultdict(list)
        for line in lines:
            own[number(line["bom_id"])].append(line)
        found: dict[int, list[tuple[int, str]]] = {}
        for variant in variants:
            bom = _bom_of(variant, boms)
            if bom is not None:
                found[variant["id"]] = _parts(variant, bom, own[bom["id"]], chosen, units)
        return found

    async def _units(self, kits: Sequence[int], lines: Sequence[Row], boms: Sequence[Row]) -> _Units:
        names = await self.reader.client.names()
        ids = sorted({*kits, *(number(line["product_id"]) for line in lines)})
        storable = names.storable[0][0]
        rows = await self.reader.rows("product.product", [["id", "in", ids]], ["uom_id", storable], ["is_kits"])
        counted = {row["id"] for row in rows if row[storable] == names.is_storable()[2] or row.get("is_kits")}
        units = {row["id"]: number(row["uom_id"]) for row in rows}
        wanted = {*units.values(), *(number(row["product_uom_id"]) for row in (*lines, *boms))}
        factors = await self.reader.rows("uom.uom", [["id", "in", sorted(wanted)]], ["factor"])
        # up to 18 a factor says how many make one of the reference, from 19 on of how many references one is made
        return _Units(units, counted, {row["id"]: exact(row["factor"]) for row in factors}, names.major >= 19)


class _Units:
    """Units of measure of articles, and how they compare."""

    def __init__(self, of: dict[int, int], counted: set[int], factors: dict[int, Decimal], upward: bool) -> None:
        self.of, self.counted, self._factors, self._upward = of, counted, factors, upward

    def amount(self, quantity: float, unit: int, article: int) -> Decimal:
        """So many of the unit in the article's own."""
        own = self.of.get(article, unit)
        if unit == own:
            return exact(quantity)
        ratio = self._factors[unit] / self._factors[own]
        return exact(quantity) * ratio if self._upward else exact(quantity) / ratio


def _bom_of(variant: Row, boms: Sequence[Row]) -> Row | None:
    """The first by sequence, and of two alike the variant's own, as Odoo finds it."""
    fit = [
        bom
        for bom in boms
        if number(bom["product_tmpl_id"]) == number(variant["product_tmpl_id"])
        and number(bom["product_id"]) in (0, variant["id"])
    ]
    return min(fit, key=lambda bom: (bom["sequence"], not number(bom["product_id"]), bom["id"]), default=None)


def _parts(
    variant: Row, bom: Row, lines: Sequence[Row], chosen: Mapping[int, int], units: _Units
) -> list[tuple[int, str]]:
    values = set(variant["product_template_attribute_value_ids"])
    made = units.amount(bom["product_qty"], number(bom["product_uom_id"]), variant["id"]) or Decimal(1)
    found: dict[int, Decimal] = {}
    for line in lines:
        part = number(line["product_id"])
        if part in units.counted and _meant(line["bom_product_template_attribute_value_ids"], values, chosen):
            amount = units.amount(line["product_qty"], number(line["product_uom_id"]), part) / made
            found[part] = found.get(part, Decimal(0)) + amount
    return [(part, f"{amount.quantize(_DIGITS).normalize():f}") for part, amount in found.items() if amount > 0]


def _meant(asked: Sequence[int], values: set[int], chosen: Mapping[int, int]) -> bool:
    """Whether the line is for a variant of these values: of each attribute that it names, one of those."""
    by_attribute: dict[int, set[int]] = defaultdict(set)
    for value in asked:
        by_attribute[chosen.get(value, -value)].add(value)
    return all(values & any_of for any_of in by_attribute.values())
