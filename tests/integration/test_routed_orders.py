"""Routing and click-and-collect through the whole hub, between both stand-ins."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests import routed_life

from counterfoil_lab.prepare import prepare, variants
from counterfoil_lab.stage import OdooPlace, blueprint
from counterfoil_sandbox.odoo import make_app as make_odoo
from counterfoil_sandbox.serving import serving
from counterfoil_sandbox.woocommerce import RECORDINGS
from counterfoil_sandbox.woocommerce import make_app as make_shop


def test_an_order_from_two_places_and_one_that_is_collected(tmp_path: Path) -> None:
    """Each unit leaves from where it lies, the total is the customer's; who collects is told once it is ready, and
    what nobody collects in time waits for a person."""
    shop, odoo = make_shop(options={"woocommerce_prices_include_tax": "no"}), make_odoo(currency="EUR", country="FR")
    with serving(shop) as shop_url, serving(odoo) as url:
        place = OdooPlace(url, "sandbox", "sandbox-key")
        variants(place.api, RECORDINGS)
        prepare(place.api, RECORDINGS, ["EUR"])
        file = blueprint(tmp_path, place, shop_url, poll="300ms", catalogue=RECORDINGS, whole=True)
        judge(asyncio.run(routed_life.play(routed_life.add_sections(file), shop.shop, place)))


def judge(found: routed_life.Routed) -> None:
    """The same on the stand-in and on a real Odoo."""
    first = next(iter(found.wanted))
    others = {sku: float(n) for sku, n in found.wanted.items() if sku != first}
    assert found.split == {"WH": {first: 2.0}, "PAR": {first: 1.0, **others}}
    assert found.total[0] == found.total[1]
    assert [text for text in found.decided if "PAR" in text] == found.decided != []
    assert found.collected_at == "PAR"
    assert [note.partition(" (")[0] for note in found.told if "ollect" in note] == ["Ready to collect at Bastille"]
    assert found.events.count("order.ready_for_pickup") == 1
    assert "order.ready_for_pickup" not in found.sent_events  # its goods are reserved in the store as well
    assert (found.late, found.over) == (["promise_missed"], [])
