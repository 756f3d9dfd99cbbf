"""The WooCommerce connector against its stand-in, over real HTTP: nothing lost, whatever changes meanwhile."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from tests.woocommerce_shop import T0, Door, feed, poll, settings, shop_at_t0

from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil.connectors.woocommerce.webhooks import CUSTOMER_TOPICS, TOPICS
from counterfoil.hub.contract import Failure, Item, Kind, Mark, Outcome, Page, Raw
from counterfoil.retail.order import Status
from counterfoil_sandbox.serving import serving
from counterfoil_sandbox.woocommerce import ShopApp, make_app
from counterfoil_sandbox.woocommerce_orders import make_order


@pytest.fixture
def app() -> ShopApp:
    return shop_at_t0(webhook_delay=0.01)


def ids(receipts: list[Raw]) -> list[int]:
    return [int(raw.object_id) for raw in receipts]


def version(shop: WooCommerce, raw: Raw) -> str:
    return shop.decode(raw).version


# -- the reconciling poll


async def test_an_empty_shop_gives_one_empty_page(shop: WooCommerce) -> None:
    """So that the hub sees that the poll ran."""
    pages = [page async for page in feed(shop).poll({})]
    assert pages == [Page([], {})]


@pytest.mark.parametrize("seed", range(4))
async def test_250_orders_in_one_second_with_writes_between_the_pages(
    app: ShopApp, shop: WooCommerce, seed: int
) -> None:
    """case: F09. Every order arrives in its last state, though rows leave the second while it is read."""
    dice = random.Random(seed)
    for n in range(330):
        app.shop.place(make_order(n), at=T0 - 600 + (0 if n < 40 else 1 if n < 290 else 2 + n))
    arrived: dict[int, str] = {}
    cursor: Mapping[str, Any] = {}
    async for page in feed(shop).poll(cursor):
        arrived |= {int(raw.object_id): version(shop, raw) for raw in page.receipts}
        cursor = page.cursor
        app.shop.set_clock(frozen_at=app.shop.now() + 1)
        for number in dice.sample(range(1000, 1330), 8):
            app.shop.touch(number)
    again, _ = await poll(shop, cursor)
    arrived |= {int(raw.object_id): version(shop, raw) for raw in again}
    assert arrived == {order["id"]: order["date_modified_gmt"] + "Z" for order in app.shop.orders}


@pytest.mark.parametrize("per_second", [1, 7, 99, 100, 250])
async def test_a_quiet_shop_is_read_once_each(app: ShopApp, shop: WooCommerce, per_second: int) -> None:
    """case: F09. However orders lie across seconds and pages: without writes nothing comes twice within a round."""
    for n in range(250):
        app.shop.place(make_order(n), at=T0 - 600 + n // per_second)
    receipts, cursor = await poll(shop, {})
    assert sorted(ids(receipts)) == list(range(1000, 1250))
    assert cursor["since"] == app.shop.order(1249)["date_modified_gmt"] + "Z"
    assert (await poll(shop, cursor))[0] == []


async def test_a_round_broken_off_goes_on_from_its_last_cursor(app: ShopApp, shop: WooCommerce) -> None:
    """The cursor of a page covers that page at most: a crash after any page loses nothing."""
    for n in range(350):
        app.shop.place(make_order(n), at=T0 - 900 + (n // 130))
    rounds = [page async for page in feed(shop).poll({})]
    for stop in range(1, len(rounds)):
        kept = [raw for page in rounds[:stop] for raw in page.receipts]
        rest, _ = await poll(shop, rounds[stop - 1].cursor)
        assert {*ids(kept), *ids(rest)} == set(range(1000, 1350))


async def test_an_order_saved_late_is_still_found(app: ShopApp, shop: WooCommerce) -> None:
    """The cursor stays behind the shop's clock: a slow checkout commits after later orders were read."""
    app.shop.place(make_order(0), at=T0 - 5)
    receipts, cursor = await poll(shop, {})
    assert cursor == {"since": "2026-11-21T09:51:20Z"}  # two minutes before the shop's time
    app.shop.place(make_order(1), at=T0 - 90)
    app.shop.set_clock(frozen_at=T0 + 20)
    receipts, _ = await poll(shop, cursor)
    assert 1001 in ids(receipts)


