"""What a blueprint maps reaches the connectors it is about, and no others."""

from __future__ import annotations

import copy
import json
from typing import Any

from counterfoil.blueprint import parse
from counterfoil.doors import assembly
from counterfoil.hub.contract import Raw
from counterfoil.retail.order import Status
from counterfoil_sandbox.woocommerce_orders import recorded_orders

PLAN = """\
counterfoil: 1
systems:
  web-eu: {connector: woocommerce, url: "https://eu.example", consumer_key: "${K}", consumer_secret: "${K}"}
  web-us: {connector: woocommerce, url: "https://us.example", consumer_key: "${K}", consumer_secret: "${K}"}
  odoo: {connector: odoo, url: "https://odoo.example", api_key: "${K}"}
channels:
  web-us: {warehouse: US, pricelist: Dollars}
mappings:
  web-eu:
    order: {reference: "meta_data[?key=='po_number'].value | [0]"}
  odoo:
    order: {client_order_ref: order.reference}
statuses:
  web-us:
    order: {wc-picked: processing}
"""


def body(status: str) -> bytes:
    """A recorded order in this status, with a purchase order's number."""
    found = copy.deepcopy(recorded_orders()[0]) | {"status": status}
    return json.dumps({**found, "meta_data": [{"id": 1, "key": "po_number", "value": "PO 7"}]}).encode()


async def test_each_system_has_its_own() -> None:
    """Fields of one shop, states of another, and what Odoo is to be given."""
    plan = parse(PLAN, known=assembly.catalogue(), environ={"K": "k"})
    made = assembly.connectors(plan)
    eu: Any = made["web-eu"].decode(Raw("order", "1", body("processing"))).state
    us: Any = made["web-us"].decode(Raw("order", "1", body("picked"))).state
    for connector in made.values():
        await connector.close()
    assert (eu.reference, us.reference, us.status) == ("PO 7", "", Status.PROCESSING)
    rules = assembly.odoo_rules(plan, "odoo")
    assert rules.dialect.fields["order"] == {"client_order_ref": "order.reference"}
    assert (dict(rules.warehouses), dict(rules.pricelists)) == ({"web-us": "US"}, {"web-us": "Dollars"})
