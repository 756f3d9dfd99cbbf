"""The blueprint in force is kept with who, when and why; some changes only with a second person's approval."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa
from tests.fakes import CATALOGUE, FLOWS, blueprint

from counterfoil.blueprint import Blueprint
from counterfoil.hub import inforce
from counterfoil.hub.inforce import NoSuchChange, NotApproved
from counterfoil.hub.schema import audit, blueprint_change
from counterfoil.hub.store import Store

RULES = "approvals: {sections: [owners, taxes], by: [anna, bob]}\n"


def plan(order: str = "shop", tax: int = 1, rules: str = RULES, more: str = "") -> Blueprint:
    """A blueprint with an owner and a tax."""
    return blueprint(FLOWS, f"owners: {{order: {order}}}\ntaxes: [{{rate: 20, odoo: {tax}}}]\n{rules}{more}")


async def start(store: Store, what: Blueprint, who: str = "hub") -> None:
    await inforce.settle(store, what, CATALOGUE, who)


async def rows(store: Store) -> list[dict[str, Any]]:
    """Oldest first."""
    return list(reversed(await inforce.history(store)))


async def test_what_starts_first_is_in_force_and_a_restart_writes_nothing(store: Store) -> None:
    for _ in range(3):
        await start(store, plan())
    (row,) = await rows(store)
    assert row["in_force_at"] is not None
    assert (row["proposed_by"], row["approved_by"]) == ("hub", None)
    assert "owners" in row["sections"]
    assert "erp.accept_order" in row["text"]


async def test_several_processes_that_start_at_once_keep_one_row(
    store: Store, another_store: Callable[[], Awaitable[Store]]
) -> None:
    stores = [store, *[await another_store() for _ in range(5)]]
    await asyncio.gather(*(start(each, plan()) for each in stores))
    assert len(await rows(store)) == 1
    await asyncio.gather(*(start(each, plan(more="orders: {pending: quotation}\n")) for each in stores))
    assert [row["sections"] for row in await rows(store)][1:] == [["orders"]]


async def test_where_a_process_listens_is_no_change(store: Store) -> None:
    await start(store, plan())
    await start(store, plan(more="listen: 0.0.0.0:80\n"))
    assert len(await rows(store)) == 1


async def test_a_change_that_nobody_has_to_approve_goes_into_force(store: Store) -> None:
    await start(store, plan())
    await start(store, plan(more="retention: {bodies: 7d}\n"), "carla")
    assert [(row["sections"], row["proposed_by"]) for row in await rows(store)][1:] == [(["retention"], "carla")]


async def test_a_change_that_needs_approval_is_refused_with_the_remedy(store: Store) -> None:
    """Nothing of it is kept, so that the next start with the old blueprint is no change."""
    await start(store, plan())
    with pytest.raises(NotApproved) as refused:
        await start(store, plan(order="erp"))
    assert "changed  owners.order: shop → erp" in str(refused.value)
    assert "counterfoil blueprint propose" in str(refused.value)
    assert "one of anna, bob" in str(refused.value)
    assert len(await rows(store)) == 1
    await start(store, plan())


async def test_proposed_approved_and_started_it_is_in_force_once(store: Store) -> None:
    await start(store, plan())
    proposal = await inforce.propose(store, plan(order="erp"), CATALOGUE, "anna", "the ERP leads now")
    assert proposal.needing == ("owners",)
    with pytest.raises(NotApproved, match=f"approve {proposal.number}"):
        await start(store, plan(order="erp"))
    await inforce.approve(store, proposal.number, "bob", CATALOGUE)
    await start(store, plan(order="erp"))
    await start(store, plan(order="erp"))
    row = (await rows(store))[1]
    assert (row["proposed_by"], row["why"], row["approved_by"]) == ("anna", "the ERP leads now", "bob")
    assert row["proposed_at"] <= row["approved_at"] <= row["in_force_at"]
    assert len(await rows(store)) == 2
    assert "order: erp" in await inforce.text_of(store, None)
    async with store.read() as connection:
        noted = (
            await connection.execute(sa.select(audit.c.who, audit.c.act, audit.c.subject).order_by(audit.c.id))
        ).all()
    about = f"blueprint:{proposal.number}"
    assert [tuple(row) for row in noted][1:] == [
        ("anna", "blueprint proposed", about),
        ("bob", "blueprint approved", about),
        ("hub", "blueprint in force", about),
    ]


@pytest.mark.parametrize("who", ["anna", "ANNA ", "carla", " "])
async def test_who_may_not_approve_does_not(store: Store, who: str) -> None:
    """Who proposed it, however written, and whom the rules do not name."""
    await start(store, plan())
    proposal = await inforce.propose(store, plan(tax=2), CATALOGUE, "anna", "x")
    with pytest.raises(NotApproved):
        await inforce.approve(store, proposal.number, who, CATALOGUE)
    with pytest.raises(NotApproved):
        await start(store, plan(tax=2))


async def test_where_nobody_is_named_anyone_else_may(store: Store) -> None:
    rules = "approvals: {sections: [taxes]}\n"
    await start(store, plan(rules=rules))
    proposal = await inforce.propose(store, plan(tax=2, rules=rules), CATALOGUE, "anna", "x")
    with pytest.raises(NotApproved, match="somebody else"):
        await inforce.approve(store, proposal.number, "ANNA ", CATALOGUE)
    await inforce.approve(store, proposal.number, "somebody", CATALOGUE)
    await start(store, plan(tax=2, rules=rules))


async def test_the_rules_in_force_decide_not_those_of_the_change(store: Store) -> None:
    """Who wants to change alone cannot take the rule out first, nor name a friend."""
    await start(store, plan())
    for alone in (plan(rules=""), plan(rules="approvals: {sections: [owners], by: [anna, carla]}\n")):
        with pytest.raises(NotApproved, match="approvals"):
            await start(store, alone)
    proposal = await inforce.propose(store, plan(rules=""), CATALOGUE, "anna", "x")
    with pytest.raises(NotApproved, match="not among"):
        await inforce.approve(store, proposal.number, "carla", CATALOGUE)


async def test_another_change_than_the_approved_one_is_refused(store: Store) -> None:
    await start(store, plan())
    proposal = await inforce.propose(store, plan(tax=2), CATALOGUE, "anna", "x")
    await inforce.approve(store, proposal.number, "bob", CATALOGUE)
    with pytest.raises(NotApproved):
        await start(store, plan(tax=3))
    with pytest.raises(NotApproved):
        await start(store, plan(tax=2, order="erp"))


async def test_what_needs_no_approval_may_differ_from_the_approved_proposal(store: Store) -> None:
    """It is kept as it started, with who proposed and who approved."""
    await start(store, plan())
    proposal = await inforce.propose(store, plan(tax=2), CATALOGUE, "anna", "new rate")
    await inforce.approve(store, proposal.number, "bob", CATALOGUE)
    await start(store, plan(tax=2, more="retention: {bodies: 7d}\n"))
    last = (await rows(store))[-1]
    assert (last["sections"], last["approved_by"], last["why"]) == (["taxes", "retention"], "bob", "new rate")
    assert "bodies: 7d" in await inforce.text_of(store, None)
    await start(store, plan(tax=2, more="retention: {bodies: 7d}\n"))
    assert len(await rows(store)) == 3


async def test_an_approval_is_used_once(store: Store) -> None:
    """After the taxes were changed again, an older approval does not bring back what was."""
    await start(store, plan())
    for tax in (2, 3):
        proposal = await inforce.propose(store, plan(tax=tax), CATALOGUE, "anna", "x")
        await inforce.approve(store, proposal.number, "bob", CATALOGUE)
    await start(store, plan(tax=3))
    with pytest.raises(NotApproved):
        await start(store, plan(tax=2))


async def test_a_proposal_is_kept_once_and_one_without_a_change_not_at_all(store: Store) -> None:
    await start(store, plan())
    first, again = [await inforce.propose(store, plan(tax=2), CATALOGUE, "anna", "x") for _ in range(2)]
    assert first.number == again.number
    assert (await inforce.propose(store, plan(), CATALOGUE, "anna", "x")).number == 0
    assert len(await rows(store)) == 2


async def test_what_cannot_be_approved_says_why(store: Store) -> None:
    await start(store, plan())
    with pytest.raises(NoSuchChange, match="history"):
        await inforce.approve(store, 10**9, "bob", CATALOGUE)
    with pytest.raises(NoSuchChange, match="in force"):
        await inforce.approve(store, (await rows(store))[0]["id"], "bob", CATALOGUE)
    proposal = await inforce.propose(store, plan(tax=2), CATALOGUE, "anna", "x")
    await inforce.approve(store, proposal.number, "bob", CATALOGUE)
    with pytest.raises(NoSuchChange, match="approved by bob already"):
        await inforce.approve(store, proposal.number, "bob", CATALOGUE)


async def test_defaults_that_a_new_version_brings_are_no_change(store: Store) -> None:
    """What an older version kept has no such key; the same file starts without a word, and without a second person."""
    await start(store, plan())
    async with store.write() as connection:
        text = (await connection.execute(sa.select(blueprint_change.c.text))).scalar_one()
        older = text[: text.index("pressure:")] + text[text.index("approvals:") :]
        await connection.execute(sa.update(blueprint_change).values(text=older, digest="of an older version"))
    await start(store, plan())
    assert len(await rows(store)) == 1


async def test_a_text_that_this_version_cannot_read_is_compared_as_it_stands(store: Store) -> None:
    await start(store, plan())
    async with store.write() as connection:
        text = (await connection.execute(sa.select(blueprint_change.c.text))).scalar_one()
        await connection.execute(
            sa.update(blueprint_change).values(text=text + "gone: {a: 1}\n", digest="of an older version")
        )
    await start(store, plan())
    assert [row["sections"] for row in await rows(store)][1:] == [["gone"]]