@pytest.mark.parametrize("offset", [-7200.0, 7200.0])
async def test_only_the_shops_clock_counts(app: ShopApp, shop: WooCommerce, offset: float) -> None:
    """A shop two hours behind or ahead of the hub loses nothing, and its cursor goes by its own time."""
    app.shop.set_clock(offset=offset)
    cursor: dict[str, Any] = {}
    found = []
    for n in range(5):
        app.shop.place(make_order(n))
        receipts, cursor = await poll(shop, cursor)
        found += ids(receipts)
    assert set(found) == set(range(1000, 1005))
    behind = app.shop.now() - datetime.fromisoformat(cursor["since"]).timestamp()
    assert 119 <= behind <= 130


async def test_a_clock_set_back_takes_the_cursor_along(app: ShopApp, shop: WooCommerce) -> None:
    """Orders of the corrected hour are older than the cursor; they are read all the same."""
    app.shop.set_clock(frozen_at=T0 + 3600)
    app.shop.place(make_order(0))
    _, cursor = await poll(shop, {})
    app.shop.set_clock(frozen_at=T0)
    app.shop.place(make_order(1))
    receipts, cursor = await poll(shop, cursor)
    assert 1001 in ids(receipts)
    assert cursor == {"since": "2026-11-21T09:51:20Z"}


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "-07:00", "Europe/Paris", "Australia/Lord_Howe"])
@pytest.mark.parametrize(
    "change", ["2026-10-25T01:00:00", "2026-11-01T09:00:00", "2027-03-14T10:00:00", "2027-03-28T01:00:00"]
)
async def test_orders_around_a_clock_change(zone: str, change: str) -> None:
    """case: F10. Shop in UTC-7 and elsewhere, hub in UTC: an order every ten minutes, each arrives once in time."""
    app = make_app(None, site_timezone=zone)
    middle = datetime.fromisoformat(change).replace(tzinfo=UTC).timestamp()
    cursor: dict[str, Any] = {}
    versions: list[str] = []
    with serving(app) as url:
        shop = WooCommerce("web-eu", settings(url))
        for n in range(24):
            app.shop.set_clock(frozen_at=middle + (n - 12) * 600)
            app.shop.place(make_order(n))
            receipts, cursor = await poll(shop, cursor)
            assert 1000 + n in ids(receipts)
            assert len(receipts) <= 2
            versions.append(version(shop, receipts[-1]))
        await shop.close()
    assert versions == sorted(versions)
    assert len(set(versions)) == 24


async def test_the_trash_has_a_feed_of_its_own(app: ShopApp, shop: WooCommerce) -> None:
    """The shop's list leaves the trash out, so a trashed order would never be seen cancelled."""
    app.shop.place(make_order(0), at=T0 - 600)
    _, cursor = await poll(shop, {})
    app.shop.delete(1000)
    assert (await poll(shop, cursor))[0] == []
    receipts, _ = await poll(shop, {}, "trash")
    assert [shop.decode(raw).state.status for raw in receipts] == [Status.TRASH]  # type: ignore[attr-defined]


async def test_orders_changed_since_the_cut_over_only(app: ShopApp, url: str) -> None:
    """A first round does not read years of history."""
    app.shop.place(make_order(0), at=T0 - 86_400)
    app.shop.place(make_order(1), at=T0 - 60)
    shop = WooCommerce("web-eu", settings(url, cut_over="2026-11-21T09:00:00Z"))
    receipts, _ = await poll(shop, {})
    await shop.close()
    assert ids(receipts) == [1001]


def odd_list(*entries: Any, **headers: str) -> httpx.MockTransport:
    answer = httpx.Response(200, headers={"Date": "Sat, 21 Nov 2026 09:53:20 GMT", **headers}, json=list(entries))
    return httpx.MockTransport(lambda _request: answer)


@pytest.mark.parametrize(
    ("transport", "reason"),
    [
        (
            odd_list(
                {"id": 1, "date_modified_gmt": "2026-11-21T09:50:00"},
                {"id": 2, "date_modified_gmt": "2026-11-21T09:49:00"},
            ),
            "unsorted",
        ),
        (odd_list({"id": 1, "date_modified_gmt": "2026-11-01T09:50:00"}), "filter_ignored"),
        (odd_list({"id": 1, "date_modified_gmt": None}), "undated"),
        (odd_list("nonsense"), "undated"),
    ],
)
async def test_a_list_that_cannot_be_trusted_stops_the_poll(transport: httpx.MockTransport, reason: str) -> None:
    """case: F09. Unsorted or unfiltered pages would lose orders: better one exception than none and a hole."""
    shop = WooCommerce("web-eu", settings("https://shop.example"), transport)
    with pytest.raises(Failure) as caught:
        await poll(shop, {"since": "2026-11-21T09:00:00Z"})
    assert (caught.value.outcome.kind, caught.value.outcome.reason) == (Kind.MISCONFIGURED, reason)
    await shop.close()


