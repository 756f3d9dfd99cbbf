"""OpenTelemetry: spans of the hub, sent over OTLP/HTTP. Loaded only where traces are asked for."""

from __future__ import annotations

import os
from typing import Any

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from counterfoil import __version__

log = structlog.get_logger()

_KINDS = {"server": SpanKind.SERVER, "consumer": SpanKind.CONSUMER, "client": SpanKind.CLIENT}
_NANO = 1_000_000_000


class OneSpan:
    """A span of the hub, as OpenTelemetry has it."""

    def __init__(self, span: Any) -> None:
        self._span = span
        context = span.get_span_context()
        sampled = context.trace_flags.sampled
        self.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-01" if sampled else ""

    def end(self, failed: str = "", **attributes: str | int) -> None:
        """It is over; `failed` is a code."""
        self._span.set_attributes({f"counterfoil.{name}": value for name, value in attributes.items()})
        if failed:
            self._span.set_status(Status(StatusCode.ERROR, failed))
        self._span.end()


class Traces:
    """Makes the spans of this process; `share` of the traces that begin here are kept."""

    def __init__(self, processor: SpanProcessor, share: float, instance: str) -> None:
        resource = Resource.create(
            {"service.name": _name(), "service.version": __version__, "service.instance.id": instance}
        )
        self.provider = TracerProvider(resource=resource, sampler=ParentBased(TraceIdRatioBased(share)))
        self.provider.add_span_processor(processor)
        self._tracer = self.provider.get_tracer("counterfoil", __version__)

    def begin(
        self,
        name: str,
        kind: str,
        parent: str | None,
        start: float | None = None,
        link: str = "",
        **attributes: str | int,
    ) -> OneSpan:
        """One that began at `start`, else now; without a parent it is the root of a trace of its own."""
        given = {f"counterfoil.{key}": value for key, value in attributes.items()}
        at = None if start is None else int(start * _NANO)
        links = [Link(_told(link))] if link else None
        span = self._tracer.start_span(name, _context(parent), _KINDS[kind], given, links, start_time=at)
        return OneSpan(span)

    def close(self) -> None:
        """Send what is still to be sent. Blocks until it is, or given up."""
        self.provider.shutdown()


def _name() -> str:
    return os.environ.get("OTEL_SERVICE_NAME", "counterfoil")


def _context(parent: str | None) -> Context:
    """An empty one for a root: what else is traced in this process is none of ours."""
    if parent is None:
        return Context()
    return set_span_in_context(NonRecordingSpan(_told(parent)), Context())


def _told(traceparent: str) -> SpanContext:
    _, trace, span, flags = traceparent.split("-")
    return SpanContext(int(trace, 16), int(span, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))


def exporting(endpoint: str, share: float, instance: str) -> Traces:
    """Traces that are sent to a collector; an empty `endpoint` is the environment's OTEL_EXPORTER_OTLP_…."""
    exporter = (
        OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", timeout=5) if endpoint else OTLPSpanExporter(timeout=5)
    )
    log.info("traces are sent", share=share)
    return Traces(BatchSpanProcessor(exporter, export_timeout_millis=5000), share, instance)
