"""The section `console`: how long somebody stays signed in, and where else than here they may sign in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from counterfoil.blueprint.page import Block, section
from counterfoil.blueprint.problems import Problem, quoted
from counterfoil.blueprint.values import (
    A_DURATION,
    Name,
    Part,
    ReadOnly,
    Secret,
    Url,
    Wait,
    format_duration,
)
from counterfoil.blueprint.yamlread import Source

SECTION = "console"
SECRET_PATH = ("sign_in", "oidc", "client_secret")
"""Where in the section a reference stands."""
ROLES = ("viewer", "operator", "finance", "approver", "admin")
RoleName = Literal["viewer", "operator", "finance", "approver", "admin"]


def _listed(rows: Any) -> Any:
    """Of each value of the claim one role or several."""
    if not isinstance(rows, Mapping):
        return rows
    return {str(value): (given,) if isinstance(given, str) else given for value, given in rows.items()}


class Sessions(Part):
    """How long somebody stays signed in."""

    idle: Wait = Field(default=timedelta(minutes=30), description=f"{A_DURATION}: signed out after so long unused")
    at_most: Wait = Field(
        default=timedelta(hours=12), description=f"{A_DURATION}: signed out after so long at the latest"
    )


class Oidc(Part):
    """A provider of OpenID Connect at which people sign in."""

    issuer: Annotated[Url, Field(min_length=1)] = Field(description="an address such as https://login.example/realm")
    client_id: Name = Field(description="what the provider knows this hub as")
    client_secret: Secret | None = Field(
        default=None, description="${NAME} or {file: path}; none for a client that is public"
    )
    claim: Name = Field(default="groups", description="the claim that says what somebody is, such as groups")
    roles: Annotated[ReadOnly[tuple[RoleName, ...]], BeforeValidator(_listed)] = Field(
        description=f"a mapping of the claim's values to one of {', '.join(ROLES)}, or to several"
    )
    scopes: tuple[Name, ...] = Field(
        default=("openid", "profile", "email"), description="a list of what is asked for, such as [openid, groups]"
    )


class SignIn(Part):
    """Where else than here somebody may sign in."""

    oidc: Oidc | None = Field(default=None, description="a mapping with the keys issuer, client_id, claim, roles")


class Console(Part):
    """What is declared of the console and the admin API."""

    session: Sessions = Field(default=Sessions(), description="a mapping with the keys idle, at_most")
    sign_in: SignIn = Field(default=SignIn(), description="a mapping with the key oidc")


def read(reading: Any) -> Console | None:
    """The section, with its reference looked up; every problem is blamed on its own place."""
    data = dict(reading.section(SECTION, dict, "a mapping"))
    if "session" in data:
        data["session"] = reading.built(Sessions, data["session"], (SECTION, "session"))
    if isinstance(data.get("sign_in"), dict):
        oidc = data["sign_in"].get("oidc")
        if isinstance(oidc, dict):
            oidc = dict(oidc)
            if oidc.get("client_secret") is not None:
                path = (SECTION, *SECRET_PATH)
                oidc["client_secret"] = reading.looked_up(reading.lookup.secret, oidc["client_secret"], path)
            oidc = reading.built(Oidc, oidc, (SECTION, "sign_in", "oidc"))
        given = {**data["sign_in"], **({"oidc": oidc} if oidc is not None else {})}
        data["sign_in"] = reading.built(SignIn, given, (SECTION, "sign_in"))
    console: Console | None = reading.built(Console, {k: v for k, v in data.items() if v is not None}, (SECTION,))
    reading.source.problems.extend(problems(console, reading.source))
    return console


def problems(console: Console | None, source: Source) -> Iterator[Problem]:
    """What does not fit together, or is not safe."""
    if console is None:
        return
    if console.session.idle > console.session.at_most:
        yield source.problem((SECTION, "session", "idle"), f"at most {format_duration(console.session.at_most)}")
    if oidc := console.sign_in.oidc:
        at = (SECTION, "sign_in", "oidc")
        if source.at(("public_url",)) is None:
            hint = "the provider sends people back there"
            yield source.problem(at, "public_url beside it, such as public_url: https://hub.example", "none", hint)
        host = oidc.issuer.split("/")[2].rpartition(":")[0] or oidc.issuer.split("/")[2]
        if oidc.issuer.startswith("http:") and host not in ("localhost", "127.0.0.1", "[::1]"):
            yield source.problem((*at, "issuer"), "an address with https://", quoted(oidc.issuer))
        if "openid" not in oidc.scopes:
            yield source.problem((*at, "scopes"), "openid among them")


def on_page(console: Console) -> list[Block]:
    """For people; nothing where nothing is declared."""
    if console == Console():
        return []
    rows = [
        ("Somebody is signed out after", f"{format_duration(console.session.idle)} unused"),
        ("and in any case after", format_duration(console.session.at_most)),
    ]
    if oidc := console.sign_in.oidc:
        rows.append(("People sign in at", oidc.issuer))
        rows += [(f"Whose {oidc.claim} has {value}", f"is {', '.join(roles)}") for value, roles in oidc.roles.items()]
    return section("Console", ("What", "How"), rows)
