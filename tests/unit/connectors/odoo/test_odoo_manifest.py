"""What the connector says of itself: manifest, capabilities and code agree."""

from __future__ import annotations

import tomllib
from pathlib import Path

from counterfoil.connectors import odoo
from counterfoil.connectors.odoo import CAPABILITIES, Odoo, Rules
from counterfoil.connectors.odoo.operations import BATCH, PARALLEL
from counterfoil.connectors.odoo.rules import Staff
from counterfoil.connectors.odoo.versions import BY_VERSION
from counterfoil.retail.events import EVENT_TYPES


async def test_manifest_capabilities_and_code_agree() -> None:
    """Three places name operations, feeds, events and versions; all three say the same."""
    folder = Path(odoo.__file__).parent
    manifest = tomllib.loads((folder / "manifest.toml").read_text(encoding="utf-8"))
    rules = Rules(staff=Staff(("anna",), 60))
    connector = Odoo("odoo", {"url": "http://odoo.example", "database": "erp", "api_key": "key"}, rules)
    assert manifest["name"] == CAPABILITIES["name"] == folder.name
    assert manifest["poll"] == CAPABILITIES["poll"]
    assert manifest["versions"] == [f"{major}.0" for major in BY_VERSION]
    assert tuple(manifest["feeds"]) == CAPABILITIES["feeds"] == tuple(feed.name for feed in connector.feeds)
    assert set(manifest["events"]) == CAPABILITIES["events"]
    assert CAPABILITIES["events"] <= set(EVENT_TYPES)
    assert len(connector.operations) == len(CAPABILITIES["operations"])
    for told, known in zip(manifest["operations"], CAPABILITIES["operations"], strict=True):
        operation = connector.operations[told["name"]]
        assert told["name"] == known["name"]
        assert told["stream"] == known["stream"] == operation.stream
        assert set(told["emits"]) == known["emits"] == set(operation.emits)
        assert told.get("state", False) == known.get("state", False) >= operation.coalesces
        assert known["emits"] <= set(EVENT_TYPES)
        assert told["idempotent_by"]
        assert told["remaining_window"]
    assert (manifest["limits"]["batch"], manifest["limits"]["parallel"]) == (BATCH, PARALLEL)
    await connector.close()
