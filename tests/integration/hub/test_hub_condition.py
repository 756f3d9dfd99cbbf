"""What `counterfoil status` says of systems: closed ones, limits, pressure."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from tests.fakes import ERP, SHOP, House, payload

from counterfoil.blueprint import Limits, parse_rate
from counterfoil.doors import assembly
from counterfoil.hub import condition, limits, schema, systems
from counterfoil.hub.contract import Kind, Outcome
from counterfoil.hub.room import Room
from counterfoil.hub.store import Store
from counterfoil.hub.worker import streams_of

EXAMPLE = Path(__file__).parents[3] / "examples" / "blueprint.yaml"


async def seen(house: House) -> dict[str, object]:
    """What is said of the house."""
    return await condition.of(house.store, house.blueprint, streams_of({SHOP: house.shop, ERP: house.erp}))


async def test_all_is_well(store: Store) -> None:
    calm = {"high": False, "due": 0, "lag": 0.0}
    assert await seen(House(store)) == {"systems_closed": {}, "limits": {}, "pressure": calm}


async def test_a_closed_system_says_why_since_when_and_when_it_is_tried(store: Store) -> None:
    house = House(store)
    away = Outcome(Kind.DOWN, "unreachable", "It does not answer.")
    async with store.write() as connection:
        await systems.close_system(connection, store, ERP, away)
        await connection.execute(sa.update(schema.system_state).values(since=1.8e9, open_until=store.now + 20.4))
    told = {"outcome": "down", "reason": "unreachable", "message": "It does not answer."}
    told |= {"since": "2027-01-15T08:00:00Z", "failures": 1, "again": "in 20 s"}  # type: ignore[dict-item]
    assert (await seen(house))["systems_closed"] == {ERP: told}
    async with store.write() as connection:
        await connection.execute(sa.update(schema.system_state).values(open_until=0))
    assert await systems.take_probe(store, ERP, "me", 60.0)
    assert (await seen(house))["systems_closed"] == {ERP: told | {"again": "being tried"}}


async def test_limits_are_shown_declared_and_learnt(store: Store) -> None:
    house = House(store)
    declared = Limits(rate=parse_rate("10/s"), concurrency=4)
    erp = house.blueprint.systems[ERP].model_copy(update={"limits": declared})
    house.blueprint = house.blueprint.model_copy(update={"systems": {**house.blueprint.systems, ERP: erp}})
    await limits.take_turn(store, ERP, "accept_order", 1, limits=declared)
    await limits.learn(store, SHOP, [Room(4, 10.0)], 1)
    assert (await seen(house))["limits"] == {
        SHOP: {"learnt_seconds_between": 2.5},
        ERP: {"rate": "10/s", "concurrency": 4, "calls_out": 1},
    }


async def test_pressure_is_shown(store: Store) -> None:
    house = House(
        store, "  - {on: order.placed, do: erp.accept_order, when_down: critical}\n", "pressure: {lag: 10s}\n"
    )
    await house.receive(payload(1), payload(2))
    async with store.write() as connection:
        await connection.execute(sa.update(schema.lane).values(due_at=store.now - 60.0))
    shown = (await seen(house))["pressure"]
    assert isinstance(shown, dict)
    assert (shown["high"], shown["due"]) == (True, 2)
    assert 60.0 <= shown["lag"] < 120.0


def test_the_command_line_knows_the_streams_without_connecting() -> None:
    plan = assembly.load(EXAMPLE, require_secrets=False)
    known = assembly.streams(plan)
    assert known["odoo.accept_order"] == known["web-eu.tell_order"] == "order"
    assert {flow.do for flow in plan.flows if flow.system != "hub"} <= known.keys()
