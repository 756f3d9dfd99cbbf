"""The order table: what the shop's state means for the ERP, row by row and column by column."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.fakes import at, order

from counterfoil.blueprint import OrderChoices
from counterfoil.hub.decode import Decision
from counterfoil.hub.receipts import IMPORT
from counterfoil.processes.orders import judge, level, wanted
from counterfoil.retail.order import Status

DEFAULT = OrderChoices()
PAID = {"paid": "2026-11-02T09:30:00+00:00"}


def never_accepted(choices: OrderChoices = DEFAULT, cut_over: datetime | None = None, **now: Any) -> Decision:
    """The order is heard of for the first time."""
    return judge(None, "", order(**now), choices, cut_over)


def accepted_before(now: dict[str, Any], before: dict[str, Any] | None = None, **more: Any) -> Decision:
    """The order was placed in the state `before` (processing, unless said) and is `now` told anew."""
    return judge(order(**(before or {})), "placed", order(**now), more.get("choices", DEFAULT), more.get("cut_over"))


def facts(decision: Decision) -> list[str]:
    """The types of the events."""
    return [e.type for e in decision.events]


# --- never accepted before --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "stage", "told"),
    [
        ({"status": "draft"}, "not_wanted", ["order.not_wanted"]),
        ({"status": "trash"}, "not_wanted", ["order.not_wanted"]),
        ({"status": "pending"}, "waiting", ["order.waiting"]),
        ({"status": "failed"}, "waiting", ["order.waiting"]),
        ({"status": "on_hold"}, "placed", ["order.placed"]),
        ({"status": "processing"}, "placed", ["order.placed"]),
        ({"status": "completed"}, "placed", ["order.placed", "order.completed"]),
        ({"status": "cancelled"}, "not_wanted", ["order.not_wanted"]),
        ({"status": "refunded"}, "not_wanted", ["order.not_wanted"]),
        ({"status": "processing", "refunds": ["5.00"]}, "placed", ["order.placed", "order.refunded"]),
        ({"status": "completed", "refunds": ["5.00"]}, "placed", ["order.placed", "order.refunded", "order.completed"]),
        ({"status": "processing", "refunds": ["5.00", "7.00"]}, "not_wanted", ["order.not_wanted"]),
    ],
    ids=str,
)
def test_never_accepted(now: dict[str, Any], stage: str, told: list[str]) -> None:
    """Partly refunded: as processing, then the refund. Completed: what was shipped outside the ERP must show."""
    decision = never_accepted(**now)
    assert (decision.stage, facts(decision)) == (stage, told)


@pytest.mark.parametrize(
    ("status", "how_far"),
    [("on_hold", "quotation"), ("processing", "accept"), ("completed", "accept")],
)
def test_how_far_the_erp_takes_a_new_order(status: str, how_far: str) -> None:
    """A bank transfer that has not come in makes a quotation; what is to be shipped is confirmed."""
    placed = never_accepted(status=status).events[0]
    assert placed.data["level"] == how_far


@pytest.mark.parametrize(
    ("choice", "status", "stage", "how_far"),
    [
        ({"pending": "quotation"}, "pending", "placed", "quotation"),
        ({"pending": "quotation"}, "failed", "placed", "quotation"),
        ({"on_hold": "wait"}, "on_hold", "waiting", "quotation"),
        ({"on_hold": "accept"}, "on_hold", "placed", "accept"),
        ({"processing": "quotation"}, "processing", "placed", "quotation"),
        ({"completed": "not_wanted"}, "completed", "not_wanted", "accept"),
    ],
    ids=str,
)
def test_the_blueprint_can_change_each_row(choice: dict[str, Any], status: str, stage: str, how_far: str) -> None:
    choices = OrderChoices(**choice)
    decision = never_accepted(choices, status=status)
    assert (decision.stage, decision.events[0].data["level"]) == (stage, how_far)


@pytest.mark.parametrize("status", [s for s in Status if s not in (Status.DRAFT, Status.TRASH)])
def test_before_the_cut_over_date_nothing_is_wanted(status: Status) -> None:
    decision = never_accepted(cut_over=datetime(2026, 11, 2, 9, 0, 1, tzinfo=UTC), status=status)
    assert facts(decision) == ["order.not_wanted"]
    assert "2026-11-02 09:00 UTC" in decision.events[0].data["why"]


def test_an_order_of_the_very_moment_of_the_cut_over_is_wanted() -> None:
    assert never_accepted(cut_over=datetime(2026, 11, 2, 9, 0, 0, tzinfo=UTC)).stage == "placed"


@pytest.mark.parametrize(
    ("given_back", "in_full"),
    [([], False), (["11.99"], False), (["12.00"], True), (["6.00", "6.00"], True), (["12.00", "1.00"], True)],
    ids=str,
)
def test_refunded_in_full_is_known_by_the_sums(given_back: list[str], in_full: bool) -> None:
    """Some shops leave the status alone when everything was given back."""
    assert (wanted(order(refunds=given_back), DEFAULT, None)[0] == "not_wanted") is in_full


def test_an_order_over_nothing_is_not_refunded_in_full() -> None:
    """A gift: nothing was paid, nothing can have been given back."""
    assert never_accepted(total="0.00", refunds=["0.00"]).stage == "placed"


# --- not wanted or waiting so far ---------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["waiting", "not_wanted"])
def test_an_order_that_becomes_wanted_is_placed(stage: str) -> None:
    """The payment arrives, or someone takes the order out of the trash."""
    decision = judge(order(status="pending"), stage, order(status="processing", **PAID), DEFAULT, None)
    assert (decision.stage, facts(decision)) == ("placed", ["order.placed"])


def test_an_order_that_goes_on_waiting_says_nothing_new() -> None:
    decision = judge(order(status="pending"), "waiting", order(status="failed"), DEFAULT, None)
    assert (decision.stage, facts(decision)) == ("waiting", [])


def test_a_waiting_order_that_is_given_up_is_not_wanted() -> None:
    decision = judge(order(status="pending"), "waiting", order(status="cancelled"), DEFAULT, None)
    assert (decision.stage, facts(decision)) == ("not_wanted", ["order.not_wanted"])


# --- accepted before ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["draft", "trash", "cancelled"])
def test_accepted_then_not_wanted_any_more(status: str) -> None:
    decision = accepted_before({"status": status})
    assert (decision.stage, facts(decision)) == ("cancelled", ["order.cancelled"])


@pytest.mark.parametrize("status", ["pending", "failed"])
@pytest.mark.parametrize("before", ["on_hold", "processing", "completed"])
def test_accepted_then_the_payment_is_lost(before: str, status: str) -> None:
    decision = accepted_before({"status": status}, {"status": before})
    assert (decision.stage, facts(decision)) == ("placed", ["order.payment_lost"])


def test_the_payment_is_lost_once() -> None:
    assert facts(accepted_before({"status": "failed"}, {"status": "pending"})) == []


def test_accepted_on_hold_stays() -> None:
    assert facts(accepted_before({"status": "on_hold", "note": "new"}, {"status": "on_hold"})) == []


def test_put_on_hold_after_it_was_confirmed_stays_and_is_no_payment() -> None:
    """The shop's own doubts do not un-confirm an order, and nobody has paid anything."""
    assert facts(accepted_before({"status": "on_hold"}, {"status": "processing"})) == []


