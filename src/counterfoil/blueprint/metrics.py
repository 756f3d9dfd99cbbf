"""The section `metrics`: who may read the metrics, and where a process without a door serves them."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from counterfoil.blueprint.page import Block, section
from counterfoil.blueprint.values import Part, Remedy, Secret, each_once, host_and_port

SECTION = "metrics"
SECRET_PATHS = (("token",), ("listen",))
"""Where in the section references stand."""


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for text in value:
        try:
            ipaddress.ip_network(text)
        except ValueError:
            raise Remedy(f"{text}: an address such as 10.0.0.7, or a network such as 10.0.0.0/24") from None
    return each_once(value)


class MetricsRules(Part):
    """Who may read the metrics of a running hub, and where."""

    allow: Annotated[tuple[str, ...], AfterValidator(_networks)] = Field(
        default=("127.0.0.0/8", "::1"), description="a list of addresses and networks that need no token"
    )
    token: Secret | None = Field(default=None, description="${NAME} or {file: path} of the bearer token of all others")
    listen: Annotated[str, AfterValidator(host_and_port)] | None = Field(
        default=None,
        description="a host and port such as 127.0.0.1:9470, where a process without the role doors serves them",
    )

    def allows(self, address: str) -> bool:
        """Whether this address needs no token."""
        try:
            here = ipaddress.ip_address(address)
        except ValueError:
            return False
        here = getattr(here, "ipv4_mapped", None) or here
        networks = map(ipaddress.ip_network, self.allow)
        return any(here in network for network in networks if network.version == here.version)


def read(reading: Any) -> MetricsRules | None:
    """The section, with its references looked up; every problem is blamed on its own place."""
    data = dict(reading.section(SECTION, dict, "a mapping"))
    for key, look in (("token", reading.lookup.secret), ("listen", reading.lookup.text)):
        if data.get(key) is not None and (key == "token" or isinstance(data[key], str)):
            data[key] = reading.looked_up(look, data[key], (SECTION, key))
            if data[key] is None:  # blamed already
                del data[key]
    rules: MetricsRules | None = reading.built(MetricsRules, data, (SECTION,))
    return rules


def on_page(rules: MetricsRules) -> list[Block]:
    """For people; nothing for the usual."""
    if rules == MetricsRules():
        return []
    rows = [
        ("Without a token they are read from", ", ".join(rules.allow) or "nowhere"),
        ("With a token", "from anywhere" if rules.token else "nowhere"),
        *([("Processes without doors serve them on", rules.listen)] if rules.listen else []),
    ]
    return section("Metrics", ("What", "How"), rows)
