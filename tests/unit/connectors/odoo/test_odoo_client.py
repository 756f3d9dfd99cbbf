"""One call, one outcome: what the client makes of sockets that break and answers that are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from counterfoil.connectors.odoo.client import Json2
from counterfoil.hub.contract import Failure, Kind

Answer = Callable[[httpx.Request], httpx.Response]


def client(answer: Answer, database: str = "prod") -> Json2:
    """A client whose Odoo is a function."""
    return Json2("http://odoo.example/", database, "k" * 40, 5.0, httpx.MockTransport(answer))


async def failure(answer: Answer, method: str = "read") -> Any:
    """The outcome of a call that must fail."""
    with pytest.raises(Failure) as caught:
        await client(answer).call("sale.order", method, ids=[1])
    return caught.value.outcome


async def test_a_call_as_odoo_wants_it() -> None:
    """Bearer key, database header, named arguments and ids beside them."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=[{"id": 7}])

    result = await client(answer).call("sale.order", "read", ids=[7], context={"lang": "fr_FR"}, fields=["name"])
    assert result == [{"id": 7}]
    assert str(seen[0].url) == "http://odoo.example/json/2/sale.order/read"
    assert seen[0].headers["authorization"] == "bearer " + "k" * 40
    assert seen[0].headers["x-odoo-database"] == "prod"
    assert json.loads(seen[0].content) == {"ids": [7], "fields": ["name"], "context": {"lang": "fr_FR"}}


async def test_no_database_header_without_a_name() -> None:
    """A server with one database needs none."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert "x-odoo-database" not in request.headers
        return httpx.Response(200, json=True)

    assert await client(answer, "").call("res.users", "context_get") is True


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout])
async def test_who_does_not_take_the_call_is_down(error: type[httpx.HTTPError]) -> None:
    """Nothing was sent: an outage."""

    def answer(_: httpx.Request) -> httpx.Response:
        raise error("no")

    outcome = await failure(answer)
    assert (outcome.kind, outcome.reason) == (Kind.DOWN, "unreachable")


LOST = [httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError, httpx.WriteError, httpx.WriteTimeout]


@pytest.mark.parametrize("error", LOST)
async def test_a_lost_answer_is_asked_for_again(error: type[httpx.HTTPError]) -> None:
    """case: F01 - it may have been carried out: not an outage, not a failure, but a retry that looks first."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/web/health":
            return httpx.Response(200, json={"status": "pass"})
        raise error("lost")

    outcome = await failure(answer)
    assert (outcome.kind, outcome.reason) == (Kind.RETRY, "answer_lost")


async def test_a_page_in_place_of_json_is_down() -> None:
    """A maintenance page of a proxy comes with 200."""
    outcome = await failure(lambda _: httpx.Response(200, text="<h1>Back soon</h1>"))
    assert (outcome.kind, outcome.reason) == (Kind.DOWN, "unreachable")
    assert "Back soon" in outcome.technical


async def test_archived_records_are_asked_for_by_context() -> None:
    """case: F38 - a discontinued product must be told from an unknown one."""
    contexts: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        contexts.append(json.loads(request.content)["context"])
        return httpx.Response(200, json=[])

    odoo = client(answer)
    await odoo.search_read("product.product", [], ["name"])
    await odoo.search_read("product.product", [], ["name"], archived=True)
    assert contexts == [{}, {"active_test": False}]


async def loaded(answer: dict[str, Any]) -> Any:
    """What load() makes of Odoo's answer, and the context it sent."""
    sent: list[Any] = []

    def respond(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return httpx.Response(200, json=answer)

    result = await client(respond).load("res.partner", ["id", "name"], [["counterfoil.a", "A"]])
    assert sent[0]["context"]["mode"] == "update"
    assert sent[0]["context"]["noupdate"] is True
    return result


async def test_load_is_insert_only() -> None:
    """case: F02 - a row whose external id exists is left as it is."""
    assert await loaded({"ids": [7], "messages": []}) == ([7], [])


async def test_load_gives_back_what_is_wrong_with_a_row() -> None:
    """For the operation to blame the right order."""
    messages = [{"type": "error", "message": "No matching record", "rows": {"from": 0, "to": 0}}]
    assert await loaded({"ids": False, "messages": messages}) == ([], messages)


@pytest.mark.parametrize(
    ("message", "kind", "reason"),
    [
        ("could not serialize access due to concurrent update", Kind.RETRY, "lost_race"),
        ("You are not allowed to create 'Contact' (res.partner) records.", Kind.MISCONFIGURED, "no_right"),
    ],
)
async def test_load_fails_as_a_whole_where_no_row_is_to_blame(message: str, kind: Kind, reason: str) -> None:
    """case: F12 - a lost race in an HTTP 200 is retried, a missing right stops the system."""
    with pytest.raises(Failure) as caught:
        await loaded({"ids": False, "messages": [{"type": "error", "message": message}]})
    assert (caught.value.outcome.kind, caught.value.outcome.reason) == (kind, reason)


@pytest.mark.parametrize("body", ["<h1>Hello</h1>", "[]", "{}", "null"])
async def test_an_address_that_is_no_odoo(body: str) -> None:
    """Something answers there, but not an Odoo 19."""
    with pytest.raises(Failure) as caught:
        await client(lambda _: httpx.Response(200, text=body)).version()
    assert caught.value.outcome.kind is Kind.DOWN


async def test_the_version_comes_with_the_servers_time() -> None:
    """For the doctor's look at the clocks."""
    headers = {"Date": "Sat, 21 Nov 2026 02:37:00 GMT"}
    answer = httpx.Response(200, json={"version": "19.0"}, headers=headers)
    assert await client(lambda _: answer).version() == ("19.0", "Sat, 21 Nov 2026 02:37:00 GMT")


class Line(httpx.MockTransport):
    """Knows whether it was given back."""

    closed = False

    async def aclose(self) -> None:
        self.closed = True


async def test_a_client_tells_odoos_time_and_gives_its_connection_back() -> None:
    line = Line(lambda _: httpx.Response(200, json=[], headers={"Date": "Sat, 21 Nov 2026 09:53:20 GMT"}))
    odoo = Json2("http://odoo.example/", "prod", "k" * 40, 5.0, line)
    assert odoo.server_time is None
    await odoo.call("res.partner", "read", ids=[1])
    assert odoo.server_time == datetime(2026, 11, 21, 9, 53, 20, tzinfo=UTC)
    await odoo.close()
    assert line.closed
