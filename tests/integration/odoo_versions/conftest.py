"""Stand-ins that speak as Odoo 14, 16 and 18 do: JSON-RPC, and the names that each version has."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "conformance"))
pytest.register_assert_rewrite("erp_suite", "afterwards_suite", "odoo_suite", "odoo_place")

from odoo_place import Erp, standing_in  # noqa: E402


@pytest.fixture(scope="module", params=[14, 16, 18])
def erp_of_module(request: pytest.FixtureRequest) -> Iterator[Erp]:
    """Each version in turn."""
    with standing_in(request.param) as erp:
        yield erp
