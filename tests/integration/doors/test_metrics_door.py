"""Metrics: who may read them, and what they say of a hub at work and of one whose store is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.conftest import ON_SQLITE
from tests.fakes import ERP, SHOP, House, at, blueprint, failing, payload, rows_of, until
from tests.integration.doors.conftest import Scene
from tests.storefront_stage import ROOT, storefront

from counterfoil.blueprint import Blueprint
from counterfoil.blueprint.metrics import MetricsRules
from counterfoil.blueprint.values import Secret
from counterfoil.doors import metrics
from counterfoil.doors.assembly import load
from counterfoil.doors.serve import hub
from counterfoil.hub import schema, standing
from counterfoil.hub.contract import Kind
from counterfoil.hub.store import Store
from counterfoil.watch.metrics import names
from counterfoil_sandbox.serving import free_port


def scraped(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by its name and labels."""
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def sample(text: str, name: str, **labels: str) -> float | None:
    return scraped(text).get((name, frozenset(labels.items())))


def door(
    store: Store, plan: Blueprint, rules: MetricsRules | None = None, address: str = "127.0.0.1", **more: Any
) -> Any:
    app = metrics.of(store, plan.model_copy(update={"metrics": rules or MetricsRules()}), more.get("made", {}), dict)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(address, 1)), base_url="http://hub")


async def read(store: Store, house: House) -> str:
    async with door(store, house.blueprint, made={SHOP: house.shop, ERP: house.erp}) as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    return answer.text


TOKEN = MetricsRules(allow=(), token=Secret("right"))


