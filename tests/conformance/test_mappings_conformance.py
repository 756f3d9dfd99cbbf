"""What the blueprint maps into Odoo itself stands there, once, and a person's later change stays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.conformance.erp_suite import NUMBERS, Connect, deliver, failed
from tests.conformance.making import account, item, line, order
from tests.conformance.odoo_place import RULES, Erp

from counterfoil.connectors.odoo import Rules
from counterfoil.connectors.overlay import Dialect
from counterfoil.hub.contract import Connector, Kind, Mark
from counterfoil.retail.party import Account


@pytest.fixture
def erp(erp_of_module: Erp) -> Erp:
    """The stand-in without any trouble left over."""
    erp_of_module.faults.clear()
    return erp_of_module


@pytest.fixture
async def connect(erp: Erp) -> AsyncIterator[Connect]:
    """Another hub's connector by rules."""
    made: list[Connector] = []

    def another(**more: Any) -> Connector:
        made.append(erp.connector(Rules(payments=RULES.payments, **more)))
        return made[-1]

    yield another
    for connector in made:
        await connector.close()


def mapped(object_: str, **fields: str) -> Dialect:
    """The blueprint's rows for one object."""
    return Dialect("odoo", fields={object_: fields})


def standing(erp: Erp, of: Any, *fields: str) -> dict[str, Any]:
    """These fields of the order as they are in Odoo."""
    return erp.api.read("sale.order", [["id", "=", erp.number(of)]], list(fields))[0]


async def test_fields_of_an_order_are_filled_when_it_is_accepted(erp: Erp, connect: Connect) -> None:
    """Orders for which a row comes to something and those for which it does not may come in one call."""
    rows = mapped("order", client_order_ref="order.reference || order.number", reference="order.extra.campaign")
    operation = connect(dialect=rows).operations["accept_order"]
    plain = order(str(next(NUMBERS)))
    with_po = order(str(next(NUMBERS)), reference="PO 7", extra={"campaign": "spring"})
    last = order(str(next(NUMBERS)), extra={"campaign": "autumn"})

    outcomes = await deliver(operation, [item(plain), item(with_po), item(last)])

    assert [outcome.kind for outcome in outcomes] == [Kind.DONE] * 3
    assert standing(erp, plain, "client_order_ref")["client_order_ref"] == plain.number
    assert standing(erp, plain, "reference") != standing(erp, with_po, "reference")
    found = standing(erp, with_po, "client_order_ref", "reference")
    assert (found["client_order_ref"], found["reference"]) == ("PO 7", "spring")
    assert standing(erp, last, "reference")["reference"] == "autumn"


async def test_what_a_person_changes_afterwards_stays(erp: Erp, connect: Connect) -> None:
    """case: F07 - acceptance is insert-only, for one's own fields too."""
    operation = connect(dialect=mapped("order", client_order_ref="'web'")).operations["accept_order"]
    of = order(str(next(NUMBERS)))
    await deliver(operation, [item(of)])
    erp.write(of, client_order_ref="by hand")
    assert (await deliver(operation, [item(of)]))[0].kind is Kind.DONE
    assert standing(erp, of, "client_order_ref")["client_order_ref"] == "by hand"


async def test_a_row_that_does_not_work_is_that_orders_exception(erp: Erp, connect: Connect) -> None:
    """The others of the call stand; of this one nothing does."""
    operation = connect(dialect=mapped("order", client_order_ref="order.extra.ref")).operations["accept_order"]
    good, bad = order(str(next(NUMBERS))), order(str(next(NUMBERS)), extra={"ref": "x"})
    outcomes = await deliver(operation, [item(good), item(bad)])
    assert [outcome.kind for outcome in outcomes] == [Kind.DONE] * 2
    operation = connect(dialect=mapped("order", client_order_ref="abs(order.note)")).operations["accept_order"]
    good, bad = order(str(next(NUMBERS)), note=""), order(str(next(NUMBERS)), note="x")
    outcomes = await deliver(operation, [item(good), item(bad)])
    assert {outcome.reason for outcome in outcomes} == {"mapping_failed"}
    assert "mappings: odoo: order: client_order_ref" in outcomes[0].suggestion
    assert erp.standing(bad) == []


