"""A WooCommerce shop in memory: orders, refunds and its clock. Safe to use from several threads.

Behaves as measured on 9.9.5: every write moves date_modified, in whole seconds; a deleted refund moves nothing.
"""

from __future__ import annotations

import copy
import itertools
import re
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from counterfoil_sandbox.woocommerce_orders import (
    DATES,
    FIRST_ID,
    RECORDINGS,
    make_order,
    recorded_orders,
    recordings,
    without_links,
)
from counterfoil_sandbox.woocommerce_webhooks import GONE, Courier, php_json

Json = dict[str, Any]
STATUSES = ("pending", "processing", "on-hold", "completed", "cancelled", "refunded", "failed", "checkout-draft")


def zone_of(name: str) -> tzinfo:
    """A time zone by name, or by offset as WordPress allows too: `-07:00`."""
    if offset := re.fullmatch(r"([+-])(\d\d):(\d\d)", name):
        minutes = int(offset[2]) * 60 + int(offset[3])
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    return ZoneInfo(name)


@dataclass
class Stored:
    """An order with its times in seconds since the epoch."""

    data: Json
    created: int
    modified: int
    refunds: list[Json] = field(default_factory=list)
    before_trash: str = ""


class Shop:
    """The shop. All methods may be called from any thread; webhooks leave from a thread of its own."""

    def __init__(self, site_timezone: str = "Europe/Paris", webhook_delay: float = 0.05, seed: int = 1) -> None:
        self.zone_name, self.zone = site_timezone, zone_of(site_timezone)
        self.seed = seed
        self.url = "http://127.0.0.1/"
        self.lock = threading.RLock()
        self.stored: dict[int, Stored] = {}
        self._offset = 0.0
        self._frozen_at: float | None = None
        self._ids = itertools.count(FIRST_ID)
        self.courier = Courier(self.lock, self.payload, self.now, lambda: self.url, webhook_delay, seed)

    # -- the clock

    def now(self) -> float:
        """The shop's time, seconds since the epoch."""
        return time.time() + self._offset if self._frozen_at is None else self._frozen_at

    def set_clock(self, offset: float = 0.0, frozen_at: float | None = None) -> None:
        """Let the shop's clock go `offset` seconds ahead, or stand still: orders then share one second."""
        self._offset, self._frozen_at = offset, frozen_at

    def date(self, data: Json, name: str, second: int | None) -> None:
        """Write a date both ways: local without a zone, and GMT without saying so."""
        gmt = None if second is None else datetime.fromtimestamp(second, UTC)
        data[name] = None if gmt is None else gmt.astimezone(self.zone).replace(tzinfo=None).isoformat()
        data[f"{name}_gmt"] = None if gmt is None else gmt.replace(tzinfo=None).isoformat()

    # -- orders

    @property
    def orders(self) -> list[Json]:
        """All orders as they stand, the trash included, in order of id."""
        with self.lock:
            return [copy.deepcopy(self.stored[number].data) for number in sorted(self.stored)]

    def order(self, number: int) -> Json:
        """One order as it stands; KeyError for an unknown one."""
        with self.lock:
            return copy.deepcopy(self.stored[number].data)

    def place(self, order: Json | None = None, *, at: float | None = None, **fields: Any) -> Json:
        """A new order, from complete order JSON or made up from the recordings; created now, or `at`.

        Its id is taken where free, else the next one. `fields` are written over the order's own.
        """
        with self.lock:
            number = (order or {}).get("id") or self._next_id()
            if number in self.stored:
                number = self._next_id()
            data = copy.deepcopy(order) if order else make_order(number - FIRST_ID, self.seed)
            data.update(copy.deepcopy(fields))
            if data.get("id") != number:
                data.update(id=number, number=str(number))
            data.pop("_links", None)
            second = int(self.now() if at is None else at)
            for name in DATES:
                wanted = name in ("date_created", "date_modified") or data.get(f"{name}_gmt")
                self.date(data, name, second if wanted else None)
            self.stored[number] = Stored(data, second, second)
            self.courier.announce("order.created", number)
            self.courier.announce("order.updated", number)
            return copy.deepcopy(data)

    def load_recorded(self, folder: Path | str = RECORDINGS) -> int:
        """Take in the recorded orders as they are, with ids, dates and refunds; no webhooks. Gives how many."""
        with self.lock:
            loaded = recorded_orders(folder)
            for data in loaded:
                times = [_second_of(data[name]) for name in ("date_created_gmt", "date_modified_gmt")]
                for name in DATES:  # the recording's GMT, told in this shop's time zone
                    value = data[f"{name}_gmt"]
                    self.date(data, name, None if value is None else _second_of(value))
                self.stored[data["id"]] = Stored(data, times[0], times[1])
            for name, recording in recordings(folder, "refunds/*.json"):
                number = int(name.split("_")[1])
                if number in self.stored:
                    self.stored[number].refunds = without_links(recording["response"]["body"])
            return len(loaded)

    def change(self, number: int, **fields: Any) -> Json:
        """Write top-level fields; a new status brings its dates along. Moves date_modified even without fields."""
        with self.lock:
            stored = self.stored[number]
            status = fields.pop("status", None)
            stored.data.update(copy.deepcopy(fields))
            if status == "trash":
                return self.delete(number)
            if status is not None:
                self._set_status(stored, status)
            self._modified(stored)
            self.courier.announce("order.updated", number)
            return copy.deepcopy(stored.data)

    def touch(self, number: int) -> Json:
        """An empty write."""
        return self.change(number)

    def _set_status(self, stored: Stored, status: str) -> None:
        data, second = stored.data, int(self.now())
        if status in ("processing", "completed") and not data["date_paid_gmt"] and data["payment_method"] != "cod":
            self.date(data, "date_paid", second)
        if status == "completed" and data["status"] != "completed":
            self.date(data, "date_completed", second)
        given_back = sum((Decimal(refund["amount"]) for refund in stored.refunds), Decimal(0))
        left = Decimal(data["total"]) - given_back
        if status == "refunded" and data["status"] != "refunded" and left > 0:
            self._add_refund(stored, left, "Order fully refunded.")
        data["status"] = status
        data.update(is_editable=status in ("pending", "on-hold"), needs_payment=status in ("pending", "failed"))

    def _modified(self, stored: Stored) -> None:
        stored.modified = int(self.now())
        self.date(stored.data, "date_modified", stored.modified)

    def delete(self, number: int, force: bool = False) -> Json:
        """Into the trash, or for good: of the latter no webhook tells. Gives the order as it was."""
        with self.lock:
            stored = self.stored[number]
            before = copy.deepcopy(stored.data)
            if force:
                del self.stored[number]
                return before
            stored.before_trash = stored.data["status"]
            stored.data["status"] = "trash"
            self._modified(stored)
            self.courier.announce("order.deleted", number)
            return before

    def restore(self, number: int) -> Json:
        """Out of the trash, back to its status."""
        with self.lock:
            stored = self.stored[number]
            stored.data["status"] = stored.before_trash or "pending"
            self._modified(stored)
            self.courier.announce("order.restored", number)
            return copy.deepcopy(stored.data)

    def refund(self, number: int, amount: str | Decimal, reason: str = "") -> Json:
        """Give money back; the order's total never changes, and a full refund sets its status."""
        with self.lock:
            stored = self.stored[number]
            refund = self._add_refund(stored, Decimal(amount), reason)
            total = sum((Decimal(r["amount"]) for r in stored.refunds), Decimal(0))
            if total >= Decimal(stored.data["total"]) > 0:
                self._set_status(stored, "refunded")
            self._modified(stored)
            self.courier.announce("order.updated", number)
            return copy.deepcopy(refund)

    def _add_refund(self, stored: Stored, amount: Decimal, reason: str) -> Json:
        refund: Json = {"id": self._next_id()}
        self.date(refund, "date_created", int(self.now()))
        refund.update(amount=f"{amount:.2f}", reason=reason, refunded_by=1, refunded_payment=False, meta_data=[])
        refund.update(line_items=[], shipping_lines=[], tax_lines=[], fee_lines=[])
        stored.refunds.insert(0, refund)
        stored.data["refunds"].append({"id": refund["id"], "reason": reason, "total": f"-{amount:.2f}"})
        return refund

    def _next_id(self) -> int:
        return next(number for number in self._ids if number not in self.stored)

    # -- webhooks

    def payload(self, hook: Json, number: int) -> bytes:
        """The order as it stands now; an error, which will be validly signed, if it is gone."""
        if hook["event"] == "deleted":
            return php_json({"id": number})
        stored = self.stored.get(number)
        return php_json({**stored.data, "_links": order_links(self.url, stored.data)} if stored else GONE)

    def add_webhook(self, content: Json) -> Json:
        """A new webhook, dated now."""
        dates: Json = {}
        self.date(dates, "date_created", int(self.now()))
        self.date(dates, "date_modified", None)
        return self.courier.add(content, dates)

    @property
    def webhooks(self) -> list[Json]:
        """All webhooks with what the API does not show: secret and failure_count."""
        return self.courier.webhooks

    @property
    def deliveries(self) -> list[Json]:
        """The log of all deliveries: topic, resource_id, status (0: no answer, or never sent), quirk."""
        return self.courier.deliveries

    @property
    def waiting(self) -> int:
        """Deliveries still queued."""
        return self.courier.waiting

    def set_quirks(self, **shares: float) -> None:
        """See `Courier.set_quirks`."""
        self.courier.set_quirks(**shares)

    def hold_webhooks(self, hold: bool = True) -> None:
        """WP-Cron stands still: what is queued stays queued."""
        self.courier.hold(hold)

    def deliver_now(self) -> int:
        """Run the queue in the caller's thread, whatever its times; gives how many left."""
        return self.courier.deliver_now()

    def drain(self, timeout: float = 10.0) -> bool:
        """Wait until everything queued was delivered; whether it was."""
        return self.courier.drain(timeout)


def order_links(url: str, data: Json) -> Json:
    """`_links` of an order."""
    base = f"{url.rstrip('/')}/wp-json/wc/v3"
    own = f"{base}/orders/{data['id']}"
    links: Json = {
        "self": [{"href": own, "targetHints": {"allow": ["GET", "POST", "PUT", "PATCH", "DELETE"]}}],
        "collection": [{"href": f"{base}/orders"}],
        "email_templates": [{"embeddable": True, "href": f"{own}/actions/email_templates"}],
    }
    if data.get("customer_id"):
        links["customer"] = [{"href": f"{base}/customers/{data['customer_id']}"}]
    return links


def _second_of(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
