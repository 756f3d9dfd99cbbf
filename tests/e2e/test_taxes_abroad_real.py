"""What the doctor says of taxes of other countries, and what a real Odoo 19 says of an invoice with them."""

from __future__ import annotations

import pytest
from tests.conformance.odoo_place import Erp

from counterfoil.connectors.odoo import Rules
from counterfoil.hub.contract import Mark

NUMBER = "DE136695976"
"""Of no company, but with the right check digit."""


async def test_odoo_posts_what_the_doctor_does_not_warn_of(erp_of_module: Erp) -> None:
    """An invoice with a German tax is refused until the company is registered in Germany; the doctor knows both."""
    api, connector = erp_of_module.api, erp_of_module.connector(Rules(invoices=True))
    [germany] = api.read("res.country", [["code", "=", "DE"]], ["name"])
    domain = [["type_tax_use", "=", "sale"], ["country_id", "=", germany["id"]]]
    tax = api.read("account.tax", domain, ["name"])[0]["id"]
    [customer] = api.call("res.partner", "create", vals_list=[{"name": "Erika", "country_id": germany["id"]}])

    def post() -> None:
        line = {"name": "A thing", "quantity": 1, "price_unit": 10, "tax_ids": [[6, 0, [tax]]]}
        values = {"move_type": "out_invoice", "partner_id": customer, "invoice_line_ids": [[0, 0, line]]}
        api.call("account.move", "action_post", ids=api.call("account.move", "create", vals_list=[values]))

    async def warned() -> bool:
        (finding,) = [each for each in await connector.doctor() if each.check == "taxes abroad"]
        return finding.mark is Mark.WARNING and "DE" in finding.found

    assert await warned()
    with pytest.raises(RuntimeError, match=r"taxes that are (not compatible|incompatible)"):
        post()
    values = {"name": "Germany", "country_id": germany["id"], "auto_apply": True, "foreign_vat": NUMBER}
    api.call("account.fiscal.position", "create", vals_list=[values])
    assert not await warned()
    post()
