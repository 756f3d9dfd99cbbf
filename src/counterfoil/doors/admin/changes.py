"""The blueprint in force, with what was measured beside it, and its changes: who proposed and who approved them."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from counterfoil.blueprint import BlueprintError, Examined, Problem, proposed
from counterfoil.blueprint.difference import Change
from counterfoil.blueprint.explaining import Measured, Taken
from counterfoil.blueprint.page import Block
from counterfoil.blueprint.page_markdown import markdown
from counterfoil.blueprint.render import content
from counterfoil.blueprint.yamlread import MAX_BYTES
from counterfoil.doors import assembly, profiles
from counterfoil.doors.admin.acts import act
from counterfoil.doors.admin.context import Admin, Desk, may
from counterfoil.doors.admin.problems import CONFLICT, INVALID, NOT_FOUND
from counterfoil.doors.problems import documented
from counterfoil.hub import inforce
from counterfoil.hub.access.people import Person
from counterfoil.hub.access.roles import Right
from counterfoil.hub.measuring import measured
from counterfoil.hub.views.reports import NEWEST
from counterfoil.watch import promises

LONGEST = 365
"""Days back that may be measured at once."""
MOST_PROBLEMS = 100
"""Problems of a proposed blueprint that are told."""


@act(Right.SEE)
async def specification(desk: Admin, _person: Person, days: int = 0) -> list[Block]:
    """What the blueprint says, in words; with `days` beside it what the store says was kept in that time."""
    found: Measured | None = None
    if days:
        promised = await promises.measured(desk.store, list(desk.blueprint.promises), days * 86400.0)
        kept = {
            name: Taken(
                *(one.kept + one.late, one.p50, one.p95, one.p99),
                *(one.kept + one.late + one.missed, one.late + one.missed),
            )
            for name, one in promised.items()
        }
        found = replace(await measured(desk.store, days, NEWEST), promises=kept)
    return content(desk.blueprint, assembly.catalogue(), found)


@act(Right.SEE)
async def history(desk: Admin, _person: Person, limit: int = 100) -> list[dict[str, Any]]:
    """The changes, newest first, without their texts."""
    rows = await inforce.history(desk.store, limit)
    return [{name: value for name, value in row.items() if name not in ("text", "digest")} for row in rows]


@act(Right.SEE)
async def differences(desk: Admin, _person: Person, number: int) -> tuple[Change, ...]:
    """What a change differs in from what is in force. Raises NoSuchChange."""
    return await inforce.against_in_force(desk.store, number, assembly.catalogue())


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal (see `inforce.Proposal`; number 0: a dry run, or nothing differs), and what is doubtful in it."""

    proposal: inforce.Proposal
    warnings: tuple[Problem, ...]


@act(Right.PROPOSE)
async def propose(
    desk: Admin, person: Person, text: str, why: str = "", profile: str | None = None, dry_run: bool = False
) -> Proposed:
    """Keep a blueprint, given as YAML, as a proposal for a second person; nothing that runs changes.

    `profile`: of those that the text declares; None: the hub's own, where it does. Raises BlueprintError with all its
    problems, Refusal without a reason.
    """
    if not dry_run and not why.strip():
        raise INVALID.problem("Say why: a proposal has a reason, which is kept with it.")
    known = assembly.catalogue()

    def look() -> Examined:
        own = profiles.chosen.get()
        meant = profile if profile is not None else own if own in proposed.profiles_in(text) else ""
        return proposed.examined(text, known=known, in_force=desk.blueprint, environ=os.environ, profile=meant)

    found = await asyncio.to_thread(look)  # a long text takes its time
    if found.blueprint is None:
        raise BlueprintError(found.problems)
    done = await inforce.propose(desk.store, found.blueprint, known, person.name, why.strip(), dry_run)
    return Proposed(done, found.warnings)


@act(Right.APPROVE)
async def approve(desk: Admin, person: Person, number: int) -> None:
    """Agree to a change as a second person. Raises NoSuchChange, NotApproved."""
    await inforce.approve(desk.store, number, person.name, assembly.catalogue())


class Text(BaseModel):
    """A blueprint to be proposed."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(max_length=MAX_BYTES, description="YAML, secrets as ${NAME} or {file: path}")
    why: str = Field(default="", max_length=500)
    profile: str | None = Field(default=None, description="one of the text's own; by default the hub's, if it is")
    dry_run: bool = False


def routes() -> APIRouter:
    """Under /admin/v1."""
    router = APIRouter(prefix="/blueprint", tags=["blueprint"])

    @router.get("")
    async def specification_(
        desk: Desk,
        person: Annotated[Person, may(specification)],
        days: Annotated[int, Query(ge=0, le=LONGEST)] = 0,
    ) -> dict[str, str]:
        """What the hub does, in words, as Markdown; with `days` beside it what was kept in that time."""
        return {"markdown": markdown("Blueprint", await specification(desk, person, days))}

    @router.get("/changes")
    async def changes(
        desk: Desk, person: Annotated[Person, may(history)], limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> list[dict[str, Any]]:
        """Who proposed, approved and put in force which change, newest first."""
        return await history(desk, person, limit)

    @router.get("/changes/{number}", responses=documented(NOT_FOUND))
    async def change(number: int, desk: Desk, person: Annotated[Person, may(differences)]) -> list[dict[str, Any]]:
        """What the change differs in from what is in force."""
        try:
            return [{**asdict(each), "how": each.how} for each in await differences(desk, person, number)]
        except inforce.NoSuchChange as error:
            raise NOT_FOUND.problem(str(error)) from None

    @router.post("/changes", responses=documented(INVALID))
    async def propose_(desk: Desk, person: Annotated[Person, may(propose)], body: Text) -> dict[str, Any]:
        """Propose a blueprint; with `dry_run` only say what it would change. Its problems come as `problems`."""
        try:
            done = await propose(desk, person, body.text, body.why, body.profile, body.dry_run)
        except BlueprintError as error:
            problems = [asdict(each) for each in error.problems[:MOST_PROBLEMS]]
            first = f"The blueprint has {len(error.problems)} problem(s), the first: {error.problems[0]}"
            raise INVALID.problem(first, problems=problems) from None
        return {
            "change": done.proposal.number or None,
            "needs": done.proposal.needing,
            "changes": [{**asdict(each), "how": each.how} for each in done.proposal.changes],
            "warnings": [asdict(each) for each in done.warnings],
        }

    @router.post("/changes/{number}/approve", status_code=204, responses=documented(NOT_FOUND, CONFLICT))
    async def approve_(number: int, desk: Desk, person: Annotated[Person, may(approve)]) -> None:
        """Agree to the change as a second person; the hub takes it when it starts with that blueprint."""
        try:
            await approve(desk, person, number)
        except inforce.NoSuchChange as error:
            raise NOT_FOUND.problem(str(error)) from None
        except inforce.NotApproved as error:
            raise CONFLICT.problem(str(error)) from None

    return router
