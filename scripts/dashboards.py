#!/usr/bin/env python3
"""Write ops/ from the code: Prometheus' alert rules and Grafana's dashboards. --check: are they so?

The rules stand in counterfoil.watch.rules, the panels here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from counterfoil.watch.rules import as_prometheus

MADE = "Made by scripts/dashboards.py from the code; change it there."
HERE = '{job="$job"}'


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture: queries by their legend; `$job` is the hub that was chosen."""

    title: str
    queries: Mapping[str, str]
    unit: str = "short"
    kind: str = "timeseries"  # or stat, for one number
    red_from: float | None = None
    width: int = 8


def _sum(metric: str, by: str, where: str = "", over: str = "5m") -> str:
    selected = f'{metric}{{job="$job"{", " * bool(where)}{where}}}'
    return f"sum by ({by}) (rate({selected}[{over}]))"


def _most(metric: str, by: str = "", where: str = "") -> str:
    grouped = f"max by ({by})" if by else "max"
    return f'{grouped} ({metric}{{job="$job"{", " * bool(where)}{where}}})'


def _quantile(share: float, metric: str, by: str) -> str:
    return f'histogram_quantile({share}, sum by ({by}, le) (rate({metric}_bucket{{job="$job"}}[5m])))'


def _total(metric: str, by: str) -> str:
    """Of what every instance says of the store."""
    return f"sum by ({by}) (max without (instance) ({metric}{HERE}))"


def _age(metric: str, by: str, of: str = "min") -> str:
    return f"time() - {of} by ({by}) ({metric}{HERE})"


def _per_hour(type_: str) -> str:
    return f'sum(increase(counterfoil_events_total{{job="$job", type="{type_}"}}[1h]))'


SHOP = (
    Panel("Orders in, last hour", {"orders": _per_hour("order.placed")}, kind="stat", width=4),
    Panel("Orders accepted, last hour", {"orders": _per_hour("order.accepted")}, kind="stat", width=4),
    Panel(
        "Promises overdue",
        {"promises": 'sum(max by (promise) (counterfoil_promises{job="$job", state="overdue"})) or vector(0)'},
        kind="stat",
        red_from=1,
        width=4,
    ),
    Panel(
        "Open exceptions",
        {
            "exceptions": "sum(max by (system, operation, outcome, reason, owner)"
            f" (counterfoil_exceptions_open{HERE})) or vector(0)"
        },
        kind="stat",
        red_from=1,
        width=4,
    ),
    Panel(
        "Systems that cannot be called",
        {"systems": f"sum(max by (system, operation) (counterfoil_breaker_open{HERE}))"},
        kind="stat",
        red_from=1,
        width=4,
    ),
    Panel(
        "Oldest stock change untold",
        {"age": f"time() - min(counterfoil_stock_untold_since_timestamp_seconds{HERE}) or vector(0)"},
        "s",
        "stat",
        120,
        4,
    ),
    Panel(
        "Orders a minute",
        {
            "{{system}} placed": "60 * " + _sum("counterfoil_events_total", "system", 'type="order.placed"'),
            "{{system}} accepted": "60 * " + _sum("counterfoil_events_total", "system", 'type="order.accepted"'),
        },
        width=12,
    ),
    Panel(
        "From the fact to done, 95 of 100",
        {"{{system}} {{operation}}": _quantile(0.95, "counterfoil_delivery_lag_seconds", "system, operation")},
        "s",
        width=12,
    ),
    Panel(
        "Deliveries in time",
        {
            "{{system}} {{operation}}": _sum(
                "counterfoil_delivery_promises_total", "system, operation", 'result="kept"'
            )
            + " / "
            + _sum("counterfoil_delivery_promises_total", "system, operation")
        },
        "percentunit",
    ),
    Panel(
        "Promises of the blueprint, last hour",
        {"{{promise}} {{result}}": f"sum by (promise, result) (increase(counterfoil_promises_total{HERE}[1h]))"},
    ),
    Panel(
        "Open exceptions by owner",
        {"{{owner}}": _total("counterfoil_exceptions_open", "owner")},
    ),
    Panel(
        "Oldest open exception by owner",
        {"{{owner}}": _age("counterfoil_exceptions_oldest_timestamp_seconds", "owner")},
        "s",
    ),
    Panel(
        "Refunds and postings before a person",
        {
            "{{system}} {{operation}} {{reason}}": _most(
                "counterfoil_exceptions_open",
                "system, operation, reason",
                'operation=~"refund_order|read_refunds|invoice_order|post_record"',
            )
        },
    ),
    Panel("Reservations", {"{{state}}": _most("counterfoil_reservations", "state")}),
    Panel(
        "Money waiting to be matched", {"{{kind}} {{currency}}": _most("counterfoil_money_waiting", "kind, currency")}
    ),
    Panel(
        "Payments and refunds waiting to be matched",
        {"{{kind}} {{currency}}": _most("counterfoil_money_waiting_items", "kind, currency")},
    ),
    Panel(
        "Oldest of them",
        {"{{kind}} {{currency}}": _age("counterfoil_money_waiting_since_timestamp_seconds", "kind, currency")},
        "s",
    ),
)

