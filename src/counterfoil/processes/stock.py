"""The retailer's rules of what may be sold, made ready: per channel and article one policy, and bundles by SKU. Pure.

Everybody who says a number asks here: the publication to the shops, the storefront, reservations, the command
`counterfoil stock` and the drift audit; so there is one number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar

from counterfoil.blueprint import Blueprint, Channel
from counterfoil.blueprint.stock import RingFence, Safety, Scope, path_of
from counterfoil.retail.availability import (
    MILLION,
    NOTHING,
    UNIT,
    Answer,
    Article,
    Basis,
    Beyond,
    Policy,
    Stand,
    Step,
    available,
    explain,
    thousandths,
)
from counterfoil.retail.bundles import explode, of_bundle

R = TypeVar("R", bound=Scope)
Find = Callable[[str], tuple[Article, Sequence[Stand]] | None]
"""What is known of a SKU: the article and how it stands; None where nothing is."""


@dataclass(frozen=True, slots=True)
class Part:
    """One article behind an answer: `quantity` of it in one (thousandths), its own answer, and how that came about."""

    sku: str
    quantity: int
    answer: Answer
    steps: tuple[Step, ...]


class Rules:
    """What the blueprint declares of stock, for all channels."""

    def __init__(self, blueprint: Blueprint) -> None:
        self.declared = blueprint.stock
        self.pickup_places = tuple(code for code, place in blueprint.places.items() if place.pickup)
        self._channels = blueprint.channels
        self._named = {r.sku for r in (*self._safety(""), *self.declared.ring_fences, *self.declared.beyond) if r.sku}
        self._policies: dict[tuple[str, str, tuple[str, ...], bool, bool, str], Policy] = {}
        self._declared_bundles = {
            sku: {part: thousandths(units) for part, units in parts.items()}
            for sku, parts in self.declared.bundles.items()
        }
        self.bundles: Mapping[str, Mapping[str, int]] = self._declared_bundles
        self._made_of: dict[str, tuple[str, ...]] = {}
        self.learn_kits({})

    def learn_kits(self, kits: Mapping[str, Mapping[str, int]]) -> None:
        """Bundles that the ERP declares, by SKU; one of the blueprint wins over one of the same SKU.

        A kit that comes to be a part of itself through a bundle of the blueprint is left out.
        """
        self.kits = kits
        both = {**kits, **self._declared_bundles}
        self.bundles = {sku: parts for sku, parts in both.items() if sku in self._declared_bundles or _ends(sku, both)}
        found: dict[str, list[str]] = {}
        for sku in self.bundles:
            for part in explode([(sku, UNIT)], self.bundles):
                found.setdefault(part, []).append(sku)
        self._made_of = {part: tuple(skus) for part, skus in found.items()}

    def bundles_with(self, sku: str) -> tuple[str, ...]:
        """The bundles of which there are more or fewer when there are of this article."""
        return self._made_of.get(sku, ())

    def places(self, channel: str) -> tuple[str, ...]:
        """Where the channel sells from, the warehouse of its orders first; empty: everywhere."""
        own = self._channel(channel)
        first = (own.warehouse,) if own.warehouse else ()
        return (*first, *(code for code in own.warehouses if code not in first)) if own.warehouses else first

    # --- policies -------------------------------------------------------------------------------------------------

    def policy(self, channel: str, article: Article, *, stale: bool = False) -> Policy:
        """What may be promised on the channel. `stale`: the ERP has not been seen for longer than `stale_after`.

        A channel that is told what stands on the shelf is promised from what is available all the same.
        """
        return self._policy(channel, article, stale, False, "")

    def told(self, channel: str, article: Article, *, stale: bool = False) -> Policy:
        """What the channel's own stock number means: by the basis it is declared with (F16)."""
        return self._policy(channel, article, stale, True, "")

    def pickup(self, channel: str, article: Article, place: str, *, stale: bool = False) -> Policy:
        """What may be promised for collection at one place, whether or not the channel ships from there."""
        return self._policy(channel, article, stale, False, place)

    def _policy(self, channel: str, article: Article, stale: bool, told: bool, place: str) -> Policy:
        sku = article.sku if article.sku in self._named else ""
        category = tuple(name.casefold() for name in article.category)
        key = (channel, sku, category, stale, told, place)
        if key not in self._policies:
            self._policies[key] = self._made(channel, sku, category, stale, told, place)
        return self._policies[key]

    def _made(self, channel: str, sku: str, category: tuple[str, ...], stale: bool, told: bool, place: str) -> Policy:
        own = self._channel(channel)
        places = frozenset((place,) if place else own.warehouses)
        basis = Basis(own.stock)
        safety = _best(self._safety(channel), channel, sku, category)
        beyond = _best(self.declared.beyond, channel, sku, category)
        fences = self._fences(sku, category)
        others = [fence for name, fence in fences.items() if name != channel and self._meets(name, places)]
        mine = fences.get(channel)
        rule = self.declared.when_stale.get(channel, "sell_on") if stale else "sell_on"
        policy = Policy(
            places=places,
            basis=basis if told or basis is not Basis.ON_HAND else Basis.AVAILABLE,
            safety=thousandths(safety.units) if safety else 0,
            fenced=sum(thousandths(fence.units or 0) for fence in others),
            fenced_share=_share(sum((fence.percent or Decimal(0) for fence in others), Decimal(0))),
            beyond=None,
            low=thousandths(self.declared.low),
            closed=rule == "stop",
            only_safety=rule == "safety_only",
        )
        if mine is not None and mine.exclusive:
            units, share = mine.units, mine.percent
            policy = replace(
                policy,
                own=None if units is None else thousandths(units),
                own_share=None if share is None else _share(share),
            )
        if place:
            return replace(policy, basis=Basis.AVAILABLE, safety=thousandths(self.declared.stores_keep))
        if beyond is not None and beyond.limit != 0:
            limit = None if beyond.limit is None else thousandths(beyond.limit)
            policy = replace(policy, beyond=Beyond(beyond.kind, limit, beyond.days, beyond.from_))
        return policy

    def _channel(self, channel: str) -> Channel:
        return self._channels.get(channel) or Channel()

    def _safety(self, channel: str) -> list[Safety]:
        """The rules, and before them what stands at the channel itself."""
        base = self._channel(channel).safety_stock
        first = [Safety(channel=channel, units=Decimal(base))] if base else []
        return [*first, *self.declared.safety]

    def _fences(self, sku: str, category: tuple[str, ...]) -> dict[str, RingFence]:
        names = dict.fromkeys(fence.channel for fence in self.declared.ring_fences)
        found = {name: _best(self.declared.ring_fences, name, sku, category) for name in names}
        return {name: fence for name, fence in found.items() if fence is not None and fence.channel == name}

    def _meets(self, channel: str, places: frozenset[str]) -> bool:
        """Whether the channel sells from any of the places: what is fenced elsewhere is not missing here."""
        own = self._channel(channel).warehouses
        return not own or not places or not places.isdisjoint(own)

    # --- answers --------------------------------------------------------------------------------------------------

    def answer(
        self, channel: str, sku: str, find: Find, *, told: bool = False, stale: bool = False, place: str = ""
    ) -> Answer:
        """What the channel may sell of a SKU, a bundle or not; at `place`, if given, for collection.

        Of what is not known there is nothing. With `told`: what its stock number says.
        """
        return whole(self.account(channel, sku, find, told=told, stale=stale, place=place))

    def account(
        self, channel: str, sku: str, find: Find, *, told: bool = False, stale: bool = False, place: str = ""
    ) -> list[Part]:
        """The articles behind the answer and how each came about; of an article that is no bundle itself alone."""
        found: list[Part] = []
        for part, quantity in explode([(sku, UNIT)], self.bundles).items():
            known = find(part)
            if known is None:
                found.append(Part(part, quantity, NOTHING, (Step("not known: the ERP has told nothing of it", 0, 0),)))
                continue
            article, stands = known
            policy = self._policy(channel, article, stale, told, place)
            found.append(Part(part, quantity, available(stands, policy), tuple(explain(stands, policy))))
        return found

    def quantity(self, channel: str, sku: str, find: Find) -> int:
        """The stock number the channel is told of a SKU, in whole units."""
        return self.answer(channel, sku, find, told=True).units


def whole(parts: Sequence[Part]) -> Answer:
    """The answer of all parts together."""
    if len(parts) == 1 and parts[0].quantity == UNIT:
        return parts[0].answer
    return of_bundle([(part.answer, part.quantity) for part in parts])


def _ends(sku: str, bundles: Mapping[str, Mapping[str, int]]) -> bool:
    try:
        explode([(sku, UNIT)], bundles)
    except ValueError:
        return False
    return True


def _best(rules: Iterable[R], channel: str, sku: str, category: tuple[str, ...]) -> R | None:
    """The most specific rule about the article on the channel; of two alike the later one."""
    best, rank = None, (-1, -1, -1)
    for rule in rules:
        if rule.channel not in (None, channel) or rule.sku not in (None, sku):
            continue
        place = tuple(name.casefold() for name in path_of(rule.category or ""))
        if category[: len(place)] != place:
            continue
        here = (int(rule.sku is not None), len(place), int(rule.channel is not None))
        if here >= rank:
            best, rank = rule, here
    return best


def _share(percent: Decimal) -> int:
    return min(MILLION, int(percent * MILLION / 100))
