"""Opens the console at /console: who may come in, what they get before that, and where a request goes to.

Without a session there is the page to sign in and its style sheet, nothing else. NiceGUI is loaded by the first who
signs in: a hub that nobody looks at spares itself the second and the memory.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from counterfoil.doors.admin import elsewhere, signing
from counterfoil.doors.console import door_page, words
from counterfoil.doors.console.visit import Busy, Visit
from counterfoil.doors.problems import Refusal
from counterfoil.doors.webhooks import read_limited
from counterfoil.hub.access import sessions, users
from counterfoil.hub.access.people import Person
from counterfoil.hub.views.today import zone_of

if TYPE_CHECKING:
    from counterfoil.doors.admin.context import Admin

log = structlog.get_logger()

ROOT = "/console"
SIGN_IN, SIGN_OUT = f"{ROOT}/sign-in", f"{ROOT}/sign-out"
LARGEST_FORM = 16 * 1024
"""Bytes of what the page to sign in sends."""
ASSETS = {
    f"{ROOT}/assets/{path.name}": path
    for path in sorted((Path(__file__).parent / "assets").iterdir())
    if path.suffix in (".css", ".js", ".svg")
}
GUARDED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
PLAIN_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


class Console:
    """The console of one hub."""

    def __init__(self, desk: Admin) -> None:
        self.desk = desk
        self.zone = ZoneInfo(zone_of(desk.blueprint))
        self._stage: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what is under /console."""
        try:
            await self._serve(scope, receive, _guarded(send))
        except (OSError, sa.exc.SQLAlchemyError) as error:
            log.error("the console cannot reach the store", error=type(error).__name__)
            if scope["type"] == "http":
                away = HTMLResponse(door_page.says(words.STORE_AWAY_TITLE, words.STORE_AWAY), 503, _plain())
                await away(scope, receive, _guarded(send))
        except Busy:
            if scope["type"] == "http":
                busy = HTMLResponse(door_page.says(words.FAILED_TITLE, words.CONSOLE_BUSY), 503, _plain())
                await busy(scope, receive, _guarded(send))

    async def close(self) -> None:
        """Forget who looks at what."""
        if self._stage is not None:
            await self._stage.stop(self)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        request = Request(scope, receive)
        if path in ASSETS:
            answer: Response = FileResponse(ASSETS[path], headers={"Cache-Control": "no-cache"})
        elif request.method == "POST":
            answer = await self._sent(request, path)
        elif request.method not in ("GET", "HEAD"):
            answer = PlainTextResponse("", 405)
        elif path == SIGN_IN:
            asked = request.query_params
            said = {"ended": words.SESSION_ENDED, "out": words.SIGNED_OUT}.get(asked.get("why", ""), "")
            said = said or await elsewhere.said_before(self.desk, asked.get("said", ""))
            answer = await self._door(said, "", within(asked.get("next", "")))
        else:
            person = await self.who(self._token(scope))
            if person is None and _is_page(path):
                back = scope["path"] + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
                answer = RedirectResponse(f"{SIGN_IN}?next={quote(back)}", 303, {"Cache-Control": "no-store"})
            elif person is None:
                answer = PlainTextResponse("", 401)
            else:
                stage = await self.stage()
                if path == ROOT:  # the page at the root of what is mounted there
                    scope["path"], scope["raw_path"] = f"{ROOT}/", f"{ROOT}/".encode()
                scope["counterfoil.visit"] = Visit(self, self.desk, self._token(scope), person, self.zone)
                await (stage.page if _is_page(path) else stage.asset)(scope, receive, send)
                return
        await answer(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = self._token(scope)
        person = await self.who(token) if self.from_here(Headers(scope=scope)) else None
        if person is None:
            await receive()
            await send({"type": "websocket.close", "code": 4401, "reason": "sign in first"})
            return
        stage = await self.stage()
        scope[stage.SESSION] = token
        await stage.asset(scope, receive, send)

    async def _sent(self, request: Request, path: str) -> Response:
        if not self.from_here(request.headers):
            return HTMLResponse(door_page.says(words.NOT_ALLOWED, words.NOT_FROM_HERE), 403, _plain())
        if path == SIGN_OUT:
            token = self._token(request.scope)
            person = await self.who(token)
            if person is not None:
                await signing.sign_out(self.desk, person, token)
            gone = RedirectResponse(f"{SIGN_IN}?why=out", 303, {"Cache-Control": "no-store"})
            gone.delete_cookie(self.desk.cookie, path="/", secure=self.desk.is_https, httponly=True, samesite="lax")
            return gone
        if path != SIGN_IN:
            return PlainTextResponse("", 405)
        body = await read_limited(request, LARGEST_FORM)
        if body is None:
            return PlainTextResponse("", 413)
        fields = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
        login, after = fields.get("login", ""), within(fields.get("next", ""))
        try:
            token = await signing.sign_in(self.desk, login, fields.get("password", ""), signing.address_of(request))
        except Refusal as refusal:
            return await self._door(refusal.detail, login, after, refusal.status_code, refusal.headers)
        inside = RedirectResponse(after, 303, {"Cache-Control": "no-store"})
        signing.set_cookie(self.desk, inside, token)
        return inside

    async def _door(
        self, said: str, login: str, after: str, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Response:
        hint = "" if await users.any_there(self.desk.store) else words.NOBODY_YET
        provider = self.desk.blueprint.console.sign_in.oidc
        there = urlsplit(provider.issuer).netloc if provider is not None else ""
        shown = door_page.sign_in(said, login, after, hint, there)
        return HTMLResponse(shown, status, {**_plain(), **(headers or {})})

    async def who(self, token: str, touch: bool = True) -> Person | None:
        """Who has this session; `touch`: it is they who ask, not a page by itself."""
        return await sessions.found(self.desk.store, token, self.desk.limits, touch) if token else None

    def _token(self, scope: Scope) -> str:
        return self.desk.token_of(HTTPConnection(scope))

    async def stage(self) -> Any:
        """NiceGUI with our pages, started."""
        if self._stage is None:
            loaded = await asyncio.to_thread(importlib.import_module, "counterfoil.doors.console.pages")
            await loaded.stage.start(self)
            self._stage = loaded.stage
        return self._stage

    def from_here(self, headers: Headers) -> bool:
        """Whether one of our own pages sends it: a browser says where a POST or a websocket comes from."""
        origin = headers.get("origin", "")
        if not origin:
            return headers.get("sec-fetch-site") == "same-origin"
        return origin in self.desk.origins(headers)


def beside(others: ASGIApp, console: Console) -> ASGIApp:
    """One address for all."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        await (console if path == ROOT or path.startswith(f"{ROOT}/") else others)(scope, receive, send)

    return app


def _is_page(path: str) -> bool:
    return not path.startswith(f"{ROOT}/_nicegui")


def within(address: str) -> str:
    """An address of the console; any other one becomes its first page. Nobody is led elsewhere by a link."""
    path = urlsplit(address)
    inside = not path.scheme and not path.netloc and (path.path == ROOT or path.path.startswith(f"{ROOT}/"))
    return address if inside and "\\" not in address and path.path not in (SIGN_IN, SIGN_OUT) else ROOT


def _plain() -> dict[str, str]:
    return {"Content-Security-Policy": PLAIN_POLICY, "Cache-Control": "no-store"}


def _guarded(send: Send) -> Send:
    async def out(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(GUARDED)
        await send(message)

    return out
