"""The exception queue: groups of what is alike, one exception, and what a person does about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from counterfoil.blueprint import BlueprintError
from counterfoil.doors import assembly
from counterfoil.doors.admin.acts import act as declared
from counterfoil.doors.admin.context import Admin, Desk, may
from counterfoil.doors.admin.problems import CONFLICT, NOT_FOUND
from counterfoil.doors.problems import Refusal, documented
from counterfoil.hub import exceptions as queue
from counterfoil.hub.access.people import Person, require
from counterfoil.hub.access.roles import Right
from counterfoil.hub.exceptions import bulk, correcting, fixing, runbooks
from counterfoil.hub.exceptions.acting import is_held_back
from counterfoil.hub.exceptions.fixing import CannotLink, Fix
from counterfoil.hub.exceptions.likeness import proposed, said
from counterfoil.hub.exceptions.rows import CannotAdd
from counterfoil.hub.exceptions.rows import gaps as gaps_of
from counterfoil.hub.exceptions.rows import read as read_row
from counterfoil.hub.views import people
from counterfoil.hub.views.masking import is_personal, mask, personal
from counterfoil.retail.editable import CannotCorrect, leaf, nested

MOST = 1000
"""Exceptions that one request closes at most."""
_HIDDEN = {"message": "", "technical": "", "note": "", "suggestion": ""}

__all__ = ["is_held_back"]


async def _masked(desk: Admin, person: Person, *rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows as this person may see them: without the right the words lose every name and number, and whatever is
    known of the person whom the thing is about."""
    shown = [{**row, "runbook": runbooks.page_of(row["reason"])} for row in rows]
    if person.may(Right.SEE_PERSONAL):
        return shown
    known = await people.known_of(desk.store, {row["subject"] for row in shown})
    return [
        {**row, **_HIDDEN, "message": mask(said(row["message"]), False, known.get(row["subject"], ()))} for row in shown
    ]


def owners(desk: Admin) -> list[str]:
    """Who looks after exceptions, as the blueprint says."""
    rules = desk.blueprint.exceptions
    return sorted({rules.default, *rules.by_reason.values(), *rules.escalate})


def gaps(row: Mapping[str, Any]) -> list[str] | None:
    """Where a person has to choose in the row of the blueprint that it suggests; None: it suggests none."""
    try:
        return gaps_of(read_row(proposed(row["suggestion"])))
    except CannotAdd:
        return None


@declared(Right.SEE)
async def groups(
    desk: Admin, person: Person, owner: str = "", limit: int = 50, offset: int = 0, outcome: str = ""
) -> tuple[list[queue.Group], int]:
    """A page of what is open and alike, the largest group first, with the money at stake, and how many there are."""
    found, total = await queue.groups(desk.store, owner, limit, offset, outcome=outcome)
    examples = await _masked(desk, person, *(each.example for each in found))
    return [replace(each, example=example) for each, example in zip(found, examples, strict=True)], total


@declared(Right.SEE)
async def within(
    desk: Admin, person: Person, likeness: str, owner: str = "", limit: int = 50, offset: int = 0
) -> tuple[list[dict[str, Any]], int]:
    """A page of the open exceptions of a likeness, oldest first, and how many there are."""
    rows, total = await queue.within(desk.store, likeness, owner, limit, offset)
    return await _masked(desk, person, *rows), total


@declared(Right.SEE)
async def show(desk: Admin, person: Person, number: int) -> dict[str, Any]:
    """One exception, how many are `alike`, and its runbook. Raises NoSuchException."""
    row = await queue.get(desk.store, number)
    count = len(await queue.alike(desk.store, number))
    plan = desk.blueprint
    address = runbooks.address_of(row["reason"], runbooks.published(plan.notify.runbooks, plan.public_url))
    return {**(await _masked(desk, person, row))[0], "alike": count, "runbook": address}


@declared(Right.SEE)
async def alike(desk: Admin, _person: Person, likeness: str, owner: str = "") -> list[int]:
    """The numbers of the open exceptions of a likeness, oldest first."""
    return await queue.open_with(desk.store, likeness, owner)


@declared(Right.SEE)
async def came_of(desk: Admin, _person: Person, number: int) -> tuple[str, int | None]:
    """What came of one that was tried again, and its new number where it did not work. Raises NoSuchException."""
    return await queue.came_of(desk.store, number)


@declared(Right.EXCEPTIONS)
async def act(desk: Admin, person: Person, number: int, status: str, note: str = "") -> dict[str, Any]:
    """Close one as retried, resolved or skipped. Raises NoSuchException, NotOpen."""
    return (await _masked(desk, person, await queue.act(desk.store, number, status, person.name, note)))[0]


