"""How much of an article may be sold: one formula for shops, storefront, reservations and the drift audit. Pure.

Quantities are whole THOUSANDTHS of a unit, so that half a metre is exact and sums are sums of integers; only an
`Answer` speaks whole units, as a shop does. What may be sold from stock is

    on hand − all outgoing, reserved or not − taken by reservations and orders not yet in the ERP − safety stock
    − what is ring-fenced for other channels

over the channel's places. All of it is a level, not a budget: it holds for what is there now, whatever was sold before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Literal

UNIT = 1000
"""What one unit is in here."""
MILLION = 1_000_000
"""Shares are in millionths: 12.5 % is 125,000."""
UNLIMITED = 999_999
"""Whole units beyond stock where no limit is declared."""

Stand = tuple[str, int, int, int, int]
"""(place, on hand, outgoing, incoming, taken); the place is a warehouse's code, empty for what was not said where."""
State = Literal["in_stock", "low", "back_order", "pre_order", "out"]


class Basis(StrEnum):
    """What a channel's stock number means."""

    AVAILABLE = "available"  # on hand less all that is promised to somebody, reserved or not
    ON_HAND = "on_hand"  # what stands on the shelf; the channel subtracts its own orders (F16: so nothing is here)
    FORECAST = "forecast"  # available and what is on its way in


@dataclass(frozen=True, slots=True)
class Beyond:
    """What may be sold that is not there: at most `limit` (thousandths; None: any number), sent in `days` or `from_`.

    `incoming` promises what is on its way in and no more.
    """

    kind: Literal["back_order", "pre_order", "incoming"]
    limit: int | None = None
    days: int | None = None
    from_: date | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """How a channel sells one article. Units in thousandths, shares in millionths of what is on hand.

    `places`: where it sells from (none named: everywhere). `fenced` is kept for other channels; `own`, if given, is
    the most this channel may sell: its exclusive fence. `low`: so few are called low. With `closed` nothing may be
    sold, with `only_safety` nothing but the safety stock, less what is taken: both for a state that is too old.
    """

    places: frozenset[str] = frozenset()
    basis: Basis = Basis.AVAILABLE
    safety: int = 0
    fenced: int = 0
    fenced_share: int = 0
    own: int | None = None
    own_share: int | None = None
    beyond: Beyond | None = None
    low: int = 0
    closed: bool = False
    only_safety: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """Whole units that may be sold now, and how many more `beyond` what is there; `free` is the same to the thousandth.

    `by_place` names the places of the policy with what one could take there at once, never more than `units`.
    """

    units: int
    beyond: int
    state: State
    by_place: tuple[tuple[str, int], ...] = ()
    free: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One step of how a number came about: in words, by how much, and what is left after it (thousandths)."""

    words: str
    by: int
    left: int


@dataclass(frozen=True, slots=True)
class Article:
    """What rules about an article go by: its SKU and its category's path from the root. `id`: its variant's.

    `parts`: of an article that is made of others when it is sold, those (by id) with thousandths of each in one.
    `sale`: from when until when it is in a campaign, in seconds since the epoch.
    """

    sku: str
    category: tuple[str, ...] = ()
    id: str = ""
    parts: tuple[tuple[str, int], ...] = ()
    sale: tuple[float, float] | None = None


NOTHING = Answer(0, 0, "out")


def thousandths(units: Decimal | int) -> int:
    """Units as they are counted here, to the nearest thousandth."""
    return round(units * UNIT)


def in_units(amount: int) -> Decimal:
    """Thousandths as units, without needless digits: 1500 is 1.5."""
    return Decimal(amount // UNIT) if amount % UNIT == 0 else Decimal(amount) / UNIT


def stands_of(places: Mapping[str, Sequence[int]], taken: Mapping[str, int]) -> list[Stand]:
    """{place: (on hand, outgoing, incoming)} with what is taken at each, also where the ERP says nothing is."""
    found = [(place, at[0], at[1], at[2], taken.get(place, 0)) for place, at in places.items()]
    return found + [(place, 0, 0, 0, amount) for place, amount in taken.items() if amount and place not in places]


# --- how much -------------------------------------------------------------------------------------------------------


def available(stands: Sequence[Stand], policy: Policy) -> Answer:
    """What may be sold of one article. Never below zero; never less for more on hand."""
    hand, net, coming, taken = _sums(stands, policy)
    left = _after_rules(hand, net, taken, policy)
    free = max(0, left)
    beyond = _beyond(left, coming, policy)
    units = free // UNIT
    at = tuple((place, min(units, max(0, there) // UNIT)) for place, there in _places(stands, policy))
    return Answer(units, beyond, _state(free, beyond, policy), at, free)


def explain(stands: Sequence[Stand], policy: Policy) -> list[Step]:
    """How `available` comes to its units, step by step; what is left after the last step are those units."""
    hand, net, _, taken = _sums(stands, policy)
    steps = _steps_to_net(stands, policy)
    left = net

    def to(now: int, words: str) -> None:
        nonlocal left
        steps.append(Step(words, now - left, now))
        left = now

    if policy.safety:
        to(left - policy.safety, "safety stock")
    if kept := _kept(hand, policy):
        to(left - kept, "ring-fenced for other channels")
    most = _own(hand, policy)
    if most is not None and left > most:
        to(most, "at most the channel's own ring fence")
    if policy.only_safety:
        to(_after_rules(hand, net, taken, policy), "the state is too old: only safety stock, less what is taken")
    if policy.closed:
        to(0, "the state is too old: this channel sells nothing")
    to(max(0, left) // UNIT * UNIT, "whole units, never below zero")
    return steps


def _steps_to_net(stands: Sequence[Stand], policy: Policy) -> list[Step]:
    steps: list[Step] = []
    left = 0

    def add(words: str, by: int) -> None:
        nonlocal left
        left += by
        steps.append(Step(words, by, left))

    for place, on_hand, outgoing, incoming, taken in _within(stands, policy):
        name = place or "no place yet"
        if place or on_hand:
            add(f"on hand, {name}", on_hand)
        if policy.basis is Basis.ON_HAND:
            continue
        if outgoing:
            add(f"outgoing, reserved or not, {name}", -outgoing)
        if policy.basis is Basis.FORECAST and incoming:
            add(f"on its way in, {name}", incoming)
        if taken:
            add(f"taken by reservations and orders not yet in the ERP, {name}", -taken)
    return steps


def _within(stands: Sequence[Stand], policy: Policy) -> Iterable[Stand]:
    """The stands of its places, and what is taken nobody knows where."""
    return [stand for stand in stands if not policy.places or stand[0] in policy.places or not stand[0]]


def _sums(stands: Sequence[Stand], policy: Policy) -> tuple[int, int, int, int]:
    """(on hand, what of it is left by the basis, incoming that is not in it, taken) over the policy's places."""
    places, basis = policy.places, policy.basis
    hand = out = coming = held = 0
    for place, on_hand, outgoing, incoming, taken in stands:
        if not places or place in places or not place:
            hand += on_hand
            out += outgoing
            coming += incoming
            held += taken
    if basis is Basis.ON_HAND:
        return hand, hand, coming, held
    if basis is Basis.FORECAST:
        return hand, hand - out + coming - held, 0, held
    return hand, hand - out - held, coming, held


