"""A whole hub between its stand-ins, scraped over HTTP: an alert fires while a system is away, and is over after it."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest
from tests.alerting import Watch
from tests.integration.doors.conftest import Scene, at_rest, prepared_odoo, scene, until
from tests.integration.doors.test_webhook_door import an_order, signed
from tests.integration.doors.test_whole_hub import paid

from counterfoil.doors.assembly import load
from counterfoil.doors.serve import Hub, hub
from counterfoil.hub import systems
from counterfoil.watch import metrics

__all__ = ["prepared_odoo", "scene"]


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path)


async def test_odoo_is_away_and_comes_back(scene: Scene, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "KEEP", 0.0)
    monkeypatch.setattr(metrics, "SHARE", float("inf"))

    async def scrape() -> tuple[float, str]:
        async with httpx.AsyncClient(base_url=running.url) as client:
            answer = await client.get("/metrics")
        assert answer.status_code == 200
        return time.time(), answer.text

    async def refused() -> None:
        body = an_order()
        async with httpx.AsyncClient(base_url=running.url) as client:
            answer = await client.post("/webhooks/web", content=body, headers=signed(body, "another secret"))
        assert answer.status_code == 401

    async with hub(load(scene.file)) as running:
        await running.connectors["web"].ensure_webhooks(running.url)  # type: ignore[attr-defined]
        first = paid(scene)
        await until(lambda: bool(scene.in_odoo(first)))
        await at_rest(running, scene)
        well = [await scrape()]

        scene.odoo.faults.add("down", times=-1)
        paid(scene)
        await until(lambda: is_closed(running))
        ill = []
        for _ in range(2):
            await refused()
            ill.append(await scrape())
        watch.expect("SystemClosed", False, well, 7, goes_on=True)
        watch.expect("SystemClosed", True, [*well, *ill], 7, goes_on=False)
        watch.expect("PollStale", True, [*well, *ill], 20, goes_on=False)
        watch.expect("PollStale", False, well, 20, goes_on=True)
        watch.expect("WebhooksRefused", True, [*well, *ill], 14, goes_on=False)

        scene.odoo.faults.clear()
        await until(lambda: is_open(running), 60)
        await at_rest(running, scene)
        watch.expect("SystemClosed", False, [*ill, await scrape()], 7, goes_on=True)
        watch.given("Away", False, [await up(running)], 5)
    watch.given("Away", True, [await up(running)], 5)
    watch.ask()


async def up(running: Hub) -> dict[str, str]:
    """What Prometheus itself notes of a look at the hub: 1 if it answered."""
    try:
        async with httpx.AsyncClient(base_url=running.url) as client:
            value = int((await client.get("/metrics")).is_success)
    except httpx.ConnectError:
        value = 0
    return {"series": 'up{job="counterfoil", instance="hub"}', "values": f"{value}x10"}


async def is_closed(running: Hub) -> bool:
    return "odoo" in await systems.closed(running.store)


async def is_open(running: Hub) -> bool:
    return not await is_closed(running)
