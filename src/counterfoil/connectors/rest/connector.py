"""Any system that keeps records behind a JSON API, behind the connector contract."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx

from counterfoil.connectors.overlay import PLAIN, Dialect
from counterfoil.connectors.rest import doctor, feeds, webhooks
from counterfoil.connectors.rest.client import Client
from counterfoil.connectors.rest.mapping import KINDS
from counterfoil.connectors.rest.reading import Shape, decode
from counterfoil.connectors.rest.writing import NAMES, one_by_one, post, put
from counterfoil.hub.contract import (
    BadPayload,
    Feed,
    Finding,
    Item,
    Observed,
    Operation,
    Outcome,
    Page,
    Raw,
    Release,
    Setting,
)
from counterfoil.retail.party import Account

SETTINGS = (
    Setting("token", required=True, secret=True, help="Sent with every request as Authorization: Bearer"),
    Setting("webhook_secret", secret=True, help="Of its webhooks (Standard Webhooks); without it it is only polled"),
    Setting("customers", help="Path of its customers, such as /accounts; each path is given only if there is one"),
    Setting("products", help="Path of its products, such as /products"),
    Setting("stock", help="Path of its stock levels, a record for each article, such as /stock"),
    Setting("orders", help="Path that orders are put to, such as /orders"),
    Setting("records", help="Path that facts are posted to, such as /postings"),
    Setting("reads", help="Which of customers, products, stock are read, such as 'customers stock'; all without it"),
    Setting("email_parameter", help="Asks for the customers of an e-mail address, such as email, if it can"),
    Setting("record_method", help="'put' for an API that knows no Idempotency-Key; post without it"),
    Setting("id_field", help="The field that is a record's id; id without it"),
    Setting("changed_field", help="The field that says when a record was changed last; updated_at without it"),
    Setting("since_parameter", help="Asks for what changed since; updated_since without it; 'no': read all each time"),
    Setting("page_parameter", help="Asks for a page, counted from 1; page without it"),
    Setting("size_parameter", help="Asks for so many records a page; per_page without it"),
    Setting("per_page", help="Records a page; 100 without it"),
    Setting("query", help="What else to ask a list with, such as sort=updated_at"),
    Setting("list_field", help="Where an answer holds its list, if not data, items, records, results or value"),
    Setting("zone", help="Of its times that are given without one, such as Europe/Paris; UTC without it"),
    Setting("version_path", help="Path whose answer tells the version of the system, such as /about"),
    Setting("version_field", help="Where in that answer, such as app.version; version without it"),
    Setting("version_header", help="Or the answer's header that tells it, such as X-API-Version"),
    Setting("timeout", help="Longest wait for one answer, such as 15s"),
)
# What the blueprint's catalogue wants to know without a system at hand; manifest.toml says the same.
_UPDATED, _POSTED = frozenset({"customer.updated"}), frozenset({"record.posted"})
CAPABILITIES: Mapping[str, Any] = {
    "name": "rest",
    "webhook_setting": "webhook_secret",
    "poll": 60.0,
    "feeds": ("customer", "product", "stock"),
    "operations": (
        {"name": "put_customer", "stream": "customer", "emits": _UPDATED, "state": True},
        {"name": "put_product", "stream": "product", "emits": frozenset[str](), "state": True},
        {"name": "put_stock", "stream": "stock", "emits": frozenset[str](), "state": True},
        {"name": "put_order", "stream": "order", "emits": frozenset[str](), "state": True},
        {"name": "post_record", "stream": "record", "emits": _POSTED},
    ),
    "events": frozenset(f"{kind}.changed" for kind in KINDS),
    "reports_with": {f"{kind}.changed": NAMES[kind] for kind in KINDS},
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)")
_UNITS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Rest:
    """One system with a JSON API. `settings` is text by name: `url`, `token` and those of SETTINGS, `poll` (60s) and
    `overlap` (2m); `dialect` what the blueprint maps of it. Raises ValueError with what was found and expected.
    """

    def __init__(
        self,
        system: str,
        settings: Mapping[str, str],
        transport: httpx.AsyncBaseTransport | None = None,
        dialect: Dialect = PLAIN,
    ) -> None:
        missing = [name for name in ("url", "token") if not settings.get(name)]
        if missing:
            raise ValueError(f"systems.{system}: {', '.join(missing)} missing")
        self.system = system
        self.shape = _shape(system, settings)
        self._dialect = dialect
        self._overlap = _seconds(system, settings, "overlap", "2m")
        self._every = _seconds(system, settings, "poll", "60s")
        self._secret = settings.get("webhook_secret", "")
        self._method = settings.get("record_method") or "post"
        if self._method not in ("post", "put"):
            raise ValueError(f"systems.{system}.record_method: expected post or put, found {self._method!r}")
        self._version = doctor.told_at(system, settings)
        timeout = _seconds(system, settings, "timeout", "15s")
        self._client = Client(system, settings["url"], settings["token"], timeout, transport)

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What can be written; how each is idempotent says writing.py."""
        calm: dict[str, Any] = {"batch": 5, "timeout": 180.0, "parallel": 4}  # a look and a write an item
        made = [
            Operation(f"put_{kind}", kind, partial(self._put, kind), coalesces=True, emits=emits, **calm)
            for kind, emits in (("customer", tuple(_UPDATED)), ("product", ()), ("stock", ()), ("order", ()))
        ]
        made.append(Operation("post_record", "record", self._post, emits=tuple(_POSTED), **calm))
        return {operation.name: operation for operation in made}

    @property
    def feeds(self) -> Sequence[Feed]:
        """The lists that have a path."""
        read = [kind for kind in KINDS if kind in self.shape.paths and kind in self.shape.reads]
        return tuple(Feed(kind, kind, self._every, self._poll(kind)) for kind in read)

    def receive(self, headers: Mapping[str, str], body: bytes) -> Raw | None:
        """Check a webhook's signature and time, and take its record; None for what is not read. Raises Refused."""
        return webhooks.receive(self.shape, self._secret, headers, body, time.time())

    def decode(self, raw: Raw) -> Observed:
        """The record in the retail language. Raises BadPayload."""
        return decode(self.shape, self.system, raw, self._dialect)

    async def people(self) -> AsyncIterator[tuple[str, Mapping[str, str]]]:
        """Every customer: id, keys (email, vat, phone), name and address. What cannot be read is passed over.

        Raises Failure.
        """
        if "customer" not in self.shape.paths:
            return
        async for page in self._poll("customer")({}):
            for raw in page.receipts:
                try:
                    account = self.decode(raw).state
                except BadPayload:
                    continue
                assert isinstance(account, Account)
                told = {name: getattr(account.customer, name) for name in ("email", "vat", "phone", "name")}
                told |= {name: getattr(account.billing, name) for name in ("street", "postcode", "city", "country")}
                yield raw.object_id, {name: value for name, value in told.items() if value}

    async def care(self) -> list[Finding]:
        """Nothing: its webhooks are made there, by hand."""
        return []

    async def versions(self) -> Sequence[Release]:
        """As the answer of `version_path` tells it; nothing where the blueprint names none. Raises Failure."""
        return await doctor.releases_of(self._client, self._version)

    async def doctor(self) -> list[Finding]:
        """Look at reachability, token, each list, and whether the mapping fits its records; never raises."""
        return await doctor.examine(self._client, self.shape, self._dialect, bool(self._secret), self._version)

    async def close(self) -> None:
        """Give back connections."""
        await self._client.close()

    def _poll(self, kind: str) -> Callable[[Mapping[str, Any]], AsyncIterator[Page]]:
        return lambda cursor: feeds.poll(self._client, self.shape, kind, cursor, self._overlap)

    async def _put(self, kind: str, items: Sequence[Item]) -> list[Outcome]:
        return await one_by_one(items, lambda item: put(self._client, self.shape, self._dialect, kind, item))

    async def _post(self, items: Sequence[Item]) -> list[Outcome]:
        return await one_by_one(items, lambda item: post(self._client, self.shape, self._dialect, self._method, item))


