"""publish_product against the stand-in over real HTTP: products stand as meant, once, and a second run is quiet."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from tests.integration.woocommerce.woocommerce_catalogue import (
    Image,
    SalePrice,
    connector,
    euros,
    item,
    product,
    publish,
    shirt,
    stock,
    variant,
)

from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil.hub.contract import Failure, Kind, Mark, Outcome
from counterfoil.retail.listing import PUBLISHED, Channel
from counterfoil.retail.money import Money
from counterfoil.retail.product import ChannelPrice, Product
from counterfoil_sandbox.faults import Fault
from counterfoil_sandbox.woocommerce import ShopApp, make_app

RED = Image(digest="d-red", url="https://erp.example/red.png")
BLUE = Image(digest="d-blue", url="https://erp.example/blue.png")


@pytest.fixture
def app() -> ShopApp:
    """The recorded shop: prices with tax, EUR, two decimals, weights in lbs."""
    return make_app()


def found(app: ShopApp, sku: str) -> dict[str, Any]:
    row = app.shop.catalogue.find(sku)
    assert row is not None, f"{sku} is not in the shop"
    return row


def state(app: ShopApp) -> tuple[Any, ...]:
    catalogue = app.shop.catalogue
    return dict(catalogue.products), dict(catalogue.variations), dict(catalogue.modified), list(catalogue.uploads)


def writes(app: ShopApp) -> int:
    return sum(count for request, count in app.requests.items() if not request.startswith("GET"))


def links_of(*outcomes: Outcome, of: tuple[Product, ...]) -> dict[str, str]:
    return {entity.canonical_id: outcome.link for entity, outcome in zip(of, outcomes, strict=True)}


# -- what stands there


async def test_a_simple_product_stands_as_meant(app: ShopApp, shop: WooCommerce) -> None:
    """Name, texts, price with the shop's decimals, weight in its unit, GTIN; no stock yet, so nobody can oversell."""
    own = variant(7, price=euros("12.5"), weight=Decimal("0.5"), gtin="4006381333931")
    outcome = await publish(shop, product(7, own, name="Café", description="<p>Good</p>"))
    row = found(app, "ART-7")
    assert (row["name"], row["description"], row["type"], row["status"]) == ("Café", "<p>Good</p>", "simple", "publish")
    assert (row["regular_price"], row["sale_price"], row["global_unique_id"]) == ("12.50", "", "4006381333931")
    assert row["weight"] == "1.1023"
    assert (row["manage_stock"], row["stock_quantity"], row["stock_status"]) == (True, 0, "outofstock")
    assert {entry["key"]: entry["value"] for entry in row["meta_data"]}["_counterfoil_id"] == "odoo:product:7"
    assert (outcome.link, outcome.links) == (str(row["id"]), {"odoo:variant:7": str(row["id"])})
    assert outcome.emits == ("product.published",)
    assert outcome.result["new_articles"] == ["odoo:variant:7"]


async def test_a_barcode_that_is_no_gtin_stays_in_the_erp(app: ShopApp, shop: WooCommerce) -> None:
    """The shop would refuse it; the GTIN that the shop has stays."""
    outcome = await publish(shop, product(1, variant(1, sku="SIM-0001", gtin="INTERNAL-1")))
    assert (outcome.kind, found(app, "SIM-0001")["global_unique_id"]) == (Kind.DONE, "3760000000000")


async def test_variants_become_variations(app: ShopApp, shop: WooCommerce) -> None:
    """A variable product with its attributes, a variation for each variant, links for all of them."""
    outcome = await publish(shop, shirt())
    parent = app.shop.catalogue.products[int(outcome.link)]
    assert (parent["type"], parent["status"], parent["sku"]) == ("variable", "publish", "")
    options = {row["name"]: (row["variation"], row["options"]) for row in parent["attributes"]}
    assert options == {"Colour": (True, ["Red"]), "Size": (True, ["M", "L"])}
    large = found(app, "SHIRT-70-L")
    assert [(row["name"], row["option"]) for row in large["attributes"]] == [("Colour", "Red"), ("Size", "L")]
    assert (large["regular_price"], large["status"], large["parent_id"]) == ("19.90", "publish", parent["id"])
    assert outcome.links["odoo:variant:7001"] == f"{parent['id']}/{large['id']}"
    assert sorted(outcome.result["new_articles"]) == ["odoo:variant:7000", "odoo:variant:7001"]
    assert (await publish(shop, stock("SHIRT-70-L", 4, 7001), links=outcome.links)).kind is Kind.DONE
    assert found(app, "SHIRT-70-L")["stock_quantity"] == 4


async def test_a_global_attribute_of_the_shop_is_used(app: ShopApp, shop: WooCommerce) -> None:
    """Where the shop has one by exactly this name, customers can filter by it."""
    two = [variant(n, options=(("Couleur", "Noir"), ("Size", size))) for n, size in ((5, "M"), (6, "L"))]
    outcome = await publish(shop, product(5, *two))
    rows = app.shop.catalogue.products[int(outcome.link)]["attributes"]
    assert [(row["id"], row["slug"]) for row in rows] == [(1, "pa_couleur"), (0, "Size")]


