"""Trials at home in the hub: many who decide at once, what its shop says meanwhile, and what is settled once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from tests.conformance.making import given_back, item, line, order, refunded
from tests.fakes import rows_of
from tests.storefront_stage import BLUEPRINT, keep

from counterfoil.blueprint import Blueprint, parse
from counterfoil.doors import assembly
from counterfoil.hub import schema
from counterfoil.hub.contract import Item, Kind
from counterfoil.hub.store import Store
from counterfoil.hub.storefront import trials
from counterfoil.hub.telling import Teller
from counterfoil.processes.ontrial import OnTrial
from counterfoil.processes.orders import PLACED, judge
from counterfoil.processes.returning import AnotherRequest, TooMany
from counterfoil.processes.trying import Over, Trying
from counterfoil.retail.fulfilment import ErpState, Fulfilment, Packed, Shipment, ShipmentState
from counterfoil.retail.order import Order, Status

OF = order("1001", line("SHIRT", "50.00", {"20": "10.00"}, quantity="5"), method="try_at_home", paid=False)
WHO = ("web", OF.number, OF.customer.email)
PLAN = """\
flows:
  - {on: return.requested, do: odoo.prepare_return}
  - {on: [trial.settled, shipment.returned], do: odoo.settle_trial}
  - {on: trial.overdue, do: hub.ask}
