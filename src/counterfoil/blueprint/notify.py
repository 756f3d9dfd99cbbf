"""The section `notify`: where the owners of exceptions are reached, how often, and when not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field

from counterfoil.blueprint.calendars import A_ZONE, Zone, parse_span
from counterfoil.blueprint.page import Block, section
from counterfoil.blueprint.problems import Problem
from counterfoil.blueprint.values import (
    A_DURATION,
    AN_ADDRESS,
    Name,
    Part,
    ReadOnly,
    Remedy,
    Secret,
    Url,
    Wait,
    each_once,
    format_duration,
)
from counterfoil.blueprint.yamlread import Source

SECTION = "notify"
PAGERDUTY = "https://events.pagerduty.com/v2/enqueue"
CRITICAL = ("promise_missed", "critical_waits", "oversold", "misconfigured", "system_closed")
_ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")


def _addresses(value: tuple[str, ...]) -> tuple[str, ...]:
    for text in value:
        if not _ADDRESS.fullmatch(text):
            raise Remedy("an address such as shop@example.com")
    return each_once(value)


def _span(text: str) -> str:
    parse_span(text)
    return text


class Mail(Part):
    """The server that e-mail goes out by."""

    host: Name = Field(description="the name of a server such as smtp.example.com")
    port: int = Field(default=587, strict=True, ge=1, le=65535, description="a port such as 587")
    tls: Literal["starttls", "tls", "none"] = Field(default="starttls", description="one of starttls, tls, none")
    user: str = Field(default="", description="who signs in there; empty for nobody")
    password: Secret | None = Field(default=None, description="${NAME} or {file: path}")
    from_: Annotated[str, AfterValidator(lambda text: _addresses((text,))[0])] = Field(
        validation_alias="from", serialization_alias="from", description="an address such as counterfoil@example.com"
    )

    model_config = ConfigDict(populate_by_name=True)


class Reached(Part):
    """Where one owner is reached. `quiet`: then only what is critical is told, the rest after it."""

    email: Annotated[tuple[str, ...], AfterValidator(_addresses)] = Field(
        default=(), description="a list of addresses such as [shop@example.com]"
    )
    slack: Secret | None = Field(default=None, description="${NAME} or {file: path} of an incoming webhook's address")
    pagerduty: Secret | None = Field(default=None, description="${NAME} or {file: path} of an integration key")
    only: Literal["all", "critical"] = Field(default="all", description="one of all, critical")
    quiet: Annotated[str, AfterValidator(_span)] | None = Field(default=None, description='hours such as "20:00-07:00"')


class Notify(Part):
    """How people are told of exceptions, each owner's in groups of what is alike."""

    owners: ReadOnly[Reached] = Field(
        default_factory=dict, validate_default=True, description="a mapping of owners to where they are reached"
    )
    mail: Mail | None = Field(default=None, description="a mapping with the keys host, from, user, password")
    gather: Wait = Field(
        default=timedelta(minutes=2), description=f"{A_DURATION}: what comes meanwhile is told together"
    )
    at_most: int = Field(
        default=12, strict=True, ge=1, le=1000, description="a whole number of messages an hour to each, 1 to 1000"
    )
    zone: Zone = Field(default="UTC", description=f"{A_ZONE}: that of the quiet hours")
    critical: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(
        default=CRITICAL, description=f"a list of reasons or outcomes such as [{', '.join(CRITICAL)}]"
    )
    pagerduty_url: Url = Field(default=PAGERDUTY, description=AN_ADDRESS)
    runbooks: Url = Field(
        default="", description=f"{AN_ADDRESS}: where docs/runbooks are published, by default the hub's own console"
    )


def is_reference(path: tuple[Any, ...]) -> bool:
    """Whether a reference may stand at this place within the section."""
    below_owner = len(path) > 2 and path[0] == "owners" and path[2] in ("slack", "pagerduty")
    return below_owner or path[:2] == ("mail", "password")


def read(reading: Any) -> Notify | None:
    """The section, with its references looked up; every problem is blamed on its own place."""
    data = dict(reading.section(SECTION, dict, "a mapping"))
    if isinstance(data.get("mail"), dict):
        mail = _looked_up(reading, data["mail"], ("mail",), ("password",))
        data["mail"] = reading.built(Mail, mail, (SECTION, "mail"))
    if isinstance(data.get("owners"), dict):
        owners = {}
        for name, given in data["owners"].items():
            if isinstance(given, dict):
                given = _looked_up(reading, given, ("owners", name), ("slack", "pagerduty"))
            owners[name] = reading.built(Reached, given, (SECTION, "owners", name))
        data["owners"] = {name: reached for name, reached in owners.items() if reached is not None}
    if "mail" in data and data["mail"] is None and reading.source.at((SECTION, "mail")) is not None:
        del data["mail"]  # blamed already
    rules: Notify | None = reading.built(Notify, data, (SECTION,))
    reading.source.problems.extend(problems(rules, reading.source))
    return rules


def _looked_up(reading: Any, given: dict[str, Any], at: tuple[str, ...], keys: tuple[str, ...]) -> dict[str, Any]:
    data = dict(given)
    for key in keys:
        if data.get(key) is not None:
            data[key] = reading.looked_up(reading.lookup.secret, data[key], (SECTION, *at, key))
            if data[key] is None:  # blamed already
                del data[key]
    return data


def problems(rules: Notify | None, source: Source) -> Iterator[Problem]:
    """Owners that are reached nowhere, and addresses that would send secrets in the clear."""
    for name, reached in rules.owners.items() if rules else ():
        at = (SECTION, "owners", name)
        written = source.at(at)
        if not (reached.email or {"slack", "pagerduty"} & set(written if isinstance(written, dict) else ())):
            yield source.problem(at, "at least one of email, slack, pagerduty", "nowhere")
        if reached.email and source.at((SECTION, "mail")) is None:
            yield source.problem((*at, "email"), "notify.mail beside it, such as {host: smtp.example.com, from: …}")
        if reached.slack and reached.slack.resolved and not _is_safe(reached.slack.reveal()):
            yield source.problem((*at, "slack"), "an address with https://", "something else")
    if rules and not _is_safe(rules.pagerduty_url):
        yield source.problem((SECTION, "pagerduty_url"), "an address with https://")
    if rules and rules.mail and rules.mail.user and rules.mail.tls == "none" and rules.mail.host not in _HERE:
        yield source.problem((SECTION, "mail", "tls"), "starttls or tls", hint="the password would go in the clear")


_HERE = ("localhost", "127.0.0.1", "[::1]")


def _is_safe(address: str) -> bool:
    return address.startswith(("https://", *(f"http://{host}:" for host in _HERE)))


def on_page(rules: Notify) -> list[Block]:
    """For people; nothing where nobody is told."""
    rows = []
    for owner, reached in rules.owners.items():
        ways = [*reached.email, *(["Slack"] if reached.slack else []), *(["PagerDuty"] if reached.pagerduty else [])]
        what = "what is critical" if reached.only == "critical" else "everything"
        quiet = f"; not {reached.quiet} ({rules.zone}), but for what is critical" if reached.quiet else ""
        rows.append((owner, ", ".join(ways), what + quiet))
    if not rows:
        return []
    told = f"What comes within {format_duration(rules.gather)} is told together, at most {rules.at_most} an hour."
    return [*section("Who is told", ("Owner", "Where", "Of what"), rows), told]
