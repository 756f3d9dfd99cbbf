"""Refunds against the shop's stand-in over HTTP: read whole, found wherever they are, missed when they are gone."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from tests.woocommerce_shop import SYSTEM, T0, feed, item, poll, run, settings

from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil.hub.contract import NOT_PAID_OUT, Failure, Kind, Outcome, Raw
from counterfoil.retail.order import Order, Refund
from counterfoil_sandbox.woocommerce import ShopApp
from counterfoil_sandbox.woocommerce_orders import make_order

DAY = 86_400


def state_of(app: ShopApp, shop: WooCommerce, number: int = 1000) -> Order:
    state = shop.decode(Raw("order", str(number), json.dumps(app.shop.order(number)).encode())).state
    assert isinstance(state, Order)
    return state


async def read(app: ShopApp, shop: WooCommerce, before: Order | None = None, number: int = 1000) -> Outcome:
    now = state_of(app, shop, number)
    data: dict[str, Any] = {"order": now.model_dump(mode="json")}
    if before is not None:
        data["before"] = before.model_dump(mode="json")
    return (await run(shop, "read_refunds", item(now.canonical_id, "order.refunded", now, **data)))[0]


def refunds_in(outcome: Outcome) -> list[Refund]:
    return [Refund.model_validate(entry) for entry in outcome.result["refunds"]]


def parent(raw: Raw) -> int:
    return int(raw.object_id)


# -- reading them whole


async def test_refunds_by_line_by_amount_and_in_full(app: ShopApp, shop: WooCommerce) -> None:
    """All of them, whole, oldest first, with the amounts the customer got."""
    order = app.shop.place(make_order(0), at=T0 - DAY)
    line = order["line_items"][0]
    by_line = app.shop.refund(1000, lines=[line["id"]], reason="Too small")
    app.shop.refund(1000, "1.50", "Goodwill")
    outcome = await read(app, shop)
    assert (outcome.kind, outcome.link, outcome.emits) == (Kind.DONE, "1000", ("order.refund_read",))
    first, second = refunds_in(outcome)
    assert (first.reason, first.amount.amount) == ("Too small", Decimal(by_line["amount"]))
    assert first.lines[0].line == str(line["id"])
    assert first.lines[0].quantity == line["quantity"]
    assert first.lines[0].net.amount == Decimal(line["total"])
    assert sum(t.amount.amount for t in first.lines[0].taxes) == Decimal(line["total_tax"])
    assert first.amount.currency == order["currency"]
    assert (second.amount.amount, second.lines, second.is_whole) == (Decimal("1.50"), (), True)
    app.shop.change(1000, status="refunded")
    rest = refunds_in(await read(app, shop))[-1]
    assert rest.reason == "Order fully refunded."
    assert sum(r.amount.amount for r in refunds_in(await read(app, shop))) == Decimal(order["total"])


async def test_more_refunds_than_a_page_holds(app: ShopApp, shop: WooCommerce) -> None:
    """case: F39. 230 of them: every one, once."""
    app.shop.place(make_order(0), at=T0 - DAY)
    for _ in range(230):
        app.shop.refund(1000, "0.01")
    found = refunds_in(await read(app, shop))
    assert len({refund.id for refund in found}) == len(found) == 230


async def test_a_lost_answer_is_asked_again(app: ShopApp, shop: WooCommerce) -> None:
    """Reading moves nothing, so it may be repeated."""
    app.shop.place(make_order(0), at=T0 - DAY)
    app.shop.refund(1000, "1.00")
    before = app.shop.order(1000)
    app.faults.add("lost_answer", path="refunds")
    assert (await read(app, shop)).kind is Kind.DOWN
    assert len(refunds_in(await read(app, shop))) == 1
    assert app.shop.order(1000) == before


async def test_each_item_has_its_own_outcome(app: ShopApp, shop: WooCommerce) -> None:
    """case: F17. One order is gone for good, one refund cannot be read: they alone fail."""
    items = []
    for n in range(50):
        app.shop.place(make_order(n), at=T0 - DAY)
        app.shop.refund(1000 + n, "1.00")
        now = state_of(app, shop, 1000 + n)
        items.append(item(now.canonical_id, "order.refunded", now))
    app.shop.delete(1003, force=True)
    app.shop.stored[1007].refunds[0]["amount"] = "a lot"
    outcomes = await run(shop, "read_refunds", *items)
    failed = {n: o.reason for n, o in enumerate(outcomes) if o.kind is not Kind.DONE}
    assert failed == {3: "not_in_shop", 7: "bad_amount"}
    assert "refunds[0].amount" in outcomes[7].message


# -- pending, failed, deleted


async def test_a_pending_refund_that_the_order_tells_of(app: ShopApp, shop: WooCommerce) -> None:
    """case: F29. It goes out marked as pending; once the shop says that it is through, the order differs."""
    app.shop.place(make_order(0), at=T0 - DAY)
    app.shop.refund(1000, "1.00")
    app.shop.change(1000, meta_data=[{"id": 1, "key": "_wcpay_refund_status", "value": "pending"}])
    pending = state_of(app, shop)
    assert [r.pending for r in refunds_in(await read(app, shop))] == [True]
    app.shop.change(1000, meta_data=[{"id": 1, "key": "_wcpay_refund_status", "value": "successful"}])
    assert [r.pending for r in refunds_in(await read(app, shop))] == [False]
    assert state_of(app, shop).refunds != pending.refunds


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        ("pending", Kind.RETRY, "refund_pending"),
        ("requires_action", Kind.RETRY, "refund_pending"),
        ("failed", Kind.REJECTED, "refund_failed"),
        ("succeeded", Kind.DONE, ""),
    ],
)
async def test_a_refund_that_says_so_itself(
    app: ShopApp, shop: WooCommerce, status: str, kind: Kind, reason: str
) -> None:
    """case: F29, F30. Nothing of it is told until it is through; a failed one is a person's."""
    app.shop.place(make_order(0), at=T0 - DAY)
    refund = app.shop.refund(1000, "1.00")
    app.shop.stored[1000].refunds[0]["meta_data"] = [{"id": 1, "key": "_stripe_refund_status", "value": status}]
    outcome = await read(app, shop)
    assert (outcome.kind, outcome.reason) == (kind, reason)
    assert outcome.result.get(NOT_PAID_OUT) == (None if kind is Kind.DONE else [str(refund["id"])])
    assert bool(outcome.emits) is (kind is Kind.DONE)


