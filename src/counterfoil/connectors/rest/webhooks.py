"""Webhooks by the Standard Webhooks specification: who sent them, when, and what they are about. Pure: no I/O.

https://github.com/standard-webhooks/standard-webhooks: the signature is `v1,` and base64 HMAC-SHA256 over
`<webhook-id>.<webhook-timestamp>.<body>`, of which there may be several while a secret is being changed. The body is
`{"type": "customer.changed", "timestamp": …, "data": {the record}}`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from counterfoil.connectors.rest.mapping import KINDS
from counterfoil.connectors.rest.reading import Shape, changed_at, id_of, raw_of
from counterfoil.hub.contract import BadPayload, Raw, Refused

TOLERANCE = 300
"""Seconds that a message may be old, or ahead of our clock: an older one may be a copy sent by somebody else."""
_PREFIX = "whsec_"
_PLURALS = {f"{kind}s": kind for kind in KINDS}


def signature(secret: str, id_: str, timestamp: str, body: bytes) -> str:
    """What `webhook-signature` must hold for this message."""
    signed = b".".join((id_.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()


def _key(secret: str) -> bytes:
    """The bytes of `whsec_<base64>`; any other secret as it is written."""
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def receive(shape: Shape, secret: str, headers: Mapping[str, str], body: bytes, now: float) -> Raw | None:
    """The record of a message, once its signature holds; None for other types, and where the record is not whole.

    `now` in seconds since 1970. A message with less than the record (no time of change) is only a hint: the poll
    brings it. Raises Refused: 403 without a configured secret, 401 for a wrong signature or a time too far off.
    """
    if not secret:
        raise Refused(403, "webhooks_off", "No webhook_secret is configured for this system.")
    head = {name.lower(): value for name, value in headers.items()}
    id_, timestamp, told = (head.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not (id_ and timestamp and told):
        raise Refused(401, "no_signature", "One of webhook-id, webhook-timestamp, webhook-signature is missing.")
    wanted = signature(secret, id_, timestamp, body).encode()
    if not any(hmac.compare_digest(wanted, each.encode("utf-8", "replace")) for each in told.split()):
        raise Refused(401, "bad_signature", "The signature does not match: the secret there is another one.")
    if not timestamp.isascii() or not timestamp.isdigit() or abs(now - int(timestamp[:12])) > TOLERANCE:
        raise Refused(401, "bad_timestamp", f"webhook-timestamp is more than {TOLERANCE} s away from the hub's clock.")
    message = _json(body)
    kind = str(message.get("type", "")).partition(".")[0].lower()
    kind = _PLURALS.get(kind, kind)
    record = message.get("data")
    if kind not in shape.paths or kind not in shape.reads or not isinstance(record, dict):
        return None
    try:
        return raw_of(shape, kind, record) if id_of(shape, record) and changed_at(shape, record) else None
    except BadPayload:
        return None


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
