"""Odoo as a system that takes orders and tells what became of them, and of stock, products and customers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx

from counterfoil.connectors.odoo import doctor, facts, fingerprint, reading
from counterfoil.connectors.odoo import feeds as polled
from counterfoil.connectors.odoo.connecting import connect
from counterfoil.connectors.odoo.lookups import Lookups
from counterfoil.connectors.odoo.operations import OFFERS, operations
from counterfoil.connectors.odoo.releases import releases_of
from counterfoil.connectors.odoo.rules import Rules, TaxRule
from counterfoil.hub.contract import (
    Feed,
    Finding,
    Observed,
    Operation,
    Raw,
    Refused,
    Release,
    Setting,
)
from counterfoil.hub.facts import HeldOrder
from counterfoil.retail.product import Product, StockLevel

__all__ = ["CAPABILITIES", "SETTINGS", "Odoo", "Rules", "TaxRule"]

SETTINGS = (
    Setting("database", help="the database's name, where the server has several"),
    Setting("login", help="the user's login, which Odoo 14 to 18 want beside the key"),
    Setting("api_key", required=True, secret=True, help="of a user with the groups that `counterfoil doctor` names"),
    Setting("company", help="name or number of the company to work in, where the user sees several"),
    Setting("api", help="json2 or jsonrpc; found out where it is not said"),
    Setting("timeout", help="seconds for one call, 45 by default"),
    Setting("pricelist", help="name or external id of the pricelist that shops sell by; without it the list price"),
    Setting("language", help="code of the language of names and texts of products, such as fr_FR"),
    Setting("customer_fields", help="fields of Odoo's customers that are read as extra.NAME, such as x_credit_hold"),
    Setting("image_url", help="where shops can fetch pictures: {url} {model} {id} {digest} {sku} are filled in"),
    Setting("reconcile_stock", help="how often all stock is read again, 15m by default"),
    Setting("reconcile_products", help="how often all products are read again, 24h by default"),
    Setting("reconcile_calendars", help="how often the staff's calendars are read again whole, 60s by default"),
    Setting("reconcile_orders", help="how often all orders of the last 30 days are read again, 24h by default"),
)

CAPABILITIES = {
    "name": "odoo",
    "poll": polled.OFTEN,
    "feeds": ("stock", "fulfilment", "products", "customers", "calendar"),
    "events": frozenset(
        {
            *("order.confirmed", "order.backordered", "order.delivered", "order.invoiced", "order.credited"),
            "order.ready_for_pickup",
            *("order.closed", "shipment.dispatched", "shipment.returned"),
            *("stock.changed", "product.changed", "customer.changed", "calendar.changed"),
            *("appointment.moved",),
        }
    ),
    "operations": tuple(
        {"name": each.name, "stream": each.stream, "emits": each.emits, "state": each.state} for each in OFFERS
    ),
}


class Odoo:
    """One Odoo. `settings`: url, database, api_key, timeout (texts). Implements the connector contract."""

    def __init__(
        self,
        system: str,
        settings: Mapping[str, str],
        rules: Rules | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.system = system
        self.client = connect(settings, transport)
        self.lookups = Lookups(self.client, rules or Rules())
        self._url = settings["url"]
        self._image_url = reading.picture_template(system, settings.get("image_url") or "")
        staff = self.lookups.rules.staff
        own = [name.strip() for name in settings.get("customer_fields", "").split(",") if name.strip()]
        self.sources = polled.Sources.of(
            *(self.client, settings.get("pricelist", ""), settings.get("language", ""), staff, own),
            self.lookups.rules.pricelists,
        )
        self._feeds = polled.feeds(self.sources, polled.timing(system, settings))
        self._operations = operations(self.client, self.lookups)
        self._listing = facts.Listing(system, self.sources, self._url, self._image_url)

    @property
    def operations(self) -> Mapping[str, Operation]:
        """All that is done to an Odoo; see operations.py."""
        return self._operations

    @property
    def feeds(self) -> Sequence[Feed]:
        """Stock, the ERP's side of orders, products, customers and, where asked for, calendars; see feeds.py."""
        return self._feeds

    def receive(self, headers: Mapping[str, str], body: bytes) -> Raw | None:
        """Odoo's own webhooks are unsigned and not taken."""
        raise Refused(404, "no_webhooks", "This system takes no webhooks.")

    def decode(self, raw: Raw) -> Observed:
        """The Fulfilment, StockLevel, Product or Account of a receipt. Raises BadPayload."""
        return reading.decode(self.system, raw, self._url, self._image_url)

    def articles(self) -> AsyncIterator[tuple[str, Mapping[str, str]]]:
        """Every sellable variant with its keys, by number. Raises Failure."""
        return self.sources.catalogue.articles()

    def people(self) -> AsyncIterator[tuple[str, Mapping[str, str]]]:
        """Every customer with its keys, by number. Raises Failure."""
        return self.sources.people.people()

    def list_held(self, shop: str, since: datetime, until: datetime) -> AsyncIterator[Sequence[HeldOrder]]:
        """The shop's orders here that are dated in [since, until). Raises Failure."""
        return facts.list_held(self.sources.stocks.reader, shop, since, until)

    async def held_now(self, ids: Sequence[str]) -> Sequence[HeldOrder]:
        """These orders (canonical ids) as they are here now. Raises Failure."""
        return await facts.held_now(self.sources.stocks.reader, ids)

    def list_stock(self) -> AsyncIterator[Sequence[StockLevel]]:
        """Every article whose stock is counted. Raises Failure."""
        return self._listing.stock()

    async def stock_now(self, ids: Sequence[str]) -> Sequence[StockLevel]:
        """These articles (numbers) now. Raises Failure."""
        return [level async for page in self._listing.stock([int(id_) for id_ in ids]) for level in page]

    def list_products(self) -> AsyncIterator[Sequence[Product]]:
        """Every product with the prices of its variants. Raises Failure."""
        return self._listing.products()

    async def products_now(self, ids: Sequence[str]) -> Sequence[Product]:
        """These products (numbers) now. Raises Failure."""
        return [product async for page in self._listing.products([int(id_) for id_ in ids]) for product in page]

    async def fetch(self, kind: str, ids: Sequence[str]) -> Sequence[Raw]:
        """Receipts of these objects by number, as the feeds would bring them. Raises Failure."""
        return await self._listing.fetch(kind, [int(id_) for id_ in ids])

    async def care(self) -> list[Finding]:
        """Nothing breaks unseen: Odoo is polled, and a poll that fails says so itself."""
        return []

    async def doctor(self) -> list[Finding]:
        """Look at everything orders need; never raises."""
        return await doctor.examine(self.client, self.lookups, self.sources.catalogue)

    async def versions(self) -> Sequence[Release]:
        """Odoo's version, and whether it is spoken to by JSON-2; signs in nowhere. Raises Failure."""
        return await releases_of(self.client)

    async def fingerprint(self) -> dict[str, Any]:
        """What is relied on in this Odoo, to be compared later (fingerprint.compare). Raises Failure."""
        return await fingerprint.take(self.client)

    async def close(self) -> None:
        """Give back connections."""
        await self.client.close()
