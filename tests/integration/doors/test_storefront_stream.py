"""Server-sent events: what may be sold of the SKUs of a page, as it changes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from tests.conftest import ON_SQLITE
from tests.storefront_stage import ROOT, Stage, product, storefront

from counterfoil.doors.storefront import stream
from counterfoil.doors.storefront.selling import Selling
from counterfoil.hub.store import Store

pytestmark = ON_SQLITE
PATIENCE = 10.0


class Reader:
    """A browser at the stream, without HTTP in between: the test client reads whole answers only."""

    def __init__(self, stage: Stage, skus: list[str]) -> None:
        selling = Selling(stage.context)
        self._lines = stream._lines(stage.context, selling, "web", skus)

    async def next(self) -> tuple[str, dict[str, Any]]:
        async with asyncio.timeout(PATIENCE):
            text = await anext(self._lines)
        event, data = text.strip().split("\n")
        return event.removeprefix("event: "), json.loads(data.removeprefix("data: "))


@contextlib.asynccontextmanager
async def scene(store: Store) -> AsyncIterator[Stage]:
    async with storefront(store, "stock: {when_stale: {web: stop}, bundles: {SET: {MUG: 2}}}\n") as stage:
        await stage.sells(product("MUG"), product("CUP"), product("SET"))
        await stage.counts(MUG={"WH": 5}, CUP={"WH": 5})
        yield stage


async def test_a_page_hears_of_its_articles_and_of_no_others(store: Store) -> None:
    async with scene(store) as stage:
        reader = Reader(stage, ["MUG", "SET"])
        assert [(await reader.next())[0] for _ in range(3)] == ["age", "stock", "stock"]
        waiting = asyncio.create_task(reader.next())
        await asyncio.sleep(0)
        await stage.counts(CUP={"WH": 1})
        await stage.counts(MUG={"WH": 4})
        first, second = await waiting, await reader.next()
        assert [(e, d["sku"], d["quantity"]) for e, d in (first, second)] == [("stock", "MUG", 4), ("stock", "SET", 2)]


async def test_when_the_state_gets_too_old_all_of_it_is_said_anew(store: Store) -> None:
    async with scene(store) as stage:
        reader = Reader(stage, ["MUG"])
        assert [(await reader.next())[0] for _ in range(2)] == ["age", "stock"]
        await stage.looked(ago=3600.0)
        (event, age), (_, mug) = await reader.next(), await reader.next()
        assert (event, age["stale"], mug["quantity"]) == ("age", True, 0)


async def test_a_stream_says_all_once_and_ends_with_the_process(store: Store) -> None:
    async with scene(store) as stage:
        asyncio.get_running_loop().call_later(0.05, stage.context.stop.set)
        async with asyncio.timeout(PATIENCE):
            answer = await stage.client.get(f"{ROOT}/stock/stream", params={"skus": "MUG,NONE,CUP"})
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [line for line in answer.text.splitlines() if line.startswith("event")]
        assert events == ["event: age", "event: stock", "event: stock"]