async def test_a_campaign_comes_and_goes(app: ShopApp, shop: WooCommerce) -> None:
    """Its price and its dates in GMT; afterwards both are cleared, the regular price stays."""
    starts = datetime(2026, 11, 27, 1, 0, tzinfo=timezone(timedelta(hours=1)))
    ends = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
    campaign = variant(7, sale=SalePrice(price=euros("9.9"), starts_at=starts, ends_at=ends))
    first = await publish(shop, product(7, campaign))
    row = found(app, "ART-7")
    assert (row["sale_price"], row["regular_price"]) == ("9.90", "19.90")
    assert (row["date_on_sale_from_gmt"], row["date_on_sale_to_gmt"]) == ("2026-11-27T00:00:00", "2026-11-30T23:59:59")
    assert row["date_on_sale_from"] == "2026-11-27T01:00:00"  # in Paris
    await publish(shop, product(7), links=links_of(first, of=(product(7),)))
    row = found(app, "ART-7")
    assert (row["sale_price"], row["date_on_sale_from"], row["date_on_sale_to_gmt"]) == ("", None, None)
    assert row["price"] == "19.90"


async def test_categories_are_made_once_and_the_shops_own_stay(app: ShopApp, shop: WooCommerce) -> None:
    """The path is made where it is missing, an existing part is used; a category a person added is kept."""
    tea = ("Épicerie", "Thé & infusions", "Vert")
    some = [product(n, category=tea) for n in (1, 2)]
    outcomes = await publish(shop, *some)
    names = {row["id"]: row for row in app.shop.catalogue.categories.values()}
    green = names[found(app, "ART-1")["categories"][0]["id"]]
    assert (green["name"], names[green["parent"]]["name"]) == ("Vert", "Thé &amp; infusions")
    assert names[green["parent"]]["parent"] == 19
    assert found(app, "ART-2")["categories"] == found(app, "ART-1")["categories"]
    assert app.requests["POST /wp-json/wc/v3/products/categories"] == 2
    number = int(outcomes[0].link)
    app.shop.catalogue.write({"categories": [{"id": green["id"]}, {"id": 18}]}, number)
    await publish(shop, product(1, category=("Livres",)), links={"odoo:product:1": str(number)})
    assert [row["id"] for row in found(app, "ART-1")["categories"]] == [20, 18]


async def test_what_only_describes_a_product_stays(app: ShopApp, shop: WooCommerce) -> None:
    """An attribute that a person added to a product of ours; and Uncategorized goes when a category comes."""
    first = await publish(shop, shirt(2))
    number = int(first.link)
    own = {"name": "Material", "visible": True, "variation": False, "options": ["Cotton"]}
    attributes = app.shop.catalogue.products[number]["attributes"]
    app.shop.catalogue.write({"attributes": [*attributes, own]}, number)
    await publish(shop, shirt(2, category=("Livres",)), links=links_of(first, of=(shirt(2),)))
    row = app.shop.catalogue.products[number]
    assert [entry["name"] for entry in row["attributes"]] == ["Colour", "Size", "Material"]
    assert [entry["id"] for entry in row["categories"]] == [20]


async def test_a_category_made_by_somebody_else_meanwhile_is_used(app: ShopApp, shop: WooCommerce) -> None:
    """The shop refuses ours as already there; it is looked up again and taken."""
    await publish(shop, product(1, category=("Known",)))  # the categories are now known to the connector
    app.shop.catalogue.category({"name": "Late", "parent": 0})
    await publish(shop, product(2, category=("Late",)))
    assert found(app, "ART-2")["categories"][0]["name"] == "Late"
    assert [row["name"] for row in app.shop.catalogue.categories.values()].count("Late") == 1


async def test_images_are_fetched_only_when_they_changed(app: ShopApp, shop: WooCommerce) -> None:
    """A new price fetches nothing; a new image takes the place of the first, the gallery behind it stays."""
    first = await publish(shop, product(7, image=RED))
    links = links_of(first, of=(product(7),))
    await publish(shop, product(7, variant(7, price=euros("25")), image=RED), links=links)
    assert app.shop.catalogue.uploads == [RED.url]
    row = found(app, "ART-7")
    gallery = [{"id": row["images"][0]["id"]}, {"src": "https://shop.example/own.png"}]
    app.shop.catalogue.write({"images": gallery}, row["id"])
    own = found(app, "ART-7")["images"][1]["id"]
    await publish(shop, product(7, variant(7, price=euros("25")), image=BLUE), links=links)
    assert app.shop.catalogue.uploads[2:] == [BLUE.url]
    after = found(app, "ART-7")["images"]
    assert (after[0]["src"], after[1]["id"]) == (BLUE.url, own)


