"""Short signed texts that somebody may keep and show again, such as the link to an order's status.

The key is the store's own, made when it is first needed. Deleting its row makes every text signed with it void.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

import sqlalchemy as sa

from counterfoil.hub.schema import signing_key
from counterfoil.hub.store import Store


async def key(store: Store, name: str) -> bytes:
    """The key of that name; made where there is none."""
    mine = sa.select(signing_key.c.value).where(signing_key.c.name == name)
    async with store.read() as connection:
        found = await connection.scalar(mine)
    if found is None:
        async with store.write() as connection:
            new = {"name": name, "value": secrets.token_hex(32), "made_at": store.now}
            await connection.execute(store.insert(signing_key).values(**new).on_conflict_do_nothing())
            found = await connection.scalar(mine)  # whoever was first has made it
    return bytes.fromhex(str(found))


def sign(key: bytes, text: str, until: int) -> str:
    """`text`, until when it may be used (seconds since the epoch), and the signature of both; fit for an address."""
    said = f"{until}:{text}".encode()
    return f"{_written(said)}.{_written(_signature(key, said))}"


def read(key: bytes, signed: str, now: float) -> str | None:
    """The text; None where it was not signed with this key, or its time is over."""
    said, _, signature = signed.partition(".")
    try:
        text, given = _read(said), _read(signature)
        if not hmac.compare_digest(_signature(key, text), given):
            return None
        until, _, content = text.decode().partition(":")
    except (ValueError, binascii.Error):
        return None
    return content if now < int(until) else None


def _signature(key: bytes, said: bytes) -> bytes:
    return hmac.digest(key, said, hashlib.sha256)


def _written(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _read(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
