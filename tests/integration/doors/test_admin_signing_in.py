"""Signing in to the admin API: sessions, where a request comes from, guessing, personal tokens; all of it audited."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from tests.admin_stage import HUB, PASSWORD, cheap_passwords, client_of, desk_of, signed_in, somebody, token_for
from tests.conftest import ON_SQLITE

from counterfoil.doors.admin.context import CSRF
from counterfoil.doors.admin.opening import beside
from counterfoil.hub import schema
from counterfoil.hub.access import audit, lockout, passwords, sessions, signing_in, tokens, users
from counterfoil.hub.access.roles import Right, Role
from counterfoil.hub.access.sessions import Limits
from counterfoil.hub.schema import personal_token, session, sign_in_failure
from counterfoil.hub.store import Store


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_passwords(monkeypatch)


def kind(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


@ON_SQLITE
async def test_a_session_is_a_cookie_that_scripts_and_other_sites_cannot_use(store: Store) -> None:
    await somebody(store)
    async with client_of(desk_of(store)) as client:
        assert kind(await client.get("/me")) == (401, "not_signed_in")
        answer = await signed_in(client)
        assert re.fullmatch(r"counterfoil=[\w-]{43}; HttpOnly; Path=/; SameSite=lax", answer.headers["set-cookie"])
        assert answer.headers["cache-control"] == "no-store"
        assert (await client.get("/me")).json()["name"] == "anna"
        assert (await client.post("/sign-out")).status_code == 204
        assert kind(await client.get("/me")) == (401, "not_signed_in")
    async with client_of(desk_of(store, public_url="https://hub.test"), at="https://hub.test") as client:
        set_cookie = (await signed_in(client)).headers["set-cookie"]
        assert set_cookie.startswith("__Host-counterfoil=")
        assert "; Secure" in set_cookie


@ON_SQLITE
async def test_it_stands_beside_what_else_comes_in_at_the_port(store: Store) -> None:
    async def others(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("others")(scope, receive, send)

    transport = httpx.ASGITransport(beside(others, desk_of(store)))
    async with httpx.AsyncClient(transport=transport, base_url=HUB) as client:
        assert (await client.get("/admin/v1/health")).json() == {"status": "ok"}
        assert kind(await client.get("/admin/v1/nothing")) == (404, "not_found")
        assert [(await client.get(path)).text for path in ("/", "/webhooks/web", "/admin")] == ["others"] * 3


@ON_SQLITE
async def test_what_changes_something_comes_from_the_hubs_own_pages(store: Store) -> None:
    """A page from elsewhere can make a browser send its cookie; it knows no CSRF token and cannot hide its origin."""
    await somebody(store)
    body = {"name": "mine", "rights": ["see"]}
    async with client_of(desk_of(store)) as client:
        await signed_in(client)
        assert (await client.post("/me/tokens", json=body, headers={"origin": HUB})).status_code == 201
        for wrong in ({"origin": "http://evil.test"}, {CSRF: ""}, {CSRF: "0" * 64}, {"origin": "null"}):
            assert kind(await client.post("/me/tokens", json=body, headers=wrong)) == (403, "from_elsewhere")
        del client.headers[CSRF]
        assert kind(await client.post("/me/tokens", json=body)) == (403, "from_elsewhere")
        assert (await client.get("/me/tokens")).status_code == 200
        credentials = {"name": "anna", "password": PASSWORD}
        elsewhere = await client.post("/sign-in", json=credentials, headers={"origin": "http://evil.test"})
        assert kind(elsewhere) == (403, "from_elsewhere")


async def test_a_session_ends_unused_and_in_any_case(store: Store) -> None:
    await somebody(store)
    limits = Limits(idle=100.0, at_most=1000.0)
    token = await signing_in.sign_in(store, "anna", PASSWORD, "", limits)

    async def aged(**times: float) -> bool:
        async with store.write() as connection:
            values = {name: store.now + by for name, by in times.items()}
            await connection.execute(sa.update(session).values(**values))
        return await sessions.found(store, token, limits, touch=False) is not None

    assert await aged(used_at=-90.0)
    assert not await aged(used_at=-110.0)
    assert await aged(used_at=-90.0, ends_at=10.0)
    assert not await aged(used_at=0.0, ends_at=-1.0)
    await aged(used_at=-90.0, ends_at=100.0)
    await sessions.found(store, token, limits)  # used: it begins anew
    limits_left = Limits(idle=50.0, at_most=1000.0)
    assert await sessions.found(store, token, limits_left, touch=False) is not None


@pytest.mark.parametrize("how", ["password", "roles", "disabled"])
async def test_a_change_of_what_somebody_is_signs_them_out_everywhere(store: Store, how: str) -> None:
    await somebody(store)
    await somebody(store, "bob")
    limits = Limits()
    anna, bob = [await signing_in.sign_in(store, name, PASSWORD, "", limits) for name in ("anna", "bob")]
    bearer = await token_for(store, "anna")
    if how == "password":
        await users.set_password(store, "anna", "another one entirely", "admin")
    elif how == "roles":
        await users.set_roles(store, "anna", [Role.FINANCE], "admin")
    else:
        await users.disable(store, "anna", "admin")
    assert await sessions.found(store, anna, limits) is None
    assert await sessions.found(store, bob, limits) is not None
    by_token = await tokens.found(store, bearer)
    if how == "roles":
        assert by_token is not None
        assert by_token.rights == {Right.SEE, Right.SEE_PERSONAL, Right.EXCEPTIONS}
    else:
        assert by_token is None


@ON_SQLITE
async def test_who_guesses_waits_and_is_not_told_whether_there_is_such_a_user(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await somebody(store)
    checked: list[bool] = []
    real = passwords._checked

    def watched(kept: str | None, said: str) -> bool:
        checked.append(kept is None)
        return real(kept, said)

    monkeypatch.setattr(passwords, "_checked", watched)
    async with client_of(desk_of(store)) as client:
        told = {}
        for name in ("anna", "nobody"):
            answers = [await signed_in(client, name, "wrong") for _ in range(7)]
            told[name] = [(kind(a), a.json()["detail"]) for a in answers]
            assert [a.status_code for a in answers] == [401] * 6 + [429]
            assert int(answers[-1].headers["retry-after"]) > 0
        assert told["anna"] == told["nobody"]
        assert sum(checked) == 6  # as often for nobody as for anna: an answer takes as long
        assert len(checked) == 12
        assert kind(await signed_in(client, "anna")) == (429, "too_many")  # the right one too
        async with store.write() as connection:
            await connection.execute(sa.update(sign_in_failure).values(until=0.0))
        assert (await signed_in(client, "ANNA ")).status_code == 200
        assert (await signed_in(client, "anna", "wrong")).status_code == 401  # and counted from the beginning


async def test_many_guesses_at_once_are_counted_as_many(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted before the password is looked at: on PostgreSQL too no two are counted as one."""
    await somebody(store)
    looked = []

    def never(_kept: str | None, said: str) -> bool:
        looked.append(said)
        return False

    monkeypatch.setattr(passwords, "_checked", never)

    async def guess(n: int) -> None:
        with pytest.raises((signing_in.NotSignedIn, signing_in.Waiting)):
            await signing_in.sign_in(store, "anna", f"guess {n}", "203.0.113.9", Limits())

    await asyncio.gather(*map(guess, range(15)))
    assert len(looked) == lockout.FREE["user"] + 1


