"""Stopping what is done, letting it go on, and doing it again: acts on flows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from counterfoil.doors.admin.acts import act
from counterfoil.doors.admin.context import Admin, Desk, may
from counterfoil.doors.admin.problems import CONFLICT, INVALID, NOT_FOUND
from counterfoil.hub import pausing
from counterfoil.hub import replay as replaying
from counterfoil.hub.access.people import Person
from counterfoil.hub.access.roles import Right
from counterfoil.hub.pausing import NoSuchPlace, Place
from counterfoil.hub.replay import Choice
from counterfoil.retail.events import EVENT_TYPES


@dataclass(frozen=True, slots=True)
class Stopped:
    """What was paused: the operations that stand still now, and how many lanes still have a call out."""

    operations: list[str]
    in_hand: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay would do (`done` is None), or has done: so many events and deliveries."""

    events: int
    deliveries: int
    unfinished: int
    by_type: dict[str, int]
    by_operation: dict[str, int]
    sample: list[str]
    done: int | None = None


@act(Right.FLOWS)
async def pause(desk: Admin, person: Person, name: str, why: str = "") -> Stopped:
    """Start nothing more at a system (`web-eu`) or on the stream of an operation (`web-eu.publish_stock`).

    Raises Refusal.
    """
    place = _place(desk, name)
    in_hand = await pausing.pause(desk.store, place, person.name, why)
    if in_hand is None:
        raise CONFLICT.problem(f"{place} is paused already.")
    return Stopped(pausing.along(place, desk.streams), in_hand)


@act(Right.FLOWS)
async def resume(desk: Admin, person: Person, name: str) -> None:
    """Go on there, with what waits and in its order. Raises Refusal."""
    place = _place(desk, name)
    if not await pausing.resume(desk.store, place, person.name):
        raise CONFLICT.problem(f"{place} is not paused by that name.")


@act(Right.REPLAY)
async def replay(desk: Admin, person: Person, choice: Choice, dry_run: bool = True, rate: float = 0.0) -> Replayed:
    """Give events of the past to today's flows once more; a dry run only says what that would be. `rate` a second.

    One that is cut off goes on where it was when it is asked for again. Raises Refusal.
    """
    if choice.system and choice.system not in desk.blueprint.systems:
        raise INVALID.problem(f"The blueprint declares no system {choice.system!r}.")
    if unknown := [type_ for type_ in choice.types if type_ not in EVENT_TYPES]:
        raise INVALID.problem(f"There are no events {unknown[0]!r}.")
    planned = await replaying.plan(desk.store, desk.blueprint, desk.streams, choice)
    done = None
    if not dry_run:
        run = replaying.run(desk.store, desk.blueprint, desk.streams, choice, rate, who=person.name)
        done = (await run).deliveries
    return Replayed(
        planned.events,
        planned.deliveries,
        planned.unfinished,
        dict(planned.by_type),
        dict(planned.by_operation),
        planned.sample,
        done,
    )


def _place(desk: Admin, name: str) -> Place:
    try:
        return pausing.place_of(name, desk.streams, desk.blueprint.systems)
    except NoSuchPlace as error:
        raise NOT_FOUND.problem(str(error)) from None


class Why(BaseModel):
    """Why it is done, for the audit."""

    model_config = ConfigDict(extra="forbid")

    why: str = Field(default="", max_length=500)


class Chosen(BaseModel):
    """What is to be replayed; what is left out does not narrow the choice."""

    model_config = ConfigDict(extra="forbid")

    types: tuple[str, ...] = ()
    subject: str = ""
    source: str = ""
    system: str = ""
    operations: tuple[str, ...] = ()
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    newest_only: bool = False
    dry_run: bool = Field(default=True, description="false: do it")
    rate: float = Field(default=0.0, ge=0, description="deliveries a second; 0: at once")

    @property
    def choice(self) -> Choice:
        """Of events and operations."""
        chosen: dict[str, Any] = self.model_dump(exclude={"dry_run", "rate"})
        return Choice(**chosen)


def routes() -> APIRouter:
    """Under /admin/v1."""
    router = APIRouter(tags=["flows"])

    @router.post("/flows/{name}/pause")
    async def pause_flow(desk: Desk, person: Annotated[Person, may(pause)], name: str, body: Why) -> Stopped:
        """Start nothing more there; nothing is lost, what waits keeps its order."""
        return await pause(desk, person, name, body.why)

    @router.post("/flows/{name}/resume", status_code=204)
    async def resume_flow(desk: Desk, person: Annotated[Person, may(resume)], name: str) -> None:
        """Go on there."""
        await resume(desk, person, name)

    @router.post("/replay")
    async def replay_events(desk: Desk, person: Annotated[Person, may(replay)], body: Chosen) -> Replayed:
        """Say what a replay would do; with `dry_run` false, do it."""
        return await replay(desk, person, body.choice, body.dry_run, body.rate)

    return router
