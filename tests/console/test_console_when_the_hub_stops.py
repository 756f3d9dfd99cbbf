"""The hub is stopped while pages are open: it ends as promised, the pages say so, and find it again when it is back."""

from __future__ import annotations

import signal

from playwright.async_api import Browser, BrowserContext, Page, expect
from playwright.async_api import Error as Interrupted
from tests.console.conftest import PICTURES, Seen
from tests.fakes import until
from tests.integration.doors.conftest import Scene, prepared_odoo, scene
from tests.integration.doors.test_roles import a_process, a_store

from counterfoil.doors.assembly import load
from counterfoil.hub.access import sessions, users
from counterfoil.hub.access.roles import Role

__all__ = ["prepared_odoo", "scene"]  # fixtures
OPEN = ("", "/exceptions", "/systems")


async def signed_in(browser: Browser, scene: Scene) -> BrowserContext:
    """Somebody's browser."""
    blueprint = load(scene.file)
    async with a_store(scene) as store, store.write() as connection:
        await users.keep_new(connection, store, "vera", "Vera", "", [Role.VIEWER], "test")
        vera = await users.found(connection, "vera")
        assert vera is not None
        declared = blueprint.console.session
        limits = sessions.Limits(declared.idle.total_seconds(), declared.at_most.total_seconds())
        token = await sessions.begin(connection, store, vera["id"], limits)
    context = await browser.new_context(base_url=f"http://{blueprint.listen}")
    await context.add_cookies([{"name": "counterfoil", "value": token, "url": f"http://{blueprint.listen}"}])
    return context


async def connected(page: Page, anew: bool = False) -> None:
    """Its websocket is open; `anew`: of a page that was loaded since."""

    async def is_connected() -> bool:
        try:
            return bool(await page.evaluate("(anew) => window.did_handshake && !(anew && window.before)", anew))
        except Interrupted:  # it is just being loaded
            return False

    await until(is_connected, 60)


async def test_pages_that_are_open_do_not_hold_the_hub_up_and_find_it_again(
    scene: Scene, browser: Browser, seen: Seen
) -> None:
    async with a_process(scene) as process:
        context = await signed_in(browser, scene)
        pages = [await context.new_page() for _ in OPEN]
        for page, address in zip(pages, OPEN, strict=True):
            await page.goto(f"/console{address}")
            await connected(page)
            await page.evaluate("window.before = true")
        process.send_signal(signal.SIGTERM)
        _, said = await process.communicate()
        assert process.returncode == 0
        assert b"stopping" in said
        assert b"Traceback" not in said
        assert b"exceeded" not in said  # uvicorn's word for what it had to cut off
        assert b"cut off" not in said  # and ours
    for page in pages:
        await expect(page.locator("#popup")).to_be_visible()
        await expect(page.locator("#popup")).to_contain_text("Connection lost")
    PICTURES.mkdir(parents=True, exist_ok=True)
    await expect(pages[0].locator("#popup")).to_have_css("opacity", "1")  # it comes up slowly
    await pages[0].screenshot(path=PICTURES / "connection-lost.png")
    async with a_process(scene):
        for page in pages:
            seen.watch(page)
            await connected(page, anew=True)
            await expect(page.locator("#popup")).to_be_hidden()
            await expect(page.locator("h1#main")).to_be_visible()
    assert not seen.troubles
