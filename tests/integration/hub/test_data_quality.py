"""Data quality: everything for sale is looked at, by the clock; one exception a kind of finding, while it lasts."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal
from typing import Any, get_args

import pytest
from tests.fakes import ERP, blueprint, rows_of, until

from counterfoil.blueprint.quality import WORDS, Check
from counterfoil.hub import records, schema
from counterfoil.hub.records import Known, state_digest
from counterfoil.hub.store import Store
from counterfoil.retail.money import Money
from counterfoil.retail.product import Image, Product, Variant
from counterfoil.watch import quality
from counterfoil.watch.quality import Survey

EVERY = tuple(get_args(Check))


def article(number: int = 1, **changes: Any) -> Variant:
    """An article with nothing wrong."""
    whole: dict[str, Any] = {
        "id": str(number),
        "sku": f"MUG-{number}",
        "gtin": f"400638133{number:03}"[:12] + _check_digit(f"400638133{number:03}"),
        "price": Money.of("10.00", "EUR"),
        "weight": Decimal("0.3"),
    }
    return Variant(**whole | changes)


def _check_digit(twelve: str) -> str:
    total = sum(int(c) * (3 if place % 2 else 1) for place, c in enumerate(twelve))
    return str(-total % 10)


def product(number: int = 1, **changes: Any) -> Product:
    """A product with nothing wrong."""
    whole: dict[str, Any] = {
        **{"system": ERP, "id": str(number), "name": "Mug", "description": "Holds coffee", "tax_class": "20%"},
        **{
            "category": ("Kitchen",),
            "image": Image(digest="d", url="https://x.example/1"),
            "costs": ((str(number), 5),),
        },
        "variants": (article(number),),
    }
    return Product(**whole | changes)


def found(*products: Product) -> Counter[str]:
    """What is found, by check."""
    survey = Survey(EVERY)
    for each in products:
        survey.add(each)
    return Counter(one.check for one in survey.found)


def test_every_check_has_words() -> None:
    assert set(WORDS) == set(EVERY)


def test_nothing_wrong_nothing_found() -> None:
    assert found(product(1), product(2)) == {}


@pytest.mark.parametrize(
    ("check", "wrong"),
    [
        ("name", product(name=" ")),
        ("description", product(description="")),
        ("category", product(category=())),
        ("tax_class", product(tax_class="")),
        ("image", product(image=None)),
        ("cost", product(costs=())),
        ("below_cost", product(costs=(("1", Decimal("10.01")),))),
        ("sku", product(variants=(article(sku=" "),))),
        ("gtin", product(variants=(article(gtin="4006381333932"),))),
        ("weight", product(variants=(article(weight=None),))),
        ("price", product(variants=(article(price=None),))),
        ("price", product(variants=(article(price=Money.zero("EUR")),), costs=(("1", Decimal(0)),))),
    ],
)
def test_what_is_wrong_is_found(check: str, wrong: Product) -> None:
    assert found(wrong) == {check: 1}


def test_what_stands_twice_is_found_in_whichever_product() -> None:
    twin = product(2, variants=(article(2, sku="MUG-1", gtin=article(1).gtin),))
    assert found(product(1), twin) == {"duplicate_sku": 1, "duplicate_gtin": 1}


def test_what_is_not_for_sale_does_not_count() -> None:
    assert found(product(sellable=False, name="")) == {}
    assert found(product(variants=(article(1), article(2, sku="", active=False)))) == {}


RULES = "owners: {product: erp}\nquality: {every: 1h, check: [weight, tax_class]}\n"


async def known(store: Store, *products: Product) -> None:
    """The owner has told of these."""
    kept = {
        (ERP, "product", p.id): (Known("1", state_digest(p), p.model_dump(mode="json"), "1"), p.canonical_id)
        for p in products
    }
    async with store.write() as connection:
        await records.keep_objects(connection, store, kept)


async def open_ones(store: Store) -> list[str]:
    return [r["operation"] for r in await rows_of(store, schema.exception, status="open")]


async def test_one_exception_for_each_kind_while_it_lasts(store: Store) -> None:
    plan = blueprint(more=RULES)
    await known(store, product(1, tax_class=""), product(2, tax_class=""), product(3, description=""))
    assert await quality.look(store, plan) == {"tax_class": 2}
    assert await quality.look(store, plan) == {"tax_class": 2}
    (told,) = await rows_of(store, schema.exception)
    assert (told["reason"], told["message"], told["system"]) == ("data_quality", "Products without a tax.", ERP)
    await known(store, product(1), product(2))
    assert await quality.look(store, plan) == {}
    assert await open_ones(store) == []


async def test_it_fires_once_across_processes(store: Store) -> None:
    plan, stop = blueprint(more=RULES), asyncio.Event()
    await known(store, product(1, tax_class=""))
    looks = [asyncio.create_task(quality.run(store, plan, stop)) for _ in range(3)]

    async def looked() -> bool:
        return bool(await open_ones(store))

    await until(looked)
    stop.set()
    await asyncio.gather(*looks)
    assert await open_ones(store) == ["quality:tax_class"]


async def test_without_a_time_it_only_looks_when_asked(store: Store) -> None:
    stop = asyncio.Event()
    await quality.run(store, blueprint(more="owners: {product: erp}\n"), stop)  # ends by itself
    assert await rows_of(store, schema.cursor) == []
