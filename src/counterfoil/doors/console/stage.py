"""NiceGUI in our own ASGI stack, under /console. Nothing but this module and `frame` knows how it is built inside.

It is one to a process and lives on one event loop: the first page starts it, the last hub that used it stops it. It
keeps no storage and writes no file, installs no signal handler, and serves every asset from its own wheel.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from typing import Any

import structlog
from fastapi import FastAPI
from nicegui import Client, core, ui
from nicegui.nicegui import _shutdown, _startup
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from counterfoil.doors.console.visit import Busy

log = structlog.get_logger()

ROOT = "/console"
RECONNECT = 20.0
"""Seconds an open page may be without its websocket before what it showed is forgotten here."""
SESSION = "counterfoil.session"
"""Where in the scope of a websocket the token of its session stands."""
_OPENING_TAG = re.compile(rb"<(script|style)\b")
_HIDDEN = b' style="display: none"'
_PAGE = b"x-nicegui-content"


def _mounted() -> FastAPI:
    shell = FastAPI(openapi_url=None)
    core.app.config.socket_io_js_transports = ["websocket"]  # polling would be a second door to keep
    ui.run_with(
        shell,
        mount_path=ROOT,
        title="Counterfoil",
        language="en-US",
        dark=None,
        tailwind=False,  # it would compile styles in the browser
        binding_refresh_interval=None,
        reconnect_timeout=RECONNECT,
        gzip_middleware_factory=None,  # pages are small and carry a person's data; assets are compressed below
        show_welcome_message=False,
    )
    return shell


def _of_their_own_pages() -> None:
    """A socket joins pages of its own session alone, and speaks for those it has joined: for NiceGUI itself, whoever
    knows a page's number acts as the person who looks at it."""
    accept, handlers = Client.accept_handshake, core.sio.handlers["/"]

    def accept_own(self: Client, socket_id: str, tab_id: str, environ: dict[str, Any] | None) -> bool:
        visit = self.request.scope.get("counterfoil.visit")
        theirs = (environ or {}).get("asgi.scope", {}).get(SESSION)
        return visit is not None and visit.token == theirs and accept(self, socket_id, tab_id, environ)

    def joined(handler: Any) -> Any:
        def heard(socket: str, message: Any) -> None:
            if isinstance(message, dict) and message.get("client_id") in core.sio.rooms(socket):
                handler(socket, message)

        return heard

    Client.accept_handshake = accept_own  # type: ignore[method-assign]
    for name in handlers.keys() - {"connect", "handshake", "disconnect"}:
        handlers[name] = joined(handlers[name])


_shell = _mounted()
_of_their_own_pages()
_assets: ASGIApp = GZipMiddleware(_shell, minimum_size=1000, compresslevel=6)
_users: set[object] = set()


async def start(user: object) -> None:
    """Start it unless it runs. Raises Busy."""
    if user in _users:
        return
    if _users and core.loop is not asyncio.get_running_loop():
        raise Busy("the console of another hub in this process is open")
    if not _users:
        await _startup()
    _users.add(user)


async def stop(user: object) -> None:
    """Forget the pages of this hub, and stop with the last one. Does nothing where it was never started."""
    if user not in _users:
        return
    _users.discard(user)
    for client in [c for c in Client.instances.values() if _belongs(c, user)]:
        client.delete()
    if _users:
        return
    await _shutdown()
    core.app._shutdown_handlers.clear()  # starting again adds them again
    await _stop_sockets()
    core.loop = None


async def _stop_sockets() -> None:
    """Engine.IO lets its tasks run out by themselves, after the loop that they are on may be gone, and begins the one
    that looks after all sockets only once."""
    engine = core.sio.eio
    mine = [task for task in asyncio.all_tasks() if _qualname(task).startswith(("AsyncSocket.", "AsyncServer."))]
    for task in mine:
        task.cancel()
    await asyncio.gather(*mine, return_exceptions=True)
    engine.service_task_handle, engine.service_task_event, engine.start_service_task = None, None, True
    engine.sockets.clear()


def _qualname(task: asyncio.Task[Any]) -> str:
    return getattr(task.get_coro(), "__qualname__", "")


def _belongs(client: Client, user: object) -> bool:
    visit = client.request.scope.get("counterfoil.visit")
    return visit is None or visit.console is user


def policy(nonce: str) -> str:
    """Content-Security-Policy: scripts from here and by nonce, none made from text; nothing from another host."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'nonce-{nonce}'",
            f"style-src 'self' 'nonce-{nonce}'",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


async def asset(scope: Scope, receive: Receive, send: Send) -> None:
    """What a page loads, and its websocket."""
    await (_shell if scope["type"] == "websocket" else _assets)(scope, receive, send)


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    """A page, with a policy under which it runs only the scripts it came with."""
    begun: dict[str, Any] = {}
    body = bytearray()

    async def out(message: Message) -> None:
        if message["type"] == "http.response.start":
            begun.update(message)
            return
        body.extend(message.get("body", b""))
        if message.get("more_body"):
            return
        headers = {name.lower(): value for name, value in begun["headers"]}
        content = bytes(body)
        if _PAGE in headers:
            nonce = secrets.token_urlsafe(16)
            # the elements of a page come as escaped JSON: every tag that is one here is the template's own
            content = _OPENING_TAG.sub(rb'<\1 nonce="' + nonce.encode() + b'"', content).replace(_HIDDEN, b" hidden")
            headers[b"content-security-policy"] = policy(nonce).encode()
        headers[b"content-length"] = str(len(content)).encode()
        await send({**begun, "headers": list(headers.items())})
        await send({"type": "http.response.body", "body": content})

    await _shell(scope, receive, out)
