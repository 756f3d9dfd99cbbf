"""What nobody has acted on by its time goes to the next owner: once a step, in open hours, never behind an act."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from tests.fakes import House, blueprint, payload, rows_of, subject

from counterfoil.hub import exceptions, schema
from counterfoil.hub.contract import rejected
from counterfoil.hub.exceptions import responding
from counterfoil.hub.store import Store

RULES = """\
exceptions:
  default: buyer
  no_lines: clerk
  respond_within: {default: 8h, unknown_sku: 1h}
  escalate: [buyer, manager, head]
"""
OFFICE = 'calendars: {office: {zone: Europe/Paris, open: {mon-fri: "09:00-17:00"}}}\n'


async def house_with(store: Store, reason: str = "unknown_sku", rules: str = RULES) -> tuple[House, int]:
    """A house with one open exception whose time is reckoned."""
    house = House(store, more=rules)
    house.erp.plan(subject(1), rejected(reason, "It cannot be.", "Look."))
    await house.hear(payload(1))
    (one,) = await house.exceptions()
    assert await responding.look(store, house.blueprint) == 0
    return house, one["id"]


async def let_pass(store: Store, seconds: float) -> None:
    """Everything happened so much earlier."""
    x = schema.exception
    async with store.write() as connection:
        mine = sa.update(x).where(x.c.respond_by < responding.NEVER)
        await connection.execute(mine.values(respond_by=x.c.respond_by - seconds, opened_at=x.c.opened_at - seconds))


async def test_it_goes_from_owner_to_owner_and_stays_with_the_last(store: Store) -> None:
    house, number = await house_with(store)
    owners = []
    for seconds in (3590, 20, 3590, 20, 10**8):
        await let_pass(store, seconds)
        await responding.look(store, house.blueprint)
        owners.append((await exceptions.get(store, number))["owner"])
    assert owners == ["buyer", "manager", "manager", "head", "head"]
    told = await rows_of(store, schema.audit, act="exception.escalated")
    assert [(r["who"], r["detail"]["from"], r["detail"]["to"]) for r in told] == [
        ("counterfoil", "buyer", "manager"),
        ("counterfoil", "manager", "head"),
    ]
    assert (await exceptions.get(store, number))["step"] == 2


async def test_many_who_look_at_once_make_one_step(store: Store, another_store: Callable[[], Awaitable[Store]]) -> None:
    house, number = await house_with(store)
    await let_pass(store, 3601)
    stores = [store, *[await another_store() for _ in range(4)]]
    assert sum(await asyncio.gather(*(responding.look(each, house.blueprint) for each in stores))) == 1
    assert (await exceptions.get(store, number))["owner"] == "manager"


async def test_what_somebody_has_taken_on_or_closed_stays_where_it_is(store: Store) -> None:
    house, number = await house_with(store)
    await exceptions.acknowledge(store, number, "ada")
    await let_pass(store, 10**6)
    assert await responding.look(store, house.blueprint) == 0
    assert (await exceptions.get(store, number))["owner"] == "buyer"


async def test_who_is_not_in_the_list_hands_over_to_its_first(store: Store) -> None:
    house, number = await house_with(store, "no_lines")
    await let_pass(store, 8 * 3600 + 1)
    await responding.look(store, house.blueprint)
    assert (await exceptions.get(store, number))["owner"] == "buyer"


@pytest.mark.parametrize(
    ("opened", "until"),
    [("2026-11-06T15:30:00", "2026-11-09T08:30:00"), ("2026-11-07T12:00:00", "2026-11-09T09:00:00")],
    ids=["half an hour before the weekend", "at the weekend"],
)
def test_only_open_hours_count(opened: str, until: str) -> None:
    """Paris is an hour ahead of UTC in November, so the office is open from 8 to 16 UTC."""
    plan = blueprint(more=RULES + "  calendar: office\n" + OFFICE)
    at, by = (datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() for text in (opened, until))
    assert responding.respond_by(plan, "unknown_sku", "rejected", "buyer", at) == by


async def test_where_nothing_is_declared_nothing_is_written(store: Store) -> None:
    house, number = await house_with(store, rules="")
    await responding.look(store, house.blueprint)
    assert (await exceptions.get(store, number))["respond_by"] is None
