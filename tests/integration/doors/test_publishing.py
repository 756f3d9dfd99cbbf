"""Publishing on demand: read again through the same receipts, told again only if asked; why something is not sold."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest
import sqlalchemy as sa

from counterfoil.blueprint import Blueprint, Catalogue, ConnectorInfo, OperationInfo, parse
from counterfoil.doors import assembly, publishing
from counterfoil.doors.onboarding import Unfit
from counterfoil.hub import records
from counterfoil.hub.contract import Connector, Failure, Feed, Item, Kind, Operation, Outcome, Page, Raw
from counterfoil.hub.schema import cursor, delivery, receipt
from counterfoil.hub.store import Store
from counterfoil.retail.availability import UNIT, Basis, Policy
from counterfoil.retail.events import EVENT_TYPES, Event
from counterfoil.retail.money import Money
from counterfoil.retail.product import Image, Product, Variant

TEXT = """\
counterfoil: 1
systems:
  web: {connector: shop, url: https://shop.example}
  odoo: {connector: erp, url: https://odoo.example}
owners: {product: odoo, stock: odoo}
flows:
  - {on: product.changed, do: web.publish_product}
channels:
  web: {warehouses: [WH], stock: on_hand, safety_stock: 2, requires: [sku, image], tax_classes: {"20%": standard}}
"""
KNOWN = Catalogue.of(
    [
        ConnectorInfo("shop", operations=(OperationInfo("publish_product", "product"),), is_channel=True),
        ConnectorInfo("erp"),
    ],
    EVENT_TYPES,
)


def blueprint(text: str = TEXT) -> Blueprint:
    return parse(text, known=KNOWN, environ={})


async def nothing(_items: Sequence[Item]) -> list[Outcome]:
    return []


class Erp:
    """Two pages of products; `breaks` after the first, once."""

    operations: Mapping[str, Operation] = {}

    def __init__(self, breaks: bool = False) -> None:
        self.breaks = breaks
        self.begun: list[Mapping[str, Any]] = []
        self.feeds = (Feed("products", "product", 60.0, self._poll), Feed("stock", "stock", 60.0, self._poll))

    async def _poll(self, at: Mapping[str, Any]) -> AsyncIterator[Page]:
        self.begun.append(at)
        for number in range(at.get("page", 0), 2):
            yield Page([Raw("product", str(number), json.dumps({"id": number}).encode())], {"page": number + 1})
            if self.breaks:
                self.breaks = False
                raise Failure(Outcome(Kind.DOWN, "unreachable", "Odoo cannot be reached."))


class Shop:
    operations: Mapping[str, Operation] = {"publish_product": Operation("publish_product", "product", nothing)}
    feeds: tuple[Feed, ...] = ()


def systems(erp: Erp | None = None) -> dict[str, Connector]:
    return cast(dict[str, Connector], {"odoo": erp or Erp(), "web": Shop()})


def tick(_label: str, _n: int, _total: int | None) -> None:
    """No progress is shown."""


async def rows(store: Store, table: sa.Table) -> list[Any]:
    async with store.read() as connection:
        return list((await connection.execute(sa.select(table))).all())


async def decoded(store: Store) -> None:
    """As the worker leaves it: what was read is known."""
    seen = {("odoo", f"product:{r.object_id}"): r.digest for r in await rows(store, receipt)}
    async with store.write() as connection:
        await records.keep_seen(connection, store, seen)


async def test_everything_is_read_again_through_the_same_receipts(store: Store) -> None:
    erp = Erp()
    done = await publishing.publish(store, blueprint(), systems(erp), "web", "products", tick)
    assert (done.read_anew, done.told_again, erp.begun) == (2, None, [{}])
    assert {(r.system, r.kind, r.origin) for r in await rows(store, receipt)} == {("odoo", "product", "poll")}


async def test_a_second_run_writes_nothing(store: Store) -> None:
    erp = Erp()
    await publishing.publish(store, blueprint(), systems(erp), "web", "products", tick)
    await decoded(store)
    done = await publishing.publish(store, blueprint(), systems(erp), "web", "products", tick)
    assert (done.read_anew, len(await rows(store, receipt))) == (0, 2)
    assert erp.begun == [{}, {}], "each run reads all of it"


async def test_after_a_stop_it_goes_on_where_it_was(store: Store) -> None:
    erp = Erp(breaks=True)
    with pytest.raises(Failure):
        await publishing.publish(store, blueprint(), systems(erp), "web", "products", tick)
    done = await publishing.publish(store, blueprint(), systems(erp), "web", "products", tick)
    assert (done.read_anew, erp.begun) == (1, [{}, {"page": 1}])


async def test_the_regular_poll_is_not_disturbed(store: Store) -> None:
    await publishing.publish(store, blueprint(), systems(), "web", "products", tick)
    assert [row.feed for row in await rows(store, cursor)] == ["publish products"]


async def told_before(store: Store, *subjects: str) -> None:
    """Events of product changes, as the hub has kept them."""
    events = [
        Event(
            id=f"{subject}-{number}",
            type="product.changed",
            source="odoo",
            subject=subject,
            key=subject,
            time=datetime(2026, 1, 1, tzinfo=UTC),
            correlation=subject,
            data={},
        )
        for subject in subjects
        for number in (1, 2)
    ]
    async with store.write() as connection:
        await records.keep_events(connection, store, events)


async def test_only_if_asked_the_newest_of_everything_is_told_again(store: Store) -> None:
    await told_before(store, "odoo:product:1", "odoo:product:2")
    silent = await publishing.publish(store, blueprint(), systems(), "web", "products", tick)
    assert (silent.known, silent.told_again) == (2, None)
    done = await publishing.publish(store, blueprint(), systems(), "web", "products", tick, again=True)
    assert done.told_again == 2
    queued = [row for row in await rows(store, delivery) if row.operation == "publish_product"]
    assert sorted(row.subject for row in queued) == ["odoo:product:1", "odoo:product:2"]


async def test_a_dry_run_reads_and_writes_nothing(store: Store) -> None:
    await told_before(store, "odoo:product:1")
    erp = Erp()
    done = await publishing.publish(store, blueprint(), systems(erp), "web", "products", tick, True, True)
    assert (done.known, done.read_anew, erp.begun) == (1, None, [])
    assert await rows(store, delivery) == []


async def test_without_a_flow_or_a_feed_it_says_so(store: Store) -> None:
    with pytest.raises(Unfit, match=r"\{on: stock.changed, do: web.publish_stock\}"):
        await publishing.publish(store, blueprint(), systems(), "web", "stock", tick)
    erp = Erp()
    erp.feeds = ()
    with pytest.raises(Unfit, match="odoo reports no products"):
        await publishing.publish(store, blueprint(), systems(erp), "web", "products", tick)


# What a channel is told


def test_the_channel_of_the_blueprint_is_handed_over() -> None:
    channel = assembly.channel_of(blueprint(), "web")
    assert channel.stock == Policy(frozenset({"WH"}), Basis.ON_HAND, safety=2 * UNIT, low=3 * UNIT)
    assert (channel.requires, dict(channel.tax_classes)) == (frozenset({"sku", "image"}), {"20%": "standard"})


def test_a_shop_without_a_channel_is_told_the_usual() -> None:
    channel = assembly.channel_of(blueprint(), "odoo")
    assert (channel.stock, channel.requires) == (Policy(), frozenset({"sku", "price"}))
    assert "stock" in channel.publish


# Why something is not sold


async def known(store: Store, *products: Product) -> None:
    async with store.write() as connection:
        told = {p.id: records.Known("", "x", p.model_dump(mode="json"), "1") for p in products}
        objects = {("odoo", "product", p.id): (told[p.id], p.canonical_id) for p in products}
        await records.keep_objects(connection, store, objects)


def mug(id_: str, **more: Any) -> Product:
    variant = Variant(id=id_, sku=f"MUG-{id_}", price=Money.parse("9.00 EUR"))
    return Product(system="odoo", id=id_, name="Mug", tax_class="20%", variants=(variant,), **more)


async def test_the_listing_says_why_from_what_is_known(store: Store) -> None:
    await known(store, mug("1"), mug("2", image=Image(digest="a", url="https://x.example/a.png")))
    count, found = await publishing.listing(store, blueprint(), "web")
    assert count == 2
    (one,) = found
    assert (one.product, [(reason.code, reason.sku) for reason in one.reasons][-1]) == (
        "odoo:product:1",
        ("no_image", "MUG-1"),
    )
    assert one.as_dict()["reasons"][-1]["words"] == "it has no image"


async def test_nothing_known_is_nothing_listed(store: Store) -> None:
    assert await publishing.listing(store, blueprint(), "web") == (0, [])
