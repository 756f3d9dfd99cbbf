"""Who may sign in, and personal tokens: what `counterfoil users` does.

Nobody changes what they are themselves, or an admin could give themselves every role: another admin does, or whoever
runs the hub's machine.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from counterfoil.doors.admin.acts import act
from counterfoil.doors.admin.context import Admin, Desk, may
from counterfoil.doors.admin.problems import CONFLICT, INVALID, NOT_ALLOWED, NOT_FOUND, REFUSED, TOO_MANY
from counterfoil.doors.admin.signing import address_of, too_many
from counterfoil.doors.problems import documented
from counterfoil.hub.access import passwords, signing_in, tokens, users
from counterfoil.hub.access.people import Person
from counterfoil.hub.access.roles import Right, Role

DAY = 86400.0


class NewUser(BaseModel):
    """Somebody who may sign in from now on."""

    login: str = Field(max_length=80)
    name: str = Field(default="", max_length=200)
    email: str = Field(default="", max_length=200)
    password: str = Field(max_length=1000, repr=False)
    roles: list[Role] = Field(min_length=1)


class Roles(BaseModel):
    """What somebody is from now on."""

    roles: list[Role]


class NewPassword(BaseModel):
    """A new password; of one's own also the one until now."""

    password: str = Field(max_length=1000, repr=False)
    current: str = Field(default="", max_length=1000, repr=False)


class NewToken(BaseModel):
    """A personal token to be made."""

    name: str = Field(min_length=1, max_length=200)
    rights: list[Right] = Field(min_length=1)
    days: int = Field(default=90, ge=1, le=366)


class MadeToken(BaseModel):
    """A token; it is shown this once."""

    id: str
    token: str


@act(Right.USERS)
async def listing(desk: Admin, person: Person) -> list[dict[str, Any]]:
    """Everybody who can sign in, or could."""
    return await users.all_of(desk.store)


@act(Right.USERS)
async def add(desk: Admin, person: Person, new: NewUser) -> str:
    """Let somebody sign in; their id."""
    with_ = (new.login, new.name, new.email, new.password, new.roles)
    try:
        return await users.add(desk.store, *with_, person.name)
    except users.CannotAdd as error:
        raise CONFLICT.problem(str(error)) from None
    except passwords.Unsuitable as error:
        raise INVALID.problem(str(error)) from None


@act(Right.USERS)
async def set_roles(desk: Admin, person: Person, login: str, roles: list[Role]) -> None:
    """Say what somebody else is; they are signed out everywhere."""
    await _of_another(person, login, users.set_roles(desk.store, login, roles, person.name))


@act(Right.USERS)
async def set_password(desk: Admin, person: Person, login: str, password: str) -> None:
    """Give somebody else a new password; they are signed out everywhere, and their tokens end."""
    await _of_another(person, login, users.set_password(desk.store, login, password, person.name))


@act(Right.USERS)
async def disable(desk: Admin, person: Person, login: str) -> None:
    """They cannot sign in any more."""
    await _of_another(person, login, users.disable(desk.store, login, person.name))


@act(Right.USERS)
async def enable(desk: Admin, person: Person, login: str) -> None:
    """They can again."""
    await _of_another(person, login, users.enable(desk.store, login, person.name))


@act(None)
async def change_own_password(desk: Admin, person: Person, current: str, password: str, address: str = "") -> None:
    """Take a new password, knowing the one until now; one is signed out everywhere, and one's tokens end."""
    _in_person(person)
    try:
        await signing_in.known(desk.store, person.name, current, address)
        await users.set_password(desk.store, person.name, password, person.name)
    except signing_in.Waiting as error:
        raise too_many(error) from None
    except signing_in.NotSignedIn:
        raise REFUSED.problem("That is not the password until now.") from None
    except passwords.Unsuitable as error:
        raise INVALID.problem(str(error)) from None


@act(None)
async def own_tokens(desk: Admin, person: Person) -> list[dict[str, Any]]:
    """One's personal tokens there are or were."""
    return await tokens.all_of(desk.store, person.name)


@act(None)
async def add_own_token(desk: Admin, person: Person, new: NewToken) -> MadeToken:
    """Make oneself a token, for what one may oneself."""
    _in_person(person)
    if missing := sorted(set(new.rights) - person.rights):
        raise NOT_ALLOWED.problem(f"You have no right {missing[0]!r} that a token of yours could have.")
    seconds = new.days * DAY
    id_, token = await tokens.add(desk.store, person.name, new.name, new.rights, seconds, person.name)
    return MadeToken(id=id_, token=token)


@act(None)
async def revoke_own_token(desk: Admin, person: Person, id_: str) -> None:
    """End a token of one's own."""
    if not await tokens.revoke(desk.store, id_, person.name, person.name):
        raise NOT_FOUND.problem("You have no token of this id that still works.")


