"""Every row of the order table, both columns, through the whole hub between both stand-ins."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from tests import order_life
from tests.order_life import ROWS, Played, Row

from counterfoil_lab.agreement import agreed
from counterfoil_lab.prepare import prepare, variants
from counterfoil_lab.stage import OdooPlace, blueprint
from counterfoil_sandbox.odoo import make_app as make_odoo
from counterfoil_sandbox.serving import serving
from counterfoil_sandbox.woocommerce import RECORDINGS
from counterfoil_sandbox.woocommerce import make_app as make_shop


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """All rows at once, each with an order of its own."""
    folder: Path = tmp_path_factory.mktemp("order-life")
    shop, odoo = make_shop(options={"woocommerce_prices_include_tax": "no"}), make_odoo(currency="EUR", country="FR")
    with serving(shop) as shop_url, serving(odoo) as url:
        place = OdooPlace(url, "sandbox", "sandbox-key")
        variants(place.api, RECORDINGS)
        prepare(place.api, RECORDINGS, ["EUR"])
        file = blueprint(folder, place, shop_url, poll="1s", catalogue=RECORDINGS, whole=True)
        yield asyncio.run(order_life.play(file, shop.shop, shop_url, place, list(ROWS)))


@pytest.mark.parametrize(("kind", "row"), ROWS, ids=[f"{kind}: {row.name}" for kind, row in ROWS])
def test_the_order_table(kind: str, row: Row, played: Played) -> None:
    """What must stand on both sides, at the end of each row. case: F31, F37"""
    assert order_life.compare(row, played.numbers[(kind, row.name)], played) == {}, "\n".join(played.words)


def test_money_waits_where_the_erp_has_booked_less_than_the_shop_says_and_nowhere_else(played: Played) -> None:
    """By both systems' own books: of all that happens here, what was added to an order that had left already."""
    waits = {item.order: item.amount for item in played.money}
    apart = {played.numbers[kind, row.name] for kind, row in ROWS if row.apart}
    less = {}
    for number in played.sale.keys() - apart:
        paid = Decimal(played.shop[number]["total"]) if played.shop[number]["date_paid"] else Decimal(0)
        for sale in played.sale[number]:
            if sale["state"] != "cancel" and paid > sale["paid"]:
                less[f"{order_life.SHOP}:order:{number}"] = paid - sale["paid"]
    assert waits == less
    assert list(waits) == [f"{order_life.SHOP}:order:{played.numbers['accepted', 'quantity changed after shipping']}"]
    assert [item.kind for item in played.money] == ["payment"]


def test_the_independent_reading_of_both_systems_agrees(played: Played) -> None:
    """Judged from shop and Odoo alone, orders that wait for a person left out."""
    assert agreed(played.verdict), "\n".join([str(played.verdict["wrong"]), *played.words])
