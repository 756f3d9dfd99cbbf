"""Money that waits to be matched: told by the shop, not booked by the ERP; each amount once, to the cent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import ERP, House, at, payload, rows_of, subject

from counterfoil.hub import exceptions, lanes, schema, standing
from counterfoil.hub.contract import NOT_PAID_OUT, done, rejected
from counterfoil.hub.lanes import NewDelivery
from counterfoil.hub.standing import Standing
from counterfoil.hub.store import Store
from counterfoil.hub.views import money
from counterfoil.hub.views.money import Item, Waiting, left
from counterfoil.retail.events import at_utc
from counterfoil.retail.money import Money

PAID = {"paid": at(0), "payment": "ch_1"}
NO = rejected("unmapped_payment", "No journal.", "Add a row.")
amounts = st.dictionaries(
    st.sampled_from("012"), st.integers(1, 10**7).map(lambda cents: Money(Decimal(cents).scaleb(-2), "EUR"))
)


async def look(house: House) -> Waiting:
    """Past what is shared."""
    return await money._look(house.store)


def brief(found: Waiting) -> list[tuple[str, str, str, str, int | None]]:
    return [(i.order, i.kind, f"{i.amount} {i.currency}", i.state, i.exception) for i in found.items]


@given(told=amounts, booked=amounts)
def test_what_is_left_and_what_is_booked_is_what_was_told(told: dict[str, Money], booked: dict[str, Money]) -> None:
    """Never less than nothing, nothing twice, and once all that was told is booked nothing is left."""
    rest = left(told, booked)
    for name, amount in told.items():
        matched = min(amount, booked.get(name, Money.zero("EUR")))
        assert rest.get(name, Money.zero("EUR")) + matched == amount
    assert all(amount.amount > 0 for amount in rest.values())
    assert rest.keys() <= told.keys()
    assert left(told, booked | told) == {}


async def test_a_payment_waits_from_its_fact_until_it_is_booked_whatever_comes_between(store: Store) -> None:
    """Before a person, behind what is, its turn, a try that failed; then booked. What is not paid never waits."""
    house = House(store)
    house.erp.always[subject(2)] = NO
    house.erp.plan(subject(1), NO)
    await house.hear(payload(2, payment="ch_2", status="on_hold"))
    await house.hear(payload(1, **PAID, total="12.10"))
    (_, exception), found = await house.exceptions(), await look(house)
    assert brief(found) == [(subject(1), "payment", "12.10 EUR", "exception", exception["id"])]
    (item,) = found.items
    (delivery,) = await rows_of(store, schema.delivery, subject=subject(1))
    assert (item.number, item.method, item.reference, item.operation) == ("N1", "card", "ch_1", "erp.accept_order")
    assert (item.since, item.made_at and item.made_at.isoformat()) == (at_utc(delivery["created_at"]), at(0))
    async with store.write() as connection:
        mine = sa.update(schema.exception).where(schema.exception.c.id == exception["id"])
        await connection.execute(mine.values(operation="hold_order"))
    assert [(i.state, i.exception) for i in (await look(house)).items] == [("held", exception["id"])]
    await exceptions.act(store, exception["id"], "retried", "anna")
    assert [i.state for i in (await look(house)).items] == ["waiting"]
    async with store.write() as connection:
        await connection.execute(sa.update(schema.delivery).values(attempt=2))
    assert [i.state for i in (await look(house)).items] == ["retried"]
    await house.work()
    assert (await look(house)).items == ()


async def test_each_currency_and_kind_has_its_own_exact_sum(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(store)
    house.erp.always = dict.fromkeys(map(subject, (1, 2, 3)), NO)
    await house.hear(*(payload(n, **PAID, total=total) for n, total in enumerate(("0.10", "0.20", "30.00"), 1)))
    o = schema.object_.c
    async with store.write() as connection:  # the third order's money is yen
        (row,) = [r for r in await rows_of(store, schema.object_) if r["canonical_id"] == subject(3)]
        yen = {**row["state"], "payments": [{**row["state"]["payments"][0], "amount": "3000 JPY"}]}
        await connection.execute(sa.update(schema.object_).where(o.canonical_id == subject(3)).values(state=yen))
    found = await look(house)
    assert [(s.currency, s.kind, s.count, s.amount, s.at_least) for s in found.sums] == [
        ("EUR", "payment", 2, Decimal("0.30"), False),
        ("JPY", "payment", 1, Decimal(3000), False),
    ]
    assert found.sums[0].address == "money?kind=payment&currency=EUR"
    assert [i.order for i in money.chosen(found, currency="jpy")] == [subject(3)]
    assert money.chosen(found, "refund") == ()
    said = Standing()
    await standing.count_money(store, said)
    assert [row[:4] for row in said.money] == [("EUR", "payment", 0.3, 2), ("JPY", "payment", 3000.0, 1)]
    monkeypatch.setattr(money, "MOST", 2)
    assert [(s.count, s.at_least) for s in (await look(house)).sums] == [(2, True)], "those that wait longest"
    assert said.money[0][4] == pytest.approx(min(i.since for i in found.items).timestamp(), abs=0.01)


async def test_of_a_payment_booked_before_only_what_came_in_addition_waits(store: Store) -> None:
    house = House(store, "  - {on: [order.placed, order.changed], from: shop, do: erp.accept_order}\n")
    await house.hear(payload(1, **PAID))
    house.erp.always[subject(1)] = NO
    await house.hear(payload(1, **PAID, total="12.00", street="2 rue Basse", modified=at(5)))
    assert (await look(house)).items == ()
    await house.hear(payload(1, **PAID, total="15.50", modified=at(9)))
    assert [brief(await look(house))[0][2]] == ["3.50 EUR"]
    house.erp.always.clear()
    await house.hear(payload(1, **PAID, total="15.50", street="3 rue Basse", modified=at(12)))
    house.erp.always[subject(1)] = NO
    await house.hear(payload(1, **PAID, total="15.50", street="4 rue Basse", modified=at(15)))
    assert (await look(house)).items == ()
    await house.hear(payload(1, **PAID, total="9.00", modified=at(18)))
    assert (await look(house)).items == ()


async def test_an_exception_of_a_flow_that_passes_waits_until_a_person_closed_it(store: Store) -> None:
    house = House(store, "  - {on: order.placed, from: shop, do: erp.accept_order, on_exception: pass}\n")
    house.erp.always[subject(1)] = NO
    await house.hear(payload(1, **PAID))
    (exception,) = await house.exceptions()
    assert brief(await look(house)) == [(subject(1), "payment", "12.00 EUR", "exception", exception["id"])]
    await exceptions.act(store, exception["id"], "resolved", "anna", "entered by hand")
    assert (await look(house)).items == ()


async def test_an_order_given_up_before_the_erp_had_it_waits_for_nothing(store: Store) -> None:
    """And one that was answered so, and is wanted again after all, has not been booked."""
    house = House(store)
    house.erp.always[subject(1)] = NO
    await house.hear(payload(1, **PAID))
    assert len((await look(house)).items) == 1
    await house.hear(payload(1, **PAID, status="cancelled", modified=at(5)))
    assert (await look(house)).items == ()
    house.erp.always[subject(1)] = done({"superseded": "cancelled by now"}, link="id-1")
    (held,) = await house.exceptions()
    await exceptions.act(store, held["id"], "retried", "anna")
    await house.work()
    house.erp.always[subject(1)] = NO
    await house.hear(payload(1, **PAID, modified=at(9)))
    assert [i.amount for i in (await look(house)).items] == [Decimal("12.00")]


async def told(store: Store, number: str, type_: str, operation: str, data: dict[str, Any]) -> None:
    """A fact about order 1, and what is to be done about it: not one of the small house's flows."""
    async with store.write() as connection:
        kept = {"id": number, "type": type_, "source": "shop", "subject": subject(1), "key": subject(1), "time": 0.0}
        await connection.execute(
            sa.insert(schema.event).values(**kept, recorded_at=0.0, correlation="", causation=None, data=data)
        )
        wanted = NewDelivery(ERP, "money", subject(1), operation, subject(1), event_id=number)
        await lanes.enqueue(connection, store, [wanted])


