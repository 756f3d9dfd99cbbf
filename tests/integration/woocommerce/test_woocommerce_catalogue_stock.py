"""publish_stock against the stand-in over real HTTP: the right number at the right article, each on its own."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.integration.woocommerce.woocommerce_catalogue import connector, item, publish, stock

from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil.hub.contract import Failure, Kind
from counterfoil.retail.availability import Basis, Policy
from counterfoil.retail.listing import Channel
from counterfoil_sandbox.serving import serving
from counterfoil_sandbox.woocommerce import ShopApp, make_app

SIMPLE, OTHER, UNMANAGED = "SIM-0001", "SIM-0002", "SIM-0006"
VARIATION = "VAR-001-NOI-M"  # variation 71 of product 70, whose stock is the parent's


@pytest.fixture
def app() -> ShopApp:
    """The recorded shop: 72 products, ten of them with variations."""
    return make_app()


def quantity(app: ShopApp, sku: str) -> int | None:
    row = app.shop.catalogue.find(sku)
    assert row is not None
    return row["stock_quantity"]


def writes(app: ShopApp) -> int:
    return sum(count for request, count in app.requests.items() if request.startswith("POST"))


async def test_five_three_five_arrives(app: ShopApp, shop: WooCommerce) -> None:
    """A quantity that was published before is published again when it holds again. case: F06"""
    for wanted in (5, 3, 5):
        outcome = await publish(shop, stock(SIMPLE, wanted))
        assert (outcome.kind, outcome.result["quantity"]) == (Kind.DONE, wanted)
        assert quantity(app, SIMPLE) == wanted


@pytest.mark.parametrize(("basis", "shown"), [(Basis.ON_HAND, 10), (Basis.AVAILABLE, 6), (Basis.FORECAST, 13)])
async def test_the_channels_rule_says_what_is_published(app: ShopApp, url: str, basis: Basis, shown: int) -> None:
    """10 on the shelf, 4 promised, 7 on their way: one basis or the other, never two at once. case: F16"""
    shop = connector(url, Channel(stock=Policy(basis=basis)))
    await publish(shop, stock(SIMPLE, 10, outgoing=Decimal(4), incoming=Decimal(7)))
    assert quantity(app, SIMPLE) == shown
    await shop.close()


async def test_an_order_of_this_shop_is_not_subtracted_twice(app: ShopApp, shop: WooCommerce) -> None:
    """The shop took its order off by itself; the ERP's available knows of it too and is written as it is. case: F16"""
    await publish(shop, stock(SIMPLE, 10))
    number = app.shop.catalogue.find(SIMPLE)["id"]  # type: ignore[index]
    app.shop.catalogue.sell(number, 4)
    assert quantity(app, SIMPLE) == 6
    await publish(shop, stock(SIMPLE, 10, outgoing=Decimal(4)))
    assert quantity(app, SIMPLE) == 6


async def test_an_order_in_one_shop_lowers_what_the_other_is_told(app: ShopApp, shop: WooCommerce) -> None:
    """Two shops on one stock: three sold in the first leave seven in the second. case: F22"""
    other_app = make_app()
    with serving(other_app) as other_url:
        other = connector(other_url, system="web-two")
        before, after = stock(SIMPLE, 10), stock(SIMPLE, 10, outgoing=Decimal(3))  # the ERP holds the order now
        for channel in (shop, other):
            await publish(channel, before)
        app.shop.catalogue.sell(app.shop.catalogue.find(SIMPLE)["id"], 3)  # type: ignore[index]
        assert (quantity(app, SIMPLE), quantity(other_app, SIMPLE)) == (7, 10)
        for channel in (shop, other):
            await publish(channel, after)
        assert (quantity(app, SIMPLE), quantity(other_app, SIMPLE)) == (7, 7)
        await other.close()


async def test_a_bad_row_fails_alone(app: ShopApp, shop: WooCommerce) -> None:
    """One article whose place refuses it, 99 others arrive in the same call. case: F17"""
    catalogue = app.shop.catalogue
    made = [catalogue.write({"name": f"A{n}", "sku": f"A{n}", "regular_price": "1"}) for n in range(100)]
    catalogue.write({"type": "grouped"}, made[42]["id"])  # a bundle: its stock is that of its parts
    outcomes = await publish(shop, *(stock(f"A{n}", n, n) for n in range(100)))
    kinds = [outcome.kind for outcome in outcomes]
    assert kinds[42] is Kind.REJECTED
    assert outcomes[42].reason == "not_an_article"
    assert kinds.count(Kind.DONE) == 99
    assert [quantity(app, f"A{n}") for n in range(100) if n != 42] == [n for n in range(100) if n != 42]


