"""Changes of stock as they happen, for the SKUs of one page: server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from counterfoil.doors.storefront.context import Context
from counterfoil.doors.storefront.models import MOST_SKUS
from counterfoil.doors.storefront.problems import INVALID, UNAVAILABLE, Kind, documented
from counterfoil.doors.storefront.selling import Selling
from counterfoil.doors.storefront.shelf import Freshness
from counterfoil.doors.storefront.tokens import Caller, needs

MOST_STREAMS = 1000
"""At once, in one process."""
BEAT = 15.0
"""Seconds without a change after which a line is sent all the same, so that nobody in between takes it for dead."""
STEP = 1.0
"""Seconds in which a stream notices that the process ends."""

FULL = Kind(
    "streams_full",
    503,
    "Too many streams are open",
    "Ask for the quantities every few seconds instead, and for a stream again later.",
    {"Retry-After": "30"},
)
EVENT = {
    "type": "object",
    "description": "one event; `data` is JSON: of `stock` an article's availability, of `age` how old it all is",
    "properties": {"event": {"enum": ["stock", "age"]}, "data": {"type": "string"}},
    "required": ["event", "data"],
}


def routes(context: Context) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["availability"])
    selling = Selling(context)
    open_ = 0

    @router.get(
        "/stock/stream",
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "Events `stock` with the availability of one SKU, at first of each, and `age`.",
                "content": {"text/event-stream": {"schema": EVENT}},
            },
            **documented(UNAVAILABLE, FULL),
        },
    )
    async def stock_stream(
        caller: Annotated[Caller, needs("availability")],
        skus: Annotated[str, Query(min_length=1, max_length=20_000, description="SKUs with commas between")],
    ) -> StreamingResponse:
        """Changes of what may be sold of these SKUs, until the connection is closed."""
        book = context.ready_book()
        wanted = list(dict.fromkeys(filter(None, skus.split(","))))
        if not wanted or len(wanted) > MOST_SKUS:
            raise INVALID.problem(f"At most {MOST_SKUS} SKUs, at least one.", errors=[{"at": "query.skus"}])
        if open_ >= MOST_STREAMS:
            raise FULL.problem(f"{MOST_STREAMS} streams are open at this process.")
        lines = _lines(context, selling, caller.channel, [sku for sku in wanted if book.known(sku)])
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(counted(lines), media_type="text/event-stream", headers=headers)

    async def counted(lines: AsyncIterator[str]) -> AsyncIterator[str]:
        nonlocal open_
        open_ += 1
        try:
            async for line in lines:
                yield line
        finally:
            open_ -= 1

    return router


async def _lines(context: Context, selling: Selling, channel: str, skus: Sequence[str]) -> AsyncIterator[str]:
    book, clock = context.book, asyncio.get_running_loop().time
    with book.watch(skus) as watch:
        changed, last, quiet_since = list(skus), book.freshness(), clock()
        yield _age(last)
        while True:
            for sku in changed:
                said = {"sku": sku, **selling.availability(channel, sku).model_dump()}
                yield f"event: stock\ndata: {json.dumps(said, ensure_ascii=False)}\n\n"
            if context.stop.is_set():
                return
            fresh = book.freshness()
            if fresh.stale != last.stale:  # the channel's rule decides anew of all of them
                changed = list(skus)
                last = fresh
                yield _age(fresh)
                continue
            if changed:
                quiet_since = clock()
            elif clock() - quiet_since >= BEAT:
                quiet_since = clock()
                yield _age(fresh)
            changed = await watch.changed(STEP)


def _age(fresh: Freshness) -> str:
    return f"event: age\ndata: {json.dumps(fresh.as_json())}\n\n"
