"""What every ERP that takes orders must show, written once.

A connector's test module inherits `ErpSuite` and gives the fixture `erp_of_module`: the ERP looked at and disturbed
from outside (see odoo_place.Erp for what that must offer). Nothing here reads the connector's own word where the
ERP itself can be asked.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from tests.conformance.making import LYON, PLACED, item, line, order
from tests.conformance.odoo_place import WRITES, Erp

from counterfoil.hub.contract import Connector, Failure, Finding, Item, Kind, Mark, Operation, Outcome
from counterfoil.retail.order import Line, LineKind, Order, Status

NUMBERS = itertools.count(1001)
MOST_TRIES = 8

Make = Callable[..., Order]
Connect = Callable[..., Connector]
Accept = Callable[..., Awaitable[Outcome]]


async def deliver(operation: Operation, items: Sequence[Item], failures: list[Outcome] | None = None) -> list[Outcome]:
    """As the worker does it: again after a retry, in halves where a call fails for a reason that may be one item's."""
    for attempt in itertools.count(1):
        try:
            outcomes = await operation.run(items)
        except Failure as failure:
            if failures is not None:
                failures.append(failure.outcome)
            if failure.outcome.kind is Kind.RETRY and attempt < MOST_TRIES:
                await asyncio.sleep(0.05 * attempt)
                continue
            if failure.outcome.kind in (Kind.REJECTED, Kind.BUG) and len(items) > 1:
                half = len(items) // 2
                first = await deliver(operation, items[:half], failures)
                return first + await deliver(operation, items[half:], failures)
            return [failure.outcome] * len(items)
        assert len(outcomes) == len(items), "one outcome for each item"
        return outcomes
    raise AssertionError


def failed(findings: list[Finding]) -> dict[str, Finding]:
    """What the doctor found broken, by the name of the check."""
    return {finding.check: finding for finding in findings if finding.mark is Mark.FAILED}


