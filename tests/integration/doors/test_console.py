"""The console without a browser: who is let in, what they get, and that an open page is no way around their rights."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import websockets
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests import console_stage
from tests.console_stage import Stage
from tests.fakes import ERP, SHOP, House, at, payload, subject, until

from counterfoil.doors.admin import views
from counterfoil.doors.console import words
from counterfoil.doors.console.markup import breakable, table, tag
from counterfoil.doors.console.opening import within
from counterfoil.hub.access import users
from counterfoil.hub.access.roles import Role
from counterfoil.hub.contract import Kind, Outcome
from counterfoil.hub.exceptions import open_about
from counterfoil.hub.store import Store

ORDER = subject(1)
PAGES = ("", "/counterfoil?q=1", f"/counterfoil/{ORDER}", "/exceptions", "/exceptions/1", "/flows", "/systems")
PAGES += (f"/systems/{ERP}", "/blueprint", "/reports?days=7", "/money", "/runbooks", "/runbooks/tax")
TEXT = st.text() | st.text(st.sampled_from("<>&;\"'/!-=#abltxg "))
ELSEWHERE = re.compile(r"""(?:src|href|action)=["']([^"']+)|url\(["']?([^"')]+)|"(/[^"]*\.(?:m?js|css))""")


@contextlib.asynccontextmanager
async def stage_on(file: Path) -> AsyncIterator[Stage]:
    """A console over a SQLite file with one order that the ERP refuses."""
    store = Store(f"sqlite:///{file}")
    house = House(store)
    house.erp.always[ORDER] = Outcome(Kind.REJECTED, "no_such_sku", "Order 1 has a SKU that nobody knows.")
    try:
        await house.hear(payload(1, paid=at(0)))
        async with console_stage.opened(house) as stage:
            yield stage
    finally:
        await store.close()


@pytest.fixture
async def stage(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Stage]:
    """The console of a house."""
    shutil.copy(sqlite_template, tmp_path / "counterfoil.db")
    async with stage_on(tmp_path / "counterfoil.db") as opened:
        yield opened


async def test_without_a_session_there_is_the_page_to_sign_in_and_nothing_else(stage: Stage) -> None:
    async with httpx.AsyncClient(base_url=stage.url) as client:
        for page in PAGES:
            answer = await client.get(f"/console{page}")
            assert answer.status_code == 303, page
            assert urlsplit(answer.headers["location"]).path == "/console/sign-in"
            assert answer.content == b""
        for inner in ("static/nicegui.js", "libraries/x", "anything"):
            answer = await client.get(f"/console/_nicegui/3.18.0/{inner}")
            assert (answer.status_code, answer.content) == (401, b"")
        door = await client.get("/console/sign-in")
        assert door.status_code == 200
        assert "<form" in door.text
        assert all(reference.startswith("/console/") for reference in references(door.text))
        assert (await client.post("/console/flows")).status_code == 403


async def test_every_page_is_there_for_a_viewer_under_a_strict_policy_and_from_this_host_alone(stage: Stage) -> None:
    await stage.user("vera", Role.VIEWER)
    async with stage.signed_in("vera") as client:
        for page in PAGES:
            answer = await client.get(f"/console{page}")
            assert answer.status_code == 200, page
            policy = answer.headers["content-security-policy"]
            assert "unsafe" not in policy
            assert "default-src 'none'" in policy
            assert answer.headers["x-frame-options"] == "DENY"
            assert "no-store" in answer.headers["cache-control"]
            nonce = re.search(r"'nonce-([^']+)'", policy)[1]
            assert answer.text.count("<script") == answer.text.count(f'<script nonce="{nonce}"')
            assert ' style="' not in answer.text
            assert all(not urlsplit(r).netloc for r in references(answer.text)), page
        assert (await client.get("/console/nowhere")).status_code == 404
        assert (await client.get("/console/counterfoil/shop:order:999")).status_code == 404
        assert (await client.get("/console/exceptions/999")).status_code == 404
    assert not os.path.exists(".nicegui")  # noqa: ASYNC240


async def test_each_number_of_today_leads_to_the_list_of_just_that(stage: Stage) -> None:
    await stage.user("otto", Role.OPERATOR)
    said = "a SKU that nobody knows"
    async with stage.signed_in("otto") as client:

        async def text(address: str) -> str:
            answer = await client.get(address)
            assert answer.status_code == 200, address
            return unescape(unescape(answer.text).replace("\\", ""))

        today = await text("/console")
        found = set(re.findall(r'href="(/console/[^"]*\?[^"]*)"', today))
        of_class, of_money = "/console/exceptions?owner=shop-manager&outcome=rejected", "/console/money?kind=payment"
        assert {of_class, f"{of_money}&currency=EUR"} <= found
        pages = {address: await text(address) for address in found}
        assert said in pages[of_class]
        assert said not in await text(of_class.replace("rejected", "bug"))
        assert "12.00 EUR" in pages[f"{of_money}&currency=EUR"]
        assert ORDER in await text(f"{of_money}&currency=eur")
        other = await text(f"{of_money}&currency=SEK")
        assert ORDER not in other
        assert words.NONE_OF_THIS_MONEY in other


async def test_what_somebody_may_not_do_is_not_offered_and_who_may_is_asked_for_it(stage: Stage) -> None:
    await stage.user("vera", Role.VIEWER)
    await stage.user("otto", Role.OPERATOR)
    offers = {"/exceptions/1": 'name=\\"status\\"', "/flows": 'data-act=\\"pause\\"'}
    for login, offered in (("vera", False), ("otto", True)):
        async with stage.signed_in(login) as client:
            for page, form in offers.items():
                assert (form in unescape((await client.get(f"/console{page}")).text)) is offered, (login, page)


async def test_a_link_is_offered_for_what_can_be_linked_and_not_for_an_order(stage: Stage) -> None:
    await stage.user("otto", Role.OPERATOR)
    store = stage.desk.store
    async with store.write() as connection:
        about = [(ERP, f"{SHOP}:product:6", Outcome(Kind.REJECTED, "refused", "It is there."), "buyer")]
        await open_about(connection, store, "tell_product", about)
    async with stage.signed_in("otto") as client:
        pages = [unescape((await client.get(f"/console/exceptions/{n}")).text) for n in (1, 2)]
    assert ['data-act=\\"link\\"' in page for page in pages] == [False, True]


async def test_an_act_of_an_open_page_is_checked_against_what_the_person_may_do_by_then(stage: Stage) -> None:
    """A websocket must not be a way around authorisation: what counts is who they are when they act."""
    await stage.user("otto", Role.OPERATOR)
    asked = {"act": "do", "status": "skipped", "note": "not wanted"}
    async with stage.signed_in("otto") as client:
        page = (await client.get("/console/exceptions/1")).text
        async with connected(stage, client, page) as socket:
            await users.set_roles(stage.desk.store, "otto", [Role.VIEWER], "test")  # and every session of his ends
            await act(socket, page, asked)
            assert await told(socket, "open") == {"path": "/sign-in?why=ended", "new_tab": False}
    async with stage.signed_in("otto") as client:
        page = (await client.get("/console/exceptions/1")).text
        assert not listeners(page)
    assert [e["status"] for e in await stage.exceptions()] == ["open"]
    await users.set_roles(stage.desk.store, "otto", [Role.OPERATOR], "test")
    async with stage.signed_in("otto") as client:
        page = (await client.get("/console/exceptions/1")).text
        async with connected(stage, client, page) as socket:
            await act(socket, page, asked)
            await told(socket, "update")
    assert [(e["status"], e["closed_by"], e["note"]) for e in await stage.exceptions()] == [
        ("skipped", "otto", "not wanted")
    ]


async def test_a_page_that_its_reader_has_left_is_not_kept_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    look = views.today

    async def noted(desk: Any, person: Any, zone: str) -> Any:
        asked.append(person.name)
        return await look(desk, person, zone)

    async def asked_by(*logins: str) -> bool:
        return all(asked.count(login) > 3 for login in logins)

    for login in ("vera", "otto"):
        await stage.user(login, Role.VIEWER)
    async with stage.signed_in("vera") as vera, stage.signed_in("otto") as otto:
        await vera.get("/console")  # loads the pages
        monkeypatch.setattr(views, "today", noted)
        monkeypatch.setattr(sys.modules["counterfoil.doors.console.today"], "AGAIN", 0.02)
        hers, his = (await vera.get("/console")).text, (await otto.get("/console")).text
        async with connected(stage, otto, his):
            async with connected(stage, vera, hers):
                await until(lambda: asked_by("vera", "otto"))
            left = sys.modules["nicegui"].Client.instances[client_id(hers)]
            while left.has_socket_connection:  # noqa: ASYNC110 - the server's side of it
                await asyncio.sleep(0.01)
            asked.clear()
            await until(lambda: asked_by("otto"))
    assert asked.count("vera") <= 1  # one was under way


async def test_what_comes_from_a_page_of_another_site_is_refused(stage: Stage) -> None:
    await stage.user("otto", Role.OPERATOR, password=console_stage.PASSWORD)
    sent = {"login": "otto", "password": console_stage.PASSWORD}
    async with httpx.AsyncClient(base_url=stage.url) as client:
        for headers in ({"Origin": "https://elsewhere.example"}, {"Origin": "null"}, {}):
            answer = await client.post("/console/sign-in", data=sent, headers=headers)
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers
        wrong = await client.post("/console/sign-in", data={**sent, "password": "wrong"}, headers={"Origin": stage.url})
        assert "set-cookie" not in wrong.headers
        assert "wrong" not in wrong.text
        answer = await client.post("/console/sign-in", data=sent, headers={"Origin": stage.url})
        assert (answer.status_code, answer.headers["location"]) == (303, "/console")
        assert {"HttpOnly", "SameSite=lax"} <= set(answer.headers["set-cookie"].split("; "))
        assert (await client.get("/console")).status_code == 200
    async with stage.signed_in("otto") as client:
        page = (await client.get("/console/exceptions/1")).text
        for origin in ("https://elsewhere.example", None):
            with pytest.raises(websockets.exceptions.InvalidStatus):
                async with connected(stage, client, page, origin):
                    pass
        answer = await client.post("/console/sign-out", headers={"Origin": "https://elsewhere.example"})
        assert answer.status_code == 403
        answer = await client.post("/console/sign-out", headers={"Origin": stage.url})
        assert answer.status_code == 303
        client.cookies.clear()
        assert (await client.get("/console")).status_code == 303


def test_two_hubs_one_after_the_other_in_one_process_have_each_their_own_console(
    sqlite_template: Path, tmp_path: Path
) -> None:
    for number in (1, 2):
        shutil.copy(sqlite_template, tmp_path / f"{number}.db")

        async def visited(number: int) -> str:
            async with stage_on(tmp_path / f"{number}.db") as stage:
                await stage.user(f"vera{number}", Role.VIEWER)
                async with stage.signed_in(f"vera{number}") as client:
                    page = (await client.get("/console")).text
                    async with connected(stage, client, page):
                        handle = sys.modules["nicegui"].core.sio.eio.service_task_handle
                        assert not handle.done()  # it is what notices that a browser has gone
            assert asyncio.all_tasks() == {asyncio.current_task()}
            return page

        assert f"vera{number}" in asyncio.run(visited(number))


def test_commands_load_neither_nicegui_nor_fastapi() -> None:
    looked = "import sys, counterfoil.doors.cli; print({'nicegui', 'fastapi', 'socketio'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", looked], capture_output=True, text=True).stdout == "set()\n"


@settings(max_examples=60)
@example("https://elsewhere.example/console")
@example("//elsewhere.example/console")
@example("/console/\\elsewhere.example")
@given(st.text() | st.from_regex(r"(/console)?[/\\]{0,3}[a-z.]*[@:?#/\\]*[a-z]*", fullmatch=True))
def test_after_signing_in_nobody_is_led_to_another_host(text: str) -> None:
    path = within(text)
    assert re.match(r"/console([/?#]|$)", path)
    assert "\\" not in path
    assert not urlsplit(path).netloc


@settings(max_examples=200)
@given(TEXT, TEXT)
def test_no_text_becomes_markup(text: str, other: str) -> None:
    plain = Text()
    plain.feed(table("t", (other,), [[text], [breakable(text)]]) + tag("a", text, title=other))
    plain.close()
    assert plain.tags <= {"table", "caption", "thead", "tbody", "tr", "th", "td", "span", "wbr", "a"}
    shown = "".join(plain.said).replace("\r\n", "\n").replace("\r", "\n")
    assert shown == "t" + (other + 3 * text).replace("\r\n", "\n").replace("\r", "\n")


class Text(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.said.append(data)


# --- a browser's part -------------------------------------------------------------------------------------------------


def references(page: str) -> list[str]:
    """What a page loads or leads to; what stands escaped in it too."""
    return [next(filter(None, found)) for found in ELSEWHERE.findall(unescape(page).replace('\\"', '"'))]


def elements(page: str) -> Mapping[str, dict]:
    """The elements of a page by number, as NiceGUI gives them to the browser."""
    found = re.search(r"String\.raw`(.*?)`\), \{", page, re.DOTALL)
    return json.loads(unescape(found[1]))


def listeners(page: str) -> list[tuple[int, str]]:
    """Who listens for acts: (element, listener)."""
    return [
        (int(number), event["listener_id"])
        for number, element in elements(page).items()
        for event in element.get("events", [])
        if event["type"] == "act"
    ]


def client_id(page: str) -> str:
    """By what the websocket belongs to a page."""
    return re.search(r"'client_id': '([^']+)'", page)[1]


@contextlib.asynccontextmanager
async def connected(
    stage: Stage, client: httpx.AsyncClient, page: str, origin: str | None = "", tab: str = ""
) -> AsyncIterator[websockets.ClientConnection]:
    """The websocket of a page, past its handshake."""
    query = f"client_id={client_id(page)}&implicit_handshake=true&tab_id={tab or uuid.uuid4()}&document_id=d"
    query += "&next_message_id=0"
    url = stage.url.replace("http", "ws") + f"/console/_nicegui_ws/socket.io/?EIO=4&transport=websocket&{query}"
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    origin = stage.url if origin == "" else origin
    async with websockets.connect(url, additional_headers={"Cookie": cookies}, origin=origin) as socket:
        assert (await socket.recv()).startswith("0")
        await socket.send("40")
        assert (await socket.recv()).startswith("40")
        yield socket


async def act(socket: websockets.ClientConnection, page: str, fields: Mapping[str, str]) -> None:
    """What the form to close an exception sends."""
    shown = {int(number): str(element.get("props")) for number, element in elements(page).items()}
    [(number, listener)] = [(n, listener) for n, listener in listeners(page) if 'name="status"' in shown[n]]
    message = {"id": number, "client_id": client_id(page), "listener_id": listener}
    await socket.send("42" + json.dumps(["event", {**message, "args": [json.dumps({"detail": fields})]}]))


async def told(socket: websockets.ClientConnection, what: str) -> dict:
    """The next message of that name."""
    async with asyncio.timeout(5):
        while True:
            text = await socket.recv()
            if text.startswith("42"):
                name, *rest = json.loads(text[2:])
                if name == what:
                    return {key: value for key, value in rest[0].items() if key != "_id"}
