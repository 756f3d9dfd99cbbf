"""Claims on stock, kept as the events of orders are: in the same transaction, under the locks of their articles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub import corrections, routing
from counterfoil.hub.availability import reservations, stock
from counterfoil.hub.availability.articles import Articles
from counterfoil.hub.availability.causes import STALE, causes_of
from counterfoil.hub.availability.reservations import Reservation, State
from counterfoil.hub.availability.stock import Row, Taking
from counterfoil.hub.store import Store
from counterfoil.processes import claims
from counterfoil.processes.claims import CONFIRMED, GIVEN_UP, NAMED, SOLD
from counterfoil.processes.routing import Router
from counterfoil.processes.stock import Rules
from counterfoil.retail import editable
from counterfoil.retail.availability import UNIT, in_units
from counterfoil.retail.bundles import explode
from counterfoil.retail.editable import Changes
from counterfoil.retail.events import Event, at_utc
from counterfoil.retail.order import Order

RESERVATION = "reservation"
"""The field of an order's own that names what was held for it."""


class Claimant:
    """Follows the events of orders (`hub.carrying.Follow`) and takes, moves and ends what they claim."""

    def __init__(self, rules: Rules, router: Router, articles: Articles | None = None) -> None:
        self.rules, self.router, self.articles = rules, router, articles

    async def __call__(self, connection: AsyncConnection, store: Store, events: Sequence[Event]) -> None:
        """Nothing is asked of the store where no event is about what an order takes."""
        mine = [e for e in events if e.type in NAMED]
        if not mine:
            return
        changes = await _corrected_skus(connection, {e.subject for e in mine})
        if changes:
            mine = await _as_told(connection, mine, changes)
        sales = [e for e in mine if e.type in SOLD]
        booked = await stock.takings(connection, store, {e.subject for e in mine})
        if not sales and not booked:
            return
        if self.articles is not None and await self.articles.refresh(store):
            self.rules.learn_kits(self.articles.kits)
        turn = _Turn(self.rules, self.router, connection, store, changes)
        await turn.begin(mine, booked)
        for each in mine:
            await turn.follow(each)
        await turn.end()


