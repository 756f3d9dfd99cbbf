"""What the connector for JSON APIs says of itself, and which settings it takes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from counterfoil.connectors import rest
from counterfoil.connectors.rest import CAPABILITIES, Rest
from counterfoil.connectors.rest.writing import NAMES
from counterfoil.doors.assembly import catalogue
from counterfoil.retail.events import EVENT_TYPES

PATHS = {name: f"/{name}" for name in NAMES.values()}


def connector(**settings: str) -> Rest:
    return Rest("crm", {"url": "https://crm.example/api", "token": "t", **PATHS, **settings})


async def test_manifest_capabilities_and_code_agree() -> None:
    """Three places name operations, feeds and events; all three say the same."""
    folder = Path(rest.__file__).parent
    manifest = tomllib.loads((folder / "manifest.toml").read_text(encoding="utf-8"))
    made = connector()
    assert manifest["name"] == CAPABILITIES["name"] == folder.name
    assert manifest["poll"] == CAPABILITIES["poll"] == made.feeds[0].every
    assert tuple(manifest["feeds"]) == CAPABILITIES["feeds"] == tuple(feed.name for feed in made.feeds)
    assert set(manifest["events"]) == CAPABILITIES["events"] == set(CAPABILITIES["reports_with"])
    assert CAPABILITIES["events"] <= set(EVENT_TYPES)
    assert len(made.operations) == len(CAPABILITIES["operations"])
    for told, known in zip(manifest["operations"], CAPABILITIES["operations"], strict=True):
        operation = made.operations[told["name"]]
        assert told["name"] == known["name"]
        assert told["stream"] == known["stream"] == operation.stream
        assert set(told["emits"]) == known["emits"] == set(operation.emits)
        assert told.get("state", False) == known.get("state", False) == operation.coalesces
        assert known["emits"] <= set(EVENT_TYPES)
        assert (manifest["limits"]["batch"], manifest["limits"]["parallel"]) == (operation.batch, operation.parallel)
        assert told["idempotent_by"]
        assert told["remaining_window"]
    assert len(list(folder.glob("*.*"))) <= 10
    await made.close()


async def test_only_lists_that_have_a_path_are_polled() -> None:
    """A finance system that is only written to is asked for nothing."""
    made = Rest("finance", {"url": "https://f.example", "token": "t", "records": "/postings"})
    assert list(made.feeds) == []
    await made.close()


async def test_what_is_only_written_is_not_read() -> None:
    """`reads` limits feeds, webhooks and what the blueprint expects of the system."""
    made = connector(reads="customers")
    assert [feed.kind for feed in made.feeds] == ["customer"]
    info = catalogue().connectors["rest"]
    assert info.reports("customer.changed", {"customers": "/c", "reads": "customers"})
    assert not info.reports("stock.changed", {"customers": "/c", "stock": "/s", "reads": "customers"})
    assert not info.reports("stock.changed", {"customers": "/c"})
    assert not info.reports("order.placed", {"orders": "/o"})
    await made.close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"token": ""}, "token missing"),
        ({"customers": "accounts"}, "expected a path such as /accounts, found 'accounts'"),
        ({"per_page": "0"}, "expected a whole number from 1 to 10000"),
        ({"per_page": "many"}, "expected a whole number from 1 to 10000"),
        ({"zone": "Mars/Base"}, "expected a zone such as Europe/Paris"),
        ({"record_method": "patch"}, "expected post or put"),
        ({"reads": "accounts"}, "expected names out of customers, products, stock"),
        ({"timeout": "soon"}, "expected a duration such as 60s"),
    ],
)
def test_a_setting_that_cannot_be_says_what_was_expected(settings: dict[str, str], words: str) -> None:
    """The system and the setting are named."""
    with pytest.raises(ValueError, match=r"systems\.crm") as raised:
        connector(**settings)
    assert words in str(raised.value)
