"""Trials at home against a real Odoo 19: the same suite as against the stand-in (tests/conformance)."""

from __future__ import annotations

import pytest
from tests.conformance.trial_suite import TrialSuite

pytestmark = pytest.mark.timeout(300)  # a real server, on a busy machine


class TestTrialOdoo19(TrialSuite):
    """Out, kept, returned, charged."""
