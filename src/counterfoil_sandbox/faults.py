"""Faults on demand for a stand-in: what it does wrong, to which requests, how often.

A stand-in is a Starlette application wrapped in `Faulty`. Faults are set in the process (`app.faults.add(...)`)
or over HTTP: `POST /_sandbox/faults` with a JSON list of faults replaces all, `GET` shows what is left.
"""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

KINDS = ("latency", "late_answer", "status", "lost_answer", "reset", "throttle", "down")


@dataclass
class Fault:
    """One thing that goes wrong.

    kind: latency (answer after `seconds`), late_answer (do the work, answer after `seconds`),
    status (answer `status` and `body` without doing the work),
    lost_answer (do the work, then drop the connection), reset (drop the connection before the work),
    throttle (429 with Retry-After `seconds`), down (drop every connection).
    path: a regular expression searched in the request's path. method: only this one, '' for any.
    times: how often, -1 for always. share: chance per matching request.
    """

    kind: str
    path: str = ""
    method: str = ""
    times: int = 1
    share: float = 1.0
    seconds: float = 0.0
    status: int = 500
    body: str = ""
    content_type: str = "application/json"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}, one of {', '.join(KINDS)}")


@dataclass
class Faults:
    """The faults still to come, and how many were played."""

    waiting: list[Fault] = field(default_factory=list)
    played: dict[str, int] = field(default_factory=dict)
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    def add(self, kind: str, **options: Any) -> None:
        """One more fault; options as in `Fault`."""
        self.waiting.append(Fault(kind, **options))

    def clear(self, kind: str = "") -> None:
        """No more faults (of this kind)."""
        self.waiting = [fault for fault in self.waiting if kind and fault.kind != kind]

    def take(self, method: str, path: str) -> Fault | None:
        """The fault this request meets, if any."""
        for fault in self.waiting:
            if fault.times == 0 or (fault.method and fault.method != method):
                continue
            if re.search(fault.path, path) and self.dice.random() < fault.share:
                fault.times -= 1 if fault.times > 0 else 0
                self.played[fault.kind] = self.played.get(fault.kind, 0) + 1
                return fault
        return None


class DroppedConnection(Exception):
    """Raised into the server so that it closes the socket without an answer."""


class Faulty:
    """An ASGI application that plays faults in front of another one."""

    def __init__(self, app: Starlette) -> None:
        self.app: ASGIApp = app
        self.inner = app
        self.faults = Faults()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["path"] == "/_sandbox/faults":
            await (await self._control(Request(scope, receive)))(scope, receive, send)
            return
        fault = None
        if not scope["path"].startswith("/_sandbox"):
            fault = self.faults.take(scope["method"], scope["path"])
        if fault is None:
            await self.app(scope, receive, send)
        elif fault.kind == "latency":
            await asyncio.sleep(fault.seconds)
            await self.app(scope, receive, send)
        elif fault.kind == "late_answer":
            said: list[Message] = []
            await self.app(scope, receive, _into(said))
            await asyncio.sleep(fault.seconds)
            for message in said:
                await send(message)
        elif fault.kind == "status":
            await Response(fault.body, fault.status, media_type=fault.content_type)(scope, receive, send)
        elif fault.kind == "throttle":
            headers = {"Retry-After": str(int(fault.seconds))}
            await JSONResponse({"code": "throttled"}, 429, headers)(scope, receive, send)
        else:
            if fault.kind == "lost_answer":
                await self.app(scope, receive, _swallow)
            raise DroppedConnection(fault.kind)

    async def _control(self, request: Request) -> Response:
        if request.method == "POST":
            self.faults.waiting = [Fault(**f) for f in await request.json()]
        return JSONResponse({"waiting": [asdict(f) for f in self.faults.waiting], "played": self.faults.played})


def _into(said: list[Message]) -> Send:
    async def keep(message: Message) -> None:
        said.append(message)

    return keep


async def _swallow(_message: Any) -> None:
    """An answer that never leaves the machine."""
