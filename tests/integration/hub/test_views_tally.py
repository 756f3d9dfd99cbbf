"""Facts by quarter of an hour: what is kept and what is still counted when it is asked for are right together."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import empty
from tests.fakes import rows_of

from counterfoil.blueprint import Retention
from counterfoil.hub import retention, schema, tallying
from counterfoil.hub.store import Store

HOUR = 3600.0
FACT = st.tuples(st.integers(0, 3), st.sampled_from(tallying.FACTS), st.floats(0.0, 60.0))
"""An order, what was told of it, and how many hours ago."""
Fact = tuple[int, str, float]


async def happened(store: Store, facts: Iterable[Fact]) -> list[dict[str, Any]]:
    """These facts are in the store; of an order of an odd number another shop tells."""
    async with store.write() as connection:
        now = await store.clock(connection)
        rows = [
            {
                **dict.fromkeys(("key", "correlation"), ""),
                **{"id": f"e{n}", "type": type_, "source": f"shop-{order % 2}", "subject": f"order:{order}"},
                **{"time": 0.0, "recorded_at": now - hours * HOUR, "data": {}},
            }
            for n, (order, type_, hours) in enumerate(facts)
        ]
        if rows:
            await connection.execute(sa.insert(schema.event), rows)
    return rows


def expected(rows: Iterable[dict[str, Any]], since: float) -> Counter[tuple[int, str, str]]:
    """Counted plainly: of each order the first of a type, and every shipment."""
    firsts: dict[object, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda r: r["recorded_at"]):
        each = row["id"] if row["type"] == "shipment.dispatched" else (row["subject"], row["type"])
        firsts.setdefault(each, row)
    begins = since // 900 * 900
    kept = (r for r in firsts.values() if r["recorded_at"] >= begins)
    return Counter((int(r["recorded_at"] // 900) * 900, r["type"], r["source"]) for r in kept)


async def told(store: Store, since: float) -> Counter[tuple[int, str, str]]:
    """As views are told it."""
    found: Counter[tuple[int, str, str]] = Counter()
    async with store.read() as connection:
        for each in await tallying.told(connection, store, since):
            found[each.quarter, each.type, each.source] += each.n
    return found


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(facts=st.lists(FACT, max_size=25), counted=st.lists(st.floats(0.0, 70.0), max_size=3), ago=st.floats(0.0, 70.0))
async def test_it_is_the_same_however_much_of_it_is_counted_already(
    store: Store, facts: list[Fact], counted: list[float], ago: float
) -> None:
    """In steps of hours and days, from the first fact on or from within."""
    await empty(store)
    rows = await happened(store, facts)
    async with store.read() as connection:
        since = await store.clock(connection) - ago * HOUR
    right = expected(rows, since)
    assert await told(store, since) == right
    for hours in sorted(counted, reverse=True):
        with pytest.MonkeyPatch.context() as settled:
            settled.setattr(tallying, "SETTLED", hours * HOUR)
            await tallying.catch_up(store)
        assert await told(store, since) == right


async def test_two_processes_that_count_at_once_count_once(store: Store) -> None:
    rows = await happened(store, [(n, "order.placed", n / 2) for n in range(80)])
    await asyncio.gather(*(tallying.catch_up(store) for _ in range(4)))
    assert await told(store, 0.0) == expected(rows, 0.0)
    kept = [r for r in await rows_of(store, schema.tally) if r["type"]]
    assert sum(r["n"] for r in kept) >= 78, "the last half hour may still be open"


async def test_what_is_counted_needs_its_events_no_more_and_goes_with_the_history(store: Store) -> None:
    rows = await happened(store, [(n, "order.placed", 24.0 * n) for n in range(1, 6)])
    await tallying.catch_up(store)
    async with store.write() as connection:
        await connection.execute(sa.delete(schema.event))
    assert await told(store, 0.0) == expected(rows, 0.0)
    gone = await retention.purge(store, Retention(history="3d"), rest=0.0)
    assert gone == {"tallies": 3}
    assert sum((await told(store, 0.0)).values()) == 2
    await tallying.catch_up(store)
    assert sum((await told(store, 0.0)).values()) == 2, "until when all is counted is known still"


async def test_a_hub_in_which_nothing_has_happened_counts_nothing(store: Store) -> None:
    await tallying.catch_up(store)
    await tallying.catch_up(store)
    assert not await told(store, 0.0)
