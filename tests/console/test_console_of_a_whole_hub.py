"""The console of a whole hub: fifty orders are cleared by one row of the blueprint that a second person agrees to."""

from __future__ import annotations

import asyncio

from playwright.async_api import Browser, Page, expect
from tests.console.conftest import Seen
from tests.console_stage import PASSWORD
from tests.integration.doors.conftest import Scene, at_rest, open_exceptions, prepared_odoo, scene, until

from counterfoil.doors.serve import Hub
from counterfoil.hub import inforce
from counterfoil.hub.access import users
from counterfoil.hub.access.roles import Role
from counterfoil_lab.stage import JOURNALS

__all__ = ["prepared_odoo", "scene"]  # fixtures
MANY = 50


def paid_by_klarna(scene: Scene) -> int:
    """An order with a payment method that nobody has said the journal of; its number."""
    order = scene.shop.shop.place(status="processing", payment_method="klarna_pay_later")
    now = order["date_created"]
    scene.shop.shop.change(order["id"], date_paid=now, date_paid_gmt=order["date_created_gmt"])
    return int(order["id"])


async def signed_in(browser: Browser, running: Hub, login: str, seen: Seen) -> Page:
    """A page of theirs, on Today."""
    context = await browser.new_context(base_url=running.url)
    page = await context.new_page()
    page.set_default_timeout(30_000)
    seen.watch(page)
    await page.goto("/console")
    await page.get_by_label("Name").fill(login)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Today", exact=True)).to_be_visible(timeout=30_000)
    return page


async def test_one_row_that_a_second_person_agrees_to_clears_fifty(scene: Scene, browser: Browser, seen: Seen) -> None:
    with scene.file.open("a", encoding="utf-8") as file:
        file.write("\napprovals: {sections: [payments], by: [paula]}\n")
    async with scene.hub() as running:
        for login, role in (("otto", Role.OPERATOR), ("paula", Role.APPROVER)):
            await users.add(running.store, login, login, "", PASSWORD, [role], "test")
        numbers = [paid_by_klarna(scene) for _ in range(MANY)]

        async def all_refused() -> bool:
            return len(await open_exceptions(running)) == MANY

        await until(all_refused, 60)
        otto = await signed_in(browser, running, "otto", seen)
        tile = otto.get_by_role("link", name="Open exceptions").first
        await expect(tile).to_contain_text(str(MANY))
        await tile.click()
        await otto.locator("tbody a").first.click()
        await expect(otto.get_by_role("heading", name=f"{MANY} alike")).to_be_visible()
        await otto.get_by_label("journal").fill(next(iter(JOURNALS.values())))
        await otto.get_by_role("button", name="Look at the row").click()
        await expect(otto.get_by_text(f"With this row {MANY} open exceptions would be tried again.")).to_be_visible()
        await otto.get_by_role("button", name="Propose this row").click()
        proposed = otto.get_by_text("Proposed as change")
        await expect(proposed).to_be_visible()
        await otto.goto("/console/blueprint")
        await expect(otto.get_by_text("waits for approval")).to_be_visible()
        await expect(otto.get_by_role("button", name="Approve change")).to_have_count(0)

        paula = await signed_in(browser, running, "paula", seen)
        await paula.goto("/console/blueprint")
        await expect(paula.get_by_role("table", name="What differs")).to_contain_text("klarna_pay_later")
        await paula.get_by_role("button", name="Approve change").click()
        await expect(paula.get_by_text("is approved. It is in force once the hub starts")).to_be_visible()
        history = await inforce.history(running.store)
        approved = next(row for row in history if row["approved_by"] == "paula")
        text = await inforce.text_of(running.store, approved["id"])
        await otto.goto("/console")
        await until(lambda: otto.evaluate("window.did_handshake === true"))

    scene.file.write_text(text, encoding="utf-8")
    assert not seen.troubles
    async with scene.hub() as running:  # the page that was open finds its hub again by itself

        async def none_left() -> bool:
            return not await open_exceptions(running)

        await until(none_left, 60)
        await at_rest(running, scene)
        await expect(otto.get_by_role("link", name="Open exceptions").first).to_contain_text("0", timeout=60_000)
        verdict = await asyncio.to_thread(scene.verdict)
        assert (verdict["finished_share"], verdict["lost"], verdict["duplicates"]) == (1.0, 0, 0)
        assert len(await asyncio.to_thread(scene.in_odoo, numbers[-1])) == 1