async def test_variations_have_images_of_their_own(app: ShopApp, shop: WooCommerce) -> None:
    """One each, fetched once."""
    sizes = [variant(n, options=(("Size", s),), image=image) for n, s, image in ((1, "M", RED), (2, "L", BLUE))]
    first = await publish(shop, product(9, *sizes))
    assert found(app, "ART-2")["image"]["src"] == BLUE.url
    sizes[0] = sizes[0].model_copy(update={"price": euros("5")})
    await publish(shop, product(9, *sizes), links=links_of(first, of=(product(9),)))
    assert found(app, "ART-1")["regular_price"] == "5.00"
    assert sorted(app.shop.catalogue.uploads) == [BLUE.url, RED.url]


async def test_tax_classes_are_mapped(app: ShopApp, url: str) -> None:
    """The ERP's words to the shop's; `none` is not taxed at all; an unmapped one keeps the product away."""
    shop = connector(url, Channel(tax_classes={"20%": "standard", "5.5%": "reduced-rate", "": "none"}))
    classes = [product(n, tax_class=name) for n, name in enumerate(("20%", "5.5%", "", "8%"))]
    outcomes = await publish(shop, *classes)
    taxes = [(found(app, f"ART-{n}")["tax_status"], found(app, f"ART-{n}")["tax_class"]) for n in range(3)]
    assert taxes == [("taxable", ""), ("taxable", "reduced-rate"), ("none", "")]
    assert {outcome.kind for outcome in outcomes} == {Kind.DONE}
    assert app.shop.catalogue.find("ART-3") is None
    assert outcomes[3].result["reasons"] == ["no_tax_class"]
    await shop.close()


async def test_an_untracked_product_is_always_in_stock(app: ShopApp, shop: WooCommerce) -> None:
    """Services and the like: the shop counts nothing."""
    await publish(shop, product(7, tracked=False))
    row = found(app, "ART-7")
    assert (row["manage_stock"], row["stock_status"]) == (False, "instock")


# -- a second run, changes, adoption


async def test_a_second_run_writes_nothing(app: ShopApp, shop: WooCommerce) -> None:
    """Not a write, not a changed second; one read for all products together."""
    some = (product(1, image=RED, category=("New",)), shirt(2), product(3, variant(3, weight=Decimal(1))))
    outcomes = await publish(shop, *some)
    before = state(app)
    app.requests.clear()
    again = await publish(shop, *some, links=links_of(*outcomes, of=some))
    assert state(app) == before
    assert app.requests == {"GET /wp-json/wc/v3/products": 1}
    assert [outcome.result["written"] for outcome in again] == [False] * 3
    assert [outcome.emits for outcome in again] == [()] * 3


async def test_a_second_run_without_links_finds_everything(app: ShopApp, shop: WooCommerce) -> None:
    """After a lost link table: nothing is made again, and all links are told once more."""
    some = (product(1), shirt(2))
    first = await publish(shop, *some)
    count = len(app.shop.catalogue.products)
    again = await publish(shop, *some)
    assert len(app.shop.catalogue.products) == count
    assert [outcome.links for outcome in again] == [outcome.links for outcome in first]
    assert again[0].result["written"] is False


async def test_only_what_changed_is_written(app: ShopApp, shop: WooCommerce) -> None:
    """The price of one variant: its sibling is not touched."""
    app.shop.set_clock(frozen_at=1_795_254_800)
    first = await publish(shop, shirt(2))
    small, large = found(app, "SHIRT-2-M"), found(app, "SHIRT-2-L")
    app.shop.set_clock(frozen_at=1_795_254_900)
    changed = shirt(2)
    cheaper = changed.variants[1].model_copy(update={"price": euros("9.00")})
    changed = changed.model_copy(update={"variants": (changed.variants[0], cheaper)})
    await publish(shop, changed, links=links_of(first, of=(changed,)))
    assert found(app, "SHIRT-2-M") == small
    after = found(app, "SHIRT-2-L")
    assert (after["regular_price"], after["id"]) == ("9.00", large["id"])


async def test_1250_prices_all_arrive(app: ShopApp, shop: WooCommerce) -> None:
    """Over many calls and pages, simple products and variations alike: every price, none twice. case: F39"""
    size = shop.operations["publish_product"].batch
    simple = [product(n, variant(n, price=euros(f"{n}.{n % 100:02}"))) for n in range(1, 1001)]
    sizes = [
        product(5000 + n, *(variant(6000 + 10 * n + k, options=(("Size", str(k)),)) for k in range(5)))
        for n in range(50)
    ]
    links: dict[str, str] = {}
    for run in (1, 2):  # the second raises every price by one
        more = Decimal(run - 1)
        raised = [
            p.model_copy(
                update={
                    "variants": tuple(
                        v.model_copy(update={"price": Money(v.price.amount + more, "EUR")})  # type: ignore[union-attr]
                        for v in p.variants
                    )
                }
            )
            for p in (*simple, *sizes)
        ]
        for start in range(0, len(raised), size):
            some = raised[start : start + size]
            outcomes = await publish(shop, *some, links=links)
            assert {outcome.kind for outcome in outcomes} == {Kind.DONE}
            links |= {p.canonical_id: outcome.link for p, outcome in zip(some, outcomes, strict=True)}
    articles = [v for p in raised for v in p.variants]
    assert len(articles) == 1250
    shown = {v.sku: Decimal(found(app, v.sku)["regular_price"]) for v in articles}
    assert shown == {v.sku: v.price.amount for v in articles if v.price}
    assert len(app.shop.catalogue.products) == 72 + 1050


