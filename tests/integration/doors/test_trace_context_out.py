"""The context of a trace goes out with every call of every connector, to its own system and to nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.integration.doors.conftest import Scene, at_rest, until

from counterfoil.connectors.odoo import Odoo
from counterfoil.connectors.rest import Rest
from counterfoil.connectors.traced import traced
from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil.doors.serve import Hub
from counterfoil.hub import outgoing, tracing, versions
from counterfoil.watch.tracing import Traces
from counterfoil_sandbox.records import make_app as make_records
from counterfoil_sandbox.serving import serving

THEIRS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
KEYS = {"api_key": "k", "consumer_key": "ck", "consumer_secret": "cs", "token": "sandbox-token", "products": "/goods"}


class Heard:
    """An application, and the requests that a connector made to it: path and headers."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.requests = inner, []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {key.decode(): value.decode() for key, value in scope.get("headers", ())}
        if headers.get("user-agent", "").lower().startswith("counterfoil"):
            self.requests.append((scope["path"], headers))
        await self.inner(scope, receive, send)


@pytest.fixture
def memory() -> Iterator[InMemorySpanExporter]:
    told = InMemorySpanExporter()
    tracing.spans = Traces(SimpleSpanProcessor(told), 1.0, "a process")
    yield told
    tracing.spans = None


async def test_an_order_is_one_trace_through_the_hub_to_what_odoo_was_asked(
    scene: Scene, memory: InMemorySpanExporter
) -> None:
    """And so is each question that the hub asks of its own accord, such as which version a system is."""
    scene.odoo.app = odoo = Heard(scene.odoo.app)
    scene.shop.app = shop = Heard(scene.shop.app)
    async with scene.hub() as running:
        shop.requests.clear()  # the test has made the webhooks itself
        number = int(scene.shop.shop.place(status="processing", payment_method="bacs")["id"])
        await until(lambda: bool(scene.in_odoo(number)))
        await at_rest(running, scene)
        await until(lambda: known(running))
    spans = {f"00-{s.context.trace_id:032x}-{s.context.span_id:016x}-01": s for s in memory.get_finished_spans()}
    for path, headers in [*odoo.requests, *shop.requests]:
        assert headers.get("traceparent") in spans, path
    accept = next(s for s in spans.values() if s.name == "odoo.accept_order")
    asked = [path for path, headers in odoo.requests if spans[headers["traceparent"]] is accept]
    assert "/json/2/sale.order/load" in asked
    began = {s.name for s in spans.values() if s.context.trace_id == accept.context.trace_id}
    assert began >= {"decode order", "odoo.accept_order", "web.note_order"}
    names = {spans[headers["traceparent"]].name for _, headers in [*odoo.requests, *shop.requests]}
    assert names >= {"poll odoo.stock", "web.note_order", "versions odoo", "versions web"}


async def known(running: Hub) -> bool:
    told = await versions.in_short(running.store, ["odoo", "web"])
    return len(told) == 2 and "Odoo 19.0, " in told["odoo"] and "WooCommerce 9.9.5, " in told["web"]


@pytest.mark.parametrize("make", [Odoo, WooCommerce, Rest])
@pytest.mark.parametrize("context", [THEIRS, ""])
async def test_every_request_of_a_connector_carries_what_the_hub_says(make: Callable[..., Any], context: str) -> None:
    heard = Heard(make_records({"/goods": "product"}))
    with serving(heard) as url:
        made = make("crm", {"url": url, **KEYS})
        with outgoing.carrying(context):
            await made.doctor()
        await made.close()
    assert heard.requests
    assert {headers.get("traceparent", "") for _, headers in heard.requests} == {context}


@pytest.mark.parametrize(
    ("url", "goes"),
    [
        ("https://Shop.example:443/wp-json/wc/v3/orders", True),
        ("https://shop.example.evil.example/", False),
        ("http://shop.example/", False),
        ("https://shop.example:8443/", False),
        ("https://elsewhere.example/shop.example", False),
    ],
)
async def test_nobody_but_the_declared_system_is_told(url: str, goes: bool) -> None:
    """Not where an answer leads to either: a hook sees each request by itself."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(302, headers={"Location": url}) if len(asked) == 1 else httpx.Response(200)

    hooks: Any = traced("https://shop.example/shop/")
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer), event_hooks=hooks, follow_redirects=True)
    with outgoing.carrying(THEIRS):
        await client.get("https://shop.example/shop/")
    assert [request.headers.get("traceparent") for request in asked] == [THEIRS, THEIRS if goes else None]