def test_the_transfer_arrives() -> None:
    """on-hold → processing: from quotation to confirmed."""
    decision = accepted_before({"status": "processing", **PAID}, {"status": "on_hold"})
    assert facts(decision) == ["order.paid"]
    assert decision.events[0].data["level"] == "accept"


def test_released_without_a_payment() -> None:
    """Shipped on account: confirmed all the same."""
    decision = accepted_before({"status": "processing"}, {"status": "on_hold"})
    assert facts(decision) == ["order.paid"]
    assert decision.events[0].data["why"] == "processing, not paid"


def test_the_payment_of_a_confirmed_order_is_recorded() -> None:
    assert facts(accepted_before({**PAID}, {})) == ["order.paid"]


def test_a_payment_is_recorded_once() -> None:
    assert facts(accepted_before({**PAID, "note": "new"}, {**PAID})) == []


def test_a_lost_payment_that_comes_after_all() -> None:
    assert facts(accepted_before({"status": "processing"}, {"status": "pending"})) == ["order.paid"]


@pytest.mark.parametrize("before", ["processing", "on_hold", "pending"])
def test_completed_by_the_shop_itself_is_told(before: str) -> None:
    """Not at our word: somebody must see whether the ERP has shipped it. An unpaid one is released by it too."""
    decision = accepted_before({"status": "completed", **PAID}, {"status": before, **PAID})
    released = [] if before == "processing" else ["order.paid"]
    assert (decision.stage, facts(decision)) == ("placed", [*released, "order.completed"])


