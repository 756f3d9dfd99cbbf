"""What one operation may not do stops that operation: one exception, the system's others go on, nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from tests.fakes import ERP, SHOP, House, at, failing, hasten, payload, rows_of, subject, until

from counterfoil.hub import claiming, exceptions, schema, systems
from counterfoil.hub.contract import ONE_OPERATION, WHOLE_SYSTEM, Kind
from counterfoil.hub.store import Store

FLOWS = """\
  - {on: order.placed, do: shop.note_order}
  - {on: order.placed, do: erp.accept_order}
"""
OWN = f"{SHOP}.note_order"


def refused(house: House, *numbers: int, reason: str = "no_right") -> None:
    """The shop refuses to note these orders."""
    for n in numbers:
        house.shop.always[subject(n)] = failing(Kind.MISCONFIGURED, reason, message="May not.")


async def is_paused(store: Store) -> bool:
    return OWN in await systems.closed(store)


async def is_parked(store: Store) -> bool:
    """Paused, and no call is out to try it: what came of the last one is kept, and its lanes are given back."""
    state = (await systems.closed(store)).get(OWN)
    if state is None or state.wait <= 0 or state.probing:
        return False
    return all(row["worker"] is None for row in await rows_of(store, schema.lane, system=SHOP))


async def are_made(house: House, *numbers: int) -> bool:
    return {subject(n) for n in numbers} <= set(house.erp.made)


def test_a_reason_is_for_the_system_or_for_one_operation() -> None:
    assert not ONE_OPERATION & WHOLE_SYSTEM


@pytest.mark.parametrize("reason", ["no_right", "tax_basis_differs"])
async def test_it_is_one_exception_however_many_wait(store: Store, reason: str) -> None:
    """Forty orders wait; each look is one call with one order."""
    house = House(store, FLOWS)
    refused(house, *range(40), reason=reason)
    await house.receive(*[payload(n) for n in range(40)])
    async with house.working():
        await until(lambda: is_paused(store))
        await until(lambda: are_made(house, *range(40)))
        for _ in range(3):
            await until(lambda: is_parked(store))
            so_far = len(house.shop.calls)
            await hasten(store)

            async def looked(so_far: int = so_far) -> bool:
                return len(house.shop.calls) > so_far

            await until(looked)
            assert {len(call.subjects) for call in house.shop.calls[so_far:]} == {1}
    (told,) = await house.exceptions()
    assert (told["system"], told["operation"], told["reason"]) == (SHOP, "note_order", reason)
    assert set(await systems.closed(store)) == {OWN}
    assert house.shop.history == []


async def test_other_operations_of_the_system_go_on(store: Store) -> None:
    """The same stream, the same system: what is said of another order still gets there."""
    flows = "  - {on: order.cancelled, do: shop.note_order}\n  - {on: order.placed, do: shop.tell_order}\n"
    house = House(store, flows)
    await house.hear(payload(0))
    refused(house, 0)
    await house.receive(payload(0, modified=at(1), status="cancelled"))
    async with house.working():
        await until(lambda: is_paused(store))
        await house.receive(payload(1))

        async def told() -> bool:
            return ("tell_order", subject(1)) in house.shop.history

        await until(told)
        assert await is_paused(store)


@pytest.mark.parametrize("by_hand", [False, True], ids=["by itself", "retried"])
async def test_it_goes_on_where_it_stopped(store: Store, by_hand: bool) -> None:
    """The right was given: all that waited is carried out, with no attempt counted, and the exception is over."""
    house = House(store, FLOWS)
    refused(house, *range(5))
    await house.receive(*[payload(n) for n in range(5)])
    async with house.working():
        await until(lambda: is_parked(store))
        house.shop.always.clear()
        if by_hand:
            (told,) = await house.exceptions()
            await exceptions.act(store, told["id"], "retried", "anna")
            assert (await systems.closed(store))[OWN].wait <= 0
        await hasten(store)

        async def all_noted() -> bool:
            return {("note_order", subject(n)) for n in range(5)} <= set(house.shop.history)

        await until(all_noted)
    assert (await house.exceptions(), await systems.closed(store)) == ([], {})
    assert {attempt for call in house.shop.calls for attempt in call.attempts} == {1}


async def test_who_says_go_on_just_as_it_is_looked_at_does_not_wait_for_the_next_look(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker has read that it is paused, and claims what waits after somebody has had that ended."""
    house = House(store, FLOWS)
    refused(house, 0)
    await house.receive(payload(0))
    claim, late = claiming.claim, False

    async def claimed_late(*of: Any, **more: Any) -> Any:
        nonlocal late
        if not late and of[2] == SHOP and await is_parked(store):
            late = True
            await hasten(store)
        return await claim(*of, **more)

    async with house.working():
        await until(lambda: is_parked(store))
        house.shop.always.clear()
        monkeypatch.setattr(claiming, "claim", claimed_late)
        async with store.write() as connection:  # in its time, and once more
            await connection.execute(sa.update(schema.lane).values(due_at=0))
        store.wake()

        async def noted() -> bool:
            return house.shop.history == [("note_order", subject(0))]

        await until(noted)
    assert late


async def test_a_refused_key_still_closes_the_system(store: Store) -> None:
    house = House(store, FLOWS)
    refused(house, 0, reason="unauthorized")
    await house.receive(payload(0))
    async with house.working():

        async def is_closed() -> bool:
            return set(await systems.closed(store)) == {SHOP}

        await until(is_closed)
    assert ERP not in await systems.closed(store)
    (told,) = await house.exceptions()
    assert told["operation"] == ""
