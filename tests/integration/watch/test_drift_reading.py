"""Reading both sides: a listing that breaks off is gone on with; a suspect is judged by what was heard since."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any, cast

import pytest
import sqlalchemy as sa

from counterfoil.blueprint import parse
from counterfoil.doors import assembly
from counterfoil.hub import exceptions, mending
from counterfoil.hub.contract import Connector, Failure, Kind, Outcome
from counterfoil.hub.schema import delivery_log, exception
from counterfoil.hub.store import Store
from counterfoil.watch import auditing
from counterfoil.watch.auditing import audit
from counterfoil.watch.drift import Row, Verdict
from counterfoil.watch.drift_house import House, Source
from counterfoil.watch.drift_rows import Pair

PLAN = """\
counterfoil: 1
systems:
  web: {connector: woocommerce, url: https://shop.example, consumer_key: '${K}', consumer_secret: '${K}'}
  odoo: {connector: odoo, url: https://odoo.example, api_key: '${K}'}
"""
GROUP = ("units for sale", "WH")


class Still:
    """A system with no feeds."""

    feeds: tuple[Any, ...] = ()


def row(key: str, shop: int = 1, erp: int = 1) -> Row:
    return Row("stock", key, key, {GROUP: Decimal(shop)}, {GROUP: Decimal(erp)}, subjects=(f"odoo:variant:{key}",))


def published(at: float) -> dict[str, Any]:
    """The log's line of a delivery that ended then."""
    about = {"delivery_id": 1, "system": "web", "operation": "publish_stock", "subject": "odoo:variant:a"}
    outcome = {"attempt": 1, "outcome": "done", "reason": "", "detail": {}, "worker": "w"}
    return {**about, **outcome, "created_at": at, "started_at": at, "ended_at": at}


class Listing(Source):
    """Rows one by one; `breaks` before these, each once; `now` is what a second look finds."""

    what = "stock"

    def __init__(self, store: Store, rows: Sequence[Row], *breaks: str, kind: Kind = Kind.DOWN) -> None:
        made = cast(dict[str, Connector], {"web": Still(), "odoo": Still()})
        plan = parse(PLAN, known=assembly.catalogue(), environ={"K": "k"})
        super().__init__(House(store, plan, made, {}, {}), Pair("web", "odoo"))
        self.rows, self.breaks, self.kind = list(rows), list(breaks), kind
        self.now = self.rows
        self.begun = 0

    async def pages(self) -> AsyncIterator[list[Row]]:
        self.begun += 1
        for one in self.rows:
            if one.key in self.breaks:
                self.breaks.remove(one.key)
                raise Failure(Outcome(self.kind, "unreachable", "The shop cannot be reached."))
            if self.new([one.key]):
                yield [one]

    async def again(self, rows: Sequence[Row]) -> list[Row]:
        return [next(one for one in self.now if one.key == row.key) for row in rows]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "FIRST_WAIT", 0.0)


async def test_a_listing_that_breaks_off_is_begun_again_and_no_row_counts_twice(store: Store) -> None:
    listing = Listing(store, [row("a"), row("b"), row("c")], "b", "c")
    report = await audit(listing.house, listing, None)
    assert (listing.begun, report.tally.rows, report.unread) == (3, 3, "")
    assert report.tally.cells[GROUP].shop == 3


async def test_what_goes_on_breaking_off_is_said_and_what_was_read_stands(store: Store) -> None:
    listing = Listing(store, [row("a"), row("b")], *["b"] * auditing.TRIES)
    report = await audit(listing.house, listing, None)
    assert (listing.begun, report.tally.rows, report.is_even) == (auditing.TRIES, 1, False)
    assert report.unread == "The shop cannot be reached."


async def test_what_a_person_must_mend_is_not_tried_again(store: Store) -> None:
    listing = Listing(store, [row("a")], "a", kind=Kind.MISCONFIGURED)
    report = await audit(listing.house, listing, None)
    assert (listing.begun, report.is_even) == (1, False)


async def test_what_is_even_at_the_second_look_is_no_drift(store: Store) -> None:
    listing = Listing(store, [row("a", 1, 2)])
    listing.now = [row("a", 2, 2)]
    report = await audit(listing.house, listing, None)
    assert (report.is_even, report.tally.rows, sum(report.tally.verdicts.values())) == (True, 1, 0)
    listing = Listing(store, [row("a", 1, 2)])
    assert [f.row.key for f in (await audit(listing.house, listing, None)).tally.drift] == ["a"]


async def test_what_was_delivered_since_the_second_look_is_in_flight(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change came between two looks of the hub: by the time it is judged, its delivery has ended."""
    listing = Listing(store, [row("a", 1, 2)])

    async def heard(*_: Any) -> bool:
        async with store.write() as connection:
            ended = await mending.clock(store)
            await connection.execute(sa.insert(delivery_log).values(**published(ended)))
        return True

    monkeypatch.setattr(auditing, "_heard", heard)
    report = await audit(listing.house, listing, None)
    assert report.tally.verdicts == {Verdict.IN_FLIGHT: 1}


async def test_what_a_person_left_so_is_not_asked_about_again_until_something_is_done_about_it(store: Store) -> None:
    async def audited() -> Any:
        listing = Listing(store, [row("a", 1, 2)])
        return (await audit(listing.house, listing, None, ask=True)).tally.verdicts

    assert await audited() == {Verdict.DRIFT: 1}
    (one,) = await exceptions.listing(store)
    await exceptions.act(store, one["id"], "skipped", "a person", "the shop keeps one back")
    assert await audited() == {Verdict.PERSON: 1}
    assert await exceptions.listing(store) == []
    async with store.write() as connection:
        await connection.execute(sa.update(exception).values(closed_at=one["opened_at"] - 3600))
        await connection.execute(sa.insert(delivery_log).values(**published(one["opened_at"] - 60)))
    assert await audited() == {Verdict.DRIFT: 1}
