"""An import tells of what was before the cut-over: kept as history, without side effects, whatever comes later."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.fakes import SHOP, House, assert_one_status, at, payload, raw, rows_of, stock_level, subject, told_by_erp

from counterfoil.hub import records, schema
from counterfoil.hub.contract import Item, Outcome, done
from counterfoil.hub.receipts import Arrival, take
from counterfoil.hub.store import Store
from counterfoil.retail.fulfilment import ErpState, Fulfilment

CUT_OVER = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)  # the orders were placed at nine

ALL = "".join(
    f"  - {{on: {event}, from: shop, do: erp.accept_order}}\n"
    for event in ("order.placed", "order.paid", "order.changed", "order.completed", "order.cancelled")
)
FLOWS = (
    ALL
    + """\
  - {on: order.history, from: shop, do: erp.post_refund}
  - {on: order.refunded, from: shop, do: erp.post_refund}
  - {on: order.confirmed, from: shop, do: shop.tell_order}
  - {on: stock.changed, from: erp, do: shop.publish_stock}
"""
)


def house_of(store: Store) -> House:
    """A hub whose shop has a cut-over date."""
    return House(store, FLOWS, cut_over=CUT_OVER)


async def bring(house: House, *bodies: bytes) -> None:
    """These orders come with an import."""
    await house.hear(*bodies, origin="import")


async def stages(store: Store) -> dict[str, str]:
    """The stage of each of the shop's orders."""
    return {r["object_id"]: r["stage"] for r in await rows_of(store, schema.object_, system=SHOP)}


async def test_old_orders_come_as_history_and_nothing_else_happens(store: Store) -> None:
    house = house_of(store)
    bodies = [
        payload(n, status=s) for n, s in enumerate(("completed", "processing", "cancelled", "pending", "on_hold"))
    ]
    await bring(house, *bodies)
    assert sorted(await house.events()) == ["order.history"] * 3
    assert await stages(store) == {"0": "history", "1": "history", "2": "not_wanted", "3": "not_wanted", "4": "history"}
    assert {c.operation for c in house.erp.calls} == {"post_refund"}


async def test_an_import_that_is_run_again_says_nothing_new(store: Store) -> None:
    house = house_of(store)
    for _ in range(2):
        await bring(house, payload(1, status="completed"))
    assert await house.events() == ["order.history"]


async def test_an_old_order_that_a_webhook_told_of_before_is_imported_all_the_same(store: Store) -> None:
    """It was left alone then, and the body is the very same."""
    house = house_of(store)
    await house.hear(payload(1, status="completed"))
    assert await stages(store) == {"1": "not_wanted"}
    await bring(house, payload(1, status="completed"))
    assert await stages(store) == {"1": "history"}
    assert await house.events() == ["order.not_wanted", "order.history"]
    await assert_one_status(store)


async def test_an_import_does_not_turn_a_live_order_into_history(store: Store) -> None:
    house = house_of(store)
    await house.hear(payload(1, placed=at(0)))
    await bring(house, payload(1, placed=at(0)))
    assert await stages(store) == {"1": "placed"}
    assert await house.events(subject(1)) == ["order.placed", "order.accepted"]


@pytest.mark.parametrize(
    "change",
    [{"status": "completed"}, {"status": "cancelled"}, {"total": "13.00"}, {"paid": at(1)}, {"street": "2 rue Basse"}],
    ids=str,
)
async def test_a_later_webhook_of_history_has_no_side_effects(store: Store, change: dict[str, Any]) -> None:
    house = house_of(store)
    await bring(house, payload(1))
    await house.hear(payload(1, modified=at(5), **change))
    assert await house.events() == ["order.history"]
    assert (await rows_of(store, schema.object_))[0]["version"].startswith("2026-11-02T10:00:05")


async def test_a_refund_of_history_arrives(store: Store) -> None:
    """case: F31"""
    house = house_of(store)
    await bring(house, payload(1, status="completed"))
    await house.hear(payload(1, modified=at(5), status="completed", refunds=["5.00"]))
    assert await house.events() == ["order.history", "order.refunded"]
    assert [i.event_type for i in house.erp.items] == ["order.history", "order.refunded"]


