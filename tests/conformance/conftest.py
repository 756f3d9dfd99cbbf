"""The conformance suite against the stand-ins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

SUITES = ("erp_suite", "afterwards_suite", "odoo_suite", "routing_suite", "asked_suite", "trial_suite", "odoo_place")
pytest.register_assert_rewrite(*(f"tests.conformance.{suite}" for suite in SUITES))

from tests.conformance.odoo_place import Erp, standing_in  # noqa: E402


@pytest.fixture(scope="module")
def erp_of_module() -> Iterator[Erp]:
    """An Odoo stand-in of a French company, prepared, over real HTTP."""
    with standing_in() as erp:
        yield erp
