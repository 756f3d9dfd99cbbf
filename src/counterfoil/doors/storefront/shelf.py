"""What one channel is answered of availability: ready bytes, kept until something changes, closed by their age."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from counterfoil.retail.events import at_utc

if TYPE_CHECKING:
    from counterfoil.doors.storefront.book import Book

UNTRACKED = "untracked"
"""The state of what is sold without being counted, such as a service."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """As of when the ERP's part of an answer holds (UTC; None: it was never looked at), and whether that is too old."""

    as_of: datetime | None
    age_seconds: int | None
    stale: bool

    @classmethod
    def of(cls, as_of: float | None, age: float, stale_after: float) -> Freshness:
        """Of what was looked at then, so long ago; all in seconds."""
        if as_of is None:
            return cls(None, None, True)
        return cls(at_utc(as_of), max(0, int(age)), age > stale_after)

    @property
    def written(self) -> str:
        """`as_of` as RFC 3339 has it; empty where there is none."""
        return f"{self.as_of:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z" if self.as_of else ""

    def said(self) -> dict[str, Any]:
        """As answers have it."""
        return {"as_of": self.as_of, "age_seconds": self.age_seconds, "stale": self.stale}

    def as_json(self) -> dict[str, Any]:
        """The same, as JSON has it."""
        return {**self.said(), "as_of": self.written or None}


class Shelf:
    """What one channel is answered, as JSON without its closing brace, and the ends that say how old it is."""

    def __init__(self, book: Book, channel: str) -> None:
        self._book, self._channel = book, channel
        self._kept: dict[str, tuple[bytes, bytes]] = {}
        self._bundles = book.rules.bundles
        self._stale = False
        self._end: tuple[object, bytes] = ((), b"")
        self.as_of = b""  # as `end` says it

    def forget(self, sku: str) -> None:
        """It has changed."""
        self._kept.pop(sku, None)

    def end(self) -> bytes:
        """What closes every answer: as of when, how old, whether too old. To be asked before `entry`."""
        if self._book.rules.bundles is not self._bundles:
            self._bundles = self._book.rules.bundles
            self._kept.clear()
        now = self._book.looked_and_age()
        if now != self._end[0]:
            fresh = self._book.freshness()
            if fresh.stale != self._stale:  # the channel's rule decides anew of everything
                self._stale = fresh.stale
                self._kept.clear()
            self.as_of = fresh.written.encode()
            self._end = (now, b"," + json.dumps(fresh.as_json(), separators=(",", ":"))[1:].encode())
        return self._end[1]

    def entry(self, sku: str) -> tuple[bytes, bytes] | None:
        """(JSON without its closing brace, a digest of it that also says whether it is stale); None: no such SKU."""
        found = self._kept.get(sku)
        if found is None:
            found = self._made(sku)
            if found is not None:
                self._kept[sku] = found
        return found

    def _made(self, sku: str) -> tuple[bytes, bytes] | None:
        answer = self._book.answer(self._channel, sku, self._stale)
        said: dict[str, Any]
        if answer is not None:
            said = {"sku": sku, "state": answer.state, "quantity": answer.units, "beyond": answer.beyond}
        elif self._book.known(sku):
            said = {"sku": sku, "state": UNTRACKED, "quantity": None, "beyond": 0}
        else:
            return None
        text = json.dumps(said, separators=(",", ":")).encode()[:-1]
        return text, hashlib.blake2b(text + (b"!" if self._stale else b""), digest_size=8).hexdigest().encode()
