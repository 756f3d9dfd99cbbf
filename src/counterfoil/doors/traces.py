"""Begin and end the sending of traces, where the blueprint or the environment says where to."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping

from counterfoil.blueprint.traces import Traces
from counterfoil.hub import tracing

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
LAST = 3.0
"""Seconds that are left for what is still to be sent at the end."""


def wanted(rules: Traces, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether anybody has said where to."""
    off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return not off and bool(rules.endpoint or any(environ.get(name) for name in _ENDPOINTS))


def begin(rules: Traces, instance: str) -> None:
    """From now on what this process does is traced, if it is wanted."""
    if wanted(rules):
        from counterfoil.watch.tracing import exporting  # it takes most of a second

        tracing.spans = exporting(rules.endpoint, float(rules.share) / 100, instance)


async def end() -> None:
    """No more. A collector that does not answer keeps nobody waiting."""
    spans, tracing.spans = tracing.spans, None
    if spans is not None:
        closing = threading.Thread(target=spans.close, daemon=True)
        closing.start()
        await asyncio.to_thread(closing.join, LAST)
