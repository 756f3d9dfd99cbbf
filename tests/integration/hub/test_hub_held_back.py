"""What a person must release first: it goes nowhere until then, and the newest that was told counts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.fakes import ERP, SHOP, Fake, House, at, payload, rows_of

from counterfoil.hub import exceptions, schema
from counterfoil.hub.contract import Observed, Raw
from counterfoil.hub.receipts import Arrival, take
from counterfoil.hub.store import Store
from counterfoil.processes.changes import changes
from counterfoil.processes.pricing import PriceRule, held_back
from counterfoil.retail.money import Money
from counterfoil.retail.product import Product, Variant

FLOWS = f"  - {{on: product.changed, from: {ERP}, do: {SHOP}.publish_product, on_exception: pass}}\n"


class SellingErp(Fake):
    """An ERP that tells of products."""

    def decode(self, given: Raw) -> Observed:
        return Observed("product", "7", given.headers["read_at"], Product.model_validate_json(given.body))


class Prices:
    """A house whose ERP has one mug; its price may move by 30 %."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.house = House(store, FLOWS, erp=SellingErp(ERP))
        look = held_back(PriceRule(change=Decimal(30)))
        self.house.processes[ERP]["product"] = changes(ERP, "product", look)

    async def tell(self, price: str, second: int) -> None:
        """The ERP tells of a new price; worked until nothing is due."""
        mug = Product(
            system=ERP, id="7", name="Mug", variants=(Variant(id="1", sku="MUG", price=Money.of(price, "EUR")),)
        )
        raw = Raw("product", "7", mug.model_dump_json().encode(), {"read_at": at(second)})
        async with self.store.write() as connection:
            await take(connection, self.store, [Arrival(ERP, "poll", raw)])
        await self.house.work()

    def published(self) -> list[str]:
        """The prices the shop was given, in order."""
        return [str(Product.model_validate(i.data["state"]).variants[0].price) for i in self.house.shop.items]

    async def open(self) -> list[dict[str, Any]]:
        return await self.house.exceptions()


@pytest.fixture
async def prices(store: Store) -> Prices:
    made = Prices(store)
    await made.tell("10.00", 0)
    return made


async def test_a_price_that_needs_a_look_goes_nowhere(prices: Prices) -> None:
    await prices.tell("1.00", 1)
    assert prices.published() == ["10.00 EUR"]
    (exception,) = await prices.open()
    assert (exception["reason"], exception["outcome"], exception["held"]) == ("needs_approval", "rejected", False)
    assert "from 10.00 EUR to 1.00 EUR" in exception["message"]


async def test_released_it_goes_out_once(prices: Prices) -> None:
    await prices.tell("1.00", 1)
    (exception,) = await prices.open()
    await exceptions.release(prices.store, exception["id"], "anna", "the sale of the year")
    await prices.house.work()
    assert prices.published() == ["10.00 EUR", "1.00 EUR"]
    assert await prices.open() == []
    (told,) = await rows_of(prices.store, schema.audit)
    assert (told["who"], told["act"], told["detail"]["note"]) == ("anna", "exception.retried", "the sale of the year")
    with pytest.raises(exceptions.NotOpen):
        await exceptions.release(prices.store, exception["id"], "bob")


async def test_tried_again_without_a_release_it_is_held_back_again(prices: Prices) -> None:
    await prices.tell("1.00", 1)
    (exception,) = await prices.open()
    await exceptions.act(prices.store, exception["id"], "retried", "anna")
    await prices.house.work()
    assert prices.published() == ["10.00 EUR"]
    assert [e["reason"] for e in await prices.open()] == ["needs_approval"]


async def test_a_better_price_told_meanwhile_answers_the_question(prices: Prices) -> None:
    await prices.tell("1.00", 1)
    await prices.tell("11.00", 2)
    assert prices.published() == ["10.00 EUR", "11.00 EUR"]
    assert await prices.open() == []


async def test_of_several_held_back_only_the_newest_is_asked_about(prices: Prices) -> None:
    await prices.tell("1.00", 1)
    await prices.tell("2.00", 2)
    (exception,) = await prices.open()
    assert "to 2.00 EUR" in exception["message"]
    await exceptions.release(prices.store, exception["id"], "anna")
    await prices.house.work()
    assert prices.published() == ["10.00 EUR", "2.00 EUR"]


async def test_an_exception_that_holds_nothing_back_cannot_be_released(store: Store) -> None:
    house = House(store)
    await house.hear(payload(1, status="gone"), payload(2, total="much"))
    (exception,) = await house.exceptions()
    with pytest.raises(exceptions.NothingHeldBack):
        await exceptions.release(store, exception["id"], "anna")
    assert len(await house.exceptions()) == 1
