"""The products of the WooCommerce stand-in are held to recordings of a real 9.9.5, writes and refusals alike.

Of another folder too, where COUNTERFOIL_RECORDED names one.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from counterfoil_sandbox.woocommerce import RECORDINGS, ShopApp, make_app
from counterfoil_sandbox.woocommerce_orders import without_links

FOLDERS = [RECORDINGS, *(Path(p) for p in [os.environ.get("COUNTERFOIL_RECORDED", "")] if p)]
AUTH = ("ck_sandbox", "cs_sandbox")
READ = ("products/*.json", "variations/*/*.json", "misc/categories.json", "misc/attributes.json", "taxes/classes.json")
WRITTEN = (
    *("400_duplicate_gtin", "400_duplicate_sku", "400_variation_duplicate_sku", "404_product_put", "413_batch_101"),
    *("price_comma", "price_negative", "price_number_type", "400_price_garbage", "stock_decimal", "stock_string"),
    *("stock_unmanaged", "variation_put_via_wrong_parent", "batch_partial"),
)
# What the write was about; the rest of the recorded product had other changes behind it.
COMPARED = ("regular_price", "price", "sale_price", "manage_stock", "purchasable", "sku", "type", "on_sale")


def recorded(names: tuple[str, ...]) -> list[Any]:
    return [
        pytest.param(folder, json.loads(path.read_text(encoding="utf-8")), id=f"{number}:{path.relative_to(folder)}")
        for number, folder in enumerate(FOLDERS)
        for name in names
        for path in sorted(folder.glob(name))
    ]


def client_of(app: ShopApp) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://shop.example/wp-json/wc/v3", auth=AUTH)


async def ask(app: ShopApp, request: dict[str, Any]) -> httpx.Response:
    url = urlsplit(request["url"])
    async with client_of(app) as client:
        path = url.path.removeprefix("/wp-json/wc/v3")
        return await client.request(request["method"], path, params=parse_qs(url.query), json=request["body"])


@pytest.mark.parametrize(("folder", "recording"), recorded(READ))
async def test_lists_and_single_ones_are_those_recorded(folder: Path, recording: Any) -> None:
    """The same rows in the same order, field for field, where the recorded shop had not changed in between."""
    answer = await ask(make_app(folder), recording["request"])
    wanted = recording["response"]
    assert answer.status_code == wanted["status"]
    for header in ("X-WP-Total", "X-WP-TotalPages"):
        assert answer.headers.get(header) == wanted["headers"].get(header)
    assert steady(answer.json()) == steady(wanted["body"])


def steady(body: Any) -> Any:
    """Without what the shop draws by lot each time."""
    rows = without_links(body)
    for row in rows if isinstance(rows, list) else [rows]:
        row.pop("related_ids", None)
    return rows


@pytest.mark.parametrize(("folder", "recording"), recorded(tuple(f"errors/{name}.json" for name in WRITTEN)))
async def test_writes_and_refusals_are_those_recorded(folder: Path, recording: Any) -> None:
    """Same status, same words of refusal, the same silent coercions of prices and stock."""
    app = make_app(folder)
    if made := app.shop.catalogue.find("BATCH-OK"):  # the lists were recorded after this write
        app.shop.catalogue.remove(made["id"])
    answer = await ask(app, recording["request"])
    wanted, sent = recording["response"], recording["request"]["body"]
    assert answer.status_code == wanted["status"]
    if "Allow" in wanted["headers"]:
        assert answer.headers.get("Allow") == wanted["headers"]["Allow"]
    given, body = answer.json(), without_links(wanted["body"])
    if answer.status_code >= 400:
        assert given == body
    elif "update" in body:
        assert errors(given) == errors(body)
        assert [row["id"] for row in given["update"]] == [row["id"] for row in body["update"]]
        assert set(given["create"][0]) == set(body["create"][0])
        assert given["update"][0]["stock_quantity"] == body["update"][0]["stock_quantity"]
    else:
        assert set(given) == set(body)
        for name in COMPARED if "regular_price" in sent else ("manage_stock", "stock_quantity"):
            assert given[name] == body[name], name


def errors(parts: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {part: [row.get("error") for row in rows] for part, rows in parts.items()}


# -- what was measured beside the recordings


async def test_the_sku_filter_finds_variations_by_their_own_sku() -> None:
    """In a product's shape with its parent; several at once; without regard to case, as MySQL compares."""
    app = make_app()
    async with client_of(app) as client:
        (row,) = (await client.get("/products", params={"sku": "VAR-004-NOI-M"})).json()
        assert (row["id"], row["type"], row["parent_id"]) == (92, "variation", 91)
        several = (await client.get("/products", params={"sku": "SIM-0001,sim-0002,NONE"})).json()
        assert {row["sku"] for row in several} == {"SIM-0001", "SIM-0002"}
        assert set(row) - {"brands"} == set(app.shop.catalogue.products[10]) - {"brands"}


async def test_variations_are_written_by_their_parent_only() -> None:
    """Read under products, refused there on a write, singly and in a batch."""
    app = make_app()
    async with client_of(app) as client:
        assert (await client.get("/products/92")).json()["type"] == "variation"
        put = await client.put("/products/92", json={"regular_price": "1"})
        assert (put.status_code, put.json()["code"]) == (404, "woocommerce_rest_invalid_product_id")
        batch = (await client.post("/products/batch", json={"update": [{"id": 92}]})).json()["update"][0]
        assert (batch["id"], batch["error"]["code"]) == (92, "woocommerce_rest_invalid_product_id")