def test_completed_is_told_once() -> None:
    assert facts(accepted_before({"status": "completed", "note": "new"}, {"status": "completed"})) == []


def test_completed_after_it_was_given_back_in_full_is_nothing_to_ship() -> None:
    given_back = {"refunds": ["12.00"], **PAID}
    assert facts(accepted_before({"status": "completed", **given_back}, {**given_back})) == []


@pytest.mark.parametrize(
    "given_back",
    [
        pytest.param({"refunds": ["5.00"]}, id="in part"),
        pytest.param({"refunds": ["12.00"]}, id="in full, by the sums"),
        pytest.param({"status": "refunded", "refunds": ["12.00"]}, id="in full, by the status too"),
        pytest.param({"status": "refunded"}, id="in full, by the status alone"),
    ],
)
def test_accepted_then_money_was_given_back(given_back: dict[str, Any]) -> None:
    decision = accepted_before({**given_back, **PAID}, PAID)
    assert (decision.stage, facts(decision)) == ("placed", ["order.refunded"])


@pytest.mark.parametrize("status", ["pending", "failed", "on_hold"])
def test_what_was_never_paid_cannot_be_given_back(status: str) -> None:
    """Not while the shop waits for the money, and not when it is given up from there. case: F29"""
    refunded = {"status": status, "refunds": ["5.00"]}
    assert facts(accepted_before(refunded, {"status": status})) == []
    assert facts(accepted_before({**refunded, "status": "cancelled"}, refunded)) == ["order.cancelled"]
    given_up = accepted_before({"status": "refunded", "refunds": ["12.00"]}, {"status": status})
    assert (given_up.stage, facts(given_up)) == ("cancelled", ["order.cancelled"])  # there was no money to give back


def test_refunded_in_full_without_ever_having_been_paid_is_cancelled() -> None:
    """Cash on delivery, given up before that: nothing to give back, and nothing may be shipped. case: F29"""
    given_up = accepted_before({"status": "refunded", "refunds": ["12.00"]}, {"status": "processing"})
    assert (given_up.stage, facts(given_up)) == ("cancelled", ["order.cancelled"])


def test_a_refund_of_a_waiting_order_is_told_once_the_money_has_come() -> None:
    """Recorded before the transfer arrived: then nothing; with the money it is owed. case: F29"""
    refunded = {"status": "on_hold", "refunds": ["5.00"]}
    assert "order.refunded" not in facts(never_accepted(**refunded))
    assert facts(accepted_before({**refunded, "status": "processing", **PAID}, refunded)) == [
        "order.refunded",
        "order.paid",
    ]


def test_a_refund_given_before_the_cash_came_in_is_told_again_once_it_has() -> None:
    """Paid on delivery: refunded while unpaid nothing could be booked. case: F29"""
    refunded = {"status": "processing", "refunds": ["5.00"]}
    told = facts(accepted_before({**refunded, "status": "completed", **PAID}, refunded))
    assert told == ["order.refunded", "order.paid", "order.completed"]


def test_a_refund_of_an_order_that_is_still_waiting_is_nothing() -> None:
    """case: F29"""
    decision = judge(order(status="pending"), "waiting", order(status="pending", refunds=["5.00"]), DEFAULT, None)
    assert (decision.stage, facts(decision)) == ("waiting", [])