@declared(Right.EXCEPTIONS)
async def release(desk: Admin, person: Person, number: int, note: str = "") -> dict[str, Any]:
    """Let go what was held back. Raises NoSuchException, NotOpen, NothingHeldBack."""
    return (await _masked(desk, person, await queue.release(desk.store, number, person.name, note)))[0]


@declared(Right.EXCEPTIONS)
async def acknowledge(desk: Admin, person: Person, number: int) -> None:
    """Say that one looks after it. Raises NoSuchException, NotOpen."""
    await queue.acknowledge(desk.store, number, person.name)


@declared(Right.EXCEPTIONS)
async def in_bulk(
    desk: Admin,
    person: Person,
    numbers: Sequence[int],
    status: str,
    note: str = "",
    tick: Callable[[int], None] = lambda _n: None,
) -> queue.Closed:
    """Close many as retried, resolved, skipped or released; `tick` hears of each some that are through.

    Raises NothingHeldBack.
    """
    return await queue.in_bulk(desk.store, numbers, status, person.name, note, tick)


@declared(Right.PROPOSE)
async def propose_row(
    desk: Admin, person: Person, number: int, values: Mapping[str, str], why: str = "", dry_run: bool = False
) -> Fix:
    """Propose the row of the blueprint that it suggests. Raises NoSuchException, CannotAdd."""
    known = assembly.catalogue()
    try:
        return await fixing.propose_row(desk.store, known, number, values, person.name, why, dry_run)
    except BlueprintError as error:
        raise CannotAdd(str(error)) from error


@declared(Right.IDENTITY)
async def link_record(desk: Admin, person: Person, number: int, object_id: str, note: str = "") -> dict[str, Any]:
    """Say which record it is about, and try again. Raises NoSuchException, NotOpen, CannotLink."""
    return (await _masked(desk, person, await fixing.link_record(desk.store, number, object_id, person.name, note)))[0]


@declared(Right.SEE)
async def correctable(desk: Admin, person: Person, number: int) -> list[correcting.Field]:
    """What can be corrected of what it is about. Raises NoSuchException, NotOpen, CannotCorrect."""
    found, may_see = await correcting.fields(desk.store, number), person.may(Right.SEE_PERSONAL)
    known = set[str]().union(*(personal(nested(f.path, each)) for f in found for each in (f.source, f.told)))

    def shown(path: str, value: str) -> str:
        return leaf(mask(nested(path, value), may_see, known))

    return [correcting.Field(f.path, shown(f.path, f.source), shown(f.path, f.told)) for f in found]


@declared(Right.EXCEPTIONS)
async def correct(
    desk: Admin,
    person: Person,
    number: int,
    values: Mapping[str, str],
    why: str = "",
    dry_run: bool = False,
    all_alike: bool = False,
    most: int | None = None,
    tick: Callable[[int], None] = lambda _n: None,
) -> correcting.Corrected:
    """Correct values, by path, and try again; of all alike if asked. A value that is somebody's also needs the right to
    see it. Raises NotAllowed, NoSuchException, NotOpen, CannotCorrect."""
    if any(is_personal(*path.split(".")) for path in values):
        require(person, Right.SEE_PERSONAL)
    more: dict[str, Any] = {"dry_run": dry_run, "all_alike": all_alike, "most": most, "tick": tick}
    done = await correcting.correct(desk.store, number, values, person.name, why, **more)
    return replace(done, state=mask(done.state, person.may(Right.SEE_PERSONAL)))


# --- routes -------------------------------------------------------------------------------------------------------

_REFUSALS = (queue.NotOpen, queue.NothingHeldBack, CannotAdd, CannotLink, CannotCorrect)


class Asked(BaseModel):
    """What is to be done about an exception, and why."""

    model_config = ConfigDict(extra="forbid")

    act: Literal["retried", "resolved", "skipped", "released"]
    note: str = Field(default="", max_length=500)


class Many(Asked):
    """The same of all open ones of a likeness, or of these numbers."""

    likeness: str = ""
    numbers: list[int] = Field(default_factory=list, max_length=MOST)
    dry_run: bool = False


class Row(BaseModel):
    """What belongs into the gaps of the suggested row."""

    model_config = ConfigDict(extra="forbid")

    values: dict[str, str] = Field(default_factory=dict)
    why: str = Field(default="", max_length=500)
    dry_run: bool = False


class Values(BaseModel):
    """What is told in the place of what the source says, by path; `all_alike`: wherever it says the same."""

    model_config = ConfigDict(extra="forbid")

    values: dict[str, str] = Field(min_length=1, max_length=100)
    why: str = Field(default="", max_length=500)
    all_alike: bool = False
    dry_run: bool = False


def _refusal(error: Exception) -> Refusal:
    if isinstance(error, queue.NoSuchException):
        return NOT_FOUND.problem(f"There is no such exception: {error}.")
    return CONFLICT.problem(str(error))


