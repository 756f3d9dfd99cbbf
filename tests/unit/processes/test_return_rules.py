"""What of an order may still be asked to go back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from counterfoil.blueprint.returning import Returns
from counterfoil.processes.returns import Request, returnable
from counterfoil.retail.fulfilment import ErpState, Fulfilment, Packed, Shipment, ShipmentState

NOW = datetime(2026, 11, 22, tzinfo=UTC)
RULES = Returns(within=timedelta(days=30))
units = st.integers(0, 5).map(Decimal)


def shipment(number: int, quantity: Decimal, state: ShipmentState, returned: bool, days: int) -> Shipment:
    done = NOW - timedelta(days=days) if state is ShipmentState.DONE else None
    items = (Packed(sku="MUG", quantity=quantity, line="1"),)
    return Shipment(id=str(number), number=f"P{number}", state=state, returned=returned, done_at=done, items=items)


parts = st.tuples(units, st.sampled_from(ShipmentState), st.booleans(), st.sampled_from([1, 29, 31]))
asked = st.tuples(units, st.lists(st.integers(0, 5).map("P{}".format), unique=True, max_size=2), st.booleans())


@given(st.lists(parts, max_size=5), st.lists(asked, max_size=3))
def test_no_unit_can_be_asked_for_twice_or_without_having_left_in_time(
    told: list[tuple[Decimal, ShipmentState, bool, int]], requests: list[tuple[Decimal, list[str], bool]]
) -> None:
    told = [(Decimal(4), ShipmentState.DONE, False, 1), *told]
    shipments = [shipment(n, *each) for n, each in enumerate(told)]
    state = Fulfilment(order="web:order:1", id="1", number="S1", state=ErpState.CONFIRMED, shipments=tuple(shipments))
    made = [
        Request(str(n), NOW, {"1": quantity}, "x", tuple(pickings), gone)
        for n, (quantity, pickings, gone) in enumerate(requests)
    ]
    left = returnable(state, made, RULES, NOW).get("1", Decimal(0))

    done, open_ = ShipmentState.DONE, ShipmentState.OPEN
    out = sum(q for q, s, back, _ in told if s is done and not back)
    lately = sum(q for q, s, back, days in told if s is done and not back and days <= 30)
    back = sum(q for q, s, back, _ in told if back and s in (done, open_))
    known = {each.number for each in shipments}
    waiting = sum(q for q, p, gone in requests if not gone and not (p and set(p) <= known))
    assert left == max(0, min(lately, out - back - waiting))
