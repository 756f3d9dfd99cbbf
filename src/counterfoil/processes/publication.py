"""Publication: what the channels are told of stock, and when. One number (processes/stock.py), told where it differs.

A reading of the ERP that says something new is told by the flows on `stock.changed`. What moves the number otherwise
(an order, a reservation, a part of a bundle) leaves its mark on the article, and one loop, in however many processes,
tells it by the same flows. What is told is decided when the channel is called, in a transaction that keeps it under the
lock of the article: so a number that was true a moment ago is never taken for the one the channel was told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint import Blueprint
from counterfoil.blueprint.stock import StockRules
from counterfoil.hub import exceptions, flows, lanes, records
from counterfoil.hub.availability import publication as kept
from counterfoil.hub.availability import stock
from counterfoil.hub.availability.articles import Articles
from counterfoil.hub.availability.readings import EVER, Reading, keep_readings
from counterfoil.hub.availability.stock import Row
from counterfoil.hub.contract import Item, Outcome, rejected
from counterfoil.hub.preparing import Ruling
from counterfoil.hub.store import Store
from counterfoil.hub.waiting import at_most
from counterfoil.processes.changes import changed
from counterfoil.processes.stock import Rules
from counterfoil.retail.availability import UNIT, Article, Stand, in_units, stands_of
from counterfoil.retail.bundles import explode
from counterfoil.retail.events import Event, at_utc
from counterfoil.retail.product import StockLevel

log = structlog.get_logger()

EVERY = 0.5
"""Seconds between two looks for articles to be told of."""
GATHER = 1.0
"""Seconds for which an article that is not urgent is let change further before it is told."""
BATCH = 500
OVERSOLD = "oversold"


@dataclass(frozen=True, slots=True)
class Shelf:
    """Articles as they stand, by SKU, under their locks."""

    rows: Mapping[str, Row]
    facts: Mapping[str, Article]

    def find(self, sku: str) -> tuple[Article, Sequence[Stand]] | None:
        """For the rules: None where the ERP has told of no stock."""
        row = self.rows.get(sku)
        if row is None or not row.asked_at:
            return None
        return self.facts.get(sku) or Article(sku, (), row.article), stands_of(row.places, row.taken)


class Publication:
    """What is told of stock by the blueprint's flows of the stream `stock`; `counted` names the systems it is of."""

    def __init__(
        self,
        store: Store,
        blueprint: Blueprint,
        rules: Rules,
        streams: Mapping[str, str],
        counted: Sequence[str] = (),
    ) -> None:
        self.store, self.blueprint, self.rules, self.streams = store, blueprint, rules, streams
        told = [f for f in blueprint.flows if f.on == "stock.changed" and streams.get(f.do) == kept.STREAM]
        self.operations = frozenset(flow.do for flow in told)
        self.channels = frozenset(flow.system for flow in told)
        self.counted, self.articles = counted, Articles(counted)
        self.promises = bool(told) or blueprint.stock != StockRules()  # else nobody sells by what is known here

    # --- when a channel is called ---------------------------------------------------------------------------------

    async def prepare(self, store: Store, operation: str, items: Sequence[Item]) -> Mapping[int, Ruling]:
        """`quantity` beside what is told of stock: whole units, for that channel, as of now (`hub.preparing`)."""
        told = [item for item in items if item.event_type == "stock.changed"]
        if operation not in self.operations or not told:
            return {}
        channel = operation.partition(".")[0]
        await self._learn()
        async with store.write() as connection:
            skus = await self._skus(connection, {item.subject for item in told})
            shelf = await self._shelf(connection, skus.values())
            numbers = {article: self._number(channel, sku, shelf) for article, sku in skus.items()}
            known = {article: number for article, number in numbers.items() if number is not None}
            await kept.keep_told(connection, store, channel, known)
        return {i.delivery: Ruling({"quantity": known[i.subject]}) for i in told if i.subject in known}

    async def _learn(self) -> None:
        if await self.articles.refresh(self.store):
            self.rules.learn_kits(self.articles.kits)

    async def _skus(self, connection: AsyncConnection, articles: Collection[str]) -> dict[str, str]:
        """The SKU of each article; a bundle has none with the stock, so the products are asked."""
        rows = await stock.rows_of(connection, self.store, articles)
        known = {id_: self.articles.by_id[id_].sku for id_ in articles if id_ in self.articles.by_id}
        return known | {id_: row.sku for id_, row in rows.items()}

    async def _shelf(self, connection: AsyncConnection, skus: Iterable[str]) -> Shelf:
        """The articles behind these SKUs, their rows locked."""
        parts = explode([(sku, UNIT) for sku in skus], self.rules.bundles)
        ids = await stock.by_sku(connection, parts)
        rows = await stock.locked(connection, self.store, ids.values())
        return Shelf({sku: rows[id_] for sku, id_ in ids.items() if id_ in rows}, self.articles.by_sku)

    def _number(self, channel: str, sku: str, shelf: Shelf) -> int | None:
        """What the channel is to be told; None where the stock of no part is known."""
        parts = explode([(sku, UNIT)], self.rules.bundles)
        if not sku or all(shelf.find(part) is None for part in parts):
            return None
        return self.rules.quantity(channel, sku, shelf.find)

    # --- what nobody was told ---------------------------------------------------------------------------------------

    async def look(self, gather: float = GATHER) -> int:
        """Tell what differs from what was told; how many articles were looked at."""
        async with self.store.read() as connection:  # on SQLite nobody has to wait for a look that finds nothing
            found = await kept.untold(connection, self.store, BATCH)
        if not found:
            return 0
        await self._learn()
        async with self.store.write() as connection:
            skus = {sku for sku, _ in found.values()}
            affected = skus | {bundle for sku in skus for bundle in self.rules.bundles_with(sku)}
            shelf = await self._shelf(connection, affected)
            await stock.locked(connection, self.store, found)  # of two articles with one SKU the shelf has one
            mine = await kept.still_untold(connection, found)
            return await self._tell(connection, shelf, {a: found[a] for a in found if a in mine}, gather)

    async def _tell(
        self, connection: AsyncConnection, shelf: Shelf, found: Mapping[str, tuple[str, float]], gather: float
    ) -> int:
        ids = {sku: article for article, (sku, _) in found.items()}
        bundles = {b: tuple(s for s in ids if b in self.rules.bundles_with(s)) for s in ids for b in self._bundles(s)}
        ids |= {bundle: self.articles.by_sku[bundle].id for bundle in bundles}
        told = await kept.last_told(connection, ids.values())
        now = await self.store.clock(connection)
        differs: set[tuple[str, str]] = set()
        urgent: set[tuple[str, str]] = set()
        later: set[str] = set()
        for sku, article in ids.items():
            for channel in self.channels:
                number, last = self._number(channel, sku, shelf), told.get((article, channel))
                if number is None or number == last:
                    continue
                if self._is_urgent(sku, number, last, now):
                    urgent.add((article, channel))
                elif any(found[ids[part]][1] < gather for part in bundles.get(sku, (sku,))):
                    later |= {ids[part] for part in bundles.get(sku, (sku,))}
                    continue
                differs.add((article, channel))
        looked = found.keys() - later
        await self._send(connection, ids, differs, urgent, now)
        await self._judge(connection, [shelf.rows[found[a][0]] for a in looked if found[a][0] in shelf.rows])
        await kept.looked_at(connection, looked)
        return len(looked)

    def _bundles(self, sku: str) -> list[str]:
        """Those made of it that can be told of: the ERP has a product with their SKU."""
        return [bundle for bundle in self.rules.bundles_with(sku) if bundle in self.articles.by_sku]

    def _is_urgent(self, sku: str, number: int, last: int | None, now: float) -> bool:
        """Near zero, before or after, or in a campaign: who sells the last ones is told before all others."""
        if last is None:
            return False
        since, until = (sku in self.articles.by_sku and self.articles.by_sku[sku].sale) or (0.0, 0.0)
        return min(number, last) <= self.rules.declared.urgent or since <= now < until

    async def _send(
        self,
        connection: AsyncConnection,
        ids: Mapping[str, str],
        differs: Collection[tuple[str, str]],
        urgent: Collection[tuple[str, str]],
        now: float,
    ) -> None:
        """Queue what differs, by the flows; what is queued already will say what is true by then."""
        if not differs:
            return
        queued = await kept.waiting(connection, self.channels, {article for article, _ in differs})
        new = {(article, channel) for article, channel in differs if (article, channel) not in queued}
        articles = {article for article, _ in new}
        levels = await records.states_of(connection, "stock", articles)
        skus = {article: sku for sku, article in ids.items()}
        events = [_again(article, skus[article], levels.get(article), now) for article in sorted(articles)]
        events = await records.keep_events(connection, self.store, events)
        deliveries = [d for e in events for d in flows.deliveries(self.blueprint, self.streams, e)]
        wanted = [d for d in deliveries if d.stream == kept.STREAM and (d.subject, d.system) in new]
        await lanes.enqueue(connection, self.store, wanted)
        if urgent:
            await kept.hurry(connection, self.store, urgent)

    # --- more promised than there is ----------------------------------------------------------------------------------

    async def _judge(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        """Put before people what is promised and not there; what is there again is over by itself (F23)."""
        known = [row for row in rows if row.asked_at and self.promises]
        bad = {row.article: words for row in known if (words := self._oversold(row))}
        owner = self.blueprint.exceptions.owner_of(OVERSOLD, "rejected")
        entries = [(article.partition(":")[0], article, outcome, owner) for article, outcome in sorted(bad.items())]
        await exceptions.open_about(connection, self.store, kept.STREAM, entries)
        good = {row.article for row in rows} - bad.keys()
        over = {OVERSOLD: "there is enough again"}
        await exceptions.close_about(connection, self.store, good, kept.STREAM, over)

    def _oversold(self, row: Row) -> Outcome | None:
        hand = sum(at[0] for at in row.places.values())
        out = sum(at[1] for at in row.places.values())
        taken = sum(row.taken.values())
        missing = out + taken - hand
        if missing <= self._may_miss(row) and all(at[0] >= 0 for at in row.places.values()):
            return None
        name = row.sku or row.article
        words = (
            f"Of {name} {in_units(hand)} are on hand, but {in_units(out)} are promised in the ERP and "
            f"{in_units(taken)} by reservations and orders that it does not have yet: {in_units(missing)} too many."
            if missing > 0
            else f"The ERP says that less than nothing of {name} is on hand somewhere."
        )
        fix = f"Count it and put the ERP's quantity right, or cancel orders. See who has it: counterfoil stock {name}"
        return rejected(OVERSOLD, words, fix)

    def _may_miss(self, row: Row) -> float:
        """How much may be promised beyond what is there: as much as the most generous channel sells on back-order."""
        article = self.articles.by_sku.get(row.sku) or Article(row.sku, (), row.article)
        rules = [self.rules.policy(channel, article).beyond for channel in self.blueprint.channels or self.channels]
        limits = [float("inf") if rule.limit is None else rule.limit for rule in rules if rule is not None]
        return max(limits, default=0)

    # --- by the clock -------------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event, every: float = EVERY) -> None:
        """Look again and again until `stop`."""
        begun = False
        while not stop.is_set():
            try:
                if not begun:
                    for system in self.counted:
                        await begin(self.store, system)
                    begun = True
                while await self.look() == BATCH:
                    pass
            except Exception as error:  # mostly the store out of reach; the rest of the schedule goes on
                log.error("cannot tell of stock", error=type(error).__name__, detail=str(error)[:200])
            await at_most(every, stop)


def _again(article: str, sku: str, known: Mapping[str, object] | None, now: float) -> Event:
    """The article's stock, told once more; of a bundle that has none of its own, that it is the one meant."""
    system, _, id_ = article.partition(":variant:")
    level = StockLevel.model_validate(known) if known else StockLevel(system=system, id=id_, sku=sku)
    return changed(system, "stock", level, at_utc(now), ("untold", repr(now)))


async def begin(store: Store, system: str) -> None:
    """Take over the stock levels that were known before stock was counted: unchanged, they are not told again."""
    after = ""
    while True:
        async with store.write() as connection:
            found = await kept.known_levels(connection, system, after, BATCH)
            if not found:
                return
            levels = [StockLevel.model_validate(state) for _, state in found]
            readings = [Reading(each.canonical_id, each.sku.strip(), each.counted(), EVER) for each in levels]
            await keep_readings(connection, store, readings)
        after = found[-1][0]