async def test_a_product_of_the_shop_is_taken_over_by_its_sku(app: ShopApp, shop: WooCommerce) -> None:
    """Its own options, tags, extra categories and attributes stay; a price becomes the ERP's. case: F36"""
    own = variant(1, sku="SIM-0001", price=euros("50"))
    before = found(app, "SIM-0001")
    outcome = await publish(shop, product(1, own, name="New name", category=("Livres",)))
    row = found(app, "SIM-0001")
    assert (outcome.link, row["regular_price"], row["name"]) == (str(before["id"]), "50.00", "New name")
    assert (row["tags"], row["stock_quantity"]) == (before["tags"], before["stock_quantity"])
    assert [entry["id"] for entry in row["categories"]] == [20, 17]
    assert outcome.result["new_articles"] == []


async def test_variations_of_the_shop_are_taken_over_by_their_skus(app: ShopApp, shop: WooCommerce) -> None:
    """In whatever words the shop names its options; they stay the shop's. case: F36"""
    sizes = [variant(n, sku=sku, options=(("Size", sku),)) for n, sku in enumerate(("VAR-001-NOI-M", "VAR-001-NOI-XL"))]
    parent = app.shop.catalogue.products[70]
    attributes, options = list(parent["attributes"]), list(found(app, "VAR-001-NOI-M")["attributes"])
    outcome = await publish(shop, product(1, *sizes))
    assert outcome.links == {"odoo:variant:0": "70/71", "odoo:variant:1": "70/72"}
    assert app.shop.catalogue.products[70]["attributes"] == attributes
    row = found(app, "VAR-001-NOI-M")
    assert (row["attributes"], row["regular_price"]) == (options, "19.90")
    assert found(app, "VAR-001-BLE-M")["status"] == "publish"  # the shop's own are left alone
    missing = product(1, *sizes, variant(9, options=(("Size", "XXL"),)))
    refused = await publish(shop, missing, links={"odoo:product:1": "70"})
    assert (refused.kind, refused.reason) == (Kind.REJECTED, "options_differ")


async def test_a_missing_variation_is_added_where_the_options_agree(app: ShopApp, shop: WooCommerce) -> None:
    """The shop's product gets the new option beside its own."""
    choices = (("VAR-001-NOI-M", "M"), ("NEW-XXL", "XXL"))
    sizes = [variant(n, sku=s, options=(("Couleur", "Noir"), ("Taille", o))) for n, (s, o) in enumerate(choices)]
    outcome = await publish(shop, product(1, *sizes))
    assert outcome.result["new_articles"] == ["odoo:variant:1"]
    options = {row["name"]: row["options"] for row in app.shop.catalogue.products[70]["attributes"]}
    assert options["Taille"] == ["M", "XL", "XXL"]
    assert options["Matière"] == ["Coton bio"]
    assert [row["option"] for row in found(app, "NEW-XXL")["attributes"]] == ["Noir", "XXL"]


async def test_one_variant_is_nothing_to_choose(app: ShopApp, shop: WooCommerce) -> None:
    """Odoo gives even a single article its options: it is a simple product, here as in the shop; a variation stays."""
    (size,) = shirt(3, ("M",)).variants
    made, taken, kept = await publish(
        shop,
        product(3, size),
        product(4, variant(4, sku="SIM-0001", options=(("Brand", "Own"),))),
        product(5, variant(5, sku="VAR-001-NOI-M", options=(("Brand", "Own"),), price=euros("44"))),
    )
    assert found(app, "SHIRT-3-M")["type"] == "simple"
    assert (made.kind, taken.kind, taken.link, kept.kind) == (Kind.DONE, Kind.DONE, "10", Kind.DONE)
    assert (kept.link, kept.links) == ("70", {"odoo:variant:5": "70/71"})
    assert found(app, "VAR-001-NOI-M")["regular_price"] == "44.00"


async def test_nothing_is_matched_by_its_name(app: ShopApp, shop: WooCommerce) -> None:
    """A product of the same name stays as it is, price and all; ours is made beside it. case: F36"""
    before = found(app, "SIM-0001")
    outcome = await publish(shop, product(1, variant(1, price=euros("1")), name=before["name"]))
    assert outcome.link != str(before["id"])
    assert found(app, "SIM-0001") == before


