"""What the tests of the WooCommerce connector share: a shop, its connector, and items for its operations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil.hub.contract import Feed, Item, Outcome, Raw
from counterfoil.retail.entity import Entity
from counterfoil.retail.fulfilment import ErpState, Fulfilment, Invoice, Packed, Shipment, ShipmentState
from counterfoil.retail.money import Money
from counterfoil_sandbox.woocommerce import RECORDINGS, ShopApp, make_app

SECRET = "shared words"
SYSTEM = "web-eu"
T0 = 1_795_254_800  # 2026-11-21T09:53:20Z


def settings(url: str, **more: str) -> dict[str, str]:
    """What a blueprint says of the stand-in."""
    keys = {"consumer_key": "ck_sandbox", "consumer_secret": "cs_sandbox", "webhook_secret": SECRET}
    return {"url": url, **keys, "timeout": "30s", **more}


def shop_at_t0(catalogue: Path | None = RECORDINGS, webhook_delay: float = 3600) -> ShopApp:
    """An empty shop whose clock stands at T0; webhooks are not delivered within a test, unless told to."""
    app = make_app(catalogue, webhook_delay=webhook_delay)
    app.shop.set_clock(frozen_at=T0)
    return app


def feed(shop: WooCommerce, name: str = "orders") -> Feed:
    """One of the connector's feeds."""
    return next(feed for feed in shop.feeds if feed.name == name)


async def poll(shop: WooCommerce, cursor: Mapping[str, Any], name: str = "orders") -> tuple[list[Raw], dict[str, Any]]:
    """One whole round: all receipts, and the cursor after it."""
    receipts: list[Raw] = []
    async for page in feed(shop, name).poll(cursor):
        receipts += page.receipts
        cursor = page.cursor
    return receipts, dict(cursor)


async def run(shop: WooCommerce, operation: str, *items: Item) -> list[Outcome]:
    """Call an operation."""
    return await shop.operations[operation].run(items)


def packed(sku: str = "TEE-1", quantity: str = "2", name: str = "T-shirt", line: str = "7") -> Packed:
    """Units in a shipment."""
    return Packed(sku=sku, quantity=Decimal(quantity), line=line, name=name)


def shipment(id_: str = "12", state: ShipmentState = ShipmentState.DONE, **more: Any) -> Shipment:
    """A shipment, done unless said otherwise."""
    at = datetime(2026, 11, 21, 12, int(id_) % 60, tzinfo=UTC) if state is ShipmentState.DONE else None
    known = {"number": f"WH/OUT/000{id_}", "done_at": at, "items": (packed(),)}
    return Shipment(id=id_, state=state, **{**known, **more})


def invoice(id_: str = "5", **more: Any) -> Invoice:
    """A posted invoice of 24.20 EUR."""
    return Invoice(**{"id": id_, "number": f"INV/2026/000{id_}", "total": Money.of("24.20", "EUR"), **more})


def fulfilment(number: int = 1000, *shipments: Shipment, **more: Any) -> Fulfilment:
    """The ERP's side of shop order `number`, confirmed unless said otherwise."""
    known: dict[str, Any] = {"id": "42", "number": "S00042", "state": ErpState.CONFIRMED, "shipments": shipments}
    return Fulfilment(order=f"{SYSTEM}:order:{number}", **{**known, **more})


def item(subject: str, type_: str, state: Entity | None, link: str = "", **data: Any) -> Item:
    """A delivery whose newest state rides along."""
    if state is not None:
        data["state"] = state.model_dump(mode="json")
    return Item(1, subject, subject, type_, data, link)


def telling(found: Fulfilment, type_: str = "shipment.dispatched") -> Item:
    """A delivery for tell_order."""
    return item(found.order, type_, found)


class Door:
    """What a door does with webhooks, as far as the connector is asked."""

    def __init__(self, shop: WooCommerce) -> None:
        self.shop = shop
        self.kept: list[Raw] = []
        self.status = 202
        self.pings = 0

    def app(self) -> Starlette:
        async def take(request: Request) -> Response:
            raw = self.shop.receive(dict(request.headers), await request.body())
            if raw is None:
                self.pings += 1
            elif self.status < 300:
                self.kept.append(raw)
            return Response(status_code=self.status)

        return Starlette(routes=[Route("/webhooks/web-eu", take, methods=["POST"])])
