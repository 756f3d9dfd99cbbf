"""Reading a shop's past: every order of the span, whatever happens to them meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from counterfoil.connectors.woocommerce import history
from counterfoil.connectors.woocommerce.client import Client
from counterfoil.connectors.woocommerce.translate import decode
from counterfoil.hub.contract import Failure, Kind, Page
from counterfoil_sandbox.woocommerce import ShopApp

START = datetime(2025, 1, 1, tzinfo=UTC)
CUT_OVER = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def client(url: str) -> AsyncIterator[Client]:
    made = Client(url, "ck_sandbox", "cs_sandbox", 5.0)
    yield made
    await made.close()


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three orders a page."""
    monkeypatch.setattr(history, "PER_PAGE", 3)


def placed(app: ShopApp, moment: datetime) -> int:
    """An order that was created then."""
    app.shop.set_clock(frozen_at=int(moment.timestamp()))
    return int(app.shop.place(status="completed")["id"])


def days(app: ShopApp, count: int, first: datetime = START) -> list[int]:
    return [placed(app, first + timedelta(days=n)) for n in range(count)]


async def pages(client: Client, cursor: Mapping[str, Any] | None = None) -> list[Page]:
    return [page async for page in history.history(client, cursor or {}, START, CUT_OVER)]


def ids(found: list[Page]) -> list[int]:
    return [int(raw.object_id) for page in found for raw in page.receipts]


async def test_the_span_holds_its_first_moment_and_not_its_last(app: ShopApp, client: Client) -> None:
    second = timedelta(seconds=1)
    placed(app, START - second)
    wanted = [placed(app, START), placed(app, CUT_OVER - second)]
    placed(app, CUT_OVER)
    assert sorted(ids(await pages(client))) == wanted
    assert await history.count_history(client, START, CUT_OVER) == 2


async def test_an_order_of_the_past_reads_as_any_other(app: ShopApp, client: Client) -> None:
    number = placed(app, START)
    ((raw,),) = [page.receipts for page in await pages(client)]
    observed = decode("web", raw.body)
    assert (raw.kind, observed.object_id) == ("order", str(number))


async def test_nothing_in_the_span_is_nothing(app: ShopApp, client: Client) -> None:
    placed(app, CUT_OVER)
    assert await pages(client) == []
    assert await history.count_history(client, START, CUT_OVER) == 0


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("count", [1, 3, 7, 9])
async def test_pages_hold_each_order_once_and_the_last_cursor_is_the_end(
    app: ShopApp, client: Client, count: int
) -> None:
    wanted = days(app, count)
    found = await pages(client)
    assert sorted(ids(found)) == wanted
    assert len(ids(found)) == count
    assert found[-1].cursor["page"] == 0
    assert await pages(client, found[-1].cursor) == []


@pytest.mark.usefixtures("small_pages")
async def test_it_goes_on_behind_a_kept_page(app: ShopApp, client: Client) -> None:
    wanted = days(app, 8)
    first, *rest = await pages(client)
    assert ids(await pages(client, first.cursor)) == ids(rest)
    assert sorted(ids([first, *rest])) == wanted


@pytest.mark.usefixtures("small_pages")
async def test_an_order_that_goes_to_the_trash_meanwhile_hides_no_other(app: ShopApp, client: Client) -> None:
    wanted = days(app, 9)
    found: list[Page] = []
    async for page in history.history(client, {}, START, CUT_OVER):
        found.append(page)
        if len(found) == 1:
            app.shop.change(wanted[0], status="trash")
    assert set(ids(found)) == set(wanted) - {wanted[0]}


@pytest.mark.usefixtures("small_pages")
async def test_an_order_that_comes_back_from_the_trash_hides_no_other(app: ShopApp, client: Client) -> None:
    """It pushes its neighbours onto a page that was read: seen by the shop's total, and read again."""
    wanted = days(app, 9)
    app.shop.change(wanted[0], status="trash")
    found: list[Page] = []
    async for page in history.history(client, {}, START, CUT_OVER):
        found.append(page)
        if len(found) == 1:
            app.shop.change(wanted[0], status="completed")
    assert set(ids(found)) == set(wanted)


async def test_an_archive_that_shrank_since_the_stop_is_read_to_its_end(
    app: ShopApp, client: Client, small_pages: None
) -> None:
    """Past its last page a shop says that there are no orders at all."""
    wanted = days(app, 4)
    assert sorted(ids(await pages(client, {"page": 3, "total": 9}))) == wanted


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        ("[]", {}, "no_page_count"),
        ('{"id": 1}', {"x-wp-total": "1"}, "not_a_list"),
        ('[{"id": "1"}]', {"x-wp-total": "1"}, "no_id"),
        ("[7]", {"x-wp-total": "1"}, "no_id"),
    ],
)
async def test_a_list_that_cannot_be_trusted_is_an_exception(body: str, headers: dict[str, str], reason: str) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=body, headers=headers)

    client = Client("https://shop.example", "k", "s", 5.0, httpx.MockTransport(answer))
    with pytest.raises(Failure) as failure:
        await pages(client)
    assert (failure.value.outcome.kind, failure.value.outcome.reason) == (Kind.MISCONFIGURED, reason)
    assert failure.value.outcome.suggestion
    await client.close()


async def test_the_bounds_are_sent_with_z_and_without_dates_are_gmt() -> None:
    """Together they silently miss rows; a bare time would mean the shop's zone."""
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, text="[]", headers={"x-wp-total": "0"})

    client = Client("https://shop.example", "k", "s", 5.0, httpx.MockTransport(answer))
    await history.count_history(client, START.astimezone(), CUT_OVER)
    params = dict(asked[0].params)
    assert (params["after"], params["before"]) == ("2024-12-31T23:59:59Z", "2026-01-01T00:00:00Z")
    assert "dates_are_gmt" not in params
    await client.close()
