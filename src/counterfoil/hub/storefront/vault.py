"""The vault: what must not be read in the store, its logs or its backups, sealed with a key that is in none of them.

AES-256 in GCM (NIST SP 800-38D), a nonce of 96 random bits each. What it was sealed for (its id, say) is bound to it:
a sealed text put into another row does not open. It begins with a mark of its key, so that old keys can go on opening
while everything is sealed again with the new one. Who loses the keys loses what is sealed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from counterfoil.blueprint.prescriptions import KEY_BYTES, key_of

_VERSION = b"\x01"
_MARK = 8
_NONCE = 12


class BadKey(ValueError):
    """What was given is no key: 32 random bytes in base64. `counterfoil prescriptions new-key` makes one."""


class NotOpened(ValueError):
    """A sealed text does not open: its key is not among those given, or it was changed, or put in another place."""


def new_key() -> str:
    """A fresh key, as text for a secret."""
    return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()


class Vault:
    """Seals with the first key and opens with any. Raises BadKey; no message of it repeats a key."""

    def __init__(self, key: str, old_keys: Sequence[str] = ()) -> None:
        keys = [_read(text) for text in (key, *old_keys)]
        self._ciphers = {_mark(each): AESGCM(each) for each in keys}
        self.mark = _mark(keys[0])
        self._names = hashlib.sha256(b"counterfoil names" + keys[0]).digest()

    def seal(self, clear: bytes, purpose: str) -> bytes:
        """`clear`, to be opened for the same purpose only."""
        nonce = os.urandom(_NONCE)
        head = _VERSION + self.mark
        return head + nonce + self._ciphers[self.mark].encrypt(nonce, clear, head + purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """What was sealed. Raises NotOpened, whose message repeats nothing of it."""
        head, nonce, rest = sealed[: 1 + _MARK], sealed[1 + _MARK : 1 + _MARK + _NONCE], sealed[1 + _MARK + _NONCE :]
        cipher = self._ciphers.get(head[1:])
        if head[:1] != _VERSION or cipher is None:
            raise NotOpened("it was sealed with a key that is not among those given; name it under old_keys")
        try:
            return cipher.decrypt(nonce, rest, head + purpose.encode())
        except (InvalidTag, ValueError) as error:
            raise NotOpened("it was changed, or sealed for something else") from error

    def is_current(self, sealed: bytes) -> bool:
        """Whether it was sealed with the present key."""
        return sealed[1 : 1 + _MARK] == self.mark

    def name(self, *parts: bytes) -> str:
        """The same name for the same content, which tells nothing to who has not the key."""
        lengths = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return hmac.new(self._names, lengths, hashlib.sha256).hexdigest()[:32]


def _read(text: str) -> bytes:
    key = key_of(text)
    if key is None:
        raise BadKey(BadKey.__doc__)
    return key


def _mark(key: bytes) -> bytes:
    return hashlib.sha256(b"counterfoil mark" + key).digest()[:_MARK]
