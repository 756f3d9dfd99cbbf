"""Prescriptions and returns against the stand-in: the same suite as against a real Odoo 19 (tests/e2e)."""

from __future__ import annotations

from tests.conformance.asked_suite import AskedSuite


class TestAskedStandIn(AskedSuite):
    """What customers ask for."""
