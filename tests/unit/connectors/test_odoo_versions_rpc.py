"""The two ways of speaking to Odoo, and finding out which one a server needs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from counterfoil.connectors.odoo import Odoo
from counterfoil.connectors.odoo.client import Client, time_of
from counterfoil.connectors.odoo.connecting import connect
from counterfoil.connectors.odoo.errors import classify_rpc, load_failed
from counterfoil.connectors.odoo.jsonrpc import JsonRpc
from counterfoil.hub.contract import Failure, Kind, Outcome

RECORDED: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "fixtures/odoo/errors_jsonrpc.json").read_text(encoding="utf-8")
)
SUCCESS = None
MEANING: dict[str, tuple[Kind, str] | None] = {
    "ok_search_read": SUCCESS,
    "authenticate_ok": SUCCESS,
    "authenticate_wrong": SUCCESS,  # false: the client makes a wrong key of it
    "version": SUCCESS,
    "missing_record_read": SUCCESS,
    "none_result": SUCCESS,
    "auth_wrong_password": (Kind.MISCONFIGURED, "bad_credentials"),
    "auth_wrong_uid": (Kind.MISCONFIGURED, "bad_credentials"),
    "wrong_db": (Kind.DOWN, "database_gone"),
    "database_stopped": (Kind.DOWN, "database_gone"),
    "wrong_model": (Kind.MISCONFIGURED, "module_missing"),
    "private_method": (Kind.MISCONFIGURED, "no_right"),
    "access_error_model": (Kind.MISCONFIGURED, "no_right"),
    "access_error_create": (Kind.MISCONFIGURED, "no_right"),
    "serialization_failure": (Kind.RETRY, "lost_race"),
    "wrong_method": (Kind.BUG, "odoo_version_difference"),
    "wrong_field_read": (Kind.BUG, "odoo_version_difference"),
    "wrong_field_domain": (Kind.BUG, "odoo_version_difference"),
    "wrong_field_create": (Kind.BUG, "odoo_version_difference"),
    "bad_selection_value": (Kind.BUG, "odoo_version_difference"),
    "wrong_type_create": (Kind.BUG, "odoo_failed"),
    "fk_violation_create": (Kind.REJECTED, "record_gone"),
    "missing_record_write": (Kind.REJECTED, "record_gone"),
    "missing_required_field": (Kind.REJECTED, "odoo_refused"),
    "validation_error_unique_barcode": (Kind.REJECTED, "odoo_refused"),
    "user_error_confirm_twice": (Kind.REJECTED, "odoo_refused"),
    "user_error_unlink_confirmed": (Kind.REJECTED, "odoo_refused"),
    "user_error_post_posted_move": (Kind.REJECTED, "odoo_refused"),
    "user_error_unlink_posted_move": (Kind.REJECTED, "odoo_refused"),
    "unbalanced_move": (Kind.REJECTED, "odoo_refused"),
}
DIFFERENT = {("14", "user_error_confirm_twice"): SUCCESS, ("16", "user_error_confirm_twice"): SUCCESS}
"""Confirming twice is nothing on 14 and 16."""
EACH = [(version, name) for version, answers in RECORDED.items() for name in answers]


def answered(version: str, name: str) -> Outcome | None:
    """The outcome of a recorded answer."""
    told = RECORDED[version][name]
    return classify_rpc(told["status"], {}, json.dumps(told["body"]).encode())


@pytest.mark.parametrize(("version", "name"), EACH)
def test_recorded_answers(version: str, name: str) -> None:
    """case: F12 - every answer is HTTP 200; the exception's name and words say what it means."""
    meaning = DIFFERENT.get((version, name), MEANING[name])
    outcome = answered(version, name)
    assert (outcome and (outcome.kind, outcome.reason)) == meaning
    if outcome is not None and outcome.kind is not Kind.RETRY:
        assert outcome.message
        assert outcome.suggestion
        assert "Traceback" not in outcome.message


def test_every_meaning_was_recorded() -> None:
    """Nothing is judged here that no server ever said."""
    assert {name for _, name in EACH} == set(MEANING)


