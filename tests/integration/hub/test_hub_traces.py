"""An order is one trace, from the webhook to the last call, kept over the store and a restart."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.requests import Request
from starlette.responses import Response
from tests.fakes import ERP, SHOP, House, failing, payload, rows_of

from counterfoil.blueprint.traces import Traces as Rules
from counterfoil.doors import traces as door
from counterfoil.doors.webhooks import application
from counterfoil.hub import outgoing, schema, tracing
from counterfoil.hub.contract import Failure, Item, Kind, Outcome, done, rejected
from counterfoil.hub.receipts import GroupCommit
from counterfoil.hub.store import Store
from counterfoil.retail.events import Event, at_utc
from counterfoil.watch.tracing import Traces
from counterfoil_sandbox.serving import serving

CHAIN = """\
  - {on: order.placed, from: shop, do: erp.accept_order}
  - {on: order.accepted, from: shop, do: shop.note_order}
"""
THEIRS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Process:
    """What one process traces, in memory."""

    def __init__(self, share: float = 1.0) -> None:
        self.memory = InMemorySpanExporter()
        tracing.spans = Traces(SimpleSpanProcessor(self.memory), share, "a process")

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.memory.get_finished_spans()}


@pytest.fixture(autouse=True)
def untraced() -> Iterator[None]:
    yield
    tracing.spans = None


async def send(house: House, body: bytes, **headers: str) -> None:
    app = application({SHOP: house.shop, ERP: house.erp}, GroupCommit(house.store))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub") as shop:
        answer = await shop.post("/webhooks/shop", content=body, headers={"x-secret": "right", **headers})
    assert answer.status_code == 202


def parent(span: ReadableSpan) -> int:
    assert span.parent is not None
    return span.parent.span_id


async def test_an_order_is_one_trace_over_a_restart(store: Store) -> None:
    house = House(store, CHAIN)
    first = Process()
    await send(house, payload(1, email="ann@example.org", street="12 rue Basse"), traceparent=THEIRS)
    house.erp.plan("shop:order:1", failing(Kind.RETRY, "busy"))
    door_of_first = first.spans
    again = Process()
    await House(store, CHAIN, shop=house.shop, erp=house.erp).worker().drain(20)

    webhook, decode = door_of_first["webhook shop"], again.spans["decode order"]
    tries = [s for s in again.memory.get_finished_spans() if s.name == "erp.accept_order"]
    accept, note = tries[-1], again.spans["shop.note_order"]
    every = [webhook, decode, *tries, note]
    assert {f"{s.context.trace_id:032x}" for s in every} == {THEIRS[3:35]}
    assert f"{parent(webhook):016x}" == THEIRS[36:52]
    assert parent(decode) == webhook.context.span_id
    assert [parent(t) for t in tries] == [decode.context.span_id] * 2
    assert parent(note) == accept.context.span_id
    assert [(t.attributes["counterfoil.outcome"], t.status.description) for t in tries] == [
        ("retry", "busy"),
        ("done", None),
    ]
    assert all(s.start_time <= s.end_time for s in every)
    said = str([(s.name, dict(s.attributes), dict(s.resource.attributes)) for s in every])
    for personal in ("ann", "Basse", "MUG", "N1", "shop:order:1"):
        assert personal not in said


async def test_of_one_call_for_several_orders_the_first_goes_out_and_the_others_link_to_it(store: Store) -> None:
    house, process = House(store, CHAIN), Process()
    carried: list[str] = []

    async def step(item: Item) -> Outcome:
        carried.append(outgoing.traceparent())
        return await house.erp.stand(item)

    for number in range(3):
        house.erp.always[f"shop:order:{number}"] = step
        await send(house, payload(number))
    await house.work()
    first, *others = [s for s in process.memory.get_finished_spans() if s.name == "erp.accept_order"]
    assert set(carried) == {f"00-{first.context.trace_id:032x}-{first.context.span_id:016x}-01"}
    assert [[link.context.span_id for link in s.links] for s in others] == [[first.context.span_id]] * 2
    assert len({s.context.trace_id for s in (first, *others)}) == 3
    assert outgoing.traceparent() == ""


async def test_a_call_that_is_made_again_in_halves_is_told_each_time(store: Store) -> None:
    """What went out with it has its parent."""
    house, process = House(store, CHAIN), Process()
    carried: set[str] = set()

    async def step(item: Item) -> Outcome:
        carried.add(outgoing.traceparent()[36:52])
        raise Failure(rejected("bad_row", "no", "mend it"))

    for number in range(2):
        house.erp.always[f"shop:order:{number}"] = step
        await send(house, payload(number))
    await house.work()
    told = [s for s in process.memory.get_finished_spans() if s.name == "erp.accept_order"]
    assert len(carried) == 3
    assert carried < {f"{s.context.span_id:016x}" for s in told}
    assert {s.attributes["counterfoil.outcome"] for s in told if s.attributes} == {"rejected"}


async def test_what_no_webhook_told_begins_a_trace_of_its_own(store: Store) -> None:
    house, process = House(store, CHAIN), Process()
    await house.hear(payload(1), origin="poll")
    decode = process.spans["decode order"]
    assert decode.parent is None
    assert process.spans["erp.accept_order"].context.trace_id == decode.context.trace_id


@pytest.mark.parametrize("share", [None, 0.0])
async def test_untraced_or_not_sampled_nothing_is_kept_or_told(store: Store, share: float | None) -> None:
    process = None if share is None else Process(share)
    house = House(store, CHAIN)
    await send(house, payload(1))
    await house.work()
    assert await house.events() == ["order.placed", "order.accepted", "order.noted"]
    assert {row["traceparent"] for row in await rows_of(store, schema.event)} == {None}
    assert [tracing.TRACEPARENT in row["headers"] for row in await rows_of(store, schema.receipt)] == [False]
    assert process is None or process.spans == {}


async def test_a_header_that_is_no_trace_context_is_left_alone(store: Store) -> None:
    house, process = House(store), Process()
    for number, header in enumerate(
        ("nonsense", THEIRS.upper(), "00-" + "0" * 32 + THEIRS[35:], "'; drop table event")
    ):
        await send(house, payload(number), traceparent=header)
    assert {s.parent for s in process.memory.get_finished_spans()} == {None}


async def test_traces_are_sent_where_the_blueprint_says(store: Store) -> None:
    got = threading.Event()

    async def collector(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        body = await request.body()
        if request.url.path == "/v1/traces" and b"webhook shop" in body:
            got.set()
        await Response(b"", media_type="application/x-protobuf")(scope, receive, send)

    with serving(collector) as url:
        door.begin(Rules(endpoint=url), "a process")
        await send(House(store), payload(1))
        await door.end()
        assert got.is_set()
    assert tracing.spans is None


def test_what_follows_from_what_came_of_a_call_is_of_the_same_trace() -> None:
    def event(id_: str, causation: str) -> Event:
        common = {"type": "order.accepted", "source": ERP, "subject": "s", "key": "s", "correlation": "s", "data": {}}
        return Event(id=id_, causation=causation, time=at_utc(0), **common)

    call: Any = SimpleNamespace(id=7, event_id="placed")
    span: Any = SimpleNamespace(traceparent=THEIRS)
    events = [event("accepted", "placed"), event("retold", "accepted"), event("other", "elsewhere")]
    came = tracing.came(events, [(call, done({}))], {7: span})
    assert [each.traceparent for each in came] == [THEIRS, THEIRS, None]


def test_traces_are_sent_only_where_somebody_says_so() -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
    assert not door.wanted(Rules(), {})
    assert door.wanted(Rules(), environment)
    assert door.wanted(Rules(endpoint="http://collector:4318"), {})
    assert not door.wanted(Rules(endpoint="http://collector:4318"), {"OTEL_SDK_DISABLED": "true"})


def test_who_does_not_trace_does_not_load_it() -> None:
    words = "import sys, counterfoil.doors.serve; print([name for name in sys.modules if 'telemetry' in name])"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
