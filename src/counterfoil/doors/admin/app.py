"""The admin API: one router per subject, under /admin/v1."""

from __future__ import annotations

import traceback
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from counterfoil.doors.admin import (
    auditing,
    changes,
    elsewhere,
    exceptions,
    flowing,
    looking,
    signing,
    storefront_tokens,
    users,
    views,
)
from counterfoil.doors.admin.context import ANYBODY, ROOT, Admin, may
from counterfoil.doors.admin.problems import (
    EVERYWHERE,
    FAILED,
    INVALID,
    KINDS,
    NOT_ALLOWED,
    NOT_FOUND,
    TOO_LARGE,
    UNAVAILABLE,
    of_status,
)
from counterfoil.doors.answering import Answers
from counterfoil.doors.limiting import Limited
from counterfoil.doors.problems import Problem, documented
from counterfoil.hub.access.people import NotAllowed, Person

log = structlog.get_logger()

SUBJECTS = (signing, elsewhere, users, storefront_tokens, auditing, changes, exceptions, flowing, looking, views)
"""What is mounted: the `routes` of each module."""
GUARDED = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # pictures are SVG, which a browser may open as a page: it runs nothing and is framed nowhere
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
)
LARGEST_BODY = 1024 * 1024
"""Bytes."""


ANSWERS = Answers("admin API", KINDS, INVALID, NOT_FOUND, UNAVAILABLE, FAILED, of_status)


def application(desk: Admin) -> FastAPI:
    """The admin API with its OpenAPI document. Mounted at the root: its paths are whole."""
    app = FastAPI(
        title="Counterfoil admin",
        version="1",
        openapi_url=None,  # served below, to who is signed in
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        responses=documented(*EVERYWHERE),
        generate_unique_id_function=lambda route: route.name.strip("_"),
    )
    app.state.admin = desk
    app.state.routers = [*(subject.routes() for subject in SUBJECTS), ANSWERS.meanings(ANYBODY), _document(app)]
    for router in app.state.routers:
        app.include_router(router, prefix=ROOT)
    ANSWERS.give(app)
    app.add_exception_handler(NotAllowed, _not_allowed)
    app.add_middleware(Limited, most=lambda _path: LARGEST_BODY, kind=TOO_LARGE)
    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        for path, method, right in rights(app):
            if right is not None and path in document["paths"]:
                document["paths"][path][method.lower()]["x-right"] = right
        document["components"]["schemas"].setdefault("Problem", Problem.model_json_schema())
        return document

    app.openapi = openapi  # type: ignore[method-assign]
    return app


NOT_DECLARED = "not declared"


def rights(app: FastAPI) -> list[tuple[str, str, str | None]]:
    """(path, method, right) of every route: the right it asks for; empty: to be signed in; None: nothing at all."""
    found: list[tuple[str, str, str | None]] = []
    for route in (each for router in app.state.routers for each in router.routes if isinstance(each, APIRoute)):
        asked = [getattr(each.call, "right", NOT_DECLARED) for each in route.dependant.dependencies]
        declared = [right or "" for right in asked if right != NOT_DECLARED]
        right = declared[0] if declared else None if ANYBODY in route.tags else NOT_DECLARED
        found += [(ROOT + route.path_format, method, right) for method in sorted(route.methods or ())]
    return found


def front(desk: Admin) -> ASGIApp:
    """The same for the hub's port: nothing of it is kept by browsers and proxies, and no error tells what was asked."""
    inner = application(desk)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *GUARDED]
            await send(message)

        try:
            await inner(scope, receive, sent)
        except Exception as error:  # answered already; its words may hold what was asked, and of whom
            last = traceback.extract_tb(error.__traceback__)[-1]
            log.error("admin API failed", error=type(error).__name__, at=f"{last.filename}:{last.lineno}")

    return app


def _document(app: FastAPI) -> APIRouter:
    router = APIRouter(tags=["about"])

    @router.get("/openapi.json", include_in_schema=False)
    async def openapi(person: Annotated[Person, may(None)]) -> dict[str, Any]:
        return app.openapi()

    return router


async def _not_allowed(_request: Request, error: Any) -> Response:
    return NOT_ALLOWED.problem(str(error)).response()