@pytest.mark.parametrize(
    ("rules", "address", "headers", "status"),
    [
        (None, "127.0.0.1", {}, 200),
        (None, "::1", {}, 200),
        (None, "10.0.0.7", {}, 401),
        (None, "127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 401),  # through a proxy on the same machine
        (None, "127.0.0.1", {"Forwarded": "for=127.0.0.1"}, 401),
        (MetricsRules(allow=("10.0.0.0/8",)), "10.0.0.7", {}, 200),
        (MetricsRules(allow=("10.0.0.0/8",)), "127.0.0.1", {}, 401),
        (TOKEN, "127.0.0.1", {}, 401),
        (TOKEN, "10.0.0.7", {"Authorization": "Bearer right", "Via": "proxy"}, 200),
        (TOKEN, "10.0.0.7", {"Authorization": "Bearer wrong"}, 401),
        (TOKEN, "10.0.0.7", {"Authorization": "Bearer "}, 401),
        (None, "127.0.0.1", {"Authorization": "Bearer x"}, 200),  # no token is declared: the address decides
    ],
)
async def test_metrics_are_for_the_declared_addresses_and_for_the_token(
    sqlite_store: Store, rules: MetricsRules | None, address: str, headers: dict[str, str], status: int
) -> None:
    async with door(sqlite_store, blueprint(), rules, address) as client:
        answer = await client.get("/metrics", headers=headers)
        assert answer.status_code == status
        assert ("counterfoil_" in answer.text) == (status == 200)
        assert (await client.post("/metrics", headers=headers)).status_code == (405 if status == 200 else 401)


async def test_an_order_shows_as_fact_delay_delivery_and_promise(store: Store) -> None:
    house = House(store, "  - {on: order.placed, from: shop, do: erp.accept_order, within: 60s}\n")
    before = await read(store, house)
    house.erp.always["shop:order:3"] = failing(Kind.REJECTED)
    await house.hear(payload(1), payload(2), payload(3))
    after = await read(store, house)

    def more(name: str, **labels: str) -> float:
        return (sample(after, name, **labels) or 0.0) - (sample(before, name, **labels) or 0.0)

    there = {"system": ERP, "operation": "accept_order"}
    assert more("counterfoil_events_total", system=SHOP, type="order.placed") == 3
    assert more("counterfoil_events_total", system=ERP, type="order.accepted") == 2
    assert more("counterfoil_ingestion_delay_seconds_count", system=SHOP, origin="webhook") == 3
    assert more("counterfoil_deliveries_total", **there, outcome="done") == 2
    assert more("counterfoil_deliveries_total", **there, outcome="rejected") == 1
    assert more("counterfoil_delivery_lag_seconds_count", **there) == 2
    assert more("counterfoil_delivery_lag_seconds_bucket", **there, le="+Inf") == 2
    assert more("counterfoil_delivery_promises_total", **there, result="kept") == 2
    assert more("counterfoil_delivery_promises_total", **there, result="missed") == 0
    assert more("counterfoil_call_seconds_count", **there, outcome="done") >= 1


async def test_what_waits_is_held_or_refused_shows_where_it_is(store: Store) -> None:
    house = House(store)
    house.erp.plan("shop:order:1", failing(Kind.REJECTED, "unknown_sku"))
    await house.hear(payload(1))
    house.erp.answer = failing(Kind.MISCONFIGURED, "bad_credentials")
    await house.receive(payload(2))
    async with house.working():
        await until(lambda: rows_of(store, schema.system_state))
    text = await read(store, house)
    assert sample(text, "counterfoil_lanes", system=ERP, stream="order", state="held") == 1
    assert sample(text, "counterfoil_breaker_open", system=ERP, operation="") == 1
    assert sample(text, "counterfoil_breaker_open", system=SHOP, operation="") == 0
    assert sample(text, "counterfoil_credentials_refused", system=ERP) == 1
    owner = {"system": ERP, "operation": "accept_order", "outcome": "rejected", "owner": "shop-manager"}
    assert sample(text, "counterfoil_exceptions_open", **owner, reason="unknown_sku") == 1
    held, waits = (
        sample(text, name, system=ERP, stream="order")
        for name in ("counterfoil_held_since_timestamp_seconds", "counterfoil_oldest_delivery_timestamp_seconds")
    )
    [first, second] = await rows_of(store, schema.delivery)
    assert waits == second["created_at"] > first["created_at"]  # what is held for a person is counted apart
    assert held is not None
    assert held >= first["created_at"]


async def test_while_the_store_is_away_what_the_process_knows_is_told(store: Store, tmp_path: Path) -> None:
    house = House(store)
    await house.hear(payload(1))
    away = Store(f"sqlite:///{tmp_path}/none/counterfoil.db")
    text = await read(away, house)
    assert sample(text, "counterfoil_store_up") == 0
    assert sample(text, "counterfoil_events_total", system=SHOP, type="order.placed")
    assert "counterfoil_lanes{" not in text
    await away.close()


@ON_SQLITE
async def test_lanes_that_are_too_many_to_be_counted_hide_nothing_else(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endless(*_: Any) -> None:
        raise TimeoutError

    house = House(store)
    house.erp.always["shop:order:1"] = failing(Kind.REJECTED, "unknown_sku")
    await house.hear(payload(1))
    monkeypatch.setattr(standing, "count_work", endless)
    text = await read(store, house)
    assert sample(text, "counterfoil_store_up") == 1
    assert "counterfoil_exceptions_open{" in text
    assert "counterfoil_lanes{" not in text


async def test_every_metric_is_declared_and_no_label_is_of_a_customer_or_an_order(store: Store) -> None:
    house = House(store)
    await house.hear(
        payload(77, email="ann@example.org", street="12 Rue des Secrets"), payload(77, modified=at(9), note="x")
    )
    text = await read(store, house)
    declared = names()
    for family in text_string_to_metric_families(text):
        if family.name.startswith("counterfoil_"):
            name = family.name + "_total" * (family.type == "counter")
            kind, help_, labels = declared[name]
            assert (family.type, family.documentation) == (kind, help_)
            for each in family.samples:
                assert set(each.labels) - {"le"} == set(labels)
                assert not {"77", "ann@example.org", "shop:order:77", "N77"} & set(each.labels.values())
    assert "ann@" not in text
    assert "Secrets" not in text


@ON_SQLITE
async def test_requests_of_a_storefront_show_by_the_route_as_it_is_declared(store: Store) -> None:
    async with storefront(store) as stage:
        await stage.counts(MUG={"WH": 5})
        for path in (
            "problems/not_found",
            "problems/4711",
            "availability/MUG",
            "availability?skus=MUG",
            "nowhere/4711",
        ):
            await stage.client.get(f"{ROOT}/{path}")
        text = await read(store, House(store))
    name = "counterfoil_storefront_request_seconds_count"
    seen = {labels for metric, labels in scraped(text) if metric == name}
    routes = {(dict(labels)["route"], dict(labels)["status"]) for labels in seen}
    assert routes >= {(f"{ROOT}/problems/{{code}}", "404"), (f"{ROOT}/availability", "200"), ("none", "404")}
    assert not [route for route, _ in routes if "4711" in route or "MUG" in route or route.count(ROOT) > 1]


async def test_each_process_serves_what_its_role_knows(scene: Scene) -> None:
    port = free_port()
    scene.file.write_text(scene.file.read_text() + f"metrics: {{listen: 127.0.0.1:{port}}}\n")
    plan = load(scene.file)
    shown = {}
    for role, address in (("doors", plan.listen), ("workers", f"127.0.0.1:{port}"), ("schedule", f"127.0.0.1:{port}")):
        async with hub(plan, (role,)), httpx.AsyncClient(base_url=f"http://{address}") as client:
            answer = await client.get("/metrics")
            assert answer.status_code == 200
            shown[role] = answer.text
            assert (await client.get("/health")).status_code == (200 if role == "doors" else 404)
    for role, text in shown.items():
        assert sample(text, "counterfoil_role", role=role) == 1
        assert sample(text, "counterfoil_store_up") == 1
        assert (sample(text, "counterfoil_pressure") is not None) == (role == "workers")
        assert (sample(text, "counterfoil_storefront_book_ready") is not None) == (role == "doors")
        assert sample(text, "counterfoil_poll_interval_seconds", system="web", feed="orders")
        assert sample(text, "process_resident_memory_bytes")


@pytest.fixture
async def sqlite_store(sqlite_template: Path) -> AsyncIterator[Store]:
    opened = Store(f"sqlite:///{sqlite_template}")
    yield opened
    await opened.close()
