"""Care for webhooks against the shop's stand-in: found, repaired, not flapping; the poll carries the load meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.woocommerce_shop import SECRET, SYSTEM, Door, poll, settings, shop_at_t0

from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil.connectors.woocommerce.webhooks import CUSTOMER_TOPICS, TOPICS
from counterfoil.hub.contract import Failure, Finding, Mark
from counterfoil_sandbox.serving import serving
from counterfoil_sandbox.woocommerce import ShopApp
from counterfoil_sandbox.woocommerce_orders import make_order

ALL = (*TOPICS, *CUSTOMER_TOPICS)


@pytest.fixture
def app() -> ShopApp:
    return shop_at_t0(None)


class Place:
    """A connector whose door is open, and what its carer's clock says."""

    def __init__(self, shop: WooCommerce, door: Door, public_url: str) -> None:
        self.shop, self.door, self.public_url, self.now = shop, door, public_url, 0.0

    async def care(self) -> dict[str, Finding]:
        return {finding.check: finding for finding in await self.shop.care()}


@pytest.fixture
async def place(url: str) -> AsyncIterator[Place]:
    first = WooCommerce(SYSTEM, settings(url))
    door = Door(first)
    with serving(door.app()) as public_url:
        shop = WooCommerce(SYSTEM, settings(url, public_url=public_url))
        door.shop = shop
        made = Place(shop, door, public_url)
        shop._carer.clock = lambda: made.now
        yield made
        await shop.close()
        await first.close()


def later(app: ShopApp, place: Place, minutes: float) -> None:
    place.now += minutes * 60
    app.shop.set_clock(frozen_at=app.shop.now() + minutes * 60)


def hooks(app: ShopApp) -> dict[str, str]:
    return {hook["topic"]: hook["status"] for hook in app.shop.webhooks}


def switch_off(app: ShopApp, topic: str) -> None:
    for hook in app.shop.courier.hooks.values():
        if hook["topic"] == topic:
            hook["status"] = "disabled"


async def test_missing_webhooks_are_made(app: ShopApp, place: Place) -> None:
    """case: F07. From none to all in one round, and it says so; the next round finds nothing to do."""
    first = await place.care()
    assert {finding.found for finding in first.values()} == {"does not exist; made anew"}
    assert hooks(app) == dict.fromkeys(ALL, "active")
    assert {hook["secret"] for hook in app.shop.webhooks} == {SECRET}
    asked = sum(n for line, n in app.requests.items() if not line.startswith("GET"))
    second = await place.care()
    assert [finding.mark for finding in second.values()] == [Mark.OK] * len(ALL)
    assert sum(n for line, n in app.requests.items() if not line.startswith("GET")) == asked


async def test_switched_off_by_failures_and_repaired(app: ShopApp, place: Place) -> None:
    """case: F07. The door answers 503 seven times; care replaces the webhook, and what it missed the poll brings."""
    await place.care()
    app.shop.place(make_order(0))
    app.shop.deliver_now()
    _, cursor = await poll(place.shop, {})
    later(app, place, 60)
    place.door.status = 503
    for _ in range(7):
        app.shop.touch(1000)
        app.shop.deliver_now()
    assert hooks(app)["order.updated"] == "disabled"
    place.door.status = 202
    found = (await place.care())["webhook order.updated"]
    assert (found.mark, found.found) == (Mark.OK, "switched off by the shop (disabled); made anew")
    assert len(app.shop.webhooks) == len(ALL)
    receipts, _ = await poll(place.shop, cursor)
    assert [raw.object_id for raw in receipts] == ["1000"]
    before = len(place.door.kept)
    app.shop.touch(1000)
    app.shop.deliver_now()
    assert len(place.door.kept) == before + 1


async def test_a_repair_that_does_not_last_does_not_flap(app: ShopApp, place: Place) -> None:
    """At most once in 30 minutes a topic, said in words; other topics are not held up by it."""
    await place.care()
    made = len(app.shop.courier.hooks)
    for elapsed in range(4, 30, 4):
        later(app, place, 4)
        switch_off(app, "order.updated")
        found = (await place.care())["webhook order.updated"]
        assert found.mark is Mark.WARNING
        assert f"tried again in {30 - elapsed} min" in found.found
        assert "poll" in found.found
    assert len(app.shop.courier.hooks) == made
    switch_off(app, "order.created")
    del app.shop.courier.hooks[next(n for n, h in app.shop.courier.hooks.items() if h["topic"] == "order.restored")]
    later(app, place, 3)
    assert {f.mark for f in (await place.care()).values()} == {Mark.OK}
    assert hooks(app) == dict.fromkeys(ALL, "active")


async def test_a_restart_of_the_hub_does_not_flap_either(app: ShopApp, place: Place, url: str) -> None:
    """The shop's own dates say when it was made last."""
    await place.care()
    switch_off(app, "order.updated")
    later(app, place, 5)
    anew = WooCommerce(SYSTEM, settings(url, public_url=place.public_url))
    found = {finding.check: finding for finding in await anew.care()}["webhook order.updated"]
    await anew.close()
    assert (found.mark, "tried again in 25 min" in found.found) == (Mark.WARNING, True)


