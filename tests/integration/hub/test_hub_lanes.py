"""Lanes: a key never overtakes itself, keys run beside each other, and only who holds the lease may acknowledge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import empty
from tests.fakes import ERP, House, assert_one_status, at, payload, rows_of, subject

from counterfoil.hub import claiming, lanes, schema
from counterfoil.hub.claiming import Work
from counterfoil.hub.lanes import Fenced, NewDelivery, Settled
from counterfoil.hub.store import Store


def delivery(key: str, operation: str = "accept_order", stream: str = "order", **more: Any) -> NewDelivery:
    """A delivery to the ERP about the event `e1`."""
    return NewDelivery(ERP, stream, key, operation, key, event_id="e1", **more)


async def queue(store: Store, *new: NewDelivery) -> None:
    """Queue deliveries of one event that is there."""
    async with store.write() as connection:
        row = dict.fromkeys(("type", "source", "subject", "key", "correlation"), "x")
        known = store.insert(schema.event).values(id="e1", time=0, recorded_at=0, data={}, **row)
        await connection.execute(known.on_conflict_do_nothing())
        await lanes.enqueue(connection, store, new)


async def claim(store: Store, worker: str = "ada", most: int = 10, lease: float = 60.0, depth: int = 1) -> list[Work]:
    """Claim the ERP's order lanes."""
    return await claiming.claim(store, worker, ERP, "order", most, lease, depth)


async def settle(store: Store, *settled: Settled, new: Sequence[NewDelivery] = ()) -> None:
    """Acknowledge in a transaction of its own."""
    async with store.write() as connection:
        await lanes.settle(connection, store, settled, new)


def finished(work: Work) -> Settled:
    """It is done and leaves its lane."""
    return Settled(work.lane, work.token, finished=(work.id,))


async def let_leases_end(store: Store) -> None:
    """All leases ran out a second ago."""
    async with store.write() as connection:
        await connection.execute(sa.update(schema.lane).values(lease_until=store.now - 1))


# --- order ------------------------------------------------------------------------------------------------------


async def test_a_key_is_claimed_by_one_worker_at_a_time(store: Store) -> None:
    await queue(store, delivery("a"), delivery("b"))
    (first,) = await claim(store, "ada", most=1)
    (second,) = await claim(store, "bob")
    assert {first.subject, second.subject} == {"a", "b"}
    assert await claim(store, "eve") == []


async def test_a_cancellation_waits_for_its_order(store: Store) -> None:
    """While one worker makes the order, no other gets at its cancellation; then it is next."""
    await queue(store, delivery("a", "accept_order"), delivery("a", "cancel_order"))
    (order,) = await claim(store, "ada")
    assert await claim(store, "bob") == []
    await settle(store, finished(order))
    (cancellation,) = await claim(store, "bob")
    assert (order.operation, cancellation.operation) == ("accept_order", "cancel_order")


async def test_what_failed_stays_the_head_of_its_lane(store: Store) -> None:
    await queue(store, delivery("a", "accept_order"), delivery("a", "cancel_order"))
    (order,) = await claim(store)
    await settle(store, Settled(order.lane, order.token, attempted=order.id))
    (again,) = await claim(store)
    assert (again.id, again.attempt) == (order.id, 2)


async def test_streams_of_one_key_do_not_wait_for_each_other(store: Store) -> None:
    await queue(store, delivery("a", stream="order"), delivery("a", stream="money"))
    assert len(await claim(store)) == 1
    assert len(await claiming.claim(store, "ada", ERP, "money", 10, 60.0)) == 1


async def test_a_deep_claim_takes_the_first_of_each_lane_in_order(store: Store) -> None:
    await queue(store, *[delivery(key, f"op{n}") for n in range(4) for key in "ab"])
    works = await claim(store, depth=3)
    by_key: dict[str, list[str]] = defaultdict(list)
    for work in works:
        by_key[work.subject].append(work.operation)
    assert by_key == {"a": ["op0", "op1", "op2"], "b": ["op0", "op1", "op2"]}


async def test_the_lane_that_waited_longest_comes_first(store: Store) -> None:
    for key in "cab":
        await queue(store, delivery(key))
    async with store.write() as connection:
        for age, key in enumerate("abc"):
            await connection.execute(sa.update(schema.lane).filter_by(key=key).values(due_at=age))
    assert [w.subject for w in await claim(store, most=1)] == ["a"]
    assert [w.subject for w in await claim(store, most=1)] == ["b"]


async def test_a_lane_that_waits_is_not_claimed_before_its_time(store: Store) -> None:
    await queue(store, delivery("a"))
    (work,) = await claim(store)
    await settle(store, Settled(work.lane, work.token, attempted=work.id, delay=60))
    assert await claim(store) == []
    wait = await lanes.next_due(store)
    assert wait is not None
    assert 55 < wait <= 60


