"""Order status: by number and e-mail address or by a link, from what is known, without the ERP."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from tests.conftest import ON_SQLITE
from tests.fakes import decode_order, payload
from tests.storefront_stage import ROOT, Stage, keep, storefront

from counterfoil.doors.storefront import orders
from counterfoil.hub import records
from counterfoil.hub.store import Store
from counterfoil.hub.storefront import signing
from counterfoil.processes.fulfilment import judge
from counterfoil.retail.events import Event, hashed_ref
from counterfoil.retail.fulfilment import ErpState, FulfilledLine, Fulfilment, Packed, Shipment, ShipmentState

pytestmark = ON_SQLITE

ASKED = {"number": "N1001", "email": "Kim@Example.com"}
LEFT = Shipment(
    id="8",
    number="WH/OUT/00008",
    state=ShipmentState.DONE,
    carrier="Post",
    tracking="T1",
    tracking_url="https://post.example/T1",
    done_at=datetime(2026, 11, 3, 9, tzinfo=UTC),
    items=(Packed(sku="MUG", quantity=Decimal(1), line="1"),),
)


def erp_has(*shipments: Shipment) -> Fulfilment:
    done = any(s.state is ShipmentState.DONE for s in shipments)
    line = FulfilledLine(line="1", sku="MUG", ordered=Decimal(1), delivered=Decimal(int(done)))
    known = {"order": "web:order:1001", "id": "42", "number": "S00042", "state": ErpState.CONFIRMED}
    return Fulfilment(**known, lines=(line,), shipments=shipments)


@pytest.fixture
async def stage(store: Store) -> AsyncIterator[Stage]:
    async with storefront(store) as stage:
        order = decode_order("web", payload(1001, email="kim@example.com"))
        await keep(store, "web", "order", "1001", order, "placed")
        refs = (("order", "N1001"), ("email", hashed_ref("kim@example.com")))
        placed = {"id": "e1", "type": "order.placed", "source": "web", "subject": order.canonical_id, "data": {}}
        at = order.placed_at
        told = Event(**placed, key=order.canonical_id, time=at, correlation=order.canonical_id, refs=refs)
        async with store.write() as connection:
            await records.keep_events(connection, store, [told])
        yield stage


async def ships(stage: Stage, now: Fulfilment) -> None:
    decision = judge("odoo", None, now, "2026-11-03T09:01:00+00:00")
    await keep(stage.store, "odoo", "fulfilment", "42", now, decision.stage)
    async with stage.store.write() as connection:
        await records.keep_events(connection, stage.store, decision.events)


async def test_a_customer_sees_how_far_the_order_is(stage: Stage) -> None:
    early = (await stage.client.post(f"{ROOT}/orders/status", json=ASKED)).json()
    assert (early["state"], early["shipments"], early["lines"][0]["delivered"]) == ("placed", [], None)
    assert (early["as_of"], early["stale"]) == (None, True)  # the ERP was never looked at
    await ships(stage, erp_has(LEFT))
    late = (await stage.client.post(f"{ROOT}/orders/status", json=ASKED)).json()
    assert (late["state"], late["erp_number"], late["lines"][0]["delivered"]) == ("shipped", "S00042", "1")
    [shipment] = late["shipments"]
    assert (shipment["tracking_url"], shipment["items"][0]["sku"]) == ("https://post.example/T1", "MUG")
    what = {each["what"] for each in late["milestones"]}
    assert what == {"order.placed", "order.confirmed", "shipment.dispatched", "order.delivered"}
    text = json.dumps(late)
    assert "example.com" not in text.replace("post.example", "")
    assert "rue Haute" not in text


async def test_without_the_right_address_there_is_no_such_order(stage: Stage) -> None:
    elsewhere = {"Authorization": await stage.token("orders", channel="other")}
    wrong = [
        await stage.client.post(f"{ROOT}/orders/status", json={**ASKED, "email": "lee@example.com"}),
        await stage.client.post(f"{ROOT}/orders/status", json={**ASKED, "number": "N1002"}),
        await stage.client.post(f"{ROOT}/orders/status", json=ASKED, headers=elsewhere),
    ]
    assert {(each.status_code, each.json()["detail"]) for each in wrong} == {
        (404, "No order of this channel goes by that.")
    }


async def test_who_tries_many_is_slowed_down(stage: Stage) -> None:
    tried = [
        (await stage.client.post(f"{ROOT}/orders/status", json={**ASKED, "number": str(n)})).status_code
        for n in range(int(orders.WRONG_AT_ONCE) + 2)
    ]
    assert tried[: int(orders.WRONG_AT_ONCE)] == [404] * int(orders.WRONG_AT_ONCE)
    assert tried[-1] == 429
    assert (await stage.client.post(f"{ROOT}/orders/status", json=ASKED)).status_code == 200


async def test_a_link_shows_its_own_order_for_a_limited_time(stage: Stage) -> None:
    token = (await stage.client.post(f"{ROOT}/orders/status", json=ASKED)).json()["token"]
    shown = await stage.client.get(f"{ROOT}/orders/status/{token}")
    assert (shown.status_code, shown.json()["number"]) == (200, "N1001")
    elsewhere = {"Authorization": await stage.token("orders", channel="other")}
    assert (await stage.client.get(f"{ROOT}/orders/status/{token}", headers=elsewhere)).status_code == 404
    key = await signing.key(stage.store, orders.KEY)
    over = signing.sign(key, "web:order:1001", int(time.time()) - 1)
    forged = signing.sign(b"x" * 32, "web:order:1001", int(time.time()) + 60)
    swapped = f"{over.partition('.')[0]}.{token.partition('.')[2]}"
    for wrong in (over, forged, swapped, token[:-4], "x", "é.é"):
        assert (await stage.client.get(f"{ROOT}/orders/status/{wrong}")).status_code == 404