def test_a_refund_that_was_pending_and_went_through_is_news() -> None:
    """case: F29"""
    booked = order(refunds=["5.00"])
    pending = booked.model_copy(
        update={"refunds": tuple(r.model_copy(update={"pending": True}) for r in booked.refunds)}
    )
    assert facts(judge(pending, "placed", booked, DEFAULT, None)) == ["order.refunded"]


@pytest.mark.parametrize("stage", ["placed", "cancelled", "history"])
def test_a_refund_that_the_shop_has_deleted_is_told(stage: str) -> None:
    """What was booked for it must be looked at by somebody."""
    status = "cancelled" if stage == "cancelled" else "processing"
    before, now = order(status=status, refunds=["5.00"], **PAID), order(status=status, **PAID)
    assert facts(judge(before, stage, now, DEFAULT, None)) == ["order.refunded"]


@pytest.mark.parametrize("status", ["completed", "processing"])
def test_an_old_refunded_order_is_refunded_again(status: str) -> None:
    """case: F31"""
    before = {"status": status, "refunds": ["5.00"]}
    assert facts(accepted_before({"status": status, "refunds": ["5.00", "2.00"]}, before)) == ["order.refunded"]


def test_the_second_refund_is_news_too() -> None:
    """A refund on an order that already has one arrives. case: F31"""
    assert facts(accepted_before({"refunds": ["5.00", "7.00"]}, {"refunds": ["5.00"]})) == ["order.refunded"]


def test_a_refund_is_told_once() -> None:
    told = {"refunds": ["12.00"], **PAID}
    assert facts(accepted_before({**told, "status": "refunded"}, told)) == []


@pytest.mark.parametrize("change", [{"total": "13.00"}, {"sku": "CUP"}, {"street": "2 rue Basse"}], ids=str)
def test_changed_lines_amounts_or_addresses(change: dict[str, str]) -> None:
    """Both versions are in the event: who must decide can compare them."""
    decision = accepted_before(change)
    assert facts(decision) == ["order.changed"]
    data = decision.events[0].data
    assert (data["order"], data["before"]) == (order(**change).model_dump(mode="json"), order().model_dump(mode="json"))


def test_a_note_or_our_own_mark_changes_nothing() -> None:
    """case: F37"""
    assert facts(accepted_before({"note": "ring twice", "erp_number": "S00042"})) == []


def test_changed_and_paid_at_once_is_both() -> None:
    """Payloads are coalesced: two things that happened between two looks are two facts, the change first."""
    decision = accepted_before({"status": "processing", "total": "13.00"}, {"status": "on_hold"})
    assert facts(decision) == ["order.changed", "order.paid"]


def test_released_and_refunded_in_part_at_once_is_both() -> None:
    """The rest is still to be shipped: a refund must not swallow the confirmation."""
    decision = accepted_before({"status": "processing", "refunds": ["5.00"], **PAID}, {"status": "on_hold"})
    assert facts(decision) == ["order.refunded", "order.paid"]


def test_paid_and_refunded_in_full_at_once_is_both() -> None:
    """The money came in and went out: booked without the first, a credit note would stand against a quotation."""
    decision = accepted_before({"status": "refunded", **PAID}, {"status": "on_hold"})
    assert facts(decision) == ["order.paid", "order.refunded"]


def test_an_order_refunded_in_full_is_not_confirmed_any_more() -> None:
    assert facts(accepted_before({"status": "refunded", **PAID}, PAID)) == ["order.refunded"]


def test_cancelled_and_refunded_at_once_is_both() -> None:
    decision = accepted_before({"status": "cancelled", "refunds": ["12.00"], **PAID}, PAID)
    assert (decision.stage, facts(decision)) == ("cancelled", ["order.cancelled", "order.refunded"])