async def test_a_refund_deleted_after_it_was_told_of_is_a_persons(app: ShopApp, shop: WooCommerce) -> None:
    """It may be booked by now: nothing undoes that by itself. With a new one beside it, both are passed on."""
    app.shop.place(make_order(0), at=T0 - DAY)
    refund = app.shop.refund(1000, "1.00")
    before = state_of(app, shop)
    app.shop.delete_refund(1000, refund["id"])
    outcome = await read(app, shop, before)
    assert (outcome.kind, outcome.reason, outcome.emits) == (Kind.REJECTED, "refund_deleted", ())
    assert f"{refund['id']} of 1.00" in outcome.message
    other = app.shop.refund(1000, "2.00")
    outcome = await read(app, shop, before)
    assert (outcome.kind, outcome.result["gone"]) == (Kind.DONE, [str(refund["id"])])
    assert [r.id for r in refunds_in(outcome)] == [str(other["id"])]


async def test_a_deleted_refund_of_nothing_is_nothing(app: ShopApp, shop: WooCommerce) -> None:
    """WooCommerce takes refunds of 0.00."""
    app.shop.place(make_order(0), at=T0 - DAY)
    refund = app.shop.refund(1000, "0.00")
    before = state_of(app, shop)
    app.shop.delete_refund(1000, refund["id"])
    assert (await read(app, shop, before)).kind is Kind.DONE


# -- the reconciling look


async def test_a_refund_on_an_old_order_arrives(app: ShopApp, shop: WooCommerce) -> None:
    """case: F31. An order of two years ago, refunded today: by the orders' feed and by the refunds' alike."""
    for n in range(3):
        app.shop.place(make_order(n), at=T0 - 730 * DAY + n)
    _, orders = await poll(shop, {})
    _, refunds = await poll(shop, {}, "refunds")
    app.shop.refund(1001, "1.00")
    by_order, _ = await poll(shop, orders)
    by_refund, cursor = await poll(shop, refunds, "refunds")
    assert [parent(raw) for raw in by_order] == [parent(raw) for raw in by_refund] == [1001]
    assert by_order[0].body == by_refund[0].body  # so that the hub drops the second
    assert (await poll(shop, cursor, "refunds"))[0] == []


