"""What is Odoo's own, on top of what every ERP must show: taxes inside prices, journals, modules, rights by group."""

from __future__ import annotations

from decimal import Decimal

import pytest
from stdnum import luhn
from tests.conformance.afterwards_suite import AfterwardsSuite, account
from tests.conformance.erp_suite import NUMBERS, Accept, Connect, Make, deliver, failed
from tests.conformance.making import LYON, item, line
from tests.conformance.odoo_place import RULES, Erp

from counterfoil.connectors.odoo import Rules, TaxRule, translate
from counterfoil.hub import outgoing
from counterfoil.hub.contract import Failure, Kind, Mark


class OdooSuite(AfterwardsSuite):
    """Stand-in and real server alike."""

    async def test_a_tax_that_odoo_holds_to_be_in_the_price(self, erp: Erp, new: Make, connect: Connect) -> None:
        """case: F24 - mapped to a tax that is included, the customer still pays what the customer paid."""
        name = f"20% INC {next(NUMBERS)}"
        erp.make_tax(name, 20.0, price_include_override="tax_included")
        rules = Rules(payments=RULES.payments, taxes=(TaxRule(Decimal(20), "FR", "", name),))
        of = new(line("SKU-A", "24.98", {"20": "4.99"}, quantity="3"), line("SKU-B", "57.50", {"20": "11.50"}))
        outcomes = await deliver(connect(rules).operations["accept_order"], [item(of)])
        assert outcomes[0].kind is Kind.DONE
        seen = erp.one(of).seen
        assert (seen.total, seen.untaxed, seen.tax) == (Decimal("98.97"), Decimal("82.48"), Decimal("16.49"))
        lines = erp.everything(of)["sale.order.line"]
        assert [each["price_unit"] for each in lines] == pytest.approx([9.99, 69.0]), "what the customer saw"
        assert sorted(seen.lines.values()) == [
            (Decimal("24.98"), Decimal("4.99"), ("20",)),
            (Decimal("57.50"), Decimal("11.50"), ("20",)),
        ]

    @pytest.mark.parametrize("rule", ["phone", "vat"])
    async def test_a_guest_who_registers_later_under_the_declared_rule_is_the_same(
        self, erp: Erp, new: Make, connect: Connect, rule: str
    ) -> None:
        """case: F34 - known by the telephone or the VAT number, however it is written and whatever the e-mail: the
        partner entered by hand, the guest's order, the account and the member's order are one customer."""
        n = next(NUMBERS)
        siren = f"9{n:07d}"
        siren += luhn.calc_check_digit(siren)
        vat = f"{(12 + 3 * (int(siren) % 97)) % 97:02d}{siren}"
        number = f"6{n:08d}"
        vats = {"there": vat, "guest": f"FR{vat}", "member": f"fr {vat[:2]} {vat[2:]}"}
        phones = {
            "there": f"0{number[:3]} {number[3:5]}-{number[5:]}",
            "guest": f"+33{number}",
            "member": f"0033{number}",
        }
        written = phones if rule == "phone" else vats
        country = erp.api.read("res.country", [["code", "=", "FR"]], ["id"])[0]["id"]
        there = erp.make_customer(f"old-{n}@shop.example", country_id=country, **{rule: written["there"]})
        erp.make_customer(f"beside-{n}@shop.example", country_id=country, phone=f"+33 7{number[1:-1]} 9")
        connector = connect(Rules(match=(rule,), payments=RULES.payments))
        guest = new(email=f"guest-{n}@shop.example", customer={"id": "", rule: written["guest"]}, billing=LYON)
        outcomes = await deliver(connector.operations["accept_order"], [item(guest)])
        assert (outcomes[0].kind, erp.one(guest).customer) == (Kind.DONE, there)
        told = account(str(n), **{rule: written["member"]}, billing=LYON)
        assert (await deliver(connector.operations["update_customer"], [told]))[0].link == str(there)
        member = new(email=f"member-{n}@shop.example", customer={"id": str(n), rule: written["member"]}, billing=LYON)
        outcomes = await deliver(connector.operations["accept_order"], [item(member)])
        assert (outcomes[0].kind, erp.one(member).customer) == (Kind.DONE, there)

    async def test_a_tax_made_a_second_ago_is_found(self, erp: Erp, new: Make, connect: Connect) -> None:
        """case: F38 - reference data is kept for minutes, a miss reads it again at once."""
        percent = f"{next(NUMBERS) / 1000:g}"
        operation = connect().operations["accept_order"]
        of = new(line("SKU-A", "100.00", {percent: "1.00"}))
        assert (await deliver(operation, [item(of)]))[0].reason == "unmapped_tax"
        erp.make_tax(f"{percent}%", float(percent))
        assert (await deliver(operation, [item(of)]))[0].kind is Kind.DONE
        erp.make_tax(f"{percent}% again", float(percent))
        assert (await deliver(connect().operations["accept_order"], [item(new(*of.lines))]))[
            0
        ].reason == "ambiguous_tax"

    @pytest.mark.parametrize(
        ("payments", "found"), [({}, "no payment method is mapped"), ({"bacs": "NOPE"}, "Odoo has no journal NOPE")]
    )
    async def test_a_payment_without_a_journal(
        self, erp: Erp, new: Make, connect: Connect, payments: dict[str, str], found: str
    ) -> None:
        """case: F38 - nothing is made, not even the order; the doctor saw it coming."""
        connector = connect(Rules(payments=payments))
        of = new()
        outcome = (await deliver(connector.operations["accept_order"], [item(of)]))[0]
        assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "unmapped_payment")
        assert erp.standing(of) == []
        journals = next(f for f in await connector.doctor() if f.check == "journals")
        assert (journals.found, journals.mark is Mark.OK) == (found, False)
        assert journals.remedy

    async def test_an_odoo_that_changes_prices_is_not_trusted(
        self, erp: Erp, new: Make, accept: Accept, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """case: F24 - where Odoo comes to another total than the customer paid (a module, an automation; here by not
        telling it the taxes), the order stays a quotation and no money is recorded."""
        monkeypatch.setattr(translate, "outside_taxes", lambda *_: "")
        of = new(line("SKU-A", "100.00", {"20": "19.97"}))
        outcome = await accept(of)
        assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "total_differs")
        assert "120.0" in outcome.message
        assert "119.97 EUR" in outcome.message
        assert (erp.one(of).state, erp.payments(of)) == ("quotation", [])

    async def test_a_pricelist_that_changed_its_currency(self, erp: Erp, new: Make, connect: Connect) -> None:
        """case: F28 - twelve dollars are not twelve yen: what Odoo made of the order is looked at, currency and all."""
        operation = connect().operations["accept_order"]
        dollars = line("SKU-A", "10.00", {"20": "2.00"}, currency="USD")
        assert (await deliver(operation, [item(new(dollars, currency="USD"))]))[0].kind is Kind.DONE
        known = {c["name"]: c["id"] for c in erp.api.read("res.currency", [["active", "=", True]], ["name"])}
        lists = [p["id"] for p in erp.api.read("product.pricelist", [["currency_id.name", "=", "USD"]], ["id"])]
        erp.api.call("product.pricelist", "write", ids=lists, vals={"currency_id": known["JPY"]})
        try:
            of = new(dollars, currency="USD")
            outcome = (await deliver(operation, [item(of)]))[0]
            assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "total_differs")
            assert "JPY" in outcome.message
            assert (erp.one(of).state, erp.payments(of)) == ("quotation", [])
        finally:
            erp.api.call("product.pricelist", "write", ids=lists, vals={"currency_id": known["USD"]})

    async def test_a_payment_that_a_person_cancelled(self, erp: Erp, new: Make, accept: Accept) -> None:
        """It is not posted again behind their back."""
        of = new()
        await accept(of)
        number = [p["id"] for p in erp.payments(of)]
        erp.api.call("account.payment", "action_cancel", ids=number)
        outcome = await accept(of)
        assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "payment_not_posted")
        assert [p["state"] for p in erp.payments(of)] == ["canceled"]

    async def test_an_invalid_vat_number_fails_alone(self, erp: Erp, new: Make, connect: Connect) -> None:
        """case: F17 - Odoo refuses the customer of one order of three; the other two stand."""
        good, bad, last = new(line("SKU-A")), new(line("SKU-B"), customer={"vat": "FR00"}), new(line("SKU-C"))
        outcomes = await deliver(connect().operations["accept_order"], [item(of) for of in (good, bad, last)])
        assert [o.reason or str(o.kind) for o in outcomes] == ["done", "odoo_refused", "done"]
        assert "VAT" in outcomes[1].message
        assert [len(erp.standing(of)) for of in (good, bad, last)] == [1, 0, 1]

    async def test_a_module_that_is_missing(self, connect: Connect) -> None:
        """Misconfigured: a model that is not there is an app that is not installed."""
        with pytest.raises(Failure) as caught:
            await connect().client.call("no.such.model", "search_read", domain=[])  # type: ignore[attr-defined]
        assert (caught.value.outcome.kind, caught.value.outcome.reason) == (Kind.MISCONFIGURED, "module_missing")

    async def test_services_are_made_once(self, erp: Erp, new: Make, accept: Accept) -> None:
        """case: F05 - shipping, fee and rounding stand under products of their own, whoever comes first."""
        await accept(new())
        rows = erp.api.read("product.product", [["default_code", "=like", "COUNTERFOIL-%"]], ["default_code"])
        assert sorted(r["default_code"] for r in rows) == [
            "COUNTERFOIL-FEE",
            "COUNTERFOIL-REFUND",
            "COUNTERFOIL-ROUNDING",
            "COUNTERFOIL-SHIPPING",
        ]

    async def test_the_doctor_names_what_is_there(self, connect: Connect) -> None:
        """Currencies, rates and modules, for a person to compare."""
        found = {f.check: f.found for f in await connect().doctor()}
        assert {"EUR", "JPY", "USD"} <= set(found["currencies"].split(", "))
        assert "20 %" in found["sales taxes"]
        assert failed(await connect().doctor()) == {}

    async def test_it_tells_which_odoo_it_is(self, connect: Connect) -> None:
        """And minds no trace context beside the question."""
        with outgoing.carrying("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"):
            odoo, api = await connect().versions()  # type: ignore[attr-defined]
        assert (odoo.name, odoo.version[:4], odoo.doubt) == ("Odoo", "19.0", "")
        assert (api.name, api.version) == ("Odoo API", "JSON-2")
