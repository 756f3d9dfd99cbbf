"""Draining and replaying over the admin API: what is begun there, how far it is, and what is refused."""

from __future__ import annotations

import asyncio

import pytest
from tests.admin_stage import cheap_passwords, client_of, somebody, token_for
from tests.conftest import ON_SQLITE
from tests.fakes import ERP, FLOWS, SHOP, House, payload, rows_of, subject

from counterfoil.doors.admin.context import Admin
from counterfoil.hub import replays, schema
from counterfoil.hub.access.roles import Role
from counterfoil.hub.contract import Kind, Outcome, rejected
from counterfoil.hub.replay import Plan
from counterfoil.hub.store import Store
from counterfoil.hub.worker import streams_of


def desk_of(house: House) -> Admin:
    connectors = {SHOP: house.shop, ERP: house.erp}
    return Admin(house.store, house.blueprint, connectors, streams_of(connectors), asyncio.Event())


@ON_SQLITE
async def test_a_stream_is_drained_and_says_what_is_left_and_why(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_passwords(monkeypatch)
    house = House(store, FLOWS)
    house.erp.always[subject(1)] = rejected("unknown_sku", "No product.", "Make it.")
    await house.hear(payload(1))
    await somebody(store, "mara", [Role.OPERATOR])
    async with client_of(desk_of(house), await token_for(store, "mara")) as client:
        assert (await client.get("/flows/drains")).json() == []
        assert (await client.post("/flows/crm/drain", json={})).status_code == 404
        assert (await client.post("/flows/erp.accept_order/pause", json={"why": "stocktaking"})).status_code == 200
        begun = (await client.post("/flows/erp.accept_order/drain", json={})).json()
        assert (begun["total"], begun["left"], begun["done"], begun["state"]) == (1, 1, 0, "still")
        assert [w["words"] for w in begun["waiting"]] == ["1 held for a person: the exception is open"]
        assert (await client.post("/flows/erp.accept_order/drain", json={"resume": True})).status_code == 200
        assert (await client.get("/flows/drains")).json()[0]["who"] == "mara"
    acts = [r["act"] for r in await rows_of(store, schema.audit) if r["act"].startswith("flows")]
    assert acts == ["flows.pause", "flows.drain", "flows.resume", "flows.drain"]


@ON_SQLITE
async def test_a_replay_says_first_what_it_would_do_and_then_is_a_job(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap_passwords(monkeypatch)
    house = House(store, FLOWS)
    house.erp.plan(subject(2), Outcome(Kind.RETRY, "busy"))
    await house.hear(payload(1), payload(2))
    await somebody(store, "mara", [Role.OPERATOR])
    desk = desk_of(house)
    chosen = {"types": ["order.placed"], "subject": subject(1), "until": "2099-01-01T00:00:00Z"}
    async with client_of(desk, await token_for(store, "mara")) as client:
        dry = (await client.post("/replay", json=chosen)).json()
        assert (dry["deliveries"], dry["by_operation"], dry["job"]) == (1, {"erp.accept_order": 1}, None)
        assert (await client.get("/replays")).json() == []
        number = (await client.post("/replay", json={**chosen, "dry_run": False, "rate": 5})).json()["job"]
        (job,) = (await client.get("/replays")).json()
        assert (job["number"], job["state"], job["rate"], job["planned_deliveries"]) == (number, "running", 5, 1)
        assert job["choice"] == {**chosen, "until": "2099-01-01T00:00:00+00:00"}
        assert (await client.post(f"/replays/{number}/stop")).status_code == 204
        assert (await client.post(f"/replays/{number}/stop")).json()["detail"] == f"Replay {number} is stopped."
        same = (await replays.get(store, number)).choice
        newer = await replays.begin(store, same, Plan(), "tom", anew=True)
        refused = (await client.post(f"/replays/{number}/go-on")).json()["detail"]
        assert refused == f"Replay {number} is stopped. Replay {newer} is the same and runs."
        assert await replays.stop(store, newer, "tom")
        assert (await client.post(f"/replays/{number}/go-on")).status_code == 204
        for act in ("stop", "go-on"):
            assert (await client.post(f"/replays/99/{act}")).status_code == 404
        await replays.carry_out(store, desk.blueprint, desk.streams, number)
        _, job = (await client.get("/replays")).json()
        assert (job["state"], job["deliveries"]) == ("done", 1)
        assert (await client.post(f"/replays/{number}/go-on")).status_code == 409
    await house.work()
    assert house.erp.history.count(("accept_order", subject(1))) == 2
