"""What a system says of its own limit, in the headers of its answers. Connectors `tell`, the hub listens.

A connector calls `tell` after each answer, at whatever depth; the calls that follow are spread by all workers so that
what is left lasts, before there is a 429.
"""

from __future__ import annotations

import contextlib
import contextvars
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

LONGEST = 3600.0
"""Seconds: what a system says is believed for so long at most."""


@dataclass(frozen=True, slots=True)
class Room:
    """So many requests may follow in the next `seconds`."""

    left: int
    seconds: float

    @property
    def interval(self) -> float:
        """Seconds between two requests with which it lasts."""
        return self.seconds / max(self.left, 1)


_heard: contextvars.ContextVar[list[Room | None] | None] = contextvars.ContextVar("heard", default=None)


@contextlib.contextmanager
def listening() -> Iterator[list[Room | None]]:
    """Collect what is told in here and in the tasks started in here: one entry an answer."""
    rooms: list[Room | None] = []
    before = _heard.set(rooms)
    try:
        yield rooms
    finally:
        _heard.reset(before)


def tell(headers: Mapping[str, str]) -> None:
    """For connectors, after each answer of their system."""
    rooms = _heard.get()
    if rooms is not None:
        rooms.append(room_of(headers))


_BUCKET_EMPTIES = 20.0
"""Seconds in which Shopify's bucket leaks empty, whatever its size (40 at 2/s, 80 at 4/s)."""
_WINDOW = {"limit": "q", "remaining": "r", "reset": "t"}
"""The names of drafts 3 to 7, and the letters that later ones have for them."""


def room_of(headers: Mapping[str, str]) -> Room | None:
    """What is left of a limit; None where nothing is said of one, or half of it is still free.

    Understood are `X-Shopify-Shop-Api-Call-Limit: 32/40` and the IETF's drafts: `RateLimit-Limit`, `-Remaining` and
    `-Reset` (seconds), or one field `RateLimit`, be it `limit=100, remaining=5, reset=10` or `"default";r=5;t=10` with
    `RateLimit-Policy: "default";q=100`. `headers` takes names in any case, or they are in small letters.
    """
    bucket = re.fullmatch(r"(\d{1,6})/(\d{1,6})", headers.get("x-shopify-shop-api-call-limit", "").strip())
    if bucket:
        used, size = int(bucket[1]), int(bucket[2])
        return _scarce(max(size - used, 0), size, _BUCKET_EMPTIES / 2)
    field = headers.get("ratelimit", "")
    said = {k: int(n) for k, n in re.findall(r";\s*([qrt])=(\d{1,9})", headers.get("ratelimit-policy", "") + field)}
    for name, letter in _WINDOW.items():
        alone = re.match(r"(\d{1,9})", headers.get(f"ratelimit-{name}", ""))
        if found := re.search(rf"\b{name}=(\d{{1,9}})", field) or alone:
            said[letter] = int(found[1])
    return _scarce(said["r"], said.get("q"), float(said["t"])) if {"r", "t"} <= said.keys() else None


def _scarce(left: int, limit: int | None, seconds: float) -> Room | None:
    plenty = limit is not None and left * 2 > limit
    return None if plenty or seconds <= 0 else Room(left, min(seconds, LONGEST))
