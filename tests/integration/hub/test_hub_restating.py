"""Back to what was known: earlier prices are told again, and hold until the owner tells something new."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
import sqlalchemy as sa
from tests.fakes import ERP, SHOP, Fake, House, at, rows_of

from counterfoil.hub import restating, schema
from counterfoil.hub.contract import Observed, Raw
from counterfoil.hub.receipts import Arrival, take
from counterfoil.hub.restating import Restated
from counterfoil.hub.store import Store
from counterfoil.hub.worker import streams_of
from counterfoil.processes.changes import changed, changes
from counterfoil.processes.pricing import with_prices_of
from counterfoil.retail.events import at_utc
from counterfoil.retail.money import Money
from counterfoil.retail.product import Product, Variant

FLOWS = f"  - {{on: product.changed, from: {ERP}, do: {SHOP}.publish_product, on_exception: pass}}\n"


class SellingErp(Fake):
    """An ERP that tells of products."""

    def decode(self, given: Raw) -> Observed:
        return Observed("product", given.object_id, given.headers["read_at"], Product.model_validate_json(given.body))


class Range:
    """An ERP with some mugs, and a shop that is told of them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.house = House(store, FLOWS, erp=SellingErp(ERP))
        self.process = self.house.processes[ERP]["product"] = changes(ERP, "product")

    async def tell(self, second: int, prices: dict[int, str], name: str = "Mug") -> datetime:
        """The ERP tells of prices by product; worked until nothing is due. When that was, by the store's clock."""
        arrivals = []
        for n, price in prices.items():
            variant = Variant(id=str(n), sku=f"MUG-{n}", price=Money.of(price, "EUR"))
            body = Product(system=ERP, id=str(n), name=name, variants=(variant,)).model_dump_json().encode()
            arrivals.append(Arrival(ERP, "poll", Raw("product", str(n), body, {"read_at": at(second)})))
        async with self.store.write() as connection:
            await take(connection, self.store, arrivals)
        await self.house.work()
        async with self.store.read() as connection:
            return at_utc(float(await connection.scalar(sa.select(self.store.now)) or 0))

    async def plan(self, then: datetime) -> list[Restated]:
        return await restating.plan(self.store, ERP, "product", then, with_prices_of, Product)

    async def restate(self, planned: list[Restated]) -> int:
        streams = streams_of({SHOP: self.house.shop, ERP: self.house.erp})
        told = await restating.restate(
            self.store,
            self.house.blueprint,
            streams,
            self.process,
            changed,
            (ERP, "product"),
            planned,
            "anna",
            "a mistake",
        )
        await self.house.work()
        return told

    def shown(self) -> dict[str, tuple[str, str]]:
        """Name and price of each article as the shop was last told."""
        told = [Product.model_validate(item.data["state"]) for item in self.house.shop.items]
        return {p.variants[0].sku: (p.name, str(p.variants[0].price)) for p in told}


@pytest.fixture
def range_(store: Store) -> Range:
    return Range(store)


async def test_what_changed_since_is_told_at_its_earlier_price(range_: Range) -> None:
    then = await range_.tell(0, {1: "10.00", 2: "20.00", 3: "30.00"})
    await range_.tell(1, {1: "1.00", 2: "2.00"})
    planned = await range_.plan(then)
    assert {r.object_id for r in planned} == {"1", "2"}
    assert await range_.restate(planned) == 2
    assert range_.shown() == {
        "MUG-1": ("Mug", "10.00 EUR"),
        "MUG-2": ("Mug", "20.00 EUR"),
        "MUG-3": ("Mug", "30.00 EUR"),
    }
    assert await range_.plan(then) == []
    (entry,) = await rows_of(range_.store, schema.audit)
    assert (entry["who"], entry["act"], entry["detail"]) == ("anna", "restated", {"objects": 2, "why": "a mistake"})


async def test_only_prices_go_back(range_: Range) -> None:
    then = await range_.tell(0, {1: "10.00"})
    await range_.tell(1, {1: "1.00"}, name="Better mug")
    await range_.restate(await range_.plan(then))
    assert range_.shown() == {"MUG-1": ("Better mug", "10.00 EUR")}


async def test_it_holds_until_the_owner_tells_something_new(range_: Range) -> None:
    then = await range_.tell(0, {1: "10.00"})
    await range_.tell(1, {1: "1.00"})
    await range_.restate(await range_.plan(then))
    await range_.tell(2, {1: "1.00"})
    assert range_.shown() == {"MUG-1": ("Mug", "10.00 EUR")}, "the same again is nothing new"
    await range_.tell(3, {1: "11.00"})
    assert range_.shown() == {"MUG-1": ("Mug", "11.00 EUR")}


async def test_there_and_back_and_there_again(range_: Range) -> None:
    first = await range_.tell(0, {1: "10.00"})
    second = await range_.tell(1, {1: "1.00"})
    for then, price in ((first, "10.00 EUR"), (second, "1.00 EUR"), (first, "10.00 EUR")):
        await range_.restate(await range_.plan(then))
        assert range_.shown() == {"MUG-1": ("Mug", price)}


async def test_what_is_known_otherwise_meanwhile_is_left_alone(range_: Range) -> None:
    then = await range_.tell(0, {1: "10.00"})
    await range_.tell(1, {1: "1.00"})
    planned = await range_.plan(then)
    await range_.tell(2, {1: "12.00"})
    assert await range_.restate(planned) == 0
    assert range_.shown() == {"MUG-1": ("Mug", "12.00 EUR")}


async def test_of_what_nothing_earlier_is_kept_nothing_is_said(range_: Range) -> None:
    async with range_.store.read() as connection:
        before = at_utc(float(await connection.scalar(sa.select(range_.store.now)) or 0) - 60)
    await range_.tell(0, {1: "10.00"})
    await range_.tell(1, {1: "1.00"})
    assert await range_.plan(before) == []


async def test_more_than_fit_into_one_transaction(range_: Range, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restating, "CHUNK", 2)
    then = await range_.tell(0, dict.fromkeys(range(1, 6), "10.00"))
    await range_.tell(1, dict.fromkeys(range(1, 6), "1.00"))
    ticks: list[int] = []
    tick: Callable[[int], None] = ticks.append
    planned = await range_.plan(then)
    streams = streams_of({SHOP: range_.house.shop, ERP: range_.house.erp})
    place = (ERP, "product")
    plan, process = range_.house.blueprint, range_.process
    told = await restating.restate(range_.store, plan, streams, process, changed, place, planned, "anna", "", tick)
    assert (told, ticks) == (5, [2, 2, 1])
    await range_.house.work()
    assert {price for _, price in range_.shown().values()} == {"10.00 EUR"}