@act(Right.USERS)
async def all_tokens(desk: Admin, person: Person) -> list[dict[str, Any]]:
    """Everybody's personal tokens there are or were."""
    return await tokens.all_of(desk.store)


@act(Right.USERS)
async def revoke_token(desk: Admin, person: Person, id_: str) -> None:
    """End anybody's token."""
    if not await tokens.revoke(desk.store, id_, person.name):
        raise NOT_FOUND.problem("There is no token of this id that still works.")


async def _of_another(person: Person, login: str, doing: Any) -> None:
    if login.strip().casefold() == person.name:
        doing.close()
        raise NOT_ALLOWED.problem("What you are yourself, another admin changes; or `counterfoil users` does.")
    try:
        await doing
    except users.NoSuchUser as error:
        raise NOT_FOUND.problem(str(error)) from None
    except passwords.Unsuitable as error:
        raise INVALID.problem(str(error)) from None


def _in_person(person: Person) -> None:
    """A token that leaked must not become another that lasts."""
    if person.how != "session":
        raise NOT_ALLOWED.problem("This asks for somebody who is signed in: a token cannot do it.")


def routes() -> APIRouter:
    """Under /admin/v1."""
    router = APIRouter(tags=["users"])
    missing, unfit = documented(NOT_FOUND), documented(CONFLICT)

    @router.get("/users")
    async def list_users(desk: Desk, person: Annotated[Person, may(listing)]) -> list[dict[str, Any]]:
        """Everybody who can sign in, or could."""
        return await listing(desk, person)

    @router.post("/users", status_code=201, responses=unfit)
    async def add_user(new: NewUser, desk: Desk, person: Annotated[Person, may(add)]) -> dict[str, str]:
        """Let somebody sign in."""
        return {"id": await add(desk, person, new)}

    @router.put("/users/{login}/roles", status_code=204, responses=missing)
    async def user_roles(login: str, new: Roles, desk: Desk, person: Annotated[Person, may(set_roles)]) -> None:
        """Say what somebody else is; they are signed out everywhere."""
        await set_roles(desk, person, login, new.roles)

    @router.put("/users/{login}/password", status_code=204, responses=missing)
    async def user_password(
        login: str, new: NewPassword, desk: Desk, person: Annotated[Person, may(set_password)]
    ) -> None:
        """Give somebody else a new password; they are signed out everywhere, and their tokens end."""
        await set_password(desk, person, login, new.password)

    @router.post("/users/{login}/disable", status_code=204, responses=missing)
    async def disable_user(login: str, desk: Desk, person: Annotated[Person, may(disable)]) -> None:
        """They cannot sign in any more."""
        await disable(desk, person, login)

    @router.post("/users/{login}/enable", status_code=204, responses=missing)
    async def enable_user(login: str, desk: Desk, person: Annotated[Person, may(enable)]) -> None:
        """They can again."""
        await enable(desk, person, login)

    @router.get("/users-tokens")
    async def list_personal_tokens(desk: Desk, person: Annotated[Person, may(all_tokens)]) -> list[dict[str, Any]]:
        """Everybody's personal tokens."""
        return await all_tokens(desk, person)

    @router.delete("/users-tokens/{id_}", status_code=204, responses=missing)
    async def revoke_personal_token(id_: str, desk: Desk, person: Annotated[Person, may(revoke_token)]) -> None:
        """End anybody's token."""
        await revoke_token(desk, person, id_)

    @router.put("/me/password", status_code=204, responses=documented(REFUSED, TOO_MANY))
    async def own_password(
        new: NewPassword, request: Request, desk: Desk, person: Annotated[Person, may(change_own_password)]
    ) -> None:
        """Take a new password, knowing the one until now."""
        await change_own_password(desk, person, new.current, new.password, address_of(request))

    @router.get("/me/tokens")
    async def my_tokens(desk: Desk, person: Annotated[Person, may(own_tokens)]) -> list[dict[str, Any]]:
        """One's personal tokens."""
        return await own_tokens(desk, person)

    @router.post("/me/tokens", status_code=201)
    async def add_my_token(new: NewToken, desk: Desk, person: Annotated[Person, may(add_own_token)]) -> MadeToken:
        """Make oneself a token, for what one may oneself."""
        return await add_own_token(desk, person, new)

    @router.delete("/me/tokens/{id_}", status_code=204, responses=missing)
    async def revoke_my_token(id_: str, desk: Desk, person: Annotated[Person, may(revoke_own_token)]) -> None:
        """End a token of one's own."""
        await revoke_own_token(desk, person, id_)

    return router
