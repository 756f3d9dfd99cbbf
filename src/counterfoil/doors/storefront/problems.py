"""Answers that are not a success: problem details (RFC 9457), each with what to do about it.

A module that can fail in a way of its own declares a `Kind`, names it in the route's `responses=documented(…)`, and
raises `KIND.problem("what happened here")`. So no answer is undocumented, and every one says its remedy.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from counterfoil.doors import problems
from counterfoil.doors.problems import MEDIA_TYPE, Problem, Refusal, documented, fields_wrong

__all__ = ["MEDIA_TYPE", "Problem", "Refusal", "documented", "fields_wrong"]

TYPES = "/storefront/v1/problems/"
"""Where a problem's `type` points: what it means and what to do, served by the hub itself."""
KINDS: dict[str, Any] = {}


class Kind(problems.Kind):
    """One way in which a request to the storefront can fail; `GET /problems/{code}` says what it means."""

    types: ClassVar[str] = TYPES
    known: ClassVar[dict[str, Any]] = KINDS


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
KEY_TAKEN = Kind("other_request", 409, "The Idempotency-Key is taken", "Use a new key for another request.")
EVERYWHERE = (UNAUTHORIZED, FORBIDDEN, TOO_LARGE, INVALID, TOO_MANY, UNAVAILABLE)
"""What any route may answer."""


def of_status(status: int) -> Kind:
    """The kind for what the framework itself refuses."""
    if status == HTTPStatus.BAD_REQUEST:  # a body that is no JSON in UTF-8
        return INVALID
    found = {kind.status: kind for kind in (NOT_FOUND, WRONG_METHOD, TOO_LARGE, INVALID)}.get(status)
    return found or Kind(
        "refused", status, HTTPStatus(status).phrase, "Check the request against the OpenAPI document."
    )
