"""Answers that are not a success: problem details (RFC 9457), each with what to do about it. What all doors share.

A door has a `Kind` of its own, whose `types` is the address under which it says what each of them means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """Why a request was not done (RFC 9457), and what to do about it. More members by the kind of problem."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="what kind of problem; the address says more of it")
    title: str
    status: int
    detail: str = Field(description="what happened this time")
    remedy: str = Field(description="what to do about it")


@dataclass(frozen=True)
class Kind:
    """One way in which a request can fail. Every one made is `known`."""

    types: ClassVar[str]
    known: ClassVar[dict[str, Any]]

    code: str
    status: int
    title: str
    remedy: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.known[self.code] = self

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
        body = {"type": f"{kind.types}{kind.code}", "title": kind.title, "status": kind.status, "detail": self.detail}
        body |= {"remedy": kind.remedy, **self.more}
        return JSONResponse(body, kind.status, dict(self.headers or {}), media_type=MEDIA_TYPE)


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


def fields_wrong(error: Any) -> list[dict[str, str]]:
    """What of a request cannot be read, and what was expected; never the value that was sent: it may be personal."""
    return [{"at": ".".join(map(str, each["loc"])), "expected": each["msg"]} for each in error.errors()]
