"""What is polled from Odoo: orders' progress, stock, products, customers.

How nothing is lost, and little is asked:
- Each look asks for rows written since the last one, less `overlap` (watching.py); what they belong to is then read
  whole and becomes one receipt an object. Receipts that say nothing new are dropped by the hub.
- The cursor follows Odoo's own clock and moves only when what was found is kept.
- A walk through everything, by id, stands behind: for quants that vanish by raw SQL, for rows that were deleted, for
  transactions longer than the overlap. It keeps its place in the cursor, and changes are looked for between its pages.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from counterfoil.connectors.odoo import calendar, catalogue, fulfilments, people, stocks
from counterfoil.connectors.odoo.calendar import Calendars
from counterfoil.connectors.odoo.catalogue import NONE, Catalogue
from counterfoil.connectors.odoo.client import Client
from counterfoil.connectors.odoo.fulfilments import Fulfilments
from counterfoil.connectors.odoo.people import People
from counterfoil.connectors.odoo.rules import NOBODY, Staff
from counterfoil.connectors.odoo.stocks import Stocks
from counterfoil.connectors.odoo.watching import Changed, Reader, Seen, Watch, changed, iso, moment_of, stamp
from counterfoil.hub.contract import AGAIN, Feed, Page, Raw

OFTEN, SELDOM = 2.0, 30.0
"""Seconds between two looks: for orders and stock, for products and customers."""
SETTLES = timedelta(seconds=1)
"""A row written less than this before Odoo's clock is looked at once more."""
OPEN_DAYS = 30
"""A walk through orders goes back this far: what nobody has touched for longer is settled."""

Bodies = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Timing:
    """How often is looked, in seconds. `poll` None: each feed in its own time."""

    poll: float | None = None
    overlap: float = 120.0
    walk_stock: float = 900.0
    walk_products: float = 86400.0
    walk_orders: float = 86400.0
    walk_calendars: float = 60.0


_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)")
_UNITS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def timing(system: str, settings: Mapping[str, str]) -> Timing:
    """From the blueprint's settings. Raises ValueError with what was found and expected."""

    def seconds(name: str, default: float) -> float:
        text = str(settings.get(name) or "").strip()
        if not text:
            return default
        found = _DURATION.fullmatch(text)
        if found is None or float(found[1]) <= 0:
            raise ValueError(f"systems.{system}.{name}: found {text!r}, expected a duration such as 60s or 2m")
        return float(found[1]) * _UNITS[found[2]]

    usual = Timing()
    return Timing(
        poll=seconds("poll", 0.0) or None,
        overlap=seconds("overlap", usual.overlap),
        walk_stock=seconds("reconcile_stock", usual.walk_stock),
        walk_products=seconds("reconcile_products", usual.walk_products),
        walk_orders=seconds("reconcile_orders", usual.walk_orders),
        walk_calendars=seconds("reconcile_calendars", usual.walk_calendars),
    )


@dataclass(frozen=True, slots=True)
class Sources:
    """What can be read of one Odoo."""

    fulfilments: Fulfilments
    stocks: Stocks
    catalogue: Catalogue
    people: People
    calendars: Calendars

    @classmethod
    def of(
        cls,
        client: Client,
        pricelist: str = "",
        language: str = "",
        staff: Staff = NOBODY,
        own: Sequence[str] = (),
        channels: Mapping[str, str] = NONE,
    ) -> Sources:
        """Of the Odoo behind `client`, with one Reader for all. `own`: fields of customers that are read besides;
        `channels`: the pricelists of shops that sell by their own."""
        reader = Reader(client)
        goods = Catalogue(reader, pricelist, language, channels)
        return cls(Fulfilments(reader), Stocks(reader), goods, People(reader, own), Calendars(reader, staff))


class Source(Protocol):
    """One kind of object: what to watch, whose a change is, how it is read."""

    async def watches(self) -> tuple[Watch, ...]:
        """The rows whose change matters."""

    async def owners(self, changes: Iterable[Changed]) -> list[int]:
        """The objects that changed rows belong to."""

    async def read(self, numbers: Sequence[int]) -> Bodies:
        """The objects whole, by object id."""


