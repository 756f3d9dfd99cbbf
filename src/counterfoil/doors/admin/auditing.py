"""The audit: what `counterfoil audit` shows."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from counterfoil.doors.admin.acts import act
from counterfoil.doors.admin.context import Admin, Desk, may
from counterfoil.doors.admin.problems import INVALID
from counterfoil.hub.access import audit
from counterfoil.hub.access.people import Person
from counterfoil.hub.access.roles import Right


class Page(BaseModel):
    """Rows of the audit, newest first."""

    rows: list[dict[str, Any]]
    before: int | None = Field(description="give it as `before` to go on; null: these were the last")


class Verdict(BaseModel):
    """Whether every row is as it was written, and the head to be kept elsewhere."""

    intact: bool
    rows: int
    head: str
    problem: str
    row: int | None


@act(Right.AUDIT)
async def listing(
    desk: Admin,
    person: Person,
    limit: int = 100,
    before: int | None = None,
    who: str = "",
    what: str = "",
    subject: str = "",
) -> Page:
    """What was done, newest first; `what` is an act such as exception.skipped, or `exception` for all of them."""
    rows = await audit.listing(desk.store, limit + 1, before, who, what, subject)
    return Page(rows=rows[:limit], before=rows[limit - 1]["id"] if len(rows) > limit else None)


@act(Right.AUDIT)
async def verify(desk: Admin, person: Person, head: str = "") -> Verdict:
    """Look at every row; `head` is one that was written down before."""
    try:
        found = await audit.verify(desk.store, head)
    except ValueError as error:
        raise INVALID.problem(f"head: {error}.") from None
    return Verdict(intact=not found.problem, rows=found.rows, head=found.head, problem=found.problem, row=found.row)


def routes() -> APIRouter:
    """Under /admin/v1."""
    router = APIRouter(tags=["audit"])

    @router.get("/audit")
    async def list_audit(
        desk: Desk,
        person: Annotated[Person, may(listing)],
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        before: int | None = None,
        who: str = "",
        act: str = "",
        subject: str = "",
    ) -> Page:
        """What was done, newest first; `act` also finds what begins with it and a dot."""
        return await listing(desk, person, limit, before, who, act, subject)

    @router.get("/audit/verify")
    async def verify_audit(desk: Desk, person: Annotated[Person, may(verify)], head: str = "") -> Verdict:
        """Look whether any row was changed, removed, put in or cut off since it was written."""
        return await verify(desk, person, head)

    return router
