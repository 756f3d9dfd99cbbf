"""An order that holds what is sold on a prescription waits until one is attached and a person releases it."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ON_SQLITE
from tests.fakes import FLOWS, House, assert_one_status, at, hasten, payload, rows_of, subject
from tests.storefront_stage import keep, product

from counterfoil.blueprint.values import Secret
from counterfoil.hub import records, schema, systems
from counterfoil.hub.contract import Item, Kind, Outcome
from counterfoil.hub.store import Store
from counterfoil.hub.storefront.shoporders import NoSuchOrder
from counterfoil.hub.storefront.vault import NotOpened, new_key
from counterfoil.hub.telling import Teller
from counterfoil.hub.worker import Worker
from counterfoil.processes.changes import changed
from counterfoil.processes.prescribing import (
    MayNot,
    NotNeeded,
    NotToDecide,
    Prescribing,
    Released,
    Unfit,
)
from counterfoil.processes.withholding import Withholding

EMAIL = "ada@example.com"
TODAY = date(2026, 11, 21)
PDF = b"%PDF-1.7 the scan of a prescription %%EOF\n"
SAID = {"sphere": "-3.25", "issued_on": "2026-11-01"}
RX = """\
prescriptions:
  needs: {skus: [RX-*]}
  hold: HOLD
  key: ${RX_KEY}
  fields:
    sphere: {type: number, min: -20, max: 20, step: 0.25}
    issued_on: {type: date, valid_for: 3650d}
  roles: {optician: [anna], desk: [bob]}
  seen_by: [optician, desk]
  released_by: [optician]
