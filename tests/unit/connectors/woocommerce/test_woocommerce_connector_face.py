"""What the connector says of itself: manifest, capabilities and settings agree, and wrong settings say so."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from counterfoil.connectors import woocommerce
from counterfoil.connectors.woocommerce import CAPABILITIES, SETTINGS, WooCommerce
from counterfoil.connectors.woocommerce.client import Client
from counterfoil.connectors.woocommerce.feeds import poll_orders
from counterfoil.connectors.woocommerce.webhooks import TOPICS
from counterfoil.retail.events import EVENT_TYPES

NEEDED = {"url": "https://shop.example", "consumer_key": "ck", "consumer_secret": "cs"}


async def test_manifest_capabilities_and_code_agree() -> None:
    """Three places name operations, feeds and events; all three say the same."""
    folder = Path(woocommerce.__file__).parent
    manifest = tomllib.loads((folder / "manifest.toml").read_text(encoding="utf-8"))
    connector = WooCommerce("web-eu", NEEDED)
    assert manifest["name"] == CAPABILITIES["name"] == folder.name
    assert manifest["webhook_setting"] == CAPABILITIES["webhook_setting"]
    assert tuple(manifest["feeds"]) == CAPABILITIES["feeds"] == tuple(feed.name for feed in connector.feeds)
    assert set(manifest["events"]) == CAPABILITIES["events"]
    assert CAPABILITIES["events"] <= set(EVENT_TYPES)
    for told, known in zip(manifest["operations"], CAPABILITIES["operations"], strict=True):
        operation = connector.operations[told["name"]]
        assert told["stream"] == known["stream"] == operation.stream
        assert set(told["emits"]) == known["emits"] == set(operation.emits)
        assert told.get("state", False) == known.get("state", False) >= operation.coalesces
        assert known["emits"] <= set(EVENT_TYPES)
    assert {s.name for s in SETTINGS if s.secret} == {"consumer_key", "consumer_secret", "webhook_secret"}
    await connector.close()


async def test_settings_in_words_people_write() -> None:
    """Durations with a unit or plain seconds."""
    connector = WooCommerce("web-eu", {**NEEDED, "poll": "0.2", "overlap": "3m", "cut_over": "2026-11-01"})
    assert [feed.every for feed in connector.feeds] == [0.2, 0.2, 3.0, 3.0]
    assert connector.overlap == 180
    await connector.close()
    connector = WooCommerce("web-eu", {**NEEDED, "customers": "no", "refunds": "1h", "shipment_tracking": "True"})
    assert {feed.name: feed.every for feed in connector.feeds} == {"orders": 60.0, "trash": 60.0, "refunds": 3600.0}
    assert connector.topics == TOPICS
    assert connector.system == "web-eu"
    await connector.close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "systems.web-eu: url, consumer_key, consumer_secret missing"),
        ({**NEEDED, "consumer_key": ""}, "systems.web-eu: consumer_key missing"),
        ({**NEEDED, "poll": "often"}, "systems.web-eu.poll: found 'often', expected a duration such as 60s or 2m"),
        ({**NEEDED, "overlap": "-5s"}, "systems.web-eu.overlap: found '-5s'"),
        ({**NEEDED, "notes": "all"}, "systems.web-eu.notes: found 'all', expected customer or private"),
        (
            {**NEEDED, "shipment_tracking": "maybe"},
            "systems.web-eu.shipment_tracking: found 'maybe', expected yes or no",
        ),
        ({**NEEDED, "customers": "daily"}, "systems.web-eu.customers: found 'daily', expected a duration"),
        ({**NEEDED, "cut_over": "soon"}, "systems.web-eu.cut_over: found 'soon', expected a time such as"),
    ],
)
def test_wrong_settings_say_what_was_expected(settings: dict[str, str], words: str) -> None:
    """The place, the value, the form."""
    with pytest.raises(ValueError, match=r"systems\.web-eu") as caught:
        WooCommerce("web-eu", settings)
    assert str(caught.value).startswith(words)


async def test_a_connector_without_settings_for_time_still_polls_from_the_beginning() -> None:
    """No cursor, no cut-over: the first order of the shop is asked for."""
    asked: list[dict[str, Any]] = []

    class Fake(Client):
        async def get(self, path: str, **params: str | int) -> Any:
            asked.append(params)
            raise RuntimeError("seen enough")

    client = Fake("https://shop.example", "k", "s", 5)
    for start in (None, datetime(2026, 11, 1, tzinfo=UTC)):
        with pytest.raises(RuntimeError):
            async for _ in poll_orders(client, {}, status="any", overlap=120, start=start):
                pass
    assert "modified_after" not in asked[0]
    assert asked[1]["modified_after"] == "2026-10-31T23:58:00Z"
    await client.close()
