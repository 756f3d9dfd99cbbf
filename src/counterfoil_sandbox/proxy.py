"""A proxy with faults in front of a real system: its answers can be lost after the commit, it can be cut off."""

from __future__ import annotations

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from counterfoil_sandbox.faults import DroppedConnection, Faulty

_NOT_FORWARDED = {"host", "content-length", "connection", "transfer-encoding", "accept-encoding", "content-encoding"}
_NOT_FORWARDED |= {"date", "server"}  # this server adds its own


def make_app(target: str) -> Faulty:
    """Forward every request to `target` (a base URL), unless a fault comes first."""

    # one for all requests: making a client costs 50 ms of certificates. No connection is kept between two requests
    client = httpx.AsyncClient(timeout=300, limits=httpx.Limits(max_keepalive_connections=0))

    async def forward(request: Request) -> Response:
        headers = {k: v for k, v in request.headers.items() if k not in _NOT_FORWARDED}
        address = target + request.url.path + (f"?{request.url.query}" if request.url.query else "")
        try:
            answer = await client.request(request.method, address, headers=headers, content=await request.body())
        except httpx.TransportError as error:  # what is behind is gone: so is what is in front
            raise DroppedConnection(str(error)) from error
        headers = {k: v for k, v in answer.headers.items() if k not in _NOT_FORWARDED}
        return Response(answer.content, answer.status_code, headers)

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    return Faulty(Starlette(routes=[Route("/{path:path}", forward, methods=methods)]))