async def test_a_deleted_refund_brings_its_order_again(app: ShopApp, shop: WooCommerce) -> None:
    """case: F31. Deleting moves nothing and sends nothing: the orders' feed is blind to it, the comparison is not."""
    for n in range(5):
        app.shop.place(make_order(n), at=T0 - 10 * DAY + n)
    refund = app.shop.refund(1002, "1.00")
    app.shop.refund(1003, "1.00")
    app.shop.set_clock(frozen_at=T0 + 600)
    _, orders = await poll(shop, {})
    first, refunds = await poll(shop, {}, "refunds")
    assert [parent(raw) for raw in first] == [1002, 1003]
    app.shop.delete_refund(1002, refund["id"])
    assert (await poll(shop, orders))[0] == []
    receipts, refunds = await poll(shop, refunds, "refunds")
    assert [parent(raw) for raw in receipts] == [1002]
    state = shop.decode(receipts[0]).state
    assert isinstance(state, Order)
    assert state.refunds == ()
    assert (await poll(shop, refunds, "refunds"))[0] == []


async def test_what_leaves_the_window_is_not_taken_for_deleted(app: ShopApp, url: str) -> None:
    """The window moves on by the shop's clock; only what was deleted within it shows."""
    shop = WooCommerce(SYSTEM, settings(url, refund_window="10d"))
    app.shop.place(make_order(0), at=T0 - 90 * DAY)
    cursor: dict[str, Any] = {}
    seen = []
    for day in range(40):
        app.shop.set_clock(frozen_at=T0 + day * DAY)
        if day % 3 == 0:
            app.shop.refund(1000, "0.01")
        receipts, cursor = await poll(shop, cursor, "refunds")
        seen.append(len(receipts))
        assert len(cursor["orders"].get("1000", [])) <= 4
    assert seen == [1 if day % 3 == 0 else 0 for day in range(40)]
    app.shop.delete_refund(1000, int(cursor["orders"]["1000"][0]))
    assert len((await poll(shop, cursor, "refunds"))[0]) == 1
    await shop.close()


async def test_a_round_broken_off_is_done_again(app: ShopApp, shop: WooCommerce) -> None:
    """case: F08. The cursor moves on only after the last receipts: a crash in between skips nothing."""
    for n in range(250):
        app.shop.place(make_order(n), at=T0 - DAY)
        app.shop.refund(1000 + n, "0.01")
    pages = feed(shop, "refunds").poll({})
    page = await anext(pages)
    assert (len(page.receipts), page.cursor) == (100, {})
    app.faults.add("down")
    with pytest.raises(Failure):
        await anext(pages)
    app.faults.clear()
    receipts, _ = await poll(shop, page.cursor, "refunds")
    assert {parent(raw) for raw in receipts} == set(range(1000, 1250))


async def test_a_shop_older_than_the_list_of_all_refunds(app: ShopApp, shop: WooCommerce) -> None:
    """Without /refunds the orders of the window are compared by what they say."""
    gone = '{"code":"rest_no_route","message":"No route was found","data":{"status":404}}'
    app.faults.add("status", path="/v3/refunds", status=404, body=gone, times=-1)
    for n in range(3):
        app.shop.place(make_order(n), at=T0 - DAY + n)
    refund = app.shop.refund(1001, "1.00")
    first, cursor = await poll(shop, {}, "refunds")
    assert [parent(raw) for raw in first] == [1001]
    assert (await poll(shop, cursor, "refunds"))[0] == []
    app.shop.delete_refund(1001, refund["id"])
    receipts, cursor = await poll(shop, cursor, "refunds")
    assert [parent(raw) for raw in receipts] == [1001]
    assert (await poll(shop, cursor, "refunds"))[0] == []


async def test_other_trouble_with_the_list_stops_the_round(app: ShopApp, shop: WooCommerce) -> None:
    """Only a missing route means an old shop."""
    app.faults.add("status", path="/v3/refunds", status=401, body='{"code":"woocommerce_rest_cannot_view"}')
    with pytest.raises(Failure) as caught:
        await poll(shop, {}, "refunds")
    assert caught.value.outcome.kind is Kind.MISCONFIGURED
