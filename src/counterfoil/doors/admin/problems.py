"""The ways in which a request to the admin API can fail, as problem details (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from counterfoil.doors import problems

TYPES = "/admin/v1/problems/"
KINDS: dict[str, Any] = {}


class Kind(problems.Kind):
    """One way in which a request to the admin API can fail; `GET /problems/{code}` says what it means."""

    types: ClassVar[str] = TYPES
    known: ClassVar[dict[str, Any]] = KINDS


NOT_SIGNED_IN = Kind(
    "not_signed_in",
    401,
    "Nobody is signed in",
    "Sign in, or send `Authorization: Bearer cfp_…` with a personal token.",
    {"WWW-Authenticate": 'Bearer realm="admin"'},
)
REFUSED = Kind("sign_in_refused", 401, "Signing in was refused", "Check name and password; who runs the hub can help.")
NOT_ALLOWED = Kind("not_allowed", 403, "You may not do this", "Ask somebody with the role `admin` for the right role.")
FROM_ELSEWHERE = Kind(
    "from_elsewhere",
    403,
    "The request does not come from the hub's own pages",
    "Send the `X-CSRF-Token` of the session, from the hub's own address; a program uses a personal token.",
)
NOT_FOUND = Kind("not_found", 404, "Nothing is here", "Check the address against /admin/v1/openapi.json, and the id.")
WRONG_METHOD = Kind("method", 405, "The address does not take this method", "Use one of the methods named in `Allow`.")
CONFLICT = Kind("conflict", 409, "This cannot be done as things are", "Look at it again: the detail says what it is.")
TOO_LARGE = Kind("too_large", 413, "The body is too large", "Send less at once; the detail says how much is taken.")
INVALID = Kind("invalid", 422, "The request is not as it should be", "Correct what the detail or `errors` name.")
TOO_MANY = Kind("too_many", 429, "Too many tries", "Wait as many seconds as `Retry-After` says, then go on.")
UNAVAILABLE = Kind(
    "unavailable", 503, "The hub cannot answer now", "Send the request again in a moment.", {"Retry-After": "2"}
)
FAILED = Kind("failed", 500, "An error of the hub's own", "Tell whoever runs the hub; its log says where it was.")
EVERYWHERE = (NOT_SIGNED_IN, NOT_ALLOWED, FROM_ELSEWHERE, TOO_LARGE, INVALID, UNAVAILABLE)
"""What any route may answer."""


def of_status(status: int) -> Kind:
    """The kind for what the framework itself refuses."""
    found = {kind.status: kind for kind in (NOT_FOUND, WRONG_METHOD, TOO_LARGE, INVALID)}.get(status)
    return found or Kind(
        "refused", status, HTTPStatus(status).phrase, "Check the request against the OpenAPI document."
    )