async def test_one_with_another_secret_is_noticed_by_its_signature(app: ShopApp, place: Place) -> None:
    """WooCommerce never shows a secret: the deliveries that were refused tell which webhook has a wrong one."""
    await place.care()
    later(app, place, 60)
    for hook in app.shop.courier.hooks.values():
        if hook["topic"] == "order.created":
            hook["secret"] = "another"
    app.shop.place(make_order(0))
    app.shop.deliver_now()
    found = (await place.care())["webhook order.created"]
    assert found.found == "its signature does not match, so its secret is another one; made anew"
    assert {hook["secret"] for hook in app.shop.webhooks} == {SECRET}
    assert (await place.care())["webhook order.created"].found.startswith("active")


async def test_strangers_cannot_have_webhooks_made(app: ShopApp, place: Place) -> None:
    """A forged delivery that names no webhook of ours changes nothing."""
    await place.care()
    before = [hook["id"] for hook in app.shop.webhooks]
    later(app, place, 60)
    for number in ("99", "x", "1" * 40):
        headers = {"X-WC-Webhook-Signature": "AAAA", "X-WC-Webhook-ID": number, "X-WC-Webhook-Topic": "order.created"}
        with pytest.raises(Exception, match="signature does not match"):
            place.shop.receive(headers, b'{"id":5}')
    await place.care()
    assert [hook["id"] for hook in app.shop.webhooks] == before


async def test_an_old_address_is_left_behind(app: ShopApp, place: Place) -> None:
    """The hub has moved: ours go to the new address, somebody else's stay."""
    old = "https://old.example/webhooks/web-eu"
    app.shop.add_webhook({"topic": "order.created", "delivery_url": old, "name": "Counterfoil order.created"})
    app.shop.add_webhook({"topic": "order.created", "delivery_url": "https://erp.example/in", "name": "ERP"})
    later(app, place, 60)
    found = (await place.care())["webhook order.created"]
    assert found.found == "it goes to an address that is not the hub's any more; made anew"
    assert [h["delivery_url"] for h in app.shop.webhooks if h["topic"] == "order.created"] == [
        "https://erp.example/in",
        f"{place.public_url}/webhooks/{SYSTEM}",
    ]


async def test_doubles_are_taken_away(app: ShopApp, place: Place) -> None:
    """A creation whose answer was lost leaves two: one stays."""
    app.faults.add("lost_answer", method="POST", path="webhooks")
    with pytest.raises(Failure):
        await place.care()
    target = f"{place.public_url}/webhooks/{SYSTEM}"
    app.shop.add_webhook({"topic": "order.created", "delivery_url": target, "name": "Counterfoil order.created"})
    await place.care()
    assert len(app.shop.webhooks) == len(ALL)
    assert hooks(app) == dict.fromkeys(ALL, "active")


async def test_one_that_a_person_paused_is_theirs(app: ShopApp, place: Place) -> None:
    """Said, not undone."""
    await place.care()
    later(app, place, 60)
    next(h for h in app.shop.courier.hooks.values() if h["topic"] == "order.updated")["status"] = "paused"
    found = (await place.care())["webhook order.updated"]
    assert (found.mark, found.found.startswith("paused by somebody")) == (Mark.WARNING, True)
    assert hooks(app)["order.updated"] == "paused"


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"webhook_secret": "", "public_url": "https://hub.example"}, "webhook_secret"),
        ({"public_url": ""}, "public_url"),
    ],
    ids=["no secret", "no address"],
)
async def test_without_what_webhooks_need_none_are_wanted(
    app: ShopApp, url: str, given: dict[str, str], missing: str
) -> None:
    """Polling is the blueprint's choice: nothing is ill and nothing is asked; the doctor says it, once."""
    shop = WooCommerce(SYSTEM, settings(url, **given))
    (finding,) = await shop.care()
    assert (finding.mark, finding.found) == (Mark.OK, f"no {missing} is set: orders arrive by the poll only")
    assert app.requests.total() == 0
    (told,) = [each for each in await shop.doctor() if each.check.startswith("webhook")]
    await shop.close()
    assert (told.mark, told.found) == (Mark.WARNING, finding.found)
    assert missing in told.remedy
    assert app.shop.webhooks == []


async def test_a_shop_that_is_down_is_not_cared_for(app: ShopApp, place: Place) -> None:
    """Raised, so that the hub tries again later; a repair broken off half-way is finished then."""
    app.faults.add("down", path="webhooks")
    with pytest.raises(Failure):
        await place.care()
    app.faults.clear()
    app.faults.add("reset", method="DELETE")
    await place.care()
    later(app, place, 60)
    switch_off(app, "order.updated")
    with pytest.raises(Failure):
        await place.care()
    later(app, place, 1)
    assert {f.mark for f in (await place.care()).values()} == {Mark.OK}
    assert len(app.shop.webhooks) == len(ALL)
    assert hooks(app) == dict.fromkeys(ALL, "active")
