"""Where an order ships from: the whole of it from one place, else whole lines, else quantities, as declared. Pure.

Quantities are whole thousandths of a unit. Every choice is made by declared preferences and, where those leave two
places alike, by the places' codes: the same order and stock always give the same places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from counterfoil.blueprint import Blueprint
from counterfoil.blueprint.calendars import Hours
from counterfoil.blueprint.places import Place
from counterfoil.blueprint.routing import ANYWHERE, Routing, Rule
from counterfoil.processes.arriving import ships_on
from counterfoil.retail.availability import UNIT, in_units, thousandths
from counterfoil.retail.order import Line, LineKind, Order
from counterfoil.retail.party import Address

Places = tuple[tuple[str, int], ...]
"""(place, thousandths) in the order in which they were chosen."""
Free = dict[str, dict[str, int]]
"""By SKU, then by place: what may be taken there. May be below zero; an SKU that is not named is not counted."""
Needs = Mapping[str, int]
"""By SKU: thousandths of it in one unit of what is ordered."""

FAR = 1000
"""From another country, unless its distance is declared."""


@dataclass(frozen=True, slots=True)
class Routed:
    """Where each line ships from, by its id, and why, in words. No lines: nothing is declared for this channel."""

    lines: Mapping[str, Places]
    words: tuple[str, ...] = ()


@dataclass(slots=True)
class _Wanted:
    """A line with what is left to find a place for. `step`: the smallest quantity that may be taken of it."""

    line: str
    name: str
    units: int
    needs: Needs
    step: int

    def at(self, place: str, free: Free) -> int:
        """What of it the place has; all of it where stock is not counted."""
        counted = [(each, free[sku].get(place, 0)) for sku, each in self.needs.items() if sku in free]
        some = min((max(have, 0) * UNIT // each for each, have in counted), default=self.units)
        return min(self.units, some // self.step * self.step)


class Router:
    """The blueprint's routing."""

    def __init__(self, routing: Routing, places: Mapping[str, Place], hours: Mapping[str, Hours]) -> None:
        self.routing, self.places, self.hours = routing, places, hours

    @classmethod
    def of(cls, blueprint: Blueprint) -> Router:
        """That of a blueprint."""
        hours = {name: calendar.hours for name, calendar in blueprint.calendars.items()}
        return cls(blueprint.routing, blueprint.places, hours)

    def store_of(self, order: Order) -> str:
        """The store where it is collected; '' where it is shipped, or its way of collecting is not declared."""
        return self.routing.pickup.get(order.system, {}).get(order.pickup, "") if order.pickup else ""

    def routes(self, channel: str) -> bool:
        """Whether anything is declared for the orders of a shop."""
        return bool(self.routing.rule_for(channel) or self.routing.pickup.get(channel))

    def places_for(
        self,
        order: Order,
        free: Mapping[str, Mapping[str, int]],
        at: datetime,
        parts: Mapping[str, Needs] | None = None,
        before: Mapping[str, Places] | None = None,
    ) -> Routed:
        """The places of each line with goods. `at` is the aware time from which cut-offs are reckoned.

        `free`: by SKU and place, what may be taken (thousandths). `parts`: by SKU, what a bundle consists of. `before`:
        where the lines were routed to already, which is kept as far as it goes.
        """
        lines = [_wanted(line, parts or {}) for line in order.lines if line.kind is LineKind.PRODUCT]
        store = self.store_of(order)
        if store:
            called = self.places[store].name or store
            return Routed({w.line: ((store, w.units),) for w in lines}, (f"collected at {called} ({store})",))
        rule = self.routing.rule_for(order.system)
        if rule is None or not lines:
            return Routed({})
        left: Free = {sku: dict(rows) for sku, rows in free.items()}
        chosen = _Chosen(left, self._preference(rule, order.ship_to, at))
        kept = chosen.keep(lines, before or {})
        names = rule.from_ or tuple(self.places)
        chosen.route([w for w in lines if w.units > 0], names, rule)
        words = (*(("kept where it was routed to",) if kept else ()), *chosen.words)
        return Routed({w.line: tuple(chosen.places[w.line].items()) for w in lines}, words)

    def _preference(self, rule: Rule, to: Address, at: datetime) -> Callable[[str, int], tuple[Any, ...]]:
        """What sorts places by the rule: the first is the best. Given a place and what is left there of the scarcest
        article once it has shipped."""
        by: Mapping[str, Callable[[str, int], Any]] = {
            "stock": lambda _place, spare: -spare,
            "distance": lambda place, _spare: self.distance(place, to),
            "cost": lambda place, _spare: self.cost(place, to),
            "cut_off": lambda place, _spare: self.ships_on(place, at),
        }
        return lambda place, spare: (*(by[each](place, spare) for each in rule.prefer), place)

    def distance(self, place: str, to: Address) -> int:
        """As declared, else 0 within a region, 1 within a country, 1000 from elsewhere."""
        declared: int | None = _towards(self.routing.distance.get(place, {}), to)
        if declared is not None:
            return declared
        here = self.places[place]
        if here.country is None or here.country != to.country:
            return FAR
        return 0 if here.region and _short(here.region) == _short(to.state) else 1

    def cost(self, place: str, to: Address) -> Decimal:
        """As declared; a place without a cost there comes last."""
        declared = _towards(self.routing.cost.get(place, {}), to)
        return Decimal("Infinity") if declared is None else declared

    def ships_on(self, place: str, at: datetime) -> date:
        """The day on which an order of this moment leaves the place."""
        here = self.places[place]
        return ships_on(at, here, self.hours.get(here.calendar or ""))


