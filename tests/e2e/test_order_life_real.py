"""The main rows of the order table through the whole hub, between the shop's stand-in and a real Odoo, 19 and 14."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import order_life
from tests.e2e.odoo_real import an_odoo
from tests.order_life import ROWS, Played, Row

from counterfoil_lab.agreement import agreed
from counterfoil_lab.prepare import variants
from counterfoil_lab.stage import OdooPlace, at, blueprint, prepared
from counterfoil_sandbox.serving import serving
from counterfoil_sandbox.woocommerce import RECORDINGS
from counterfoil_sandbox.woocommerce import make_app as make_shop

pytestmark = pytest.mark.timeout(300)  # a whole hub, and a server in one process, on a busy machine
MAIN = tuple((kind, row) for kind, row in ROWS if row.real)


TAX_NUMBERS = {"DE": "DE136695976", "PL": "PL1234567883"}
"""Of no company, but with the right check digits: the recorded orders are taxed in these countries."""


def register_abroad(place: OdooPlace) -> None:
    """The company is registered for taxes where its shop charges them: without a fiscal position that has a tax number
    of that country, Odoo posts no other taxes than its own country's (account_move.py, _validate_taxes_country)."""
    countries = place.api.read("res.country", [["code", "in", sorted(TAX_NUMBERS)]], ["name", "code"])
    values = [
        {"name": c["name"], "country_id": c["id"], "auto_apply": True, "foreign_vat": TAX_NUMBERS[c["code"]]}
        for c in countries
    ]
    place.api.call("account.fiscal.position", "create", vals_list=values)


@pytest.fixture(scope="module", params=(19, 14), ids=("Odoo 19", "Odoo 14"))
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """All main rows at once, each with an order of its own."""
    version: int = request.param
    folder: Path = tmp_path_factory.mktemp("order-life")
    shop = make_shop(options={"woocommerce_prices_include_tax": "no"})
    with an_odoo(version, workers=2 if version == 19 else 0) as answer, serving(shop) as shop_url:
        place = at(answer, version)
        variants(place.api, RECORDINGS)
        prepared(place, RECORDINGS, {"EUR"})
        if version == 19:
            register_abroad(place)
        file = blueprint(folder, place, shop_url, poll="1s", catalogue=RECORDINGS, whole=True)
        yield asyncio.run(order_life.play(file, shop.shop, shop_url, place, list(MAIN)))


@pytest.mark.parametrize(("kind", "row"), MAIN, ids=[f"{kind}: {row.name}" for kind, row in MAIN])
def test_the_order_table(kind: str, row: Row, played: Played) -> None:
    """What must stand on both sides, at the end of each row. case: F31"""
    assert order_life.compare(row, played.numbers[(kind, row.name)], played) == {}, "\n".join(played.words)


def test_the_independent_reading_of_both_systems_agrees(played: Played) -> None:
    """Judged from shop and Odoo alone, orders that wait for a person left out."""
    assert agreed(played.verdict), "\n".join([str(played.verdict["wrong"]), *played.words])
