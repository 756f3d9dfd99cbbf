"""Orders from a shop into an Odoo through the whole hub, and the troubles on the way."""

from __future__ import annotations

import time

from tests.integration.doors.conftest import Scene, at_rest, open_exceptions, until

from counterfoil.doors.serve import Hub
from counterfoil.hub import exceptions, systems, timeline
from counterfoil.hub.views import search
from counterfoil_lab import resting
from counterfoil_lab.resting import feeds_of


def paid(scene: Scene, **fields: object) -> int:
    """A paid order placed in the shop; its number."""
    order = scene.shop.shop.place(status="processing", payment_method="bacs", **fields)
    now = order["date_created"]
    scene.shop.shop.change(order["id"], date_paid=now, date_paid_gmt=order["date_created_gmt"])
    return int(order["id"])


async def polled_again(running: Hub) -> None:
    """Every quick feed has looked once more from now on, and nothing is left to do."""
    now, feeds = time.time(), feeds_of(running.connectors, 5.0)
    await until(lambda: resting.at_rest(running.store, feeds, now))


async def test_a_paid_order_stands_in_odoo_confirmed_and_paid_and_the_shop_knows_its_number(scene: Scene) -> None:
    async with scene.hub() as running:
        number = paid(scene)
        await until(lambda: bool(scene.in_odoo(number)))
        await at_rest(running, scene)
        order = scene.in_odoo(number)[0]
        assert order["state"] == "sale"
        meta = {m["key"]: m["value"] for m in scene.shop.shop.order(number)["meta_data"]}
        assert meta["_counterfoil_erp_number"] == order["name"]
        verdict = scene.verdict()
        assert (verdict["finished_share"], verdict["lost"], verdict["total_mismatches"]) == (1.0, 0, 0)


async def test_an_order_whose_webhook_never_comes_is_found_by_the_poll(scene: Scene) -> None:
    """case: F07"""
    scene.shop.shop.set_quirks(missing=1.0)
    async with scene.hub() as running:
        numbers = [paid(scene) for _ in range(5)]
        await until(lambda: all(scene.in_odoo(n) for n in numbers))
        await at_rest(running, scene)
        assert [len(scene.in_odoo(n)) for n in numbers] == [1] * 5
        assert scene.shop.shop.deliveries
        assert all(d["quirk"] == "missing" for d in scene.shop.shop.deliveries)


async def test_an_order_is_found_by_the_poll_when_the_shop_has_no_webhooks_at_all(scene: Scene) -> None:
    """case: F07"""
    async with scene.hub(webhooks=False):
        number = paid(scene)
        await until(lambda: bool(scene.in_odoo(number)))


async def test_doubled_stale_and_reordered_webhooks_make_one_order(scene: Scene) -> None:
    scene.shop.shop.set_quirks(duplicate=1.0, stale=0.5, out_of_order=0.5)
    async with scene.hub() as running:
        numbers = [paid(scene) for _ in range(10)]
        for number in numbers[:3]:
            scene.shop.shop.change(number, status="cancelled")
        await until(lambda: all(scene.in_odoo(n) for n in numbers[3:]))
        await at_rest(running, scene)
        await polled_again(running)
        await at_rest(running, scene)
        verdict = scene.verdict()
        assert (verdict["duplicates"], verdict["lost"], verdict["still_standing"]) == (0, 0, 0)


async def test_our_own_write_back_comes_back_and_changes_nothing(scene: Scene) -> None:
    """case: F37"""
    async with scene.hub() as running:
        number = paid(scene)
        await until(lambda: "_counterfoil_erp_number" in str(scene.shop.shop.order(number)["meta_data"]))
        before = scene.shop.shop.order(number)["date_modified_gmt"]
        await at_rest(running, scene)
        await polled_again(running)  # an echo taken for news would write again and move the date
        await at_rest(running, scene)
        found = await timeline.of(running.store, f"web:order:{number}")
        events = [e["text"] for e in found["entries"] if e["what"] == "event"]
        assert sorted(events) == ["order.accepted", "order.confirmed", "order.noted", "order.placed"]
        assert scene.shop.shop.order(number)["date_modified_gmt"] == before


async def test_the_echo_of_the_number_does_not_erase_an_open_exception(scene: Scene) -> None:
    """case: F37"""
    async with scene.hub() as running:
        number = paid(scene)
        scene.shop.shop.change(number, line_items=[scene.shop.shop.order(number)["line_items"][0] | {"sku": "GONE"}])
        # amounts no longer add up to the total, and the SKU is unknown: a person is needed
        await until(lambda: _reason(running, number, 1))
        scene.shop.shop.touch(number)
        await at_rest(running, scene)
        await polled_again(running)
        await at_rest(running, scene)
        assert await _reason(running, number, 1)