class _Chosen:
    """Places as they are chosen, one after the other, each taking from what is free."""

    def __init__(self, free: Free, preference: Callable[[str, int], tuple[Any, ...]]) -> None:
        self.free, self.preference = free, preference
        self.places: dict[str, dict[str, int]] = {}
        self.words: list[str] = []

    def keep(self, lines: Sequence[_Wanted], before: Mapping[str, Places]) -> bool:
        """Where the lines are already, at most as much as they now are; whether any was somewhere."""
        kept = False
        for wanted in lines:
            self.places.setdefault(wanted.line, {})
            for place, units in before.get(wanted.line, ()):
                if some := min(units, wanted.units):
                    self._take(wanted, place, some)
                    kept = True
        return kept

    def route(self, lines: list[_Wanted], names: Sequence[str], rule: Rule) -> None:
        """All of it: from one place, else by lines, else by quantities."""
        if not lines:
            return
        whole = [place for place in names if self._has(place, lines)]
        if whole:
            best, *others = sorted(whole, key=lambda p: self.preference(p, self._spare(p, lines)))
            by = f", before {', '.join(others)} by {self._by(rule, best, others[0], lines)}" if others else ""
            self.words.append(f"all from {best}{by or ': it alone has everything'}")
            return self._all(lines, best)
        if rule.split == "never":
            best = min(names, key=lambda p: (*self._most(p, lines), self.preference(p, self._spare(p, lines))))
            self.words.append(f"all from {best}: no place has everything, this one most, and it must not be split")
            return self._all(lines, best)
        lines = self._by_lines(lines, names)
        if lines and rule.split == "quantities":
            lines = self._by_quantities(lines, names)
        for wanted in lines:  # nobody has it all: it waits in one place
            best = min(names, key=lambda p, w=wanted: (-w.at(p, self.free), *self._rank(p, w)))  # type: ignore[misc]
            lack = "it" if wanted.units == UNIT else "all of it"
            self.words.append(f"{wanted.name} from {best}: no place has {lack}")
            self._take(wanted, best, wanted.units)

    def _by_lines(self, lines: list[_Wanted], names: Sequence[str]) -> list[_Wanted]:
        """Whole lines, by as few places as will do; what no place has whole is left."""
        while lines:
            could = {place: self._whole_lines(place, lines) for place in names}
            best = min(
                names,
                key=lambda p, c=could: (-len(c[p]), self.preference(p, self._spare(p, c[p]))),  # type: ignore[misc]
            )
            if not could[best]:
                break
            self.words.append(f"{', '.join(w.name for w in could[best])} from {best}")
            self._all(could[best], best)
            lines = [w for w in lines if w.units > 0]
        return lines

    def _by_quantities(self, lines: list[_Wanted], names: Sequence[str]) -> list[_Wanted]:
        """A part of a line from each place that has some of it, places that ship anyway first."""
        for wanted in lines:
            for place in sorted(names, key=lambda p, w=wanted: self._rank(p, w)):  # type: ignore[misc]
                if some := wanted.at(place, self.free):
                    self.words.append(f"{in_units(some):f} × {wanted.name} from {place}")
                    self._take(wanted, place, some)
        return [w for w in lines if w.units > 0]

    def _by(self, rule: Rule, one: str, other: str, lines: Sequence[_Wanted]) -> str:
        """The criterion that decided between two places."""
        keys = (self.preference(place, self._spare(place, lines)) for place in (one, other))
        differ = (name for name, a, b in zip(rule.prefer, *keys, strict=False) if a != b)
        return next(differ, "code").replace("_", "-")

    def _rank(self, place: str, wanted: _Wanted) -> tuple[Any, ...]:
        """What sorts places for one line: those that ship anyway first."""
        ships = any(place in places for places in self.places.values())
        return not ships, *self.preference(place, self._spare(place, [wanted]))

    def _has(self, place: str, lines: Sequence[_Wanted]) -> bool:
        return len(self._whole_lines(place, lines)) == len(lines)

    def _whole_lines(self, place: str, lines: Sequence[_Wanted]) -> list[_Wanted]:
        """Those it can ship whole, one after the other, from what it has: two lines may want the same article."""
        free = {sku: {place: rows.get(place, 0)} for sku, rows in self.free.items()}
        found = []
        for wanted in lines:
            if wanted.at(place, free) == wanted.units:
                _deduct(free, wanted, place, wanted.units)
                found.append(wanted)
        return found

    def _most(self, place: str, lines: Sequence[_Wanted]) -> tuple[int, int]:
        """Sorts the place first that has most of the lines, then most pieces."""
        return -len(self._whole_lines(place, lines)), -sum(w.at(place, self.free) for w in lines)

    def _spare(self, place: str, lines: Sequence[_Wanted]) -> int:
        """What is left of the scarcest article once the place has shipped the lines."""
        wanted: dict[str, int] = {}
        for each in lines:
            for sku, units in each.needs.items():
                wanted[sku] = wanted.get(sku, 0) + units * each.units // UNIT
        return min((self.free[s].get(place, 0) - n for s, n in wanted.items() if s in self.free), default=0)

    def _all(self, lines: Iterable[_Wanted], place: str) -> None:
        for wanted in lines:
            self._take(wanted, place, wanted.units)

    def _take(self, wanted: _Wanted, place: str, units: int) -> None:
        _deduct(self.free, wanted, place, units)
        places = self.places[wanted.line]
        places[place] = places.get(place, 0) + units
        wanted.units -= units


def _wanted(line: Line, parts: Mapping[str, Needs]) -> _Wanted:
    units = thousandths(line.quantity)
    step = UNIT if units % UNIT == 0 else 1
    return _Wanted(line.id, line.sku or line.name, units, parts.get(line.sku) or {line.sku: UNIT}, step)


def _deduct(free: Free, wanted: _Wanted, place: str, units: int) -> None:
    for sku, each in wanted.needs.items():
        if sku in free:
            free[sku][place] = free[sku].get(place, 0) - each * units // UNIT


def _towards(declared: Mapping[str, Any], to: Address) -> Any:
    """What is declared for the region, else for the country, else for anywhere; None where nothing is."""
    regions = {f"{to.country}-{_short(to.state)}"} if to.state else set()
    named = next((value for name, value in declared.items() if name in regions), None)
    return named if named is not None else declared.get(to.country, declared.get(ANYWHERE))


def _short(region: str) -> str:
    """The region's code without its country: IDF of FR-IDF."""
    return region.rpartition("-")[2]
