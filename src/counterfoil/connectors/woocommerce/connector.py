"""WooCommerce behind the connector contract: orders in by webhook and poll, the ERP's number back."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx

from counterfoil.connectors.woocommerce import doctor, webhooks
from counterfoil.connectors.woocommerce.client import Answer, Client
from counterfoil.connectors.woocommerce.feeds import poll_orders
from counterfoil.connectors.woocommerce.translate import ERP_NUMBER, decode, erp_numbers
from counterfoil.hub.contract import (
    BadPayload,
    Failure,
    Feed,
    Finding,
    Item,
    Kind,
    Observed,
    Operation,
    Outcome,
    Page,
    Raw,
    Setting,
    rejected,
)

SETTINGS = (
    Setting("consumer_key", required=True, secret=True, help="Key of WooCommerce > Settings > Advanced > REST API"),
    Setting("consumer_secret", required=True, secret=True, help="The secret that was shown with the key"),
    Setting("webhook_secret", secret=True, help="Text of your choice; without it the shop is only polled"),
    Setting("timeout", help="Longest wait for one answer of the shop, such as 15s"),
)
# What the blueprint's catalogue wants to know without a shop at hand; manifest.toml says the same.
CAPABILITIES: Mapping[str, Any] = {
    "name": "woocommerce",
    "webhook_setting": "webhook_secret",
    "feeds": ("orders", "trash"),
    "operations": ({"name": "note_order", "stream": "order", "emits": frozenset({"order.noted"})},),
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
        }
    ),
}
_WHOLE_SHOP = {Kind.DOWN, Kind.THROTTLED, Kind.MISCONFIGURED}  # no use in asking for the next item
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)")
_UNITS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class WooCommerce:
    """One WooCommerce shop (REST v3, WooCommerce 8 or later).

    `settings` is text by name: `url`, `consumer_key` and `consumer_secret` are required; `webhook_secret`, `poll`
    (60s), `overlap` (2m), `cut_over` (ISO 8601), `timeout` (15s) and `public_url` (only looked at by the doctor)
    are not. Raises ValueError with what was found and expected.
    """

    def __init__(
        self, system: str, settings: Mapping[str, str], transport: httpx.AsyncBaseTransport | None = None
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
        self._client = Client(
            settings["url"],
            settings["consumer_key"],
            settings["consumer_secret"],
            _seconds(system, settings, "timeout", "15s"),
            transport,
        )

    @property
    def operations(self) -> Mapping[str, Operation]:
        """`note_order` writes the ERP's order number into the shop order: a look and a write each."""
        note = Operation(
            "note_order", "order", self._note_orders, batch=5, emits=("order.noted",), timeout=180.0, parallel=2
        )
        return {note.name: note}

    @property
    def feeds(self) -> Sequence[Feed]:
        """Changed orders, and those that went to the trash, which the shop's list otherwise leaves out."""
        return (
            Feed("orders", "order", self._every, self._poll("any")),
            Feed("trash", "order", self._every, self._poll("trash")),
        )

    def receive(self, headers: Mapping[str, str], body: bytes) -> Raw | None:
        """Check a webhook's signature and take its order id; None for pings and other topics. Raises Refused."""
        return webhooks.receive(self._webhook_secret, headers, body)

    def decode(self, raw: Raw) -> Observed:
        """The order of a receipt. Versions are whole seconds: changes within one share it. Raises BadPayload."""
        return decode(self.system, raw.body)

    async def doctor(self) -> list[Finding]:
        """Look at reachability, key, version, clock, rights, webhooks and money settings; never raises."""
        secret = bool(self._webhook_secret)
        return await doctor.examine(self._client, self.system, self.public_url, secret, self.overlap)

    async def ensure_webhooks(self, public_url: str, *, renew: bool = False) -> list[str]:
        """Create the order webhooks towards `<public_url>/webhooks/<system>` where missing or not active.

        A webhook that was switched off is deleted and made anew: re-enabled it would die on the next failure.
        `renew` replaces the healthy ones too, after a change of the secret (which the shop never shows).
        Gives the topics that were created. Raises Failure, or ValueError without a webhook_secret.
        """
        if not self._webhook_secret:
            raise ValueError(f"systems.{self.system}: webhook_secret missing")
        return await doctor.ensure_webhooks(self._client, self.system, public_url, self._webhook_secret, renew)

    async def close(self) -> None:
        """Give back connections."""
        await self._client.close()

    def _poll(self, status: str) -> Callable[[Mapping[str, Any]], AsyncIterator[Page]]:
        def poll(cursor: Mapping[str, Any]) -> AsyncIterator[Page]:
            return poll_orders(self._client, cursor, status=status, overlap=self.overlap, start=self._start)

        return poll

    async def _note_orders(self, items: Sequence[Item]) -> list[Outcome]:
        return await note_orders(self._client, self.system, items)