def error(name: str, message: str = "no", code: int = 200) -> bytes:
    """A JSON-RPC failure."""
    data = {"name": name, "message": message, "debug": "Traceback", "arguments": [message], "context": {}}
    return json.dumps(
        {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "Odoo Server Error", "data": data}}
    ).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (200, error("odoo.http.SessionExpiredException", "Session expired", 100), Kind.RETRY, "busy"),
        (200, error("psycopg2.pool.PoolError", "The Connection Pool Is Full"), Kind.RETRY, "busy"),
        (200, error("psycopg2.errors.DeadlockDetected", "deadlock detected"), Kind.RETRY, "lost_race"),
        (200, error("psycopg2.OperationalError", "could not serialize access"), Kind.RETRY, "lost_race"),
        (200, error("psycopg2.errors.AdminShutdown", "terminating connection"), Kind.DOWN, "database_gone"),
        (200, error("psycopg2.InterfaceError", "connection already closed"), Kind.DOWN, "database_gone"),
        (200, error("psycopg2.errors.ReadOnlySqlTransaction", "read-only"), Kind.DOWN, "database_gone"),
        (
            200,
            error("odoo.exceptions.AccessDenied", "Too many login failures, please wait"),
            Kind.THROTTLED,
            "throttled",
        ),
        (200, error("odoo.exceptions.MissingError", "(Record: res.users(7,), User: 2)"), Kind.REJECTED, "record_gone"),
        (200, error("builtins.KeyError", "'x'"), Kind.BUG, "odoo_version_difference"),
        (200, b'{"jsonrpc": "2.0", "id": 1, "error": {"message": "odd"}}', Kind.BUG, "odoo_failed"),
        (200, b'{"jsonrpc": "2.0", "id": 1, "error": "odd"}', Kind.BUG, "odoo_failed"),
        (200, b"<h1>Back soon</h1>", Kind.DOWN, "unreachable"),
        (200, b"{}", Kind.DOWN, "unreachable"),
        (200, b"[]", Kind.DOWN, "unreachable"),
        (404, b"<title>404 Not Found</title>The requested URL was not found", Kind.MISCONFIGURED, "no_jsonrpc"),
        (404, b"<p>No database is selected</p>", Kind.DOWN, "database_gone"),
        (502, b"<h1>502 Bad Gateway</h1>", Kind.DOWN, "unreachable"),
        (413, b"<h1>Request Entity Too Large</h1>", Kind.BUG, "too_large"),
        (429, b"slow down", Kind.THROTTLED, "throttled"),
    ],
)
def test_what_else_may_be_answered(status: int, body: bytes, kind: Kind, reason: str) -> None:
    """Exceptions by name, pages of proxies, things that are no JSON-RPC."""
    outcome = classify_rpc(status, {}, body)
    assert outcome is not None
    assert (outcome.kind, outcome.reason) == (kind, reason)


@pytest.mark.parametrize(
    "words",
    [
        "Due to security restrictions, you are not allowed to access 'Contact' (res.partner) records.",
        "You are not allowed to create 'Sales Order' (sale.order) records.",
        "Uh-oh! Looks like you have stumbled upon some top-secret records.",
    ],
)
def test_a_missing_right_in_a_load(words: str) -> None:
    """load() hides it in a message; the words of 14, 16 and 18 on."""
    assert load_failed([{"type": "error", "message": words}]).reason == "no_right"


# --- the client -----------------------------------------------------------------------------------------------------


class Server:
    """An Odoo that answers what a test says; `asked` are the bodies it got, by path."""

    def __init__(self, version: str = "16.0-20230301", answer: Callable[[dict[str, Any]], Any] | None = None) -> None:
        self.version, self.answer = version, answer or (lambda params: [])
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.login: Any = 7
        self.closed: set[str] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        body = json.loads(request.content or b"{}")
        self.asked.append((path, body))
        headers = {"Date": "Sat, 21 Nov 2026 02:37:00 GMT"}
        if path in self.closed or (path == "/web/version" and int(self.version[:2]) < 19):
            return httpx.Response(404, text="<title>404 Not Found</title>", headers=headers)
        if path == "/web/version":
            return httpx.Response(200, json={"version": self.version}, headers=headers)
        if path.startswith("/json/2/"):
            return httpx.Response(200, json=self.answer(body), headers=headers)
        result = self._result(body.get("params", {}), path)
        if isinstance(result, bytes):
            return httpx.Response(200, content=result, headers=headers)
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": body.get("id"), "result": result}, headers=headers)

    def _result(self, params: dict[str, Any], path: str) -> Any:
        if path == "/web/webclient/version_info" or params.get("method") == "version":
            return {"server_version": self.version}
        if params["method"] == "authenticate":
            return self.login
        return self.answer(params)

    def calls(self) -> list[list[Any]]:
        """The arguments of each execute_kw, without the key."""
        params = [body["params"] for _, body in self.asked if body.get("params")]
        return [[*p["args"][:2], *p["args"][3:]] for p in params if p["method"] == "execute_kw"]

    def client(self, **settings: str) -> Client:
        """A client of it."""
        told = {"url": "http://odoo.example/", "database": "prod", "login": "me@x.example", "api_key": "secret"}
        return connect(told | settings, httpx.MockTransport(self))

    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [path for path, _ in self.asked]


