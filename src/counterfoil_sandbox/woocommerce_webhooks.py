"""How the WooCommerce stand-in delivers webhooks: late, once, never again, and with quirks on demand.

As measured on 9.9.5: the payload is the state at delivery, pending repeats are one, nothing is retried, and the
7th failure in a row switches a webhook off.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import heapq
import hmac
import itertools
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

Json = dict[str, Any]
HOOKS = {  # topic: the WordPress hooks it listens to
    "order.created": ["woocommerce_new_order"],
    "order.updated": ["woocommerce_update_order", "woocommerce_order_refunded"],
    "order.deleted": ["wp_trash_post", "woocommerce_trash_order"],
    "order.restored": ["untrashed_post", "woocommerce_untrash_order"],
    "product.created": [
        *("woocommerce_process_product_meta", "woocommerce_new_product", "woocommerce_new_product_variation")
    ],
    "product.updated": [
        *("woocommerce_process_product_meta", "woocommerce_update_product", "woocommerce_update_product_variation")
    ],
    "product.deleted": ["wp_trash_post"],
    "customer.created": ["user_register", "woocommerce_created_customer", "woocommerce_new_customer"],
    "customer.updated": ["profile_update", "woocommerce_update_customer"],
    "customer.deleted": ["delete_user"],
}
QUIRKS = ("missing", "duplicate", "stale", "out_of_order", "error_body")
GONE = {"code": "woocommerce_rest_shop_order_invalid_id", "message": "Invalid ID.", "data": {"status": 404}}


def php_json(value: Any) -> bytes:
    """JSON as PHP writes it: non-ASCII and slashes escaped. Byte for byte what WooCommerce signs."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/").encode()


@dataclass(order=True)
class _Due:
    """A webhook delivery to come; with a `body` it says what was true when it was queued."""

    at: float
    turn: int
    hook: int = field(compare=False)
    order: int = field(compare=False)
    body: bytes | None = field(compare=False, default=None)
    quirk: str = field(compare=False, default="")


