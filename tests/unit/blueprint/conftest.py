"""A catalogue like the real one, and a whole blueprint to break in one place at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from counterfoil.blueprint import Catalogue, ConnectorInfo, Examined, OperationInfo, SettingInfo, examine_text

ENVIRON = {
    "WEB_KEY": "ck_0123456789",
    "WEB_SECRET": "cs_0123456789",
    "WEB_HOOK": "wh_0123456789",
    "ODOO_KEY": "ok_0123456789",
    "DB_PASSWORD": "db_0123456789",
}

WHOLE = """\
counterfoil: 1
store: sqlite:///data/counterfoil.db
listen: 127.0.0.1:8470
public_url: https://hub.example
systems:
  web-eu:
    connector: woocommerce
    url: https://shop.example
    consumer_key: ${WEB_KEY}
    consumer_secret: ${WEB_SECRET}
    webhook_secret: ${WEB_HOOK}
    poll: 60s
    overlap: 2m
    cut_over: 2026-01-01T00:00:00Z
  odoo:
    connector: odoo
    url: https://odoo.example
    database: prod
    api_key: ${ODOO_KEY}
owners:
  order: web-eu
  stock: odoo
flows:
  - on: order.placed
    from: web-eu
    do: odoo.accept_order
    within: 60s
    when_down: critical
    on_exception: hold
    batch: 20
    rate: 10/s
  - {on: order.cancelled, do: odoo.cancel_order}
  - {on: order.accepted, do: web-eu.note_order}
  - {on: order.changed, do: hub.ask}
orders:
  pending: wait
  on_hold: quotation
  processing: accept
  completed: accept
  rounding_tolerance: 5
customers: {match: [email]}
taxes:
  - {rate: 20, country: FR, class: standard, odoo: "20% G"}
  - {rate: 5.5, odoo: 7}
payments:
  - {method: bacs, journal: BNK1}
  - {method: "*", journal: BNK2}
exceptions:
  default: shop-manager
  bug: integration-engineer
"""

EVENTS = frozenset(
    "order." + name for name in ("placed", "paid", "changed", "cancelled", "refunded", "accepted", "closed", "noted")
)

KNOWN = Catalogue.of(
    [
        ConnectorInfo(
            "woocommerce",
            settings=(
                SettingInfo("consumer_key", required=True, secret=True),
                SettingInfo("consumer_secret", required=True, secret=True),
                SettingInfo("webhook_secret", secret=True),
                SettingInfo("version", help="the version of its API, such as wc/v3"),
            ),
            operations=(OperationInfo("note_order", "order", ("order.noted",)),),
            events=EVENTS - {"order.accepted", "order.closed", "order.noted"},
            webhook_setting="webhook_secret",
        ),
        ConnectorInfo(
            "odoo",
            settings=(
                SettingInfo("database", required=True, help="the name of the database"),
                SettingInfo("api_key", required=True, secret=True),
            ),
            operations=(
                OperationInfo("accept_order", "order", ("order.accepted",)),
                OperationInfo("cancel_order", "order", ("order.closed",)),
            ),
        ),
    ],
    EVENTS,
)


@pytest.fixture
def known() -> Catalogue:
    """Two connectors, as the blueprint sees them."""
    return KNOWN


@pytest.fixture
def environ() -> dict[str, str]:
    """Every variable that the whole blueprint names."""
    return dict(ENVIRON)


@pytest.fixture
def whole() -> str:
    """A blueprint that uses every key."""
    return WHOLE


@pytest.fixture
def look(tmp_path: Path) -> Callable[[str], Examined]:
    """Examine a text as `shop.yaml` in an empty folder, secrets required."""

    def examine(text: str) -> Examined:
        return examine_text(text, known=KNOWN, environ=ENVIRON, require_secrets=True, file="shop.yaml", folder=tmp_path)

    return examine


@pytest.fixture
def changed(look: Callable[[str], Examined]) -> Callable[[str, str], tuple[Examined, int]]:
    """Examine the whole blueprint with `old` replaced by `new`; also gives the line where `old` begins."""

    def examine(old: str, new: str) -> tuple[Examined, int]:
        assert WHOLE.count(old) == 1, f"{old!r} must stand once in the whole blueprint"
        return look(WHOLE.replace(old, new)), WHOLE[: WHOLE.index(old)].count("\n") + 1

    return examine
