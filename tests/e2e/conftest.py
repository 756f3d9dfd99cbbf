"""A real Odoo 19 for the tests, by scripts/odoo19: one server a module, each on a copy of the template.

Where this machine cannot carry one, every test here is skipped with the one line that says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

SUITES = ("erp_suite", "afterwards_suite", "odoo_suite", "routing_suite", "asked_suite", "trial_suite", "odoo_place")
pytest.register_assert_rewrite(*(f"tests.conformance.{suite}" for suite in SUITES))

from tests.conformance.odoo_place import Erp, before  # noqa: E402
from tests.e2e.odoo_real import RealErp, an_odoo, odoo19  # noqa: E402

from counterfoil_lab.stage import OdooPlace  # noqa: E402


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs a real Odoo."""
    for each in items:
        if Path(__file__).parent in each.path.parents:
            each.add_marker(pytest.mark.odoo)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where there is no Odoo: one line that says why, instead of a column of s."""
    reasons = {report.longrepr[2] for report in terminalreporter.stats.get("skipped", ()) if "e2e" in report.nodeid}
    for reason in sorted(reasons):
        terminalreporter.write_line(f"not run against a real Odoo: {reason.removeprefix('Skipped: ')}")


@pytest.fixture(scope="session")
def odoo_ready() -> None:
    """Everything there up to the template database."""
    odoo19("up")


@pytest.fixture(scope="module")
def erp_of_module(odoo_ready: None) -> Iterator[Erp]:
    """A real Odoo, prepared, behind a proxy with faults."""
    with an_odoo() as answer:
        place = OdooPlace(answer["url"], answer["database"], answer["api_key"])
        with before(place, RealErp) as erp:
            assert isinstance(erp, RealErp)
            erp.norights = answer["norights_api_key"]
            yield erp
