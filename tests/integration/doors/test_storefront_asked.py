"""By the storefront: a prescription for an order's lines, and asking to send goods back."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from tests.conformance.making import line, order
from tests.conftest import ON_SQLITE
from tests.fakes import rows_of
from tests.storefront_stage import BLUEPRINT, ROOT, Stage, keep, storefront

from counterfoil.hub import records
from counterfoil.hub.schema import delivery, promise, system_state
from counterfoil.hub.store import Store
from counterfoil.processes.orders import PLACED
from counterfoil.retail.events import Event
from counterfoil.retail.fulfilment import ErpState, FulfilledLine, Fulfilment, Packed, Shipment, ShipmentState

pytestmark = ON_SQLITE

KEY = base64.b64encode(bytes(range(32))).decode()
PLAN = """\
flows:
  - {on: return.requested, do: odoo.prepare_return}
  - {on: prescription.released, do: odoo.attach_prescription}
returns: {within: 30d, never: [RX-*]}
promises:
  seen: {after: prescription.attached, expect: prescription.released, within: 4h}
prescriptions:
  needs: {skus: [RX-*]}
  key: ${KEY}
  file: required
  fields:
    sphere: {type: number, min: -20, max: 20, step: 0.25}
    axis: {type: integer, min: 0, max: 180, required: false}
  roles: {optician: [anna]}
  seen_by: [optician]
  released_by: [optician]
