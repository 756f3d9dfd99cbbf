"""What the page says was measured is what the log of deliveries holds."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from counterfoil.blueprint import Blueprint
from counterfoil.blueprint.explaining import Taken
from counterfoil.blueprint.explaining import measured as told
from counterfoil.hub.measuring import measured
from counterfoil.hub.schema import delivery_log, exception
from counterfoil.hub.store import Store

DAY = 86400.0


def delivered(took: float, ago: float = 1.0, promise: float | None = None, outcome: str = "done") -> dict[str, Any]:
    """A row of the log that ended so many days ago."""
    ended = -ago * DAY
    return {"ended_at": ended, "created_at": ended - took, "promise_by": promise and ended - took + promise} | {
        "outcome": outcome
    }


async def keep(store: Store, rows: list[dict[str, Any]]) -> None:
    fixed = {"delivery_id": 1, "system": "erp", "operation": "accept_order", "subject": "s", "attempt": 1}
    fixed |= {"reason": "", "detail": {}, "started_at": 0.0, "worker": "w"}
    async with store.write() as connection:
        now = float(await connection.scalar(sa.select(store.now)) or 0)
        moved = [
            {k: v + now if k in ("ended_at", "created_at", "promise_by") and v else v for k, v in row.items()}
            for row in rows
        ]
        await connection.execute(sa.insert(delivery_log), [fixed | row for row in moved])


async def test_percentiles_are_times_within_which_that_share_was_done(store: Store) -> None:
    await keep(store, [delivered(float(n), promise=90.0) for n in range(100, 0, -1)])
    taken = (await measured(store, 30)).operations["erp.accept_order"]
    assert (taken.count, taken.promised, taken.late) == (100, 100, 10)
    assert [round(value, 3) for value in (taken.p50, taken.p95, taken.p99)] == [50.0, 95.0, 99.0]


async def test_what_failed_is_of_another_time_or_had_no_promise_does_not_count(store: Store) -> None:
    await keep(store, [delivered(2.0), delivered(3.0, outcome="rejected"), delivered(4.0, ago=31.0, promise=1.0)])
    (taken,) = (await measured(store, 30)).operations.values()
    assert taken == Taken(1, *[taken.p50] * 3, promised=0, late=0)
    assert round(taken.p50, 3) == 2.0


async def test_of_a_large_store_only_the_newest_tries_are_looked_at_and_it_says_so(store: Store) -> None:
    await keep(store, [delivered(float(took), ago=float(took) / 100) for took in range(1, 6)])
    found = await measured(store, 30, newest=2)
    taken = found.operations["erp.accept_order"]
    assert (taken.count, round(taken.p99, 3)) == (2, 2.0)
    assert any("newest 2 tries" in text for text in told(Blueprint(systems={}), found) if isinstance(text, str))


async def test_exceptions_are_counted_by_reason(store: Store) -> None:
    row = {
        "opened_at": 0.0,
        "system": "erp",
        "stream": "order",
        "key": "k",
        "operation": "accept_order",
        "subject": "s",
    }
    row |= {"outcome": "rejected", "message": "m", "technical": "", "suggestion": "", "owner": "o", "held": True}
    row |= {"created_at": 0.0}
    states = [("unknown_sku", "open"), ("unknown_sku", "retried"), ("no_tax", "skipped")]
    async with store.write() as connection:
        now = float(await connection.scalar(sa.select(store.now)) or 0)
        for reason, status in states:
            await connection.execute(
                sa.insert(exception).values(**row | {"opened_at": now}, reason=reason, status=status)
            )
        await connection.execute(sa.insert(exception).values(**row, reason="long_ago", status="open"))
    assert (await measured(store, 30)).exceptions == [("unknown_sku", 2, 1), ("no_tax", 1, 0)]


async def test_an_empty_store_has_measured_nothing(store: Store) -> None:
    found = await measured(store, 30)
    assert (found.days, dict(found.operations), list(found.exceptions)) == (30, {}, [])
