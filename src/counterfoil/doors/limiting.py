"""Bodies no longer than they may be."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from counterfoil.doors.problems import Kind


class Limited:
    """Refuses a body that is longer than it may be, before it is read whole. `most`: bytes, by the path."""

    def __init__(self, app: ASGIApp, most: Callable[[str], int], kind: Kind) -> None:
        self.app, self.most, self.kind = app, most, kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        most = self.most(scope["path"])
        refusal = self.kind.problem(f"At most {most} bytes are taken here.")
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > most:
            return await refusal.response()(scope, receive, send)
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise refusal
            return message

        await self.app(scope, limited, send)
