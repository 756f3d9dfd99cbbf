"""Prescriptions and returns against a real Odoo 19: the same suite as against the stand-in (tests/conformance)."""

from __future__ import annotations

import pytest
from tests.conformance.asked_suite import AskedSuite

pytestmark = pytest.mark.timeout(300)  # a real server, on a busy machine


class TestAskedOdoo19(AskedSuite):
    """What customers ask for."""
