"""Reading Odoo: the suite against the stand-in; tests/e2e runs the same against a real Odoo 19."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.conformance.odoo_reading_suite")

from tests.conformance.odoo_reading_suite import OdooReadingSuite  # noqa: E402


class TestReadingStandIn(OdooReadingSuite):
    """The stand-in of Odoo 19."""
