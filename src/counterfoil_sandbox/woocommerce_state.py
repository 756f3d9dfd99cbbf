"""A WooCommerce shop in memory: orders, refunds, notes and its clock. Safe to use from several threads.

Behaves as measured on 9.9.5: every write moves date_modified, in whole seconds; a deleted refund moves nothing.
"""

from __future__ import annotations

import bisect
import copy
import itertools
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from counterfoil_sandbox.woocommerce_amounts import amended, refund_entries, sum_of, written
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

if TYPE_CHECKING:
    from counterfoil_sandbox.woocommerce_catalogue import Catalogue
    from counterfoil_sandbox.woocommerce_customers import Customers

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
    notes: list[Json] = field(default_factory=list)


class Shop:
    """The shop. All methods may be called from any thread; webhooks leave from a thread of its own."""

    def __init__(self, site_timezone: str = "Europe/Paris", webhook_delay: float = 0.05, seed: int = 1) -> None:
        self.zone_name, self.zone = site_timezone, zone_of(site_timezone)
        self.seed = seed
        self.url = "http://127.0.0.1/"
        self.lock = threading.RLock()
        self.stored: dict[int, Stored] = {}
        self.customers: Customers
        self.catalogue: Catalogue
        self.payloads: dict[str, Callable[[int], Json | None]] = {"order": self._order_payload}
        self._by_change: list[tuple[int, int]] = []  # (second, order), sorted: what a poll asks for
        self._notes = itertools.count(1)
        self._items = itertools.count(1)
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
            self._keep(number, Stored(data, second, second))
            self.catalogue.follow(data)
            self.courier.announce("order.created", number)
            self.courier.announce("order.updated", number)
            if data.get("customer_id") and data.get("date_paid_gmt"):
                self.courier.announce("customer.updated", data["customer_id"])
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
                self._keep(data["id"], Stored(data, times[0], times[1]))
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

    def amend(self, number: int, quantities: Mapping[int, int | str | Decimal] | None = None, **fields: Any) -> Json:
        """New quantities of lines (nought removes one) with their share of net and taxes, and top-level fields.

        Everything adds up afterwards: lines, rates and total.
        """
        with self.lock:
            return self.change(number, **amended(self.order(number), quantities or {}), **fields)

    def _set_status(self, stored: Stored, status: str) -> None:
        data, second = stored.data, int(self.now())
        # cash on delivery is paid when the order is completed (WC_Gateway_COD::change_payment_complete_order_status)
        pays = ("completed",) if data["payment_method"] == "cod" else ("processing", "completed")
        if status in pays and not data["date_paid_gmt"]:
            self.date(data, "date_paid", second)
        if status == "completed" and data["status"] != "completed":
            self.date(data, "date_completed", second)
        given_back = sum((Decimal(refund["amount"]) for refund in stored.refunds), Decimal(0))
        left = Decimal(data["total"]) - given_back
        if status == "refunded" and data["status"] != "refunded" and left > 0:
            self._add_refund(stored, left, "Order fully refunded.")
        if status != data["status"]:
            words = f"Order status changed from {_title(data['status'])} to {_title(status)}."
            self._add_note(stored, words, False)
        data["status"] = status
        data.update(is_editable=status in ("pending", "on-hold"), needs_payment=status in ("pending", "failed"))
        self.catalogue.follow(data)

    def _modified(self, stored: Stored) -> None:
        self._forget(stored)
        stored.modified = int(self.now())
        self.date(stored.data, "date_modified", stored.modified)
        bisect.insort(self._by_change, (stored.modified, stored.data["id"]))

    def _keep(self, number: int, stored: Stored) -> None:
        if number in self.stored:
            self._forget(self.stored[number])
        self.stored[number] = stored
        bisect.insort(self._by_change, (stored.modified, number))

    def _forget(self, stored: Stored) -> None:
        del self._by_change[bisect.bisect_left(self._by_change, (stored.modified, stored.data["id"]))]

    def changed(self, after: int | None, before: int | None) -> Iterable[Stored]:
        """Orders last changed after and before these seconds (neither included), oldest change first."""
        first = 0 if after is None else bisect.bisect_left(self._by_change, (after + 1, 0))
        last = len(self._by_change) if before is None else bisect.bisect_left(self._by_change, (before, 0))
        return [self.stored[number] for _, number in self._by_change[first:last]]

    def delete(self, number: int, force: bool = False) -> Json:
        """Into the trash, or for good: of the latter no webhook tells. Gives the order as it was."""
        with self.lock:
            stored = self.stored[number]
            before = copy.deepcopy(stored.data)
            if force:
                self._forget(stored)
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

    def refund(
        self,
        number: int,
        amount: str | Decimal | None = None,
        reason: str = "",
        lines: Sequence[int | Json] | Mapping[int, int | str | Decimal] = (),
    ) -> Json:
        """Give money back; the order's total never changes, and a full refund sets its status.

        `lines` are ids of order lines (whole), quantities by id, or entries as the API takes them. Without an amount
        it is their sum. WooCommerce refuses more than is left; this does not.
        """
        with self.lock:
            stored = self.stored[number]
            entries = refund_entries(stored.data, lines)
            worth = sum_of(entries) if amount is None else Decimal(amount)
            refund = self._add_refund(stored, worth, reason, entries)
            total = sum((Decimal(r["amount"]) for r in stored.refunds), Decimal(0))
            if total >= Decimal(stored.data["total"]) > 0:
                self._set_status(stored, "refunded")
            self._modified(stored)
            self.courier.announce("order.updated", number)
            return copy.deepcopy(refund)

    def delete_refund(self, number: int, refund_id: int) -> None:
        """As if it had never been: nothing is moved, nothing is sent."""
        with self.lock:
            stored = self.stored[number]
            stored.refunds = [r for r in stored.refunds if r["id"] != refund_id]
            stored.data["refunds"] = [r for r in stored.data["refunds"] if r["id"] != refund_id]

    def _add_refund(self, stored: Stored, amount: Decimal, reason: str, lines: Sequence[Json] = ()) -> Json:
        refund: Json = {"id": self._next_id()}
        self.date(refund, "date_created", int(self.now()))
        refund.update(amount=f"{amount:.2f}", reason=reason, refunded_by=1, refunded_payment=False, meta_data=[])
        refund.update(written(stored.data, lines, lambda: 10**8 + next(self._items)))
        stored.refunds.insert(0, refund)
        stored.data["refunds"].append({"id": refund["id"], "reason": reason, "total": f"{amount.copy_negate():.2f}"})
        return refund

    # -- notes

    def notes(self, number: int) -> list[Json]:
        """The notes of an order, the newest first; within a second in order of id, as recorded."""
        with self.lock:
            found = sorted(self.stored[number].notes, key=lambda note: note["id"])
            return copy.deepcopy(sorted(found, key=lambda note: note["date_created_gmt"], reverse=True))

    def add_note(self, number: int, text: str, customer: bool = False) -> Json:
        """Write a note; of one for the customer they are mailed. It moves nothing on the order."""
        with self.lock:
            return copy.deepcopy(self._add_note(self.stored[number], text, customer))

    def _add_note(self, stored: Stored, text: str, customer: bool) -> Json:
        note: Json = {"id": next(self._notes), "author": "WooCommerce"}
        self.date(note, "date_created", int(self.now()))
        note.update(note=text, customer_note=customer)
        stored.notes.append(note)
        return note

    def _next_id(self) -> int:
        return next(number for number in self._ids if number not in self.stored)

    # -- webhooks

    def payload(self, hook: Json, number: int) -> bytes:
        """The thing as it stands now; an error, which will be validly signed, if it is gone."""
        if hook["event"] == "deleted":
            return php_json({"id": number})
        known = self.payloads.get(hook["resource"])
        return php_json((known(number) if known else None) or GONE)

    def _order_payload(self, number: int) -> Json | None:
        stored = self.stored.get(number)
        return {**stored.data, "_links": order_links(self.url, stored.data)} if stored else None

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


def _title(status: str) -> str:
    return {"pending": "Pending payment", "on-hold": "On hold"}.get(status, status.capitalize())


def _second_of(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