async def test_what_the_erp_says_of_history_is_kept_and_not_told_to_the_shop(store: Store) -> None:
    """The imported order stands confirmed in the ERP: the shop's old order must not be touched for it."""
    house = house_of(store)
    await bring(house, payload(1, status="on_hold"))
    for number in (1, 2):
        state = Fulfilment(order=subject(number), id="4", number="S4", state=ErpState.CONFIRMED)
        await house.erp_says("fulfilment", state, at(9), subject(number))
    await house.work()
    assert [c.subjects for c in house.shop.calls if c.operation == "tell_order"] == [(subject(2),)]
    assert await house.events(subject(1)) == ["order.history"]
    assert len(await rows_of(store, schema.object_, kind="fulfilment")) == 2


async def test_an_imported_stock_is_known_and_not_told(store: Store) -> None:
    house = house_of(store)
    arrival = told_by_erp("stock", stock_level(5), at(0))
    async with store.write() as connection:
        await take(connection, store, [Arrival(arrival.system, "import", arrival.raw)])
    await house.work()
    assert await house.events() == []
    await house.erp_says("stock", stock_level(4), at(1))
    await house.work()
    assert await house.events() == ["stock.changed"]


async def test_import_receipts_are_kept_even_if_their_body_was_seen(store: Store) -> None:
    house = house_of(store)
    await house.hear(payload(1))
    async with store.write() as connection:
        assert await take(connection, store, [Arrival(SHOP, "poll", raw(payload(1)))]) == 0
        assert await take(connection, store, [Arrival(SHOP, "import", raw(payload(1)))]) == 1


# --- told again -------------------------------------------------------------------------------------------------


async def test_the_stock_of_an_article_new_to_the_channel_is_told_again(store: Store) -> None:
    """Its stock was told before the channel had it; the stock itself has not changed since."""
    flows = FLOWS + "  - {on: product.changed, from: erp, do: shop.publish_product}\n"
    house = House(store, flows + "  - {on: order.placed, do: shop.publish_product}\n")
    await house.erp_says("stock", stock_level(5), at(0))
    await house.work()
    assert len([c for c in house.shop.calls if c.operation == "publish_stock"]) == 1

    async def publish(_item: Item) -> Outcome:
        return done({"new_articles": ["erp:variant:1", "erp:variant:99"]}, emits=("product.published",))

    house.shop.plan(subject(1), publish)
    await house.hear(payload(1))
    published = [i for i in house.shop.items if i.event_type == "stock.changed"]
    assert [(i.subject, i.data["state"]["places"][0]["on_hand"]) for i in published] == [("erp:variant:1", "5")] * 2
    told = await rows_of(store, schema.event, type="stock.changed")
    (cause,) = await rows_of(store, schema.event, type="product.published")
    assert sorted(bool(t["causation"]) for t in told) == [False, True]
    assert cause["id"] in {t["causation"] for t in told}


@pytest.mark.parametrize(("object_id", "again"), [("55", True), ("7/55", True), ("55/7", False)], ids=str)
async def test_stock_that_the_channel_moved_itself_is_told_again(store: Store, object_id: str, again: bool) -> None:
    """We cancelled the order in the shop, and the shop put the goods back on its own count."""
    house = House(store, FLOWS + "  - {on: order.accepted, from: shop, do: shop.tell_order}\n")
    await house.erp_says("stock", stock_level(5), at(0))
    await house.work()
    async with store.write() as connection:
        await records.keep_links(connection, store, SHOP, {"erp:variant:1": object_id})
    house.shop.plan(subject(1), done({"stock_moved": True}, emits=("order.told",)))
    await house.hear(payload(1, placed=at(0), product_id="55"))
    assert len(await rows_of(store, schema.event, type="stock.changed")) == (2 if again else 1)
    published = [i.data["state"]["places"][0]["on_hand"] for i in house.shop.items if i.event_type == "stock.changed"]
    assert published == (["5", "5"] if again else ["5"])
