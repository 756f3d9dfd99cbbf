"""What the drift audit lists of a shop: orders in a few fields, and the shelf, 100 articles a call."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from tests.woocommerce_shop import T0

from counterfoil.connectors.woocommerce import WooCommerce, history
from counterfoil.hub.facts import HasShelf, ListsOrders
from counterfoil.retail.money import Money
from counterfoil.retail.order import Status
from counterfoil_lab.prepare import articles
from counterfoil_sandbox.woocommerce import RECORDINGS, ShopApp

NOW = datetime.fromtimestamp(T0, UTC)
LATER = NOW + timedelta(hours=1)
DAY = timedelta(days=1)
SKUS = sorted(articles(RECORDINGS))


async def test_orders_of_the_span_with_what_was_given_back(app: ShopApp, shop: WooCommerce) -> None:
    assert isinstance(shop, ListsOrders)
    app.shop.place(status="processing", at=T0 - 2 * 86400)
    order = app.shop.place(status="processing")
    app.shop.refund(order["id"], "1.50", "goodwill")
    ((one,),) = [page async for page in shop.list_orders(NOW - DAY, LATER)]
    assert (one.id, one.status, one.refunded) == (f"web-eu:order:{order['id']}", Status.PROCESSING, Decimal("1.50"))
    assert one.total == Money.of(order["total"], order["currency"])
    assert one.placed_at == NOW


async def test_every_page_and_in_a_few_fields_only(
    app: ShopApp, shop: WooCommerce, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PER_PAGE", 3)
    numbers = [app.shop.place(status="completed")["id"] for _ in range(8)]
    pages = [page async for page in shop.list_orders(NOW - DAY, LATER)]
    assert sorted(int(o.id.rpartition(":")[2]) for page in pages for o in page) == numbers
    assert [len(page) for page in pages] == [2, 3, 3]


async def test_single_orders_are_found_in_the_trash_too_and_a_status_of_the_shops_own_is_left_out(
    app: ShopApp, shop: WooCommerce
) -> None:
    kept, thrown, gone = (app.shop.place(status="processing")["id"] for _ in range(3))
    app.shop.delete(thrown)
    app.shop.delete(gone, force=True)
    found = await shop.orders_now([f"web-eu:order:{n}" for n in (kept, thrown, gone)])
    assert {o.id.rpartition(":")[2]: o.status for o in found} == {
        str(kept): Status.PROCESSING,
        str(thrown): Status.TRASH,
    }


async def test_what_is_fetched_is_what_the_poll_would_bring(app: ShopApp, shop: WooCommerce) -> None:
    """The same bytes, so that what is known is dropped as a duplicate."""
    number = str(app.shop.place(status="processing")["id"])
    polled = [raw async for page in shop.feeds[0].poll({}) for raw in page.receipts]
    assert await shop.fetch("order", [number]) == polled
    assert await shop.fetch("customer", [number]) == []


async def test_the_shelf_by_sku_and_by_link(app: ShopApp, shop: WooCommerce) -> None:
    assert isinstance(shop, HasShelf)
    catalogue = app.shop.catalogue
    simple = catalogue.find("SIM-0001")
    assert simple is not None
    catalogue.write({"manage_stock": True, "stock_quantity": 7, "sale_price": "1.00"}, simple["id"])
    variation = next(row for row in map(catalogue.find, SKUS) if row and row.get("parent_id"))
    link = f"{variation['parent_id']}/{variation['id']}"
    by_sku, by_link, renamed, nowhere, lost = await shop.shelf(
        [
            ("SIM-0001", ""),
            ("SIM-0001", str(simple["id"])),
            ("RENAMED-SINCE", link),
            ("NO-SUCH", ""),
            ("SIM-0001", "999999"),  # the link leads nowhere: by its SKU, as operations do
        ]
    )
    assert by_sku is not None
    assert (by_sku.quantity, by_sku.regular, by_sku.sale) == (7, Decimal(simple["regular_price"]), Decimal("1.00"))
    assert by_sku == by_link == lost
    assert nowhere is None
    assert renamed is not None
    assert renamed.link == link


async def test_stock_that_is_not_counted_is_told_from_nought(app: ShopApp, shop: WooCommerce) -> None:
    simple = app.shop.catalogue.find("SIM-0001")
    assert simple is not None
    app.shop.catalogue.write({"manage_stock": False}, simple["id"])
    (found,) = await shop.shelf([("SIM-0001", "")])
    assert found is not None
    assert found.quantity is None


async def test_a_variation_that_shares_its_products_stock_has_none_of_its_own(app: ShopApp, shop: WooCommerce) -> None:
    catalogue = app.shop.catalogue
    variation = next(row for row in map(catalogue.find, SKUS) if row and row.get("parent_id"))
    catalogue.write_variation(variation["parent_id"], {"manage_stock": False}, variation["id"])
    catalogue.write({"manage_stock": True, "stock_quantity": 9}, variation["parent_id"])
    (found,) = await shop.shelf([(variation["sku"], "")])
    assert found is not None
    assert found.quantity is None


async def test_a_hundred_articles_are_one_look(app: ShopApp, shop: WooCommerce) -> None:
    skus = [sku for sku in SKUS if "," not in sku][:100]
    await shop.shelf([("SIM-0001", "")])  # the shop's settings are read once
    app.requests.clear()
    found = await shop.shelf([(sku, "") for sku in skus])
    assert all(found)
    assert sum(app.requests.values()) == 1
