"""The doctor never raises, whatever stands at the address. What it finds in an Odoo is in the conformance suite."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from counterfoil.connectors.odoo import Odoo
from counterfoil.hub.contract import Finding, Mark


async def examined(version: str, date: str | None = None, sign_in: int = 401) -> list[Finding]:
    """The findings where /web/version answers so and nobody may sign in."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/web/version":
            return httpx.Response(200, json={"version": version}, headers={"Date": date} if date else {})
        return httpx.Response(sign_in, json={"name": "werkzeug.exceptions.Unauthorized", "message": "Invalid apikey"})

    odoo = Odoo("odoo", {"url": "http://odoo.example", "api_key": "k"}, transport=httpx.MockTransport(answer))
    findings = await odoo.doctor()
    await odoo.close()
    return findings


@pytest.mark.parametrize("version", ["13.0", "8.0", "nonsense"])
async def test_a_version_that_is_too_old_is_named_and_nothing_else_is_looked_at(version: str) -> None:
    """With what would do."""
    [finding] = await examined(version)
    assert (finding.check, finding.mark, finding.remedy) == ("version", Mark.FAILED, "Use Odoo 14 to 19.")


@pytest.mark.parametrize("version", ["20.0a1", "saas~18.4", "saas~19.1", "17.0"])
async def test_a_version_that_was_never_tried_is_a_warning(version: str) -> None:
    """It may well work; whoever runs it should know."""
    finding = (await examined(version))[0]
    assert (finding.check, finding.mark) == ("version", Mark.WARNING)
    assert finding.remedy


@pytest.mark.parametrize("version", ["19.0", "19.0-20260101", "19.0+e", "14.0", "16.0", "18.0-20250520"])
async def test_versions_that_were_tried(version: str) -> None:
    """By any name."""
    assert (await examined(version))[0].mark is Mark.OK


@pytest.mark.parametrize(
    ("off", "mark"), [(0, Mark.OK), (30, Mark.OK), (-30, Mark.OK), (300, Mark.WARNING), (-3600, Mark.WARNING)]
)
async def test_clocks_are_compared(off: int, mark: Mark) -> None:
    """More than a minute apart is worth a warning."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=off), usegmt=True)
    clock = next(f for f in await examined("19.0", date) if f.check == "clock")
    assert clock.mark is mark
    assert bool(clock.remedy) == (mark is Mark.WARNING)


@pytest.mark.parametrize("date", [None, "yesterday", "Sat, 21 Nov 2026 02:37:00 GMT, Sat, 21 Nov 2026 02:37:00 GMT"])
async def test_a_clock_that_cannot_be_read_is_a_warning(date: str | None) -> None:
    """None, nonsense, or two of them because a proxy added its own."""
    clock = next(f for f in await examined("19.0", date) if f.check == "clock")
    assert clock.mark is Mark.WARNING


async def test_it_stops_where_nobody_may_sign_in() -> None:
    """The next look would say the same."""
    findings = await examined("19.0")
    assert (findings[-1].check, findings[-1].mark) == ("sign-in", Mark.FAILED)
