"""Going live beside what is there: links written once, and the orders of the past taken in where it was stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from counterfoil.blueprint import Blueprint, Catalogue, ConnectorInfo, parse
from counterfoil.doors import onboarding
from counterfoil.doors.linked import Linked, What
from counterfoil.doors.onboarding import Unfit
from counterfoil.hub import identity, linking, records
from counterfoil.hub.contract import Failure, Kind, Outcome, Page, Raw
from counterfoil.hub.schema import cursor, receipt
from counterfoil.hub.schema import link as link_
from counterfoil.hub.store import Store
from counterfoil.retail.events import EVENT_TYPES

Keyed = tuple[str, Mapping[str, str]]
KNOWN = Catalogue.of([ConnectorInfo("shop", is_channel=True), ConnectorInfo("erp")], EVENT_TYPES)
TEXT = """\
counterfoil: 1
systems:
  web: {connector: shop, url: https://shop.example, cut_over: 2026-01-01T00:00:00Z}
  odoo: {connector: erp, url: https://odoo.example}
owners: {customer: web, product: odoo}
customers: {match: [email, phone]}
"""
SINCE, UNTIL = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)


def blueprint(text: str = TEXT) -> Blueprint:
    return parse(text, known=KNOWN, environ={})


class Lists:
    """A connector with these articles and people."""

    def __init__(self, articles: list[Keyed] | None = None, people: list[Keyed] | None = None) -> None:
        self._articles, self._people = articles or [], people or []

    async def articles(self) -> AsyncIterator[Keyed]:
        for row in self._articles:
            yield row

    async def people(self) -> AsyncIterator[Keyed]:
        for row in self._people:
            yield row


def nothing(_label: str, _n: int, _total: int | None) -> None:
    """No progress is shown."""


async def link(
    store: Store, made: Mapping[str, Any], what: What = "products", write: bool = True, text: str = TEXT
) -> Linked:
    return await onboarding.link(store, blueprint(text), made, "web", what, write, nothing)


async def links(store: Store, system: str, *canonical: str) -> dict[str, str]:
    async with store.read() as connection:
        known = sa.select(link_.c.canonical_id, link_.c.object_id).where(
            link_.c.system == system, link_.c.canonical_id.in_(canonical)
        )
        return {row.canonical_id: row.object_id for row in await connection.execute(known)}


SHIRT = [
    ("11", {"sku": "SHIRT-S", "product": "5", "gtin": "4006381333931"}),
    ("12", {"sku": "SHIRT-M", "product": "5"}),
    ("13", {"sku": "MUG", "product": "6"}),
]
SHOP_SHIRT = [
    ("70/71", {"sku": "shirt-s", "product": "70"}),
    ("70/72", {"sku": "SHIRT-M", "product": "70"}),
    ("80", {"sku": "MUG", "product": "80"}),
    ("90", {"sku": "ONLY-HERE", "product": "90"}),
]


async def test_an_existing_catalogue_is_linked_by_its_variants(store: Store) -> None:
    """case: F36"""
    made = {"odoo": Lists(SHIRT), "web": Lists(SHOP_SHIRT)}
    found = await link(store, made)
    assert found.summary() == {
        "system": "web",
        "what": "products",
        "found": {"odoo": 3, "web": 4},
        "matched": 3,
        "matched_by": {"sku": 3},
        "already_linked": 0,
        "review": {"only_web": 1},
        "whole_products": {"matched": 2, "already_linked": 0},
        "decided": {"link": 0, "not the same": 0},
        "written": 5,
    }
    variants = await links(store, "web", "odoo:variant:11", "odoo:variant:12", "odoo:variant:13")
    assert variants == {"odoo:variant:11": "70/71", "odoo:variant:12": "70/72", "odoo:variant:13": "80"}
    assert await links(store, "web", "odoo:product:5", "odoo:product:6") == {
        "odoo:product:5": "70",
        "odoo:product:6": "80",
    }


async def test_articles_of_like_names_wait_for_a_person(store: Store) -> None:
    """case: F36: by the declared likeness, and never linked by it."""
    ours = [("1", {"sku": "A", "label": "Enamel mug, blue"}), ("2", {"sku": "B", "label": "Poster"})]
    theirs = [("7", {"sku": "X", "label": "Blue enamel mug"}), ("8", {"label": "Other poster of the fair"})]
    text = f"{TEXT}products: {{candidates: {{name: 0.9}}}}\n"
    found = await link(store, {"odoo": Lists(ours), "web": Lists(theirs)}, text=text)
    assert found.written == 0
    assert [(row.by, row.here, row.there) for row in found.rows if row.reason == "candidate"] == [
        ("name 1.00", "1", "7")
    ]


async def test_a_dry_run_writes_nothing_and_a_second_run_neither(store: Store) -> None:
    made = {"odoo": Lists(SHIRT), "web": Lists(SHOP_SHIRT)}
    assert (await link(store, made, write=False)).written is None
    assert await linking.known_links(store, "odoo", "variant", "web") == []
    assert (await link(store, made)).written == 5
    again = await link(store, made)
    assert (again.written, len(again.matching.linked), len(again.matching.matched)) == (0, 3, 0)
    assert again.summary()["whole_products"] == {"matched": 0, "already_linked": 2}


async def test_what_was_written_before_a_stop_stands_and_the_rest_follows(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linking, "CHUNK", 2)
    made = {"odoo": Lists(SHIRT), "web": Lists(SHOP_SHIRT)}

    def stop(label: str, _n: int, total: int | None) -> None:
        if total is not None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await onboarding.link(store, blueprint(), made, "web", "products", True, stop)
    assert len(await linking.known_links(store, "odoo", "variant", "web")) == 2
    rest = await link(store, made)
    assert (rest.written, len(rest.matching.linked), len(rest.matching.matched)) == (3, 2, 1)


async def test_a_link_that_the_hub_made_meanwhile_is_kept(store: Store) -> None:
    async with store.write() as connection:
        await records.keep_links(connection, store, "web", {"odoo:variant:11": "99"})
    written = await linking.write_links(store, "odoo", "variant", "web", [("11", "70/71"), ("12", "99"), ("13", "80")])
    assert written == 1, "neither a second link for 11 nor a second article for 99"
    assert sorted(await linking.known_links(store, "odoo", "variant", "web")) == [("11", "99"), ("13", "80")]


async def test_the_name_of_a_system_is_no_pattern(store: Store) -> None:
    """`web_` would be any letter in LIKE; a name has none, an id may."""
    async with store.write() as connection:
        await records.keep_links(connection, store, "web", {"odooX:variant:1": "1"})
        await records.keep_links(connection, store, "other", {"odoo:variant:2": "2"})
    assert await linking.known_links(store, "odoo", "variant", "web") == []


PEOPLE = [
    ("501", {"email": "Anna@x.example", "phone": "+33 1"}),
    ("502", {"email": "ben@x.example", "phone": "+33 2"}),
    ("503", {"email": "twice@x.example"}),
    ("504", {"email": "twice@x.example"}),
]
ACCOUNTS = [
    ("1", {"email": "anna@x.example"}),
    ("2", {"email": "other@x.example", "phone": "00332"}),
    ("3", {"email": "twice@x.example"}),
]


async def test_customers_are_linked_from_their_owner(store: Store) -> None:
    """case: F36: the shop owns them, so they go by its ids; a shared telephone is no match."""
    found = await link(store, {"odoo": Lists(people=PEOPLE), "web": Lists(people=ACCOUNTS)}, "customers")
    assert found.written == 1
    assert await links(store, "odoo", "web:customer:1", "web:customer:2", "web:customer:3") == {"web:customer:1": "501"}
    assert found.summary()["review"] == {"ambiguous": 1, "keys_disagree": 1}
    assert all(row.keys == "" for row in found.rows), "no personal data in the review"
    again = await link(store, {"odoo": Lists(people=PEOPLE), "web": Lists(people=ACCOUNTS)}, "customers")
    assert (again.written, len(again.matching.linked)) == (0, 1)


async def test_who_was_merged_into_another_is_nobody_of_its_own(store: Store) -> None:
    """case: F35: neither linked again nor in the review, and the other is told by its key alone now."""
    await identity.merge(store, [], "odoo", "504", "503", "pat")
    found = await link(store, {"odoo": Lists(people=PEOPLE), "web": Lists(people=ACCOUNTS)}, "customers")
    assert ("503", "3") in [(pair.here, pair.there) for pair in found.matching.matched]
    assert "504" not in str(found.rows)


async def test_customers_whom_the_erp_owns_go_by_its_ids(store: Store) -> None:
    text = TEXT.replace("customer: web", "customer: odoo")
    made = {"odoo": Lists(people=PEOPLE), "web": Lists(people=ACCOUNTS)}
    await link(store, made, "customers", text=text)
    assert await links(store, "web", "odoo:customer:501") == {"odoo:customer:501": "1"}
    assert (await link(store, made, "customers", text=text)).written == 0


async def test_ten_thousand_products_are_linked_in_one_go(store: Store) -> None:
    ours = [(str(n), {"sku": f"SKU-{n}", "product": str(n // 3)}) for n in range(10_000)]
    theirs = [(f"{n // 3}/{n + 50_000}", {"sku": f"sku-{n}", "product": str(n // 3)}) for n in range(10_000)]
    found = await link(store, {"odoo": Lists(ours), "web": Lists(theirs)})
    assert found.written == 10_000 + 3334


@pytest.mark.parametrize(
    ("system", "text", "said"),
    [
        ("shop", TEXT, "there are: web, odoo"),
        ("odoo", TEXT.replace("owners: {customer: web, product: odoo}\n", "").replace("  web:", "  b2b:", 1), None),
        (
            "web",
            TEXT.replace(
                "owners: {customer: web, product: odoo}\n", "  till: {connector: shop, url: https://t.example}\n"
            ),
            "who owns",
        ),
    ],
)
def test_which_erp_is_meant_is_not_guessed(system: str, text: str, said: str | None) -> None:
    if said is None:
        assert onboarding.erp_of(blueprint(text), system, "products") == "b2b", "there is but one other"
        return
    with pytest.raises(Unfit, match=said):
        onboarding.erp_of(blueprint(text), system, "products")


async def test_a_system_without_products_says_so(store: Store) -> None:
    with pytest.raises(Unfit, match="web has no products"):
        await link(store, {"odoo": Lists(SHIRT), "web": object()})


# Orders of the past


class Past:
    """A shop with `pages` of two orders; `breaks` at a page, once."""

    def __init__(self, pages: int, breaks: int = -1) -> None:
        self.pages, self.breaks = pages, breaks
        self.asked: list[int] = []

    async def count_history(self, since: datetime, until: datetime) -> int:
        assert since < until
        return self.pages * 2

    async def history(self, cursor: Mapping[str, Any], since: datetime, until: datetime) -> AsyncIterator[Page]:
        page = cursor.get("page", self.pages)
        while page > 0:
            self.asked.append(page)
            if page == self.breaks:
                self.breaks = -1
                raise Failure(Outcome(Kind.DOWN, "unreachable", "The shop cannot be reached."))
            orders = [Raw("order", str(page * 2 + n), b'{"id":%d}' % (page * 2 + n)) for n in (0, 1)]
            page -= 1
            yield Page(orders, {"page": page})


async def taken(store: Store, shop: Past, rate: float = 0.0, again: bool = False) -> int:
    return await onboarding.import_history(store, shop, "web", SINCE, UNTIL, rate, nothing, again)


async def kept(store: Store) -> list[tuple[str, str]]:
    async with store.read() as connection:
        rows = await connection.execute(sa.select(receipt.c.object_id, receipt.c.origin).order_by(receipt.c.id))
        return [(row.object_id, row.origin) for row in rows]


async def test_the_past_is_taken_in_as_import(store: Store) -> None:
    assert await taken(store, Past(2)) == 4
    assert await kept(store) == [("4", "import"), ("5", "import"), ("2", "import"), ("3", "import")]


async def test_it_goes_on_where_it_was_stopped_and_comes_to_an_end(store: Store) -> None:
    shop = Past(3, breaks=2)
    with pytest.raises(Failure):
        await taken(store, shop)
    assert len(await kept(store)) == 2
    assert await taken(store, shop) == 4
    assert shop.asked == [3, 2, 2, 1], "the page that was kept is not read again"
    assert await taken(store, shop) == 0
    assert len(await kept(store)) == 6


async def test_it_begins_anew_if_told_to(store: Store) -> None:
    assert await taken(store, Past(2)) == 4
    assert await taken(store, Past(2), again=True) == 4


async def test_another_span_is_another_import(store: Store) -> None:
    assert await taken(store, Past(1)) == 2
    earlier = datetime(2024, 1, 1, tzinfo=UTC)
    assert await onboarding.import_history(store, Past(1), "web", earlier, SINCE, 0, nothing) == 2


async def test_two_do_not_import_the_same_at_once(store: Store) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    class Slow(Past):
        async def history(self, cursor: Mapping[str, Any], since: datetime, until: datetime) -> AsyncIterator[Page]:
            async for page in super().history(cursor, since, until):
                yield page
                begun.set()
                await go.wait()

    first = asyncio.create_task(taken(store, Slow(1)))
    await begun.wait()
    with pytest.raises(Unfit, match="under way"):
        await taken(store, Past(1))
    go.set()
    assert await first == 2


async def test_a_cancelled_import_gives_its_turn_back(store: Store) -> None:
    begun = asyncio.Event()

    class Endless(Past):
        async def history(self, cursor: Mapping[str, Any], since: datetime, until: datetime) -> AsyncIterator[Page]:
            yield Page([Raw("order", "9", b"{}")], {"page": 1})
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(taken(store, Endless(1)))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with store.read() as connection:
        row = (await connection.execute(sa.select(cursor))).one()
    assert (row.token, row.value) == (None, {"page": 1})
    assert await taken(store, Past(1)) == 2


async def test_the_rate_is_kept(store: Store) -> None:
    before = time.monotonic()
    assert await taken(store, Past(3), rate=20) == 6
    assert time.monotonic() - before >= 0.3


@pytest.mark.parametrize(
    ("text", "since", "until", "said"),
    [
        (TEXT.replace(", cut_over: 2026-01-01T00:00:00Z", ""), SINCE, None, "no cut_over"),
        (TEXT, UNTIL, None, "nothing to import"),
        (TEXT, SINCE, datetime(2026, 1, 2, tzinfo=UTC), "live ones"),
        (TEXT.replace("  web:", "  b2b:").replace("customer: web", "customer: odoo"), SINCE, None, "there are: b2b"),
    ],
)
def test_only_what_lies_before_the_cut_over_is_history(
    text: str, since: datetime, until: datetime | None, said: str
) -> None:
    with pytest.raises(Unfit, match=said):
        onboarding.span(blueprint(text), "web", since, until)


def test_the_span_ends_at_the_cut_over_unless_said() -> None:
    assert onboarding.span(blueprint(), "web", SINCE, None) == (SINCE, UNTIL)
    earlier = datetime(2025, 6, 1, tzinfo=UTC)
    assert onboarding.span(blueprint(), "web", SINCE, earlier) == (SINCE, earlier)
