"""A blueprint is proposed from its page: from a file, its problems beside their lines, then what it changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect
from tests.console.conftest import PICTURES, Seen
from tests.console.test_console_in_browser import ready
from tests.console_stage import Stage
from tests.fakes import CATALOGUE, FLOWS, House

from counterfoil.doors import assembly
from counterfoil.hub import inforce
from counterfoil.hub.access.roles import Role

TEXT = f"counterfoil: 1\nsystems:\n  shop: {{connector: fake}}\n  erp: {{connector: fake}}\nflows:\n{FLOWS}"


async def test_a_file_is_checked_put_right_and_proposed(
    house: House,
    stage: Stage,
    visited: Callable[..., Any],
    seen: Seen,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(assembly, "catalogue", lambda: CATALOGUE)
    await inforce.settle(house.store, house.blueprint, CATALOGUE, "hub")
    await stage.user("otto", Role.OPERATOR)
    await stage.user("vera", Role.VIEWER)
    file = tmp_path / "shop.yaml"
    file.write_text(TEXT + "pressure: {lag: soon}\n")
    async with visited("vera") as page:
        await ready(page, "/blueprint")
        await expect(page.get_by_text("Propose a change")).to_have_count(0)
    async with visited("otto", width=360) as page:
        await ready(page, "/blueprint")
        await page.get_by_text("Paste or open a blueprint").click()
        await page.get_by_label("From a file").set_input_files(file)
        await page.get_by_role("button", name="Check it").click()
        problem = page.locator("ol.problems > li")
        await expect(problem).to_contain_text('Found "soon", expected a duration')
        await expect(problem.locator("mark")).to_contain_text("9  pressure: {lag: soon}")
        await expect(page.get_by_role("button", name="Propose it")).to_have_count(0)
        PICTURES.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=PICTURES / "proposing.png", full_page=True)
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not await page.evaluate(wide)
        await page.get_by_label("Blueprint in YAML").fill(TEXT + "owners: {order: shop}\n")
        await page.get_by_role("button", name="Check it").click()
        await expect(page.get_by_text("needs nobody's approval")).to_be_visible()
        await expect(page.locator("tbody", has_text="order shop")).to_be_visible()
        await page.get_by_role("button", name="Propose it").click()
        await expect(page.get_by_role("status").first).to_contain_text("Say why")
        await page.get_by_label("Why (kept with your name)").fill("the shop owns orders")
        await page.get_by_role("button", name="Propose it").click()
        await expect(page.get_by_role("status").first).to_contain_text("is proposed")
        await expect(page.get_by_role("heading", name="Change 2")).to_be_visible()
    (row, _) = await inforce.history(house.store)
    assert (row["proposed_by"], row["why"], row["sections"]) == ("otto", "the shop owns orders", ["owners"])
    assert not seen.troubles
