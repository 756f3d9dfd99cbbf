"""Going live beside what is there: link both catalogues and customer bases, and take in the orders of the past."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from counterfoil.blueprint import ArticleRules, Blueprint, CustomerRules
from counterfoil.doors import decisions
from counterfoil.doors.decisions import Decided
from counterfoil.doors.linked import Linked, What, rows_of
from counterfoil.hub import candidates, linking, matching, receipts
from counterfoil.hub.contract import Connector, Page
from counterfoil.hub.linking import HasArticles, HasPeople
from counterfoil.hub.matching import Matching, Pair, Thing
from counterfoil.hub.receipts import Arrival
from counterfoil.hub.store import Store

Tick = Callable[[str, int, int | None], None]
"""Progress: what is under way, how much more of it is done, how much there is (None: unknown)."""

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


def erp_of(blueprint: Blueprint, system: str, what: What) -> str:
    """The system on the other side of `system`: the owner of products and stock, else the only other one.

    Raises Unfit.
    """
    if system not in blueprint.systems:
        raise Unfit(f"The blueprint declares no system {system!r}; there are: {', '.join(blueprint.systems)}.")
    owners = [blueprint.owner_of(kind) for kind in ("product", "stock")]
    others = [name for name in blueprint.systems if name != system]
    for name in [*owners, *(others if len(others) == 1 else [])]:
        if name in blueprint.systems and name != system:
            return name
    raise Unfit(
        f"It is not clear which system {what} of {system} are to be linked with. Write into the blueprint who owns "
        f"them, such as owners: {{product: odoo}}; and name the shop, not the ERP."
    )


async def link(
    store: Store,
    blueprint: Blueprint,
    made: Mapping[str, Connector],
    system: str,
    what: What,
    write: bool,
    tick: Tick,
    given_back: Path | None = None,
    who: str = "",
    personal: bool = False,
) -> Linked:
    """Match `system` with its ERP; write the links if told to. Raises Unfit, Undecided, Failure.

    `given_back` is a review list with decisions: they come first, and are kept under the name of `who`. With
    `personal` the rows say how the things are called and where they live.
    """
    erp = erp_of(blueprint, system, what)
    verdicts = decisions.read(given_back, erp, system) if given_back else []
    rule = rule_of(blueprint, what)
    least = rule.candidates.least()
    told = candidates.TOLD if least or personal else ()
    reading = [
        asyncio.create_task(things(store, made[name], name, what, rule.match, tick, told)) for name in (erp, system)
    ]
    try:
        both = await asyncio.gather(*reading)
    finally:  # where one fails the other would read on to its end
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
    here, there = ({t.id: t for t in found} for found in both)
    home, kind = (erp, "variant") if what == "products" else (_home_of_customers(blueprint, erp, system), "customer")
    side = _Side(store, home, erp, system)
    linked, apart = await side.known(kind), set(await side.apart(kind))
    one = "article" if what == "products" else "customer"
    decided = Decided()
    if given_back:
        decided = decisions.settle(given_back, verdicts, one, (erp, system), (here, there), linked)
    apart = (apart | decided.apart) - set(decided.links)
    found = matching.match(both[0], both[1], rule.match, [*linked, *decided.links], apart)
    if least:
        found = _with_candidates(found, here, there, least, apart, tick)
    whole = Matching()
    if what == "products":
        pairs = [*found.linked, *found.matched]
        whole = matching.products(both[0], both[1], pairs, await linking.known_links(store, erp, "product", system))
    written = None
    if write:
        await side.keep_decided(kind, decided, who)
        pairs = [*(Pair(mine, other, "decision") for mine, other in decided.links), *found.matched]
        written = await side.write(kind, pairs, tick)
        written += await _Side(store, erp, erp, system).write("product", whole.matched, tick)
    rows = rows_of(what, found, whole, here, there)
    return Linked(erp, system, what, (len(here), len(there)), found, whole, rows, written, decided)


def rule_of(blueprint: Blueprint, what: What) -> ArticleRules | CustomerRules:
    """The declared rule by which these are known again."""
    return blueprint.products if what == "products" else blueprint.customers


def _with_candidates(
    found: Matching,
    here: Mapping[str, Thing],
    there: Mapping[str, Thing],
    least: Mapping[str, float],
    apart: set[tuple[str, str]],
    tick: Tick,
) -> Matching:
    left, right = candidates.alone(found)
    alike = candidates.between(
        [here[i] for i in sorted(left)],
        [there[i] for i in sorted(right)],
        least,
        apart,
        lambda n: tick("likenesses looked at", n, None),
    )
    return candidates.reviewed(found, alike)


def _home_of_customers(blueprint: Blueprint, erp: str, shop: str) -> str:
    """Whose id a customer goes by in all systems: the owner's, and the shop's where a third one owns them."""
    owner = blueprint.owner_of("customer")
    return owner if owner in (erp, shop) else shop


async def things(
    store: Store,
    connector: Connector,
    name: str,
    what: What,
    kinds: Sequence[str],
    tick: Tick,
    told: Sequence[str] = (),
) -> list[Thing]:
    """All articles or customers of a system with their keys of these kinds, without those that a person has merged
    into others. Raises Unfit, Failure.
    """
    label = f"{what} of {name}"
    if what == "products" and isinstance(connector, HasArticles):
        found = connector.articles()
    elif what == "customers" and isinstance(connector, HasPeople):
        found = connector.people()
    else:
        raise Unfit(f"{name} has no {what} that could be linked.")
    listed = await linking.read(found, kinds, lambda n: tick(label, n, None), told)
    gone = await linking.merged_away(store, name, "variant" if what == "products" else "customer")
    return [thing for thing in listed if thing.id not in gone]


@dataclass(frozen=True, slots=True)
class _Side:
    """The store's tables as pairs of (id in the ERP, id in the shop), whichever of the two is the home."""

    store: Store
    home: str
    erp: str
    shop: str

    @property
    def away(self) -> str:
        """The system that is not the home."""
        return self.shop if self.home == self.erp else self.erp

    def turned(self, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Between (ERP, shop) and (home, away): the same way forth and back."""
        return list(pairs) if self.home == self.erp else [(b, a) for a, b in pairs]

    async def known(self, kind: str) -> list[tuple[str, str]]:
        return self.turned(await linking.known_links(self.store, self.home, kind, self.away))

    async def apart(self, kind: str) -> list[tuple[str, str]]:
        return self.turned(await linking.known_apart(self.store, self.home, kind, self.away))

    async def keep_decided(self, kind: str, decided: Decided, who: str) -> None:
        """What a person has said, and who it was; the links themselves are written with the others."""
        links, apart = self.turned(decided.links), self.turned(decided.apart)
        await linking.decide(self.store, self.home, kind, self.away, links, apart, who)

    async def write(self, kind: str, pairs: Sequence[Pair], tick: Tick) -> int:
        label, total = f"links of {kind}s written", len(pairs)
        ids = self.turned((p.here, p.there) for p in pairs)
        return await linking.write_links(self.store, self.home, kind, self.away, ids, lambda n: tick(label, n, total))


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
