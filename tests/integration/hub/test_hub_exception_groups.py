"""What is alike is one group, with what is at stake; one act clears it, once, however many are in it."""

from __future__ import annotations

from decimal import Decimal

import pytest
import sqlalchemy as sa
from tests.fakes import FLOWS, House, assert_one_status, payload, rows_of, subject
from tests.integration.hub.test_hub_exceptions import PASSING

from counterfoil.hub import exceptions, schema
from counterfoil.hub.access import audit
from counterfoil.hub.contract import Outcome, rejected
from counterfoil.hub.exceptions import bulk
from counterfoil.hub.store import Store


def no_sku(number: int) -> Outcome:
    return rejected("unknown_sku", f"“Mug {number}” has no SKU.", "Make the product.")


async def refused(store: Store, count: int, flows: str = FLOWS, total: str = "12.00") -> House:
    """A house whose ERP refused so many orders once, all for want of a SKU."""
    house = House(store, flows)
    for n in range(1, count + 1):
        house.erp.plan(subject(n), no_sku(n))
    await house.hear(*(payload(n, total=total) for n in range(1, count + 1)))
    return house


async def test_a_group_says_how_many_how_old_whose_and_how_much_money(store: Store) -> None:
    house = await refused(store, 3, total="12.10")
    house.erp.plan(subject(9), rejected("no_lines", "Order 9 has no lines.", "Look at it."))
    await house.hear(payload(9, total="0.01"))
    found, of = await exceptions.groups(store)
    assert of == 2
    assert [(g.count, g.example["reason"], dict(g.stakes)) for g in found] == [
        (3, "unknown_sku", {"EUR": Decimal("36.30")}),
        (1, "no_lines", {"EUR": Decimal("0.01")}),
    ]
    opened = [e["opened_at"] for e in await house.exceptions() if e["reason"] == "unknown_sku"]
    assert (found[0].oldest, found[0].newest) == (min(opened), max(opened))
    assert found[0].owners == ("shop-manager",)
    assert [g.count for g in (await exceptions.groups(store, limit=1, offset=1))[0]] == [1]


async def test_an_order_with_two_alike_exceptions_is_at_stake_once(store: Store) -> None:
    house = await refused(store, 2)
    async with store.write() as connection:
        (first, _) = await house.exceptions()
        await connection.execute(sa.insert(schema.exception).values({k: v for k, v in first.items() if k != "id"}))
    ((group,), _) = await exceptions.groups(store)
    assert (group.count, dict(group.stakes)) == (3, {"EUR": Decimal("24.00")})


async def test_the_order_counts_as_it_is_where_it_comes_from_not_its_counterpart(store: Store) -> None:
    await refused(store, 1)
    (home,) = await rows_of(store, schema.object_, kind="order")
    there = {**home, "system": "erp", "object_id": "77", "state": {**home["state"], "total": "99.00 EUR"}}
    async with store.write() as connection:
        await connection.execute(sa.insert(schema.object_).values(there))
    ((group,), _) = await exceptions.groups(store)
    assert dict(group.stakes) == {"EUR": Decimal("12.00")}


async def test_of_an_owner_only_what_is_theirs_is_counted(store: Store) -> None:
    await refused(store, 2)
    async with store.write() as connection:
        one = sa.update(schema.exception).where(schema.exception.c.subject == subject(1))
        await connection.execute(one.values(owner="buyer"))
    ((all_,), _), ((theirs,), _) = await exceptions.groups(store), await exceptions.groups(store, owner="buyer")
    assert (all_.count, all_.owners) == (2, ("buyer", "shop-manager"))
    assert (theirs.count, theirs.owners, dict(theirs.stakes)) == (1, ("buyer",), {"EUR": Decimal("12.00")})


async def test_of_a_class_only_what_came_of_that_is_counted_with_its_money(store: Store) -> None:
    """Where Today's figures by owner and class lead."""
    await refused(store, 3)
    async with store.write() as connection:
        one = sa.update(schema.exception).where(schema.exception.c.subject == subject(1))
        await connection.execute(one.values(outcome="misconfigured"))
    for outcome, count, stake in (("misconfigured", 1, "12.00"), ("rejected", 2, "24.00"), ("", 3, "36.00")):
        ((group,), of) = await exceptions.groups(store, "shop-manager", outcome=outcome)
        assert (group.count, dict(group.stakes), of) == (count, {"EUR": Decimal(stake)}, 1)
    assert await exceptions.groups(store, outcome="bug") == ([], 0)


async def test_what_an_older_version_opened_is_grouped_too(store: Store) -> None:
    house = await refused(store, 3)
    (one, *_) = await house.exceptions()
    async with store.write() as connection:
        await connection.execute(
            sa.update(schema.exception).where(schema.exception.c.id > one["id"]).values(likeness="")
        )
    ((group,), _) = await exceptions.groups(store)
    assert (group.likeness, group.count) == (one["likeness"], 3)


@pytest.mark.parametrize("flows", [FLOWS, PASSING], ids=["held", "passed"])
async def test_tried_on_one_then_on_all_alike(store: Store, flows: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 2)
    house = await refused(store, 6, flows)
    one, *others = [e["id"] for e in await house.exceptions()]
    await exceptions.act(store, one, "retried", "ada")
    assert await exceptions.came_of(store, one) == (bulk.WAITING, None)
    await house.work()
    assert await exceptions.came_of(store, one) == (bulk.WORKED, None)
    ticks: list[int] = []
    alike = await exceptions.alike(store, one)
    done = await exceptions.in_bulk(store, alike, "retried", "ada", "made it", ticks.append)
    assert (alike, done.done, done.closed_before, ticks) == (others, others, [], [2, 2, 1])
    await house.work()
    assert sorted(house.erp.made) == [subject(n) for n in range(1, 7)]
    assert [r["act"] for r in await rows_of(store, schema.audit)] == ["exception.retried"] * 6
    assert (await audit.verify(store)).problem == ""
    await assert_one_status(store)


async def test_what_fails_again_is_told_with_its_new_number(store: Store) -> None:
    house = await refused(store, 1)
    (first,) = await house.exceptions()
    house.erp.plan(subject(1), no_sku(1))
    await exceptions.act(store, first["id"], "retried", "ada")
    await house.work()
    (again,) = await house.exceptions()
    assert await exceptions.came_of(store, first["id"]) == (bulk.AGAIN, again["id"])


@pytest.mark.parametrize("act", ["resolved", "skipped"])
async def test_what_somebody_else_closed_meanwhile_is_left_and_told(store: Store, act: str) -> None:
    house = await refused(store, 4)
    numbers = [e["id"] for e in await house.exceptions()]
    await exceptions.act(store, numbers[1], "retried", "bob")
    done = await exceptions.in_bulk(store, numbers, act, "ada")
    assert (done.done, done.closed_before) == ([numbers[0], *numbers[2:]], [numbers[1]])
    await house.work()
    assert house.erp.made == [subject(2)]
    assert len(await rows_of(store, schema.audit)) == 4
    await assert_one_status(store)


async def test_who_says_first_that_they_look_after_it_is_who_does(store: Store) -> None:
    house = await refused(store, 1)
    (one,) = await house.exceptions()
    for who in ("ada", "bob"):
        await exceptions.acknowledge(store, one["id"], who)
    assert (await exceptions.get(store, one["id"]))["acknowledged_by"] == "ada"
    assert [r["who"] for r in await rows_of(store, schema.audit)] == ["ada"]
    await exceptions.act(store, one["id"], "skipped", "ada")
    with pytest.raises(exceptions.NotOpen):
        await exceptions.acknowledge(store, one["id"], "ada")