async def test_a_shop_is_told_its_own_prices(app: ShopApp, url: str) -> None:
    """Where Odoo has a pricelist for it; another shop's are not its business."""
    campaign = SalePrice(price=euros("8"))
    own = ChannelPrice(channel="web", price=euros("12"), sale=campaign)
    other = ChannelPrice(channel="other", price=euros("1"))
    await publish(connector(url, Channel("web")), product(7, variant(7, price=euros("10"), prices=(own, other))))
    row = found(app, "ART-7")
    assert (row["regular_price"], row["sale_price"]) == ("12.00", "8.00")


async def test_what_the_shop_owns_is_not_overwritten(app: ShopApp, url: str) -> None:
    """A channel that publishes all but descriptions, prices and visibility."""
    mine = frozenset(PUBLISHED) - {"description", "price", "sale", "visibility", "image"}
    shop = connector(url, Channel(publish=mine))
    before = found(app, "SIM-0001")
    own = variant(1, sku="SIM-0001", price=Money.of("50", "USD"))
    unreleased = product(1, own, description="ERP text", name="New", image=RED, sellable=False)
    outcome = await publish(shop, unreleased, links={"odoo:product:1": "10"})
    assert dict(outcome.result)["listed"] is False
    assert found(app, "SIM-0001") == before
    await publish(shop, product(1, own, description="ERP text", name="New", image=RED))
    after = found(app, "SIM-0001")
    for name in ("description", "regular_price", "sale_price", "date_on_sale_to", "status", "images"):
        assert after[name] == before[name]
    assert after["name"] == "New"
    fresh = await publish(shop, product(2, image=RED))
    assert app.shop.catalogue.products[int(fresh.link)]["status"] == "draft"
    await shop.close()


# -- what cannot be sold


async def test_what_cannot_be_sold_is_not_made_and_says_why(app: ShopApp, shop: WooCommerce) -> None:
    """Done, not an exception: the listing report carries the reasons."""
    outcome = await publish(shop, product(1, variant(1, price=None)))
    assert outcome.kind is Kind.DONE
    assert outcome.result["because"] == (
        "Cannot be sold on this channel because none of its variants can be sold; ART-1: it has no price."
    )
    assert writes(app) == 0


async def test_a_product_no_longer_for_sale_is_hidden_and_comes_back(app: ShopApp, shop: WooCommerce) -> None:
    """Private and out of the catalogue; never deleted; the same product again afterwards. A repeat writes nothing."""
    first = await publish(shop, product(1))
    links = links_of(first, of=(product(1),))
    hidden = await publish(shop, product(1, sellable=False), links=links)
    row = found(app, "ART-1")
    assert (row["status"], row["catalog_visibility"], hidden.result["listed"]) == ("private", "hidden", False)
    app.requests.clear()
    again = await publish(shop, product(1, sellable=False, name="Renamed"), links=links)
    assert (again.result["written"], writes(app)) == (False, 0)
    await publish(shop, product(1), links=links)
    row = found(app, "ART-1")
    assert (row["status"], row["catalog_visibility"], str(row["id"])) == ("publish", "visible", first.link)


async def test_an_archived_predecessor_does_no_harm(app: ShopApp, shop: WooCommerce) -> None:
    """It has the same SKU: neither in the same call nor later does it hide, or get, what stands for its successor."""
    old = product(1, variant(1, sku="SAME", active=False))
    new = product(2, variant(2, sku="SAME"))
    outcomes = await publish(shop, old, new)
    assert [outcome.result["listed"] for outcome in outcomes] == [False, True]
    again = await publish(shop, old)
    assert (again.kind, again.link, again.result["written"]) == (Kind.DONE, "", False)
    assert found(app, "SAME")["status"] == "publish"


async def test_the_sku_of_an_archived_variant_may_live_on_elsewhere(app: ShopApp, shop: WooCommerce) -> None:
    """On a product of its own by now: neither is held up by it, in one call or in two."""
    own = shirt(2, ("S", "M", "L"))
    gone = own.variants[0].model_copy(update={"active": False, "sku": "MOVED"})
    rest = own.model_copy(update={"variants": (gone, *own.variants[1:])})
    outcomes = await publish(shop, rest, product(3, variant(3, sku="MOVED")))
    assert [(outcome.kind, outcome.result["listed"]) for outcome in outcomes] == [(Kind.DONE, True)] * 2
    assert (await publish(shop, rest)).link == outcomes[0].link


async def test_what_the_hub_never_published_it_never_hides(app: ShopApp, shop: WooCommerce) -> None:
    """The shop has it on sale under that SKU, the ERP has not released it: the shop's affair, until it is linked."""
    unreleased = product(1, variant(1, sku="SIM-0001"), sellable=False)
    before = found(app, "SIM-0001")
    assert (await publish(shop, unreleased)).result["written"] is False
    assert found(app, "SIM-0001") == before
    await publish(shop, unreleased, links={"odoo:product:1": "10"})
    assert found(app, "SIM-0001")["status"] == "private"