async def test_fields_of_a_customer_are_written_where_they_differ(erp: Erp, connect: Connect) -> None:
    """A repeat writes nothing."""
    rows = mapped("customer", ref="customer.extra.tier", website="'shop.example'", comment="no.such.thing")
    operation = connect(dialect=rows).operations["update_customer"]

    def told(number: str, tier: str) -> Any:
        it = account(number)
        state = Account.model_validate(it.data["state"]).model_copy(update={"extra": {"tier": tier}})
        it.data["state"].update(state.model_dump(mode="json"))  # type: ignore[attr-defined]
        return it

    number = str(next(NUMBERS))
    made = (await deliver(operation, [told(number, "silver")]))[0]
    assert made.kind is Kind.DONE
    changed = (await deliver(operation, [told(number, "gold")]))[0]
    assert changed.result["wrote"] == ["ref"]
    assert (await deliver(operation, [told(number, "gold")]))[0].result["wrote"] == []
    [partner] = erp.api.read("res.partner", [["id", "=", int(made.link)]], ["ref", "website"])
    assert (partner["ref"], partner["website"].removeprefix("http://")) == ("gold", "shop.example")


async def test_the_doctor_looks_at_the_fields_that_are_to_be_written(connect: Connect) -> None:
    """There, and open to be written; else what to do."""
    fine = connect(dialect=mapped("order", client_order_ref="'x'"))
    assert [f.mark for f in await fine.doctor() if f.check == "mappings"] == [Mark.OK]
    rows = Dialect("odoo", fields={"order": {"x_channel": "'web'", "amount_total": "'1'", "tag_ids": "'1'"}})
    found = [f for f in await connect(dialect=rows).doctor() if f.check == "mappings"]
    assert [f.mark for f in found] == [Mark.FAILED] * 3
    assert ["x_channel" in found[0].found, "amount_total" in found[1].found, "tag_ids" in found[2].found] == [True] * 3
    assert all(f.remedy for f in found)


# --- where the orders of a shop go -----------------------------------------------------------------------------------


async def test_the_warehouse_and_pricelist_of_a_shop(erp: Erp, connect: Connect) -> None:
    """Of that shop alone; the pricelist by its name, in the order's currency."""
    house = erp.api.call("stock.warehouse", "create", vals_list=[{"name": "Shops", "code": "SHP"}])[0]
    euro = erp.api.read("res.currency", [["name", "=", "EUR"]], ["id"])[0]["id"]
    dollar = erp.api.read("res.currency", [["name", "=", "USD"]], ["id"])[0]["id"]
    lists = [{"name": "Web EU", "currency_id": euro}, {"name": "Web US", "currency_id": dollar}]
    numbers = erp.api.call("product.pricelist", "create", vals_list=lists)
    connector = connect(warehouses={"web": "SHP"}, pricelists={"web": "Web EU"})
    of, other = order(str(next(NUMBERS))), order(str(next(NUMBERS)), system="other")

    outcomes = await deliver(connector.operations["accept_order"], [item(of), item(other)])

    assert [outcome.kind for outcome in outcomes] == [Kind.DONE] * 2
    found = standing(erp, of, "warehouse_id", "pricelist_id")
    assert (found["warehouse_id"][0], found["pricelist_id"][0]) == (house, numbers[0])
    assert standing(erp, other, "warehouse_id")["warehouse_id"][0] != house
    checks = {f.check: f.mark for f in await connector.doctor()}
    assert (checks["warehouse of orders"], checks["pricelist of orders"]) == (Mark.OK, Mark.OK)

    us = order(str(next(NUMBERS)), line(currency="USD"), currency="USD")
    outcome = (await deliver(connector.operations["accept_order"], [item(us)]))[0]
    assert outcome.reason == "unmapped_pricelist"
    assert "Web US" in outcome.suggestion
    assert erp.standing(us) == []


async def test_a_warehouse_that_odoo_does_not_have(erp: Erp, connect: Connect) -> None:
    """The order waits for a person, the row to correct is at hand; the doctor saw it coming."""
    connector = connect(warehouses={"web": "NOPE"})
    of = order(str(next(NUMBERS)))
    outcome = (await deliver(connector.operations["accept_order"], [item(of)]))[0]
    assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "unmapped_warehouse")
    assert "channels:\n  web:\n    warehouse: " in outcome.suggestion
    assert "WH" in outcome.suggestion
    assert erp.standing(of) == []
    assert "warehouse of orders" in failed(await connector.doctor())
