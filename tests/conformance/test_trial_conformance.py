"""Trials at home against the stand-in: the same suite as against a real Odoo 19 (tests/e2e)."""

from __future__ import annotations

from tests.conformance.trial_suite import TrialSuite


class TestTrialStandIn(TrialSuite):
    """Out, kept, returned, charged."""
