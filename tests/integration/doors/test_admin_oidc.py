"""Signing in at a provider of OpenID Connect: a stand-in of one, and every way in which its answer must not count."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey
from tests.admin_stage import cheap_passwords, client_of, desk_of, somebody
from tests.conftest import ON_SQLITE

from counterfoil.blueprint.console import Oidc
from counterfoil.blueprint.values import Secret
from counterfoil.doors.admin.elsewhere import inside, said_before
from counterfoil.doors.admin.oidc import Provider, Try, Untrusted
from counterfoil.hub.access import audit, users
from counterfoil.hub.access.roles import Role
from counterfoil.hub.store import Store
from counterfoil.hub.storefront import signing

ISSUER = "https://login.test/shop"
HUB = "https://hub.test"
CONSOLE: dict[str, Any] = {
    "sign_in": {
        "oidc": {
            "issuer": ISSUER,
            "client_id": "counterfoil",
            "claim": "realm.groups",
            "roles": {"shop-managers": ["operator", "approver"], "accounts": "finance"},
        }
    }
}
pytestmark = ON_SQLITE


class StandIn:
    """A provider with one key, whose people are who a test says."""

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256", {"kid": "one"})
        self.claims: dict[str, Any] = {"sub": "7", "preferred_username": "Mia", "name": "Mia M"}
        self.claims["realm"] = {"groups": ["shop-managers", "others"]}
        self.header = {"alg": "ES256", "kid": "one"}
        self.about: dict[str, Any] = {}
        self.asked: dict[str, str] = {}
        self.besides: dict[str, Any] = {}
        self.signed: Callable[[dict[str, Any]], str] = lambda claims: jwt.encode(self.header, claims, self.key)

    def gone_to(self, address: str) -> dict[str, str]:
        self.asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        return {"state": self.asked["state"], "code": "a-code", "iss": ISSUER}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        place = {"/shop/.well-known/openid-configuration": self._about, "/keys": self._keys, "/token": self._token}
        place["/me"] = lambda _: httpx.Response(200, json=self.besides)
        return place[request.url.path](request)

    def _about(self, _request: httpx.Request) -> httpx.Response:
        ends = {f"{name}_endpoint": f"https://login.test/{name}" for name in ("authorization", "token")}
        return httpx.Response(200, json={"issuer": ISSUER, "jwks_uri": "https://login.test/keys", **ends, **self.about})

    def _keys(self, _request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"keys": [self.key.as_dict(private=False)]})

    def _token(self, request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        challenge = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(challenge).decode().rstrip("=") != self.asked["code_challenge"]:
            return httpx.Response(400, json={"error": "invalid_grant"})
        now = int(time.time())
        usual = {"iss": ISSUER, "aud": "counterfoil", "iat": now, "exp": now + 300, "nonce": self.asked["nonce"]}
        claims = {name: value for name, value in {**usual, **self.claims}.items() if value is not None}
        return httpx.Response(200, json={"id_token": self.signed(claims), "access_token": "one"})


async def come_back(store: Store, stand_in: StandIn, to: str = "/console/", **changed: str) -> httpx.Response:
    """Somebody goes there and comes back; then what /me says of them, or the refusal."""
    desk = desk_of(store, console=CONSOLE, public_url=HUB)
    rules = desk.blueprint.console.sign_in.oidc
    assert rules is not None
    desk.more["oidc"] = Provider(rules, f"{HUB}/admin/v1/sign-in/back", httpx.MockTransport(stand_in))
    async with client_of(desk, at=HUB) as client:
        gone = await client.get("/sign-in/elsewhere", params={"to": to})
        for cookie in gone.headers.get_list("set-cookie"):
            assert cookie.startswith("__Host-counterfoil-sign-in=")
            assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/", "Max-Age=600"} <= set(cookie.split("; "))
        if gone.status_code != 303:
            return gone
        back = await client.get("/sign-in/back", params={**stand_in.gone_to(gone.headers["location"]), **changed})
        if back.status_code != 303:
            return back
        assert back.headers["location"] == inside(to)
        return await client.get("/me")


async def test_somebody_signs_in_at_the_provider_and_is_what_its_claim_says(store: Store) -> None:
    stand_in = StandIn()
    me = (await come_back(store, stand_in)).json()
    assert (me["name"], me["roles"], me["how"]) == ("mia", ["approver", "operator"], "session")
    assert stand_in.asked["code_challenge_method"] == "S256"
    stand_in.claims["realm"] = {"groups": "accounts"}
    stand_in.claims["preferred_username"] = "renamed"
    me = (await come_back(store, stand_in)).json()
    assert (me["name"], me["roles"]) == ("mia", ["finance"])
    [user] = await users.all_of(store)
    assert (user["login"], user["local"], user["name"]) == ("mia", False, "Mia M")
    assert [row["act"] for row in await audit.listing(store)] == ["sign-in", "sign-in", "user.added"]


async def test_an_issuer_that_ends_in_a_slash_is_taken_to_the_letter(store: Store) -> None:
    stand_in = StandIn()
    stand_in.about = {"issuer": f"{ISSUER}/"}
    assert (await come_back(store, stand_in)).status_code == 401
    stand_in.claims["iss"] = f"{ISSUER}/"
    assert (await come_back(store, stand_in)).json()["name"] == "mia"


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_the_secret_is_told_in_the_way_that_the_provider_takes(method: str, store: Store) -> None:
    oidc = CONSOLE["sign_in"]["oidc"]
    rules = Oidc.model_validate({**oidc, "client_id": "our hub", "client_secret": Secret("50% & more")})
    asked: list[httpx.Request] = []
    stand_in = StandIn()
    stand_in.about = {"token_endpoint_auth_methods_supported": [method]}

    def heard(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(400) if request.method == "POST" else stand_in(request)

    with pytest.raises(Untrusted):
        await Provider(rules, HUB, httpx.MockTransport(heard)).claims(Try(), "a code")
    form = {name: values[0] for name, values in parse_qs(asked[-1].content.decode()).items()}
    in_head = base64.b64decode(asked[-1].headers.get("authorization", "Basic ").partition(" ")[2]).decode()
    told = {"client_secret_basic": ("our+hub:50%25+%26+more", None), "client_secret_post": ("", "50% & more")}
    assert (in_head, form.get("client_secret")) == told[method]


async def test_what_the_token_does_not_say_is_asked_for_and_counts_only_if_it_is_of_the_same_person(
    store: Store,
) -> None:
    stand_in = StandIn()
    told = {"realm": stand_in.claims.pop("realm"), "preferred_username": "eve"}
    stand_in.about = {"userinfo_endpoint": "https://login.test/me"}
    for stand_in.besides in ({}, {**told, "sub": "8"}):
        assert (await come_back(store, stand_in)).status_code == 401
    stand_in.besides = {**told, "sub": "7"}
    assert (await come_back(store, stand_in)).json()["name"] == "mia"


async def test_a_browser_is_told_in_words_why_it_is_not_in_and_a_link_puts_no_words_there(store: Store) -> None:
    desk = desk_of(store, console=CONSOLE, public_url=HUB)
    async with client_of(desk, at=HUB) as client:
        back = await client.get("/sign-in/back", headers={"accept": "text/html"})
    where, _, said = back.headers["location"].partition("?said=")
    assert (back.status_code, where) == (303, "/console/sign-in")
    assert "begin again" in await said_before(desk, said)
    key = await signing.key(store, "sign-in")
    forged = signing.sign(key, "Call 0900", int(time.time()) + 60)
    assert [await said_before(desk, text) for text in ("", "Call 0900", forged)] == ["", "", ""]


CLAIMS: dict[str, dict[str, Any]] = {
    "of another issuer": {"iss": "https://login.test/other"},
    "for another application": {"aud": "somebody-else"},
    "for several, made for another": {"aud": ["counterfoil", "other"], "azp": "other"},
    "for several, nobody says for which": {"aud": ["counterfoil", "other"]},
    "too old": {"exp": int(time.time()) - 120},
    "without an end": {"exp": None},
    "of another try": {"nonce": "another"},
    "without a nonce": {"nonce": None},
    "of nobody": {"sub": None},
}
NOBODY_HERE = ({"realm": {"groups": ["others"]}}, {"realm": None})


@pytest.mark.parametrize("name", CLAIMS)
async def test_a_token_that_is_not_for_this_sign_in_does_not_count(store: Store, name: str) -> None:
    stand_in = StandIn()
    stand_in.claims |= CLAIMS[name]
    answer = await come_back(store, stand_in)
    assert (answer.status_code, answer.json()["type"]) == (401, "/admin/v1/problems/sign_in_refused")
    assert await users.all_of(store) == []
    assert await audit.listing(store) == []


@pytest.mark.parametrize("claims", NOBODY_HERE)
async def test_who_is_somebody_there_and_nothing_here_stays_out_and_that_is_kept(
    store: Store, claims: dict[str, Any]
) -> None:
    stand_in = StandIn()
    stand_in.claims |= claims
    answer = await come_back(store, stand_in)
    assert (answer.status_code, "gives you a role" in answer.json()["detail"]) == (401, True)
    assert await users.all_of(store) == []
    [row] = await audit.listing(store)
    assert (row["act"], row["detail"]["who"]) == ("sign-in.refused", "7")


def _unsigned(claims: dict[str, Any]) -> str:
    def part(what: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(what).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part(claims)}."


def _by_their_public_key(claims: dict[str, Any]) -> str:
    """The known trick: what everybody can read, used as a shared secret."""
    return jwt.encode({"alg": "HS256", "kid": "one"}, claims, OctKey.import_key("what everybody can read, as a secret"))


def _by_another_key(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "ES256", "kid": "one"}, claims, ECKey.generate_key("P-256"))


@pytest.mark.parametrize("signed", [_unsigned, _by_their_public_key, _by_another_key, lambda _: "no.token.at-all"])
async def test_a_token_that_the_provider_did_not_sign_does_not_count(
    store: Store, signed: Callable[[dict[str, Any]], str]
) -> None:
    stand_in = StandIn()
    stand_in.signed = signed
    answer = await come_back(store, stand_in)
    assert (answer.status_code, answer.json()["type"]) == (401, "/admin/v1/problems/sign_in_refused")


async def test_a_key_that_is_new_is_read(store: Store) -> None:
    """Providers change their keys without a word."""
    stand_in, desk = StandIn(), desk_of(store, console=CONSOLE, public_url=HUB)
    rules = desk.blueprint.console.sign_in.oidc
    assert rules is not None
    provider = Provider(rules, f"{HUB}/admin/v1/sign-in/back", httpx.MockTransport(stand_in))
    await provider._signing_keys(fresh=False)
    stand_in.key, stand_in.header = ECKey.generate_key("P-256", {"kid": "two"}), {"alg": "ES256", "kid": "two"}
    desk.more["oidc"] = provider
    async with client_of(desk, at=HUB) as client:
        gone = await client.get("/sign-in/elsewhere")
        back = await client.get("/sign-in/back", params=stand_in.gone_to(gone.headers["location"]))
    assert back.status_code == 303


@pytest.mark.parametrize("changed", [{"state": "another"}, {"state": ""}, {"code": ""}, {"iss": "https://evil.test"}])
async def test_who_comes_back_otherwise_than_they_went_is_refused(store: Store, changed: dict[str, str]) -> None:
    answer = await come_back(store, StandIn(), **changed)
    assert (answer.status_code, answer.json()["type"]) == (401, "/admin/v1/problems/sign_in_refused")


async def test_nobody_becomes_a_local_user_by_calling_themselves_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap_passwords(monkeypatch)
    await somebody(store, "mia", [Role.ADMIN])
    answer = await come_back(store, StandIn())
    assert answer.status_code == 401
    assert "signs in otherwise" in answer.json()["detail"]


async def test_who_is_disabled_here_stays_out_whatever_the_provider_says(store: Store) -> None:
    await come_back(store, StandIn())
    await users.disable(store, "mia", "test")
    answer = await come_back(store, StandIn())
    assert (answer.status_code, answer.json()["type"]) == (401, "/admin/v1/problems/sign_in_refused")


async def test_a_provider_that_describes_another_issuer_or_is_dark_is_not_asked_further(store: Store) -> None:
    stand_in = StandIn()
    stand_in.about = {"issuer": "https://evil.test"}
    assert (await come_back(store, stand_in)).status_code == 503
    stand_in.about = {"token_endpoint": "http://login.test/token"}
    assert (await come_back(store, stand_in)).status_code == 503


@pytest.mark.parametrize("to", ["https://evil.test", "//evil.test", "/\\evil.test", "javascript:x", "/a\nb", ""])
def test_the_way_back_leads_to_this_hub_only(to: str, store: Store) -> None:
    assert inside(to) == "/console/"
    assert inside("/console/find?x=1") == "/console/find?x=1"