def routes() -> APIRouter:
    """Under /admin/v1."""
    router = APIRouter(prefix="/exceptions", tags=["exceptions"])

    @router.get("/groups")
    async def groups_(
        desk: Desk,
        person: Annotated[Person, may(groups)],
        owner: str = "",
        outcome: str = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> dict[str, Any]:
        """What is open, in groups of what is alike, with the money at stake."""
        found, total = await groups(desk, person, owner, limit, offset, outcome)
        names = ("likeness", "count", "oldest", "newest", "owners", "example")
        rows = [
            {name: getattr(each, name) for name in names}
            | {"at_stake": {code: str(sum_) for code, sum_ in each.stakes.items()}}
            for each in found
        ]
        return {"groups": rows, "of": total}

    @router.get("/{number}", responses=documented(NOT_FOUND))
    async def show_(number: int, desk: Desk, person: Annotated[Person, may(show)]) -> dict[str, Any]:
        """One exception."""
        try:
            return await show(desk, person, number)
        except queue.NoSuchException as error:
            raise _refusal(error) from None

    @router.post("/{number}/act", responses=documented(NOT_FOUND, CONFLICT))
    async def act_(number: int, asked: Asked, desk: Desk, person: Annotated[Person, may(act)]) -> dict[str, Any]:
        """Retry, resolve, skip or release one."""
        try:
            if asked.act == bulk.RELEASED:
                await release(desk, person, number, asked.note)
            else:
                await act(desk, person, number, asked.act, asked.note)
        except (queue.NoSuchException, *_REFUSALS) as error:
            raise _refusal(error) from None
        return await show(desk, person, number)

    @router.post("/{number}/acknowledge", status_code=204, responses=documented(NOT_FOUND, CONFLICT))
    async def acknowledge_(number: int, desk: Desk, person: Annotated[Person, may(acknowledge)]) -> None:
        """Take it on: by the clock it goes to nobody else."""
        try:
            await acknowledge(desk, person, number)
        except (queue.NoSuchException, *_REFUSALS) as error:
            raise _refusal(error) from None

    @router.post("/act", responses=documented(CONFLICT))
    async def many(asked: Many, desk: Desk, person: Annotated[Person, may(in_bulk)]) -> dict[str, Any]:
        """Do the same about many, at most 1,000 at once; `left`: how many alike are open still."""
        chosen = asked.numbers or (await queue.open_with(desk.store, asked.likeness) if asked.likeness else [])
        some = chosen[:MOST]
        if asked.dry_run:
            return {"would": some, "left": len(chosen)}
        try:
            closed = await in_bulk(desk, person, some, asked.act, asked.note)
        except _REFUSALS as error:
            raise _refusal(error) from None
        return {"done": closed.done, "closed_before": closed.closed_before, "left": len(chosen) - len(some)}

    @router.post("/{number}/row", responses=documented(NOT_FOUND, CONFLICT))
    async def row(number: int, asked: Row, desk: Desk, person: Annotated[Person, may(propose_row)]) -> dict[str, Any]:
        """Propose the row of the blueprint that it suggests; in force, all alike are tried again."""
        try:
            fix = await propose_row(desk, person, number, asked.values, asked.why, asked.dry_run)
        except (queue.NoSuchException, *_REFUSALS) as error:
            raise _refusal(error) from None
        return {"row": fix.text, "alike": fix.alike, "change": fix.proposal.number if fix.proposal else None}

    @router.get("/{number}/values", responses=documented(NOT_FOUND, CONFLICT))
    async def values_(number: int, desk: Desk, person: Annotated[Person, may(correctable)]) -> dict[str, Any]:
        """What can be corrected: what the source says by path, and what is told in its place."""
        try:
            found = await correctable(desk, person, number)
        except (queue.NoSuchException, *_REFUSALS) as error:
            raise _refusal(error) from None
        return {"values": [asdict(each) for each in found]}

    @router.post("/{number}/correct", responses=documented(NOT_FOUND, CONFLICT))
    async def correct_(
        number: int, asked: Values, desk: Desk, person: Annotated[Person, may(correct)]
    ) -> dict[str, Any]:
        """Correct values and try again, at most 1,000 others alike at once. A dry run shows what would be `told`."""
        try:
            done = await correct(
                *(desk, person, number, asked.values, asked.why, asked.dry_run, asked.all_alike), most=MOST
            )
        except (queue.NoSuchException, *_REFUSALS) as error:
            raise _refusal(error) from None
        told = {"told": done.state} if asked.dry_run else {}
        changes = {path: {"was": was, "becomes": becomes} for path, (was, becomes) in done.changes.items()}
        return {"changes": changes, "alike": done.alike, "done": done.done, "left": done.left, **told}

    return router
