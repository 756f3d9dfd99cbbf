"""A cart before it is paid for: prices of this moment, stock of all lines together, whether the customer may buy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.conftest import ON_SQLITE
from tests.storefront_stage import ROOT, Stage, keep, product, storefront

from counterfoil.hub import records
from counterfoil.hub.store import Store
from counterfoil.processes.changes import changed
from counterfoil.processes.holding import Short
from counterfoil.retail.party import Account, Customer

pytestmark = ON_SQLITE

PLAN = """\
stock: {bundles: {SET: {MUG: 2, CUP: 1}}}
storefront: {blocked_by: [credit_hold]}
"""
NOW = datetime.now(UTC)


def ended(price: str, ago: timedelta) -> dict[str, object]:
    return {"price": price, "ends_at": (NOW - ago).isoformat()}


def euros(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


@pytest.fixture
async def stage(store: Store) -> AsyncIterator[Stage]:
    async with storefront(store, PLAN) as stage:
        await stage.sells(
            product("MUG"), product("CUP", variant={"sale": ended("7.50 EUR", timedelta(minutes=1))}), product("SET")
        )
        await stage.counts(MUG={"WH": 5}, CUP={"WH": 5})
        yield stage


async def validated(stage: Stage, *lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = await stage.client.post(f"{ROOT}/checkout/validate", json={"lines": lines, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def codes(verdict: dict[str, Any]) -> list[list[str]]:
    return [[problem["code"] for problem in line["problems"]] for line in verdict["lines"]]


async def test_a_cart_that_is_right_says_so(stage: Stage) -> None:
    verdict = await validated(stage, {"sku": "MUG", "quantity": 5, "price": euros("10")})
    assert (verdict["ok"], codes(verdict), verdict["stale"]) == (True, [[]], False)


async def test_each_line_says_what_is_not_right_with_it(stage: Stage) -> None:
    verdict = await validated(
        stage,
        {"sku": "MUG", "quantity": 6, "price": euros("9.99")},
        {"sku": "CUP", "quantity": 1, "price": euros("7.50")},
        {"sku": "GONE", "quantity": 1},
    )
    assert verdict["ok"] is False
    assert codes(verdict) == [["price_changed", "short"], ["promotion_ended"], ["no_such_sku"]]
    assert verdict["lines"][1]["price"]["now"] == {"amount": "10.00", "currency": "EUR"}
    other_money = await validated(stage, {"sku": "MUG", "quantity": 1, "price": {"amount": "10", "currency": "USD"}})
    assert codes(other_money) == [["price_changed"]]


async def test_a_channel_with_prices_of_its_own_is_not_told_of_ours(store: Store) -> None:
    async with storefront(store, "channels: {web: {publish: [stock]}}\n") as stage:
        await stage.sells(product("MUG"))
        await stage.counts(MUG={"WH": 5})
        verdict = await validated(stage, {"sku": "MUG", "quantity": 1, "price": euros("99")})
        assert (verdict["ok"], verdict["lines"][0]["price"]) == (True, None)


async def test_lines_that_share_a_component_are_counted_together(stage: Stage) -> None:
    """case: F18"""
    alone = await validated(stage, {"sku": "SET", "quantity": 2})
    assert alone["ok"]
    both = await validated(
        stage, {"sku": "SET", "quantity": 2}, {"sku": "MUG", "quantity": 2}, {"sku": "CUP", "quantity": 1}
    )
    assert codes(both) == [["short"], ["short"], []]  # four and two of five mugs; cups are enough


async def test_what_the_shoppers_own_reservation_holds_counts_as_there(stage: Stage) -> None:
    held = await stage.context.reservations.hold("web", [("MUG", 5000)])
    assert not isinstance(held, Short)
    await stage.looked()
    line = {"sku": "MUG", "quantity": 5}
    assert codes(await validated(stage, line)) == [["short"]]
    mine = await validated(stage, line, reservation=held.id)
    assert (mine["ok"], mine["reservation_holds"]) == (True, True)
    await stage.context.reservations.release("web", held.id)
    gone = await validated(stage, line, reservation=held.id)
    assert (gone["ok"], gone["reservation_holds"]) == (False, False)


async def test_a_customer_is_blocked_by_a_field_of_any_of_their_records(stage: Stage) -> None:
    line = {"sku": "MUG", "quantity": 1}
    blocked = Customer(id="77", email="Kim@Example.com", name="Kim")
    crm = Account(system="other", id="77", customer=blocked, extra={"credit_hold": "yes"})
    fine = Account(
        system="web", id="5", customer=Customer(id="5", email="lee@example.com"), extra={"credit_hold": False}
    )
    for account in (crm, fine):
        await keep(stage.store, account.system, "customer", account.id, account)
        async with stage.store.write() as connection:
            told = changed(account.system, "customer", account, NOW, ("1",))
            await records.keep_events(connection, stage.store, [told])
    async with stage.store.write() as connection:  # the shop's account 12 is the CRM's record 77
        await records.keep_links(connection, stage.store, "other", {"web:customer:12": "77"})
    by_email = await validated(stage, line, customer={"email": " kim@example.com "})
    by_link = await validated(stage, line, customer={"id": "12"})
    nobody = await validated(stage, line, customer={"id": "5", "email": "lee@example.com"})
    said = [(v["ok"], v["customer"]["blocked"]) for v in (by_email, by_link, nobody)]
    assert said == [(False, True), (False, True), (True, False)]
