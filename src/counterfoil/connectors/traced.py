"""The trace context on every request of a connector, and to nobody but its own system."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable

import httpx

from counterfoil.hub import outgoing

Hooks = dict[str, list[Callable[[httpx.Request], Awaitable[None]]]]


def traced(url: str) -> Hooks:
    """Event hooks of an httpx client that calls the system at `url`: they add W3C's `traceparent`, if there is one."""

    async def add(request: httpx.Request) -> None:
        request.headers.pop("traceparent", None)  # a redirected request brings along what the first one had
        context = outgoing.traceparent()
        if context and _place(request.url) == _home(url):
            request.headers["traceparent"] = context

    return {"request": [add]}


@functools.cache  # parsing takes longer than all the rest
def _home(url: str) -> tuple[str, str, int | None]:
    return _place(httpx.URL(url))


def _place(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
