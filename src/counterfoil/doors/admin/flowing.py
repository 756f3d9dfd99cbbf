"""Stopping what is done, letting it go on, and doing it again: acts on flows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from counterfoil.doors.admin.acts import act
from counterfoil.doors.admin.context import Admin, Desk, may
from counterfoil.doors.admin.problems import CONFLICT, INVALID, NOT_FOUND
from counterfoil.doors.problems import Refusal, documented
from counterfoil.hub import draining, pausing, replays
from counterfoil.hub import replay as replaying
from counterfoil.hub.access.people import Person
from counterfoil.hub.access.roles import Right
from counterfoil.hub.draining import Drain
from counterfoil.hub.pausing import NoSuchPlace, Place
from counterfoil.hub.replay import Choice
from counterfoil.hub.replays import RUNNING, Job, NoSuchReplay
from counterfoil.retail.events import EVENT_TYPES


@dataclass(frozen=True, slots=True)
class Stopped:
    """What was paused: the operations that stand still now, and how many lanes still have a call out."""

    operations: list[str]
    in_hand: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay does: so many events and deliveries; `job` is its number once it has begun."""

    events: int
    deliveries: int
    unfinished: int
    by_type: dict[str, int]
    by_operation: dict[str, int]
    sample: list[str]
    job: int | None = None


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


@act(Right.FLOWS)
async def drain(desk: Admin, person: Person, name: str, resume: bool = False) -> Drain:
    """Let what waits there for its next try be done now; with `resume` a pause by that name ends. How far it is by
    then. Raises Refusal."""
    place = _place(desk, name)
    await draining.begin(desk.store, place, person.name, resume)
    return await draining.look(desk.store, desk.blueprint, desk.streams, place)


@act(Right.SEE)
async def drains(desk: Admin, _person: Person) -> list[Drain]:
    """The drains of the last day and how far each is, the last first."""
    return await draining.listing(desk.store, desk.blueprint, desk.streams)


@act(Right.REPLAY)
async def replay(
    desk: Admin, person: Person, choice: Choice, dry_run: bool = True, rate: float = 0.0, anew: bool = False
) -> Replayed:
    """Give events of the past to today's flows once more; a dry run only says what that would be. `rate` a second.

    A process in the role `schedule` carries it out; one that is under way or was stopped is gone on with when it is
    asked for again, unless `anew`. Raises Refusal.
    """
    if choice.system and choice.system not in desk.blueprint.systems:
        raise INVALID.problem(f"The blueprint declares no system {choice.system!r}.")
    if unknown := [type_ for type_ in choice.types if type_ not in EVENT_TYPES]:
        raise INVALID.problem(f"There are no events {unknown[0]!r}.")
    planned = await replaying.plan(desk.store, desk.blueprint, desk.streams, choice)
    job = None
    if not dry_run:
        job = await replays.begin(desk.store, choice, planned, person.name, rate, anew)
    return Replayed(
        planned.events,
        planned.deliveries,
        planned.unfinished,
        dict(planned.by_type),
        dict(planned.by_operation),
        planned.sample,
        job,
    )


@act(Right.SEE)
async def replays_begun(desk: Admin, _person: Person) -> list[Job]:
    """The last replays and how far each is, newest first."""
    return await replays.listing(desk.store)


@act(Right.REPLAY)
async def stop_replay(desk: Admin, person: Person, number: int) -> None:
    """Queue nothing more of it; what is queued by now is carried out. Raises Refusal."""
    if not await replays.stop(desk.store, number, person.name):
        raise await _as_it_is(desk, number)


@act(Right.REPLAY)
async def go_on_with_replay(desk: Admin, person: Person, number: int) -> None:
    """Go on where it was. Raises Refusal."""
    if not await replays.go_on(desk.store, number, person.name):
        raise await _as_it_is(desk, number)


async def _as_it_is(desk: Admin, number: int) -> Refusal:
    try:
        job = await replays.get(desk.store, number)
        alike = [each for each in await replays.listing(desk.store) if each.choice == job.choice]
        others = [f" Replay {each.number} is the same and runs." for each in alike if each.state == RUNNING]
        return CONFLICT.problem(f"Replay {number} is {job.state}." + "".join(others if job.state != RUNNING else ()))
    except NoSuchReplay as error:
        return NOT_FOUND.problem(str(error))


def _place(desk: Admin, name: str) -> Place:
    try:
        return pausing.place_of(name, desk.streams, desk.blueprint.systems)
    except NoSuchPlace as error:
        raise NOT_FOUND.problem(str(error)) from None


class Why(BaseModel):
    """Why it is done, for the audit."""

    model_config = ConfigDict(extra="forbid")

    why: str = Field(default="", max_length=500)


class Drained(BaseModel):
    """How it is drained."""

    model_config = ConfigDict(extra="forbid")

    resume: bool = Field(default=False, description="end a pause by that name too")


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
    anew: bool = Field(default=False, description="from the beginning, although one of the same was stopped")

    @property
    def choice(self) -> Choice:
        """Of events and operations."""
        chosen: dict[str, Any] = self.model_dump(exclude={"dry_run", "rate", "anew"})
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

    @router.post("/flows/{name}/drain")
    async def drain_flow(desk: Desk, person: Annotated[Person, may(drain)], name: str, body: Drained) -> dict[str, Any]:
        """Let what waits there for its next try be done now; breaker, limits, windows and pauses hold still."""
        return (await drain(desk, person, name, body.resume)).as_dict()

    @router.get("/flows/drains")
    async def see_drains(desk: Desk, person: Annotated[Person, may(drains)]) -> list[dict[str, Any]]:
        """The drains of the last day: how much is done and left, and what the rest waits for."""
        return [each.as_dict() for each in await drains(desk, person)]

    @router.post("/replay")
    async def replay_events(desk: Desk, person: Annotated[Person, may(replay)], body: Chosen) -> Replayed:
        """Say what a replay would do; with `dry_run` false, begin it."""
        return await replay(desk, person, body.choice, body.dry_run, body.rate, body.anew)

    @router.get("/replays")
    async def see_replays(desk: Desk, person: Annotated[Person, may(replays_begun)]) -> list[dict[str, Any]]:
        """The last replays and how far each is."""
        return [job.as_dict() for job in await replays_begun(desk, person)]

    @router.post("/replays/{number}/stop", status_code=204, responses=documented(NOT_FOUND, CONFLICT))
    async def stop_replay_(number: int, desk: Desk, person: Annotated[Person, may(stop_replay)]) -> None:
        """Queue nothing more of it; what is queued by now is carried out."""
        await stop_replay(desk, person, number)

    @router.post("/replays/{number}/go-on", status_code=204, responses=documented(NOT_FOUND, CONFLICT))
    async def go_on_(number: int, desk: Desk, person: Annotated[Person, may(go_on_with_replay)]) -> None:
        """Go on where it was."""
        await go_on_with_replay(desk, person, number)

    return router
