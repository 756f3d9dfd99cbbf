"""What a system is and what the doctor finds there, on its page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.async_api import expect
from tests.console.conftest import PICTURES, Seen
from tests.console.test_console_in_browser import ready
from tests.console_stage import Stage
from tests.fakes import ERP, House

from counterfoil.hub import versions
from counterfoil.hub.access.roles import Role
from counterfoil.hub.contract import Finding, Mark, Release


async def test_the_page_shows_what_a_system_became_and_the_doctor_looks_when_asked(
    house: House, stage: Stage, visited: Callable[..., Any], seen: Seen
) -> None:
    for login, role in (("otto", Role.OPERATOR), ("vera", Role.VIEWER)):
        await stage.user(login, role)
    doubt = "Odoo 20.0 is newer than all that were tried; it is taken for Odoo 19"
    tested = "14.0, 16.0, 18.0, 19.0"
    for version, why in (("18.0+e-20250520", ""), ("19.0", ""), ("20.0", doubt)):
        told = Release("Odoo", version, tested, why, "Try it on a copy of the database first." if why else "")
        await versions.keep(house.store, ERP, [told, Release("Odoo API", "JSON-2")], "ops")
    house.erp.examined = [
        Finding("clock", Mark.OK, "within 1 s of ours"),
        Finding("rights", Mark.FAILED, "the user may not write account.move", "Give the key's user these groups."),
        Finding("SKUs", Mark.WARNING, "3 articles have none", "Give each article an internal reference."),
    ]
    async with visited("otto") as page:
        await ready(page, "/systems")
        await expect(page.get_by_role("row", name=ERP)).to_contain_text("Odoo 20.0 not tested")
        await page.set_viewport_size({"width": 360, "height": 800})
        assert not await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        await page.set_viewport_size({"width": 1200, "height": 800})
        await page.get_by_role("link", name=ERP).click()
        table = page.get_by_role("table", name="Versions")
        await expect(table).to_contain_text("19.0, ")
        await expect(table).to_contain_text(doubt)
        await expect(page.get_by_role("table", name="What waits for a person")).to_contain_text("from 19.0 to 20.0")
        await expect(page.get_by_text("The doctor has not looked at it yet.")).to_be_visible()
        await page.get_by_role("button", name="Look now").click()
        await expect(page.get_by_role("status").first).to_contain_text("2 of 3 findings need somebody")
        found = page.get_by_role("table", name="What the doctor found").get_by_role("row")
        await expect(found.nth(1)).to_contain_text("may not write account.move")
        for width in (1200, 360):
            await page.set_viewport_size({"width": width, "height": 800})
            await page.screenshot(path=PICTURES / f"system-versions-{width}.png", full_page=True)
            assert not await page.evaluate(
                "document.documentElement.scrollWidth > document.documentElement.clientWidth"
            )
    async with visited("vera") as page:
        await ready(page, f"/systems/{ERP}")
        await expect(page.get_by_text("may not write account.move")).to_be_visible()
        await expect(page.get_by_role("button", name="Look now")).to_have_count(0)
    assert not seen.troubles
