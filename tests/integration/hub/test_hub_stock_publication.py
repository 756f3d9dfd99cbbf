"""What the channels are told of stock: one number, told wherever it differs from what they were told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.conftest import ON_POSTGRESQL
from tests.counting import NO_ERP, Warehouse, article
from tests.fakes import ERP, payload, rows_of

from counterfoil.hub import schema
from counterfoil.hub.contract import Item, Outcome, done
from counterfoil.hub.store import Store
from counterfoil.processes.publication import begin
from counterfoil.retail.money import Money
from counterfoil.retail.product import SalePrice

BOTH = f"{NO_ERP}  - {{on: stock.changed, from: erp, do: erp.publish_stock, on_exception: pass}}\n"
"""The fake ERP's publish_stock stands for a marketplace."""


async def test_an_order_on_the_web_lowers_what_all_channels_are_told(store: Store) -> None:
    """No reading of the ERP has to come first. case: F22"""
    house = Warehouse(store, BOTH)
    await house.reads(8)
    await house.tells()
    await house.hear(payload(1))
    await house.tells()
    assert (house.told(), house.told(house.erp)) == ([8, 7], [8, 7])
    assert await house.tells() == 0, "and nothing more is to be told"


async def test_a_channel_that_subtracts_its_own_orders_is_told_what_stands_on_the_shelf(store: Store) -> None:
    """Never both: what is on hand and less what was sold. case: F16"""
    house = Warehouse(store, NO_ERP, "channels: {shop: {stock: on_hand}}\n")
    await house.reads(8, outgoing=3)
    await house.tells()
    await house.hear(payload(1))
    await house.tells()
    assert house.told() == [8]


async def test_a_number_that_moves_while_the_channel_is_called_is_told_again(store: Store) -> None:
    house = Warehouse(store, NO_ERP)
    await house.reads(8)

    async def slowly(item: Item) -> Outcome:
        await house.holds(1)
        return done({})

    house.shop.plan(article(), slowly)
    await house.hear(payload(1))
    await house.tells()
    await house.tells()
    assert house.told() == [8, 7, 6]


async def test_a_bundle_is_told_when_there_are_fewer_of_its_parts(store: Store) -> None:
    house = Warehouse(store, NO_ERP, "stock: {bundles: {SET: {MUG: 2, BOX: 1}}}\n")
    await house.lists(3, "SET")
    await house.reads(9)
    await house.reads(7, number=2)
    await house.tells()
    await house.hear(payload(1, sku="SET"))
    await house.tells()
    await house.holds(2)
    await house.tells()
    assert (house.told(number=3), house.told(), house.told(number=2)) == ([4, 3, 2], [9, 7, 5], [7, 6])


@pytest.mark.parametrize("campaign", [False, True])
async def test_the_last_ones_and_campaigns_overtake_and_the_others_are_gathered(store: Store, campaign: bool) -> None:
    house = Warehouse(store, NO_ERP)
    await house.lists(1, "MUG", SalePrice(price=Money.of("9", "EUR")) if campaign else None)
    await house.reads(50, number=2)
    await house.reads(60 if campaign else 5)
    await house.tells()
    await house.holds(1, number=2)
    assert await house.publication.look(gather=60.0) == 0, "it may change further"
    assert await house.publication.look(gather=0.0) == 1
    await house.holds(1)
    assert await house.publication.look(gather=60.0) == 1
    lanes = {row["key"]: row["due_at"] for row in await rows_of(store, schema.lane, stream="stock")}
    assert lanes[article(1)] <= lanes[article(2)]


async def test_what_the_erp_takes_away_from_under_a_promise_is_put_before_a_person_until_it_is_there(
    store: Store,
) -> None:
    """Zero in the ERP, one sold that it does not have yet. case: F23"""
    house = Warehouse(store, NO_ERP, "exceptions: {oversold: stock-keeper}\n")
    await house.reads(1)
    await house.hear(payload(1))
    await house.tells()
    assert await house.exceptions() == []
    await house.reads(0)
    await house.tells()
    await house.tells()
    [told] = await house.exceptions()
    assert (told["reason"], told["owner"], told["subject"]) == ("oversold", "stock-keeper", article())
    assert "Of MUG 0 are on hand" in told["message"]
    assert house.told()[-1] == 0, "a channel is never told less than nothing"
    await house.reads(1)
    await house.tells()
    assert await house.exceptions() == []
    assert [e["note"] for e in await house.exceptions("resolved")] == ["there is enough again"]


async def test_what_may_be_sold_on_back_order_is_no_oversale(store: Store) -> None:
    house = Warehouse(store, NO_ERP, "channels: {shop: {}}\nstock: {beyond: [{kind: back_order, limit: 2}]}\n")
    await house.reads(0, outgoing=2)
    await house.tells()
    assert await house.exceptions() == []
    await house.reads(0, outgoing=3)
    await house.tells()
    assert [e["reason"] for e in await house.exceptions()] == ["oversold"]


@ON_POSTGRESQL
async def test_two_processes_tell_an_article_once(store: Store, another_store: Callable[[], Awaitable[Store]]) -> None:
    house, other = Warehouse(store, NO_ERP), Warehouse(await another_store(), NO_ERP)
    await house.reads(8)
    await house.tells()
    await house.hear(payload(1))
    looked = await asyncio.gather(house.publication.look(0.0), other.publication.look(0.0))
    assert sum(looked) == 1
    await house.work()
    assert house.told() == [8, 7]


async def test_levels_known_before_stock_was_counted_are_taken_over_once(store: Store) -> None:
    """A newer reading that is there already stays."""
    house = Warehouse(store, NO_ERP)
    await house.reads(8)
    await house.reads(3, number=2)
    async with store.write() as connection:
        await connection.execute(schema.stock.delete().where(schema.stock.c.article == article(1)))
    await begin(store, ERP)
    await begin(store, ERP)
    assert (await house.promised(1), await house.promised(2)) == (8, 3)
