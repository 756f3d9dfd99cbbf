"""Click-and-collect: which stores have the whole cart, and from which day on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.conftest import ON_SQLITE
from tests.storefront_stage import ROOT, Stage, product, storefront

from counterfoil.hub.store import Store

pytestmark = ON_SQLITE

PLAN = """\
channels: {web: {warehouse: WH}}
stock: {bundles: {SET: {MUG: 2, CUP: 1}}}
places:
  WH: {country: FR}
  PAR: {name: Paris, country: FR, city: Paris, pickup: true}
  LYO: {name: Lyon, country: FR, city: Lyon, pickup: true, handling: 3}
"""


@pytest.fixture
async def stage(store: Store) -> AsyncIterator[Stage]:
    async with storefront(store, PLAN) as stage:
        await stage.sells(product("MUG"), product("CUP"), product("SET", "25.00 EUR"))
        await stage.counts(MUG={"WH": 9, "PAR": 3, "LYO": 4}, CUP={"PAR": 5, "LYO": 5})
        yield stage


async def test_the_stores_that_have_all_of_the_cart(stage: Stage) -> None:
    """A bundle's parts count with the other lines. case: F18"""
    lines = [{"sku": "SET", "quantity": 1}, {"sku": "MUG", "quantity": "2"}]
    answer = await stage.client.post(f"{ROOT}/pickup/stores", json={"lines": lines, "near": {"city": "Paris"}})
    stores = {each["place"]: each for each in answer.json()["stores"]}
    assert list(stores) == ["PAR", "LYO"]
    assert {code: (each["has_all"], each["missing"]) for code, each in stores.items()} == {
        "PAR": (False, ["MUG"]),
        "LYO": (True, []),
    }
    assert stores["PAR"]["ready_on"] is None
    assert stores["LYO"]["ready_on"] > answer.json()["as_of"][:10]


async def test_a_token_must_be_for_it(stage: Stage) -> None:
    headers = {"Authorization": await stage.token("orders")}
    asked = {"lines": [{"sku": "MUG", "quantity": 1}]}
    answer = await stage.client.post(f"{ROOT}/pickup/stores", json=asked, headers=headers)
    assert answer.status_code == 403
