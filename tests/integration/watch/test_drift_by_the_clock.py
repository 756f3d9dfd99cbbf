"""The audit by the clock: once across processes, gone on with after a stop, its last result kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from counterfoil.blueprint import parse
from counterfoil.doors import assembly
from counterfoil.hub import mending, receipts
from counterfoil.hub.schema import cursor
from counterfoil.hub.store import Store
from counterfoil.watch import drifting
from counterfoil.watch.auditing import Report
from counterfoil.watch.drift_house import House

PLAN = """\
counterfoil: 1
systems: {odoo: {connector: odoo, url: https://odoo.example, api_key: '${K}'}}
drift: {every: 24h, compare: [orders, stock, prices], repair: [stock]}
"""


def house(store: Store, plan: str = PLAN) -> House:
    return House(store, parse(plan, known=assembly.catalogue(), environ={"K": "k"}), {}, {}, {})


class Comparing:
    """Stands for the comparison: counts what is asked for, and can break off at one of them."""

    def __init__(self, breaks_at: str = "") -> None:
        self.asked: list[tuple[str, bool, bool]] = []
        self.breaks_at = breaks_at

    async def __call__(
        self, _house: House, _channels: Any, what: Sequence[str], since: datetime, until: datetime, *more: Any, **_: Any
    ) -> list[Report]:
        (name,) = what
        repair, ask = more
        self.asked.append((name, name in repair, ask))
        await asyncio.sleep(0)
        if name == self.breaks_at:
            self.breaks_at = ""
            raise OSError("the process was stopped")
        return [Report(name, "web", "odoo", since, until, until)]


@pytest.fixture
def comparing(monkeypatch: pytest.MonkeyPatch) -> Comparing:
    made = Comparing()
    monkeypatch.setattr(drifting, "compared", made)
    return made


async def at(store: Store) -> Any:
    async with store.read() as connection:
        return (await connection.execute(sa.select(cursor).where(cursor.c.feed == "drift"))).one()


async def test_two_processes_audit_once_and_the_result_is_kept(
    store: Store, another_store: Callable[[], Awaitable[Store]], comparing: Comparing
) -> None:
    both = [house(store), house(await another_store())]
    found = await asyncio.gather(*(drifting.audit_once(each, {}) for each in both))
    assert sorted(map(str, found)) == ["None", "True"]
    assert comparing.asked == [("orders", False, True), ("stock", True, True), ("prices", False, True)]
    assert [one["what"] for one in await drifting.last(store)] == ["orders", "stock", "prices"]
    assert drifting.in_short(await drifting.last(store))["stock of web and odoo"] == "even"
    assert 86_000 < (await at(store)).next_at - await mending.clock(store) <= 86_400


async def test_an_audit_that_was_stopped_goes_on_behind_what_it_had_compared(
    store: Store, comparing: Comparing
) -> None:
    comparing.breaks_at = "stock"
    with pytest.raises(OSError, match="stopped"):
        await drifting.audit_once(house(store), {})
    assert await drifting.last(store) == []
    async with store.write() as connection:
        await connection.execute(sa.update(cursor).values(next_at=0.0))
    assert await drifting.audit_once(house(store), {}) is True
    assert [name for name, *_ in comparing.asked] == ["orders", "stock", "stock", "prices"]
    first, second, *_ = await drifting.last(store)
    assert first["began"] == second["began"]  # one audit, of one span


async def test_who_lost_the_turn_keeps_nothing(store: Store, comparing: Comparing) -> None:
    async def lost(*_args: Any) -> None:
        return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(receipts, "keep_page", lost)
        assert await drifting.audit_once(house(store), {}) is None
    assert await drifting.last(store) == []
    assert len(comparing.asked) == 1


async def test_the_first_audit_waits_for_its_time_of_day(store: Store, comparing: Comparing) -> None:
    timed = house(store, PLAN.replace("every: 24h", 'every: 24h, at: "03:00", zone: Europe/Paris'))
    assert await drifting.audit_once(timed, {}) is None
    assert comparing.asked == []
    due = datetime.fromtimestamp((await at(store)).next_at + 0.5, UTC)
    paris = due.astimezone(ZoneInfo("Europe/Paris"))
    assert (paris.hour, paris.minute) == (3, 0)
    async with store.write() as connection:
        await connection.execute(sa.update(cursor).values(next_at=0.0))
    assert await drifting.audit_once(timed, {}) is True


async def test_without_every_nothing_happens_by_itself(store: Store, comparing: Comparing) -> None:
    await drifting.run(house(store, PLAN.replace("every: 24h, ", "")), {}, asyncio.Event())
    assert comparing.asked == []


async def test_the_schedule_audits_until_it_is_stopped_and_a_broken_audit_does_not_end_it(
    store: Store, comparing: Comparing, monkeypatch: pytest.MonkeyPatch
) -> None:
    comparing.breaks_at = "orders"
    stop = asyncio.Event()

    async def at_once(_seconds: float, _stop: asyncio.Event) -> None:
        async with store.write() as connection:
            await connection.execute(sa.update(cursor).values(next_at=0.0))
        if await drifting.last(store):
            stop.set()

    monkeypatch.setattr(drifting, "at_most", at_once)
    async with asyncio.timeout(30):
        await drifting.run(house(store), {}, stop)
    assert [name for name, *_ in comparing.asked] == ["orders", "orders", "stock", "prices"]