async def ended(
    store: Store, operation: str, outcome: str, number: str, reason: str = "", detail: dict[str, Any] | None = None
) -> None:
    """How a try at what was to be done about that fact ended."""
    times = dict.fromkeys(("created_at", "started_at", "ended_at"), 0.0)
    row = {"system": ERP, "operation": operation, "subject": subject(1), "attempt": 1, "worker": "", **times}
    row |= {"delivery_id": -1, "event_id": number, "outcome": outcome, "reason": reason, "detail": detail or {}}
    async with store.write() as connection:
        await connection.execute(sa.insert(schema.delivery_log).values(**row))


async def test_a_refund_waits_while_it_is_read_and_booked_and_each_counts_once(store: Store) -> None:
    house = House(store)
    await house.hear(payload(1, **PAID), payload(1, **PAID, refunds=["4.00", "0.50"], modified=at(5)))
    assert (await look(house)).items == ()
    await told(store, "e1", "order.refunded", "read_refunds", {})
    await told(store, "e2", "order.refund_read", "refund_order", {})
    found = await look(house)
    assert money.refunds([{"id": "7", "amount": "1.00 EUR", "pending": True}]) == {}, "not paid out yet"
    assert sorted(brief(found)) == [
        (subject(1), "refund", "0.50 EUR", "waiting", None),
        (subject(1), "refund", "4.00 EUR", "waiting", None),
    ]
    assert [(s.kind, s.count, s.amount) for s in found.sums] == [("refund", 2, Decimal("4.50"))]
    first = min(delivery["created_at"] for delivery in await rows_of(store, schema.delivery))
    assert {i.since for i in found.items} == {at_utc(first)}

    booked = {"refunds": [{"id": "0", "amount": "4.00 EUR"}]}
    async with store.write() as connection:
        await connection.execute(sa.update(schema.event).where(schema.event.c.id == "e2").values(data=booked))
    await ended(store, "refund_order", "done", "e2")
    assert [i.reference for i in (await look(house)).items] == ["1"]


