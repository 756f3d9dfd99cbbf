"""Who is who, set right by hand: links move and come back, the past stays readable, what is under way stays right."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest
import sqlalchemy as sa
from tests.fakes import ERP, SHOP, House

from counterfoil.hub import identity, lanes, linking, records, timeline
from counterfoil.hub.identity import NotPossible
from counterfoil.hub.lanes import NewDelivery
from counterfoil.hub.schema import audit, link, merged, told_apart
from counterfoil.hub.store import Store
from counterfoil.hub.views import search
from counterfoil.retail.events import Event, at_utc, hashed_ref

STREAMS = {(ERP, "order")}
Link = tuple[str, str, str]


def customer(number: int | str, system: str = SHOP) -> str:
    return f"{system}:customer:{number}"


async def given(store: Store, *links: Link) -> None:
    async with store.write() as connection:
        for canonical, system, number in links:
            await records.keep_links(connection, store, system, {canonical: number})


async def standing(store: Store) -> list[Link]:
    async with store.read() as connection:
        return sorted(tuple(row)[:3] for row in await connection.execute(sa.select(link)))  # type: ignore[misc]


async def merge(store: Store, number: str, into: str, system: str = SHOP, write: bool = True) -> identity.Done:
    return await identity.merge(store, STREAMS, system, number, into, "pat", write)


async def changed(house: House, number: int, at: int) -> None:
    """The shop's customer has changed, and the ERP is to be told."""
    subject = customer(number)
    told = {"id": f"{number}-{at}", "type": "customer.changed", "source": SHOP, "subject": subject, "key": subject}
    refs = (("email", hashed_ref(f"c{number}@x.example")),)
    event = Event(**told, time=at_utc(at), correlation=subject, refs=refs, data={})
    queued = NewDelivery(ERP, "order", subject, "accept_order", subject, event_id=event.id)
    async with house.store.write() as connection:
        await records.keep_events(connection, house.store, [event])
        await lanes.enqueue(connection, house.store, [queued])


async def test_a_merge_moves_the_links_to_the_one_that_stays(store: Store) -> None:
    """case: F35"""
    await given(store, (customer(1), ERP, "501"), (customer(1), "crm", "a"), (customer(2), "crm", "b"))
    dry = await merge(store, "1", "2", write=False)
    assert len(dry.changes) == 2
    assert await standing(store) == [(customer(1), "crm", "a"), (customer(1), ERP, "501"), (customer(2), "crm", "b")]
    done = await merge(store, "1", "2")
    assert done == dry
    assert await standing(store) == [(customer(2), "crm", "b"), (customer(2), ERP, "501")]
    shown = await identity.show(store, SHOP, "1")
    assert (shown["merged_into"], shown["links"]) == (customer(2), [])
    assert (await identity.show(store, SHOP, "2"))["merged_from"] == [customer(1)]
    async with store.read() as connection:
        rows = await connection.execute(sa.select(audit.c.who, audit.c.act, audit.c.subject))
        assert [tuple(row) for row in rows] == [("pat", "identity.merged", customer(1))]


async def test_records_merged_elsewhere_keep_whoever_is_linked_with_them(store: Store) -> None:
    """case: F35: the ERP's 501 has become its 502."""
    await given(store, (customer(1), ERP, "501"), ("shop:variant:1", ERP, "501"))
    await merge(store, "501", "502", ERP)
    assert await standing(store) == [(customer(1), ERP, "502"), ("shop:variant:1", ERP, "501")]


async def test_two_customers_do_not_become_one_record_by_the_way(store: Store) -> None:
    """Which of the two it is then would be chance; the message says what to do first, and then it works."""
    await given(store, (customer(1), ERP, "501"), (customer(2), ERP, "502"))
    with pytest.raises(NotPossible, match=r"shop 1 and shop 2 would both be erp 502\. Merge these first"):
        await merge(store, "501", "502", ERP)
    await merge(store, "1", "2")
    await merge(store, "501", "502", ERP)
    assert await standing(store) == [(customer(2), ERP, "502")]


async def test_a_merge_is_made_once(store: Store) -> None:
    with pytest.raises(NotPossible, match="into itself"):
        await merge(store, "1", "1")
    await merge(store, "1", "2")
    with pytest.raises(NotPossible, match="shop 1 was merged into shop 2 already: nothing is left to do"):
        await merge(store, "1", "2")
    with pytest.raises(NotPossible, match="shop 1 was merged into shop 2 already: name shop 2, or split it first"):
        await merge(store, "3", "1")


async def test_what_happened_to_either_is_found_by_both(store: Store) -> None:
    house = House(store)
    await changed(house, 1, 10)
    await changed(house, 2, 11)
    await merge(store, "1", "2")
    both = [customer(1), customer(2)]
    for address in ("c1@x.example", "c2@x.example"):
        assert await search.exact(store, address, (SHOP, ERP)) == both
    assert (await timeline.of(store, customer(2)))["merged_with"] == [customer(1)]