async def test_a_lost_link_does_not_keep_a_product_on_sale(app: ShopApp, shop: WooCommerce) -> None:
    """Made by the hub, as its meta data say: taken off sale without a link too, with variants or without."""
    some = (product(1), shirt(2))
    await publish(shop, *some)
    outcomes = await publish(shop, *(p.model_copy(update={"sellable": False}) for p in some))
    assert [outcome.result["written"] for outcome in outcomes] == [True, True]
    parent = app.shop.catalogue.products[int(outcomes[1].link)]
    assert (found(app, "ART-1")["status"], parent["status"]) == ("private", "private")


async def test_an_archived_variant_is_hidden_alone(app: ShopApp, shop: WooCommerce) -> None:
    """So is one that the ERP dropped; their siblings stay on sale."""
    first = await publish(shop, shirt(2, ("S", "M", "L")))
    links = links_of(first, of=(shirt(2),))
    three = shirt(2, ("S", "M", "L"))
    gone = three.variants[0].model_copy(update={"active": False})
    outcome = await publish(shop, three.model_copy(update={"variants": (gone, *three.variants[1:])}), links=links)
    assert outcome.result["withheld"] == "Cannot be sold on this channel because SHIRT-2-S: it is archived."
    assert [found(app, f"SHIRT-2-{s}")["status"] for s in "SML"] == ["private", "publish", "publish"]
    sizes = app.shop.catalogue.products[int(first.link)]["attributes"][1]
    assert (sizes["name"], sizes["options"]) == ("Size", ["M", "L"])
    await publish(shop, three.model_copy(update={"variants": three.variants[1:2]}), links=links)
    assert [found(app, f"SHIRT-2-{s}")["status"] for s in "SML"] == ["private", "publish", "private"]
    await publish(shop, three, links=links)
    assert [found(app, f"SHIRT-2-{s}")["status"] for s in "SML"] == ["publish"] * 3
    assert len(app.shop.catalogue.children(int(first.link))) == 3


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ({"prices_include_tax": False}, "tax_basis_differs"),
        ({"variants": (variant(1, price=Money.of("9", "USD")),)}, "currency_differs"),
    ],
)
async def test_prices_of_another_kind_are_never_written(
    app: ShopApp, shop: WooCommerce, own: dict[str, Any], reason: str
) -> None:
    """With tax or without, and in which currency, must be the same on both sides."""
    outcomes = await publish(
        shop, product(1, **own) if "variants" not in own else product(1, *own["variants"]), shirt(2)
    )
    assert [outcome.kind for outcome in outcomes] == [Kind.REJECTED, Kind.DONE]
    assert outcomes[0].reason == reason
    assert app.shop.catalogue.find("ART-1") is None


async def test_a_shop_that_no_price_fits_is_told_once(app: ShopApp, shop: WooCommerce) -> None:
    """The channel is at fault, not its products: the first speaks for all, in whatever call it comes again."""
    net = [product(n, prices_include_tax=False) for n in range(1, 8)]
    first, second = await publish(shop, *net[:4]), await publish(shop, *net[4:6])
    third = await publish(shop, net[6])
    assert [each.kind for each in (*first, *second, third)] == [Kind.REJECTED] + [Kind.DONE] * 6
    assert (first[0].reason, "and the others" in first[0].message) == ("tax_basis_differs", True)
    assert "--again" in first[0].suggestion
    assert second[0].result == {
        "written": False,
        "because": "Not published: its prices are without tax, the shop's are entered with it.",
        "reasons": ["tax_basis_differs"],
    }
    assert (await publish(shop, net[0])).kind is Kind.REJECTED, "a call that is made again says the same"
    assert writes(app) == 0


async def test_the_odd_ones_among_fitting_prices_are_told_each(app: ShopApp, shop: WooCommerce) -> None:
    """Whether they come together with the others or later, alone."""
    odd = [product(n, prices_include_tax=False) for n in (1, 2, 3)]
    together = await publish(shop, *odd[:2], shirt(9))
    alone = await publish(shop, odd[2])
    assert [each.kind for each in together] == [Kind.REJECTED, Kind.REJECTED, Kind.DONE]
    assert (alone.kind, "and the others" in alone.message) == (Kind.REJECTED, False)
    later = await publish(shop, *odd)
    assert [each.kind for each in later] == [Kind.REJECTED, Kind.DONE, Kind.DONE], "now it is all of them"


async def test_net_prices_go_into_a_net_shop(app: ShopApp, shop: WooCommerce) -> None:
    """The shop's setting decides, not a guess."""
    app.shop.catalogue.settings["woocommerce_prices_include_tax"] = "no"
    assert (await publish(shop, product(1, prices_include_tax=False))).kind is Kind.DONE


# -- what goes wrong


async def test_a_bad_product_fails_alone(app: ShopApp, shop: WooCommerce) -> None:
    """A GTIN that another product has: refused in the answer's own row; 49 others stand. case: F17"""
    app.shop.catalogue.write({"name": "x", "sku": "X", "global_unique_id": "4006381333931"})
    some = [product(n) for n in range(50)]
    some[13] = product(13, variant(13, gtin="4006381333931"))
    outcomes = await publish(shop, *some)
    assert [outcome.kind for outcome in outcomes].count(Kind.DONE) == 49
    assert (outcomes[13].kind, outcomes[13].reason) == (Kind.REJECTED, "gtin_taken")
    assert app.shop.catalogue.find("ART-13") is None