async def failed(client: Client) -> Outcome:
    """The outcome of a call that must fail."""
    with pytest.raises(Failure) as caught:
        await client.call("res.partner", "read", ids=[1], fields=["name"])
    return caught.value.outcome


async def test_a_call_as_json_rpc_wants_it() -> None:
    """Signed in once; ids first, the rest by name, what has different names in different versions by place."""
    server = Server()
    client = server.client()
    await client.call("res.partner", "read", ids=[1, 2], fields=["name"])
    await client.call("res.partner", "create", vals_list=[{"name": "A"}], context={"tracking_disable": True})
    await client.call("res.partner", "write", ids=[3], vals={"name": "B"})
    await client.call("res.partner", "search_count", domain=[["id", ">", 1]])
    await client.search_read("res.partner", [["id", "=", 1]], ["name"], archived=True, order="id", limit=5)
    assert server.calls() == [
        ["prod", 7, "res.partner", "read", [[1, 2]], {"fields": ["name"], "context": {}}],
        ["prod", 7, "res.partner", "create", [[{"name": "A"}]], {"context": {"tracking_disable": True}}],
        ["prod", 7, "res.partner", "write", [[3], {"name": "B"}], {"context": {}}],
        ["prod", 7, "res.partner", "search_count", [[["id", ">", 1]]], {"context": {}}],
        [
            *("prod", 7, "res.partner", "search_read", []),
            {
                "domain": [["id", "=", 1]],
                "fields": ["name"],
                "order": "id",
                "limit": 5,
                "context": {"active_test": False},
            },
        ],
    ]
    signed = [
        body["params"]["args"] for _, body in server.asked if body.get("params", {}).get("method") == "authenticate"
    ]
    assert signed == [["prod", "me@x.example", "secret", {}]]


async def test_a_method_without_result() -> None:
    """None, as Odoo leaves the result out."""
    for version in ("14", "16", "18"):
        body = json.dumps(RECORDED[version]["none_result"]["body"]).encode()
        assert await Server(answer=lambda _, body=body: body).client().call("sale.order", "message_unsubscribe") is None


async def test_a_wrong_key() -> None:
    """authenticate says false, without an error."""
    server = Server()
    server.login = False
    outcome = await failed(server.client())
    assert (outcome.kind, outcome.reason) == (Kind.MISCONFIGURED, "bad_credentials")
    assert "secret" not in repr(outcome)


async def test_the_user_is_looked_up_again_after_a_refusal() -> None:
    """The user was deleted and made again: the number that was kept is nobody's."""
    answers = [json.dumps(RECORDED["16"]["auth_wrong_uid"]["body"]).encode(), [{"id": 1}]]
    server = Server(answer=lambda _: answers.pop(0))
    client = server.client()
    assert (await failed(client)).reason == "bad_credentials"
    server.login = 8
    assert await client.call("res.partner", "read", ids=[1]) == [{"id": 1}]
    assert [call[1] for call in server.calls()] == [7, 8]


@pytest.mark.parametrize(
    ("listed", "reason", "words"),
    [
        (["one"], "", ""),
        (["one", "two"], "database_missing", "it has one, two"),
        ([], "database_missing", "does not list them"),
        (error("odoo.exceptions.AccessDenied", "Access Denied"), "database_missing", "does not list them"),
    ],
)
async def test_a_server_with_one_database_needs_no_name(listed: Any, reason: str, words: str) -> None:
    """With several, or where they are not listed, the blueprint must say which."""
    server = Server(answer=lambda params: listed if params["method"] == "list" else [{"id": 1}])
    client = server.client(database="")
    if reason:
        outcome = await failed(client)
        assert (outcome.kind, outcome.reason) == (Kind.MISCONFIGURED, reason)
        assert words in outcome.message
    else:
        await client.call("res.partner", "read", ids=[1])
        assert server.calls()[0][0] == "one"


