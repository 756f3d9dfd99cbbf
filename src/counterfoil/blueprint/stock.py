"""The section `stock`: what is kept back of what there is, for whom, what may be promised beyond it, and of what age.

The base is what stands under `channels` (stock, safety_stock, warehouses). Of several rules the most specific holds:
one of a SKU before one of a category (the deeper first) before one of a channel before one of everything; of two of
the same article the one that names the channel.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from counterfoil.blueprint.page import Block, section
from counterfoil.blueprint.problems import Path, Problem, choice, nearest, quoted
from counterfoil.blueprint.values import A_DURATION, Name, Part, Percent, ReadOnly, Remedy, Wait, format_duration
from counterfoil.blueprint.yamlread import Source

if TYPE_CHECKING:
    from counterfoil.blueprint.check import Draft

STOCK = "stock"
_A_QUANTITY = "a number of units such as 2 or 0.5"
_A_CATEGORY = "a category of the owner of products with all below it, such as Clothing or Home / Kitchen"
_QUANTITY = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?")


def _quantity(value: Any) -> Any:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool) or not _QUANTITY.fullmatch(str(value)):
        raise Remedy("at most three digits after the point, and no unit")
    return Decimal(str(value))


def _day(value: Any) -> Any:
    return value if isinstance(value, date) else date.fromisoformat(str(value))


def _more_than_nothing(value: Decimal) -> Decimal:
    if value <= 0:
        raise Remedy("more than 0")
    return value


Quantity = Annotated[Decimal, BeforeValidator(_quantity), PlainSerializer(str, return_type=str, when_used="json")]
Some = Annotated[Quantity, AfterValidator(_more_than_nothing)]
Stale = Literal["sell_on", "safety_only", "stop"]

M = TypeVar("M", bound=BaseModel)


class Scope(Part):
    """What a rule is about; what it does not name it is about all of."""

    channel: Name | None = Field(default=None, description="the name of a shop")
    sku: Name | None = Field(default=None, description="a SKU")
    category: Name | None = Field(default=None, description=_A_CATEGORY)

    @property
    def of(self) -> tuple[str, str, str]:
        """The same for two rules about the same."""
        return self.channel or "", self.sku or "", "/".join(path_of(self.category or "")).casefold()


class Safety(Scope):
    """So many units are not sold: what is counted is never quite right."""

    units: Quantity = Field(description=_A_QUANTITY)


class RingFence(Scope):
    """So much is kept for the channel: the others see it as gone. With `exclusive` it sells nothing else."""

    channel: Name = Field(description="the name of a shop")
    units: Some | None = Field(default=None, description=_A_QUANTITY)
    percent: Percent | None = Field(default=None, description="a percentage of what is on hand, such as 20")
    exclusive: bool = Field(default=False, strict=True, description="true or false")


class Beyond(Scope):
    """What may be sold that is not there: up to `limit` units (0: none), sent `days` after the order or from a day."""

    kind: Literal["back_order", "pre_order", "incoming"] = Field(
        description="one of back_order, pre_order, incoming (what is on its way in and no more)"
    )
    limit: Quantity | None = Field(default=None, description=_A_QUANTITY)
    days: int | None = Field(default=None, strict=True, ge=0, le=3650, description="a whole number of days")
    from_: Annotated[date, BeforeValidator(_day)] | None = Field(
        default=None, validation_alias="from", serialization_alias="from", description="a day such as 2027-03-01"
    )

    model_config = ConfigDict(populate_by_name=True)


class StockRules(Part):
    """The whole section. `bundles`: SKU to its parts, SKU to units of it; the parts may be bundles themselves.

    `stores_keep`: so much of each article is not given out for collection, in any place where customers may collect.
    """

    safety: tuple[Safety, ...] = Field(default=(), description="a list of rules")
    ring_fences: tuple[RingFence, ...] = Field(default=(), description="a list of rules")
    beyond: tuple[Beyond, ...] = Field(default=(), description="a list of rules")
    bundles: ReadOnly[ReadOnly[Some]] = Field(
        default_factory=dict, validate_default=True, description="a mapping of SKUs to their parts"
    )
    low: Quantity = Field(default=Decimal(3), description=_A_QUANTITY)
    urgent: Quantity = Field(default=Decimal(5), description=_A_QUANTITY)
    hold: Wait = Field(default=timedelta(minutes=15), description=A_DURATION)
    order_within: Wait = Field(default=timedelta(days=1), description=A_DURATION)
    stale_after: Wait = Field(default=timedelta(minutes=10), description=A_DURATION)
    when_stale: ReadOnly[Stale] = Field(
        default_factory=dict,
        validate_default=True,
        description="a mapping of shops to sell_on, safety_only or stop",
    )
    stores_keep: Quantity = Field(default=Decimal(0), description=_A_QUANTITY)


def path_of(category: str) -> tuple[str, ...]:
    """`Home / Kitchen` as its names from the root."""
    return tuple(name.strip() for name in category.split("/") if name.strip())


# --- reading --------------------------------------------------------------------------------------------------------


def read(
    given: dict[str, Any], built: Callable[[type[Any], Any, Path], Any], blame: Callable[..., None]
) -> StockRules | None:
    """The section; what is wrong within it is blamed where it stands, and left out."""
    data = dict(given)
    for key, model in (("safety", Safety), ("ring_fences", RingFence), ("beyond", Beyond)):
        if isinstance(data.get(key), list):
            data[key] = _rows(data[key], model, (STOCK, key), built)
    if isinstance(data.get("bundles"), dict):
        data["bundles"] = {sku: _parts(sku, parts, blame) for sku, parts in data["bundles"].items()}
    if isinstance(data.get("when_stale"), dict):
        data["when_stale"] = dict(_stale(data["when_stale"], blame))
    rules: StockRules | None = built(StockRules, data, (STOCK,))
    return rules


def _rows(rows: list[Any], model: type[M], path: Path, built: Callable[[type[Any], Any, Path], Any]) -> list[M]:
    read = (built(model, given, (*path, index)) for index, given in enumerate(rows))
    return [row for row in read if row is not None]


def _parts(sku: str, parts: Any, blame: Callable[..., None]) -> dict[str, Decimal]:
    path: Path = (STOCK, "bundles", sku)
    if not isinstance(parts, dict) or not parts:
        blame(path, "a mapping of SKUs to units, such as {MUG: 2, BOX: 1}", hint="a bundle is made of something")
        return {}
    good: dict[str, Decimal] = {}
    for part, units in parts.items():
        try:
            good[part] = _more_than_nothing(_quantity(units))
        except ValueError as wrong:
            blame((*path, part), _A_QUANTITY, hint=str(wrong))
    return good


def _stale(given: Mapping[str, Any], blame: Callable[..., None]) -> Iterator[tuple[str, Any]]:
    allowed = ("sell_on", "safety_only", "stop")
    for channel, rule in given.items():
        if rule in allowed:
            yield channel, rule
        else:
            blame((STOCK, "when_stale", channel), choice(allowed), hint=nearest(rule, allowed))


# --- checking -------------------------------------------------------------------------------------------------------


def problems(rules: StockRules | None, draft: Draft, source: Source) -> Iterator[Problem]:
    """Shops that are none, rules that mean nothing or contradict each other, bundles that contain themselves."""
    if rules is None:
        return
    for key in ("safety", "ring_fences", "beyond"):
        rows: Sequence[Scope] = getattr(rules, key)
        if isinstance(given := source.at((STOCK, key)), list) and len(given) == len(rows):
            yield from _scopes(key, rows, rules, draft, source)
    yield from _fences(rules, source)
    for channel in rules.when_stale:
        yield from _channel((STOCK, "when_stale", channel), channel, draft, source, at_key=True)
    yield from _circles(rules.bundles, source)


def _channel(path: Path, channel: str, draft: Draft, source: Source, at_key: bool = False) -> Iterator[Problem]:
    if channel not in draft.systems:
        near = nearest(channel, draft.systems)
        yield source.problem(path, f"a declared shop: {choice(draft.systems)}", quoted(channel), near, at_key)


def _scopes(key: str, rows: Sequence[Scope], rules: StockRules, draft: Draft, source: Source) -> Iterator[Problem]:
    seen: dict[tuple[str, str, str], int] = {}
    for index, row in enumerate(rows):
        path: Path = (STOCK, key, index)
        if row.channel is not None:
            yield from _channel((*path, "channel"), row.channel, draft, source)
        if row.sku is not None and row.category is not None:
            yield source.problem((*path, "category"), "a sku or a category, not both", hint="leave the category out")
        if row.sku is not None and row.sku in rules.bundles:
            hint = f"there is what its parts make: name those, such as {next(iter(rules.bundles[row.sku]), '')}"
            yield source.problem((*path, "sku"), "no bundle", quoted(row.sku), hint)
        first = seen.setdefault(row.of, index)
        if first != index:
            hint = f"the first is {STOCK}.{key}[{first}]: take one out"
            yield source.problem(path, "one rule for the same", "a second rule for the same", hint)


def _fences(rules: StockRules, source: Source) -> Iterator[Problem]:
    shares: dict[tuple[str, str], Decimal] = {}
    for index, fence in enumerate(rules.ring_fences):
        path: Path = (STOCK, "ring_fences", index)
        if (fence.units is None) == (fence.percent is None):
            yield source.problem(path, "either units or percent", hint="say how much is kept for the channel")
        _, *of = fence.of
        together = shares[(of[0], of[1])] = shares.get((of[0], of[1]), Decimal(0)) + (fence.percent or 0)
        if fence.percent is not None and together > 100:
            yield source.problem((*path, "percent"), "at most 100 for all channels together", f"{together} together")


def _circles(bundles: Mapping[str, Mapping[str, Decimal]], source: Source) -> Iterator[Problem]:
    told: set[str] = set()
    for sku in bundles:
        way = None if sku in told else _way_back(sku, bundles)
        if way:
            told.update(way)
            found = " → ".join([*way, sku])
            hint = "a bundle cannot be a part of itself: take one of them out"
            path: Path = (STOCK, "bundles", sku, way[1] if len(way) > 1 else sku)
            yield source.problem(path, "parts that are not made of the bundle", found, hint, at_key=True)


def _way_back(start: str, bundles: Mapping[str, Mapping[str, Decimal]]) -> list[str]:
    """The bundles from `start` to itself; empty if there is no way."""
    stack, seen = [[start]], {start}
    while stack:
        way = stack.pop()
        for part in bundles.get(way[-1], {}):
            if part == start:
                return way
            if part not in seen:
                seen.add(part)
                stack.append([*way, part])
    return []


# --- for people -----------------------------------------------------------------------------------------------------

_KINDS = {
    "back_order": "sold although it is not there",
    "pre_order": "sold before it is there",
    "incoming": "sold from what is on its way in",
}
_STALE = {"sell_on": "sells on", "safety_only": "sells from its safety stock only", "stop": "sells nothing"}


def on_page(rules: StockRules) -> list[Block]:
    """For people: each rule, and the rest in sentences; nothing where nothing is declared."""
    if rules == StockRules():
        return []
    return section("Stock", ("Of", "At", "Rule"), _rules(rules)) + list(_in_words(rules))


def _rules(rules: StockRules) -> list[tuple[str, str, str]]:
    found = [_row(rule, f"{rule.units:f} kept back as safety stock") for rule in rules.safety]
    for fence in rules.ring_fences:
        much = f"{fence.percent:f} % of what is on hand" if fence.units is None else f"{fence.units:f}"
        only = ", and it sells nothing else" if fence.exclusive else ""
        found.append(_row(fence, f"{much} kept for it{only}"))
    for promise in rules.beyond:
        limit = f", at most {promise.limit:f}" if promise.limit is not None else ""
        days = f", sent within {promise.days} days" if promise.days is not None else ""
        since = f", from {promise.from_}" if promise.from_ else ""
        found.append(_row(promise, f"{_KINDS[promise.kind]}{limit}{days}{since}"))
    for sku, parts in rules.bundles.items():
        made = ", ".join(f"{units:f} × {part}" for part, units in parts.items())
        found.append((sku, "every shop", f"a bundle of {made}"))
    return found


def _row(rule: Scope, words: str) -> tuple[str, str, str]:
    return rule.sku or rule.category or "everything", rule.channel or "every shop", words


def _in_words(rules: StockRules) -> list[str]:
    old = "; ".join(f"{channel} {_STALE[rule]}" for channel, rule in rules.when_stale.items()) or "every shop sells on"
    said = [
        f"A reservation holds for {format_duration(rules.hold)}; one that no order follows within"
        f" {format_duration(rules.order_within)} is put before a person.",
        f"When the ERP has not been seen for {format_duration(rules.stale_after)}: {old}.",
    ]
    if rules.stores_keep:
        said.append(f"Of each article a store keeps {rules.stores_keep:f} back from what can be collected there.")
    return said