class Polled:
    """The poll of one kind of object: changes, and in between the walk through everything."""

    model = ""
    """What is walked through; '' for no walk."""

    def __init__(self, source: Source, kind: str, batch: int, every: float, walk: float, overlap: float) -> None:
        self.source, self.kind, self.batch, self.every, self.walk_every = source, kind, batch, every, walk
        self.overlap = timedelta(seconds=overlap)
        self.seen = Seen()

    @property
    def reader(self) -> Reader:
        """The rows of the Odoo that is polled."""
        raise NotImplementedError

    async def poll(self, cursor: Mapping[str, Any]) -> AsyncIterator[Page]:
        """Pages until it is even: all that changed, and everything once its time has come. Raises Failure."""
        if not await self.source.watches():
            return
        cursor = dict(cursor)
        async for page in self._changes(cursor):
            yield page
        if not self._walk_is_due(cursor, await self.reader.now()):
            return
        looked = time.monotonic()
        async for page in self._walk(cursor):
            yield page
            if time.monotonic() - looked > self.every:  # a long walk must not hold up what happens now
                async for between in self._changes(cursor):
                    yield between
                looked = time.monotonic()

    async def _changes(self, cursor: dict[str, Any]) -> AsyncIterator[Page]:
        """What changed since the cursor, which is moved once all of it is kept."""
        now = await self.reader.now_exactly()
        since = self._since(cursor, now)
        found = await self._changed(since)
        owners = set(await self.source.owners(found)) if found else set()
        owners |= await self._also(cursor, now)
        async for receipts in self._receipts(sorted(owners)):
            yield Page(receipts, dict(cursor))
        self.seen.learn(found, stamp(now - SETTLES))
        self.seen.forget(since)
        moved = self._moved(cursor, now, bool(owners))
        if moved:
            cursor |= moved
            yield Page([], dict(cursor))

    def _since(self, cursor: Mapping[str, Any], now: datetime) -> str:
        """Where to look from, in Odoo's format; never ahead of Odoo's clock, which may have been set back."""
        begin = now - self.overlap
        return stamp(min(moment_of(cursor["since"]), begin) if cursor.get("since") else begin)

    def _moved(self, cursor: Mapping[str, Any], now: datetime, found: bool) -> dict[str, Any]:
        """The cursor's new values; none while little has happened: each costs the store a commit."""
        begin = now - self.overlap
        if not found and cursor.get("since") and abs(begin - moment_of(cursor["since"])) < self.overlap / 2:
            return {}
        return {"since": iso(begin)}

    async def _changed(self, since: str) -> list[Changed]:
        return await changed(self.reader, self.seen, await self.source.watches(), since)

    async def _also(self, cursor: dict[str, Any], now: datetime) -> set[int]:
        """Objects that changed without a row that says so."""
        return set()

    async def _receipts(self, numbers: Sequence[int]) -> AsyncIterator[list[Raw]]:
        for start in range(0, len(numbers), self.batch):
            read_at = iso(await self.reader.now())  # of the answer before: the reading begins after it
            bodies = await self.source.read(numbers[start : start + self.batch])
            yield [receipt(self.kind, object_id, body, read_at) for object_id, body in bodies.items()]

    # --- everything -------------------------------------------------------------------------------------------

    def _walk_is_due(self, cursor: Mapping[str, Any], now: datetime) -> bool:
        if not self.model:
            return False
        if cursor.get("walk") or not cursor.get("walked"):
            return True
        return abs((now - moment_of(cursor["walked"])).total_seconds()) >= self.walk_every

    async def _domain(self) -> list[Any]:
        """What the walk goes through."""
        return []

    async def _walk(self, cursor: dict[str, Any]) -> AsyncIterator[Page]:
        began = (cursor.get("walk") or {}).get("began") or iso(await self.reader.now())
        after = int((cursor.get("walk") or {}).get("after") or 0)
        async for rows in self.reader.pages(self.model, await self._domain(), ["write_date"], after, self.batch):
            numbers = [int(row["id"]) for row in rows]
            async for receipts in self._receipts(numbers):
                cursor["walk"] = {"began": began, "after": numbers[-1]}
                yield Page(receipts, dict(cursor))
        cursor.pop("walk", None)
        cursor["walked"] = began
        yield Page([], dict(cursor))


class PolledOrders(Polled):
    """The ERP's side of orders. Invoices are watched in a call of their own, all else through one gate."""

    model = "sale.order"
    source: Fulfilments

    @property
    def reader(self) -> Reader:
        """The rows of the Odoo that is polled."""
        return self.source.reader

    async def _changed(self, since: str) -> list[Changed]:
        found = await changed(self.reader, self.seen, (fulfilments.INVOICES,), since)
        if self.seen or not await self.source.quiet(since):
            found += await super()._changed(since)
        return found

    async def _domain(self) -> list[Any]:
        since = stamp(await self.reader.now() - timedelta(days=OPEN_DAYS))
        return [fulfilments.OURS, ["write_date", ">=", since]]


