"""`counterfoil stock`: each number with how it came about, and who takes what."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from counterfoil.doors.cli import app
from counterfoil.hub.availability import stock
from counterfoil.hub.availability.readings import Reading, keep_readings
from counterfoil.hub.availability.stock import Taking
from counterfoil.hub.schema import cursor, object_
from counterfoil.hub.store import open_store
from counterfoil.retail.availability import UNIT
from counterfoil.retail.product import Product, Variant

PLAN = """\
counterfoil: 1
store: sqlite:///{folder}/hub.db
systems:
  web: {{connector: woocommerce, url: https://shop.example, consumer_key: "${{K}}", consumer_secret: "${{K}}"}}
  odoo: {{connector: odoo, url: https://odoo.example, api_key: "${{K}}"}}
channels:
  web: {{warehouses: [WH], safety_stock: 2}}
places:
  S1: {{pickup: true}}
stock:
  safety: [{{category: Home, units: 1}}]
  bundles: {{SET: {{MUG: 2, BOX: 1}}}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A blueprint whose store knows two articles, ten and four, of which an order and a reservation take some."""
    plan = tmp_path / "counterfoil.yaml"
    plan.write_text(PLAN.format(folder=tmp_path))
    asyncio.run(fill(f"sqlite:///{tmp_path}/hub.db"))
    return plan


async def fill(url: str) -> None:
    store = await open_store(url)
    variants = (Variant(id="1", sku="MUG"), Variant(id="2", sku="BOX"))
    product = Product(system="odoo", id="9", name="Home", category=("Home",), variants=variants)
    mug, box = "odoo:variant:1", "odoo:variant:2"
    async with store.write() as connection:
        known = {"system": "odoo", "kind": "product", "object_id": "9", "version": "1", "digest": "", "stage": "1"}
        known |= {"state": product.model_dump(mode="json"), "canonical_id": product.canonical_id, "updated_at": 1.0}
        await connection.execute(object_.insert().values(known))
        readings = [
            Reading(mug, "MUG", {"WH": (10 * UNIT, 3 * UNIT, 0), "S1": (2 * UNIT, 0, 0)}, 1.0),
            Reading(box, "BOX", {"WH": (4 * UNIT, 0, 0)}, 1.0),
        ]
        rows = await keep_readings(connection, store, readings)
        taken = [Taking("web:order:7", mug, "WH", UNIT, "web"), Taking("a-hold", box, "WH", 2 * UNIT, "web")]
        await stock.take(connection, store, rows, taken)
    await store.close()


def told(file: Path, *arguments: str, code: int = 0) -> str:
    ran = CliRunner().invoke(app, ["stock", *arguments, "-b", str(file)])
    assert ran.exit_code == code, ran.output
    return ran.output


def test_a_number_says_how_it_came_about_and_who_takes_of_it(file: Path) -> None:
    found = json.loads(told(file, "MUG", "--json"))
    web = found["channels"]["web"]
    assert (web["units"], web["told"], web["state"], web["pickup"]) == (5, 5, "in_stock", {"S1": 2})
    steps = [(step["words"], step["by"], step["left"]) for step in web["parts"][0]["steps"]]
    assert steps == [
        ("on hand, WH", "10", "10"),
        ("outgoing, reserved or not, WH", "-3", "7"),
        ("taken by reservations and orders not yet in the ERP, WH", "-1", "6"),
        ("safety stock", "-1", "5"),
        ("whole units, never below zero", "0", "5"),
    ]
    assert [(t["by"], t["still_counted"]) for t in found["taken"]] == [("web:order:7", "1")]
    assert (found["as_of"], found["stale"]) == (None, True)


def test_how_old_the_number_is_goes_by_the_systems_whose_stock_counts(file: Path) -> None:
    """A look at a shop's own stock makes it no newer."""

    async def looked() -> None:
        store = await open_store(f"sqlite:///{file.parent}/hub.db")
        async with store.write() as connection:
            for system, ago in (("odoo", 3600.0), ("web", 0.0)):
                row = {"system": system, "feed": "stock", "value": {}, "next_at": 0.0, "ok_at": store.now - ago}
                await connection.execute(cursor.insert().values(row))
        await store.close()

    asyncio.run(looked())
    found = json.loads(told(file, "MUG", "--json"))
    age = datetime.now(UTC) - datetime.fromisoformat(found["as_of"])
    assert (found["stale"], age > timedelta(minutes=59)) == (True, True)


def test_a_bundle_is_told_part_by_part(file: Path) -> None:
    found = json.loads(told(file, "SET", "--json"))
    assert found["bundle"] == {"MUG": "2", "BOX": "1"}
    assert found["channels"]["web"]["units"] == 1
    assert [(part["sku"], part["units"]) for part in found["channels"]["web"]["parts"]] == [("MUG", 5), ("BOX", 1)]
    table = told(file, "SET")
    assert "web: 1 of SET may be sold" in table
    assert "BOX, 1 in each" in table
    assert "a-hold" in table


def test_what_is_not_known_is_said_with_what_to_look_at(file: Path) -> None:
    assert "Is it spelt right?" in told(file, "MUGG", code=1)
    assert "there are: web, odoo" in told(file, "MUG", "--channel", "shop", code=2)
    assert "stores: S1" in told(file, "MUG", "--place", "WH", code=2)


def test_what_can_be_collected_in_a_store_is_explained_too(file: Path) -> None:
    (part,) = json.loads(told(file, "MUG", "--place", "S1", "--json"))["channels"]["web"]["parts"]
    assert [(step["words"], step["left"]) for step in part["steps"]][:1] == [("on hand, S1", "2")]