def _seconds(system: str, settings: Mapping[str, str], name: str, default: str) -> float:
    """A duration such as 60s, 2m or 0.5 (seconds)."""
    text = str(settings.get(name) or default).strip()
    found = _DURATION.fullmatch(text)
    if found is None or float(found[1]) <= 0:
        raise ValueError(f"systems.{system}.{name}: found {text!r}, expected a duration such as 60s or 2m")
    return float(found[1]) * _UNITS[found[2]]


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


async def note_orders(client: Client, system: str, items: Sequence[Item]) -> list[Outcome]:
    """Write the ERP's number (`data["number"]`) into each shop order's meta data; one outcome an item.

    Idempotent by looking first: an order that has the number already is not written, so a repeat after a lost
    answer moves nothing in the shop. The lane keeps one delivery at work per order; what remains is a second
    writer between look and write, which can leave the meta row twice, both with a number.
    """
    outcomes: list[Outcome] = []
    for item in items:
        try:
            outcomes.append(await _note_order(client, system, item))
        except Failure as failure:
            outcomes.append(failure.outcome)
            if failure.outcome.kind in _WHOLE_SHOP:
                outcomes += [failure.outcome] * (len(items) - len(outcomes))
                break
    return outcomes


async def _note_order(client: Client, system: str, item: Item) -> Outcome:
    order_id = item.subject.rpartition(":")[2]
    number = item.data.get("number")
    if not order_id.isascii() or not order_id.isdigit() or not isinstance(number, str) or not number:
        technical = f"subject {item.subject!r}, number {number!r}"
        return Outcome(Kind.BUG, "no_number", "There is no order number to write into the shop.", technical)
    known = erp_numbers(_order_in(await client.get(f"orders/{order_id}"), order_id))
    if number in known:
        return _noted(order_id, number, written=False)
    meta = {"meta_data": [{"key": ERP_NUMBER, "value": number}]}
    answer = await client.call("PUT", f"orders/{order_id}", content=meta)
    if number not in erp_numbers(_order_in(answer, order_id)):
        return rejected(
            "note_not_kept",
            f"The shop took the ERP's order number {number} but did not keep it.",
            "A plugin in the shop filters order meta data; allow the key _counterfoil_erp_number.",
        )
    try:
        observed = decode(system, answer.body)
    except BadPayload:  # written all the same; what is wrong with the order shows when it comes in
        observed = None
    return _noted(order_id, number, written=True, observed=observed)


def _noted(order_id: str, number: str, written: bool, observed: Observed | None = None) -> Outcome:
    """Done. Only a write of ours is observed: what a mere look shows comes in by the feed."""
    result = {"number": number, "order_id": order_id, "written": written}
    return Outcome(Kind.DONE, result=result, link=order_id, emits=("order.noted",), observed=observed)


def _order_in(answer: Answer, order_id: str) -> dict[str, object]:
    """The order of an answer. Some caches answer a PUT with the page they hold; that is not taken for an order."""
    if isinstance(answer.data, dict) and str(answer.data.get("id")) == order_id:
        return answer.data
    technical = f"expected order {order_id}, got {answer.body[:200].decode('utf-8', 'replace')!r}"
    raise Failure(Outcome(Kind.RETRY, "odd_answer", "The shop answered with something else.", technical))
