"""Answers that are not a success: problem details (RFC 9457), each with what to do about it.

A module that can fail in a way of its own declares a `Kind`, names it in the route's `responses=documented(…)`, and
raises `KIND.problem("what happened here")`. So no answer is undocumented, and every one says its remedy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

MEDIA_TYPE = "application/problem+json"
TYPES = "/storefront/v1/problems/"
"""Where a problem's `type` points: what it means and what to do, served by the hub itself."""


class Problem(BaseModel):
    """Why a request was not done (RFC 9457), and what to do about it. More members by the kind of problem."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="what kind of problem; the address says more of it")
    title: str
    status: int
    detail: str = Field(description="what happened this time")
    remedy: str = Field(description="what to do about it")


@dataclass(frozen=True, slots=True)
class Kind:
    """One way in which a request can fail. Every one made is known to `GET /problems/{code}`."""

    code: str
    status: int
    title: str
    remedy: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        KINDS[self.code] = self

    def problem(self, detail: str, headers: Mapping[str, str] | None = None, **more: Any) -> Refusal:
        """The exception to raise. `more` are further members of the answer, as JSON has them."""
        return Refusal(self, detail, {**self.headers, **(headers or {})}, more)


class Refusal(HTTPException):
    """A request is answered with a problem. (The framework lets its own exceptions through from anywhere.)"""

    def __init__(self, kind: Kind, detail: str, headers: Mapping[str, str], more: Mapping[str, Any]) -> None:
        super().__init__(kind.status, detail, headers)
        self.kind, self.more = kind, more

    def response(self) -> Response:
        """As HTTP has it."""
        kind = self.kind
        body = {"type": f"{TYPES}{kind.code}", "title": kind.title, "status": kind.status, "detail": self.detail}
        body |= {"remedy": kind.remedy, **self.more}
        return JSONResponse(body, kind.status, dict(self.headers or {}), media_type=MEDIA_TYPE)


KINDS: dict[str, Kind] = {}

UNAUTHORIZED = Kind(
    "unauthorized",
    401,
    "No valid token",
    "Send `Authorization: Bearer …` with a token made by `counterfoil tokens add`.",
    {"WWW-Authenticate": 'Bearer realm="storefront"'},
)
FORBIDDEN = Kind("forbidden", 403, "The token may not do this", "Use a token that has the scope named in the detail.")
NOT_FOUND = Kind(
    "not_found", 404, "Nothing is here", "Check the address against /storefront/v1/openapi.json, and the id."
)
WRONG_METHOD = Kind("method", 405, "The address does not take this method", "Use one of the methods named in `Allow`.")
TOO_LARGE = Kind("too_large", 413, "The body is too large", "Send less at once; the detail says how much is taken.")
INVALID = Kind("invalid", 422, "The request is not as it should be", "Correct the fields named in `errors`.")
TOO_MANY = Kind("too_many", 429, "Too many requests", "Wait as many seconds as `Retry-After` says, then go on.")
UNAVAILABLE = Kind(
    "unavailable",
    503,
    "The hub cannot answer now",
    "Send the same request again after as many seconds as `Retry-After` says.",
    {"Retry-After": "2"},
)
FAILED = Kind("failed", 500, "An error of the hub's own", "Tell whoever runs the hub; its log says where it was.")
EVERYWHERE = (UNAUTHORIZED, FORBIDDEN, TOO_LARGE, INVALID, TOO_MANY, UNAVAILABLE)
"""What any route may answer."""


def documented(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may fail in these ways."""
    found: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        words = f"`{kind.code}`: {kind.title}. {kind.remedy}"
        if kind.status in found:
            found[kind.status]["description"] += f"\n\n{words}"
        else:
            found[kind.status] = {"description": words, "content": {MEDIA_TYPE: {"schema": _SCHEMA}}}
    return found


_SCHEMA = {"$ref": "#/components/schemas/Problem"}


def of_status(status: int) -> Kind:
    """The kind for what the framework itself refuses."""
    if status == HTTPStatus.BAD_REQUEST:  # a body that is no JSON in UTF-8
        return INVALID
    found = {kind.status: kind for kind in (NOT_FOUND, WRONG_METHOD, TOO_LARGE, INVALID)}.get(status)
    return found or Kind(
        "refused", status, HTTPStatus(status).phrase, "Check the request against the OpenAPI document."
    )