class _Turn:
    """One transaction: what the orders of its events take, as the events are followed one by one."""

    def __init__(
        self, rules: Rules, router: Router, connection: AsyncConnection, store: Store, changes: Mapping[str, Changes]
    ) -> None:
        self.rules, self.router, self.connection, self.store = rules, router, connection, store
        self.changes = changes
        self.articles: dict[str, str] = {}  # by SKU
        self.rows: dict[str, Row] = {}
        self.before: list[Taking] = []
        self.takes: dict[str, list[Taking]] = {}
        self.causes: Mapping[str, Mapping[str, Any] | None] = {}
        self.orders: dict[str, Mapping[str, Any]] = {}  # by subject: what it sells by now, where a shop has told
        self.holds: dict[str, Reservation] = {}
        self.now = 0.0

    async def begin(self, events: Sequence[Event], booked: Sequence[Taking]) -> None:
        """Read and lock what the events are about: reservations, then articles in sorted order."""
        connection, store = self.connection, self.store
        sales = [e for e in events if e.type in SOLD]
        holders = {e.subject for e in events}
        handed = await self._handed_over(sales)
        ended = {e.subject for e in events if e.type in GIVEN_UP} & {t.holder for t in booked}
        if ended:
            await reservations.release(connection, store, ended)
        skus = {sku for e in sales for sku in self._goods(e.data["order"])}
        held = await stock.takings(connection, store, handed) if handed else []
        self.articles = await stock.known_as(connection, store, skus) if skus else {}
        taken = {t.article for t in (*booked, *held)}
        self.rows = await stock.locked(connection, store, taken | set(self.articles.values()))
        while not self.rows.keys() >= set(self.articles.values()):  # one that stood in has become an article since
            self.articles = await stock.known_as(connection, store, skus)
            self.rows |= await stock.locked(connection, store, self.articles.values())
        handed |= await self._handed_over(sales)  # confirmed while we waited for the locks
        for id_, event in sorted(handed.items()):
            if id_ != event.subject:
                await stock.hand_over(connection, store, id_, event.subject, event.source)
        self.before = await stock.locked_takings(connection, store, holders, self.rows)
        for taking in self.before:
            self.takes.setdefault(taking.holder, []).append(taking)
        confirmed = [e for e in events if e.type in CONFIRMED and e.subject in self.takes]
        if confirmed:
            self.causes, told = await causes_of(connection, confirmed, SOLD, {e.id for e in sales})
            self.orders = {subject: self._corrected(subject, data["order"]) for subject, data in told.items()}
        self.now = await store.clock(connection)

    async def _handed_over(self, sales: Sequence[Event]) -> dict[str, Event]:
        """End what was held for these orders: confirmed for its number, named by it, or while it waited itself."""
        new = [e for e in sales if e.type != "order.changed"]
        if not new:
            return {}
        numbers = {(e.source, _number(e)): e for e in new}
        named = {(e.source, id_): e for e in new for id_ in (e.subject, _named(e)) if id_}
        found = await reservations.held_for(
            self.connection, self.store, [n for _, n in numbers], [id_ for _, id_ in named]
        )
        ended: dict[str, Event] = {}
        for id_, channel, number in sorted(found):
            event = named.get((channel, id_)) or numbers.get((channel, number))
            if event is not None:
                for each in await reservations.for_order(self.connection, self.store, channel, _number(event), id_):
                    ended[each.id] = event
        return ended

    async def follow(self, event: Event) -> None:
        """Move on what the event's order takes."""
        mine, told = self.takes.get(event.subject, []), event.data
        if event.type in SOLD:
            self.orders[event.subject] = told["order"]
        if event.type not in CONFIRMED:
            self.holds.pop(event.subject, None)
        if event.type in GIVEN_UP:
            self.takes[event.subject] = claims.given_up(mine)
        elif event.type in CONFIRMED:
            self.takes[event.subject] = self._confirmed(event, mine)
        elif event.type == "order.changed":
            wanted = await self._wanted(event, mine)
            before = self._in_erp(told["before"]) if "before" in told else {}
            most = self._in_erp(told["order"])
            self.takes[event.subject] = claims.changed(mine, event.subject, event.source, wanted, before, most)
        else:
            self.takes[event.subject] = claims.sold(event.subject, event.source, await self._wanted(event, mine))
            if event.type == "order.waiting":
                self._hold(event)

    async def end(self) -> None:
        """Write what came of it."""
        await reservations.keep(self.connection, self.store, self.holds.values())
        after = [taking for some in self.takes.values() for taking in some]
        await stock.put(self.connection, self.store, self.rows, self.before, after)

    def _confirmed(self, event: Event, mine: list[Taking]) -> list[Taking]:
        if event.type == "order.delivered":
            return claims.confirmed(mine, None, self.now)
        if event.type == "order.confirmed":
            return claims.confirmed(mine, self._at_most(event, event.data["fulfilment"]), self.now)
        cause = self.causes.get(event.id)
        if cause is STALE or not claims.is_confirmed(event.data, cause):
            return mine
        order = cause.get("order") if cause else None
        if order:
            order = self._corrected(event.subject, order)
        return claims.confirmed(mine, self._at_most(event, order) if order else None, self.now)

    def _corrected(self, subject: str, order: Mapping[str, Any]) -> Mapping[str, Any]:
        changes = self.changes.get(subject)
        return editable.corrected("order", order, changes) if changes else order

    def _at_most(self, event: Event, told: Mapping[str, Any]) -> dict[str, int]:
        """What the ERP has confirmed and will still count once the order there is as it is sold by now. Of a bundle of
        which it knows nothing that is none, though the order had the part itself when the ERP last looked."""
        has, order = self._in_erp(told), self.orders.get(event.subject)
        most = has if order is None else self._in_erp(order)
        return {article: min(units, most.get(article, 0)) for article, units in has.items()}

    def _goods(self, told: Mapping[str, Any]) -> dict[str, int]:
        return claims.goods(told["lines"], self.rules.bundles)

    def _in_erp(self, told: Mapping[str, Any]) -> dict[str, int]:
        """What the ERP counts as demand for an order, of the articles at hand. What of a bundle the ERP knows nothing,
        it counts as the bundle: the parts are taken until the order is delivered."""
        units = claims.goods(told["lines"], self.rules.kits)
        return {article: units[row.sku] for article, row in self.rows.items() if row.sku in units}

    async def _wanted(self, event: Event, mine: Sequence[Taking]) -> claims.At:
        """What the order takes where, as it is routed; else where the channel ships from."""
        told = event.data["order"]
        found: dict[tuple[str, str], int] = defaultdict(int)
        lines = await self._routed(event, mine) if self.router.routes(event.source) else {}
        for line in told["lines"]:
            for place, units in lines.get(line["id"], ((self._usual(event.source), 0),)):
                one = {**line, "quantity": in_units(units)} if units else line
                for sku, some in claims.goods([one], self.rules.bundles).items():
                    found[self.articles[sku], place] += some
        return found

    async def _routed(self, event: Event, mine: Sequence[Taking]) -> Mapping[str, Sequence[Sequence[Any]]]:
        order = Order.model_validate(event.data["order"])
        kept = (await routing.of(self.connection, [event.subject])).get(event.subject)
        before: Any = kept.lines if kept and event.type == "order.changed" else {}
        bundles = self.rules.bundles
        parts = {line.sku: explode([(line.sku, UNIT)], bundles) for line in order.lines if line.sku in bundles}
        routed = self.router.places_for(order, self._free(mine), at_utc(self.now), parts, before)
        if routed.lines:
            await routing.keep(self.connection, self.store, event.subject, routed.lines, routed.words)
        return routed.lines

    def _free(self, mine: Sequence[Taking]) -> dict[str, dict[str, int]]:
        """By SKU and place what may be taken, by all that was followed until now; what is one's own is free to one."""
        free: dict[str, dict[str, int]] = {}
        for row in self.rows.values():
            if row.asked_at:
                free[row.sku] = {place: hand - out for place, (hand, out, _) in row.places.items()}
        taken: dict[tuple[str, str], int] = defaultdict(int)
        for article, row in self.rows.items():
            for place, units in row.taken.items():
                taken[article, place] += units
        for sign, takings in ((-1, self.before), (1, [t for some in self.takes.values() for t in some]), (-1, mine)):
            for each in takings:
                taken[each.article, each.place] += sign * each.left
        for (article, place), units in taken.items():
            sku = self.rows[article].sku
            if sku in free:
                free[sku][place] = free[sku].get(place, 0) - units
        return free

    def _usual(self, channel: str) -> str:
        places = self.rules.places(channel)
        return places[0] if len(places) == 1 else ""

    def _hold(self, event: Event) -> None:
        """An order that waits for its payment holds its goods for a time, as a shopper's reservation does."""
        lines = tuple(sorted(self._goods(event.data["order"]).items()))
        until = self.now + self.rules.declared.hold.total_seconds()
        held = Reservation(event.subject, event.source, State.HELD, lines, "", self.now, until)
        self.holds[event.subject] = held