async def test_an_error_of_one_item_is_that_items_outcome(app: ShopApp, shop: WooCommerce) -> None:
    """By link there is no look before: the answer itself says who was refused. case: F17"""
    variation = app.shop.catalogue.find(VARIATION)
    assert variation is not None
    simple = app.shop.catalogue.find(SIMPLE)
    assert simple is not None
    links = {"odoo:variant:1": str(simple["id"]), "odoo:variant:2": "999999", "odoo:variant:3": str(variation["id"])}
    known, gone, wrong = stock(SIMPLE, 4, 1), stock("NOWHERE", 4, 2), stock(VARIATION, 6, 3)
    outcomes = await publish(shop, known, gone, wrong, links=links)
    assert [outcome.result["listed"] for outcome in outcomes] == [True, False, True]
    assert (quantity(app, SIMPLE), quantity(app, VARIATION)) == (4, 6)
    assert outcomes[2].link == "70/71"  # a link that named the variation alone is put right


async def test_what_is_not_in_the_shop_is_no_exception(app: ShopApp, shop: WooCommerce) -> None:
    """And nothing is written for it."""
    outcome = await publish(shop, stock("NOT-THERE", 5))
    assert (outcome.kind, dict(outcome.result)) == (Kind.DONE, {"listed": False, "sku": "NOT-THERE"})
    assert writes(app) == 0


async def test_unmanaged_stock_is_switched_on(app: ShopApp, shop: WooCommerce) -> None:
    """The shop drops a quantity for such a product in silence, so managing comes with it."""
    await publish(shop, stock(UNMANAGED, 8))
    row = app.shop.catalogue.find(UNMANAGED)
    assert row is not None
    assert (row["manage_stock"], row["stock_quantity"]) == (True, 8)


async def test_a_shop_that_keeps_no_stock_says_so(app: ShopApp, shop: WooCommerce) -> None:
    """Stock management switched off in the shop: 200, ignored; the answer is read."""
    app.shop.catalogue.settings["woocommerce_manage_stock"] = "no"
    outcome = await publish(shop, stock(UNMANAGED, 8))
    assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "stock_not_managed")


async def test_a_quantity_the_shop_changed_is_told_again(app: ShopApp, shop: WooCommerce) -> None:
    """Something in the shop wrote another number than ours: again, with both in the words."""
    write = app.shop.catalogue.write

    def meddling(body: dict[str, object], number: int | None = None) -> dict[str, object]:
        return write({**body, "stock_quantity": 1}, number)

    app.shop.catalogue.write = meddling  # type: ignore[method-assign]
    outcome = await publish(shop, stock(SIMPLE, 9))
    assert (outcome.kind, outcome.reason) == (Kind.RETRY, "stock_not_kept")
    assert "wrote 9, the shop answered 1" in outcome.technical


async def test_variations_get_stock_of_their_own(app: ShopApp, shop: WooCommerce) -> None:
    """Of a variation whose stock was its parent's, the parent's and the siblings' stay as they are."""
    outcome = await publish(shop, stock(VARIATION, 2))
    assert (outcome.link, quantity(app, VARIATION)) == ("70/71", 2)
    catalogue = app.shop.catalogue
    assert catalogue.products[70]["stock_quantity"] == 45
    assert catalogue.shown_variation(catalogue.variations[72])["manage_stock"] == "parent"


async def test_a_deleted_variation_is_not_taken_for_its_parent(app: ShopApp, shop: WooCommerce) -> None:
    """Its link leads nowhere; a sibling without a SKU shows the parent's and is not it."""
    app.shop.catalogue.remove(71)
    app.shop.catalogue.write_variation(70, {"sku": ""}, 72)
    outcome = await publish(shop, stock(VARIATION, 2), links={"odoo:variant:1": "70/71"})
    assert dict(outcome.result) == {"listed": False, "sku": VARIATION}
    parent = await publish(shop, stock("VAR-001", 3))
    assert (parent.kind, parent.reason) == (Kind.REJECTED, "not_an_article")
    assert app.shop.catalogue.products[70]["stock_quantity"] == 45


