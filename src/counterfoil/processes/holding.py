"""What becomes of a request about reservations, given what is there. Decisions are pure.

A reservation is held, then confirmed for an order number, and ends as ordered (its order is here), released or expired.
Until it has ended it holds its units, also past its time: it is given back by who looks, not by the clock alone, so a
confirmation that comes a moment late still finds them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from counterfoil.hub.availability.reservations import Reservation, State
from counterfoil.hub.availability.stock import Row, Taking
from counterfoil.processes.stock import Rules
from counterfoil.retail.availability import (
    NOTHING,
    UNIT,
    Answer,
    Article,
    Policy,
    Stand,
    allocate,
    available,
    stands_of,
)
from counterfoil.retail.bundles import explode

MOST_LINES = 500
MOST_UNITS = 1_000_000 * UNIT
LONGEST = 7 * 86400.0
"""Seconds a reservation may be asked to last."""


class NotDone(Exception):
    """A request about reservations that cannot be carried out; nothing was changed."""


class NoSuchReservation(NotDone):
    """This channel has no reservation of that id. It may have been purged."""


class Ended(NotDone):
    """The reservation holds nothing any more: it was released, has expired, or its order is here. Hold anew."""

    def __init__(self, reservation: Reservation) -> None:
        super().__init__(f"reservation {reservation.id} is {reservation.state}")
        self.reservation = reservation


class AnotherOrder(NotDone):
    """The reservation was confirmed for another order number before."""

    def __init__(self, reservation: Reservation) -> None:
        super().__init__(f"reservation {reservation.id} is confirmed for order {reservation.order_number}")
        self.reservation = reservation


class KeyReused(NotDone):
    """The Idempotency-Key came with another request before. Each request needs a key of its own."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Hold `lines`, (SKU, thousandths), for `seconds`; all of them or nothing. `place`: only what is there."""

    channel: str
    lines: tuple[tuple[str, int], ...]
    seconds: float
    place: str = ""


@dataclass(frozen=True, slots=True)
class Extend:
    """Hold it for so many seconds from now; never shorter than it was to be held."""

    channel: str
    id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Confirm:
    """It is for this order, which the shop is about to place."""

    channel: str
    id: str
    order_number: str


@dataclass(frozen=True, slots=True)
class Release:
    """It is not wanted any more."""

    channel: str
    id: str


Change = Extend | Confirm | Release
Act = Hold | Change


@dataclass(frozen=True, slots=True)
class Short:
    """Not held: of these SKUs there is too little. Whole units that could be held now, by SKU as asked for."""

    lines: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Offer:
    """What each channel may promise of which SKU: the blueprint's rules, and what is known of articles.

    `article` finds one by its SKU; `uncounted` says of which no stock is kept, so that nothing need be held; `stale`
    whether the ERP has not been seen for longer than the blueprint allows.
    """

    rules: Rules
    article: Callable[[str], Article | None] = lambda _sku: None
    uncounted: Callable[[str], bool] = lambda _sku: False
    stale: Callable[[], bool] = lambda: False

    def policy(self, channel: str, sku: str, place: str = "") -> Policy:
        """How the channel sells it; `place`: to be collected there."""
        article = self.article(sku) or Article(sku)
        if place:
            return self.rules.pickup(channel, article, place, stale=self.stale())
        return self.rules.policy(channel, article, stale=self.stale())