class PolledStock(Polled):
    """Stock levels."""

    model = "product.product"
    source: Stocks

    @property
    def reader(self) -> Reader:
        """The rows of the Odoo that is polled."""
        return self.source.reader

    async def _also(self, cursor: dict[str, Any], now: datetime) -> set[int]:
        return {int(number) for number in cursor.pop(AGAIN, ())}

    async def _domain(self) -> list[Any]:
        return await self.source.everything()


class PolledProducts(Polled):
    """Products. Campaigns begin and end, and rules of a pricelist are deleted, without a row that says so."""

    model = "product.template"
    source: Catalogue
    _rules: tuple[int, int] = (0, 0)

    @property
    def reader(self) -> Reader:
        """The rows of the Odoo that is polled."""
        return self.source.reader

    async def _also(self, cursor: dict[str, Any], now: datetime) -> set[int]:
        if not self.source.pricelists:
            return set()
        rules = await self.source.rule_ids()
        count, highest = cursor.get("rules") or (0, 0)
        if sum(1 for rule in rules if rule <= highest) < count:
            cursor.pop("walked", None)  # which products it was for is not known any more
        self._rules = (len(rules), max(rules, default=0))
        return await self.source.crossed(moment_of(cursor["looked"]), now) if cursor.get("looked") else set()

    def _moved(self, cursor: Mapping[str, Any], now: datetime, found: bool) -> dict[str, Any]:
        moved = super()._moved(cursor, now, found)
        return moved | ({"looked": iso(now), "rules": list(self._rules)} if self.source.pricelists else {})

    async def _domain(self) -> list[Any]:
        return await self.source.everything()


class PolledPeople(Polled):
    """Customers, when they change; there is no walk: who never changed is no news."""

    source: People

    @property
    def reader(self) -> Reader:
        """The rows of the Odoo that is polled."""
        return self.source.reader


class PolledCalendars(Polled):
    """The staff's calendars. An event that is deleted leaves no trace, so they are read again whole every minute."""

    model = "res.users"
    source: Calendars

    @property
    def reader(self) -> Reader:
        """The rows of the Odoo that is polled."""
        return self.source.reader

    async def _changed(self, since: str) -> list[Changed]:
        found = await super()._changed(since)
        for each in found:  # Odoo hides when a private one was written: it is news for as long as it is found
            each.row["write_date"] = each.row["write_date"] or since
        return found

    async def _also(self, cursor: dict[str, Any], now: datetime) -> set[int]:
        everybody = await self.source.everybody()
        return set() if cursor.get("staff") == everybody else set(everybody)

    def _moved(self, cursor: Mapping[str, Any], now: datetime, found: bool) -> dict[str, Any]:
        moved = super()._moved(cursor, now, found)
        return moved | ({"staff": self.source.known} if moved else {})

    async def _domain(self) -> list[Any]:
        return [["id", "in", await self.source.everybody()]]


def receipt(kind: str, object_id: str, body: Mapping[str, Any], read_at: str) -> Raw:
    """A composite as a receipt: keys sorted, so that what is unchanged looks unchanged."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Raw(kind, object_id, text.encode(), {"read_at": read_at})


def feeds(source: Sources, timing: Timing) -> tuple[Feed, ...]:
    """The feeds of one Odoo, by what is looked for most urgently."""
    often = timing.poll or OFTEN
    seldom = max(timing.poll or 0.0, SELDOM)
    polled: tuple[tuple[str, Polled], ...] = (
        ("stock", PolledStock(source.stocks, "stock", stocks.BATCH, often, timing.walk_stock, timing.overlap)),
        (
            "fulfilment",
            PolledOrders(
                source.fulfilments, "fulfilment", fulfilments.BATCH, often, timing.walk_orders, timing.overlap
            ),
        ),
        (
            "products",
            PolledProducts(source.catalogue, "product", catalogue.BATCH, seldom, timing.walk_products, timing.overlap),
        ),
        ("customers", PolledPeople(source.people, "customer", people.BATCH, seldom, 0.0, timing.overlap)),
    )
    if source.calendars.people.staff.users:
        read = PolledCalendars(
            source.calendars, "calendar", calendar.BATCH, often, timing.walk_calendars, timing.overlap
        )
        polled += (("calendar", read),)
    return tuple(Feed(name, each.kind, each.every, each.poll, again=name == "stock") for name, each in polled)