async def test_what_is_under_way_for_who_was_merged_is_dropped_and_the_other_goes_on(store: Store) -> None:
    """Its data would be written over those of the one that stays; also what it tells afterwards."""
    house = House(store)
    await changed(house, 1, 10)
    await changed(house, 2, 11)
    await merge(store, "1", "2")
    await changed(house, 1, 12)
    await house.work()
    assert house.erp.made == [customer(2)]
    assert (await lanes.depth(store))["deliveries"] == 0
    dropped = [e["detail"]["result"] for e in (await timeline.of(store, customer(1)))["entries"] if "detail" in e]
    assert dropped == [{"dropped": "merged"}] * 2
    await identity.split(store, STREAMS, SHOP, "1", "pat")
    await changed(house, 1, 13)
    await house.work()
    assert house.erp.made == [customer(2), customer(1)]


@pytest.mark.parametrize("one", ["1", "2"])
async def test_who_is_being_written_at_this_moment_is_not_merged(store: Store, one: str) -> None:
    """The outcome of that call would bring the link back that was just moved."""
    house = House(store)
    reached, go = asyncio.Event(), asyncio.Event()
    house.erp.plan(customer(one), house.erp.waiting_for(go, reached))
    await changed(house, int(one), 10)
    async with house.working():
        await reached.wait()
        with pytest.raises(NotPossible, match=f"shop {one} is being written to erp at this moment"):
            await merge(store, "1", "2")
        go.set()
    assert await standing(store) == [(customer(one), ERP, f"id-{customer(one)}")]
    await merge(store, "1", "2")
    assert await standing(store) == [(customer(2), ERP, f"id-{customer(one)}")]


async def test_a_merge_leaves_no_empty_lanes(store: Store) -> None:
    await merge(store, "1", "2")
    assert (await lanes.depth(store))["lanes_waiting"] == 0


async def test_a_split_brings_back_what_nobody_has_changed_since(store: Store) -> None:
    await given(store, (customer(1), ERP, "501"), (customer(1), "crm", "a"), (customer(2), "crm", "b"))
    before = await standing(store)
    await merge(store, "1", "2")
    done = await identity.split(store, STREAMS, SHOP, "1", "pat")
    assert (await standing(store), done.left) == (before, [])
    await merge(store, "1", "2")
    await given(store, (customer(2), ERP, "777"))
    done = await identity.split(store, STREAMS, SHOP, "1", "pat")
    assert [str(change) for change in done.left] == ["shop:customer:2 is erp 501 -> shop:customer:1 is erp 501"]
    assert await standing(store) == [(customer(1), "crm", "a"), (customer(2), "crm", "b"), (customer(2), ERP, "777")]
    with pytest.raises(NotPossible, match="was merged into nothing"):
        await identity.split(store, STREAMS, SHOP, "1", "pat")
    await merge(store, "2", "3")
    await given(store, (customer(2), ERP, "900"), (customer(2), "crm", "z"))
    done = await identity.split(store, STREAMS, SHOP, "2", "pat")
    assert (len(done.changes), len(done.left)) == (0, 2), "it has other links by now"


async def test_a_wrong_link_is_parted_and_remembered(store: Store) -> None:
    await given(store, (customer(1), ERP, "501"))
    await identity.unlink(store, STREAMS, (ERP, "501"), (SHOP, "1"), "pat", write=False)
    assert len(await standing(store)) == 1
    await identity.unlink(store, STREAMS, (ERP, "501"), (SHOP, "1"), "pat")
    assert await standing(store) == []
    assert await linking.known_apart(store, SHOP, "customer", ERP) == [("1", "501")]
    with pytest.raises(NotPossible, match="shop 1 and erp 501 are not linked"):
        await identity.unlink(store, STREAMS, (SHOP, "1"), (ERP, "501"), "pat")


def dealt(dice: random.Random) -> Sequence[Link]:
    """Some customers of the shop with links, one number of each system at most once."""
    links: list[Link] = []
    for system in (ERP, "crm"):
        numbers = dice.sample("abcd", 4)
        links += [(customer(n), system, numbers[n]) for n in range(4) if dice.random() < 0.6]
    return links


@pytest.mark.parametrize("seed", range(8))
async def test_merges_taken_back_in_reverse_leave_everything_as_it_was(store: Store, seed: int) -> None:
    """And while they stand no record of a system belongs to two customers, and no link of who was merged is left."""
    dice = random.Random(seed)
    await given(store, *dealt(dice))
    before = await standing(store)
    done: list[tuple[str, str]] = []
    for _ in range(6):
        system = dice.choice((SHOP, ERP, "crm"))
        one, into = dice.sample([str(n) for n in range(4)] if system == SHOP else list("abcd"), 2)
        try:
            await merge(store, one, into, system)
        except NotPossible:
            continue
        done.append((system, one))
        links = await standing(store)
        assert len({(s, o) for _, s, o in links}) == len(links)
        assert not {customer(n, s) for s, n in done} & (
            {c for c, _, _ in links} | {customer(o, s) for _, s, o in links}
        )
    for system, one in reversed(done):
        assert (await identity.split(store, STREAMS, system, one, "pat")).left == []
    assert await standing(store) == before
    async with store.read() as connection:
        assert await connection.scalar(sa.select(sa.func.count()).select_from(merged)) == 0
        assert await connection.scalar(sa.select(sa.func.count()).select_from(told_apart)) == len(done) > 0