async def _corrected_skus(connection: AsyncConnection, subjects: Collection[str]) -> dict[str, Changes]:
    """What persons have corrected of the SKUs of these orders."""
    found = {
        subject: {path: each for path, each in mine.items() if editable.pattern("order", path) == "lines.*.sku"}
        for subject, mine in (await corrections.in_force(connection, subjects)).items()
    }
    return {subject: changes for subject, changes in found.items() if changes}


async def _as_told(connection: AsyncConnection, events: Sequence[Event], changes: Mapping[str, Changes]) -> list[Event]:
    """The events with what is corrected. Nobody tells that a SKU was: the order has changed when the ERP accepts it."""
    accepted = {e.subject for e in events if e.type == "order.accepted"} & changes.keys()
    states = await corrections.states_of(connection, accepted) if accepted else {}
    found: list[Event] = []
    for each in events:
        mine, said = changes.get(each.subject), states.get(each.subject)
        if mine and each.type in SOLD:
            order = editable.corrected("order", each.data["order"], mine)
            each = each.model_copy(update={"data": {**each.data, "order": order}})
        elif mine and said and each.type == "order.accepted" and not Order.model_validate(said).is_given_up:
            source, order = corrections.home_of(each.subject)[0], editable.corrected("order", said, mine)
            same = {"id": f"{each.id}:corrected", "type": "order.changed", "source": source}
            found.append(each.model_copy(update={**same, "data": {"order": order, "before": said}}))
        found.append(each)
    return found


def _number(event: Event) -> str:
    return str(event.data["order"]["number"])


def _named(event: Event) -> str:
    return str((event.data["order"].get("extra") or {}).get(RESERVATION, ""))
