"""Reading a real Odoo 19: the same suite as against the stand-in (tests/conformance)."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.conformance.odoo_reading_suite")

from tests.conformance.odoo_reading_suite import OdooReadingSuite  # noqa: E402


class TestReadingOdoo19(OdooReadingSuite):
    """A real server, with its own PostgreSQL."""
