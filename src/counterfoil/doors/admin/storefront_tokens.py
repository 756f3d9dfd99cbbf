"""Tokens of the storefront API: what `counterfoil tokens` does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from counterfoil.doors.admin.acts import act
from counterfoil.doors.admin.context import Admin, Desk, may
from counterfoil.doors.admin.problems import INVALID, NOT_FOUND
from counterfoil.doors.admin.users import MadeToken
from counterfoil.doors.problems import documented
from counterfoil.hub.access.people import Person
from counterfoil.hub.access.roles import Right
from counterfoil.hub.storefront import apitokens


class NewStorefrontToken(BaseModel):
    """A token of the storefront API to be made."""

    name: str = Field(min_length=1, max_length=200)
    channel: str
    scopes: list[str] = Field(min_length=1, description=f"some of {', '.join(apitokens.SCOPES)}")
    rate: float | None = Field(default=None, gt=0, description="requests a second; by default storefront.rate")


@act(Right.TOKENS)
async def listing(desk: Admin, person: Person) -> list[Mapping[str, Any]]:
    """The tokens there are or were."""
    return await apitokens.all_of(desk.store)


@act(Right.TOKENS)
async def add(desk: Admin, person: Person, new: NewStorefrontToken) -> MadeToken:
    """Make a token; it is shown this once."""
    if new.channel not in desk.blueprint.systems:
        raise INVALID.problem(f"channel: {new.channel!r} is none of the blueprint's systems.")
    if unknown := sorted(set(new.scopes) - set(apitokens.SCOPES)):
        raise INVALID.problem(f"scopes: {unknown[0]!r} is none of {', '.join(apitokens.SCOPES)}.")
    made = await apitokens.add(desk.store, new.name, new.channel, new.scopes, new.rate, person.name)
    return MadeToken(id=made[0], token=made[1])


@act(Right.TOKENS)
async def revoke(desk: Admin, person: Person, id_: str) -> None:
    """End a token; serving processes refuse it within seconds."""
    if not await apitokens.revoke(desk.store, id_, person.name):
        raise NOT_FOUND.problem("There is no token of this id that still works.")


def routes() -> APIRouter:
    """Under /admin/v1."""
    router = APIRouter(tags=["tokens"])

    @router.get("/tokens")
    async def list_tokens(desk: Desk, person: Annotated[Person, may(listing)]) -> list[dict[str, Any]]:
        """The tokens of the storefront API there are or were."""
        return [dict(row) for row in await listing(desk, person)]

    @router.post("/tokens", status_code=201)
    async def add_token(new: NewStorefrontToken, desk: Desk, person: Annotated[Person, may(add)]) -> MadeToken:
        """Make a token of the storefront API; it is shown this once."""
        return await add(desk, person, new)

    @router.delete("/tokens/{id_}", status_code=204, responses=documented(NOT_FOUND))
    async def revoke_token(id_: str, desk: Desk, person: Annotated[Person, may(revoke)]) -> None:
        """End a token of the storefront API; serving processes refuse it within seconds."""
        await revoke(desk, person, id_)

    return router