@given(tries=st.integers(0, 200), free=st.integers(0, 60))
def test_the_wait_only_grows_and_has_an_end(tries: int, free: int) -> None:
    here, next_ = lockout.pause(tries, free), lockout.pause(tries + 1, free)
    assert here <= next_ <= lockout.LONGEST
    assert (here == 0) == (tries <= free)


@ON_SQLITE
async def test_a_personal_token_may_what_its_person_may_at_the_time_and_ends(store: Store) -> None:
    await somebody(store, "anna", [Role.ADMIN])
    bearer = await token_for(store, "anna", [Right.USERS, Right.SEE, Right.EXCEPTIONS])
    assert bearer.startswith("cfp_")
    desk = desk_of(store)
    async with client_of(desk, bearer) as client:
        me = (await client.get("/me")).json()
        assert (me["rights"], me["csrf"]) == (["see", "users"], "")
        assert (await client.get("/users")).status_code == 200
        mine = {"name": "another", "rights": ["see"]}
        assert kind(await client.post("/me/tokens", json=mine)) == (403, "not_allowed")  # none that outlives it
        await users.set_roles(store, "anna", [Role.VIEWER], "admin")
        assert kind(await client.get("/users")) == (403, "not_allowed")
        async with store.write() as connection:
            await connection.execute(sa.update(personal_token).values(ends_at=store.now - 1.0))
        assert kind(await client.get("/me")) == (401, "not_signed_in")


@ON_SQLITE
async def test_nobody_gives_themselves_or_their_token_more_than_they_have(store: Store) -> None:
    await somebody(store, "anna", [Role.ADMIN])
    async with client_of(desk_of(store)) as client:
        await signed_in(client)
        itself = await client.put("/users/Anna/roles", json={"roles": ["admin", "approver"]})
        assert kind(itself) == (403, "not_allowed")
        more = await client.post("/me/tokens", json={"name": "more", "rights": ["see_personal"]})
        assert kind(more) == (403, "not_allowed")
        weak = {"login": "bob", "password": "short", "roles": ["viewer"]}
        assert kind(await client.post("/users", json=weak)) == (422, "invalid")
        bob = {**weak, "password": "long enough and more"}
        assert (await client.post("/users", json=bob)).status_code == 201
        assert kind(await client.post("/users", json=bob)) == (409, "conflict")
        assert (await client.put("/users/bob/roles", json={"roles": ["approver"]})).status_code == 204
        wrong = {"current": "wrong", "password": "a new one, and long"}
        assert kind(await client.put("/me/password", json=wrong)) == (401, "sign_in_refused")
        assert (await client.put("/me/password", json={**wrong, "current": PASSWORD})).status_code == 204
        assert kind(await client.get("/me")) == (401, "not_signed_in")  # everywhere, here too
        assert (await signed_in(client, "anna", "a new one, and long")).status_code == 200


@ON_SQLITE
async def test_nothing_that_opens_a_door_is_kept_and_every_act_is(store: Store) -> None:
    await somebody(store, "anna", [Role.ADMIN])
    async with client_of(desk_of(store)) as client:
        await signed_in(client, "anna", "my other password")
        answer = await signed_in(client)
        made = (await client.post("/me/tokens", json={"name": "mine", "rights": ["see"]})).json()
        await client.delete(f"/me/tokens/{made['id']}")
        await client.post("/sign-out")
    secrets = [PASSWORD, "my other password", made["token"], answer.headers["set-cookie"].split("=")[1].split(";")[0]]
    async with store.read() as connection:
        kept = [str((await connection.execute(sa.select(table))).all()) for table in schema.metadata.sorted_tables]
    assert [secret for secret in secrets for rows in kept if secret in rows] == []
    acts = [row["act"] for row in reversed(await audit.listing(store))]
    signed = ["user.added", "sign-in.refused", "sign-in", "personal-token.added", "personal-token.revoked", "sign-out"]
    assert acts == signed
