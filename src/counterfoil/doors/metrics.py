"""GET /metrics, for Prometheus: to the declared addresses, or to who brings the declared token.

An address is believed only of who asks directly: what came through a proxy needs the token.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from counterfoil.blueprint import Blueprint
from counterfoil.blueprint.metrics import MetricsRules
from counterfoil.doors.storefront.book import Book
from counterfoil.doors.webhooks import problem
from counterfoil.hub.contract import Connector
from counterfoil.hub.pressure import Gauge
from counterfoil.hub.store import Store
from counterfoil.watch.metrics import Known, Metrics

PATH = "/metrics"
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")

Own = dict[tuple[str, tuple[str, ...]], float]


def of(store: Store, blueprint: Blueprint, made: Mapping[str, Connector], own: Callable[[], Own]) -> ASGIApp:
    """The metrics of a process with these connectors, and what it says of itself."""
    feeds = {(name, feed.name): feed.every for name, each in made.items() for feed in each.feeds}
    return application(Metrics(store, Known(tuple(made), feeds), own), blueprint.metrics)


def application(metrics: Metrics, rules: MetricsRules) -> ASGIApp:
    """The one route."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await (await _answer(Request(scope), metrics, rules))(scope, receive, send)

    return app


def beside(app: ASGIApp, metrics: ASGIApp) -> ASGIApp:
    """All other paths go to `app`."""

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        await (metrics if scope.get("path") == PATH else app)(scope, receive, send)

    return either


async def _answer(request: Request, metrics: Metrics, rules: MetricsRules) -> Response:
    if request.url.path != PATH:
        return problem(404, "not_found", "Only /metrics is here.")
    if not _may(request, rules):
        return problem(401, "not_allowed", "Metrics are not for this address; a token lets others in.")
    if request.method not in ("GET", "HEAD"):
        return problem(405, "wrong_method", "Metrics can only be read.", Allow="GET, HEAD")
    body, kind = await metrics.text(request.headers.get("accept", ""))
    return Response(body, media_type=kind, headers={"Cache-Control": "no-store"})


def _may(request: Request, rules: MetricsRules) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if rules.token is not None and scheme.lower() == "bearer":
        return hmac.compare_digest(given.strip().encode(), rules.token.reveal().encode())
    direct = not any(name in request.headers for name in _FORWARDED)
    return direct and request.client is not None and rules.allows(request.client.host)


def own(roles: Collection[str], gauge: Gauge, book: Book) -> Own:
    """What a process of these roles says of itself."""
    said: Own = {("counterfoil_role", (role,)): 1.0 for role in roles}
    if "workers" in roles:
        said["counterfoil_pressure", ()] = float(gauge.high)
    if "doors" in roles:
        fresh = book.freshness()
        said["counterfoil_storefront_book_ready", ()] = float(book.ready)
        if book.ready:
            said["counterfoil_storefront_book_stale", ()] = float(fresh.stale)
        if fresh.age_seconds is not None:
            said["counterfoil_storefront_book_age_seconds", ()] = float(fresh.age_seconds)
    return said