async def test_something_new_does_not_shorten_the_wait_of_its_lane(store: Store) -> None:
    """The order is being retried in a minute; its cancellation arrives: it does not go first, nor hurry the order."""
    await queue(store, delivery("a"))
    (work,) = await claim(store)
    await settle(store, Settled(work.lane, work.token, attempted=work.id, delay=60))
    await queue(store, delivery("a", "cancel_order"))
    assert await claim(store) == []


# --- leases -----------------------------------------------------------------------------------------------------


async def test_a_lease_that_ran_out_is_taken_up_again_without_anyones_help(store: Store) -> None:
    """case: F11"""
    await queue(store, delivery("a"))
    await claim(store, "ada", lease=-1)
    assert await claim(store, "bob") == []
    assert await lanes.reclaim(store) == 1
    assert [w.subject for w in await claim(store, "bob")] == ["a"]


async def test_a_lease_that_runs_is_left_alone(store: Store) -> None:
    await queue(store, delivery("a"))
    await claim(store, "ada", lease=60)
    assert await lanes.reclaim(store) == 0
    assert await claim(store, "bob") == []


async def test_a_heartbeat_renews_the_leases_in_flight_and_no_others(store: Store) -> None:
    await queue(store, delivery("a"), delivery("b"))
    a, b = sorted(await claim(store, "ada", lease=-1), key=lambda w: w.subject)
    await lanes.heartbeat(store, {a.lane: a.token}, 60)
    assert await lanes.reclaim(store) == 1
    assert [w.subject for w in await claim(store, "bob")] == [b.subject]


async def test_a_heartbeat_that_comes_too_late_does_not_touch_the_lease_of_another(store: Store) -> None:
    await queue(store, delivery("a"))
    (mine,) = await claim(store, "ada", lease=-1)
    await lanes.reclaim(store)
    await claim(store, "bob", lease=-1)
    await lanes.heartbeat(store, {mine.lane: mine.token}, 60)
    assert await lanes.reclaim(store) == 1


async def test_who_serves_alone_frees_what_the_process_before_held(store: Store) -> None:
    """On SQLite a restart need not wait for the leases of the process that was killed. case: F11"""
    await queue(store, delivery("a"))
    await claim(store, "the one before", lease=60)
    assert await lanes.reclaim(store, everyone=True) == 1
    assert len(await claim(store)) == 1


async def test_lanes_given_back_are_free_at_once(store: Store) -> None:
    await queue(store, delivery("a"), delivery("b"))
    works = await claim(store, "ada")
    await lanes.release(store, {w.lane: w.token for w in works})
    assert len(await claim(store, "bob")) == 2


async def test_giving_back_what_one_lost_takes_nothing_from_the_other(store: Store) -> None:
    await queue(store, delivery("a"))
    (mine,) = await claim(store, "ada", lease=-1)
    await lanes.reclaim(store)
    await claim(store, "bob")
    await lanes.release(store, {mine.lane: mine.token})
    assert await claim(store, "eve") == []


# --- fencing ------------------------------------------------------------------------------------------------------


async def snapshot(store: Store) -> list[Any]:
    """All that an acknowledgement could change."""
    return [await rows_of(store, t) for t in (schema.lane, schema.delivery, schema.delivery_log, schema.exception)]


async def stale_claim(store: Store) -> Work:
    """A claim whose lease ran out and was taken up by bob."""
    (mine,) = await claim(store, "ada", lease=-1)
    await lanes.reclaim(store)
    return mine


async def test_a_stale_acknowledgement_changes_nothing(store: Store) -> None:
    await queue(store, delivery("a"), delivery("a", "cancel_order"))
    mine = await stale_claim(store)
    await claim(store, "bob")
    before = await snapshot(store)
    with pytest.raises(Fenced) as fenced:
        await settle(store, finished(mine), new=[delivery("z")])
    assert fenced.value.lanes == {mine.lane}
    assert await snapshot(store) == before


async def test_a_lane_that_came_free_does_not_take_a_stale_acknowledgement_either(store: Store) -> None:
    """Nobody has it now, but it was not us who gave it back."""
    await queue(store, delivery("a"))
    mine = await stale_claim(store)
    before = await snapshot(store)
    with pytest.raises(Fenced):
        await settle(store, finished(mine))
    assert await snapshot(store) == before


async def test_a_stale_acknowledgement_of_a_lane_that_is_gone_makes_no_new_one(store: Store) -> None:
    await queue(store, delivery("a"))
    mine = await stale_claim(store)
    (theirs,) = await claim(store, "bob")
    await settle(store, finished(theirs))
    with pytest.raises(Fenced):
        await settle(store, finished(mine))
    assert await rows_of(store, schema.lane) == []