async def test_a_refund_that_was_not_paid_out_is_no_money_that_waits(store: Store) -> None:
    """Reading them finds out; a later reading says how it is by then, and the others wait on. case: F29, F30."""
    house = House(store)
    await house.hear(payload(1, **PAID), payload(1, **PAID, refunds=["4.00", "0.50"], modified=at(5)))
    await told(store, "e1", "order.refunded", "read_refunds", {})
    unpaid = {"result": {NOT_PAID_OUT: ["0"]}}
    for outcome, reason in (("retry", "refund_pending"), ("rejected", "refund_failed")):
        await ended(store, "read_refunds", outcome, "e1", reason, unpaid)
        assert [i.reference for i in (await look(house)).items] == ["1"]
    await ended(store, "read_refunds", "retry", "e1", "no_answer")
    assert [i.reference for i in (await look(house)).items] == ["1"], "nothing else is known by then"
    await ended(store, "read_refunds", "done", "e1")
    assert len((await look(house)).items) == 2


@pytest.mark.parametrize("way", ["resolved", "skipped"])
async def test_what_a_person_has_closed_does_not_come_back_with_the_next_change(store: Store, way: str) -> None:
    house = House(store, "  - {on: [order.placed, order.changed], from: shop, do: erp.accept_order}\n")
    house.erp.always[subject(1)] = NO
    await house.hear(payload(1, **PAID))
    (exception,) = await house.exceptions()
    await exceptions.act(store, exception["id"], way, "anna", "entered by hand")
    await house.hear(payload(1, **PAID, street="2 rue Basse", modified=at(5)))
    assert (await look(house)).items == ()
    await house.hear(payload(1, **PAID, total="15.50", modified=at(9)))
    assert [i.amount for i in (await look(house)).items] == [Decimal("3.50")]


@pytest.mark.parametrize("gone", [schema.event, schema.delivery_log])
async def test_a_payment_whose_booking_was_purged_counts_as_booked(store: Store, gone: sa.Table) -> None:
    """Be it the log or the fact, whichever is older than retention first."""
    house = House(store, "  - {on: [order.placed, order.changed], from: shop, do: erp.accept_order}\n")
    await house.hear(payload(1, **PAID))
    async with store.write() as connection:
        await connection.execute(sa.delete(gone))
    house.erp.always[subject(1)] = NO
    await house.hear(payload(1, **PAID, street="2 rue Basse", modified=at(5)))
    assert len(await house.exceptions()) == 1
    assert (await look(house)).items == ()


def test_a_row_of_the_list_can_be_exported() -> None:
    """Its columns have types that files know."""
    from counterfoil.hub.views.exporting import columns

    known = {name: type_.__name__ for name, type_, _ in columns(Item)}
    assert (known["amount"], known["since"], known["exception"]) == ("Decimal", "datetime", "int")
