"""Looking at a system now: the doctor's findings, and the version it says it is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from counterfoil.doors.admin.acts import act
from counterfoil.doors.admin.context import Admin, Desk, may
from counterfoil.doors.admin.problems import CONFLICT, NOT_FOUND
from counterfoil.hub import looks, versions
from counterfoil.hub.access import audit
from counterfoil.hub.access.people import Person
from counterfoil.hub.access.roles import Right
from counterfoil.hub.contract import Finding


@act(Right.FLOWS)
async def look(desk: Admin, person: Person, name: str) -> list[Finding]:
    """Let the doctor look at a system, which takes some seconds; it changes nothing there. Raises Refusal."""
    connector = desk.connectors.get(name)
    if connector is None:
        raise NOT_FOUND.problem(f"The blueprint declares no system {name!r}.")
    under_way: set[str] = desk.more.setdefault("looked at", set())
    if name in under_way:
        raise CONFLICT.problem(f"{name} is being looked at already.")
    under_way.add(name)
    try:
        async with desk.store.write() as connection:
            await audit.note(connection, desk.store, person.name, "systems.look", name)
        found = await looks.examine(desk.store, name, connector)
        await versions.hurry(desk.store, name)
        owner = desk.blueprint.exceptions.owner_of("", "misconfigured")
        await versions.ask_in_turn(desk.store, name, connector, owner)
    finally:
        under_way.discard(name)
    return found


def routes() -> APIRouter:
    """Under /admin/v1."""
    router = APIRouter(tags=["systems"])

    @router.post("/systems/{name}/look")
    async def look_at(desk: Desk, person: Annotated[Person, may(look)], name: str) -> list[Finding]:
        """What the doctor finds there now; *Systems* shows it from then on, and the version."""
        return await look(desk, person, name)

    return router
