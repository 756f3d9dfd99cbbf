"""The webhook door: check the signature, keep the raw body, commit, then answer. Nothing else is parsed here.

Answers that are not a success are problem details (RFC 9457).
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import sqlalchemy as sa
import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from counterfoil.hub import meters, tracing
from counterfoil.hub.contract import Connector, Refused
from counterfoil.hub.receipts import Arrival, GroupCommit, object_key

log = structlog.get_logger()

LARGEST_BODY = 5 * 1024 * 1024
"""Bytes. The largest order recorded has 30 kB; a body beyond this is refused before it is read whole."""


def problem(status: int, reason: str, detail: str, **headers: str) -> Response:
    """An RFC 9457 answer."""
    body = {"type": "about:blank", "title": reason, "status": status, "detail": detail}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


async def read_limited(request: Request, limit: int = LARGEST_BODY) -> bytes | None:
    """The body, or None when it is longer than `limit` bytes."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)


def application(connectors: Mapping[str, Connector], intake: GroupCommit) -> Starlette:
    """POST /webhooks/<system> and GET /health."""

    async def receive(request: Request) -> Response:
        system = request.path_params["system"]
        connector = connectors.get(system)
        if connector is None:
            meters.WEBHOOKS.add("", "unknown_system")  # whatever stood in its path
            return problem(404, "unknown_system", f"The blueprint declares no system {system!r}.")
        outcome, answer = await _taken(request, system, connector)
        meters.WEBHOOKS.add(system, outcome)
        return answer

    async def _taken(request: Request, system: str, connector: Connector) -> tuple[str, Response]:
        """What became of it, and the answer."""
        began = time.time()
        try:
            body = await read_limited(request)
        except ClientDisconnect:
            return "cut_off", problem(400, "cut_off", "The body ended before it was complete. Nothing was kept.")
        if body is None:
            found = f"The body is larger than {LARGEST_BODY} bytes. Nothing was kept."
            return "too_large", problem(413, "too_large", found)
        try:
            raw = connector.receive(request.headers, body)
        except Refused as refused:
            log.warning("webhook refused", system=system, reason=refused.reason)
            return "refused", problem(refused.status, refused.reason, refused.message)
        if raw is None:
            return "nothing_to_keep", JSONResponse({"status": "nothing to keep"})
        raw, span = tracing.arrived(system, request.headers, raw, began)
        try:
            await intake.take(Arrival(system, "webhook", raw))
        except (OSError, sa.exc.SQLAlchemyError, RuntimeError) as error:
            at = f"{system}:{object_key(raw.kind, raw.object_id)}"
            log.error("webhook not kept", system=system, correlation=at, error=type(error).__name__)
            if span is not None:
                span.end("store_unavailable")
            again = "The payload could not be kept; send it again."
            return "not_kept", problem(503, "store_unavailable", again, **{"Retry-After": "5"})
        if span is not None:
            span.end()
        return "kept", JSONResponse({"status": "kept"}, 202)

    async def health(_request: Request) -> Response:
        try:
            async with intake.store.read() as connection:
                await connection.execute(sa.select(1))
        except (OSError, sa.exc.SQLAlchemyError):
            return problem(503, "store_unavailable", "The store cannot be reached.")
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/webhooks/{system}", receive, methods=["POST"]),
            Route("/health", health, methods=["GET"]),
        ]
    )
