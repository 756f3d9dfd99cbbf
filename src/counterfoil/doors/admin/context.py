"""What every route of the admin API works with, and who asks.

A browser has a session in a cookie that scripts cannot read; a program has a personal token. With the cookie every
request that changes something comes from the hub's own pages (`Origin`) and carries the session's CSRF token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from counterfoil.blueprint import Blueprint
from counterfoil.doors.admin.problems import FROM_ELSEWHERE, NOT_ALLOWED, NOT_SIGNED_IN
from counterfoil.hub.access import sessions, tokens
from counterfoil.hub.access.people import NotAllowed, Person, require
from counterfoil.hub.access.roles import Right
from counterfoil.hub.access.sessions import Limits
from counterfoil.hub.contract import Connector
from counterfoil.hub.store import Store

ROOT = "/admin/v1"
CSRF = "x-csrf-token"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(slots=True)
class Admin:
    """One a process. `streams` by `system.operation`. `stop`: the process ends. `more`: for what one module needs."""

    store: Store
    blueprint: Blueprint
    connectors: Mapping[str, Connector]
    streams: Mapping[str, str]
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def limits(self) -> Limits:
        """Of sessions."""
        declared = self.blueprint.console.session
        return Limits(declared.idle.total_seconds(), declared.at_most.total_seconds())

    @property
    def is_https(self) -> bool:
        """Whether people come by https, as far as the blueprint says."""
        return (self.blueprint.public_url or "").startswith("https:")

    @property
    def cookie(self) -> str:
        """The session's cookie. With https its name lets browsers take it from this host alone."""
        return "__Host-counterfoil" if self.is_https else "counterfoil"

    def origins(self, headers: Headers) -> set[str]:
        """Where the hub's own pages come from: as the blueprint says, else as the request itself says."""
        if url := self.blueprint.public_url:
            parts = urlsplit(url)
            return {f"{parts.scheme}://{parts.netloc}"}
        return {f"http://{headers.get('host', '')}"}

    def token_of(self, connection: HTTPConnection) -> str:
        """The session's token; empty where there is none."""
        return connection.cookies.get(self.cookie, "")

    async def who(self, connection: HTTPConnection, touch: bool = True) -> Person | None:
        """Who asks; None where nobody is signed in. For requests and for websockets. Without `touch` the session
        counts as unused: what an open page asks by itself keeps nobody signed in.

        Raises Refusal where a browser was made to ask by a page from elsewhere.
        """
        kind, _, token = connection.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return await tokens.found(self.store, token.strip())
        token = self.token_of(connection)
        person = await sessions.found(self.store, token, self.limits, touch) if token else None
        if person is not None:
            self._from_here(connection, token)
        return person

    def _from_here(self, connection: HTTPConnection, token: str) -> None:
        origin = connection.headers.get("origin")
        if connection.scope["type"] == "websocket":
            if origin not in self.origins(connection.headers):
                raise FROM_ELSEWHERE.problem("The page that asks is not one of the hub's.")
        elif connection.scope["method"] not in SAFE:
            if origin is not None and origin not in self.origins(connection.headers):
                raise FROM_ELSEWHERE.problem("The page that asks is not one of the hub's.")
            if not sessions.is_csrf(token, connection.headers.get(CSRF, "")):
                raise FROM_ELSEWHERE.problem("The request has no `X-CSRF-Token`, or not the one of this session.")


_bearer = HTTPBearer(auto_error=False, description="A personal token of `counterfoil users tokens add`.")


def admin_of(request: HTTPConnection) -> Admin:
    """What a route works with: `desk: Desk`."""
    found: Admin = request.app.state.admin
    return found


Desk = Annotated[Admin, Depends(admin_of)]


def may(asked: Any) -> Any:
    """What a route asks of who calls it, as the act that it calls does: `person: Annotated[Person, may(users.add)]`.

    Or a Right itself; None: to be signed in.
    """
    right: Right | None = asked if asked is None or isinstance(asked, Right) else asked.right

    async def person(request: Request, desk: Desk, _documented: Annotated[Any, Depends(_bearer)]) -> Person:
        found = await desk.who(request)
        if found is None:
            raise NOT_SIGNED_IN.problem("The request has no valid session and no valid token.")
        if right is not None:
            try:
                require(found, right)
            except NotAllowed as error:
                raise NOT_ALLOWED.problem(str(error)) from None
        return found

    person.right = right  # type: ignore[attr-defined]  # for the OpenAPI document, and for the role matrix
    return Depends(person)


ANYBODY = "anybody"
"""The tag of the few routes that ask for nobody's right: signing in, health, what a problem means."""
