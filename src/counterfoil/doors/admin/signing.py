"""Signing in and out, and who one is; for the API and for the console."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from counterfoil.doors.admin.acts import act
from counterfoil.doors.admin.context import ANYBODY, Admin, Desk, may
from counterfoil.doors.admin.problems import FROM_ELSEWHERE, REFUSED, TOO_MANY
from counterfoil.doors.problems import Refusal, documented
from counterfoil.hub.access import audit, sessions, signing_in
from counterfoil.hub.access.people import Person


class Credentials(BaseModel):
    """What somebody signs in with."""

    name: str = Field(max_length=200)
    password: str = Field(max_length=1000, repr=False)


class Me(BaseModel):
    """Who is signed in, and what they may."""

    name: str
    roles: list[str]
    rights: list[str]
    how: str
    csrf: str = Field(description="to be sent as X-CSRF-Token with whatever changes something; empty with a token")


async def sign_in(desk: Admin, name: str, password: str, address: str) -> str:
    """The token of a new session. Raises Refusal, with the wait where there were too many tries."""
    try:
        return await signing_in.sign_in(desk.store, name, password, address, desk.limits)
    except signing_in.Waiting as error:
        raise too_many(error) from None
    except signing_in.NotSignedIn as error:
        raise REFUSED.problem(str(error)) from None


def too_many(error: signing_in.Waiting) -> Refusal:
    """The problem of who has to wait."""
    wait = str(max(1, round(error.seconds + 0.5)))
    return TOO_MANY.problem(f"There were too many tries: the next is looked at in {wait} s.", {"Retry-After": wait})


@act(None)
async def sign_out(desk: Admin, person: Person, token: str) -> None:
    """End this session."""
    await sessions.end(desk.store, token)
    async with desk.store.write() as connection:
        await audit.note(connection, desk.store, person.name, "sign-out", f"user:{person.name}")


def set_cookie(desk: Admin, response: Response, token: str) -> None:
    """The session's cookie: no script can read it, and other sites' forms do not send it."""
    response.set_cookie(desk.cookie, token, path="/", httponly=True, secure=desk.is_https, samesite="lax")


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else ""


def me_of(person: Person, token: str) -> Me:
    """As the API tells it."""
    csrf = sessions.csrf_of(token) if person.how == "session" else ""
    return Me(name=person.name, roles=sorted(person.roles), rights=sorted(person.rights), how=person.how, csrf=csrf)


def routes() -> APIRouter:
    """Under /admin/v1."""
    router = APIRouter(tags=["signing in"])

    @router.get("/health", tags=[ANYBODY])
    async def health() -> dict[str, str]:
        """That the hub answers; what it does is for those who are signed in."""
        return {"status": "ok"}

    @router.post("/sign-in", tags=[ANYBODY], responses=documented(REFUSED, TOO_MANY))
    async def sign_in_(credentials: Credentials, request: Request, response: Response, desk: Desk) -> Me:
        """Sign in with name and password: a session, in a cookie."""
        origin = request.headers.get("origin")
        if origin is not None and origin not in desk.origins(request.headers):  # nobody is signed in as somebody else
            raise FROM_ELSEWHERE.problem("The page that asks is not one of the hub's.")
        token = await sign_in(desk, credentials.name, credentials.password, address_of(request))
        person = await sessions.found(desk.store, token, desk.limits)
        if person is None:
            raise REFUSED.problem("The user was disabled at this moment.")
        set_cookie(desk, response, token)
        return me_of(person, token)

    @router.get("/me")
    async def me(request: Request, desk: Desk, person: Annotated[Person, may(None)]) -> Me:
        """Who is signed in."""
        return me_of(person, desk.token_of(request))

    @router.post("/sign-out", status_code=204)
    async def sign_out_(
        request: Request, response: Response, desk: Desk, person: Annotated[Person, may(sign_out)]
    ) -> None:
        """End the session."""
        await sign_out(desk, person, desk.token_of(request))
        response.delete_cookie(desk.cookie, path="/", httponly=True, secure=desk.is_https, samesite="lax")

    return router
