"""Polling: nothing is skipped, whatever changes meanwhile; little is asked when nothing is new."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.connectors.odoo.an_odoo import START, AnOdoo

from counterfoil.connectors.odoo import Odoo
from counterfoil.connectors.odoo.feeds import OFTEN, SELDOM, Bodies, Polled, PolledStock, Timing, timing
from counterfoil.connectors.odoo.watching import Changed, Reader, Seen, Watch, changed, stamp
from counterfoil.hub.contract import AGAIN, Page

ROWS = Watch("thing", "owner", ("mark",))


class Things:
    """A source as plain as can be: the thing is its row."""

    def __init__(self, odoo: AnOdoo) -> None:
        self.odoo, self.reader = odoo, Reader(odoo)

    async def watches(self) -> tuple[Watch, ...]:
        return (ROWS,)

    async def owners(self, changes: Iterable[Changed]) -> list[int]:
        return sorted({change.owner for change in changes})

    async def read(self, numbers: Sequence[int]) -> Bodies:
        return {str(n): {"value": self.odoo.tables["thing"][n]["value"]} for n in numbers}


class PolledThings(Polled):
    """Walks through them when told to."""

    source: Things

    @property
    def reader(self) -> Reader:
        return self.source.reader


def polled(
    odoo: AnOdoo, *, walk: str = "", batch: int = 3, overlap: float = 120.0, walk_every: float = 900.0
) -> Polled:
    """The feed's poll; `walk` is the model that is walked through."""
    made = PolledThings(Things(odoo), "thing", batch, 3600.0, walk_every, overlap)
    made.model = walk
    return made