async def _reason(running: Hub, number: int, count: int) -> bool:
    rows = [r for r in await open_exceptions(running) if r["subject"] == f"web:order:{number}"]
    return len(rows) >= count


async def test_an_unknown_sku_waits_for_a_person_and_goes_on_when_the_shop_corrects_it(scene: Scene) -> None:
    """case: F38"""
    async with scene.hub() as running:
        order = scene.shop.shop.place(status="on-hold", payment_method="bacs")
        number, good = order["id"], order["line_items"]
        scene.shop.shop.change(number, line_items=[good[0] | {"sku": "NO-SUCH"}, *good[1:]])
        await until(lambda: _reason(running, number, 1))
        await at_rest(running, scene)
        rows = await open_exceptions(running)
        assert {r["reason"] for r in rows} == {"unknown_sku"}
        assert "NO-SUCH" in str(rows[0]["message"])
        assert "internal reference NO-SUCH" in str(rows[0]["suggestion"])
        assert not scene.in_odoo(number)
        scene.shop.shop.change(number, line_items=good)
        await until(lambda: bool(scene.in_odoo(number)))
        await at_rest(running, scene)
        assert await open_exceptions(running) == []
        assert len(scene.in_odoo(number)) == 1


async def test_odoo_gone_for_a_while_loses_nothing_and_asks_nobody(scene: Scene) -> None:
    async with scene.hub() as running:
        scene.odoo.inner.state.odoo.database_up = False
        numbers = [paid(scene) for _ in range(5)]
        await until(lambda: _closed(running))
        scene.odoo.inner.state.odoo.database_up = True
        await until(lambda: all(scene.in_odoo(n) for n in numbers))
        await at_rest(running, scene)
        assert await open_exceptions(running) == []
        assert scene.verdict()["finished_share"] == 1.0


async def _closed(running: Hub) -> bool:
    return "odoo" in await systems.closed(running.store)


async def test_an_order_paid_later_is_confirmed_and_paid_later(scene: Scene) -> None:
    async with scene.hub() as running:
        order = scene.shop.shop.place(status="on-hold", payment_method="bacs", date_paid=None, date_paid_gmt=None)
        await until(lambda: bool(scene.in_odoo(order["id"])))
        await at_rest(running, scene)
        assert scene.in_odoo(order["id"])[0]["state"] == "draft"
        dates = {"date_paid": order["date_created"], "date_paid_gmt": order["date_created_gmt"]}
        scene.shop.shop.change(order["id"], status="processing", **dates)
        await until(lambda: scene.in_odoo(order["id"])[0]["state"] == "sale")
        await at_rest(running, scene)
        assert scene.verdict()["unpaid"] == 0


async def test_a_cancelled_order_is_cancelled_in_odoo(scene: Scene) -> None:
    async with scene.hub() as running:
        number = paid(scene)
        await until(lambda: bool(scene.in_odoo(number)))
        scene.shop.shop.change(number, status="cancelled")
        await until(lambda: scene.in_odoo(number)[0]["state"] == "cancel")
        await at_rest(running, scene)
        assert len(scene.in_odoo(number)) == 1


async def test_a_body_that_is_no_order_becomes_an_exception_with_the_body_kept(scene: Scene) -> None:
    scene.shop.shop.set_quirks(error_body=1.0)
    async with scene.hub() as running:
        paid(scene)
        await until(lambda: _any_bad(running))
        rows = [r for r in await open_exceptions(running) if r["operation"] == "decode"]
        assert rows[0]["receipt_id"] is not None
        await exceptions.act(running.store, int(str(rows[0]["id"])), "skipped", "test")


async def _any_bad(running: Hub) -> bool:
    return any(r["operation"] == "decode" for r in await open_exceptions(running))


async def test_orders_from_before_the_cut_over_date_are_not_wanted(scene: Scene) -> None:
    text = scene.file.read_text(encoding="utf-8")
    later = text.replace("overlap: 2m", "overlap: 2m\n    cut_over: 2999-01-01T00:00:00Z")
    scene.file.write_text(later, encoding="utf-8")
    async with scene.hub() as running:
        number = paid(scene)
        await until(lambda: _known(running, number))
        await at_rest(running, scene)
        found = await timeline.of(running.store, f"web:order:{number}")
        assert "order.not_wanted" in [e["text"] for e in found["entries"]]
        assert not scene.in_odoo(number)


async def _known(running: Hub, number: int) -> bool:
    return bool(await search.exact(running.store, str(number), running.blueprint.systems))