async def test_a_shop_that_tells_no_time(app: ShopApp, url: str) -> None:
    """Without a Date header the latest change seen stands in for the shop's clock."""
    app.shop.place(make_order(0))

    class NoDate(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response = await super().handle_async_request(request)
            del response.headers["date"]
            return response

    shop = WooCommerce("web-eu", settings(url), NoDate())
    receipts, cursor = await poll(shop, {})
    await shop.close()
    assert ids(receipts) == [1000]
    assert cursor == {"since": "2026-11-21T09:51:20Z"}


# -- webhooks, and the poll behind them


async def test_webhooks_are_made_received_and_read(app: ShopApp, shop: WooCommerce) -> None:
    """From the ping to the order: what the shop signs, the connector takes; both ways tell the same state."""
    door = Door(shop)
    with serving(door.app()) as public_url:
        assert await shop.ensure_webhooks(public_url) == list(shop.topics)
        assert await shop.ensure_webhooks(public_url) == []
        assert door.pings == len(shop.topics)
        app.shop.place(make_order(0))
        assert app.shop.drain()
    assert [raw.headers["x-wc-webhook-topic"] for raw in door.kept] == ["order.created", "order.updated"]
    polled, _ = await poll(shop, {})
    seen = [shop.decode(raw) for raw in [*door.kept, *polled]]
    assert seen[0] == seen[1] == seen[2]


async def test_the_poll_brings_what_webhooks_did_not(app: ShopApp, shop: WooCommerce) -> None:
    """case: F07. Half of the webhooks never come; the poll has every order."""
    door = Door(shop)
    with serving(door.app()) as public_url:
        await shop.ensure_webhooks(public_url)
        app.shop.set_quirks(missing=0.5)
        for n in range(40):
            app.shop.place(make_order(n))
        assert app.shop.drain()
    assert 0 < len({raw.object_id for raw in door.kept}) < 40
    assert sorted(ids((await poll(shop, {}))[0])) == list(range(1000, 1040))


async def test_a_webhook_switched_off_is_found_and_made_anew(app: ShopApp, shop: WooCommerce) -> None:
    """case: F07. Seven failures switch it off; the doctor says so, and ensure replaces it: re-enabled it would die."""
    door = Door(shop)
    with serving(door.app()) as public_url:
        shop.public_url = public_url
        await shop.ensure_webhooks(public_url)
        door.status = 503
        app.shop.place(make_order(0))
        for _ in range(7):
            app.shop.drain()
            app.shop.touch(1000)
        app.shop.drain()
        findings = {finding.check: finding for finding in await shop.doctor()}
        assert findings["webhook order.updated"].mark is Mark.WARNING
        assert "switched off by the shop" in findings["webhook order.updated"].found
        door.status = 202
        assert await shop.ensure_webhooks(public_url) == ["order.updated"]
        assert len(app.shop.webhooks) == len(shop.topics)
        app.shop.touch(1000)
        app.shop.drain()
        assert await shop.ensure_webhooks(public_url, renew=True) == list(shop.topics)
    assert door.kept
    assert {hook["failure_count"] for hook in app.shop.webhooks} == {0}


async def test_ensure_webhooks_needs_a_secret(url: str) -> None:
    """Unsigned webhooks could come from anyone."""
    shop = WooCommerce("web-eu", settings(url, webhook_secret=""))
    with pytest.raises(ValueError, match="webhook_secret missing"):
        await shop.ensure_webhooks("https://hub.example")
    await shop.close()


# -- note_order


def accepted(number: int, erp_number: Any = "S00042") -> Item:
    return Item(1, f"web-eu:order:{number}", str(number), "order.accepted", {"number": erp_number})


async def note(shop: WooCommerce, *items: Item) -> list[Outcome]:
    return await shop.operations["note_order"].run(items)


def noted(app: ShopApp, number: int) -> list[str]:
    return [m["value"] for m in app.shop.order(number)["meta_data"] if m["key"] == "_counterfoil_erp_number"]


async def test_the_erp_number_is_written_once(app: ShopApp, shop: WooCommerce) -> None:
    """Written, then known: a repeat asks but does not write, so nothing comes back as an echo."""
    app.shop.place(make_order(0))
    app.shop.set_clock(frozen_at=T0 + 60)
    first, second = (await note(shop, accepted(1000)))[0], (await note(shop, accepted(1000)))[0]
    assert (first.kind, first.link, first.emits) == (Kind.DONE, "1000", ("order.noted",))
    assert first.result == {"number": "S00042", "order_id": "1000", "written": True}
    assert second.result == {"number": "S00042", "order_id": "1000", "written": False}
    assert second.observed is None
    assert noted(app, 1000) == ["S00042"]
    assert [line for line in app.requests if line.startswith("PUT")] == ["PUT /wp-json/wc/v3/orders/1000"]
    assert app.requests["PUT /wp-json/wc/v3/orders/1000"] == 1


async def test_our_own_write_is_known_when_it_comes_back(app: ShopApp, shop: WooCommerce) -> None:
    """Echo: what the outcome observed is what webhook and poll then tell, to the byte of the state."""
    app.shop.place(make_order(0))
    app.shop.set_clock(frozen_at=T0 + 60)
    outcome = (await note(shop, accepted(1000)))[0]
    receipts, _ = await poll(shop, {})
    assert outcome.observed is not None
    assert shop.decode(receipts[-1]) == outcome.observed
    assert outcome.observed.version == "2026-11-21T09:54:20Z"
    assert outcome.observed.state.erp_number == "S00042"  # type: ignore[attr-defined]


async def test_a_lost_answer_is_not_written_twice(app: ShopApp, shop: WooCommerce) -> None:
    """The PUT lands, its answer does not: down, and the repeat finds it done."""
    app.shop.place(make_order(0))
    app.faults.add("lost_answer", method="PUT")
    lost = (await note(shop, accepted(1000)))[0]
    assert (lost.kind, lost.reason) == (Kind.DOWN, "unreachable")
    again = (await note(shop, accepted(1000)))[0]
    assert again.result["written"] is False
    assert noted(app, 1000) == ["S00042"]


async def test_each_item_has_its_own_outcome(app: ShopApp, shop: WooCommerce) -> None:
    """One order is gone, one item has no number: the others are written."""
    for n in range(4):
        app.shop.place(make_order(n))
    app.shop.delete(1001, force=True)
    outcomes = await note(shop, accepted(1000), accepted(1001), accepted(1002, None), accepted(1003))
    assert [outcome.kind for outcome in outcomes] == [Kind.DONE, Kind.REJECTED, Kind.BUG, Kind.DONE]
    assert outcomes[1].reason == "not_in_shop"
    assert noted(app, 1003) == ["S00042"]


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        ({"kind": "down"}, Kind.DOWN, "unreachable"),
        ({"kind": "reset"}, Kind.DOWN, "unreachable"),
        ({"kind": "latency", "seconds": 2.0}, Kind.DOWN, "unreachable"),
        ({"kind": "throttle", "seconds": 30}, Kind.THROTTLED, "throttled"),
        (
            {"kind": "status", "status": 503, "body": "<html>Maintenance", "content_type": "text/html"},
            Kind.DOWN,
            "shop_down",
        ),
        (
            {"kind": "status", "status": 200, "body": "<html>Maintenance", "content_type": "text/html"},
            Kind.DOWN,
            "not_json",
        ),
        (
            {"kind": "status", "status": 401, "body": '{"code":"woocommerce_rest_cannot_view"}'},
            Kind.MISCONFIGURED,
            "unauthorized",
        ),
    ],
)
async def test_trouble_of_the_whole_shop_stops_the_batch(
    app: ShopApp, url: str, fault: dict[str, Any], kind: Kind, reason: str
) -> None:
    """The first item finds out; the rest are not sent after it, and all have the same outcome."""
    for n in range(3):
        app.shop.place(make_order(n))
    app.faults.add(**fault, path="/orders/", times=-1)
    shop = WooCommerce("web-eu", settings(url, timeout="0.5s"))
    outcomes = await note(shop, accepted(1000), accepted(1001), accepted(1002))
    await shop.close()
    assert [(outcome.kind, outcome.reason) for outcome in outcomes] == [(kind, reason)] * 3
    assert sum(app.faults.played.values()) == 1
    assert (outcomes[0].until is not None) == (kind is Kind.THROTTLED)


