"""Flows turn events into deliveries."""

from __future__ import annotations

from tests.fakes import ERP, SHOP, blueprint, subject

from counterfoil.hub import flows
from counterfoil.retail.events import Event

STREAMS = {
    "erp.accept_order": "order",
    "erp.cancel_order": "order",
    "erp.post_refund": "money",
    "shop.note_order": "order",
    "hub.ask": "ask",
}


def event(type_: str, source: str = SHOP) -> Event:
    """An event about the shop's order 1."""
    about = subject(1)
    return Event(
        id="e1",
        type=type_,
        source=source,
        subject=about,
        key=about,
        time="2026-11-02T10:00:00+00:00",
        correlation=about,
        data={},
    )


def made(flow_lines: str, of: Event) -> list[str]:
    """What the event gives rise to, as `system.operation`."""
    return [f"{d.system}.{d.operation}" for d in flows.deliveries(blueprint(flow_lines), STREAMS, of)]


def test_an_event_without_a_flow_gives_rise_to_nothing() -> None:
    assert made("  - {on: order.placed, do: erp.accept_order}\n", event("order.changed")) == []


def test_all_flows_on_an_event_are_taken_in_the_order_written() -> None:
    lines = "  - {on: order.refunded, do: erp.post_refund}\n  - {on: order.refunded, do: erp.cancel_order}\n"
    assert made(lines, event("order.refunded")) == ["erp.post_refund", "erp.cancel_order"]


def test_from_names_the_source_of_the_event() -> None:
    lines = "  - {on: order.placed, from: erp, do: erp.accept_order}\n"
    assert made(lines, event("order.placed", source=SHOP)) == []
    assert made(lines, event("order.placed", source=ERP)) == ["erp.accept_order"]


def test_from_also_finds_what_happened_elsewhere_to_an_order_of_that_shop() -> None:
    """The ERP says that the shop's order was accepted: a flow `from: shop` hears it."""
    lines = "  - {on: order.accepted, from: shop, do: shop.note_order}\n"
    assert made(lines, event("order.accepted", source=ERP)) == ["shop.note_order"]


def test_a_delivery_carries_what_its_flow_promises() -> None:
    lines = "  - {on: order.placed, do: erp.accept_order, within: 2m, on_exception: pass}\n"
    (one,) = flows.deliveries(blueprint(lines), STREAMS, event("order.placed"))
    assert (one.within, one.on_exception, one.event_id) == (120.0, "pass", "e1")
    assert one.lane == (ERP, "order", subject(1))


def test_without_a_promise_nothing_is_promised_and_failing_holds() -> None:
    (one,) = flows.deliveries(
        blueprint("  - {on: order.placed, do: erp.accept_order}\n"), STREAMS, event("order.placed")
    )
    assert (one.within, one.on_exception) == (None, "hold")


def test_a_cancellation_queues_behind_its_order() -> None:
    """Both operations declare the same stream, and the key is the order's own: one lane."""
    lines = "  - {on: order.placed, do: erp.accept_order}\n  - {on: order.cancelled, do: erp.cancel_order}\n"
    placed, cancelled = (
        flows.deliveries(blueprint(lines), STREAMS, event(t))[0] for t in ("order.placed", "order.cancelled")
    )
    assert placed.lane == cancelled.lane
