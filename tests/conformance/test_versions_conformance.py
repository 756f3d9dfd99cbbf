"""What every connector must show that tells which version its system is: cheap, harmless, no more than a Failure."""

from __future__ import annotations

import itertools
import json
import re
import tomllib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from counterfoil import connectors
from counterfoil.connectors.odoo import Odoo
from counterfoil.connectors.odoo import releases as odoo_releases
from counterfoil.connectors.rest import Rest
from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil.connectors.woocommerce import releases as shop_releases
from counterfoil.hub.contract import Failure, Mark, TellsVersions
from counterfoil_sandbox.odoo import make_app as make_odoo
from counterfoil_sandbox.odoo_versions import speaking
from counterfoil_sandbox.records import make_app as make_records
from counterfoil_sandbox.woocommerce import RECORDINGS
from counterfoil_sandbox.woocommerce import make_app as make_shop

KEYS = {"url": "http://system.example", "api_key": "sandbox-key", "database": "sandbox", "login": "admin"}
KEYS |= {"consumer_key": "ck_sandbox", "consumer_secret": "cs_sandbox", "token": "sandbox-token"}
REST = KEYS | {"records": "/postings", "version_path": "/accounts/api"}


class Asked(httpx.AsyncBaseTransport):
    """The way to a stand-in; `answer` stands in its place. `paths` is what was asked for."""

    def __init__(self, app: Any) -> None:
        self.inner = httpx.ASGITransport(app)
        self.paths: list[str] = []
        self.answer: Callable[[httpx.Request], httpx.Response] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(f"{request.method} {request.url.path}")
        return self.answer(request) if self.answer else await self.inner.handle_async_request(request)


def records() -> Any:
    app = make_records({"/accounts": "customer"})
    app.book.write("/accounts", "api", {"version": "2026.4"})
    return app


PLACES: dict[str, tuple[Callable[[], Any], Callable[..., Any], Mapping[str, str], list[str]]] = {
    "odoo 19": (lambda: make_odoo(), Odoo, KEYS, ["Odoo 19.0", "Odoo API JSON-2"]),
    "odoo 18": (lambda: speaking(make_odoo(), 18), Odoo, KEYS, ["Odoo 18.0+e-20250520", "Odoo API JSON-RPC"]),
    "odoo 14": (lambda: speaking(make_odoo(), 14), Odoo, KEYS, ["Odoo 14.0", "Odoo API JSON-RPC"]),
    "woocommerce": (make_shop, WooCommerce, KEYS, ["WooCommerce 9.9.5", "WordPress 6.8.7"]),
    "rest": (records, Rest, REST, ["crm 2026.4"]),
}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def way(place: str) -> Asked:
    return Asked(PLACES[place][0]())


@pytest.fixture
async def system(place: str, way: Asked) -> AsyncIterator[Any]:
    _, make, settings, _ = PLACES[place]
    made = make("crm", settings, transport=way)
    yield made
    await made.close()


def told(releases: Any) -> list[str]:
    return [f"{each.name} {each.version}" for each in releases]


async def test_it_tells_what_the_system_says_in_two_reads_at_the_most(place: str, system: Any, way: Asked) -> None:
    """As recorded. Of what it was tested with nothing is doubted."""
    assert isinstance(system, TellsVersions)
    found = await system.versions()
    assert told(found) == PLACES[place][3]
    assert [each.doubt for each in found] == [""] * len(found)
    assert len(way.paths) <= 2
    assert all(path.startswith("GET ") or path == "POST /jsonrpc" for path in way.paths)


async def test_an_update_of_the_system_is_seen_by_the_same_connector(place: str, system: Any, way: Asked) -> None:
    """And doubted, where it is a release that nobody tried."""
    before = await system.versions()
    newer = {"version": "99.1", "wp_version": "7.0", "server_version": "99.1"}
    body = {**newer, "environment": newer, "result": newer, "jsonrpc": "2.0"}
    way.answer = lambda request: httpx.Response(200, json=body)
    after = await system.versions()
    assert [each.name for each in after] == [each.name for each in before]
    assert after[0].version == "99.1"
    assert place == "rest" or (after[0].doubt and after[0].remedy and after[0].tested)


