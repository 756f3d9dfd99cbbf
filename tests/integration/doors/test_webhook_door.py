"""What the webhook door takes, and what it turns away and how."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import httpx
import pytest
import sqlalchemy as sa
from tests.integration.doors.conftest import Scene, at_rest, open_exceptions

from counterfoil.doors.serve import Hub
from counterfoil.doors.webhooks import LARGEST_BODY
from counterfoil.hub.schema import receipt
from counterfoil_lab.stage import WEBHOOK_SECRET
from counterfoil_sandbox.woocommerce_orders import make_order


def signed(body: bytes, secret: str = WEBHOOK_SECRET) -> dict[str, str]:
    signature = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return {
        "X-WC-Webhook-Signature": signature,
        "X-WC-Webhook-Topic": "order.updated",
        "X-WC-Webhook-Resource": "order",
        "Content-Type": "application/json",
    }


async def post(running: Hub, body: bytes, headers: dict[str, str], system: str = "web") -> httpx.Response:
    async with httpx.AsyncClient(base_url=running.url) as client:
        return await client.post(f"/webhooks/{system}", content=body, headers=headers)


async def kept(running: Hub) -> int:
    async with running.store.read() as connection:
        return int(await connection.scalar(sa.select(sa.func.count()).where(receipt.c.kind == "order")) or 0)


def an_order() -> bytes:
    return json.dumps(make_order(77)).encode()


async def test_a_signed_order_is_kept_before_it_is_answered(scene: Scene) -> None:
    async with scene.hub(webhooks=False) as running:
        body = an_order()
        assert (await post(running, body, signed(body))).status_code == 202
        assert await kept(running) == 1


async def test_a_wrong_signature_is_refused_and_nothing_is_kept(scene: Scene) -> None:
    async with scene.hub(webhooks=False) as running:
        body = an_order()
        answer = await post(running, body, signed(body, "another secret"))
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert await kept(running) == 0


async def test_a_body_changed_after_signing_is_refused(scene: Scene) -> None:
    async with scene.hub(webhooks=False) as running:
        body = an_order()
        assert (await post(running, body.replace(b"processing", b"completedd"), signed(body))).status_code == 401


async def test_a_replayed_webhook_is_taken_once(scene: Scene) -> None:
    async with scene.hub(webhooks=False) as running:
        body = an_order()
        for _ in range(3):
            assert (await post(running, body, signed(body))).status_code == 202
            await at_rest(running, scene)
        order = json.loads(body)["id"]
        assert len(scene.in_odoo(order)) <= 1
        assert await kept(running) == 1


async def test_the_shops_ping_is_answered_and_not_kept(scene: Scene) -> None:
    async with scene.hub(webhooks=False) as running:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert (await post(running, b"webhook_id=12", form)).status_code == 200
        assert await kept(running) == 0


@pytest.mark.parametrize("announced", [True, False])
async def test_twenty_megabytes_are_refused_before_they_are_read(scene: Scene, announced: bool) -> None:
    async with scene.hub(webhooks=False) as running:
        body = b"x" * (20 * 1024 * 1024)

        async def chunks() -> object:
            for start in range(0, len(body), 65536):
                yield body[start : start + 65536]

        async with httpx.AsyncClient(base_url=running.url) as client:
            content = body if announced else chunks()
            try:
                answer = await client.post("/webhooks/web", content=content, headers=signed(b""))  # type: ignore[arg-type]
            except (httpx.WriteError, httpx.RemoteProtocolError):
                pass  # the door hung up before the rest was sent, which is as good
            else:
                assert answer.status_code == 413
                assert str(LARGEST_BODY) in answer.json()["detail"]
        assert await kept(running) == 0


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"this is not JSON", "not_json"),
        (b"[1, 2, 3]", "wrong_shape"),
        (b'{"id": 5, "status": "processing"}', "missing_field"),
        (b'{"code": "woocommerce_rest_cannot_view", "message": "Sorry", "data": {"status": 401}}', "shop_error_body"),
    ],
)
async def test_a_signed_body_that_is_no_order_is_kept_and_put_before_a_person(
    scene: Scene, body: bytes, reason: str
) -> None:
    async with scene.hub(webhooks=False) as running:
        assert (await post(running, body, signed(body))).status_code == 202
        await at_rest(running, scene)
        assert [r["reason"] for r in await open_exceptions(running)] == [reason]
        assert await kept(running) == 1


async def test_an_unknown_system_is_told_so(scene: Scene) -> None:
    async with scene.hub(webhooks=False) as running:
        answer = await post(running, b"{}", signed(b"{}"), system="nobody")
        assert answer.status_code == 404
        assert "nobody" in answer.json()["detail"]


async def test_a_store_that_cannot_keep_it_says_so_and_the_shop_may_send_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene.hub(webhooks=False) as running:

        async def broken(*_: object) -> int:
            raise sa.exc.OperationalError("insert", {}, Exception("disk full"))

        monkeypatch.setattr("counterfoil.hub.receipts.take", broken)
        body = an_order()
        answer = await post(running, body, signed(body))
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
