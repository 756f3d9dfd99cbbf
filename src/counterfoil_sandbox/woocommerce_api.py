"""The handlers of the WooCommerce stand-in's REST API: orders, webhooks, and a catalogue to read."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from counterfoil_sandbox.woocommerce_customers import Customers
from counterfoil_sandbox.woocommerce_notes import Notes
from counterfoil_sandbox.woocommerce_orders import RECORDINGS, recordings, without_links
from counterfoil_sandbox.woocommerce_products import Products
from counterfoil_sandbox.woocommerce_refunds import Refunds
from counterfoil_sandbox.woocommerce_rest import (
    Rest,
    count_of,
    invalid,
    json_body,
    listed,
    merged_meta,
    moment_of,
    not_allowed,
    one_of,
    only_fields,
    paging,
)
from counterfoil_sandbox.woocommerce_state import STATUSES, Json, Shop, Stored, order_links
from counterfoil_sandbox.woocommerce_webhooks import GONE, HOOKS, php_json

_CORS = ("Authorization", "X-WP-Nonce", "Content-Disposition", "Content-MD5", "Content-Type")
_ORDERBY = {"date": "date", "id": "id", "include": "id", "title": "id", "slug": "id", "modified": "modified"}
_WRITABLE = (
    *("billing", "shipping", "customer_note", "customer_id", "payment_method", "payment_method_title"),
    *("transaction_id", "currency", "line_items", "shipping_lines", "fee_lines", "coupon_lines"),
)


class Api:
    """What all handlers share: the shop, the catalogue, and how a request is let in and answered."""

    def __init__(
        self, shop: Shop, folder: Path | str | None, key: str, secret: str, permissions: str, behind_tls: bool
    ) -> None:
        self.shop, self.key, self.secret = shop, key, secret
        self.permissions, self.behind_tls = permissions, behind_tls
        self.requests: Counter[str] = Counter()
        self.lists: dict[str, list[Json]] = {}
        self.refunds, self.notes = Refunds(shop), Notes(shop)
        for name, path in {
            "taxes": "taxes/list_page_*.json",
            "customers": "customers/list_page_*.json",
            "payment_gateways": "misc/payment_gateways.json",
            "settings/general": "misc/settings_general.json",
            "settings/tax": "misc/settings_tax.json",
        }.items():
            found = recordings(folder, path) if folder is not None else ()
            self.lists[name] = [without_links(entry) for _, rec in found for entry in rec["response"]["body"]]
        self.customers = Customers(shop, self.lists.pop("customers"))
        self.products = Products(shop, folder)

    def handler(self, work: Callable[[Request], Any], allow: str) -> Callable[[Request], Any]:
        """`work` behind the key, its errors and answers in WordPress's shape."""

        async def handle(request: Request) -> Response:
            self.requests[f"{request.method} {request.url.path}"] += 1
            self.shop.url = str(request.base_url)
            headers, allowed = {}, allow
            try:
                self._let_in(request)
                answer = await work(request)
                status, body, headers = answer if isinstance(answer, tuple) else (200, answer, {})
            except Rest as error:
                status, body = error.status, error.body
                if status == 401:
                    allowed = ""
                    headers = {} if "permissions" in error.body["message"] else {"Vary": "Origin"}
            return self.answer(request, status, body, headers, allowed)

        return handle

    def answer(self, request: Request, status: int, body: Any, headers: dict[str, str], allow: str) -> Response:
        """The response with the headers WordPress sends, cut to `_fields` where asked for."""
        if fields := request.query_params.get("_fields"):
            wanted = set(fields.split(","))
            body = only_fields(body, wanted) if status < 300 else body
        common = {
            "Date": format_datetime(datetime.fromtimestamp(self.shop.now(), UTC), usegmt=True),
            "X-Powered-By": "PHP/8.2.35",
            "X-Robots-Tag": "noindex",
            "Link": f'<{request.base_url}wp-json/>; rel="https://api.w.org/"',
            "X-Content-Type-Options": "nosniff",
            "Access-Control-Expose-Headers": "X-WP-Total, X-WP-TotalPages, Link",
            "Access-Control-Allow-Headers": ", ".join(_CORS),
        }
        if "Vary" not in headers:
            common |= {
                "Expires": "Wed, 11 Jan 1984 05:00:00 GMT",
                "Cache-Control": "no-cache, must-revalidate, max-age=0, no-store, private",
            }
        common |= {"Allow": allow} if allow else {}
        # PHP writes the type with this case and space; clients compare it.
        return Response(
            php_json(body), status, {**common, **headers, "Content-Type": "application/json; charset=UTF-8"}
        )

    def _let_in(self, request: Request) -> None:
        scheme, _, told = request.headers.get("authorization", "").partition(" ")
        key, secret = request.query_params.get("consumer_key", ""), request.query_params.get("consumer_secret", "")
        if scheme.lower() == "basic":
            try:
                key, _, secret = base64.b64decode(told).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                key = ""
        if key != self.key or not self.behind_tls:
            raise not_allowed(request)
        if secret != self.secret:
            raise Rest(401, "woocommerce_rest_authentication_error", "Consumer secret is invalid.")
        needed = "read" if request.method in ("GET", "HEAD", "OPTIONS") else "write"
        if self.permissions not in (needed, "read_write"):
            words = f"The API key provided does not have {needed} permissions."
            raise Rest(401, "woocommerce_rest_authentication_error", words)

    # -- orders

    async def orders(self, request: Request) -> Any:
        """List orders, or make one."""
        if request.method == "POST":
            return self._create(await json_body(request))
        query = request.query_params
        page, per_page = count_of(query, "page", 1, 10**9), count_of(query, "per_page", 10, 100)
        orderby = one_of(query, "orderby", "date", tuple(_ORDERBY))
        order = one_of(query, "order", "desc", ("asc", "desc"))
        wanted = self._wanted(query)
        with self.shop.lock:
            found = [stored for stored in self._candidates(query) if wanted(stored)]
            if _ORDERBY[orderby] != "modified":
                found.sort(key=_by_id if _ORDERBY[orderby] == "id" else _by_created)
            if order == "desc":
                found.reverse()
            part = found[(page - 1) * per_page : page * per_page]
            total = len(found) if part or page == 1 else 0  # as recorded: past the end it says 0
            body = [self._order(stored) for stored in part]
        return 200, body, paging(request, page, per_page, total)

    def _candidates(self, query: Any) -> Iterable[Stored]:
        """The orders that a bound on date_modified lets through, oldest change first: found without a look at all."""
        gmt = query.get("dates_are_gmt") in ("true", "1")
        bounds = [
            moment_of(name, query[name], gmt, self.shop.zone) if name in query else None
            for name in ("modified_after", "modified_before")
        ]
        return self.shop.changed(*bounds)

    def _wanted(self, query: Any) -> Callable[[Stored], bool]:
        """The filter of a list request; raises Rest for parameters WooCommerce refuses."""
        statuses = [s for name in ("status", "status[]") for v in query.getlist(name) for s in v.split(",") if s]
        known = ("any", "trash", "auto-draft", *STATUSES)
        for position, status in enumerate(statuses):
            if status not in known:
                raise invalid("status", f"status[{position}] is not one of {listed(known)}.", "rest_not_in_enum")
        include = {int(n) for n in query.get("include", "").split(",") if n.isdigit()}
        exclude = {int(n) for n in query.get("exclude", "").split(",") if n.isdigit()}
        gmt = query.get("dates_are_gmt") in ("true", "1")
        bounds = [
            (name, moment_of(name, query[name], gmt, self.shop.zone))
            for name in ("after", "before", "modified_after", "modified_before")
            if name in query
        ]

        def wanted(stored: Stored) -> bool:
            status, number = stored.data["status"], stored.data["id"]
            if "any" in statuses or not statuses:
                if status == "trash":
                    return False
            elif status not in statuses:
                return False
            if (include and number not in include) or number in exclude:
                return False
            for name, second in bounds:
                own = stored.modified if name.startswith("modified") else stored.created
                if own <= second if name.endswith("after") else own >= second:
                    return False
            return True

        return wanted

    def _order(self, stored: Stored) -> Json:
        return {**stored.data, "_links": order_links(self.shop.url, stored.data)}

    async def order(self, request: Request) -> Any:
        """Read, change or delete one order."""
        number = request.path_params["id"]
        writes = request.method in ("PUT", "POST", "PATCH")
        body = await json_body(request) if writes else {}
        _check(body)  # parameters are looked at before the order is
        with self.shop.lock:
            stored = self.shop.stored.get(number)
            if stored is None:
                raise Rest(400 if writes else 404, GONE["code"], GONE["message"])
            if request.method == "GET":
                return self._order(stored)
            if request.method == "DELETE":
                force = request.query_params.get("force") in ("true", "1")
                if stored.data["status"] == "trash" and not force:
                    raise Rest(410, "woocommerce_rest_already_trashed", "The shop_order has already been deleted.")
                return self.shop.delete(number, force)
            fields = self._fields_of(body, stored.data)
            self.shop.change(number, **fields)
            return self._order(self.shop.stored[number])

    def _create(self, body: Json) -> Any:
        """A new order over REST. Totals are taken as given: the stand-in does not calculate."""
        _check(body)
        for line in body.get("line_items", []):
            if not (line.get("product_id") or line.get("sku") or line.get("variation_id")):
                raise Rest(400, "woocommerce_rest_required_product_reference", "Product ID or SKU is required.")
        template = json.loads((RECORDINGS / "orders" / "order_311.json").read_text(encoding="utf-8"))
        data: Json = without_links(template["response"]["body"])
        data.update(id=0, status="pending", meta_data=[])
        data.update(self._fields_of(body, data))
        if body.get("set_paid"):
            data.update(status="processing", date_paid_gmt="now")
        placed = self.shop.place(data)
        location = {"Location": f"{self.shop.url}wp-json/wc/v3/orders/{placed['id']}"}
        return 201, self._order(self.shop.stored[placed["id"]]), location

    def _fields_of(self, body: Json, data: Json) -> Json:
        """The top-level fields that a POST or PUT changes."""
        fields: Json = {"status": body["status"]} if "status" in body else {}
        for name in _WRITABLE:
            if name in body:
                merge = name in ("billing", "shipping")
                fields[name] = {**data[name], **body[name]} if merge else body[name]
        if "meta_data" in body:
            fields["meta_data"] = merged_meta(data["meta_data"], body["meta_data"])
        if body.get("set_paid") and data["status"] in ("pending", "on-hold", "failed"):
            fields["status"] = "processing"
        return fields

    # -- webhooks

    async def webhooks(self, request: Request) -> Any:
        """List webhooks, or make one, which sends its ping first."""
        if request.method == "GET":
            page, per_page = (
                count_of(request.query_params, "page", 1, 10**9),
                count_of(request.query_params, "per_page", 10, 100),
            )
            hooks = [self._hook(hook, request) for hook in self.shop.webhooks]
            part = hooks[(page - 1) * per_page : page * per_page]
            return 200, part, paging(request, page, per_page, len(hooks))
        body = await json_body(request)
        if body.get("topic") not in HOOKS:
            code = "woocommerce_rest_shop_webhook_invalid_topic"
            raise Rest(400, code, "Webhook topic is required and must be valid.")
        if not str(body.get("delivery_url", "")).startswith(("http://", "https://")):
            words = "Webhook delivery URL must be a valid URL starting with http:// or https://."
            raise Rest(400, "woocommerce_rest_shop_webhook_invalid_delivery_url", words)
        hook = self.shop.add_webhook(body)
        await asyncio.to_thread(self.shop.courier.ping, hook)
        location = f"{self.shop.url}wp-json/wc/v3/webhooks/{hook['id']}"
        return 201, self._hook(hook, request), {"Location": location}

    async def webhook(self, request: Request) -> Any:
        """Read, change or delete one webhook."""
        number = request.path_params["id"]
        body = await json_body(request) if request.method in ("PUT", "POST", "PATCH") else {}
        with self.shop.lock:
            hook = self.shop.courier.hooks.get(number)
            if hook is None:
                status = 404 if request.method in ("GET", "DELETE") else 400
                raise Rest(status, "woocommerce_rest_shop_webhook_invalid_id", "Invalid ID.")
            if request.method == "DELETE":
                if request.query_params.get("force") not in ("true", "1"):
                    raise Rest(501, "woocommerce_rest_trash_not_supported", "Webhooks do not support trashing.")
                del self.shop.courier.hooks[number]
            else:
                hook.update({k: body[k] for k in ("name", "status", "delivery_url", "secret") if k in body})
            return self._hook(hook, request)

    def _hook(self, hook: Json, request: Request) -> Json:
        """A webhook as the API shows it: never its secret, never its failures."""
        base = f"{request.base_url}wp-json/wc/v3/webhooks"
        shown = {name: value for name, value in hook.items() if name not in ("secret", "failure_count")}
        allow = {"allow": ["GET", "POST", "PUT", "PATCH", "DELETE"]}
        own = [{"href": f"{base}/{hook['id']}", "targetHints": allow}]
        return {**shown, "_links": {"self": own, "collection": [{"href": base}]}}

    # -- lists to read only

    def listing(self, name: str) -> Callable[[Request], Any]:
        """A list with paging, and `include` where given."""

        async def work(request: Request) -> Any:
            query = request.query_params
            page, per_page = count_of(query, "page", 1, 10**9), count_of(query, "per_page", 10, 100)
            entries = self.lists[name]
            if "include" in query:
                numbers = {int(n) for n in query["include"].split(",") if n.isdigit()}
                entries = [e for e in entries if e["id"] in numbers]
            part = entries[(page - 1) * per_page : page * per_page]
            return 200, part, paging(request, page, per_page, len(entries))

        return work

    def whole(self, name: str) -> Callable[[Request], Any]:
        """A list of settings, which knows no paging. `Catalogue.settings` overrides what was recorded."""

        async def work(_request: Request) -> Any:
            values = self.shop.catalogue.settings
            return [{**row, "value": values.get(row["id"], row["value"])} for row in self.lists[name]]

        return work

    async def system_status(self, request: Request) -> Any:
        """The few fields a client looks at; not held to a recording, as there is none."""
        values = {option["id"]: option["value"] for option in self.lists["settings/general"]}
        environment = {
            "home_url": str(request.base_url).rstrip("/"),
            "site_url": str(request.base_url).rstrip("/"),
            "version": "9.9.5",
            "wp_version": "6.8.7",
            "php_version": "8.2.35",
            "default_timezone": "UTC",
        }
        settings = {
            "currency": values.get("woocommerce_currency", "EUR"),
            "number_of_decimals": int(values.get("woocommerce_price_num_decimals", 2)),
            "HPOS_enabled": True,
        }
        return {"environment": environment, "settings": settings, "active_plugins": []}


def _check(body: Json) -> None:
    """The parameters of an order that WooCommerce refuses."""
    known = ("auto-draft", *STATUSES)
    if "status" in body and body["status"] not in known:
        raise invalid("status", f"status is not one of {listed(known)}.", "rest_not_in_enum")
    email = body.get("billing", {}).get("email")
    if email and "@" not in email:
        raise invalid("billing", "Invalid email address.", "rest_invalid_email")


def _by_id(stored: Stored) -> tuple[int, int]:
    return 0, stored.data["id"]


def _by_created(stored: Stored) -> tuple[int, int]:
    return stored.created, stored.data["id"]
