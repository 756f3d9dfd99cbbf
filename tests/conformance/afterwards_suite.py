"""What every ERP must show of an order's life after it was taken over: changed, cancelled, invoiced, refunded, shipped.

Written once; odoo_suite.py inherits it. Everything is read from the ERP itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from tests.conformance.erp_suite import NUMBERS, Accept, Connect, ErpSuite, Make, deliver
from tests.conformance.making import LYON, PARIS, about, account, given_back, item, line, order, owning, refunded
from tests.conformance.odoo_place import Erp

from counterfoil.hub.contract import Item, Kind, Outcome
from counterfoil.retail.order import LineKind, Order, Status

Carry = Callable[..., Awaitable[Outcome]]

SHIPPING = line(net="4.13", taxes={"20": "0.83"}, kind=LineKind.SHIPPING, id="900")


def three(**more: Any) -> list[Any]:
    """Three of SKU-A, two of SKU-B, and shipping: 52.20 in all."""
    return [
        line("SKU-A", "33.33", {"20": "6.67"}, quantity="3", id="100"),
        line("SKU-B", "6.85", {"5.5": "0.39"}, quantity="2", id="101"),
        SHIPPING,
    ]


def also(of: Order, *lines: Any, **more: Any) -> Order:
    """The same order as the shop has it now; without lines, with those it had."""
    person = {
        "email": of.customer.email,
        "paid": of.paid_at is not None,
        "billing": of.billing,
        "shipping": of.shipping,
    }
    return order(of.id, *(lines or of.lines), **{"currency": of.currency, **person, **more})


class AfterwardsSuite(ErpSuite):
    """The right-hand column of the order table, and what the ERP does of its own."""

    @pytest.fixture
    def carry(self, connect: Connect) -> Carry:
        """Carries out one operation on one item as the worker would, by another hub each time."""

        async def carry_out(name: str, it: Item) -> Outcome:
            return (await deliver(connect().operations[name], [it]))[0]

        return carry_out

    # --- changed in the shop ------------------------------------------------------------------------------------

    CHANGES: ClassVar[dict[str, list[Any]]] = {
        "more of it": [line("SKU-A", "44.44", {"20": "8.89"}, quantity="4", id="100"), *three()[1:]],
        "less of it": [line("SKU-A", "11.11", {"20": "2.22"}, quantity="1", id="100"), *three()[1:]],
        "another price": [line("SKU-A", "30.00", {"20": "6.00"}, quantity="3", id="100"), *three()[1:]],
        "its tax alone": [line("SKU-A", "33.33", {"20": "6.66"}, quantity="3", id="100"), *three()[1:]],
        "a line gone": [three()[0], SHIPPING],
        "a line more": [*three(), line("SKU-C", "7.00", {"20": "1.40"}, id="105")],
        "a line replaced": [three()[0], line("SKU-C", "6.85", {"5.5": "0.39"}, quantity="2", id="106"), SHIPPING],
        "another product on the same line": [
            three()[0],
            line("SKU-C", "6.85", {"5.5": "0.39"}, quantity="2", id="101"),
            SHIPPING,
        ],
        "dearer shipping": [*three()[:2], SHIPPING.model_copy(update={"net": line(net="9.00").net})],
        "a cent of rounding": three(),
    }

    @pytest.mark.parametrize("level", ["quotation", "accept"])
    async def test_a_change_arrives(self, erp: Erp, new: Make, connect: Connect, level: str) -> None:
        """Lines, quantities, prices, taxes, shipping: brought to what the shop says now, to the cent, and what is to
        be shipped follows; twice is once, and writes nothing the second time."""
        then = {name: new(*three()) for name in self.CHANGES}
        taken = await deliver(connect().operations["accept_order"], [item(of, level=level) for of in then.values()])
        links = dict(zip(then, (outcome.link for outcome in taken), strict=True))
        told = {"a cent of rounding": {"told_total": "52.21"}}
        now = {name: also(of, *self.CHANGES[name], **told.get(name, {})) for name, of in then.items()}
        items = [item(now[n], level=level, before=then[n], link=links[n], event_type="order.changed") for n in then]
        outcomes = await deliver(connect().operations["amend_order"], items)
        for (name, of), outcome in zip(now.items(), outcomes, strict=True):
            assert (outcome.kind, outcome.emits) == (Kind.DONE, ("order.accepted",)), f"{name}: {outcome}"
            self.as_told(erp, of, name)
            units = {each.sku: float(each.quantity) for each in of.lines if each.sku}
            assert erp.to_ship(of) == (units if level == "accept" else {}), name
        before = [erp.everything(of) for of in now.values()]
        await asyncio.sleep(1.1)  # times of change are kept in whole seconds
        again = await deliver(connect().operations["amend_order"], items)
        assert [o.kind for o in again] == [Kind.DONE] * len(again)
        assert [erp.everything(of) for of in now.values()] == before

    def as_told(self, erp: Erp, of: Order, name: str = "") -> None:
        """The ERP's order is the shop's, to the cent, and so is what was paid."""
        seen = erp.one(of).seen
        assert seen.total == seen.rounded(of.total.amount), name
        assert seen.paid == (seen.total if of.paid_at else Decimal(0)), name
        for each in of.lines:
            net, tax, _ = seen.lines[self.standing(seen.lines, each.id)]
            assert (net, tax) == (seen.rounded(each.net.amount), seen.rounded(each.tax.amount)), f"{name} {each.id}"

    def standing(self, lines: dict[str, Any], number: str) -> str:
        """The line it stands on: another one where its product was exchanged."""
        return next((key for key in lines if key.startswith(f"{number}_item_")), number)

    async def test_another_address_reaches_the_open_delivery(
        self, erp: Erp, new: Make, accept: Accept, carry: Carry
    ) -> None:
        """The order and the delivery that waits; lines are left alone."""
        of = new(*three())
        await accept(of)
        moved = of.model_copy(update={"shipping": LYON})
        outcome = await carry("amend_order", item(moved, before=of))
        assert outcome.kind is Kind.DONE
        [home] = erp.children(erp.one(of).customer)
        assert home["city"] == "Lyon"
        assert [p["partner_id"][0] for p in erp.waiting(of)] == [home["id"]]

    async def test_two_changes_one_after_the_other(self, erp: Erp, new: Make, accept: Accept, carry: Carry) -> None:
        """There and back: 3, 5 and 3 again; the newest state counts, also for the event that waited."""
        of = new(*three())
        await accept(of)
        five = also(of, line("SKU-A", "55.55", {"20": "11.11"}, quantity="5", id="100"), *three()[1:])
        for now, state in ((five, five), (of, of), (five, of)):
            assert (await carry("amend_order", item(now, state=state))).kind is Kind.DONE
            self.as_told(erp, state)
        assert erp.to_ship(of) == {"SKU-A": 3.0, "SKU-B": 2.0}

    async def test_a_lost_answer_to_a_change(self, erp: Erp, new: Make, accept: Accept, connect: Connect) -> None:
        """case: F01 - the retry finds it changed."""
        of = new(*three())
        await accept(of)
        now = also(of, *self.CHANGES["a line more"])
        erp.faults.add("lost_answer", path=erp.writes["the order"])
        failures: list[Outcome] = []
        outcomes = await deliver(connect().operations["amend_order"], [item(now, before=of)], failures)
        assert [f.reason for f in failures] == ["answer_lost"]
        assert outcomes[0].kind is Kind.DONE
        self.as_told(erp, now)

    async def test_a_change_after_shipping_is_for_a_person(
        self, erp: Erp, new: Make, accept: Accept, connect: Connect
    ) -> None:
        """Both versions are shown, nothing is rewritten, and the other order of the batch is changed."""
        gone, other = new(*three()), new(*three())
        await accept(gone)
        await accept(other)
        erp.ship(gone)
        before = erp.everything(gone)
        changed = [also(of, *self.CHANGES["less of it"]) for of in (gone, other)]
        outcomes = await deliver(
            connect().operations["amend_order"],
            [item(n, before=b) for n, b in zip(changed, (gone, other), strict=True)],
        )
        assert [o.reason or str(o.kind) for o in outcomes] == ["changed_after_shipping", "done"]
        assert "52.2 EUR" in outcomes[0].message
        assert f"{changed[0].total}" in outcomes[0].message
        assert erp.everything(gone) == before

    async def test_what_is_not_shipped_yet_may_change(self, erp: Erp, new: Make, accept: Accept, carry: Carry) -> None:
        """All of A has left, none of B: B may still change, A may not."""
        of = new(*three())
        await accept(of)
        erp.ship(of, sku_a=3)
        more = also(of, three()[0], line("SKU-B", "10.28", {"5.5": "0.57"}, quantity="3", id="101"), SHIPPING)
        assert (await carry("amend_order", item(more, before=of))).kind is Kind.DONE
        self.as_told(erp, more)
        assert erp.to_ship(of) == {"SKU-B": 3.0}
        moved = more.model_copy(update={"shipping": LYON})
        assert (await carry("amend_order", item(moved, before=more))).reason == "changed_after_shipping"

    async def test_a_persons_line_is_not_touched(self, erp: Erp, new: Make, accept: Accept, carry: Carry) -> None:
        """A person put a gift into the order: theirs to sort out, nothing is rewritten."""
        of = new(*three())
        await accept(of)
        product = erp.make_product(f"GIFT-{next(NUMBERS)}")
        values = {"order_id": erp.number(of), "product_id": product, "product_uom_qty": 1.0, "price_unit": 0.0}
        erp.api.call("sale.order.line", "create", vals_list=[values | {"name": "A gift"}])
        before = erp.everything(of)
        outcome = await carry("amend_order", item(also(of, *self.CHANGES["less of it"]), before=of))
        assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "changed_in_odoo")
        assert "A gift" in outcome.message
        assert erp.everything(of) == before

    async def test_a_locked_order_is_not_changed(self, erp: Erp, new: Make, accept: Accept, carry: Carry) -> None:
        """Someone locked it for a reason."""
        of = new(*three())
        await accept(of)
        erp.lock(of)
        before = erp.everything(of)
        outcome = await carry("amend_order", item(also(of, *self.CHANGES["less of it"]), before=of))
        assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "locked_in_odoo")
        assert erp.everything(of) == before

    async def test_a_change_of_no_concern_writes_nothing(
        self, erp: Erp, new: Make, accept: Accept, carry: Carry
    ) -> None:
        """An article is called something else in the shop now; and a person's price that agrees with the shop's."""
        of = new(line("SKU-A", "33.33", {"20": "6.67"}, quantity="3"), shipping=LYON, told_total="40.01")
        link = (await accept(of)).link
        before = erp.everything(of)
        await asyncio.sleep(1.1)  # times of change are kept in whole seconds
        renamed = of.lines[0].model_copy(update={"name": "New and improved"})
        now = of.model_copy(update={"lines": (renamed,), "note": "hurry"})
        outcome = await carry("amend_order", item(now, before=of, link=link))
        assert (outcome.kind, outcome.link) == (Kind.DONE, link)
        assert erp.everything(of) == before

    async def test_a_changed_order_that_was_never_accepted_is_taken_as_it_stands(
        self, erp: Erp, new: Make, carry: Carry
    ) -> None:
        """What was wrong with it may just have been put right."""
        then = new(line("NOWHERE"))
        now = order(then.id, line("SKU-A", "20.00", {"20": "4.00"}))
        outcome = await carry("amend_order", item(now, before=then))
        assert (outcome.kind, outcome.emits) == (Kind.DONE, ("order.accepted",))
        assert erp.one(now).seen.total == Decimal("24.00")

    # --- paid later, payment lost -------------------------------------------------------------------------------

    async def test_a_lost_payment(self, erp: Erp, new: Make, accept: Accept, carry: Carry) -> None:
        """A quotation stays one; of a confirmed order a person must know; nothing is written."""
        waiting, confirmed = new(paid=False), new(paid=False)
        await accept(waiting, level="quotation")
        await accept(confirmed)
        before = [erp.everything(of) for of in (waiting, confirmed)]
        back = [of.model_copy(update={"status": Status.PENDING}) for of in (waiting, confirmed)]
        held, lost = [await carry("hold_order", item(of)) for of in back]
        assert (held.kind, lost.kind, lost.reason) == (Kind.DONE, Kind.REJECTED, "payment_lost")
        assert lost.suggestion
        assert [erp.everything(of) for of in (waiting, confirmed)] == before
        paid_by_now = await carry("hold_order", item(back[1], state=confirmed))
        assert paid_by_now.kind is Kind.DONE

    # --- invoiced -----------------------------------------------------------------------------------------------

    async def test_invoices_are_the_customers_to_the_cent(self, erp: Erp, new: Make, connect: Connect) -> None:
        """case: F24, F26, F27 - on order: each row of the table of amounts is invoiced and posted at the customer's
        total, balanced, and paid by the payment recorded; a repeat changes nothing."""
        names = list(self.AMOUNTS)
        orders = [new(*self.AMOUNTS[name][0], **self.AMOUNTS[name][1]) for name in names]
        await deliver(connect().operations["accept_order"], [item(of) for of in orders])
        outcomes = await deliver(connect().operations["invoice_order"], [item(of) for of in orders])
        for name, of, outcome in zip(names, orders, outcomes, strict=True):
            assert outcome.kind is Kind.DONE, f"{name}: {outcome}"
            seen = erp.one(of).seen
            [invoice] = erp.invoices(of)
            assert invoice["state"] == "posted", name
            assert (Decimal(str(invoice["amount_total"])), Decimal(str(invoice["amount_tax"]))) == (
                seen.total,
                seen.tax,
            ), name
            assert (invoice["payment_state"], invoice["amount_residual"]) == ("paid", 0.0), name
            assert erp.is_balanced(invoice), name
            entries = [paid["move_id"] for paid in erp.payments(of) if paid["move_id"]]
            assert all(erp.is_balanced({"id": number}) for number, _ in entries), name
            assert outcome.result["invoices"][0]["number"] == invoice["name"]
        before = [erp.invoices(of) for of in orders]
        again = await deliver(connect().operations["invoice_order"], [item(of) for of in orders])
        assert [o.kind for o in again] == [Kind.DONE] * len(again)
        assert [erp.invoices(of) for of in orders] == before

    async def test_an_unpaid_invoice_is_paid_when_the_money_comes(
        self, erp: Erp, new: Make, accept: Accept, carry: Carry
    ) -> None:
        """Sold by transfer or on delivery: invoiced open; the payment that comes later pays it, and a repeat of either
        changes nothing."""
        of = new(paid=False)
        await accept(of)
        assert (await carry("invoice_order", about(of))).kind is Kind.DONE
        assert [i["payment_state"] for i in erp.invoices(of)] == ["not_paid"]
        for _ in range(2):
            assert (await accept(also(of, paid=True), event_type="order.paid")).kind is Kind.DONE
            assert [(i["payment_state"], i["amount_residual"]) for i in erp.invoices(of)] == [("paid", 0.0)]
            assert (await carry("invoice_order", about(of, "order.accepted"))).kind is Kind.DONE
        assert len(erp.money(of)) == 1

    async def test_nothing_to_invoice_yet(self, erp: Erp, new: Make, accept: Accept, carry: Carry) -> None:
        """A quotation, an order that is not there: done, saying so."""
        of = new()
        await accept(of, level="quotation")
        for it in (about(of), about(new())):
            outcome = await carry("invoice_order", it)
            assert (outcome.kind, outcome.emits) == (Kind.DONE, ())
        assert erp.invoices(of) == []

    INVOICE_STEPS: ClassVar[tuple[str, ...]] = (
        "/create_invoices",
        "/account.move/action_post",
        "/js_assign_outstanding_line",
    )

    async def test_a_lost_answer_to_an_invoice(self, erp: Erp, new: Make, connect: Connect) -> None:
        """case: F01 - whichever answer was lost: one invoice, posted and paid."""
        orders = {what: new(*three()) for what in self.INVOICE_STEPS}
        await deliver(connect().operations["accept_order"], [item(of) for of in orders.values()])
        for what, of in orders.items():
            erp.faults.add("lost_answer", path=what)
            failures: list[Outcome] = []
            outcomes = await deliver(connect().operations["invoice_order"], [about(of)], failures)
            assert [f.reason for f in failures] == ["answer_lost"], what
            assert outcomes[0].kind is Kind.DONE, what
            self.invoiced_once(erp, of, what)

    async def test_two_hubs_invoice_at_once(self, erp: Erp, new: Make, connect: Connect) -> None:
        """case: F03 - wherever they meet, one invoice."""
        orders = {what: new(*three()) for what in self.INVOICE_STEPS}
        await deliver(connect().operations["accept_order"], [item(of) for of in orders.values()])
        for what, of in orders.items():
            erp.meeting.at(what)
            both = await asyncio.gather(
                *(deliver(connect().operations["invoice_order"], [about(of)]) for _ in range(2))
            )
            assert [outcomes[0].kind for outcomes in both] == [Kind.DONE] * 2, f"{what}: {both}"
            self.invoiced_once(erp, of, what)

    def invoiced_once(self, erp: Erp, of: Order, what: str) -> None:
        """An order of `three` has one invoice, posted and paid."""
        assert [(i["state"], i["amount_total"], i["payment_state"]) for i in erp.invoices(of)] == [
            ("posted", 52.2, "paid")
        ], what

    async def test_a_change_is_invoiced_anew(self, erp: Erp, new: Make, accept: Accept, carry: Carry) -> None:
        """Invoiced on order, then changed: the invoice is taken back by a credit note, a new one has the new total, and
        what is left open between them is nothing."""
        of = new(*three())
        await accept(of)
        await carry("invoice_order", about(of))
        now = also(of, *self.CHANGES["less of it"])
        for _ in range(2):
            assert (await carry("amend_order", item(now, before=of))).kind is Kind.DONE
            assert (await carry("invoice_order", about(of))).kind is Kind.DONE
        first, second = erp.invoices(of)
        [note] = erp.credit_notes(of)
        assert (first["amount_total"], note["amount_total"], note["state"]) == (52.2, 52.2, "posted")
        assert note["reversed_entry_id"][0] == first["id"]
        assert Decimal(str(second["amount_total"])) == now.total.amount
        assert set(erp.to_invoice(of)) == {0.0}
        assert sum(move["amount_residual"] for move in (second, note)) == 0.0

    # --- cancelled ----------------------------------------------------------------------------------------------

    async def test_an_invoiced_order_is_cancelled(self, erp: Erp, new: Make, accept: Accept, cancel: Accept) -> None:
        """Its invoice is taken back by a credit note, once; the money is given back by the refund."""
        of = new(*three())
        await accept(of)
        connector = erp.connector()
        await deliver(connector.operations["invoice_order"], [about(of)])
        for _ in range(2):
            outcome = await cancel(of)
            assert (outcome.kind, outcome.emits) == (Kind.DONE, ())
        assert erp.one(of).state == "cancelled"
        [note] = erp.credit_notes(of)
        assert (note["state"], note["amount_total"]) == ("posted", 52.2)
        assert erp.to_ship(of) == {}
        gone = of.model_copy(update={"status": Status.CANCELLED})
        refund = given_back(of, f"{of.id}1", "52.20")
        for _ in range(2):
            assert (await deliver(connector.operations["refund_order"], [refunded(gone, refund)]))[0].kind is Kind.DONE
        await connector.close()
        assert [note["amount_residual"] for note in erp.credit_notes(of)] == [0.0]
        assert [(d, a) for d, a, _ in erp.money(of)] == [("inbound", 52.2), ("outbound", 52.2)]

    # --- refunded -----------------------------------------------------------------------------------------------

    REFUNDS: ClassVar[dict[str, tuple[dict[str, str], str]]] = {
        "by lines": ({"l100": "1", "l101": "2"}, "20.57"),
        "money for a line": ({"l100": "0"}, "40.00"),
        "shipping": ({"l900": "1"}, "4.96"),
        "an amount": ({"amount": "12.34"}, "12.34"),
        "a line and more": ({"l101": "1", "amount": "10.00"}, "10.00"),
        "a line but less": ({"l101": "2", "amount": "5.00"}, "5.00"),
        "in full": ({"amount": "52.20"}, "52.20"),
        "in full by lines": ({"l100": "3", "l101": "2", "l900": "1"}, "52.20"),
    }

    @pytest.mark.parametrize("how", ["invoiced", "not invoiced"])
    @pytest.mark.parametrize("shipped", [False, True], ids=["before shipping", "after shipping"])
    async def test_refunds_to_the_cent(self, erp: Erp, new: Make, connect: Connect, how: str, shipped: bool) -> None:
        """case: F31 - a posted credit note of exactly the refund, the payment out, both matched; units that wait are
        not shipped any more, shipped ones get a return that waits; and nothing is invoiced a second time."""
        orders = {name: new(*three()) for name in self.REFUNDS}
        done = await deliver(connect().operations["accept_order"], [item(of) for of in orders.values()])
        assert {o.kind for o in done} == {Kind.DONE}
        for of in orders.values() if shipped else ():
            erp.ship(of)
        if how == "invoiced":
            await deliver(connect().operations["invoice_order"], [about(of) for of in orders.values()])
        refunds = {name: given_back(of, f"{of.id}1", **self.REFUNDS[name][0]) for name, of in orders.items()}
        items = [refunded(of, refunds[name]) for name, of in orders.items()]
        for _ in range(2):
            outcomes = await deliver(connect().operations["refund_order"], items)
            for (name, of), outcome in zip(orders.items(), outcomes, strict=True):
                assert (outcome.kind, outcome.emits) == (Kind.DONE, ()), f"{name}: {outcome}"
                self.given_back(erp, of, self.REFUNDS[name][1], name)
        for name, of in orders.items():
            back = {k: float(v) for k, v in self.REFUNDS[name][0].items() if k in ("l100", "l101")}
            units = {"SKU-A": back.get("l100", 0.0), "SKU-B": back.get("l101", 0.0)}
            if name == "in full" and not shipped:
                units = {"SKU-A": 3.0, "SKU-B": 2.0}
            left = {"SKU-A": 3.0 - units["SKU-A"], "SKU-B": 2.0 - units["SKU-B"]}
            assert erp.to_ship(of) == ({} if shipped else {k: v for k, v in left.items() if v}), name
            assert erp.to_come_back(of) == ({k: v for k, v in units.items() if v} if shipped else {}), name
        await deliver(connect().operations["invoice_order"], [about(of) for of in orders.values()])
        for name, of in orders.items():
            invoiced = sum(Decimal(str(i["amount_total"])) for i in erp.invoices(of))
            assert invoiced == Decimal("52.20"), f"{name}: the refund is a credit note, not less of an invoice"
            assert {i["payment_state"] for i in erp.invoices(of)} == {"paid"}, name
            assert set(erp.to_invoice(of)) == {0.0}, name

    def given_back(self, erp: Erp, of: Order, amount: str, name: str = "") -> None:
        """One posted credit note of the amount, one payment out, matched."""
        [note] = erp.credit_notes(of)
        assert (note["state"], Decimal(str(note["amount_total"]))) == ("posted", Decimal(amount)), name
        assert note["amount_residual"] == 0.0, name
        assert note["invoice_date"] == "2026-11-09", name
        assert erp.is_balanced(note), name
        reversed_ = [i["id"] for i in erp.invoices(of) if i["id"] == (note["reversed_entry_id"] or [0])[0]]
        assert len(reversed_) == bool(erp.invoices(of)) or not note["reversed_entry_id"], name
        out = [(a, s) for d, a, s in erp.money(of) if d == "outbound"]
        assert [a for a, _ in out] == [float(amount)], name
        assert out[0][1] in ("in_process", "paid"), name

    ODD: ClassVar[tuple[str, ...]] = (
        "F24 inclusive, odd cents",
        "F25 percentage voucher, everything free",
        "F26 a cent up",
        "F26 a tax nobody would compute",
        "yen with decimals",
        "dollars",
        "two taxes on a line",
        "half a piece",
    )

    async def test_credit_notes_of_odd_amounts(self, erp: Erp, new: Make, connect: Connect) -> None:
        """case: F24, F26, F28 - given back in full: yen, dollars, two
        taxes on a line, prices with tax, halves of pieces; the credit note is the customer's total."""
        names = self.ODD
        orders = [new(*self.AMOUNTS[name][0], **self.AMOUNTS[name][1]) for name in names]
        await deliver(connect().operations["accept_order"], [item(of) for of in orders])
        await deliver(connect().operations["invoice_order"], [about(of) for of in orders])
        refunds = [given_back(of, f"{of.id}1", str(of.total.amount)) for of in orders]
        items = [refunded(of, refund) for of, refund in zip(orders, refunds, strict=True)]
        outcomes = await deliver(connect().operations["refund_order"], items)
        for name, of, outcome in zip(names, orders, outcomes, strict=True):
            assert outcome.kind is Kind.DONE, f"{name}: {outcome}"
            if not of.total:
                assert erp.credit_notes(of) == [], f"{name}: nothing is posted for nought"
                continue
            [note] = erp.credit_notes(of)
            [invoice] = erp.invoices(of)
            figures = ("amount_total", "amount_tax", "state", "currency_id")
            assert [note[f] for f in figures] == [invoice[f] for f in figures], name
            assert note["amount_residual"] == 0.0, name

    async def test_several_refunds_of_one_order(self, erp: Erp, new: Make, accept: Accept, carry: Carry) -> None:
        """case: F31 - one after another, each told again with the next; each once; on an order of long ago, of which
        everything is shipped and whose article is discontinued by now."""
        sku = f"OLD-{next(NUMBERS)}"
        product = erp.make_product(sku)
        of = new(line(sku, "30.00", {"20": "6.00"}, quantity="3", id="100"), SHIPPING)
        await accept(of)
        erp.ship(of)
        await carry("invoice_order", about(of))
        erp.api.call("product.product", "write", ids=[product], vals={"active": False})
        first, second = given_back(of, f"{of.id}1", l100="1"), given_back(of, f"{of.id}2", "2.00")
        third = given_back(of, f"{of.id}3", l100="2")
        for told in ([first], [first, second], [first, second, third], [third]):
            assert (await carry("refund_order", refunded(of, *told))).kind is Kind.DONE
        assert [n["amount_total"] for n in erp.credit_notes(of)] == [12.0, 2.0, 24.0]
        assert [a for d, a, _ in erp.money(of) if d == "outbound"] == [12.0, 2.0, 24.0]
        assert erp.to_come_back(of) == {sku: 3.0}
        assert {n["amount_residual"] for n in erp.credit_notes(of)} == {0.0}

    async def test_part_of_it_has_left(self, erp: Erp, new: Make, accept: Accept, carry: Carry) -> None:
        """Two of three have left and all three are given back: one is not sent, two come back; invoiced by what is
        ordered or delivered, nothing is charged again."""
        of = new(*three())
        await accept(of)
        erp.ship(of, sku_a=2, sku_b=2)
        assert erp.to_ship(of) == {"SKU-A": 1.0}
        await carry("invoice_order", about(of))
        refund = given_back(of, f"{of.id}1", l100="3")
        for _ in range(2):
            assert (await carry("refund_order", refunded(of, refund))).kind is Kind.DONE
        self.given_back(erp, of, "40.00")
        assert (erp.to_ship(of), erp.to_come_back(of)) == ({}, {"SKU-A": 2.0})
        assert set(erp.to_invoice(of)) == {0.0}

    async def test_a_change_after_a_refund_keeps_it(self, erp: Erp, new: Make, accept: Accept, carry: Carry) -> None:
        """One of three was given back before it was sent; then the address changes and a line is added: the refunded
        unit does not come back to life."""
        of = new(*three())
        await accept(of)
        await carry("refund_order", refunded(of, given_back(of, f"{of.id}1", l100="1")))
        now = also(of, *self.CHANGES["a line more"], shipping=LYON)
        assert (await carry("amend_order", item(now, before=of))).kind is Kind.DONE
        assert erp.to_ship(of) == {"SKU-A": 2.0, "SKU-B": 2.0, "SKU-C": 1.0}
        [home] = erp.children(erp.one(of).customer)
        # what joins a delivery leaves its address alone
        assert {p["partner_id"][0] for p in erp.waiting(of)} == {home["id"]}
        assert erp.one(of).seen.total == now.total.amount - Decimal("13.33")

    async def test_refunds_that_post_nothing(self, erp: Erp, new: Make, connect: Connect) -> None:
        """case: F29 - pending, not known whole, for nought, of an order never paid or never taken over."""
        paid, unpaid, unknown = new(*three()), new(*three(), paid=False), new(*three())
        await deliver(connect().operations["accept_order"], [item(paid), item(unpaid)])
        whole = given_back(paid, f"{paid.id}1", "10.00")
        vague = [
            refunded(paid, whole.model_copy(update={"pending": True})),
            refunded(paid, whole.model_copy(update={"refunded_at": None})),
            refunded(paid, given_back(paid, f"{paid.id}1", "0.00")),
            refunded(unpaid, given_back(unpaid, f"{unpaid.id}1", "10.00")),
            refunded(unknown, given_back(unknown, f"{unknown.id}1", "10.00")),
        ]
        for it in vague:
            outcome = (await deliver(connect().operations["refund_order"], [it]))[0]
            assert (outcome.kind, outcome.emits) == (Kind.DONE, ())
        for of in (paid, unpaid):
            assert erp.credit_notes(of) == []
            assert [d for d, _, _ in erp.money(of)] == ["inbound"] * (of is paid)
            assert erp.to_ship(of) == {"SKU-A": 3.0, "SKU-B": 2.0}
        assert (await deliver(connect().operations["refund_order"], [refunded(paid, whole)]))[0].kind is Kind.DONE
        assert [n["amount_total"] for n in erp.credit_notes(paid)] == [10.0]

    async def test_given_back_in_full_before_it_was_paid(
        self, erp: Erp, new: Make, connect: Connect, carry: Carry
    ) -> None:
        """case: F29 - sold on delivery and refunded in full while nobody had paid: cancelled with its delivery, an
        open invoice taken back, no money booked. One that was paid is not cancelled by its refund."""
        unpaid, invoiced = new(*three(), paid=False, method="cod"), new(*three(), paid=False, method="cod")
        paid = new(*three(), method="cod")
        orders = (unpaid, invoiced, paid)
        await deliver(connect().operations["accept_order"], [item(of) for of in orders])
        await carry("invoice_order", about(invoiced))
        backs = [given_back(of, f"{of.id}1", "52.20") for of in orders]
        over = [of.model_copy(update={"status": Status.REFUNDED}) for of in orders]
        assert [erp.to_ship(of) for of in orders] == [{"SKU-A": 3.0, "SKU-B": 2.0}] * 3
        for _ in range(2):
            told = [item(of, event_type="order.cancelled") for of in over]
            outcomes = await deliver(connect().operations["cancel_order"], told)
            assert [(o.kind, "superseded" in o.result) for o in outcomes] == [
                (Kind.DONE, False),
                (Kind.DONE, False),
                (Kind.DONE, True),
            ]
            told = [refunded(of, back) for of, back in zip(over[:2], backs[:2], strict=True)]
            assert {o.kind for o in await deliver(connect().operations["refund_order"], told)} == {Kind.DONE}
        assert [erp.one(of).state for of in orders] == ["cancelled", "cancelled", "confirmed"]
        for of in (unpaid, invoiced):
            deliveries = erp.api.read("stock.picking", [["sale_id", "=", erp.number(of)]], ["state"])
            assert [each["state"] for each in deliveries] == ["cancel"]
            assert erp.money(of) == []
        assert (erp.invoices(unpaid), erp.credit_notes(unpaid)) == ([], [])
        [invoice], [note] = erp.invoices(invoiced), erp.credit_notes(invoiced)
        assert (note["state"], note["amount_total"], note["reversed_entry_id"][0]) == ("posted", 52.2, invoice["id"])
        assert (invoice["amount_residual"], note["amount_residual"]) == (0.0, 0.0)

    async def test_given_back_in_part_and_paid_later(self, erp: Erp, new: Make, accept: Accept, carry: Carry) -> None:
        """case: F29 - sold on delivery, invoiced open, a part given back: nothing is booked until the money is there;
        then the invoice is paid and the refund is booked, once."""
        of = new(*three(), paid=False, method="cod")
        await accept(of)
        await carry("invoice_order", about(of))
        back = given_back(of, f"{of.id}1", l101="1")
        assert (await carry("refund_order", refunded(of, back))).kind is Kind.DONE
        assert (erp.credit_notes(of), erp.money(of)) == ([], [])
        assert [i["payment_state"] for i in erp.invoices(of)] == ["not_paid"]
        paid = also(of, paid=True, method="cod")
        assert (await accept(paid, event_type="order.paid")).kind is Kind.DONE
        assert [(i["payment_state"], i["amount_residual"]) for i in erp.invoices(of)] == [("paid", 0.0)]
        amount = str(back.amount.amount)
        for _ in range(2):
            assert (await carry("refund_order", refunded(paid, back))).kind is Kind.DONE
            self.given_back(erp, of, amount)
        assert [(d, a) for d, a, _ in erp.money(of)] == [("inbound", 52.2), ("outbound", float(amount))]
        assert [i["payment_state"] for i in erp.invoices(of)] == ["paid"]
        assert erp.to_ship(of) == {"SKU-A": 3.0, "SKU-B": 1.0}

    async def test_more_than_was_paid_is_for_a_person(self, erp: Erp, new: Make, connect: Connect) -> None:
        """case: F17 - nothing of it is booked; the other order of the batch is."""
        much, fair = new(*three()), new(*three())
        await deliver(connect().operations["accept_order"], [item(much), item(fair)])
        items = [
            refunded(much, given_back(much, f"{much.id}1", "50.00"), given_back(much, f"{much.id}2", "2.21")),
            refunded(fair, given_back(fair, f"{fair.id}1", "50.00"), given_back(fair, f"{fair.id}2", "2.20")),
        ]
        outcomes = await deliver(connect().operations["refund_order"], items)
        assert [o.reason or str(o.kind) for o in outcomes] == ["refund_exceeds_order", "done"]
        assert [[n["amount_total"] for n in erp.credit_notes(of)] for of in (much, fair)] == [[], [50.0, 2.2]]

    async def test_a_refund_the_shop_took_back(self, erp: Erp, new: Make, accept: Accept, carry: Carry) -> None:
        """Booked and then deleted in the shop: a person decides, and what is new is booked all the same."""
        of = new(*three())
        await accept(of)
        first, second = given_back(of, f"{of.id}1", "1.00"), given_back(of, f"{of.id}2", "2.00")
        assert (await carry("refund_order", refunded(of, first))).kind is Kind.DONE
        outcome = await carry("refund_order", refunded(of, second, gone=[first.id]))
        assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "refund_deleted")
        assert [n["amount_total"] for n in erp.credit_notes(of)] == [1.0, 2.0]

    STEPS: ClassVar[tuple[str, ...]] = (
        "/account.move/load",
        "/account.move/action_post",
        "/sale.order/load",
        "/account.payment/load",
        "/account.payment/action_post",
        "/stock.picking/load",
        "/stock.picking/action_confirm",
        "/js_assign_outstanding_line",
    )
    LOST: ClassVar[tuple[str, ...]] = STEPS
    MET: ClassVar[tuple[str, ...]] = STEPS

    async def half_shipped(self, erp: Erp, new: Make, connect: Connect, steps: tuple[str, ...]) -> dict[str, Item]:
        """An order for each step, of which every step is needed: units that wait, units that have left, an invoice."""
        orders = {what: new(*three()) for what in steps}
        await deliver(connect().operations["accept_order"], [item(of) for of in orders.values()])
        for of in orders.values():
            erp.ship(of, sku_a=3)
        await deliver(connect().operations["invoice_order"], [about(of) for of in orders.values()])
        return {what: refunded(of, given_back(of, f"{of.id}1", l100="1", l101="2")) for what, of in orders.items()}

    def settled(self, erp: Erp, it: Item, what: str) -> None:
        """A refund of `half_shipped` is booked once."""
        of = Order.model_validate(it.data["order"])
        self.given_back(erp, of, "20.57", what)
        assert (erp.to_ship(of), erp.to_come_back(of)) == ({}, {"SKU-A": 1.0}), what
        assert set(erp.to_invoice(of)) == {0.0}, what

    async def test_a_lost_answer_to_a_refund(self, erp: Erp, new: Make, connect: Connect) -> None:
        """case: F01 - whichever answer was lost: booked once."""
        for what, it in (await self.half_shipped(erp, new, connect, self.LOST)).items():
            erp.faults.add("lost_answer", path=what)
            failures: list[Outcome] = []
            outcomes = await deliver(connect().operations["refund_order"], [it], failures)
            assert [f.reason for f in failures] == ["answer_lost"], what
            assert outcomes[0].kind is Kind.DONE, what
            self.settled(erp, it, what)

    async def test_two_hubs_refund_at_once(self, erp: Erp, new: Make, connect: Connect) -> None:
        """case: F03 - wherever they meet: booked once."""
        for what, it in (await self.half_shipped(erp, new, connect, self.MET)).items():
            erp.meeting.at(what)
            both = await asyncio.gather(*(deliver(connect().operations["refund_order"], [it]) for _ in range(2)))
            assert [outcomes[0].kind for outcomes in both] == [Kind.DONE] * 2, f"{what}: {both}"
            self.settled(erp, it, what)

    # --- shipped ------------------------------------------------------------------------------------------------

    async def test_the_shop_says_completed(self, erp: Erp, new: Make, accept: Accept, carry: Carry) -> None:
        """Shipped in the ERP: fine. Not, or not all: a person must know what is missing. Nothing is written."""
        of = new(*three())
        await accept(of)
        closed = of.model_copy(update={"status": Status.COMPLETED})
        outcome = await carry("check_shipped", item(closed))
        assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "shipped_outside")
        assert "3 × Article SKU-A" in outcome.message
        erp.ship(of, sku_a=3, sku_b=1)
        outcome = await carry("check_shipped", item(closed))
        assert outcome.reason == "shipped_outside"
        assert "SKU-A" not in outcome.message
        assert "1 × Article SKU-B" in outcome.message
        erp.ship(of)
        assert (await carry("check_shipped", item(closed))).kind is Kind.DONE
        assert (await carry("check_shipped", item(closed, state=of))).kind is Kind.DONE
        assert (await carry("check_shipped", item(new(status=Status.COMPLETED)))).kind is Kind.DONE

    # --- history ------------------------------------------------------------------------------------------------

    async def test_an_order_as_history(self, erp: Erp, new: Make, connect: Connect) -> None:
        """Its lines and totals stand there, confirmed; nothing is shipped, posted, paid or told, nor invoiced by a
        late word of it; twice is once."""
        orders = [new(*lines, **more) for lines, more in self.AMOUNTS.values()]
        unwanted = new(status=Status.CANCELLED)
        items = [item(of, event_type="order.history") for of in (*orders, unwanted)]
        for _ in range(2):
            outcomes = await deliver(connect().operations["import_order"], items)
            assert {(o.kind, o.emits) for o in outcomes} == {(Kind.DONE, ())}, outcomes
        late = await deliver(connect().operations["invoice_order"], [about(of) for of in orders])
        assert {(o.kind, "history" in str(o.result["invoiced"])) for o in late} == {(Kind.DONE, True)}
        for name, of in zip(self.AMOUNTS, orders, strict=True):
            standing = erp.one(of)
            assert (standing.state, standing.seen.total) == ("confirmed", standing.seen.rounded(of.total.amount)), name
            assert (erp.pickings(of), erp.invoices(of), erp.money(of)) == ([], [], []), name
        assert erp.standing(unwanted) == []
        assert erp.mails(orders[0]) == []

    async def test_history_is_not_brought_to_life(self, erp: Erp, new: Make, accept: Accept, carry: Carry) -> None:
        """case: F02 - importing what is alive already changes nothing; locked by a person it is no history either."""
        of = new(*three())
        await accept(of)
        before = erp.everything(of)
        await asyncio.sleep(1.1)  # times of change are kept in whole seconds
        assert (await carry("import_order", item(of))).kind is Kind.DONE
        assert erp.everything(of) == before
        assert erp.to_ship(of) == {"SKU-A": 3.0, "SKU-B": 2.0}
        erp.lock(of)
        assert (await carry("invoice_order", about(of))).kind is Kind.DONE
        assert [i["amount_total"] for i in erp.invoices(of)] == [52.2]

    # --- customers ----------------------------------------------------------------------------------------------

    async def test_a_customers_data_arrive(self, erp: Erp, carry: Carry) -> None:
        """Made once, changed where it differs, nothing emptied; a repeat writes nothing."""
        number = str(next(NUMBERS))
        made = await carry("update_customer", account(number, company="Light and Co"))
        assert made.kind is Kind.DONE
        [partner] = erp.customers(f"member-{number}@shop.example")
        assert made.link == str(partner)
        moved = account(number, made.link, billing=LYON, name="Second Light")
        changed = await carry("update_customer", moved)
        assert (changed.link, changed.result["wrote"]) == (made.link, ["city", "name", "street", "zip"])
        [row] = erp.api.read("res.partner", [["id", "=", partner]], ["name", "city", "company_name"])
        assert (row["name"], row["city"], row["company_name"]) == ("Second Light", "Lyon", "Light and Co")
        assert (await carry("update_customer", moved)).result["wrote"] == []

    async def test_of_a_customer_only_what_its_teller_owns_is_written(self, erp: Erp, carry: Carry) -> None:
        """And who owns no customers makes none, under whatever name. case: F34, F36"""
        number = str(next(NUMBERS))
        stranger = owning(account(number, name="Stranger"), "name", "phone")
        assert (await carry("update_customer", stranger)).link == ""
        assert erp.customers(f"member-{number}@shop.example") == []
        made = await carry("update_customer", account(number, phone="+33 1 23 45 67 89", vat=""))
        moved = account(number, made.link, billing=LYON, name="Second Light", phone="+33 9 87 65 43 21")
        changed = await carry("update_customer", owning(moved, "billing.street", "phone"))
        assert changed.result["wrote"] == ["phone", "street"]
        [row] = erp.api.read("res.partner", [["id", "=", int(made.link)]], ["name", "city", "street", "phone"])
        assert (row["name"], row["city"]) == ("First Light", PARIS.city)
        assert (row["street"], row["phone"]) == (LYON.street, "+33 9 87 65 43 21")
        assert (await carry("update_customer", owning(moved))).result["wrote"] == []

    async def test_a_customer_is_found_by_the_declared_keys(
        self, erp: Erp, new: Make, accept: Accept, carry: Carry
    ) -> None:
        """case: F34 - entered by hand, or known from a guest's order: the same person, by the e-mail."""
        email = f"known-{next(NUMBERS)}@shop.example"
        by_hand = erp.make_customer(email.title())
        assert (await carry("update_customer", account(str(next(NUMBERS)), email=email))).link == str(by_hand)
        of = new()
        await accept(of)
        registered = account(str(next(NUMBERS)), email=of.customer.email.upper())
        assert (await carry("update_customer", registered)).link == str(erp.one(of).customer)
        assert len(erp.customers(of.customer.email)) == 1

    async def test_a_customer_is_never_found_by_name(self, erp: Erp, carry: Carry) -> None:
        """case: F36 - two of one name and address are two people; two that match one key are for a person."""
        first = await carry("update_customer", account(str(next(NUMBERS))))
        second = await carry("update_customer", account(str(next(NUMBERS))))
        assert first.link != second.link
        email = f"twins-{next(NUMBERS)}@shop.example"
        erp.make_customer(email)
        erp.make_customer(email)
        outcome = await carry("update_customer", account(str(next(NUMBERS)), email=email))
        assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "ambiguous_customer")

    async def test_a_merged_customer_keeps_its_link(self, erp: Erp, new: Make, accept: Accept, carry: Carry) -> None:
        """case: F35 - merged in the ERP by its own wizard into another: the shop's customer, and its next order, are
        the one that stayed; the stale link is put right."""
        number = str(next(NUMBERS))
        made = await carry("update_customer", account(number))
        stays = erp.make_customer(f"other-{number}@shop.example")
        erp.merge_customers(int(made.link), stays)
        moved = account(number, made.link, billing=LYON)
        for _ in range(2):
            outcome = await carry("update_customer", moved)
            assert (outcome.kind, outcome.link) == (Kind.DONE, str(stays))
        of = new(email=f"member-{number}@shop.example", billing=LYON, paid=False)
        await accept(of)
        assert erp.one(of).customer == stays

    async def test_a_customer_linked_at_onboarding_and_then_merged_is_not_made_again(
        self, erp: Erp, carry: Carry
    ) -> None:
        """case: F35 - linked by its keys, it bears no name of ours that a merge could carry over: by its keys again."""
        number = str(next(NUMBERS))
        linked, stays = (erp.make_customer(f"{who}-{number}@shop.example") for who in ("old", "member"))
        erp.merge_customers(linked, stays)
        outcome = await carry("update_customer", account(number, str(linked), billing=LYON))
        assert (outcome.kind, outcome.link) == (Kind.DONE, str(stays))
        assert erp.customers(f"member-{number}@shop.example") == [stays]

    async def test_a_customer_whom_the_erp_refuses_fails_alone(self, erp: Erp, connect: Connect) -> None:
        """case: F17 - a VAT number that cannot be: the other two of three are there."""
        numbers = [str(next(NUMBERS)) for _ in range(3)]
        items = [account(number, vat="FR00" if n == 1 else "") for n, number in enumerate(numbers)]
        outcomes = await deliver(connect().operations["update_customer"], items)
        assert [o.reason or str(o.kind) for o in outcomes] == ["done", "odoo_refused", "done"]
        assert [len(erp.customers(f"member-{number}@shop.example")) for number in numbers] == [1, 0, 1]

    @pytest.mark.parametrize("what", ["/res.partner/load", "/ir.model.data/create", "/res.partner/write"])
    async def test_a_lost_answer_about_a_customer(self, erp: Erp, connect: Connect, what: str) -> None:
        """case: F05 - one customer, as the shop has it."""
        number = str(next(NUMBERS))
        operation = connect().operations["update_customer"]
        if what.endswith("write"):
            await deliver(operation, [account(number, billing=PARIS)])
        erp.faults.add("lost_answer", path=what)
        failures: list[Outcome] = []
        outcomes = await deliver(operation, [account(number, billing=LYON)], failures)
        assert [f.reason for f in failures] == ["answer_lost"]
        [partner] = erp.customers(f"member-{number}@shop.example")
        assert (outcomes[0].kind, outcomes[0].link) == (Kind.DONE, str(partner))
        assert erp.api.read("res.partner", [["id", "=", partner]], ["city"])[0]["city"] == "Lyon"
