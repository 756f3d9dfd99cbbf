"""Signing in at a real, certified provider of OpenID Connect (the npm package oidc-provider), as its people do."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import re
import subprocess
from collections.abc import AsyncIterator
from html import unescape
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from playwright.async_api import Browser, Page, expect
from tests import console_stage
from tests.console.conftest import CANNOT_BE_HAD, PICTURES, ROOT
from tests.console_stage import Stage
from tests.fakes import House

from counterfoil.blueprint.console import Console, Oidc, SignIn
from counterfoil.blueprint.values import Secret
from counterfoil.doors.admin import elsewhere
from counterfoil.doors.admin.oidc import Provider, Try
from counterfoil.hub.access import audit, users

BACK = "/admin/v1/sign-in/back"
PEOPLE = {
    "mia": {"name": "Mia M", "preferred_username": "Mia", "email": "mia@shop.example", "groups": ["shop-managers"]},
    "nils": {"name": "Nils N", "preferred_username": "nils", "email": "nils@shop.example", "groups": ["gardeners"]},
}
RULES = {
    "client_id": "counterfoil",
    "client_secret": Secret("a secret: 50% of it & more"),
    "roles": {"shop-managers": ["operator", "approver"]},
    "scopes": ["openid", "profile", "email", "groups"],
}


@functools.cache
def script() -> str:
    """The provider; skips the test where it cannot be had."""
    ended = subprocess.run([ROOT / "scripts" / "oidc", "path"], capture_output=True, text=True, check=False)
    if ended.returncode == CANNOT_BE_HAD:
        pytest.skip(f"no provider: {ended.stderr.strip()}")
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@contextlib.asynccontextmanager
async def provider(stage: Stage, **more: Any) -> AsyncIterator[str]:
    """One at work that sends people back to this hub; where it answers."""
    told = json.dumps({"back": f"{stage.url}{BACK}", "people": PEOPLE, **more})
    running = await asyncio.create_subprocess_exec(
        "node", script(), told, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert running.stdout is not None
        yield (await running.stdout.readline()).decode().strip()
    finally:
        running.kill()
        await running.wait()


@pytest.fixture
async def stage(house: House) -> AsyncIterator[Stage]:
    """The console with the admin API beside it."""
    async with console_stage.opened(house, admin=True) as opened:
        yield opened


class Between(httpx.AsyncHTTPTransport):
    """What the hub hears from the provider: `heard` are the ID tokens, `instead` is put in the next one's place.

    `described_by` is who is asked for what the provider says of itself.
    """

    def __init__(self, described_by: str = "") -> None:
        super().__init__()
        self.heard: list[str] = []
        self.instead, self.described_by = "", described_by

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.described_by and "/.well-known/" in request.url.path:
            request = httpx.Request("GET", f"{self.described_by}{request.url.path}")
        answer = await super().handle_async_request(request)
        told = json.loads(await answer.aread()) if request.method == "POST" else {}
        if "id_token" not in told:
            return answer
        self.heard.append(told["id_token"])
        told["id_token"], self.instead = self.instead or told["id_token"], ""
        return httpx.Response(200, json=told)


def declare(stage: Stage, issuer: str, described_by: str = "", **more: Any) -> Between:
    """That people sign in there."""
    rules = Oidc.model_validate({**RULES, "issuer": issuer, **more})
    declared = {"console": Console(sign_in=SignIn(oidc=rules)), "public_url": stage.url}
    stage.desk.blueprint = stage.desk.blueprint.model_copy(update=declared)
    between = Between(described_by)
    stage.desk.more["oidc"] = Provider(rules, f"{stage.url}{BACK}", between)
    return between


async def signs_in_there(page: Page, login: str) -> None:
    """From the hub's page to sign in, through the provider's own pages, and back."""
    await page.get_by_role("link", name="Sign in at localhost").click()
    await page.get_by_placeholder("Enter any login").fill(login)
    await page.get_by_placeholder("and password").fill("any password")
    await page.get_by_role("button", name="Sign-in").click()
    await page.get_by_role("button", name="Continue").click()


async def test_somebody_signs_in_there_does_what_their_group_may_signs_out_and_who_is_in_none_is_told_why(
    stage: Stage, browser: Browser
) -> None:
    async with provider(stage) as issuer:
        declare(stage, issuer)
        context = await browser.new_context(base_url=stage.url)
        await context.route("https://fonts.googleapis.com/**", lambda route: route.abort())  # of the provider's page
        page = await context.new_page()
        page.set_default_timeout(15_000)
        await page.goto("/console/flows")
        await signs_in_there(page, "mia")
        await expect(page.get_by_role("heading", name="Flows", exact=True)).to_be_visible()  # where they were going
        await expect(page.locator("header")).to_contain_text("mia")
        await expect(page.get_by_role("button", name="Pause")).to_be_visible()
        assert {cookie["name"]: cookie["httpOnly"] for cookie in await context.cookies(stage.url)}["counterfoil"]
        [user] = await users.all_of(stage.desk.store)
        assert (user["login"], user["name"], user["roles"]) == ("mia", "Mia M", ["approver", "operator"])
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("status")).to_contain_text("signed out")
        await page.goto("/console/flows")
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()

        await page.goto("/console/sign-in?why=out")
        await page.screenshot(path=PICTURES / "signed-out.png")
        await page.get_by_role("link", name="Sign out at localhost").click()
        await page.get_by_role("button", name="Yes, sign me out").click()
        await page.get_by_text("Sign-out Success").first.wait_for()
        await page.goto("/console")
        await signs_in_there(page, "nils")
        await expect(page.get_by_role("status")).to_contain_text("nothing in “groups” gives you a role here")
        await page.screenshot(path=PICTURES / "refused-elsewhere.png")
        await page.goto("/console")
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        assert [user["login"] for user in await users.all_of(stage.desk.store)] == ["mia"]
        acts = [row["act"] for row in await audit.listing(stage.desk.store)]
        assert acts == ["sign-in.refused", "sign-out", "sign-in", "user.added"]
        await context.close()


async def led_back(client: httpx.AsyncClient, hub: str, login: str) -> httpx.Response:
    """Go there and through its pages; how the hub answers who comes back."""
    answer = await client.get(f"{hub}/admin/v1/sign-in/elsewhere")
    while True:
        if answer.is_redirect:
            address = urljoin(str(answer.url), answer.headers["location"])
            answer = await client.get(address)
            if address.startswith(f"{hub}{BACK}"):
                return answer
            continue
        assert answer.status_code == 200, answer.text
        [action] = re.findall(r'<form[^>]* action="([^"]+)"', answer.text)
        [prompt] = re.findall(r'name="prompt" value="(\w+)"', answer.text)
        asked = {"prompt": prompt, "login": login, "password": "any password"}
        answer = await client.post(urljoin(str(answer.url), unescape(action)), data=asked)


async def test_a_token_of_another_try_another_application_or_another_key_does_not_count(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a token that a real provider made, for another occasion; beside it everything is as it should be."""
    one_nonce = functools.partial(Try, nonce="the same each time")

    async def outcome(between: Between, instead: str = "") -> tuple[int, str]:
        between.instead = instead
        async with httpx.AsyncClient() as client:
            answer = await led_back(client, stage.url, "mia")
        return answer.status_code, "" if answer.is_redirect else answer.json()["detail"]

    async with provider(stage) as issuer, provider(stage, issuer=issuer, claims_in_token=True) as forger:
        between = declare(stage, issuer)
        assert await outcome(between) == (303, "")
        of_another_try = between.heard[-1]
        status, said = await outcome(between, of_another_try)
        assert status == 401
        assert "nonce" in said

        monkeypatch.setattr(elsewhere, "Try", one_nonce)
        assert await outcome(between) == (303, "")
        again = between.heard[-1]
        assert await outcome(between, again) == (303, "")  # with nothing else in the way it would have counted

        elsewhere_too = declare(stage, issuer, client_id="another")
        assert await outcome(elsewhere_too) == (303, "")
        between = declare(stage, issuer)
        status, said = await outcome(between, elsewhere_too.heard[-1])
        assert status == 401
        assert "aud" in said

        misled = declare(stage, issuer, described_by=forger)
        assert await outcome(misled) == (303, "")
        between = declare(stage, issuer)
        status, said = await outcome(between, misled.heard[-1])
        assert status == 401
        assert "signature" in said
    assert [user["login"] for user in await users.all_of(stage.desk.store)] == ["mia"]
