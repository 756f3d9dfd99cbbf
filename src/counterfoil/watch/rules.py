"""What wakes somebody: Prometheus' alert rules, declared once. `scripts/dashboards.py` writes them into ops/,
`counterfoil alerts` prints them with the addresses of a hub's own runbooks.

Every process that is scraped tells the same of the store, so what comes from there is the `max` (or the earliest) over
instances. `job` stays: one Prometheus may watch several hubs, each a job of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import yaml

from counterfoil.hub.exceptions.runbooks import FOLDER

_AGE = "time() - min by (job, system, stream)"
_CALLED = 'unless on (job, system) max by (job, system) (counterfoil_breaker_open{operation=""}) == 1'
_MEANT = "unless on (job, system) counterfoil_paused_timestamp_seconds"


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert. `severity`: critical wakes somebody at night, warning waits for the morning."""

    name: str
    expr: str
    lasts: str
    severity: Literal["critical", "warning"]
    summary: str
    description: str

    @property
    def page(self) -> str:
        """The name of the runbook that says what to do."""
        words = "".join(f"-{c.lower()}" if c.isupper() else c for c in self.name.removeprefix("Counterfoil"))
        return words.removeprefix("-")

    @property
    def runbook(self) -> str:
        """Where it stands, from the root of the repository."""
        return f"{FOLDER}/{self.page}.md"


