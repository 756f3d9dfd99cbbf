"""The section `traces`: where traces are sent, and how many of them."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from counterfoil.blueprint.page import Block, section
from counterfoil.blueprint.values import AN_ADDRESS, Part, Percent, Url


class Traces(Part):
    """Where traces are sent (OTLP over HTTP), and how many. Nothing is traced without an address, here or in the
    environment's OTEL_EXPORTER_OTLP_ENDPOINT."""

    endpoint: Url = Field(default="", description=f"{AN_ADDRESS} of an OpenTelemetry collector, without /v1/traces")
    share: Percent = Field(default=Decimal(100), description="a percentage from 0 to 100: so many of all are kept")


def on_page(rules: Traces) -> list[Block]:
    """For people; nothing for the usual."""
    if rules == Traces():
        return []
    rows = [("Traces are sent to", rules.endpoint or "where the environment says"), ("Kept", f"{rules.share} %")]
    return section("Traces", ("What", "How"), rows)
