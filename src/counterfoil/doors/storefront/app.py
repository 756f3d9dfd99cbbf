"""The storefront API: typed routes, one router per concept, under /storefront/v1."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from time import perf_counter
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from counterfoil.doors.answering import Answers
from counterfoil.doors.limiting import Limited
from counterfoil.doors.storefront import (
    appointments,
    catalogue,
    checkout,
    hot,
    orders,
    pickup,
    prescriptions,
    reservations,
    returns,
    stream,
    trials,
)
from counterfoil.doors.storefront.context import Context
from counterfoil.doors.storefront.problems import (
    EVERYWHERE,
    FAILED,
    INVALID,
    KINDS,
    NOT_FOUND,
    TOO_LARGE,
    UNAVAILABLE,
    Problem,
    documented,
    of_status,
)
from counterfoil.hub import meters

log = structlog.get_logger()

ROOT = "/storefront/v1"
LARGER_BODIES = {f"{ROOT}/prescriptions": 6 * 1024 * 1024}
"""Under these paths so much is taken instead: documents and pictures."""

PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, If-None-Match",
    "Access-Control-Max-Age": "600",
}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
EXPOSED = "As-Of, ETag, Retry-After"
"""What a page may read of an answer's headers, beside the usual ones."""

Routes = Callable[[Context], APIRouter]


def routers() -> list[Routes]:
    """What is mounted: the `routes` of each module, by concept."""
    concepts = (appointments, catalogue, checkout, orders, pickup, prescriptions, reservations, returns, stream, trials)
    return [*(each.routes for each in concepts), lambda _context: ANSWERS.meanings()]


ANSWERS = Answers("storefront", KINDS, INVALID, NOT_FOUND, UNAVAILABLE, FAILED, of_status)


def application(context: Context) -> FastAPI:
    """The typed routes of the storefront, with their OpenAPI document. Mounted at the root: its paths are whole."""
    app = FastAPI(
        title="Counterfoil storefront",
        version="1",
        openapi_url=f"{ROOT}/openapi.json",
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        responses=documented(*EVERYWHERE),
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.context = context
    mounted = [routes(context) for routes in routers()]
    for router in mounted:
        app.include_router(router, prefix=ROOT)
    ANSWERS.give(app)
    app.add_middleware(Limited, most=_most, kind=TOO_LARGE)
    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        document["paths"] = {**hot.paths(), **document["paths"]}
        for path, method, scope in _scopes(mounted):
            document["paths"][path][method]["x-scope"] = scope
        document["components"]["schemas"].setdefault("Problem", Problem.model_json_schema())
        return document

    app.openapi = openapi  # type: ignore[method-assign]
    return app


def _most(path: str) -> int:
    """Bytes of a body that are taken there."""
    return next((most for start, most in LARGER_BODIES.items() if path.startswith(start)), hot.LARGEST_BODY)


def _scopes(mounted: Sequence[APIRouter]) -> Iterator[tuple[str, str, str]]:
    """What a token must be made for, by path and method."""
    for path, item in hot.paths().items():
        yield from ((path, method, hot.SCOPE) for method in item)
    for route in (each for router in mounted for each in router.routes if isinstance(each, APIRoute)):
        asked = [getattr(each.call, "scope", "") for each in route.dependant.dependencies]
        for scope in filter(None, asked):
            yield from ((ROOT + route.path_format, method.lower(), scope) for method in route.methods or ())


def front(context: Context) -> ASGIApp:
    """All of the storefront: what is asked most before the framework, and both for the declared origins only."""
    quick, typed = hot.application(context), application(context)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        status, took = 0, 0.0

        async def noted(message: Message) -> None:
            nonlocal status, took
            if not status:  # what is followed afterwards may go on for hours
                status, took = message.get("status", 0), perf_counter() - began
            await send(message)

        try:
            await (quick if scope["path"].startswith(hot.PATH) else typed)(scope, receive, noted)
        except Exception as error:  # without its words: what was asked, and of whom, may stand in them
            last = traceback.extract_tb(error.__traceback__)[-1]
            log.error("storefront failed", error=type(error).__name__, at=f"{last.filename}:{last.lineno}")
        finally:
            seconds = took or perf_counter() - began
            meters.STOREFRONT.observe(_route(scope), _method(scope), str(status), seconds=(seconds,))

    origins = {origin for each in context.blueprint.storefront.origins.values() for origin in each}
    return CrossOrigin(app, origins) if origins else app


def _route(scope: Scope) -> str:
    """As it is declared, never as it was asked for: that may name an order."""
    if scope["path"].startswith(hot.PATH):
        return hot.PATH
    route = scope.get("route")
    return ROOT + str(getattr(route, "path_format", "")) if route is not None else "none"


def _method(scope: Scope) -> str:
    method = scope.get("method")
    return str(method) if method in _METHODS else "other"


class CrossOrigin:
    """Lets pages of the declared origins read answers (CORS); to any other a browser shows none of them."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self.app, self.origins = app, frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        if origin not in self.origins:
            return await self.app(scope, receive, send)
        allowed = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            return await Response(None, 204, {**allowed, **PREFLIGHT})(scope, receive, send)

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer["Access-Control-Allow-Origin"] = origin
                answer["Access-Control-Expose-Headers"] = EXPOSED
                answer.add_vary_header("Origin")
            await send(message)

        await self.app(scope, receive, sent)
