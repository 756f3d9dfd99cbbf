"""The section `storefront`: who may ask from where and how often, what blocks a customer, how long goods travel."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from counterfoil.blueprint.page import Block, section
from counterfoil.blueprint.problems import Problem, nearest, quoted
from counterfoil.blueprint.values import (
    A_DURATION,
    Name,
    Part,
    Rate,
    RateValue,
    ReadOnly,
    Remedy,
    Wait,
    each_once,
    format_duration,
    parse_url,
)
from counterfoil.blueprint.yamlread import Source

_DAYS = re.compile(r"([0-9]{1,3})(?:-([0-9]{1,3}))?")
ELSEWHERE = "*"


def _origins(rows: Any) -> Any:
    """Of each channel one or several."""
    read: dict[str, tuple[str, ...]] = {}
    for channel, given in rows.items() if isinstance(rows, Mapping) else ():
        read[channel] = (given,) if isinstance(given, str) else tuple(given or ())
        for origin in read[channel]:
            if not isinstance(origin, str) or parse_url(origin) != origin or urlsplit(origin).path:
                raise Remedy(f"{quoted(origin)}: scheme, host and port alone, such as https://shop.example")
    return read if isinstance(rows, Mapping) else rows


def days(text: str) -> tuple[int, int]:
    """`2-4`, or `3`, as the fewest and the most days. Raises ValueError."""
    match = _DAYS.fullmatch(text)
    if match is None or int(match[2] or match[1]) < int(match[1]):
        raise Remedy("days such as 3, or the fewest and the most such as 2-4")
    return int(match[1]), int(match[2] or match[1])


def _transit(rows: Any) -> Any:
    for country, text in rows.items() if isinstance(rows, Mapping) else ():
        if country != ELSEWHERE and not re.fullmatch(r"[A-Z]{2}", country):
            raise Remedy(f'{quoted(country)} is no two-letter country code, nor "*" for any other')
        days(str(text))
    return rows


class Storefront(Part):
    """What is declared of the storefront API."""

    origins: Annotated[ReadOnly[tuple[str, ...]], BeforeValidator(_origins)] = Field(
        default_factory=dict,
        validate_default=True,
        description="a mapping of channels to the origins their pages are served from, such as https://shop.example",
    )
    rate: RateValue = Field(
        default=Rate(200, 1), description="a rate such as 200/s: requests of a token without its own"
    )
    blocked_by: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(
        default=(), description="a list of the customer's own fields that hold up a checkout, such as [credit_hold]"
    )
    delivery: Annotated[ReadOnly[str], BeforeValidator(_transit)] = Field(
        default_factory=dict,
        validate_default=True,
        description='a mapping of countries, "*" for any other, to working days on the way such as 2-4',
    )
    order_links: Wait = Field(
        default=timedelta(days=90), description=f"{A_DURATION}: how long the link to an order's status works"
    )


def problems(storefront: Storefront | None, channels: Collection[str], source: Source) -> Iterator[Problem]:
    """What does not fit the rest of the blueprint: `channels` are the declared systems."""
    for channel in storefront.origins if storefront else ():
        if channel not in channels:
            path = ("storefront", "origins", channel)
            yield source.problem(path, "a declared system", quoted(channel), nearest(channel, channels), at_key=True)


def on_page(storefront: Storefront) -> list[Block]:
    """For people; nothing where nothing is declared."""
    if storefront == Storefront():
        return []
    rows = [
        *((f"Pages of {channel} may ask from", ", ".join(from_)) for channel, from_ in storefront.origins.items()),
        ("A token may ask", f"{storefront.rate} unless it has its own rate"),
        *([("A checkout waits for a person with", ", ".join(storefront.blocked_by))] if storefront.blocked_by else []),
        *(
            (f"On the way to {'any other country' if to == ELSEWHERE else to}", f"{text} working days")
            for to, text in storefront.delivery.items()
        ),
        ("A link to an order works", format_duration(storefront.order_links)),
    ]
    return section("Storefront", ("What", "How"), rows)
