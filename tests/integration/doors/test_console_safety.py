"""What somebody with bad intentions tries at the console and the admin API: other people's pages and sessions."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tests.admin_stage import HUB, cheap_passwords, client_of, desk_of, signed_in, somebody
from tests.conftest import ON_SQLITE
from tests.console_stage import PASSWORD, Stage
from tests.integration.doors.test_admin_role_matrix import filled
from tests.integration.doors.test_console import act, client_id, connected, stage_on, told

from counterfoil.doors.admin.app import application, rights
from counterfoil.doors.admin.context import CSRF, SAFE
from counterfoil.hub.access.roles import Role
from counterfoil.hub.store import Store

EVIL = "https://evil.test"


@pytest.fixture
async def stage(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Stage]:
    """The console of a house with one exception."""
    shutil.copy(sqlite_template, tmp_path / "counterfoil.db")
    async with stage_on(tmp_path / "counterfoil.db") as opened:
        yield opened


def skipping(note: str) -> dict[str, str]:
    """What the form of an exception's page says."""
    return {"act": "do", "status": "skipped", "note": note}


async def test_nobody_acts_or_reads_through_the_page_of_somebody_else(stage: Stage) -> None:
    """Who has seen the numbers of a page and its tab, in a proxy's log, say, and is signed in with fewer rights."""
    await stage.user("otto", Role.OPERATOR)
    await stage.user("vera", Role.VIEWER)
    async with stage.signed_in("otto") as otto, stage.signed_in("vera") as vera:
        his = (await otto.get("/console/exceptions/1")).text
        hers = (await vera.get("/console/exceptions/1")).text
        async with connected(stage, otto, his, tab="his") as at_his:
            with pytest.raises(AssertionError):
                async with connected(stage, vera, his, tab="his"):
                    pass
            async with connected(stage, vera, hers) as at_hers:
                await act(at_hers, his, skipping("hers"))
                handshake = {"client_id": client_id(his), "tab_id": "his", "document_id": "d", "next_message_id": 0}
                await at_hers.send("420" + json.dumps(["handshake", handshake]))
                async for text in at_hers:
                    if str(text).startswith("430"):  # the answer to the last: what came before it has been looked at
                        assert json.loads(str(text)[3:]) == [False]
                        break
            await act(at_his, his, skipping("his"))
            await told(at_his, "update")
    assert [(e["closed_by"], e["note"]) for e in await stage.exceptions()] == [("otto", "his")]


@ON_SQLITE
async def test_no_route_that_changes_something_takes_a_browsers_word_without_its_token_or_from_elsewhere(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap_passwords(monkeypatch)
    await somebody(store, roles=Role)
    desk = desk_of(store)
    table = rights(application(desk))
    changing = [(method, path) for path, method, right in table if method not in SAFE and right is not None]
    assert len(changing) > 20
    async with client_of(desk) as client:
        await signed_in(client)
        token = client.headers.pop(CSRF)
        for method, path in changing:
            for headers in ({}, {CSRF: "0" * 64}, {CSRF: token, "origin": EVIL}, {CSRF: token, "origin": "null"}):
                answer = await client.request(method, f"{HUB}{filled(path)}", json={}, headers=headers)
                assert answer.status_code == 403, (method, path, headers)
                assert answer.json()["type"].endswith("/from_elsewhere"), (method, path, headers)


@ON_SQLITE
async def test_what_the_admin_api_answers_is_framed_nowhere_kept_nowhere_and_runs_nothing(store: Store) -> None:
    async with client_of(desk_of(store)) as client:
        for path in ("/health", "/me", "/nothing", "/sign-in/elsewhere"):
            headers = (await client.get(path)).headers
            assert headers["x-frame-options"] == "DENY"
            assert headers["cache-control"] == "no-store"
            assert "default-src 'none'" in headers["content-security-policy"]
            assert "script-src" not in headers["content-security-policy"]


async def test_a_session_is_never_one_that_somebody_else_has_chosen(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cookie that was planted before somebody signs in opens nothing after it."""
    cheap_passwords(monkeypatch)
    await stage.user("otto", Role.OPERATOR, password=PASSWORD)
    planted, origin = {stage.desk.cookie: "planted" * 7}, {"Origin": stage.url}
    async with httpx.AsyncClient(base_url=stage.url, cookies=planted, headers=origin) as client:
        sent = {"login": "otto", "password": PASSWORD, "next": f"{EVIL}/console"}
        inside = await client.post("/console/sign-in", data=sent)
        assert (inside.status_code, inside.headers["location"]) == (303, "/console")
        assert "planted" not in inside.headers["set-cookie"]
    async with httpx.AsyncClient(base_url=stage.url, cookies=planted) as client:
        assert (await client.get("/console")).status_code == 303


async def test_no_page_is_framed_elsewhere_the_one_to_sign_in_included(stage: Stage) -> None:
    async with httpx.AsyncClient(base_url=stage.url) as client:
        for path in ("/console/sign-in", "/console", "/console/_nicegui/x", "/console/assets/console.css"):
            assert (await client.get(path)).headers["x-frame-options"] == "DENY"
        door = await client.get("/console/sign-in?said=Call+0900&why=Call+0900&next=//evil.test")
        assert "frame-ancestors 'none'" in door.headers["content-security-policy"]
        assert "0900" not in door.text
        assert "evil.test" not in door.text
