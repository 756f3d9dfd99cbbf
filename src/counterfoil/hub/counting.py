"""Counting what receipts and deliveries came to, once it is committed."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from counterfoil.hub import meters
from counterfoil.hub.claiming import Waiting, Work
from counterfoil.hub.contract import Kind, Outcome


def decoded(system: str, works: Iterable[Work]) -> None:
    """These receipts were decoded."""
    now = time.time()
    waited: defaultdict[str, list[float]] = defaultdict(list)
    for work in works:
        waited[work.row.origin].append(now - work.created_at)
    for origin, seconds in waited.items():
        meters.INGESTION.observe(system, origin, seconds=seconds)


def delivered(pairs: Sequence[tuple[Work, Outcome]]) -> None:
    """These deliveries, all of one operation, were tried."""
    system, operation = pairs[0][0].lane[0], pairs[0][0].operation
    for kind, n in Counter(outcome.kind for _, outcome in pairs).items():
        meters.DELIVERIES.add(system, operation, kind.value, n=n)
    now = time.time()
    over: list[Work | Waiting] = []
    for work, outcome in pairs:
        if outcome.kind is Kind.DONE:
            over += (*work.before, work)
    if over:
        meters.LAG.observe(system, operation, seconds=[now - each.created_at for each in over])
    promised = [each.promise_by for each in over if each.promise_by is not None]
    missed = sum(by < now for by in promised)
    for result, n in (("kept", len(promised) - missed), ("missed", missed)):
        if promised:
            meters.WITHIN.add(system, operation, result, n=n)
