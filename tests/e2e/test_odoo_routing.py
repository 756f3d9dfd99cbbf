"""Routing against a real Odoo 19: the same suite as against the stand-in, and the same two orders through the hub."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests import routed_life
from tests.conformance.routing_suite import RoutingSuite
from tests.e2e.odoo_real import an_odoo
from tests.e2e.test_order_life_real import register_abroad
from tests.integration.test_routed_orders import judge

from counterfoil_lab.prepare import variants
from counterfoil_lab.stage import at, blueprint, prepared
from counterfoil_sandbox.serving import serving
from counterfoil_sandbox.woocommerce import RECORDINGS
from counterfoil_sandbox.woocommerce import make_app as make_shop


class TestRoutingOdoo19(RoutingSuite):
    """Two warehouses of a real Odoo."""


@pytest.mark.timeout(300)  # a whole hub, and a server in one process, on a busy machine
def test_an_order_from_two_places_and_one_that_is_collected(odoo_ready: None, tmp_path: Path) -> None:
    """Each unit leaves from where it lies, in deliveries of the right warehouse, the total to the cent."""
    shop = make_shop(options={"woocommerce_prices_include_tax": "no"})
    with an_odoo() as answer, serving(shop) as shop_url:
        place = at(answer, 19)
        variants(place.api, RECORDINGS)
        prepared(place, RECORDINGS, {"EUR"})
        register_abroad(place)
        file = blueprint(tmp_path, place, shop_url, poll="1s", catalogue=RECORDINGS, whole=True)
        judge(asyncio.run(routed_life.play(routed_life.add_sections(file), shop.shop, place)))
