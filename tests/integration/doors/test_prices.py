"""Prices as their users meet them: held back before they harm, released, and taken back when they did."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.command import also, counterfoil
from tests.integration.doors.conftest import Scene, at_rest, until

from counterfoil.connectors.odoo import feeds
from counterfoil.hub import exceptions
from counterfoil_lab.stage import SHOP_KEYS, OdooPlace, blueprint
from counterfoil_sandbox.faults import Faulty
from counterfoil_sandbox.serving import serving
from counterfoil_sandbox.woocommerce import RECORDINGS
from counterfoil_sandbox.woocommerce import make_app as make_shop

FLOW = "  - {on: product.changed, from: odoo, do: web.publish_product, when_down: latest_only, on_exception: pass}\n"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "SELDOM", 2.0)  # Odoo's customers and products are looked at every 30 s otherwise


@pytest.fixture
def selling(prepared_odoo: tuple[Faulty, OdooPlace], tmp_path: Path) -> Iterator[Scene]:
    """Products published to a shop, their prices looked at; one mug in Odoo."""
    odoo, place = prepared_odoo
    mug = {"name": "Mug", "default_code": "ROLLED-MUG", "list_price": 10.0, "standard_price": 8.0, "type": "consu"}
    place.api.call("product.template", "create", vals_list=[mug])
    shop = make_shop(options={"woocommerce_prices_include_tax": "no"})
    with serving(shop) as url:
        file = blueprint(tmp_path, place, url, poll="1s", catalogue=RECORDINGS)
        rules = "prices: {min_margin: 0, most_change: 30}\n"
        file.write_text(file.read_text().replace("flows:\n", f"flows:\n{FLOW}", 1) + rules)
        yield Scene(shop, url, odoo, place, file)


def price_in_odoo(scene: Scene, price: float) -> None:
    [row] = scene.place.api.read("product.template", [["default_code", "=", "ROLLED-MUG"]], ["id"])
    scene.place.api.call("product.template", "write", ids=[row["id"]], vals={"list_price": price})


def in_shop(scene: Scene) -> str:
    """The mug's price as the shop's API tells it; empty where it does not."""
    found = httpx.get(f"{scene.shop_url}/wp-json/wc/v3/products", params={"sku": "ROLLED-MUG"}, auth=SHOP_KEYS).json()
    return str(found[0]["regular_price"]) if found else ""


async def is_sold_at(scene: Scene, price: str) -> bool:
    return await asyncio.to_thread(in_shop, scene) == price


async def test_held_back_then_released_then_taken_back(selling: Scene) -> None:
    scene = selling
    async with scene.hub() as running:
        await until(lambda: is_sold_at(scene, "10.00"))
        await at_rest(running, scene)
        before = datetime.now(UTC)
        price_in_odoo(scene, 1.0)

        async def asked() -> list[dict[str, Any]]:
            return [e for e in await exceptions.listing(running.store) if e["reason"] == "needs_approval"]

        await until(asked)
        [exception] = await asked()
        assert "below 8, its cost" in exception["message"]
        assert await is_sold_at(scene, "10.00")
        await also("exceptions", "release", str(exception["id"]), "--note", "all must go", "-b", scene.file)
        await until(lambda: is_sold_at(scene, "1.00"))
        await at_rest(running, scene)

        arguments = ("prices", "rollback", "--to", before.isoformat(), "-b", scene.file)
        shown = json.loads((await also(*arguments, "--json")).stdout)
        assert shown == {
            "products": 1,
            "articles": 1,
            "prices": [{"sku": "ROLLED-MUG", "now": "1.00 EUR", "then": "10.00 EUR"}],
            "restated": None,
        }
        assert await is_sold_at(scene, "1.00"), "shown, not done"
        assert "1 products are told" in (await also(*arguments, "--yes")).stdout
        await until(lambda: is_sold_at(scene, "10.00"))


def test_back_to_no_moment_is_said_with_a_remedy(selling: Scene) -> None:
    done = counterfoil("prices", "rollback", "--to", "yesterday", "-b", selling.file, code=2)
    assert "2025-01-01" in done.stderr
    done = counterfoil("prices", "rollback", "--to", "2026-01-01", "--system", "till", "-b", selling.file, code=1)
    assert "there are: web, odoo" in " ".join(done.stderr.split())


async def test_what_is_wrong_with_products_is_listed(selling: Scene, tmp_path: Path) -> None:
    file = tmp_path / "found.csv"
    async with selling.hub() as running:
        await until(lambda: is_sold_at(selling, "10.00"))
        await at_rest(running, selling)
        arguments = ("quality", "--check", "gtin", "--csv", file, "-b", selling.file)
        found = json.loads((await also(*arguments, "--json", code=1)).stdout)["found"]
        assert {"check": "gtin", "sku": "ROLLED-MUG", "words": "it has no GTIN"}.items() <= next(
            one for one in found if one["sku"] == "ROLLED-MUG"
        ).items()
        assert len(file.read_text().splitlines()) == len(found) + 1
        assert "nothing found" in (await also("quality", "--check", "duplicate_gtin", "-b", selling.file)).stdout
    assert "there are: sku," in " ".join(
        counterfoil("quality", "--check", "colour", "-b", selling.file, code=2).stderr.split()
    )
