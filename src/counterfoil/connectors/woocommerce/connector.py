"""WooCommerce behind the connector contract: orders, refunds and customers in, and what the ERP has to say back."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from counterfoil.connectors.overlay import PLAIN, Dialect
from counterfoil.connectors.woocommerce import accounts, care, channel_doctor, doctor, facts, history, webhooks
from counterfoil.connectors.woocommerce.catalogue import BATCH as PRODUCT_BATCH
from counterfoil.connectors.woocommerce.catalogue import publish_products
from counterfoil.connectors.woocommerce.client import Client
from counterfoil.connectors.woocommerce.feeds import poll_orders
from counterfoil.connectors.woocommerce.orders import note_orders
from counterfoil.connectors.woocommerce.places import articles
from counterfoil.connectors.woocommerce.refunds import poll_refunds, read_refunds
from counterfoil.connectors.woocommerce.releases import releases_of
from counterfoil.connectors.woocommerce.shop_facts import ShopFacts
from counterfoil.connectors.woocommerce.stock import BATCH as STOCK_BATCH
from counterfoil.connectors.woocommerce.stock import publish_stock
from counterfoil.connectors.woocommerce.tell import Manner, tell_orders
from counterfoil.connectors.woocommerce.translate import decode
from counterfoil.hub.contract import (
    Feed,
    Finding,
    Item,
    Observed,
    Operation,
    Outcome,
    Page,
    Raw,
    Refused,
    Release,
    Setting,
)
from counterfoil.hub.facts import Shelf, ShopOrder
from counterfoil.retail.listing import Channel

SETTINGS = (
    Setting("consumer_key", required=True, secret=True, help="Key of WooCommerce > Settings > Advanced > REST API"),
    Setting("consumer_secret", required=True, secret=True, help="The secret that was shown with the key"),
    Setting("webhook_secret", secret=True, help="Text of your choice; without it the shop is only polled"),
    Setting("timeout", help="Longest wait for one answer of the shop, such as 15s"),
    Setting("notes", help="Order notes: 'customer' mails all, 'private' none; without it shipments only"),
    Setting("shipment_tracking", help="'yes' fills the Shipment Tracking extension's list as well"),
    Setting("create_customers", help="'yes' makes accounts for customers who have none; default no"),
    Setting("customers", help="How often all accounts are read, such as 15m, or 'no'; without it at every 15th poll"),
    Setting("refunds", help="How often all refunds are compared, such as 15m; without it at every 15th poll"),
    Setting("refund_window", help="How far back that list goes, such as 90d (the default)"),
    Setting("webhook_repair", help="Shortest time between two repairs of the same webhook, such as 30m (the default)"),
)
# What the blueprint's catalogue wants to know without a shop at hand; manifest.toml says the same.
CAPABILITIES: Mapping[str, Any] = {
    "name": "woocommerce",
    "webhook_setting": "webhook_secret",
    "poll": 60.0,
    "feeds": ("orders", "trash", "refunds", "customers"),
    "operations": (
        {"name": "note_order", "stream": "order", "emits": frozenset({"order.noted"})},
        {"name": "tell_order", "stream": "order", "emits": frozenset({"order.told"}), "state": True},
        {"name": "read_refunds", "stream": "order", "emits": frozenset({"order.refund_read"})},
        {"name": "update_customer", "stream": "customer", "emits": frozenset({"customer.updated"}), "state": True},
        {"name": "publish_stock", "stream": "stock", "emits": frozenset[str](), "state": True},
        {"name": "publish_product", "stream": "product", "emits": frozenset({"product.published"}), "state": True},
    ),
    "events": frozenset(
        {
            "order.placed",
            "order.paid",
            "order.changed",
            "order.cancelled",
            "order.payment_lost",
            "order.refunded",
            "order.waiting",
            "order.not_wanted",
            "order.completed",
            "order.history",
            "customer.changed",
        }
    ),
}
SELDOM = 15
"""So many times `poll` pass between two readings of what can only be read whole: accounts and refunds."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)")
_UNITS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class WooCommerce:
    """One WooCommerce shop (REST v3, WooCommerce 8 or later).

    `settings` is text by name: `url`, `consumer_key` and `consumer_secret` are required; `webhook_secret`, `poll`
    (60s), `overlap` (2m), `cut_over` (ISO 8601), `timeout` (15s), `public_url` (where webhooks are sent to) and those
    of SETTINGS are not. `channel` says what the shop is told of stock and products, `dialect` what of it is read as
    the blueprint says. Raises ValueError with what was found and expected.
    """

    def __init__(
        self,
        system: str,
        settings: Mapping[str, str],
        transport: httpx.AsyncBaseTransport | None = None,
        channel: Channel | None = None,
        dialect: Dialect = PLAIN,
    ) -> None:
        missing = [name for name in ("url", "consumer_key", "consumer_secret") if not settings.get(name)]
        if missing:
            raise ValueError(f"systems.{system}: {', '.join(missing)} missing")
        self.system = system
        self.overlap = _seconds(system, settings, "overlap", "2m")
        self.public_url = settings.get("public_url", "").rstrip("/")
        self._every = _seconds(system, settings, "poll", "60s")
        self._start = _moment(system, settings, "cut_over")
        self._webhook_secret = settings.get("webhook_secret", "")
        self._manner = Manner(
            _one_of(system, settings, "notes", ("", "customer", "private")),
            _yes(system, settings, "shipment_tracking"),
            dialect,
        )
        self._create_customers = _yes(system, settings, "create_customers")
        self._with_customers = settings.get("customers", "") not in ("no", "off", "False")
        seldom = f"{self._every * SELDOM:.3f}"
        self._customers_every = _seconds(system, settings, "customers", seldom) if self._with_customers else 0.0
        self._refunds_every = _seconds(system, settings, "refunds", seldom)
        self._refund_window = timedelta(seconds=_seconds(system, settings, "refund_window", "90d"))
        self._carer = care.Carer(_seconds(system, settings, "webhook_repair", "30m"))
        self._client = Client(
            settings["url"],
            settings["consumer_key"],
            settings["consumer_secret"],
            _seconds(system, settings, "timeout", "15s"),
            transport,
        )
        self._channel = channel or Channel()
        self._dialect = dialect
        self._shop_facts = ShopFacts(self._client)

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What can be done to the shop; how each is idempotent says its module."""
        calm: dict[str, Any] = {"batch": 5, "timeout": 180.0, "parallel": 2}  # a look and a write an item
        orders = (
            Operation("note_order", "order", self._note_orders, emits=("order.noted",), **calm),
            Operation(
                "tell_order",
                "order",
                self._tell_orders,
                emits=("order.told",),
                coalesces=True,
                **calm | {"parallel": 4},
            ),
            Operation("read_refunds", "order", self._read_refunds, emits=("order.refund_read",), **calm),
        )
        told = ("customer.updated",)
        customer = Operation("update_customer", "customer", self._update_customers, emits=told, coalesces=True, **calm)
        stock = Operation(
            "publish_stock", "stock", self._publish_stock, batch=STOCK_BATCH, timeout=180.0, parallel=2, coalesces=True
        )
        product = Operation(
            "publish_product",
            "product",
            self._publish_products,
            batch=PRODUCT_BATCH,
            emits=("product.published",),
            timeout=300.0,
            coalesces=True,
        )
        return {operation.name: operation for operation in (*orders, customer, stock, product)}

    @property
    def feeds(self) -> Sequence[Feed]:
        """Changed orders; those in the trash, which the shop's list leaves out; refunds against last time; accounts."""
        found = [
            Feed("orders", "order", self._every, self._poll("any")),
            Feed("trash", "order", self._every, self._poll("trash")),
            Feed("refunds", "order", self._refunds_every, self._poll_refunds),
        ]
        if self._with_customers:
            found.append(Feed("customers", "customer", self._customers_every, self._poll_customers))
        return tuple(found)

    @property
    def topics(self) -> tuple[str, ...]:
        """The webhooks that the shop should have."""
        return webhooks.TOPICS + (webhooks.CUSTOMER_TOPICS if self._with_customers else ())

    def receive(self, headers: Mapping[str, str], body: bytes) -> Raw | None:
        """Check a webhook's signature and take its id; None for pings and other topics. Raises Refused."""
        try:
            return webhooks.receive(self._webhook_secret, headers, body)
        except Refused as refused:
            if refused.reason == "bad_signature":
                self._carer.refuse(headers)
            raise

    def decode(self, raw: Raw) -> Observed:
        """What a receipt tells. Versions are whole seconds: changes within one share it. Raises BadPayload."""
        if raw.kind == "customer":
            return accounts.decode_account(self.system, raw.body, self._dialect)
        return decode(self.system, raw.body, self._dialect)

    def people(self) -> AsyncIterator[tuple[str, Mapping[str, str]]]:
        """Every customer with an account, in order of id: keys, name and address. Raises Failure."""
        return accounts.people(self._client)

    async def count_history(self, since: datetime, until: datetime) -> int:
        """How many orders were created from `since` until before `until` (aware times). Raises Failure."""
        return await history.count_history(self._client, since, until)

    def history(self, cursor: Mapping[str, Any], since: datetime, until: datetime) -> AsyncIterator[Page]:
        """Pages of those orders, whatever became of them; see history.py. Raises Failure."""
        return history.history(self._client, cursor, since, until)

    def list_orders(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[ShopOrder]]:
        """Orders created in [since, until) but those in the trash. Raises Failure."""
        return facts.list_orders(self._client, self.system, self._dialect, since, until)

    async def orders_now(self, ids: Sequence[str]) -> Sequence[ShopOrder]:
        """These orders (canonical ids) as they are now, those in the trash too. Raises Failure."""
        return await facts.orders_now(self._client, self.system, self._dialect, ids)

    async def shelf(self, wanted: Sequence[tuple[str, str]]) -> Sequence[Shelf | None]:
        """How the shop shows each (SKU, link or ''). Raises Failure."""
        return await facts.shelf(self._client, self._shop_facts, wanted)

    async def fetch(self, kind: str, ids: Sequence[str]) -> Sequence[Raw]:
        """These orders whole, as the poll would bring them; nothing of other kinds. Raises Failure."""
        return await facts.fetch(self._client, ids) if kind == "order" else []

    async def care(self) -> list[Finding]:
        """Look at the webhooks, repair those that need it, say so; see care.py. Raises Failure."""
        return await self._carer.look(self._client, self.system, self.public_url, self._webhook_secret, self.topics)

    async def doctor(self) -> list[Finding]:
        """Look at reachability, key, version, clock, rights, webhooks and money settings; never raises."""
        secret = bool(self._webhook_secret)
        found = await doctor.examine(self._client, self.system, self.public_url, secret, self.overlap, self.topics)
        return [*found, *await channel_doctor.examine(self._client, self._channel, found)]

    async def versions(self) -> Sequence[Release]:
        """WooCommerce's and WordPress's. Raises Failure, also where the key may not read the shop's status."""
        return await releases_of(self._client)

    async def ensure_webhooks(self, public_url: str, *, renew: bool = False) -> list[str]:
        """Create the webhooks towards `<public_url>/webhooks/<system>` where missing or not active.

        A webhook that was switched off is deleted and made anew: re-enabled it would die on the next failure.
        `renew` replaces the healthy ones too, after a change of the secret (which the shop never shows).
        Gives the topics that were created. Raises Failure, or ValueError without a webhook_secret.
        """
        if not self._webhook_secret:
            raise ValueError(f"systems.{self.system}: webhook_secret missing")
        secret, topics = self._webhook_secret, self.topics
        return await care.ensure_webhooks(self._client, self.system, public_url, secret, renew, topics)

    async def close(self) -> None:
        """Give back connections."""
        await self._client.close()

    def _poll(self, status: str) -> Callable[[Mapping[str, Any]], AsyncIterator[Page]]:
        def poll(cursor: Mapping[str, Any]) -> AsyncIterator[Page]:
            return poll_orders(self._client, cursor, status=status, overlap=self.overlap, start=self._start)

        return poll

    def articles(self) -> AsyncIterator[tuple[str, Mapping[str, str]]]:
        """Every article of the shop: its link and its keys (sku, gtin, product, label). Raises Failure."""
        return articles(self._client)

    async def _publish_stock(self, items: Sequence[Item]) -> list[Outcome]:
        return await publish_stock(self._client, self._channel, items)

    async def _publish_products(self, items: Sequence[Item]) -> list[Outcome]:
        return await publish_products(self._client, self._channel, self._shop_facts, items)

    def _poll_refunds(self, cursor: Mapping[str, Any]) -> AsyncIterator[Page]:
        return poll_refunds(self._client, cursor, self._refund_window)

    def _poll_customers(self, _cursor: Mapping[str, Any]) -> AsyncIterator[Page]:
        return accounts.poll_customers(self._client)

    async def _note_orders(self, items: Sequence[Item]) -> list[Outcome]:
        return await note_orders(self._client, self.system, items, self._dialect)

    async def _tell_orders(self, items: Sequence[Item]) -> list[Outcome]:
        return await tell_orders(self._client, self.system, self._manner, items)

    async def _read_refunds(self, items: Sequence[Item]) -> list[Outcome]:
        return await read_refunds(self._client, self.system, items)

    async def _update_customers(self, items: Sequence[Item]) -> list[Outcome]:
        return await accounts.update_customers(self._client, self.system, self._create_customers, items, self._dialect)