RULES = (
    Rule(
        "CounterfoilAway",
        'up{job=~".*counterfoil.*"} == 0',
        "2m",
        "critical",
        "{{ $labels.instance }} does not answer",
        "A process of the hub is gone or does not answer. Shops send their webhooks again; polls find what was missed.",
    ),
    Rule(
        "CounterfoilStoreAway",
        "max by (job, instance) (counterfoil_store_up) == 0",
        "2m",
        "critical",
        "The store of {{ $labels.job }} does not answer",
        "Nothing is taken in and nothing delivered until the database answers. Nothing that was confirmed is lost.",
    ),
    Rule(
        "CounterfoilDiskFull",
        "min by (job) (counterfoil_store_free_bytes) < 1e9"
        " or min by (job) (predict_linear(counterfoil_store_free_bytes[6h], 86400)) < 0",
        "15m",
        "critical",
        "The disk under the store of {{ $labels.job }} runs full",
        "Less than 1 GB is free, or by the last 6 hours nothing will be a day from now.",
    ),
    Rule(
        "CounterfoilOrdersNotArriving",
        'sum by (job, system) (increase(counterfoil_events_total{type="order.placed"}[2h] offset 1w)) > 10'
        ' unless sum by (job, system) (increase(counterfoil_events_total{type="order.placed"}[2h])) > 0',
        "15m",
        "critical",
        "No order from {{ $labels.system }} in two hours",
        "A week ago at this time there were {{ $value | printf `%.0f` }}.",
    ),
    Rule(
        "CounterfoilReceiptsWait",
        f'{_AGE} (counterfoil_oldest_delivery_timestamp_seconds{{stream="decode"}}) > 120',
        "2m",
        "critical",
        "What {{ $labels.system }} sent is not read",
        "The oldest receipt has waited for {{ $value | humanizeDuration }}.",
    ),
    Rule(
        "CounterfoilWorkWaits",
        f'{_AGE} (counterfoil_oldest_delivery_timestamp_seconds{{stream!="decode"}}) > 900 {_CALLED} {_MEANT}',
        "5m",
        "warning",
        "{{ $labels.stream }} for {{ $labels.system }} falls behind",
        "The oldest has waited for {{ $value | humanizeDuration }}, and the system is called.",
    ),
    Rule(
        "CounterfoilPromisesMissed",
        'sum by (job, system, operation) (increase(counterfoil_delivery_promises_total{result="missed"}[15m]))'
        " / sum by (job, system, operation) (increase(counterfoil_delivery_promises_total[15m])) > 0.05",
        "5m",
        "warning",
        "{{ $labels.system }}.{{ $labels.operation }} is late",
        "{{ $value | humanizePercentage }} of the last quarter of an hour missed what the flow promises.",
    ),
    Rule(
        "CounterfoilPromisesOverdue",
        'max by (job, promise) (counterfoil_promises{state="overdue"}) > 0',
        "10m",
        "warning",
        "{{ $value }} times {{ $labels.promise }} was promised and has not happened",
        "Each is an exception of its own.",
    ),
    Rule(
        "CounterfoilLaneHeld",
        f"{_AGE} (counterfoil_held_since_timestamp_seconds) > 4 * 3600",
        "5m",
        "warning",
        "{{ $labels.stream }} for {{ $labels.system }} is held for a person",
        "The first lane has been held for {{ $value | humanizeDuration }}; what follows in it waits.",
    ),
    Rule(
        "CounterfoilSystemClosed",
        "max by (job, system, operation) (counterfoil_breaker_open) == 1",
        "5m",
        "critical",
        "{{ $labels.system }} {{ $labels.operation }} cannot be called",
        "What is for it waits in order and is done once it answers.",
    ),
    Rule(
        "CounterfoilCredentialsRefused",
        "max by (job, system) (counterfoil_credentials_refused) == 1",
        "1m",
        "critical",
        "{{ $labels.system }} refuses the hub's credentials",
        "It goes on only after somebody has put the key right.",
    ),
    Rule(
        "CounterfoilCredentialOld",
        "time() - max by (job, system, name) (counterfoil_credential_since_timestamp_seconds) > 365 * 86400",
        "1h",
        "warning",
        "{{ $labels.name }} of {{ $labels.system }} is older than a year",
        "It has not been changed for {{ $value | humanizeDuration }}.",
    ),
    Rule(
        "CounterfoilPressure",
        "max by (job) (counterfoil_pressure) == 1",
        "15m",
        "warning",
        "{{ $labels.job }} has more to do than it can",
        "Flows that may wait are slowed down so that the others are on time.",
    ),
    Rule(
        "CounterfoilWebhooksIll",
        'max by (job, system) (counterfoil_exceptions_open{operation=~"care[.].+"}) > 0',
        "15m",
        "warning",
        "The webhooks of {{ $labels.system }} are ill",
        "Polls run more often meanwhile, so that promises can still be kept.",
    ),
    Rule(
        "CounterfoilWebhooksRefused",
        'sum by (job, system) (rate(counterfoil_webhooks_total{outcome=~"refused|not_kept"}[10m]))'
        " / sum by (job, system) (rate(counterfoil_webhooks_total[10m])) > 0.1",
        "10m",
        "warning",
        "The hub refuses webhooks of {{ $labels.system }}",
        "{{ $value | humanizePercentage }} are refused or could not be kept.",
    ),
    Rule(
        "CounterfoilPollStale",
        "time() - max by (job, system, feed) (counterfoil_poll_ok_timestamp_seconds)"
        " > 60 + 5 * max by (job, system, feed) (counterfoil_poll_interval_seconds)",
        "5m",
        "warning",
        "{{ $labels.feed }} of {{ $labels.system }} is not polled",
        "The last look that worked was {{ $value | humanizeDuration }} ago.",
    ),
    Rule(
        "CounterfoilStockPublicationLate",
        "time() - min by (job) (counterfoil_stock_untold_since_timestamp_seconds) > 120"
        ' or time() - min by (job) (counterfoil_oldest_delivery_timestamp_seconds{stream="stock"}) > 300',
        "3m",
        "critical",
        "Channels of {{ $labels.job }} show old stock",
        "The first change has waited for {{ $value | humanizeDuration }}.",
    ),
    Rule(
        "CounterfoilOversold",
        'max by (job, system) (counterfoil_exceptions_open{reason="oversold"}) > 0',
        "0m",
        "critical",
        "More was sold than {{ $labels.system }} has",
        "{{ $value }} articles stand below zero.",
    ),
    Rule(
        "CounterfoilRefundsFailed",
        'max by (job, system, reason) (counterfoil_exceptions_open{operation=~"refund_order|read_refunds"}) > 0',
        "5m",
        "critical",
        "Refunds are not booked at {{ $labels.system }}",
        "{{ $value }} wait for a person: {{ $labels.reason }}.",
    ),
    Rule(
        "CounterfoilPostingsFailed",
        'max by (job, system, reason) (counterfoil_exceptions_open{operation=~"invoice_order|post_record"}) > 0',
        "15m",
        "warning",
        "Invoices or records are not posted at {{ $labels.system }}",
        "{{ $value }} wait for a person: {{ $labels.reason }}.",
    ),
    Rule(
        "CounterfoilExceptionsOverdue",
        "max by (job, owner) (counterfoil_exceptions_overdue) > 0",
        "5m",
        "warning",
        "{{ $labels.owner }} has exceptions beyond their response time",
        "{{ $value }} were acknowledged by nobody.",
    ),
    Rule(
        "CounterfoilBug",
        'max by (job, system, operation, reason) (counterfoil_exceptions_open{outcome="bug"}) > 0',
        "0m",
        "warning",
        "Counterfoil failed at {{ $labels.system }} {{ $labels.operation }}",
        "{{ $value }} times: {{ $labels.reason }}. Nothing is lost.",
    ),
    Rule(
        "CounterfoilStorefrontStale",
        "max by (job, instance) (counterfoil_storefront_book_stale) == 1",
        "5m",
        "critical",
        "{{ $labels.instance }} answers storefronts with old stock",
        "The ERP has not been seen for longer than `stock.stale_after`.",
    ),
    Rule(
        "CounterfoilStorefrontSlow",
        "histogram_quantile(0.99,"
        " sum by (job, route, le) (rate(counterfoil_storefront_request_seconds_bucket[5m]))) > 1",
        "10m",
        "warning",
        "{{ $labels.route }} is slow",
        "One request in a hundred takes longer than {{ $value | humanizeDuration }}.",
    ),
    Rule(
        "CounterfoilStorefrontFailing",
        'sum by (job) (rate(counterfoil_storefront_request_seconds_count{status=~"5..|0"}[5m]))'
        " / sum by (job) (rate(counterfoil_storefront_request_seconds_count[5m])) > 0.02",
        "5m",
        "critical",
        "The storefront of {{ $labels.job }} fails",
        "{{ $value | humanizePercentage }} of its answers are errors of ours.",
    ),
)


def as_prometheus(published: str = "") -> str:
    """The rules as Prometheus reads them (YAML); `published` is the address below which runbooks are read."""
    group = {"name": "counterfoil", "rules": [_as_prometheus(rule, published) for rule in RULES]}
    return yaml.safe_dump({"groups": [group]}, sort_keys=False, width=1000)


def _as_prometheus(rule: Rule, published: str) -> dict[str, Any]:
    return {
        "alert": rule.name,
        "expr": rule.expr,
        "for": rule.lasts,
        "labels": {"severity": rule.severity},
        "annotations": {
            "summary": rule.summary,
            "description": rule.description,
            "runbook_url": f"{published}/{rule.page}" if published else rule.runbook,
        },
    }
