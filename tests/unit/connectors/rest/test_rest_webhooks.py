"""Webhooks by Standard Webhooks: signature, tolerance for time, and what is kept of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from counterfoil.connectors.rest.reading import Shape
from counterfoil.connectors.rest.webhooks import TOLERANCE, receive, signature
from counterfoil.hub.contract import Raw, Refused
from counterfoil_sandbox.records import signed

SECRET = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ="
NOW = 1_800_000_000.0
SHAPE = Shape({"customer": "/accounts"})
RECORD = {"id": 7, "updated_at": "2026-11-01T10:00:00Z", "customer": {"name": "Anna"}}


def message(type_: str = "customer.changed", record: Any = RECORD) -> bytes:
    return json.dumps({"type": type_, "data": record}).encode()


def take(body: bytes, at: float = NOW, secret: str = SECRET, **headers: str) -> Raw | None:
    return receive(SHAPE, secret, {**signed(SECRET, body, at), **headers}, body, NOW)


def test_the_signature_of_the_specification() -> None:
    """The example that the specification's own libraries are tested with."""
    secret, id_, at = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330"
    assert signature(secret, id_, at, b'{"test": 2432232314}') == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_signed_record_is_kept_as_the_poll_would_bring_it() -> None:
    """Under its id, without the envelope."""
    raw = take(message())
    assert raw
    assert (raw.kind, raw.object_id, json.loads(raw.body)) == ("customer", "7", RECORD)
    assert take(message("customers.updated"))


def test_one_of_several_signatures_is_enough() -> None:
    """While a secret is being changed there are two."""
    body = message()
    head = signed(SECRET, body, NOW)
    head["webhook-signature"] = f"v1,AAAA {head['webhook-signature']}"
    assert receive(SHAPE, SECRET, head, body, NOW)


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        (lambda: take(message(), secret=""), "webhooks_off"),
        (lambda: take(message(), secret="another"), "bad_signature"),
        (lambda: take(message(), **{"webhook-id": "msg_other"}), "bad_signature"),
        (lambda: take(message(), **{"webhook-signature": ""}), "no_signature"),
        (lambda: take(message(), NOW - TOLERANCE - 1), "bad_timestamp"),
        (lambda: take(message(), NOW + TOLERANCE + 1), "bad_timestamp"),
    ],
)
def test_a_message_that_is_not_proven_is_refused(refused: Any, reason: str) -> None:
    """Nothing is kept of it."""
    with pytest.raises(Refused) as raised:
        refused()
    assert raised.value.reason == reason


@pytest.mark.parametrize("at", [NOW - TOLERANCE, NOW + TOLERANCE])
def test_clocks_may_differ_a_little(at: float) -> None:
    """By the tolerance at most."""
    assert take(message(), at)


@pytest.mark.parametrize(
    "body",
    [
        message("invoice.paid"),
        message("stock.changed"),
        message(record={"id": 7}),
        message(record={"updated_at": "2026-11-01T10:00:00Z"}),
        message(record=None),
        b"[]",
        b"\xff",
    ],
)
def test_what_is_no_whole_record_is_left_to_the_poll(body: bytes) -> None:
    """Other types, lists without a path here, and messages that only name a record."""
    assert take(body) is None
