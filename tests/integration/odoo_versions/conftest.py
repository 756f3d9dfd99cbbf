"""Stand-ins that speak as Odoo 14, 16 and 18 do: JSON-RPC, and the names that each version has."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "conformance"))
pytest.register_assert_rewrite("erp_suite", "afterwards_suite", "odoo_suite", "odoo_place")

from odoo_place import RULES, SKUS, Erp, Meeting, StandInErp  # noqa: E402

from counterfoil.connectors.odoo import Odoo as OdooConnector  # noqa: E402
from counterfoil.connectors.odoo import Rules  # noqa: E402
from counterfoil_lab.prepare import prepare  # noqa: E402
from counterfoil_lab.stage import OdooPlace  # noqa: E402
from counterfoil_sandbox import proxy  # noqa: E402
from counterfoil_sandbox.odoo import make_app, seed  # noqa: E402
from counterfoil_sandbox.odoo_versions import speaking  # noqa: E402
from counterfoil_sandbox.serving import serving  # noqa: E402
from counterfoil_sandbox.woocommerce import RECORDINGS  # noqa: E402


class OlderErp(StandInErp):
    """A stand-in whose connector speaks JSON-RPC in an older version's names; tests look at it in those of 19."""

    version: int

    def connector(self, rules: Rules = RULES, **changes: str) -> OdooConnector:
        """One more hub's connector."""
        settings = {
            "url": self.url,
            "database": self.place.database,
            "login": "admin",
            "api_key": self.place.api_key,
            "timeout": "30",
        }
        return OdooConnector("odoo", settings | changes, rules)


@contextlib.contextmanager
def older(version: int) -> Iterator[Erp]:
    """A prepared stand-in of that version. What breaks, breaks behind its door: faults go by JSON-2 paths."""
    app = make_app(currency="EUR", country="FR")
    seed(app, currencies=["EUR"])
    with serving(app) as inner:
        place = OdooPlace(inner, "sandbox", "sandbox-key")
        prepare(place.api, RECORDINGS, {"EUR", "USD", "JPY"}, SKUS)
        forwards = proxy.make_app(inner)
        meeting = Meeting(forwards)
        with serving(speaking(meeting, version)) as url:
            erp = OlderErp(place, url, forwards.faults, meeting)
            erp.version = version
            erp.state = app.inner.state.odoo
            yield erp


@pytest.fixture(scope="module", params=[14, 16, 18])
def erp_of_module(request: pytest.FixtureRequest) -> Iterator[Erp]:
    """Each version in turn."""
    with older(request.param) as erp:
        yield erp