async def test_a_bad_variant_leaves_its_siblings_standing(app: ShopApp, shop: WooCommerce) -> None:
    """The product is not marked as done, so putting it right publishes the rest."""
    app.shop.catalogue.write({"name": "x", "sku": "X", "global_unique_id": "4006381333931"})
    bad = shirt(2)
    wrong = bad.variants[0].model_copy(update={"gtin": "4006381333931"})
    outcome = await publish(shop, bad.model_copy(update={"variants": (wrong, bad.variants[1])}))
    assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "gtin_taken")
    assert found(app, "SHIRT-2-L")["regular_price"] == "19.90"
    again = await publish(shop, bad)
    assert (again.kind, len(again.links)) == (Kind.DONE, 2)
    assert app.shop.catalogue.products[int(again.link)]["status"] == "publish"
    assert len(app.shop.catalogue.products) == 74


@pytest.mark.parametrize("nth", range(1, 5))
async def test_nothing_is_made_twice_whichever_answer_is_lost(
    app: ShopApp, shop: WooCommerce, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    """A category, the products, the variations, the closing write: the answer of the nth is lost, then all again."""
    some = (product(1), shirt(2), product(3, category=("Fresh",)))
    take, posts = app.faults.take, 0

    def lose_nth(method: str, path: str) -> Fault | None:
        nonlocal posts
        posts += method == "POST"
        return Fault("lost_answer") if method == "POST" and posts == nth else take(method, path)

    monkeypatch.setattr(app.faults, "take", lose_nth)
    with pytest.raises(Failure) as failure:
        await publish(shop, *some)
    assert failure.value.outcome.kind is Kind.DOWN
    outcomes = await publish(shop, *some)
    assert [outcome.kind for outcome in outcomes] == [Kind.DONE] * 3
    assert len(app.shop.catalogue.products) == 72 + 3
    parent = app.shop.catalogue.products[int(outcomes[1].link)]
    assert (parent["sku"], parent["status"], len(parent["variations"])) == ("", "publish", 2)
    assert set(outcomes[1].links) == {"odoo:variant:200", "odoo:variant:201"}
    assert [row["name"] for row in app.shop.catalogue.categories.values()].count("Fresh") == 1


@pytest.mark.parametrize("force", [True, False])
async def test_what_the_shop_deleted_is_not_made_again(app: ShopApp, shop: WooCommerce, force: bool) -> None:
    """For good or into the trash: a person's decision, so a person is asked."""
    first = await publish(shop, product(1))
    app.shop.catalogue.remove(int(first.link), force)
    outcome = await publish(shop, product(1, name="Changed"), links=links_of(first, of=(product(1),)))
    assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "deleted_in_shop")
    assert len(app.shop.catalogue.products) == (72 if force else 73)


async def test_a_sku_in_the_trash_is_explained(app: ShopApp, shop: WooCommerce) -> None:
    """Never linked, no list shows it, the shop refuses: looked up once more, then in words."""
    made = app.shop.catalogue.write({"name": "old", "sku": "ART-1"})
    app.shop.catalogue.remove(made["id"], force=False)
    first = await publish(shop, product(1))
    assert (first.kind, first.reason) == (Kind.RETRY, "sku_taken")
    operation = shop.operations["publish_product"]
    (second,) = await operation.run([item(product(1), attempt=2)])
    assert (second.kind, second.reason) == (Kind.REJECTED, "sku_taken")
    assert "trash" in second.message


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: (product(1, variant(1, sku="VAR-001-NOI-M")),), "shape_differs"),
        (
            lambda: (product(1, variant(1, sku="SIM-0001", options=(("S", "M"),)), variant(2, options=(("S", "L"),))),),
            "shape_differs",
        ),
        (lambda: (product(1, variant(1, sku="S")), product(2, variant(2, sku="S"))), "duplicate_sku"),
        (
            lambda: (
                product(
                    1,
                    variant(1, sku="SIM-0001", options=(("S", "M"),)),
                    variant(2, sku="SIM-0002", options=(("S", "L"),)),
                ),
            ),
            "several_products",
        ),
    ],
)
async def test_unclear_matches_are_left_to_a_person(app: ShopApp, shop: WooCommerce, make: Any, reason: str) -> None:
    """Another shape, several products, one SKU on two: nothing is written. case: F36"""
    before = state(app)
    outcome = await publish(shop, *make())
    outcomes = outcome if isinstance(outcome, list) else [outcome]
    assert {(o.kind, o.reason) for o in outcomes} == {(Kind.REJECTED, reason)}
    assert state(app) == before


