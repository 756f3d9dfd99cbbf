"""One status, derived from one place: whatever happens in whatever order, no delivery is at once failed and pending."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import empty
from tests.fakes import ERP, FLOWS, SHOP, Fake, House, assert_one_status, at, failing, hasten, payload, rows_of, subject

from counterfoil.hub import exceptions, lanes, schema
from counterfoil.hub.contract import Kind, Outcome, rejected
from counterfoil.hub.exceptions import NotOpen
from counterfoil.hub.store import Store

EVERY_FLOW = (
    FLOWS
    + """\
  - {on: order.changed, do: erp.accept_order}
  - {on: order.refunded, do: erp.post_refund, on_exception: pass}
  - {on: order.accepted, do: shop.note_order, on_exception: pass}
  - {on: order.payment_lost, do: hub.ask}
"""
)

said = st.tuples(
    st.just("the shop says"),
    st.fixed_dictionaries(
        {
            "number": st.sampled_from([1, 2]),
            "status": st.sampled_from(["pending", "on_hold", "processing", "cancelled"]),
            "total": st.sampled_from(["12.00", "13.00"]),
            "refunds": st.sampled_from([[], ["5.00"]]),
        }
    ),
)
answers = st.sampled_from(
    [
        rejected("unknown_sku", "No.", "Make it."),
        Outcome(Kind.RETRY, "lost_race"),
        Outcome(Kind.DOWN, "unreachable"),
        Outcome(Kind.MISCONFIGURED, "bad_key"),
        Outcome(Kind.BUG, "broken"),
        failing(Kind.REJECTED, "bad_row"),
        failing(Kind.RETRY, "lost_race"),
        ValueError("bad row"),
    ]
)
planned = st.tuples(st.just("next answer"), st.tuples(st.sampled_from([1, 2]), answers))
pressed = st.tuples(st.just("a person"), st.sampled_from(["retried", "resolved", "skipped"]))
worked = st.tuples(st.just("the worker"), st.just("works"))
robbed = st.tuples(st.just("the leases"), st.just("run out"))
happenings = st.lists(st.one_of(said, planned, pressed, worked, worked, robbed), min_size=4, max_size=25)


async def work_a_little(house: House) -> None:
    """All that is due now is carried out."""
    await hasten(house.store)
    worker = house.worker()
    for _ in range(8):
        await worker.dispatch()
        while worker._running:
            await house.store.wait(0.01)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(happenings)
async def test_no_delivery_is_at_once_failed_and_pending(store: Store, happenings: list[tuple[str, Any]]) -> None:
    """After each happening every table tells the same; in the end everything can be brought to an end. case: F13"""
    await empty(store)
    house = House(store, EVERY_FLOW, shop=Fake(SHOP, batch=3), erp=Fake(ERP, batch=3))
    for second, (what, how) in enumerate(happenings):
        if what == "the shop says":
            await house.receive(payload(modified=at(second), **how))
        elif what == "next answer":
            number, answer = how
            house.erp.plan(subject(number), answer)
        elif what == "a person":
            for told in await house.exceptions():
                with contextlib.suppress(NotOpen):
                    await exceptions.act(store, told["id"], how, "ada")
        elif what == "the leases":
            await lanes.reclaim(store, everyone=True)
        else:
            await work_a_little(house)
        await assert_one_status(store)

    house.erp.plans.clear()
    for _ in range(6):
        await work_a_little(house)
        for told in await house.exceptions():
            act = "skipped" if told["system"] == "hub" else "retried"
            await exceptions.act(store, told["id"], act, "ada")
    await assert_one_status(store)
    assert await rows_of(store, schema.delivery) == []
    assert len(house.erp.made) == len(set(house.erp.made))
