"""The section `routing`: which warehouse or store ships which order, and where orders are collected."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field

from counterfoil.blueprint.page import Block, section
from counterfoil.blueprint.places import Place
from counterfoil.blueprint.problems import Path, Problem, choice, nearest, quoted
from counterfoil.blueprint.values import Name, Part, ReadOnly, Remedy, each_once
from counterfoil.blueprint.yamlread import Source

Criterion = Literal["stock", "distance", "cost", "cut_off"]
Split = Literal["never", "lines", "quantities"]
ANYWHERE = "*"
_COUNTRY = re.compile(r"[A-Z]{2}(-\S+)?")
_SPLIT = {
    "never": "never split",
    "lines": "whole lines may come from different places",
    "quantities": "lines and, where no place has all of one, its quantity may be split",
}
_WORDS = {
    "stock": "the place that keeps most of the scarcest article",
    "distance": "the nearest",
    "cost": "the cheapest",
    "cut_off": "the one that ships first",
}


def _destinations(rows: Mapping[str, object]) -> Mapping[str, object]:
    for to in rows:
        if to != ANYWHERE and not _COUNTRY.fullmatch(to):
            raise Remedy(f'{quoted(to)} is no country such as FR, no region such as FR-IDF, nor "*" for any other')
    return rows


def _by_place(rows: Mapping[str, Mapping[str, object]]) -> Mapping[str, Mapping[str, object]]:
    for row in rows.values():
        _destinations(row)
    return rows


class Rule(Part):
    """How the orders of a channel (of all channels without a rule of their own, if none is named) are routed.

    `from`: the places that may ship, all declared places if none is named. `prefer`: of two places that could ship
    the same, which; the second criterion decides where the first does not.
    """

    channel: Name | None = Field(default=None, description="the name of a shop")
    from_: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(
        default=(),
        validation_alias="from",
        serialization_alias="from",
        description="a list of declared places, such as [WH, PAR]; empty for all",
    )
    prefer: Annotated[tuple[Criterion, ...], AfterValidator(each_once)] = Field(
        default=("distance", "cost", "cut_off", "stock"), description=f"a list of {', '.join(get_args(Criterion))}"
    )
    split: Split = Field(default="lines", description=f"one of {', '.join(get_args(Split))}")

    model_config = ConfigDict(populate_by_name=True)


Distances = Annotated[ReadOnly[ReadOnly[Annotated[int, Field(strict=True, ge=0)]]], AfterValidator(_by_place)]
Costs = Annotated[ReadOnly[ReadOnly[Annotated[Decimal, Field(ge=0)]]], AfterValidator(_by_place)]


class Routing(Part):
    """`distance` and `cost`: from a place to a country, a region, or anywhere else, in any unit one likes.

    Without a distance of its own a place is 0 from its own region, 1 from the rest of its country, 1000 from
    elsewhere. `pickup`: by shop, what the shop calls a way of collecting, and the store it means. `ready`: the state
    of the store's delivery in Odoo that says that the customer may come.
    """

    rules: tuple[Rule, ...] = Field(default=(), description="a list of rules")
    distance: Distances = Field(
        default_factory=dict, validate_default=True, description="a mapping such as {PAR: {FR: 0, BE: 2}}"
    )
    cost: Costs = Field(
        default_factory=dict, validate_default=True, description='a mapping such as {PAR: {FR: 4.90, "*": 12}}'
    )
    pickup: ReadOnly[ReadOnly[Name]] = Field(
        default_factory=dict, validate_default=True, description='a mapping such as {web: {"local_pickup:3": PAR}}'
    )
    ready: Literal["assigned", "done"] = Field(default="assigned", description="one of assigned, done")

    def rule_for(self, channel: str) -> Rule | None:
        """The channel's own rule, else that of all, else none."""
        own = next((rule for rule in self.rules if rule.channel == channel), None)
        return own or next((rule for rule in self.rules if rule.channel is None), None)


def problems(
    routing: Routing | None, places: Mapping[str, Place], systems: Collection[str], source: Source
) -> Iterator[Problem]:
    """What does not fit the rest of the blueprint."""
    if routing is None:
        return

    def known(name: str, names: Collection[str], what: str, path: Path, at_key: bool = False) -> Iterator[Problem]:
        if name not in names:
            expected = f"{what}: {choice(names)}" if names else f"{what}; none is declared"
            yield source.problem(path, expected, quoted(name), nearest(name, names), at_key)

    ruled: set[str | None] = set()
    for number, rule in enumerate(routing.rules):
        row = ("routing", "rules", number)
        if rule.channel in ruled:
            whose = f"of {rule.channel}" if rule.channel else "for all channels"
            yield source.problem(row, f"one rule {whose}", hint="merge it with the one above")
        ruled.add(rule.channel)
        if rule.channel is not None:
            yield from known(rule.channel, systems, "a declared system", (*row, "channel"))
        for index, place in enumerate(rule.from_):
            yield from known(place, places, "a declared place", (*row, "from", index))
        if not places:
            yield source.problem(row, "places to route to", "none", "declare them under places")
    for key in ("distance", "cost"):
        for place in getattr(routing, key):
            yield from known(place, places, "a declared place", ("routing", key, place), at_key=True)
    for channel, stores in routing.pickup.items():
        yield from known(channel, systems, "a declared system", ("routing", "pickup", channel), at_key=True)
        for code, store in stores.items():
            path = ("routing", "pickup", channel, code)
            yield from known(store, places, "a declared place", path)
            if store in places and not places[store].pickup:
                hint = f"write pickup: true under places: {store}"
                yield source.problem(path, "a place where customers may collect", hint=hint)


def on_page(routing: Routing) -> list[Block]:
    """For people; nothing where nothing is declared."""
    rules = [
        (
            rule.channel or "any other",
            ", ".join(rule.from_) or "all places",
            ", then ".join(_WORDS[each] for each in rule.prefer),
            _SPLIT[rule.split],
        )
        for rule in sorted(routing.rules, key=lambda rule: rule.channel is None)
    ]
    stores = [(shop, code, store) for shop, codes in routing.pickup.items() for code, store in codes.items()]
    ready = "is reserved whole" if routing.ready == "assigned" else "is done"
    told: list[Block] = [f"An order is ready for its customer once the store's delivery {ready} in Odoo."]
    return [
        *section("Routing", ("Shop", "Ships from", "Of several that could", "Split"), rules),
        *section("Collected in the store", ("Shop", "What the shop calls it", "Store"), stores),
        *(told if stores else []),
    ]