def checked(act: Act, key: str = "") -> Act:
    """The act, if it can be meant and kept: one must not be in the way of others. Raises ValueError in words."""
    texts = [key, act.channel]
    match act:
        case Hold(lines=lines):
            texts += [act.place, *(sku for sku, _ in lines)]
            if not 1 <= len(lines) <= MOST_LINES:
                raise ValueError(f"a reservation has 1 to {MOST_LINES} lines, this one has {len(lines)}")
            if not all(0 < units <= MOST_UNITS for _, units in lines):
                raise ValueError(f"a line has more than nothing and at most {MOST_UNITS // UNIT:,} units")
        case Confirm():
            texts += [act.id, act.order_number]
            if not act.order_number:
                raise ValueError("a confirmation needs the shop's order number")
        case _:
            texts.append(act.id)
    if isinstance(act, Hold | Extend) and not 0 <= act.seconds <= LONGEST:
        raise ValueError(f"a reservation lasts at most {LONGEST:g} seconds, not {act.seconds:g}")
    if any("\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text) for text in texts):
        raise ValueError("a text with a NUL or half a character cannot be kept")
    return act


def changed(
    act: Change, known: Reservation | None, now: float, order_within: float, order_is_here: bool = False
) -> Reservation:
    """The reservation as it is after the act; the same act again changes nothing.

    `order_within`: seconds within which the order of a confirmed one must come. Raises NoSuchReservation, Ended,
    AnotherOrder.
    """
    if known is None or known.channel != act.channel:
        raise NoSuchReservation(f"there is no reservation {act.id}")
    match act:
        case Release():
            if known.state is State.ORDERED:
                raise Ended(known)
            return known if not known.holds else replace(known, state=State.RELEASED, ended_at=now)
        case Extend():
            if not known.holds:
                raise Ended(known)
            return replace(known, expires_at=max(known.expires_at, now + act.seconds))
        case Confirm():
            if known.order_number and known.order_number != act.order_number:
                raise AnotherOrder(known)
            if known.state in (State.CONFIRMED, State.ORDERED):
                return known
            if not known.holds:
                raise Ended(known)
            if order_is_here:  # it came before the confirmation, and claims its units itself
                return replace(known, state=State.ORDERED, order_number=act.order_number, ended_at=now)
            until = max(known.expires_at, now + order_within)
            return replace(known, state=State.CONFIRMED, order_number=act.order_number, expires_at=until)


class Shelf:
    """What is there while the holds of one transaction are decided, one after another.

    `rows` by article, `articles` by SKU. What is held lessens what the next finds.
    """

    def __init__(self, rows: Mapping[str, Row], articles: Mapping[str, str], offer: Offer) -> None:
        self.rows, self.articles, self.offer = rows, articles, offer
        self._taken: dict[str, dict[str, int]] = {}

    def hold(self, id_: str, hold: Hold) -> list[Taking] | Short:
        """What the reservation takes, all or nothing. Bundles are taken apart first, and lines added up (F18)."""
        takings: list[Taking] = []
        wished = self.offer.rules.places(hold.channel)
        for sku, amount in explode(hold.lines, self.offer.rules.bundles).items():
            article = self.articles.get(sku, "")
            if article not in self.rows and self.offer.uncounted(sku):
                continue
            where = allocate(amount, self._stands(sku), self._policy(sku, hold), wished, beyond=not hold.place)
            if where is None or article not in self.rows:
                return Short({line: self._units(line, hold) for line, _ in hold.lines})
            takings += [Taking(id_, article, place, units, hold.channel) for place, units in where]
        for each in takings:
            taken = self._taken.setdefault(each.article, dict(self.rows[each.article].taken))
            taken[each.place] = taken.get(each.place, 0) + each.units
        return takings

    def _stands(self, sku: str) -> Sequence[Stand]:
        row = self.rows.get(self.articles.get(sku, ""))
        return stands_of(row.places, self._taken.get(row.article, row.taken)) if row is not None else ()

    def _units(self, sku: str, hold: Hold) -> int:
        """Whole units of a SKU, bundle or not, that could be held by themselves."""
        parts = explode([(sku, UNIT)], self.offer.rules.bundles)
        return min(self._answer(part, hold).free // each for part, each in parts.items())

    def _answer(self, sku: str, hold: Hold) -> Answer:
        stands = self._stands(sku)
        return available(stands, self._policy(sku, hold)) if stands else NOTHING

    def _policy(self, sku: str, hold: Hold) -> Policy:
        return self.offer.policy(hold.channel, sku, hold.place)


def parts_of(holds: Iterable[Hold], bundles: Mapping[str, Mapping[str, int]]) -> set[str]:
    """The SKUs that these holds take of."""
    return {sku for hold in holds for sku in explode(hold.lines, bundles)}