async def test_a_variation_without_a_sku_shows_its_parents() -> None:
    """But is not found by it: the filter looks at its own."""
    app = make_app()
    async with client_of(app) as client:
        await client.put("/products/70/variations/71", json={"sku": ""})
        shown = (await client.get("/products/70/variations", params={"per_page": 100})).json()
        assert next(row["sku"] for row in shown if row["id"] == 71) == "VAR-001"
        assert [row["id"] for row in (await client.get("/products", params={"sku": "VAR-001"})).json()] == [70]


async def test_a_sku_in_the_trash_is_still_taken() -> None:
    """And its product is in no list but the trash's."""
    app = make_app()
    async with client_of(app) as client:
        await client.delete("/products/10")
        assert (await client.get("/products", params={"sku": "SIM-0001"})).json() == []
        trash = (await client.get("/products", params={"status": "trash"})).json()
        assert [row["id"] for row in trash] == [10]
        again = await client.post("/products", json={"name": "again", "sku": "SIM-0001"})
        assert (again.status_code, again.json()["code"]) == (400, "woocommerce_rest_product_not_created")
        await client.delete("/products/10", params={"force": "true"})
        assert (await client.post("/products", json={"name": "again", "sku": "SIM-0001"})).status_code == 201


async def test_null_says_nothing_and_an_empty_text_clears() -> None:
    """PHP's isset: only an empty text takes a date of a campaign away."""
    app = make_app()
    async with client_of(app) as client:
        kept = (await client.put("/products/10", json={"date_on_sale_to_gmt": None})).json()
        assert kept["date_on_sale_to_gmt"] == "2026-12-31T22:59:59"
        cleared = (await client.put("/products/10", json={"date_on_sale_to_gmt": ""})).json()
        assert (cleared["date_on_sale_to_gmt"], cleared["date_on_sale_to"]) == (None, None)


async def test_a_write_of_a_variation_moves_its_parent() -> None:
    """Measured: date_modified of both; and of stock, in batches as well."""
    app = make_app()
    app.shop.set_clock(frozen_at=1_800_000_000)
    async with client_of(app) as client:
        body = {"update": [{"id": 92, "stock_quantity": 4, "manage_stock": True}]}
        row = (await client.post("/products/91/variations/batch", json=body)).json()["update"][0]
        assert (row["stock_quantity"], row["date_modified_gmt"]) == (4, "2027-01-15T08:00:00")
        parent = (await client.get("/products/91")).json()
        assert parent["date_modified_gmt"] == "2027-01-15T08:00:00"
        recent = {"modified_after": "2027-01-15T07:00:00Z"}
        assert [row["id"] for row in (await client.get("/products", params=recent)).json()] == [91]


async def test_a_category_that_is_there_is_refused() -> None:
    """With the id of the one that is; under another parent the name is free."""
    app = make_app()
    async with client_of(app) as client:
        again = await client.post("/products/categories", json={"name": "Livres"})
        assert (again.status_code, again.json()["code"]) == (400, "term_exists")
        assert again.json()["data"]["resource_id"] == 20
        made = await client.post("/products/categories", json={"name": "Livres", "parent": 17})
        assert (made.status_code, made.json()["parent"]) == (201, 17)


async def test_fields_cut_the_answer() -> None:
    """Of lists and single ones."""
    app = make_app()
    async with client_of(app) as client:
        rows = (await client.get("/products", params={"_fields": "id,sku", "include": "10,11"})).json()
        assert rows == [{"id": 11, "sku": "SIM-0002"}, {"id": 10, "sku": "SIM-0001"}]


async def test_orders_take_stock_and_give_it_back() -> None:
    """Below zero too; of a variation whose stock is its parent's, from the parent; unmanaged stock stays."""
    catalogue = make_app().shop.catalogue
    catalogue.sell(10, 40)
    assert (catalogue.products[10]["stock_quantity"], catalogue.products[10]["stock_status"]) == (-9, "outofstock")
    catalogue.sell(10, -40)
    catalogue.sell(71, 5)
    catalogue.sell(15, 5)
    assert catalogue.products[10]["stock_quantity"] == 31
    assert (catalogue.products[70]["stock_quantity"], catalogue.products[15]["stock_quantity"]) == (40, None)


async def test_orders_move_stock_where_the_shop_is_told_to() -> None:
    """Measured: 94 to 92 by an order of two, back to 94 when it is cancelled; completed takes no more."""
    app = make_app()
    app.shop.catalogue.follows_orders = True
    app.shop.catalogue.write({"stock_quantity": 94}, 10)
    lines = [{"product_id": 10, "variation_id": 0, "quantity": 2}]
    number = app.shop.place(None, status="processing", line_items=lines)["id"]
    shown = [app.shop.catalogue.products[10]["stock_quantity"]]
    for status in ("completed", "cancelled", "processing"):
        app.shop.change(number, status=status)
        shown.append(app.shop.catalogue.products[10]["stock_quantity"])
    assert shown == [92, 92, 94, 92]


def test_a_campaign_is_on_from_its_start_to_its_end_by_the_shops_clock() -> None:
    app = make_app()
    dates = {"date_on_sale_from_gmt": "2026-11-27T00:00:00", "date_on_sale_to_gmt": "2026-11-30T23:59:59"}
    made = app.shop.catalogue.write({"name": "Mug", "regular_price": "10.00", "sale_price": "8.00", **dates})
    seen = []
    for day in (26, 28, 31):
        app.shop.set_clock(frozen_at=datetime(2026, 11, 1, tzinfo=UTC).timestamp() + (day - 1) * 86_400)
        seen.append(app.shop.catalogue.shown(app.shop.catalogue.products[made["id"]])["on_sale"])
    assert seen == [False, True, False]
