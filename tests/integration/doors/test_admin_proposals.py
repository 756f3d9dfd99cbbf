"""A blueprint is proposed over the admin API: looked at first, kept with a reason, agreed to by a second person."""

from __future__ import annotations

import asyncio

import pytest
from tests.admin_stage import cheap_passwords, client_of, somebody, token_for
from tests.conftest import ON_SQLITE
from tests.fakes import CATALOGUE, FLOWS, blueprint, rows_of

from counterfoil.doors import assembly
from counterfoil.doors.admin.context import Admin
from counterfoil.hub import inforce, schema
from counterfoil.hub.access.roles import Role
from counterfoil.hub.store import Store

RULES = "approvals: {sections: [owners]}\n"
SYSTEMS = "systems:\n  shop: {connector: fake}\n  erp: {connector: fake}\n"
TEXT = f"counterfoil: 1\n{SYSTEMS}flows:\n{FLOWS}{RULES}"
WANTED = TEXT + "owners: {order: shop}\n"


@pytest.fixture
async def desk(store: Store, monkeypatch: pytest.MonkeyPatch) -> Admin:
    """A hub that runs with TEXT, and two people."""
    cheap_passwords(monkeypatch)
    monkeypatch.setattr(assembly, "catalogue", lambda: CATALOGUE)
    monkeypatch.setenv("SHOP_PASSWORD", "correcthorse")
    running = blueprint(FLOWS, RULES)
    await inforce.settle(store, running, CATALOGUE, "hub")
    await somebody(store, "anna", [Role.OPERATOR])
    await somebody(store, "bob", [Role.APPROVER])
    return Admin(store, running, {}, {}, asyncio.Event())


@ON_SQLITE
async def test_a_proposal_is_looked_at_first_and_waits_for_a_second_person(desk: Admin, store: Store) -> None:
    async with (
        client_of(desk, await token_for(store, "anna")) as anna,
        client_of(desk, await token_for(store, "bob")) as bob,
    ):
        looked = (await anna.post("/blueprint/changes", json={"text": WANTED, "dry_run": True})).json()
        assert (looked["change"], looked["needs"]) == (None, ["owners"])
        assert (looked["warnings"][0]["line"], looked["warnings"][0]["path"]) == (6, "flows[0].on")
        assert [(c["what"], c["how"], c["new"]) for c in looked["changes"]] == [("owners", "added", "order shop")]
        assert len((await anna.get("/blueprint/changes")).json()) == 1
        why = {"text": WANTED, "why": "the shop owns orders"}
        assert (await anna.post("/blueprint/changes", json={"text": WANTED, "why": " "})).status_code == 422
        assert (await bob.post("/blueprint/changes", json=why)).status_code == 403
        kept = (await anna.post("/blueprint/changes", json=why)).json()
        assert kept["changes"] == looked["changes"]
        assert (await anna.post("/blueprint/changes", json=why)).json()["change"] == kept["change"]
        assert (await bob.post(f"/blueprint/changes/{kept['change']}/approve")).status_code == 204
        same = (await anna.post("/blueprint/changes", json={"text": TEXT, "why": "again"})).json()
        assert (same["change"], same["changes"]) == (None, [])
    acts = [(r["who"], r["act"]) for r in await rows_of(store, schema.audit) if r["act"].startswith("blueprint")]
    assert acts[1:] == [("anna", "blueprint proposed"), ("bob", "blueprint approved")]
    (row, _) = await inforce.history(store)
    assert (row["proposed_by"], row["why"], row["approved_by"]) == ("anna", "the shop owns orders", "bob")


@ON_SQLITE
async def test_its_problems_come_with_their_lines_and_remedies_and_tell_no_secret(desk: Admin, store: Store) -> None:
    text = TEXT + "retentoin: {}\npublic_url: https://${SHOP_PASSWORD}.example\n"
    async with client_of(desk, await token_for(store, "anna")) as anna:
        answer = await anna.post("/blueprint/changes", json={"text": text, "dry_run": True})
        assert answer.status_code == 422
        (problem,) = answer.json()["problems"]
        assert (problem["line"], problem["hint"]) == (10, 'did you mean "retention"?')
        answer = await anna.post(
            "/blueprint/changes", json={"text": text.replace("retentoin", "retention"), "why": "x"}
        )
        (problem,) = answer.json()["problems"]
        assert (problem["line"], problem["path"]) == (11, "public_url")
        assert "correcthorse" not in answer.text
        assert (await anna.post("/blueprint/changes", json={"text": "", "why": "x"})).status_code == 422
    assert len(await inforce.history(store)) == 1
