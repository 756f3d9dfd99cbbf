"""Which webhooks are taken in, under which id, and which are turned away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from counterfoil.connectors.woocommerce.webhooks import receive, signature
from counterfoil.hub.contract import Raw, Refused
from counterfoil_sandbox.woocommerce import RECORDINGS
from counterfoil_sandbox.woocommerce_webhooks import php_json

SECRET = 'hub-secret-<&">-é'
DELIVERIES = sorted(RECORDINGS.glob("webhooks/delivery_*.json"))


def signed(body: bytes, topic: str = "order.updated", **headers: str) -> dict[str, str]:
    return {
        "X-WC-Webhook-Topic": topic,
        "X-WC-Webhook-Resource": topic.partition(".")[0],
        "X-WC-Webhook-Signature": signature(SECRET, body),
        **headers,
    }


@pytest.mark.parametrize("path", DELIVERIES, ids=lambda path: path.name)
def test_recorded_deliveries_of_a_real_shop(path: Path) -> None:
    """Their signatures hold; orders and customers are taken in under their id, other resources passed over."""
    delivery = json.loads(path.read_text(encoding="utf-8"))
    body, headers = php_json(delivery["body"]), delivery["headers"]
    raw = receive(SECRET, headers, body)
    if headers["X-WC-Webhook-Resource"] == "product":
        assert raw is None
        return
    assert isinstance(raw, Raw)
    assert (raw.kind, raw.body) == (headers["X-WC-Webhook-Resource"], body)
    assert raw.headers["x-wc-webhook-topic"] == headers["X-WC-Webhook-Topic"]
    if "id" in delivery["body"]:
        assert raw.object_id == str(delivery["body"]["id"])
    else:
        assert raw.object_id.startswith("unreadable-")
    with pytest.raises(Refused):
        receive("another secret", headers, body)


def test_the_ping_of_a_new_webhook_is_nothing() -> None:
    """A form without a signature, whether or not a secret is configured."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert receive(SECRET, headers, b"webhook_id=12") is None
    assert receive("", headers, b"webhook_id=12") is None


@pytest.mark.parametrize(
    ("secret", "headers", "status", "reason"),
    [
        (SECRET, {}, 401, "no_signature"),
        (SECRET, {"X-WC-Webhook-Signature": "AAAA"}, 401, "bad_signature"),
        (SECRET, {"X-WC-Webhook-Signature": "ü\udcff"}, 401, "bad_signature"),
        ("", {"X-WC-Webhook-Signature": signature("", b'{"id":5}')}, 403, "webhooks_off"),
    ],
)
def test_unsigned_and_wrongly_signed_are_refused(
    secret: str, headers: dict[str, str], status: int, reason: str
) -> None:
    """Also with an empty secret, which would be everyone's."""
    with pytest.raises(Refused) as caught:
        receive(secret, headers, b'{"id":5}')
    assert (caught.value.status, caught.value.reason) == (status, reason)


def test_header_names_in_any_case() -> None:
    """Proxies and servers write them as they like."""
    body = b'{"id":5}'
    headers = {name.lower(): value for name, value in signed(body).items()}
    assert receive(SECRET, headers, body) == receive(SECRET, {k.upper(): v for k, v in headers.items()}, body)


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b'{"id":"5"}', b'{"id":-1}', b'{"id":true}', b"[" * 99_999])
def test_unreadable_bodies_are_kept_apart(body: bytes) -> None:
    """Signed but odd: kept for a person, each under an id of its own so that none holds up another."""
    raw = receive(SECRET, signed(body), body)
    other = receive(SECRET, signed(body + b" "), body + b" ")
    assert raw is not None
    assert other is not None
    assert raw.object_id.startswith("unreadable-")
    assert raw.object_id != other.object_id


def test_deletions_are_orders_too() -> None:
    """order.deleted carries nothing but the id."""
    raw = receive(SECRET, signed(b'{"id":343}', "order.deleted"), b'{"id":343}')
    assert raw is not None
    assert (raw.kind, raw.object_id) == ("order", "343")


@pytest.mark.parametrize(("role", "taken"), [("customer", True), ("administrator", False), ("subscriber", False)])
def test_staff_have_accounts_too(role: str, taken: bool) -> None:
    """The shop's list leaves them out, so do the webhooks: they are nobody's customers."""
    body = json.dumps({"id": 7, "role": role}).encode()
    assert (receive(SECRET, signed(body, "customer.updated"), body) is not None) is taken


def test_a_deleted_customer_is_told_by_nothing_but_the_id() -> None:
    """customer.deleted carries no role."""
    raw = receive(SECRET, signed(b'{"id":7}', "customer.deleted"), b'{"id":7}')
    assert raw is not None
    assert (raw.kind, raw.object_id) == ("customer", "7")