def test_the_cut_over_date_does_not_drop_what_was_accepted() -> None:
    """Someone moves the date: orders already in the ERP go on."""
    late = datetime(2027, 1, 1, tzinfo=UTC)
    assert facts(accepted_before({"status": "cancelled"}, cut_over=late)) == ["order.cancelled"]


# --- cancelled before ---------------------------------------------------------------------------------------------


def test_a_cancelled_order_that_is_wanted_again_is_placed_again() -> None:
    decision = judge(order(status="cancelled"), "cancelled", order(), DEFAULT, None)
    assert (decision.stage, facts(decision)) == ("placed", ["order.placed"])


@pytest.mark.parametrize("status", ["cancelled", "trash"])
def test_a_cancelled_order_that_is_touched_stays_cancelled(status: str) -> None:
    """It was placed once: that it was never wanted would be untrue."""
    decision = judge(order(status="cancelled"), "cancelled", order(status=status, note="new"), DEFAULT, None)
    assert (decision.stage, facts(decision)) == ("cancelled", [])


@pytest.mark.parametrize("status", ["cancelled", "refunded"])
def test_money_given_back_after_the_cancellation_is_told(status: str) -> None:
    """Cancelled on Monday, refunded on Tuesday: the money is still to be booked. case: F31"""
    now = order(status=status, refunds=["12.00"], **PAID)
    decision = judge(order(status="cancelled", **PAID), "cancelled", now, DEFAULT, None)
    assert (decision.stage, facts(decision)) == ("cancelled", ["order.refunded"])


# --- cancelled at our own word ----------------------------------------------------------------------------------

# The ERP cancelled the order and we told the shop: the known state says cancelled, the stage still says placed.


def test_what_we_cancelled_is_not_told_as_the_shops_cancellation() -> None:
    """case: F37"""
    decision = judge(order(status="cancelled"), "placed", order(status="cancelled", note="new"), DEFAULT, None)
    assert (decision.stage, facts(decision)) == ("cancelled", [])


def test_what_we_cancelled_and_the_shop_wants_again_is_placed_again() -> None:
    decision = judge(order(status="cancelled"), "placed", order(), DEFAULT, None)
    assert (decision.stage, facts(decision)) == ("placed", ["order.placed"])


def test_money_given_back_for_what_we_cancelled_is_told() -> None:
    now = order(status="refunded", refunds=["12.00"], **PAID)
    decision = judge(order(status="cancelled", **PAID), "placed", now, DEFAULT, None)
    assert (decision.stage, facts(decision)) == ("cancelled", ["order.refunded"])


# --- history ------------------------------------------------------------------------------------------------------

CUT_OVER = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)  # the order was placed at nine


def imported(stage: str = "", before: dict[str, Any] | None = None, **now: Any) -> Decision:
    """The order was placed before the cut-over and comes with the import."""
    known = None if not stage else order(**(before or now))
    return judge(known, stage, order(**now), DEFAULT, CUT_OVER, IMPORT)


@pytest.mark.parametrize(
    ("now", "stage", "told"),
    [
        ({"status": "on_hold"}, "history", ["order.history"]),
        ({"status": "processing"}, "history", ["order.history"]),
        ({"status": "completed"}, "history", ["order.history"]),
        ({"status": "completed", "refunds": ["5.00"]}, "history", ["order.history"]),
        ({"status": "refunded", "refunds": ["12.00"]}, "history", ["order.history"]),
        ({"status": "cancelled"}, "not_wanted", []),
        ({"status": "pending"}, "not_wanted", []),
        ({"status": "failed"}, "not_wanted", []),
        ({"status": "trash"}, "not_wanted", []),
        ({"status": "draft"}, "not_wanted", []),
    ],
    ids=str,
)
@pytest.mark.parametrize("stage_before", ["", "not_wanted"], ids=["never heard of", "left alone before"])
def test_an_import_tells_of_old_orders_as_history(
    now: dict[str, Any], stage: str, told: list[str], stage_before: str
) -> None:
    """Also of those whose webhook came before the import and was not wanted."""
    decision = imported(stage_before, **now)
    assert (decision.stage, facts(decision)) == (stage, told)


