"""The Odoo connector against the stand-in: the same suite as against a real Odoo 19 (tests/e2e)."""

from __future__ import annotations

from tests.conformance.odoo_suite import OdooSuite


class TestOdooStandIn(OdooSuite):
    """Everything the suite asks of an ERP, and what is Odoo's own."""