class ErpSuite:
    """The behaviours, in the order a reader would ask for them."""

    @pytest.fixture
    def erp(self, erp_of_module: Erp) -> Iterator[Erp]:
        """The ERP without any trouble left over."""
        erp_of_module.faults.clear()
        erp_of_module.meeting.at()
        yield erp_of_module
        erp_of_module.faults.clear()

    @pytest.fixture
    def new(self) -> Make:
        """Makes orders that nobody has seen before."""
        return lambda *lines, **more: order(str(next(NUMBERS)), *lines, **more)

    @pytest.fixture
    async def connect(self, erp: Erp) -> AsyncIterator[Connect]:
        """Another hub's connector, as often as it is called; arguments as for Erp.connector."""
        made: list[Connector] = []

        def another(*arguments: Any, **changes: str) -> Connector:
            made.append(erp.connector(*arguments, **changes))
            return made[-1]

        yield another
        for connector in made:
            await connector.close()

    @pytest.fixture
    def accept(self, connect: Connect) -> Accept:
        """Takes one order over as the worker would; arguments as for making.item."""

        async def accept_one(of: Order, **more: Any) -> Outcome:
            return (await deliver(connect().operations["accept_order"], [item(of, **more)]))[0]

        return accept_one

    @pytest.fixture
    def cancel(self, connect: Connect) -> Accept:
        """Tells of one cancelled order as the worker would."""

        async def cancel_one(of: Order, **more: Any) -> Outcome:
            gone = of.model_copy(update={"status": Status.CANCELLED})
            it = item(gone, event_type="order.cancelled", **more)
            return (await deliver(connect().operations["cancel_order"], [it]))[0]

        return cancel_one

    # --- once -----------------------------------------------------------------------------------------------

    async def test_an_order_is_taken_over_whole(self, erp: Erp, new: Make, accept: Accept) -> None:
        """Confirmed, paid, its customer and addresses made, every amount there; the outcome says what stands."""
        shipping = line(net="4.13", taxes={"20": "0.83"}, kind=LineKind.SHIPPING)
        of = new(line("SKU-A", "33.33", {"20": "6.67"}, quantity="3"), shipping, shipping=LYON, method="stripe")
        outcome = await accept(of)
        assert (outcome.kind, outcome.emits) == (Kind.DONE, ("order.accepted",))
        standing = erp.one(of)
        assert outcome.link == str(standing.id)
        assert outcome.result["number"] == standing.seen.number
        assert (standing.state, standing.seen.total, standing.seen.paid) == (
            "confirmed",
            of.total.amount,
            of.total.amount,
        )
        assert outcome.result["total"] == "44.96"
        [paid] = erp.payments(of)
        assert (paid["amount"], paid["date"]) == (44.96, "2026-11-02")
        assert erp.customers(of.customer.email) == [standing.customer]
        assert [(c["type"], c["city"]) for c in erp.children(standing.customer)] == [("delivery", "Lyon")]

    async def test_what_customers_write_is_text(self, erp: Erp, new: Make, accept: Accept) -> None:
        """A note is shown as it was typed, not taken as markup."""
        of = new(note="a < b & <b>bold</b>\nsecond line")
        assert (await accept(of)).kind is Kind.DONE
        note = erp.everything(of)["sale.order"][0]["note"]
        assert "a &lt; b &amp; &lt;b&gt;bold&lt;/b&gt;<br" in note

    async def test_a_repeat_is_a_success_and_rewrites_nothing(self, erp: Erp, new: Make, accept: Accept) -> None:
        """case: F02 - the same ids, the same answer, and not a single write."""
        of = new(line("SKU-A", "10.00", {"20": "2.00"}), line("SKU-B", "5.00", {"5.5": "0.28"}))
        first = await accept(of)
        before = erp.everything(of)
        await asyncio.sleep(1.1)  # times of change are kept in whole seconds
        again = await accept(of, delivery=2, attempt=3, link=first.link)
        assert again == first
        assert erp.everything(of) == before

    async def test_what_a_person_changed_stays(self, erp: Erp, new: Make, accept: Accept) -> None:
        """case: F02 - between the two, someone worked on the order; a retry must not undo that."""
        of = new()
        await accept(of, level="quotation")
        erp.change_price(of, 11.11)
        erp.write(of, client_order_ref="see the letter")
        before = erp.everything(of)["sale.order.line"]
        again = await accept(of)
        assert again.kind is Kind.DONE
        assert erp.one(of).state == "confirmed"
        assert erp.everything(of)["sale.order.line"][0]["price_unit"] == before[0]["price_unit"] == 11.11
        assert erp.everything(of)["sale.order"][0]["client_order_ref"] == "see the letter"

    @pytest.mark.parametrize("what", WRITES)
    async def test_an_answer_lost_after_the_commit(self, erp: Erp, new: Make, connect: Connect, what: str) -> None:
        """case: F01, F02, F05 - whichever answer was lost, the retry finds what landed: one order, one customer,
        one payment, and no error."""
        of = new()
        erp.faults.add("lost_answer", path=erp.writes[what])
        failures: list[Outcome] = []
        outcomes = await deliver(connect().operations["accept_order"], [item(of)], failures)
        assert [(f.kind, f.reason) for f in failures] == [(Kind.RETRY, "answer_lost")]
        assert erp.faults.waiting[0].times == 0
        assert outcomes[0].kind is Kind.DONE
        standing = erp.one(of)
        assert (standing.state, standing.seen.paid) == ("confirmed", of.total.amount)
        assert len(erp.payments(of)) == 1
        assert erp.customers(of.customer.email) == [standing.customer]
        assert standing.seen.total == of.total.amount
        assert len(standing.seen.lines) == len(of.lines)

    async def test_every_answer_lost_twice(self, erp: Erp, new: Make, connect: Connect) -> None:
        """case: F01, F05 - a whole batch on a line that drops each write's answer, twice."""
        orders = [new(line(sku, "10.00", {"20": "2.00"}), shipping=LYON) for sku in ("SKU-A", "SKU-B", "SKU-C")]
        for path in erp.writes.values():
            erp.faults.add("lost_answer", path=path, times=2)
        items = [item(of) for of in orders]
        outcomes: list[Outcome] = []
        for _ in range(3):  # more losses than one delivery has tries
            outcomes = await deliver(connect().operations["accept_order"], items)
            if all(outcome.kind is Kind.DONE for outcome in outcomes):
                break
        assert [outcome.kind for outcome in outcomes] == [Kind.DONE] * 3
        for of in orders:
            standing = erp.one(of)
            assert (standing.state, standing.seen.paid) == ("confirmed", of.total.amount)
            assert len(erp.payments(of)) == 1
            assert erp.customers(of.customer.email) == [standing.customer]
            assert len(erp.children(standing.customer)) == 1

    async def test_a_request_lost_on_its_way(self, erp: Erp, new: Make, connect: Connect) -> None:
        """case: F01 - nothing landed: the retry makes it, once."""
        of = new()
        erp.faults.add("reset", path=erp.writes["the order"])
        outcomes = await deliver(connect().operations["accept_order"], [item(of)])
        assert outcomes[0].kind is Kind.DONE
        assert erp.one(of).state == "confirmed"

    async def test_the_key_comes_from_the_source_alone(self, erp: Erp, new: Make, accept: Accept) -> None:
        """case: F04 - another delivery, attempt, event and state of the same order: the same order."""
        of = new()
        first = await accept(of)
        later = of.model_copy(update={"number": "renumbered", "modified_at": PLACED.replace(day=9), "note": "hurry"})
        again = await accept(later, delivery=77, attempt=5, event_type="order.paid")
        assert again.link == first.link
        assert erp.one(of).seen.number == first.result["number"]
        assert len(erp.payments(of)) == 1

    async def test_the_same_number_in_another_shop_is_another_order(self, erp: Erp, new: Make, accept: Accept) -> None:
        """case: F04 - the source is part of the key."""
        of = new()
        other = of.model_copy(update={"system": "outlet"})
        assert (await accept(of)).link != (await accept(other)).link
        assert erp.one(of).id != erp.one(other).id

    @pytest.mark.parametrize("what", WRITES)
    async def test_two_hubs_at_once(self, erp: Erp, new: Make, connect: Connect, what: str) -> None:
        """case: F03 - two hubs take the same order at the same moment, wherever they meet: one of everything."""
        of = new(shipping=LYON)
        erp.meeting.at(erp.writes[what])
        both = await asyncio.gather(
            *(deliver(connect().operations["accept_order"], [item(of, delivery=n)]) for n in (1, 2))
        )
        assert [outcome.kind for outcomes in both for outcome in outcomes] == [Kind.DONE] * 2
        assert erp.meeting.met == {erp.writes[what]}
        assert len({outcomes[0].link for outcomes in both}) == 1
        standing = erp.one(of)
        assert (standing.state, standing.seen.total, standing.seen.paid) == (
            "confirmed",
            of.total.amount,
            of.total.amount,
        )
        assert erp.customers(of.customer.email) == [standing.customer]
        assert len(erp.children(standing.customer)) == 1
        assert len(erp.payments(of)) == 1

    async def test_two_hubs_with_the_same_batch_the_other_way_round(
        self, erp: Erp, new: Make, connect: Connect
    ) -> None:
        """case: F03 - five orders of one customer, from both ends."""
        orders = [new(line(sku), email=f"both-{next(NUMBERS)}@shop.example") for sku in ("SKU-A", "SKU-B") * 2]
        orders.append(new(line("SKU-A"), email=orders[0].customer.email))
        items = [item(of) for of in orders]
        erp.meeting.at(erp.writes["the order"])
        both = await asyncio.gather(
            deliver(connect().operations["accept_order"], items),
            deliver(connect().operations["accept_order"], items[::-1]),
        )
        assert [o.link for o in both[0]] == [o.link for o in both[1][::-1]]
        assert {o.kind for outcomes in both for o in outcomes} == {Kind.DONE}
        assert all(erp.one(of).seen.paid == of.total.amount for of in orders)
        assert len(erp.customers(orders[0].customer.email)) == 1

    async def test_a_hub_that_comes_late_rewrites_nothing(self, erp: Erp, new: Make, connect: Connect) -> None:
        """case: F02, F03 - it saw no order yet; until its own call arrives, another hub made the order and a person
        worked on it. Insert-only is what keeps that."""
        of = new(line("SKU-A", "10.00", {"20": "2.00"}), paid=False)
        erp.meeting.at(erp.writes["the order"], patience=20)
        late = asyncio.create_task(deliver(connect().operations["accept_order"], [item(of, level="quotation")]))
        while not erp.meeting.waiting:  # noqa: ASYNC110 - in another thread
            await asyncio.sleep(0.01)
        other = connect(url=erp.place.url)  # past whoever holds requests back
        assert (await deliver(other.operations["accept_order"], [item(of, level="quotation")]))[0].kind is Kind.DONE
        erp.change_price(of, 11.11)
        erp.write(of, client_order_ref="see the letter")
        before = erp.everything(of)
        await asyncio.sleep(1.1)  # times of change are kept in whole seconds
        erp.meeting.release()
        outcome = (await late)[0]
        assert erp.everything(of) == before
        assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "total_differs")

    async def test_a_lost_race_is_tried_again(self, erp: Erp, new: Make, connect: Connect) -> None:
        """case: F12 - “could not serialize access” is a retry, at once, and no outage; then it is done."""
        of = new()
        operation = connect().operations["accept_order"]
        async with erp.losing_race(of):
            with pytest.raises(Failure) as caught:
                await operation.run([item(of)])
        assert (caught.value.outcome.kind, caught.value.outcome.reason) == (Kind.RETRY, "lost_race")
        assert caught.value.outcome.until is None
        assert (await deliver(operation, [item(of)]))[0].kind is Kind.DONE
        assert erp.one(of).seen.paid == of.total.amount

    async def test_two_hubs_selling_the_same_product(self, erp: Erp, new: Make, connect: Connect) -> None:
        """case: F12 - different orders that reserve the same goods at the same moment all come through."""
        email = f"same-{next(NUMBERS)}@shop.example"
        batches = [[new(line("SKU-D", "10.00", {"20": "2.00"}), email=email) for _ in range(4)] for _ in range(2)]
        erp.meeting.at(erp.writes["the confirmation"])
        done = await asyncio.gather(
            *(deliver(connect().operations["accept_order"], [item(of) for of in batch]) for batch in batches)
        )
        assert {outcome.kind for outcomes in done for outcome in outcomes} == {Kind.DONE}
        for of in itertools.chain(*batches):
            assert (erp.one(of).state, erp.one(of).seen.paid) == ("confirmed", of.total.amount)
        assert len(erp.customers(email)) == 1

    # --- batches --------------------------------------------------------------------------------------------

    async def test_outcomes_stand_in_the_order_of_the_items(self, erp: Erp, new: Make, connect: Connect) -> None:
        """case: F17 - good and bad mixed: each item gets its own outcome, at its own place."""
        given_up = new().model_copy(update={"status": Status.CANCELLED})
        orders = [new(line("NOWHERE")), new(), given_up, new(line("SKU-B"), told_total="99.00"), new(line("SKU-C"))]
        outcomes = await deliver(connect().operations["accept_order"], [item(of) for of in orders])
        assert [o.reason or str(o.kind) for o in outcomes] == ["unknown_sku", "done", "done", "amounts_differ", "done"]
        assert [len(erp.standing(of)) for of in orders] == [0, 1, 0, 0, 1]
        for n in (1, 4):
            assert outcomes[n].link == str(erp.one(orders[n]).id)

    async def test_a_row_that_is_refused_fails_alone(self, erp: Erp, new: Make, connect: Connect) -> None:
        """case: F17 - the ERP itself refuses one of five rows: the others stand, and the words are its own."""
        orders = [new(line(sku)) for sku in ("SKU-A", "SKU-B", "SKU-C", "SKU-D", "SKU-E")]
        orders[2] = orders[2].model_copy(update={"placed_at": PLACED.replace(year=999)})
        failures: list[Outcome] = []
        outcomes = await deliver(connect().operations["accept_order"], [item(of) for of in orders], failures)
        assert failures == [], "one bad row does not fail the call"
        assert [o.kind for o in outcomes] == [Kind.DONE, Kind.DONE, Kind.REJECTED, Kind.DONE, Kind.DONE]
        assert outcomes[2].reason.endswith("refused")
        assert "999" in outcomes[2].message
        assert [len(erp.standing(of)) for of in orders] == [1, 1, 0, 1, 1]

    async def test_an_empty_batch_is_no_trouble(self, connect: Connect) -> None:
        """Nothing in, nothing out."""
        for operation in connect().operations.values():
            assert await operation.run([]) == []

    # --- customers ------------------------------------------------------------------------------------------

    async def test_repeat_orders_have_one_customer(self, erp: Erp, new: Make, connect: Connect, accept: Accept) -> None:
        """case: F34 - three orders, in one batch and after it, typed differently: one customer, each address once."""
        email = f"repeat-{next(NUMBERS)}@shop.example"
        batch = [new(email=email, shipping=LYON), new(email=email.upper())]
        await deliver(connect().operations["accept_order"], [item(of) for of in batch])
        await accept(new(email=f" {email}", shipping=LYON.model_copy(update={"street": "2  PLACE Bellecour"})))
        [customer] = erp.customers(email)
        assert {erp.one(of).customer for of in batch} == {customer}
        assert len(erp.children(customer)) == 1

    async def test_a_guest_who_registers_later_is_the_same(self, erp: Erp, new: Make, accept: Accept) -> None:
        """case: F34 - an account, a name and an address now, and still the same e-mail."""
        email = f"guest-{next(NUMBERS)}@shop.example"
        guest = new(email=email, customer={"id": ""})
        member = new(email=email, customer={"id": "31", "name": "Another Name"}, billing=LYON)
        await accept(guest)
        await accept(member)
        assert erp.one(guest).customer == erp.one(member).customer
        assert len(erp.customers(email)) == 1

    async def test_a_customer_entered_by_hand_is_found(self, erp: Erp, new: Make, accept: Accept) -> None:
        """case: F34 - by the declared rule, and left as it is."""
        email = f"hand-{next(NUMBERS)}@shop.example"
        by_hand = erp.make_customer(email.title(), phone="12345")
        before = erp.everything(of := new(email=email))["res.partner"]
        assert (await accept(of)).kind is Kind.DONE
        assert erp.one(of).customer == by_hand
        assert erp.everything(of)["res.partner"] == before

    async def test_two_customers_that_match_are_for_a_person(self, erp: Erp, new: Make, accept: Accept) -> None:
        """case: F34 - nobody is picked by chance; once they are one, the order goes through."""
        email = f"twins-{next(NUMBERS)}@shop.example"
        twins = [erp.make_customer(email), erp.make_customer(email)]
        of = new(email=email)
        outcome = await accept(of)
        assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "ambiguous_customer")
        assert str(twins[0]) in outcome.message
        assert erp.standing(of) == []
        erp.api.call("res.partner", "write", ids=[twins[1]], vals={"email": "other@shop.example"})
        assert (await accept(of)).kind is Kind.DONE
        assert erp.one(of).customer == twins[0]

    async def test_customers_are_never_matched_by_name(self, erp: Erp, new: Make, accept: Accept) -> None:
        """case: F36 - two people of one name and address, without e-mail, are two customers; a repeat is the same."""
        first, second = new(email=""), new(email="")
        for of in (first, second, first):
            assert (await accept(of)).kind is Kind.DONE
        assert erp.one(first).customer != erp.one(second).customer

    # --- money ----------------------------------------------------------------------------------------------

    AMOUNTS: ClassVar[dict[str, tuple[list[Line], dict[str, Any]]]] = {
        "F24 inclusive, 69 stays 69": ([line("SKU-A", "57.50", {"20": "11.50"})], {"prices_include_tax": True}),
        "F24 inclusive, odd cents": (
            [line("SKU-A", "24.98", {"20": "4.99"}, quantity="3"), line("SKU-B", "9.38", {"5.5": "0.52"})],
            {"prices_include_tax": True},
        ),
        "F24 exclusive, thirds": ([line("SKU-A", "10.00", {"20": "2.00"}, quantity="3")], {}),
        "F24 exclusive, sevenths of a large sum": ([line("SKU-A", "99999.99", {"20": "20000.00"}, quantity="7")], {}),
        "F25 fixed voucher over two rates": (
            [
                line("SKU-A", "18.75", {"20": "3.75"}, quantity="3"),
                line("SKU-B", "11.85", {"5.5": "0.65"}, quantity="7"),
                line("SKU-C", "0.00", {"20": "0.00"}),
                line(net="4.13", taxes={"20": "0.83"}, kind=LineKind.SHIPPING),
            ],
            {"prices_include_tax": True},
        ),
        "F25 percentage voucher, everything free": ([line("SKU-A", "0.00", {"20": "0.00"}, quantity="2")], {}),
        "F25 money off as a fee": (
            [line("SKU-A", "62.50", {"20": "12.50"}), line(net="-5.00", taxes={"20": "-1.00"}, kind=LineKind.FEE)],
            {},
        ),
        "F26 a cent up": ([line(f"SKU-{c}", "12.99", {"20": "2.60"}) for c in "ABCD"], {"told_total": "62.37"}),
        "F26 a cent down": ([line(f"SKU-{c}", "12.99", {"20": "2.60"}) for c in "ABCD"], {"told_total": "62.35"}),
        "F26 as much as is tolerated": ([line("SKU-A", "12.99", {"20": "2.60"})], {"told_total": "15.64"}),
        "F26 a tax nobody would compute": ([line("SKU-A", "100.00", {"20": "19.97"})], {}),
        "F26 many small lines": ([line("SKU-E", "0.83", {"20": "0.16"}, id=str(n)) for n in range(200, 212)], {}),
        "F27 finer than a cent": ([line("SKU-A", "8.0125", {"20": "1.2025"})], {"told_total": "9.22"}),
        "yen with decimals": (
            [line("SKU-A", "1234.50", {"20": "246.90"}, quantity="3", currency="JPY")],
            {"currency": "JPY"},
        ),
        "dollars": ([line("SKU-A", "10.00", {"20": "2.00"}, quantity="3", currency="USD")], {"currency": "USD"}),
        "two taxes on a line": ([line("SKU-A", "33.33", {"20": "6.67", "5.5": "1.83"}, quantity="2")], {}),
        "no tax at all": ([line("SKU-A", "10.01", quantity="3")], {}),
        "half a piece": ([line("SKU-A", "10.00", {"20": "2.00"}, quantity="2.5")], {}),
    }

    @pytest.mark.parametrize("method", ["round_globally", "round_per_line"])
    async def test_totals_are_the_customers_to_the_cent(
        self, erp: Erp, new: Make, connect: Connect, method: str
    ) -> None:
        """case: F24, F25, F26, F27 - read from the ERP itself: total, net of each line, tax of each line; a rounding
        difference on its own line. Whichever way the ERP's company rounds."""
        orders = {name: new(*lines, **more) for name, (lines, more) in self.AMOUNTS.items()}
        with erp.rounding(method):
            outcomes = await deliver(connect().operations["accept_order"], [item(of) for of in orders.values()])
        for (name, of), outcome in zip(orders.items(), outcomes, strict=True):
            assert outcome.kind is Kind.DONE, f"{name}: {outcome}"
            seen = erp.one(of).seen
            assert seen.total == seen.rounded(of.total.amount), name
            assert seen.untaxed + seen.tax == seen.total, name
            assert sum(net for net, _, _ in seen.lines.values()) + seen.rounding == seen.untaxed, name
            for each in of.lines:
                net, tax, _ = seen.lines[each.id]
                assert (net, tax) == (seen.rounded(each.net.amount), seen.rounded(each.tax.amount)), f"{name} {each.id}"
            assert seen.rounding == seen.total - sum(n + t for n, t, _ in seen.lines.values()), name
            assert seen.paid == seen.total, name
            assert seen.currency == of.currency, name

    @pytest.mark.parametrize("total", ["15.53", "15.65", "20.00"])
    async def test_beyond_the_tolerance_nothing_is_made(self, erp: Erp, new: Make, accept: Accept, total: str) -> None:
        """case: F26 - a difference of more than five cents is for a person, with both amounts."""
        of = new(line("SKU-A", "12.99", {"20": "2.60"}), told_total=total)
        outcome = await accept(of)
        assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "amounts_differ")
        assert "15.59" in outcome.message
        assert total in outcome.message
        assert erp.standing(of) == []
        assert erp.payments(of) == []

    async def test_an_order_in_an_unknown_currency(self, erp: Erp, new: Make, accept: Accept) -> None:
        """case: F28 - never taken over in another one."""
        of = new(line(currency="ISK"), currency="ISK")
        assert (await accept(of)).reason == "unknown_currency"
        assert erp.standing(of) == []

    # --- what cannot be mapped ------------------------------------------------------------------------------

    async def test_an_unknown_sku_waits_for_its_product(self, erp: Erp, new: Make, connect: Connect) -> None:
        """case: F38 - an exception with the fix; once the product is there, the same connector takes the order."""
        sku = f"NEW-{next(NUMBERS)}"
        of = new(line("SKU-A"), line(sku))
        operation = connect().operations["accept_order"]
        outcome = (await deliver(operation, [item(of)]))[0]
        assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "unknown_sku")
        assert sku in outcome.message
        assert sku in outcome.suggestion
        assert erp.standing(of) == []
        assert erp.customers(of.customer.email) == []
        erp.make_product(sku)
        assert (await deliver(operation, [item(of)]))[0].kind is Kind.DONE
        assert erp.one(of).seen.total == of.total.amount

    @pytest.mark.parametrize(
        ("values", "reason"), [({"active": False}, "discontinued_sku"), ({"sale_ok": False}, "discontinued_sku")]
    )
    async def test_a_discontinued_product_is_not_sold(
        self, erp: Erp, new: Make, accept: Accept, values: dict[str, Any], reason: str
    ) -> None:
        """case: F38 - an archived product is told from an unknown one, and nothing goes to it."""
        sku = f"OLD-{next(NUMBERS)}"
        erp.make_product(sku, **values)
        of = new(line(sku))
        outcome = await accept(of)
        assert (outcome.kind, outcome.reason) == (Kind.REJECTED, reason)
        assert erp.standing(of) == []

    async def test_two_products_of_one_sku(self, erp: Erp, new: Make, accept: Accept) -> None:
        """case: F38 - nobody guesses which."""
        sku = f"TWIN-{next(NUMBERS)}"
        erp.make_product(sku)
        erp.make_product(sku)
        of = new(line(sku))
        assert (await accept(of)).reason == "ambiguous_sku"
        assert erp.standing(of) == []

    @pytest.mark.parametrize(
        ("more", "reason"),
        [
            ({"lines": [line(net="5", kind=LineKind.SHIPPING)]}, "no_lines"),
            ({"lines": [line("SKU-A", product_id="")]}, "line_without_product"),
            ({"lines": [line("")]}, "unknown_sku"),
            ({"lines": [line("SKU-A", "-9.00")]}, "negative_total"),
            ({"lines": [line("SKU-A", "9.00", quantity="0")]}, "bad_quantity"),
            ({"lines": [line("SKU-A", "9.00", {"17.5": "1.58"})]}, "unmapped_tax"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    async def test_what_no_erp_can_take(
        self, erp: Erp, new: Make, accept: Accept, more: dict[str, Any], reason: str
    ) -> None:
        """case: F38 - each with its reason, plain words and the next step; nothing is made."""
        of = new(*more["lines"])
        outcome = await accept(of)
        assert (outcome.kind, outcome.reason) == (Kind.REJECTED, reason)
        assert outcome.message
        assert outcome.suggestion
        assert erp.standing(of) == []

    # --- payment --------------------------------------------------------------------------------------------

    async def test_an_unpaid_order_gets_its_payment_when_it_comes(self, erp: Erp, new: Make, accept: Accept) -> None:
        """Sold on account or by transfer: confirmed without money, then the money, once."""
        unpaid = new(paid=False)
        assert (await accept(unpaid)).kind is Kind.DONE
        assert (erp.one(unpaid).state, erp.payments(unpaid)) == ("confirmed", [])
        paid = order(unpaid.id)
        for attempt in (1, 2):
            assert (await accept(paid, event_type="order.paid", attempt=attempt)).kind is Kind.DONE
        assert erp.one(unpaid).seen.paid == paid.total.amount
        assert len(erp.payments(unpaid)) == 1

    async def test_a_free_order_has_no_payment(self, erp: Erp, new: Make, accept: Accept) -> None:
        """case: F29 - nothing is posted for nought."""
        of = new(line("SKU-A", "0.00", {"20": "0.00"}))
        assert (await accept(of)).kind is Kind.DONE
        assert (erp.one(of).state, erp.payments(of)) == ("confirmed", [])

    async def test_a_quotation_is_confirmed_later(self, erp: Erp, new: Make, accept: Accept) -> None:
        """On hold first, then released."""
        waiting = new(paid=False, status=Status.ON_HOLD)
        first = await accept(waiting, level="quotation")
        assert (first.kind, erp.one(waiting).state) == (Kind.DONE, "quotation")
        released = order(waiting.id)
        second = await accept(released, event_type="order.paid")
        assert (second.kind, second.link) == (Kind.DONE, first.link)
        assert (erp.one(waiting).state, erp.one(waiting).seen.paid) == ("confirmed", released.total.amount)
        assert (await accept(waiting, level="quotation")).kind is Kind.DONE  # late, and no step back
        assert erp.one(waiting).state == "confirmed"

    async def test_the_newest_state_counts(self, erp: Erp, new: Make, accept: Accept) -> None:
        """An event that waited in its lane is carried out as the order stands by now."""
        then = new(line("SKU-A", "10.00", {"20": "2.00"}))
        now = order(then.id, line("SKU-A", "20.00", {"20": "4.00"}, quantity="2"))
        assert (await accept(then, state=now)).kind is Kind.DONE
        assert erp.one(then).seen.total == Decimal("24.00")

    # --- cancelled ------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("level", ["quotation", "accept"])
    async def test_a_cancelled_order_is_cancelled(
        self, erp: Erp, new: Make, accept: Accept, cancel: Accept, level: str
    ) -> None:
        """Before and after its confirmation; twice is once."""
        of = new()
        link = (await accept(of, level=level)).link
        for _ in range(2):
            outcome = await cancel(of, link=link)
            assert (outcome.kind, outcome.link, outcome.emits) == (Kind.DONE, link, ())
            assert erp.one(of).state == "cancelled"

    async def test_an_order_the_erp_never_had_is_closed(self, erp: Erp, new: Make, cancel: Accept) -> None:
        """Cancelled before it came this far: nothing to do, nothing made."""
        of = new()
        outcome = await cancel(of)
        assert (outcome.kind, outcome.emits) == (Kind.DONE, ())
        assert erp.standing(of) == []

    async def test_a_lost_answer_to_a_cancellation(self, erp: Erp, new: Make, accept: Accept, connect: Connect) -> None:
        """case: F01 - the retry finds it cancelled."""
        of = new()
        await accept(of)
        erp.faults.add("lost_answer", path="/action_cancel")
        gone = of.model_copy(update={"status": Status.CANCELLED})
        failures: list[Outcome] = []
        outcomes = await deliver(connect().operations["cancel_order"], [item(gone)], failures)
        assert [f.reason for f in failures] == ["answer_lost"]
        assert outcomes[0].kind is Kind.DONE
        assert erp.one(of).state == "cancelled"

    async def test_accepting_what_is_cancelled_by_now_makes_nothing(self, erp: Erp, new: Make, accept: Accept) -> None:
        """The cancel overtook it at the shop: no order is made for nobody."""
        of = new()
        gone = of.model_copy(update={"status": Status.CANCELLED})
        outcome = await accept(of, state=gone)
        assert (outcome.kind, outcome.emits) == (Kind.DONE, ())
        assert erp.standing(of) == []

    async def test_cancelling_what_is_wanted_again_does_nothing(
        self, erp: Erp, new: Make, accept: Accept, connect: Connect
    ) -> None:
        """The shop took the cancellation back."""
        of = new()
        await accept(of)
        gone = of.model_copy(update={"status": Status.CANCELLED})
        outcomes = await deliver(connect().operations["cancel_order"], [item(gone, state=of)])
        assert (outcomes[0].kind, erp.one(of).state) == (Kind.DONE, "confirmed")

    async def test_a_shipped_order_is_not_cancelled(
        self, erp: Erp, new: Make, accept: Accept, connect: Connect
    ) -> None:
        """A person arranges the return; the other orders of the batch are cancelled all the same."""
        shipped, other = new(), new(line("SKU-B"))
        await accept(shipped)
        await accept(other)
        erp.ship(shipped)
        gone = [item(of.model_copy(update={"status": Status.CANCELLED})) for of in (shipped, other)]
        outcomes = await deliver(connect().operations["cancel_order"], gone)
        assert [o.reason or str(o.kind) for o in outcomes] == ["cancelled_after_shipping", "done"]
        assert outcomes[0].kind is Kind.REJECTED
        assert [erp.one(of).state for of in (shipped, other)] == ["confirmed", "cancelled"]

    async def test_a_locked_order_is_not_cancelled(self, erp: Erp, new: Make, accept: Accept, cancel: Accept) -> None:
        """Someone locked it for a reason."""
        of = new()
        await accept(of)
        erp.lock(of)
        outcome = await cancel(of)
        assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "locked_in_odoo")
        assert erp.one(of).state == "confirmed"

    # --- people work in the ERP too -------------------------------------------------------------------------

    async def test_what_a_person_cancelled_is_not_revived(self, erp: Erp, new: Make, accept: Accept) -> None:
        """The shop wants it, the ERP's people do not: a person decides."""
        of = new(paid=False)
        link = (await accept(of, level="quotation")).link
        erp.cancel(of)
        outcome = await accept(order(of.id), link=link)
        assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "cancelled_in_odoo")
        assert (erp.one(of).state, erp.payments(of)) == ("cancelled", [])

    async def test_what_a_person_deleted_is_not_made_again(
        self, erp: Erp, new: Make, accept: Accept, cancel: Accept
    ) -> None:
        """An exception for accepting it; for cancelling it there is nothing left to do."""
        of = new()
        link = (await accept(of)).link
        erp.delete(of)
        outcome = await accept(of, link=link)
        assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "deleted_in_odoo")
        assert link in outcome.message
        assert erp.standing(of) == []
        assert (await cancel(of, link=link)).kind is Kind.DONE

    # --- the system is in trouble ---------------------------------------------------------------------------

    async def refused(self, connector: Connector, of: Order) -> Outcome:
        """The outcome of a call that fails as a whole."""
        with pytest.raises(Failure) as caught:
            await connector.operations["accept_order"].run([item(of)])
        assert caught.value.outcome.message
        return caught.value.outcome

    async def test_healthy(self, erp: Erp, connect: Connect) -> None:
        """The doctor finds nothing broken, and says what it looked at."""
        findings = await connect().doctor()
        assert failed(findings) == {}
        assert {"version", "sign-in", "rights", "currencies", "sales taxes", "journals"} <= {f.check for f in findings}

    async def test_a_wrong_key(self, erp: Erp, new: Make, connect: Connect) -> None:
        """Misconfigured: the system pauses, and the words say where a new key comes from."""
        connector = connect(api_key="0" * 40)
        outcome = await self.refused(connector, new())
        assert (outcome.kind, outcome.reason) == (Kind.MISCONFIGURED, "bad_credentials")
        assert "0000" not in outcome.message + outcome.technical
        finding = failed(await connector.doctor())["sign-in"]
        assert "API key" in finding.found
        assert finding.remedy

    async def test_a_key_without_rights(self, erp: Erp, new: Make, connect: Connect) -> None:
        """Misconfigured, and the doctor names the rights that are missing."""
        connector = connect(api_key=erp.key_without_rights())
        of = new()
        outcome = await self.refused(connector, of)
        assert (outcome.kind, outcome.reason) == (Kind.MISCONFIGURED, "no_right")
        finding = failed(await connector.doctor())["rights"]
        assert "create sale.order" in finding.found
        assert finding.remedy
        assert erp.standing(of) == []

    async def test_a_database_that_is_gone(self, erp: Erp, new: Make, connect: Connect) -> None:
        """Down, though something answers with 404."""
        with erp.without_database() as settings:
            connector = connect(**settings)
            outcome = await self.refused(connector, new())
            assert (outcome.kind, outcome.reason) == (Kind.DOWN, "database_gone")
            assert "database" in failed(await connector.doctor())["sign-in"].found

    @pytest.mark.parametrize("url", ["http://no-such-host.invalid", "http://127.0.0.1:9"])
    async def test_an_address_where_nobody_answers(self, new: Make, connect: Connect, url: str) -> None:
        """Down: an unknown host, a closed port."""
        connector = connect(url=url)
        outcome = await self.refused(connector, new())
        assert (outcome.kind, outcome.reason) == (Kind.DOWN, "unreachable")
        assert set(failed(await connector.doctor())) == {"reachable"}

    async def test_a_proxys_error_page(self, erp: Erp, new: Make, connect: Connect) -> None:
        """Down: the ERP behind it is out of reach."""
        page = "<html><h1>502 Bad Gateway</h1></html>"
        erp.faults.add("status", status=502, body=page, content_type="text/html", times=-1)
        connector = connect()
        of = new()
        outcome = await self.refused(connector, of)
        assert (outcome.kind, outcome.reason) == (Kind.DOWN, "unreachable")
        assert "502" in outcome.technical
        assert "<h1>" not in outcome.technical
        assert set(failed(await connector.doctor())) == {"reachable"}
        erp.faults.clear()
        assert (await deliver(connector.operations["accept_order"], [item(of)]))[0].kind is Kind.DONE

    async def test_asked_to_slow_down(self, erp: Erp, new: Make, connect: Connect) -> None:
        """Throttled until the time that was asked for."""
        erp.faults.add("throttle", seconds=7, times=-1)
        connector = connect()
        outcome = await self.refused(connector, new())
        assert (outcome.kind, outcome.until is not None) == (Kind.THROTTLED, True)
        assert set(failed(await connector.doctor())) == {"reachable"}

    async def test_an_outage_in_the_middle_of_a_batch(self, erp: Erp, new: Make, connect: Connect) -> None:
        """case: F01 - down between two steps: nothing counted as a failure, everything there after it."""
        orders = [new(line(sku)) for sku in ("SKU-A", "SKU-B")]
        erp.faults.add("lost_answer", path=erp.writes["the confirmation"])
        erp.faults.add("down", path="/web/health|action_confirm|/read$", times=-1)
        connector = connect()
        with pytest.raises(Failure):
            await connector.operations["accept_order"].run([item(of) for of in orders])
        erp.faults.clear()
        outcomes = await deliver(connector.operations["accept_order"], [item(of) for of in orders])
        assert [o.kind for o in outcomes] == [Kind.DONE] * 2
        assert all(erp.one(of).seen.paid == of.total.amount for of in orders)

    # --- what the worker must keep apart --------------------------------------------------------------------

    def test_conflicts_are_named(self, new: Make, connect: Connect) -> None:
        """case: F12 - products and customers that two calls at once would fight over."""
        operation = connect().operations["accept_order"]
        one = operation.conflicts(item(new(line("SKU-A"), email="a@shop.example")))
        assert one & operation.conflicts(item(new(line("SKU-A"), email="b@shop.example")))
        assert one & operation.conflicts(item(new(line("SKU-B"), email="A@shop.example")))
        assert not one & operation.conflicts(item(new(line("SKU-B"), email="b@shop.example")))