class Courier:
    """The webhooks of a shop, their queue, and the thread they leave from.

    `payload` gives the body for a webhook and an order id, `now` the shop's time, `source` its address.
    """

    def __init__(
        self,
        lock: threading.RLock,
        payload: Callable[[Json, int], bytes],
        now: Callable[[], float],
        source: Callable[[], str],
        delay: float,
        seed: int,
    ) -> None:
        self.lock, self.delay = lock, delay
        self._payload, self._now, self._source = payload, now, source
        self.hooks: dict[int, Json] = {}
        self.deliveries: list[Json] = []
        self.quirks: dict[str, float] = {}
        self._dice = random.Random(seed)
        self._turns = itertools.count()
        self._queue: list[_Due] = []  # a heap by time
        self._pending: set[tuple[int, int]] = set()  # webhook and order of what is queued without a body
        self._wake = threading.Condition(lock)
        self._held = self._busy = False
        self._thread: threading.Thread | None = None
        self._http: httpx.Client | None = None

    @property
    def webhooks(self) -> list[Json]:
        """All webhooks with what the API does not show: secret and failure_count."""
        with self.lock:
            return copy.deepcopy(list(self.hooks.values()))

    def set_quirks(self, **shares: float) -> None:
        """The share (0 to 1) of deliveries that are missing, duplicate, stale, out_of_order or an error_body."""
        unknown = set(shares) - set(QUIRKS)
        if unknown:
            raise ValueError(f"unknown quirk {sorted(unknown)}, one of {', '.join(QUIRKS)}")
        with self.lock:
            self.quirks = dict(shares)

    def hold(self, hold: bool = True) -> None:
        """WP-Cron stands still: what is queued stays queued."""
        with self._wake:
            self._held = hold
            self._wake.notify_all()

    @property
    def waiting(self) -> int:
        """Deliveries still queued."""
        with self.lock:
            return len(self._queue) + self._busy

    def drain(self, timeout: float = 10.0) -> bool:
        """Wait until everything queued was delivered; whether it was."""
        end = time.monotonic() + timeout
        while self.waiting and time.monotonic() < end:
            time.sleep(0.005)
        return not self.waiting

    def deliver_now(self) -> int:
        """Run the queue in the caller's thread, whatever its times; gives how many left."""
        count = 0
        while True:
            with self.lock:
                if not self._queue:
                    return count
                due = self._take()
            self._deliver(due)
            count += 1

    def ping(self, hook: Json) -> None:
        """What WooCommerce sends when a webhook is made: a form, unsigned. Nobody minds a failure."""
        try:
            self._client().post(hook["delivery_url"], data={"webhook_id": hook["id"]}, timeout=5.0)
        except httpx.HTTPError:
            return

    def add(self, content: Json, dates: Json) -> Json:
        """A new webhook; without a secret it gets one nobody knows."""
        with self.lock:
            number = max(self.hooks, default=0) + 1
            topic = content["topic"]
            resource, _, event = topic.partition(".")
            hook: Json = {"id": number, "name": content.get("name") or f"Webhook {number}"}
            hook.update(status=content.get("status") or "active", topic=topic, resource=resource, event=event)
            hook.update(hooks=HOOKS[topic], delivery_url=content["delivery_url"])
            hook.update(dates)
            secret = content.get("secret") or hashlib.sha256(str(self._dice.random()).encode()).hexdigest()
            hook.update(secret=secret, failure_count=0)
            self.hooks[number] = hook
            return hook

    def announce(self, topic: str, number: int) -> None:
        """Queue the webhooks of something that happened. A pending one for the same order says it already."""
        for hook in self.hooks.values():
            if hook["topic"] != topic or hook["status"] != "active":
                continue
            if self._strikes("missing"):
                self._log(hook, number, 0, "missing")
                continue
            quirk = next((q for q in ("error_body", "out_of_order") if self._strikes(q)), "")
            if not quirk and (hook["id"], number) in self._pending:
                continue
            body, delay = None, self.delay
            if quirk == "error_body":
                body = php_json(GONE)
            elif quirk == "out_of_order":
                body, delay = self._payload(hook, number), self.delay * self._dice.uniform(1, 10)
            self._enqueue(delay, hook["id"], number, body, quirk)
            if self._strikes("duplicate"):
                self._enqueue(delay * 1.5, hook["id"], number, self._payload(hook, number), "duplicate")
            if self._strikes("stale"):
                self._enqueue(delay * 6 + 0.2, hook["id"], number, self._payload(hook, number), "stale")

    def _strikes(self, quirk: str) -> bool:
        share = self.quirks.get(quirk, 0.0)
        return share > 0 and self._dice.random() < share

    def _enqueue(self, delay: float, hook: int, order: int, body: bytes | None, quirk: str) -> None:
        with self._wake:
            heapq.heappush(self._queue, _Due(time.monotonic() + delay, next(self._turns), hook, order, body, quirk))
            if body is None:
                self._pending.add((hook, order))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="woocommerce-webhooks", daemon=True)
                self._thread.start()
            self._wake.notify_all()

    def _take(self) -> _Due:
        due = heapq.heappop(self._queue)
        if due.body is None:
            self._pending.discard((due.hook, due.order))
        return due

    def _run(self) -> None:
        while True:
            with self._wake:
                wait = self._queue[0].at - time.monotonic() if self._queue and not self._held else None
                if wait is None or wait > 0:
                    self._wake.wait(wait)
                    continue
                due, self._busy = self._take(), True
            try:
                self._deliver(due)
            finally:
                self._busy = False

    def _deliver(self, due: _Due) -> None:
        with self.lock:
            hook = self.hooks.get(due.hook)
            if hook is None:
                return
            body = due.body or self._payload(hook, due.order)
            headers = self._headers(hook, body)
            url = hook["delivery_url"]
        try:
            status = self._client().post(url, content=body, headers=headers).status_code
        except httpx.HTTPError:
            status = 0
        with self.lock:
            self._log(hook, due.order, status, due.quirk)
            if 200 <= status < 300 or status in (301, 302):
                hook["failure_count"] = 0
            elif hook["failure_count"] > 5:
                hook["status"] = "disabled"
            else:
                hook["failure_count"] += 1

    def _headers(self, hook: Json, body: bytes) -> dict[str, str]:
        digest = hmac.new(hook["secret"].encode(), body, hashlib.sha256).digest()
        # Not unique, as with the real one: the webhook and the second are all that goes in.
        delivery = hashlib.md5(f"{hook['id']}{int(self._now())}".encode(), usedforsecurity=False).hexdigest()
        return {
            "User-Agent": "WooCommerce/9.9.5 Hookshot (WordPress/6.8.7)",
            "Accept": "*/*",
            "Accept-Encoding": "deflate, gzip, br, zstd",
            "Content-Type": "application/json",
            "X-WC-Webhook-Source": self._source(),
            "X-WC-Webhook-Topic": hook["topic"],
            "X-WC-Webhook-Resource": hook["resource"],
            "X-WC-Webhook-Event": hook["event"],
            "X-WC-Webhook-Signature": base64.b64encode(digest).decode(),
            "X-WC-Webhook-ID": str(hook["id"]),
            "X-WC-Webhook-Delivery-ID": delivery,
            "Connection": "close",
        }

    def _log(self, hook: Json, number: int, status: int, quirk: str) -> None:
        entry = {"topic": hook["topic"], "resource_id": number, "status": status, "quirk": quirk, "at": self._now()}
        self.deliveries.append({"webhook_id": hook["id"], **entry})

    def _client(self) -> httpx.Client:
        if self._http is None:
            self._http = httpx.Client(timeout=60.0, trust_env=False)
        return self._http
