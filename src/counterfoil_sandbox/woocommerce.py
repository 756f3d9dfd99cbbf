"""A WooCommerce 9.9.5 REST v3 shop, as far as orders go, over real HTTP; held to recordings of the real one.

    app = make_app()
    with serving(app) as url:
        app.shop.place()

It plays a shop behind TLS, so HTTP Basic works over plain http; `behind_tls=False` refuses it as WooCommerce does.
Doors for programs stand under /_sandbox and need no key.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from counterfoil_sandbox.faults import Faulty
from counterfoil_sandbox.woocommerce_api import Api
from counterfoil_sandbox.woocommerce_orders import RECORDINGS, generate, make_order
from counterfoil_sandbox.woocommerce_rest import Rest
from counterfoil_sandbox.woocommerce_state import Shop

__all__ = ["RECORDINGS", "ShopApp", "generate", "make_app", "make_order"]

API = "/wp-json/wc/v3"


class ShopApp(Faulty):
    """The stand-in with its shop. `requests` counts what the API was asked, by method and path."""

    def __init__(self, app: Starlette, shop: Shop, requests: Counter[str]) -> None:
        super().__init__(app)
        self.shop = shop
        self.requests = requests


def make_app(
    catalogue: Path | str | None = RECORDINGS,
    *,
    site_timezone: str = "Europe/Paris",
    key: str = "ck_sandbox",
    secret: str = "cs_sandbox",  # noqa: S107
    permissions: str = "read_write",
    behind_tls: bool = True,
    webhook_delay: float = 0.05,
    seed: int = 1,
    options: Mapping[str, str] | None = None,
) -> ShopApp:
    """An empty shop with the catalogue (products, taxes, customers, settings) of a folder of recordings.

    `site_timezone` is a name or an offset (-07:00); `permissions` of the key: read, write or read_write;
    `webhook_delay` in seconds from an event to its delivery; `options` are settings of WooCommerce by their id.
    """
    api = Api(Shop(site_timezone, webhook_delay, seed), catalogue, key, secret, permissions, behind_tls)
    for option in (*api.lists["settings/general"], *api.lists["settings/tax"]):
        option["value"] = (options or {}).get(option["id"], option["value"])
    app = Starlette(routes=[*_routes(api), *_doors(api)])
    return ShopApp(app, api.shop, api.requests)


def _routes(api: Api) -> list[Route]:
    one, many = "GET, POST, PUT, PATCH, DELETE", "GET, POST"
    every = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    table: list[tuple[str, Callable[[Request], Any], str, list[str]]] = [
        ("/orders", api.orders, many, ["GET", "POST"]),
        ("/orders/{id:int}", api.order, one, every),
        ("/orders/{id:int}/refunds", api.refunds.of_order, many, ["GET", "POST"]),
        ("/orders/{id:int}/refunds/{refund:int}", api.refunds.one, "GET, DELETE", ["GET", "DELETE"]),
        ("/orders/{id:int}/notes", api.notes.of_order, many, ["GET", "POST"]),
        ("/orders/{id:int}/notes/{note:int}", api.notes.one, "GET, DELETE", ["GET", "DELETE"]),
        ("/refunds", api.refunds.all, "GET", ["GET"]),
        ("/webhooks", api.webhooks, many, ["GET", "POST"]),
        ("/webhooks/{id:int}", api.webhook, one, every),
        *api.products.table,
        ("/taxes", api.listing("taxes"), many, ["GET"]),
        ("/customers", api.customers.many, many, ["GET", "POST"]),
        ("/customers/{id:int}", api.customers.one, one, every),
        ("/payment_gateways", api.listing("payment_gateways"), "GET", ["GET"]),
        ("/settings/general", api.whole("settings/general"), "GET", ["GET"]),
        ("/settings/tax", api.whole("settings/tax"), "GET", ["GET"]),
        ("/system_status", api.system_status, "GET", ["GET"]),
    ]
    routes = [Route(API + path, api.handler(work, allow), methods=methods) for path, work, allow, methods in table]

    async def index(request: Request) -> Response:
        offset = datetime.now(api.shop.zone).utcoffset()
        body: dict[str, Any] = {
            "name": "Sandbox Shop",
            "description": "",
            "url": str(request.base_url).rstrip("/"),
            "home": str(request.base_url).rstrip("/"),
            "gmt_offset": offset.total_seconds() / 3600 if offset else 0,
            "timezone_string": "" if ":" in api.shop.zone_name else api.shop.zone_name,
            "namespaces": ["wc/v3", "wp/v2"],
            "authentication": [],
            "routes": {path[len("/wp-json") :]: {} for path in (route.path for route in routes)},
        }
        return api.answer(request, 200, body, {}, "GET")

    async def no_route(request: Request) -> Response:
        words = "No route was found matching the URL and request method."
        return api.answer(request, 404, Rest(404, "rest_no_route", words).body, {}, "")

    return [*routes, Route("/wp-json/", index), Route("/wp-json/{rest:path}", no_route, methods=every)]


def _doors(api: Api) -> list[Route]:
    """What only a stand-in has: placing orders, quirks, the clock."""
    shop = api.shop

    async def orders(request: Request) -> Any:
        if request.method == "GET":
            return {"orders": shop.orders}
        body = await request.json()
        if "count" not in body:
            return {"ids": [shop.place(body.pop("order", None), **body)["id"]]}
        made = generate(RECORDINGS, int(body["count"]), int(body.get("seed", shop.seed)))
        return {"ids": [shop.place({**order, "id": 0})["id"] for order in made]}

    async def order(request: Request) -> Any:
        number = request.path_params["id"]
        if request.method == "DELETE":
            return shop.delete(number, request.query_params.get("force") in ("true", "1"))
        return shop.change(number, **await request.json()) if request.method == "POST" else shop.order(number)

    async def refund(request: Request) -> Any:
        body = await request.json()
        amount = None if body.get("amount") is None else str(body["amount"])
        return shop.refund(request.path_params["id"], amount, str(body.get("reason", "")), body.get("lines", ()))

    async def notes(request: Request) -> Any:
        return {"notes": shop.notes(request.path_params["id"])}

    async def amend(request: Request) -> Any:
        body = await request.json()
        quantities = {int(line): quantity for line, quantity in body.pop("quantities", {}).items()}
        return shop.amend(request.path_params["id"], quantities, **body)

    async def restore(request: Request) -> Any:
        return shop.restore(request.path_params["id"])

    async def quirks(request: Request) -> Any:
        shop.set_quirks(**await request.json())
        return {"quirks": shop.courier.quirks}

    async def clock(request: Request) -> Any:
        shop.set_clock(**await request.json())
        return {"now": shop.now()}

    async def webhooks(_request: Request) -> Any:
        return {"webhooks": shop.webhooks, "deliveries": shop.deliveries, "waiting": shop.waiting}

    async def deliver(_request: Request) -> Any:
        return {"delivered": await asyncio.to_thread(shop.deliver_now)}

    async def hold(request: Request) -> Any:
        shop.hold_webhooks(bool((await request.json()).get("hold", True)))
        return {"waiting": shop.waiting}

    async def state(_request: Request) -> Any:
        found = shop.orders
        by_status = Counter(order["status"] for order in found)
        return {"orders": len(found), "by_status": by_status, "requests": api.requests.total()}

    def door(work: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def handle(request: Request) -> Response:
            try:
                return JSONResponse(await work(request))
            except KeyError as error:
                return JSONResponse({"error": f"unknown: {error}"}, 404)
            except (TypeError, ValueError) as error:
                return JSONResponse({"error": str(error)}, 400)

        return handle

    table = [
        ("/orders", orders, ["GET", "POST"]),
        ("/orders/{id:int}", order, ["GET", "POST", "DELETE"]),
        ("/orders/{id:int}/refund", refund, ["POST"]),
        ("/orders/{id:int}/restore", restore, ["POST"]),
        ("/orders/{id:int}/amend", amend, ["POST"]),
        ("/orders/{id:int}/notes", notes, ["GET"]),
        ("/quirks", quirks, ["POST"]),
        ("/clock", clock, ["POST"]),
        ("/webhooks", webhooks, ["GET"]),
        ("/webhooks/deliver", deliver, ["POST"]),
        ("/webhooks/hold", hold, ["POST"]),
        ("/state", state, ["GET"]),
    ]
    return [Route(f"/_sandbox{path}", door(work), methods=methods) for path, work, methods in table]
