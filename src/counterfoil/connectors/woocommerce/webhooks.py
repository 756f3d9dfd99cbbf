"""Webhooks from WooCommerce: who sent them, and what they are about. Pure: no I/O, no clock.

Facts this stands on (measured on 9.9.5): creating a webhook sends an unsigned ping; the signature is base64
HMAC-SHA256 over the raw body; `X-WC-Webhook-Delivery-ID` is *not* unique and must not be used to drop repeats;
an order gone before delivery arrives as a validly signed error body.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

from counterfoil.hub.contract import Raw, Refused

TOPICS = ("order.created", "order.updated", "order.deleted", "order.restored")
CUSTOMER_TOPICS = ("customer.created", "customer.updated", "customer.deleted")
KINDS = frozenset({"order", "customer"})
_PING = re.compile(rb"webhook_id=\d{1,20}")
_KEPT_HEADERS = ("x-wc-webhook-topic", "x-wc-webhook-id", "x-wc-webhook-delivery-id", "x-wc-webhook-source")


def signature(secret: str, body: bytes) -> str:
    """What `X-WC-Webhook-Signature` must say for this body."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def receive(secret: str, headers: Mapping[str, str], body: bytes) -> Raw | None:
    """The webhook's cheap key, once its signature holds; None for pings, staff and topics nobody asked for.

    Raises Refused: 403 without a configured secret, 401 for a missing or wrong signature. The body is not looked
    into beyond its id: what is wrong with it becomes an exception later, with the body kept.
    """
    head = {name.lower(): value for name, value in headers.items()}
    told = head.get("x-wc-webhook-signature", "")
    if not told and _PING.fullmatch(body.strip()):
        return None
    if not secret:
        raise Refused(403, "webhooks_off", "No webhook_secret is configured for this shop.")
    if not told:
        raise Refused(401, "no_signature", "The header X-WC-Webhook-Signature is missing.")
    if not hmac.compare_digest(signature(secret, body).encode(), told.encode("utf-8", "replace")):
        raise Refused(401, "bad_signature", "The signature does not match: the webhook's secret is another one.")
    topic = head.get("x-wc-webhook-topic", "")
    resource = head.get("x-wc-webhook-resource") or topic.partition(".")[0]
    if resource not in KINDS:
        return None
    data = _json(body)
    if resource == "customer" and data.get("role", "customer") != "customer":
        return None  # staff have accounts too
    kept = {name: head[name][:200] for name in _KEPT_HEADERS if name in head}
    return Raw(resource, _object_id(body, data.get("id")), body, kept)


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _object_id(body: bytes, told: object) -> str:
    """The thing's id, or one made from the content, so that unreadable bodies never queue up behind an order."""
    if isinstance(told, int) and not isinstance(told, bool) and 0 < told < 2**63:
        return str(told)
    return f"unreadable-{hashlib.sha256(body).hexdigest()[:12]}"
