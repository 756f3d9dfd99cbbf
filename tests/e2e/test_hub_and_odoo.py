"""The whole hub between a shop and a real Odoo 19, judged by the independent checker: nothing lost, nothing twice.

The checker reads shop and Odoo only, and asks for completion, so that doing nothing cannot pass.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.odoo_real import an_odoo, odoo19

from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil.doors.assembly import load
from counterfoil.doors.serve import Hub, hub
from counterfoil_lab.checker import check, odoo_orders, passed, sellable, shop_orders
from counterfoil_lab.recorded import SHOP, feed, read, settle, verdicts
from counterfoil_lab.stage import SHOP_KEYS, OdooPlace, blueprint, prepared
from counterfoil_sandbox.serving import serving
from counterfoil_sandbox.woocommerce import RECORDINGS, Shop, generate
from counterfoil_sandbox.woocommerce import make_app as make_shop

EXPECTED = Path(__file__).parents[1] / "recorded" / "expected.yaml"
CURRENCIES = {"EUR", "USD", "GBP", "CHF", "JPY", "PLN", "HUF", "CAD"}


@pytest.fixture
def place(odoo_ready: None) -> Iterator[OdooPlace]:
    """A real Odoo with two workers, prepared from the recordings."""
    with an_odoo(workers=2) as answer:
        there = OdooPlace(answer["url"], answer["database"], answer["api_key"])
        prepared(there, RECORDINGS, CURRENCIES)
        yield there


@pytest.fixture
def shop() -> Iterator[tuple[Shop, str]]:
    """A shop that sends webhooks, and its address."""
    app = make_shop()
    with serving(app) as url:
        yield app.shop, url


def judge(shop_url: str, place: OdooPlace) -> dict[str, Any]:
    """The checker's verdict, from shop and Odoo alone."""
    found = odoo_orders(place.api, f"{SHOP}:order:")
    return check(shop_orders(shop_url, *SHOP_KEYS), found, sellable(place.api), SHOP)


def how_many(place: OdooPlace) -> int:
    """Orders in Odoo by now."""
    return int(place.api.call("sale.order", "search_count", domain=[["origin", "=like", f"{SHOP}:order:%"]]))


def wait_for(place: OdooPlace, enough: int) -> int:
    """Until so many orders are in Odoo; how many there are."""
    deadline = time.monotonic() + 30
    while (found := how_many(place)) < enough and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def until_passed(shop_url: str, place: OdooPlace, seconds: float) -> dict[str, Any]:
    """The verdict once it passes, still the same two polls later; or the last one."""
    deadline = time.monotonic() + seconds
    verdict = judge(shop_url, place)
    while not passed(verdict) and time.monotonic() < deadline:
        time.sleep(0.5)
        verdict = judge(shop_url, place)
    time.sleep(2.5)
    return judge(shop_url, place)


async def test_recorded_orders_arrive_to_the_cent(place: OdooPlace, tmp_path: Path) -> None:
    """case: F24, F25, F26, F38 - each recorded answer comes out as tests/recorded/expected.yaml says, which was
    written by hand: its outcome, its reason, and the customer's total as Odoo shows it."""
    expected = {row.get("order") or row["file"]: row for row in yaml.safe_load(EXPECTED.read_text(encoding="utf-8"))}
    things = read(RECORDINGS)
    plan = blueprint(tmp_path, place, shop=SHOP, note_orders=False, catalogue=RECORDINGS)
    async with hub(load(plan), ("doors", "workers")) as running:
        assert set((await feed(running.url, things)).values()) <= {200, 202}
        await settle(running, len(things))
        lines = await verdicts(running, things, place)
    assert len(lines) > 30
    for seen in lines:
        want = expected[seen["order"]]
        assert seen["outcome"] == want["outcome"], seen
        assert want.get("reason") in (None, seen.get("reason")), seen
        assert "doubled" not in seen, seen
    there = [seen for seen in lines if seen["outcome"] in ("accepted", "quotation")]
    assert len(there) > 15
    assert [seen for seen in there if seen["differences"]] == []