def test_history_is_imported_once() -> None:
    assert facts(imported("history", status="completed")) == []


def test_without_an_import_an_old_order_is_not_wanted() -> None:
    decision = judge(None, "", order(status="completed"), DEFAULT, CUT_OVER, "poll")
    assert (decision.stage, facts(decision)) == ("not_wanted", ["order.not_wanted"])


def test_an_import_takes_an_order_after_the_cut_over_as_the_poll_would() -> None:
    decision = judge(None, "", order(placed=at(0), status="processing"), DEFAULT, CUT_OVER, IMPORT)
    assert (decision.stage, facts(decision)) == ("placed", ["order.placed"])


def test_an_import_leaves_what_is_placed_alone() -> None:
    """The date was moved: what the ERP already has is no history."""
    assert imported("placed").stage == "placed"
    assert facts(imported("placed")) == []


@pytest.mark.parametrize(
    "now",
    [{"status": "completed"}, {"status": "cancelled"}, {"status": "trash"}, {"total": "13.00"}, {**PAID}],
    ids=str,
)
@pytest.mark.parametrize("origin", ["webhook", "poll", IMPORT])
def test_history_that_is_touched_stays_history_and_says_nothing(now: dict[str, Any], origin: str) -> None:
    decision = judge(order(), "history", order(**now), DEFAULT, CUT_OVER, origin)
    assert (decision.stage, facts(decision)) == ("history", [])


def test_a_refund_of_history_arrives() -> None:
    """case: F31"""
    now = order(status="completed", refunds=["5.00"])
    decision = judge(order(status="completed"), "history", now, DEFAULT, CUT_OVER, "webhook")
    assert (decision.stage, facts(decision)) == ("history", ["order.refunded"])


# --- the events themselves ----------------------------------------------------------------------------------------


def test_the_same_fact_has_the_same_id() -> None:
    """Heard by webhook, by poll, or again after a crash: one id, from the shop's own data. case: F04"""
    assert never_accepted().events[0].id == never_accepted().events[0].id


def test_our_own_mark_does_not_change_the_id_of_a_fact() -> None:
    """case: F04"""
    plain, marked = never_accepted(), never_accepted(erp_number="S00042")
    assert plain.events[0].id == marked.events[0].id


@pytest.mark.parametrize(
    "other",
    [{"number": 2}, {"modified": "2026-11-02T10:00:01+00:00"}, {"street": "2 rue Basse"}, {"total": "13.00"}],
    ids=str,
)
def test_another_fact_has_another_id(other: dict[str, Any]) -> None:
    """Another order, another second, or another content in the same second."""
    assert never_accepted().events[0].id != never_accepted(**other).events[0].id


def test_paid_after_released_in_the_same_second_are_two_facts() -> None:
    """A shop's clock has seconds only: the payment must not be taken for the release. case: F09"""
    (released,) = accepted_before({"status": "processing"}, {"status": "on_hold"}).events
    (paid,) = accepted_before({"status": "processing", **PAID}, {"status": "processing"}).events
    assert released.type == paid.type == "order.paid"
    assert released.id != paid.id


def test_placed_again_in_the_same_second_is_another_fact() -> None:
    (first,) = never_accepted().events
    (again,) = judge(order(status="cancelled"), "cancelled", order(), DEFAULT, None).events
    assert first.id != again.id


def test_what_people_search_by_is_on_the_event() -> None:
    """The number, the shop's id, the SKU, the payment's reference; the e-mail only as a hash."""
    (placed,) = never_accepted(email="Ada@Example.org ", payment="ch_77", **PAID).events
    refs = dict(placed.refs)
    assert (refs["order"], refs["id"], refs["sku"], refs["payment"]) == ("N1", "1", "MUG", "ch_77")
    assert len(refs["email"]) == 32
    assert "example" not in refs["email"].lower()


@pytest.mark.parametrize("status", Status)
def test_every_status_has_a_level(status: Status) -> None:
    assert level(order(status=status), DEFAULT) in ("quotation", "accept")