def _after_rules(hand: int, net: int, taken: int, policy: Policy) -> int:
    """What is left for this channel; below zero where more is promised than there is."""
    if policy.closed:
        return 0
    left = net - policy.safety - _kept(hand, policy)
    most = _own(hand, policy)
    if most is not None and left > most:
        left = most
    if policy.only_safety:
        left = min(net - _kept(hand, policy), policy.safety - taken)
    return left


def _kept(hand: int, policy: Policy) -> int:
    """For other channels; a share is of what is on hand, rounded up."""
    return policy.fenced + (-(-max(0, hand) * policy.fenced_share // MILLION) if policy.fenced_share else 0)


def _own(hand: int, policy: Policy) -> int | None:
    if policy.own is None and policy.own_share is None:
        return None
    return (policy.own or 0) + max(0, hand) * (policy.own_share or 0) // MILLION


def _beyond(left: int, coming: int, policy: Policy) -> int:
    """Whole units; what is missing already counts towards the limit, so each sale takes one from units or from here."""
    rule = policy.beyond
    if rule is None or policy.closed or policy.only_safety:
        return 0
    limit = rule.limit
    if rule.kind == "incoming":
        limit = max(0, coming) if limit is None else min(limit, max(0, coming))
    return UNLIMITED if limit is None else max(0, limit + min(0, left)) // UNIT


def _state(free: int, beyond: int, policy: Policy) -> State:
    if free >= UNIT:
        return "low" if free <= policy.low else "in_stock"
    if beyond and policy.beyond is not None:
        return "pre_order" if policy.beyond.kind == "pre_order" else "back_order"
    return "out"


def _places(stands: Sequence[Stand], policy: Policy) -> list[tuple[str, int]]:
    """What is left at each of its places, before safety stock and fences."""
    return [(stand[0], _sums((stand,), policy)[1]) for stand in _within(stands, policy) if stand[0] or stand[1] > 0]


# --- from where -----------------------------------------------------------------------------------------------------


def allocate(
    needed: int,
    stands: Sequence[Stand],
    policy: Policy,
    order_of_places: Sequence[str] = (),
    *,
    beyond: bool = False,
) -> list[tuple[str, int]] | None:
    """From which places `needed` is taken (thousandths), the wished ones first; None where there is not enough.

    All from one place wherever one has it all. Never more than a place has, but for what may be sold `beyond` stock:
    that stands at the first place, where the policy has one.
    """
    answer = available(stands, policy)
    if needed <= 0:
        return []
    free = answer.free
    if needed > free and not (beyond and needed <= free + answer.beyond * UNIT):
        return None
    wish = {place: index for index, place in enumerate(order_of_places)}
    there = sorted(_places(stands, policy), key=lambda each: wish.get(each[0], len(wish)))
    for place, amount in there:
        if needed <= amount:
            return [(place, needed)]
    left, taken = min(needed, free), dict[str, int]()
    for place, amount in there:
        if left and amount > 0:
            taken[place] = min(left, amount)
            left -= taken[place]
    missing = needed - sum(taken.values())
    if missing and not beyond:
        return None
    if missing:
        first = (
            there[0][0] if there else next((p for p in order_of_places if not policy.places or p in policy.places), "")
        )
        taken[first] = taken.get(first, 0) + missing
    return list(taken.items())
