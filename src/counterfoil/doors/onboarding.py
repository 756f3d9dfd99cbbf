"""Going live beside what is there: link both catalogues and customer bases, and take in the orders of the past."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from counterfoil.blueprint import Blueprint
from counterfoil.hub import linking, receipts
from counterfoil.hub.contract import Connector, Page
from counterfoil.hub.linking import REASONS, HasArticles, HasPeople, Matching, Pair, Review, Thing
from counterfoil.hub.receipts import Arrival
from counterfoil.hub.store import Store

Tick = Callable[[str, int, int | None], None]
"""Progress: what is under way, how much more of it is done, how much there is (None: unknown)."""

What = Literal["products", "customers"]

HOLD = 120.0
"""Seconds that another process waits before it takes over an import that has gone silent."""


class Unfit(ValueError):
    """What was asked for does not fit the blueprint; the message says what would."""


@runtime_checkable
class HasHistory(Protocol):
    """A shop whose orders of the past can be read."""

    async def count_history(self, since: datetime, until: datetime) -> int:
        """How many orders were created in the span. Raises Failure."""

    def history(self, cursor: Mapping[str, Any], since: datetime, until: datetime) -> AsyncIterator[Page]:
        """Their pages; a cursor with `page` 0 is at the end. Raises Failure."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the review list. `keys` is empty for people: their keys are personal."""

    what: str
    reason: str
    by: str
    keys: str
    here: str
    there: str

    def as_dict(self, erp: str, shop: str) -> dict[str, str]:
        """With the systems' names as columns, and the reason in words."""
        why = REASONS[self.reason]
        reason = {"only_here": f"only_{erp}", "only_there": f"only_{shop}"}.get(self.reason, self.reason)
        return {
            "what": self.what,
            "reason": reason,
            "why": why,
            "by": self.by,
            "key": self.keys,
            erp: self.here,
            shop: self.there,
        }


@dataclass(frozen=True, slots=True)
class Linked:
    """What a run of `link` found, and wrote if it was told to."""

    erp: str
    shop: str
    what: What
    found: tuple[int, int]
    matching: Matching
    products: Matching
    rows: tuple[Row, ...]
    written: int | None

    def summary(self) -> dict[str, Any]:
        """The counts."""
        reasons = Counter(row.as_dict(self.erp, self.shop)["reason"] for row in self.rows)
        counts: dict[str, Any] = {
            "system": self.shop,
            "what": self.what,
            "found": {self.erp: self.found[0], self.shop: self.found[1]},
            "matched": len(self.matching.matched),
            "matched_by": dict(Counter(pair.by for pair in self.matching.matched)),
            "already_linked": len(self.matching.linked),
            "review": dict(sorted(reasons.items())),
            "written": self.written,
        }
        if self.what == "products":
            counts["whole_products"] = {
                "matched": len(self.products.matched),
                "already_linked": len(self.products.linked),
            }
        return counts


def erp_of(blueprint: Blueprint, system: str, what: What) -> str:
    """The system on the other side of `system`: the owner of products and stock, else the only other one.

    Raises Unfit.
    """
    if system not in blueprint.systems:
        raise Unfit(f"The blueprint declares no system {system!r}; there are: {', '.join(blueprint.systems)}.")
    owners = [blueprint.owners.get(kind) for kind in ("product", "stock")]
    others = [name for name in blueprint.systems if name != system]
    for name in [*owners, *(others if len(others) == 1 else [])]:
        if name and name != system:
            return name
    raise Unfit(
        f"It is not clear which system {what} of {system} are to be linked with. Write into the blueprint who owns "
        f"them, such as owners: {{product: odoo}}; and name the shop, not the ERP."
    )


async def link(
    store: Store, blueprint: Blueprint, made: Mapping[str, Connector], system: str, what: What, write: bool, tick: Tick
) -> Linked:
    """Match `system` with its ERP; write the links if told to. Raises Unfit, Failure."""
    erp = erp_of(blueprint, system, what)
    kinds = linking.ARTICLE_KEYS if what == "products" else tuple(blueprint.customers.match)
    both = await asyncio.gather(*(_things(made[name], name, what, kinds, tick) for name in (erp, system)))
    here, there = both
    home, kind = (erp, "variant") if what == "products" else (_home_of_customers(blueprint, erp, system), "customer")
    linked = await _known(store, home, kind, erp, system)
    matching = linking.match(here, there, kinds, linked)
    whole = Matching()
    if what == "products":
        pairs = [*matching.linked, *matching.matched]
        whole = linking.products(here, there, pairs, await linking.known_links(store, erp, "product", system))
    written = None
    if write:
        written = await _write(store, home, kind, erp, system, matching.matched, tick)
        written += await _write(store, erp, "product", erp, system, whole.matched, tick)
    rows = _rows(what, matching, whole, here, there)
    return Linked(erp, system, what, (len(here), len(there)), matching, whole, rows, written)