async def test_an_outage_in_the_middle_of_a_poll_loses_nothing(app: ShopApp, shop: WooCommerce) -> None:
    """The round breaks with a Failure; the cursor of its last page goes on from there."""
    for n in range(250):
        app.shop.place(make_order(n), at=T0 - 5000 + n)
    pages = feed(shop).poll({})
    page = await anext(pages)
    got = list(page.receipts)
    app.faults.add("down")
    with pytest.raises(Failure) as caught:
        await anext(pages)
    assert caught.value.outcome.kind is Kind.DOWN
    app.faults.clear()
    rest, _ = await poll(shop, page.cursor)
    assert {*ids(got), *ids(rest)} == set(range(1000, 1250))


# -- the doctor


async def test_a_healthy_shop(app: ShopApp, url: str) -> None:
    """Everything looked at, nothing changed."""
    app.shop.set_clock()
    for topic in (*TOPICS, *CUSTOMER_TOPICS):
        app.shop.add_webhook({"topic": topic, "delivery_url": "https://hub.example/webhooks/web-eu"})
    shop = WooCommerce("web-eu", settings(url, public_url="https://hub.example"))
    findings = await shop.doctor()
    await shop.close()
    assert {finding.mark for finding in findings} == {Mark.OK}
    assert [finding.check for finding in findings] == [
        *("reach", "clock", "version", "write"),
        *(f"webhook {topic}" for topic in (*TOPICS, *CUSTOMER_TOPICS)),
        *("currency", "tax rounding"),
    ]
    assert app.shop.orders == []