trials: {methods: [try_at_home], most: 5, never: [RX-*], when_over: WHEN_OVER}
"""


def plan(when_over: str = "ask") -> Blueprint:
    text = BLUEPRINT + PLAN.replace("WHEN_OVER", when_over)
    return parse(text, known=assembly.catalogue(), environ={"KEY": "x"})


async def on_trial(store: Store, blueprint: Blueprint, days: int = 1) -> Trying:
    """The order is placed, and its shirts left so many days ago."""
    desk = assembly.trying(store, blueprint)
    await keep(store, "web", "order", OF.id, OF, PLACED)
    placed = judge(None, "", OF, blueprint.orders, None).events
    async with store.write() as connection:
        await Teller(store, blueprint, assembly.streams(blueprint), desk).tell(connection, placed)
    at, shirts = datetime.now(UTC) - timedelta(days=days), (Packed(sku="SHIRT", quantity=Decimal(5), line="100"),)
    left = Shipment(id="7", number="OUT/7", state=ShipmentState.DONE, done_at=at, items=shirts)
    state = Fulfilment(order=OF.canonical_id, id="1", number="S1", state=ErpState.CONFIRMED, shipments=(left,))
    await keep(store, "odoo", "fulfilment", OF.canonical_id, state)
    return desk


async def changed(store: Store, **changes: Any) -> Order:
    """Its shop says so now."""
    now = OF.model_copy(update=changes)
    await keep(store, "web", "order", OF.id, now, PLACED)
    return now


async def look(store: Store, *desks: Trying, read: int = 2) -> None:
    """All of them look at what is due, at once; so many of ERP and shop were read just now."""
    feeds = (("odoo", "fulfilment"), ("web", "orders"))[:read]
    async with store.write() as connection:
        await trials.look(connection, store, [OF.canonical_id])
        await connection.execute(sa.delete(schema.cursor))
        for system, feed in feeds:
            row = {"system": system, "feed": feed, "value": {}, "next_at": 0.0, "ok_at": store.now}
            await connection.execute(sa.insert(schema.cursor).values(row))
    await asyncio.gather(*(desk.care() for desk in desks))


async def told(store: Store, type_: str) -> list[dict[str, Any]]:
    return [row["data"]["trial"] for row in await rows_of(store, schema.event, type=type_)]


async def state(store: Store) -> str:
    [row] = await rows_of(store, schema.trial)
    return str(row["state"])


async def test_of_many_who_decide_at_once_only_so_much_is_decided_as_is_out(store: Store) -> None:
    blueprint = plan()
    desk = await on_trial(store, blueprint)

    async def decide(number: int) -> str:
        key = f"key-{number % 4}"
        keep, back = ({"100": Decimal(2)}, {}) if number % 2 else ({}, {"100": Decimal(2)})
        try:
            await desk.decide(*WHO, keep, back, key)
        except TooMany:
            return ""
        return key

    taken = [key for key in await asyncio.gather(*map(decide, range(8))) if key]
    assert (len(taken), len(set(taken))) == (4, 2), "two decisions, each sent twice"
    assert len(await told(store, "trial.decided")) == 2
    standing = await desk.of_customer(*WHO)
    assert standing.lines["100"].undecided == 1
    with pytest.raises(AnotherRequest):
        await desk.decide(*WHO, {"100": Decimal(1)}, {}, taken[0])
    returns = assembly.returning(store, blueprint)
    assert (await returns.of_customer(*WHO)).left.get("100", 0) == standing.lines["100"].kept, "only what is kept"


async def test_what_is_undecided_at_the_end_is_charged_once_by_whoever_looks(store: Store) -> None:
    blueprint = plan("charge")
    desk = await on_trial(store, blueprint, days=8)
    with pytest.raises(Over):
        await desk.decide(*WHO, {}, {"100": Decimal(5)}, "too-late-1")
    for read in (0, 1):
        await look(store, desk, read=read)
    assert await state(store) == "open", "it may have come back, or be cancelled, where was not looked since"
    await look(store, desk, assembly.trying(store, blueprint))
    await look(store, desk)
    [settled] = await told(store, "trial.settled")
    assert (settled["amount"], settled["payment"]) == ("60.00 EUR", {"method": "try_at_home", "reference": "ref-1001"})
    assert [each["by"] for each in await told(store, "trial.decided")] == ["time_over"]
    assert [row["operation"] for row in await rows_of(store, schema.delivery)] == ["settle_trial"]


async def test_a_person_is_asked_once_at_the_end_and_decides(store: Store) -> None:
    desk = await on_trial(store, plan(), days=8)
    await look(store, desk)
    await look(store, desk)
    assert await told(store, "trial.overdue") == [{"why": "time_over"}]
    await desk.decide(*WHO, {"100": Decimal(1)}, {"100": Decimal(1)}, "late-but-1")
    ended = await desk.end(OF.canonical_id, True, "kim", "said so on the telephone")
    assert (str(ended.settled.amount) if ended.settled else "", await state(store)) == ("48.00 EUR", "settled")
    assert [row["act"] for row in await rows_of(store, schema.audit)] == ["trial.kept"]
    with pytest.raises(Over):
        await desk.end(OF.canonical_id, False, "kim", "again")


async def test_what_somebody_faster_has_settled_stays_as_it_is(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = await on_trial(store, plan("charge"), days=8)
    await look(store, desk)
    await changed(store, status=Status.CANCELLED)

    async def still_due(_store: Store, _limit: int) -> list[str]:
        return [OF.canonical_id]

    monkeypatch.setattr(trials, "due", still_due)
    await desk.care()
    assert await state(store) == "settled"


@pytest.mark.parametrize("status", [Status.CANCELLED, Status.REFUNDED])
async def test_what_its_shop_gives_up_is_never_charged(store: Store, status: Status) -> None:
    desk = await on_trial(store, plan("charge"), days=8)
    await changed(store, status=status)
    await look(store, desk)
    assert (await state(store), await told(store, "trial.settled")) == ("closed", [])


async def test_a_refund_that_does_not_fit_the_charge_is_put_before_a_person(store: Store) -> None:
    desk = await on_trial(store, plan("charge"))
    await changed(store, refunds=(given_back(OF, "9", "5.00"),))
    await desk.decide(*WHO, {"100": Decimal(5)}, {}, "all-of-it")
    assert (await state(store), await told(store, "trial.overdue")) == ("asked", [{"why": "refunded"}])
    assert await told(store, "trial.settled") == []


async def test_operations_on_a_trial_do_only_what_was_charged(store: Store) -> None:
    """It is not invoiced, held or paid before it is settled, and then paid by the charge; others go as they are."""
    blueprint = plan()
    desk, rules = await on_trial(store, blueprint), OnTrial(blueprint.trials)
    paid = await changed(store, payments=(OF.payments[0].model_copy(update={"paid_at": datetime.now(UTC)}),))

    async def ruled(operation: str, of: Item) -> Any:
        return (await rules.prepare(store, f"odoo.{operation}", [of])).get(of.delivery)

    async def payment() -> tuple[bool, str]:
        [told] = Order.model_validate((await ruled("accept_order", item(paid))).more["order"]).payments
        return told.paid_at is not None, str(told.amount)

    refund = refunded(paid, given_back(OF, "9", l100="3"))
    for operation in ("invoice_order", "hold_order", "settle_trial", "refund_order"):
        assert (await ruled(operation, refund)).instead.kind is Kind.DONE, operation
    assert await payment() == (False, "60.00 EUR")
    await desk.decide(*WHO, {"100": Decimal(2)}, {"100": Decimal(3)}, "some-of-it")
    assert await payment() == (True, "24.00 EUR")
    assert (await ruled("settle_trial", refund)).more["charge"]["lines"] == {"100": "2"}
    assert (await ruled("refund_order", refund)).more["refunds"] == [], "it was never charged"
    other = order("1002", method="bacs")
    assert await ruled("invoice_order", item(other)) is None
    assert (await ruled("settle_trial", item(other))).instead.kind is Kind.DONE


@pytest.mark.parametrize(("sku", "quantity"), [("RX-1", "1"), ("SHIRT", "6")])
async def test_what_may_not_be_sent_on_trial_waits_for_a_person(store: Store, sku: str, quantity: str) -> None:
    blueprint, of = plan(), order("1003", line(sku, quantity=quantity), method="try_at_home", paid=False)
    async with store.write() as connection:
        await trials.begin(connection, store, {of.canonical_id: ("web", of.number)})
    rules = OnTrial(blueprint.trials)
    [ruling] = (await rules.prepare(store, "odoo.accept_order", [item(of)])).values()
    assert ruling.instead is not None
    assert (ruling.instead.kind, ruling.instead.reason) == (Kind.REJECTED, "not_on_trial")
    [ruling] = (await rules.prepare(store, "odoo.accept_order", [item(of, link="7")])).values()
    assert ruling.instead is None, "it is in Odoo already"
