"""Stand-ins that speak as Odoo 14, 16 and 18 do: JSON-RPC, and the names that each version has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

SUITES = ("erp_suite", "afterwards_suite", "odoo_suite", "odoo_place")
pytest.register_assert_rewrite(*(f"tests.conformance.{suite}" for suite in SUITES))

from tests.conformance.odoo_place import Erp, standing_in  # noqa: E402


@pytest.fixture(scope="module", params=[14, 16, 18])
def erp_of_module(request: pytest.FixtureRequest) -> Iterator[Erp]:
    """Each version in turn."""
    with standing_in(request.param) as erp:
        yield erp
