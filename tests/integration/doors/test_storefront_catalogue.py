"""Product pages and lists: the price of this moment, stock by the channel's rules, stores and delivery."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.conftest import ON_SQLITE
from tests.storefront_stage import ROOT, Stage, product, storefront

from counterfoil.hub.store import Store
from counterfoil.retail.product import Product

pytestmark = ON_SQLITE

PLAN = """\
channels:
  web: {warehouse: WH}
  other: {publish: [name, price, stock], assortment: {never: [Home / Kitchen / Knives]}}
stock: {bundles: {SET: {MUG: 2, CUP: 1}}, when_stale: {web: stop}}
places:
  WH: {name: Central, country: FR, city: Lyon, latitude: 45.7640, longitude: 4.8357}
  PAR: {name: Paris, country: FR, city: Paris, latitude: 48.8566, longitude: 2.3522, pickup: true}
  MRS: {name: Marseille, country: FR, city: Marseille, latitude: 43.2965, longitude: 5.3698, pickup: true}
  BER: {name: Berlin, country: DE, city: Berlin, pickup: true}
storefront: {delivery: {FR: 1-2, "*": 3-6}}
"""


def sale(**between: timedelta) -> dict[str, object]:
    now = datetime.now(UTC)
    return {"price": "8.00 EUR", **{name: (now + away).isoformat() for name, away in between.items()}}


@pytest.fixture
async def stage(store: Store) -> AsyncIterator[Stage]:
    async with storefront(store, PLAN) as stage:
        hour = timedelta(hours=1)
        await stage.sells(
            product("MUG", description="<p>Blue.</p>", variant={"sale": sale(starts_at=-hour, ends_at=hour)}),
            product("CUP", variant={"sale": sale(starts_at=hour)}),
            product("BOWL", variant={"prices": [{"channel": "other", "price": "12.00 EUR"}]}),
            product("KNIFE", category=("Home", "Kitchen", "Knives")),
            product("SET", "25.00 EUR"),
        )
        await stage.counts(MUG={"WH": 7, "PAR": 2}, CUP={"WH": 2, "PAR": 4}, KNIFE={"WH": 1})
        yield stage


async def test_a_product_page_says_all_of_it_in_one_read(stage: Stage) -> None:
    place = {"latitude": 43.3, "longitude": 5.4, "country": "FR"}
    page = (await stage.client.get(f"{ROOT}/products/MUG", params=place)).json()
    assert page["name"] == "The MUG"
    assert page["description"] == "<p>Blue.</p>"
    assert page["price"]["now"] == {"amount": "8.00", "currency": "EUR"}
    assert page["price"]["regular"]["amount"] == "10.00"
    assert page["availability"] == {"state": "in_stock", "quantity": 9, "beyond": 0}
    assert [(s["place"], s["quantity"]) for s in page["stores"]] == [("MRS", 0), ("PAR", 2), ("BER", 0)]
    assert page["stores"][0]["kilometres"] < 5
    assert 600 < page["stores"][1]["kilometres"] < 700
    assert page["stores"][2]["kilometres"] is None
    assert page["delivery"]["place"] == "WH"
    assert page["delivery"]["ships_on"] <= page["delivery"]["earliest"] < page["delivery"]["latest"]
    assert page["stale"] is False


async def test_a_campaign_counts_while_it_lasts_and_where_the_channel_takes_part(stage: Stage) -> None:
    later = (await stage.client.get(f"{ROOT}/products/CUP")).json()
    assert later["price"]["now"]["amount"] == "10.00"
    elsewhere = {"Authorization": await stage.token("catalogue", channel="other")}
    without = (await stage.client.get(f"{ROOT}/products/MUG", headers=elsewhere)).json()
    assert without["price"]["now"]["amount"] == "10.00"


async def test_a_channel_has_its_own_prices(stage: Stage) -> None:
    elsewhere = {"Authorization": await stage.token("catalogue", "checkout", channel="other")}
    here = (await stage.client.get(f"{ROOT}/products/BOWL")).json()
    there = (await stage.client.get(f"{ROOT}/products/BOWL", headers=elsewhere)).json()
    assert (here["price"]["now"]["amount"], there["price"]["now"]["amount"]) == ("10.00", "12.00")
    asked = {"lines": [{"sku": "BOWL", "quantity": 1, "price": {"amount": "10.00", "currency": "EUR"}}]}
    checked = (await stage.client.post(f"{ROOT}/checkout/validate", json=asked, headers=elsewhere)).json()
    assert [problem["code"] for problem in checked["lines"][0]["problems"]] == ["price_changed", "short"]


async def test_a_channel_has_its_own_assortment(stage: Stage) -> None:
    elsewhere = {"Authorization": await stage.token("catalogue", channel="other")}
    assert (await stage.client.get(f"{ROOT}/products/KNIFE")).status_code == 200
    refused = await stage.client.get(f"{ROOT}/products/KNIFE", headers=elsewhere)
    assert (refused.status_code, refused.json()["type"]) == (404, "/storefront/v1/problems/no_such_sku")


async def test_a_list_is_unchanged_until_something_in_it_changes(stage: Stage) -> None:
    wanted = {"skus": ["SET", "CUP", "NONE", "CUP"]}
    first = await stage.client.post(f"{ROOT}/products/list", json=wanted)
    assert [item["sku"] for item in first.json()["items"]] == ["SET", "CUP"]
    assert first.json()["unknown"] == ["NONE"]
    assert first.json()["items"][0]["availability"]["quantity"] == 4  # of 9 MUG and 6 CUP, two and one in each
    known = {"If-None-Match": f'W/"0", {first.headers["ETag"]}'}
    await stage.looked()
    assert (await stage.client.post(f"{ROOT}/products/list", json=wanted, headers=known)).status_code == 304
    await stage.counts(CUP={"WH": 1})
    changed = await stage.client.post(f"{ROOT}/products/list", json=wanted, headers=known)
    assert [item["availability"]["quantity"] for item in changed.json()["items"]] == [1, 1]
    same = await stage.client.get(f"{ROOT}/products", params=[("sku", "SET"), ("sku", "CUP"), ("sku", "NONE")])
    assert same.json()["items"] == changed.json()["items"]
    assert same.headers["ETag"] == changed.headers["ETag"]


async def test_past_the_declared_age_the_channels_rule_decides(stage: Stage) -> None:
    await stage.looked(ago=601.0)
    old = (await stage.client.get(f"{ROOT}/products/MUG")).json()
    assert (old["stale"], old["age_seconds"] // 10) == (True, 60)
    assert old["availability"]["quantity"] == 0
    elsewhere = {"Authorization": await stage.token("catalogue", channel="other")}
    assert (await stage.client.get(f"{ROOT}/products/MUG", headers=elsewhere)).json()["availability"]["quantity"] == 9


async def test_a_product_with_choices_shows_those_that_are_sold(stage: Stage) -> None:
    names = ("S", "M", "L")
    shirt = Product.model_validate(
        {"system": "odoo", "id": "9", "name": "Shirt", "variants": [
            {"id": f"9{n}", "sku": f"TEE/{n}", "price": "20.00 EUR", "options": [("Size", n)], "active": n != "M"}
            for n in names
        ]}
    )  # fmt: skip
    await stage.sells(shirt)
    stage.follower._walked_at = -1e9
    await stage.looked()
    page = (await stage.client.get(f"{ROOT}/products/TEE/L")).json()
    assert [(v["sku"], v["options"]) for v in page["variants"]] == [("TEE/S", {"Size": "S"}), ("TEE/L", {"Size": "L"})]
    assert (await stage.client.get(f"{ROOT}/products/TEE/M")).status_code == 404
