"""What is asked of a provider of OpenID Connect, and what of its answers counts (authorization code with PKCE).

An ID token counts if the provider's own key signed it with an asymmetric algorithm, for this hub, for this one try to
sign in, and not long ago.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from counterfoil.blueprint.console import Oidc
from counterfoil.hub.access.roles import Role, roles_in

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
"""Never `none`, and none that a shared secret signs with."""
KEPT = 3600.0
"""Seconds for which what the provider says of itself is not asked for again."""
LEEWAY = 60
"""Seconds that clocks may differ."""
TIMEOUT = 10.0
NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
OFFERED = ("userinfo_endpoint", "end_session_endpoint")
"""What a provider need not have."""


class Unreachable(Exception):
    """The provider did not answer, or not as the standard has it. The message says where."""


class Untrusted(Exception):
    """What came back does not prove who somebody is. The message says why."""


@dataclass(frozen=True, slots=True)
class Try:
    """One try to sign in: what the browser keeps while its person is at the provider."""

    state: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def challenge(self) -> str:
        """What the provider is told of the verifier (S256)."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")


class Provider:
    """A declared provider. `back`: the address at which people come back from it."""

    def __init__(self, rules: Oidc, back: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.rules, self.back, self._transport = rules, back, transport
        self._about: Mapping[str, Any] = {}
        self._keys: KeySet | None = None
        self._until = 0.0

    async def address(self, attempt: Try) -> str:
        """Where to send the browser. Raises Unreachable."""
        about = await self._described()
        asked = {
            "response_type": "code",
            "client_id": self.rules.client_id,
            "redirect_uri": self.back,
            "scope": " ".join(self.rules.scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        return _asking(str(about["authorization_endpoint"]), asked)

    async def claims(self, attempt: Try, code: str) -> Mapping[str, Any]:
        """What the provider says of who has come back with the code. Raises Unreachable, Untrusted."""
        about = await self._described()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.back,
            "code_verifier": attempt.verifier,
            "client_id": self.rules.client_id,
        }
        auth: httpx.BasicAuth | None = None
        if (secret := self.rules.client_secret) is not None:
            taken = about.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
            if "client_secret_basic" in taken or "client_secret_post" not in taken:
                auth = httpx.BasicAuth(quote_plus(self.rules.client_id), quote_plus(secret.reveal()))  # RFC 6749, 2.3.1
            else:
                form["client_secret"] = secret.reveal()
        answer = await self._ask("POST", str(about["token_endpoint"]), data=form, auth=auth)
        if answer.status_code != httpx.codes.OK:
            raise Untrusted(f"The provider did not take the code ({answer.status_code}).")
        given = _json(answer)
        token = given.get("id_token")
        if not isinstance(token, str):
            raise Untrusted("The provider sent no ID token.")
        claims = await self._checked(token, attempt.nonce)
        if _claim(claims, self.rules.claim) is None or not (claims.get("preferred_username") or claims.get("email")):
            return {**await self._told_besides(str(given.get("access_token", "")), claims["sub"]), **claims}
        return claims

    async def _told_besides(self, access: str, subject: str) -> Mapping[str, Any]:
        """What the provider tells of them elsewhere: in the ID token of a code many put no more than who it is."""
        where = str((await self._described()).get("userinfo_endpoint", ""))
        if not where or not access:
            return {}
        answer = await self._ask("GET", where, headers={"Authorization": f"Bearer {access}"})
        told = _json(answer) if answer.is_success else {}
        if told and told.get("sub") != subject:
            raise Untrusted("The provider told of somebody else.")
        return told

    async def leaving(self) -> str | None:
        """Where to sign out at the provider itself; None where it names no such place. Raises Unreachable."""
        where = str((await self._described()).get("end_session_endpoint", ""))
        return _asking(where, {"client_id": self.rules.client_id}) if where else None

    async def _checked(self, token: str, nonce: str) -> Mapping[str, Any]:
        for fresh in (False, True):  # keys change: with one that is not known yet they are read once more
            keys = await self._signing_keys(fresh)
            try:
                claims = jwt.decode(token, keys, algorithms=ALGORITHMS).claims
                break
            except (JoseError, ValueError) as error:
                if fresh:
                    raise Untrusted(f"The ID token's signature does not count ({type(error).__name__}).") from None
        issuer = (await self._described())["issuer"]  # to the letter: some end in a slash
        must: dict[str, Any] = {"iss": issuer, "aud": self.rules.client_id, "nonce": nonce}
        rules: dict[str, Any] = {name: {"essential": True, "value": value} for name, value in must.items()}
        rules |= {name: {"essential": True} for name in ("sub", "exp", "iat")}
        try:
            jwt.JWTClaimsRegistry(leeway=LEEWAY, **rules).validate(claims)
        except (JoseError, ValueError) as error:
            raise Untrusted(f"The ID token is not for this sign-in ({error}).") from None
        others = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if others else self.rules.client_id) != self.rules.client_id:
            raise Untrusted("The ID token was made for another application.")
        return claims

    def roles(self, claims: Mapping[str, Any]) -> frozenset[Role]:
        """What the declared claim makes somebody here."""
        said = _claim(claims, self.rules.claim)
        values = [said] if isinstance(said, str) else said if isinstance(said, list) else []
        return roles_in(name for value in values for name in self.rules.roles.get(str(value), ()))

    async def _described(self) -> Mapping[str, Any]:
        if time.monotonic() > self._until or not self._about:
            issuer = self.rules.issuer
            about = _json(await self._ask("GET", f"{issuer}/.well-known/openid-configuration"))
            if str(about.get("issuer", "")).rstrip("/") != issuer:
                raise Unreachable(f"{issuer} describes another issuer.")
            safe = "https://" if issuer.startswith("https:") else "http"
            for name in (*NEEDED, *OFFERED):
                if not str(about.get(name, "" if name in NEEDED else safe)).startswith(safe):
                    raise Unreachable(f"{issuer} names no usable {name}.")
            self._about, self._keys, self._until = about, None, time.monotonic() + KEPT
        return self._about

    async def _signing_keys(self, fresh: bool) -> KeySet:
        if self._keys is None or fresh:
            found = _json(await self._ask("GET", str((await self._described())["jwks_uri"])))
            try:
                self._keys = KeySet.import_key_set(found)  # type: ignore[arg-type]
            except (JoseError, ValueError, KeyError) as error:
                raise Unreachable(f"The keys of {self.rules.issuer} cannot be read.") from error
        return self._keys

    async def _ask(self, method: str, url: str, **more: Any) -> httpx.Response:
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT, transport=self._transport) as client:
                return await client.request(method, url, **more)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(f"{self.rules.issuer} does not answer ({type(error).__name__}).") from error


def _json(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Unreachable(f"{answer.request.url.host} did not answer in JSON ({answer.status_code}).")
    return found


def _asking(where: str, asked: Mapping[str, str]) -> str:
    return f"{where}{'&' if '?' in where else '?'}{urlencode(asked)}"


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, or by the way to it, such as realm_access.roles."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
