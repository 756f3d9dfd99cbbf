"""Signing in at the declared provider: the way there and the way back."""

from __future__ import annotations

import hmac
import json
import time
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from counterfoil.doors.admin.context import ANYBODY, ROOT, Admin, Desk
from counterfoil.doors.admin.oidc import Provider, Try, Unreachable, Untrusted
from counterfoil.doors.admin.problems import NOT_FOUND, REFUSED, UNAVAILABLE
from counterfoil.doors.admin.signing import address_of, set_cookie
from counterfoil.doors.problems import Refusal, documented
from counterfoil.hub.access import audit, elsewhere, signing_in
from counterfoil.hub.storefront import signing

BACK = f"{ROOT}/sign-in/back"
HOME = "/console/"
MINUTES = 10
"""So long somebody may take at the provider, and what was said to them stays."""
SAID = "sign-in said"
"""The key's name: what it signs can be no try to sign in."""


def provider_of(desk: Admin) -> Provider:
    """The declared provider. Raises Refusal where none is."""
    rules = desk.blueprint.console.sign_in.oidc
    if rules is None:
        raise NOT_FOUND.problem("The blueprint declares no provider to sign in at.")
    if "oidc" not in desk.more:
        desk.more["oidc"] = Provider(rules, f"{desk.blueprint.public_url}{BACK}")
    found: Provider = desk.more["oidc"]
    return found


def inside(to: str) -> str:
    """Where to go on to: only ever a page of this hub."""
    return to if to.startswith("/") and not to.startswith(("//", "/\\")) and to.isprintable() else HOME


async def there(desk: Admin, to: str) -> Response:
    """Sends the browser to the provider, with what it must bring back in a cookie."""
    attempt = Try()
    try:
        where = await provider_of(desk).address(attempt)
    except Unreachable as error:
        raise UNAVAILABLE.problem(str(error)) from None
    kept = json.dumps({**asdict(attempt), "to": inside(to)})
    key = await signing.key(desk.store, "sign-in")
    answer = RedirectResponse(where, 303)
    value = signing.sign(key, kept, int(time.time()) + MINUTES * 60)
    answer.set_cookie(_cookie(desk), value, MINUTES * 60, path="/", httponly=True, secure=desk.is_https, samesite="lax")
    return answer


async def back(desk: Admin, cookie: str, state: str, code: str, issuer: str, address: str) -> tuple[str, str]:
    """The token of a new session, and the page to go on to. Raises Refusal."""
    provider = provider_of(desk)
    said = signing.read(await signing.key(desk.store, "sign-in"), cookie, time.time())
    kept: dict[str, Any] = json.loads(said) if said else {}
    to = kept.pop("to", HOME)
    attempt = Try(**kept) if kept else None
    if attempt is None or not hmac.compare_digest(attempt.state.encode(), state.encode()):
        raise REFUSED.problem("This browser did not begin this sign-in, or too long ago: begin again.")
    if not code or issuer.rstrip("/") not in ("", provider.rules.issuer):
        raise REFUSED.problem("The provider refused, or it was another one that answered.")
    try:
        claims = await provider.claims(attempt, code)
    except Unreachable as error:
        raise UNAVAILABLE.problem(str(error)) from None
    except Untrusted as error:
        raise REFUSED.problem(str(error)) from None
    identity = f"{provider.rules.issuer} {claims['sub']}"
    email = str(claims.get("email") or "")
    login = elsewhere.login_for(str(claims.get("preferred_username") or email), identity)
    who = (identity, login, str(claims.get("name") or ""), email)
    try:
        if not (roles := provider.roles(claims)):
            said = f"You are known there, but nothing in “{provider.rules.claim}” gives you a role here."
            raise signing_in.NotSignedIn(f"{said} Who runs the hub can change that.")
        return await elsewhere.arrive(desk.store, *who, roles, address, desk.limits), to
    except signing_in.NotSignedIn as error:
        async with desk.store.write() as connection:
            detail = {"from": address, "at": provider.rules.issuer, "who": claims["sub"]}
            await audit.note(connection, desk.store, "", "sign-in.refused", "", detail)
        raise REFUSED.problem(str(error)) from None


async def leaving(desk: Admin) -> Response:
    """Sends the browser to where one signs out at the provider. Raises Refusal."""
    try:
        where = await provider_of(desk).leaving()
    except Unreachable as error:
        raise UNAVAILABLE.problem(str(error)) from None
    if where is None:
        raise NOT_FOUND.problem("The provider names no address to sign out at: do it there.")
    return RedirectResponse(where, 303)


async def in_words(desk: Admin, request: Request, refusal: Refusal) -> Response:
    """The refusal on the page to sign in, for a browser. Raises it for everybody else."""
    if "text/html" not in request.headers.get("accept", ""):
        raise refusal
    said = signing.sign(await signing.key(desk.store, SAID), refusal.detail, int(time.time()) + MINUTES * 60)
    return RedirectResponse(f"{HOME}sign-in?said={said}", 303)


async def said_before(desk: Admin, signed: str) -> str:
    """What `in_words` says; nothing where it was not this hub that wrote it: a link puts no words on our pages."""
    return signing.read(await signing.key(desk.store, SAID), signed, time.time()) or "" if signed else ""


def _cookie(desk: Admin) -> str:
    return f"{desk.cookie}-sign-in"


def routes() -> APIRouter:
    """Under /admin/v1."""
    router = APIRouter(tags=["signing in", ANYBODY])

    @router.get("/sign-in/elsewhere", status_code=303, responses=documented(NOT_FOUND))
    async def sign_in_elsewhere(request: Request, desk: Desk, to: str = HOME) -> Response:
        """Go to the declared provider of OpenID Connect; `to`: the page to come back to."""
        try:
            return await there(desk, to)
        except Refusal as refusal:
            return await in_words(desk, request, refusal)

    @router.get("/sign-in/back", status_code=303, responses=documented(REFUSED, NOT_FOUND))
    async def sign_in_back(request: Request, desk: Desk, state: str = "", code: str = "", iss: str = "") -> Response:
        """Where the provider sends people back to."""
        cookie = request.cookies.get(_cookie(desk), "")
        try:
            token, to = await back(desk, cookie, state, code, iss, address_of(request))
        except Refusal as refusal:
            answer = await in_words(desk, request, refusal)
        else:
            answer = RedirectResponse(to, 303)
            set_cookie(desk, answer, token)
        answer.delete_cookie(_cookie(desk), path="/", httponly=True, secure=desk.is_https, samesite="lax")
        return answer

    @router.get("/sign-out/elsewhere", status_code=303, responses=documented(NOT_FOUND))
    async def sign_out_elsewhere(request: Request, desk: Desk) -> Response:
        """Go to where one signs out at the provider itself: signing out here leaves its own session as it is."""
        try:
            return await leaving(desk)
        except Refusal as refusal:
            return await in_words(desk, request, refusal)

    return router
