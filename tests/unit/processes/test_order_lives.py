"""Whatever a shop says, in whatever order: what the order table promises of any life of an order."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import at, order

from counterfoil.blueprint import OrderChoices
from counterfoil.hub.receipts import IMPORT
from counterfoil.processes.orders import CANCELLED, NOT_WANTED, PLACED, WAITING, judge, level
from counterfoil.retail.events import EVENT_TYPES, Event
from counterfoil.retail.order import Order, Status

states = st.fixed_dictionaries(
    {
        "status": st.sampled_from(Status),
        "total": st.sampled_from(["12.00", "13.00", "0.00"]),
        "modified": st.integers(0, 2).map(at),
        "paid": st.sampled_from([None, "2026-11-02T09:30:00+00:00"]),
        "refunds": st.sampled_from([[], ["5.00"], ["5.00", "7.00"], ["12.00"]]),
        "street": st.sampled_from(["1 rue Haute", "2 rue Basse"]),
        "erp_number": st.sampled_from(["", "S00042"]),
    }
).map(lambda state: order(**state))

choices = st.builds(
    OrderChoices,
    pending=st.sampled_from(["wait", "quotation"]),
    on_hold=st.sampled_from(["wait", "quotation", "accept"]),
    processing=st.sampled_from(["accept", "quotation"]),
    completed=st.sampled_from(["accept", "not_wanted"]),
)
cut_overs = st.sampled_from([None, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)])
lives = st.lists(states, min_size=1, max_size=8)


def live(told: list[Order], by: OrderChoices, cut_over: datetime | None = None) -> list[tuple[str, tuple[Event, ...]]]:
    """The stage after each telling, and the events it gave rise to."""
    before, stage, course = None, "", []
    for now in told:
        decision = judge(before, stage, now, by, cut_over)
        before, stage = now, decision.stage
        course.append((decision.stage, decision.events))
    return course


@given(lives, choices, cut_overs)
def test_it_never_raises_and_only_says_what_the_language_knows(
    told: list[Order], by: OrderChoices, cut_over: datetime | None
) -> None:
    for stage, events in live(told, by, cut_over):
        assert stage in (WAITING, PLACED, NOT_WANTED, CANCELLED)
        assert {e.type for e in events} <= EVENT_TYPES.keys()


@given(lives, choices)
def test_no_order_is_placed_twice_without_a_cancellation_between(told: list[Order], by: OrderChoices) -> None:
    """And none is cancelled that was not placed. case: F03"""
    course = live(told, by)
    turns = [e.type for _, events in course for e in events if e.type in ("order.placed", "order.cancelled")]
    assert turns[:1] in ([], ["order.placed"])
    assert all(one != other for one, other in pairwise(turns))


@given(lives, choices)
def test_the_stage_follows_from_the_events(told: list[Order], by: OrderChoices) -> None:
    """What is told to others and what is remembered agree. case: F13"""
    names = {"order.placed": PLACED, "order.cancelled": CANCELLED, "order.waiting": WAITING}
    names["order.not_wanted"] = NOT_WANTED
    said = ""
    for stage, events in live(told, by):
        for event in events:
            said = names.get(event.type, said)
        assert stage == said


@given(lives, choices)
def test_telling_the_same_again_says_nothing(told: list[Order], by: OrderChoices) -> None:
    stage, _ = live(told, by)[-1]
    assert judge(told[-1], stage, told[-1], by, None).events == ()


@given(lives, choices)
def test_money_only_moves_on_orders_that_were_placed(told: list[Order], by: OrderChoices) -> None:
    was_placed = False
    for _, events in live(told, by):
        for event in events:
            was_placed |= event.type == "order.placed"
            assert was_placed or event.type not in ("order.paid", "order.refunded", "order.payment_lost")


@given(lives, choices)
def test_every_refund_of_a_paid_order_is_told(told: list[Order], by: OrderChoices) -> None:
    """However payloads were coalesced, and also after a cancellation. case: F31"""
    known: frozenset[str] = frozenset()
    for now, (stage, events) in zip(told, live(told, by), strict=True):
        for event in events:
            if event.type == "order.refunded":
                known |= {r["id"] for r in event.data["order"]["refunds"]}
        if stage in (PLACED, CANCELLED) and now.paid_at:
            assert {r.id for r in now.refunds} <= known


@given(lives, choices)
def test_nothing_is_given_back_that_was_never_paid(told: list[Order], by: OrderChoices) -> None:
    """case: F29"""
    for now, (_, events) in zip(told, live(told, by), strict=True):
        if now.paid_at is None and now.status in (Status.PENDING, Status.FAILED, Status.ON_HOLD):
            assert "order.refunded" not in [e.type for e in events]


@given(lives, choices)
def test_history_tells_of_nothing_but_refunds(told: list[Order], by: OrderChoices) -> None:
    """Once imported, whatever happens to it in the shop."""
    cut_over = datetime(2027, 1, 1, tzinfo=UTC)
    before, stage, types = None, "", []
    for number, now in enumerate(told):
        decision = judge(before, stage, now, by, cut_over, IMPORT if number == 0 else "webhook")
        before, stage = now, decision.stage
        types += [e.type for e in decision.events]
    assert types[:1] in ([], ["order.history"], ["order.not_wanted"])
    assert set(types[1:]) <= {"order.refunded"}
    assert types.count("order.history") <= 1


@given(lives, choices)
def test_the_erp_is_told_to_go_as_far_as_the_shop_is(told: list[Order], by: OrderChoices) -> None:
    """Whatever came between: an order to be shipped was told to be confirmed. Taking back is a person's affair."""
    confirmed = False
    for now, (stage, events) in zip(told, live(told, by), strict=True):
        for event in events:
            if event.type in ("order.placed", "order.cancelled"):
                confirmed = False
            if event.type in ("order.placed", "order.paid"):
                confirmed |= event.data["level"] == "accept"
        if stage == PLACED and level(now, by) == "accept" and not now.is_refunded_in_full:
            assert confirmed


@given(lives, choices)
def test_different_facts_have_different_ids(told: list[Order], by: OrderChoices) -> None:
    """Also within one second of the shop's clock. case: F09"""
    seen: dict[str, tuple[str, Order]] = {}
    for now, (_, events) in zip(told, live(told, by), strict=True):
        for event in events:
            plain = (event.type, now.model_copy(update={"erp_number": ""}))
            assert seen.setdefault(event.id, plain) == plain