def _seconds(system: str, settings: Mapping[str, str], name: str, default: str) -> float:
    """A duration such as 60s, 2m or 0.5 (seconds)."""
    text = str(settings.get(name) or default).strip()
    found = _DURATION.fullmatch(text)
    if found is None or float(found[1]) <= 0:
        raise ValueError(f"systems.{system}.{name}: found {text!r}, expected a duration such as 60s or 2m")
    return float(found[1]) * _UNITS[found[2]]


def _one_of(system: str, settings: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    text = str(settings.get(name) or "").strip()
    if text not in known:
        expected = " or ".join(word for word in known if word)
        raise ValueError(f"systems.{system}.{name}: found {text!r}, expected {expected}")
    return text


def _yes(system: str, settings: Mapping[str, str], name: str) -> bool:
    """Yes or no; YAML makes booleans of these words, which reach us as True and False."""
    text = {"True": "yes", "False": "no"}.get(str(settings.get(name, "")), str(settings.get(name, "")))
    return _one_of(system, {name: text}, name, ("", "yes", "no")) == "yes"


def _moment(system: str, settings: Mapping[str, str], name: str) -> datetime | None:
    text = str(settings.get(name) or "").strip()
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        example = "2026-11-01T00:00:00Z"
        raise ValueError(f"systems.{system}.{name}: found {text!r}, expected a time such as {example}") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
