"""A real browser, its pages under watch: what they log, load and fail at stands in `Seen`."""

from __future__ import annotations

import contextlib
import functools
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect
from tests import console_stage
from tests.browser import chromium
from tests.console_stage import Stage
from tests.fakes import House

from counterfoil.hub.store import Store

expect.set_options(timeout=30_000)  # as long as never: a busy machine is slow at showing things

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / ".bench" / "console"
"""Where the pictures of the pages are, to be looked at."""
CANNOT_BE_HAD = 77


@functools.cache
def axe() -> str:
    """axe-core; skips the test where it cannot be had."""
    ended = subprocess.run([ROOT / "scripts" / "axe", "path"], capture_output=True, text=True, check=False)
    if ended.returncode == CANNOT_BE_HAD:
        pytest.skip(f"no axe-core: {ended.stderr.strip()}")
    assert ended.returncode == 0, ended.stderr
    return Path(ended.stdout.strip()).read_text(encoding="utf-8")


@dataclass(slots=True)
class Seen:
    """What came up on a page that nobody should see, and which hosts it asked."""

    troubles: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def watch(self, page: Page) -> None:
        """From now on."""
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on("console", lambda m: self.troubles.append(m.text) if m.type in ("error", "warning") else None)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium."""
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=chromium())
        yield opened
        await opened.close()


@pytest.fixture
async def house(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[House]:
    """A shop and an ERP in memory, on a store of this test."""
    shutil.copy(sqlite_template, tmp_path / "counterfoil.db")
    store = Store(f"sqlite:///{tmp_path}/counterfoil.db")
    yield House(store)
    await store.close()


@pytest.fixture
async def stage(house: House) -> AsyncIterator[Stage]:
    """Its console."""
    async with console_stage.opened(house) as opened:
        yield opened


@pytest.fixture
def seen() -> Seen:
    """Filled by the pages of this test."""
    return Seen()


@pytest.fixture
def visited(browser: Browser, stage: Stage, seen: Seen) -> Callable[..., Any]:
    """Opens the console as somebody who is signed in: `async with visited("otto", width=360) as page`."""

    @contextlib.asynccontextmanager
    async def visited(login: str = "", width: int = 1200, dark: bool = False, **more: bool) -> AsyncIterator[Page]:
        scheme = "dark" if dark else "light"
        context = await browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, base_url=stage.url, **more
        )
        if login:
            async with stage.signed_in(login) as client:
                cookies = [{"name": name, "value": value, "url": stage.url} for name, value in client.cookies.items()]
            await context.add_cookies(cookies)
        page = await context.new_page()
        page.set_default_timeout(15_000)
        seen.watch(page)
        yield page
        await context.close()

    return visited