async def test_a_login_is_needed() -> None:
    """JSON-2 does without, JSON-RPC does not."""
    outcome = await failed(Server().client(login=""))
    assert (outcome.kind, outcome.reason) == (Kind.MISCONFIGURED, "login_missing")


async def test_a_lost_answer_and_an_outage() -> None:
    """case: F01 - taken but not answered is asked again; not taken is an outage."""

    def lost(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/web/health":
            return httpx.Response(404)  # Odoo 14 has no such page, and is alive
        raise httpx.ReadError("lost")

    def gone(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no")

    for answer, kind, reason in ((lost, Kind.RETRY, "answer_lost"), (gone, Kind.DOWN, "unreachable")):
        rpc = JsonRpc("http://odoo.example", "prod", "me", "secret", 5.0, httpx.MockTransport(answer))
        outcome = await failed(rpc)
        assert (outcome.kind, outcome.reason) == (kind, reason)


async def test_odoos_own_clock() -> None:
    """The Date header of the last answer, of both APIs; None before the first."""
    for version in ("14.0", "19.0"):
        client = Server(version).client()
        assert client.server_time is None
        await client.call("res.partner", "read", ids=[1])
        assert client.server_time == datetime(2026, 11, 21, 2, 37, tzinfo=UTC)


@pytest.mark.parametrize("date", ["", None, "yesterday", "Sat, 99 Nov 2026 02:37:00 GMT"])
def test_a_clock_that_cannot_be_read(date: str | None) -> None:
    """Nothing is made up."""
    assert time_of(date) is None


def test_a_clock_in_another_zone() -> None:
    """Told in UTC; a date that a proxy doubled has no zone and is taken for UTC."""
    for date in ("Sat, 21 Nov 2026 03:37:00 +0100", "Sat, 21 Nov 2026 02:37:00 -0000"):
        told = time_of(date)
        assert told is not None
        assert told.isoformat() == "2026-11-21T02:37:00+00:00"


# --- which Odoo is it -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "api", "major", "door"),
    [
        ("14.0", "", 14, "/jsonrpc"),
        ("16.0-20230301", "", 16, "/jsonrpc"),
        ("18.0+e-20250520", "", 18, "/jsonrpc"),
        ("19.0", "", 19, "/json/2/res.partner/read"),
        ("19.0", "jsonrpc", 19, "/jsonrpc"),
        ("21.0", "", 21, "/json/2/res.partner/read"),
    ],
)
async def test_each_version_by_its_door(version: str, api: str, major: int, door: str) -> None:
    """JSON-2 where there is one, unless the blueprint says otherwise."""
    server = Server(version)
    client = server.client(**({"api": api} if api else {}))
    await client.call("res.partner", "read", ids=[1], fields=["name"])
    assert server.paths()[-1] == door
    assert (await client.names()).major == major


async def test_the_version_is_asked_for_once() -> None:
    """Also when the first calls come at once; nothing is asked before the first."""
    server = Server("19.0")

    async def slowly(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)  # lets the others in
        return server(request)

    client = connect({"url": "http://odoo.example", "api_key": "k"}, httpx.MockTransport(slowly))
    assert not server.asked
    await asyncio.gather(*(client.call("res.partner", "read", ids=[n]) for n in (1, 2, 3)))
    await client.names()
    assert server.paths().count("/web/version") == 1


def test_making_a_connector_asks_nothing() -> None:
    """A hub starts while Odoo is down."""

    def asked(_: httpx.Request) -> httpx.Response:
        raise AssertionError("asked")

    Odoo("odoo", {"url": "http://odoo.example", "api_key": "k"}, transport=httpx.MockTransport(asked))


async def test_an_upgraded_odoo_is_found_out() -> None:
    """What does not fit any more makes it ask for the version again."""
    bodies: list[Any] = [error("builtins.ValueError", "Invalid field 'x'"), [{"id": 1}]]
    server = Server("18.0", answer=lambda _: bodies.pop(0))
    client = server.client()
    assert (await failed(client)).kind is Kind.BUG
    server.version = "19.0"
    assert await client.call("res.partner", "read", ids=[1]) == [{"id": 1}]
    assert server.paths()[-1].startswith("/json/2/")
    assert (await client.names()).major == 19


async def test_a_business_error_raises_no_doubt() -> None:
    """Only what does not fit does."""
    server = Server(answer=lambda _: error("odoo.exceptions.UserError", "no"))
    client = server.client()
    await failed(client)
    await failed(client)
    assert server.paths().count("/web/version") == 1


@pytest.mark.parametrize(
    ("version", "settings", "reason"),
    [
        ("13.0", {}, "unsupported_version"),
        ("18.0", {"api": "json2"}, "no_json2"),
        ("19.0", {"api": "xmlrpc"}, "unknown_api"),
    ],
)
async def test_what_cannot_be_spoken_to(version: str, settings: dict[str, str], reason: str) -> None:
    """Configuration: one exception, in plain words."""
    outcome = await failed(Server(version).client(**settings))
    assert (outcome.kind, outcome.reason) == (Kind.MISCONFIGURED, reason)
    assert outcome.suggestion


async def test_where_the_old_door_is_shut() -> None:
    """The web client's own question still tells the version; the call then says what is missing."""
    server = Server("16.0")
    server.closed = {"/jsonrpc"}
    client = server.client()
    assert (await client.version())[0] == "16.0"
    assert (await failed(client)).reason == "no_jsonrpc"


@pytest.mark.parametrize("status", [502, 503, 429])
async def test_a_proxy_in_front_of_a_stopped_odoo(status: int) -> None:
    """No other door is tried."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(status, text="<h1>no</h1>")

    client = connect({"url": "http://odoo.example", "api_key": "k"}, httpx.MockTransport(answer))
    assert (await failed(client)).kind in (Kind.DOWN, Kind.THROTTLED)
    assert asked == ["/web/version"]


async def test_an_address_that_is_no_odoo() -> None:
    """Pages everywhere."""
    answer = httpx.MockTransport(lambda _: httpx.Response(404, text="<h1>nothing here</h1>"))
    outcome = await failed(connect({"url": "http://odoo.example", "api_key": "k"}, answer))
    assert (outcome.kind, outcome.reason) == (Kind.MISCONFIGURED, "no_jsonrpc")


# --- several companies ----------------------------------------------------------------------------------------------

COMPANIES = [
    {"id": 1, "name": "Main"},
    {"id": 2, "name": "Second"},
    {"id": 3, "name": "Twice"},
    {"id": 4, "name": "Twice"},
]


@pytest.mark.parametrize(("company", "number"), [("Second", 2), ("2", 2)])
@pytest.mark.parametrize("version", ["16.0", "19.0"])
async def test_the_company_is_said_with_every_call(version: str, company: str, number: int) -> None:
    """By name or number, looked up once."""
    server = Server(version, answer=lambda _: COMPANIES)
    client = server.client(company=company)
    await client.call("res.partner", "read", ids=[1], context={"active_test": False})
    await client.call("res.partner", "read", ids=[2])
    contexts = [body.get("context") or body["params"]["args"][6]["context"] for _, body in server.asked[-2:]]
    assert contexts == [
        {"allowed_company_ids": [number], "active_test": False},
        {"allowed_company_ids": [number]},
    ]
    assert await client.company() == number  # type: ignore[attr-defined]


@pytest.mark.parametrize("company", ["Third", "Twice", "7"])
async def test_a_company_that_is_not_one(company: str) -> None:
    """None, or several of that name."""
    outcome = await failed(Server("19.0", answer=lambda _: COMPANIES).client(company=company))
    assert (outcome.kind, outcome.reason) == (Kind.MISCONFIGURED, "unknown_company")
    assert "“Second” (2)" in outcome.message


async def test_digits_of_a_unit_price() -> None:
    """From the field itself; two where it does not say."""
    answers: list[Any] = [{"price_unit": {"digits": [16, 4]}}, {"price_unit": {}}]
    client = Server(answer=lambda _: answers.pop(0)).client()
    assert (await client.price_digits(), await client.price_digits()) == (4, 2)
