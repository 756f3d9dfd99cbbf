"""Who may ask the storefront what, and how often.

What is looked up is the digest of what was sent, so how long it takes says nothing of the tokens there are. Known ones
are kept in memory and read again every few seconds: so soon a revoked one is refused.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from counterfoil.doors.storefront.problems import FORBIDDEN, TOO_MANY, UNAUTHORIZED, Refusal
from counterfoil.hub.store import Store
from counterfoil.hub.storefront import apitokens

BURST_SECONDS = 2.0
"""So many seconds of its rate a token that was quiet may use at once."""
LOOKED_UP_EVERY = 5.0
"""Seconds until a token is looked up again; so long a revoked one may still be taken."""
MOST_UNKNOWN = 50.0
"""Lookups a second of tokens that are not known: who guesses must not keep the store busy."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a token, the channel it was made for, and what it may."""

    id: str
    channel: str
    scopes: frozenset[str]
    rate: float


@dataclass(slots=True)
class Bucket:
    """How many requests are left, and when that was so."""

    left: float
    at: float

    def take(self, rate: float, now: float, most: float) -> float:
        """Seconds to wait at so many a second, `most` at once; 0 where it may go on, which is counted."""
        self.left, self.at = min(most, self.left + (now - self.at) * rate), now
        if self.left < 1.0:
            return (1.0 - self.left) / rate
        self.left -= 1.0
        return 0.0


@dataclass(slots=True)
class _Known:
    digest: str
    caller: Caller
    looked_up: float
    bucket: Bucket


class Gate:
    """Checks the token of each request. `rate`: requests a second of a token without one of its own.

    One a process: a rate counts at each process by itself.
    """

    def __init__(self, store: Store, rate: float = 200.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._rate, self._clock = store, rate, clock
        self._known: dict[str, _Known] = {}
        self.used = asyncio.Event()  # somebody with a known token has come
        self._strangers = Bucket(MOST_UNKNOWN, clock())

    def quick(self, authorization: str, scope: str) -> Caller | Refusal | None:
        """The caller or the refusal, without waiting; None where the token must be looked up: `check` does."""
        digest = _digest(authorization)
        if digest is None:
            return UNAUTHORIZED.problem("The request has no `Authorization: Bearer …`.")
        known, now = self._known.get(digest), self._clock()
        if known is None or now - known.looked_up > LOOKED_UP_EVERY:
            return None
        return self._admitted(known, scope, now)

    async def check(self, authorization: str, scope: str) -> Caller:
        """The caller. Raises Refusal."""
        found = self.quick(authorization, scope)
        if found is None:
            found = await self._look_up(_digest(authorization) or "", scope)
        if isinstance(found, Refusal):
            raise found
        return found

    def _admitted(self, known: _Known, scope: str, now: float) -> Caller | Refusal:
        caller = known.caller
        if wait := known.bucket.take(caller.rate, now, _at_once(caller.rate)):
            return _slower(f"This token may ask {caller.rate:g} times a second.", wait)
        if scope and scope not in caller.scopes:
            return FORBIDDEN.problem(f"This needs the scope {scope!r}; the token has {sorted(caller.scopes)}.")
        return caller

    async def _look_up(self, digest: str, scope: str) -> Caller | Refusal:
        now = self._clock()
        known = self._known.get(digest)
        if known is None and (wait := self._strangers.take(MOST_UNKNOWN, now, MOST_UNKNOWN)):
            return _slower("Too many unknown tokens were sent.", wait)
        async with self._store.read() as connection:
            row = await apitokens.found(connection, digest)
        if row is None:
            self._known.pop(digest, None)
            return UNAUTHORIZED.problem("The token is not known, or was revoked.")
        caller = Caller(row["id"], row["channel"], frozenset(row["scopes"]), row["rate"] or self._rate)
        bucket = known.bucket if known else Bucket(_at_once(caller.rate), now)
        self._known[digest] = _Known(digest, caller, now, bucket)
        self.used.set()
        return self._admitted(self._known[digest], scope, now)


def _at_once(rate: float) -> float:
    return max(rate * BURST_SECONDS, 1.0)


def _slower(detail: str, wait: float) -> Refusal:
    return TOO_MANY.problem(detail, {"Retry-After": str(max(1, round(wait + 0.5)))})


def _digest(authorization: str) -> str | None:
    """Of the token in an `Authorization` header; None where there is none."""
    kind, _, token = authorization.partition(" ")
    return apitokens.digest_of(token.strip()) if kind.lower() == "bearer" and token.strip() else None


_bearer = HTTPBearer(auto_error=False, description="A token of `counterfoil tokens add`, made for one channel.")


def needs(scope: str) -> Any:
    """What a route asks of its caller: `caller: Annotated[Caller, needs("reserve")]`. Empty: any token will do."""

    async def caller(request: Request, _documented: Annotated[Any, Depends(_bearer)]) -> Caller:
        gate: Gate = request.app.state.context.gate
        return await gate.check(request.headers.get("authorization", ""), scope)

    caller.scope = scope  # type: ignore[attr-defined]  # for the OpenAPI document
    return Depends(caller)
