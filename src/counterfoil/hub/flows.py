"""Flows turn events into deliveries. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from counterfoil.blueprint import Blueprint
from counterfoil.hub.lanes import NewDelivery
from counterfoil.retail.events import Event

ASK, ASK_STREAM = "hub.ask", "ask"


def deliveries(blueprint: Blueprint, streams: Mapping[str, str], event: Event) -> list[NewDelivery]:
    """What `event` gives rise to, in the order the flows are written.

    `streams` names the stream of each `system.operation`, but of the hub's own. A flow's `from` matches the event's
    source or the system its subject comes from, so that `from: web-eu` also finds what happened to web-eu's order in
    Odoo.
    """
    home = event.subject.split(":", 1)[0]
    return [
        NewDelivery(
            system=flow.system,
            stream=ASK_STREAM if flow.do == ASK else streams[flow.do],
            key=event.key,
            operation=flow.operation,
            subject=event.subject,
            event_id=event.id,
            within=flow.within.total_seconds() if flow.within else None,
            on_exception=flow.on_exception,
            release=timing.release if timing else None,
        )
        for flow, timing in zip(blueprint.flows, blueprint.timings, strict=True)
        if flow.on == event.type and flow.from_ in (None, event.source, home)
    ]
