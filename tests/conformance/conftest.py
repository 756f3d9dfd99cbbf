"""The conformance suite against the stand-ins."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("erp_suite", "afterwards_suite", "odoo_suite", "odoo_place")

from odoo_place import Erp, StandInErp, before  # noqa: E402

from counterfoil_lab.stage import OdooPlace  # noqa: E402
from counterfoil_sandbox.odoo import make_app  # noqa: E402
from counterfoil_sandbox.serving import serving  # noqa: E402


@pytest.fixture(scope="module")
def erp_of_module() -> Iterator[Erp]:
    """An Odoo stand-in of a French company, prepared, over real HTTP."""
    app = make_app(currency="EUR", country="FR")
    with serving(app) as url, before(OdooPlace(url, "sandbox", "sandbox-key"), StandInErp) as erp:
        assert isinstance(erp, StandInErp)
        erp.state = app.inner.state.odoo
        yield erp