async def test_an_odoo_that_was_updated_is_spoken_to_as_what_it_is_from_then_on() -> None:
    """Before anything has failed for it."""
    app = make_odoo()
    way = Asked(speaking(app, 18))
    odoo = Odoo("odoo", KEYS, transport=way)
    assert (await odoo.client.names()).major == 18
    way.inner = httpx.ASGITransport(app)
    assert (await odoo.client.names()).major == 18
    await odoo.versions()
    assert (await odoo.client.names()).major == 19
    await odoo.close()


ODD = ("<html>", "[]", "{}", "null", '"text"', '{"environment": [], "version": {}}', "[[]]")


async def test_whatever_else_it_answers_is_a_failure(system: Any, way: Asked) -> None:
    for status, body in itertools.product((200, 401, 500, 503), ODD):
        way.answer = lambda request, status=status, body=body: httpx.Response(status, content=body)  # type: ignore[misc]
        with pytest.raises(Failure):
            await system.versions()
    way.answer = down
    with pytest.raises(Failure):
        await system.versions()


def down(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def test_the_stand_in_tells_what_the_recorded_shop_said_of_itself() -> None:
    """In the User-Agent of its webhooks."""
    said = set()
    for file in sorted((RECORDINGS / "webhooks").glob("delivery_order*.json")):
        said |= set(re.findall(r"WooCommerce/([\d.]+) Hookshot \(WordPress/([\d.]+)\)", file.read_text("utf-8")))
    assert said == {("9.9.5", "6.8.7")}


@pytest.mark.parametrize(
    ("name", "version", "doubted"),
    [
        ("WooCommerce", "9.9.6", ""),
        ("WooCommerce", "10.2.1", "was never tried"),
        ("WooCommerce", "9.90.0", "was never tried"),
        ("WooCommerce", "9.9", ""),
        ("WooCommerce", "7.9.1", "older than all that are served"),
        ("WooCommerce", "10.0.0-rc.1", "was never tried"),
        ("WooCommerce", "dev", "older than all"),
        ("WordPress", "6.8.7", ""),
        ("WordPress", "6.9-beta1", "was never tried"),
    ],
)
def test_which_release_of_a_shop_is_doubted(name: str, version: str, doubted: str) -> None:
    doubt = shop_releases.release(name, version).doubt
    assert (doubted in doubt) if doubted else doubt == ""


async def test_what_a_shop_says_when_its_key_may_not_read_it() -> None:
    """Nothing is known then: no version is made up."""
    way = Asked(None)
    error = {"code": "woocommerce_rest_cannot_view", "message": "Sorry.", "data": {"status": 403}}
    way.answer = lambda request: httpx.Response(403, json=error)
    shop = WooCommerce("web", KEYS, transport=way)
    with pytest.raises(Failure) as caught:
        await shop.versions()
    assert caught.value.outcome.reason == "no_right"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"version_path": "/about"}, ["crm 1"]),
        ({"version_path": "/about", "version_field": "app.version"}, ["crm 2.0"]),
        ({"version_path": "/about", "version_header": "x-api-version"}, ["crm 2026-11"]),
        ({}, []),
    ],
)
async def test_where_an_api_tells_its_version(settings: dict[str, str], expected: list[str]) -> None:
    way = Asked(None)
    body = json.dumps({"version": 1, "app": {"version": "2.0"}})
    way.answer = lambda request: httpx.Response(200, content=body, headers={"X-API-Version": "2026-11"})
    api = Rest("crm", KEYS | {"records": "/postings"} | settings, transport=way)
    assert told(await api.versions()) == expected
    assert [f.mark for f in await api.doctor() if f.check == "version"] == [Mark.OK] * len(expected)
    assert bool(way.paths) == bool(expected)


@pytest.mark.parametrize(
    "settings",
    [
        {"version_field": "v"},
        {"version_header": "X-V"},
        {"version_path": "about"},
        {"version_path": "/a", "version_field": "v", "version_header": "X-V"},
    ],
)
def test_settings_of_a_version_that_say_nothing_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"systems\.crm.*expected (version_|a path)"):
        Rest("crm", KEYS | settings)


def test_manifests_name_what_each_connector_was_tested_with() -> None:
    folder = Path(connectors.__file__).parent
    tested = {
        name: tomllib.loads((folder / name / "manifest.toml").read_text("utf-8"))["tested"]
        for name in ("odoo", "woocommerce", "rest")
    }
    assert tested["odoo"] == list(odoo_releases.TESTED)
    assert tested["woocommerce"] == dict(shop_releases.TESTED)
    assert tested["rest"], "in words"