"""


class Shop(House):
    """A house whose shop sells lenses on a prescription."""

    def __init__(self, store: Store, hold: str = "order", more: str = RX) -> None:
        super().__init__(store, FLOWS, more.replace("HOLD", hold))
        self.desk = Prescribing(Teller(store, self.blueprint, super().worker().streams))
        self.gate = Withholding(self.desk)

    def worker(self, **options: Any) -> Worker:
        return super().worker(prepare=self.gate.prepare, **options)

    async def attach(self, content: bytes = PDF, **said: str) -> str:
        """A prescription for order 1; its id."""
        record = await self.desk.attach("shop", "N1", EMAIL, [], SAID | said, content, TODAY)
        await self.work()
        return record.id

    async def release(self, id_: str, who: str = "anna", reason: str = "") -> None:
        await self.desk.decide(id_, "optician", who, "looked at it", reason)
        await self.work()

    async def reasons(self) -> list[str]:
        return [row["reason"] for row in await self.exceptions()]

    async def acts(self) -> list[tuple[str, str]]:
        return [(row["act"], row["who"]) for row in await rows_of(self.store, schema.audit)]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    made = new_key()
    monkeypatch.setenv("RX_KEY", made)
    return made


def lenses(number: int = 1, **changes: Any) -> bytes:
    return payload(number, **{"sku": "RX-150", "email": EMAIL, "paid": at(0), **changes})


async def test_the_order_waits_for_the_prescription_and_then_for_its_release(store: Store) -> None:
    shop = Shop(store)
    await shop.hear(lenses(), payload(2))
    assert shop.erp.made == [subject(2)], "what needs none goes on"
    assert await shop.reasons() == ["prescription_missing"]
    id_ = await shop.attach()
    assert await shop.reasons() == ["prescription_to_release"]
    assert shop.erp.made == [subject(2)]
    await shop.release(id_)
    assert shop.erp.made == [subject(2), subject(1)]
    assert await shop.reasons() == []
    assert await shop.events(subject(1)) == [
        *("order.placed", "prescription.attached", "prescription.released", "order.accepted")
    ]
    assert await shop.acts() == [("prescription.released", "anna")]
    await assert_one_status(store)


@ON_SQLITE
async def test_where_only_the_confirmation_waits_the_order_is_there_as_a_quotation(store: Store) -> None:
    shop = Shop(store, hold="confirmation")
    await shop.hear(lenses())
    assert [item.data["level"] for item in shop.erp.items] == ["quotation"]
    assert await shop.reasons() == ["prescription_missing"]
    await shop.release(await shop.attach())
    assert [item.data["level"] for item in shop.erp.items] == ["quotation", "quotation", "accept"]
    assert await shop.reasons() == []
    assert "order.accepted" in await shop.events(subject(1))


@ON_SQLITE
async def test_a_rejected_one_does_not_count_and_the_next_one_does(store: Store) -> None:
    shop = Shop(store)
    await shop.hear(lenses())
    await shop.release(await shop.attach(), reason="unreadable")
    assert await shop.reasons() == ["prescription_missing"]
    await shop.release(await shop.attach(sphere="-3.50"))
    assert shop.erp.made == [subject(1)]


@ON_SQLITE
async def test_the_same_again_is_the_same_and_another_takes_its_place(store: Store) -> None:
    shop = Shop(store)
    await shop.hear(lenses())
    first = await shop.attach()
    assert await shop.attach() == first
    second = await shop.attach(sphere="-4")
    rows = {row["id"]: row for row in await rows_of(store, schema.prescription)}
    assert {id_: row["state"] for id_, row in rows.items()} == {first: "replaced", second: "to_release"}
    assert rows[first]["sealed"] is None, "what it said is gone"
    with pytest.raises(NotToDecide):
        await shop.release(first)


@ON_SQLITE
async def test_a_cancelled_order_waits_for_nothing(store: Store) -> None:
    shop = Shop(store)
    await shop.hear(lenses())
    await shop.hear(lenses(status="cancelled", modified=at(5)))
    assert await shop.reasons() == []
    with pytest.raises(NotNeeded):
        await shop.attach()


@ON_SQLITE
@pytest.mark.parametrize(
    ("number", "email", "raised"),
    [("N1", "eve@example.com", NoSuchOrder), ("N9", EMAIL, NoSuchOrder), ("N2", EMAIL, NotNeeded)],
)
async def test_it_is_taken_for_an_order_of_that_customer_only(
    store: Store, number: str, email: str, raised: type[Exception]
) -> None:
    shop = Shop(store)
    await shop.hear(lenses(), payload(2, email=EMAIL))
    with pytest.raises(raised):
        await shop.desk.attach("shop", number, email, [], SAID, PDF, TODAY)
    with pytest.raises(NoSuchOrder):
        await shop.desk.attach("other-shop", "N1", EMAIL, [], SAID, PDF, TODAY)
    assert await rows_of(store, schema.prescription) == []


@ON_SQLITE
async def test_nothing_of_it_is_in_the_store_in_clear(store: Store, tmp_path: Path) -> None:
    shop = Shop(store)
    await shop.hear(lenses())
    id_ = await shop.attach()
    record, said = await shop.desk.show(id_, "optician", "anna", "the customer asked")
    assert (said.values, said.content) == (SAID | {"sphere": "-3.25"}, PDF)
    assert "-3.25" not in repr(said)
    await shop.release(id_)
    for file in sorted(tmp_path.glob("*")):  # noqa: ASYNC240
        assert b"-3.25" not in file.read_bytes(), file
        assert b"the scan of" not in file.read_bytes(), file
    assert record.id == id_


@ON_SQLITE
async def test_who_may_not_sees_and_releases_nothing_and_the_attempt_is_in_the_audit(store: Store) -> None:
    shop = Shop(store)
    await shop.hear(lenses())
    id_ = await shop.attach()
    for role, who, why in (("optician", "bob", "curious"), ("nurse", "anna", "curious"), ("optician", "anna", " ")):
        with pytest.raises(MayNot):
            await shop.desk.show(id_, role, who, why)
    with pytest.raises(MayNot):  # the desk may look and not release
        await shop.desk.decide(id_, "desk", "bob", "looks fine")
    assert [act for act, _ in await shop.acts()] == ["prescription.refused"] * 4
    await shop.desk.show(id_, "desk", "bob", "the customer is on the phone")
    assert (await shop.acts())[-1] == ("prescription.shown", "bob")
    assert shop.erp.made == []


@ON_SQLITE
async def test_what_is_released_is_not_taken_again(store: Store) -> None:
    shop = Shop(store)
    await shop.hear(lenses())
    await shop.release(await shop.attach())
    with pytest.raises(Released):
        await shop.attach(sphere="-5")


@ON_SQLITE
async def test_one_that_has_grown_too_old_cannot_be_released(store: Store) -> None:
    shop = Shop(store)
    await shop.hear(lenses())
    record = await shop.desk.attach("shop", "N1", EMAIL, [], SAID | {"issued_on": "2010-01-01"}, PDF, date(2010, 1, 2))
    with pytest.raises(Unfit):
        await shop.release(record.id)
    assert shop.erp.made == []


async def test_a_new_key_seals_all_anew_and_the_old_one_can_go(store: Store, key: str) -> None:
    shop = Shop(store)
    await shop.hear(lenses())
    id_ = await shop.attach()
    fresh = new_key()

    def with_keys(*keys: str) -> Prescribing:
        secrets = [Secret(each) for each in keys]
        rules = shop.desk.rules.model_copy(update={"key": secrets[0], "old_keys": tuple(secrets[1:])})
        return Prescribing(Teller(store, shop.blueprint.model_copy(update={"prescriptions": rules}), {}))

    with pytest.raises(NotOpened):
        await with_keys(fresh).show(id_, "optician", "anna", "why")
    assert await with_keys(fresh, key).rekey("ops", dry_run=True) == (1, 1)
    assert await with_keys(fresh, key).rekey("ops") == (1, 1)
    assert await with_keys(fresh, key).rekey("ops") == (0, 1)
    _, said = await with_keys(fresh).show(id_, "optician", "anna", "why")
    assert said.content == PDF


async def test_a_release_while_the_order_begins_to_wait_is_not_missed(store: Store) -> None:
    shop = Shop(store)
    await shop.receive(lenses())
    asked, go_on = asyncio.Event(), asyncio.Event()
    prepare = shop.gate.prepare

    async def slow(store: Store, operation: str, items: Any) -> Any:
        rulings = await prepare(store, operation, items)
        asked.set()
        await go_on.wait()
        return rulings

    async with shop.working(House.worker(shop, prepare=slow)):
        await asyncio.wait_for(asked.wait(), 10)
        record = await shop.desk.attach("shop", "N1", EMAIL, [], SAID, PDF, TODAY)
        await shop.desk.decide(record.id, "optician", "anna", "looked at it")
        go_on.set()
    assert await shop.reasons() == ["prescription_missing"], "it was missing when it was asked"
    assert await shop.gate.care() == 1
    await shop.work()
    assert shop.erp.made == [subject(1)]
    assert await shop.gate.care() == 0


@ON_SQLITE
async def test_an_order_that_waits_does_not_tell_that_a_system_is_back(store: Store) -> None:
    shop = Shop(store)
    async with store.write() as connection:
        await systems.close_system(connection, store, "erp", Outcome(Kind.DOWN, "unreachable"))
    await shop.receive(lenses())
    await hasten(store)
    await shop.work()
    assert await shop.reasons() == ["prescription_missing"]
    assert "erp" in await systems.closed(store)


async def test_a_category_counts_as_its_product_was_last_told(store: Store) -> None:
    needs = "needs: {categories: [Home / Kitchen], skus: [NONE]}"
    shop = Shop(store, more=RX.replace("needs: {skus: [RX-*]}", needs))
    mug = product("MÜG")
    await keep(store, "odoo", "product", mug.id, mug)  # and no event of it is left
    await keep(store, "odoo", "product", "2", product("CUP", id="2", category=("Garden",)))
    event = changed("odoo", "product", product("KNIFE"), datetime(2026, 11, 1, tzinfo=UTC), ("1",))
    await keep(store, "odoo", "product", product("KNIFE").id, product("KNIFE"))
    async with store.write() as connection:
        await records.keep_events(connection, store, [event])
    await shop.hear(payload(1, sku="MÜG"), payload(2, sku="CUP"), payload(3, sku="KNIFE"), payload(4, sku="UNKNOWN"))
    assert sorted(shop.erp.made) == [subject(2), subject(4)]


@ON_SQLITE
async def test_what_was_kept_long_enough_goes(store: Store) -> None:
    shop = Shop(store)
    await shop.hear(lenses())
    id_ = await shop.attach()
    assert await shop.gate.purge() == 0
    shop.desk.rules = shop.desk.rules.model_copy(update={"keep": -shop.desk.rules.keep})
    assert await shop.gate.purge() == 1
    assert await rows_of(store, schema.prescription) == []
    item = Item(1, subject(1), subject(1), "prescription.released", {"prescription": {"id": id_}})
    rulings = await shop.gate.prepare(store, "odoo.attach_prescription", [item])
    assert rulings[1].instead is not None
    assert rulings[1].instead.reason == "prescription_gone"