HUB = (
    Panel("Store answers", {"{{instance}}": _most("counterfoil_store_up", "instance")}, kind="stat", width=6),
    Panel("Pressure", {"pressure": _most("counterfoil_pressure")}, kind="stat", red_from=1, width=6),
    Panel(
        "Exceptions beyond their response time",
        {"exceptions": f"sum(max by (owner) (counterfoil_exceptions_overdue{HERE})) or vector(0)"},
        kind="stat",
        red_from=1,
        width=6,
    ),
    Panel("Version", {"{{version}}": _most("counterfoil_build_info", "version")}, kind="stat", width=6),
    Panel("Lanes", {"{{system}} {{stream}} {{state}}": _most("counterfoil_lanes", "system, stream, state")}, width=12),
    Panel(
        "Oldest delivery that could be done",
        {"{{system}} {{stream}}": _age("counterfoil_oldest_delivery_timestamp_seconds", "system, stream")},
        "s",
        width=12,
    ),
    Panel(
        "Longest held for a person",
        {"{{system}} {{stream}}": _age("counterfoil_held_since_timestamp_seconds", "system, stream")},
        "s",
    ),
    Panel(
        "Unfinished deliveries",
        {"{{system}} {{state}}": _total("counterfoil_deliveries_unfinished", "system, state")},
    ),
    Panel("Breakers", {"{{system}} {{operation}}": _most("counterfoil_breaker_open", "system, operation")}),
    Panel(
        "Outcomes a second",
        {"{{system}} {{outcome}}": _sum("counterfoil_deliveries_total", "system, outcome")},
    ),
    Panel(
        "Tried again, a second",
        {
            "{{system}} {{operation}}": _sum(
                "counterfoil_deliveries_total", "system, operation", 'outcome=~"retry|throttled|down"'
            )
        },
    ),
    Panel("Results dropped, a second", {"leases lost": f"sum(rate(counterfoil_leases_lost_total{HERE}[5m]))"}),
    Panel(
        "Calls, 95 of 100",
        {"{{system}} {{operation}}": _quantile(0.95, "counterfoil_call_seconds", "system, operation")},
        "s",
    ),
    Panel(
        "Polls, 95 of 100", {"{{system}} {{feed}}": _quantile(0.95, "counterfoil_poll_seconds", "system, feed")}, "s"
    ),
    Panel(
        "Since the last poll that worked",
        {"{{system}} {{feed}}": _age("counterfoil_poll_ok_timestamp_seconds", "system, feed", "max")},
        "s",
    ),
    Panel("Found by polls, a second", {"{{system}} {{feed}}": _sum("counterfoil_polled_total", "system, feed")}),
    Panel("Webhooks a second", {"{{system}} {{outcome}}": _sum("counterfoil_webhooks_total", "system, outcome")}),
    Panel(
        "From receipt to decoding, 95 of 100",
        {"{{system}} {{origin}}": _quantile(0.95, "counterfoil_ingestion_delay_seconds", "system, origin")},
        "s",
    ),
    Panel(
        "Storefront, 99 of 100",
        {"{{route}}": _quantile(0.99, "counterfoil_storefront_request_seconds", "route")},
        "s",
    ),
    Panel(
        "Storefront requests a second",
        {"{{status}}": _sum("counterfoil_storefront_request_seconds_count", "status")},
    ),
    Panel(
        "Age of the storefront's stock",
        {"{{instance}}": _most("counterfoil_storefront_book_age_seconds", "instance")},
        "s",
    ),
    Panel("Stock changes untold", {"articles": _most("counterfoil_stock_untold")}),
    Panel(
        "Store",
        {"size": _most("counterfoil_store_size_bytes"), "free": f"min(counterfoil_store_free_bytes{HERE})"},
        "bytes",
    ),
    Panel(
        "Time the store takes to say all this",
        {"{{instance}}": _most("counterfoil_store_read_seconds", "instance")},
        "s",
    ),
    Panel(
        "Memory",
        {"{{instance}}": f"process_resident_memory_bytes{HERE}"},
        "bytes",
    ),
    Panel(
        "Age of credentials",
        {"{{system}} {{name}}": _age("counterfoil_credential_since_timestamp_seconds", "system, name", "max")},
        "s",
    ),
    Panel(
        "Versions of systems",
        {"{{system}}: {{name}} {{version}}": _most("counterfoil_system_info", "system, name, version")},
    ),
)

