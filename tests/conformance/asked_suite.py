"""What customers ask for beside an order, in Odoo: a prescription with it, goods that come back."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.erp_suite import Accept, Connect, ErpSuite, Make, deliver
from tests.conformance.making import given_back, line, refunded
from tests.conformance.odoo_place import Erp

from counterfoil.blueprint import parse
from counterfoil.doors import assembly
from counterfoil.hub import exceptions, records
from counterfoil.hub.contract import Item, Kind, Outcome
from counterfoil.hub.store import open_store
from counterfoil.hub.storefront.vault import new_key
from counterfoil.hub.telling import Teller
from counterfoil.processes.orders import judge
from counterfoil.retail.order import Order

PLAN = """\
counterfoil: 1
systems:
  odoo: {{connector: odoo, url: "{url}", database: "{database}", login: {login}, api_key: "${{KEY}}"}}
  web: {{connector: woocommerce, url: http://127.0.0.1:9, consumer_key: "${{KEY}}", consumer_secret: "${{KEY}}"}}
flows:
  - {{on: order.placed, do: odoo.accept_order}}
  - {{on: prescription.released, do: odoo.attach_prescription}}
payments: [{{method: "*", journal: WMISC}}]
prescriptions:
  needs: {{skus: [SKU-A]}}
  key: ${{RX_KEY}}
  fields:
    sphere: {{type: number, step: 0.25}}
  roles: {{optician: [anna]}}
  released_by: [optician]
"""
PDF = b"%PDF-1.7 scan %%EOF\n"
VALUES = {"sphere": "-3.25", "kind": "line_note"}
Ask = Callable[..., Any]


def document(record: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A prescription as the operation gets it, opened."""
    content = base64.b64encode(PDF).decode()
    made = {"name": "prescription-1-abc", "ending": ".pdf", "media_type": "application/pdf", "content": content}
    return {**made, "values": VALUES, "record": record, **changes}


class AskedSuite:
    """The stand-in and the real server alike."""

    erp, new, connect, accept = ErpSuite.erp, ErpSuite.new, ErpSuite.connect, ErpSuite.accept

    @pytest.fixture
    def ask(self, connect: Connect) -> Ask:
        """Carries one operation out as the worker would, each time by another hub."""

        async def one(operation: str, of: Order, **data: Any) -> Outcome:
            given = Item(1, of.canonical_id, of.canonical_id, "asked", data)
            return (await deliver(connect().operations[operation], [given]))[0]

        return one

    # --- prescriptions ------------------------------------------------------------------------------------------

    async def attached(self, ask: Ask, of: Order, **changes: Any) -> Outcome:
        told = {"prescription": {"id": "abc"}, "document": document(**changes)}
        return await ask("attach_prescription", of, **told)

    def beside(self, erp: Erp, of: Order) -> dict[str, bytes]:
        """The attachments of the order, by name."""
        domain = [["res_model", "=", "sale.order"], ["res_id", "=", erp.number(of)], ["name", "like", "prescription"]]
        return {row["name"]: base64.b64decode(row["datas"]) for row in erp.api.read("ir.attachment", domain, FIELDS)}

    async def test_a_prescription_stands_beside_its_order_once(
        self, erp: Erp, new: Make, accept: Accept, ask: Ask
    ) -> None:
        of = new()
        await accept(of)
        assert (await self.attached(ask, of)).kind is Kind.DONE
        said = b"sphere: -3.25\nkind: line_note\n"
        assert self.beside(erp, of) == {"prescription-1-abc.pdf": PDF, "prescription-1-abc.txt": said}
        assert (await self.attached(ask, of, content="")).kind is Kind.DONE
        assert (await self.attached(ask, of, values={})).kind is Kind.DONE
        assert self.beside(erp, of) == {"prescription-1-abc.pdf": PDF, "prescription-1-abc.txt": said}

    async def test_a_prescription_can_be_a_record_of_a_declared_model(
        self, erp: Erp, new: Make, accept: Accept, ask: Ask
    ) -> None:
        of = new()
        await accept(of)
        fields = {"sphere": "name", "kind": "display_type"}
        record = {"model": "sale.order.line", "order": "order_id", "fields": fields}
        for _ in range(2):
            outcome = await self.attached(ask, of, record=record)
            assert outcome.kind is Kind.DONE, outcome
        domain = [["order_id", "=", erp.number(of)], ["display_type", "=", "line_note"]]
        assert [row["name"] for row in erp.api.read("sale.order.line", domain, ["name"])] == ["-3.25"]
        assert self.beside(erp, of) == {}

    async def test_what_odoo_says_of_a_prescription_is_not_repeated(self, new: Make, accept: Accept, ask: Ask) -> None:
        of = new()
        await accept(of)
        record = {"model": "res.partner", "order": "parent_id", "fields": {"sphere": "color"}}
        outcome = await self.attached(ask, of, record=record)
        assert outcome.kind is Kind.REJECTED
        assert "-3.25" not in repr(outcome)
        gone = await self.attached(ask, new())
        assert (gone.kind, gone.reason) == (Kind.REJECTED, "order_not_in_odoo")

    async def test_an_order_is_not_in_odoo_before_its_prescription_is_released(
        self, erp: Erp, new: Make, tmp_path: Path
    ) -> None:
        """The hub between a shop and this Odoo: held, attached, released, accepted, and the document beside it."""
        plan = parse(
            PLAN.format(url=erp.url, database=erp.place.database, login=erp.login or "admin"),
            known=assembly.catalogue(),
            environ={"KEY": erp.place.api_key, "RX_KEY": new_key()},
        )
        store, made = await open_store(f"sqlite:///{tmp_path / 'hub.db'}"), assembly.connectors(plan)
        worker, desk = assembly.worker(store, plan, made), assembly.prescribing(store, plan)
        of = new()
        known = records.Known("", "", of.model_dump(mode="json"), "placed")
        async with store.write() as connection:
            await records.keep_objects(connection, store, {("web", "order", of.id): (known, of.canonical_id)})
            told = judge(None, "", of, plan.orders, None).events
            await Teller(store, plan, assembly.streams(plan)).tell(connection, told)
        await worker.drain(60)
        assert [row["reason"] for row in await exceptions.listing(store)] == ["prescription_missing"]
        assert erp.standing(of) == []
        record = await desk.attach("web", of.number, of.customer.email, [], {"sphere": "-3.25"}, PDF)
        await desk.decide(record.id, "optician", "anna", "looked at it")
        await worker.drain(60)
        assert await exceptions.listing(store) == []
        assert erp.one(of).state == "confirmed"
        assert sorted(self.beside(erp, of).values()) == [PDF, b"sphere: -3.25\n"]
        for connector in made.values():
            await connector.close()
        await store.close()

    # --- returns ------------------------------------------------------------------------------------------------

    async def test_a_return_that_was_asked_for_waits_once_and_a_refund_makes_no_other(
        self, erp: Erp, new: Make, accept: Accept, ask: Ask, connect: Connect
    ) -> None:
        of = new(line("SKU-A", "30.00", {"20": "6.00"}, quantity="3"))
        await accept(of)

        async def back(id_: str, units: str) -> Outcome:
            return await ask("prepare_return", of, **{"return": {"id": id_, "lines": {"100": units}, "reason": "x"}})

        early = await back("early", "1")
        assert (early.kind, early.reason) == (Kind.REJECTED, "nothing_to_return")
        erp.ship(of)
        first = await back("r1", "2")
        assert (first.kind, first.emits) == (Kind.DONE, ("return.prepared",))
        assert first.result["pickings"] == (await back("r1", "2")).result["pickings"]
        assert erp.to_come_back(of) == {"SKU-A": 2.0}
        refund = given_back(of, "9", l100="2")
        await deliver(connect().operations["refund_order"], [refunded(of, refund)])
        assert erp.to_come_back(of) == {"SKU-A": 2.0}
        both = (refund, given_back(of, "10", l100="1"))
        await deliver(connect().operations["refund_order"], [refunded(of, *both)])
        assert erp.to_come_back(of) == {"SKU-A": 3.0}
        assert (await back("r2", "1")).reason == "nothing_to_return"


FIELDS = ["name", "datas"]