async def test_a_key_that_may_only_read() -> None:
    """The blueprint's most frequent mistake: found before the first order is accepted."""
    app = make_app(permissions="read")
    with serving(app) as url:
        shop = WooCommerce("web-eu", settings(url))
        findings = {finding.check: finding for finding in await shop.doctor()}
        await shop.close()
    assert findings["write"].mark is Mark.FAILED
    assert "does not have write permissions" in findings["write"].found
    assert "Read/Write" in findings["write"].remedy


async def test_what_the_doctor_warns_of(app: ShopApp, url: str) -> None:
    """A clock far off, no webhooks, tax rounded at the subtotal, yen with decimals."""
    general = {"woocommerce_currency": "JPY", "woocommerce_price_num_decimals": "2"}
    app.shop.set_clock(offset=900)
    app.faults.add(
        "status",
        path="settings/general",
        status=200,
        body=str([{"id": key, "value": value} for key, value in general.items()]).replace("'", '"'),
    )
    app.faults.add(
        "status", path="settings/tax", status=200, body='[{"id":"woocommerce_tax_round_at_subtotal","value":"yes"}]'
    )
    app.faults.add("status", path="system_status", status=200, body='{"environment":{"version":"7.1.0"}}')
    shop = WooCommerce("web-eu", settings(url, webhook_secret=""))
    findings = {finding.check: finding for finding in await shop.doctor()}
    await shop.close()
    marks = {check: finding.mark for check, finding in findings.items()}
    warned = ("clock", "version", "webhooks", "currency", "tax rounding")
    assert marks == {"reach": Mark.OK, "write": Mark.OK} | dict.fromkeys(warned, Mark.WARNING)
    assert findings["clock"].found.startswith(("the shop's clock is 899 s ahead", "the shop's clock is 900 s ahead"))
    assert "JPY with 2 decimals, the currency has 0" in findings["currency"].found


@pytest.mark.parametrize("body", ["<html>", "[]", "{}", '[{"id": 1}]', '"text"', "null", '{"environment": null}'])
async def test_the_doctor_never_raises(app: ShopApp, url: str, body: str) -> None:
    """Whatever the shop answers."""
    app.faults.add("status", path="system_status|webhooks|settings", status=200, body=body, times=-1)
    shop = WooCommerce("web-eu", settings(url))
    assert len(await shop.doctor()) >= 5
    app.faults.clear()
    app.faults.add("down", times=-1)
    findings = await shop.doctor()
    await shop.close()
    assert [(finding.check, finding.mark) for finding in findings] == [("reach", Mark.FAILED)]


async def test_a_wrong_key_and_an_open_address() -> None:
    """The shop's own words, and where to look."""
    app = make_app(key="another")
    with serving(app) as url:
        shop = WooCommerce("web-eu", settings(url))
        finding = (await shop.doctor())[-1]
        await shop.close()
    assert finding.mark is Mark.FAILED
    assert "Sorry, you cannot list resources." in finding.found
    open_shop = WooCommerce(
        "web-eu", settings("http://shop.example"), httpx.MockTransport(lambda _r: httpx.Response(500))
    )
    assert (await open_shop.doctor())[0].check == "address"
    await open_shop.close()
