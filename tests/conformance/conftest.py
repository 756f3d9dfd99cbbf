"""The conformance suite against the stand-ins."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("erp_suite", "afterwards_suite", "odoo_suite", "odoo_place")

from odoo_place import Erp, standing_in  # noqa: E402


@pytest.fixture(scope="module")
def erp_of_module() -> Iterator[Erp]:
    """An Odoo stand-in of a French company, prepared, over real HTTP."""
    with standing_in() as erp:
        yield erp