@contextlib.contextmanager
def hub_process(file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`counterfoil run` in a process of its own, ended at the end."""
    command = [sys.executable, "-m", "counterfoil.doors.cli", "run", "-b", str(file)]
    with (file.parent / "hub.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def test_the_hub_is_killed_again_and_again(place: OdooPlace, shop: tuple[Shop, str], tmp_path: Path) -> None:
    """case: F08, F11 - kill -9 in the middle of work, four times, orders coming in all the while: whoever starts it
    again finds everything, and nothing is there twice."""
    store, url = shop
    orders = generate(RECORDINGS, 60)
    file = blueprint(tmp_path, place, url, SHOP, poll="1s", catalogue=RECORDINGS)
    for order in orders[:40]:
        store.place(order)
    cut_short = 0
    for enough in (1, 12, 24, 32):
        with hub_process(file) as process:
            wait_for(place, enough)
            assert process.poll() is None, (tmp_path / "hub.log").read_text()[-2000:]
        cut_short += not passed(judge(url, place))
        for order in orders[40:][(cut_short - 1) * 5 :][:5]:
            store.place(order)
    assert cut_short == 4, "each time there was work left"
    assert len(store.orders) == 60
    with hub_process(file):
        verdict = until_passed(url, place, 60)
    assert passed(verdict), verdict
    assert (verdict["lost"], verdict["duplicates"], verdict["wrong"]) == (0, 0, {})


async def hear_webhooks(running: Hub) -> None:
    """The shop sends its webhooks to this hub."""
    connector = running.connectors[SHOP]
    assert isinstance(connector, WooCommerce)
    await connector.ensure_webhooks(running.url)


async def test_odoo_is_killed_and_comes_back(place: OdooPlace, shop: tuple[Shop, str], tmp_path: Path) -> None:
    """case: F01, F12 - kill -9 of Odoo in the middle of work: lanes wait, and go on by themselves when it is back."""
    store, url = shop
    file = blueprint(tmp_path, place, url, SHOP, poll="1s", catalogue=RECORDINGS)
    async with hub(load(file)) as running:
        await hear_webhooks(running)
        for order in generate(RECORDINGS, 60):
            await asyncio.to_thread(store.place, order)
        assert await asyncio.to_thread(wait_for, place, 10) < 50, "there was work left"
        served = odoo19("serve", place.database, "0", "2")  # as it is already
        os.kill(served["pid"], signal.SIGKILL)
        await asyncio.sleep(2)
        await asyncio.to_thread(odoo19, "serve", place.database, str(served["port"]), "2")
        verdict = await asyncio.to_thread(until_passed, url, place, 60)
    assert passed(verdict), verdict
    assert (verdict["lost"], verdict["duplicates"], verdict["wrong"]) == (0, 0, {})


async def test_two_hubs_on_one_shop_and_one_odoo(place: OdooPlace, tmp_path: Path) -> None:
    """case: F03 - two hubs with stores of their own hear the same webhooks at the same time: each order once."""
    things = [thing for thing in read(RECORDINGS) if thing.is_order]
    async with contextlib.AsyncExitStack() as stack:
        hubs = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            plan = blueprint(tmp_path / name, place, shop=SHOP, note_orders=False, catalogue=RECORDINGS)
            hubs.append(await stack.enter_async_context(hub(load(plan), ("doors", "workers"))))
        await asyncio.gather(*(feed(each.url, things) for each in hubs))
        await asyncio.gather(*(settle(each, len(things)) for each in hubs))
        both = [await verdicts(each, things, place) for each in hubs]
    outcomes = [[(line["order"], line["outcome"], line.get("reason")) for line in lines] for lines in both]
    assert outcomes[0] == outcomes[1]
    for line in both[0]:
        assert line["outcome"] != "lost", line
        assert "doubled" not in line, line
        assert not line.get("differences"), line