@pytest.mark.parametrize("taken", [False, True], ids=["free", "claimed"])
async def test_a_stale_acknowledgement_does_not_reach_a_lane_made_anew(store: Store, taken: bool) -> None:
    """The same key, a new delivery: an old token must not finish it."""
    await queue(store, delivery("a"))
    mine = await stale_claim(store)
    (theirs,) = await claim(store, "bob")
    await settle(store, finished(theirs))
    await queue(store, delivery("a", "cancel_order"))
    if taken:
        await claim(store, "eve")
    before = await snapshot(store)
    with pytest.raises(Fenced):
        await settle(store, finished(mine))
    assert await snapshot(store) == before


async def test_no_number_of_a_delivery_is_used_twice(store: Store) -> None:
    """A stale acknowledgement by number could otherwise hit a stranger."""
    await queue(store, delivery("a"))
    (first,) = await claim(store)
    await settle(store, finished(first))
    await queue(store, delivery("a"))
    (second,) = await claim(store)
    assert second.id != first.id


# --- the working tables stay small ------------------------------------------------------------------------------


async def test_what_is_finished_leaves_the_working_tables(store: Store) -> None:
    house = House(store)
    await house.hear(*[payload(n) for n in range(20)])
    await house.hear(*[payload(n, modified=at(1), status="cancelled") for n in range(20)])
    assert await rows_of(store, schema.delivery) == []
    assert await rows_of(store, schema.lane) == []
    assert len(await rows_of(store, schema.delivery_log)) == 80


async def test_the_depth_tells_what_waits_what_is_held_and_what_is_claimed(store: Store) -> None:
    await queue(store, delivery("a"), delivery("b"), delivery("b"), delivery("c"), delivery("c"), delivery("c"))
    a, b, _ = sorted(await claim(store), key=lambda w: w.subject)
    await settle(store, Settled(b.lane, b.token, held=True), finished(a))
    assert await lanes.depth(store) == {
        "deliveries": 5,
        "held": 2,
        "for_later": 0,
        "lanes_waiting": 1,
        "lanes_claimed": 1,
    }


async def test_an_empty_store_has_no_depth_and_nothing_due(store: Store) -> None:
    assert set((await lanes.depth(store)).values()) == {0}
    assert await lanes.next_due(store) is None


# --- whatever workers do ----------------------------------------------------------------------------------------

acts = st.lists(
    st.one_of(
        st.tuples(st.just("queue"), st.sampled_from("ab")),
        st.tuples(st.just("claim"), st.sampled_from(["ada", "bob"])),
        st.tuples(st.just("finish"), st.sampled_from(["ada", "bob"])),
        st.tuples(st.just("fail"), st.sampled_from(["ada", "bob"])),
        st.tuples(st.just("leases end"), st.just("")),
    ),
    max_size=30,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(acts)
async def test_every_key_is_finished_in_order_and_each_delivery_once(store: Store, acts: list[tuple[str, str]]) -> None:
    """Two workers claim, finish, fail, and lose their leases in any order: what counts is one clean line a key."""
    await empty(store)
    queued: dict[str, int] = defaultdict(int)
    done: dict[str, list[int]] = defaultdict(list)
    hands: dict[str, list[Work]] = defaultdict(list)
    for act, who in acts:
        if act == "queue":
            await queue(store, delivery(who, str(queued[who])))
            queued[who] += 1
        elif act == "claim":
            hands[who] += await claim(store, who, most=1)
        elif act == "leases end":
            await let_leases_end(store)
            await lanes.reclaim(store)
        elif hands[who]:
            work = hands[who].pop()
            try:
                if act == "finish":
                    await settle(store, finished(work))
                    done[work.subject].append(int(work.operation))
                else:
                    await settle(store, Settled(work.lane, work.token, attempted=work.id))
            except Fenced:
                pass
        await assert_one_status(store)
    await let_leases_end(store)
    await lanes.reclaim(store)
    while works := await claim(store):
        for work in works:
            done[work.subject].append(int(work.operation))
        await settle(store, *map(finished, works))
    assert done == {key: list(range(n)) for key, n in queued.items()}


async def test_the_newest_known_state_rides_along_with_an_old_event(store: Store) -> None:
    """A delivery that waited sees what the shop says by now."""
    house = House(store)
    house.erp.answer = RuntimeError("not now")
    await house.receive(payload(1), payload(1, modified=at(1), total="13.00"))
    worker = house.worker()
    await worker.dispatch()
    for _ in range(200):
        if len(await rows_of(store, schema.event)) == 2:
            break
        await store.wait(0.02)
    (work,) = await claim(store)
    assert (work.subject, work.data["order"]["total"]) == (subject(1), "12.00 EUR")
    assert work.data["state"]["total"] == "13.00 EUR"