async def test_two_with_one_sku_are_left_to_a_person(app: ShopApp, shop: WooCommerce) -> None:
    """Ambiguous in the shop, or in the ERP: neither is written; a name decides nothing. case: F36"""
    catalogue = app.shop.catalogue
    number = catalogue.find(OTHER)["id"]  # type: ignore[index]
    catalogue.products[number]["sku"] = SIMPLE  # as an import that goes around the API leaves it
    catalogue._skus[SIMPLE.lower()].add(number)
    before = quantity(app, SIMPLE)
    outcome = await publish(shop, stock(SIMPLE, 1))
    assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "ambiguous_sku")
    twice = await publish(shop, stock(UNMANAGED, 1, 1), stock(UNMANAGED, 2, 2))
    assert [outcome.reason for outcome in twice] == ["shared_article"] * 2
    assert quantity(app, SIMPLE) == before
    assert quantity(app, UNMANAGED) is None


async def test_a_hundred_go_in_one_call_and_skus_of_any_kind_are_found(app: ShopApp, shop: WooCommerce) -> None:
    """With commas, umlauts, blanks and another case; 250 in calls of the operation's own batch size."""
    odd = ["A,B", "Grün/1", "with blank", "PLUS+1", "quote'\"", "a&b=c"]
    for sku in [*odd, *(f"S{n:03}" for n in range(250))]:
        app.shop.catalogue.write({"name": sku, "sku": sku, "regular_price": "1"})
    outcomes = await publish(shop, *(stock(sku, 3, n) for n, sku in enumerate(odd)))
    assert [outcome.result["listed"] for outcome in outcomes] == [True] * len(odd)
    other_case = await publish(shop, stock("s001", 3))
    assert other_case.result["listed"] is False
    size = shop.operations["publish_stock"].batch
    assert size == 100
    links = {f"odoo:variant:{n}": str(app.shop.catalogue.find(f"S{n:03}")["id"]) for n in range(250)}  # type: ignore[index]
    app.requests.clear()
    for start in range(0, 250, size):
        some = [stock(f"S{n:03}", n, n) for n in range(start, min(start + size, 250))]
        await publish(shop, *some, links=links)
    assert app.requests == {"POST /wp-json/wc/v3/products/batch": 3}
    assert [quantity(app, f"S{n:03}") for n in range(250)] == list(range(250))


async def test_a_lost_answer_is_harmless(app: ShopApp, shop: WooCommerce) -> None:
    """The write landed, the answer did not: the shop counts as down, and the repeat leaves the same number."""
    app.faults.add("lost_answer", path="batch")
    with pytest.raises(Failure) as lost:
        await publish(shop, stock(SIMPLE, 7))
    assert lost.value.outcome.kind is Kind.DOWN
    assert (await publish(shop, stock(SIMPLE, 7))).kind is Kind.DONE
    assert quantity(app, SIMPLE) == 7


async def test_negative_and_broken_units_show_as_none(app: ShopApp, shop: WooCommerce) -> None:
    """More promised than there is: zero, never below; half a unit is not for sale."""
    for on_hand, outgoing, shown in (("2", "5", 0), ("2.5", "0", 2)):
        await publish(shop, stock(SIMPLE, on_hand, outgoing=Decimal(outgoing)))
        assert quantity(app, SIMPLE) == shown


async def test_a_channel_that_keeps_its_own_stock_is_left_alone(app: ShopApp, url: str) -> None:
    """`publish` without stock: done, nothing written, no call."""
    shop = connector(url, Channel(publish=frozenset({"price"})))
    outcome = await publish(shop, stock(SIMPLE, 7))
    assert (outcome.kind, sum(app.requests.values())) == (Kind.DONE, 0)
    await shop.close()


async def test_a_delivery_without_a_stock_level_is_a_bug(shop: WooCommerce) -> None:
    """And does not take the others with it."""
    good = item(stock(SIMPLE, 3, 2))
    bad = item(stock(SIMPLE, 3))
    broken = type(bad)(1, "odoo:variant:1", "odoo:variant:1", "stock.changed", {"state": {"sku": 4}})
    outcomes = await shop.operations["publish_stock"].run([broken, good])
    assert [outcome.kind for outcome in outcomes] == [Kind.BUG, Kind.DONE]