async def test_a_product_of_another_erp_record_is_not_taken(app: ShopApp, shop: WooCommerce) -> None:
    """Its meta data say whose it is; a SKU that wandered does not move the product along."""
    await publish(shop, product(1))
    outcome = await publish(shop, product(2, variant(2, sku="ART-1", price=euros("1"))))
    assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "linked_elsewhere")
    assert found(app, "ART-1")["regular_price"] == "19.90"


async def test_a_simple_product_that_gets_variants_keeps_its_place(app: ShopApp, shop: WooCommerce) -> None:
    """Same product of the shop; its SKU moves to the variation it now is."""
    first = await publish(shop, product(1))
    grown = product(1, variant(1, options=(("Size", "M"),)), variant(2, options=(("Size", "L"),)))
    outcome = await publish(shop, grown, links=links_of(first, of=(grown,)))
    assert (outcome.kind, outcome.link) == (Kind.DONE, first.link)
    assert (app.shop.catalogue.products[int(first.link)]["type"], found(app, "ART-1")["type"]) == (
        "variable",
        "variation",
    )


async def test_a_price_swallowed_in_silence_is_an_exception(app: ShopApp, shop: WooCommerce) -> None:
    """A plugin that rounds prices: 200, another number; the answer is read."""
    write = app.shop.catalogue.write

    def rounding(body: dict[str, Any], number: int | None = None) -> dict[str, Any]:
        return write({**body, "regular_price": "20"} if "regular_price" in body else body, number)

    app.shop.catalogue.write = rounding  # type: ignore[method-assign]
    outcome = await publish(shop, product(1))
    assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "price_not_kept")


async def test_an_image_out_of_reach_is_said_so(app: ShopApp, shop: WooCommerce) -> None:
    """The shop cannot fetch it: that product alone fails."""
    app.shop.catalogue.broken_images.add(RED.url)
    outcomes = await publish(shop, product(1, image=RED), product(2, image=BLUE))
    assert [(o.kind, o.reason) for o in outcomes] == [(Kind.REJECTED, "image_not_fetched"), (Kind.DONE, "")]


async def test_a_shop_that_is_down_fails_the_whole_call(app: ShopApp, shop: WooCommerce) -> None:
    """Nothing is an exception of a single product then."""
    app.faults.add("down", times=-1)
    with pytest.raises(Failure) as failure:
        await publish(shop, product(1), product(2))
    assert failure.value.outcome.kind is Kind.DOWN


async def test_every_article_is_listed_for_linking(app: ShopApp, shop: WooCommerce) -> None:
    """Simple products and variations, in the form links have; a variation without a SKU does not borrow one."""
    app.shop.catalogue.write_variation(70, {"sku": ""}, 71)
    listed = {link: keys async for link, keys in shop.articles()}
    simple, variations = 62, len(app.shop.catalogue.variations)
    assert len(listed) == simple + variations
    assert listed["10"]["sku"] == "SIM-0001"
    assert (listed["10"]["gtin"], listed["10"]["product"]) == ("3760000000000", "10")
    assert (listed["70/72"]["sku"], listed["70/72"]["product"]) == ("VAR-001-NOI-XL", "70")
    assert "sku" not in listed["70/71"]


async def test_the_doctor_looks_at_what_the_channel_needs(app: ShopApp, url: str) -> None:
    """A tax class the shop does not have, stock management switched off, an odd unit of weight."""
    shop = connector(url, Channel(tax_classes={"20%": "standard", "7%": "reduced", "0%": "none"}))
    app.shop.catalogue.settings |= {"woocommerce_manage_stock": "no", "woocommerce_weight_unit": "stone"}
    findings = {finding.check: finding for finding in await shop.doctor()}
    assert findings["channel stock"].mark is Mark.FAILED
    assert findings["channel weights"].mark is Mark.WARNING
    assert "no tax class reduced," in findings["channel tax classes"].found
    outcome = await publish(shop, product(1, tax_class="7%"))
    assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "tax_class_not_kept")
    await shop.close()


# -- owners of single fields


async def test_what_somebody_else_owns_of_a_product_stays_as_the_shop_has_it(app: ShopApp, shop: WooCommerce) -> None:
    """The shop writes its own texts; price and the rest come from the ERP."""
    await publish(shop, product(7, variant(7, price=euros("12.5")), description="from the ERP"))
    number = found(app, "ART-7")["id"]
    owned = ["category", "gtin", "image", "name", "price", "product", "sale", "sellable", "tax_class", "weight"]
    now = product(7, variant(7, price=euros("13.5")), description="another one")
    told = item(now, str(number))
    await shop.operations["publish_product"].run([dataclasses.replace(told, data={**told.data, "owned": owned})])
    row = found(app, "ART-7")
    assert (row["regular_price"], row["description"]) == ("13.50", "from the ERP")


async def test_who_does_not_own_products_publishes_none(app: ShopApp, shop: WooCommerce) -> None:
    told = item(product(7))
    (outcome,) = await shop.operations["publish_product"].run(
        [dataclasses.replace(told, data={**told.data, "owned": ["description"]})]
    )
    assert outcome.result["written"] is False
    assert app.shop.catalogue.find("ART-7") is None