DASHBOARDS = {"shop": ("Counterfoil: the shop", SHOP), "hub": ("Counterfoil: the hub", HUB)}


def dashboard(uid: str, title: str, panels: Sequence[Panel]) -> str:
    """One dashboard, for Grafana 10 and later."""
    placed, x, y, row = [], 0, 0, 0
    for number, panel in enumerate(panels, 1):
        height = 4 if panel.kind == "stat" else 8
        if x + panel.width > 24:
            x, y, row = 0, y + row, 0
        placed.append(_panel(panel, number, {"h": height, "w": panel.width, "x": x, "y": y}))
        x, row = x + panel.width, max(row, height)
    variables = [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
        {
            **{"name": "job", "type": "query", "label": "Hub", "refresh": 1, "datasource": SOURCE},
            **{"query": {"query": "label_values(counterfoil_build_info, job)", "refId": "job"}},
        },
    ]
    whole = {
        **{"uid": f"counterfoil-{uid}", "title": title, "description": MADE, "tags": ["counterfoil"]},
        **{"schemaVersion": 39, "version": 1, "editable": True, "refresh": "30s", "timezone": "browser"},
        **{"time": {"from": "now-6h", "to": "now"}, "templating": {"list": variables}, "panels": placed},
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red_from is not None:
        steps.append({"color": "red", "value": panel.red_from})
    targets = [
        {"refId": chr(ord("A") + i), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
        for i, (legend, expr) in enumerate(panel.queries.items())
    ]
    return {
        **{"id": number, "type": panel.kind, "title": panel.title, "gridPos": place, "datasource": SOURCE},
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "targets": targets,
    }


def files() -> dict[str, str]:
    """What stands in ops/, by path."""
    made = {f"ops/grafana/{uid}.json": dashboard(uid, title, panels) for uid, (title, panels) in DASHBOARDS.items()}
    return {"ops/prometheus/alerts.yml": f"# {MADE}\n{as_prometheus()}", **made}


if __name__ == "__main__":
    import written

    raise SystemExit(written.main(sys.argv[1:], "dashboards.py", "ops", files()))
