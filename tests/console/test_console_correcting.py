"""A value is edited in place, on the page of an exception and on the page of all alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.async_api import expect
from tests.console.conftest import PICTURES, Seen
from tests.console.test_console_in_browser import all_made, ready
from tests.console_stage import Stage
from tests.fakes import House, payload, rows_of, subject, until
from tests.picky import RIGHT, STREET, refusing

from counterfoil.hub.access.roles import Role
from counterfoil.hub.schema import correction


async def test_a_wrong_street_is_corrected_in_one_and_then_in_all_alike(
    house: House, stage: Stage, visited: Callable[..., Any], seen: Seen
) -> None:
    await stage.user("otto", Role.OPERATOR)
    for n in range(1, 6):
        house.erp.always[subject(n)] = refusing(house.erp)
    await house.hear(*(payload(n, email=f"customer{n}@example.org", note="two\r\nlines") for n in range(1, 6)))
    first = (await stage.exceptions())[0]["id"]
    async with house.working(), visited("otto") as page:
        await ready(page, f"/exceptions/{first}")
        street = page.get_by_label("Billing address: street", exact=True)
        await expect(street).to_be_visible()  # the exception speaks of it
        await expect(page.get_by_label("Line Mug: sku")).to_be_hidden()
        await page.get_by_role("button", name="Show what would be told").click()
        await expect(page.get_by_role("status").first).to_contain_text("no value is another")
        await street.fill("nowhere")
        await page.get_by_role("button", name="Show what would be told").click()
        would = page.get_by_role("table", name="What would be told")
        await expect(would).to_contain_text("nowhere")
        await street.fill(RIGHT)
        await page.get_by_role("button", name="Correct this one and try again").click()
        await expect(would).to_contain_text(RIGHT)  # that was not looked at yet
        await expect(page.get_by_text("It fits 4 more like it.")).to_be_visible()
        assert not await rows_of(house.store, correction)
        for width in (1200, 360):
            await page.set_viewport_size({"width": width, "height": 800})
            await page.screenshot(path=PICTURES / f"correcting-{width}.png", full_page=True)
            assert not await page.evaluate(
                "document.documentElement.scrollWidth > document.documentElement.clientWidth"
            )
        await page.get_by_role("button", name="Correct this one and try again").click()
        await expect(page.get_by_role("status").first).to_contain_text("It worked: shop:order:1 is through.")
        assert house.erp.made == [subject(1)]

        await page.set_viewport_size({"width": 1200, "height": 800})
        await ready(page, "/exceptions")
        await page.get_by_role("link", name="There is no street").click()
        await expect(page.get_by_role("heading", name="4 alike")).to_be_visible()
        await street.fill(RIGHT)
        await page.get_by_label("Why (kept with your name)").first.fill("the shop's list of streets is old")
        await page.get_by_role("button", name="Show what would be told").click()
        await page.get_by_role("button", name="Correct all 4 and try again").click()
        await expect(page.get_by_role("status").first).to_contain_text("4 corrected; tried again")
        await until(lambda: all_made(house, range(1, 6)), 15)
        await ready(page, f"/counterfoil/{subject(2)}")
        await expect(page.locator("ol.timeline")).to_contain_text(f"corrected: {STREET}")
        await expect(page.locator("ol.timeline")).to_contain_text(f"Told instead: {RIGHT}")
    assert {row["path"] for row in await rows_of(house.store, correction)} == {STREET}
    assert {e["closed_by"] for e in await stage.exceptions()} == {"otto"}
    assert not seen.troubles