def _home_of_customers(blueprint: Blueprint, erp: str, shop: str) -> str:
    """Whose id a customer goes by in all systems: the owner's, and the shop's where a third one owns them."""
    owner = blueprint.owners.get("customer", shop)
    return owner if owner in (erp, shop) else shop


async def _things(connector: Connector, name: str, what: What, kinds: Sequence[str], tick: Tick) -> list[Thing]:
    label = f"{what} of {name}"
    if what == "products" and isinstance(connector, HasArticles):
        found = connector.articles()
    elif what == "customers" and isinstance(connector, HasPeople):
        found = connector.people()
    else:
        raise Unfit(f"{name} has no {what} that could be linked.")
    return await linking.read(found, kinds, lambda: tick(label, 1, None))


async def _known(store: Store, home: str, kind: str, erp: str, shop: str) -> list[tuple[str, str]]:
    """Links as (id in the ERP, id in the shop), whichever of them is the home."""
    if home == erp:
        return await linking.known_links(store, erp, kind, shop)
    return [(mine, theirs) for theirs, mine in await linking.known_links(store, home, kind, erp)]


async def _write(store: Store, home: str, kind: str, erp: str, shop: str, pairs: Sequence[Pair], tick: Tick) -> int:
    label, total = f"links of {kind}s written", len(pairs)
    system = shop if home == erp else erp
    ids = [(p.here, p.there) if home == erp else (p.there, p.here) for p in pairs]
    return await linking.write_links(store, home, kind, system, ids, lambda n: tick(label, n, total))


def _rows(
    what: What, matching: Matching, whole: Matching, here: Sequence[Thing], there: Sequence[Thing]
) -> tuple[Row, ...]:
    known_here, known_there = {t.id: t for t in here}, {t.id: t for t in there}

    def row(kind: str, entry: Review) -> Row:
        things = [known_here.get(i) for i in entry.here] + [known_there.get(i) for i in entry.there]
        keys: dict[str, None] = {}
        if kind == "article":
            for thing in things:
                keys |= dict.fromkeys(f"{name} {value}" for name, value in (thing.keys.items() if thing else ()))
        return Row(kind, entry.reason, entry.by, ", ".join(keys), " ".join(entry.here), " ".join(entry.there))

    one = "article" if what == "products" else "customer"
    return (*(row(one, entry) for entry in matching.review), *(row("product", entry) for entry in whole.review))


def span(blueprint: Blueprint, system: str, since: datetime, until: datetime | None) -> tuple[datetime, datetime]:
    """The span of an import: up to the cut-over, or to an earlier `until`. Raises Unfit."""
    declared = blueprint.systems.get(system)
    if declared is None:
        raise Unfit(f"The blueprint declares no system {system!r}; there are: {', '.join(blueprint.systems)}.")
    if declared.cut_over is None:
        raise Unfit(
            f"{system} has no cut_over, so its old orders would be taken for live ones. Write the moment from which "
            "the hub carries its orders into the blueprint."
        )
    end = until or declared.cut_over
    if end > declared.cut_over:
        raise Unfit(f"Orders from {declared.cut_over.isoformat()} on are live ones; --until must not be later.")
    if since >= end:
        raise Unfit(f"--since {since.isoformat()} is not before {end.isoformat()}: nothing to import.")
    return since, end


async def import_history(
    store: Store,
    connector: HasHistory,
    system: str,
    since: datetime,
    until: datetime,
    rate: float,
    tick: Tick,
    again: bool = False,
) -> int:
    """Take in the orders of the span as receipts of origin `import`; how many. It goes on where it was stopped.

    What is taken in, the hub imports in its own time. `rate` is the most orders a second, 0 for no limit; `again`
    begins anew. Raises Failure, and Unfit while another process is at it.
    """
    feed = f"history {since.isoformat()} {until.isoformat()}"
    token = secrets.token_hex(8)
    cursor = await receipts.begin_poll(store, system, feed, token, HOLD)
    if cursor is None:
        raise Unfit(
            "The same import is under way in another process, or ended just now without a word: wait 2 minutes."
        )
    taken, ok = 0, False
    try:
        async for page in connector.history({} if again else cursor, since, until):
            arrivals = [Arrival(system, "import", raw) for raw in page.receipts]
            hold = HOLD + (len(arrivals) / rate if rate else 0.0)
            if await receipts.keep_page(store, system, feed, token, arrivals, page.cursor, hold) is None:
                raise Unfit("Another process has taken over this import.")
            taken += len(arrivals)
            tick(f"orders of {system} taken in", len(arrivals), None)
            if rate:  # the shop and the ERP are to breathe
                await asyncio.sleep(len(arrivals) / rate)
        ok = True
    finally:
        await asyncio.shield(receipts.end_poll(store, system, feed, token, 0.0, ok=ok))
    return taken
