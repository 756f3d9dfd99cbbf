"""Routing against the stand-in: the same suite as against a real Odoo 19 (tests/e2e)."""

from __future__ import annotations

from tests.conformance.routing_suite import RoutingSuite


class TestRoutingStandIn(RoutingSuite):
    """Two warehouses of the stand-in."""