async def drain(feed: Polled, cursor: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(values told by object, the cursor kept)."""
    told: dict[str, Any] = {}
    async for page in feed.poll(cursor):
        told |= {raw.object_id: json.loads(raw.body)["value"] for raw in page.receipts}
        cursor = json.loads(json.dumps(page.cursor))
    return told, dict(cursor)


def put(odoo: AnOdoo, number: int, value: int, late: float = 0.0) -> None:
    """The thing gets a value, in a transaction that began `late` seconds ago."""
    odoo.write("thing", number, odoo.clock - timedelta(seconds=late), owner=number, value=value, mark="")


# --- nothing is skipped --------------------------------------------------------------------------------------------

CHANGE = st.tuples(st.integers(1, 12), st.floats(0, 90, allow_nan=False))  # whose, and how long it took to commit
DOING = st.one_of(st.just("poll"), st.floats(0.01, 40, allow_nan=False), CHANGE)


@settings(max_examples=200, deadline=None)
@given(doings=st.lists(DOING, max_size=60), between=st.lists(st.none() | CHANGE, max_size=40), marked=st.booleans())
async def test_every_change_is_told_in_the_end(doings: list[Any], between: list[Any], marked: bool) -> None:
    """case: F09 - changes between pages, several in one second, transactions that commit up to 90 s after they began
    (up to half a second where the marks do not show what changed): once all is quiet, what was told last of each thing
    is how it stands."""
    odoo = AnOdoo()
    feed, cursor, told, values = polled(odoo), dict[str, Any](), dict[str, Any](), iter(range(10_000))
    interruptions = iter(between)
    last: dict[int, Any] = {}

    def change(number: int, late: float) -> None:
        # a transaction can only write what it could read when it began: never before the row's last commit
        began = max(odoo.clock - timedelta(seconds=late if marked else min(late, 0.5)), last.get(number, START))
        value = next(values)
        odoo.write("thing", number, began, owner=number, value=value, mark=value if marked else "")
        last[number] = odoo.clock

    def interrupt() -> None:
        each = next(interruptions, None)
        if each is not None:
            change(*each)

    _, cursor = await drain(feed, cursor)  # what was before the first look is the walk's business
    odoo.between = interrupt
    for doing in doings:
        if doing == "poll":
            news, cursor = await drain(feed, cursor)
            told |= news
        elif isinstance(doing, float):
            odoo.later(doing)
        else:
            change(*doing)
    odoo.between = lambda: None
    odoo.later(2)
    news, cursor = await drain(feed, cursor)
    told |= news
    expected = {str(id_): row["value"] for id_, row in odoo.tables.get("thing", {}).items()}
    assert told == expected


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(st.integers(1, 400), unique=True), size=st.integers(1, 50), moved=st.lists(st.integers(1, 400)))
async def test_pages_by_number_lose_no_row(rows: list[int], size: int, moved: list[int]) -> None:
    """case: F09 - rows that are written again while pages are read stay where they are."""
    odoo = AnOdoo()
    for number in rows:
        put(odoo, number, 1)
    moving = iter(moved)

    def touch() -> None:
        odoo.later(1)
        if (number := next(moving, None)) in rows:
            put(odoo, int(number or 0), 2)

    odoo.between = touch
    found = [row["id"] async for page in Reader(odoo).pages("thing", [], ["value"], size=size) for row in page]
    assert found == sorted(rows)


async def test_a_transaction_that_ends_behind_the_cursor() -> None:
    """It began before the last look and was committed after it: found, as the look goes back."""
    odoo = AnOdoo()
    feed = polled(odoo)
    put(odoo, 1, 1)
    told, cursor = await drain(feed, {})
    odoo.later(60)
    told, cursor = await drain(feed, cursor)
    odoo.later(30)
    put(odoo, 2, 5, late=80)
    told, cursor = await drain(feed, cursor)
    assert told == {"2": 5}


async def test_twice_within_one_second() -> None:
    """case: F06 - Odoo shows both with the same time: the second is told all the same."""
    odoo = AnOdoo()
    feed = polled(odoo)
    put(odoo, 1, 5)
    told, cursor = await drain(feed, {})
    odoo.later(0.4)
    put(odoo, 1, 3)
    told, cursor = await drain(feed, cursor)
    assert told == {"1": 3}


async def test_the_cursor_does_not_move_before_the_page_is_kept() -> None:
    """case: F08 - killed after the first of several pages: all come again."""
    odoo = AnOdoo()
    feed = polled(odoo, batch=1)
    _, cursor = await drain(feed, {})
    odoo.later(1)
    for number in (1, 2, 3):
        put(odoo, number, 7)
    pages = feed.poll(cursor)
    first: Page = await anext(pages)
    await pages.aclose()  # type: ignore[attr-defined]
    assert [raw.object_id for raw in first.receipts] == ["1"]
    odoo.later(60)
    told, _ = await drain(feed, first.cursor)
    assert told == {"1": 7, "2": 7, "3": 7}


async def test_a_clock_that_was_set_back() -> None:
    """What is written after that is not before the cursor."""
    odoo = AnOdoo()
    feed = polled(odoo)
    odoo.later(7200)
    put(odoo, 1, 1)
    _, cursor = await drain(feed, {})
    odoo.later(-3600)
    put(odoo, 2, 1)
    told, _ = await drain(feed, cursor)
    assert told["2"] == 1


async def test_stock_that_is_asked_for_is_read_once_whether_it_changed_or_not() -> None:
    odoo = AnOdoo()
    put(odoo, 1, 5)
    put(odoo, 2, 7)
    feed = PolledStock(Things(odoo), "stock", 3, 3600.0, 900.0, 120.0)  # type: ignore[arg-type]
    feed.model = ""
    odoo.later(500)
    _, cursor = await drain(feed, {})
    told, cursor = await drain(feed, {**cursor, AGAIN: ["2"]})
    assert (told, AGAIN in cursor) == ({"2": 7}, False)
    assert (await drain(feed, cursor))[0] == {}


# --- little is asked -----------------------------------------------------------------------------------------------


async def test_what_was_dealt_with_is_not_read_again() -> None:
    """Although the look goes back two minutes; after those, nothing is remembered either."""
    odoo = AnOdoo()
    feed = polled(odoo)
    put(odoo, 1, 1)
    odoo.later(2)
    told, cursor = await drain(feed, {})
    assert told == {"1": 1}
    for _ in range(5):
        odoo.later(2)
        told, cursor = await drain(feed, cursor)
        assert told == {}
    odoo.later(400)
    told, cursor = await drain(feed, cursor)
    told, cursor = await drain(feed, cursor)
    assert told == {}
    assert not feed.seen


async def test_nothing_new_costs_no_commit() -> None:
    """No page at all, but one in each half of the overlap, for the cursor to come along."""
    odoo = AnOdoo()
    feed = polled(odoo)
    _, cursor = await drain(feed, {})
    odoo.later(2)
    assert [page async for page in feed.poll(cursor)] == []
    odoo.later(61)
    [page] = [page async for page in feed.poll(cursor)]
    assert page.receipts == []
    assert page.cursor["since"] > cursor["since"]


def test_marks_tell_two_states_with_one_time_apart() -> None:
    """And a row that was written in this very second is not taken for known."""
    seen = Seen()
    row = {"id": 1, "write_date": "2026-11-02 10:00:00", "owner": 1, "mark": "open"}
    seen.learn([Changed(ROWS, row)], "2026-11-02 10:00:00")
    assert seen.news(ROWS, [row])
    seen.learn([Changed(ROWS, row)], "2026-11-02 10:00:01")
    assert seen.news(ROWS, [row]) == []
    assert seen.news(ROWS, [row | {"mark": "done"}])
    seen.forget("2026-11-02 10:00:01")
    assert not seen


async def test_a_model_without_rows_in_the_window() -> None:
    """One call a watch."""
    odoo = AnOdoo()
    put(odoo, 1, 1)
    odoo.later(600)
    assert await changed(Reader(odoo), Seen(), (ROWS, ROWS), stamp(odoo.clock)) == []
    assert odoo.calls == [("thing", "search_read")] * 2


# --- the walk ------------------------------------------------------------------------------------------------------


async def test_the_walk_goes_through_everything_at_first_and_when_its_time_has_come() -> None:
    """Rows that left no trace are found by it, at the latest after `walk_every`."""
    odoo = AnOdoo()
    feed = polled(odoo, walk="thing", walk_every=900)
    for number in range(1, 11):
        put(odoo, number, 1, late=86_400)
    told, cursor = await drain(feed, {})
    assert sorted(map(int, told)) == list(range(1, 11))
    odoo.tables["thing"][4]["value"] = 9  # by raw SQL
    odoo.later(890)
    told, cursor = await drain(feed, cursor)
    assert told == {}
    odoo.later(20)
    told, cursor = await drain(feed, cursor)
    assert told["4"] == 9
    assert cursor["walked"] == "2026-11-02T10:15:10Z"


async def test_a_walk_that_was_broken_off_goes_on_where_it_was() -> None:
    """case: F08 - also by another process, and with another hub's clock."""
    odoo = AnOdoo()
    for number in range(1, 11):
        put(odoo, number, 1, late=86_400)
    pages = polled(odoo, walk="thing", batch=4).poll({})
    kept: Mapping[str, Any] = {}
    async for page in pages:
        kept = page.cursor
        if page.receipts:
            break
    await pages.aclose()  # type: ignore[attr-defined]
    assert kept["walk"]["after"] == 4
    told, cursor = await drain(polled(odoo, walk="thing", batch=4), kept)
    assert sorted(map(int, told)) == [5, 6, 7, 8, 9, 10]
    assert "walk" not in cursor


async def test_changes_are_told_between_the_pages_of_a_long_walk() -> None:
    """case: F22 - a stock change does not wait for everything else to be read."""
    odoo = AnOdoo()
    for number in range(1, 10):
        put(odoo, number, 1, late=86_400)
    feed = polled(odoo, walk="thing", batch=3)
    feed.every = -1.0  # it is always time to look
    told: list[str] = []
    async for page in feed.poll({}):
        told += [raw.object_id for raw in page.receipts]
        if told == ["1", "2", "3"]:
            put(odoo, 9, 2)
    assert told[3] == "9"
    assert sorted(set(told)) == [str(n) for n in range(1, 10)]


# --- settings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("absent", [{}, {"poll": ""}])
def test_each_feed_has_its_own_time_unless_the_blueprint_says_one(absent: dict[str, str]) -> None:
    """Often for stock and orders, seldom for the rest."""
    base = {"url": "http://odoo.example", "api_key": "k"}
    usual = {feed.name: feed.every for feed in Odoo("odoo", base | absent).feeds}
    assert usual == {"stock": OFTEN, "fulfilment": OFTEN, "products": SELDOM, "customers": SELDOM}
    said = {feed.name: feed.every for feed in Odoo("odoo", base | {"poll": "60s"}).feeds}
    assert set(said.values()) == {60.0}
    quick = {feed.name: feed.every for feed in Odoo("odoo", base | {"poll": "500ms"}).feeds}
    assert (quick["stock"], quick["products"]) == (0.5, SELDOM)


def test_durations_are_read_and_refused_by_name() -> None:
    """Where the blueprint is wrong it says where, what and what instead."""
    assert timing("erp", {"overlap": "5m", "reconcile_stock": "1h"}) == Timing(overlap=300.0, walk_stock=3600.0)
    with pytest.raises(ValueError, match=r"systems\.erp\.overlap: found 'soon', expected a duration such as 60s"):
        timing("erp", {"overlap": "soon"})
    with pytest.raises(ValueError, match=r"systems\.erp\.poll"):
        timing("erp", {"poll": "0"})