"""
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR..IEND\xaeB`\x82"
WHO = {"number": "#1001", "email": "buyer-1001@shop.example"}
OF = order("1001", line("RX-150", quantity="2"), line("MUG", quantity="3"), system="web")


@pytest.fixture
async def stage(store: Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr("tests.storefront_stage.BLUEPRINT", BLUEPRINT)
    monkeypatch.setattr("tests.storefront_stage.parse", _with_key)
    async with storefront(store, PLAN) as stage:
        await keep(store, "web", "order", OF.id, OF, PLACED)
        told = {"id": "e1", "type": "order.placed", "source": "web", "subject": OF.canonical_id, "key": OF.canonical_id}
        event = Event(time=OF.placed_at, correlation=OF.canonical_id, refs=(("order", OF.number),), data={}, **told)
        async with store.write() as connection:
            await records.keep_events(connection, store, [event])
        yield stage


def _with_key(text: str, known: Any, environ: Any) -> Any:
    from counterfoil.blueprint.load import parse

    return parse(text, known=known, environ={**environ, "KEY": KEY})


async def post(stage: Stage, path: str, **body: Any) -> httpx.Response:
    headers = {"Idempotency-Key": body.pop("key", "key-00001")}
    return await stage.client.post(ROOT + path, json={**WHO, **body}, headers=headers)


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


async def attached(stage: Stage, content: bytes = PNG, **fields: Any) -> httpx.Response:
    return await post(stage, "/prescriptions", fields={"sphere": -1.25, **fields}, file=encoded(content))


# --- prescriptions ------------------------------------------------------------------------------------------------


async def test_a_prescription_is_taken_and_how_it_stands_is_told(stage: Stage) -> None:
    before = (await post(stage, "/prescriptions/status")).json()
    assert [(each["sku"], each["state"]) for each in before["lines"]] == [("RX-150", "missing")]
    taken = await attached(stage)
    assert (taken.status_code, taken.json()["lines"], taken.json()["state"]) == (200, ["100"], "to_release")
    assert (await attached(stage)).json() == taken.json(), "the same again is the same"
    after = (await post(stage, "/prescriptions/status")).json()
    assert (after["waits"], after["lines"][0]["state"], after["erp_reachable"]) == (True, "to_release", True)
    assert [row["name"] for row in await rows_of(stage.store, promise)] == ["seen"], "a promise counts from here"


async def test_with_the_erp_gone_it_is_taken_and_said_so(stage: Stage) -> None:
    row = {"system": "odoo", "failures": 3, "open_until": 9e12, "outcome": "down", "reason": "x", "message": "x"}
    async with stage.store.write() as connection:
        await connection.execute(sa.insert(system_state).values(**row, since=0.0))
    assert (await attached(stage)).status_code == 200
    assert (await post(stage, "/prescriptions/status")).json()["erp_reachable"] is False


@pytest.mark.parametrize(
    ("content", "fields", "at"),
    [
        (b"", {}, "file"),
        (b"%PDF-1.7 cut off", {}, "file"),
        (b"MZ a program", {}, "file"),
        (PNG, {"sphere": 20.25}, "sphere"),
        (PNG, {"sphere": -1.3}, "sphere"),
        (PNG, {"sphere": True}, "fields"),
        (PNG, {"axis": 90.5}, "axis"),
        (PNG, {"colour": "seagreen"}, "colour"),
    ],
)
async def test_what_is_wrong_is_named_and_its_value_is_not_repeated(
    stage: Stage, content: bytes, fields: dict[str, Any], at: str
) -> None:
    answer = await attached(stage, content, **fields)
    assert answer.status_code == 422
    assert all(each["at"].startswith(("body.", at)) and at in each["at"] for each in answer.json()["errors"])
    assert not any(str(value) in answer.text for value in fields.values() if value is not True)


async def test_another_customer_s_order_is_not_there(stage: Stage) -> None:
    for path, more in (
        ("/prescriptions/status", {}),
        ("/prescriptions", {"file": encoded(PNG), "fields": {"sphere": 1}}),
    ):
        answer = await post(stage, path, email="eve@shop.example", **more)
        assert (answer.status_code, answer.json()["type"]) == (404, "/storefront/v1/problems/no_such_order")
    stage.client.headers["Authorization"] = await stage.token("orders")
    assert (await attached(stage)).status_code == 403


async def test_the_token_of_an_order_s_status_names_the_order_too(stage: Stage) -> None:
    token = (await post(stage, "/orders/status")).json()["token"]
    for path in ("/prescriptions/status", "/returns/status"):
        by_token = await stage.client.post(ROOT + path, json={"token": token})
        assert by_token.json()["number"] == OF.number
        forged = await stage.client.post(ROOT + path, json={"token": token[:-2] + "xx"})
        assert (forged.status_code, forged.json()["type"]) == (404, "/storefront/v1/problems/no_such_order")


async def test_the_form_says_what_is_asked_for(stage: Stage) -> None:
    form = (await stage.client.get(f"{ROOT}/prescriptions/form")).json()
    assert form["fields"]["sphere"]["expected"] == "a number from -20 to 20 in steps of 0.25"
    assert (form["file"], form["fields"]["axis"]["required"]) == ("required", False)


# --- returns ------------------------------------------------------------------------------------------------------


async def shipped(stage: Stage, *returned: Shipment, ago: timedelta = timedelta(days=3)) -> None:
    """All of the order has left."""
    items = (Packed(sku="RX-150", quantity=2, line="100"), Packed(sku="MUG", quantity=3, line="101"))
    left = Shipment(id="7", number="WH/OUT/7", state=ShipmentState.DONE, done_at=datetime.now(UTC) - ago, items=items)
    lines = tuple(FulfilledLine(line=p.line, sku=p.sku, ordered=p.quantity, delivered=p.quantity) for p in items)
    state = Fulfilment(
        order=OF.canonical_id, id="1", number="S1", state=ErpState.CONFIRMED, lines=lines, shipments=(left, *returned)
    )
    await keep(stage.store, "odoo", "fulfilment", OF.canonical_id, state)


async def returnable(stage: Stage) -> dict[str, str]:
    return dict((await post(stage, "/returns/status")).json()["returnable"])


async def test_what_was_shipped_can_be_asked_for_once(stage: Stage) -> None:
    assert await returnable(stage) == {}
    assert (await post(stage, "/returns", lines={"101": "1"}, reason="damaged")).status_code == 409, "not shipped"
    await shipped(stage)
    assert await returnable(stage) == {"101": "3"}, "what is made to measure is never taken back"
    asked = await post(stage, "/returns", lines={"101": "2"}, reason="damaged")
    assert (asked.status_code, asked.json()["state"]) == (200, "requested")
    assert (await post(stage, "/returns", lines={"101": "2"}, reason="damaged")).json() == asked.json()
    assert (await post(stage, "/returns", lines={"101": "1"}, reason="damaged")).status_code == 409, "another request"
    too_many = await post(stage, "/returns", lines={"101": "2"}, reason="damaged", key="key-00002")
    assert (too_many.status_code, too_many.json()["returnable"]) == (409, {"101": "1"})
    async with stage.store.read() as connection:
        queued = (await connection.execute(sa.select(delivery.c.system, delivery.c.operation))).all()
    assert [tuple(row) for row in queued] == [("odoo", "prepare_return")]


async def test_a_return_that_the_erp_waits_for_counts_once_and_is_followed(stage: Stage) -> None:
    await shipped(stage)
    asked = (await post(stage, "/returns", lines={"101": "2"}, reason="damaged")).json()
    told = {"id": "e2", "type": "return.prepared", "source": "odoo", "subject": OF.canonical_id, "key": OF.canonical_id}
    data = {"return": asked["id"], "pickings": ["WH/IN/9"]}
    event = Event(time=OF.placed_at, correlation=OF.canonical_id, data=data, **told)
    async with stage.store.write() as connection:
        await records.keep_events(connection, stage.store, [event])

    async def stands() -> tuple[str, dict[str, str]]:
        status = (await post(stage, "/returns/status")).json()
        return status["requests"][0]["state"], status["returnable"]

    assert await stands() == ("prepared", {"101": "1"}), "before the ERP's return was read"
    back = Shipment(id="9", number="WH/IN/9", state=ShipmentState.OPEN, returned=True, items=(MUGS,))
    await shipped(stage, back)
    assert await stands() == ("prepared", {"101": "1"})
    await shipped(stage, back.model_copy(update={"state": ShipmentState.DONE}))
    assert await stands() == ("received", {"101": "1"})
    await shipped(stage, back.model_copy(update={"state": ShipmentState.CANCELLED}))
    assert await stands() == ("given_up", {"101": "3"})


MUGS = Packed(sku="MUG", quantity=2, line="101")


async def test_after_its_time_nothing_can_be_asked_for(stage: Stage) -> None:
    await shipped(stage, ago=timedelta(days=31))
    assert await returnable(stage) == {}
    unknown = await post(stage, "/returns", lines={"101": "1"}, reason="bored")
    assert (unknown.status_code, unknown.json()["type"]) == (422, "/storefront/v1/problems/unknown_reason")