def _shape(system: str, settings: Mapping[str, str]) -> Shape:
    paths = {kind: settings[name].rstrip("/") for kind, name in NAMES.items() if settings.get(name)}
    for kind, path in paths.items():
        if not path.startswith("/"):
            raise ValueError(f"systems.{system}.{NAMES[kind]}: expected a path such as /accounts, found {path!r}")
    since, size, zone = (settings.get(name, "") for name in ("since_parameter", "per_page", "zone"))
    if size and not (size.isdigit() and 1 <= int(size) <= 10_000):
        raise ValueError(f"systems.{system}.per_page: expected a whole number from 1 to 10000, found {size!r}")
    try:
        of_bare_times = ZoneInfo(zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"systems.{system}.zone: expected a zone such as Europe/Paris, found {zone!r}") from None
    return Shape(
        paths,
        id=settings.get("id_field") or "id",
        changed=settings.get("changed_field") or "updated_at",
        since="" if since.lower() in ("no", "off", "false") else since or "updated_since",
        page=settings.get("page_parameter") or "page",
        size=settings.get("size_parameter") or "per_page",
        per_page=int(size or 100),
        query=dict(parse_qsl(settings.get("query", ""))),
        list=settings.get("list_field", ""),
        zone=of_bare_times,
        reads=_reads(system, settings),
        email=settings.get("email_parameter", ""),
    )


def _reads(system: str, settings: Mapping[str, str]) -> frozenset[str]:
    by_name = {NAMES[kind]: kind for kind in KINDS}
    named = settings.get("reads", "").split()
    if unknown := [name for name in named if name not in by_name]:
        expected = f"names out of {', '.join(by_name)}, with spaces between"
        raise ValueError(f"systems.{system}.reads: expected {expected}, found {unknown[0]!r}")
    return frozenset(by_name[name] for name in named or by_name)


def _seconds(system: str, settings: Mapping[str, str], name: str, default: str) -> float:
    """A duration such as 60s, 2m or 0.5 (seconds)."""
    text = str(settings.get(name) or default).strip()
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"systems.{system}.{name}: expected a duration such as 60s, found {text!r}")
    return float(match[1]) * _UNITS[match[2]]
