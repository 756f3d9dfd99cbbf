"""What of a trial is where, what of it is charged, and when."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from tests.conformance.making import PLACED, given_back, line, order

from counterfoil.blueprint.trials import Trials
from counterfoil.processes.returns import Request
from counterfoil.processes.trials import Charge, Tried, as_paid, charge, money_back, tried, verdict
from counterfoil.retail.fulfilment import ErpState, Fulfilment, Packed, Shipment, ShipmentState
from counterfoil.retail.money import Money
from counterfoil.retail.order import LineKind, Status

RULES = Trials(methods=("try_at_home",), when_over="charge")
SHIRTS = line("SHIRT", "30.00", {"20": "6.00"}, quantity="3")
POST = line("", "4.00", {"20": "0.80"}, kind=LineKind.SHIPPING)
OF = order("1001", SHIRTS, line("CAP", "0.10", {"20": "0.02"}, quantity="3"), POST, method="try_at_home", paid=False)
"""40.92 EUR: three shirts of 12.00, three caps of 0.04, and 4.80 for the post."""
DONE, OPEN = ShipmentState.DONE, ShipmentState.OPEN

units = st.integers(0, 6).map(Decimal)


def moved(id_: str, state: ShipmentState, returned: bool, shirts: Decimal, caps: Decimal = Decimal(0)) -> Shipment:
    items = (Packed(sku="SHIRT", quantity=shirts, line="100"), Packed(sku="CAP", quantity=caps, line="101"))
    at = PLACED if state is DONE else None
    return Shipment(id=id_, number=id_, state=state, returned=returned, done_at=at, items=items)


def at_odoo(*shipments: Shipment) -> Fulfilment:
    return Fulfilment(order=OF.canonical_id, id="1", number="S1", state=ErpState.CONFIRMED, shipments=shipments)


@given(units, units, units, units, units)
def test_what_is_out_is_kept_returning_returned_or_undecided(
    out: Decimal, keep: Decimal, asked: Decimal, waited: Decimal, back: Decimal
) -> None:
    there = at_odoo(moved("1", DONE, False, out), moved("2", OPEN, True, waited), moved("3", DONE, True, back))
    each = tried(there, {"100": keep}, [Request("r", PLACED, {"100": asked})])["100"]
    parts = (each.kept, each.returning, each.returned, each.undecided)
    assert min(parts) >= 0
    assert sum(parts) == each.out == out
    assert each.kept <= keep
    assert each.returned == min(back, out), "what is back is never kept"


@given(st.integers(0, 4), st.integers(0, 4), st.sampled_from(["always", "if_kept", "never"]))
def test_charged_is_never_more_than_what_is_kept_and_shipping_by_its_rule(shirts: int, caps: int, rule: str) -> None:
    kept = {"100": Decimal(shirts), "101": Decimal(caps)}
    due = charge(OF, kept, RULES.model_copy(update={"shipping": rule}))
    goods = {line: units for line, units in due.lines.items() if line != "102"}
    assert goods == {line: min(units, Decimal(3)) for line, units in kept.items() if units}
    post = rule == "always" or (rule == "if_kept" and any(kept.values()))
    assert ("102" in due.lines) == post
    capped = {0: "0.00", 1: "0.04", 2: "0.08", 3: "0.12", 4: "0.12"}  # 0.0333… and 0.0066… each rounded
    told = 12 * min(shirts, 3) + Decimal(capped[caps]) + (Decimal("4.80") if post else 0)
    assert due.amount.amount == told
    assert due.whole == (shirts >= 3 and caps >= 3 and post)
    assert Charge.read(due.told()) == due


def test_all_of_it_is_the_order_s_total_though_its_lines_sum_to_another() -> None:
    of = order("1", line("CAP", "10.00"), told_total="9.99", method="try_at_home")
    assert charge(of, {"100": Decimal(1)}, RULES).amount == of.total


def test_a_trial_goes_on_by_its_time_its_decisions_and_its_shop() -> None:
    sent, day = at_odoo(moved("1", DONE, False, Decimal(3), Decimal(3))), timedelta(days=1)
    kept, open_ = Tried(Decimal(3), Decimal(3)), Tried(Decimal(3), Decimal(1), Decimal(1))

    def act(state: Fulfilment, *lines: Tried, days: int = 1, rules: Trials = RULES, **changes: object) -> str:
        at = dict(zip(("100", "101"), lines, strict=False))
        return verdict(OF.model_copy(update=changes), state, at, rules, PLACED + days * day).act

    assert act(sent, kept, open_) == "wait"
    assert act(sent, kept, kept) == "settle"
    assert act(at_odoo(*sent.shipments, moved("2", OPEN, False, Decimal(1))), kept, kept) == "wait", "more is to leave"
    assert act(sent, kept, open_, days=7) == "settle"
    assert act(sent, kept, open_, days=7, rules=RULES.model_copy(update={"when_over": "ask"})) == "ask"
    assert act(sent, kept, kept, status=Status.CANCELLED) == act(sent, kept, kept, status=Status.REFUNDED) == "close"
    off = given_back(OF, "9", "12.00")
    assert act(sent, kept, kept, refunds=(off,)) == "ask", "the shop took off what is to be charged"
    assert act(sent, Tried(Decimal(3), Decimal(2), Decimal(1)), kept, refunds=(off,)) == "settle"
    last = verdict(OF, sent, {"100": kept, "101": open_}, RULES, PLACED + 7 * day)
    assert (last.keep, last.charge and last.charge.amount) == ({"101": Decimal(1)}, Money.of("40.88", "EUR"))


def test_a_payment_is_what_was_charged_once_it_is_dated_after_the_goods_left() -> None:
    settled = charge(OF, {"100": Decimal(1)}, RULES, PLACED)

    def paid(of_days: int, by: Charge | None) -> tuple[bool, Money]:
        [payment] = OF.payments
        at = {"payments": (payment.model_copy(update={"paid_at": PLACED + timedelta(days=of_days)}),)}
        [payment] = as_paid(OF.model_copy(update=at), by).payments
        return payment.paid_at is not None, payment.amount

    assert paid(3, None)[0] is False
    assert paid(-1, settled)[0] is False
    assert paid(3, settled) == (True, Money.of("16.80", "EUR"))


def test_a_refund_is_money_only_of_what_was_charged() -> None:
    settled = charge(OF, {"100": Decimal(1)}, RULES)
    sent_back, kept = given_back(OF, "1", l100="2"), given_back(OF, "2", l100="1")
    assert money_back(OF, [sent_back], settled) == ([], True)
    assert money_back(OF, [sent_back, kept], settled) == ([kept], True)
    assert money_back(OF, [given_back(OF, "3", l100="3")], settled) == ([], False), "both in one"
    assert money_back(OF, [given_back(OF, "4", "24.12")], settled) == ([], True), "the whole difference"
    assert money_back(OF, [given_back(OF, "5", "5.00")], settled) == ([], False)
