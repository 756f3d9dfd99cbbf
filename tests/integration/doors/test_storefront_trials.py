"""Trials at home by the storefront: how one stands, and deciding."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from tests.conftest import ON_SQLITE
from tests.integration.hub.test_trials_hub import OF, PLAN, on_trial
from tests.storefront_stage import ROOT, Stage, storefront

from counterfoil.hub.schema import system_state
from counterfoil.hub.store import Store

pytestmark = ON_SQLITE

WHO = {"number": OF.number, "email": OF.customer.email}


@pytest.fixture
async def stage(store: Store) -> AsyncIterator[Stage]:
    """Five shirts are out on trial."""
    async with storefront(store, PLAN.replace("WHEN_OVER", "ask")) as stage:
        await on_trial(store, stage.context.blueprint)
        yield stage


async def post(stage: Stage, path: str, **body: Any) -> httpx.Response:
    headers = {"Idempotency-Key": body.pop("key", "key-00001")}
    return await stage.client.post(f"{ROOT}/trials/{path}", json={**WHO, **body}, headers=headers)


async def test_a_trial_is_decided_in_parts_and_says_how_it_stands(stage: Stage) -> None:
    before = (await post(stage, "status")).json()
    assert before["lines"] == [
        {"line": "100", "sku": "SHIRT", "name": "Article SHIRT", "out": "5", "kept": "0", "returning": "0"}
        | {"returned": "0", "undecided": "5"}
    ]
    assert (before["state"], before["to_charge"]["amount"], before["stale"]) == ("open", "0.00", True)
    first = await post(stage, "decide", keep={"100": "2"})
    assert (first.status_code, first.json()["lines"][0]["kept"], first.json()["charged"]) == (200, "2", False)
    assert (await post(stage, "decide", keep={"100": "2"})).json() == first.json(), "the same again is the same"
    taken = await post(stage, "decide", keep={"100": "3"})
    assert (taken.status_code, taken.json()["type"].rpartition("/")[2]) == (409, "other_request")
    much = await post(stage, "decide", keep={"100": "2"}, send_back={"100": "2"}, key="key-00002")
    assert (much.status_code, much.json()["undecided"]) == (409, {"100": "3"})
    last = (await post(stage, "decide", send_back={"100": "3"}, key="key-00002")).json()
    assert (last["state"], last["to_charge"], last["charged"]) == (
        "settled",
        {"amount": "24.00", "currency": "EUR"},
        True,
    )
    over = await post(stage, "decide", keep={"100": "1"}, key="key-00003")
    assert (over.status_code, over.json()["type"].rpartition("/")[2]) == (409, "trial_over")


async def test_with_the_erp_gone_a_decision_is_taken_and_said_so(stage: Stage) -> None:
    row = {"system": "odoo", "failures": 3, "open_until": 9e12, "outcome": "down", "reason": "x", "message": "x"}
    async with stage.store.write() as connection:
        await connection.execute(sa.insert(system_state).values(**row, since=0.0))
    decided = await post(stage, "decide", send_back={"100": "1"})
    assert (decided.status_code, decided.json()["erp_reachable"]) == (200, False)


async def test_who_may_not_and_what_is_no_trial(stage: Stage) -> None:
    assert (await post(stage, "status", email="eve@shop.example")).status_code == 404
    async with stage.store.write() as connection:
        await connection.execute(sa.text("DELETE FROM trial"))
    answer = await post(stage, "status")
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (404, "no_trial")
    stage.client.headers["Authorization"] = await stage.token("returns")
    assert (await post(stage, "status")).status_code == 403
