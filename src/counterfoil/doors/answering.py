"""How a typed API answers what goes wrong, and says what that means: the same for each door."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from counterfoil.doors.problems import Kind, Refusal, documented, fields_wrong

log = structlog.get_logger()


class Meaning(BaseModel):
    """A kind of problem."""

    code: str
    status: int
    title: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Answers:
    """The kinds of a door's own for what can happen to any request. `of_status`: for what the framework refuses."""

    door: str
    kinds: Mapping[str, Kind]
    invalid: Kind
    not_found: Kind
    unavailable: Kind
    failed: Kind
    of_status: Callable[[int], Kind]

    def meanings(self, *tags: str) -> APIRouter:
        """What the `type` of a problem points to."""
        router = APIRouter(tags=["problems", *tags])

        @router.get("/problems/{code}", responses=documented(self.not_found))
        async def problem(code: str) -> Meaning:
            """What a kind of problem means, and what to do about it."""
            kind = self.kinds.get(code)
            if kind is None:
                raise self.not_found.problem("There is no such kind of problem.")
            return Meaning(code=kind.code, status=kind.status, title=kind.title, remedy=kind.remedy)

        return router

    def give(self, app: FastAPI) -> None:
        """Let the app answer with problems, whatever goes wrong."""
        app.add_exception_handler(Refusal, _refused)
        app.add_exception_handler(RequestValidationError, self._invalid)
        app.add_exception_handler(HTTPException, self._http)
        for error in (OSError, sa.exc.SQLAlchemyError):
            app.add_exception_handler(error, self._store_gone)
        app.add_exception_handler(Exception, self._failed)

    async def _invalid(self, _request: Request, error: Any) -> Response:
        errors = fields_wrong(error)
        return self.invalid.problem(f"{len(errors)} field(s) cannot be read.", errors=errors).response()

    async def _http(self, _request: Request, error: Any) -> Response:
        return self.of_status(error.status_code).problem(str(error.detail), error.headers).response()

    async def _store_gone(self, request: Request, error: Exception) -> Response:
        route = request.scope.get("route")
        log.error(f"{self.door} not answered", route=getattr(route, "path", ""), error=type(error).__name__)
        return self.unavailable.problem("The store could not be reached.").response()

    async def _failed(self, _request: Request, _error: Exception) -> Response:
        return self.failed.problem("Something that must not happen has happened; nothing was changed.").response()


async def _refused(_request: Request, error: Any) -> Response:
    return error.response()  # type: ignore[no-any-return]
