"""An order that Odoo refuses for its country is corrected in the hub; and again it is the shop that counts."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.fakes import rows_of
from tests.integration.doors.conftest import Scene, at_rest, open_exceptions, until

from counterfoil.connectors.woocommerce.mapping import VAT_METAS
from counterfoil.hub.exceptions import correcting
from counterfoil.hub.schema import correction

BILLING = {
    **{"first_name": "Ada", "last_name": "Peeters", "company": "Peeters BV", "address_1": "1 Kerkstraat"},
    **{"city": "Gent", "postcode": "9000", "country": "FR", "email": "ada@example.org", "phone": ""},
}


def invoiced_to(scene: Scene, number: int) -> tuple[str, str]:
    """City and country of an order's invoice address in Odoo."""
    api = scene.place.api
    (sale,) = api.read("sale.order", [["origin", "=", f"web:order:{number}"]], ["partner_invoice_id"])
    (partner,) = api.read("res.partner", [["id", "=", sale["partner_invoice_id"][0]]], ["city", "country_id"])
    (country,) = api.read("res.country", [["id", "=", partner["country_id"][0]]], ["code"])
    return str(partner["city"]), str(country["code"])


async def test_a_country_that_odoo_refuses_is_corrected_and_the_shop_is_heard_again(scene: Scene) -> None:
    """A Belgian VAT number does not fit a French address."""
    more: dict[str, Any] = {
        "billing": BILLING,
        "shipping": {},
        "meta_data": [{"id": 1, "key": VAT_METAS[0], "value": "0477472701"}],
    }
    order = scene.shop.shop.place(status="processing", payment_method="cod", customer_id=0, **more)

    async def shop_says(**billing: str) -> None:
        await asyncio.to_thread(scene.shop.shop.change, order["id"], billing=BILLING | billing)
        await at_rest(running, scene)

    async with scene.hub() as running:

        async def refused() -> bool:
            return bool(await open_exceptions(running))

        await until(refused)
        (told,) = await open_exceptions(running)
        assert (told["reason"], "VAT number" in str(told["message"])) == ("odoo_refused", True)
        await correcting.correct(running.store, int(str(told["id"])), {"billing.country": "BE"}, "anna")
        await at_rest(running, scene)
        assert await open_exceptions(running) == []
        assert invoiced_to(scene, order["id"]) == ("Gent", "BE")
        await shop_says()  # the same
        await shop_says(city="Brugge")  # another city, still in France
        assert invoiced_to(scene, order["id"]) == ("Brugge", "BE")
    async with scene.hub() as running:
        await shop_says(city="Brugge", country="NL")
        assert invoiced_to(scene, order["id"]) == ("Brugge", "NL")
        (kept,) = await rows_of(running.store, correction)
        assert kept["ended_at"] is not None
