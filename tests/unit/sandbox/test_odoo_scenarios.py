"""The Odoo stand-in lives through the days a real Odoo 19 was recorded at, and answers the same at every step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.unit.sandbox.odoo_scenarios import SCENARIOS, Refused, play, recorded

from counterfoil_sandbox.odoo import Odoo, make_app
from counterfoil_sandbox.odoo_schema import SCHEMA, OdooError


@pytest.mark.parametrize("name", SCENARIOS)
def test_plays_as_recorded(name: str) -> None:
    """Step by step: answers, records, refusals, and which records count as written."""
    odoo: Odoo = make_app(currency="EUR", country="FR").inner.state.odoo
    clock = [datetime(2026, 11, 21, 15, tzinfo=UTC)]
    odoo.store.clock = lambda: clock[0]

    def call(model: str, method: str, **arguments: Any) -> Any:
        try:
            return odoo.call(model, method, **arguments)
        except OdooError as error:
            raise Refused(error.status, error.name, error.message) from None

    def wait() -> None:
        clock[0] += timedelta(seconds=2)

    fields = {model: spec["fields"] for model, spec in SCHEMA.items()}
    got, wanted = play(name, call, fields, wait), recorded(name)
    for step, (mine, real) in enumerate(zip(got, wanted, strict=False)):
        assert mine == real, f"step {step}, {real[0]!r}"
    assert len(got) == len(wanted)
