"""A trial at the shop: whose status goes on, the shop holds for paid."""

from __future__ import annotations

import pytest

from counterfoil.connectors.woocommerce.tell import Shown, status_for
from counterfoil.retail.fulfilment import ErpState, Fulfilment, Shipment, ShipmentState


@pytest.mark.parametrize(
    ("on_trial", "status", "paid", "target"),
    [
        (False, "on-hold", False, "completed"),
        (True, "on-hold", False, ""),
        (True, "processing", False, ""),
        (True, "processing", True, "completed"),
    ],
)
def test_the_status_of_a_trial_stays_until_it_is_paid(on_trial: bool, status: str, paid: bool, target: str) -> None:
    sent = Shipment(id="1", number="OUT/1", state=ShipmentState.DONE)
    done = Fulfilment(order="web:order:1", id="1", number="S1", state=ErpState.CONFIRMED, shipments=(sent,))
    assert status_for(done, Shown(status, paid, frozenset()), on_trial)[0] == target
